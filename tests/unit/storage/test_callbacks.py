"""Callbacks in the database: as they were put there, in the order of their places, until they end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callcenter.model.callback import Attempt, Callback, Lease
from callcenter.simulation.clock import SimClock, run
from callcenter.simulation.database import SimDatabase
from callcenter.storage.callbacks import find_callbacks
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


def test_those_that_have_ended_are_found_page_by_page_until_they_are_too_old_or_their_person_is_erased() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        kept = storage.callbacks
        every = [
            replace(ANN, id=f"cb{number}", requested_at=NOON + timedelta(minutes=number // 2), queue=f"q{number % 2}")
            for number in range(6)
        ]
        gone = [
            replace(each, outcome="reached", ended_at=NOON + timedelta(hours=1 + at)) for at, each in enumerate(every)
        ]
        attempts = (Attempt(1, NOON, "ana", "cc1-1", "busy", "486", NOON + timedelta(seconds=3)), Attempt(2, NOON))
        for each in (*every, *gone[:3], replace(gone[3], outcome="cancelled", customer="c1", history=attempts)):
            kept.keep(each)
        await kept.kept(1.0)
        pages, after = [], ""
        while found := await find_callbacks(database, client="acme", before=after, limit=4):
            pages.append([each.id for each in found])
            after = found[-1].id
        assert pages == [["cb5", "cb4", "cb3", "cb2"], ["cb1", "cb0"]]
        ended = await find_callbacks(database, clients={"acme", "other"}, state="ended")
        assert [each.id for each in ended] == ["cb3", "cb2", "cb1", "cb0"]
        assert ended[0].history == attempts
        questions: tuple[tuple[dict[str, Any], list[str]], ...] = (
            ({"state": "open"}, ["cb5", "cb4"]),
            ({"state": "cancelled"}, ["cb3"]),
            ({"customer": "c1"}, ["cb3"]),
            ({"queue": "q1", "agent": "ana"}, ["cb5", "cb3", "cb1"]),
            ({"call": "cc1-call", "source": "caller", "number": ANN.number, "state": "reached"}, ["cb2", "cb1", "cb0"]),
            ({"source": "api"}, []),
        )
        for asked, ids in questions:
            assert [each.id for each in await find_callbacks(database, **asked)] == ids, asked
        assert await find_callbacks(database, clients=set()) == []
        assert len(await kept.asked_since(NOON + timedelta(minutes=1))) == 4
        kept.forget_ended("acme", NOON + timedelta(hours=2, minutes=30))
        kept.forget_person("acme", ["c1"], ["+14155550199"])
        kept.forget_person("other", [], [ANN.number])
        await kept.kept(1.0)
        assert [each.id for each in await find_callbacks(database)] == ["cb5", "cb4", "cb2"]
        assert await kept.find("cb3") is None
        assert await kept.find("cb2") == gone[2]
        await storage.close()
        database.destroy()

    run(story())


def test_what_was_written_before_there_were_leases_is_read_as_an_attempt_that_nobody_knows_the_end_of() -> None:
    old = {name: value for name, value in ANN.plain().items() if name not in ("lease", "history", "source", "mode")}
    found = Callback.from_plain({**old, "dialling": True})
    assert found.dialling
    assert found.lease is not None
    assert found.lease.epoch == 0
    assert replace(found, lease=None) == ANN
