"""Spread: how values are spread: a histogram that only grows, as every layer may count one."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any


class Spread:
    """How values are spread: how many up to each bound, how many at all, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def plain(self) -> dict[str, Any]:
        """As plain values; ``up_to`` counts all up to each bound."""
        up_to, so_far = [], 0
        for bound, count in zip(self._bounds, self._counts, strict=False):
            so_far += count
            up_to.append([bound, so_far])
        return {"count": sum(self._counts), "sum": round(self._sum, 6), "up_to": up_to}
