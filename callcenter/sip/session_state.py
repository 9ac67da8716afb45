"""Where a session stands, and what it waits for."""

from __future__ import annotations

from enum import Enum, auto

# A side that is busy with a change says when to come again: within 0 to 10 s (RFC 3261 14.2, RFC 3311 5.2).
MAX_RETRY_AFTER = 10


class SessionState(Enum):
    """Where a session stands. From ABANDONED on it is over for its user, and the endpoint finishes alone."""

    CALLING = auto()
    PROCEEDING = auto()
    INCOMING = auto()
    ANSWERED = auto()
    ESTABLISHED = auto()
    ABANDONED = auto()  # our INVITE has no answer yet: the CANCEL waits for a provisional one
    CANCELLED = auto()  # the CANCEL is out
    LEAVING = auto()  # our BYE waits for the ACK to our 2xx
    CLOSING = auto()  # our BYE is out
    ENDED = auto()


class Timer(Enum):
    """What a session waits for."""

    PROGRESS = auto()  # saying again that we are getting there
    EXPIRES = auto()
    REPEAT_PROGRESS = auto()  # a provisional answer that no PRACK has come for
    NO_PRACK = auto()
    REPEAT_OK = auto()
    NO_ACK = auto()
    GLARE = auto()
    SESSION_REFRESH = auto()  # RFC 4028
    SESSION_EXPIRED = auto()
