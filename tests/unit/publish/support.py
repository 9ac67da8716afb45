"""What the publish tests share: a log in memory, and waiting for something to be true with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from callcenter.model.facts import Body, DigitsEntered, Fact

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def fact(seq: int, body: Body | None = None, call_id: str | None = "cc1-call") -> Fact:
    return Fact(seq, NOON, "boot1", seq * 10, call_id, body or DigitsEntered("main", str(seq), True))


class Log:
    """A log of facts in memory: the outbox as the publisher knows it."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.cursors: dict[str, int] = {}
        self.broken = ""
        self._grown = asyncio.Event()

    @property
    def last_seq(self) -> int:
        return self.facts[-1].seq if self.facts else 0

    def add(self, count: int = 1, body: Body | None = None, call_id: str | None = "cc1-call") -> None:
        for _ in range(count):
            self.facts.append(fact(self.last_seq + 1, body, call_id))
        self._grown.set()

    def cursor(self, name: str) -> int:
        return self.cursors.get(name, 0)

    def move_cursor(self, name: str, seq: int) -> None:
        assert seq >= self.cursor(name), "a cursor never goes back"
        self.cursors[name] = seq

    async def read(self, after: int, limit: int) -> list[Fact]:
        if self.broken:
            raise OSError(self.broken)
        return [each for each in self.facts if each.seq > after][:limit]

    async def beyond(self, seq: int) -> int:
        while self.last_seq <= seq:
            self._grown.clear()
            await self._grown.wait()
        return self.last_seq


async def until(true: Callable[[], object], within: float = 30.0) -> None:
    """Until it is true; fails after ``within`` seconds."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.005)
