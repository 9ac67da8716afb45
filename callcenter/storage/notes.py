"""Notes: what people wrote of calls and customers, each with the texts that it had before."""

from __future__ import annotations

from collections.abc import Sequence

from callcenter.model.note import Note, NoteRevision
from callcenter.storage.database import Database, Reading, Row, Statement, Value, storable
from callcenter.storage.log import FactLog

# The most that one question returns.
MAX_ROWS = 500
# Notes of one moment are in the order in which they were written: by SQLite's own number of a row. Elsewhere it would
# take a column that counts.
EARLIEST_FIRST, LATEST_FIRST = "created_at, rowid", "created_at DESC, rowid DESC"


class Notes:
    """Written behind the facts, by the log's writer; read by call and by customer."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    def keep(self, note: Note, *, why: str = "") -> None:
        """This is the note from now on; a text that is no draft is kept among its revisions too. Never waits."""
        statements: list[Statement] = [(_UPSERT, _values(note))]
        if not note.draft:
            told = (note.id, note.revision, note.changed_at, storable(note.changed_by), storable(why))
            statements.append((_REVISION, (*told, storable(note.text))))
        self._log.put(*statements)

    def belongs_to(self, call: str, customer: str) -> None:
        """Whose call it is is known only now. Never waits."""
        values = (storable(customer), storable(call))
        self._log.put(("UPDATE notes SET customer_id = ? WHERE call_id = ? AND call_id <> ''", values))

    async def by_id(self, note: str) -> Note | None:
        """One note, or None. Raises StorageError."""
        found = await self._rows("id = ?", (storable(note),), 1)
        return found[0] if found else None

    async def of_call(self, call: str) -> list[Note]:
        """The notes of a call, the first one first. Raises StorageError."""
        return await self._rows("call_id = ? AND call_id <> ''", (storable(call),), MAX_ROWS)

    async def of_customer(self, client: str, ids: Sequence[str], limit: int = 50, before: str = "") -> list[Note]:
        """The notes of a customer and of their calls, the latest first; those begun ``before`` an instant, if given.

        ``ids``: all that mean this customer. Raises StorageError.
        """
        known = [storable(each) for each in ids if each]
        where = f"client = ? AND customer_id IN ({', '.join('?' * len(known))}) AND customer_id <> ''"
        values: tuple[Value, ...] = (client, *known)
        if before:
            where, values = f"{where} AND created_at < ?", (*values, before)
        return await self._rows(where, values, limit, order=LATEST_FIRST)

    async def drafts(self) -> list[Note]:
        """What was being typed. Raises StorageError."""
        return await self._rows("draft = 1", (), MAX_ROWS)

    async def revisions(self, notes: Sequence[str]) -> list[NoteRevision]:
        """The texts that notes had and have, by note, the first one first. Raises StorageError."""
        wanted = [storable(note) for note in notes[:MAX_ROWS]]
        if not wanted:
            return []
        marks = ", ".join("?" * len(wanted))
        rows = await self._database.fetch_all(
            f"SELECT note, revision, at, by, why, text FROM note_revisions WHERE note IN ({marks}) ORDER BY 1, 2",
            wanted,
        )
        return [NoteRevision(*row) for row in rows]

    async def _rows(
        self, where: str, params: Sequence[Value], limit: int, *, order: str = EARLIEST_FIRST
    ) -> list[Note]:
        sql = f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT ?"
        return [_note(row) for row in await self._database.fetch_all(sql, (*params, min(limit, MAX_ROWS)))]


def last_of_customer(reading: Reading, client: str, customer: str) -> Note | None:
    """The last note of a customer that says something, drafts left out; who became one with them counts too."""
    whose = "customer_id IN (SELECT ? UNION SELECT id FROM customer_merges WHERE client = ? AND into_id = ?)"
    where = f"client = ? AND {whose} AND customer_id <> '' AND draft = 0 AND text <> ''"
    values = (client, storable(customer), client, storable(customer))
    rows = reading.fetch_all(f"{_SELECT} WHERE {where} ORDER BY {LATEST_FIRST} LIMIT 1", values)
    return _note(rows[0]) if rows else None


def _values(note: Note) -> tuple[Value, ...]:
    whose = (note.id, storable(note.client), storable(note.call), storable(note.customer), storable(note.agent))
    when = (storable(note.author), note.created_at, note.changed_at, storable(note.changed_by), note.revision)
    return (*whose, *when, int(note.draft), storable(note.text))


def _note(row: Row) -> Note:
    note, client, call, customer, agent, author, created_at, changed_at, changed_by, revision, draft, text = row
    whose = (note, client, call, customer, agent, author)
    return Note(*whose, created_at, changed_at, changed_by, revision, bool(draft), text)


_COLUMNS = (
    "id",
    "client",
    "call_id",
    "customer_id",
    "agent",
    "author",
    "created_at",
    "changed_at",
    "changed_by",
    "revision",
    "draft",
    "text",
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM notes"
# A statement may run twice: what was written later stays.
_UPSERT = (
    f"INSERT INTO notes ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
    + " WHERE excluded.revision >= notes.revision"
)
_REVISION = (
    "INSERT INTO note_revisions (note, revision, at, by, why, text) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (note, revision) DO NOTHING"
)
