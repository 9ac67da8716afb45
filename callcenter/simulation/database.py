"""SimDatabase: the real SQL in memory, on a disk that can be away."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from callcenter.storage.database import InlineDatabase, Row, StorageError, Transaction, Value


class SimDatabase(InlineDatabase):
    """A database in memory. While ``away`` says why, every statement fails."""

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

    def _check(self) -> None:
        if self.away:
            raise StorageError(self.away)
