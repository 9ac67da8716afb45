"""Follow-ups in the database: as they were put there, and found without looking at all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from callcenter.model.followup import Attempt, Followup, FollowupKind, FollowupState, Promises, Told
from callcenter.simulation.clock import SimClock, run
from callcenter.simulation.database import SimDatabase
from callcenter.storage.database import Row, Value
from callcenter.storage.followups import Asked, Open, of_caller
from callcenter.storage.store import Storage

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = frozenset({"acme"})
ONE = Followup(
    id="x-1",
    client="acme",
    kind=FollowupKind.TASK,
    title="Refund \ud800 broken",
    text="in full",
    due_at=NOON,
    due_local="2026-11-21T13:00",
    zone="Europe/Prague",
    created_by="agent ana",
    created_at=NOON - timedelta(hours=1),
    customer="c-1",
    number="+420777123456",
    call="cc1-call",
    queue="sales",
    agent="ana",
    made_by="ana",
    callback="cb-1",
    attempts=(Attempt(NOON, "agent ana", "no_answer", "late"),),
    revision=3,
    told=Told.REMINDED,
)


class Watched(SimDatabase):
    """A database that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Sequence[Value]]] = []
        self.on_read = lambda *asked: self.asked.append(asked)

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        self.asked.append((sql, params))
        return await super().fetch_all(sql, params)


def test_what_was_kept_is_there_again_and_so_much_of_it_in_memory_as_is_needed() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        done = replace(ONE, id="x-2", state=FollowupState.DONE, done_at=NOON, done_by="agent ana")
        for each in (ONE, done, replace(ONE, title="Refund")):
            storage.followups.keep(each)
        await storage.followups.kept(1.0)
        assert await storage.followups.by_id("x-1") == replace(ONE, title="Refund")
        assert (await storage.followups.by_id("x-2")) == replace(done, title="Refund ? broken")
        assert await storage.followups.by_id("x-3") is None
        opened = Open("x-1", "acme", "ana", "sales", "cb-1", NOON.timestamp(), 1, 3)
        assert await storage.followups.load_open() == [opened]
        storage.followups.mark("x-1", Told.DUE)
        storage.followups.hand("x-1", "", "help", 4)
        await storage.followups.kept(1.0)
        now = await storage.followups.by_id("x-1")
        assert now == replace(ONE, title="Refund", told=Told.DUE, agent="", queue="help", revision=4)
        await storage.close()
        database.destroy()

    run(story())


def test_who_calls_is_found_by_customer_by_number_and_by_a_record_that_became_one_with_theirs() -> None:
    async def story() -> None:
        database = Watched()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        for at, (customer, number, client, state) in enumerate(
            [
                ("c-1", "", "acme", FollowupState.OPEN),
                ("", "+1415", "acme", FollowupState.OPEN),
                ("c-1", "+1415", "acme", FollowupState.OPEN),
                ("c-old", "", "acme", FollowupState.OPEN),
                ("c-1", "", "acme", FollowupState.DONE),
                ("c-1", "", "other", FollowupState.OPEN),
                ("", "", "acme", FollowupState.OPEN),
            ]
        ):
            due = NOON + timedelta(hours=10 - at)
            storage.followups.keep(
                replace(ONE, id=f"x-{at}", customer=customer, number=number, client=client, state=state, due_at=due)
            )
        await storage.followups.kept(1.0)
        await database.execute(
            "INSERT INTO customer_merges (client, id, into_id, merged_at, merged_by, record, conflicts)"
            " VALUES ('acme', 'c-old', 'c-1', '', '', '{}', '{}')"
        )

        def find(*whom: str) -> Awaitable[tuple[int, list[Followup]]]:
            return database.read(lambda reading: of_caller(reading, *whom))

        count, next_ones = await find("acme", "c-1", "+1415")
        assert (count, [each.id for each in next_ones]) == (4, ["x-3", "x-2", "x-1", "x-0"])
        assert (await find("acme", "", "+1415"))[0] == 2
        assert await find("acme", "", "") == (0, [])
        assert await find("acme", "c-2", "") == (0, [])
        listed = await storage.followups.find(Asked(ACME, customer="c-1"))
        assert [each.id for each in listed] == ["x-4", "x-3", "x-2", "x-0"]
        await storage.close()
        database.destroy()

    run(story())


def test_no_question_that_somebody_waits_for_looks_at_every_row() -> None:
    async def story() -> None:
        database = Watched()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        storage.followups.keep(ONE)
        await storage.followups.kept(1.0)
        database.asked.clear()
        store = storage.followups
        await database.read(lambda reading: of_caller(reading, "acme", "c-1", "+1415"))
        for asked in (
            Asked(),
            Asked(ACME, state="open"),
            Asked(ACME, agent="ana"),
            Asked(ACME, queue="sales", state="done"),
            Asked(ACME, customer="c-1"),
            Asked(call="cc1-call"),
        ):
            await store.find(asked)
        for sql, params in list(database.asked):
            plan = [row[3] for row in await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", params)]
            assert not [step for step in plan if step.startswith("SCAN followups") and "INDEX" not in step], sql
        sql, params = database.asked[0]
        plan_of_caller = "\n".join(row[3] for row in await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", params))
        assert "followups_of_customer (client=? AND customer=?" in plan_of_caller
        assert "followups_of_number (client=? AND number=?" in plan_of_caller
        await storage.close()
        database.destroy()

    run(story())


def test_promises_are_counted_as_they_are_defined() -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        ms = timedelta(milliseconds=1)
        for at, (state, done_at) in enumerate(
            [
                (FollowupState.DONE, NOON),
                (FollowupState.DONE, NOON + ms),
                (FollowupState.OPEN, None),
                (FollowupState.CANCELLED, NOON),
            ]
        ):
            storage.followups.keep(replace(ONE, id=f"x-{at}", state=state, done_at=done_at))
        storage.followups.keep(replace(ONE, id="x-9", made_by="", agent="bob"))
        await storage.followups.kept(1.0)
        assert await storage.followups.promises(Asked(ACME)) == [Promises("acme", "", 1, 1, 2)]
        by_agent = [Promises("acme", "ana", 1, 1, 1), Promises("acme", "bob", 0, 0, 1)]
        assert await storage.followups.promises(Asked(ACME), by_agent=True) == by_agent
        assert await storage.followups.promises(Asked(ACME, due_before=NOON)) == []
        await storage.close()
        database.destroy()

    run(story())
