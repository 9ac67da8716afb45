"""Why: what is kept of each decision, so that anybody can see later that it was the right one, or why it was not.

An :class:`Explanation` goes with every offer, as compact JSON in its fact: the rank of the ticket, that of the agent
who was chosen and of the next ones, how many agents were out of the question for which cause, who stood before the
caller in the queue and why they were passed over. What a rank means says ``matching``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from callcenter.acd.matching import AgentRank, TicketRank
from callcenter.acd.queue import POINT
from callcenter.acd.settings import Strategy

# So many of the next candidates, and of those who stood before the caller, are named; the others are counted.
NAMED = 2
BY_LOT = frozenset({Strategy.RANDOM, Strategy.WEIGHTED_RANDOM})


class Cause(StrEnum):
    """What keeps an agent from taking a caller; of several the first of this list counts.

    OTHER_CLIENT, OTHER_QUEUE, SKILL: he may not take them. NOT_ASKED: another agent alone is asked for. The others are
    his state: AT_WORK with another caller, in wrap-up or a call of his own, PAUSING after an offer that failed.
    """

    OTHER_CLIENT = "other_client"
    OTHER_QUEUE = "other_queue"
    SKILL = "skill"
    NOT_ASKED = "not_asked"
    SIGNED_OUT = "signed_out"
    NOT_READY = "not_ready"
    UNREACHABLE = "unreachable"
    AT_WORK = "at_work"
    PAUSING = "pausing"


# Of one, of several; what an agent may be is told in the past of a decision, else in the present.
WORDS: Mapping[Cause, tuple[str, str]] = {
    Cause.OTHER_CLIENT: ("does not serve the client", "do not serve the client"),
    Cause.OTHER_QUEUE: ("is not in the queue", "are not in the queue"),
    Cause.SKILL: ("lacks a skill", "lack a skill"),
    Cause.NOT_ASKED: ("is not asked for", "are not asked for"),
    Cause.SIGNED_OUT: ("is signed out", "are signed out"),
    Cause.NOT_READY: ("is not ready", "are not ready"),
    Cause.UNREACHABLE: ("cannot be reached", "cannot be reached"),
    Cause.AT_WORK: ("is at work", "are at work"),
    Cause.PAUSING: ("pauses after an offer that failed", "pause after an offer that failed"),
}
PAST = (("is ", "was "), ("are ", "were "), ("cannot ", "could not "), ("pauses ", "paused "), ("pause ", "paused "))


HELD_BACK = "held back: nobody is offered a caller while the log cannot be written"


class Passed(StrEnum):
    """Why a caller who stands before another was passed over.

    OFFERED: to somebody else already. NAMED: one agent alone is asked for, who was not this one. ASKS_MORE: this agent
    may not take them.
    """

    OFFERED = "offered"
    NAMED = "named"
    ASKS_MORE = "asks_more"


PASSED_WORDS: Mapping[Passed, str] = {
    Passed.OFFERED: "was being offered already",
    Passed.NAMED: "waited for another agent alone",
    Passed.ASKS_MORE: "asked what this agent does not have",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why this agent was offered this caller. Times are milliseconds of the boot's clock.

    ``next`` are the candidates who came next, with their ranks, ``more`` how many others there were; ``drawn`` of how
    many the lot chose, 0 where none was drawn: by another strategy, or because the preferred one was free. ``together``
    is how many are rung at once. ``excluded`` counts all other agents of the floor by cause. ``ahead`` are callers
    before this one in the queue who were passed over, ``ahead_more`` how many others. ``share`` is the client's
    minimum, weight, and agents at work before this offer; None: no shares.
    ``revision`` names the configuration.
    """

    agent: str
    now: int
    ticket_rank: TicketRank
    agent_rank: AgentRank
    strategy: Strategy
    asked: str = ""
    next: tuple[tuple[str, AgentRank], ...] = ()
    more: int = 0
    drawn: int = 0
    together: int = 1
    excluded: Mapping[Cause, int] = field(default_factory=dict)
    ahead: tuple[tuple[str, Passed], ...] = ()
    ahead_more: int = 0
    step: int = 0
    only: str = ""
    preferred: str = ""
    share: tuple[int, float, int] | None = None
    revision: str = ""

    def text(self) -> str:
        """As compact JSON; what is usual is left out."""
        # By hand: the encoder of the library takes twice as long, and this is made for every offer.
        told = [
            f'{{"agent":{QUOTED(self.agent)},"now":{self.now}',
            f'"ticket_rank":{_list(self.ticket_rank)},"agent_rank":{_list(self.agent_rank)}',
            f'"strategy":"{self.strategy}"',
        ]
        if self.asked:
            told.append(f'"asked":{QUOTED(self.asked)}')
        if self.next:
            told.append(f'"next":[{",".join(f"[{QUOTED(agent)},{_list(rank)}]" for agent, rank in self.next)}]')
        if self.excluded:
            told.append(
                f'"excluded":{{{",".join(f"{QUOTED(cause)}:{many}" for cause, many in self.excluded.items())}}}'
            )
        if self.ahead:
            told.append(f'"ahead":[{",".join(f"[{QUOTED(ticket)},{QUOTED(why)}]" for ticket, why in self.ahead)}]')
        if self.together != 1:
            told.append(f'"together":{self.together}')
        if self.share is not None:
            told.append(f'"share":{_list(self.share)}')
        told += [f'"{name}":{value}' for name in COUNTS if (value := getattr(self, name))]
        told += [f'"{name}":{QUOTED(value)}' for name in NAMES if (value := getattr(self, name))]
        return ",".join(told) + "}"

    @classmethod
    def parse(cls, text: str) -> Explanation:
        """The explanation that :meth:`text` wrote. Unknown keys are passed over. Raises ValueError or KeyError."""
        told = json.loads(text)
        share = told.get("share")
        return cls(
            agent=told["agent"],
            now=told["now"],
            ticket_rank=_five(told["ticket_rank"]),
            agent_rank=_five(told["agent_rank"]),
            strategy=Strategy(told["strategy"]),
            asked=told.get("asked", ""),
            next=tuple((agent, _five(rank)) for agent, rank in told.get("next", ())),
            more=told.get("more", 0),
            drawn=told.get("drawn", 0),
            together=told.get("together", 1),
            excluded={Cause(cause): many for cause, many in told.get("excluded", {}).items()},
            ahead=tuple((ticket, Passed(why)) for ticket, why in told.get("ahead", ())),
            ahead_more=told.get("ahead_more", 0),
            step=told.get("step", 0),
            only=told.get("only", ""),
            preferred=told.get("preferred", ""),
            share=None if share is None else (share[0], share[1], share[2]),
            revision=told.get("revision", ""),
        )

    def words(self) -> tuple[str, ...]:
        """The same for people, a sentence each."""
        told = [self._chosen()]
        if self.asked:
            told.append(f"asked for {self.asked}" + (f", by routing step {self.step}" if self.step else ""))
        elif self.step:
            told.append(f"routing step {self.step} asks for nothing")
        told += [
            f"next would have been {agent}: {rank_words(self.strategy, rank, self.now)}" for agent, rank in self.next
        ]
        if self.more:
            told.append(f"and {self.more} more could have taken the caller")
        told += [f"{many} {cause_words(cause, many, past=True)}" for cause, many in self.excluded.items()]
        told.append(f"the caller's turn: {ticket_words(self.ticket_rank, self.now)}")
        if self.share is not None:
            told.append(share_words(self.share))
        told += [f"{ticket} stood before and {PASSED_WORDS[why]}" for ticket, why in self.ahead]
        if self.ahead_more:
            told.append(f"{self.ahead_more} more stood before")
        if self.revision:
            told.append(f"configuration {self.revision}")
        return tuple(told)

    def _chosen(self) -> str:
        if self.only:
            return f"{self.agent} was asked for by name"
        many = 1 + len(self.next) + self.more
        if self.drawn:
            return f"the lot fell on {self.agent}, of {self.drawn} ({self.strategy})"
        if self.together > 1:
            return f"{self.agent} and {self.together - 1} more were rung at once ({self.strategy})"
        whom = "the only one who could take the caller" if many == 1 else f"first of {many} ({self.strategy})"
        return f"{self.agent} was {whom}: {rank_words(self.strategy, self.agent_rank, self.now)}"


COUNTS = ("more", "drawn", "ahead_more", "step")
NAMES = ("only", "preferred", "revision")
QUOTED = json.encoder.encode_basestring_ascii


def _list(rank: Iterable[float]) -> str:
    return f"[{','.join(map(repr, rank))}]"


def _five(rank: list[Any]) -> tuple[Any, Any, Any, Any, Any]:
    first, second, third, fourth, fifth = rank
    return (first, second, third, fourth, fifth)


def cause_words(cause: Cause, many: int, *, past: bool = False) -> str:
    """What keeps so many agents from a caller, as the end of a sentence that begins with their number."""
    words = WORDS[cause][many != 1]
    for now, then in PAST if past else ():
        if words.startswith(now):
            return then + words.removeprefix(now)
    return words


def share_words(share: tuple[int, float, int]) -> str:
    """A client's share as it stands: minimum, weight, agents at work."""
    minimum, weight, busy = share
    agents = "1 agent" if busy == 1 else f"{busy} agents"
    return f"share of the client: {agents} at work for it, of at least {minimum}; weight {weight:g}"


def spoken(state: str) -> str:
    """The hindrances of an agent as one reads them: `not ready: lunch`; the reason stays as it is written."""
    return "; ".join(
        f"{word.replace('_', ' ')}{colon}{reason}"
        for word, colon, reason in (each.partition(": ") for each in state.split("; "))
    )


def rank_words(strategy: Strategy, rank: AgentRank, now: int) -> str:
    """An agent's rank in words."""
    tier, other, measure, idle_since, _ = rank
    words = [] if other else ["preferred"]
    match strategy:
        case Strategy.BEST_SKILL:
            words.append(f"skills {-tier}")
        case Strategy.FEWEST_CALLS:
            words.append(f"{measure} callers so far")
        case Strategy.LEAST_TALK:
            words.append(f"talked {measure // 1000} s so far")
        case Strategy.ROUND_ROBIN:
            words.append(f"{measure} places behind the turn")
        case Strategy.LINEAR:
            words.append(f"number {measure + 1} of the configuration")
        case _:
            pass
    return ", ".join((*words, f"idle for {(now - idle_since) // 1000} s"))


def ticket_words(rank: TicketRank, now: int) -> str:
    """A ticket's rank in words."""
    level, ratio, urgency, first_joined, _ = rank
    words = [f"priority {-urgency / POINT:.4g}", f"waits for {(now - first_joined) // 1000} s"]
    if level < 0:
        words.insert(0, "for one agent alone")
    elif level > 0:
        words.insert(0, f"its client has its minimum, and {ratio:.3g} agents for its weight beyond")
    elif ratio:
        words.insert(0, f"its client has {ratio:.0%} of its minimum")
    return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Waiters:
    """Callers of one queue who wait alike: ``why`` says, of an agent, what keeps him from them; empty: nothing."""

    queue: str
    asked: str
    many: int
    why: tuple[str, ...]
    step: int = 0


@dataclass(frozen=True, slots=True)
class AgentWhy:
    """What an agent is kept by from taking callers: the own ``hindrances``, and for each kind of caller the cause."""

    agent: str
    hindrances: tuple[str, ...]
    waiters: tuple[Waiters, ...]

    def words(self) -> tuple[str, ...]:
        """For people, a sentence each."""
        state = spoken("; ".join(self.hindrances))
        told = [f"{self.agent} takes no calls now: {state}" if state else f"{self.agent} is ready for a call"]
        if not self.waiters:
            told.append("nobody waits")
        for each in self.waiters:
            asked = f" for {each.asked}" if each.asked else ""
            why = "; ".join(each.why) or "could be taken, but for the state of the agent"
            told.append(f"{each.many} in {each.queue or 'no queue'} wait{'s' if each.many == 1 else ''}{asked}: {why}")
        return tuple(told)


@dataclass(frozen=True, slots=True)
class TicketWhy:
    """Why a caller still waits: who may take them, and how many agents do not for which cause.

    ``agents`` says of a few who may take the caller what keeps them; ``next_step`` is seconds until what is asked is
    relaxed, None when it is not.
    """

    ticket: str
    call_id: str
    queue: str
    position: int
    asked: str
    step: int
    next_step: float | None
    rank: TicketRank
    now: int
    offered_to: tuple[str, ...]
    only: str
    preferred: str
    excluded: Mapping[Cause, int]
    agents: tuple[tuple[str, tuple[str, ...]], ...]

    def words(self, *, counts: bool = True) -> tuple[str, ...]:
        """For people, a sentence each; ``counts``: how many agents are kept, by cause, too."""
        where = f"number {self.position} in {self.queue or 'line'}"
        # As `status` shows it, and as `why CALL` takes it.
        told = [f"call {self.call_id[-6:]}, {where}: {ticket_words(self.rank, self.now)}"]
        if self.offered_to:
            told.append(f"is being offered to {', '.join(self.offered_to)}")
        if self.only:
            told.append(f"is for {self.only} alone")
        if self.preferred:
            told.append(f"waits for {self.preferred}, who is preferred")
        if self.asked:
            told.append(f"asks for {self.asked}" + (f", by routing step {self.step}" if self.step else ""))
        if self.next_step is not None:
            told.append(f"asks for less in {self.next_step:.0f} s")
        if counts:
            told += [f"{many} {cause_words(cause, many)}" for cause, many in self.excluded.items()]
        told += [f"{agent} may take the caller, but is {spoken('; '.join(why))}" for agent, why in self.agents]
        return tuple(told)


@dataclass(frozen=True, slots=True)
class QueueWhy:
    """How a queue stands: its callers by what they ask, and the agents by what keeps them from the first of them."""

    queue: str
    strategy: Strategy
    waiting: int
    offered: int
    waiters: tuple[Waiters, ...]
    first: TicketWhy | None
    share: tuple[int, float, int] | None

    def words(self) -> tuple[str, ...]:
        """For people, a sentence each."""
        told = [f"{self.queue}: {self.waiting} waiting, {self.offered} of them being offered ({self.strategy})"]
        if self.share is not None:
            told.append(share_words(self.share))
        told += [
            f"{each.many} ask{'s' if each.many == 1 else ''} for {each.asked or 'nothing'}: {'; '.join(each.why)}"
            for each in self.waiters
        ]
        if self.first is not None:
            # What keeps how many is told above, of all who ask alike.
            told += [f"the first: {line}" for line in self.first.words(counts=False)]
        return tuple(told)


def as_json(value: object) -> Any:
    """An explanation as plain JSON values, for ``--json``."""
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [as_json(each) for each in value]
    names = getattr(type(value), "__dataclass_fields__", None)
    return value if names is None else {name: as_json(getattr(value, name)) for name in names}
