"""Anybody gone at every moment of a callback: nothing is left over, nobody is dialled twice, and the place is kept."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence

import pytest

from callcenter.acd.events import IntentChosen
from callcenter.calls.settings import CallbackRules
from callcenter.model.facts import CallbackAttempted, CallbackEnded, CallbackFailed, CallbackRequested, CallEnded, Fact
from callcenter.model.states import CallbackOutcome, Intent
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, tell
from tests.scenarios.callbacks import ANN, furnish
from tests.scenarios.carrier import reaches
from tests.scenarios.test_hang_up_outside import MISSED_BY, Leaves, People, at_every, at_every_fact, hangs_up, unplugged

RULES = CallbackRules(outside=("+1",), tries=2, spacing=30.0, ring_for=10.0)


async def a_callback(world: World, begins: Callable[[People], object]) -> None:
    """Ann asks, hangs up or is hung up on, and is called back by Amy; both do what they would do anyway."""
    amy = await world.agent("amy", english=5)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    ann = await world.phone(ANN)
    reaches(world, ann.host.address)
    furnish(world, rules=RULES)
    begins({"ann": ann, "amy": amy})
    call = ann.starts_dialling("1000")
    await world.sleep(0.2)
    for _ in range(2):
        if not call.over:
            await ann.press("1")
            await world.sleep(0.2)
    await world.sleep(6.0)
    if ann.call is call and not call.over:
        ann.drops()
    world.house.dispatcher.tell(IntentChosen("amy", Intent.READY))
    for phone in (amy, ann):
        await world.sleep(0.3)
        takes(phone)
    await world.sleep(0.6)
    ann.drops()
    for _ in range(12):
        # The second attempt, and whoever has to be told of it.
        await world.sleep(MISSED_BY / 10)
        for phone in (amy, ann):
            takes(phone)
    for phone in (ann, amy):
        phone.drops()
    await world.sleep(20)
    for each in list(world.house.callbacks):
        assert not each.dialling, each
    furnish(world, queues=("help",))  # what is left ends here, and is told
    await world.sleep(1)


def takes(phone: Phone) -> None:
    """Pick up, if it rings."""
    call = phone.call
    if call is not None and not call.over and not phone.host.gone and call.leg.incoming and not call.leg.answered:
        phone.picks_up()


def in_order(world: World) -> None:
    """Each callback was asked for once, tried once at a time, and has ended in one way."""
    dialled: dict[str, int] = {}
    over: set[str] = set()
    for fact in world.facts:
        match fact.body:
            case CallbackRequested(callback=callback):
                assert callback not in dialled
                dialled[callback] = 0
            case CallbackAttempted(callback=callback, attempt=attempt):
                assert dialled[callback] == 0, "dialled twice at once"
                assert callback not in over
                dialled[callback] = attempt
            case CallbackFailed(callback=callback, attempt=attempt):
                assert dialled[callback] == attempt
                dialled[callback] = 0
            case CallbackEnded(callback=callback, outcome=outcome):
                assert callback not in over
                assert (outcome is CallbackOutcome.REACHED) is (dialled[callback] > 0) or outcome in (
                    CallbackOutcome.CANCELLED,
                    CallbackOutcome.REMOVED,
                )
                over.add(callback)
            case _:
                pass
    assert over == set(dialled), "a callback that never ended"
    assert len(world.house.callbacks) == 0
    assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) <= 6


@pytest.mark.long
@pytest.mark.parametrize("who", ["ann", "amy"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_at_every_event(leaves: Leaves, who: str) -> None:
    """As each fact is told, in the middle of whatever the switch is doing."""
    worlds: list[World] = []

    async def story(world: World, begins: Callable[[People], object]) -> None:
        worlds.append(world)
        await a_callback(world, begins)
        in_order(world)

    at_every_fact(story, who, leaves, 6)
    ends = [fact.body.outcome for world in worlds for fact in world.facts if isinstance(fact.body, CallbackEnded)]
    assert {CallbackOutcome.REACHED, CallbackOutcome.REMOVED if who == "amy" else CallbackOutcome.GIVEN_UP} <= set(ends)


@pytest.mark.long
@pytest.mark.parametrize("who", ["ann", "amy"])
@pytest.mark.parametrize("leaves", [hangs_up, unplugged])
def test_in_steps_of_100_ms(leaves: Leaves, who: str) -> None:
    async def story(world: World, begins: Callable[[People], object]) -> None:
        await a_callback(world, begins)
        in_order(world)

    at_every(100, 8000, story, who, leaves, 6)


# The facts of both calls of the story, from the first INVITE to the talk.
FACTS = 34


@pytest.mark.long
@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("crash", [False, True], ids=["in good order", "crash"])
def test_the_switch_is_gone_as_a_fact_is_told_and_is_back(crash: bool, first: int) -> None:
    """No callback is lost, and none is dialled again before its spacing is over."""
    for number in range(first, FACTS, 3):
        try:
            tell(functools.partial(restarted_at, number, crash))
        except BaseException as error:
            raise AssertionError(f"the switch was gone at fact {number}") from error


# How a callback may end that was promised; the last reload of the story removes none that could be dialled before it.
KEPT = (CallbackOutcome.REACHED, CallbackOutcome.GIVEN_UP)


async def restarted_at(number: int, crash: bool, world: World) -> None:
    """The callback, with the switch restarted as its fact of this number was told."""
    amy = await world.agent("amy", english=5)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    ann = await world.phone(ANN)
    reaches(world, ann.host.address)
    furnish(world, rules=RULES)
    now, seen = world.loop.create_future(), 0

    def watch(fact: object) -> None:
        nonlocal seen
        if getattr(fact, "call_id", None) is not None:
            if seen == number and not now.done():
                now.set_result(None)
            seen += 1

    async def passes(seconds: float) -> bool:
        await asyncio.wait((now,), timeout=seconds)
        return not now.done()

    world.house.stream.subscribe(watch)
    call = ann.starts_dialling("1000")
    if await passes(0.2) and not call.over:
        await ann.press("1")
        if await passes(0.2) and not call.over:
            await ann.press("1")
    if await passes(6.0):
        world.house.dispatcher.tell(IntentChosen("amy", Intent.READY))
        for phone in (amy, ann):
            if await passes(0.3):
                takes(phone)
        await passes(0.4)
    await world.restart(crash=crash)
    for phone in (ann, amy):
        phone.drops()
    world.house.dispatcher.tell(IntentChosen("amy", Intent.READY))
    for _ in range(20):
        await world.sleep(4)
        for phone in (amy, ann):
            takes(phone)
    for phone in (ann, amy):
        phone.drops()
    await world.sleep(20)
    furnish(world, queues=("help",))
    await world.sleep(1)
    in_order_over_restarts(world, await world.logged())


def in_order_over_restarts(world: World, facts: Sequence[Fact]) -> None:
    """What is in the database was kept: reached, or given up after its tries, none of them too soon."""
    begun: dict[str, float] = {}
    ended = {fact.body.callback: fact.body.outcome for fact in facts if isinstance(fact.body, CallbackEnded)}
    for fact in facts:
        if isinstance(fact.body, CallbackAttempted):
            before = begun.get(fact.body.callback)
            at = fact.at.timestamp()
            assert before is None or at - before >= RULES.spacing - 0.5, "dialled again too soon"
            begun[fact.body.callback] = at
    promised = [fact.body.callback for fact in facts if isinstance(fact.body, CallbackRequested)]
    assert all(ended.get(each) in KEPT for each in promised), ended
    assert len(world.house.callbacks) == 0
