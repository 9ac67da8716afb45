"""Retained: which topics hold a message of ours, so that a later run can clear what nobody speaks for any more."""

from __future__ import annotations

from collections.abc import Iterable

from callcenter.storage.database import Database
from callcenter.storage.log import FactLog


class Retained:
    """The topics with a retained message of this switch, over its restarts."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    async def others(self, topics: Iterable[str]) -> list[str]:
        """Those that may hold a message of ours and are not among these. Raises StorageError."""
        kept = [row[0] for row in await self._database.fetch_all("SELECT topic FROM retained ORDER BY topic")]
        return sorted(set(kept) - set(topics))

    def put(self, topics: Iterable[str]) -> None:
        """These will hold a message of ours, until the broker has cleared them. Never waits."""
        insert = "INSERT INTO retained (topic) VALUES (?) ON CONFLICT (topic) DO NOTHING"
        self._log.put(*((insert, (topic,)) for topic in topics))

    def forget(self, topic: str) -> None:
        """The broker has cleared it. Never waits."""
        self._log.put(("DELETE FROM retained WHERE topic = ?", (topic,)))
