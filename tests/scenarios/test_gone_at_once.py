"""A call that is over is gone: nothing of it waits for the garbage collector, whose rounds stop everybody's sound."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from callcenter.acd.events import IntentChosen, Reconfigured
from callcenter.calls.overflow import ToNumber
from callcenter.model.states import Intent
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story
from tests.scenarios.callbacks import SALES, asks, furnish, is_to_be_called_back, talk
from tests.scenarios.carrier import reaches
from tests.scenarios.test_pulling import desk_phone
from tests.scenarios.test_queues import whispering
from tests.scenarios.test_ring_all import floor_that_rings_all


@story()
async def test_a_call_that_is_over_is_gone_without_the_collector(world: World) -> None:
    """400 calls a second once left so much in rings that the collector stood still for half a second."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    gc.collect()
    gc.disable()
    try:
        await world.connect(caller, amy)
        (call,) = world.house.supervisor.calls.values()
        held: dict[str, object] = {"call": call, "leg": call.caller.leg, "party": call.caller}
        kept = {name: weakref.ref(each) for name, each in held.items()}
        held.clear()
        del call
        await caller.hangs_up()
        await amy.is_hung_up()
        await world.sleep(60)
        left = [name for name, reference in kept.items() if reference() is not None]
    finally:
        gc.enable()
    assert left == []


@contextmanager
def nothing_left_in_rings() -> Iterator[None]:
    """What of ours is left in rings by the block fails the test, by the names of its types."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = (kind for kind in kinds if kind.__module__.startswith("callcenter.") and "simulation" not in kind.__module__)
    assert not Counter(kind.__qualname__ for kind in ours)


@story()
async def test_a_call_that_is_over_leaves_no_rings(world: World) -> None:
    """Of every session 2 kB stood in a ring: over 100,000 calls the switch grew to nearly twice its size."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await caller.hangs_up()
    await world.sleep(60)
    with nothing_left_in_rings():
        await world.connect(caller, amy)
        await caller.hangs_up()
        await amy.is_hung_up()
        await world.sleep(60)


@story()
async def test_a_call_that_was_handed_over_leaves_no_rings(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await world.connect(caller, amy)
            amy.transfers("bob")
            await bob.rings()
            await bob.answers()
            await caller.hears(bob)
            await caller.hangs_up()
            await bob.is_hung_up()
            await world.sleep(60)


@story()
async def test_who_was_called_back_leaves_no_rings(world: World) -> None:
    amy = await world.agent("amy", english=5)
    chooses(world, Intent.NOT_READY)
    caller = await is_to_be_called_back(world)
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            chooses(world, Intent.READY)
            await talk(world, amy, caller)
            await caller.hangs_up()
            await amy.is_hung_up()
            chooses(world, Intent.NOT_READY)
            await world.sleep(60)
            await waits_and_asks(world, caller)
    chooses(world, Intent.READY)
    await talk(world, amy, caller)
    await caller.hangs_up()


def chooses(world: World, intent: Intent) -> None:
    """What amy is from now on."""
    world.house.dispatcher.tell(IntentChosen("amy", intent))


async def waits_and_asks(world: World, caller: Phone) -> None:
    """The same caller asks once more."""
    await caller.dial("1000")
    await caller.hears("music")
    await asks(caller)
    await world.sleep(60)


@story()
async def test_a_call_that_was_pulled_to_another_phone_leaves_no_rings(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    desk = await desk_phone(world, "amy")
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await caller.dial("1000")
            await caller.press("1")
            await amy.rings()
            await amy.answers()
            await caller.hears(amy)
            await desk.pulls(amy)
            await caller.hears(desk)
            await amy.is_hung_up()
            await caller.hangs_up()
            await desk.is_hung_up()
            await world.sleep(60)


@story()
async def test_a_call_for_which_all_were_rung_leaves_no_rings(world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await world.phone("+14155550100")
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await caller.dial("1000")
            await caller.press("1")
            await amy.rings()
            await bob.rings()
            await bob.answers()
            await caller.hears(bob)
            await amy.stops_ringing()
            await caller.hangs_up()
            await bob.is_hung_up()
            await world.sleep(60)


@story()
async def test_a_call_with_a_whisper_leaves_no_rings(world: World) -> None:
    whispering(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await caller.dial("1000")
            await caller.press("1")
            await amy.rings()
            await amy.answers()
            await amy.hears("said/tech", within=1)
            await amy.hangs_up()
            chooses(world, Intent.READY)
            await amy.rings(within=60)
            await amy.answers()
            await caller.hears(amy, within=10)
            await caller.hangs_up()
            await amy.is_hung_up()
            await world.sleep(60)


@story()
async def test_a_call_that_overflowed_outside_leaves_no_rings(world: World) -> None:
    customer = await world.phone("+14155550101")
    other = await world.phone("+14155550199")
    reaches(world, other.host.address)
    furnish(world)
    queue = replace(world.plan.queues[SALES], max_wait=20.0, on_max_wait=ToNumber("+14155550199").word)
    world.plan = replace(world.plan, queues={**world.plan.queues, SALES: queue})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await customer.dial("1000")
            await customer.hears("music")
            await other.rings(within=30)
            await other.answers()
            await customer.hears(other)
            await customer.hangs_up()
            await other.is_hung_up()
            await world.sleep(60)
