"""Tickets: callers come into a queue and leave it, whoever ends their visit."""

from __future__ import annotations

from callcenter.acd.agents import OFFERED, Move
from callcenter.acd.asked import asked_as, asked_at
from callcenter.acd.events import Leave, Ticket, TicketExpired, TicketRefused, WithdrawOffer
from callcenter.acd.floor import Floor
from callcenter.acd.queue import Visit
from callcenter.acd.requirements import Needs, text
from callcenter.acd.settings import QueueSettings
from callcenter.acd.work import free
from callcenter.model.facts import CallQueued, OfferEnded, QueueLeft
from callcenter.model.states import Device, Intent, OfferResult, VisitOutcome, Work


def join(floor: Floor, ticket: Ticket) -> None:
    """A caller joins a queue, or is refused: then the visit ends as it begins."""
    queue = floor.plan.queue(ticket.queue) if ticket.queue or ticket.agent else None
    if queue is None:
        refusal, priority, action = floor.renamed(ticket.queue) or "unknown_queue", 0, ""
        asked: Needs = ticket.requirements
    else:
        refusal = _refusal(floor, ticket, queue)
        asked = () if ticket.agent else asked_at(queue, 0, ticket.requirements)
        priority, action = queue.priority, queue.action(refusal)
    asks = text(queue.requirements) if queue is not None and not ticket.agent else ""
    origins = (("queue", asks),) if asks else ()
    kept_place = floor.now if ticket.first_joined is None else round(ticket.first_joined * 1000)
    own = () if ticket.agent else ticket.requirements
    queued = CallQueued(
        visit=ticket.id,
        queue=ticket.queue,
        client=ticket.client,
        priority=priority if ticket.priority is None else ticket.priority,
        first_joined_ms=min(kept_place, floor.now),
        agent=ticket.agent,
        own=text(own),
        prefer="" if ticket.agent else ticket.prefer,
        prefer_ms=0 if ticket.agent or not ticket.prefer else round(ticket.prefer_for * 1000),
        visit_no=ticket.number,
        place_of=ticket.place_of,
        origins=origins + ticket.origins,
        callback=ticket.callback,
        reserve_ms=round(ticket.reserve_for * 1000),
        without=ticket.without,
        **asked_as(asked),
    )
    floor.tell(queued, ticket.call_id)
    if refusal:
        end_visit(floor, floor.visits[ticket.id], VisitOutcome.REFUSED, refusal)
        floor.effects.append(TicketRefused(ticket.id, action, refusal))


def _refusal(floor: Floor, ticket: Ticket, queue: QueueSettings) -> str:
    """Why a caller may not join, in a word; empty when they may."""
    if ticket.agent:
        refusal = _absence(floor, ticket.agent, ticket.client)
    elif ticket.callback:
        return ""
    else:
        refusal = "closed" if ticket.closed else str(floor.presence.refuses(queue.id) or "")
    callers = len(floor.lines.get(queue.id, ())) - floor.callbacks.get(queue.id, 0)
    return refusal or ("full" if callers >= queue.max_waiting and not ticket.callback else "")


def _absence(floor: Floor, agent_id: str, client: str) -> str:
    """Why a caller who asks for one agent need not wait for him, in a word; empty when he can come."""
    agent, settings = floor.agents.get(agent_id), floor.roster.get(agent_id)
    if agent is None or settings is None:
        return "unknown_agent"
    if client and client not in settings.clients:
        return "wrong_client"
    if agent.work is not Work.IDLE:
        return ""  # what he will be, and whether his phone is there, shows when his work ends
    if agent.intent is not Intent.READY:
        return str(agent.intent)
    return str(Device.UNREACHABLE) if agent.device is Device.UNREACHABLE else ""


def leave(floor: Floor, visit: Visit, event: Leave) -> None:
    """A caller leaves by the word of who holds the ticket."""
    if event.outcome is VisitOutcome.ABANDONED:
        abandon(floor, visit, event.reason)
    else:
        end_visit(floor, visit, event.outcome, event.reason)
    withdraw(floor, visit, event.reason)


def abandon(floor: Floor, visit: Visit, reason: str = "") -> None:
    """A caller hung up, so shortly after they had come that it does not count, or later."""
    queue = floor.plan.queue(visit.queue)
    short = queue is not None and floor.now - visit.joined < queue.short_abandon * 1000
    end_visit(floor, visit, VisitOutcome.SHORT_ABANDONED if short else VisitOutcome.ABANDONED, reason)


def wait_too_long(floor: Floor, visit: Visit) -> None:
    """A caller has waited as long as they may, or as long as for nobody."""
    queue = floor.plan.queue(visit.queue)
    if queue is None:
        flow_out(floor, visit, floor.renamed(visit.queue) or "queue_removed")
        return
    given_up = floor.given_up_at(visit, queue)
    absence = floor.presence.sends_away(queue.id) if given_up is not None and given_up <= floor.now else None
    flow_out(floor, visit, str(absence or "timeout"))


def flow_out(floor: Floor, visit: Visit, reason: str) -> None:
    """A caller goes on elsewhere, and is told where."""
    queue = floor.plan.queue(visit.queue)
    end_visit(floor, visit, VisitOutcome.FLOWED_OUT, reason)
    withdraw(floor, visit, reason)
    floor.effects.append(TicketExpired(visit.id, queue.action(reason) if queue else "", reason))


def send_on(floor: Floor, agent_id: str) -> None:
    """Let go on who waits for an agent that will not come."""
    for visit_id in list(floor.asked_for.get(agent_id, ())):
        visit = floor.visits[visit_id]
        if not visit.agent:
            floor.unsettled[visit_id] = None
        elif reason := _absence(floor, agent_id, visit.client):
            flow_out(floor, visit, reason)


def end_visit(floor: Floor, visit: Visit, outcome: VisitOutcome, reason: str = "") -> None:
    """The visit is over."""
    floor.tell(QueueLeft(visit.id, visit.queue, outcome, reason), visit.call_id)


def withdraw(floor: Floor, visit: Visit, reason: str) -> None:
    """Take back the offers of a caller who left. An agent who picked up is let go by the end of his leg."""
    for offer in visit.offers:
        engagement = floor.engagements.get(offer)
        if engagement is None:
            continue
        gone = OfferResult.CALLER_GONE
        floor.effects.append(WithdrawOffer(offer, visit.id, engagement.agent.id, gone))
        if engagement.agent.work in OFFERED:
            ended = OfferEnded(visit.id, offer, engagement.agent.id, gone, reason)
            floor.tell(ended, engagement.call_id)
            free(floor, engagement, Move.RELEASE, f"offer ended: {gone}", gone)
