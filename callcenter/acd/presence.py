"""Presence: whether anybody is there for a queue's callers, and if nobody is, why.

Agents of equal skills and clients are of one kind, as in the pool, and kinds are bits of whole numbers: what changes
for one agent is a count of his kind, and only when that becomes or ceases to be nothing a bit. To ask for a queue is
to put two numbers together, however many agents and queues there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import reduce
from typing import TypeAlias

from callcenter.acd.agents import Agent
from callcenter.acd.matching import score
from callcenter.acd.requirements import Needs
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings
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


def asked_of(queue: QueueSettings) -> Iterator[Needs]:
    """What a queue asks of agents, first and by each of its routing steps."""
    yield queue.requirements
    for step in queue.steps:
        yield () if step.needs is None else (step.needs,)


Kind: TypeAlias = tuple[frozenset[tuple[str, int]], frozenset[str], frozenset[str] | None]

# Whether an agent is at work, and whether he wants callers.
State: TypeAlias = tuple[bool, bool]
ABSENT: State = (False, False)

# Of more kinds of agents the first ones stand for all, where it is counted how many serve a queue.
MOST_KINDS = 256


class Presence:
    """Who is at work, and who of them wants callers, by kinds. Holds no state of its own: it follows what it is told.

    ``leaving`` are the queues whose callers do not wait for nobody.
    """

    def __init__(self, plan: Plan, roster: Iterable[AgentSettings]) -> None:
        self._queues = plan.queues
        self.leaving = tuple(queue.id for queue in plan.queues.values() if queue.leave_empty)
        self._numbers: dict[Kind, int] = {}
        self._kinds = Roster(())
        self._kind: dict[str, int] = {}
        self._states: dict[str, State] = {}
        self._everybody = _Present()
        self._at_work = _Present()
        self._ready = _Present()
        for agent in roster:
            self._hire(agent)
        # Which kinds may serve a queue, at once or when its steps have relaxed what it requires.
        self._able = {
            queue.id: reduce(int.__or__, (self._kinds.able(queue.client, queue.id, needs) for needs in asked_of(queue)))
            for queue in plan.queues.values()
        }

    def change_agent(self, agent: AgentSettings) -> bool:
        """Let an agent, new or known, be of another kind from now on; whether it may make a difference to a queue."""
        state = self._states.pop(agent.id, ABSENT)
        changed = self._change(agent.id, state, ABSENT)
        if agent.id in self._kind:
            changed = self._everybody.remove(self._kind[agent.id], agent.id) or changed
        known = len(self._numbers)
        changed = self._hire(agent) or changed
        if len(self._numbers) > known:
            self._learn(known, agent)
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

    def serving(self, queue: str) -> tuple[int, Iterator[str]]:
        """How many agents are ready who may serve a queue, about, and who they are, as far as one cares to know."""
        able = self._able.get(queue, 0) & self._ready.kinds
        seen = 0
        for looked_at, kind in enumerate(_bits(able), start=1):
            seen += len(self._ready.members[kind])
            if looked_at == MOST_KINDS:
                seen = seen * able.bit_count() // looked_at
                break
        return seen, (agent for kind in _bits(able) for agent in self._ready.members[kind])

    def share(self, one: str, other: str) -> bool:
        """Whether somebody is ready who may serve both queues."""
        return bool(self._able.get(one, 0) & self._able.get(other, 0) & self._ready.kinds)

    def _matters(self, queue: str, reasons: frozenset[str]) -> Absence | None:
        absence = self.absence(queue)
        return absence if absence is not None and counts(absence, reasons) else None

    def _hire(self, agent: AgentSettings) -> bool:
        number = self._kind[agent.id] = self._number(agent)
        return self._everybody.add(number, agent.id)

    def _number(self, agent: AgentSettings) -> int:
        kind = frozenset(agent.skills.items()), agent.clients, agent.queues
        if kind not in self._numbers:
            # Named by its number: whoever was its example may be of another kind by now, and be that one's too.
            example = replace(agent, id=str(len(self._numbers)))
            self._numbers[kind] = self._kinds.change(example)
        return self._numbers[kind]

    def _learn(self, kind: int, example: AgentSettings) -> None:
        """Note which queues a new kind may serve."""
        for queue in self._queues.values():
            if any(score(example, queue.client, queue.id, needs) is not None for needs in asked_of(queue)):
                self._able[queue.id] |= 1 << kind

    def _change(self, agent_id: str, before: State, after: State) -> bool:
        if before == after:
            return False
        self._states[agent_id] = after
        kind, changed = self._kind[agent_id], False
        for present, was, is_now in zip((self._at_work, self._ready), before, after, strict=True):
            if was is not is_now:
                changed = (present.add if is_now else present.remove)(kind, agent_id) or changed
        return changed


class _Present:
    """Who of each kind is there; ``kinds`` has a bit for each of whom somebody is."""

    def __init__(self) -> None:
        self.kinds = 0
        self.members: dict[int, dict[str, None]] = {}

    def add(self, kind: int, agent_id: str) -> bool:
        """One more; whether there was nobody before."""
        members = self.members.setdefault(kind, {})
        members[agent_id] = None
        if len(members) > 1:
            return False
        self.kinds |= 1 << kind
        return True

    def remove(self, kind: int, agent_id: str) -> bool:
        """One less; whether there is nobody now."""
        members = self.members[kind]
        del members[agent_id]
        if members:
            return False
        self.kinds ^= 1 << kind
        return True


def _bits(number: int) -> Iterator[int]:
    """Which bits are set, the lowest first."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
