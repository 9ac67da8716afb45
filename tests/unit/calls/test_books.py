"""The books: what is saved of a call, and how a restart closes what the last run left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from callcenter.calls.books import MAX_AWAITING_WRAP_UP, Books, closing_facts
from callcenter.model.facts import (
    AgentLegEnded,
    AgentTookOver,
    Body,
    CallAnswered,
    CallArrived,
    CallConnected,
    CallEnded,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    OutsideConnected,
    OutsideLegEnded,
    QueueLeft,
    WrapUpEnded,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import Direction, EndCause, OfferResult, Outcome, Side, VisitOutcome

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ARRIVED = CallArrived("tech", "main", "+14155550100", "", "+18005550100", "UDP", "127.0.0.1:5080", "x@y")
QUEUED = CallQueued("v1", "sales", "tech", 0, (), 2000)
OFFERED = OfferMade("v1", "o1", 1, "sales", "amy", 20000, 25000)
ACCEPTED = OfferEnded("v1", "o1", "amy", OfferResult.ACCEPTED)
CONNECTED = CallConnected("v1", "o1", "amy")
LEFT = QueueLeft("v1", "sales", VisitOutcome.ANSWERED)


def facts(*bodies: Body, call_id: str = "cc1-x") -> list[Fact]:
    """One fact a second."""
    return [
        Fact(n, START + timedelta(seconds=n), "b1", n * 1000, call_id, body) for n, body in enumerate(bodies, start=1)
    ]


def test_a_call_is_saved_with_its_last_fact_and_again_with_the_wrap_up() -> None:
    saved: list[Interaction] = []
    books = Books(saved.append)
    leg_ended = AgentLegEnded("o1", "amy", Side.CALLER, EndCause.HANGUP)
    told = facts(ARRIVED, CallAnswered(), QUEUED, OFFERED, ACCEPTED, CONNECTED, LEFT, leg_ended)
    for fact in told:
        books.take(fact)
    assert not saved
    assert books.open_calls == 1
    for body in (CallEnded(Side.CALLER, EndCause.HANGUP), WrapUpEnded("amy", "o1", "solved")):
        told.append(Fact(len(told) + 1, START, "b1", (len(told) + 1) * 1000, "cc1-x", body))
        books.take(told[-1])
    assert [each.wrap_up_ms for each in saved] == [0, 2000]
    assert books.open_calls == 0


def test_a_callback_that_stood_in_line_at_a_crash_is_not_lost_and_one_that_was_reached_is_as_any_caller() -> None:
    arrived = replace(ARRIVED, direction=Direction.OUTBOUND, callback="cb1")
    queued = replace(QUEUED, callback="cb1")
    for told, left, outcome in (
        (facts(arrived, queued), QueueLeft("v1", "sales", VisitOutcome.FLOWED_OUT, "restart"), Outcome.NOT_REACHED),
        (facts(arrived, queued, CallAnswered()), QueueLeft("v1", "sales", VisitOutcome.LOST, "restart"), Outcome.LOST),
    ):
        drafts = [draft.body for draft in closing_facts(told, 9000)]
        assert [body for body in drafts if isinstance(body, QueueLeft)] == [left]
        whole = facts(*(fact.body for fact in told), *drafts)
        assert Interaction.from_facts(whole).outcome is outcome
        assert Interaction.from_facts(whole).callback == "cb1"


def test_calls_whose_wrap_up_never_ends_are_let_go() -> None:
    saved: list[Interaction] = []
    books = Books(saved.append)
    ended = CallEnded(Side.CALLER, EndCause.HANGUP)
    for number in range(MAX_AWAITING_WRAP_UP + 10):
        for fact in facts(ARRIVED, QUEUED, OFFERED, CONNECTED, ended, call_id=f"c{number}"):
            books.take(fact)
    saved.clear()
    for number in (0, MAX_AWAITING_WRAP_UP + 9):
        books.take(Fact(99, START, "b1", 99_000, f"c{number}", WrapUpEnded("amy", "o1", "x")))
    assert [each.call_id for each in saved] == [f"c{MAX_AWAITING_WRAP_UP + 9}"]


def close(*bodies: Body, alive_ms: int) -> Interaction:
    """What is saved when a restart closes this call."""
    saved: list[Interaction] = []
    books = Books(saved.append)
    before = facts(*bodies)
    books.take_up(before)
    for draft in closing_facts(before, alive_ms):
        books.take(Fact(100, START + timedelta(hours=2), "b2", 5, draft.call_id, draft.body))
    assert len(saved) == 1
    return saved[0]


def test_a_restart_closes_a_talk_at_the_last_sign_of_life() -> None:
    closed = close(ARRIVED, CallAnswered(), QUEUED, OFFERED, ACCEPTED, CONNECTED, LEFT, alive_ms=60_000)
    assert closed.outcome is Outcome.HANDLED
    assert closed.talk_ms == 54_000
    assert closed.ending is not None
    assert closed.ending.cause is EndCause.RESTART


def test_a_restart_tells_a_waiting_caller_lost_and_the_offer_ended() -> None:
    closed = close(ARRIVED, CallAnswered(), QUEUED, OFFERED, alive_ms=30_000)
    assert closed.outcome is Outcome.LOST
    assert closed.visits[0].outcome is VisitOutcome.LOST
    assert closed.offers == (("amy", OfferResult.LOST_RACE),)
    assert closed.wait_ms == 27_000


def test_a_restart_closes_a_call_that_was_only_ringing_in() -> None:
    assert close(ARRIVED, alive_ms=1_000).outcome is Outcome.LOST


def test_a_call_that_ended_and_was_not_saved_is_saved_by_the_restart_and_not_ended_again() -> None:
    """The last run wrote the last fact and died before the record."""
    saved: list[Interaction] = []
    books = Books(saved.append)
    leg_ended = AgentLegEnded("o1", "amy", Side.CALLER, EndCause.HANGUP)
    ended = CallEnded(Side.CALLER, EndCause.HANGUP)
    told = facts(ARRIVED, CallAnswered(), QUEUED, OFFERED, ACCEPTED, CONNECTED, LEFT, leg_ended, ended)
    books.take_up(told)
    assert closing_facts(told, alive_ms=9000) == []
    assert [each.outcome for each in saved] == [Outcome.HANDLED]


def test_a_restart_ends_the_part_of_somebody_outside_and_of_whoever_was_handed_over() -> None:
    outside = OutsideConnected("l1", "+34911223344", "madrid")
    told = facts(ARRIVED, CallAnswered(), outside, AgentTookOver("o9", "cas", "sales"))
    assert [draft.body for draft in closing_facts(told, 60_000)] == [
        AgentLegEnded("o9", "cas", Side.SYSTEM, EndCause.RESTART),
        OutsideLegEnded("l1", Side.SYSTEM, EndCause.RESTART),
        CallEnded(Side.SYSTEM, EndCause.RESTART, 0, "the switch was restarted", 60_000),
    ]
