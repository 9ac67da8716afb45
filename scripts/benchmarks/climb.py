"""Climbing: the highest rate that still goes clean, and what pacing a rate means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from scripts.benchmarks import machine
from scripts.benchmarks.part import Detail, Run
from scripts.benchmarks.switch import Switch

UP, DOWN = 1.25, 0.6
MOST_DOWN = 4
# Two rates that lie closer than this are one on a machine that is not ours alone.
CLOSE = 1.12
# So many seconds' work stored up, or left when the last call was due to be over: the rate is too high.
LATE = 0.25
# How long a flood may take to run off.
CALM = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rate tried."""

    rate: float
    clean: bool
    told: str
    details: dict[str, Detail] = field(default_factory=dict)


Try = Callable[[float, float], Awaitable[Attempt]]


async def climb(run: Run, attempt: Try, *, start: float, seconds: float, most: float) -> Attempt:
    """The best clean attempt: up step by step until it is not clean, then the middle; down from a start too high.

    A rate that was not clean is tried once more before it counts, because the machine may have looked away; in a quick
    run it is not, and the steps are wider.
    """
    up, close = (1.5, 1.35) if run.quick else (UP, CLOSE)

    async def tried(rate: float) -> Attempt:
        found = await attempt(rate, seconds)
        run.say(f"{rate:.0f}/s: {found.told}")
        if not found.clean and not run.quick:
            found = await attempt(rate, seconds)
            run.say(f"{rate:.0f}/s, once more: {found.told}")
        return found

    best = await tried(start)
    for _ in range(MOST_DOWN):
        if best.clean:
            break
        best = await tried(best.rate * DOWN)
    high = start if best.rate < start else most * up
    while best.clean and best.rate * close < high and best.rate < most:
        rate = min(best.rate * up, most) if high > most else (best.rate + high) / 2
        found = await tried(rate)
        if found.clean:
            best = found
        else:
            high = rate
    return best


async def hold(run: Run, attempt: Try, best: Attempt, seconds: float = 20.0) -> Attempt:
    """The best rate again for longer, or less until it holds."""
    rate = best.rate
    while rate > 1:
        held = await attempt(rate, seconds)
        run.say(f"{rate:.0f}/s for {seconds:.0f} s: {held.told}")
        if held.clean:
            return held
        rate *= 0.92
    return best


async def pace(rate: float, seconds: float, do: Callable[[], object]) -> None:
    """Do it so often a second, by absolute moments: who is late catches up."""
    began = time.monotonic()  # uvloop's own clock stands still within a turn of the loop
    for at in range(round(rate * seconds)):
        wait = began + at / rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        do()


class Watch:
    """What an attempt costs, who pays, and whether it kept up: made just before the first call.

    A rate is only sustained when nothing is left to do soon after the last call: else it was a burst, stored up.
    """

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._before = machine.cost(switch.pid)
        self._generator = time.process_time()
        self._began = time.monotonic()

    async def finish(
        self, under_way: Callable[[], int], *, last: float, within: float, count: int
    ) -> dict[str, Detail]:
        """Wait for the end. ``last``: how long the last of ``count`` calls takes by itself."""
        paced = time.monotonic()
        rate = count / (paced - self._began)
        # With calls that take ``last`` seconds, so many seconds' worth are under way; what is more is stored up.
        behind = under_way() / rate - last
        whole = await settled(lambda: not under_way(), within)
        ended = time.monotonic()
        spent = machine.cost(self._switch.pid).since(self._before)
        if not whole:
            await settled(lambda: not under_way(), CALM)  # the next attempt is not to find what this one has left
        return {
            **spent.per(count),
            "seconds": round(paced - self._began, 1),
            "late_s": round(max(0.0, behind, ended - paced - last), 3),
            "generator_percent": round(100 * (time.process_time() - self._generator) / (ended - self._began)),
        }


def kept_up(details: Mapping[str, Detail]) -> bool:
    """Whether the rate was sustained."""
    return float(details["late_s"]) <= LATE


async def settled(done: Callable[[], bool], within: float) -> bool:
    """Wait until what was begun is over; whether it came to that."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while not done():
        if loop.time() >= until:
            return False
        await asyncio.sleep(0.02)
    return True
