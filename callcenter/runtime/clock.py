"""Clock: elapsed time and time of day, behind one small interface."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Elapsed seconds for durations, UTC for instants."""

    def monotonic(self) -> float:
        """Seconds that only grow; the loop's clock."""
        ...

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...


class SystemClock:
    """The machine's clocks. ``time.monotonic`` is the clock of asyncio's and uvloop's ``loop.time``."""

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)
