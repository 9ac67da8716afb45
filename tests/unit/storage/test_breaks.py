"""Breaks over restarts and midnights, and what was changed of agents: kept until it is taken back."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcenter.acd.core import Acd
from callcenter.acd.settings import Plan
from callcenter.calls.breaks import BreakRules, midnight
from callcenter.calls.settings import BreakLimits, CallsSettings
from callcenter.model.facts import AgentSkillsChanged, AgentStateChanged, Body, Fact
from callcenter.model.states import Device, Intent, Work
from callcenter.storage.store import Storage
from tests.unit.storage.support import NOON, StillClock

READY = AgentStateChanged("amy", Intent.READY, "", Work.IDLE, Device.REGISTERED, "")
LUNCH = replace(READY, intent=Intent.NOT_READY, reason="lunch")


class Kept:
    """A storage that is opened again and again, and told facts at their times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = StillClock()
        self.seq = 0

    async def open(self) -> Storage:
        storage = await Storage.open(self.path / "switch.db", clock=self.clock)
        await storage.breaks.load_all({"amy"}, self.clock.now())
        return storage

    def tell(self, storage: Storage, body: Body) -> None:
        self.seq += 1
        fact = Fact(self.seq, self.clock.now(), "boot", 0, None, body)
        storage.log.write(fact)
        storage.breaks.take(fact)
        storage.roster.take(fact)


async def test_a_break_is_counted_while_it_lasts_and_after_a_restart_and_not_yesterdays(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, LUNCH)
    kept.clock.pass_(600)
    assert storage.breaks.since("amy", "lunch") == NOON
    assert storage.breaks.since("amy", "coffee") is None
    assert storage.breaks.taken("amy", "lunch", NOON - timedelta(hours=1), kept.clock.now()) == 600
    await storage.close()

    kept.clock.pass_(100)
    storage = await kept.open()
    assert storage.breaks.since("amy", "lunch") == NOON, "who is out is out while the switch is down"
    kept.tell(storage, replace(LUNCH, device=Device.UNREACHABLE))
    kept.tell(storage, READY)
    kept.clock.pass_(50)
    assert storage.breaks.taken("amy", "lunch", NOON, kept.clock.now()) == 700
    assert storage.breaks.taken("amy", "lunch", NOON + timedelta(seconds=650), kept.clock.now()) == 50
    await storage.close()

    kept.clock.pass_(26 * 3600)
    storage = await kept.open()
    assert storage.breaks.taken("amy", "lunch", NOON, kept.clock.now()) == 0
    assert await storage.database.fetch_all("SELECT * FROM agent_breaks") == [] or storage.log.waiting
    await storage.close()


async def test_breaks_of_before_yesterday_go_while_the_switch_is_up(tmp_path: Path) -> None:
    """A switch that runs for a year keeps a day of them."""
    kept = Kept(tmp_path)
    storage = await kept.open()
    for _ in range(5):
        kept.tell(storage, LUNCH)
        kept.clock.pass_(1800)
        kept.tell(storage, READY)
        kept.clock.pass_(26 * 3600)
    kept.tell(storage, LUNCH)
    await storage.log.drained()
    assert len(await storage.database.fetch_all("SELECT * FROM agent_breaks")) == 1
    await storage.close()


async def test_what_the_system_chose_is_no_break(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, replace(LUNCH, reason="no_answer", forced=True))
    kept.tell(storage, replace(LUNCH, reason=""))
    assert storage.breaks.since("amy", "no_answer") is None
    await storage.close()


async def test_another_reason_ends_the_break_before(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, LUNCH)
    kept.clock.pass_(60)
    kept.tell(storage, replace(LUNCH, reason="coffee"))
    kept.clock.pass_(30)
    assert storage.breaks.taken("amy", "lunch", NOON, kept.clock.now()) == 60
    assert storage.breaks.taken("amy", "coffee", NOON, kept.clock.now()) == 30
    await storage.close()


@pytest.mark.parametrize(
    ("limits", "before", "lasts"),
    [
        (BreakLimits(), 0.0, None),
        (BreakLimits(longest=900.0), 0.0, 900.0),
        (BreakLimits(a_day=900.0), 0.0, 900.0),
        (BreakLimits(a_day=900.0), 600.0, 300.0),
        (BreakLimits(longest=200.0, a_day=900.0), 600.0, 200.0),
        (BreakLimits(longest=500.0, a_day=900.0), 600.0, 300.0),
        (BreakLimits(a_day=900.0), 1200.0, 0.0),
    ],
)
async def test_a_break_may_last_what_its_limits_and_the_day_leave(
    tmp_path: Path, limits: BreakLimits, before: float, lasts: float | None
) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    settings = CallsSettings(break_limits={"lunch": limits})
    rules = BreakRules(lambda: settings, Acd(Plan({}, {})), storage.breaks, kept.clock)
    if before:
        kept.tell(storage, LUNCH)
        kept.clock.pass_(before)
        kept.tell(storage, READY)
    assert rules.lasts("amy", "lunch") == lasts
    kept.clock.pass_(13 * 3600)
    assert rules.lasts("amy", "lunch") == (None if lasts is None else min(
        each for each in (limits.longest, limits.a_day) if each is not None
    )), "another day"  # fmt: skip
    await storage.close()


async def test_a_lunch_that_went_on_over_a_restart_has_what_is_left_of_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, LUNCH)
    await storage.close()
    kept.clock.pass_(600)
    storage = await kept.open()
    settings = CallsSettings(break_limits={"lunch": BreakLimits(longest=900.0, a_day=700.0)})
    rules = BreakRules(lambda: settings, Acd(Plan({}, {})), storage.breaks, kept.clock)
    assert rules.lasts("amy", "lunch") == 100.0
    await storage.close()


def test_a_day_begins_at_the_agents_midnight_also_when_the_clocks_change() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    assert midnight(datetime(2026, 3, 29, 12, tzinfo=UTC), madrid) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert midnight(datetime(2026, 3, 30, 12, tzinfo=UTC), madrid) == datetime(2026, 3, 29, 22, tzinfo=UTC)


CHANGE = AgentSkillsChanged(
    "amy", "supervisor eva", ("skills", "queues"), skills=(("english", 4), ("german", 1)), queues=("sales",)
)


@pytest.mark.parametrize(
    "change",
    [
        CHANGE,
        replace(CHANGE, changed=("skills",), skills=(), queues=()),
        replace(CHANGE, changed=("clients",), skills=(), queues=(), clients=("acme", "beta")),
    ],
)
async def test_what_was_changed_of_an_agent_is_kept_as_it_was_told(tmp_path: Path, change: AgentSkillsChanged) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, replace(change, by="somebody before"))
    kept.tell(storage, change)
    await storage.close()
    storage = await kept.open()
    assert await storage.roster.load_all({"amy"}) == [change]
    await storage.close()


async def test_a_reset_and_an_agent_who_is_gone_are_forgotten(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    storage = await kept.open()
    kept.tell(storage, CHANGE)
    kept.tell(storage, dataclasses.replace(CHANGE, agent="bob"))
    kept.tell(storage, AgentSkillsChanged("amy", "supervisor eva"))
    await storage.close()
    storage = await kept.open()
    assert await storage.roster.load_all({"amy"}) == []
    await storage.close()
    storage = await kept.open()
    assert await storage.roster.load_all({"amy", "bob"}) == [], "bob was gone once"
    await storage.close()
