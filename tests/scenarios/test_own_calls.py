"""Agents call each other, a queue, and the outside, from their own phones."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from callcenter.calls.settings import DialRules
from callcenter.model.facts import MediaMissing
from callcenter.model.states import Direction, Intent, Outcome, Side, Work
from callcenter.simulation.phone import Manner, Phone, PhoneCall
from callcenter.simulation.world import World, story, tell
from tests.scenarios.carrier import nobody_outside, permit, somebody_outside


def working(world: World, agent: str) -> Work:
    """What an agent does."""
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.work


# A colleague


@story()
async def test_an_agent_dials_a_colleague_by_name_and_nobody_else_is_offered_to_either(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    call = amy.starts_dialling("bob")
    rung = await bob.rings()
    await world.settled()
    assert (rung.caller, rung.caller_name) == ("amy", "Amy")
    assert (working(world, "amy"), working(world, "bob")) == (Work.OUTBOUND, Work.RINGING)
    told = world.publisher.of_topic("callcenter/v1/agents/amy/state")[-1]
    assert (told["work"], told["call"]) == ("outbound", world.call_id(call))
    pop = await bob.screen_pop()
    assert (pop["from"], pop["from_name"], pop["queue"]) == ("amy", "Amy", "")
    await caller.dial("1000")
    await caller.press("1")
    await bob.answers()
    await amy.hears(bob)
    assert world.hear_each_other(amy, bob)
    assert (working(world, "amy"), working(world, "bob")) == (Work.OUTBOUND, Work.TALKING)
    await world.sleep(10)
    await amy.hangs_up()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    record = await world.interaction(call)
    assert (record.direction, record.dialled_by, record.agent) == (Direction.INTERNAL, "amy", "bob")
    assert record.outcome is Outcome.HANDLED
    assert 9 < record.talk < 11
    assert record.wrap_up_ms == 0


@story()
async def test_the_phone_of_who_dials_is_told_that_it_rings_and_makes_its_own_tone(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    call = amy.starts_dialling("bob")
    await bob.rings()
    await world.settled()
    assert call.leg.ringing.is_set()
    assert call.leg.early_sdp is None
    await amy.hangs_up()
    await bob.stops_ringing()
    assert (await world.interaction(call)).outcome is Outcome.NOT_REACHED
    assert working(world, "amy") is working(world, "bob") is Work.IDLE


@pytest.mark.parametrize(("extension", "status"), [("201", 480), ("bob", 480), ("202", 404)])
def test_an_extension_reaches_who_has_it_and_one_that_nobody_has_is_not_found(extension: str, status: int) -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        await world.hire("bob", {"english": 3})
        short(world, agents={"201": "bob"})
        amy.starts_dialling(extension)
        assert await amy.is_refused() == status

    tell(told)


@story()
async def test_a_colleague_who_is_not_there_is_told_at_once_and_costs_nobody_the_place(world: World) -> None:
    """480 with the reason, and the agent who dialled is what she was."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    await amy.dials_code("*21")
    await bob.dials_code("*22")
    call = amy.starts_dialling("bob")
    assert await amy.is_refused() == 480
    assert call.leg.ending is not None
    assert call.leg.ending.reason == "Not Ready"
    view = world.house.acd.agent("amy")
    assert view is not None
    await world.settled()
    assert (view.intent, view.reason, working(world, "amy")) == (Intent.NOT_READY, "lunch", Work.IDLE)
    record = await world.interaction(call)
    assert (record.outcome, record.dialled_by, record.talk) == (Outcome.NOT_REACHED, "amy", 0)


@pytest.mark.parametrize(
    ("manner", "status"), [(Manner.BUSY, 486), (Manner.DECLINES, 603), (Manner.RINGS, 480), (Manner.IGNORES, 480)]
)
def test_a_colleague_who_does_not_take_it_is_told_as_it_is(manner: Manner, status: int) -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        bob = await world.agent("bob", english=3)
        bob.manner = manner
        call = amy.starts_dialling("bob")
        assert await amy.is_refused(within=40) == status
        await world.settled()
        assert working(world, "amy") is Work.IDLE
        assert len(bob.calls) <= 1, "rung once, and not again"
        assert (await world.interaction(call)).outcome is Outcome.NOT_REACHED

    tell(told)


@story()
async def test_a_colleague_who_talks_is_waited_for_and_rings_when_he_is_through(world: World) -> None:
    amy = await world.agent("amy", english=1)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    second = await world.phone("+14155550101")
    await world.connect(caller, bob)
    await second.dial("1000")
    await second.press("1")
    await world.sleep(2)
    call = amy.starts_dialling("bob")
    await world.sleep(3)
    assert call.leg.ringing.is_set(), "182: he is not free yet"
    assert bob.call is not None
    assert bob.call.leg.answered, "and it does not ring into his talk"
    await caller.hangs_up()
    await bob.is_hung_up()
    await bob.dials_code("*30")
    await bob.rings()
    await bob.answers()
    await amy.hears(bob)
    await bob.hangs_up()
    await amy.is_hung_up()
    await bob.rings(within=10)
    await bob.answers()
    await second.hears(bob)
    await second.hangs_up()


@story()
async def test_a_colleague_who_talks_on_is_busy_after_the_longest_wait(world: World) -> None:
    amy = await world.agent("amy", english=1)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    await world.connect(caller, bob)
    amy.starts_dialling("bob")
    assert await amy.is_refused(within=35) == 486
    await caller.hangs_up()


@story()
async def test_colleagues_hand_each_other_to_nobody_and_the_log_says_why(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    amy.starts_dialling("bob")
    await bob.rings()
    await bob.answers()
    await amy.hears(bob)
    for phone in (bob, amy):
        with capture_logs() as logged:
            told = phone.transfers("2000")
            await world.sleep(1)
        assert told == [403]
        (line,) = (each for each in logged if each["event"] == "a transfer was refused")
        assert (line["agent"], line["why"].split(";")[0]) == (phone.name, "no caller is in this call")
    assert world.hear_each_other(amy, bob)
    await amy.hangs_up()


@story()
async def test_both_colleagues_hold_and_take_each_other_back(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    bob.manner = Manner.TAKES
    call = await amy.dial("bob")
    await amy.hears(bob)
    for one, other in ((amy, bob), (bob, amy)):
        await one.hold()
        await other.hears("music")
        await world.sleep(4)
        await one.resume()
        await other.hears(one)
        assert world.hear_each_other(amy, bob)
    await bob.hangs_up()
    await amy.is_hung_up()
    record = await world.interaction(call)
    assert 8 < record.hold < 10
    assert record.ending is not None
    assert record.ending.by is Side.AGENT


@story()
async def test_an_agent_asks_a_colleague_beside_a_talk_and_goes_back_to_the_caller(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=1)
    bob.manner = Manner.TAKES
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await amy.hold()
    await caller.hears("music")
    consultation = await amy.dial_beside("bob")
    assert consultation.connected
    assert consultation.sound.heard() == ("bob",)
    await world.settled()
    assert working(world, "amy") is Work.CONSULTING
    consultation.leg.hangup()
    await world.settled()
    assert working(world, "amy") is Work.HELD
    await amy.resume()
    await caller.hears(amy)
    await caller.hangs_up()


@story()
async def test_an_agent_who_dials_himself_is_busy(world: World) -> None:
    amy = await world.agent("amy", english=5)
    amy.starts_dialling("amy")
    assert await amy.is_refused() == 486


@story()
async def test_an_agent_has_three_lines_and_no_more(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await world.agent("bob", english=3)
    lines = [await other_line(world, amy, number) for number in range(4)]
    await world.settled()
    assert [line.leg.ending is None for line in lines] == [True, True, True, False]
    assert lines[3].leg.ending is not None
    assert lines[3].leg.ending.status == 486
    for line in lines:
        line.leg.hangup()


# A queue


@story()
async def test_an_agent_waits_in_a_queue_like_a_caller_and_talks_to_a_colleague(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    short(world, queues={"600": "sales-english"})
    await bob.dials_code("*22")
    call = await amy.dial("600")
    await amy.hears("music")
    assert working(world, "amy") is Work.OUTBOUND, "or she would be offered her own call"
    await bob.dials_code("*20")
    rung = await bob.rings()
    assert rung.caller_name == "Amy"
    await bob.answers()
    await amy.hears(bob)
    await amy.hangs_up()
    record = await world.interaction(call)
    assert (record.direction, record.queue, record.agent) == (Direction.INTERNAL, "sales-english", "bob")


# Outside


def test_an_agent_dials_outside_in_the_name_of_the_client_and_both_hear_each_other() -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        permit(world, amy=DialRules(outside=("+34",)))
        jordi = await somebody_outside(world, "+34911223344")
        call = amy.starts_dialling("0034911223344")
        await jordi.rings()
        await world.settled()
        assert call.leg.ringing.is_set()
        assert not call.leg.answered
        assert working(world, "amy") is Work.OUTBOUND
        await jordi.answers()
        await amy.hears(jordi)
        assert world.hear_each_other(amy, jordi)
        await jordi.hold()
        await amy.hears("music")
        await world.sleep(5)
        await jordi.resume()
        await amy.hears(jordi)
        await world.sleep(10)
        await jordi.hangs_up()
        await amy.is_hung_up()
        record = await world.interaction(call)
        assert (record.direction, record.dialled_by, record.agent) == (Direction.OUTBOUND, "amy", "amy")
        assert record.outcome is Outcome.HANDLED
        (leg,) = record.outside
        assert (leg.number, leg.trunk, leg.ended_by) == ("+34911223344", "carrier", Side.OUTSIDE)
        assert 9 < leg.talk_ms / 1000 < 12
        assert 4 < leg.hold_ms / 1000 < 6
        assert (record.visits, record.legs) == ((), ())
        assert working(world, "amy") is Work.IDLE

    tell(told)


@pytest.mark.parametrize(("manner", "status"), [(Manner.BUSY, 486), (Manner.DECLINES, 603)])
def test_who_is_not_reached_outside_is_told_as_it_is(manner: Manner, status: int) -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        permit(world, amy=DialRules(outside=("+",)))
        jordi = await somebody_outside(world, "+34911223344")
        jordi.manner = manner
        call = amy.starts_dialling("+34911223344")
        assert await amy.is_refused() == status
        assert (await world.interaction(call)).outcome is Outcome.NOT_REACHED
        await nobody_outside(world)
        call = amy.starts_dialling("+34911223355")
        assert await amy.is_refused() == 404
        assert (await world.interaction(call)).outcome is Outcome.NOT_REACHED

    tell(told)


def test_nobody_is_missed_for_being_silent_while_it_rings_for_long() -> None:
    """Two minutes of ringing: who dials need not send sound before it is answered."""

    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        permit(world, amy=DialRules(outside=("+",)))
        jordi = await somebody_outside(world, "+34911223344")
        amy.starts_dialling("+34911223344")
        await jordi.rings()
        await world.sleep(120)
        await jordi.answers()
        await amy.hears(jordi)
        await amy.hangs_up()
        assert not any(isinstance(fact.body, MediaMissing) for fact in world.facts)

    tell(told)


def test_a_prefix_chooses_the_client_in_whose_name_is_dialled() -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        carrier = await nobody_outside(world)
        permit(world, amy=DialRules(outside=("+34",)))
        services = world.house.services
        services.settings = replace(services.settings, dial_prefixes={"81": "tech", "82": "other"})
        amy.starts_dialling("810034911223344")
        assert await amy.is_refused() == 404, "nobody there"
        amy.starts_dialling("82+34911223344")
        assert await amy.is_refused() == 403, "she does not serve the other"
        (invite,) = carrier.seen.invites
        assert (invite.from_.display, invite.uri.user) == ("The Tech Giant", "+34911223344")

    tell(told)


# Whoever leaves, whenever


def caller_leaves(world: World, amy: Phone, other: Phone) -> None:
    amy.drops()


def other_leaves(world: World, amy: Phone, other: Phone) -> None:
    other.drops()


def caller_unplugged(world: World, amy: Phone, other: Phone) -> None:
    world.unplug(amy)


def other_unplugged(world: World, amy: Phone, other: Phone) -> None:
    world.unplug(other)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("leaves", [caller_leaves, other_leaves, caller_unplugged, other_unplugged])
def test_a_hang_up_at_any_moment_leaves_nothing(leaves: Callable[[World, Phone, Phone], None], outside: bool) -> None:
    """At every 50 ms of an own call that is rung, answered, held, resumed and over by itself."""

    async def gone_at(moment: float, world: World) -> None:
        amy = await world.agent("amy", english=5)
        permit(world, amy=DialRules(outside=("+",)))
        other = await somebody_outside(world, "+34911223344") if outside else await world.agent("bob", english=1)
        world.loop.call_later(moment, leaves, world, amy, other)
        amy.starts_dialling("+34911223344" if outside else "bob")
        await world.sleep(0.4)
        if other.call is not None and not other.call.over and not other.host.gone:
            other.picks_up()
        await world.sleep(0.3)
        if other.call is not None and other.call.leg.answered and not other.call.over and not other.host.gone:
            outcome = await other.call.leg.reinvite(other.call.sound.hold())
            if outcome.sdp is not None:
                other.call.sound.take_answer(outcome.sdp)
        await world.sleep(0.3)
        amy.drops()
        await world.sleep(130)
        other.drops()
        assert working(world, "amy") is Work.IDLE

    for step in range(24):
        try:
            tell(functools.partial(gone_at, step * 0.05))
        except BaseException as error:
            raise AssertionError(f"{leaves.__name__} at {step * 50} ms") from error


async def other_line(world: World, amy: Phone, number: int) -> PhoneCall:
    """One more call of Amy's to Bob, whose outcome nobody waits for: a phone with many lines."""
    calling = asyncio.ensure_future(amy.dial_beside("bob"))
    await world.settled()
    line, amy.beside = amy.beside, None
    return line if line is not None else await calling


def short(world: World, *, agents: Mapping[str, str] | None = None, queues: Mapping[str, str] | None = None) -> None:
    """Give agents and queues extensions."""
    services = world.house.services
    services.settings = replace(services.settings, agent_extensions=agents or {}, queue_extensions=queues or {})
