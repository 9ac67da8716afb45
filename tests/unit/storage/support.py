"""What the storage tests share: facts in order, a clock that stands, a database that fails on demand."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from callcenter.model.facts import Body, CallArrived, DigitsEntered, Fact
from callcenter.storage.database import Database, Reading, Row, StorageError, Transaction, Value, Writing

T = TypeVar("T")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class StillClock:
    """A clock that moves when it is told to."""

    def __init__(self, elapsed: float = 100.0) -> None:
        self.elapsed = elapsed
        self.at = NOON

    def monotonic(self) -> float:
        return self.elapsed

    def now(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.elapsed += seconds
        self.at += timedelta(seconds=seconds)


def arrived(number: str = "+14155550100", name: str = "Jana") -> CallArrived:
    return CallArrived("acme", "welcome", number, name, "1000", "UDP", "192.0.2.7:5060", "abc@192.0.2.7")


def fact(seq: int, body: Body | None = None, call_id: str | None = "cc1-call", boot: str = "boot1") -> Fact:
    return Fact(seq, NOON, boot, seq * 10, call_id, body or DigitsEntered("main", str(seq), True))


class FailingDatabase:
    """A database in front of another: refuses to begin, or loses its word after the commit."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.failing: str | None = None
        self.fail_after_commit = 0
        self.transactions = 0

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self.inner.execute(sql, params)

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self.inner.fetch_all(sql, params)

    async def read(self, work: Callable[[Reading], T]) -> T:
        return await self.inner.read(work)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self.failing is not None:
            raise StorageError(self.failing)
        async with self.inner.transaction() as transaction:
            yield transaction
        self.transactions += 1
        if self.fail_after_commit:
            self.fail_after_commit -= 1
            raise StorageError("the disk hiccuped")

    async def write(self, work: Callable[[Writing], T]) -> T:
        if self.failing is not None:
            raise StorageError(self.failing)
        result = await self.inner.write(work)
        self.transactions += 1
        if self.fail_after_commit:
            self.fail_after_commit -= 1
            raise StorageError("the disk hiccuped")
        return result

    async def scrub(self) -> bool:
        return await self.inner.scrub()

    async def close(self) -> None:
        await self.inner.close()


def seqs(facts: Iterable[Fact]) -> list[int]:
    return [each.seq for each in facts]
