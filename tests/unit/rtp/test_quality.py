"""What a leg's counters come to."""

from __future__ import annotations

import pytest

from callcenter.rtp.quality import Stream, score


def test_a_call_without_fault_has_nearly_the_best_score() -> None:
    assert score("PCMU", Stream(3000, 0)) == pytest.approx(4.39, abs=0.02)


def test_loss_jitter_and_a_long_way_each_cost() -> None:
    best = score("PCMA", Stream(3000, 0))
    lossy = score("PCMA", Stream(2850, 150, 150))
    assert Stream(2850, 150).loss == 0.05
    assert 3.8 < lossy < 4.0 < best
    assert score("PCMA", Stream(2850, 150, 20)) < lossy, "in bursts"
    assert score("PCMA", Stream(3000, 0, jitter_ms=80)) < best
    assert score("PCMA", Stream(3000, 0), round_trip_ms=500) < best
    assert 1.0 <= score("PCMA", Stream(0, 3000, 1)) < 1.2


def test_of_a_few_packets_nothing_is_said() -> None:
    assert score("PCMU", Stream(10, 5)) == 0.0
    assert score("PCMU", Stream(0, 0)) == 0.0


def test_a_codec_without_published_figures_is_measured_as_g_711() -> None:
    assert score("G722", Stream(1000, 10)) == pytest.approx(score("PCMU", Stream(1000, 10)), abs=0.02)
    assert score("what", Stream(1000, 10)) == score("PCMU", Stream(1000, 10))
