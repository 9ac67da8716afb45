"""The steps ``branch`` and ``hours``: which way the call goes, by what is known of it."""

from __future__ import annotations

from typing import assert_never
from zoneinfo import ZoneInfo

from callcenter.calls.call import Call
from callcenter.calls.hours import Door, look
from callcenter.calls.settings import (
    AttributeIs,
    Branch,
    CallerIs,
    Condition,
    CustomerIs,
    HoursAre,
    IntentIs,
    LanguageIs,
    Step,
)
from callcenter.model.customer import ANONYMOUS, normalise_number
from callcenter.model.facts import BranchTaken, HoursChecked

UTC = ZoneInfo("UTC")


def choose_case(call: Call, branch: Branch) -> tuple[Step, ...]:
    """The steps of the first case whose conditions hold, else those of ``otherwise``."""
    for number, case in enumerate(branch.cases, 1):
        if all(holds(call, condition) for condition in case.when):
            call.add(BranchTaken(branch.id, number, tuple(words(condition) for condition in case.when)))
            return case.then
    call.add(BranchTaken(branch.id, 0))
    return branch.otherwise


def door(call: Call, name: str) -> Door:
    """How the opening hours of this name stand now."""
    standing = look(call.settings.hours[name], call.client.zone or UTC, call.services.clock.now())
    call.add(HoursChecked(name, standing.door.value, standing.holiday))
    return standing.door


def holds(call: Call, condition: Condition) -> bool:
    """Whether a condition holds now."""
    captured, known = call.captured, call.known
    match condition:
        case AttributeIs(name=name, values=values, prefixes=prefixes, there=there):
            value = captured.attributes.get(name, "")
            return (
                (not values or value in values)
                and (not prefixes or value.startswith(prefixes))
                and (there is None or bool(value) == there)
            )
        case CallerIs(numbers=numbers, prefixes=prefixes, anonymous=anonymous):
            number = normalise_number(call.from_number)
            return (
                (not numbers or number in numbers)
                and (not prefixes or number.startswith(prefixes))
                and (anonymous is None or (number in ANONYMOUS) == anonymous)
            )
        case CustomerIs(matches=matches, tiers=tiers, languages=languages):
            if matches and known.match not in matches:
                return False
            if not tiers and not languages:
                return True
            customer = known.customer
            return (
                customer is not None
                and (not tiers or customer.tier in tiers)
                and (not languages or customer.language in languages)
            )
        case LanguageIs(languages=languages):
            return captured.language in languages
        case IntentIs(intents=intents):
            return captured.intent in intents
        case HoursAre(hours=hours, doors=doors):
            return door(call, hours) in doors
        case _:
            assert_never(condition)


def words(condition: Condition) -> str:
    """Why a case was taken; without the value of an attribute, which may be masked."""
    match condition:
        case AttributeIs(name=name):
            return f"attribute {name}"
        case CallerIs(anonymous=True):
            return "caller anonymous"
        case CallerIs():
            return "caller's number"
        case CustomerIs(matches=matches, tiers=tiers, languages=languages):
            return " ".join(["customer", *(each.value for each in sorted(matches)), *sorted(tiers), *sorted(languages)])
        case LanguageIs(languages=languages):
            return f"language {' or '.join(sorted(languages))}"
        case IntentIs(intents=intents):
            return f"intent {' or '.join(sorted(intents))}"
        case HoursAre(hours=hours, doors=doors):
            return f"hours {hours} {' or '.join(sorted(doors))}"
        case _:
            assert_never(condition)
