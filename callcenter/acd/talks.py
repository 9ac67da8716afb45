"""Talks: an agent and a caller hear each other, until one of them ends it."""

from __future__ import annotations

from callcenter.acd.agents import Move
from callcenter.acd.engagement import Engagement, result_of
from callcenter.acd.floor import Floor
from callcenter.acd.offers import not_taken
from callcenter.acd.tickets import abandon, end_visit
from callcenter.acd.work import free, move
from callcenter.acd.wrap_up import begin_wrap_up
from callcenter.model.facts import AgentLegEnded, AgentTookOver, CallConnected, CallHeld, CallResumed
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome, Work


def connect(floor: Floor, engagement: Engagement) -> None:
    """Both hear each other: the caller waits no longer."""
    visit = floor.visits.get(engagement.visit)
    if visit is None:
        return  # told twice, or the caller left before the bridge
    floor.tell(CallConnected(visit.id, engagement.offer, engagement.agent.id), visit.call_id)
    end_visit(floor, visit, VisitOutcome.ANSWERED)


def hold(floor: Floor, engagement: Engagement, by: Side) -> None:
    """One side holds the other."""
    if by in engagement.held_by:
        return
    floor.tell(CallHeld(by, engagement.offer), engagement.call_id)
    if engagement.agent.work is Work.TALKING:
        move(floor, engagement, Move.HOLD, f"held by the {by}")


def resume(floor: Floor, engagement: Engagement, by: Side) -> None:
    """One side holds the other no longer."""
    if by not in engagement.held_by:
        return
    floor.tell(CallResumed(by, engagement.offer), engagement.call_id)
    if not engagement.held_by and engagement.agent.work is Work.HELD:
        move(floor, engagement, Move.RESUME, f"resumed by the {by}")


def move_talk(floor: Floor, engagement: Engagement, call_id: str, queue: str) -> None:
    """The agent goes on with another caller, who was handed to him."""
    agent, offer = engagement.agent, engagement.offer
    floor.tell(AgentLegEnded(offer, agent.id, Side.SYSTEM, EndCause.TRANSFERRED), engagement.call_id)
    floor.tell(AgentTookOver(offer, agent.id, queue), call_id)
    if agent.work is Work.HELD:
        move(floor, engagement, Move.RESUME, "handed over")
    else:
        floor.tell(agent.state("handed over", floor.now), call_id)


def end_talk(floor: Floor, engagement: Engagement, by: Side, cause: EndCause) -> None:
    """The agent's leg ended, before or after both had heard each other."""
    visit = floor.visits.get(engagement.visit)
    if visit is not None and by is Side.CALLER:
        abandon(floor, visit)
        visit = None
    floor.tell(AgentLegEnded(engagement.offer, engagement.agent.id, by, cause), engagement.call_id)
    if engagement.connected:
        begin_wrap_up(floor, engagement)
    else:
        result = OfferResult.CALLER_GONE if visit is None else result_of(by)
        not_taken(floor, engagement, result)
        free(floor, engagement, Move.RELEASE, f"leg ended before the bridge by the {by}", result)
