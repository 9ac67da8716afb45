"""How far offer and answer of a dialog are (RFC 3264, 6337): one exchange at a time, whatever carries it.

The patterns, by what carries offer and answer: INVITE and its 2xx or reliable 1xx; the 2xx to an INVITE without offer
and its ACK; a reliable 1xx to such an INVITE and its PRACK; a PRACK and its 2xx; an UPDATE and its 2xx (RFC 6337 2.2).
"""

from __future__ import annotations

from enum import Enum, auto


class Exchange(Enum):
    """Whose turn it is."""

    OPEN = auto()  # an INVITE without offer waits for one
    OFFERED = auto()  # by us: the peer's answer is to come
    ASKED = auto()  # by the peer: our answer is to come
    AGREED = auto()


def status_of_offer(exchange: Exchange) -> int | None:
    """What an offer of the peer's that comes now is refused with; None: it is its turn (RFC 3311 5.2, RFC 6337 4.3).

    500 goes with a Retry-After.
    """
    match exchange:
        case Exchange.AGREED:
            return None
        case Exchange.ASKED:
            # It has not waited for the answer to the one before.
            return 500
        case _:
            # Ours is out, or has to come first: glare.
            return 491
