"""SimDatabase: the real SQL in memory, on a disk that can be away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from callcenter.storage.database import InlineDatabase, Reading, Row, StorageError, Transaction, Value, Writing

T = TypeVar("T")


class SimDatabase(InlineDatabase):
    """A database in memory, on a disk that outlives the switch. While ``away`` says why, every statement fails."""

    def __init__(self) -> None:
        super().__init__()
        self.away = ""
        self.on_read: Callable[[str, Sequence[Value]], None] | None = None
        """Is told each statement of a reading work."""
        self.stuck = ""
        """The statement of a reading work that nothing comes back from."""

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query. Raises StorageError."""
        self._check()
        return await super().fetch_all(sql, params)

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Queries as one piece of work. Raises StorageError."""
        self._check()
        try:
            return await super().read(lambda reading: work(_SimReading(self, reading)))
        except _Stuck:
            never: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            return await never

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A writing transaction. Raises StorageError."""
        self._check()
        async with super().transaction() as transaction:
            yield transaction

    async def write(self, work: Callable[[Writing], T]) -> T:
        """A writing transaction as one piece of work. Raises StorageError."""
        self._check()
        return await super().write(work)

    async def scrub(self) -> bool:
        """Empty the write-ahead log. Raises StorageError."""
        self._check()
        return await super().scrub()

    async def close(self) -> None:
        """The switch closes it; what is in it stays for the next one, until :meth:`destroy`."""

    def destroy(self) -> None:
        """The world ends."""
        self._connection.close()

    def _check(self) -> None:
        if self.away:
            raise StorageError(self.away)


class _Stuck(Exception):
    """Nothing comes back."""


class _SimReading:
    def __init__(self, database: SimDatabase, reading: Reading) -> None:
        self._database = database
        self._reading = reading

    def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        if self._database.on_read is not None:
            self._database.on_read(sql, params)
        if sql == self._database.stuck:
            raise _Stuck
        return self._reading.fetch_all(sql, params)
