"""Who is calling: the customer base is asked, by the caller's number, or by the account that they entered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from callcenter.calls.call import Call, CallerKnown
from callcenter.calls.settings import LAST_AGENT
from callcenter.model.customer import Customer, Match, caller_number
from callcenter.model.facts import CustomerFound
from callcenter.model.followup import Followup
from callcenter.storage.database import StorageError

# The customer base is asked before the greeting; a slow disk must not keep the caller in silence.
LOOK_UP_LIMIT = 0.3
RECENT_INTERACTIONS = 5


async def look_up_number(call: Call) -> None:
    """Ask who has the caller's number; without an answer in time the caller is unknown.

    Who withholds the number is not looked for by it either: the name on the agent's screen would tell as much. A number
    that no network vouches for may be anybody's: the client says whether it makes a customer sure.
    """
    if call.caller.leg.withheld:
        return
    services, client, leg = call.services, call.client.id, call.caller.leg
    recent: list[dict[str, Any]] = []
    note = None
    until = asyncio.get_running_loop().time() + LOOK_UP_LIMIT
    if not call.client.own_base:
        last_agent = await look_up_last_agent(call, None, call.from_number, until)
        count, followups = await look_up_followups(call, None, until)
        if call.known.customer is None:
            call.known = replace(call.known, last_agent=last_agent, open_followups=count, followups=tuple(followups))
        return
    try:
        async with asyncio.timeout_at(until):
            match, found = await services.customers.find(
                client, call.from_number, call.client.customers, attested=leg.attested
            )
            customer = found[0] if match is Match.SURE else None
            if customer is not None:
                recent = await services.interactions.recent_of_customer(client, customer.id, RECENT_INTERACTIONS)
                note = await services.notes.last_of_customer(client, customer.id)
    except (TimeoutError, StorageError):
        return
    last_agent = await look_up_last_agent(call, customer, call.from_number, until)
    count, followups = await look_up_followups(call, customer, until)
    if call.known.customer is not None and match is not Match.SURE:
        return  # a CRM was quicker, and is sure
    call.known = CallerKnown(match, tuple(found), tuple(recent), last_agent, note, count, tuple(followups), "number")
    if match is not Match.NONE:
        call.add(CustomerFound(customer.id if customer is not None else "", match, attested=leg.attested))


async def look_up_account(call: Call, digits: str) -> bool:
    """Ask whose account this is; from then on the caller is that customer. False: it is nobody's of this company.

    True also without an answer in time: that is no fault of the caller's, who stays whoever they were. And where the
    company's customers are not in our base: its own is asked beside the call.
    """
    if not call.client.own_base:
        return True
    services, client = call.services, call.client.id
    until = asyncio.get_running_loop().time() + LOOK_UP_LIMIT
    try:
        async with asyncio.timeout_at(until):
            customer = await services.customers.find_account(client, digits)
            if customer is None:
                return False
            recent = await services.interactions.recent_of_customer(client, customer.id, RECENT_INTERACTIONS)
            note = await services.notes.last_of_customer(client, customer.id)
    except (TimeoutError, StorageError):
        return True
    # The telephone may be somebody else's.
    last_agent = await look_up_last_agent(call, customer, "", until)
    count, followups = await look_up_followups(call, customer, until)
    call.known = CallerKnown(
        Match.SURE, (customer,), tuple(recent), last_agent, note, count, tuple(followups), "account"
    )
    call.add(CustomerFound(customer.id, Match.SURE, "account"))
    return True


async def look_up_followups(call: Call, customer: Customer | None, until: float) -> tuple[int, list[Followup]]:
    """What is still to be done for this customer, or this number: how many, and the next; nothing without an answer
    ``until`` then, by the loop's time.
    """
    services = call.services
    try:
        async with asyncio.timeout_at(until):
            leg, rules = call.caller.leg, call.client.customers
            # What is noted of a number is shown to an agent for whom the network, or the client, takes it to be theirs.
            known = leg.attested or rules.unattested is Match.SURE
            number = services.do_not_call.number_of(call) if known else None
            return await services.followups.of_caller(
                call.client.id, customer.id if customer is not None else "", number or ""
            )
    except (TimeoutError, StorageError):
        return 0, []


async def look_up_last_agent(call: Call, customer: Customer | None, number: str, until: float) -> str:
    """Who answered this customer, or this number, last; asked here, so that nobody's phone has to wait for it.

    Empty when nobody did within the time that counts, when nothing in the configuration wants to know, and without an
    answer ``until`` then, by the loop's time.
    """
    settings, services = call.settings, call.services
    if LAST_AGENT not in settings.preferred and LAST_AGENT not in call.client.routing.prefer:
        return ""
    since = services.clock.now() - timedelta(seconds=call.client.routing.last_agent_within)
    try:
        async with asyncio.timeout_at(until):
            return await services.interactions.last_agent(
                call.client.id,
                since,
                customer=customer.id if customer is not None else "",
                number=number if caller_number(number) else "",
            )
    except (TimeoutError, StorageError):
        return ""
