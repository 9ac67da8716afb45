"""A key of the telephone in the body of an INFO: ``application/dtmf-relay`` and ``application/dtmf``.

No RFC describes them; both are what phones have sent since RFC 2976 came without any.
"""

from __future__ import annotations

import re

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

# How long a key is said to have been pressed (ms).
DURATION = 100

# Far more than "Signal=5\r\nDuration=160"; a longer body is something else.
MAX_BODY = 200
_SIGNAL = re.compile(r"^[ \t]*signal[ \t]*=[ \t]*([^\s]+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_KEYS = frozenset("0123456789*#ABCD")
# Some write the event's number (RFC 4733 3.2) for the keys that are no digits; 16, the hook, is no key.
_EVENTS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


def key_of(content_type: str, body: bytes) -> str | None:
    """The key that an INFO tells: 0-9, ``*``, ``#``, A-D; None when it tells something else."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (DTMF_RELAY, DTMF) or len(body) > MAX_BODY:
        return None
    text = body.decode("ascii", "replace").replace("\r\n", "\n").replace("\r", "\n")
    found = _SIGNAL.search(text)
    if found is not None:
        key = found[1]
    elif kind == DTMF:
        key = text.strip()
    else:
        return None
    key = _EVENTS.get(key, key.upper())
    return key if key in _KEYS else None


def body_of(key: str, kind: str = DTMF_RELAY) -> bytes:
    """The body that tells a key, of one of both kinds; empty for what is no key."""
    key = key.upper()
    if key not in _KEYS:
        return b""
    return key.encode() if kind == DTMF else f"Signal={key}\r\nDuration={DURATION}\r\n".encode()
