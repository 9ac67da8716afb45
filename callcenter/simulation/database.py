"""SimDatabase: the real SQL in memory, on a disk that can be away."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from callcenter.storage.database import InlineDatabase, Row, StorageError, Transaction, Value, Writing

T = TypeVar("T")


class SimDatabase(InlineDatabase):
    """A database in memory, on a disk that outlives the switch. While ``away`` says why, every statement fails."""

    def __init__(self) -> None:
        super().__init__()
        self.away = ""

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query. Raises StorageError."""
        self._check()
        return await super().fetch_all(sql, params)

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
