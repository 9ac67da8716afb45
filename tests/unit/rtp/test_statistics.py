"""Loss and jitter as RFC 3550 counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.statistics import Reception


def receive(reception: Reception, numbers: list[int], jitter: float = 0.0) -> None:
    for index, number in enumerate(numbers):
        late = jitter if index % 2 else 0.0
        reception.receive(number & 0xFFFF, 160 * number & 0xFFFFFFFF, 0.02 * number + late)


@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 398), max_size=200))
def test_loss_is_counted_over_the_wrap(first: int, lost: set[int]) -> None:
    numbers = [first + index for index in range(400) if index not in lost]
    reception = Reception(1, first)
    receive(reception, numbers)
    assert reception.lost == len(lost)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_reordering_is_no_loss_and_duplicates_never_make_it_negative() -> None:
    reception = Reception(1, 10)
    receive(reception, [10, 12, 11, 13, 13, 13])
    assert reception.lost == 0


def test_jitter_tends_to_the_mean_deviation() -> None:
    reception = Reception(1, 0)
    receive(reception, list(range(400)), jitter=0.01)
    assert reception.jitter_ms == pytest.approx(10, rel=0.01)


def test_a_sender_that_numbers_anew_is_no_loss_and_a_stray_changes_nothing() -> None:
    reception = Reception(1, 0)
    receive(reception, [*range(50), 20000, *range(50, 100)])
    assert reception.lost == 0
    receive(reception, list(range(40000, 40100)))
    receive(reception, [40101])
    assert reception.lost == 1


def test_a_clock_set_anew_is_no_jitter() -> None:
    reception = Reception(1, 0)
    reception.receive(0, 0, 0.0)
    reception.receive(1, 3_000_000_000, 0.02)
    reception.receive(2, 3_000_000_160, 0.04)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_a_report_tells_the_loss_since_the_last_one() -> None:
    reception = Reception(7, 0)
    receive(reception, [number for number in range(100) if number % 4 != 1])
    block = reception.report(0xABCD, 1.5)
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (7, 64, 25)
    assert (block.highest_sequence, block.last_report, block.delay) == (99, 0xABCD, 98304)
    receive(reception, list(range(100, 200)))
    block = reception.report()
    assert (block.fraction_lost, block.cumulative_lost, block.delay) == (0, 25, 0)
    assert reception.report().fraction_lost == 0


def test_losses_in_a_row_are_one_burst_and_doubled_packets_make_up_for_none() -> None:
    reception = Reception(1, 0)
    receive(reception, [0, 1, 4, 4, 4, 5, 9, 10, 10])
    assert (reception.lost, reception.bursts, reception.doubled) == (5, 2, 3)
    # What RTCP tells is by the letter of RFC 3550 6.4.1: duplicates count as received.
    assert reception.report().cumulative_lost == 2
