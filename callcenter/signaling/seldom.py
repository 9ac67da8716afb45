"""Seldom: log lines that strangers can cause, each once a minute, and not many of all."""

from __future__ import annotations

# One line of each within so many seconds, and not more than so many of all.
TOLD_WITHIN = 60.0
MOST_TOLD = 50


class Seldom:
    """Whether something may be told: peers try again and again, and so do who scan."""

    def __init__(self) -> None:
        self._since = 0.0
        self._told: set[tuple[str, ...]] = set()

    def may_tell(self, now: float, *what: str) -> bool:
        """Whether ``what`` (say the source and the reason) was not told lately, nor too much else."""
        if now - self._since > TOLD_WITHIN:
            self._since = now
            self._told.clear()
        if what in self._told or len(self._told) >= MOST_TOLD:
            return False
        self._told.add(what)
        return True
