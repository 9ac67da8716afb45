"""Either side gone at every event and at every 40 ms of set-up and bridging: nothing is ever left over."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from callcenter.model.facts import CallEnded, Fact
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell

# The good call, quick: pressed ahead, picked up after 300 ms, held and resumed, over by itself after some 2 s.
LENGTH_MS = 2200
STEP_MS = 40

Leaves = Callable[[World, Phone, Phone], None]


def caller_hangs_up(world: World, caller: Phone, agent: Phone) -> None:
    caller.drops()


def agent_hangs_up(world: World, caller: Phone, agent: Phone) -> None:
    agent.drops()


def agent_unplugged(world: World, caller: Phone, agent: Phone) -> None:
    world.unplug(agent)


def caller_unplugged(world: World, caller: Phone, agent: Phone) -> None:
    world.unplug(caller)


async def quick_call(world: World, arm: Callable[[Phone, Phone], None], *, unusual: bool = False) -> None:
    """A whole call in which nobody minds what the other does.

    An ``unusual`` one: the caller makes no offer, and the agent's phone describes its sound while it rings.
    """
    amy = await world.agent("amy", english=5)
    amy.early_media = unusual
    caller = await world.phone("+14155550100")
    arm(caller, amy)
    call = caller.starts_dialling("1000", offers=not unusual)
    await world.sleep(0.2)
    if not call.leg.ended.done():
        await caller.press("1")
    await world.sleep(0.5)
    if amy.call is not None and not amy.call.over and not amy.host.gone:
        amy.picks_up()
    await world.sleep(0.4)
    for change in ("hold", "resume"):
        if amy.call is not None and amy.call.leg.answered and not amy.call.over and not amy.host.gone:
            sdp = amy.call.sound.hold() if change == "hold" else amy.call.sound.resume()
            outcome = await amy.call.leg.reinvite(sdp)
            if outcome.sdp is not None:
                amy.call.sound.take_answer(outcome.sdp)
        await world.sleep(0.3)
    await world.sleep(0.2)
    caller.drops()
    # Long enough for the sound of an unplugged phone to be missed, and for a second offer to be given up.
    await world.sleep(130)
    amy.drops()


def check(world: World) -> None:
    """One end, one record, and the agent can work again (or is known to have no phone)."""
    assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) <= 1
    assert not world.house.books.open_calls


@pytest.mark.long
@pytest.mark.parametrize("leaves", [caller_hangs_up, agent_hangs_up, agent_unplugged, caller_unplugged])
def test_in_steps_of_40_ms(leaves: Leaves) -> None:
    for moment_ms in range(0, LENGTH_MS, STEP_MS):
        try:
            check(tell(functools.partial(gone_at, leaves, moment_ms)))
        except BaseException as error:
            raise AssertionError(f"{leaves.__name__} at {moment_ms} ms") from error


@pytest.mark.parametrize("unusual", [False, pytest.param(True, marks=pytest.mark.long)], ids=["usual", "unusual"])
@pytest.mark.parametrize("leaves", [caller_hangs_up, agent_hangs_up, agent_unplugged, caller_unplugged])
def test_at_every_event(leaves: Leaves, unusual: bool) -> None:
    """At the fact itself, in the middle of whatever the switch is doing."""
    number, told = 0, 1
    while number < told:
        try:
            world = tell(functools.partial(gone_at_fact, leaves, number, unusual))
            check(world)
        except BaseException as error:
            raise AssertionError(f"{leaves.__name__} at fact {number}") from error
        told = max(told, sum(fact.call_id is not None for fact in world.facts))
        number += 1
    assert told > 15, "the call was not even connected"


async def gone_at(leaves: Leaves, moment_ms: int, world: World) -> None:
    """The quick call, with somebody gone so many milliseconds after it began."""

    def arm(caller: Phone, agent: Phone) -> None:
        world.loop.call_later(moment_ms / 1000, leaves, world, caller, agent)

    await quick_call(world, arm)


async def gone_at_fact(leaves: Leaves, number: int, unusual: bool, world: World) -> None:
    """The quick call, with somebody gone as its fact of this number is told."""
    seen = 0

    def arm(caller: Phone, agent: Phone) -> None:
        def watch(fact: Fact) -> None:
            nonlocal seen
            if fact.call_id is not None:
                if seen == number:
                    world.loop.call_soon(leaves, world, caller, agent)
                seen += 1

        world.house.stream.subscribe(watch)

    await quick_call(world, arm, unusual=unusual)
