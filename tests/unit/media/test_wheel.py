"""The wheel: many turned by one timer, evenly spread, with deadlines that do not drift."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from itertools import pairwise

import pytest

from callcenter.media.embedded.wheel import Wheel


async def test_each_is_turned_every_twenty_milliseconds_without_drift() -> None:
    turns: dict[str, list[float]] = defaultdict(list)
    wheel: Wheel[str] = Wheel(asyncio.get_running_loop(), 0.001, lambda item, at: turns[item].append(at))
    for index in range(40):
        wheel.add(f"{index}")
        wheel.add(f"{index}")
    await asyncio.sleep(0.3)
    for index in range(40):
        wheel.remove(f"{index}")
        wheel.remove(f"{index}")
    assert len(wheel) == 0
    assert {len(each) for each in turns.values()} <= set(range(12, 17))
    for each in turns.values():
        for earlier, later in pairwise(each):
            assert later - earlier == pytest.approx(0.02, abs=1e-6)
    slots = sorted(round(each[0] * 1000) % 20 for each in turns.values())
    assert all(slots.count(slot) == 2 for slot in slots)
    count = sum(map(len, turns.values()))
    await asyncio.sleep(0.05)
    assert sum(map(len, turns.values())) == count


async def test_after_a_stall_what_was_missed_is_left_out() -> None:
    turns: list[float] = []
    wheel: Wheel[str] = Wheel(asyncio.get_running_loop(), 0.001, lambda item, at: turns.append(at))
    wheel.add("one")
    await asyncio.sleep(0.05)
    before = len(turns)
    time.sleep(0.3)
    await asyncio.sleep(0.05)
    assert 2 <= len(turns) - before <= 6
    gaps = [round((later - earlier) * 1000) for earlier, later in pairwise(turns)]
    assert all(gap % 20 == 0 for gap in gaps)
    assert max(gaps) > 200
    wheel.remove("one")


async def test_who_is_removed_in_anothers_turn_has_none() -> None:
    turned: list[str] = []

    def turn(item: str, at: float) -> None:
        turned.append(item)
        for each in names:
            wheel.remove(each)

    wheel: Wheel[str] = Wheel(asyncio.get_running_loop(), 0.001, turn)
    names = [f"{index}" for index in range(21)]
    for name in names:
        wheel.add(name)
    await asyncio.sleep(0.05)
    assert len(turned) == 1


async def test_a_mistake_in_ones_turn_is_not_the_others() -> None:
    loop = asyncio.get_running_loop()
    turned: list[str] = []
    told: list[str] = []
    twice = asyncio.Event()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))

    def turn(item: str, at: float) -> None:
        turned.append(item)
        if item == "bad":
            raise ValueError("no sound at all")
        if turned.count("good") == 2:
            twice.set()

    wheel: Wheel[str] = Wheel(loop, 0.001, turn)
    for name in ("bad", "good"):
        wheel.add(name)
    async with asyncio.timeout(5):
        await twice.wait()
    assert set(told) == {"'bad' missed its turn"}
    for name in ("bad", "good"):
        wheel.remove(name)
