"""Dialled: what a number or a name means that one of our agents dials, whether they may, and who must prove it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from callcenter.acd.settings import Plan
from callcenter.calls.settings import NO_RULES, CallsSettings, DialRules
from callcenter.model.customer import normalise_number
from callcenter.model.dial_plan import DialPlan
from callcenter.model.post_dial import split_post_dial

# What stands on the keys of a telephone; all else is a name.
_KEYS = re.compile(r"\+?[0-9*#]+")
# Seven digits at least: what is shorter is dialled within a country or a house, and means nothing elsewhere.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Colleague:
    """Another agent."""

    agent: str


@dataclass(frozen=True, slots=True)
class Line:
    """A queue."""

    queue: str


@dataclass(frozen=True, slots=True)
class Outside:
    """A number outside, in E.164, to be dialled in the name of ``client``; ``keys`` are pressed when it is answered."""

    client: str
    number: str
    keys: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Nothing that this agent may dial: what the phone is answered, and why, for the log.

    ``phrase`` is what the phone may show; empty: what SIP says for the status.
    """

    status: int
    why: str
    phrase: str = ""


Destination = Colleague | Line | Outside | Forbidden


def guarded(settings: CallsSettings, dialled: str) -> bool:
    """Whether who dials this must prove to be one of ours.

    A stranger learns nothing by it: every name is guarded, whether anybody has it or not, and so is every number that
    is as long as an extension, or that somebody here may dial. Our own numbers are open to all, and other numbers are
    nobody's.
    """
    if not dialled or settings.find_number(dialled) is not None:
        return False
    if not _KEYS.fullmatch(dialled):
        return True
    if dialled.isdigit() and len(dialled) in settings.extension_lengths:
        return True
    numbers = {number for home in ("", *settings.clients) for _, number in readings(settings, dialled, home)}
    return any(rule.permits(number) for number in numbers for rule in settings.dial_rules)


def destination(
    settings: CallsSettings, plan: Plan, agent: str, dialled: str, serves: Set[str] | None = None
) -> Destination:
    """Whom an agent dials: a colleague or a queue by name or extension, else a number outside.

    ``serves``: the clients in whose name he may call outside; None: as the plan has it.

    What is written out in full comes before what a prefix makes of it. Behind a number outside there may be keys that
    are pressed when it is answered: ``+493012345,,4711#``.
    """
    rules = settings.may_dial.get(agent, NO_RULES)
    colleague = dialled if dialled in plan.agents else settings.agent_extensions.get(dialled, "")
    queue = dialled if dialled in plan.queues else settings.queue_extensions.get(dialled, "")
    if colleague in plan.agents:
        if colleague == agent:
            return Forbidden(486, "dials himself")
        return Colleague(colleague) if rules.agents else Forbidden(403, "may dial no agents")
    if queue in plan.queues:
        return Line(queue) if rules.queues else Forbidden(403, "may dial no queues")
    if serves is None:
        serves = plan.agents[agent].clients
    return _outside(settings, serves, rules, agent, dialled)


def readings(settings: CallsSettings, dialled: str, home: str) -> Iterator[tuple[str, str]]:
    """What may be meant by digits, as (client by its prefix or none, number in E.164), the longest prefix first.

    ``home`` is the client as whose numbers are written those that no prefix stands before.
    """
    for prefix in sorted(settings.dial_prefixes, key=len, reverse=True):
        client = settings.dial_prefixes[prefix]
        if dialled.startswith(prefix) and (number := e164(dialled.removeprefix(prefix), plan_of(settings, client))):
            yield client, number
    if (number := e164(dialled, plan_of(settings, home))) is not None:
        yield "", number


def plan_of(settings: CallsSettings, client: str) -> DialPlan | None:
    """How numbers are written where a client dials; None when it does not dial outside."""
    found = settings.clients.get(client)
    return found.outbound.plan if found is not None and found.outbound is not None else None


def e164(dialled: str, plan: DialPlan | None = None) -> str | None:
    """A number in E.164: with ``+`` or ``00`` in front, or as ``plan`` has it; None for all else.

    What is allowed is told by this form, and this form is what is dialled: no other way to write a number gets round.
    """
    number = normalise_number(dialled)
    if _E164.fullmatch(number):
        return number
    return plan.to_e164(dialled) if plan is not None else None


def home_of(settings: CallsSettings, serves: Set[str], agent: str) -> str:
    """The client in whose name an agent calls who chose none: the first that he serves."""
    home = settings.home_clients.get(agent, "")
    return home if home in serves else min(serves, default="")


def _outside(settings: CallsSettings, serves: Set[str], rules: DialRules, agent: str, dialled: str) -> Destination:
    home = home_of(settings, serves, agent)
    dialled, keys = split_post_dial(dialled)
    for chosen, number in readings(settings, dialled, home):
        client = chosen or home
        if client not in serves or client not in settings.clients:
            return Forbidden(403, f"does not dial for {client}" if client else "serves no client to dial for")
        return Outside(client, number, keys) if rules.permits(number) else Forbidden(403, "may not dial this number")
    return Forbidden(404, "nobody has it")
