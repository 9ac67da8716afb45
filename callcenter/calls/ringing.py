"""Ringing one agent for a waiting caller: the screen pop first, then the phone."""

from __future__ import annotations

import asyncio
import contextlib

from callcenter.calls.call import Call
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.heard import watch_agent
from callcenter.calls.party import Party
from callcenter.calls.screen_pop import SentPop
from callcenter.calls.sound import Sound
from callcenter.media.plane import BadDescription, NoCapacity, NotAcceptable
from callcenter.model.states import OfferResult, Side
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.leg import (
    Answered,
    Busy,
    Cancelled,
    Declined,
    DialOutcome,
    Leg,
    NoAnswer,
    Rejected,
    Unreachable,
)
from callcenter.sip.headers import NameAddr
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri

# A phone that is there answers an INVITE with 100 or 180 at once; by now it was sent four times (RFC 3261 timer A).
SIGN_OF_LIFE = 4.0


async def ring_agent(call: Call, waiting: Waiting, in_hand: OfferInHand) -> Party | None:
    """Tell the agent's screen, ring the phone, and return the agent who picked up.

    None when the offer came to nothing: then it was given back, and the caller keeps the place.
    """
    services, offer = call.services, in_hand.offer
    binding = services.phone_of(offer.agent_id)
    if binding is None:
        waiting.give_back(offer, OfferResult.UNREACHABLE, "no phone registered")
        return None
    with contextlib.ExitStack() as undo:
        sound = Sound()
        watch_agent(call, offer, sound)
        undo.callback(sound.release)
        try:
            pop = SentPop(call, offer)
            undo.callback(pop.close)
            await sound.open(services.plane, call.id, binding.flow, offer=None, beside=call.caller.sound)
            await pop.confirmed()
            if in_hand.withdrawn.done():
                return None
            party = Party(Side.AGENT, dial(call, offer.agent_id, binding, sound), sound)
            undo.callback(party.close)
            outcome = await pick_up(waiting, in_hand, party.leg)
            if in_hand.withdrawn.done():
                return None
            if not isinstance(outcome, Answered):
                waiting.give_back(offer, *failure(outcome))
                return None
            if outcome.sdp is None:
                raise BadDescription("its answer has no session description")
            await sound.take_answer(outcome.sdp, party.leg.flow)
        except NoCapacity as error:
            waiting.give_back(offer, OfferResult.LOST_RACE, str(error))
            return None
        except (BadDescription, NotAcceptable) as error:
            waiting.give_back(offer, OfferResult.UNREACHABLE, f"no sound with this phone: {error}")
            return None
        waiting.picked_up(offer)
        undo.pop_all()
        return party


def dial(call: Call, agent: str, binding: Binding, sound: Sound) -> Leg:
    """Send the INVITE: the caller's number, and a display name that says for which company to answer."""
    user_agent, flow = call.services.user_agent, binding.flow
    here = NameAddr.parse(user_agent.contact(flow, None)).uri
    description, insisting = sound.offer_to(flow)
    return user_agent.dial(
        binding.contact,
        flow,
        from_=NameAddr(Uri(user=call.from_number or "anonymous", host=here.host), call.client.name),
        to=NameAddr(Uri(user=agent, host=here.host)),
        sdp=description,
        or_else=insisting,
        routes=binding.path,
    )


async def pick_up(waiting: Waiting, in_hand: OfferInHand, leg: Leg) -> DialOutcome:
    """Wait until the phone is answered or refuses, or the ACD takes the offer back."""

    async def tell_ringing() -> None:
        await leg.ringing.wait()
        waiting.rang(in_hand.offer)

    beside = Background(limit=1)
    beside.start(tell_ringing(), name=f"ringing of {leg.id}")
    try:
        async with until(in_hand.withdrawn):
            try:
                async with asyncio.timeout(SIGN_OF_LIFE):
                    await leg.reached.wait()
            except TimeoutError:
                return Unreachable(408, "the phone gave no sign of life")
            return await leg.outcome()
        return Cancelled()
    finally:
        beside.cancel()


def failure(outcome: DialOutcome) -> tuple[OfferResult, str]:
    """What a dial that did not come to a talk means for the agent."""
    match outcome:
        case Busy(status=status):
            return OfferResult.BUSY, str(status)
        case Declined(status=status):
            return OfferResult.DECLINED, str(status)
        case NoAnswer(status=status):
            return OfferResult.NO_ANSWER, str(status)
        case Rejected(status=status, reason=reason) | Unreachable(status=status, reason=reason):
            return OfferResult.UNREACHABLE, f"{status} {reason}".strip()
        case Answered() | Cancelled():
            return OfferResult.LOST_RACE, "taken back"
