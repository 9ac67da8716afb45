"""Metrics: what figures come to by the definitions, also over queues and days that have them otherwise."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from callcenter.ledger.definitions import (
    ANSWERED_WITHIN_MS,
    NEWEST,
    REGISTRY,
    Definition,
    Registry,
    Value,
    percentile,
)
from callcenter.ledger.figures import Figures, total

Versions = Mapping[str, int]


@dataclass(slots=True)
class Group:
    """One row of a report: figures, apart by the threshold and the versions of definitions that hold for them.

    What is divided and what it is divided by are added up, each by its own threshold and version, and divided then:
    a total of queues with other thresholds, or of days before and behind a change of a definition, is a true one.
    """

    definitions: Registry = field(default_factory=lambda: REGISTRY)
    _added: dict[tuple[int, tuple[tuple[str, int], ...]], list[Figures]] = field(default_factory=dict)
    _pieces: dict[tuple[int, tuple[tuple[str, int], ...]], Figures] = field(default_factory=dict)

    def add(self, figures: Figures, threshold_ms: int = ANSWERED_WITHIN_MS, versions: Versions = NEWEST) -> None:
        """Take these figures in."""
        self._added.setdefault((threshold_ms, tuple(versions.items())), []).append(figures)
        self._pieces.clear()

    @property
    def pieces(self) -> Mapping[tuple[int, tuple[tuple[str, int], ...]], Figures]:
        """The figures by threshold and versions."""
        if not self._pieces:
            self._pieces = {key: total(figures) for key, figures in self._added.items()}
        return self._pieces

    @property
    def figures(self) -> Figures:
        """All figures together."""
        return total(self.pieces.values())

    def value(self, name: str) -> Value:
        """A metric. None where there is nothing to divide by, or where no definition of that name was in force."""
        part = whole = 0
        ranked: list[list[int]] = []
        definition: Definition | None = None
        for (threshold, versions), figures in self.pieces.items():
            definition = self.definitions.get((name, dict(versions).get(name, 0)))
            if definition is None:
                continue
            if definition.parts is None:
                ranked.append(figures.visits.waits)
            else:
                one, other = definition.parts(figures, threshold)
                part, whole = part + one, whole + other
        if definition is None:
            return None
        if definition.parts is None:
            return percentile(list(heapq.merge(*ranked)), definition.rank)
        return definition.finish(part, whole)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The thresholds that hold in it, in milliseconds."""
        return tuple(sorted({threshold for threshold, _ in self.pieces}))

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not add up, in words."""
        return tuple(gap for figures in self.pieces.values() for gap in figures.gaps)


def value(name: str, figures: Figures, threshold_ms: int = ANSWERED_WITHIN_MS) -> Value:
    """A metric of these figures by the newest definition. Raises KeyError for none of ours."""
    definition = REGISTRY[name, NEWEST[name]]
    if definition.parts is None:
        return percentile(figures.visits.waits, definition.rank)
    return definition.finish(*definition.parts(figures, threshold_ms))
