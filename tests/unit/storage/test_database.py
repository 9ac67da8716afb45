"""The database: what it answers when the disk, another program or the path is at fault."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcenter.storage.database import (
    AioDatabase,
    Database,
    InlineDatabase,
    Reading,
    ReadingDatabase,
    RejectedStatement,
    Row,
    StorageError,
    storable,
)


@pytest.fixture(params=["thread", "inline"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "switch.db"
    opened: Database = await AioDatabase.open(path) if request.param == "thread" else InlineDatabase(path)
    await opened.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT NOT NULL)")
    yield opened
    await opened.close()


async def numbers(database: Database) -> list[int]:
    return [row[0] for row in await database.fetch_all("SELECT n FROM t ORDER BY n")]


async def fail_half_way(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (4, 'four')")
        raise ZeroDivisionError


async def test_what_is_committed_is_read_and_what_raises_is_not(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (?, ?)", (1, "one"))
        await transaction.execute_many("INSERT INTO t VALUES (?, ?)", [(2, "two"), (3, "three")])
    with pytest.raises(ZeroDivisionError):
        await fail_half_way(database)
    assert await numbers(database) == [1, 2, 3]
    assert await database.execute("UPDATE t SET s = 'x' WHERE n < 3 RETURNING n") == [(1,), (2,)]


async def test_an_error_of_the_callers_own_is_not_told_as_the_databases(database: Database) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with database.transaction():
            raise ValueError("mine")
    await database.execute("INSERT INTO t VALUES (1, 'after')")


async def test_a_writer_cancelled_half_way_leaves_nothing_behind(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO t VALUES (1, 'half')")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.execute("INSERT INTO t VALUES (2, 'whole')")
    assert await numbers(database) == [2]


async def test_a_writer_cancelled_at_any_await_leaves_the_database_usable(database: Database) -> None:
    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO t VALUES (1, 'x')")
            await transaction.execute("DELETE FROM t WHERE n = 1")

    for turns in range(12):
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await database.execute("INSERT INTO t VALUES (?, 'fine')", (turns + 10,))
    assert await numbers(database) == list(range(10, 22))


async def test_values_that_can_never_be_stored_are_told_apart_from_a_failing_disk(database: Database) -> None:
    with pytest.raises(RejectedStatement):
        await database.execute("INSERT INTO t VALUES (1, NULL)")
    with pytest.raises(RejectedStatement):
        await database.execute("INSERT INTO t VALUES (?, 'x')", (1 << 80,))
    with pytest.raises(RejectedStatement):
        await database.execute("INSERT INTO t VALUES (1, ?)", ("\udce9",))
    await database.execute("INSERT INTO t VALUES (1, ?)", (storable("\udce9\0 é"),))
    assert await database.fetch_all("SELECT s FROM t") == [("? é",)]


async def test_a_full_disk_is_told_in_one_line_and_mended_by_room(database: Database) -> None:
    pages = (await database.fetch_all("PRAGMA page_count"))[0][0]
    await database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match=r"^the database /\S+ cannot grow: the disk is full$") as caught:
        await database.execute("INSERT INTO t VALUES (1, ?)", ("x" * 100_000,))
    assert not isinstance(caught.value, RejectedStatement)
    await database.execute("PRAGMA max_page_count = 100000")
    await database.execute("INSERT INTO t VALUES (1, ?)", ("x" * 100_000,))
    assert await numbers(database) == [1]


async def test_another_programs_lock_is_told_in_one_line(database: Database, tmp_path: Path) -> None:
    await database.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(tmp_path / "switch.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StorageError, match=r"is locked by another program$"):
            await database.execute("INSERT INTO t VALUES (1, 'x')")
        assert await numbers(database) == []
    finally:
        other.close()
    await database.execute("INSERT INTO t VALUES (1, 'x')")


async def test_a_read_only_database_is_told_in_one_line(database: Database) -> None:
    await database.fetch_all("SELECT 1")
    async with database.transaction() as transaction:
        await transaction.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match=r"is read-only$"):
        await database.execute("INSERT INTO t VALUES (1, 'x')")


async def test_a_closed_database_says_so_and_may_be_closed_again(database: Database) -> None:
    await database.close()
    await database.close()
    with pytest.raises(StorageError, match=r"is closed$"):
        await database.execute("INSERT INTO t VALUES (1, 'x')")
    with pytest.raises(StorageError, match=r"is closed$"):
        await database.fetch_all("SELECT 1")


async def test_readers_do_not_wait_for_a_writer_and_see_the_last_commit(tmp_path: Path) -> None:
    database = await AioDatabase.open(tmp_path / "switch.db")
    await database.execute("CREATE TABLE t (n INTEGER)")
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (1)")
        assert await database.fetch_all("SELECT n FROM t") == []
    assert await database.fetch_all("SELECT n FROM t") == [(1,)]
    with pytest.raises(StorageError, match=r"is read-only$"):
        await database.fetch_all("DELETE FROM t")
    await database.close()


async def test_a_piece_of_reading_sees_one_commit_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    database = await AioDatabase.open(tmp_path / "switch.db")
    await database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    await database.execute("INSERT INTO t VALUES (1)")
    beside = await ReadingDatabase.open(tmp_path / "switch.db", 1)

    def count_twice(reading: Reading) -> list[Row]:
        before = reading.fetch_all("SELECT COUNT(*) FROM t")
        other = sqlite3.connect(tmp_path / "switch.db", isolation_level=None)
        other.execute("INSERT INTO t (n) SELECT MAX(n) + 1 FROM t")
        other.close()
        return before + reading.fetch_all("SELECT COUNT(*) FROM t")

    assert await database.read(count_twice) == [(1,), (1,)]
    assert await beside.read(count_twice) == [(2,), (2,)]
    assert await numbers(database) == await numbers(beside) == [1, 2, 3]
    await beside.close()
    await database.close()


async def test_a_piece_of_reading_that_fails_leaves_the_next_one_well(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await database.read(lambda reading: 1 / 0)
    with pytest.raises(StorageError, match="no such table"):
        await database.read(lambda reading: reading.fetch_all("SELECT * FROM nowhere"))
    await database.execute("INSERT INTO t VALUES (1, 'one')")
    assert await database.read(lambda reading: reading.fetch_all("SELECT n FROM t")) == [(1,)]


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    database = await AioDatabase.open(tmp_path / "deep" / "down" / "switch.db")
    await database.execute("CREATE TABLE t (n INTEGER)")
    for path in (tmp_path / "deep" / "down").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    await database.close()


async def read_all(path: Path) -> None:
    database = await AioDatabase.open(path)
    try:
        await database.fetch_all("SELECT * FROM t")
    finally:
        await database.close()


@pytest.mark.parametrize("kind", ["folder", "text", "under a file", "cut short"])
async def test_a_path_that_is_no_database_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "switch.db"
    match kind:
        case "folder":
            path.mkdir()
            expected = "cannot write the database .*: is a directory"
        case "text":
            path.write_text("this is a letter to my aunt, and longer than a header of a database is\n" * 3)
            expected = "is not a database: the file holds something else; move it away or give another path"
        case "under a file":
            path.write_text("")
            path = path / "switch.db"
            expected = "cannot write the database .*: (file exists|not a directory)"
        case _:
            whole = await AioDatabase.open(path)
            await whole.execute("CREATE TABLE t (n INTEGER, s TEXT)")
            await whole.execute("INSERT INTO t VALUES (1, ?)", ("x" * 50_000,))
            await whole.close()
            path.write_bytes(path.read_bytes()[:5_000])
            expected = "is damaged; restore it from a backup"
    with pytest.raises(StorageError, match=expected) as caught:
        await read_all(path)
    assert "\n" not in str(caught.value)
