"""A CRM that fails is left alone for a while, and then tried by one question alone."""

from __future__ import annotations

from callcenter.desk.integrations.breaker import Breaker, BreakerState


def test_it_opens_after_failures_in_a_row_and_one_answer_begins_the_count_anew() -> None:
    breaker = Breaker(failures=3, pause=30.0)
    for at in (0.0, 1.0):
        assert breaker.may_ask(at)
        breaker.failed(at)
    breaker.succeeded()
    for at in (2.0, 3.0, 4.0):
        assert breaker.may_ask(at)
        breaker.failed(at)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.may_ask(33.9)


def test_after_the_pause_one_question_alone_goes_through_and_decides() -> None:
    breaker = Breaker(failures=1, pause=30.0)
    breaker.failed(0.0)
    assert breaker.may_ask(30.0)
    assert not breaker.may_ask(30.0)
    breaker.failed(33.0)
    assert not breaker.may_ask(62.9)
    assert breaker.may_ask(63.0)
    breaker.succeeded()
    assert (breaker.state, breaker.in_a_row) == (BreakerState.CLOSED, 0)
    assert breaker.may_ask(63.0)


def test_a_probe_that_nobody_waits_for_makes_way_for_the_next() -> None:
    breaker = Breaker(failures=1, pause=30.0)
    breaker.failed(0.0)
    assert breaker.may_ask(31.0)
    breaker.gave_up()
    assert breaker.may_ask(31.0)
    closed = Breaker(failures=1)
    assert closed.may_ask(0.0)
    closed.gave_up()
    assert closed.state is BreakerState.CLOSED
