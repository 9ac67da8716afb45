"""Explain: why it is as it is, of a caller, a queue and an agent."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from callcenter.acd.agents import Agent
from callcenter.acd.floor import Floor
from callcenter.acd.matching import LEVEL, ticket_rank, why_not
from callcenter.acd.pool import members
from callcenter.acd.queue import position
from callcenter.acd.requirements import text
from callcenter.acd.why import HELD_BACK, AgentWhy, QueueWhy, TicketWhy, Waiters, cause_words

# Of how many agents who may take a waiting caller it is told what keeps them.
NAMED_AGENTS = 20


def hindrances_of(floor: Floor, ticket_id: str) -> dict[str, tuple[str, ...]]:
    """For a waiting caller: what keeps each agent from taking the call, in words."""
    visit = floor.visits.get(ticket_id)
    if visit is None:
        return {}
    return {
        agent.id: why_not(agent, visit.client, visit.asked, visit.agent, visit.queue)
        + floor.agents[agent.id].hindrances()
        for agent in floor.roster.values()
    }


def explain_agent(floor: Floor, agent_id: str, now: float = 0.0) -> AgentWhy | None:
    """Why an agent is offered nobody though callers wait, or whom he could take; None for an unknown one."""
    agent, settings = floor.agents.get(agent_id), floor.roster.get(agent_id)
    if agent is None or settings is None:
        return None
    ms = max(floor.now, round(now * 1000))
    found: list[Waiters] = []
    for demand in sorted(floor.pool.demands_waiting(), key=lambda each: each.rank(ms)):
        only = demand.named if demand.alone else ""
        reasons = why_not(settings, demand.client, demand.asked, only, demand.queue)
        if not reasons and demand.named not in ("", agent_id):
            reasons = (f"they wait for {demand.named} first, who is preferred",)
        if not reasons and agent_id in demand.without:
            reasons = ("he has declined to call them back",)
        step = floor.visits[demand.waiting[0][-1]].step
        found.append(Waiters(demand.queue, text(demand.asked), len(demand.waiting), reasons, step))
    offered = Counter(visit.queue for visit in floor.visits.values() if visit.offers)
    found += [Waiters(queue, "", many, ("they are being offered already",)) for queue, many in sorted(offered.items())]
    return AgentWhy(agent_id, _hindrances(floor, agent), tuple(found))


def explain_queue(floor: Floor, queue_id: str, now: float = 0.0) -> QueueWhy | None:
    """How a queue stands and what keeps agents from its first caller; None for an unknown one."""
    queue = floor.plan.queues.get(queue_id)
    if queue is None:
        return None
    line = floor.lines.get(queue_id, [])
    waiters = []
    for demand in floor.pool.demands_waiting():
        if demand.queue == queue_id:
            step = floor.visits[demand.waiting[0][-1]].step
            causes = floor.pool.excluded(demand)
            words = tuple(
                f"{many} agent{'s' * (many != 1)} {cause_words(cause, many)}" for cause, many in causes.items()
            )
            waiters.append(Waiters(queue_id, text(demand.asked), len(demand.waiting), words, step))
    first = next((place[-1] for place in line if not floor.visits[place[-1]].offers), "")
    claim = floor.pool.claim(queue.client)
    return QueueWhy(
        queue=queue_id,
        strategy=queue.strategy,
        waiting=len(line),
        offered=sum(bool(floor.visits[place[-1]].offers) for place in line),
        waiters=tuple(waiters),
        first=explain_ticket(floor, first, now),
        share=None if claim is None else (claim.share.minimum, claim.share.weight, claim.busy),
    )


def explain_ticket(floor: Floor, ticket_id: str, now: float = 0.0) -> TicketWhy | None:
    """Why a caller still waits; None when they do not."""
    visit = floor.visits.get(ticket_id)
    if visit is None:
        return None
    ms = max(floor.now, round(now * 1000))
    queue = floor.plan.queue(visit.queue)
    demand = floor.pool.demand_of(ticket_id)
    steps = () if queue is None or visit.agent else queue.steps[visit.step :]
    agents: list[tuple[str, tuple[str, ...]]] = []
    if demand is not None:
        able = (floor.pool.roster.ids[number] for number in members(demand.able))
        agents = [(each, _hindrances(floor, floor.agents[each])) for each in islice(able, NAMED_AGENTS)]
        rank = ticket_rank(demand.claim.standing, visit.place, visit.aging, ms)
    else:
        rank = ticket_rank(LEVEL, visit.place, visit.aging, ms)
    return TicketWhy(
        ticket=visit.id,
        call_id=visit.call_id,
        queue=visit.queue,
        position=position(floor.lines[visit.queue], visit.place),
        asked=visit.asks,
        step=visit.step,
        next_step=(visit.joined - ms) / 1000 + steps[0].after if steps else None,
        rank=rank,
        now=ms,
        offered_to=tuple(floor.engagements[offer].agent.id for offer in visit.offers),
        only=visit.agent,
        preferred=visit.prefer if visit.preferred_until is not None else "",
        excluded={} if demand is None else floor.pool.excluded(demand),
        agents=tuple(agents),
    )


def _hindrances(floor: Floor, agent: Agent) -> tuple[str, ...]:
    """What keeps an agent from taking anybody, in words, be it his own state or the floor's."""
    return agent.hindrances() + (() if floor.offering else (HELD_BACK,))
