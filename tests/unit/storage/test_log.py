"""The log of facts: order, durability, one writer, and what happens while the database is away."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.model.facts import CallAnswered, CallArrived, DigitsEntered, Fact, QueueLeft
from callcenter.model.states import VisitOutcome
from callcenter.storage import log as log_module
from callcenter.storage.database import AioDatabase, InlineDatabase, StaleWriter, StorageError
from callcenter.storage.log import MAX_BATCH, FactLog
from callcenter.storage.migrate import migrate
from tests.unit.storage.support import NOON, FailingDatabase, arrived, fact, seqs


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[FailingDatabase]:
    inner = await AioDatabase.open(tmp_path / "switch.db")
    await migrate(inner, NOON)
    yield FailingDatabase(inner)
    await inner.close()


@pytest.fixture
async def log(database: FailingDatabase) -> AsyncIterator[FactLog]:
    opened = await FactLog.open(database)
    yield opened
    database.failing = None
    await opened.close()


async def stored(database: FailingDatabase) -> list[int]:
    return [row[0] for row in await database.fetch_all("SELECT seq FROM facts ORDER BY seq")]


async def test_facts_are_committed_in_order_and_read_back_as_they_were(log: FactLog, database: FailingDatabase) -> None:
    written = [fact(1, arrived(name="J\udce9na \0")), fact(2), fact(3, call_id=None), fact(4, call_id="cc1-other")]
    for each in written:
        log.write(each)
    assert log.last_seq == 0
    await log.flushed(4)
    assert log.last_seq == 4
    assert await stored(database) == [1, 2, 3, 4]
    assert await log.read(0, 10) == written
    assert await log.read(0, 10, call_id="cc1-call") == written[:2]
    again = await FactLog.open(database)
    assert await again.read(0, 10) == written, "from the table, not from memory"
    await again.close()


async def test_what_is_put_behind_a_fact_is_written_with_it_or_not_at_all(
    log: FactLog, database: FailingDatabase
) -> None:
    """Also behind the last fact of a batch: else a crash between both would have it told again."""
    before = database.transactions
    for seq in range(1, MAX_BATCH + 1):
        log.write(fact(seq))
    log.put(("INSERT INTO cursors (name, seq) VALUES ('of the fact', 1)", ()))
    log.put(("INSERT INTO cursors (name, seq) VALUES ('of it too', 2)", ()))
    log.write(fact(MAX_BATCH + 1))
    await log.flushed(MAX_BATCH)
    assert database.transactions == before + 1
    assert len(await database.fetch_all("SELECT 1 FROM cursors WHERE name LIKE 'of %'")) == 2


async def test_a_burst_costs_one_commit(log: FactLog, database: FailingDatabase) -> None:
    before = database.transactions
    for seq in range(1, 301):
        log.write(fact(seq))
    await log.flushed(300)
    assert database.transactions == before + 1


async def test_the_numbering_goes_on_after_a_restart_in_a_new_epoch(log: FactLog, database: FailingDatabase) -> None:
    log.write(fact(1))
    log.write(fact(2))
    await log.close()
    again = await FactLog.open(database)
    assert (again.last_seq, again.start_seq, again.epoch) == (2, 2, log.epoch + 1)
    again.write(fact(3))
    await again.close()
    assert await stored(database) == [1, 2, 3]


async def test_a_number_that_goes_back_is_a_mistake_of_ours(log: FactLog) -> None:
    log.write(fact(2))
    with pytest.raises(AssertionError):
        log.write(fact(2))
    await log.flushed(2)


async def test_while_the_database_is_away_facts_wait_and_follow(log: FactLog, database: FailingDatabase) -> None:
    told: list[tuple[bool, str]] = []
    log.on_state = lambda healthy, detail: told.append((healthy, detail))
    log.write(fact(1))
    await log.flushed(1)
    database.failing = "the disk is full"
    for seq in range(2, 50):
        log.write(fact(seq))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log.flushed(2), 0.25)
    assert (log.healthy, log.waiting) == (False, 48)
    database.failing = None
    log.write(fact(50))
    await log.flushed(50)
    assert told == [(False, "the disk is full"), (True, "")]
    assert await stored(database) == list(range(1, 51))


async def test_a_really_full_disk_loses_nothing(log: FactLog, database: FailingDatabase) -> None:
    pages = (await database.fetch_all("PRAGMA page_count"))[0][0]
    await database.execute(f"PRAGMA max_page_count = {pages + 2}")
    for seq in range(1, 2001):
        log.write(fact(seq, arrived(name="x" * 50)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log.flushed(2000), 0.2)
    assert log.detail.endswith("cannot grow: the disk is full")
    await database.execute("PRAGMA max_page_count = 1000000")
    await log.flushed(2000)
    assert await stored(database) == list(range(1, 2001))
    assert log.healthy


async def test_a_commit_that_was_done_but_reported_as_failed_is_not_done_twice(
    log: FactLog, database: FailingDatabase
) -> None:
    database.fail_after_commit = 2
    log.write(fact(1))
    log.put(("INSERT INTO cursors VALUES ('x', 1)", ()))
    log.write(fact(2))
    await asyncio.wait_for(log.flushed(2), 5)
    log.write(fact(3))
    await asyncio.wait_for(log.flushed(3), 5)
    assert await stored(database) == [1, 2, 3]


async def test_a_writer_that_was_replaced_is_refused(log: FactLog, database: FailingDatabase) -> None:
    log.write(fact(1))
    await log.flushed(1)
    successor = await FactLog.open(database)
    log.write(fact(2))
    with pytest.raises(StaleWriter, match="another switch has taken this database over"):
        await log.flushed(2)
    assert (log.healthy, await stored(database)) == (False, [1])
    log.write(fact(3))
    with pytest.raises(StaleWriter):
        await log.flushed(3)
    successor.write(fact(2))
    await successor.close()
    assert await stored(database) == [1, 2]


async def test_an_append_whose_head_is_not_the_tables_last_fact_is_refused(
    log: FactLog, database: FailingDatabase
) -> None:
    await database.execute("INSERT INTO facts VALUES (7, '', 'b', 0, NULL, 'X', '{}')")
    log.write(fact(8))
    with pytest.raises(StaleWriter):
        await log.flushed(8)
    assert await stored(database) == [7]


async def test_what_waits_is_bounded_and_what_is_let_go_is_told(
    log: FactLog, database: FailingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING", 10)
    database.failing = "away"
    for seq in range(1, 16):
        log.write(fact(seq))
    assert (log.waiting, log.lost) == (10, 5)
    with pytest.raises(StorageError, match="fact 12 was not written"):
        await log.flushed(12)
    database.failing = None
    await log.flushed(10)
    log.write(fact(16))
    await log.flushed(16)
    assert await stored(database) == [*range(1, 11), 16]
    with pytest.raises(StorageError, match="fact 15 was not written"):
        await log.flushed(15)


async def test_one_record_that_the_database_refuses_does_not_stop_the_others(
    log: FactLog, database: FailingDatabase
) -> None:
    told: list[tuple[bool, str]] = []
    log.on_state = lambda healthy, detail: told.append((healthy, detail))
    log.write(fact(1))
    log.put(("INSERT INTO cursors (name, seq) VALUES ('x', NULL)", ()))
    log.write(fact(2))
    log.write(Fact(3, NOON, "boot1", 1 << 70, None, DigitsEntered("main", "1", True)))
    log.write(fact(4))
    waiting = asyncio.create_task(log.flushed(3))
    await log.flushed(4)
    assert (await stored(database), log.lost) == ([1, 2, 4], 2)
    with pytest.raises(StorageError, match="fact 3 was not written"):
        await waiting
    assert [healthy for healthy, _ in told] == [False, True, False, True]
    assert "a record was let go" in told[0][1]


async def test_statements_are_written_behind_the_facts_before_them(log: FactLog, database: FailingDatabase) -> None:
    log.write(fact(1))
    log.put(("INSERT INTO cursors SELECT 'seen', MAX(seq) FROM facts", ()))
    await log.drained()
    assert await database.fetch_all("SELECT seq FROM cursors WHERE name = 'seen'") == [(1,)]
    await log.drained()


async def test_a_cursor_is_kept_over_a_restart_and_needs_no_fact_to_be_written(
    log: FactLog, database: FailingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CURSOR_DELAY", 0.02)
    assert log.cursor("mqtt") == 0
    log.move_cursor("mqtt", 4)
    log.move_cursor("mqtt", 5)
    assert log.cursor("mqtt") == 5
    async with asyncio.timeout(5):
        while not await database.fetch_all("SELECT 1 FROM cursors WHERE name = 'mqtt' AND seq = 5"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    log.move_cursor("mqtt", 6)
    log.move_cursor("pop/ana", 1)
    await log.close()
    again = await FactLog.open(database)
    assert (again.cursor("mqtt"), again.cursor("pop/ana")) == (6, 1)
    await again.close()


async def test_a_reader_waits_for_what_is_committed_and_not_for_what_is_written(
    log: FactLog, database: FailingDatabase
) -> None:
    database.failing = "away"
    log.write(fact(1))
    reader = asyncio.create_task(log.beyond(0))
    await asyncio.wait({reader}, timeout=0.05)
    assert not reader.done()
    assert await log.read(0, 10) == []
    database.failing = None
    assert await asyncio.wait_for(reader, 5) == 1
    assert await log.beyond(0) == 1


async def test_closing_commits_the_last_word_and_frees_who_waits(log: FactLog, database: FailingDatabase) -> None:
    reader = asyncio.create_task(log.beyond(2))
    log.write(fact(1))
    log.write(fact(2))
    await log.close()
    assert await stored(database) == [1, 2]
    with pytest.raises(StorageError, match="the log is closed"):
        await reader
    log.write(fact(3))
    with pytest.raises(StorageError, match="the log is closed"):
        await log.flushed(3)
    await log.close()


async def test_closing_with_a_dead_disk_ends_and_tells_what_is_lost(
    database: FailingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CLOSE_PATIENCE", 0.1)
    log = await FactLog.open(database)
    database.failing = "the disk is gone"
    log.write(fact(1))
    waiting = asyncio.create_task(log.flushed(1))
    with pytest.raises(StorageError, match="1 facts and records could not be written: the disk is gone"):
        await log.close()
    with pytest.raises(StorageError, match="the log is closed"):
        await waiting


async def test_kinds_of_a_newer_program_are_left_out(log: FactLog, database: FailingDatabase) -> None:
    await log.close()
    for seq in range(1, 8):
        await database.execute("INSERT INTO facts VALUES (?, '', 'b', 0, NULL, 'Teleported', '{}')", (seq,))
    again = await FactLog.open(database)
    assert await again.read(0, 3) == []
    again.write(fact(8))
    await again.flushed(8)
    assert seqs(await again.read(0, 3)) == [8]
    await again.close()


async def test_the_last_moment_of_a_boot_is_known(log: FactLog) -> None:
    log.write(fact(1, boot="a"))
    log.write(fact(2, boot="a"))
    log.write(fact(3, boot="b"))
    await log.flushed(3)
    assert [await log.last_ms(boot) for boot in ("a", "b", "c")] == [20, 30, 0]


@given(gaps=st.lists(st.integers(1, 3), max_size=30), after=st.integers(0, 70), limit=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_facts_in_memory_and_in_the_table_read_the_same(gaps: list[int], after: int, limit: int) -> None:
    async def read_both() -> tuple[list[Fact], list[Fact]]:
        database = InlineDatabase()
        await migrate(database, NOON)
        log = await FactLog.open(database)
        seq = 0
        for gap in gaps:
            seq += gap
            log.write(fact(seq))
        await log.drained()
        near = await log.read(after, limit)
        log._tail.clear()
        far = await log.read(after, limit)
        await log.close()
        await database.close()
        return near, far

    near, far = asyncio.run(read_both())
    assert near == far


@given(text=st.text(st.characters(exclude_categories=()), max_size=20))
@settings(max_examples=60, deadline=None)
def test_whatever_a_peer_sends_comes_back_unchanged(text: str) -> None:
    async def round_trip() -> Fact:
        database = InlineDatabase()
        await migrate(database, NOON)
        log = await FactLog.open(database)
        log.write(fact(1, arrived(text, text)))
        await log.flushed(1)
        log._tail.clear()
        [found] = await log.read(0, 1)
        await log.close()
        await database.close()
        return found

    body = asyncio.run(round_trip()).body
    assert isinstance(body, CallArrived)
    assert (body.from_number, body.from_name) == (text, text)


WRITER = """
import asyncio, sys
from pathlib import Path
from callcenter.runtime.clock import SystemClock
from callcenter.storage.store import Storage
from tests.unit.storage.support import fact

async def main():
    storage = await Storage.open(Path(sys.argv[1]), clock=SystemClock())
    seq = storage.log.last_seq
    while True:
        for _ in range(7):
            seq += 1
            storage.log.write(fact(seq))
        await storage.log.flushed(seq)
        print(seq, flush=True)

asyncio.run(main())
"""


async def test_a_switch_killed_while_it_writes_keeps_every_acknowledged_fact(tmp_path: Path) -> None:
    """Three lives, each ended by -9 at another moment; each goes on where the one before ended."""
    path = tmp_path / "switch.db"
    acknowledged = 0
    for lines in (3, 40, 111):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(lines):
            acknowledged = int(await asyncio.wait_for(process.stdout.readline(), 20))
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).split()
        await process.wait()
        if rest:
            acknowledged = max(acknowledged, *(int(line) for line in rest[:-1] or rest))
    database = await AioDatabase.open(path)
    assert await database.fetch_all("PRAGMA integrity_check") == [("ok",)]
    log = await FactLog.open(database)
    assert log.last_seq >= acknowledged
    assert seqs(await log.read(0, 100_000)) == list(range(1, log.last_seq + 1))
    await log.close()
    await database.close()


async def test_facts_of_one_kind_are_found_since_a_moment_among_the_last_ones() -> None:
    """What is older, of another kind, or further back than is looked, is left out."""
    database = InlineDatabase()
    await migrate(database, NOON)
    log = await FactLog.open(database)
    assert await log.last_at() is None
    left = QueueLeft("v", "sales", VisitOutcome.LOST)
    for seq in range(1, 21):
        at = NOON + timedelta(seconds=seq)
        log.write(Fact(seq, at, "boot1", seq * 1000, "cc1-call", left if seq % 2 else CallAnswered()))
    await log.flushed(20)
    assert await log.last_at() == NOON + timedelta(seconds=20)
    assert seqs(await log.since(NOON + timedelta(seconds=15), QueueLeft, 100)) == [15, 17, 19]
    assert seqs(await log.since(NOON, QueueLeft, 5)) == [17, 19]
    assert await log.since(NOON + timedelta(seconds=30), QueueLeft, 100) == []
    await log.close()
    await database.close()
