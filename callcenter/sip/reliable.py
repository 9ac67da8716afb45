"""Reliable provisional answers and the PRACK that acknowledges them (RFC 3262): what is told, and in which order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from callcenter.sip.body import SDP
from callcenter.sip.errors import SipParseError

if TYPE_CHECKING:
    from callcenter.sip.dialog import Dialog
    from callcenter.sip.message import Request, Response
    from callcenter.sip.transaction_client import ClientInvite

TAG = "100rel"

# An RSeq and the numbers in a RAck have 32 bits (RFC 3262 7.1, 7.2); the first is drawn from the lower half.
MAX_NUMBER = 2**32 - 1
FIRST_NUMBERS = 2**31

# Provisional answers that wait for the PRACK of the one before. A phone has two or three to tell.
MAX_WAITING = 8

# What a RAck names: the RSeq, and number and method of the request that was answered so.
Rack = tuple[int, int, str]


class ReliableAnswers:
    """The provisional answers to one INVITE of a peer that are repeated until the PRACK comes: one at a time (3).

    ``waiting``: those that come after it. ``interval``: seconds from the last repetition to the next.
    """

    __slots__ = ("_acknowledged", "_cseq", "_describes", "_number", "interval", "waiting")

    def __init__(self, cseq: int, first: int) -> None:
        self.waiting: deque[tuple[int, bytes | None]] = deque(maxlen=MAX_WAITING)
        self.interval = 0.0
        self._cseq = cseq
        self._number = self._acknowledged = first - 1
        self._describes = False

    @property
    def outstanding(self) -> bool:
        """Whether one is out that no PRACK has come for."""
        return self._number != self._acknowledged

    @property
    def describes(self) -> bool:
        """Whether the one that is out carries a session description: then no 2xx may follow before its PRACK (5)."""
        return self._describes and self.outstanding

    def next(self, *, describes: bool) -> int:
        """The RSeq of the next one."""
        self._number += 1
        self._describes = describes
        return self._number

    def expects(self, rack: Rack) -> bool:
        """Whether a PRACK with this RAck is for the one that is out."""
        return self.outstanding and rack == (self._number, self._cseq, "INVITE")

    def acknowledge(self) -> None:
        """Its PRACK came."""
        self._acknowledged = self._number


def rack_of(request: Request) -> Rack:
    """The RAck of a PRACK. Raises SipParseError when it is missing or malformed."""
    words = (request.headers.get("RAck") or "").split()
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words[:2]):
        raise SipParseError("Bad RAck" if words else "Missing RAck")
    return int(words[0]), int(words[1]), words[2]


def rseq_of(response: Response) -> int | None:
    """The RSeq of a provisional answer that wants a PRACK; None when it wants none (4)."""
    if response.headers.get("Require") is None or response.status == 100 or TAG not in response.option_tags("Require"):
        return None
    text = response.headers.get("RSeq") or ""
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 0 < (number := int(text)) <= MAX_NUMBER:
        return None
    return number


def wants_reliable(request: Request, *, describes: bool) -> bool:
    """Whether a provisional answer to this INVITE is sent reliably: when the peer insists, or can and it describes."""
    headers = request.headers
    if headers.get("Require") is not None and TAG in request.option_tags("Require"):
        return True
    return describes and TAG in request.option_tags("Supported")


def in_sequence(transaction: ClientInvite, tag: str, rseq: int) -> bool:
    """Whether a provisional answer of a branch is its next one, and then takes note of it (4)."""
    last = transaction.rseqs.get(tag)
    if last is not None and rseq != last + 1:
        return False
    transaction.rseqs[tag] = rseq
    return True


def prack(dialog: Dialog, via: str, rseq: int, cseq: int, sdp: bytes | None) -> Request:
    """The PRACK of the provisional answer ``rseq`` to our INVITE ``cseq``; with our answer when it made an offer."""
    request = dialog.request("PRACK", via, body=sdp or b"")
    request.headers.add("RAck", f"{rseq} {cseq} INVITE")
    if sdp:
        request.headers.add("Content-Type", SDP)
    return request
