"""Migrations: numbered SQL files, applied in order, each in a transaction, and recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from callcenter.model.facts import utc
from callcenter.storage.database import Database, StorageError

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its number, its name, and its statements."""

    version: int
    name: str
    statements: tuple[str, ...]


def shipped(package: str = "callcenter.storage") -> list[Migration]:
    """The migrations of a package's database, in order. They are numbered 1, 2, 3 without a gap."""
    found = []
    for item in resources.files(package).joinpath("migrations").iterdir():
        match = _NAME.match(item.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], split(item.read_text(encoding="utf-8"))))
    found.sort(key=lambda migration: migration.version)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1)), (
        "a migration's number is missing"
    )
    return found


def split(text: str) -> tuple[str, ...]:
    """The statements of a migration: each ends with a semicolon at the end of a line; ``--`` lines are dropped."""
    statements, lines = [], []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("--"):
            continue
        lines.append(line)
        if line.rstrip().endswith(";"):
            statements.append("\n".join(lines).rstrip().removesuffix(";"))
            lines = []
    assert not lines, "a migration's last statement lacks its semicolon"
    return tuple(statements)


async def migrate(database: Database, now: datetime, migrations: Sequence[Migration] | None = None) -> int:
    """Bring the schema to this program's version, and return it.

    Raises StorageError when the database was written by a newer program, or cannot be written.
    """
    steps = shipped() if migrations is None else migrations
    newest = steps[-1].version if steps else 0
    await database.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
    )
    for step in steps:
        async with database.transaction() as transaction:
            # Read again inside each transaction: another process may be migrating beside us.
            rows = await transaction.execute("SELECT COALESCE(MAX(version), 0) FROM migrations")
            version: int = rows[0][0]
            if version > newest:
                raise StorageError(
                    f"the database has schema {version}, this program knows schemas up to {newest}: "
                    "start the newer program, or restore an older backup"
                )
            if step.version <= version:
                continue
            for statement in step.statements:
                await transaction.execute(statement)
            await transaction.execute(
                "INSERT INTO migrations (version, name, applied_at) VALUES (?, ?, ?)",
                (step.version, step.name, utc(now)),
            )
    return newest
