"""Report: figures put together to rows, by client, queue, agent, day and interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum

from callcenter.ledger import intervals
from callcenter.ledger.definitions import NEWEST, REGISTRY, Registry
from callcenter.ledger.figures import Figures
from callcenter.ledger.metrics import Group, Versions


class By(StrEnum):
    """What a row is of; more than one may be named."""

    CLIENT = "client"
    QUEUE = "queue"
    AGENT = "agent"
    DAY = "day"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class Entry:
    """Figures of a quarter of an hour, and what they are of, in whose time zone.

    ``client`` and ``queue`` are empty for an agent's time, ``agent`` for what is of a queue. ``direct``: of visits that
    asked for one agent alone, behind no queue.
    """

    figures: Figures
    quarter: int
    zone: tzinfo
    client: str = ""
    queue: str = ""
    agent: str = ""
    direct: bool = False
    threshold_ms: int = 0
    versions: Versions = field(default_factory=lambda: NEWEST)


Key = tuple[str, ...]


@dataclass(slots=True)
class Row:
    """A row: what it is of, by the names of what was asked for, and its figures."""

    names: Key
    group: Group

    @property
    def figures(self) -> Figures:
        """All figures together: reasons and counts that no metric tells."""
        return self.group.figures


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for. Days are those of each client's own time zone; ``minutes`` is the length of an interval."""

    first: date
    last: date
    by: tuple[By, ...]
    minutes: int = 30
    client: str = ""
    queue: str = ""
    agent: str = ""

    @property
    def of_agents(self) -> bool:
        """Whether the rows are of agents: then what is of queues alone has no part in them."""
        return By.AGENT in self.by or bool(self.agent)

    @property
    def of_time(self) -> bool:
        """Whether it tells the agents' time, which is of all clients and queues at once."""
        return self.of_agents and not ({By.CLIENT, By.QUEUE} & set(self.by) or self.queue)

    def wants(self, entry: Entry) -> bool:
        """Whether an entry has a part in the answer."""
        if not self.first <= intervals.day_of(entry.quarter, entry.zone) <= self.last:
            return False
        of_time = bool(entry.agent) and not entry.client and not entry.queue and not entry.direct
        if self.of_agents:
            if not entry.agent or (self.agent and entry.agent != self.agent):
                return False
            if of_time:
                return self.of_time
        elif of_time or (entry.direct and By.QUEUE not in self.by) or not entry.client:
            return False
        return (not self.client or entry.client == self.client) and (not self.queue or entry.queue == self.queue)

    def names(self, entry: Entry) -> Key:
        """What the row of an entry is of. Intervals in ISO 8601 with the offset that is in force there."""
        return tuple(self._name(by, entry) for by in self.by)

    def place(self, by: By, entry: Entry) -> str:
        """By what the rows are put in order: intervals by their time, also those of the hour that comes twice."""
        if by is By.INTERVAL:
            return f"{intervals.interval(entry.quarter, entry.zone, self.minutes):012}"
        return self._name(by, entry)

    def _name(self, by: By, entry: Entry) -> str:
        match by:
            case By.CLIENT:
                return entry.client
            case By.QUEUE:
                return entry.queue or "(direct)"
            case By.AGENT:
                return entry.agent
            case By.DAY:
                return intervals.day_of(entry.quarter, entry.zone).isoformat()
            case By.INTERVAL:
                begins = intervals.begin(intervals.interval(entry.quarter, entry.zone, self.minutes))
                return begins.astimezone(entry.zone).isoformat(timespec="minutes")


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: rows in order, and all of them together."""

    question: Question
    rows: tuple[Row, ...]
    total: Row

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not add up, in words; nothing, unless facts were lost."""
        return tuple(f"{', '.join(row.names)}: {gap}" for row in self.rows for gap in row.group.gaps)


def report(question: Question, entries: Iterable[Entry], definitions: Registry = REGISTRY) -> Report:
    """Answer a question from these figures."""
    rows: dict[Key, Row] = {}
    whole = Row(("total", *("",) * (len(question.by) - 1)), Group(definitions))
    for entry in entries:
        if not question.wants(entry):
            continue
        place = tuple(question.place(by, entry) for by in question.by)
        if place not in rows:
            rows[place] = Row(question.names(entry), Group(definitions))
        for row in (rows[place], whole):
            row.group.add(entry.figures, entry.threshold_ms, entry.versions)
    return Report(question, tuple(rows[place] for place in sorted(rows)), whole)


def reasons(figures: Figures) -> Mapping[str, Mapping[str, int]]:
    """What metrics tell as one number, by reason."""
    visits, handling = figures.visits, figures.handling
    return {
        "flowed_out": visits.flowed_out,
        "refused": visits.refused,
        "lost": visits.lost,
        "offers": handling.results,
        "transfers": handling.transfers,
        "callbacks_failed": figures.callbacks.failed,
        "callbacks": figures.callbacks.ended,
        "time": figures.time.parts,
    }
