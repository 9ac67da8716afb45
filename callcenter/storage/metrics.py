"""Metrics: published days and where the fold stood, written by the log's writer; and the log as the fold reads it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from callcenter.ledger.days import Day, Parts, figures_of, forget
from callcenter.ledger.days import Row as DayRow
from callcenter.ledger.definitions import ANSWERED_WITHIN_MS
from callcenter.ledger.ledger import CELLS, FOLD, Ledger, kinds
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Row, Statement, StorageError
from callcenter.storage.log import FactLog, fact_of

# Facts that are read at once: some ten milliseconds of work.
BATCH = 500
# Cells that are made ready to be kept at once: a millisecond of work.
SLICE = 100


class Metrics:
    """What the live ledger keeps over a restart."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    @property
    def well(self) -> bool:
        """Whether what is kept now will soon be in the database."""
        return self._log.healthy and self._log.waiting < BATCH

    @property
    def last_seq(self) -> int:
        """The last committed fact."""
        return self._log.last_seq

    async def state(self) -> tuple[int, Ledger | None]:
        """The fact that the fold stood at when the last day was published, and the fold; None: by another program.

        Raises StorageError.
        """
        rows = await self._database.fetch_all(_STATE)
        return _state(rows)

    async def forget_published(self, ledger: Ledger) -> None:
        """Have the ledger forget every day that was published. Raises StorageError."""
        forget_published(ledger, await self._database.fetch_all(_DAYS))

    async def read(self, ledger: Ledger, after: int, until: int) -> int:
        """Have the ledger take the next facts behind ``after``, at most a batch; the last one's number, or ``after``.

        Raises StorageError.
        """
        rows = await self._database.fetch_all(_FACTS, (after, until, BATCH))
        return take(ledger, rows) or after

    async def publish(self, days: Sequence[Day], ledger: Ledger, seq: int) -> None:
        """Keep these days for good, and where the fold stands without them, as of fact ``seq``.

        Piece by piece, so that others have their turn; the ledger must not change meanwhile.
        """
        statements: list[Statement] = []
        for each in days:
            name = (each.client, each.day.isoformat(), each.seq)
            statements.append((_DAY, (*name, each.zone, json_text(dict(each.versions)))))
            for (quarter, queue), parts in each.parts.items():
                threshold = each.thresholds.get(queue, ANSWERED_WITHIN_MS)
                statements.append((_ROW, (*name, quarter, queue, threshold, json_text(_plain(parts)))))
                await asyncio.sleep(0)
        cells: dict[str, list[str]] = {name: [] for name in CELLS}
        for number, (kind, cell) in enumerate(ledger.plain_cells()):
            cells[kind].append(json_text(cell))
            if not number % SLICE:
                await asyncio.sleep(0)
        lists = (f'"{kind}":[{",".join(told)}]' for kind, told in cells.items())
        state = ",".join((json_text(ledger.plain_rest())[:-1], *lists)) + "}"
        self._log.put(*statements, (_KEEP, (seq, FOLD, state)))


class MetricsFile:
    """The same from the file, to be read beside a running switch or without one. Every method raises StorageError."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StorageError(f"there is no database {path}: no switch has run with this data folder yet")
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
            self._connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise StorageError(f"the database {path}: {error}") from error
        self._path = path

    def close(self) -> None:
        """Close. May be called twice."""
        self._connection.close()

    def begin(self) -> None:
        """All that is read from now on is of one moment."""
        self._rows("BEGIN")
        try:
            self._rows("SELECT 1 FROM metric_days LIMIT 1")
        except StorageError as error:
            raise StorageError(f"the database {self._path} is of an older version: start the switch once") from error

    def ledger(self) -> Ledger:
        """The fold of all that is in the log, without the published days."""
        after, ledger = _state(self._rows(_STATE))
        if ledger is None:
            ledger = Ledger()
            self._fold(ledger, 0, after)
            forget_published(ledger, self._rows(_DAYS))
        (last,) = self._rows("SELECT COALESCE(MAX(seq), 0) FROM facts")[0]
        self._fold(ledger, after, last)
        return ledger

    def _fold(self, ledger: Ledger, after: int, until: int) -> None:
        while after < until:
            after = take(ledger, self._rows(_FACTS, (after, until, BATCH))) or until

    def rows(self, first: int, behind: int) -> Iterator[tuple[Day, DayRow]]:
        """The published rows of these quarters, each with its day (without the others)."""
        heads: dict[tuple[str, str, int], Day] = {}
        for client, day, seq, zone, versions in self._rows("SELECT client, day, seq, zone, versions FROM metric_days"):
            heads[client, day, seq] = Day(client, date.fromisoformat(day), zone, seq, from_json(versions))
        found = self._rows(
            "SELECT client, day, seq, quarter, queue, threshold_ms, figures FROM metric_rows"
            " WHERE quarter >= ? AND quarter < ?",
            (first, behind),
        )
        for client, day, seq, quarter, queue, threshold, figures in found:
            for kind, by_agent in from_json(figures).items():
                for agent, values in by_agent.items():
                    row = DayRow(kind, quarter, queue, agent, threshold, figures_of(kind, values))
                    yield heads[client, day, seq], row

    def contacts(self, first: str, behind: str) -> Iterable[tuple[Any, ...]]:
        """Calls that came in, by their arrival (UTC, as written): what first-contact resolution is made of.

        Each with the disposition that was said by the end of its wrap-up: figures of a day that is over do not change
        when somebody corrects it. The corrections are counted beside (:meth:`corrected`).
        """
        return self._rows(_CONTACTS, (first, behind))

    def corrected(self, client: str, first: str, behind: str) -> Iterable[tuple[str, int]]:
        """By queue: how many dispositions of a client's calls that arrived then (UTC, as written) were corrected."""
        return [(queue, count) for queue, count in self._rows(_CORRECTED, (client, first, behind))]

    def _rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the database {self._path}: {error}") from error


def _plain(parts: Parts) -> dict[str, dict[str, Any]]:
    return {kind: {agent: part.plain() for agent, part in by_agent.items()} for kind, by_agent in parts.items()}


def take(ledger: Ledger, rows: Iterable[Row]) -> int:
    """Have the ledger take these facts of the log; the number of the last one, 0 when there was none."""
    last = 0
    for row in rows:
        last = row[0]
        if row[6] is None:
            ledger.pass_by(row[2], row[3])
        else:
            ledger.take(fact_of(row))
    return last


def forget_published(ledger: Ledger, days: Iterable[Row]) -> None:
    """Have the ledger forget these days (client, day, zone)."""
    for client, day, zone in days:
        forget(ledger, client, date.fromisoformat(day), ZoneInfo(zone))


def _state(rows: Sequence[Row]) -> tuple[int, Ledger | None]:
    if not rows:
        return 0, Ledger()
    seq, version, state = rows[0]
    return seq, Ledger.of(from_json(state)) if version == FOLD else None


_COUNTED = ", ".join(f"'{kind}'" for kind in sorted(kinds()))
# What nothing is counted of is not even read: only that its boot lived.
_FACTS = (
    f"SELECT seq, at, boot, ms, call_id, kind, CASE WHEN kind IN ({_COUNTED}) THEN body END"
    " FROM facts WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)
_DAYS = "SELECT DISTINCT client, day, zone FROM metric_days"
_STATE = "SELECT seq, version, state FROM metric_state WHERE name = 'ledger'"
_KEEP = (
    "INSERT INTO metric_state (name, seq, version, state) VALUES ('ledger', ?, ?, ?) ON CONFLICT (name)"
    " DO UPDATE SET seq = excluded.seq, version = excluded.version, state = excluded.state"
)
_DAY = (
    "INSERT INTO metric_days (client, day, seq, zone, versions) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (client, day, seq) DO NOTHING"
)
_ROW = (
    "INSERT INTO metric_rows (client, day, seq, quarter, queue, threshold_ms, figures)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client, day, seq, quarter, queue) DO NOTHING"
)
# What was said by the end of the wrap-up: what the first correction of it found.
_FIRST_SAID = (
    "(SELECT json_extract(value, '$.before') FROM json_each(record, '$.corrections')"
    " WHERE json_extract(value, '$.what') = 'disposition'"
    " AND json_extract(value, '$.offer') = json_extract(record, '$.legs[#-1].offer') ORDER BY key LIMIT 1)"
)
_CONTACTS = (
    "SELECT client, CASE WHEN customer_id <> '' THEN 'customer ' || customer_id ELSE from_number END, arrived_at,"
    f" intent, COALESCE({_FIRST_SAID}, json_extract(record, '$.legs[#-1].disposition'), ''), outcome = 'handled', queue"
    " FROM interactions WHERE direction = 'inbound' AND arrived_at >= ? AND arrived_at < ? ORDER BY arrived_at, call_id"
)
# The text is looked through first: most records have none, and reading one as JSON takes longer.
_CORRECTED = (
    "SELECT queue, COUNT(*) FROM interactions, json_each(interactions.record, '$.corrections') AS correction"
    " WHERE client = ? AND arrived_at >= ? AND arrived_at < ? AND record LIKE '%\"corrections\":[{%'"
    " AND json_extract(correction.value, '$.what') = 'disposition' GROUP BY queue ORDER BY queue"
)
