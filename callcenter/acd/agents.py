"""Agents: what one wants, does, and can be reached by, kept apart; and the table that moves the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from callcenter.acd.settings import Dispositions
from callcenter.model.facts import AgentStateChanged, changed
from callcenter.model.states import Device, Intent, OfferResult, Work, WrapUpMode


class Move(StrEnum):
    """What can happen to an agent's work."""

    RESERVE = "reserve"
    RING = "ring"
    PICK_UP = "pick up"
    HOLD = "hold"
    RESUME = "resume"
    RELEASE = "release"
    WRAP_UP = "wrap up"
    FINISH = "finish"
    DIAL = "dial"
    HANG_UP = "hang up"


# A pair that is not here does not move: a 180 that comes after the 200, a second hold. An agent who dials beside a talk
# consults; when the talk is over first, his own call goes on as any that he dialled.
MOVES: Mapping[tuple[Work, Move], Work] = MappingProxyType(
    {
        (Work.IDLE, Move.RESERVE): Work.RESERVED,
        (Work.IDLE, Move.DIAL): Work.OUTBOUND,
        (Work.RESERVED, Move.RING): Work.RINGING,
        (Work.RESERVED, Move.PICK_UP): Work.TALKING,
        (Work.RESERVED, Move.RELEASE): Work.IDLE,
        (Work.RINGING, Move.PICK_UP): Work.TALKING,
        (Work.RINGING, Move.RELEASE): Work.IDLE,
        (Work.TALKING, Move.HOLD): Work.HELD,
        (Work.TALKING, Move.RELEASE): Work.IDLE,
        (Work.TALKING, Move.WRAP_UP): Work.WRAP_UP,
        (Work.TALKING, Move.DIAL): Work.CONSULTING,
        (Work.HELD, Move.RESUME): Work.TALKING,
        (Work.HELD, Move.RELEASE): Work.IDLE,
        (Work.HELD, Move.WRAP_UP): Work.WRAP_UP,
        (Work.HELD, Move.DIAL): Work.CONSULTING,
        (Work.CONSULTING, Move.RESUME): Work.TALKING,
        (Work.CONSULTING, Move.HOLD): Work.HELD,
        (Work.CONSULTING, Move.RELEASE): Work.OUTBOUND,
        (Work.CONSULTING, Move.WRAP_UP): Work.WRAP_UP,
        (Work.WRAP_UP, Move.FINISH): Work.IDLE,
        (Work.WRAP_UP, Move.DIAL): Work.OUTBOUND,
        (Work.OUTBOUND, Move.HANG_UP): Work.IDLE,
    }
)

OFFERED = frozenset({Work.RESERVED, Work.RINGING})
ON_THE_PHONE = frozenset({Work.TALKING, Work.HELD, Work.CONSULTING})

REMOVED = "removed from the configuration"

# Offers that fail by no fault of the agent: no count, and the place among the idle is kept.
BLAMELESS = frozenset({OfferResult.ACCEPTED, OfferResult.CALLER_GONE, OfferResult.LOST_RACE})


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Work.IDLE}"]
    lines += [f"    {work} --> {then}: {move}" for (work, move), then in MOVES.items()]
    return "\n".join(lines) + "\n"


def begun(state: AgentStateChanged) -> AgentStateChanged:
    """The state in which what was chosen for the end of the work holds. A break that goes on does not begin anew."""
    if (state.next, state.next_reason) == (state.intent, state.reason):
        return changed(state, next_break_ms=0) if state.next_break_ms else state
    return replace(
        state,
        intent=state.next,
        reason=state.next_reason,
        break_ms=state.next_break_ms,
        overrun=False,
        next_break_ms=0,
    )


def forced(state: AgentStateChanged, intent: Intent, reason: str) -> AgentStateChanged:
    """The state in which the system has chosen."""
    state = replace(state, intent=intent, reason=reason, forced=True, next=intent, next_reason=reason)
    return replace(state, by="", break_ms=0, overrun=False, next_break_ms=0)


def needs_disposition(wrap_up: WrapUpMode, known: Dispositions) -> bool:
    """Whether a wrap-up does not end by the agent's word alone. Who asked for no time owes nothing."""
    return wrap_up is WrapUpMode.MANDATORY or (known.required and wrap_up is WrapUpMode.TIMED)


def dismissed(state: AgentStateChanged) -> AgentStateChanged:
    """The state of an agent who is gone from the configuration: signed out, and his phone no longer ours to know."""
    return replace(
        state,
        intent=Intent.SIGNED_OUT,
        reason=REMOVED,
        forced=True,
        next=Intent.SIGNED_OUT,
        next_reason=REMOVED,
        device=Device.UNREACHABLE,
        remaining_ms=0,
        by="",
        break_ms=0,
        overrun=False,
        next_break_ms=0,
    )


@dataclass(slots=True)
class Agent:
    """An agent's state; times are milliseconds. It changes by facts alone.

    ``until`` is when a wrap-up ends by itself, or when an idle agent's pause does; ``extension`` is what a wrap-up may
    still be extended by. ``next`` is the intent from the end of the present work on. ``misses`` counts failed offers by
    cause, since the last talk or change of intent. ``own_calls`` are the calls that he dialled himself and is in.
    ``wrap_up`` is the kind of the wrap-up that goes on. ``by`` is who chose last. ``break_until`` is when a break will
    have lasted as long as it may, ``overrun`` that it has; ``next_break`` is how long one may last that is to come.
    ``calls`` and ``talk`` are how many callers he has talked with, and how long, holds included, since he signed in;
    ``talks_since`` is when the present talk began.
    """

    id: str
    intent: Intent = Intent.SIGNED_OUT
    reason: str = ""
    forced: bool = True
    next: Intent = Intent.SIGNED_OUT
    next_reason: str = ""
    work: Work = Work.IDLE
    device: Device = Device.UNREACHABLE
    offer: str = ""
    until: int | None = None
    extension: int = 0
    since: int = 0
    idle_since: int = 0
    misses: dict[OfferResult, int] = field(default_factory=dict)
    own_calls: tuple[str, ...] = ()
    wrap_up: WrapUpMode = WrapUpMode.NONE
    by: str = ""
    break_until: int | None = None
    overrun: bool = False
    next_break: int = 0
    calls: int = 0
    talk: int = 0
    talks_since: int | None = None

    @property
    def available(self) -> bool:
        """Whether a caller may be offered now: wants to, has nothing else to do, and can be rung."""
        return (
            self.intent is Intent.READY
            and self.work is Work.IDLE
            and self.device is Device.REGISTERED
            and self.until is None
        )

    @property
    def given_up(self) -> bool:
        """Whether he is off the floor because his phone could not be reached: its next sign of life ends that."""
        unreachable = (Intent.NOT_READY, str(OfferResult.UNREACHABLE))
        return self.work is Work.IDLE and self.forced and (self.intent, self.reason) == unreachable

    @property
    def pending(self) -> bool:
        """Whether another intent waits for the end of the present work."""
        return (self.next, self.next_reason) != (self.intent, self.reason)

    def hindrances(self) -> tuple[str, ...]:
        """Why no caller may be offered now, in words; empty when available."""
        words = []
        if self.intent is not Intent.READY:
            words.append(f"{self.intent}: {self.reason}" if self.reason else str(self.intent))
        if self.work is not Work.IDLE:
            words.append(str(self.work))
        elif self.until is not None:
            words.append("pausing after an offer that failed")
        if self.device is not Device.REGISTERED:
            words.append(f"phone {self.device}")
        return tuple(words)

    def state(self, cause: str, now: int) -> AgentStateChanged:
        """The present state as a fact, to be told with what changes."""
        return AgentStateChanged(
            agent=self.id,
            intent=self.intent,
            reason=self.reason,
            work=self.work,
            device=self.device,
            cause=cause,
            offer=self.offer,
            forced=self.forced,
            next=self.next,
            next_reason=self.next_reason,
            # At least one: 0 would say that it has no end, where the end is due this very millisecond.
            remaining_ms=0 if self.until is None else max(1, self.until - now),
            extension_ms=self.extension,
            own_calls=self.own_calls,
            wrap_up=self.wrap_up,
            by=self.by,
            break_ms=0 if self.break_until is None else max(1, self.break_until - now),
            overrun=self.overrun,
            next_break_ms=self.next_break,
        )

    def take(self, body: AgentStateChanged, ms: int) -> None:
        """Take over the state that a fact of time ``ms`` tells."""
        came_ready = body.intent is Intent.READY and self.intent is not Intent.READY
        phone_back = self.device is Device.UNREACHABLE and body.device is not Device.UNREACHABLE
        wrapped_up = self.work is Work.WRAP_UP and body.work is not Work.WRAP_UP
        if came_ready or phone_back or wrapped_up:
            self.idle_since = ms
        if body.intent is not self.intent or phone_back:
            self.misses.clear()
        if self.intent is Intent.SIGNED_OUT and body.intent is not Intent.SIGNED_OUT:
            self.calls = self.talk = 0
        if (body.intent, body.reason, body.work, body.device) != (self.intent, self.reason, self.work, self.device):
            self.since = ms
        self.intent, self.reason, self.forced = body.intent, body.reason, body.forced
        self.next, self.next_reason = body.next, body.next_reason
        self.work, self.device, self.offer = body.work, body.device, body.offer
        self.until = ms + body.remaining_ms if body.remaining_ms else None
        self.extension = body.extension_ms
        self.own_calls = body.own_calls
        self.wrap_up, self.by = body.wrap_up, body.by
        self.break_until = ms + body.break_ms if body.break_ms else None
        self.overrun, self.next_break = body.overrun, body.next_break_ms

    def began_talk(self, ms: int) -> None:
        """He talks with a caller, since ``ms``."""
        self.calls += 1
        self.talks_since = ms

    def ended_talk(self, ms: int) -> None:
        """The talk is over, at ``ms``."""
        if self.talks_since is not None:
            self.talk += ms - self.talks_since
            self.talks_since = None

    def missed(self, result: OfferResult, ms: int) -> None:
        """An offer came to nothing, at ``ms``."""
        if result not in BLAMELESS:
            self.misses[result] = self.misses.get(result, 0) + 1
            self.idle_since = ms

    def __str__(self) -> str:
        chosen = f"{self.intent}({self.reason})" if self.reason else str(self.intent)
        return f"<Agent {self.id} {chosen} {self.work} {self.device}>"


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent as others may see him; times are seconds of the monotonic clock.

    ``until`` is the end of the wrap-up or of a pause; ``extension`` is the seconds that the wrap-up may be extended by.
    ``own_calls`` are the calls that the agent dialled and is in. ``wrap_up`` is the kind of the wrap-up that goes on;
    ``by`` is who chose last, empty when the system did. ``break_until`` is when a break will have lasted as long as it
    may, ``overrun`` that it has. ``disposition`` was said of the present talk already.
    """

    id: str
    intent: Intent
    reason: str
    forced: bool
    next: Intent
    next_reason: str
    work: Work
    device: Device
    offer: str
    call_id: str
    queue: str
    since: float
    until: float | None
    extension: float
    available: bool
    own_calls: tuple[str, ...] = ()
    wrap_up: WrapUpMode = WrapUpMode.NONE
    by: str = ""
    break_until: float | None = None
    overrun: bool = False
    disposition: str = ""

    @property
    def pending(self) -> bool:
        """Whether another intent waits for the end of the present work."""
        return (self.next, self.next_reason) != (self.intent, self.reason)

    @classmethod
    def of(cls, agent: Agent, call_id: str, queue: str, disposition: str = "") -> AgentView:
        """The agent now; ``call_id`` and ``queue`` name the call that he has to do with, if any."""
        return cls(
            id=agent.id,
            intent=agent.intent,
            reason=agent.reason,
            forced=agent.forced,
            next=agent.next,
            next_reason=agent.next_reason,
            work=agent.work,
            device=agent.device,
            offer=agent.offer,
            call_id=call_id,
            queue=queue,
            since=agent.since / 1000,
            until=None if agent.until is None else agent.until / 1000,
            extension=agent.extension / 1000,
            available=agent.available,
            own_calls=agent.own_calls,
            wrap_up=agent.wrap_up,
            by=agent.by,
            break_until=None if agent.break_until is None else agent.break_until / 1000,
            overrun=agent.overrun,
            disposition=disposition,
        )
