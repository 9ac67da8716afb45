"""Which agent takes which ticket: plain functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from callcenter.acd.settings import AgentSettings, Requirement, Strategy


def score(agent: AgentSettings, client: str, asked: Iterable[Requirement]) -> int | None:
    """How well an agent matches: the sum of his levels in the skills asked; None when he may not take the caller."""
    if client not in agent.clients:
        return None
    total = 0
    for requirement in asked:
        level = agent.skills.get(requirement.skill, 0)
        if level < requirement.minimum:
            return None
        total += level
    return total


def tier(strategy: Strategy, score: int) -> int:
    """Where a match stands under a strategy: lower comes first; within a tier whoever has been idle longest."""
    match strategy:
        case Strategy.LONGEST_IDLE:
            return -score
        case _:
            assert_never(strategy)


def why(agent: AgentSettings, asked: Iterable[Requirement], idle: int, only: str = "") -> tuple[str, ...]:
    """Why this agent, in words. ``idle`` is milliseconds; ``only`` the one whom the visit is for."""
    return (
        *(("asked for by name",) if only else ()),
        *(f"{need.skill} {agent.skills[need.skill]} of {need.minimum} needed" for need in asked),
        f"idle for {idle // 1000} s",
    )


def why_not(agent: AgentSettings, client: str, asked: Iterable[Requirement], only: str = "") -> tuple[str, ...]:
    """Why an agent may not take a caller, in words; empty when he may. ``only`` is the one whom the visit is for."""
    if only:
        return () if agent.id == only else (f"the call is for {only} alone",)
    words = [] if client in agent.clients else [f"does not serve {client}"]
    for need in asked:
        level = agent.skills.get(need.skill, 0)
        if level < need.minimum:
            words.append(f"{need.skill} {level} of {need.minimum} needed")
    return tuple(words)
