"""Post-dial: keys that are pressed when somebody has answered, written behind the number: an extension, a PIN."""

from __future__ import annotations

import re
from typing import Final

# As phones keep it in their books: +493012345,,4711# ; a comma is a pause of two seconds. Some write p or w for it
# (RFC 2806 2.2: a pause, and a wait for the tone).
_WRITTEN: Final = re.compile(r"(\+?[0-9*#().-]+)([,pw][0-9A-D*#,pw]*)", re.IGNORECASE)
# As URIs have it (RFC 2806 2.2).
_PARAMETER: Final = re.compile(r";postd=([0-9A-D*#,pw]+)(?=;|$)", re.IGNORECASE)
_PAUSES: Final = str.maketrans("pwPW", ",,,,")

MOST_KEYS: Final = 64
"""More is not dialled at all: it is no extension."""


def split_post_dial(written: str) -> tuple[str, str]:
    """The number, and the keys behind it, pauses as commas; no keys where there are none, or nothing that is some."""
    found = _WRITTEN.fullmatch(written)
    if found is None or len(found[2]) > MOST_KEYS:
        return written, ""
    return found[1], found[2].translate(_PAUSES).upper()


def with_post_dial(user: str, number: str) -> str:
    """A ``number`` as it is written with the keys that stand in the ``user`` of its URI as a parameter."""
    found = _PARAMETER.search(user)
    return f"{number},{found[1]}" if found is not None else number
