"""Callbacks: who is to be called back, kept over a restart and a crash; and who was, for a while."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from callcenter.model.callback import Callback
from callcenter.model.facts import utc
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Statement, Value, storable
from callcenter.storage.keeper import Keeper
from callcenter.storage.log import FactLog

# The most that one question returns.
MAX_ROWS = 1_000
# Who asked for one at a number that is not their own; looked for in all of a client's, which is rare.
ASKED_BY = "json_extract(record, '$.asked_by')"
_THESE = "(SELECT value FROM json_each(?))"


class Callbacks:
    """One row for each callback, written behind the facts that tell of it; one that has ended has an outcome."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log
        self._keeper = Keeper(log)

    @property
    def epoch(self) -> int:
        """The epoch of the one who writes: a lease of another is dead."""
        return self._log.epoch

    def keep(self, callback: Callback, asked_as: str = "") -> None:
        """This is how it stands with a callback from now on. Never waits.

        ``asked_as`` is the id that another one was asked for with, and which became one with it.
        """
        values = (
            callback.id,
            storable(callback.client),
            storable(callback.queue),
            storable(callback.number),
            utc(callback.first_joined_at),
            utc(callback.due_at),
            callback.attempts,
            json_text(callback.plain()),
            callback.outcome,
            utc(callback.ended_at) if callback.ended_at is not None else None,
            storable(callback.customer),
            str(callback.source),
            utc(callback.requested_at),
        )
        joined = [(_JOIN, (storable(asked_as), callback.id))] if asked_as else []
        self._keeper.put((_UPSERT, values), *joined)

    def forget(self, callback_id: str) -> None:
        """Nothing is known of a callback any more. Never waits; one that is unknown is forgotten as well."""
        self._keeper.put(("DELETE FROM callbacks WHERE id = ?", (callback_id,)))

    def forget_ended(self, client: str, before: datetime) -> None:
        """Nothing is known any more of those of a client that ended before. Never waits."""
        sql = "DELETE FROM callbacks WHERE client = ? AND outcome != '' AND ended_at < ?"
        self._log.put((sql, (storable(client), utc(before))))

    def forget_person(self, client: str, ids: Collection[str], numbers: Collection[str]) -> None:
        """Nothing is known any more of those of one person that have ended. Never waits.

        Those that have not must be called off before, by who looks after them.
        """
        statements: list[Statement] = []
        if numbers:
            # All numbers at once: each look through a client's callbacks holds up what is to be written.
            of_number = f"(number IN {_THESE} OR {ASKED_BY} IN {_THESE})"
            sql = f"DELETE FROM callbacks WHERE client = ? AND outcome != '' AND {of_number}"
            listed = json_text(list(map(storable, numbers)))
            statements.append((sql, (storable(client), listed, listed)))
        if ids:
            sql = (
                f"DELETE FROM callbacks WHERE client = ? AND customer != '' AND customer IN {_THESE} AND outcome != ''"
            )
            statements.append((sql, (storable(client), json_text(list(map(storable, ids))))))
        if statements:
            self._keeper.put(*statements)

    async def kept(self, within: float) -> None:
        """Until all that was told so far is in the database, :meth:`Keeper.kept`. Raises TimeoutError, StorageError."""
        await self._keeper.kept(within)

    async def load_all(self) -> list[Callback]:
        """All that have not ended, in the order of their places. Raises StorageError.

        A row that this program cannot read is left where it is, for the one that can.
        """
        sql = "SELECT record FROM callbacks WHERE outcome = '' ORDER BY first_joined_at, id"
        return _read(await self._database.fetch_all(sql))

    async def asked_since(self, since: datetime) -> list[tuple[str, str, datetime]]:
        """Who was asked for since, as (client, number, when), ended or not. Raises StorageError."""
        sql = "SELECT client, number, requested_at FROM callbacks WHERE requested_at >= ? ORDER BY requested_at"
        rows = await self._database.fetch_all(sql, (utc(since),))
        return [(str(client), str(number), datetime.fromisoformat(str(at))) for client, number, at in rows]

    async def joined(self, asked_as: str) -> str:
        """With which callback one became one that was asked for by this id; empty: with none. Raises StorageError."""
        sql = "SELECT callback FROM callbacks_joined WHERE asked_as = ?"
        rows = await self._database.fetch_all(sql, (storable(asked_as),))
        return str(rows[0][0]) if rows else ""

    async def find(self, callback_id: str) -> Callback | None:
        """One of them, ended or not. Raises StorageError."""
        return await find_callback(self._database, callback_id)


async def find_callback(database: Database, callback_id: str) -> Callback | None:
    """One callback, ended or not; None when there is none. Raises StorageError."""
    rows = await database.fetch_all("SELECT record FROM callbacks WHERE id = ?", (storable(callback_id),))
    return next(iter(_read(rows)), None)


async def find_callbacks(
    database: Database,
    *,
    clients: Collection[str] | None = None,
    client: str = "",
    queue: str = "",
    number: str = "",
    customer: str = "",
    agent: str = "",
    call: str = "",
    source: str = "",
    state: str = "",
    before: str = "",
    limit: int = 50,
) -> list[Callback]:
    """Callbacks of these, those that were asked for last first. Raises StorageError.

    ``clients`` are those that who asks may see; None: all. ``state``: ``open``, ``ended``, or the outcome that one
    ended with. ``agent``: the one who is preferred. ``call``: the one that it was asked for in. ``before`` is the id of
    the last one of the page before. What is empty is not asked for.
    """
    asked: list[tuple[str, tuple[Value, ...]]] = []
    if clients is not None:
        asked.append((f"client IN ({', '.join('?' * len(clients))})", tuple(map(storable, sorted(clients)))))
    for column, wanted in (("client", client), ("queue", queue), ("number", number), ("customer", customer)):
        if wanted:
            asked.append((f"{column} = ?", (storable(wanted),)))
    for key, wanted in (("prefer", agent), ("requested_in", call)):
        if wanted:
            asked.append((f"json_extract(record, '$.{key}') = ?", (storable(wanted),)))
    if source:
        asked.append(("source = ?", (storable(source),)))
    match state:
        case "":
            pass
        case "open":
            asked.append(("outcome = ''", ()))
        case "ended":
            asked.append(("outcome != ''", ()))
        case _:
            asked.append(("outcome = ?", (storable(state),)))
    if before:
        page = "(requested_at, id) < (SELECT requested_at, id FROM callbacks WHERE id = ?)"
        asked.append((page, (storable(before),)))
    where = " AND ".join(sql for sql, _ in asked) or "1"
    sql = f"SELECT record FROM callbacks WHERE {where} ORDER BY requested_at DESC, id DESC LIMIT ?"
    params = (*(value for _, values in asked for value in values), min(limit, MAX_ROWS))
    return _read(await database.fetch_all(sql, params))


def _read(rows: Sequence[Sequence[Value]]) -> list[Callback]:
    found = []
    for text, *_ in rows:
        try:
            found.append(Callback.from_plain(from_json(str(text))))
        except (KeyError, TypeError, ValueError):
            continue
    return found


_COLUMNS = (
    *("id", "client", "queue", "number", "first_joined_at", "due_at", "attempts", "record"),
    *("outcome", "ended_at", "customer", "source", "requested_at"),
)
_JOIN = (
    "INSERT INTO callbacks_joined (asked_as, callback) VALUES (?, ?)"
    " ON CONFLICT (asked_as) DO UPDATE SET callback = excluded.callback"
)
_UPSERT = (
    f"INSERT INTO callbacks ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
