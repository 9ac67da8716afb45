"""The E-model against the figures that the ITU has published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.emodel import (
    G711,
    G723_1_VAD,
    G729A_VAD,
    IMPAIRMENTS,
    Impairment,
    burst_ratio,
    effective_impairment,
    mos_of,
    rating,
)


def test_all_defaults_give_the_rating_that_the_recommendation_names() -> None:
    """G.107 7.7: with all parameters at their defaults, R = 93.2, which is a score of 4.41."""
    assert round(rating(), 1) == 93.2
    assert round(mos_of(rating()), 2) == 4.41


@pytest.mark.parametrize(("r", "mos"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_scores_of_ratings_are_those_of_table_b_1(r: float, mos: float) -> None:
    assert mos_of(r) == pytest.approx(mos, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "percent", "impairment"),
    [
        # G.113 (02/2001) Table I.2: random loss, G.729A with VAD, and G.723.1 at 6.3 kbit/s with VAD.
        *((G729A_VAD, p, ie) for p, ie in ((0, 11), (0.5, 13), (1, 15), (1.5, 17), (2, 19), (3, 23), (4, 26), (8, 36))),
        (G729A_VAD, 16, 49),
        *((G723_1_VAD, p, ie) for p, ie in ((0, 15), (0.5, 17), (1, 19), (1.5, 22), (2, 24), (3, 27), (4, 32))),
        # G.113 (02/2001) Table I.3: G.711 with concealment.
        *((G711, p, ie) for p, ie in ((0, 0), (2, 7), (3, 10), (5, 15), (7, 20), (10, 25), (15, 35), (20, 45))),
    ],
)
def test_impairment_by_loss_is_that_of_the_appendix(codec: Impairment, percent: float, impairment: float) -> None:
    assert effective_impairment(codec, percent / 100) == pytest.approx(impairment, abs=3)


def test_g_711_without_concealment_bears_hardly_any_loss() -> None:
    """G.113 (02/2001) Table I.3: 25 at one percent, within what a formula fitted to it gives."""
    assert effective_impairment(Impairment(0, 4.3), 0.01) == pytest.approx(25, abs=8)


def test_delay_costs_little_below_150_ms_and_much_beyond() -> None:
    """G.114: up to 150 ms most users are well served; 400 ms is the upper bound of planning."""
    assert rating() - rating(delay_ms=150) < 5
    assert mos_of(rating(delay_ms=400)) < 3.6
    assert rating(delay_ms=1e9) >= 0


def test_losses_in_bursts_are_worse_than_single_ones() -> None:
    assert rating(loss=0.05, burst_ratio=3) < rating(loss=0.05) < rating()
    assert burst_ratio(lost=30, bursts=10, expected=1000) == pytest.approx(2.91)
    assert burst_ratio(lost=30, bursts=30, expected=1000) == 1
    assert burst_ratio(lost=3, bursts=9, expected=1000) == 1, "some that were missing came late"
    assert burst_ratio(0, 0, 0) == burst_ratio(5, 1, 5) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 5000), st.floats(1, 50), st.sampled_from(sorted(IMPAIRMENTS)))
def test_more_loss_is_never_better_and_scores_keep_to_their_scale(
    loss: float, more: float, delay_ms: float, bursts: float, codec: str
) -> None:
    low, high = sorted((loss, more))
    better = rating(IMPAIRMENTS[codec], loss=low, burst_ratio=bursts, delay_ms=delay_ms)
    worse = rating(IMPAIRMENTS[codec], loss=high, burst_ratio=bursts, delay_ms=delay_ms)
    assert 0 <= worse <= better <= 93.3
    assert 1 <= mos_of(worse) <= 4.42


def test_a_score_is_never_below_one() -> None:
    assert mos_of(-5) == mos_of(0) == mos_of(3) == 1.0
    assert mos_of(120) == 4.5
