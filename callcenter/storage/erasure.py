"""Erasure: what names a person in calls and in the customer base, found and taken away in small transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from callcenter.model.erasure import MARK, erased_fact
from callcenter.model.facts import Fact, body_to_dict, utc
from callcenter.model.interaction import Interaction
from callcenter.runtime.encoding import json_text
from callcenter.storage.callbacks import ASKED_BY
from callcenter.storage.customer_rows import DERIVED
from callcenter.storage.database import Database, Value, Writing, storable
from callcenter.storage.log import FactLog

# A call makes no more facts than this in a day of pressing keys.
MAX_FACTS = 10_000
# Calls that are looked for at once.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be erased: what means them. ``shared`` are numbers that another customer has too."""

    client: str
    ids: tuple[str, ...]
    numbers: tuple[str, ...]
    shared: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """Their own numbers as calls may have them."""
        own = [number for number in self.numbers if number not in self.shared]
        digits = [number.removeprefix("+") for number in own]
        return tuple(dict.fromkeys([*own, *digits, *(f"00{each}" for each in digits)]))


class Erasure:
    """The tables that name people, but for those that others look after."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    async def shared(self, client: str, ids: Collection[str], numbers: Sequence[str]) -> tuple[str, ...]:
        """Which of these numbers a customer of this client has who is none of these. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT DISTINCT number FROM customer_numbers WHERE client = ? AND number IN"
            " (SELECT value FROM json_each(?)) AND customer_id NOT IN (SELECT value FROM json_each(?))",
            (client, json_text(list(numbers)), json_text(list(ids))),
        )
        return tuple(row[0] for row in rows)

    async def calls_of(self, person: Person, after: str = "", limit: int = PAGE) -> list[str]:
        """Calls that name this person, by their ids, beyond ``after``. Raises StorageError.

        Those that are known to be theirs, and those of a number of theirs that are not known to be somebody else's.
        """
        ids, numbers = json_text(list(person.ids)), json_text(list(person.spellings))
        rows = await self._database.fetch_all(
            _CALLS,
            (person.client, ids, after, person.client, numbers, ids, after, person.client, numbers, after, limit),
        )
        return [row[0] for row in rows]

    async def calls_before(self, client: str, before: datetime, limit: int = PAGE) -> list[str]:
        """The oldest ended calls of a client that arrived before, and still name somebody. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT call_id FROM interactions WHERE client = ? AND arrived_at < ? AND erased_at IS NULL"
            " AND ended_at IS NOT NULL ORDER BY arrived_at LIMIT ?",
            (client, utc(before), limit),
        )
        return [row[0] for row in rows]

    async def idle_customers(self, client: str, before: datetime, after: str, limit: int) -> tuple[list[str], str]:
        """Of the next customers beyond ``after``: those who were neither changed nor in touch since, and the last one.

        Raises StorageError.
        """
        rows = await self._database.fetch_all(
            "SELECT id, changed_at < ? AND NOT EXISTS (SELECT 1 FROM interactions AS i WHERE i.client = c.client"
            " AND i.customer_id = c.id AND i.customer_id <> '' AND i.arrived_at >= ?)"
            " FROM customers AS c WHERE client = ? AND id > ? ORDER BY id LIMIT ?",
            (utc(before), utc(before), client, after, limit),
        )
        return [row[0] for row in rows if row[1]], rows[-1][0] if rows else ""

    async def erase_call(self, call_id: str, now: datetime, mark: str = MARK, *, customer: bool = True) -> None:
        """Take the caller out of a call that has ended: its facts, its record, what is kept of both in memory, and what
        people wrote of it.

        Without ``customer`` the call stays theirs, by the id alone. Raises StorageError.
        """
        facts = await self._log.read(0, MAX_FACTS, call_id)
        after = [erased_fact(fact, mark, customer=customer) for fact in facts]
        changed = [new for old, new in zip(facts, after, strict=True) if new is not old]
        await self._database.write(partial(_rewrite, call_id, after, changed, utc(now), customer))
        self._log.replace(changed)

    async def said_in(self, call_id: str) -> dict[str, int]:
        """How much people have written of a call: notes, and values of wrap-up fields. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT (SELECT COUNT(*) FROM notes WHERE call_id = ?1 AND call_id <> ''),"
            " (SELECT COUNT(*) FROM wrap_up_fields WHERE call_id = ?1 AND value IS NOT NULL)",
            (call_id,),
        )
        return dict(zip(("notes", "wrap-up fields"), rows[0], strict=True))

    async def said_of(self, person: Person) -> dict[str, int]:
        """The same of a person, beside their calls, and their callbacks that have ended. Raises StorageError."""
        ids, numbers = json_text(list(person.ids)), json_text(list(person.spellings))
        rows = await self._database.fetch_all(
            f"SELECT (SELECT COUNT(*) FROM notes WHERE {_NOTES_OF}),"
            " (SELECT COUNT(*) FROM callbacks WHERE client = ? AND outcome <> ''"
            " AND (customer IN (SELECT value FROM json_each(?)) AND customer <> ''"
            f" OR number IN (SELECT value FROM json_each(?)) OR {ASKED_BY} IN (SELECT value FROM json_each(?))))",
            (person.client, ids, person.client, ids, numbers, numbers),
        )
        return dict(zip(("notes", "callbacks"), rows[0], strict=True))

    async def followups_of(self, person: Person) -> list[str]:
        """Follow-ups about a person, by their ids, that still say something of them. Raises StorageError."""
        ids, numbers = json_text(list(person.ids)), json_text(list(person.spellings))
        rows = await self._database.fetch_all(
            "SELECT id FROM followups WHERE client = ? AND customer <> '' AND customer IN"
            " (SELECT value FROM json_each(?)) UNION SELECT id FROM followups WHERE client = ? AND number <> ''"
            " AND number IN (SELECT value FROM json_each(?)) ORDER BY id",
            (person.client, ids, person.client, numbers),
        )
        return [row[0] for row in rows]

    async def followups_of_call(self, call_id: str) -> list[str]:
        """Follow-ups that a call has led to, which still say something. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT id FROM followups WHERE call_id = ? AND call_id <> '' AND title <> ? ORDER BY id", (call_id, MARK)
        )
        return [row[0] for row in rows]

    async def erase_said(self, person: Person) -> None:
        """Take away what people wrote of a person beside their calls. Raises StorageError."""
        ids = json_text(list(person.ids))
        await self._database.write(partial(_erase_notes, _NOTES_OF, (person.client, ids)))

    async def erase_customer(self, person: Person, now: datetime) -> None:
        """Take a person out of the customer base, with all records that became theirs. Raises StorageError.

        Of an id that is not made of a number or an account stays that it was erased: a file does not bring it back.
        """
        await self._database.write(partial(_forget, person, utc(now)))

    async def told(self, fact: int, within: float) -> None:
        """Until a fact is in the database. Raises TimeoutError after so many seconds, StorageError when it never is."""
        async with asyncio.timeout(within):
            await self._log.flushed(fact)

    async def scrub(self) -> bool:
        """Take what was overwritten out of the write-ahead log too; False where somebody reads just now, and it takes
        the next checkpoint. Raises StorageError.
        """
        return await self._database.scrub()


def is_derived(customer: str) -> bool:
    """Whether an id is made of the number or the account of whom it means, and says as much as they do."""
    rest = customer.removeprefix(DERIVED)
    return rest != customer and len(rest) == 12 and all(letter in "0123456789abcdef" for letter in rest)


# Each part is answered by an index.
_CALLS = (
    "SELECT call_id FROM ("
    "SELECT call_id FROM interactions WHERE client = ? AND customer_id <> ''"
    " AND customer_id IN (SELECT value FROM json_each(?)) AND call_id > ?"
    " UNION SELECT call_id FROM interactions WHERE client = ? AND from_number <> ''"
    " AND from_number IN (SELECT value FROM json_each(?))"
    " AND (customer_id = '' OR customer_id IN (SELECT value FROM json_each(?))) AND call_id > ?"
    " UNION SELECT call_id FROM interactions WHERE client = ? AND direction <> 'inbound'"
    " AND to_number IN (SELECT value FROM json_each(?)) AND call_id > ?"
    ") ORDER BY call_id LIMIT ?"
)


def _rewrite(
    call_id: str, facts: Sequence[Fact], changed: Sequence[Fact], at: str, customer: bool, writing: Writing
) -> None:
    rows = [(json_text(body_to_dict(fact.body)), fact.seq) for fact in changed]
    writing.execute_many("UPDATE facts SET body = ? WHERE seq = ?", rows)
    _erase_notes("call_id = ? AND call_id <> ''", (call_id,), writing)
    writing.execute("DELETE FROM wrap_up_fields WHERE call_id = ?", (call_id,))
    if not facts:
        # Its record alone says who it was.
        writing.execute(
            "UPDATE interactions SET record = json_set(record, '$.from_number', ?1, '$.from_name', '', '$.digits',"
            " json('[]'), '$.attributes', json('{}')), from_number = ?1, erased_at = ?2 WHERE call_id = ?3",
            (MARK, at, call_id),
        )
        if customer:
            writing.execute(_NOBODYS, (call_id,))
        return
    # The record is what the facts come to, but for who it is by now, where records became one.
    record = Interaction.from_facts(facts).plain()
    writing.execute(
        "UPDATE interactions SET record = json_set(?, '$.customer', customer_id), from_number = ?, to_number = ?,"
        " erased_at = ? WHERE call_id = ?",
        (json_text(record), storable(record["from_number"]), storable(record["to_number"]), at, call_id),
    )
    if customer:
        writing.execute(_NOBODYS, (call_id,))


_NOBODYS = "UPDATE interactions SET customer_id = '', record = json_set(record, '$.customer', '') WHERE call_id = ?"


# Those of a call go with it.
_NOTES_OF = "client = ? AND customer_id IN (SELECT value FROM json_each(?)) AND customer_id <> '' AND call_id = ''"


def _erase_notes(which: str, params: Sequence[Value], writing: Writing) -> None:
    writing.execute(f"DELETE FROM note_revisions WHERE note IN (SELECT id FROM notes WHERE {which})", params)
    writing.execute(f"DELETE FROM notes WHERE {which}", params)


def _forget(person: Person, at: str, writing: Writing) -> None:
    for each in person.ids:
        key = (person.client, each)
        writing.execute("DELETE FROM customers WHERE client = ? AND id = ?", key)
        writing.execute("DELETE FROM customer_merges WHERE client = ? AND id = ?", key)
        writing.execute("DELETE FROM customer_merges WHERE client = ? AND into_id = ?", key)
        if not is_derived(each):
            writing.execute(
                "INSERT INTO customers_erased (client, id, erased_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (*key, at),
            )
