"""The bridge: caller and agent talk, hold, and part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum

from callcenter.calls.call import Call
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.party import Party
from callcenter.calls.transfer import Handover, take_referral
from callcenter.media.plane import Clip
from callcenter.runtime.scopes import Background
from callcenter.signaling.leg import EndedBy
from callcenter.signaling.referral import Referral
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri

# A phone that holds may be silent for long: it is asked so often whether it is there, and is lost when it owes two
# answers (each is waited for 32 s, RFC 3261 timer F; one may get lost with a connection that is made anew).
ASK_EVERY = 15.0
OWED = 2


class TalkEnd(Enum):
    """Who or what ended the talk, the caller's hang-up apart: that leaves the whole call."""

    AGENT_HUNG_UP = "agent hung up"
    AGENT_LOST = "agent lost"
    TOO_LATE = "too late"
    NEVER_BEGAN = "never began"


async def talk(
    call: Call, agent: Party, waiting: Waiting, in_hand: OfferInHand, music: Sequence[Clip]
) -> TalkEnd | Handover:
    """Bridge both parties until the agent's side ends, or hands the caller over.

    The caller's hang-up leaves this block from outside.
    """
    caller, offer = call.caller, in_hand.offer
    caller.sound.stop()
    await caller.sound.session.bridge(agent.sound.session)
    if agent.leg.ending is not None:
        return TalkEnd.NEVER_BEGAN
    waiting.connected(offer)
    if call.handover is not None:
        call.handover.done()
    call.stage = f"talking to {offer.agent_id}"

    def hold_changed(party: Party) -> None:
        other = agent if party is caller else caller
        if party.holds:
            other.sound.start(music, loop=True)
        else:
            other.sound.stop()
        waiting.hold_changed(offer, party.side, holds=party.holds)

    caller.on_hold = agent.on_hold = hold_changed
    for party in (caller, agent):
        if party.holds:
            hold_changed(party)
    handed_over: asyncio.Future[Handover] = asyncio.get_running_loop().create_future()

    def referred(referral: Referral) -> None:
        handover = take_referral(call, offer, agent, referral)
        if handover is not None:
            call.handover = handover
            handed_over.set_result(handover)

    agent.leg.on_refer = referred
    missed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def look_after_holder() -> None:
        await lost_while_holding(call, agent, offer.agent_id)
        missed.set_result(None)

    beside = Background(limit=1)
    beside.start(look_after_holder(), name=f"holds of {offer.agent_id}")
    try:
        await asyncio.wait(
            (agent.leg.ended, agent.sound.trouble, in_hand.withdrawn, missed, handed_over),
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        beside.cancel()
        caller.on_hold = agent.on_hold = None
        agent.leg.on_refer = None
    if handed_over.done():
        # First of all: a phone may hang up in the moment in which it has asked for the transfer.
        return handed_over.result()
    if in_hand.withdrawn.done():
        return TalkEnd.TOO_LATE
    if agent.leg.ended.done() and agent.leg.ended.result().by is EndedBy.PEER:
        return TalkEnd.AGENT_HUNG_UP
    return TalkEnd.AGENT_LOST


async def lost_while_holding(call: Call, agent: Party, agent_id: str) -> None:
    """Wait until the agent's phone, which holds and need not send sound, does not answer any more either."""
    owed = 0
    while owed < OWED:
        await asyncio.sleep(ASK_EVERY)
        owed = owed + 1 if agent.holds and not await phone_answers(call, agent_id) else 0


async def phone_answers(call: Call, agent_id: str) -> bool:
    """Whether the agent's phone answers anything at all to an OPTIONS (RFC 3261 11)."""
    binding = call.services.phone_of(agent_id)
    if binding is None:
        return False
    user_agent, flow = call.services.user_agent, binding.flow
    here = NameAddr.parse(user_agent.contact(flow, None)).uri
    to = NameAddr(Uri(user=agent_id, host=here.host))
    answer = await user_agent.request(
        "OPTIONS", binding.contact, flow, from_=NameAddr(Uri(host=here.host)), to=to, routes=binding.path
    )
    return answer is not None
