"""Presence: whether anybody is there for a queue's callers, and if nobody is, why.

Agents of equal skills and clients are of one kind, as in the pool, and kinds are bits of whole numbers: what changes
for one agent is a count of his kind, and only when that becomes or ceases to be nothing a bit. To ask for a queue is
to put two numbers together, however many agents and queues there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from functools import reduce
from typing import TypeAlias

from callcenter.acd.agents import Agent
from callcenter.acd.requirements import Needs
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import AgentSettings, Plan
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


def is_ready(agent: Agent) -> bool:
    """Whether an agent who is at work wants callers, now or when the present work ends."""
    return agent.intent is Intent.READY


Kind: TypeAlias = tuple[frozenset[tuple[str, int]], frozenset[str], frozenset[str] | None]

# Whether an agent is at work, and whether he wants callers.
State: TypeAlias = tuple[bool, bool]
ABSENT: State = (False, False)


class Presence:
    """Who is at work, and who of them wants callers, by kinds. Holds no state of its own: it follows what it is told.

    ``leaving`` are the queues whose callers do not wait for nobody.
    """

    def __init__(self, plan: Plan, roster: Iterable[AgentSettings]) -> None:
        self._queues = plan.queues
        self.leaving = tuple(queue.id for queue in plan.queues.values() if queue.leave_empty)
        self._numbers: dict[Kind, int] = {}
        self._examples: list[AgentSettings] = []
        self._kind: dict[str, int] = {}
        self._states: dict[str, State] = {}
        self._everybody = _Present()
        self._at_work = _Present()
        self._ready = _Present()
        for agent in roster:
            self._hire(agent)
        self._work_out()

    def change_agent(self, agent: AgentSettings) -> bool:
        """Let an agent, new or known, be of another kind from now on; whether it may make a difference to a queue."""
        state = self._states.pop(agent.id, ABSENT)
        changed = self._change(agent.id, state, ABSENT)
        if agent.id in self._kind:
            changed = self._everybody.change(self._kind[agent.id], -1) or changed
        known = len(self._examples)
        changed = self._hire(agent) or changed
        if len(self._examples) > known:
            self._work_out()
        return self._change(agent.id, ABSENT, state) or changed

    def follow(self, agent: Agent) -> bool:
        """Take in an agent's state; whether it may make a difference to a queue."""
        if agent.id not in self._kind:
            return False
        present = at_work(agent)
        return self._change(agent.id, self._states.get(agent.id, ABSENT), (present, present and is_ready(agent)))

    def absence(self, queue: str) -> Absence | None:
        """Why nobody is there for a queue; None when somebody is, and for one that is not configured."""
        able = self._able.get(queue)
        if able is None or able & self._ready.kinds:
            return None
        if able & self._at_work.kinds:
            return Absence.NOBODY_READY
        return Absence.NOBODY_SIGNED_IN if able & self._everybody.kinds else Absence.NOBODY_HAS_THE_SKILL

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

    def _hire(self, agent: AgentSettings) -> bool:
        number = self._kind[agent.id] = self._number(agent)
        return self._everybody.change(number, 1)

    def _number(self, agent: AgentSettings) -> int:
        kind = frozenset(agent.skills.items()), agent.clients, agent.queues
        if kind not in self._numbers:
            self._numbers[kind] = len(self._examples)
            # Named by its number: whoever was its example may be of another kind by now, and be that one's too.
            self._examples.append(replace(agent, id=str(len(self._examples))))
        return self._numbers[kind]

    def _work_out(self) -> None:
        """Who may serve which queue, at once or when its steps have relaxed what it requires."""
        roster = Roster(self._examples)
        self._able: dict[str, int] = {}
        for queue in self._queues.values():
            asked: list[Needs] = [
                queue.requirements,
                *(() if step.needs is None else (step.needs,) for step in queue.steps),
            ]
            able = (roster.able(queue.client, queue.id, needs) for needs in asked)
            self._able[queue.id] = reduce(int.__or__, able)

    def _change(self, agent_id: str, before: State, after: State) -> bool:
        if before == after:
            return False
        self._states[agent_id] = after
        kind = self._kind[agent_id]
        changed = self._at_work.change(kind, after[0] - before[0])
        return self._ready.change(kind, after[1] - before[1]) or changed


class _Present:
    """How many of each kind are there; ``kinds`` has a bit for each of whom somebody is."""

    def __init__(self) -> None:
        self.kinds = 0
        self._counts: dict[int, int] = {}

    def change(self, kind: int, by: int) -> bool:
        """So many more or less; whether there was nobody before, or is nobody now."""
        before = self._counts.get(kind, 0)
        after = self._counts[kind] = before + by
        if bool(before) is bool(after):
            return False
        self.kinds ^= 1 << kind
        return True
