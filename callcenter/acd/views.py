"""Views: agents and callers as others may see them."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from callcenter.acd.agents import AgentView
from callcenter.acd.estimate import MOST_SERVERS, Outlook, Server
from callcenter.acd.floor import Floor
from callcenter.acd.queue import TicketView, Visit, position
from callcenter.model.states import Intent, Work


def agent_view(floor: Floor, agent_id: str) -> AgentView | None:
    """An agent as he is now; None for an unknown one."""
    agent = floor.agents.get(agent_id)
    if agent is None or not floor.belongs(agent):
        return None
    engagement = floor.engagements.get(agent.offer)
    if engagement is None:
        return AgentView.of(agent, floor.call_of(agent) or "", "")
    return AgentView.of(agent, engagement.call_id, engagement.queue, engagement.disposition)


def ticket_view(floor: Floor, visit: Visit, number: int) -> TicketView:
    """A visit as others may see it, whose place in line has this number."""
    return TicketView(
        id=visit.id,
        call_id=visit.call_id,
        queue=visit.queue,
        client=visit.client,
        priority=visit.priority,
        asked=visit.asked,
        joined=visit.joined / 1000,
        first_joined=visit.first_joined / 1000,
        tries=visit.tries,
        position=number,
        agent=floor.engagements[visit.offer].agent.id if visit.offers else "",
        only=visit.agent,
        ringing=tuple(floor.engagements[offer].agent.id for offer in visit.offers),
        preferred=visit.prefer if visit.preferred_until is not None else "",
        step=visit.step,
        callback=visit.callback,
    )


def outlook(floor: Floor, ticket_id: str) -> Outlook | None:
    """What a waiting caller has before them; None when they do not wait in a queue for whoever comes free."""
    visit = floor.visits.get(ticket_id)
    if visit is None or visit.agent or not visit.queue:
        return None
    servers: list[Server] = []
    agents, ids = floor.presence.serving(visit.queue)
    for agent in (floor.agents[each] for each in ids):
        if agent.next is Intent.READY and len(servers) < MOST_SERVERS:
            free_at = agent.until if agent.work is Work.WRAP_UP else None
            servers.append(Server(agent.id, None if free_at is None else max(0, free_at - floor.now)))
    return Outlook(
        queue=visit.queue,
        position=position(floor.lines[visit.queue], visit.place),
        rivals=sum(
            position(line, visit.place) - 1
            for queue, line in floor.lines.items()
            if queue != visit.queue and floor.presence.share(queue, visit.queue)
        ),
        servers=tuple(servers),
        agents=agents,
    )


def snapshot(floor: Floor) -> tuple[Any, ...]:
    """All that the facts told, as a value to compare: with equal ones (and plans) two ACDs decide alike."""
    return (
        sorted(astuple(agent) for agent in floor.agents.values() if floor.belongs(agent)),
        sorted(astuple(visit) for visit in floor.visits.values()),
        [astuple(floor.engagements[offer]) for offer in sorted(floor.engagements)],
        list(floor.ended),
        [astuple(floor.changes[agent]) for agent in sorted(floor.changes)],
        floor.joined,
        floor.generation,
        sorted(floor.turns.items()),
    )
