"""DialOutcome: how our attempt to reach somebody ended; a value, not an exception."""

from __future__ import annotations

from dataclasses import dataclass, field

from callcenter.sip.events import EndedBy


@dataclass(frozen=True, slots=True)
class Answered:
    """They took the call; ``sdp`` is their answer to our offer, which is not printed: it may hold keys."""

    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Busy:
    """They are on the phone (486, 600)."""

    status: int


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Their phone gave up ringing or does not want to be disturbed (408, 480, 487)."""

    status: int


@dataclass(frozen=True, slots=True)
class Declined:
    """They pressed the red button (603, 607)."""

    status: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for another reason, 488 for example."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody is there: no answer at all, no way there, or a server on the way says so (404, 410, 430, 502-504, 604)."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """We hung up before they answered."""


DialOutcome = Answered | Busy | NoAnswer | Declined | Rejected | Unreachable | Cancelled


def outcome_of(by: EndedBy, status: int, reason: str) -> DialOutcome:
    """The outcome of a call that ended before it was answered."""
    if by is EndedBy.LOCAL:
        return Cancelled()
    if by is not EndedBy.PEER:
        return Unreachable(status, reason)
    match status:
        case 486 | 600:
            return Busy(status)
        case 408 | 480 | 487:
            return NoAnswer(status)
        case 603 | 607:
            return Declined(status)
        case 404 | 410 | 430 | 502 | 503 | 504 | 604:
            return Unreachable(status, reason)
        case _:
            return Rejected(status, reason)
