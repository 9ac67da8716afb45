"""Calls that leave the house: whom the carrier sees, which trunk takes them, and what happens when one does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from callcenter.calls.settings import DialRules
from callcenter.media.plane import Clip, MediaSession
from callcenter.model.facts import TrunkTried
from callcenter.runtime.scopes import Background
from callcenter.signaling.outcome import Busy, Declined, NoAnswer, Rejected, Unreachable
from callcenter.signaling.trunks.settings import Peer
from callcenter.simulation.floor import calling_out
from callcenter.simulation.media import SimMediaSession, VoiceSound
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import Voice, World, story
from callcenter.sip.endpoint import FromTrunk, Refusal
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request
from callcenter.sip.sdp import SessionDescription
from tests.scenarios.carrier import permit
from tests.scenarios.trunks import IN_E164, account, dial, states, tried, trunk


async def two(world: World) -> tuple[SimTrunk, SimTrunk]:
    """Two carriers, the one that is tried first in front."""
    first, second = await world.carrier("first"), await world.carrier("second")
    world.trunks(trunk(first), trunk(second))
    return first, second


# Whom the carrier sees


@story()
async def test_a_number_as_somebody_wrote_it_reaches_the_carrier_in_e164_with_the_companys_own_number(
    world: World,
) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    dialled = await dial(world, "(415) 555-0188")
    assert (dialled.reached.trunk, dialled.reached.number) == ("carrier", IN_E164)
    assert len(dialled.rang) == 1
    (invite,) = carrier.seen.invites
    assert str(invite.uri) == f"sip:{IN_E164}@{carrier.address};user=phone"
    assert invite.from_.uri.user == "+18005550100"
    assert invite.from_.display == "The Tech Giant"
    assert invite.headers.get("P-Preferred-Identity") == '"The Tech Giant" <sip:+18005550100@10.0.0.1>'
    assert invite.headers.get("Privacy") is None
    dialled.reached.party.close()
    await world.settled()
    assert world.house.trunks.get("carrier").calls == 0  # type: ignore[union-attr]
    assert tried(world) == [("carrier", 200)]


@story()
async def test_a_trusted_carrier_is_told_who_calls_although_whom_we_call_is_not(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, trusted=True, from_domain="awesome.example"))
    dialled = await dial(world, hidden=True)
    (invite,) = carrier.seen.invites
    assert str(invite.from_.without_params()) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert invite.headers.get("P-Asserted-Identity") == '"The Tech Giant" <sip:+18005550100@awesome.example>'
    assert invite.headers.get("Privacy") == "id"
    dialled.reached.party.close()


@story()
async def test_a_company_may_hide_its_number_always(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    services = world.house.services
    company = calling_out(services.settings.clients["tech"], ["carrier"])
    assert company.outbound is not None
    company = replace(company, outbound=replace(company.outbound, hidden=True))
    services.settings = replace(services.settings, clients={"tech": company})
    dialled = await dial(world)
    assert carrier.seen.invites[0].from_.uri.user == "anonymous"
    dialled.reached.party.close()


@story()
async def test_a_carrier_that_wants_numbers_without_plus_gets_them_so(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, plus=False))
    dialled = await dial(world)
    (invite,) = carrier.seen.invites
    assert (invite.uri.user, invite.from_.uri.user) == ("14155550188", "18005550100")
    dialled.reached.party.close()


@story()
async def test_a_carriers_codecs_are_the_only_ones_it_is_offered(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, codecs=("PCMA",)))
    dialled = await dial(world)
    (audio,) = SessionDescription.parse(carrier.seen.invites[0].body).media
    assert audio.formats == ("8", "101")
    dialled.reached.party.close()


@story()
async def test_a_call_goes_by_the_outbound_proxy_and_names_the_carrier_behind_it(world: World) -> None:
    proxy = await world.carrier("proxy")
    world.trunks(trunk(proxy, peers=(Peer("carrier.example"),), outbound_proxy=Peer(proxy.address)))
    dialled = await dial(world)
    (invite,) = proxy.seen.invites
    assert str(invite.uri) == f"sip:{IN_E164}@carrier.example;user=phone"
    assert invite.headers.all("Route") == [f"<sip:{proxy.address};lr>"]
    dialled.reached.party.close()


@story(transport=Transport.TCP)
async def test_a_call_may_go_by_tcp(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, peers=(Peer(carrier.address, 5060, Transport.TCP),)))
    dialled = await dial(world)
    (invite,) = carrier.seen.invites
    assert invite.via.transport == "TCP"
    assert str(invite.uri) == f"sip:{IN_E164}@{carrier.address}:5060;transport=tcp;user=phone"
    dialled.reached.party.close()
    await world.settled()


@pytest.mark.parametrize("written", ["911", "amy", "", "+0123456789", "123456789012345678"])
def test_what_is_no_number_goes_to_no_carrier(written: str) -> None:
    @story()
    async def told(world: World) -> None:
        carrier = await world.carrier("carrier")
        world.trunks(trunk(carrier))
        dialled = await dial(world, written)
        assert dialled.failed.outcome == Rejected(484, "Address Incomplete")
        assert carrier.seen.invites == []

    told()


@story()
async def test_a_company_without_trunks_calls_nobody(world: World) -> None:
    dialled = await dial(world)
    assert dialled.failed.outcome == Rejected(404, "Not Found")
    assert dialled.failed.tried == ()


# Challenges


@pytest.mark.parametrize("status", [401, 407])
def test_a_carrier_that_asks_who_calls_is_told_and_takes_the_call(status: int) -> None:
    @story()
    async def told(world: World) -> None:
        carrier = await world.carrier("carrier", ("acme", "open sesame"))
        carrier.manners = Manners(challenge=status)
        login, secrets = account("acme", "open sesame")
        world.trunks(trunk(carrier, login=login), secrets={"carrier": secrets})
        dialled = await dial(world)
        assert dialled.reached.trunk == "carrier"
        (invite,) = carrier.seen.invites
        assert invite.cseq.number == 2
        assert tried(world) == [("carrier", 200)]
        dialled.reached.party.close()

    told()


@story()
async def test_a_carrier_that_does_not_take_our_password_is_passed_over_and_not_asked_again_and_again(
    world: World,
) -> None:
    first, second = await world.carrier("first", ("acme", "open sesame")), await world.carrier("second")
    first.manners = Manners(challenge=407)
    login, secrets = account("acme", "wrong")
    world.trunks(trunk(first, login=login), trunk(second), secrets={"first": secrets})
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    assert tried(world) == [("first", 407), ("second", 200)]
    assert first.seen.invites == []
    dialled.reached.party.close()


@story()
async def test_a_challenge_where_we_have_no_login_is_passed_over(world: World) -> None:
    first, _ = await two(world)
    first.manners = Manners(challenge=401)
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    dialled.reached.party.close()


@story()
async def test_a_carrier_that_wants_a_longer_session_and_then_our_password_hears_each_try_counted(
    world: World,
) -> None:
    """Found in review: the answer to the challenge went out under the number of the try before (RFC 3261 22.2)."""
    carrier = await world.carrier("carrier", ("acme", "open sesame"))
    carrier.manners = Manners(challenge=407)
    login, secrets = account("acme", "open sesame")
    world.trunks(trunk(carrier, login=login), secrets={"carrier": secrets})
    numbers: list[int] = []
    screen = carrier.endpoint.screen
    assert screen is not None

    def longer(request: Request, flow: Flow) -> str | FromTrunk | Refusal:
        numbers.append(request.cseq.number)
        return Refusal(422, (("Min-SE", "3600"),)) if len(numbers) == 1 else screen(request, flow)

    carrier.endpoint.screen = longer
    dialled = await dial(world)
    assert numbers == [1, 2, 3]
    dialled.reached.party.close()


# Fail-over, and its end


@pytest.mark.parametrize("status", [500, 502, 503, 504, 580, 408])
def test_a_carrier_that_cannot_now_is_followed_by_the_next(status: int) -> None:
    @story()
    async def told(world: World) -> None:
        first, _ = await two(world)
        first.manners = Manners(status=status)
        dialled = await dial(world)
        assert dialled.reached.trunk == "second"
        assert tried(world) == [("first", status), ("second", 200)]
        dialled.reached.party.close()

    told()


@pytest.mark.parametrize("status", [486, 603, 404, 403, 410, 480, 488, 484, 600, 604, 302])
def test_a_definite_answer_is_the_last_word(status: int) -> None:
    @story()
    async def told(world: World) -> None:
        first, second = await two(world)
        first.manners = Manners(status=status)
        dialled = await dial(world)
        assert tried(world) == [("first", status)]
        assert second.seen.invites == []
        assert dialled.failed.tried == ("first",)
        match status:
            case 486 | 600:
                assert isinstance(dialled.failed.outcome, Busy)
            case 603:
                assert isinstance(dialled.failed.outcome, Declined)
            case 480:
                assert isinstance(dialled.failed.outcome, NoAnswer)
            case 403:
                assert "or does not take our user or password" in dialled.failed.detail
            case _:
                assert isinstance(dialled.failed.outcome, Rejected | Unreachable)

    told()


@story()
async def test_a_carrier_that_is_silent_costs_four_seconds_and_the_next_call_nothing(world: World) -> None:
    first, second = await two(world)
    first.host.vanish()
    began = world.clock.monotonic()
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    assert 4.0 <= world.clock.monotonic() - began < 5.5
    assert tried(world) == [("first", 0), ("second", 200)]
    dialled.reached.party.close()
    first.host.come_back()
    await world.sleep(40)
    dialled = await dial(world)
    assert dialled.reached.trunk == "first"
    dialled.reached.party.close()
    assert second.calls[0].over


@story()
async def test_of_a_carrier_with_two_servers_the_second_takes_the_call_and_the_silent_one_is_tried_last(
    world: World,
) -> None:
    dead, alive = await world.carrier("dead"), await world.carrier("alive")
    world.trunks(trunk(alive, id="carrier", peers=(Peer(dead.address), Peer(alive.address))))
    dead.host.vanish()
    for _ in range(2):
        dialled = await dial(world)
        assert dialled.reached.trunk == "carrier"
        dialled.reached.party.close()
    assert tried(world) == [("carrier", 0), ("carrier", 200), ("carrier", 200)]


@story()
async def test_a_carrier_without_a_port_that_listens_is_followed_by_the_next(world: World) -> None:
    first, second = await world.carrier("first"), await world.carrier("second")
    world.trunks(trunk(first, peers=(Peer(first.address, 5999, Transport.TCP),)), trunk(second))
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    assert tried(world) == [("first", 0), ("second", 200)]
    dialled.reached.party.close()


@story()
async def test_a_carrier_that_we_have_no_way_to_is_followed_by_the_next(world: World) -> None:
    _, second = await two(world)
    world.trunks(
        trunk(second, id="nowhere", peers=(Peer("nowhere.example"),)),
        trunk(second),
    )
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    facts = [fact.body for fact in world.facts if isinstance(fact.body, TrunkTried)]
    assert facts[0].result == "the DNS knows no address of nowhere.example"
    dialled.reached.party.close()


@story()
async def test_a_carrier_that_wants_to_be_left_alone_is_left_alone_for_so_long(world: World) -> None:
    first, _ = await two(world)
    first.manners = Manners(status=503, headers=(("Retry-After", "120 (maintenance)"),))
    for _ in range(2):
        dialled = await dial(world)
        assert dialled.reached.trunk == "second"
        dialled.reached.party.close()
    assert len(first.seen.invites) == 1
    first.manners = Manners()
    await world.sleep(121)
    dialled = await dial(world)
    assert dialled.reached.trunk == "first"
    dialled.reached.party.close()


@story()
async def test_a_full_trunk_is_followed_by_the_next_until_somebody_hangs_up(world: World) -> None:
    first, second = await world.carrier("first"), await world.carrier("second")
    world.trunks(trunk(first, max_calls=1), trunk(second))
    one, two_ = await dial(world), await dial(world)
    assert (one.reached.trunk, two_.reached.trunk) == ("first", "second")
    one.reached.party.close()
    await world.settled()
    three = await dial(world)
    assert three.reached.trunk == "first"
    for each in (two_, three):
        each.reached.party.close()


@story()
async def test_when_every_trunk_is_full_the_call_is_not_made(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, max_calls=1))
    one = await dial(world)
    failed = (await dial(world)).failed
    assert failed.outcome == Unreachable(503, "Service Unavailable")
    assert failed.detail == "carrier: it is full with 1 calls"
    one.reached.party.close()


@story()
async def test_a_trunk_that_does_not_answer_to_options_is_not_even_tried(world: World) -> None:
    first, second = await world.carrier("first"), await world.carrier("second")
    first.host.vanish()
    world.trunks(trunk(first, qualify=30.0), trunk(second, qualify=30.0))
    await world.sleep(20)
    assert states(world) == [("second", True), ("first", False)]
    began = world.clock.monotonic()
    dialled = await dial(world)
    assert dialled.reached.trunk == "second"
    assert world.clock.monotonic() - began < 1.5
    dialled.reached.party.close()


@story()
async def test_whom_it_rings_at_and_who_then_fails_is_called_by_the_next_but_told_of_once(world: World) -> None:
    first, _ = await two(world)
    first.manners = Manners(rings=None)
    beside = Background(limit=1)
    dialled: list[object] = []

    async def call() -> None:
        dialled.append(await dial(world))

    beside.start(call(), name="calls out")
    await world.sleep(2)
    first.calls[0].leg.reject(503)
    await world.sleep(2)
    (result,) = dialled
    assert result.reached.trunk == "second"  # type: ignore[attr-defined]
    assert len(result.rang) == 1  # type: ignore[attr-defined]
    result.reached.party.close()  # type: ignore[attr-defined]


@story()
async def test_a_408_after_it_rang_says_that_nobody_came_to_the_phone(world: World) -> None:
    first, second = await two(world)
    first.manners = Manners(rings=None)
    beside = Background(limit=1)
    dialled: list[object] = []

    async def call() -> None:
        dialled.append(await dial(world))

    beside.start(call(), name="calls out")
    await world.sleep(2)
    first.calls[0].leg.reject(408)
    await world.sleep(2)
    assert dialled[0].failed.outcome == NoAnswer(408)  # type: ignore[attr-defined]
    assert second.seen.invites == []


@story()
async def test_who_lets_it_ring_for_three_minutes_is_called_no_more(world: World) -> None:
    first, second = await two(world)
    first.manners = Manners(rings=None)
    began = world.clock.monotonic()
    dialled = await dial(world)
    assert dialled.failed.outcome == NoAnswer(408)
    assert 179 < world.clock.monotonic() - began < 185
    assert second.seen.invites == []
    await world.settled()
    assert first.calls[0].over


# Sound


@story()
async def test_both_hear_each_other_and_the_announcement_before_the_answer(world: World) -> None:
    """An announcement of the carrier is early media: who calls out must hear it, whoever ends up answering."""
    carrier, caller = await world.carrier("carrier"), await world.phone("+14155550100")
    carrier.manners = Manners(early=True, rings=3.0)
    world.trunks(trunk(carrier))
    await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    (call,) = world.house.supervisor.calls.values()
    beside = Background(limit=1)
    dialled: list[object] = []

    async def talk() -> None:
        # A transfer to the outside, in its barest form.
        found = await dial(world, beside=call.caller.sound)
        dialled.append(found)
        await call.caller.sound.session.bridge(found.reached.party.sound.session)

    beside.start(talk(), name="calls out")
    await world.sleep(1)
    assert carrier.name in caller.heard_now()
    assert not dialled
    await world.sleep(3)
    assert carrier.name in caller.heard_now()
    assert carrier.calls[0].sound.heard() == (caller.name,)
    await caller.hangs_up()
    dialled[0].reached.party.close()  # type: ignore[attr-defined]


# An agent


@story()
async def test_an_agent_hears_that_it_rings_by_the_second_trunk_when_the_first_was_heard_and_has_failed(
    world: World,
) -> None:
    """The phone was told to listen to the first one's announcement, and makes no tone of its own any more."""
    first, second = await two(world)
    rings_by_tone(world)
    first.manners, second.manners = Manners(early=True, rings=None), Manners(rings=3.0)
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    amy.starts_dialling(IN_E164)
    await world.sleep(1)
    (ours,) = (call.caller.sound.session for call in world.house.supervisor.calls.values())
    assert heard_from(ours) == VoiceSound(voice_of(first))
    first.calls[0].leg.reject(503)
    await world.sleep(1)
    assert str(heard_from(ours)) == "ringback"
    await amy.hears(second.name)
    await amy.hangs_up()


@story()
async def test_an_agent_whose_phone_rings_by_itself_hears_no_tone_of_ours(world: World) -> None:
    first, second = await two(world)
    rings_by_tone(world)
    first.manners, second.manners = Manners(status=503), Manners(rings=3.0)
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    call = amy.starts_dialling(IN_E164)
    await world.sleep(2)
    assert call.leg.early_sdp is None
    (ours,) = (call.caller.sound.session for call in world.house.supervisor.calls.values())
    assert heard_from(ours) is None
    await amy.hears(second.name)
    await amy.hangs_up()


def rings_by_tone(world: World) -> None:
    """There is a tone of a phone that rings among the sounds."""
    settings = world.house.services.settings
    prompts = replace(settings.prompts, ringback=(Clip("ringback", 6.0),))
    world.house.services.settings = replace(settings, prompts=prompts)


def heard_from(session: MediaSession) -> object:
    """What is sent to a phone, whether it has been answered or not."""
    assert isinstance(session, SimMediaSession)
    return session.sound


def voice_of(carrier: SimTrunk) -> tuple[str, int]:
    """Where the carrier's voice comes from."""
    sound = carrier.calls[0].sound
    assert isinstance(sound, Voice)
    return sound.media.address


@story()
async def test_an_agent_dials_outside_by_the_trunk_that_takes_it_and_hears_the_carrier_before_the_answer(
    world: World,
) -> None:
    first, second = await two(world)
    first.manners = Manners(status=503)
    second.manners = Manners(early=True, rings=3.0)
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    call = amy.starts_dialling(IN_E164)
    await world.sleep(2)
    assert call.leg.early_sdp is not None
    assert not call.leg.answered
    await amy.hears(second.name)
    assert second.calls[0].sound.heard() == ("amy",)
    await world.sleep(10)
    await amy.hangs_up()
    record = await world.interaction(call)
    assert [(leg.number, leg.trunk) for leg in record.outside] == [(IN_E164, "second")]
    assert tried(world) == [("first", 503), ("second", 200)]
    assert second.calls[0].over


@pytest.mark.parametrize("written", ["4155550188", "14155550188", "0014155550188", "+14155550188"])
def test_an_agent_writes_numbers_as_they_are_written_where_the_company_dials(written: str) -> None:
    @story()
    async def told(world: World) -> None:
        carrier, stranger = await world.carrier("carrier"), await world.phone("+14155550100")
        world.trunks(trunk(carrier))
        amy = await world.agent("amy", english=5)
        permit(world, amy=DialRules(outside=("+1415",), never=("+1415555019",)))
        await amy.dial(written)
        assert carrier.seen.invites[0].uri.user == IN_E164
        await amy.hangs_up()
        stranger.starts_dialling(written)
        assert await stranger.is_refused(401), "whoever is no agent must prove to be one, however the number is written"
        amy.starts_dialling("4155550199")
        assert await amy.is_refused(403, 404), "what must not be dialled must not be dialled in any form"
        assert len(carrier.seen.invites) == 1

    told()


@story()
async def test_an_agent_is_told_what_the_carrier_says(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    for status in (486, 603, 404):
        carrier.manners = Manners(status=status)
        amy.starts_dialling(IN_E164)
        assert await amy.is_refused(status)


@story()
async def test_an_agent_who_hangs_up_while_it_rings_outside_takes_the_call_back(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(rings=None)
    world.trunks(trunk(carrier))
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    amy.starts_dialling(IN_E164)
    await world.sleep(2)
    await amy.hangs_up()
    await world.settled()
    assert carrier.calls[0].over


# Taken back


@pytest.mark.parametrize("hundredths", [0, 1, 2, 5, 10, 20, 40, 50, 51, 52, 53, 55, 60, 70])
def test_who_gives_up_at_any_moment_leaves_nothing_behind(hundredths: int) -> None:
    @story()
    async def told(world: World) -> None:
        carrier = await world.carrier("carrier", ("acme", "open sesame"))
        carrier.manners = Manners(challenge=407)
        login, secrets = account("acme", "open sesame")
        world.trunks(trunk(carrier, login=login), secrets={"carrier": secrets})
        dialling = asyncio.ensure_future(dial(world))
        await world.sleep(hundredths / 100)
        if dialling.done():
            dialling.result().reached.party.close()
        else:
            dialling.cancel()
        await world.settled()
        found = world.house.trunks.get("carrier")
        assert found is not None
        assert found.calls == 0
        assert all(call.over for call in carrier.calls)

    told()


@story()
async def test_an_answer_that_crosses_our_giving_up_is_hung_up(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(rings=None)
    world.trunks(trunk(carrier))
    dialling = asyncio.ensure_future(dial(world))
    await world.sleep(1)
    dialling.cancel()
    call = carrier.calls[0]
    assert call.leg.offer is not None
    call.leg.answer(call.sound.offer())
    await world.settled()
    assert call.over


@story()
async def test_an_answer_that_says_nothing_of_its_sound_is_of_no_use_and_hung_up(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(rings=None)
    world.trunks(trunk(carrier))
    dialling = asyncio.ensure_future(dial(world))
    await world.sleep(1)
    carrier.calls[0].leg.answer(b"")
    await world.settled()
    assert dialling.result().failed.outcome == Rejected(488, "Not Acceptable Here")
    assert carrier.calls[0].over


# Names


@story()
async def test_a_domain_leads_to_its_servers_in_their_order(world: World) -> None:
    from callcenter.signaling.trunks.records import Srv

    dead, alive = await world.carrier("dead"), await world.carrier("alive")
    world.resolver.srvs["_sip._udp.carrier.example"] = (
        Srv(20, 0, 5060, "b.carrier.example."),
        Srv(10, 0, 5060, "a.carrier.example."),
    )
    world.resolver.hosts |= {"a.carrier.example": (dead.address,), "b.carrier.example": (alive.address,)}
    dead.host.vanish()
    world.trunks(trunk(alive, id="carrier", peers=(Peer("carrier.example"),)))
    dialled = await dial(world)
    assert str(alive.seen.invites[0].uri) == f"sip:{IN_E164}@carrier.example;user=phone"
    facts = [fact.body for fact in world.facts if isinstance(fact.body, TrunkTried)]
    assert [fact.peer for fact in facts] == [
        f"udp {Address(dead.address, 5060)}",
        f"udp {Address(alive.address, 5060)}",
    ]
    dialled.reached.party.close()
    asked = len(world.resolver.asked)
    await world.settled()
    again = await dial(world)
    assert len(world.resolver.asked) == asked, "what is known is not asked for each call"
    again.reached.party.close()


@story()
async def test_a_call_that_goes_round_through_us_and_a_carrier_ends(world: World) -> None:
    """What goes out carries one hop less than what came (RFC 3261 16.6): no loop is fed for ever."""
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    permit(world, amy=DialRules(outside=("+1415",), agents=True))
    for came, goes in ((7, 6), (2, 1), (255, 70)):
        amy.max_forwards = came
        amy.starts_dialling("bob")
        assert (await bob.rings()).leg.request.max_forwards == goes  # type: ignore[union-attr]
        await amy.hangs_up()
        await world.sleep(1)
    amy.max_forwards = 1
    amy.starts_dialling("bob")
    assert await amy.is_refused(483), "not by bob's phone, which would be taken for broken"
    amy.max_forwards = 7
    await amy.dial(IN_E164)
    assert carrier.seen.invites[-1].max_forwards == 6
    await amy.hangs_up()
