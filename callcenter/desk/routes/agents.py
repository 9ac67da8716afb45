"""``/agents``: who they are, and what they want, do, and can be reached by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callcenter.desk.asked import Name
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import not_found
from callcenter.desk.snapshots import Snapshot
from callcenter.model.access import Actor, Scope
from callcenter.publish import topics

router = APIRouter(prefix="/api/v1", tags=["agents"])

AGENT = "agent"
Reads = Annotated[Actor, requires(Scope.AGENTS_READ)]


class Agent(BaseModel):
    """An agent. ``state`` is what is published of him (``agent.v1``); null until the switch has told.

    Of one who serves companies that you do not see, neither these nor the call that he is in are told.
    """

    agent: str = Field(examples=["ana"])
    name: str = Field(examples=["Ana"])
    clients: list[str] = Field(description="of those that you see", examples=[["acme"]])
    queues: list[str] | None = Field(description="the only ones that he serves; null: all of his clients")
    skills: dict[str, int] = Field(description="as configured", examples=[{"english": 4}])
    state: dict[str, Any] | None = Field(
        examples=[{"schema": "agent.v1", "agent": "ana", "chosen": "ready", "work": "idle", "device": "registered"}]
    )


class Agents(BaseModel):
    """All agents that you see."""

    items: list[Agent]
    seq: int = Field(description="the fact that they stand at, as of a snapshot")


@router.get("/agents")
async def agents(desk: TheDesk, actor: Reads) -> Agents:
    """All agents who serve a company that you see."""
    taken = (await desk.snapshots.take()).of(actor, desk.hub.whose.floor)
    seen = [name for name in desk.settings.plan.agents if desk.hub.whose.floor.sees_agent(actor, name)]
    return Agents(items=[_agent(desk, actor, name, taken) for name in seen], seq=taken.seq)


@router.get("/agents/{agent}")
async def agent(desk: TheDesk, actor: Reads, agent: Name) -> Agent:
    """One agent."""
    if agent not in desk.settings.plan.agents or not desk.hub.whose.floor.sees_agent(actor, agent):
        raise not_found(AGENT)
    return _agent(desk, actor, agent, (await desk.snapshots.take()).of(actor, desk.hub.whose.floor))


def _agent(desk: Desk, actor: Actor, name: str, taken: Snapshot) -> Agent:
    about, plan = desk.settings.plan.agents[name], desk.settings.plan
    states: Mapping[str, Any] = taken.states
    queues = None
    if about.queues is not None:
        queues = sorted(each for each in about.queues if each in plan.queues and actor.sees(plan.queues[each].client))
    return Agent(
        agent=name,
        name=about.name,
        clients=sorted(filter(actor.sees, desk.hub.whose.floor.agents.get(name, frozenset()))),
        queues=queues,
        skills=dict(about.skills),
        state=states.get(topics.agent_state(name)),
    )
