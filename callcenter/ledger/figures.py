"""Figures: what is counted and summed, whole numbers only; any two of a kind add up to a third."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

Count = dict[str, int]

_NAMES: dict[type, tuple[str, ...]] = {}


@dataclass(slots=True)
class Sums:
    """Numbers add up, counts by name add up name by name, lists stay sorted."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of what is counted."""
        if cls not in _NAMES:
            _NAMES[cls] = tuple(item.name for item in dataclasses.fields(cls))
        return _NAMES[cls]

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """All of them together."""
        found = cls()
        for each in parts:
            for name in cls.names():
                value = getattr(each, name)
                if not value:
                    continue
                mine = getattr(found, name)
                if isinstance(value, int):
                    setattr(found, name, mine + value)
                elif isinstance(value, list):
                    mine += value
                else:
                    for word, count in value.items():
                        mine[word] = mine.get(word, 0) + count
        for name in cls.names():
            if isinstance(values := getattr(found, name), list):
                # Runs that are sorted already are merged, not sorted anew.
                values.sort()
        return found

    def plain(self) -> dict[str, Any]:
        """As JSON values, without what is nothing; copies: what is counted on changes nothing of them."""
        found: dict[str, Any] = {}
        for name in self.names():
            if value := getattr(self, name):
                found[name] = value if isinstance(value, int) else value.copy()
        return found

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """What :meth:`plain` gave. Names that are not known are passed over."""
        values = {name: plain[name] for name in cls.names() if name in plain}
        return cls(**{name: each if isinstance(each, int) else each.copy() for name, each in values.items()})


@dataclass(slots=True)
class Visits(Sums):
    """The visits that began in one interval, at one queue.

    ``flowed_out``, ``refused`` and ``lost`` by reason. ``waits`` are those of the answered, ``given_up`` those of all
    who abandoned, short or not, ``moved_on`` those of who flowed out; in milliseconds, sorted. ``told`` are estimates
    of the wait that were announced to callers who were answered in the end, ``told_off`` the sum of what they were too
    long by (too short: negative), ``told_away`` of how far they were off either way, ``told_well`` those within 30 %,
    by the middle of what was told; ``told_right``: the wait was within what was told, from the one end to the other.
    """

    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    short_abandoned: int = 0
    flowed_out: Count = field(default_factory=dict)
    refused: Count = field(default_factory=dict)
    lost: Count = field(default_factory=dict)
    waits: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    moved_on: list[int] = field(default_factory=list)
    told: int = 0
    told_off: int = 0
    told_away: int = 0
    told_well: int = 0
    told_right: int = 0

    @property
    def ended(self) -> int:
        """Visits that have an outcome."""
        lists = (self.flowed_out, self.refused, self.lost)
        left = sum(sum(reasons.values()) for reasons in lists)
        return self.answered + self.abandoned + self.short_abandoned + left


@dataclass(slots=True)
class Handling(Sums):
    """What agents were offered and did for the callers of one queue; all of it belongs to the interval of arrival.

    ``results``: how offers ended. ``rang`` phones rang, ``ring_ms`` together. ``handled`` legs are over, with their
    wrap-up. ``transfers`` by kind and target (``blind to queue``).
    """

    offers: int = 0
    results: Count = field(default_factory=dict)
    rang: int = 0
    ring_ms: int = 0
    handled: int = 0
    talk_ms: int = 0
    hold_ms: int = 0
    wrap_up_ms: int = 0
    transfers: Count = field(default_factory=dict)
    transfers_failed: int = 0


@dataclass(slots=True)
class AgentTime(Sums):
    """How an agent's signed-in time passed, in milliseconds; it belongs to the interval that it passed in.

    ``parts`` by :func:`callcenter.ledger.agent_time.part_of`. ``signed_in`` is measured apart, from signing in to
    signing out, so that it proves the parts.
    """

    signed_in: int = 0
    parts: Count = field(default_factory=dict)


@dataclass(slots=True)
class Callbacks(Sums):
    """Callbacks of a queue, each thing in the interval in which it happened: they outlive days.

    ``turns`` are times that one stood in line, ``turns_over`` how these ended: no visits of callers. ``failed``
    attempts by cause, ``ended`` callbacks by outcome. ``waits`` are those of who was reached, from the promise to the
    pick-up, in milliseconds of the wall's clock, sorted: they waited without a phone in the hand.
    """

    requested: int = 0
    turns: int = 0
    turns_over: Count = field(default_factory=dict)
    attempted: int = 0
    failed: Count = field(default_factory=dict)
    ended: Count = field(default_factory=dict)
    waits: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Contacts(Sums):
    """First contacts that were answered and whose time to come back is over, and those who did not come back."""

    first: int = 0
    resolved: int = 0


@dataclass(slots=True)
class Figures:
    """All figures of one row of a report.

    ``waiting``: how long those have waited so far, in milliseconds, who are still waiting; ``pending`` offers are
    under way, ``in_line`` are callbacks whose turn has not come.
    """

    visits: Visits = field(default_factory=Visits)
    handling: Handling = field(default_factory=Handling)
    time: AgentTime = field(default_factory=AgentTime)
    callbacks: Callbacks = field(default_factory=Callbacks)
    contacts: Contacts = field(default_factory=Contacts)
    waiting: list[int] = field(default_factory=list)
    pending: int = 0
    in_line: int = 0

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not add up, in words; nothing, if all is well."""
        visits, handling, time = self.visits, self.handling, self.time
        found = []
        if visits.offered != visits.ended + len(self.waiting):
            found.append(f"{visits.offered} offered, {visits.ended} ended and {len(self.waiting)} waiting")
        if handling.offers != sum(handling.results.values()) + self.pending:
            found.append(f"{handling.offers} offers, {handling.results} and {self.pending} pending")
        if (turns := self.callbacks).turns != sum(turns.turns_over.values()) + self.in_line:
            found.append(f"{turns.turns} turns of callbacks, {turns.turns_over} and {self.in_line} in line")
        if time.signed_in != sum(time.parts.values()):
            found.append(f"signed in for {time.signed_in} ms, of which {time.parts} tell")
        lists = ((visits.answered, visits.waits), (visits.abandoned + visits.short_abandoned, visits.given_up),
                 (sum(visits.flowed_out.values()), visits.moved_on))  # fmt: skip
        found += [f"{count} visits, {len(waits)} waits" for count, waits in lists if count != len(waits)]
        return tuple(found)


def total(figures: Iterable[Figures]) -> Figures:
    """All of them together. What one list would be merged into again and again is sorted once."""
    every = list(figures)
    return Figures(
        visits=Visits.total(each.visits for each in every),
        handling=Handling.total(each.handling for each in every),
        time=AgentTime.total(each.time for each in every),
        callbacks=Callbacks.total(each.callbacks for each in every),
        contacts=Contacts.total(each.contacts for each in every),
        waiting=sorted(itertools.chain.from_iterable(each.waiting for each in every)),
        pending=sum(each.pending for each in every),
        in_line=sum(each.in_line for each in every),
    )
