"""Who is calling: the customer base is asked, by the caller's number, or by the account that they entered."""

from __future__ import annotations

import asyncio
from typing import Any

from callcenter.calls.call import Call, CallerKnown
from callcenter.model.customer import Match
from callcenter.model.facts import CustomerFound
from callcenter.storage.database import StorageError

# The customer base is asked before the greeting; a slow disk must not keep the caller in silence.
LOOK_UP_LIMIT = 0.3
RECENT_INTERACTIONS = 5


async def look_up_number(call: Call) -> None:
    """Ask who has the caller's number; without an answer in time the caller is unknown.

    Who withholds the number is not looked for by it either: the name on the agent's screen would tell as much.
    """
    if call.caller.leg.withheld:
        return
    services, client = call.services, call.client.id
    recent: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(LOOK_UP_LIMIT):
            match, found = await services.customers.find(client, call.from_number)
            if match is Match.SURE:
                recent = await services.interactions.recent_of_customer(client, found[0].id, RECENT_INTERACTIONS)
    except (TimeoutError, StorageError):
        return
    call.known = CallerKnown(match, tuple(found), tuple(recent))
    if match is not Match.NONE:
        call.add(CustomerFound(found[0].id if match is Match.SURE else "", match))


async def look_up_account(call: Call, digits: str) -> bool:
    """Ask whose account this is; from then on the caller is that customer. False: it is nobody's of this company.

    True also without an answer in time: that is no fault of the caller's, who stays whoever they were.
    """
    services, client = call.services, call.client.id
    try:
        async with asyncio.timeout(LOOK_UP_LIMIT):
            customer = await services.customers.find_account(client, digits)
            if customer is None:
                return False
            recent = await services.interactions.recent_of_customer(client, customer.id, RECENT_INTERACTIONS)
    except (TimeoutError, StorageError):
        return True
    call.known = CallerKnown(Match.SURE, (customer,), tuple(recent))
    call.add(CustomerFound(customer.id, Match.SURE, "account"))
    return True
