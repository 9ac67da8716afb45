"""Do not call: each client's list of numbers, in the database, and in memory as who is about to dial asks it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from callcenter.model.do_not_call import Entry, Source
from callcenter.model.facts import utc
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database, Row, Value, storable
from callcenter.storage.keeper import Keeper
from callcenter.storage.log import FactLog

# Read at once at the start: the loop is nobody else's yet, and a list of a million is read in pieces all the same.
CHUNK = 5_000
# The most that one question returns.
MAX_ROWS = 500


class DoNotCall:
    """The numbers that are not to be called. Asked in memory: nobody who dials waits for the disk."""

    def __init__(self, database: Database, log: FactLog, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._keeper = Keeper(log)
        self._clock = clock
        # By client and number, the second in which it ends, and its id.
        self._until: dict[str, dict[str, tuple[float, str]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._until.values()))

    def forbids(self, client: str, number: str) -> bool:
        """Whether this client is not to call ``number`` (E.164)."""
        return self.entry_of(client, number) is not None

    def entry_of(self, client: str, number: str) -> str | None:
        """The id of the entry by which this client is not to call ``number`` (E.164); None when it may."""
        until, entry = self._until.get(client, {}).get(number, (0.0, ""))
        return entry if until > self._clock.now().timestamp() else None

    def at_least(self, client: str, number: str, expires_at: datetime | None) -> datetime | None:
        """When an entry is to end that would end at ``expires_at``: not before the one that there is; None: never."""
        until, _ = self._until.get(client, {}).get(number, (0.0, ""))
        if until <= _second(expires_at):
            return expires_at
        return None if math.isinf(until) else datetime.fromtimestamp(until, UTC)

    async def load_all(self) -> None:
        """Read the lists, and let go of what has expired. Raises StorageError."""
        self._log.put(("DELETE FROM do_not_call WHERE expires_at <= ?", (utc(self._clock.now()),)))
        after: tuple[str, str] = ("", "")
        while True:
            rows = await self._database.fetch_all(
                "SELECT client, number, id, expires_at FROM do_not_call WHERE (client, number) > (?, ?)"
                f" ORDER BY client, number LIMIT {CHUNK}",
                after,
            )
            for client, number, entry, expires in rows:
                until = _second(datetime.fromisoformat(expires) if expires else None)
                self._until.setdefault(client, {})[number] = until, entry
            if len(rows) < CHUNK:
                return
            after = rows[-1][0], rows[-1][1]

    def keep(self, entry: Entry) -> None:
        """Hold this number from being called from now on. Never waits."""
        self._until.setdefault(entry.client, {})[entry.number] = _second(entry.expires_at), entry.id
        values: tuple[Value, ...] = (
            entry.client,
            entry.number,
            entry.id,
            storable(entry.reason),
            entry.source.value,
            storable(entry.call),
            storable(entry.added_by),
            utc(entry.added_at),
            None if entry.expires_at is None else utc(entry.expires_at),
        )
        self._keeper.put((_UPSERT, values))

    def forget(self, client: str, number: str) -> None:
        """Let this number be called again. Never waits."""
        self._until.get(client, {}).pop(number, None)
        self._keeper.put(
            ("DELETE FROM do_not_call WHERE client = ? AND number = ?", (storable(client), storable(number)))
        )

    async def kept(self, within: float) -> None:
        """Until all that was told so far is in the database, :meth:`Keeper.kept`. Raises TimeoutError, StorageError."""
        await self._keeper.kept(within)

    async def entry(self, client: str, number: str) -> Entry | None:
        """The entry of a number; None when there is none in force. Raises StorageError."""
        found = await self._rows("client = ? AND number = ?", (storable(client), storable(number)), 1)
        return found[0] if found else None

    async def by_id(self, entry: str) -> Entry | None:
        """The entry of this id, or None. Raises StorageError."""
        found = await self._rows("id = ?", (storable(entry),), 1)
        return found[0] if found else None

    async def find(self, client: str, *, after: str = "", limit: int = MAX_ROWS) -> list[Entry]:
        """A client's entries in force, by number, from behind the number ``after`` on. Raises StorageError."""
        params = (storable(client), storable(after))
        return await self._rows("client = ? AND number > ?", params, min(limit, MAX_ROWS))

    async def _rows(self, where: str, params: Sequence[Value], limit: int) -> list[Entry]:
        sql = (
            f"SELECT {_COLUMNS} FROM do_not_call WHERE {where} AND (expires_at IS NULL OR expires_at > ?)"
            " ORDER BY client, number LIMIT ?"
        )
        rows = await self._database.fetch_all(sql, (*params, utc(self._clock.now()), limit))
        return [_entry(row) for row in rows]


def _second(expires: datetime | None) -> float:
    return math.inf if expires is None else expires.timestamp()


def _entry(row: Row) -> Entry:
    client, number, name, reason, source, call, by, at, expires = row
    ends = None if expires is None else datetime.fromisoformat(expires)
    return Entry(name, client, number, reason, Source(source), call, by, datetime.fromisoformat(at), ends)


_COLUMNS = "client, number, id, reason, source, call_id, added_by, added_at, expires_at"
_UPSERT = (
    f"INSERT INTO do_not_call ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client, number) DO UPDATE"
    " SET id = excluded.id, reason = excluded.reason, source = excluded.source, call_id = excluded.call_id,"
    " added_by = excluded.added_by, added_at = excluded.added_at, expires_at = excluded.expires_at"
)
