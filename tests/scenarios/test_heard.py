"""Who is heard and who is not: told to the operator in words, while the call is still up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callcenter.calls.settings import Flow, ToQueue
from callcenter.ledger.quality import Alarm
from callcenter.model.facts import (
    AgentMediaStarted,
    CallerMediaStarted,
    MediaMissing,
    OneWayAudio,
    OneWayAudioEnded,
    TrunkQualityChanged,
)
from callcenter.model.states import EndCause, OneWay, Side
from callcenter.operate.life import Life
from callcenter.operate.status import media_metrics, status
from callcenter.simulation.media import SimMediaSession
from callcenter.simulation.world import World, story
from tests.scenarios.trunks import accepts, trunk

CALLER = "+14155550100"


def told(world: World, kind: type[Any]) -> list[Any]:
    """The facts of one kind."""
    return [fact.body for fact in world.facts if isinstance(fact.body, kind)]


@story()
async def test_both_sides_of_a_good_call_are_told_to_be_heard_and_nobody_is_missed(world: World) -> None:
    """Each with the address that its sound comes from."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    await world.connect(caller, amy)
    await world.sleep(30)
    (caller_heard,) = told(world, CallerMediaStarted)
    (amy_heard,) = told(world, AgentMediaStarted)
    assert caller_heard.source.startswith(world.hosts[CALLER].address + ":")
    assert amy_heard.source.startswith(world.hosts["amy"].address + ":")
    assert amy_heard.agent == "amy"
    assert not told(world, MediaMissing)
    await caller.hangs_up()


@story()
async def test_a_caller_who_is_not_heard_is_told_of_and_lost_in_the_end(world: World) -> None:
    """Five seconds after the answer, with the addresses of both sides; after a minute of silence the call ends."""
    straight_to_the_queue(world)
    caller = await world.phone(CALLER)
    world.mute_phones.add(CALLER)
    call = await caller.dial("1000")
    await world.sleep(4.5)
    assert not told(world, MediaMissing)
    await world.sleep(1)
    (missing,) = told(world, MediaMissing)
    assert (missing.side, missing.offer, missing.agent) == (Side.CALLER, "", "")
    assert missing.detail.startswith("nothing is heard from the caller: no sound came in 5 s at 10.0.0.1:")
    assert f"the phone said it sends from {world.hosts[CALLER].address}:" in missing.detail
    assert missing.detail.endswith("a firewall or NAT between, or a phone that sends nothing?")
    await caller.is_hung_up(within=60)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_TIMEOUT
    assert saved.ending.detail == "no sound came from the caller at all, for 60 s"
    assert len(told(world, MediaMissing)) == 1
    assert not told(world, CallerMediaStarted)


@story()
async def test_a_caller_who_falls_silent_is_lost_with_the_address_they_were_heard_from(world: World) -> None:
    """The cable of the caller's phone was pulled."""
    caller = await world.phone(CALLER)
    straight_to_the_queue(world)
    call = await caller.dial("1000")
    await world.sleep(10)
    assert call.sound is not None
    source = told(world, CallerMediaStarted)[0].source
    world.unplug(caller)
    await world.sleep(65)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_TIMEOUT
    assert saved.ending.detail == f"no sound came from the caller any more, for 60 s; it had come from {source}"


@story()
async def test_a_talk_in_which_only_the_agent_is_heard_is_told_to_be_one_way(world: World) -> None:
    """The caller was missed already; with the agent's first sound it is known which way."""
    straight_to_the_queue(world)
    caller = await world.phone(CALLER)
    world.mute_phones.add(CALLER)
    await caller.dial("1000")
    await world.sleep(6)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await world.sleep(6)
    first, second = told(world, MediaMissing)
    assert first.offer == ""
    assert (second.side, second.agent) == (Side.CALLER, "amy")
    assert second.detail.startswith("one-way: the agent sends, the caller does not; nothing is heard from the caller")
    await caller.hangs_up()


@story()
async def test_an_agent_who_is_not_heard_is_told_of_with_the_way_that_works(world: World) -> None:
    """The first question of support is which way it is."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    world.mute_phones.add("amy")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await amy.hears(caller)
    await world.sleep(6)
    (missing,) = told(world, MediaMissing)
    assert (missing.side, missing.agent) == (Side.AGENT, "amy")
    assert missing.offer
    assert missing.detail.startswith("one-way: the caller sends, the agent does not; nothing is heard from the agent")
    assert not told(world, AgentMediaStarted)
    await caller.hangs_up()


@story()
async def test_nobody_is_missed_while_they_hold(world: World) -> None:
    """A phone that holds need not send."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    world.mute_phones.add("amy")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await world.sleep(1)
    await amy.hold()
    await world.sleep(20)
    assert not told(world, MediaMissing)
    await amy.resume()
    await world.sleep(6)
    assert [missing.side for missing in told(world, MediaMissing)] == [Side.AGENT]
    await caller.hangs_up()


@story()
async def test_a_talk_whose_caller_is_heard_no_more_is_told_in_words_and_seen_in_status(world: World) -> None:
    """The cable was pulled: ten seconds later the operator knows; the sound comes back, and that is told too."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    call = await world.connect(caller, amy)
    await world.sleep(5)
    (live,) = world.house.supervisor.calls.values()
    session = live.caller.sound.session
    assert isinstance(session, SimMediaSession)
    assert session.remote is not None
    phone = world.sound.endpoints[session.remote]
    phone.mute = True
    world.sound.endpoint_changed(phone)
    await world.sleep(9.5)
    assert not told(world, OneWayAudio)
    await world.sleep(1)
    (stopped,) = told(world, OneWayAudio)
    assert (stopped.side, stopped.kind, stopped.trunk) == (Side.CALLER, OneWay.STOPPED, "")
    assert stopped.detail.startswith("nothing is heard from the caller any more, for 10 s: neither sound nor reports")
    assert stopped.detail.endswith("its network is gone, or a NAT or firewall between has closed the way")
    (leg,) = (await status(world.house, Life()))["sound"]
    assert (leg["who"], leg["one_way"]) == ("caller", ["stopped"])
    phone.mute = False
    world.sound.endpoint_changed(phone)
    await world.sleep(1)
    (ended,) = told(world, OneWayAudioEnded)
    assert (ended.side, ended.kind) == (Side.CALLER, OneWay.STOPPED)
    assert ended.after_ms < 5000
    assert (await status(world.house, Life()))["sound"] == []
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.quality is not None
    assert saved.quality.one_way == ("stopped",)


@story()
async def test_an_agent_who_does_not_hear_the_caller_is_told_of_by_what_the_phone_reports(world: World) -> None:
    """A firewall before the agent's phone: all that we see is in its reports."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    call = await world.connect(caller, amy)
    await world.sleep(5)
    talk = next(iter(world.house.supervisor.calls.values())).talk
    assert talk is not None
    session = talk.party.sound.session
    assert isinstance(session, SimMediaSession)
    session.one_way(OneWay.UNHEARD, 5.0)
    (unheard,) = told(world, OneWayAudio)
    assert (unheard.side, unheard.kind, unheard.agent) == (Side.AGENT, OneWay.UNHEARD, "amy")
    assert unheard.offer
    assert unheard.detail.startswith("the agent does not hear us: the phone reports that none of our packets come")
    assert "a firewall or NAT before it that lets no sound in" in unheard.detail
    session.one_way(OneWay.UNREPORTED, 30.0)
    unreported = told(world, OneWayAudio)[1]
    assert "reports no more what it hears, for 30 s, although its sound still comes" in unreported.detail
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.legs[0].quality is not None
    assert saved.legs[0].quality.one_way == ("unheard", "unreported")


@story()
async def test_each_leg_tells_at_its_end_how_it_sounded(world: World) -> None:
    """Before the call's last fact; in the record, with what the peer reports, and how soon the first sound came."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    call = await world.connect(caller, amy)
    (live,) = world.house.supervisor.calls.values()
    session = live.caller.sound.session
    assert isinstance(session, SimMediaSession)
    suffered = {"lost": 100, "bursts": 20, "jitter_ms": 12.0, "remote_lost": 30, "remote_expected": 1000, "reports": 4}
    session.suffered = {**suffered, "round_trip_ms": 80.0, "remote_jitter_ms": 3.0}
    await world.sleep(60)
    shown = next(each for each in (await status(world.house, Life()))["calls"])
    assert 2.0 < shown["mos"] < 4.0
    await caller.hangs_up()
    saved = await world.interaction(call)
    kinds = [fact.kind for fact in world.facts if fact.call_id == saved.call_id]
    assert kinds.count("LegQuality") == 2
    assert kinds[-1] == "CallEnded" or kinds.index("CallEnded") > kinds.index("LegQuality")
    quality, agents = saved.quality, saved.legs[0].quality
    assert quality is not None
    assert agents is not None
    assert (quality.codec, quality.round_trip_ms, quality.one_way) == ("PCMU", 80.0, ())
    assert 0.01 < quality.loss < 0.1
    assert quality.first_ms is not None
    assert quality.first_ms < 1000
    assert 1.0 < quality.mos < quality.remote_mos < 4.41
    assert quality.worst == quality.mos
    assert agents.mos > 4.3
    assert agents.remote_mos == 0.0, "it has reported nothing"
    assert agents.first_ms is not None


@story()
async def test_a_trunk_whose_calls_sound_bad_is_told_of_until_they_do_no_more(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier)))
    world.house.quality.alarm = Alarm(3.6, 4)

    async def a_call(lost: int) -> None:
        call, _ = await carrier.calls_in("+18005550100")
        await world.sleep(3)
        (live,) = world.house.supervisor.calls.values()
        session = live.caller.sound.session
        assert isinstance(session, SimMediaSession)
        session.suffered = {"lost": lost, "packets_received": 500}
        call.leg.hangup()
        await world.settled()

    await a_call(100)
    assert not told(world, TrunkQualityChanged)
    await a_call(100)
    (bad,) = told(world, TrunkQualityChanged)
    assert (bad.trunk, bad.good, bad.bad) == ("carrier", False, 2)
    shown = (await status(world.house, Life()))["trunks"][0]
    assert shown["sounds_bad"] == bad.detail
    for _ in range(3):
        await a_call(0)
    assert [change.good for change in told(world, TrunkQualityChanged)] == [False, True]
    assert (await status(world.house, Life()))["trunks"][0]["sounds_bad"] is None
    figures = media_metrics(world.house)["quality"]["carrier"]
    assert (figures["legs"], figures["mos"]["received"]["count"]) == (5, 5)


def straight_to_the_queue(world: World) -> None:
    """No greeting and no menu: a key would be a sign of life too."""
    services = world.house.services
    flow = Flow("main", (ToQueue("sales-english"),))
    services.settings = replace(services.settings, flows={**services.settings.flows, "main": flow})
