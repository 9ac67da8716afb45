"""Rosters: who of a floor has what, as sets of agents that are whole numbers, a bit for each agent.

To join or cut such a set costs about the same for ten agents as for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from callcenter.acd.requirements import AllOf, Need, Requirement
from callcenter.acd.settings import AgentSettings

# A set of agents; the lowest bit is the first agent of the configuration.
Agents: TypeAlias = int


class Roster:
    """The agents of a floor by skill, client and queue."""

    def __init__(self, agents: Iterable[AgentSettings]) -> None:
        self.ids: list[str] = []
        self.settings: list[AgentSettings] = []
        self.number: dict[str, int] = {}
        self.everybody: Agents = 0
        self._clients: dict[str, Agents] = {}
        self._queues: dict[str, Agents] = {}
        self._any_queue: Agents = 0
        self._levels: dict[str, dict[int, Agents]] = {}
        for agent in agents:
            self.change(agent)

    def change(self, agent: AgentSettings) -> int:
        """Let an agent, new or known, have what these settings say; his number."""
        number = self.number.get(agent.id)
        if number is None:
            number = self.number[agent.id] = len(self.ids)
            self.ids.append(agent.id)
            self.settings.append(agent)
        else:
            self._strike_out(1 << number, self.settings[number])
            self.settings[number] = agent
        bit = 1 << number
        self.everybody |= bit
        for client in agent.clients:
            self._clients[client] = self._clients.get(client, 0) | bit
        if agent.queues is None:
            self._any_queue |= bit
        else:
            for queue in agent.queues:
                self._queues[queue] = self._queues.get(queue, 0) | bit
        for skill, level in agent.skills.items():
            levels = self._levels.setdefault(skill, {})
            levels[level] = levels.get(level, 0) | bit
        return number

    def _strike_out(self, bit: Agents, agent: AgentSettings) -> None:
        for client in agent.clients:
            self._clients[client] &= ~bit
        self._any_queue &= ~bit
        for queue in agent.queues or ():
            self._queues[queue] &= ~bit
        for skill, level in agent.skills.items():
            self._levels[skill][level] &= ~bit

    def of_client(self, client: str) -> Agents:
        """Who takes callers of a client."""
        return self._clients.get(client, 0)

    def of_queue(self, queue: str) -> Agents:
        """Who takes callers of a queue, as far as it is for the queue's name."""
        return self._any_queue | self._queues.get(queue, 0)

    def able(self, client: str, queue: str, asked: Iterable[Need]) -> Agents:
        """Who may take a caller of a client, in a queue, who asks this much."""
        able = self.of_client(client) & self.of_queue(queue)
        for need in asked:
            able &= self.who_meet(need)
        return able

    def who_meet(self, need: Need) -> Agents:
        """Who meets a need."""
        who = 0
        if isinstance(need, Requirement):
            for level, agents in self._levels.get(need.skill, {}).items():
                if level >= need.minimum:
                    who |= agents
        elif isinstance(need, AllOf):
            who = self.everybody
            for each in need.needs:
                who &= self.who_meet(each)
        else:
            for each in need.needs:
                who |= self.who_meet(each)
        return who

    def by_match(self, asked: Iterable[Need], among: Agents) -> list[tuple[int, Agents]]:
        """Those ``among`` these who meet all that is asked, by how well (``requirements.match``), the best first."""
        found = {0: among}
        for need in asked:
            found = _sums(found, self._by_match(need))
        return sorted(((total, who) for total, who in found.items() if who), reverse=True)

    def _by_match(self, need: Need) -> dict[int, Agents]:
        if isinstance(need, Requirement):
            levels = self._levels.get(need.skill, {})
            return {level: who for level, who in levels.items() if level >= need.minimum}
        if isinstance(need, AllOf):
            found = {0: self.everybody}
            for each in need.needs:
                found = _sums(found, self._by_match(each))
            return found
        best: dict[int, Agents] = {}
        placed = 0
        ways = [way for each in need.needs for way in self._by_match(each).items()]
        for total, who in sorted(ways, reverse=True):
            best[total] = best.get(total, 0) | who & ~placed
            placed |= who
        return best


def _sums(one: dict[int, Agents], other: dict[int, Agents]) -> dict[int, Agents]:
    """Who is in both, by the sum of what each has them under."""
    found: dict[int, Agents] = {}
    for mine, these in one.items():
        for theirs, those in other.items():
            if both := these & those:
                found[mine + theirs] = found.get(mine + theirs, 0) | both
    return found
