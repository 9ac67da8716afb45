"""Anybody gone at every moment of a question, a conference, a transfer out of it, with a supervisor in all of it."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from callcenter.model.facts import CallEnded, ConferenceJoined, ConferenceLeft, SupervisionEnded, SupervisionStarted
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell
from tests.scenarios.test_conference import order
from tests.scenarios.test_hang_up_in_a_transfer import Leaves, hangs_up, unplugged
from tests.scenarios.test_supervision import has_supervisor

# From the question on: it rings, is answered after 100 ms, all three talk, two of them, all three, two others.
LENGTH_MS = 560
STEP_MS = 40


async def conference(world: World, who: str, leaves: Leaves, moment_ms: int) -> None:
    """Amy asks Bob, joins all, turns to him alone, joins all again, and puts the caller through; Eve barges, hangs up
    and comes back; and ``who`` leaves so many milliseconds after the question.
    """
    eve = await has_supervisor(world)
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await eve.dial("*73amy")
    await world.settled()
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob, "eve": eve}

    def then(after_ms: int, do: str, **fields: str) -> None:
        world.loop.call_later(after_ms / 1000, functools.partial(order, world, do, **fields))

    def answers() -> None:
        if bob.call is not None and bob.call.leg.ending is None and not bob.host.gone:
            bob.picks_up()

    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])
    world.loop.call_later(0.1, answers)
    then(0, "consult", to="bob")
    then(200, "consult_join")
    then(280, "consult_swap")
    then(360, "consult_join")
    then(440, "consult_transfer")
    await world.sleep(1.5)
    caller.drops()
    # Long enough for the sound of an unplugged phone to be missed.
    await world.sleep(130)
    for phone in people.values():
        phone.drops()
    await world.sleep(1)


def told(who: str, leaves: Leaves, moment_ms: int) -> None:
    """Tell the story; every conference and supervision that began has ended, and so has each of the two calls."""
    try:
        world = tell(functools.partial(conference, who=who, leaves=leaves, moment_ms=moment_ms))
    except BaseException as error:
        raise AssertionError(f"{who} {leaves.__name__} at {moment_ms} ms") from error
    kinds = Counter(type(fact.body) for fact in world.facts)
    assert kinds[CallEnded] in (1, 2)
    assert kinds[ConferenceJoined] == kinds[ConferenceLeft]
    assert kinds[SupervisionStarted] == kinds[SupervisionEnded]
    assert not world.house.books.open_calls


@pytest.mark.parametrize("who", ["caller", "amy", "bob", "eve"])
@pytest.mark.parametrize("moment_ms", [3, 250])
def test_at_two_moments(who: str, moment_ms: int) -> None:
    told(who, hangs_up, moment_ms)


@pytest.mark.long
@pytest.mark.parametrize("who", ["caller", "amy", "bob", "eve"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_in_steps(leaves: Leaves, who: str) -> None:
    for moment_ms in range(0, LENGTH_MS, STEP_MS):
        told(who, leaves, moment_ms)
