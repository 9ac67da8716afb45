"""Anybody gone at every moment of a transfer, that comes about or not: nothing is ever left over."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from callcenter.model.facts import CallEnded
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell

# From the REFER on: the colleague's phone rings, is answered or declined after 300 ms, and the talk goes on a little.
LENGTH_MS = 700
STEP_MS = 70
# Everything of an attended transfer happens in some round trips.
ATTENDED_MS = 200

Leaves = Callable[[World, Phone], None]


def hangs_up(world: World, phone: Phone) -> None:
    phone.drops()


def unplugged(world: World, phone: Phone) -> None:
    world.unplug(phone)


async def transfer(world: World, who: str, leaves: Leaves, moment_ms: int, *, declines: bool, to: str) -> None:
    """Amy hands a caller over to bob, or to bob's queue, and ``who`` leaves so many milliseconds later."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob}
    amy.transfers(to)
    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])
    await world.sleep(0.3)
    if bob.call is not None and bob.call.leg.ending is None and not bob.host.gone:
        if declines:
            bob.call.leg.reject(603)
        else:
            bob.picks_up()
    await world.sleep(0.8)
    caller.drops()
    # Long enough for the sound of an unplugged phone to be missed, and for a second offer to be given up.
    await world.sleep(130)
    amy.drops()
    bob.drops()


@pytest.mark.long
@pytest.mark.parametrize("declines", [False, True])
@pytest.mark.parametrize("to", ["bob", "sales-spanish"])
@pytest.mark.parametrize("who", ["caller", "amy", "bob"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_in_steps(leaves: Leaves, who: str, to: str, declines: bool) -> None:
    for moment_ms in range(0, LENGTH_MS, STEP_MS):
        story = functools.partial(transfer, who=who, leaves=leaves, moment_ms=moment_ms, declines=declines, to=to)
        try:
            world = tell(story)
        except BaseException as error:
            raise AssertionError(f"{who} {leaves.__name__} at {moment_ms} ms") from error
        assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) == 1
        assert not world.house.books.open_calls


async def attended(world: World, who: str, leaves: Leaves, moment_ms: int, *, by_the_second_line: bool) -> None:
    """Amy has asked bob, puts both through, and ``who`` leaves so many milliseconds later."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob}
    world.loop.call_later(0.5, bob.picks_up)
    await amy.dial_beside("bob")
    await world.sleep(0.5)
    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])
    amy.joins_both(by_the_second_line=by_the_second_line)
    await world.sleep(1.0)
    caller.drops()
    await world.sleep(130)
    for phone in (amy, bob):
        phone.drops()
        if phone.beside is not None:
            phone.beside.leg.hangup()
    await world.sleep(1)


@pytest.mark.long
@pytest.mark.parametrize("by_the_second_line", [False, True])
@pytest.mark.parametrize("who", ["caller", "amy", "bob"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_attended_in_steps(leaves: Leaves, who: str, by_the_second_line: bool) -> None:
    for moment_ms in range(0, ATTENDED_MS, 25):
        story = functools.partial(
            attended, who=who, leaves=leaves, moment_ms=moment_ms, by_the_second_line=by_the_second_line
        )
        try:
            world = tell(story)
        except BaseException as error:
            raise AssertionError(f"{who} {leaves.__name__} at {moment_ms} ms") from error
        assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) == 2
        assert not world.house.books.open_calls
