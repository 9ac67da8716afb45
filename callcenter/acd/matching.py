"""Which agent takes which ticket: plain functions over plain values.

Every pair of a free agent and a waiting ticket that he may take has a rank: the ticket's, then the agent's. The pair
that ranks first is matched first, whether it was the agent who came free or the ticket that came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from callcenter.acd.queue import Place
from callcenter.acd.requirements import Need, lacking, match_all, requirements
from callcenter.acd.settings import AgentSettings, Share, Strategy

# How a client stands towards its share: whether it has its minimum, and how far it is. The lower comes first.
Standing: TypeAlias = tuple[int, float]
# The standing of the client, then the place with the urgency of now: (..., urgency, first joined, number).
TicketRank: TypeAlias = tuple[int, float, int, int, int]
# How well he matches, whether he is preferred, what the strategy counts, idle since (ms), his number.
AgentRank: TypeAlias = tuple[int, int, int, int, int]

NO_SHARE = Share()
# Where nobody has a share, and for callers whom one agent alone can take: nobody else competes for him there.
LEVEL: Standing = (0, 0.0)
ONE_ALONE: Standing = (-1, 0.0)


def score(agent: AgentSettings, client: str, queue: str, asked: Iterable[Need]) -> int | None:
    """How well an agent matches: the sum of his levels in the skills asked; None when he may not take the caller."""
    if client not in agent.clients or (agent.queues is not None and queue not in agent.queues):
        return None
    return match_all(asked, agent.skills)


def standing(share: Share, busy: int) -> Standing:
    """How a client stands who has callers waiting, with ``busy`` agents at work for it.

    Clients below their minimum come before the others, the one first who has the smaller part of it; of the others the
    one first who has the fewest agents beyond the minimum for its weight.
    """
    if busy < share.minimum:
        return (0, busy / share.minimum)
    return (1, (busy - share.minimum) / share.weight)


def ticket_rank(client: Standing, place: Place, aging: int, now: int) -> TicketRank:
    """Where a ticket stands among all that wait, at ``now`` (ms); the lowest comes first."""
    base, first_joined, number, _ = place
    return (*client, base - aging * now, first_joined, number)


def agent_rank(
    strategy: Strategy,
    *,
    number: int,
    idle_since: int,
    score: int = 0,
    preferred: bool = False,
    calls: int = 0,
    talk: int = 0,
    last: int | None = None,
    among: int = 1,
) -> AgentRank:
    """Where an agent stands among the free ones who may take a ticket, under a strategy; the lowest comes first.

    ``number`` is his place in the configuration ``among`` so many agents, ``last`` that of the agent who was offered a
    caller of this queue last; ``calls`` and ``talk`` (ms) are his of this shift. Where the lot decides it does so among
    those whose first two figures are the lowest.
    """
    match strategy:
        case Strategy.FEWEST_CALLS:
            measure = calls
        case Strategy.LEAST_TALK:
            measure = talk
        case Strategy.ROUND_ROBIN:
            measure = number if last is None else (number - last - 1) % among
        case Strategy.LINEAR:
            measure = number
        case _:
            measure = 0
    tier = -score if strategy is Strategy.BEST_SKILL else 0
    return (tier, 0 if preferred else 1, measure, idle_since, number)


def why(
    agent: AgentSettings, asked: Iterable[Need], idle: int, only: str = "", *, preferred: bool = False
) -> tuple[str, ...]:
    """Why this agent, in words. ``idle`` is milliseconds; ``only`` the one whom the visit is for."""
    met = (need for need in requirements(asked) if agent.skills.get(need.skill, 0) >= need.minimum)
    return (
        *(("asked for by name",) if only else ()),
        *(("preferred",) if preferred else ()),
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
