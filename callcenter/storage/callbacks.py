"""Callbacks: who is to be called back, kept over a restart and a crash."""

from __future__ import annotations

import asyncio

from callcenter.model.callback import Callback
from callcenter.model.facts import utc
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, StorageError, storable
from callcenter.storage.log import FactLog


class Callbacks:
    """One row for each callback that has not ended, written behind the facts that tell of it."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log
        self._lost = log.lost

    def keep(self, callback: Callback) -> None:
        """This is how it stands with a callback from now on. Never waits."""
        values = (
            callback.id,
            storable(callback.client),
            storable(callback.queue),
            storable(callback.number),
            utc(callback.first_joined_at),
            utc(callback.due_at),
            callback.attempts,
            json_text(callback.plain()),
        )
        self._lost = self._log.lost
        self._log.put((_UPSERT, values))

    def forget(self, callback_id: str) -> None:
        """A callback has ended. Never waits; one that is unknown is forgotten as well."""
        self._log.put(("DELETE FROM callbacks WHERE id = ?", (callback_id,)))

    async def kept(self, within: float) -> None:
        """Until all that was told so far is in the database.

        Raises TimeoutError when that takes longer than ``within`` seconds, StorageError when it never will be.
        """
        before = self._lost
        async with asyncio.timeout(within):
            await self._log.drained()
        if self._log.lost > before:
            raise StorageError(f"it had to be let go: {self._log.detail or 'the log takes nothing more'}")

    async def load_all(self) -> list[Callback]:
        """All that are kept, in the order of their places. Raises StorageError.

        A row that this program cannot read is left where it is, for the one that can.
        """
        found = []
        for (text,) in await self._database.fetch_all("SELECT record FROM callbacks ORDER BY first_joined_at, id"):
            try:
                found.append(Callback.from_plain(from_json(text)))
            except (KeyError, TypeError, ValueError):
                continue
        return found


_COLUMNS = ("id", "client", "queue", "number", "first_joined_at", "due_at", "attempts", "record")
_UPSERT = (
    f"INSERT INTO callbacks ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
