"""Keeper: what a table is told behind the facts, and whether that is in the database."""

from __future__ import annotations

import asyncio

from callcenter.storage.database import Statement, StorageError
from callcenter.storage.log import FactLog


class Keeper:
    """Of one table: its rows go into the log, and somebody waits until they are kept."""

    def __init__(self, log: FactLog) -> None:
        self._log = log
        self._refused = False
        self._lost: int | None = None

    def put(self, *statements: Statement) -> None:
        """Write these together, not before the facts written so far. Never waits, and never raises."""
        self._lost = self._log.lost
        self._log.put(*statements)
        # A log that is full lets go of it at once.
        self._refused = self._refused or self._log.lost > self._lost

    async def kept(self, within: float) -> None:
        """Until all that was put so far is in the database; what was let go of is told to the one who waits next.

        Raises TimeoutError when that takes longer than ``within`` seconds, StorageError when it never will be.
        """
        refused, lost = self._refused, self._log.lost if self._lost is None else self._lost
        self._refused, self._lost = False, None
        async with asyncio.timeout(within):
            await self._log.drained()
        if refused or self._log.lost > lost:
            raise StorageError(f"it had to be let go: {self._log.detail or 'the log takes nothing more'}")
