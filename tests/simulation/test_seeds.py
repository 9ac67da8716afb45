"""Seeded days on a floor where everything breaks: nothing is left over, whatever people, networks and disks do.

Which seeds: those of CALLCENTER_SEEDS ("7", "1..500"); without it 120 of them. ./scripts/simulate sets it, and is where
thousands are lived.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from callcenter.simulation.fate import Fate
from callcenter.simulation.workload import live

FIRST, _, LAST = os.environ.get("CALLCENTER_SEEDS", "1..120").partition("..")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day(seed: int) -> None:
    live(seed)


NEW_YORK = ZoneInfo("America/New_York")
# Two minutes before a day ends that has 25 hours, before an hour comes twice or is left out, and before UTC's day ends.
MOMENTS = {
    "midnight": datetime(2026, 11, 2, 4, 58, tzinfo=UTC),
    "the clocks go back": datetime(2026, 11, 1, 5, 58, tzinfo=UTC),
    "the clocks leap": datetime(2026, 3, 8, 6, 58, tzinfo=UTC),
    "midnight in UTC": datetime(2026, 11, 1, 23, 58, tzinfo=UTC),
}


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("seed", SEEDS[:6])
def test_a_day_over_a_moment_when_clocks_and_calendars_change(seed: int, moment: str) -> None:
    """What is published at midnight, what crashes cut off and what is live are together what the log says."""
    live(seed, begins=MOMENTS[moment], zone=NEW_YORK)


def test_days_that_end_are_published_whatever_breaks() -> None:
    worlds = [live(seed, begins=MOMENTS["midnight"], zone=NEW_YORK) for seed in range(1, 7)]
    assert sum(("tech", "2026-11-01") in world.published for world in worlds) >= 3


def test_the_same_seed_is_the_same_day() -> None:
    """A failure that prints its seed can be seen again."""
    assert Fate.of(7) == Fate.of(7)
    one, other = live(7), live(7)
    assert [(fact.ms, fact.kind, fact.call_id) for fact in one.facts] == [
        (fact.ms, fact.kind, fact.call_id) for fact in other.facts
    ]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_days_are_worth_living() -> None:
    """A hundred days hold all that can break, and people who talk all the same."""
    fates = [Fate.of(seed) for seed in range(1, 101)]
    breaks = ("storms", "broker", "database", "workers", "restarts", "max_sessions")
    for what in (*breaks, "carriers", "supervised", "recorded"):
        assert sum(bool(getattr(fate, what)) for fate in fates) >= 10, what
    assert any(restart.crash for fate in fates for restart in fate.restarts)
    for what in ("second", "private", "dials", "transfers", "orders"):
        assert sum(any(getattr(agent, what) for agent in fate.agents) for fate in fates) >= 10, what
    wanted = {"CallConnected", "OutsideConnected", "CallTransferred", "TransferFailed", "TrunkTried", "PhoneChanged"}
    wanted |= {"RecordingPaused", "RecordingEnded", "SupervisionChanged", "ConferenceLeft", "EntryEnded"}
    for seed in range(1, 101):
        wanted -= {fact.kind for fact in live(seed).facts}
        if not wanted:
            break
    assert not wanted, "a hundred days without it"
