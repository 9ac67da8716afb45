"""Customers: found by number and account, written down, changed, and made one of two."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from callcenter.model.customer import NO_RULES, WORDS, Conflicts, Customer, Match, Rules, merged
from callcenter.model.customer_form import digits_of
from callcenter.model.facts import utc
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Reading, Row, Value, Writing, storable

# A screen pop shows candidates side by side; more than this is no help to anyone.
MAX_FOUND = 5
# A national number that is shorter says too little to be anyone's (RFC 3966 sets no length; plans begin at 7).
MIN_TAIL = 7
TAIL = 7
# Numbers that are looked at for one caller, of each kind: those that are the same, and those that end so.
MOST_ALIKE = 200
# Notes of a record that many became: past that, what else there was stands with the merge alone.
MOST_NOTES = 20_000
# The most that one question returns.
MAX_ROWS = 500
# Variables of one statement.
MOST_IDS = 500
# Customers whose name begins alike, up to which they are found by the name; of more, each page is by the ids.
FEW = 500


class NoSuchCustomer(Exception):
    """This client has no customer of this id."""


class CustomerExists(Exception):
    """This client has a customer of this id, who is somebody else, or had one who was erased."""


class StaleCustomer(Exception):
    """Somebody else has changed the customer meanwhile; ``revision`` is the present one."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"changed meanwhile: it is revision {revision} now")
        self.revision = revision


@dataclass(frozen=True, slots=True)
class Merge:
    """That a record became one with another: its former ``id``, when, by whom, what it was, and what it contradicted.

    ``conflicts`` are by name: what was kept, and what was not.
    """

    id: str
    at: str
    by: str
    record: Mapping[str, Any]
    conflicts: Mapping[str, Any]

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {"id": self.id, "at": self.at, "by": self.by, "record": self.record, "conflicts": self.conflicts}


class Customers:
    """Customers of each client. A number belongs to whom it was noted for, within one client only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Who is it?

    async def find(
        self, client: str, number: str, rules: Rules = NO_RULES, *, attested: bool = True
    ) -> tuple[Match, list[Customer]]:
        """Who of this client has this number, as :func:`of_number` says. Raises StorageError."""
        return await self._database.read(lambda reading: of_number(reading, client, number, rules, attested=attested))

    async def find_account(self, client: str, digits: str) -> Customer | None:
        """Whose account this is, as :func:`of_account` says. Raises StorageError."""
        return await self._database.read(lambda reading: of_account(reading, client, digits))

    # What programs ask

    async def get(self, client: str, id: str) -> Customer | None:
        """The customer of an id, also of one that became one with another. Raises StorageError."""
        found = await self.by_ids(client, [id])
        if found:
            return found[0]
        rows = await self._database.fetch_all(_INTO, (client, storable(id)))
        return next(iter(await self.by_ids(client, [rows[0][0]])), None) if rows else None

    async def by_ids(self, client: str, ids: Sequence[str]) -> list[Customer]:
        """Those of these ids that there are, by id; none that became another. Raises StorageError."""
        wanted = [storable(each) for each in ids[:MOST_IDS]]
        if not wanted:
            return []
        return [customer_of(row) for row in await self._database.fetch_all(*_chosen(client, wanted))]

    async def listed(self, client: str, *, name: str = "", after: str = "", limit: int = 50) -> list[Customer]:
        """Customers of a client by their ids, beyond ``after``; with ``name`` those whose name begins so.

        Raises StorageError.
        """
        where, params, limit = "c.client = ? AND c.id > ?", [client, storable(after)], min(limit, MAX_ROWS)
        if name:
            # Both as the index has it; what means something to LIKE is meant as it is written.
            begins = storable(name).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            found = await self._database.fetch_all(BY_NAME, (client, f"{begins}%", FEW + 1))
            if len(found) <= FEW:
                ids = sorted(row[0] for row in found if row[0] > storable(after))
                return await self.by_ids(client, ids[:limit])
            # So many that some are met soon, in whatever order the customers are read.
            where += " AND c.name LIKE ? ESCAPE '\\'"
            params.append(f"{begins}%")
        rows = await self._database.fetch_all(f"{SELECT} WHERE {where} ORDER BY c.id LIMIT ?", (*params, limit))
        return [customer_of(row) for row in rows]

    async def merges_of(self, client: str, id: str) -> list[Merge]:
        """The records that became this one, the oldest first. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT id, merged_at, merged_by, record, conflicts FROM customer_merges WHERE client = ? AND into_id = ?"
            " ORDER BY merged_at, id",
            (client, storable(id)),
        )
        return [
            Merge(former, at, by, from_json(record), from_json(conflicts)) for former, at, by, record, conflicts in rows
        ]

    async def ids_of(self, client: str, id: str) -> tuple[str, ...]:
        """The ids that all mean the customer of this id: the present one first, then former ones. Raises StorageError.

        Of an id that nobody has, that alone.
        """
        into = await self._database.fetch_all(_INTO, (client, storable(id)))
        present = into[0][0] if into else id
        rows = await self._database.fetch_all(
            "SELECT id FROM customer_merges WHERE client = ? AND into_id = ? ORDER BY id", (client, storable(present))
        )
        return (present, *(row[0] for row in rows))

    # What changes them. Each is one short transaction.

    async def create(self, customer: Customer, now: datetime) -> Customer:
        """Keep a new customer. Raises CustomerExists, StorageError."""
        return await self._database.write(partial(_create, customer, now))

    async def update(
        self, client: str, id: str, change: Callable[[Customer], Customer], now: datetime, revision: int | None = None
    ) -> Customer:
        """Change a customer, as ``change`` makes it of what there is; ``revision`` is the one that is known outside.

        ``change`` runs in the database's thread, and its exceptions come out here. Raises NoSuchCustomer,
        StaleCustomer, StorageError.
        """
        return await self._database.write(partial(_update, client, id, change, now, revision))

    async def merge(
        self, client: str, into: str, other: str, now: datetime, by: str
    ) -> tuple[Customer, Conflicts, bool]:
        """Make two records one: ``other`` goes into ``into``, and its id means that one from now on.

        Numbers, accounts, fields and notes move (:func:`merged`), and its calls. Returns the one, what they contradict
        each other in, and whether they were two: those that are one already stay as they are. Raises NoSuchCustomer,
        StorageError.
        """
        return await self._database.write(partial(_merge, client, into, other, now, by))


# Who calls? Both are in the way of a call.


def of_number(
    reading: Reading, client: str, number: str, rules: Rules = NO_RULES, *, attested: bool = True
) -> tuple[Match, list[Customer]]:
    """Who of this client has this number; at most five, by id.

    One customer with the number itself is SURE, or less where it is not ``attested`` and the client's ``rules`` say so.
    Several, or a number that is the same but for its country or trunk prefix, are MAYBE.
    """
    spellings = [storable(each) for each in rules.spellings(number)]
    wanted = spellings[0]
    if not wanted:
        return Match.NONE, []
    # Put into order here: asked for in order, all numbers of the client are read in that order, a scan.
    exact = sorted({row[0] for each in spellings for row in reading.fetch_all(BY_NUMBER, (client, each))})
    if exact:
        sure = rules.unattested if not attested else Match.SURE
        return (sure if len(exact) == 1 else Match.MAYBE), _read(reading, client, exact[:MAX_FOUND])
    if len(_significant(wanted)) < MIN_TAIL:
        return Match.NONE, []
    alike = sorted({row[0] for row in reading.fetch_all(BY_TAIL, (client, tail(wanted))) if _alike(wanted, row[1])})
    return (Match.MAYBE if alike else Match.NONE), _read(reading, client, alike[:MAX_FOUND])


def of_account(reading: Reading, client: str, digits: str) -> Customer | None:
    """The one customer of this client whose account has these digits; its letters cannot be keyed in.

    None also when two have them.
    """
    if not digits:
        return None
    rows = reading.fetch_all(_BY_ACCOUNT, (client, storable(digits), client, storable(digits)))
    return _read(reading, client, [rows[0][0]])[0] if len(rows) == 1 else None


def _read(reading: Reading, client: str, ids: Sequence[str]) -> list[Customer]:
    return [customer_of(row) for row in reading.fetch_all(*_chosen(client, ids))] if ids else []


# What is SQLite's own, all of it here; elsewhere other words stand in these places. A list within a row: so one row has
# all of a customer, and a caller does not wait for a statement to each table. Which index: the primary key covers what
# is asked of the numbers, and by it the planner would read all numbers of the client.
_LIST = "json_group_array({})"
_BY_INDEX = "INDEXED BY customer_numbers_by_{}"
_RECORD_OF = "json_set(record, '$.customer', ?1)"

# What is read of each: one row has it all.
SELECT = (
    "SELECT c.client, c.id, c.name, c.account, c.tier, c.language, c.since, c.notes, c.agent, c.fields, c.revision,"
    f" (SELECT {_LIST.format('number')} FROM (SELECT n.number FROM customer_numbers AS n"
    " WHERE n.client = c.client AND n.customer_id = c.id ORDER BY n.place) AS numbers),"
    f" (SELECT {_LIST.format('account')} FROM (SELECT a.account FROM customer_accounts AS a"
    " WHERE a.client = c.client AND a.customer_id = c.id ORDER BY a.place) AS accounts)"
    " FROM customers AS c"
)
# What a file has for "no number" may be ten thousand customers': no more of them are read than tell that they are many.
_NUMBERS = f"SELECT customer_id, number FROM customer_numbers {_BY_INDEX} WHERE client = ?"
BY_NUMBER = f"{_NUMBERS.format('number')} AND number = ? LIMIT {MOST_ALIKE}"
BY_TAIL = f"{_NUMBERS.format('tail')} AND tail = ? AND tail <> '' LIMIT {MOST_ALIKE}"
# Without an order: in that of the ids, every customer of the client would be looked at.
BY_NAME = "SELECT id FROM customers WHERE client = ? AND name LIKE ? ESCAPE '\\' LIMIT ?"
_INTO = "SELECT into_id FROM customer_merges WHERE client = ? AND id = ?"
_BY_ACCOUNT = (
    "SELECT id FROM customers WHERE client = ? AND account_digits = ? AND account_digits <> ''"
    " UNION SELECT customer_id FROM customer_accounts WHERE client = ? AND account_digits = ? AND account_digits <> ''"
    " LIMIT 2"
)


def _chosen(client: str, ids: Sequence[str]) -> tuple[str, Sequence[Value]]:
    return f"{SELECT} WHERE c.client = ? AND c.id IN ({', '.join('?' * len(ids))}) ORDER BY c.id", (client, *ids)


def customer_of(row: Row) -> Customer:
    """A row of :data:`SELECT` as a customer."""
    client, customer_id, name, account, tier, language, since, notes, agent, fields, revision, numbers, further = row
    return Customer(
        id=customer_id,
        client=client,
        name=name,
        numbers=tuple(json.loads(numbers)),
        account=account,
        tier=tier,
        language=language,
        since=since,
        notes=notes,
        agent=agent,
        further_accounts=() if further == "[]" else tuple(json.loads(further)),
        fields={} if fields == "{}" else from_json(fields),
        revision=revision,
    )


def tail(number: str) -> str:
    """The end of a number, by which two spellings of one find each other."""
    return _significant(number)[-TAIL:]


def _significant(number: str) -> str:
    """The digits of a number without plus and without a national trunk prefix; nothing for a SIP user name."""
    digits = number.removeprefix("+")
    return digits.lstrip("0") if digits.isascii() and digits.isdigit() else ""


def _alike(one: str, other: str) -> bool:
    """Whether two numbers may be one, spelt nationally and internationally."""
    if one.startswith("+") and other.startswith("+"):
        return False
    a, b = _significant(one), _significant(other)
    return min(len(a), len(b)) >= MIN_TAIL and (a.endswith(b) or b.endswith(a))


# Within a transaction


def read_all(writing: Writing, client: str, ids: Sequence[str]) -> dict[str, Customer]:
    """The customers of these ids, as they are in this transaction."""
    found = (customer_of(row) for row in writing.execute(*_chosen(client, ids))) if ids else ()
    return {each.id: each for each in found}


def write_all(writing: Writing, customers: Iterable[Customer], known: Iterable[str], now: datetime) -> None:
    """Write customers over what there is of them; of the ids in ``known`` there is something. They are told apart by
    client and id, each there once.
    """
    known = frozenset(known)
    rows, gone, numbers, accounts = [], [], [], []
    at = utc(now)
    for each in customers:
        key = (each.client, each.id)
        words = (getattr(each, name) for name in WORDS)
        fields = json_text(dict(each.fields)) if each.fields else "{}"
        rows.append((*key, each.name, each.account, digits_of(each.account), *words, fields, each.revision, at))
        if each.id in known:
            gone.append(key)
        numbers += [(*key, place, number, tail(number)) for place, number in enumerate(each.numbers)]
        further = enumerate(each.further_accounts, 1)
        accounts += [(*key, place, account, digits_of(account)) for place, account in further]
    writing.execute_many(_UPSERT, rows)
    if gone:
        writing.execute_many("DELETE FROM customer_numbers WHERE client = ? AND customer_id = ?", gone)
        writing.execute_many("DELETE FROM customer_accounts WHERE client = ? AND customer_id = ?", gone)
    writing.execute_many(
        "INSERT INTO customer_numbers (client, customer_id, place, number, tail) VALUES (?, ?, ?, ?, ?)", numbers
    )
    if accounts:
        writing.execute_many(
            "INSERT INTO customer_accounts (client, customer_id, place, account, account_digits)"
            " VALUES (?, ?, ?, ?, ?)",
            accounts,
        )


_WRITTEN = ("name", "account", "account_digits", *WORDS, "fields", "revision", "changed_at")
_UPSERT = (
    f"INSERT INTO customers (client, id, {', '.join(_WRITTEN)}) VALUES ({', '.join('?' * (len(_WRITTEN) + 2))})"
    f" ON CONFLICT (client, id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _WRITTEN)}"
)


def _create(customer: Customer, now: datetime, writing: Writing) -> Customer:
    key = (customer.client, customer.id)
    taken = read_all(writing, customer.client, [customer.id])
    former = writing.execute(_INTO, key)
    erased = writing.execute("SELECT 1 FROM customers_erased WHERE client = ? AND id = ?", key)
    if taken or former or erased:
        raise CustomerExists(customer.id)
    whole = _with_revision(customer, 1)
    write_all(writing, [whole], (), now)
    return whole


def _update(
    client: str,
    id: str,
    change: Callable[[Customer], Customer],
    now: datetime,
    revision: int | None,
    writing: Writing,
) -> Customer:
    before = _present(writing, client, id)
    if revision is not None and revision != before.revision:
        raise StaleCustomer(before.revision)
    after = change(before)
    if after == before:
        return before
    whole = _with_revision(after, before.revision + 1)
    write_all(writing, [whole], [before.id], now)
    return whole


def _merge(
    client: str, into: str, other: str, now: datetime, by: str, writing: Writing
) -> tuple[Customer, Conflicts, bool]:
    stays, goes = _present(writing, client, into), _present(writing, client, other)
    if stays.id == goes.id:
        return stays, {}, False
    whole, conflicts = merged(stays, goes, MOST_NOTES)
    whole = _with_revision(whole, stays.revision + 1)
    writing.execute("DELETE FROM customers WHERE client = ? AND id = ?", (client, goes.id))
    write_all(writing, [whole], [stays.id], now)
    # One step always leads to the record that is there: who became the one that goes is of the one that stays now.
    writing.execute(
        "UPDATE customer_merges SET into_id = ? WHERE client = ? AND into_id = ?", (stays.id, client, goes.id)
    )
    writing.execute(
        "INSERT INTO customer_merges (client, id, into_id, merged_at, merged_by, record, conflicts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (client, goes.id, stays.id, utc(now), storable(by), json_text(goes.plain()), json_text(conflicts)),
    )
    for sql in MOVED:
        writing.execute(sql, (stays.id, client, goes.id))
    return whole, conflicts, True


# What is of the one that goes, and of the one that stays from now on; what is written later is by Interactions.save.
# The indexes leave out what is nobody's, and serve who says so: whatever is written waits for this.
_CALLS = (
    f"UPDATE interactions SET customer_id = ?1, record = {_RECORD_OF}"
    " WHERE client = ?2 AND customer_id = ?3 AND customer_id <> ''"
)
_NOTES = "UPDATE notes SET customer_id = ?1 WHERE client = ?2 AND customer_id = ?3 AND customer_id <> ''"
_CALLBACKS = (
    f"UPDATE callbacks SET customer = ?1, record = {_RECORD_OF} WHERE client = ?2 AND customer = ?3 AND customer <> ''"
)
_FOLLOWUPS = "UPDATE followups SET customer = ?1 WHERE client = ?2 AND customer = ?3 AND customer <> ''"
MOVED: tuple[str, ...] = (_CALLS, _NOTES, _CALLBACKS, _FOLLOWUPS)


def _present(writing: Writing, client: str, id: str) -> Customer:
    """The customer of an id, or of a former one. Raises NoSuchCustomer."""
    rows = writing.execute(_INTO, (client, id))
    found = read_all(writing, client, [rows[0][0] if rows else id])
    if not found:
        raise NoSuchCustomer(id)
    return next(iter(found.values()))


def _with_revision(customer: Customer, revision: int) -> Customer:
    return dataclasses.replace(customer, revision=revision)
