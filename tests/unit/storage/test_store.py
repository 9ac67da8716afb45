"""The storage as a whole: one switch a database, and records of calls that a restart finds again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from callcenter.model.customer import Match
from callcenter.model.facts import (
    Body,
    CallAnswered,
    CallConnected,
    CallEnded,
    CallQueued,
    CustomerFound,
    Fact,
    IntentCaptured,
    OfferMade,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Side
from callcenter.storage.database import InlineDatabase, StorageError
from callcenter.storage.interactions import recent_of_customer
from callcenter.storage.store import Storage, open_database_beside
from tests.unit.storage.support import NOON, StillClock, arrived, fact


@contextlib.asynccontextmanager
async def storage(path: Path | None) -> AsyncIterator[Storage]:
    clock = StillClock()
    opened = await (Storage.over(InlineDatabase(), clock=clock) if path is None else Storage.open(path, clock=clock))
    try:
        yield opened
    finally:
        await opened.close()


def story(first: int, call_id: str, bodies: Iterable[Body]) -> list[Fact]:
    return [fact(seq, body, call_id) for seq, body in enumerate(bodies, first)]


GOOD_CALL: list[Body] = [
    arrived("+420777123456"),
    CallAnswered(),
    CustomerFound("c-1", Match.SURE),
    IntentCaptured("support", "main"),
    CallQueued("v1", "acme-support", "acme", 0, (("english", 3),), 40),
    OfferMade("v1", "o1", 1, "acme-support", "ana", 20_000, 25_000),
    CallConnected("v1", "o1", "ana"),
    CallEnded(Side.CALLER, EndCause.HANGUP),
]


async def recent(store: Storage, client: str, customer: str, limit: int = 5) -> list[dict[str, Any]]:
    return await store.database.read(lambda reading: recent_of_customer(reading, client, customer, limit))


async def test_a_second_switch_on_one_database_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    path = tmp_path / "switch.db"
    async with storage(path) as first:
        with pytest.raises(StorageError, match=r"in use by another switch \(process \d+\)"):
            await Storage.open(path, clock=StillClock())
        first.log.write(fact(1))
        await first.log.flushed(1)
    async with storage(path) as second:
        assert second.log.last_seq == 1


async def test_a_switch_killed_by_minus_nine_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    path = tmp_path / "switch.db"
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from callcenter.runtime.clock import SystemClock; from callcenter.storage.store import Storage\n"
        "async def main():\n"
        "    await Storage.open(Path(sys.argv[1]), clock=SystemClock()); print('open', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"open\n"
    with pytest.raises(StorageError, match=rf"\(process {process.pid}\)"):
        await Storage.open(path, clock=StillClock())
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with storage(path):
        pass


async def test_an_import_beside_a_running_switch_is_seen_by_it(tmp_path: Path) -> None:
    path = tmp_path / "switch.db"
    async with storage(path) as switch:
        beside = await open_database_beside(path, StillClock())
        from callcenter.storage.customer_csv import CustomerFiles

        await CustomerFiles(beside).import_csv("client,name,number\nacme,Jana,+420777123456\n", NOON)
        await beside.close()
        match, [customer] = await switch.customers.find("acme", "+420777123456")
        assert (match, customer.name) == (Match.SURE, "Jana")


@pytest.mark.parametrize("kind", ["folder", "no database", "under a file"])
async def test_a_database_that_cannot_be_opened_is_one_line_and_leaves_no_lock(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "switch.db"
    match kind:
        case "folder":
            path.mkdir()
        case "no database":
            path.write_text("a letter " * 1000)
        case _:
            path.write_text("")
            path = path / "deep" / "switch.db"
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            await Storage.open(path, clock=StillClock())
        assert "\n" not in str(caught.value)
        assert "in use" not in str(caught.value)


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_the_record_of_a_call_is_found_by_call_and_by_customer(tmp_path: Path, where: str) -> None:
    async with storage(None if where == "memory" else tmp_path / "switch.db") as store:
        facts = story(1, "cc1-good", GOOD_CALL)
        for each in facts:
            store.log.write(each)
        interaction = Interaction.from_facts(facts)
        store.interactions.save(interaction)
        await store.log.drained()
        assert await store.interactions.by_call("cc1-good") == interaction.plain()
        assert await store.interactions.by_call("cc1-other") is None
        assert await recent(store, "acme", "c-1") == [interaction.plain()]
        assert await recent(store, "globex", "c-1") == []
        assert await recent(store, "acme", "") == []
        [row] = await store.database.fetch_all(
            "SELECT client, customer_id, from_number, outcome, intent, queue, agent, wait_ms, talk_ms, ended_by, cause"
            " FROM interactions"
        )
        assert row == (
            *("acme", "c-1", "+420777123456", "handled", "support", "acme-support", "ana"),
            *(interaction.wait_ms, interaction.talk_ms, "caller", "hangup"),
        )


async def test_the_last_calls_of_a_customer_come_first_and_running_ones_do_not_count() -> None:
    async with storage(None) as store:
        seq = 1
        for number in range(4):
            facts = story(seq, f"cc1-{number}", GOOD_CALL if number < 3 else GOOD_CALL[:-1])
            seq += len(facts)
            for each in facts:
                store.log.write(each)
            store.interactions.save(Interaction.from_facts(facts))
        await store.log.drained()
        latest = await recent(store, "acme", "c-1", limit=2)
        assert [record["call_id"] for record in latest] == ["cc1-2", "cc1-1"]


async def test_a_restart_finds_the_calls_that_have_no_final_record(tmp_path: Path) -> None:
    path = tmp_path / "switch.db"
    async with storage(path) as store:
        closed = story(1, "cc1-closed", GOOD_CALL)
        ended = story(20, "cc1-ended", GOOD_CALL)
        talking = story(40, "cc1-talking", GOOD_CALL[:-1])
        for each in [*closed, *ended, *talking]:
            store.log.write(each)
        store.interactions.save(Interaction.from_facts(closed))
        store.interactions.save(Interaction.from_facts(talking))
    async with storage(path) as store:
        assert await store.interactions.unfinished() == ["cc1-ended", "cc1-talking"]
        facts = await store.log.read(0, 100, call_id="cc1-talking")
        facts.append(fact(60, CallEnded(Side.SYSTEM, EndCause.RESTART), "cc1-talking", boot="boot2"))
        store.log.write(facts[-1])
        store.interactions.save(Interaction.from_facts(facts))
        store.interactions.save(Interaction.from_facts(await store.log.read(0, 100, call_id="cc1-ended")))
    async with storage(path) as store:
        assert await store.interactions.unfinished() == []


async def test_a_record_saved_again_stands_for_the_one_before() -> None:
    async with storage(None) as store:
        facts = story(1, "cc1-a", GOOD_CALL)
        store.interactions.save(Interaction.from_facts(facts[:-1]))
        store.interactions.save(Interaction.from_facts(facts))
        await store.log.drained()
        rows = await store.database.fetch_all("SELECT call_id, outcome FROM interactions")
        assert rows == [("cc1-a", "handled")]


async def test_what_a_hostile_caller_puts_into_a_number_is_saved_all_the_same() -> None:
    async with storage(None) as store:
        facts = story(
            1, "cc1-a", [arrived("+1\udc80'; DROP TABLE facts;--\0"), CallEnded(Side.CALLER, EndCause.HANGUP)]
        )
        for each in facts:
            store.log.write(each)
        store.interactions.save(Interaction.from_facts(facts))
        await store.log.drained()
        assert store.log.lost == 0
        assert await store.interactions.by_call("cc1-a") == Interaction.from_facts(facts).plain()
