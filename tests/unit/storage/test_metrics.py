"""Published days stand as they were published; the fold goes on after a restart where it stood."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcenter.acd.settings import Plan, QueueSettings
from callcenter.calls.live_ledger import LiveLedger, name_of
from callcenter.ledger.days import VISITS
from callcenter.ledger.figures import Visits, total
from callcenter.ledger.intervals import quarter_of, span
from callcenter.ledger.ledger import FOLD, Ledger, fold
from callcenter.model.facts import (
    AgentLegEnded,
    Body,
    CallArrived,
    CallConnected,
    CallEnded,
    CallQueued,
    DispositionCorrected,
    DrainBegan,
    Fact,
    OfferMade,
    WrapUpEnded,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Side, VisitOutcome
from callcenter.storage import metrics
from callcenter.storage.database import StorageError
from callcenter.storage.metrics import MetricsFile
from callcenter.storage.store import Storage
from tests.unit.ledger.told import NINE, Told
from tests.unit.storage.support import StillClock

NEW_YORK = ZoneInfo("America/New_York")
PLAN = Plan({"sales": QueueSettings("sales", "acme")}, {})


def zone_of(client: str) -> tzinfo:
    return NEW_YORK if client == "acme" else UTC


class Books:
    """A database file, a log, and a live ledger over it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def __aenter__(self) -> Books:
        self.storage = await Storage.open(self.path, clock=StillClock())
        self.group = await asyncio.TaskGroup().__aenter__()
        self.live = LiveLedger(self.storage.metrics, lambda: PLAN, zone_of, self.group)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.group.__aexit__(None, None, None)
        await self.storage.close()

    async def catch_up(self) -> None:
        await self.live.catch_up(self.storage.log.last_seq)
        await self.live.published()

    async def write(self, *facts: Fact) -> None:
        for fact in facts:
            self.storage.log.write(fact)
            self.live.take(fact)
        await self.live.published()
        await self.storage.log.drained()


def two_days() -> Told:
    """A caller on Monday who is answered after 10 s, one on Tuesday who gives up after 30 s; amy is there."""
    floor = Told()
    floor.is_at("amy")
    floor.joins("v1")
    floor.wait(10)
    offer = floor.connects("v1", "amy")
    floor.wait(60)
    floor.parts(offer, "amy", wraps_up=False)
    floor.wait(24 * 3600)
    floor.joins("v2")
    floor.wait(30)
    floor.leaves("v2", VisitOutcome.ABANDONED)
    floor.hangs_up("v2")
    return floor


async def test_a_day_that_is_over_is_kept_for_good_and_the_next_start_goes_on_behind_it(tmp_path: Path) -> None:
    path, floor = tmp_path / "callcenter.db", two_days()
    async with Books(path) as books:
        await books.catch_up()
        await books.write(*floor.facts)
        assert {key[0] for key in books.live.ledger.visits} == {quarter_of(NINE + timedelta(days=1))}
    async with Books(path) as books:
        await books.catch_up()
        whole = fold(floor.facts)
        books.live.ledger.settle(floor.ms)
        whole.settle(floor.ms)
        for key, cell in books.live.ledger.visits.items():
            assert whole.visits[key] == cell
    with_file = MetricsFile(path)
    with_file.begin()
    monday = span(date(2026, 3, 2), date(2026, 3, 2), NEW_YORK)
    rows = list(with_file.rows(*monday))
    (visits,) = [row for _, row in rows if row.kind == VISITS]
    assert visits.figures.visits == Visits(offered=1, answered=1, waits=[10_000])
    assert (visits.queue, visits.threshold_ms) == ("sales", 20_000)
    assert {day.client: (day.zone, day.versions["service_level"]) for day, _ in rows} == {
        "acme": ("America/New_York", 1),
        "": ("UTC", 1),
    }
    # What is published and what the log holds beyond it are together all there is.
    cells = with_file.ledger().figures(floor.ms)
    rest = (figures for _, figures in cells.every)
    every = total((*(row.figures for _, row in with_file.rows(0, 10**9)), *rest))
    everything = fold(floor.facts).figures(floor.ms)
    assert every == total(figures for _, figures in everything.every)
    with_file.close()


async def test_a_database_from_before_is_folded_while_the_switch_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts that come while the log is read stand behind it; nobody waited for it."""
    monkeypatch.setattr(metrics, "BATCH", 3)
    path, floor = tmp_path / "callcenter.db", two_days()
    async with Books(path) as books:
        for fact in floor.facts[:10]:
            books.storage.log.write(fact)
        await books.storage.log.drained()
    async with Books(path) as books:
        reading = asyncio.create_task(books.catch_up())
        await books.write(*floor.facts[10:])
        await reading
        assert books.live.ready
        whole = fold(floor.facts)
        for ledger in (whole, books.live.ledger):
            ledger.settle(floor.ms)
        assert books.live.ledger.plain()["waiting"] == whole.plain()["waiting"]
        assert books.live.ledger.plain()["clocks"] == whole.plain()["clocks"]
        for key, cell in books.live.ledger.visits.items():
            assert whole.visits[key] == cell


async def test_facts_that_come_faster_than_the_log_is_read_are_read_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.calls.live_ledger.MAX_PENDING", 2)
    floor = two_days()
    async with Books(tmp_path / "callcenter.db") as books:
        await books.write(*floor.facts)
        await books.catch_up()
        books.live.ledger.settle(floor.ms)
        whole = fold(floor.facts)
        assert books.live.ledger.plain()["waiting"] == whole.plain()["waiting"] == {}
        tuesday = {key: cell for key, cell in whole.visits.items() if key[0] > quarter_of(NINE + timedelta(hours=20))}
        assert books.live.ledger.visits == tuesday


async def test_another_program_s_fold_is_not_gone_on_with_and_published_days_stay(tmp_path: Path) -> None:
    """The program was updated: the log is folded anew, and Monday is neither counted again nor changed.

    Once: what it comes to is kept, or each report of that day would read the log of years.
    """
    path, floor = tmp_path / "callcenter.db", two_days()
    async with Books(path) as books:
        await books.catch_up()
        await books.write(*floor.facts)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE metric_state SET version = 0")
        before = connection.execute("SELECT * FROM metric_rows").fetchall()
        (reached,) = connection.execute("SELECT seq FROM metric_state").fetchone()
    connection.close()
    async with Books(path) as books:
        await books.catch_up()
        ledgers = (books.live.ledger, read(path))
        for ledger in ledgers:
            assert {key[0] for key in ledger.visits} == {quarter_of(NINE + timedelta(days=1))}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM metric_rows").fetchall() == before
        assert connection.execute("SELECT seq, version FROM metric_state").fetchall() == [(reached, FOLD)]
    connection.close()
    assert {key[0] for key in read(path).visits} == {quarter_of(NINE + timedelta(days=1))}


def read(path: Path) -> Ledger:
    file = MetricsFile(path)
    file.begin()
    try:
        return file.ledger()
    finally:
        file.close()


async def test_while_the_database_fails_nothing_is_published_and_nothing_forgotten(tmp_path: Path) -> None:
    floor = two_days()
    async with Books(tmp_path / "callcenter.db") as books:
        await books.catch_up()
        books.storage.log.healthy = False
        await books.write(*floor.facts)
        books.live.ledger.settle(floor.ms)
        assert len(books.live.ledger.visits) == 2


async def test_facts_that_nothing_is_counted_of_are_passed_by_and_tell_that_the_boot_lived(tmp_path: Path) -> None:
    floor = Told()
    floor.is_at("amy")
    floor.wait(5)
    floor.tell(DrainBegan("operator", 0, 0))
    async with Books(tmp_path / "callcenter.db") as books:
        await books.write(*floor.facts)
        await books.catch_up()
    assert read(tmp_path / "callcenter.db").last_ms == floor.ms


def test_a_database_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no switch has run with this data folder yet"):
        MetricsFile(tmp_path / "callcenter.db")


def test_a_database_of_an_older_version_is_told_in_a_line(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "callcenter.db").close()
    file = MetricsFile(tmp_path / "callcenter.db")
    with pytest.raises(StorageError, match="start the switch once"):
        file.begin()
    file.close()


def test_a_client_whose_zone_has_no_name_goes_by_utc() -> None:
    assert (name_of(NEW_YORK), name_of(UTC)) == ("America/New_York", "UTC")
    assert datetime(2026, 3, 2, tzinfo=ZoneInfo(name_of(UTC))).utcoffset() == timedelta()


async def test_a_correction_leaves_the_figures_of_its_day_alone_and_is_counted_beside(tmp_path: Path) -> None:
    """The first-contact resolution of last month changed overnight, and nobody knew why."""
    path = tmp_path / "cc.db"
    async with Books(path) as books:
        bodies: tuple[Body, ...] = (
            CallArrived("acme", "main", "+14155550100", "", "+18005550100", "UDP", "", "x@y"),
            CallQueued("v1", "sales", "acme", 0, (), 0),
            OfferMade("v1", "o1", 1, "sales", "ana", 20_000, 25_000),
            CallConnected("v1", "o1", "ana"),
            AgentLegEnded("o1", "ana", Side.CALLER, EndCause.HANGUP),
            CallEnded(Side.CALLER, EndCause.HANGUP),
            WrapUpEnded("ana", "o1", "sold"),
        )
        call = [Fact(number, NINE, "boot", number, "c1", body) for number, body in enumerate(bodies, start=1)]
        books.storage.interactions.save(Interaction.from_facts(call))
        await books.storage.log.drained()
        file = MetricsFile(path)
        before = list(file.contacts("2026", "2027"))
        assert before[0][4] == "sold"
        assert not list(file.corrected("acme", "2026", "2027"))
        for was, now in (("sold", "refund"), ("refund", "complaint")):
            corrected = DispositionCorrected("acme", "ana", "o1", was, now, "supervisor sue", "heard it again")
            call = [*call, replace(call[-1], seq=call[-1].seq + 1, body=corrected)]
        books.storage.interactions.save(Interaction.from_facts(call))
        await books.storage.log.drained()
        assert list(file.contacts("2026", "2027")) == before
        assert list(file.corrected("acme", "2026", "2027")) == [("sales", 2)]
        assert not list(file.corrected("globex", "2026", "2027"))
        file.close()
