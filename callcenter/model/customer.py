"""Customer: who is calling, found by number or account; two records of one person become one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from callcenter.model.customer_fields import NO_FIELDS, CustomerFields, Value
from callcenter.model.dial_plan import DialPlan

# Who withholds the number calls as one of these (RFC 3323 4.1.1.3, and what gateways write).
ANONYMOUS = frozenset({"", "anonymous", "unknown", "unavailable", "private", "restricted", "erased"})


class Match(StrEnum):
    """How sure the customer is: one customer of this client has the number, several have, or none."""

    SURE = "sure"
    MAYBE = "maybe"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of one client. ``numbers`` are normalised: digits with an optional leading plus.

    ``account`` is the first account, ``further_accounts`` are all others. ``agent`` is whom they would rather talk to;
    empty: anybody. It may name somebody who is no agent any more. ``fields`` are those that the client has declared.
    ``revision`` counts the changes, from 1; 0: it is not saved.
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
    further_accounts: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    revision: int = field(default=0, compare=False)

    @property
    def accounts(self) -> tuple[str, ...]:
        """All accounts, the first one first."""
        return (self.account, *self.further_accounts) if self.account else self.further_accounts

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "client": self.client,
            "id": self.id,
            "name": self.name,
            "numbers": list(self.numbers),
            "accounts": list(self.accounts),
            **{name: getattr(self, name) for name in WORDS},
            "fields": dict(self.fields),
            "revision": self.revision,
        }


WORDS = ("tier", "language", "since", "notes", "agent")
"""What a customer has one of each beside the name, as text."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a client keeps its customers. ``plan``: how numbers are written where they are noted.

    ``unattested``: how sure a customer is whose number no network vouches for. The retentions are days, None for ever:
    customers are erased who were neither changed nor in touch for so long, and whatever names a caller in calls that
    are older.
    """

    plan: DialPlan | None = None
    fields: CustomerFields = NO_FIELDS
    unattested: Match = Match.SURE
    retention: int | None = None
    calls_retention: int | None = None

    def number(self, written: str) -> str:
        """A number as somebody noted it, as it is kept: in E.164 where the plan knows how."""
        return self._in_e164(written) or normalise_number(written)

    def spellings(self, number: str) -> tuple[str, ...]:
        """A caller's number as it may be kept: as it came, and as the client's plan reads it."""
        came, kept = normalise_number(number), self._in_e164(number)
        return (came,) if kept is None or kept == came else (came, kept)

    def _in_e164(self, written: str) -> str | None:
        return self.plan.to_e164(written) if self.plan is not None and self.plan.country else None


NO_RULES = Rules()

# The second record's values that were not taken over, by name: what was kept, and what was not.
Conflicts = dict[str, tuple[Any, Any]]


def merged(into: Customer, other: Customer, most_notes: int) -> tuple[Customer, Conflicts]:
    """One record of two of the same client, and where they contradict each other: there ``into`` keeps its word.

    Numbers and accounts are those of both, notes stand below each other, while there is room for ``most_notes``
    characters. What ``into`` does not say comes from the ``other``.
    """
    conflicts: Conflicts = {}
    values: dict[str, Any] = {}
    for name in ("name", *WORDS):
        ours, theirs = getattr(into, name), getattr(other, name)
        if name == "notes" and ours and theirs and theirs not in ours and len(ours) + len(theirs) < most_notes:
            ours = f"{ours}\n{theirs}"
        elif ours and theirs and ours != theirs and not (name == "notes" and theirs in ours):
            conflicts[name] = (ours, theirs)
        values[name] = ours or theirs
    fields = dict(into.fields)
    for name, value in other.fields.items():
        if fields.setdefault(name, value) != value:
            conflicts[name] = (fields[name], value)
    first, *further = _once((*into.accounts, *other.accounts)) or ("",)
    whole = dataclasses.replace(
        into,
        numbers=_once((*into.numbers, *other.numbers)),
        account=first,
        further_accounts=tuple(further),
        fields=fields,
        **values,
    )
    return whole, conflicts


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


# What people put between the digits.
_SEPARATORS = str.maketrans("", "", " -./()\t")


def normalise_number(text: str) -> str:
    """A number as customers are found by: digits, a leading plus kept, ``00`` in front made a plus.

    Not a number (a SIP user name) is kept as it is, in lower case.
    """
    kept = text.translate(_SEPARATORS)
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
