"""A call that is over is gone: nothing of it waits for the garbage collector, whose rounds stop everybody's sound."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from callcenter.simulation.world import World, story


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
