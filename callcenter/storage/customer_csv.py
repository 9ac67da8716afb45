"""Customers as CSV: imported row by row in small transactions beside the switch, and exported so that it comes back."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import hashlib
import io
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from callcenter.model.customer import NO_RULES, WORDS, Customer, Rules
from callcenter.model.customer_fields import BadField, text_of
from callcenter.model.customer_form import SEPARATORS, filled, noted, read_customer
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.customer_rows import (
    ACCOUNTS,
    BLOCK,
    COLUMNS,
    NUMBERS,
    ImportRow,
    RejectedRow,
    escaped,
    opened,
    read_rows,
)
from callcenter.storage.customers import MAX_ROWS, SELECT, customer_of, write_all
from callcenter.storage.database import Database, Row, Statement, StorageError, Writing

# What is kept of the lines that are no customers; all of them are told as they are found.
MAX_REJECTED_TOLD = 100
# Rows that are looked at together, and the most that one transaction writes: the switch's own writer waits for no
# longer than these take (some milliseconds).
CHUNK = 100


class Mode(StrEnum):
    """What becomes of a customer who is there already.

    ``REPLACE``: what the file says of them stands for what was there; what it has no column for stays. ``FILL``: only
    what was empty is filled, numbers and accounts are added. ``ADD``: they stay as they are.
    """

    REPLACE = "replace"
    FILL = "fill"
    ADD = "add"


@dataclass(slots=True)
class ImportReport:
    """What an import did, or with ``dry`` would do. ``rejected`` names the first hundred lines; ``refused`` counts all.

    ``clients``: how many rows of each were added or changed. ``passed_over`` are columns that mean nothing.
    ``on_rejected`` is told of every line. Of an id that stands in a file twice, far apart, and differently, a dry run
    takes the second row for a change, whatever there would be left to fill.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)
    dry: bool = False
    clients: dict[str, int] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)
    on_rejected: Callable[[RejectedRow], None] | None = None

    def reject(self, row: RejectedRow) -> None:
        """Note a line that is no customer."""
        self.refused += 1
        if len(self.rejected) < MAX_REJECTED_TOLD:
            self.rejected.append(row)
        if self.on_rejected is not None:
            self.on_rejected(row)

    @property
    def rows(self) -> int:
        """Rows that were read so far, the title not among them."""
        return self.added + self.changed + self.unchanged + self.refused

    def plain(self) -> dict[str, object]:
        """As plain JSON values."""
        counts = {name: getattr(self, name) for name in ("added", "changed", "unchanged", "refused", "dry")}
        rejected = [{"line": each.line, "why": each.why} for each in self.rejected]
        return {**counts, "rejected": rejected, "passed_over": self.passed_over}

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed, {self.unchanged} as before, {self.refused} rejected"


class CustomerFiles:
    """CSV files of customers, to and from a database. It need not be the switch's own: a program beside it does."""

    def __init__(self, database: Database, clients: Mapping[str, Rules] | None = None) -> None:
        """``clients`` are those that there are, and how they keep customers; None: whoever is named."""
        self._database = database
        self._clients = clients

    async def import_csv(
        self,
        source: Path | str,
        now: datetime,
        *,
        name: str = "",
        mode: Mode = Mode.REPLACE,
        dry: bool = False,
        rest: float = 0.0,
        report: ImportReport | None = None,
        encoding: str = "",
    ) -> ImportReport:
        """Import a file (a Path) or its text (a str, called ``name`` in the report), by id.

        The first line names the columns: ``client``, ``name`` and ``numbers`` (or ``number``) have to be there (the
        client need not where there is one alone); ``id``, ``accounts`` (or ``account``), ``tier``, ``language``,
        ``since``, ``notes``, ``agent`` and the client's own fields may be; others are passed over, and told. Several
        numbers or accounts are separated by a semicolon or a bar. Comma, semicolon and tab are understood as separators
        of columns. A row without ``id`` is known by its first account, else by its first number: one that says
        something else of it than a line before is somebody else, and left out. The id of a record that became one with
        another means that one, and adds what is missing there. A row that is no customer is told in the report, and the
        others are taken.

        The file is read as it is imported; ``encoding`` is what it is written in when it is neither UTF-8 nor, by its
        first octets, UTF-16. After each transaction nothing is written for ``rest`` times as long as it
        took: the switch writes then. An import that was cut short is done again from the beginning: what is there
        already is only looked at. Raises StorageError when the file cannot be read or the database not be written.
        """
        file = name or (str(source) if isinstance(source, Path) else "text")
        report = report or ImportReport()
        report.dry = dry
        seen = _Seen()
        with opened(source, encoding) as lines:
            if not dry:
                # Whatever is imported now, the file that is imported at every start has its word at the next one.
                await self._database.execute("DELETE FROM imports")
            rows = read_rows(lines, file, self._clients, report.passed_over.extend)
            while chunk := list(itertools.islice(rows, CHUNK)):
                news = await self._news(chunk, file, report, mode, seen)
                if news and not dry:
                    took = time.perf_counter()
                    await self._database.write(partial(self._write, news, now, mode))
                    # Nobody else gets to write while this does: they do in what follows.
                    await asyncio.sleep((time.perf_counter() - took) * rest)
        return report

    async def import_changed(self, path: Path, now: datetime) -> ImportReport | None:
        """Import a file as :meth:`import_csv` does; None, and nothing is done, when it was imported last and whole.

        Raises StorageError as that does.
        """
        digest = hashlib.sha256(repr((sorted(self._clients or {}), sorted(self._columns()))).encode())
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        params = (str(path), digest.hexdigest())
        if await self._database.fetch_all("SELECT 1 FROM imports WHERE file = ? AND digest = ?", params):
            return None
        report = await self.import_csv(path, now)
        if not report.refused:
            # What was left out is told at every start, until it is mended.
            await self._database.execute("INSERT INTO imports (file, digest) VALUES (?, ?)", params)
        return report

    async def export(self, clients: Sequence[str]) -> AsyncIterator[str]:
        """All customers of these clients as CSV, some hundred rows at a time, which an import reads back to the same.

        Raises StorageError.
        """
        own = self._columns(clients)
        yield _csv([[*COLUMNS, *own]])
        for client in clients:
            after = ""
            while True:
                rows = await self._database.fetch_all(
                    f"{SELECT} WHERE c.client = ? AND c.id > ? ORDER BY c.id LIMIT ?", (client, after, MAX_ROWS)
                )
                if not rows:
                    break
                found = [customer_of(row) for row in rows]
                after = found[-1].id
                yield _csv([_exported(each, own) for each in found])

    def _columns(self, clients: Sequence[str] | None = None) -> list[str]:
        """The columns of fields that the clients have declared, each once."""
        declared = [self._clients.get(each, NO_RULES) for each in clients or self._clients] if self._clients else []
        return list(dict.fromkeys(name for rules in declared for name in rules.fields.rules))

    def _rules(self, client: str) -> Rules:
        return (self._clients or {}).get(client, NO_RULES)

    async def _news(
        self,
        chunk: Sequence[ImportRow | RejectedRow],
        file: str,
        report: ImportReport,
        mode: Mode,
        seen: _Seen,
    ) -> list[ImportRow]:
        """The rows that say something new, counted; what is there already needs no transaction."""
        there = {}
        for client, ids in _by_client([row for row in chunk if isinstance(row, ImportRow)]).items():
            answers = [await self._database.fetch_all(*question) for question in _questions(client, ids)]
            there[client] = _There.of(answers)
        news = []
        for row in chunk:
            if isinstance(row, RejectedRow):
                report.reject(row)
                continue
            known = there[row.client]
            before, earlier = known.customer(row.id), None
            try:
                if row.id in known.erased:
                    raise BadField("id", f"{row.id} was erased on request; take the row out of the file")
                after = self._changed(row, known, mode)
                if report.dry or row.derived:
                    earlier = seen.earlier(row, self._rules(row.client))
                if earlier is not None and row.derived and not earlier.same:
                    by = ACCOUNTS if row.written.get(ACCOUNTS) else NUMBERS
                    raise BadField(by, f"line {earlier.line} has it too; write them as one, or give each an id")
            except BadField as error:
                report.reject(RejectedRow(file, row.line, str(error)))
                continue
            if (before is not None and after == before) or (earlier is not None and (earlier.same or mode is Mode.ADD)):
                report.unchanged += 1
                continue
            if before is not None or earlier is not None:
                report.changed += 1
            else:
                report.added += 1
            report.clients[row.client] = report.clients.get(row.client, 0) + 1
            known.customers[after.id] = after
            news.append(row)
        return news

    def _write(self, rows: Sequence[ImportRow], now: datetime, mode: Mode, writing: Writing) -> None:
        """Write rows over what there is in this transaction: others may have changed it since it was looked at."""
        for client, ids in _by_client(rows).items():
            known = _There.of([writing.execute(*question) for question in _questions(client, ids)])
            before, whole = dict(known.customers), {}
            for row in rows:
                if row.client != client or row.id in known.erased:
                    continue
                try:
                    after = self._changed(row, known, mode)
                except BadField:
                    continue  # somebody has changed the customer since, so that the row does not fit any more
                if after == known.customers.get(after.id):
                    continue
                revision = before[after.id].revision + 1 if after.id in before else 1
                whole[after.id] = known.customers[after.id] = dataclasses.replace(after, revision=revision)
            write_all(writing, whole.values(), before, now)

    def _changed(self, row: ImportRow, known: _There, mode: Mode) -> Customer:
        """What the row makes of whom there is. Raises BadField."""
        rules, written, before = self._rules(row.client), row.written, known.customer(row.id)
        if before is None:
            return read_customer(row.client, row.id, written, rules)
        if mode is Mode.ADD:
            return before
        if mode is Mode.FILL or before.id != row.id:
            written = filled(before, written, rules)
        gained = known.gained.get(before.id)
        if gained is None:
            return read_customer(row.client, before.id, written, rules, before)
        # What others who became one with them had is theirs, and the file that does not know does not take it away.
        after = read_customer(row.client, before.id, _said(written), rules, before)
        numbers = (*after.numbers, *(each for each in before.numbers if each in gained))
        accounts = (*after.accounts, *(each for each in before.accounts if each in gained))
        first, *further = dict.fromkeys(accounts) or ("",)
        return dataclasses.replace(
            after, numbers=tuple(dict.fromkeys(numbers)), account=first, further_accounts=tuple(further)
        )


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The row that a customer has in the file already: its line, and whether it says the same."""

    line: int
    same: bool


class _Seen:
    """Whom a file has had so far: two numbers of each, for there may be a million."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    def earlier(self, row: ImportRow, rules: Rules) -> _Earlier | None:
        """The first row of the same customer; None, and this one is, when there is none yet."""
        numbers = row.written.get(NUMBERS)
        spelt = [noted(each, rules) for each in numbers] if isinstance(numbers, list) else []
        said = hash(repr({**row.written, NUMBERS: spelt})) & _SAID
        first = self._rows.setdefault(hash((row.client, row.id)), row.line << _BITS | said)
        return None if first >> _BITS == row.line else _Earlier(first >> _BITS, first & _SAID == said)


# Of the number that is kept of a row these bits are what it says, and those above its line.
_BITS = 40
_SAID = (1 << _BITS) - 1


@dataclass(slots=True)
class _There:
    """Whom some ids mean now: ``into`` where a record became one with another, and what those have ``gained`` by it."""

    erased: frozenset[str]
    into: Mapping[str, str]
    gained: Mapping[str, frozenset[str]]
    customers: dict[str, Customer]

    @classmethod
    def of(cls, answers: Sequence[Sequence[Row]]) -> _There:
        """Of the answers to :func:`_questions`."""
        erased, into, gained, customers = answers
        of_whom: dict[str, set[str]] = {}
        for whom, record in gained:
            plain = from_json(record)
            of_whom.setdefault(whom, set()).update((*plain["numbers"], *plain["accounts"]))
        return cls(
            frozenset(row[0] for row in erased),
            {row[0]: row[1] for row in into},
            {whom: frozenset(values) for whom, values in of_whom.items()},
            {each.id: each for each in map(customer_of, customers)},
        )

    def customer(self, id: str) -> Customer | None:
        return self.customers.get(self.into.get(id, id))


def _said(written: Mapping[str, object]) -> dict[str, object]:
    """What is not empty of what is written."""
    said = {name: value for name, value in written.items() if value}
    fields = said.get("fields")
    if isinstance(fields, Mapping):
        said["fields"] = {name: value for name, value in fields.items() if value}
    return said


def _questions(client: str, ids: Sequence[str]) -> list[Statement]:
    """What is asked of some ids, one after the other."""
    listed = json_text(list(ids))
    these = "(SELECT value FROM json_each(?))"
    merged = f"SELECT into_id FROM customer_merges WHERE client = ? AND id IN {these}"
    return [
        (f"SELECT id FROM customers_erased WHERE client = ? AND id IN {these}", (client, listed)),
        (f"SELECT id, into_id FROM customer_merges WHERE client = ? AND id IN {these}", (client, listed)),
        (f"SELECT into_id, record FROM customer_merges WHERE client = ? AND into_id IN {these}", (client, listed)),
        (
            f"{SELECT} WHERE c.client = ? AND c.id IN (SELECT value FROM json_each(?) UNION {merged})",
            (client, listed, client, listed),
        ),
    ]


def _by_client(rows: Iterable[ImportRow]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        found.setdefault(row.client, {})[row.id] = None
    return {client: list(ids) for client, ids in found.items()}


def _exported(customer: Customer, own: Sequence[str]) -> list[str]:
    cells = {
        "client": customer.client,
        "id": customer.id,
        "name": customer.name,
        ACCOUNTS: SEPARATORS[0].join(customer.accounts),
        **{name: getattr(customer, name) for name in WORDS},
        **{name: text_of(customer.fields[name]) for name in own if name in customer.fields},
    }
    told = {name: escaped(text) for name, text in cells.items()}
    told[NUMBERS] = SEPARATORS[0].join(customer.numbers)
    return [told.get(name, "") for name in (*COLUMNS, *own)]


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
