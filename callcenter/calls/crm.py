"""Who is calling, as the company's own CRM says: told while the call is under way, and waited for by nobody."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from callcenter.calls.call import CRM, CRM_ACCOUNT, Call, CallerKnown
from callcenter.calls.known import LOOK_UP_LIMIT, RECENT_INTERACTIONS, look_up_followups, look_up_last_agent
from callcenter.model.customer import Customer, Match
from callcenter.model.facts import CustomerFound
from callcenter.storage.database import StorageError


class Learnt(StrEnum):
    """What came of the CRM's word: it was taken, or we know better, or it is what we knew."""

    TAKEN = "taken"
    KNOWN_BETTER = "known_better"
    KNOWN = "known"


async def learn(call: Call, customer: Customer, *, by_account: bool) -> Learnt:
    """Take a CRM's word for who calls, unless a better is known, and show it to whoever has the call on the screen.

    Our own base has the say where it is sure; but who enters an account is whose account it is. What the customer asks
    of the routing holds for queues that the call joins from now on.
    """
    if (word := _word(call, customer, by_account=by_account)) is not Learnt.TAKEN:
        return word
    services, client = call.services, call.client.id
    until = asyncio.get_running_loop().time() + LOOK_UP_LIMIT
    try:
        async with asyncio.timeout_at(until):
            recent = await services.interactions.recent_of_customer(client, customer.id, RECENT_INTERACTIONS)
            note = await services.notes.last_of_customer(client, customer.id)
    except (TimeoutError, StorageError):
        recent, note = [], None
    # Who entered an account may call by somebody else's telephone.
    number = "" if by_account else call.from_number
    last_agent = await look_up_last_agent(call, customer, number, until)
    count, followups = await look_up_followups(call, customer, until)
    # Meanwhile the call may have heard of somebody else.
    if (word := _word(call, customer, by_account=by_account)) is Learnt.TAKEN:
        by = CRM_ACCOUNT if by_account else CRM
        call.known = CallerKnown(Match.SURE, (customer,), tuple(recent), last_agent, note, count, tuple(followups), by)
        call.add(CustomerFound(customer.id, Match.SURE, by))
        call.show_again()
    return word


def _word(call: Call, customer: Customer, *, by_account: bool) -> Learnt:
    known = call.known
    if known.customer is None:
        return Learnt.TAKEN
    if known.customer == customer:
        return Learnt.KNOWN
    better = known.by in ("account", CRM_ACCOUNT) if not by_account else known.by == "account"
    return Learnt.KNOWN_BETTER if better or (known.by == "number" and not by_account) else Learnt.TAKEN
