"""``callcenter customers import``: take customers from a CSV file into the database."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from callcenter.cli.common import add_config_arguments, load_or_tell
from callcenter.config import Settings
from callcenter.runtime.clock import SystemClock
from callcenter.storage.customers import Customers
from callcenter.storage.database import StorageError
from callcenter.storage.store import open_database


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``customers``."""
    parser.add_argument("what", choices=["import"], help="import: add new customers, change known ones")
    parser.add_argument("file", type=Path, help="CSV with columns client, name, numbers and, if any, id, account, tier,"
                        " language, since, notes; numbers separated by semicolons")  # fmt: skip
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Import, and say what came of it; exit status 1 when a row was left out."""
    settings = load_or_tell(options)
    if settings is None:
        return 1
    try:
        return asyncio.run(_import(settings, options.file))
    except StorageError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1


async def _import(settings: Settings, file: Path) -> int:
    clock = SystemClock()
    # Not as the one writer of the log: the switch may be running, and finds the new customers at the next call.
    database = await open_database(settings.storage.path, clock)
    try:
        report = await Customers(database).import_csv(file, clock.now(), clients=settings.calls.clients)
    finally:
        await database.close()
    for row in report.rejected:
        print(row, file=sys.stderr)
    print(report)
    return 1 if report.refused else 0
