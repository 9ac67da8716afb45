"""Breaker: who fails again and again is left alone for a while, and then tried by one question alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """CLOSED: asked as always. OPEN: not asked. HALF_OPEN: one question is on its way, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """Opens after ``failures`` in a row, for ``pause`` seconds; then one question goes through, as a probe.

    Whoever is let through by :meth:`may_ask` says once what came of it: :meth:`succeeded`, :meth:`failed`, or
    :meth:`gave_up` when nobody waited for the answer.
    """

    failures: int = 5
    pause: float = 30.0
    in_a_row: int = 0
    state: BreakerState = BreakerState.CLOSED
    opened_at: float = 0.0

    def may_ask(self, now: float) -> bool:
        """Whether a question may go out now. The first one after the pause is the probe."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN if now - self.opened_at >= self.pause:
                self.state = BreakerState.HALF_OPEN
                return True
            case BreakerState.OPEN | BreakerState.HALF_OPEN:
                return False

    def succeeded(self) -> None:
        """An answer came: all is well."""
        self.state, self.in_a_row = BreakerState.CLOSED, 0

    def failed(self, now: float) -> None:
        """No answer came, or one that is none. A probe that fails begins the pause anew."""
        self.in_a_row += 1
        if self.state is BreakerState.HALF_OPEN or self.in_a_row >= self.failures:
            self.state, self.opened_at = BreakerState.OPEN, now

    def gave_up(self) -> None:
        """The question was taken back before it could be answered. A probe makes way for the next one."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
