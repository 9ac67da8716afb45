"""Who calls: asked in one go, and what comes too late, or not at all, takes nothing from the rest."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from callcenter.model.customer import Customer, Match
from callcenter.model.note import Note
from callcenter.storage.callers import Callers, Wanted
from callcenter.storage.customers import of_number
from callcenter.storage.database import AioDatabase, Database, Reading, Row, StorageError, Value
from callcenter.storage.interactions import WHO_ANSWERED_LAST
from callcenter.storage.store import Storage
from tests.unit.storage.support import NOON, StillClock

T = TypeVar("T")

JANA = Customer("c-1", "acme", "Jana", ("+420777123456",), revision=1)
WANTED = Wanted("acme", recent=5, number="+420777123456", last_agent_since=NOON)
AT = "2026-11-21T12:00:00.000Z"
NOTE = Note("n-1", "acme", "", "c-1", "ana", "ana", AT, AT, "ana", 1, False, "calls in the morning")


class Watched:
    """A database in front of another: tells how often it was asked, and each statement, which may fail."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.asked = 0
        self.at: Callable[[str], None] = lambda sql: None

    async def read(self, work: Callable[[Reading], T]) -> T:
        self.asked += 1
        return await self._inner.read(lambda reading: work(_Watched(self, reading)))

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"who calls is asked by one reading work, not by {name}")


class _Watched:
    def __init__(self, watched: Watched, reading: Reading) -> None:
        self._watched, self._reading = watched, reading

    def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        self._watched.at(sql)
        return self._reading.fetch_all(sql, params)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    storage = await Storage.over(await AioDatabase.open(tmp_path / "switch.db"), clock=StillClock())
    await storage.customers.create(JANA, NOON)
    storage.notes.keep(NOTE)
    await storage.log.drained()
    yield Watched(storage.database)
    await storage.close()


def callers(watched: Watched) -> Callers:
    return Callers(watched)  # type: ignore[arg-type]  # it has no more than is to be asked


def jana(reading: Reading) -> tuple[Match, list[Customer]]:
    return of_number(reading, "acme", "+420777123456")


async def test_all_that_is_asked_of_who_calls_is_asked_in_one_go(watched: Watched) -> None:
    found = await callers(watched).look_up(jana, WANTED, 5.0)
    assert watched.asked == 1
    assert (found.match, found.customer, found.note, found.last_agent) == (Match.SURE, JANA, NOTE, "")


async def test_what_was_said_is_known_although_the_rest_cannot_be_read(watched: Watched) -> None:
    def breaks(sql: str) -> None:
        if sql == WHO_ANSWERED_LAST:
            raise StorageError("the disk is gone")

    watched.at = breaks
    found = await callers(watched).look_up(jana, WANTED, 5.0)
    assert (found.match, found.customer, found.note) == (Match.SURE, JANA, NOTE)


async def test_who_calls_is_unknown_where_the_database_does_not_say(watched: Watched) -> None:
    late = threading.Event()

    def hangs(reading: Reading) -> tuple[Match, list[Customer]]:
        late.wait(10)
        return jana(reading)

    def breaks(reading: Reading) -> tuple[Match, list[Customer]]:
        raise StorageError("the disk is gone")

    for who in (hangs, breaks):
        found = await callers(watched).look_up(who, WANTED, 0.02)
        late.set()
        assert (found.match, found.customer, found.note) == (None, None, None)


async def test_who_is_not_waited_for_any_more_is_not_looked_up_behind_the_others(watched: Watched) -> None:
    """Look-ups that are in vain would keep those behind them from being in time."""
    late, asked = threading.Event(), list[str]()

    def hangs(reading: Reading) -> tuple[Match, list[Customer]]:
        late.wait(10)
        return jana(reading)

    def is_asked(reading: Reading) -> tuple[Match, list[Customer]]:
        asked.append("in vain")
        return jana(reading)

    for who in (hangs, is_asked):
        await callers(watched).look_up(who, WANTED, 0.02)
    late.set()
    assert (await callers(watched).look_up(jana, WANTED, 5.0)).customer == JANA
    assert asked == []
