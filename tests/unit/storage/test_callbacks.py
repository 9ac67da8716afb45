"""Callbacks in the database: as they were put there, in the order of their places, until they end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from callcenter.model.callback import Callback, Lease
from callcenter.simulation.clock import SimClock, run
from callcenter.simulation.database import SimDatabase
from callcenter.storage.database import StorageError
from callcenter.storage.store import Storage

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
ANN = Callback(
    id="cb1",
    client="acme",
    queue="sales",
    number="+14155550101",
    first_joined_at=NOON,
    requested_at=NOON + timedelta(seconds=40),
    due_at=NOON + timedelta(seconds=40),
    requested_in="cc1-call",
    dialled="+18005550100",
    language="es",
    name="Ann \ud800 broken",
    intent="sales",
    priority=7,
    needs="english>=3 and (sales>=2 or support>=3)",
    prefer="ana",
    menus=("main", "sales"),
    entered={"account": "****"},
    attributes={"tier": "gold"},
)
LEASE = Lease("cb1-1", 7, NOON + timedelta(minutes=1))


def test_what_was_kept_is_there_again_in_the_order_of_places() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        ben = replace(ANN, id="cb0", number="+14155550102", first_joined_at=NOON + timedelta(seconds=1), priority=None)
        for each in (ben, ANN, replace(ANN, attempts=1, lease=LEASE)):
            storage.callbacks.keep(each)
        await storage.callbacks.kept(1.0)
        assert await storage.callbacks.load_all() == [replace(ANN, attempts=1, lease=LEASE), ben]
        storage.callbacks.forget("cb1")
        storage.callbacks.forget("nobody")
        await storage.callbacks.kept(1.0)
        assert await storage.callbacks.load_all() == [ben]
        await storage.close()
        database.destroy()

    run(story())


def test_a_row_of_a_later_program_is_left_for_it_and_its_new_keys_are_passed_over() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        storage.callbacks.keep(ANN)
        await storage.callbacks.kept(1.0)
        others = "client, queue, number, first_joined_at, due_at, attempts"
        other = f"INSERT INTO callbacks (id, {others}, record) SELECT 'x', {others}, ? FROM callbacks"
        async with database.transaction() as transaction:
            await transaction.execute(other, ('{"id": "x"}',))
            await transaction.execute("UPDATE callbacks SET record = json_set(record, '$.window', 'noon')")
        assert await storage.callbacks.load_all() == [ANN]
        await storage.close()
        database.destroy()

    run(story())


def test_a_database_that_is_away_keeps_nothing_and_says_so_in_time() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        database.away = "the disk is full"
        storage.callbacks.keep(ANN)
        with pytest.raises(TimeoutError):
            await storage.callbacks.kept(1.0)
        database.away = ""
        await storage.callbacks.kept(10.0)
        assert await storage.callbacks.load_all() == [ANN]
        await storage.close()
        storage.callbacks.keep(ANN)
        with pytest.raises(StorageError):
            await storage.callbacks.kept(1.0)
        database.destroy()

    run(story())
