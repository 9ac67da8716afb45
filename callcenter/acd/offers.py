"""Offers: a caller is offered to agents, and the offer ends, whoever ends it."""

from __future__ import annotations

from callcenter.acd.agents import MOVES, Agent, Move
from callcenter.acd.engagement import Engagement
from callcenter.acd.events import MakeOffer, Offer, WithdrawOffer
from callcenter.acd.floor import Floor
from callcenter.acd.matching import why
from callcenter.acd.pool import Match
from callcenter.acd.queue import Visit, position
from callcenter.acd.requirements import plain
from callcenter.acd.tickets import abandon, flow_out, withdraw
from callcenter.acd.waiting import end_preference
from callcenter.acd.why import BY_LOT, NAMED, Explanation, Passed
from callcenter.acd.work import free, move
from callcenter.model.facts import AgentRang, OfferEnded, OfferMade, changed
from callcenter.model.states import OfferResult, Work

# How an offer ends that the one agent whom a visit is for did not take: nobody else can, so the visit ends with it.
NOT_TAKEN = frozenset({OfferResult.NO_ANSWER, OfferResult.BUSY, OfferResult.DECLINED, OfferResult.UNREACHABLE})


def offer_all(floor: Floor, match: Match) -> None:
    """Offer a ticket to the agent who takes it, or to all who are rung at once."""
    visit = floor.visits[match.ticket]
    explained = _explained(floor, visit, match)
    for agent_id, explanation in zip(match.agents, explained, strict=True):
        _offer(floor, visit, floor.agents[agent_id], explanation)


def _explained(floor: Floor, visit: Visit, match: Match) -> list[Explanation]:
    """Why each agent of a match is offered the caller, told before anything is changed by it."""
    pool, demand = floor.pool, match.demand
    following, more = pool.next_ones(match)
    excluded = pool.excluded(demand)
    ahead, ahead_more = _ahead(floor, visit)
    claim = pool.claim(visit.client)
    drawn = demand.strategy in BY_LOT and not demand.alone
    return [
        Explanation(
            agent=agent_id,
            now=floor.now,
            ticket_rank=match.rank,
            agent_rank=pool.rank(demand, visit.id, pool.roster.number[agent_id]),
            strategy=demand.strategy,
            asked=visit.asks,
            next=following,
            more=more,
            drawn=match.candidates.bit_count() if drawn and visit.prefer != agent_id else 0,
            together=len(match.agents),
            excluded=excluded,
            ahead=ahead,
            ahead_more=ahead_more,
            step=visit.step,
            only=visit.agent,
            preferred=visit.prefer,
            share=None if claim is None else (claim.share.minimum, claim.share.weight, claim.busy),
            revision=floor.plan.revision,
        )
        for agent_id in match.agents
    ]


def _ahead(floor: Floor, visit: Visit) -> tuple[tuple[tuple[str, Passed], ...], int]:
    """Who stands before a caller in the queue and is passed over: the first few by name, the others by number."""
    line = floor.lines[visit.queue]
    many = position(line, visit.place) - 1
    found = []
    for *_, ticket in line[: min(many, NAMED)]:
        other = floor.visits[ticket]
        if other.offers:
            found.append((ticket, Passed.OFFERED))
        else:
            found.append((ticket, Passed.NAMED if other.one_alone else Passed.ASKS_MORE))
    return tuple(found), many - len(found)


def _offer(floor: Floor, visit: Visit, agent: Agent, explanation: Explanation) -> None:
    queue = floor.plan.queue(visit.queue)
    assert queue is not None, f"{visit} is in no line"
    ring_for = round(queue.ring_for * 1000)
    lease = ring_for + round(floor.plan.offer_grace * 1000) + visit.reserve
    made = OfferMade(
        visit=visit.id,
        offer=f"{visit.id}-{visit.tries + 1}",
        generation=floor.generation + 1,
        queue=visit.queue,
        agent=agent.id,
        ring_for_ms=ring_for,
        lease_ms=lease,
        explanation=explanation.text(),
        why=why(
            floor.roster[agent.id],
            visit.asked,
            floor.now - agent.idle_since,
            visit.agent,
            preferred=visit.prefer == agent.id,
        ),
    )
    offer = Offer(
        id=made.offer,
        ticket_id=visit.id,
        call_id=visit.call_id,
        queue=visit.queue,
        agent_id=agent.id,
        epoch=floor.epoch,
        generation=made.generation,
        ring_for=ring_for / 1000,
        expires_at=(floor.now + lease) / 1000,
        waited=(floor.now - visit.joined) / 1000,
        skills=plain(visit.asked),
        why=made.why,
        explanation=made.explanation,
        together=explanation.together,
    )
    floor.tell(made, visit.call_id)
    state = agent.state("a caller is offered", floor.now)
    floor.tell(changed(state, work=MOVES[agent.work, Move.RESERVE], offer=offer.id), visit.call_id)
    floor.effects.append(MakeOffer(offer))


def ring(floor: Floor, engagement: Engagement) -> None:
    """The agent's phone rings."""
    floor.tell(AgentRang(engagement.offer, engagement.agent.id), engagement.call_id)
    move(floor, engagement, Move.RING, "the phone rings")


def pick_up(floor: Floor, engagement: Engagement) -> None:
    """The agent picked up; those who were rung beside are let off."""
    agent = engagement.agent
    if agent.work is Work.RESERVED:
        floor.tell(AgentRang(engagement.offer, agent.id), engagement.call_id)
    ended = OfferEnded(engagement.visit, engagement.offer, agent.id, OfferResult.ACCEPTED)
    floor.tell(ended, engagement.call_id)
    move(floor, engagement, Move.PICK_UP, "picked up")
    visit = floor.visits.get(engagement.visit)
    for offer in visit.offers if visit else ():
        if offer != engagement.offer:
            _let_off(floor, floor.engagements[offer])


def _let_off(floor: Floor, engagement: Engagement) -> None:
    """Another agent, rung for the same caller, was faster: nobody's fault, and nothing to pause for."""
    lost = OfferResult.LOST_RACE
    floor.effects.append(WithdrawOffer(engagement.offer, engagement.visit, engagement.agent.id, lost))
    ended = OfferEnded(engagement.visit, engagement.offer, engagement.agent.id, lost, "another agent picked up")
    floor.tell(ended, engagement.call_id)
    free(floor, engagement, Move.RELEASE, "another agent picked up")


def fail(floor: Floor, engagement: Engagement, result: OfferResult, detail: str) -> None:
    """The offer ended on the agent's side, or the caller hung up."""
    visit = floor.visits[engagement.visit]
    if result is OfferResult.CALLER_GONE:
        abandon(floor, visit)
    _end_offer(floor, engagement, result, detail)
    if result is OfferResult.CALLER_GONE:
        withdraw(floor, visit, detail)


def take_back(floor: Floor, engagement: Engagement, result: OfferResult, detail: str) -> None:
    """The ACD itself ends the offer."""
    floor.effects.append(WithdrawOffer(engagement.offer, engagement.visit, engagement.agent.id, result))
    _end_offer(floor, engagement, result, detail)


def _end_offer(floor: Floor, engagement: Engagement, result: OfferResult, detail: str) -> None:
    ended = OfferEnded(engagement.visit, engagement.offer, engagement.agent.id, result, detail)
    floor.tell(ended, engagement.call_id)
    not_taken(floor, engagement, result)
    free(floor, engagement, Move.RELEASE, f"offer ended: {result}", result)


def not_taken(floor: Floor, engagement: Engagement, result: OfferResult) -> None:
    """An offer failed: whoever asked for this agent alone waits no longer, who preferred him does not insist."""
    visit = floor.visits.get(engagement.visit)
    if visit is None or result not in NOT_TAKEN:
        return
    if visit.agent:
        flow_out(floor, visit, str(result))
    elif visit.preferred_until is not None:
        end_preference(floor, visit, str(result))
