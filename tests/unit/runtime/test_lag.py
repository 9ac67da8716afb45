"""How late the loop is, as a histogram."""

from __future__ import annotations

import asyncio
import time

from callcenter.runtime import lag
from callcenter.runtime.lag import LoopLag


def test_each_timer_is_counted_once_under_every_bound_that_it_keeps() -> None:
    counted = LoopLag()
    for late in (0.0, 0.004, 0.3, 7.0):
        counted.note(late)
    told = counted.plain()
    assert dict(map(tuple, told["up_to"])) == {
        0.001: 1, 0.002: 1, 0.005: 2, 0.01: 2, 0.02: 2, 0.05: 2, 0.1: 2, 0.2: 2, 0.5: 3, 1.0: 3,
    }  # fmt: skip
    assert (told["count"], told["sum"]) == (4, 7.304)


async def test_a_loop_that_stands_still_is_seen() -> None:
    counted = LoopLag()
    counted.begin()
    try:
        await asyncio.sleep(0)
        time.sleep(lag.EVERY * 2.5)
        await asyncio.sleep(0.01)
    finally:
        counted.close()
    assert counted.plain()["sum"] >= lag.EVERY
