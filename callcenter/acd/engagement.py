"""Engagement: an agent and a caller, from the offer to the end of the wrap-up."""

from __future__ import annotations

from dataclasses import dataclass, field

from callcenter.acd.agents import Agent
from callcenter.model.states import OfferResult, Side


@dataclass(slots=True)
class Engagement:
    """What an offer brought together; how far it has come is the agent's ``work``.

    ``due`` (ms) is when the offer ends if nobody picks up; ``connected`` once both have heard each other. ``client`` is
    whose share of the floor the agent is of meanwhile. ``disposition`` is what was said before the wrap-up ended.
    """

    offer: str
    visit: str
    call_id: str
    queue: str
    agent: Agent
    ring_for: int
    due: int
    connected: bool = False
    held_by: set[Side] = field(default_factory=set)
    client: str = ""
    disposition: str = ""

    def __str__(self) -> str:
        return f"<Engagement {self.offer} {self.agent.id} {self.agent.work}>"


def result_of(by: Side) -> OfferResult:
    """How an offer ended whose leg was ended by one side before the bridge."""
    match by:
        case Side.CALLER:
            return OfferResult.CALLER_GONE
        case Side.AGENT:
            return OfferResult.DECLINED
        case Side.SYSTEM | Side.OUTSIDE:
            return OfferResult.UNREACHABLE
