"""First-contact resolution: whoever is back within seven days for the same was not helped the first time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from callcenter.ledger.contacts import Contact, first_contacts

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = MONDAY + timedelta(days=60)


def contact(
    day: float,
    caller: str = "+14155550100",
    *,
    intent: str = "billing",
    disposition: str = "",
    answered: bool = True,
    client: str = "acme",
) -> Contact:
    return Contact(client, caller, MONDAY + timedelta(days=day), intent, disposition, answered, "sales")


def told(*contacts: Contact, now: datetime = LATER) -> list[tuple[float, bool]]:
    """The day of each first contact, and whether it was the last one."""
    found = first_contacts(contacts, now)
    return [((each.at - MONDAY) / timedelta(days=1), resolved) for each, resolved in found]


@pytest.mark.parametrize(
    ("story", "wanted"),
    [
        ([contact(0)], [(0, True)]),
        # Back on the seventh day, to the second: not resolved, and the second call is no first one.
        ([contact(0), contact(7)], [(0, False)]),
        ([contact(0), contact(7.001)], [(0, True), (7.001, True)]),
        # Five days, and five days again: one story, one first contact.
        ([contact(0), contact(5), contact(10)], [(0, False)]),
        # Somebody gave up: no contact that was answered, but they had called before, and are back.
        ([contact(0, answered=False), contact(1)], []),
        ([contact(0), contact(1, answered=False)], [(0, False)]),
        # Another matter, another company, another caller.
        ([contact(0), contact(1, intent="sales")], [(0, True), (1, True)]),
        ([contact(0), contact(1, client="other")], [(0, True), (1, True)]),
        ([contact(0), contact(1, "+14155550101")], [(0, True), (1, True)]),
        # Said otherwise to the menu, and the agents noted the same kind of thing.
        ([contact(0, disposition="invoice:late"), contact(1, intent="x", disposition="invoice/wrong")], [(0, False)]),
        ([contact(0, disposition="WRAPUP_TIMEOUT"), contact(1, intent="x", disposition="WRAPUP_TIMEOUT")],
         [(0, True), (1, True)]),
        # Who hides the number cannot be known again.
        ([contact(0, "anonymous"), contact(1, "anonymous")], []),
        ([contact(0, "customer acme"), contact(1, "customer acme")], [(0, False)]),
    ],
)  # fmt: skip
def test_a_first_contact_is_resolved_when_nobody_calls_again(
    story: list[Contact], wanted: list[tuple[float, bool]]
) -> None:
    assert told(*story) == wanted


def test_contacts_whose_seven_days_are_not_over_are_not_judged() -> None:
    assert told(contact(0), contact(3, "+14155550101"), now=MONDAY + timedelta(days=8)) == [(0, True)]
