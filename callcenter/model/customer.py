"""Customer: who is calling, found by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# Who withholds the number calls as one of these (RFC 3323 4.1.1.3, and what gateways write).
ANONYMOUS = frozenset({"", "anonymous", "unknown", "unavailable", "private", "restricted"})


class Match(StrEnum):
    """How sure the customer is: one customer of this client has the number, several have, or none."""

    SURE = "sure"
    MAYBE = "maybe"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of one client. ``numbers`` are normalised: digits with an optional leading plus.

    ``agent`` is whom they would rather talk to; empty: anybody. It may name somebody who is no agent any more.
    """

    id: str
    client: str
    name: str
    numbers: tuple[str, ...] = ()
    account: str = ""
    tier: str = ""
    language: str = ""
    since: str = ""
    notes: str = ""
    agent: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def normalise_number(text: str) -> str:
    """A number as customers are found by: digits, a leading plus kept, ``00`` in front made a plus.

    Not a number (a SIP user name) is kept as it is, in lower case.
    """
    kept = "".join(c for c in text if c not in " -./()\t")
    digits = kept.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return text.strip().lower()
    if kept.startswith("00"):
        return "+" + digits[2:]
    return kept


def caller_number(text: str) -> str:
    """The number that a caller can be known again by, normalised; empty for who withholds it."""
    number = normalise_number(text)
    return "" if number in ANONYMOUS else number
