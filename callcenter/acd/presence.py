"""Presence: whether anybody is there for a queue's callers, and if nobody is, why.

Agents of equal skills and clients are of one kind, as in the pool, and kinds are bits of whole numbers: what changes
for one agent is a count of his kind, and only when that becomes or ceases to be nothing a bit. To ask for a queue is
to put two numbers together, however many agents and queues there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import reduce

from callcenter.acd.agents import Agent
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, Requirement
from callcenter.model.states import Device, Intent, Work


class Absence(StrEnum):
    """Why nobody is there for a queue's callers. The later ones are milder: who has nobody of the earlier has none.

    NOBODY_HAS_THE_SKILL: no agent of the configuration may take them. NOBODY_SIGNED_IN: of those who may, nobody is at
    work: signed out, or gone with the phone. NOBODY_READY: all who are at work have chosen not to be ready.
    """

    NOBODY_HAS_THE_SKILL = "nobody_has_the_skill"
    NOBODY_SIGNED_IN = "nobody_signed_in"
    NOBODY_READY = "nobody_ready"


ORDER = tuple(Absence)


def counts(absence: str, reasons: Iterable[str]) -> bool:
    """Whether an absence is one of the reasons, or harder than one of them: a queue without agents has none ready."""
    return bool(absence) and any(ORDER.index(Absence(each)) >= ORDER.index(Absence(absence)) for each in reasons)


def at_work(agent: Agent) -> bool:
    """Whether an agent is there: signed in, with a phone. One who talks is, whatever became of the registration."""
    return agent.intent is not Intent.SIGNED_OUT and (
        agent.device is not Device.UNREACHABLE or agent.work is not Work.IDLE
    )


class Presence:
    """Who is at work, and who of them wants callers, by kinds. Holds no state of its own: it follows what it is told.

    ``leaving`` are the queues whose callers do not wait for nobody.
    """

    def __init__(self, plan: Plan) -> None:
        numbers: dict[tuple[frozenset[tuple[str, int]], frozenset[str]], int] = {}
        kinds: list[AgentSettings] = []
        self._kind: dict[str, int] = {}
        for agent in plan.agents.values():
            kind = frozenset(agent.skills.items()), agent.clients
            if kind not in numbers:
                numbers[kind] = len(kinds)
                kinds.append(agent)
            self._kind[agent.id] = numbers[kind]
        self._able: dict[str, int] = dict(_able(plan.queues.values(), kinds))
        self._states: dict[str, tuple[bool, bool]] = {}
        self._at_work = _Present(len(kinds))
        self._ready = _Present(len(kinds))
        self._queues = plan.queues
        self.leaving = tuple(queue.id for queue in plan.queues.values() if queue.leave_empty)

    def follow(self, agent: Agent) -> bool:
        """Take in an agent's state; whether it may make a difference to a queue."""
        kind = self._kind.get(agent.id)
        if kind is None:
            return False
        present = at_work(agent)
        state = present, present and agent.intent is Intent.READY
        before = self._states.get(agent.id, (False, False))
        if state == before:
            return False
        self._states[agent.id] = state
        changed = state[0] is not before[0] and self._at_work.change(kind, 1 if state[0] else -1)
        return (state[1] is not before[1] and self._ready.change(kind, 1 if state[1] else -1)) or changed

    def absence(self, queue: str) -> Absence | None:
        """Why nobody is there for a queue; None when somebody is, and for one that is not configured."""
        able = self._able.get(queue)
        if able is None or able & self._ready.kinds:
            return None
        if able & self._at_work.kinds:
            return Absence.NOBODY_READY
        return Absence.NOBODY_SIGNED_IN if able else Absence.NOBODY_HAS_THE_SKILL

    def refuses(self, queue: str) -> Absence | None:
        """Why a caller may not join a queue, by who is there; None when they may."""
        settings = self._queues.get(queue)
        return self._matters(queue, settings.join_empty) if settings is not None and settings.join_empty else None

    def sends_away(self, queue: str) -> Absence | None:
        """Why those who wait in a queue do not wait for nobody; None when they wait on."""
        settings = self._queues.get(queue)
        return self._matters(queue, settings.leave_empty) if settings is not None and settings.leave_empty else None

    def _matters(self, queue: str, reasons: frozenset[str]) -> Absence | None:
        absence = self.absence(queue)
        return absence if absence is not None and counts(absence, reasons) else None


class _Present:
    """How many of each kind are there; ``kinds`` has a bit for each of whom somebody is."""

    def __init__(self, kinds: int) -> None:
        self.kinds = 0
        self._counts = [0] * kinds

    def change(self, kind: int, by: int) -> bool:
        """One more or less; whether there was nobody before, or is nobody now."""
        before = self._counts[kind]
        after = self._counts[kind] = before + by
        if before and after:
            return False
        self.kinds ^= 1 << kind
        return True


def _able(queues: Iterable[QueueSettings], kinds: list[AgentSettings]) -> Iterator[tuple[str, int]]:
    """For each queue the kinds that may serve it, as ``acd.matching`` has it: put together from who has what."""
    clients: dict[str, int] = {}
    levels: dict[Requirement, int] = {}
    for number, kind in enumerate(kinds):
        for client in kind.clients:
            clients[client] = clients.get(client, 0) | 1 << number
        for skill, level in kind.skills.items():
            for enough in range(1, level + 1):
                need = Requirement(skill, enough)
                levels[need] = levels.get(need, 0) | 1 << number
    for queue in queues:
        asked = (levels.get(need, 0) for need in queue.requirements)
        yield queue.id, reduce(int.__and__, asked, clients.get(queue.client, 0))
