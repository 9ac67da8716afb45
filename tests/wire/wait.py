"""Waiting for something to become true: looked at again and again until its deadline, never slept for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.02  # s
PATIENCE = 30.0  # s until a test gives up: never how long a thing may take, for a busy machine takes its time


async def until(what: Callable[[], T | None], said: str | Callable[[], str], seconds: float = PATIENCE) -> T:
    """The first true value of ``what()``. Raises AssertionError with ``said`` when none came in time."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds:g} s: {said if isinstance(said, str) else said()}")
        await asyncio.sleep(LOOK_EVERY)
    return value


async def stays(what: Callable[[], bool], said: str, seconds: float) -> None:
    """Holds all the while: for what must NOT happen, where a span of real time is the question itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert what(), said
        await asyncio.sleep(LOOK_EVERY)
