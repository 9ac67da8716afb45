"""Customers: imported from CSV, found by number."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from callcenter.model.customer import Customer, Match, normalise_number
from callcenter.model.facts import utc
from callcenter.model.ids import is_slug
from callcenter.storage.database import Database, Row, StorageError, Writing, storable

# A screen pop shows candidates side by side; more than this is no help to anyone.
MAX_FOUND = 5
# Bounds of an import: one row that is longer is a mistake, not a customer.
MAX_FIELD = 2_000
MAX_NUMBERS = 20
MAX_REJECTED_TOLD = 100
# A transaction of the import: the switch's own writer waits for no longer than this many rows take.
CHUNK = 500
# A national number that is shorter says too little to be anyone's (RFC 3966 sets no length; plans begin at 7).
MIN_TAIL = 7
TAIL = 7


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A line of the file that is no customer, and why."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(slots=True)
class ImportReport:
    """What an import did. ``rejected`` names the first hundred lines; ``refused`` counts them all."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)

    def reject(self, file: str, line: int, why: str) -> None:
        """Note a line that is no customer."""
        self.refused += 1
        if len(self.rejected) < MAX_REJECTED_TOLD:
            self.rejected.append(RejectedRow(file, line, why))

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed, {self.unchanged} as before, {self.refused} rejected"


class Customers:
    """Customers of each client. A number belongs to whom it was imported for, within one client only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, client: str, number: str) -> tuple[Match, list[Customer]]:
        """Who of this client has this number; at most five, by id. Raises StorageError.

        One customer with the number itself is SURE. Several, or a number that is the same but for its country or
        trunk prefix, are MAYBE.
        """
        wanted = storable(normalise_number(number))
        if not wanted:
            return Match.NONE, []
        # A number that is the same has the same tail, so one question finds both kinds (one hop to the thread a call).
        rows = await self._database.fetch_all(
            "SELECT DISTINCT customer_id, number FROM customer_numbers WHERE client = ? AND tail = ? ORDER BY 1",
            (client, _tail(wanted)),
        )
        exact = list(dict.fromkeys(row[0] for row in rows if row[1] == wanted))
        if exact:
            return (Match.SURE if len(exact) == 1 else Match.MAYBE), await self._by_ids(client, exact)
        if len(_significant(wanted)) < MIN_TAIL:
            return Match.NONE, []
        alike = list(dict.fromkeys(row[0] for row in rows if _alike(wanted, row[1])))
        return (Match.MAYBE if alike else Match.NONE), await self._by_ids(client, alike)

    async def find_account(self, client: str, digits: str) -> Customer | None:
        """The one customer of this client whose account has these digits; its letters cannot be keyed in.

        None also when two have them. Raises StorageError.
        """
        if not digits:
            return None
        found = await self._select("c.account_digits = ? AND c.account_digits <> ''", (client, storable(digits)))
        return found[0] if len(found) == 1 else None

    async def import_csv(
        self, source: Path | str, now: datetime, *, name: str = "", clients: Iterable[str] | None = None
    ) -> ImportReport:
        """Import a file (a Path) or its text (a str, called ``name`` in the report), adding and overwriting by id.

        The first line names the columns: ``client``, ``name`` and ``numbers`` (or ``number``) have to be there;
        ``id``, ``account``, ``tier``, ``language``, ``since``, ``notes`` and ``agent`` may be; others are passed over.
        Several numbers are separated by a semicolon or a bar. Comma, semicolon and tab are understood as separators of
        columns. A row without ``id`` is known by its account, else by its first number. With ``clients``, a row of
        any other client is rejected. A row that is no customer is told in the report, and the others are taken.

        Raises StorageError when the file cannot be read or the database not be written.
        """
        file = name or (str(source) if isinstance(source, Path) else "text")
        text = _read(source) if isinstance(source, Path) else source
        report = ImportReport()
        customers = list(_rows(text, file, report, None if clients is None else frozenset(clients)).values())
        # Whatever is imported now, the file that is imported at every start has its word at the next one.
        await self._database.execute("DELETE FROM imports")
        for start in range(0, len(customers), CHUNK):
            await self._database.write(partial(_save_all, customers[start : start + CHUNK], now, report))
        return report

    async def import_changed(self, path: Path, now: datetime, clients: Iterable[str]) -> ImportReport | None:
        """Import a file as :meth:`import_csv` does; None, and nothing is done, when it was imported last and whole.

        Raises StorageError as that does.
        """
        wanted = sorted(clients)
        digest = hashlib.sha256("\0".join((_read(path), *wanted)).encode("utf-8", "replace")).hexdigest()
        if await self._database.fetch_all("SELECT 1 FROM imports WHERE file = ? AND digest = ?", (str(path), digest)):
            return None
        report = await self.import_csv(path, now, clients=wanted)
        if not report.refused:
            # What was left out is told at every start, until it is mended.
            await self._database.execute("INSERT INTO imports (file, digest) VALUES (?, ?)", (str(path), digest))
        return report

    async def _by_ids(self, client: str, ids: Sequence[str]) -> list[Customer]:
        wanted = ids[:MAX_FOUND]
        if not wanted:
            return []
        return await self._select(f"c.id IN ({', '.join('?' * len(wanted))})", (client, *wanted))

    async def _select(self, condition: str, params: Sequence[str]) -> list[Customer]:
        rows = await self._database.fetch_all(
            f"{_SELECT} WHERE c.client = ? AND {condition} ORDER BY c.id LIMIT {MAX_FOUND}", params
        )
        found = []
        for row in rows:
            numbers = await self._database.fetch_all(
                "SELECT number FROM customer_numbers WHERE client = ? AND customer_id = ? ORDER BY place",
                (row[0], row[1]),
            )
            found.append(_customer(row, numbers))
        return found


_SELECT = "SELECT c.client, c.id, c.name, c.account, c.tier, c.language, c.since, c.notes, c.agent FROM customers AS c"


def _customer(row: Row, numbers: Sequence[Row]) -> Customer:
    client, customer_id, name, account, tier, language, since, notes, agent = row
    return Customer(
        id=customer_id,
        client=client,
        name=name,
        numbers=tuple(number[0] for number in numbers),
        account=account,
        tier=tier,
        language=language,
        since=since,
        notes=notes,
        agent=agent,
    )


def _significant(number: str) -> str:
    """The digits of a number without plus and without a national trunk prefix; nothing for a SIP user name."""
    digits = number.removeprefix("+")
    return digits.lstrip("0") if digits.isascii() and digits.isdigit() else ""


def _tail(number: str) -> str:
    return _significant(number)[-TAIL:]


def _alike(one: str, other: str) -> bool:
    """Whether two numbers may be one, spelt nationally and internationally."""
    if one.startswith("+") and other.startswith("+"):
        return False
    a, b = _significant(one), _significant(other)
    return min(len(a), len(b)) >= MIN_TAIL and (a.endswith(b) or b.endswith(a))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise StorageError(f"{path}:{line}: not UTF-8; save the file as CSV UTF-8") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


_COLUMNS = ("client", "id", "name", "numbers", "account", "tier", "language", "since", "notes", "agent")


def _rows(
    text: str, file: str, report: ImportReport, clients: frozenset[str] | None
) -> dict[tuple[str, str], Customer]:
    """The customers of a CSV text, by client and id; a later row of the same id stands for the earlier."""
    text = text.removeprefix("\ufeff")
    head = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[str] = []
    found: dict[tuple[str, str], Customer] = {}
    while True:
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            report.reject(file, reader.line_num, f"not CSV: {error}")
            continue
        if not any(value.strip() for value in values):
            continue
        if not columns:
            columns = [_column(value) for value in values]
            missing = [name for name in ("client", "name", "numbers") if name not in columns]
            if missing:
                report.reject(file, reader.line_num, f"the first line has no column {', '.join(missing)}")
                break
            continue
        row = {name: storable(value.strip()) for name, value in zip(columns, values, strict=False) if name in _COLUMNS}
        if len(values) > len(columns):
            report.reject(file, reader.line_num, f"{len(values)} values for {len(columns)} columns")
        elif (why := _wrong(row, clients)) is not None:
            report.reject(file, reader.line_num, why)
        else:
            customer = _read_customer(row)
            found[customer.client, customer.id] = customer
    if not columns and not report.refused:
        report.reject(file, 1, "the file is empty")
    return found


def _column(title: str) -> str:
    name = title.strip().lower()
    return "numbers" if name == "number" else name


def _wrong(row: dict[str, str], clients: frozenset[str] | None) -> str | None:
    client = row.get("client", "")
    if not is_slug(client):
        return f"client {client!r}: write the client's id, lower-case letters, digits and dashes"
    if clients is not None and client not in clients:
        return f"client {client!r} is not configured; there are: {', '.join(sorted(clients)) or 'none'}"
    if not row.get("name"):
        return "name: is empty"
    numbers = _numbers(row.get("numbers", ""))
    if not numbers:
        return "numbers: is empty"
    if len(numbers) > MAX_NUMBERS:
        return f"numbers: {len(numbers)}, at most {MAX_NUMBERS} are kept"
    for number in numbers:
        if not (number.isascii() and number.removeprefix("+").isdigit()):
            return f"numbers: {number!r} is no telephone number; write +420777123456"
    agent = row.get("agent", "")
    if agent and not is_slug(agent):
        return f"agent {agent!r}: write the agent's id, lower-case letters, digits and dashes, or nothing"
    for name, value in row.items():
        if len(value) > MAX_FIELD:
            return f"{name}: longer than {MAX_FIELD} characters"
    return None


def _numbers(text: str) -> tuple[str, ...]:
    parts = (normalise_number(part) for part in text.replace("|", ";").split(";"))
    return tuple(dict.fromkeys(part for part in parts if part))


def _read_customer(row: dict[str, str]) -> Customer:
    numbers = _numbers(row["numbers"])
    known_by = row.get("account") or numbers[0]
    return Customer(
        id=row.get("id") or "c-" + hashlib.sha256(known_by.encode()).hexdigest()[:12],
        client=row["client"],
        name=" ".join(row["name"].split()),
        numbers=numbers,
        account=row.get("account", ""),
        tier=row.get("tier", ""),
        language=row.get("language", ""),
        since=row.get("since", ""),
        notes=row.get("notes", ""),
        agent=row.get("agent", ""),
    )


def _save_all(customers: Sequence[Customer], now: datetime, report: ImportReport, writing: Writing) -> None:
    for customer in customers:
        _save(writing, customer, now, report)


def _save(writing: Writing, customer: Customer, now: datetime, report: ImportReport) -> None:
    key = (customer.client, customer.id)
    rows = writing.execute(f"{_SELECT} WHERE c.client = ? AND c.id = ?", key)
    numbers = writing.execute(
        "SELECT number FROM customer_numbers WHERE client = ? AND customer_id = ? ORDER BY place", key
    )
    if not rows:
        report.added += 1
    elif _customer(rows[0], numbers) == customer:
        report.unchanged += 1
        return
    else:
        report.changed += 1
    writing.execute(
        "INSERT INTO customers"
        " (client, id, name, account, account_digits, tier, language, since, notes, agent, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client, id) DO UPDATE SET name = excluded.name,"
        " account = excluded.account, account_digits = excluded.account_digits, tier = excluded.tier,"
        " language = excluded.language, since = excluded.since,"
        " notes = excluded.notes, agent = excluded.agent, changed_at = excluded.changed_at",
        (
            *key,
            customer.name,
            customer.account,
            "".join(letter for letter in customer.account if letter in "0123456789"),
            customer.tier,
            customer.language,
            customer.since,
            customer.notes,
            customer.agent,
            utc(now),
        ),
    )
    writing.execute("DELETE FROM customer_numbers WHERE client = ? AND customer_id = ?", key)
    writing.execute_many(
        "INSERT INTO customer_numbers (client, customer_id, place, number, tail) VALUES (?, ?, ?, ?, ?)",
        [(*key, place, number, _tail(number)) for place, number in enumerate(customer.numbers)],
    )
