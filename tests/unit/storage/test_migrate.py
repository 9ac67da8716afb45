"""Migrations: from nothing, from every earlier schema, and never half-way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from callcenter.model.facts import body_to_dict
from callcenter.storage.database import AioDatabase, InlineDatabase, StorageError
from callcenter.storage.log import FactLog
from callcenter.storage.migrate import Migration, migrate, shipped, split
from tests.unit.storage.support import NOON, arrived, fact, seqs

STEPS = shipped()


async def schema(database: AioDatabase | InlineDatabase) -> list[tuple[str, str]]:
    rows = await database.fetch_all("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return [(row[0], row[1]) for row in rows]


async def test_an_empty_file_becomes_the_newest_schema_and_says_so(tmp_path: Path) -> None:
    database = await AioDatabase.open(tmp_path / "switch.db")
    assert await migrate(database, NOON) == STEPS[-1].version
    rows = await database.fetch_all("SELECT version, name, applied_at FROM migrations ORDER BY version")
    assert rows == [(step.version, step.name, "2026-11-21T12:00:00.000Z") for step in STEPS]
    await database.close()


@pytest.mark.parametrize("version", range(1, len(STEPS) + 1))
async def test_every_earlier_schema_comes_to_the_newest_with_what_it_holds(version: int) -> None:
    fresh, old = InlineDatabase(), InlineDatabase()
    await migrate(fresh, NOON)
    await migrate(old, NOON, STEPS[:version])
    for seq, call in ((1, "cc1-a"), (2, "cc1-b")):
        await old.execute(
            "INSERT INTO facts VALUES (?, '2026-11-21T11:00:00.000Z', 'b', 5, ?, 'CallArrived', ?)",
            (seq, call, json.dumps(body_to_dict(arrived()))),
        )
    await migrate(old, NOON)
    await migrate(old, NOON)
    assert await schema(old) == await schema(fresh)
    log = await FactLog.open(old)
    assert seqs(await log.read(0, 10)) == [1, 2]
    log.write(fact(3, arrived(), "cc1-c"))
    await log.close()
    if version == 1:  # The table came with the second step, and was filled from the facts.
        rows = await old.fetch_all("SELECT call_id FROM open_calls ORDER BY seq")
        assert rows == [("cc1-a",), ("cc1-b",), ("cc1-c",)]
    await old.close()
    await fresh.close()


async def test_a_database_of_a_newer_program_is_left_alone() -> None:
    database = InlineDatabase()
    newer = [*STEPS, Migration(len(STEPS) + 1, "tomorrow", ("CREATE TABLE tomorrow (n INTEGER)",))]
    await migrate(database, NOON, newer)
    before = await schema(database)
    ours = len(STEPS)
    with pytest.raises(StorageError, match=f"has schema {ours + 1}, this program knows schemas up to {ours}: start"):
        await migrate(database, NOON)
    assert await schema(database) == before
    await database.close()


async def test_a_migration_that_fails_leaves_the_schema_before_it() -> None:
    database = InlineDatabase()
    await migrate(database, NOON, STEPS[:1])
    before = await schema(database)
    broken = Migration(2, "broken", ("CREATE TABLE half (n INTEGER)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StorageError, match="nowhere"):
        await migrate(database, NOON, [STEPS[0], broken])
    assert await schema(database) == before
    await migrate(database, NOON)
    await database.close()


async def test_two_programs_that_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    databases = [await AioDatabase.open(tmp_path / "switch.db") for _ in range(2)]
    assert await asyncio.gather(*(migrate(database, NOON) for database in databases)) == [len(STEPS)] * 2
    for database in databases:
        await database.close()


def test_statements_are_split_at_semicolons_that_end_a_line() -> None:
    text = "-- why; it is there\nCREATE TABLE a (\n  n INTEGER\n);\n\nINSERT INTO a VALUES (';');\n"
    assert split(text) == ("CREATE TABLE a (\n  n INTEGER\n)", "INSERT INTO a VALUES (';')")


async def test_calls_from_before_agents_could_dial_had_come_to_the_house() -> None:
    old = InlineDatabase()
    await migrate(old, NOON, STEPS[:8])
    columns = ", ".join(["?"] * 18)
    row = (
        "cc1-a",
        "acme",
        "",
        "1",
        "2",
        "t",
        None,
        None,
        "",
        "",
        "",
        0,
        0,
        0,
        0,
        None,
        None,
        json.dumps({"queue": ""}),
    )
    await old.execute(f"INSERT INTO interactions VALUES ({columns})", row)
    await migrate(old, NOON)
    ((direction, record),) = await old.fetch_all("SELECT direction, record FROM interactions")
    assert direction == "inbound"
    assert json.loads(record) == {"queue": "", "direction": "inbound", "dialled_by": "", "outside": []}
    await old.close()
