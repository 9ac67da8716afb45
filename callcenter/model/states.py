"""What an agent wants, does, and can be reached by; and how an offer or a queue visit ends."""

from __future__ import annotations

from enum import StrEnum


class Intent(StrEnum):
    """Chosen by the agent or a supervisor."""

    READY = "ready"
    NOT_READY = "not_ready"
    SIGNED_OUT = "signed_out"


class Work(StrEnum):
    """Moved by the system alone."""

    IDLE = "idle"
    RESERVED = "reserved"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    CONSULTING = "consulting"
    WRAP_UP = "wrap_up"
    OUTBOUND = "outbound"


class Device(StrEnum):
    """Whether the agent's phone can be rung."""

    REGISTERED = "registered"
    UNREACHABLE = "unreachable"
    BUSY_ELSEWHERE = "busy_elsewhere"


class WrapUpMode(StrEnum):
    """What the agent owes after a talk.

    NONE: nothing, he is free at once. OPTIONAL: nothing either, but for a moment he may ask for time, and is free when
    he does not. TIMED: he has some time and may end it earlier. MANDATORY: it has no end but a disposition.
    """

    NONE = "none"
    OPTIONAL = "optional"
    TIMED = "timed"
    MANDATORY = "mandatory"


class OfferResult(StrEnum):
    """How an offer of one caller to one agent ended."""

    ACCEPTED = "accepted"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    CALLER_GONE = "caller_gone"
    LOST_RACE = "lost_race"


class VisitOutcome(StrEnum):
    """How one visit to a queue ended; every visit ends in exactly one of these."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    SHORT_ABANDONED = "short_abandoned"
    FLOWED_OUT = "flowed_out"
    REFUSED = "refused"
    LOST = "lost"


MOVED, TAKEN = "moved", "taken"
"""Why a visit flowed out when a supervisor has sent the caller to another queue, or has them offered to an agent of her
choice, out of the same one.
"""


class Outcome(StrEnum):
    """How a whole call ended, seen from the caller.

    ``left_in_menu``: hung up before any queue. ``self_served``: the flow ended without a queue. ``unserved``: flowed
    out of a queue (waited too long) and reached no agent. ``not_reached``: an agent dialled, or a customer
    was called back, and nobody came. ``callback``: asked to be called back. The others are those of the visit.
    """

    HANDLED = "handled"
    ABANDONED = "abandoned"
    LEFT_IN_MENU = "left_in_menu"
    SELF_SERVED = "self_served"
    UNSERVED = "unserved"
    NOT_REACHED = "not_reached"
    CALLBACK = "callback"
    REFUSED = "refused"
    LOST = "lost"


class Direction(StrEnum):
    """Which way a call goes, seen from the house: to it, within it, or out of it."""

    INBOUND = "inbound"
    INTERNAL = "internal"
    OUTBOUND = "outbound"


class CallbackOutcome(StrEnum):
    """How a callback ended; each ends in exactly one of these.

    ``reached``: the customer picked up. ``given_up``: not reached in so many tries. ``cancelled``: the customer rang in
    first, and their call has the place, or somebody called it off. ``removed``: queue, company or its way to call out
    are gone from the configuration, or it may not dial the number any more. ``expired``: its window passed, and nobody
    was there for it.
    """

    REACHED = "reached"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    REMOVED = "removed"
    EXPIRED = "expired"


class Side(StrEnum):
    """Who did it. OUTSIDE is whom an agent dialled, or was passed on to, beyond the house."""

    CALLER = "caller"
    AGENT = "agent"
    OUTSIDE = "outside"
    SYSTEM = "system"


class EndCause(StrEnum):
    """Why a call or a leg ended."""

    HANGUP = "hangup"
    CANCELLED = "cancelled"
    FLOW_ENDED = "flow_ended"
    AGENT_HANGUP = "agent_hangup"
    COMMANDED = "commanded"
    TRANSFERRED = "transferred"
    REJECTED = "rejected"
    MEDIA_TIMEOUT = "media_timeout"
    MEDIA_FAILED = "media_failed"
    NETWORK = "network"
    SHUTDOWN = "shutdown"
    RESTART = "restart"
    ERROR = "error"


class TransferKind(StrEnum):
    """How an agent hands a caller over: unseen, or after a word with the one who takes them."""

    BLIND = "blind"
    ATTENDED = "attended"


class TransferTo(StrEnum):
    """What a caller is handed over to."""

    AGENT = "agent"
    QUEUE = "queue"
    NUMBER = "number"
    OUTSIDE = "outside"


class EntryResult(StrEnum):
    """What came of an entry in a talk. ``FAILED``: it was not entered, or not rightly, however often it was asked."""

    ENTERED = "entered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OneWay(StrEnum):
    """What shows, in the middle of a call, that only one side of it is heard."""

    STOPPED = "stopped"
    """Sound has come from the peer, and none comes any more."""
    UNHEARD = "unheard"
    """The peer reports that nothing reaches it of what we send."""
    UNREPORTED = "unreported"
    """The peer's reports have stopped: nobody knows any more what reaches it."""


class SupervisionMode(StrEnum):
    """How a supervisor takes part in a talk: she hears all of it, and is heard by nobody, by the agent, or by all."""

    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"


class DrainOutcome(StrEnum):
    """How a drain ended: every call had ended, the limit was reached, calls are taken again, or it was cut short."""

    EMPTY = "empty"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    CUT_SHORT = "cut_short"
