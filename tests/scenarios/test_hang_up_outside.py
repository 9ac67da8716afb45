"""Anybody gone at every moment of calls that leave the house: no leg, sound, place on a trunk or agent is left over."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import pytest

from callcenter.calls.settings import DialRules
from callcenter.model.facts import CallEnded, Fact
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import World, tell
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.trunks import IN_E164, trunk

# Long enough for the sound of whoever was unplugged to be missed, and for a second offer to be given up.
MISSED_BY = 130.0

People = dict[str, Phone | SimTrunk]
Leaves = Callable[[World, "Phone | SimTrunk"], None]
Story = Callable[[World, Callable[[People], object]], Awaitable[None]]


def hangs_up(world: World, who: Phone | SimTrunk) -> None:
    """As whoever is called does, or who calls."""
    if isinstance(who, Phone):
        who.drops()
        return
    for call in who.calls:
        call.leg.hangup() if call.connected else call.leg.reject(480)


def fails(world: World, who: Phone | SimTrunk) -> None:
    """As a carrier does that cannot go on; what it answers from now on is 503 too."""
    assert isinstance(who, SimTrunk)
    who.manners = Manners(status=503)
    for call in who.calls:
        call.leg.hangup() if call.connected else call.leg.reject(503)


def unplugged(world: World, who: Phone | SimTrunk) -> None:
    """Gone without a word."""
    if isinstance(who, Phone):
        world.unplug(who)
        return
    who.host.vanish()
    for call in who.calls:
        call.sound.media.vanish()  # type: ignore[attr-defined]


def over(world: World, calls: int) -> None:
    """What must be true afterwards, beside what every story leaves: a call ends once, and its agents are free."""
    assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) <= calls
    assert not world.house.books.open_calls
    assert not any(view.own_calls for view in map(world.house.acd.agent, world.plan.agents) if view is not None)


def at_every(step_ms: int, length_ms: int, story: Story, who: str, leaves: Leaves, calls: int) -> None:
    """Tell the story again and again, with somebody gone so many milliseconds after it says that it begins."""
    for moment_ms in range(0, length_ms, step_ms):

        async def gone(world: World, moment: float = moment_ms / 1000) -> None:
            await story(world, lambda people: world.loop.call_later(moment, leaves, world, people[who]))

        try:
            over(tell(gone), calls)
        except BaseException as error:
            raise AssertionError(f"{who} {leaves.__name__} at {moment_ms} ms") from error


def at_every_fact(story: Story, who: str, leaves: Leaves, calls: int) -> None:
    """The same, with somebody gone as each fact is told that follows: in the middle of what the switch is doing."""
    number, told = 0, 1
    while number < told:
        seen = 0

        async def gone(world: World, wanted: int = number) -> None:
            def begins(people: People) -> None:
                def watch(fact: Fact) -> None:
                    nonlocal seen
                    if fact.call_id is not None:
                        if seen == wanted:
                            world.loop.call_soon(leaves, world, people[who])
                        seen += 1

                world.house.stream.subscribe(watch)

            await story(world, begins)

        try:
            over(tell(gone), calls)
        except BaseException as error:
            raise AssertionError(f"{who} {leaves.__name__} at fact {number}") from error
        told, number = max(told, seen), number + 1
    assert told > 4, "nothing happened"


async def an_agent_dials(world: World, begins: Callable[[People], object]) -> None:
    """Early media from 50 ms on, an answer after half a second, and a short talk."""
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(early=True, rings=0.5)
    world.trunks(trunk(carrier))
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    begins({"amy": amy, "carrier": carrier})
    amy.starts_dialling(IN_E164)
    await world.sleep(1.0)
    amy.drops()
    await world.sleep(MISSED_BY)
    hangs_up(world, carrier)


async def an_agent_dials_and_the_first_carrier_fails(world: World, begins: Callable[[People], object]) -> None:
    """It lets early media be heard and then fails; the second takes the call."""
    first, second = await world.carrier("first"), await world.carrier("second")
    first.manners = Manners(early=True, rings=None)
    second.manners = Manners(early=True, rings=0.2)
    world.trunks(trunk(first), trunk(second))
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    begins({"amy": amy, "first": first, "second": second})
    amy.starts_dialling(IN_E164)
    await world.sleep(0.3)
    if not first.host.gone:
        fails(world, first)
    await world.sleep(0.7)
    amy.drops()
    await world.sleep(MISSED_BY)
    hangs_up(world, first)
    hangs_up(world, second)


async def a_caller_is_sent_outside(world: World, begins: Callable[[People], object]) -> None:
    """A blind transfer, by two carriers, of which the first fails."""
    first, second = await world.carrier("first"), await world.carrier("second")
    first.manners = Manners(early=True, rings=None)
    second.manners = Manners(rings=0.2)
    world.trunks(trunk(first), trunk(second))
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    begins({"amy": amy, "caller": caller, "first": first, "second": second})
    amy.transfers(f"tel:{IN_E164}")
    await world.sleep(0.3)
    if not first.host.gone:
        fails(world, first)
    await world.sleep(0.7)
    caller.drops()
    await world.sleep(MISSED_BY)
    amy.drops()
    for carrier in (first, second):
        hangs_up(world, carrier)


async def attended(by_the_second_line: bool, world: World, begins: Callable[[People], object]) -> None:
    """Amy asks somebody outside, and leaves both to each other."""
    expert = await somebody_outside(world, IN_E164)
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+1415",)))
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    world.loop.call_later(0.3, expert.picks_up)
    await amy.dial_beside(IN_E164)
    await world.sleep(0.3)
    begins({"amy": amy, "caller": caller, "expert": expert})
    amy.joins_both(by_the_second_line=by_the_second_line)
    await world.sleep(0.8)
    caller.drops()
    await world.sleep(MISSED_BY)
    for phone in (amy, expert):
        phone.drops()
        if phone.beside is not None:
            phone.beside.leg.hangup()
    await world.sleep(1)


async def two_phones(world: World, begins: Callable[[People], object]) -> None:
    """Both phones of an agent ring, one is picked up, and both at once where the network is slow."""
    amy = await world.agent("amy", english=5)
    soft = await world.phone("amy-soft")
    await soft.register("amy", "secret of amy")
    await world.settled()
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    begins({"caller": caller, "desk": amy, "soft": soft})
    if not caller.is_free:
        await caller.press("1")
    await world.sleep(0.3)
    for phone in (soft, amy):
        if phone.call is not None and not phone.call.over and not phone.host.gone:
            phone.picks_up()
    await world.sleep(0.3)
    caller.drops()
    await world.sleep(MISSED_BY)
    for phone in (soft, amy):
        phone.drops()


@pytest.mark.long
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
@pytest.mark.parametrize("who", ["amy", "carrier"])
def test_an_agent_dials_outside(who: str, leaves: Leaves) -> None:
    at_every(60, 1000, an_agent_dials, who, leaves, 1)
    at_every_fact(an_agent_dials, who, leaves, 1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("who", "leaves"),
    [("amy", hangs_up), ("amy", unplugged), ("first", unplugged), ("first", fails), ("second", hangs_up),
     ("second", fails), ("second", unplugged)],
)  # fmt: skip
def test_an_agent_dials_outside_while_a_carrier_fails(who: str, leaves: Leaves) -> None:
    at_every(80, 800, an_agent_dials_and_the_first_carrier_fails, who, leaves, 1)
    at_every_fact(an_agent_dials_and_the_first_carrier_fails, who, leaves, 1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("who", "leaves"),
    [("amy", hangs_up), ("amy", unplugged), ("caller", hangs_up), ("caller", unplugged), ("first", unplugged),
     ("second", hangs_up), ("second", fails), ("second", unplugged)],
)  # fmt: skip
def test_a_caller_is_put_through_outside_while_a_carrier_fails(who: str, leaves: Leaves) -> None:
    at_every(80, 800, a_caller_is_sent_outside, who, leaves, 1)
    at_every_fact(a_caller_is_sent_outside, who, leaves, 1)


@pytest.mark.long
@pytest.mark.parametrize("by_the_second_line", [False, True])
@pytest.mark.parametrize("who", ["amy", "caller", "expert"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_a_caller_is_put_through_to_somebody_outside_who_was_asked(
    leaves: Leaves, who: str, by_the_second_line: bool
) -> None:
    at_every(25, 200, functools.partial(attended, by_the_second_line), who, leaves, 2)
    at_every_fact(functools.partial(attended, by_the_second_line), who, leaves, 2)


@pytest.mark.long
@pytest.mark.parametrize("who", ["caller", "desk", "soft"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_both_phones_of_an_agent_ring(leaves: Leaves, who: str) -> None:
    at_every(50, 700, two_phones, who, leaves, 1)
    at_every_fact(two_phones, who, leaves, 1)
