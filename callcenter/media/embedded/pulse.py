"""The pulse of a worker: how late its work is, also when it has little to do, and whoever takes the core from it.

Its share of a core says nothing of that: on a core that others burn, or that the machine below has given to somebody
else, a worker may use a tenth of it and be late with every packet.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

PERIOD: Final = 0.02
"""Seconds between two beats: as often as a leg gets a packet."""

# More are kept of no second, however long it was.
_MOST: Final = 500


class Pulse:
    """Beats as long as the loop runs; beats that are missed are late, too."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lates: list[float] = []
        self._next = time.monotonic() + PERIOD
        self._timer = loop.call_later(PERIOD, self._beat)

    def lateness(self) -> tuple[float, float]:
        """By how many seconds nine of ten beats since the last call were late at most, and the worst one."""
        lates, self._lates = sorted(self._lates), []
        return (lates[len(lates) * 9 // 10], lates[-1]) if lates else (0.0, 0.0)

    def close(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        now = time.monotonic()
        while self._next <= now + PERIOD / 20 and len(self._lates) < _MOST:
            self._lates.append(max(0.0, now - self._next))
            self._next += PERIOD
        self._next = max(self._next, now)
        self._timer = self._loop.call_later(self._next - now, self._beat)
