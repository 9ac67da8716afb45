"""Days: what is kept of a day that is over, so that no later definition, threshold or program changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Any

from callcenter.ledger.figures import AgentTime, Callbacks, Figures, Handling, Sums, Visits
from callcenter.ledger.intervals import day_of, span
from callcenter.ledger.ledger import Cells, Cut, Ledger

# Whose day it is, of agents' time: an agent may serve several clients, so it goes by UTC and belongs to none.
AGENTS = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of a quarter of an hour: of a queue, of an agent at a queue, or of an agent's time.

    ``agent`` is empty for those of the queue, ``queue`` for an agent's time and for who asked for one agent alone.
    ``threshold_ms`` is that of the service level at the time.
    """

    kind: str
    quarter: int
    queue: str
    agent: str
    threshold_ms: int
    figures: Figures


# By kind and agent; what is of the queue stands under no name.
Parts = dict[str, dict[str, Sums]]


@dataclass(frozen=True, slots=True)
class Day:
    """A client's day that is over, as of fact ``seq``, with the versions of the definitions that were in force.

    ``parts`` by quarter and queue, ``thresholds`` of the service level by queue, in milliseconds.
    """

    client: str
    day: date
    zone: str
    seq: int
    versions: Mapping[str, int]
    parts: Mapping[tuple[int, str], Parts] = field(default_factory=dict, repr=False)
    thresholds: Mapping[str, int] = field(default_factory=dict, repr=False)


VISITS = "visits"
HANDLING = "handling"
TIME = "time"
CALLBACKS = "callbacks"


def client_rows(cells: Cells, thresholds: Mapping[str, int], otherwise: int) -> Iterator[tuple[str, Row]]:
    """The cells as rows, each with its client, and agents' time with :data:`AGENTS`.

    ``thresholds`` by queue, in milliseconds, ``otherwise`` where a queue has none.
    """
    for kind, of in ((VISITS, cells.visits), (CALLBACKS, cells.callbacks)):
        for (quarter, client, queue), figures in sorted(of.items(), key=_key):
            yield client, Row(kind, quarter, queue, "", thresholds.get(queue, otherwise), figures)
    for (quarter, client, queue, agent), figures in sorted(cells.handling.items(), key=_key):
        yield client, Row(HANDLING, quarter, queue, agent, thresholds.get(queue, otherwise), figures)
    for (quarter, agent), figures in sorted(cells.time.items(), key=_key):
        yield AGENTS, Row(TIME, quarter, "", agent, otherwise, figures)


def _key(item: tuple[Any, Figures]) -> Any:
    return item[0]


def parts_of(cut: Cut) -> dict[tuple[int, str], Parts]:
    """What was taken out, by quarter and queue; agents' time stands at no queue."""
    found: dict[tuple[int, str], Parts] = {}
    for (quarter, _, queue), visits in cut.visits.items():
        found.setdefault((quarter, queue), {}).setdefault(VISITS, {})[""] = visits
    for (quarter, _, queue), callbacks in cut.callbacks.items():
        found.setdefault((quarter, queue), {}).setdefault(CALLBACKS, {})[""] = callbacks
    for (quarter, _, queue, agent), handling in cut.handling.items():
        found.setdefault((quarter, queue), {}).setdefault(HANDLING, {})[agent] = handling
    for (quarter, agent), time in cut.time.items():
        found.setdefault((quarter, ""), {}).setdefault(TIME, {})[agent] = time
    return found


def figures_of(kind: str, values: Mapping[str, Any]) -> Figures:
    """The figures of a part, from its JSON values. Raises KeyError for a kind that is none of ours."""
    match kind:
        case "visits":
            return Figures(visits=Visits.of(values))
        case "handling":
            return Figures(handling=Handling.of(values))
        case "time":
            return Figures(time=AgentTime.of(values))
        case "callbacks":
            return Figures(callbacks=Callbacks.of(values))
        case _:
            raise KeyError(kind)


def over(ledger: Ledger, zone_of: Callable[[str], tzinfo], now: int) -> list[tuple[str, date]]:
    """Clients and their days, before that of quarter ``now``, of which everything is over; the oldest first.

    ``zone_of`` tells a client's time zone, and that of :data:`AGENTS`.
    """
    quarters: dict[str, set[int]] = {AGENTS: {quarter for quarter, _ in ledger.time}}
    for keys in (ledger.visits, ledger.handling, ledger.callbacks):
        for key in keys:
            quarters.setdefault(key[1], set()).add(key[0])
    oldest, found = ledger.oldest_open, set()
    for client, begun in quarters.items():
        zone = zone_of(client)
        until = day_of(min(now, oldest.get(client, now)), zone)
        found |= {(day, client) for quarter in begun if (day := day_of(quarter, zone)) < until}
    return [(client, day) for day, client in sorted(found)]


def forget(ledger: Ledger, client: str, day: date, zone: tzinfo) -> dict[tuple[int, str], Parts]:
    """Take a client's day, or with :data:`AGENTS` one of agents' time, out of the ledger: by quarter and queue."""
    begins, ends = span(day, day, zone)
    cut = ledger.take_out(client, begins, ends)
    if client == AGENTS:
        cut.time = ledger.take_out_time(begins, ends)
    return parts_of(cut)
