"""Growth: what the switch and its workers hold more after 100,000 answered calls than after the first ones."""

from __future__ import annotations

import asyncio

import uvloop

from scripts.benchmarks import floor, machine
from scripts.benchmarks.answered import try_rate
from scripts.benchmarks.part import BenchError, Figure, Run, at_most
from scripts.benchmarks.switch import Switch, running

AIM = 2.0  # %
CALLS = 100_000
# Enough for every table that is bounded to be full before (visits, messages traced, the cache of the database), and
# for the highest number of calls up at once to have come: the heap keeps what that needed.
FIRST = 30_000
RATE = 250.0
# A transaction lives 32 s behind its last message (RFC 3261 17, RFC 6026), and the heap is tidied a little later.
AFTERLIFE = 40.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    with running(run, floor.write(run.folder, 1)) as switch:
        return uvloop.run(_measure(run, switch))


async def _measure(run: Run, switch: Switch) -> list[Figure]:
    rate = run.pick(RATE, RATE, 20.0)
    before = await _after(run, switch, round(run.pick(FIRST, 1_000, 5)), rate)
    calls = round(run.pick(CALLS, 2_000, 10))
    after = await _after(run, switch, calls, rate)
    grown = (after - before) / before * 100
    run.say(f"{before / 1e6:.1f} MB, after {calls} calls more {after / 1e6:.1f} MB")
    details = {
        "calls": calls,
        "uss_mb_before": round(before / 1e6, 2),
        "uss_mb_after": round(after / 1e6, 2),
        "bytes_each": round((after - before) / calls, 1),
    }
    return [Figure("growth of memory", "%", round(grown, 2), at_most(AIM), details)]


async def _after(run: Run, switch: Switch, calls: int, rate: float) -> int:
    """What is held (bytes that nobody else shares) when so many calls are over, and their transactions gone."""
    attempt = await try_rate(switch, rate, calls / rate)
    run.say(f"{calls} calls: {attempt.told}")
    if attempt.details["lost"]:
        raise BenchError(f"calls were lost: {attempt.told}")
    await asyncio.sleep(run.pick(AFTERLIFE, AFTERLIFE, 0.1))
    return machine.memory(switch.pid).uss
