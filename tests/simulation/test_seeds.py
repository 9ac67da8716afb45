"""Seeded days on a floor where everything breaks: nothing is left over, whatever people, networks and disks do.

Which seeds: those of CALLCENTER_SEEDS ("7", "1..500"); ./scripts/simulate sets it.
"""

from __future__ import annotations

import os

import pytest

from callcenter.simulation.fate import Fate
from callcenter.simulation.workload import live

FIRST, _, LAST = os.environ.get("CALLCENTER_SEEDS", "1..200").partition("..")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day(seed: int) -> None:
    live(seed)


def test_the_same_seed_is_the_same_day() -> None:
    """A failure that prints its seed can be seen again."""
    assert Fate.of(7) == Fate.of(7)
    one, other = live(7), live(7)
    assert [(fact.ms, fact.kind, fact.call_id) for fact in one.facts] == [
        (fact.ms, fact.kind, fact.call_id) for fact in other.facts
    ]


@pytest.mark.timeout(600)
def test_days_are_worth_living() -> None:
    """A hundred days hold all that can break, and people who talk all the same."""
    fates = [Fate.of(seed) for seed in range(1, 101)]
    for what in ("storms", "broker", "database", "workers", "restarts", "max_sessions", "carriers"):
        assert sum(bool(getattr(fate, what)) for fate in fates) >= 10, what
    assert any(restart.crash for fate in fates for restart in fate.restarts)
    for what in ("second", "private", "dials", "transfers"):
        assert sum(any(getattr(agent, what) for agent in fate.agents) for fate in fates) >= 10, what
    wanted = {"CallConnected", "OutsideConnected", "CallTransferred", "TransferFailed", "TrunkTried"}
    for seed in range(1, 101):
        wanted -= {fact.kind for fact in live(seed).facts}
        if not wanted:
            break
    assert not wanted, "a hundred days without it"
