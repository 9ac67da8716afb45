"""Fresh: one answer for all who ask within a moment, so that many who ask cost as much as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from callcenter.runtime.clock import Clock

# Whoever watches over a house asks every few seconds; nobody needs it newer than this.
FRESH = 0.5


class Fresh:
    """Reasons why not, in words, as they were half a second ago at the most."""

    def __init__(self, clock: Clock, fresh: float = FRESH) -> None:
        self._clock = clock
        self._fresh = fresh
        self._known: tuple[float, list[str]] | None = None
        self._asking = asyncio.Lock()

    async def now(self, ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
        """What is known, or what ``ask`` says."""
        async with self._asking:
            if self._known is None or self._clock.monotonic() - self._known[0] >= self._fresh:
                self._known = None
                found = await ask()
                self._known = self._clock.monotonic(), found
            return self._known[1]
