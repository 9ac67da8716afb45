"""Callback numbers: at which number a caller is called back, and which ones a company calls back at all."""

from __future__ import annotations

import re

from callcenter.calls.call import Call
from callcenter.calls.dialled import e164
from callcenter.calls.settings import CallsSettings, Client
from callcenter.calls.steps.collect import DIGITS
from callcenter.model.dial_plan import country_code

# North American numbers (+1): area code and exchange begin with 2 to 9, and no area code is like 911.
_NORTH_AMERICAN = re.compile(r"\+1(?![2-9]11)[2-9][0-9]{2}[2-9][0-9]{6}")


def own_number(call: Call) -> str | None:
    """The caller's own number, where it is shown and the company calls it back."""
    if call.caller.leg.withheld or call.agent:
        return None
    return callable_number(call.settings, call.client, call.from_number)


def shown_number(call: Call) -> str | None:
    """The number of who calls, in E.164; None where it is hidden, or is none."""
    if call.caller.leg.withheld:
        return None
    plan = call.client.outbound.plan if call.client.outbound is not None else None
    return e164(call.from_number, plan)


def account_of(call: Call) -> str:
    """The account of the customer in digits, where it is sure who calls: they may be called at another number."""
    customer = call.known.customer
    return "".join(each for each in customer.account if each in DIGITS) if customer is not None else ""


def callable_number(settings: CallsSettings, client: Client, written: str) -> str | None:
    """A number as somebody wrote it, in E.164, when the company calls it back; None for all others.

    Short numbers, as those for emergencies are, never come to be one; and nobody is called back at a number of ours.
    """
    if client.outbound is None or client.callbacks is None:
        return None
    number = client.outbound.plan.to_e164(written)
    if number is None or settings.find_number(number) is not None:
        return None
    if country_code(number) == "1" and not _NORTH_AMERICAN.fullmatch(number):
        return None
    return number if client.callbacks.permits(number) else None
