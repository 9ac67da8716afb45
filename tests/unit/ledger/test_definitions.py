"""Every definition by examples that a person can verify with a pencil."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.ledger.definitions import NEWEST, REGISTRY, Definition, Unit, Value, percentile, registry
from callcenter.ledger.figures import AgentTime, Callbacks, Contacts, Figures, Handling, Visits
from callcenter.ledger.metrics import Group, value

# Twenty callers. Eight were answered: after 2, 5, 10, 20, 21, 40, 60 and 122 s, which makes 280 s. Three hung up
# after 7, 25 and 90 s, one after 3 s, which is short. Two waited 60 and 180 s and went on, by time-out; one left by a
# key after 12 s. Two found it closed, one full. One was lost by us. One waits still, for 15 s so far.
VISITS = Visits(
    offered=20,
    answered=8,
    abandoned=3,
    short_abandoned=1,
    flowed_out={"timeout": 2, "key": 1},
    refused={"closed": 2, "full": 1},
    lost={"restart": 1},
    waits=[2_000, 5_000, 10_000, 20_000, 21_000, 40_000, 60_000, 122_000],
    given_up=[3_000, 7_000, 25_000, 90_000],
    moved_on=[12_000, 60_000, 180_000],
    # Four announcements: 30 s and it took 20 s; 60 s and it took 60 s; 50 s and it took 40 s; 100 s and it took 122 s.
    told=4,
    told_off=10_000 + 0 + 10_000 - 22_000,
    told_away=10_000 + 0 + 10_000 + 22_000,
    told_well=3,
    told_right=2,
)
# Ten offers: eight accepted, one rang for 20 s in vain, one was declined; the phones rang for 47 s in all. Six legs are
# over: 600 s of talk, 60 s of hold, 180 s of wrap-up. Two transfers, of which one failed.
HANDLING = Handling(
    offers=10,
    results={"accepted": 8, "no_answer": 1, "declined": 1},
    rang=10,
    ring_ms=47_000,
    handled=6,
    talk_ms=600_000,
    hold_ms=60_000,
    wrap_up_ms=180_000,
    transfers={"blind to queue": 1, "attended to agent": 1},
    transfers_failed=1,
)
# An hour: 20 min idle, 1 min ringing, 20 talking, 2 holding, 1 consulting, 6 in wrap-up, 8 at lunch, 2 dialled out.
TIME = AgentTime(
    signed_in=3_600_000,
    parts={
        "ready_idle": 1_200_000,
        "ringing": 60_000,
        "talk": 1_200_000,
        "hold": 120_000,
        "consult": 60_000,
        "wrap_up": 360_000,
        "break:lunch": 400_000,
        "break:meeting": 80_000,
        "outbound": 120_000,
    },
)
# Four callbacks were promised; five times somebody was dialled, twice of it in vain. Three customers were reached,
# 10, 20 and 30 minutes after the promise; one has rung in before. Six times one of them stood in line, one does still.
CALLBACKS = Callbacks(
    requested=4,
    turns=6,
    turns_over={"answered": 3, "flowed_out": 2},
    attempted=5,
    failed={"no_answer": 1, "busy": 1},
    ended={"reached": 3, "cancelled": 1},
    waits=[600_000, 1_200_000, 1_800_000],
)
FIGURES = Figures(VISITS, HANDLING, TIME, CALLBACKS, Contacts(first=8, resolved=6), waiting=[15_000], in_line=1)

# With a threshold of 20 s.
TABLE: dict[str, Value] = {
    "offered": 20,  # 8 + 3 + 1 + 3 + 3 + 1 + 1
    "answered": 8,
    "abandoned": 3,
    "short_abandoned": 1,
    "flowed_out": 3,
    "refused": 3,
    "lost": 1,
    "still_waiting": 1,
    # 4 within 20 s, of 20 - 1 short - 2 closed - 1 who has waited less than 20 s
    "service_level": 0.25,
    "service_level_answered": 0.5,  # 4 of 8
    "service_level_2": 0.5,  # 4 answered and 2 who hung up within 20 s, of 12
    "service_level_removed": 0.4667,  # 4 and 2 and 1, of 15
    "asa": 35_000,  # 280 s / 8
    "wait_p50": 20_000,  # the 4th of 8
    "wait_p90": 122_000,  # 7.2: the 8th
    "wait_p95": 122_000,
    "wait_max": 122_000,
    "abandon_rate": 0.2727,  # 3 / 11
    "wait_told_bias": -500,  # -2 s / 4
    "wait_told_error": 10_500,  # 42 s / 4
    "wait_told_well": 0.75,
    "wait_told_right": 0.5,
    "offers": 10,
    "handled": 6,
    "transfers": 2,
    "transfers_failed": 1,
    "aht": 140_000,  # 840 s / 6
    "mean_talk": 100_000,
    "mean_hold": 10_000,
    "mean_wrap_up": 30_000,
    "ring_time": 4_700,
    "rna_rate": 0.1,
    "declined_rate": 0.1,
    "device_failed_rate": 0.0,
    "signed_in": 3_600_000,
    "time_ready_idle": 1_200_000,
    "time_ringing": 60_000,
    "time_talk": 1_200_000,
    "time_hold": 120_000,
    "time_consult": 60_000,
    "time_wrap_up": 360_000,
    "time_break": 480_000,
    "time_outbound": 120_000,
    "time_unreachable": 0,
    "time_other": 0,
    "occupancy": 0.6,  # 1800 s of 3000 s
    "callbacks_requested": 4,
    "callbacks_attempted": 5,
    "callbacks_failed": 2,
    "callbacks_reached": 3,
    "callbacks_ended": 4,
    "callback_wait": 1_200_000,
    "fcr": 0.75,
}


@pytest.mark.parametrize("name", NEWEST)
def test_a_metric_is_what_a_pencil_says(name: str) -> None:
    assert value(name, FIGURES) == TABLE[name]


@pytest.mark.parametrize("name", NEWEST)
def test_a_metric_of_nothing_is_zero_or_none(name: str) -> None:
    counted = REGISTRY[name, NEWEST[name]].unit in (Unit.COUNT, Unit.TOTAL)
    assert value(name, Figures()) == (0 if counted else None)


def test_the_example_adds_up() -> None:
    assert FIGURES.gaps == ()


@pytest.mark.parametrize(
    ("what", "gap"),
    [
        (replace(FIGURES, waiting=[]), "20 offered, 19 ended and 0 waiting"),
        (replace(FIGURES, pending=1), "10 offers, {'accepted': 8, 'no_answer': 1, 'declined': 1} and 1 pending"),
        (replace(FIGURES, in_line=2), "6 turns of callbacks, {'answered': 3, 'flowed_out': 2} and 2 in line"),
        (replace(FIGURES, time=AgentTime(2, {"talk": 1})), "signed in for 2 ms, of which {'talk': 1} tell"),
        (replace(FIGURES, visits=replace(VISITS, waits=[1])), "8 visits, 1 waits"),
    ],
)
def test_what_does_not_add_up_is_said(what: Figures, gap: str) -> None:
    assert what.gaps == (gap,)


def test_whoever_has_waited_for_the_threshold_counts() -> None:
    """The caller who waits has not been answered in time any more, from the 20th second on."""
    assert value("service_level", replace(FIGURES, waiting=[20_000])) == round(4 / 17, 4)
    assert value("service_level", FIGURES, 60_000) == round(7 / 16, 4)


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile([10, 20, 30, 40], each) for each in (1, 25, 26, 50, 75, 76, 100)] == [10, 10, 20, 20, 30, 40, 40]
    assert percentile([7], 50) == 7
    assert percentile([], 50) is None


def test_a_total_takes_each_queue_by_its_own_threshold() -> None:
    """One queue answers 1 of 2 within its 20 s, another 2 of 2 within its 60 s: together 3 of 4."""
    group = Group()
    group.add(Figures(Visits(offered=2, answered=2, waits=[10_000, 30_000])), 20_000)
    group.add(Figures(Visits(offered=2, answered=2, waits=[30_000, 50_000])), 60_000)
    assert group.value("service_level") == 0.75
    assert (group.value("offered"), group.value("asa"), group.value("wait_p50")) == (4, 30_000, 30_000)
    assert group.thresholds == (20_000, 60_000)


def test_a_change_of_a_definition_changes_no_day_before_it() -> None:
    """The new service level forgives short abandons to nobody; what was published by the old one stays."""
    strict = Definition(
        "service_level",
        2,
        Unit.SHARE,
        "SL",
        "answered with wait <= T / offered",
        lambda figures, threshold: (sum(wait <= threshold for wait in figures.visits.waits), figures.visits.offered),
    )
    definitions = registry((*REGISTRY.values(), strict))
    old, new = Group(definitions), Group(definitions)
    old.add(FIGURES, versions={"service_level": 1})
    new.add(FIGURES, versions={"service_level": 2})
    assert (old.value("service_level"), new.value("service_level")) == (0.25, 0.2)
    # Over both days: 4 of 16 by the one, 4 of 20 by the other.
    old.add(FIGURES, versions={"service_level": 2})
    assert old.value("service_level") == round(8 / 36, 4)
    assert old.value("asa") is None


def test_two_definitions_of_one_name_and_version_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="asa v1 is defined twice"):
        registry((*REGISTRY.values(), REGISTRY["asa", 1]))


def test_every_definition_says_its_formula() -> None:
    told = "asa v1 = sum of the waits of answered / answered"
    assert str(REGISTRY["asa", 1]) == told
    assert all(each.formula and each.title for each in REGISTRY.values())
