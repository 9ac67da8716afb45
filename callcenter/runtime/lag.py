"""LoopLag: how late the event loop is: by how much later than asked for its timers run."""

from __future__ import annotations

import asyncio
from typing import Any

from callcenter.model.spread import Spread
from callcenter.runtime.scopes import Background

# A look costs some 20 us.
EVERY = 0.1
# Seconds. An offer's way to the phone is some milliseconds; SIP repeats itself after half a second.
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class LoopLag:
    """A timer ten times a second, and how late it came."""

    def __init__(self) -> None:
        self._spread = Spread(BOUNDS)
        self._running = Background(limit=1)

    def begin(self) -> None:
        """Begin to look. Only where time is real: in virtual time no timer is ever late."""
        self._running.start(self._run(), name="loop lag")

    def close(self) -> None:
        """Look no more."""
        self._running.cancel()

    def note(self, late: float) -> None:
        """Count one timer that came ``late`` seconds after its time."""
        self._spread.add(late)

    def plain(self) -> dict[str, Any]:
        """As a histogram: how many were late by no more than each bound, all of them, and their sum in seconds."""
        return self._spread.plain()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY
            await asyncio.sleep(EVERY)
            self.note(max(0.0, loop.time() - due))
