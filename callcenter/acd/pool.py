"""Pool: free agents and waiting tickets by kind, so that a match costs the same however many there are of each.

Agents of equal skills and clients are of one profile; tickets that ask the same are of one demand. Who may take what
is worked out once for each pair of kinds. A free agent then looks at the first ticket of each demand that his profile
serves, a ticket at the agent idle longest of each profile that serves its demand. Tickets for one agent alone are a
demand of their own, whom no profile serves but he.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from callcenter.acd.matching import score, tier
from callcenter.acd.queue import Place, Visit, drop
from callcenter.acd.requirements import Needs
from callcenter.acd.settings import AgentSettings, Plan, Strategy

# A free agent: idle since (ms), id. Who is idle longest sorts first.
Idle: TypeAlias = tuple[int, str]
# Client, queue, what is asked, and how the agent is chosen.
Ask: TypeAlias = tuple[str, str, Needs, Strategy]
Kind: TypeAlias = tuple[frozenset[tuple[str, int]], frozenset[str], frozenset[str] | None]

# Demands kept beyond one for each queue, for what callers add to theirs. Further ones go with their last ticket: what
# tickets may ask is not ours to bound.
SPARE_DEMANDS = 256


@dataclass(slots=True, eq=False)
class Profile:
    """A kind of agent: the free ones, and the demands that they serve."""

    example: AgentSettings
    free: list[Idle] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Demand:
    """A kind of ticket: those that wait, in order, and the profiles that serve it, tier by tier, the best first.

    ``agent`` is the only one whom these tickets are for; then there are no tiers.
    """

    ask: Ask
    tiers: list[list[Profile]]
    waiting: list[Place] = field(default_factory=list)
    agent: str = ""


class Pool:
    """Who is free and who waits. Holds no state of its own: it follows what it is told."""

    def __init__(self, plan: Plan, roster: Iterable[AgentSettings]) -> None:
        self._kinds: dict[Kind, Profile] = {}
        self._profiles: dict[str, Profile] = {}
        self._demands: dict[Ask, Demand] = {}
        self._direct: dict[str, Demand] = {}
        self._demands_kept = len(plan.queues) + SPARE_DEMANDS
        self._idle: dict[str, Idle] = {}
        self._waiting: dict[str, Demand] = {}
        self._new_agents: dict[str, None] = {}
        self._new_tickets: dict[str, Place] = {}
        for agent in roster:
            self.change_agent(agent)

    def free(self, agent_id: str, idle_since: int) -> None:
        """Let an agent be found. May be called twice."""
        idle = (idle_since, agent_id)
        if self._idle.get(agent_id) != idle:
            self.engage(agent_id)
            insort(self._profiles[agent_id].free, idle)
            self._idle[agent_id] = idle
            self._new_agents[agent_id] = None

    def engage(self, agent_id: str) -> None:
        """Let an agent not be found any more. May be called twice."""
        idle = self._idle.pop(agent_id, None)
        if idle is not None:
            free = self._profiles[agent_id].free
            del free[bisect_left(free, idle)]
            self._new_agents.pop(agent_id, None)

    def change_agent(self, agent: AgentSettings) -> None:
        """Let an agent, new or known, be of another kind from now on; if he was free he still is."""
        idle = self._idle.get(agent.id)
        self.engage(agent.id)
        kind = frozenset(agent.skills.items()), agent.clients, agent.queues
        profile = self._kinds.get(kind)
        if profile is None:
            profile = self._kinds[kind] = Profile(agent)
            for demand in self._demands.values():
                self._link(demand)
        self._profiles[agent.id] = profile
        if idle is not None:
            self.free(agent.id, idle[0])

    def wait(self, visit: Visit, strategy: Strategy) -> None:
        """Let a ticket be found. May be called twice."""
        if visit.id not in self._waiting:
            ask = (visit.client, visit.queue, visit.asked, strategy)
            demand = self._demand_for(visit.agent, ask) if visit.agent else self._demand(ask)
            insort(demand.waiting, visit.place)
            self._waiting[visit.id] = demand
            self._new_tickets[visit.id] = visit.place

    def serve(self, visit: Visit) -> None:
        """Let a ticket not be found any more. May be called twice."""
        demand = self._waiting.pop(visit.id, None)
        if demand is not None:
            drop(demand.waiting, visit.place)
            self._new_tickets.pop(visit.id, None)
            if demand.waiting:
                return
            if demand.agent:
                del self._direct[demand.agent]
            elif len(self._demands) > self._demands_kept:
                self._forget(demand)

    def matches(self) -> Iterator[tuple[str, str]]:
        """The matches there are, as (ticket, agent), the first in line first.

        Whoever takes one lets both not be found any more before the next is asked for. After the last, nobody free may
        take anybody waiting; so the next time a match must have somebody in it who is new.
        """
        line = [(place, "") for place in self._new_tickets.values()]
        line += [(place, agent) for agent in self._new_agents if (place := self.best_ticket(agent)) is not None]
        self._new_tickets.clear()
        self._new_agents.clear()
        heapify(line)
        while line:
            (*_, ticket), agent = heappop(line)
            if ticket in self._waiting and (taker := self.best_agent(ticket)) is not None:
                yield ticket, taker
                assert taker not in self._idle, f"{taker} did not take {ticket}"
            if agent in self._idle and (place := self.best_ticket(agent)) is not None:
                heappush(line, (place, agent))

    def best_ticket(self, agent_id: str) -> Place | None:
        """The first in line of all tickets that the agent may take."""
        direct = self._direct.get(agent_id)
        best = direct.waiting[0] if direct is not None else None
        for demand in self._profiles[agent_id].demands:
            waiting = demand.waiting
            if waiting and (best is None or waiting[0] < best):
                best = waiting[0]
        return best

    def best_agent(self, visit_id: str) -> str | None:
        """The free agent for a waiting ticket: of the best tier, and there the one idle longest."""
        demand = self._waiting[visit_id]
        if demand.agent in self._idle:
            return demand.agent
        for profiles in demand.tiers:
            idle = [profile.free[0] for profile in profiles if profile.free]
            if idle:
                return min(idle)[1]
        return None

    def _demand_for(self, agent_id: str, ask: Ask) -> Demand:
        demand = self._direct.get(agent_id)
        if demand is None:
            demand = self._direct[agent_id] = Demand(ask, [], agent=agent_id)
        return demand

    def _demand(self, ask: Ask) -> Demand:
        demand = self._demands.get(ask)
        if demand is None:
            demand = self._demands[ask] = Demand(ask, [])
            self._link(demand)
        return demand

    def _link(self, demand: Demand) -> None:
        """Let a demand and the profiles that serve it know each other."""
        self._unlink(demand)
        client, queue, asked, strategy = demand.ask
        tiers: dict[int, list[Profile]] = {}
        for profile in self._kinds.values():
            total = score(profile.example, client, queue, asked)
            if total is not None:
                tiers.setdefault(tier(strategy, total), []).append(profile)
        demand.tiers = [tiers[each] for each in sorted(tiers)]
        for profiles in demand.tiers:
            for profile in profiles:
                profile.demands.append(demand)

    def _unlink(self, demand: Demand) -> None:
        for profiles in demand.tiers:
            for profile in profiles:
                profile.demands.remove(demand)

    def _forget(self, demand: Demand) -> None:
        del self._demands[demand.ask]
        self._unlink(demand)
