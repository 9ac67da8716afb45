"""Contacts: who was served at the first call, and who had to call again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

BACK_WITHIN = timedelta(days=7)
# What the system writes where an agent said nothing.
NO_DISPOSITION = frozenset({"", "WRAPUP_TIMEOUT"})


@dataclass(frozen=True, slots=True)
class Contact:
    """A call that came in. ``caller`` is the customer, or the number of one who is not known."""

    client: str
    caller: str
    at: datetime
    intent: str
    disposition: str
    answered: bool
    queue: str

    @property
    def family(self) -> str:
        """What the disposition begins with, up to ``:`` or ``/``; empty where there is none."""
        if self.disposition in NO_DISPOSITION:
            return ""
        return self.disposition.replace("/", ":").partition(":")[0]

    def about_the_same(self, other: Contact) -> bool:
        """Whether both are about the same: the same intent, also when neither said any, or the same family."""
        return self.intent == other.intent or (self.family != "" and self.family == other.family)


def first_contacts(contacts: Iterable[Contact], now: datetime) -> Iterator[tuple[Contact, bool]]:
    """The first contacts that were answered and whose seven days are over, and whether that was the last one.

    ``contacts`` in the order of time, seven days more than is asked for on both sides. A first contact is one with
    none about the same in the seven days before. Callers without a number cannot be known again and are left out.
    """
    of_caller: dict[tuple[str, str], list[Contact]] = {}
    for each in contacts:
        if any(character.isdigit() for character in each.caller) or each.caller.startswith("customer "):
            of_caller.setdefault((each.client, each.caller), []).append(each)
    for calls in of_caller.values():
        for place, each in enumerate(calls):
            if not each.answered or each.at + BACK_WITHIN > now:
                continue
            if _any_about_the_same(each, reversed(calls[:place])):
                continue
            yield each, not _any_about_the_same(each, calls[place + 1 :])


def _any_about_the_same(contact: Contact, others: Iterable[Contact]) -> bool:
    """Whether one of them, from near to far in time, is about the same and within the seven days."""
    for other in others:
        if abs(other.at - contact.at) > BACK_WITHIN:
            return False
        if contact.about_the_same(other):
            return True
    return False
