"""When the next delivery goes, when one is given up, and when a receiver is told nothing any more."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.desk.integrations.lane import (
    FIRST_RETRY,
    LAST_RETRY,
    LONGEST_RETRY_AFTER,
    MOST_REFUSALS,
    Attempt,
    Lane,
    Policy,
    Verdict,
    retry_after,
)

DOWN = Attempt(503, "it answered 503")
POLICY = Policy(give_up_after=7_200.0, disable_after=86_400.0)


def after(
    lane: Lane, attempt: Attempt, now: float, *, attempts: int = 1, queued_at: float = 0.0
) -> tuple[Lane, Verdict]:
    return lane.after(attempt, attempts=attempts, queued_at=queued_at, now=now, policy=POLICY, random=Random(1))


def test_a_delivery_that_is_taken_makes_all_well() -> None:
    assert after(Lane(7, 1.0, 99.0), Attempt(204), 10.0) == (Lane(), Verdict.DELIVERED)


@given(st.integers(0, 200), st.randoms(use_true_random=False))
def test_pauses_grow_to_an_hour_and_never_beyond(failures: int, random: Random) -> None:
    lane, verdict = Lane(failures, 0.0).after(
        DOWN, attempts=1, queued_at=100.0, now=100.0, policy=POLICY, random=random
    )
    wanted = min(LAST_RETRY, FIRST_RETRY * 2.0**failures)
    assert verdict is Verdict.RETRY
    assert wanted / 2 <= lane.retry_at - 100.0 <= wanted
    assert (lane.failures, lane.failing_since) == (failures + 1, 0.0)


def test_a_receiver_is_not_asked_before_it_wants_to_be() -> None:
    lane, _ = after(Lane(), Attempt(429, "it answered 429", retry_after=600.0), 50.0)
    assert lane.retry_at == 650.0
    lane, _ = after(Lane(), Attempt(503, "", retry_after=1e9), 50.0)
    assert lane.retry_at == 50.0 + LONGEST_RETRY_AFTER


def test_what_fails_for_too_long_is_given_up_and_the_pauses_go_on_for_the_next() -> None:
    lane, verdict = after(Lane(4, 0.0), DOWN, 7_199.0, attempts=9)
    assert verdict is Verdict.RETRY
    lane, verdict = after(lane, DOWN, 7_200.0, attempts=10)
    assert (verdict, lane.failures, lane.failing_since) == (Verdict.GIVEN_UP, 6, 0.0)
    assert lane.retry_at > 7_200.0


def test_what_a_receiver_refuses_again_and_again_holds_up_no_other() -> None:
    lane, refused = Lane(), Attempt(422, "it answered 422")
    for attempts in range(1, MOST_REFUSALS):
        lane, verdict = after(lane, refused, 10.0 * attempts, attempts=attempts)
        assert verdict is Verdict.RETRY
    lane, verdict = after(lane, refused, 60.0, attempts=MOST_REFUSALS)
    assert (verdict, lane.retry_at) == (Verdict.GIVEN_UP, 60.0)
    assert after(Lane(), Attempt(404, ""), 60.0, attempts=99)[1] is Verdict.RETRY


def test_after_days_of_failure_and_when_it_says_that_it_is_gone_a_receiver_is_told_nothing_any_more() -> None:
    lane, verdict = after(Lane(30, 0.0), DOWN, 86_400.0, queued_at=86_000.0)
    assert verdict is Verdict.RETRY
    assert lane.disabled == "nothing was taken for 1.0 days; the last time: it answered 503"
    assert "410" in after(Lane(), Attempt(410, ""), 5.0)[0].disabled
    assert lane.enabled() == Lane()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("", 0.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("99999999999999999999", LONGEST_RETRY_AFTER),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 110.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float) -> None:
    assert retry_after(header, 10.0) == seconds
