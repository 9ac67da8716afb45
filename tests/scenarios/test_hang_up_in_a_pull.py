"""Anybody gone at every moment of a talk's move to another phone: nothing is ever left over."""

from __future__ import annotations

import functools

import pytest

from callcenter.model.facts import CallEnded, PhoneChanged
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell
from tests.scenarios.test_pulling import desk_phone

# The INVITE, the challenge, the INVITE again, the answer, and the end of the old leg: some round trips.
LENGTH_MS = 140
STEP_MS = 7


async def pull(world: World, who: str, moment_ms: int, *, rings: bool, offers: bool) -> None:
    """Amy takes a talk, or what rings, to her desk phone, and ``who`` hangs up so many milliseconds later."""
    amy = await world.agent("amy", english=5)
    desk = await desk_phone(world, "amy")
    caller = await world.phone("+14155550100")
    if rings:
        await desk.unregister()
        await caller.dial("1000")
        await caller.press("1")
        await amy.rings()
    else:
        await world.connect(caller, amy)
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "desk": desk}
    desk.starts_pulling(amy, offers=offers)
    world.loop.call_later(moment_ms / 1000, people[who].drops)
    await world.sleep(1)
    for phone in people.values():
        phone.drops()
    await world.sleep(130)


@pytest.mark.long
@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("who", ["caller", "amy", "desk"])
def test_in_steps(who: str, rings: bool, offers: bool) -> None:
    moved = set()
    for moment_ms in range(0, LENGTH_MS, STEP_MS):
        story = functools.partial(pull, who=who, moment_ms=moment_ms, rings=rings, offers=offers)
        try:
            world = tell(story)
        except BaseException as error:
            raise AssertionError(f"{who} hangs up at {moment_ms} ms") from error
        assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) == 1
        moved.add(any(isinstance(fact.body, PhoneChanged) for fact in world.facts))
    assert moved == {False, True}, "some came before, and some too late"
