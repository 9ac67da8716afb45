"""Who is calling: the customer base is asked, by the caller's number, or by the account that they entered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from callcenter.calls.call import Call, CallerKnown
from callcenter.calls.settings import LAST_AGENT
from callcenter.model.customer import Customer, Match, caller_number
from callcenter.model.facts import CustomerFound
from callcenter.storage.callers import Found, Wanted, Who
from callcenter.storage.customers import of_account, of_number
from callcenter.storage.database import Reading

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
    leg, client = call.caller.leg, call.client
    if not client.own_base:
        found = await ask(call, nobody, call.from_number)
        if call.known.customer is None:
            call.known = known(found, "")
        return

    def who(reading: Reading) -> tuple[Match, Sequence[Customer]]:
        return of_number(reading, client.id, call.from_number, client.customers, attested=leg.attested)

    found = await ask(call, who, call.from_number)
    if found.match is None:
        return
    if call.known.customer is not None and found.match is not Match.SURE:
        return  # a CRM was quicker, and is sure
    call.known = known(found, "number")
    if found.match is not Match.NONE:
        customer = found.customer
        call.add(CustomerFound(customer.id if customer is not None else "", found.match, attested=leg.attested))


async def look_up_account(call: Call, digits: str) -> bool:
    """Ask whose account this is; from then on the caller is that customer. False: it is nobody's of this company.

    True also without an answer in time: that is no fault of the caller's, who stays whoever they were. And where the
    company's customers are not in our base: its own is asked beside the call.
    """
    if not call.client.own_base:
        return True

    def who(reading: Reading) -> tuple[Match, Sequence[Customer]]:
        customer = of_account(reading, call.client.id, digits)
        return (Match.NONE, ()) if customer is None else (Match.SURE, (customer,))

    # The telephone may be somebody else's.
    found = await ask(call, who, "")
    if found.match is None:
        return True
    if found.customer is None:
        return False
    call.known = known(found, "account")
    call.add(CustomerFound(found.customer.id, Match.SURE, "account"))
    return True


async def ask(call: Call, who: Who, number: str) -> Found:
    """Who it is, their last calls and note, who answered them, or this ``number``, last, and what is to be done yet.

    Asked all at once, and here, so that nobody's phone has to wait for it. What nothing in the configuration wants to
    know is not asked, nor is the last agent beyond the time that counts.
    """
    services, client, leg = call.services, call.client, call.caller.leg
    since = None
    if LAST_AGENT in call.settings.preferred or LAST_AGENT in client.routing.prefer:
        since = services.clock.now() - timedelta(seconds=client.routing.last_agent_within)
    # What is noted of a number is shown to an agent for whom the network, or the client, takes it to be theirs.
    theirs = leg.attested or client.customers.unattested is Match.SURE
    wanted = Wanted(
        client.id,
        RECENT_INTERACTIONS,
        number=number if caller_number(number) else "",
        last_agent_since=since,
        followups=services.followups.any_open(client.id),
        followups_of=(services.do_not_call.number_of(call) if theirs else None) or "",
    )
    return await services.callers.look_up(who, wanted, LOOK_UP_LIMIT)


def nobody(_: Reading) -> tuple[Match, Sequence[Customer]]:
    """Whom our own base does not know: what else is known of them is asked for."""
    return Match.NONE, ()


def known(found: Found, by: str) -> CallerKnown:
    """What was found of who calls, whom we know ``by`` that."""
    return CallerKnown(
        found.match or Match.NONE,
        found.customers,
        found.recent,
        found.last_agent,
        found.note,
        found.open_followups,
        found.followups,
        by,
    )
