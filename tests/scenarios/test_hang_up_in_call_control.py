"""Anybody gone at every moment of what is ordered of calls: nothing is ever left over, whoever was about to do what."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from callcenter.calls.settings import Supervisor
from callcenter.model.facts import CallEnded, CallHeld, CallQueued, CallResumed, QueueLeft
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell
from tests.scenarios.test_agents_and_supervisors import has_calls_settings, supervise
from tests.scenarios.test_conference import NUMBERS, order
from tests.scenarios.test_hang_up_in_a_transfer import Leaves, hangs_up, unplugged

# Orders come within this; what follows rings, is answered and talks a little.
LENGTH_MS = 480
STEP_MS = 60


def answers(phone: Phone) -> None:
    leg = phone.call.leg if phone.call is not None else None
    if leg is not None and leg.incoming and leg.ending is None and not leg.answered and not phone.host.gone:
        phone.picks_up()


def at(world: World, after_ms: float, do: str, **fields: object) -> None:
    """Amy's program orders something so many milliseconds later, whatever has become of the talk."""
    world.loop.call_later(after_ms / 1000, functools.partial(order, world, do, **fields))


async def steered(world: World, who: str, leaves: Leaves, moment_ms: int, last: str) -> None:
    """Amy holds her caller, takes them back, holds again, and puts them through to Bob, or hangs up; ``who`` leaves."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob}
    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])
    at(world, 0, "hold")
    at(world, 60, "resume")
    at(world, 120, "hold")
    at(world, 180, last, **({"to": "bob"} if last == "transfer" else {}))
    at(world, 181, "hang_up" if last == "transfer" and moment_ms % 40 else "resume")
    world.loop.call_later(0.3, answers, bob)
    await over(world, people)


async def clicked(world: World, who: str, leaves: Leaves, moment_ms: int, last: str) -> None:
    """Amy clicks Bob, picks up, is answered, holds him, and hangs up by an order."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    people: dict[str, Phone] = {"amy": amy, "bob": bob, "caller": bob}
    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])
    at(world, 0, "dial", to="bob")
    world.loop.call_later(0.06, answers, amy)
    world.loop.call_later(0.16, answers, bob)
    at(world, 260, "hold")
    at(world, 360, last)
    await over(world, people)


async def sent_on(world: World, who: str, leaves: Leaves, moment_ms: int, last: str) -> None:
    """Eva gives a waiting caller another priority, another queue, and then Amy; in the end she hangs up on them."""
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang")})
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    call = world.call_id(await caller.dial("1000"))
    await caller.press("1")
    await caller.hears("music")
    amy = await world.agent("amy", french=5)
    people: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob}
    world.loop.call_later(moment_ms / 1000, leaves, world, people[who])

    def eva(after_ms: float, do: str, **fields: object) -> None:
        command = functools.partial(supervise, world, f"{next(NUMBERS)}", do=do, call=call, **fields)
        world.loop.call_later(after_ms / 1000, command)

    eva(0, "priority", priority=7)
    eva(60, "move", queue="sales-spanish")
    eva(120, "take", agent="amy")
    world.loop.call_later(0.24, answers, amy if last == "take" else bob)
    eva(360, "hang_up")
    await over(world, people)


async def over(world: World, people: dict[str, Phone]) -> None:
    await world.sleep(1.5)
    people["caller"].drops()
    # Long enough for the sound of an unplugged phone to be missed, and for a second offer to be given up.
    await world.sleep(130)
    for phone in people.values():
        phone.drops()
    await world.sleep(1)


STORIES = {"steered": steered, "clicked": clicked, "sent_on": sent_on}
ENDS = {"steered": ("transfer", "hang_up"), "clicked": ("hang_up", "resume"), "sent_on": ("take", "move")}


def told(story: str, who: str, leaves: Leaves, moment_ms: int, last: str) -> None:
    """Tell the story; each call and each visit ended once, and nobody holds who is gone."""
    try:
        world = tell(functools.partial(STORIES[story], who=who, leaves=leaves, moment_ms=moment_ms, last=last))
    except BaseException as error:
        raise AssertionError(f"{story} {last}: {who} {leaves.__name__} at {moment_ms} ms") from error
    kinds = Counter(type(fact.body) for fact in world.facts)
    assert kinds[CallEnded] <= 1
    assert kinds[CallQueued] == kinds[QueueLeft]
    assert kinds[CallHeld] - kinds[CallResumed] in (0, 1)
    assert not world.house.books.open_calls


@pytest.mark.parametrize("who", ["caller", "amy", "bob"])
@pytest.mark.parametrize("story", STORIES)
def test_at_one_moment(story: str, who: str) -> None:
    told(story, who, hangs_up, 181, ENDS[story][0])


@pytest.mark.long
@pytest.mark.parametrize("who", ["caller", "amy", "bob"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
@pytest.mark.parametrize("story", STORIES)
def test_in_steps(story: str, leaves: Leaves, who: str) -> None:
    for moment_ms in range(0, LENGTH_MS, STEP_MS):
        told(story, who, leaves, moment_ms, ENDS[story][moment_ms // STEP_MS % 2])
