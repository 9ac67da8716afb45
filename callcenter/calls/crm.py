"""Who is calling, as the company's own CRM says: told while the call is under way, and waited for by nobody."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from callcenter.calls.call import CRM, CRM_ACCOUNT, Call
from callcenter.calls.known import ask, known
from callcenter.model.customer import Customer, Match
from callcenter.model.facts import CustomerFound


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
    # Who entered an account may call by somebody else's telephone.
    found = await ask(call, lambda _: (Match.SURE, (customer,)), "" if by_account else call.from_number)
    # Meanwhile the call may have heard of somebody else.
    if (word := _word(call, customer, by_account=by_account)) is Learnt.TAKEN:
        by = CRM_ACCOUNT if by_account else CRM
        call.known = replace(known(found, by), match=Match.SURE, customers=(customer,))
        call.add(CustomerFound(customer.id, Match.SURE, by))
        call.show_again()
    return word


def _word(call: Call, customer: Customer, *, by_account: bool) -> Learnt:
    before = call.known
    if before.customer is None:
        return Learnt.TAKEN
    if before.customer == customer:
        return Learnt.KNOWN
    better = before.by in ("account", CRM_ACCOUNT) if not by_account else before.by == "account"
    return Learnt.KNOWN_BETTER if better or (before.by == "number" and not by_account) else Learnt.TAKEN
