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

    async def replace(self, topics: Iterable[str]) -> list[str]:
        """From now on these are ours; returns those that were before and are not any more. Raises StorageError."""
        wanted = list(topics)
        before = [row[0] for row in await self._database.fetch_all("SELECT topic FROM retained ORDER BY topic")]
        self.put(wanted)
        return sorted(set(before) - set(wanted))

    def put(self, topics: Iterable[str]) -> None:
        """From now on these are ours, and no others. Never waits."""
        self._log.put(
            ("DELETE FROM retained", ()), *(("INSERT INTO retained (topic) VALUES (?)", (topic,)) for topic in topics)
        )
