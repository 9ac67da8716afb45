"""Agenda: what is due when, one time for each thing, in whole milliseconds."""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import IntEnum
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


class Agenda:
    """A sorted list of (when, what, whose); nothing stale stays in it."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._when: dict[tuple[Due, str], int] = {}

    @property
    def first(self) -> int | None:
        """When the next thing is due."""
        return self._entries[0][0] if self._entries else None

    def set(self, what: Due, whose: str, when: int | None) -> None:
        """Note, move or (None) strike out when something is due."""
        key = (what, whose)
        noted = self._when.get(key)
        if noted == when:
            return
        if noted is not None:
            del self._entries[bisect_left(self._entries, (noted, what, whose))]
            del self._when[key]
        if when is not None:
            insort(self._entries, (when, what, whose))
            self._when[key] = when

    def take(self, now: int) -> Entry | None:
        """The next entry that is due by ``now``, struck out; None when there is none."""
        if not self._entries or self._entries[0][0] > now:
            return None
        entry = self._entries.pop(0)
        del self._when[entry[1:]]
        return entry
