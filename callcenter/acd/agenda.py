"""Agenda: what is due when, one time for each thing, in whole milliseconds."""

from __future__ import annotations

from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import TypeAlias


class Due(IntEnum):
    """What can be due, in the order in which things of one millisecond happen."""

    OFFER = 0
    PREFERENCE = 1
    STEP = 2
    VISIT = 3
    AGENT = 4
    BREAK = 5


Entry: TypeAlias = tuple[int, Due, str]

# So many entries that were moved or struck out may stay in the heap beside as many as those that count.
SPARE = 64


class Agenda:
    """A heap of (when, what, whose). Of each (what, whose) the time noted last counts; others in the heap are stale.

    A sorted list would be simpler, and with 100,000 callers who wait each entry would shift half a megabyte.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._when: dict[tuple[Due, str], int] = {}

    @property
    def first(self) -> int | None:
        """When the next thing is due."""
        entries, when = self._entries, self._when
        while entries and when.get(entries[0][1:]) != entries[0][0]:
            heappop(entries)
        return entries[0][0] if entries else None

    def set(self, what: Due, whose: str, when: int | None) -> None:
        """Note, move or (None) strike out when something is due."""
        key = (what, whose)
        if self._when.get(key) == when:
            return
        if when is None:
            del self._when[key]
        else:
            self._when[key] = when
            heappush(self._entries, (when, what, whose))
        if len(self._entries) > 2 * len(self._when) + SPARE:
            self._entries = [(time, *each) for each, time in self._when.items()]
            heapify(self._entries)

    def take(self, now: int) -> Entry | None:
        """The next entry that is due by ``now``, struck out; None when there is none."""
        due = self.first
        if due is None or due > now:
            return None
        entry = heappop(self._entries)
        del self._when[entry[1:]]
        return entry
