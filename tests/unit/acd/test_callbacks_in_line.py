"""A callback in line: it neither jumps ahead of callers nor falls behind them, whatever comes and goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.events import (
    Connected,
    Join,
    Leave,
    MakeOffer,
    OfferAccepted,
    OfferFailed,
    TalkEnded,
    Ticket,
    TicketRefused,
)
from callcenter.model.facts import CallQueued, OfferMade, QueueLeft
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome
from tests.unit.acd.floor import AMY, SALES, Floor, plan

ALONE = replace(SALES, wrap_up=None, max_waiting=3, max_wait=120.0)


@dataclass(frozen=True)
class Newcomer:
    """Who joins: a caller, or a callback; ``waited``: for how many seconds they have had their place."""

    callback: bool
    priority: int
    waited: int


newcomers = st.builds(Newcomer, st.booleans(), st.integers(0, 2), st.integers(0, 400))
# What happens next: somebody joins, the agent is through with whoever he has (well, or in vain), or time passes.
moves = st.lists(st.one_of(newcomers, st.sampled_from(["served", "not reached", "refused", "later"])), max_size=40)


@given(moves)
def test_whose_turn_it_is_goes_by_priority_and_place_alone(told: list[Newcomer | str]) -> None:
    floor, number = Floor(plan(ALONE, AMY), ready=["amy"]), 0
    kept: list[Ticket] = []
    for move in told:
        before = len(floor.facts)
        match move:
            case Newcomer(callback=callback, priority=priority, waited=waited):
                number += 1
                join(floor, f"v{number}", callback, priority, floor.now - waited)
            case "later":
                floor.sleep(31.0)
                for ticket in kept:  # the spacing is over: the place is the one of before
                    number += 1
                    join(floor, f"v{number}", True, ticket.priority or 0, ticket.first_joined or 0.0)
                kept.clear()
            case how:
                kept += end(floor, how)
        for fact in floor.facts[before:]:
            if isinstance(fact.body, OfferMade):
                assert fact.body.visit == first_in_line(floor, fact.seq)
    callbacks = {fact.body.visit for fact in floor.facts if isinstance(fact.body, CallQueued) and fact.body.callback}
    for fact in floor.facts:
        if isinstance(fact.body, QueueLeft) and fact.body.visit in callbacks:
            assert fact.body.reason not in ("full", "timeout")
    refused = {effect.ticket_id for effect in floor.effects if isinstance(effect, TicketRefused)}
    assert not refused & callbacks


def join(floor: Floor, visit: str, callback: bool, priority: int, first_joined: float) -> None:
    """Somebody joins the queue; a caller is refused only when three callers stand there already."""
    callers = [view for view in floor.acd.waiting("sales") if not view.callback]
    ticket = Ticket(
        visit, f"call {visit}", "sales", "acme", priority=priority, first_joined=first_joined,
        callback=f"callback {visit}" if callback else "",
    )  # fmt: skip
    decision = floor.tell(Join(ticket))
    refused = [effect.reason for effect in decision.effects if isinstance(effect, TicketRefused)]
    assert refused == (["full"] if len(callers) >= 3 and not callback else [])


def end(floor: Floor, how: str) -> list[Ticket]:
    """The agent is through with the offer that is out; the callbacks that are to be tried again."""
    offers = [view for view in floor.acd.waiting("sales") if view.agent]
    if not offers:
        return []
    (view,) = offers
    offer = next(effect.offer for effect in reversed(floor.effects)
                 if isinstance(effect, MakeOffer) and effect.offer.ticket_id == view.id)  # fmt: skip
    if how == "refused":
        floor.tell(OfferFailed(offer.id, OfferResult.LOST_RACE))
        return []
    floor.tell(OfferAccepted(offer.id))
    if how == "not reached" and view.callback:
        floor.tell(Leave(view.id, VisitOutcome.FLOWED_OUT, "busy"))
        floor.tell(TalkEnded(offer.id, Side.OUTSIDE, EndCause.REJECTED))
        agent = floor.acd.agent("amy")
        assert agent is not None
        assert agent.intent == "ready"
        return [Ticket(view.id, view.call_id, "sales", "acme", (), view.priority, view.first_joined)]
    floor.tell(Connected(offer.id))
    floor.tell(TalkEnded(offer.id, Side.CALLER, EndCause.HANGUP))
    return []


def first_in_line(floor: Floor, seq: int) -> str:
    """Who had to be offered at this fact, worked out from all facts before it."""
    line: dict[str, tuple[int, int, int]] = {}
    for fact in floor.facts[: seq - 1]:
        match fact.body:
            case CallQueued(visit=visit, priority=priority, first_joined_ms=place):
                line[visit] = (-priority, place, fact.seq)
            case QueueLeft(visit=visit):
                line.pop(visit)
            case _:
                pass
    return min(line, key=line.__getitem__)
