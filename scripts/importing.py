"""Measures an import of customers beside a switch that works: rows a second, look-ups by number, commits of facts.

The import is the program that an operator runs, in a process of its own. The switch's part is its storage, as it is
when calls are up: facts of many calls are written and waited for, as offers are, and callers are looked up by their
number, as at every call's beginning: all that a call asks about who calls, from the question to the answer in the loop.
Meanwhile the loop is as busy as these calls make it, with messages that it reads.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from callcenter.calls.known import LOOK_UP_LIMIT, RECENT_INTERACTIONS
from callcenter.model.facts import DigitsEntered, Fact
from callcenter.runtime.clock import SystemClock
from callcenter.sip.parser import parse
from callcenter.storage.callers import Wanted
from callcenter.storage.customers import of_number
from callcenter.storage.store import Storage

CLIENT = "the-tech-giant"
# As on a floor with some 40 calls a second: each is looked up once, makes some twenty facts, and takes the loop some
# seven milliseconds in pieces.
LOOKUPS_A_SECOND = 40.0
FACTS_A_COMMIT = 4
COMMITS_A_SECOND = 100.0
PIECES_A_SECOND = 40 * 24.0
PIECE_S = 0.0003
LAST_AGENT_WITHIN = timedelta(days=30)
# What a caller may notice: the greeting waits for the look-up.
AIM_MS = 2.0
BEFORE_S = 30.0
MESSAGE = b"\r\n".join(
    (
        b"INVITE sip:+18005550199@192.0.2.1 SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776asdhds;rport",
        b"Max-Forwards: 70",
        b'From: "Jana" <sip:+14155550100@192.0.2.7>;tag=1928301774',
        b"To: <sip:+18005550199@192.0.2.1>",
        b"Call-ID: a84b4c76e66710@192.0.2.7",
        b"CSeq: 314159 INVITE",
        b"Contact: <sip:+14155550100@192.0.2.7:5060>",
        b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE",
        b"Supported: timer, replaces",
        b"Content-Length: 0",
        b"",
        b"",
    )
)


def number_of(row: int) -> str:
    """The number of the customer in a row: spread over all of a country's, as numbers are."""
    return f"+1{2_000_000_000 + row * 7_919 % 7_999_999_973}"


def write_file(path: Path, rows: int) -> None:
    """A file of so many customers."""
    with path.open("w", encoding="utf-8") as file:
        file.write("client,id,name,numbers,accounts,tier,language,since,notes,agent\n")
        for row in range(rows):
            file.write(
                f"{CLIENT},m-{row},Customer {row},{number_of(row)},TG-{row},"
                f"{'gold' if row % 9 else 'silver'},en,2019,Calls in the morning,\n"
            )


class Times:
    """How long something took, in milliseconds."""

    def __init__(self) -> None:
        self._ms: list[float] = []

    def add(self, seconds: float) -> None:
        """One more."""
        self._ms.append(seconds * 1000)

    def plain(self) -> dict[str, float]:
        """How many there were, and what half, 99 of a hundred, and all of them took at most."""
        ordered = sorted(self._ms)
        if not ordered:
            return {"count": 0}
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
        half, most = (round(each, 2) for each in at)
        return {"count": len(ordered), "p50_ms": half, "p99_ms": most, "max_ms": round(ordered[-1], 1)}


class Calls:
    """What calls ask of the storage, and how long it takes."""

    def __init__(self, storage: Storage, rows: int, numbers: Iterator[int]) -> None:
        """``numbers`` are those of facts, upwards."""
        self._storage = storage
        self._numbers = numbers
        self._rows = rows
        self._random = random.Random(7)
        self.lookups, self.commits = Times(), Times()
        self.found = self.in_vain = 0

    async def look_up(self) -> None:
        """Callers arrive, at random moments."""
        while True:
            await asyncio.sleep(self._random.expovariate(LOOKUPS_A_SECOND))
            number = number_of(self._random.randrange(self._rows))
            since = SystemClock().now() - LAST_AGENT_WITHIN
            wanted = Wanted(CLIENT, RECENT_INTERACTIONS, number, since, followups=True, followups_of=number)
            began = time.perf_counter()
            found = await self._storage.callers.look_up(
                partial(of_number, client=CLIENT, number=number), wanted, LOOK_UP_LIMIT
            )
            self.lookups.add(time.perf_counter() - began)
            self.found += bool(found.customers)
            self.in_vain += found.match is None

    async def work(self) -> None:
        """What else the loop does for the calls."""
        while True:
            await asyncio.sleep(self._random.expovariate(PIECES_A_SECOND))
            until = time.perf_counter() + PIECE_S
            while time.perf_counter() < until:
                parse(MESSAGE)

    async def commit(self) -> None:
        """Facts are written and waited for, as before each offer."""
        log, clock, body = self._storage.log, SystemClock(), DigitsEntered("menu", "1", True)
        while True:
            await asyncio.sleep(self._random.expovariate(COMMITS_A_SECOND))
            seq = 0
            for seq in itertools.islice(self._numbers, FACTS_A_COMMIT):
                log.write(Fact(seq, clock.now(), "boot", seq, f"call-{seq % 500}", body))
            began = time.perf_counter()
            await log.flushed(seq)
            self.commits.add(time.perf_counter() - began)


async def measured(calls: Calls, while_: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """What calls see while something goes on."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in (calls.look_up(), calls.commit(), calls.work())]
        result = await while_
        for task in tasks:
            task.cancel()
    told = {"lookups": calls.lookups.plain(), "found": calls.found, "in_vain": calls.in_vain}
    return {**result, **told, "commits": calls.commits.plain()}


async def run_import(file: Path, data: Path) -> dict[str, Any]:
    """The program that an operator runs."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "callcenter", "customers", "import", str(file)),
        *("--data", str(data), "--untold", "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    took = time.perf_counter() - began
    report: dict[str, Any] = json.loads(out)
    rows = sum(report[name] for name in ("added", "changed", "unchanged", "refused"))
    told = {name: report[name] for name in ("added", "changed", "unchanged", "refused")}
    return {**told, "seconds": round(took, 1), "rows_a_second": round(rows / took)}


async def nothing() -> dict[str, Any]:
    """A while without an import."""
    await asyncio.sleep(BEFORE_S)
    return {}


async def measure(rows: int, folder: Path) -> dict[str, Any]:
    """Import so many rows, and the same once more; what calls see before, meanwhile and after."""
    file = folder / "customers.csv"
    write_file(file, rows)
    storage = await Storage.open(folder / "callcenter.db", clock=SystemClock())
    try:
        numbers = itertools.count(storage.log.last_seq + 1)
        whiles = (nothing, lambda: run_import(file, folder), lambda: run_import(file, folder), nothing)
        told = [await measured(Calls(storage, rows, numbers), while_()) for while_ in whiles]
    finally:
        await storage.close()
    size, taken = _size(folder, "callcenter.db*"), _size(folder, file.name)
    phases = ("without customers", "import", "the same again", "with all of them")
    return {
        "rows": rows,
        "file_mb": round(taken / 1e6),
        "database_mb": round(size / 1e6),
        **dict(zip(phases, told, strict=True)),
    }


def _size(folder: Path, names: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(names))


def main() -> int:
    """Measure, and tell; exit status 1 where a look-up took longer than is aimed at, in one of a hundred."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="import-million-") as folder:
        figures = uvloop.run(measure(options.rows, Path(folder)))
    for name, value in figures.items():
        if not isinstance(value, dict):
            print(f"{name.replace('_', ' ')}: {value:,}")
            continue
        print(name)
        for what, inner in value.items():
            told = ", ".join(f"{key} {each:,}" for key, each in inner.items()) if isinstance(inner, dict) else inner
            print(f"  {what.replace('_', ' ')}: {told}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    worst = max(figures[name]["lookups"]["p99_ms"] for name in ("import", "with all of them"))
    print(f"99 of 100 look-ups took {worst} ms at most; aimed at: {AIM_MS} ms")
    return 0 if worst <= AIM_MS else 1


if __name__ == "__main__":
    sys.exit(main())
