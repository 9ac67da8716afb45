"""Checks: what must hold when every call of a story is over: nothing left, every book closed, every state explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from callcenter.app import House
from callcenter.model.facts import (
    AgentStateChanged,
    CallArrived,
    CallEnded,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
)
from callcenter.model.states import Work
from callcenter.sip.endpoint import Endpoint

# What an agent may be doing with no call on the floor.
AT_REST = frozenset({Work.IDLE, Work.WRAP_UP})


@dataclass(slots=True)
class Leftovers:
    """What was found, in words; nothing is what one hopes for."""

    found: list[str] = field(default_factory=list)

    def none_or_fail(self) -> None:
        """Fail with everything that was found."""
        assert not self.found, "left over:\n  " + "\n  ".join(self.found)

    def expect(self, holds: bool, sentence: str) -> None:
        """Note ``sentence`` unless it holds."""
        if not holds:
            self.found.append(sentence)


async def look_for_leftovers(house: House, facts: Sequence[Fact], phones: Iterable[Endpoint]) -> Leftovers:
    """Look everywhere. Every call of ``facts`` has to be over."""
    found = Leftovers()
    found.expect(not house.supervisor.calls, f"calls: {list(house.supervisor.calls.values())}")
    found.expect(not house.user_agent.legs, f"legs of the switch: {list(house.user_agent.legs.values())}")
    for who, endpoint in [("switch", house.endpoint), *(("a phone", phone) for phone in phones)]:
        status = endpoint.status()
        left = (status.transactions, status.dialogs, status.sessions)
        found.expect(not any(left), f"{who} keeps transactions, dialogs, sessions: {left}")
    sessions = house.edges.plane.status().sessions
    found.expect(sessions == 0, f"media sessions: {sessions}")
    found.expect(house.books.open_calls == 0, f"open books: {house.books.open_calls}")
    for queue in house.acd.plan.queues:
        found.expect(not house.acd.waiting(queue), f"tickets in {queue}: {house.acd.waiting(queue)}")
    look_at_agents(house, facts, found)
    look_at_visits(facts, found)
    await look_at_records(house, facts, found)
    return found


def look_at_agents(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """Each agent rests, in the state that the facts tell."""
    told = {fact.body.agent: fact.body for fact in facts if isinstance(fact.body, AgentStateChanged)}
    for view in house.acd.agents():
        found.expect(view.work in AT_REST, f"agent {view.id} is {view.work}")
        last = told.get(view.id)
        if last is not None:
            states = (view.intent, view.work, view.device)
            found.expect(
                states == (last.intent, last.work, last.device), f"agent {view.id} is {states}, the facts say {last}"
            )


def look_at_visits(facts: Sequence[Fact], found: Leftovers) -> None:
    """Every visit and every offer began once and ended once; no agent had two offers at once."""
    joined = Counter(fact.body.visit for fact in facts if isinstance(fact.body, CallQueued))
    left = Counter(fact.body.visit for fact in facts if isinstance(fact.body, QueueLeft))
    found.expect(joined == left, f"visits that did not end once: {(joined - left) + (left - joined)}")
    offered: dict[str, str] = {}
    for fact in facts:
        match fact.body:
            case OfferMade(offer=offer, agent=agent):
                found.expect(agent not in offered, f"{agent} has offers {offered.get(agent)} and {offer}")
                offered[agent] = offer
            case OfferEnded(offer=offer, agent=agent):
                found.expect(offered.pop(agent, None) == offer, f"offer {offer} ended and was not open")
            case _:
                pass
    found.expect(not offered, f"offers that never ended: {offered}")


async def look_at_records(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """One record for each call, and one end."""
    arrived = [fact.call_id for fact in facts if isinstance(fact.body, CallArrived)]
    ended = Counter(fact.call_id for fact in facts if isinstance(fact.body, CallEnded))
    found.expect(ended == Counter(arrived), f"calls arrived {arrived}, ended {dict(ended)}")
    for call_id in arrived:
        record = await house.edges.storage.interactions.by_call(call_id or "")
        found.expect(record is not None, f"call {call_id} was not saved")
        if record is not None:
            found.expect(record["outcome"] is not None, f"call {call_id} has no outcome")
