"""Reason: why a request or an answer was sent, in the peer's words or those of the table it names (RFC 3326)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import find_param, is_token, parse_params
from callcenter.sip.message import REASONS

if TYPE_CHECKING:
    from callcenter.sip.headers import Headers

# A text that is longer helps nobody; and one reason of each protocol is what the RFC allows (2).
MAX_TEXT = 100
MAX_REASONS = 4

# ITU-T Q.850, table 1: what telephone networks say when a call ends.
Q850: dict[int, str] = {
    1: "unallocated number",
    2: "no route to the transit network",
    3: "no route to the destination",
    6: "channel unacceptable",
    7: "call awarded in an established channel",
    16: "normal call clearing",
    17: "user busy",
    18: "no user responding",
    19: "no answer from the user",
    20: "subscriber absent",
    21: "call rejected",
    22: "number changed",
    23: "redirected to a new destination",
    25: "exchange routing error",
    26: "non-selected user clearing",
    27: "destination out of order",
    28: "invalid number format",
    29: "facility rejected",
    30: "response to a status enquiry",
    31: "normal, unspecified",
    34: "no channel available",
    38: "network out of order",
    41: "temporary failure",
    42: "switching equipment congestion",
    43: "access information discarded",
    44: "requested channel not available",
    47: "resource unavailable",
    49: "quality of service not available",
    50: "facility not subscribed",
    55: "incoming calls barred within the closed user group",
    57: "bearer capability not authorised",
    58: "bearer capability not available",
    63: "service not available",
    65: "bearer capability not implemented",
    69: "facility not implemented",
    79: "service not implemented",
    81: "invalid call reference",
    88: "incompatible destination",
    95: "invalid message",
    96: "information element missing",
    97: "message type not implemented",
    98: "message not compatible with the call state",
    100: "invalid information element",
    102: "recovery on timer expiry",
    111: "protocol error",
    127: "interworking, unspecified",
}

_CAUSE = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: ``protocol`` is ``SIP`` or ``Q.850`` mostly; ``cause`` 0 without one."""

    protocol: str
    cause: int = 0
    text: str = ""

    @classmethod
    def parse(cls, value: str) -> Reason:
        """Read one value. Raises SipParseError."""
        protocol, semicolon, rest = value.partition(";")
        protocol = protocol.strip(" \t")
        params = parse_params(semicolon + rest)
        cause = find_param(params, "cause") or "0"
        if not is_token(protocol) or not _CAUSE.fullmatch(cause):
            raise SipParseError("Bad Reason")
        text = "".join(char for char in find_param(params, "text") or "" if char.isprintable())
        return cls(protocol, int(cause), text.strip()[:MAX_TEXT])

    def __str__(self) -> str:
        """In words that an operator understands, with the number to look it up by."""
        number = f"{self.protocol} {self.cause}" if self.cause else self.protocol
        known = REASONS if self.protocol.upper() == "SIP" else Q850 if self.protocol.upper() == "Q.850" else {}
        words = self.text or known.get(self.cause, "")
        return f"{words} ({number})" if words else number


def reasons_of(headers: Headers) -> tuple[Reason, ...]:
    """Every reason that can be read; what cannot says nothing, and is no reason to refuse the message."""
    if headers.get("Reason") is None:
        return ()
    found = []
    try:
        values = headers.values("Reason")
    except SipParseError:
        return ()
    for value in values[:MAX_REASONS]:
        try:
            found.append(Reason.parse(value))
        except SipParseError:
            continue
    return tuple(found)


def in_words(headers: Headers) -> str:
    """The reasons as one text; empty without any."""
    return ", ".join(map(str, reasons_of(headers)))
