"""The tree of a configuration: every value and every key with its place in a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from callcenter.config.problems import Place

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


@dataclass(slots=True)
class Entry:
    """A key with its value; ``place`` is the key's."""

    place: Place
    node: Node


@dataclass(slots=True)
class Node:
    """A value with its place. A mapping keeps its keys as they are written, numbers too."""

    place: Place
    value: bool | int | float | str | list[Node] | dict[str, Entry] | None

    def plain(self) -> Plain:
        """The value without places."""
        match self.value:
            case dict():
                return {key: entry.node.plain() for key, entry in self.value.items()}
            case list():
                return [item.plain() for item in self.value]
            case _:
                return self.value

    def child(self, step: str | int) -> Entry | None:
        """What stands under a key or an index."""
        match self.value, step:
            case dict(), str():
                return self.value.get(step)
            case list(), int() if 0 <= step < len(self.value):
                return Entry(self.value[step].place, self.value[step])
            case _:
                return None

    def existing(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """The steps of a path that stand in the source: short forms leave some of them out."""
        node, steps = self, []
        for step in path:
            entry = node.child(step)
            if entry is not None:
                steps.append(step)
                node = entry.node
        return tuple(steps)

    def place_of(self, path: Sequence[str | int], *, key: bool = False) -> Place:
        """The place of the value at ``path`` (of its key with ``key``), or of what is nearest to it."""
        node, place = self, self.place
        steps = self.existing(path)
        for number, step in enumerate(steps, 1):
            entry = node.child(step)
            assert entry is not None
            # What is spread over lines is best pointed at by its key.
            by_key = entry.node.place.line > entry.place.line or (key and number == len(steps))
            place = entry.place if by_key else entry.node.place
            node = entry.node
        return place
