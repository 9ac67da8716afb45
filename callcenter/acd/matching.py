"""Which agent takes which ticket: plain functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from callcenter.acd.requirements import Need, lacking, match_all, requirements
from callcenter.acd.settings import AgentSettings, Strategy


def score(agent: AgentSettings, client: str, queue: str, asked: Iterable[Need]) -> int | None:
    """How well an agent matches: the sum of his levels in the skills asked; None when he may not take the caller."""
    if client not in agent.clients or (agent.queues is not None and queue not in agent.queues):
        return None
    return match_all(asked, agent.skills)


def tier(strategy: Strategy, score: int) -> int:
    """Where a match stands under a strategy: lower comes first; within a tier whoever has been idle longest."""
    match strategy:
        case Strategy.LONGEST_IDLE:
            return 0
        case Strategy.BEST_SKILL:
            return -score
        case _:
            assert_never(strategy)


def why(agent: AgentSettings, asked: Iterable[Need], idle: int, only: str = "") -> tuple[str, ...]:
    """Why this agent, in words. ``idle`` is milliseconds; ``only`` the one whom the visit is for."""
    met = (need for need in requirements(asked) if agent.skills.get(need.skill, 0) >= need.minimum)
    return (
        *(("asked for by name",) if only else ()),
        *(f"{need.skill} {agent.skills[need.skill]} of {need.minimum} needed" for need in met),
        f"idle for {idle // 1000} s",
    )


def why_not(
    agent: AgentSettings, client: str, asked: Iterable[Need], only: str = "", queue: str = ""
) -> tuple[str, ...]:
    """Why an agent may not take a caller, in words; empty when he may. ``only`` is the one whom the visit is for."""
    if only:
        return () if agent.id == only else (f"the call is for {only} alone",)
    return (
        *(() if client in agent.clients else (f"does not serve {client}",)),
        *(() if agent.queues is None or queue in agent.queues else (f"is not in the queue {queue}",)),
        *lacking(asked, agent.skills),
    )
