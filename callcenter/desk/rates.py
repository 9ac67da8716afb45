"""Rates: how much one of many may do, by buckets that fill with time."""

from __future__ import annotations

from collections import OrderedDict

from callcenter.runtime.clock import Clock

# More sources than these at once, and who was quiet longest begins anew: a bound of memory, not of anybody's rights.
MOST_BUCKETS = 20_000


class Buckets:
    """A bucket of ``burst`` for each key, which fills by ``per_second``."""

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; 0 when there was one, else how many seconds it takes until there is."""
        now = self._clock.monotonic()
        level = self._level(key, now)
        if level < 1.0:
            return (1.0 - level) / self.per_second
        self._put(key, level - 1.0, now)
        return 0.0

    def give_back(self, key: str) -> None:
        """What was taken was not to be counted."""
        now = self._clock.monotonic()
        self._put(key, min(float(self.burst), self._level(key, now) + 1.0), now)

    def __len__(self) -> int:
        return len(self._levels)

    def _level(self, key: str, now: float) -> float:
        level, since = self._levels.get(key, (float(self.burst), now))
        return min(float(self.burst), level + (now - since) * self.per_second)

    def _put(self, key: str, level: float, now: float) -> None:
        self._levels[key] = level, now
        self._levels.move_to_end(key)
        if len(self._levels) > MOST_BUCKETS:
            self._levels.popitem(last=False)
