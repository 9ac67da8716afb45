"""A call that is over is gone: nothing of it waits for the garbage collector, whose rounds stop everybody's sound."""

from __future__ import annotations

import gc
import weakref
from collections import Counter

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


@story()
async def test_a_call_that_is_over_leaves_no_rings(world: World) -> None:
    """Of every session 2 kB stood in a ring: over 100,000 calls the switch grew to nearly twice its size."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await caller.hangs_up()
    await world.sleep(60)
    gc.collect()
    gc.disable()
    try:
        await world.connect(caller, amy)
        await caller.hangs_up()
        await amy.is_hung_up()
        await world.sleep(60)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        rings = [each for each in gc.garbage if type(each).__module__.startswith("callcenter.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    left = Counter(type(each).__qualname__ for each in rings if "simulation" not in type(each).__module__)
    assert not left
