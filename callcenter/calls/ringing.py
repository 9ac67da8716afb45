"""Ringing an agent for a waiting caller, or several at once: the screen pop first, then the phones, all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from callcenter.acd.events import Offer
from callcenter.calls.call import Call
from callcenter.calls.codecs import codecs_of_agent
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.fork import ELSEWHERE, Failed, first_answer, hang_up
from callcenter.calls.heard import watch_agent
from callcenter.calls.party import Party
from callcenter.calls.pulling import Ringing, answer_beside, binding_of, tell_pull
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
    Leg,
    NoAnswer,
    Rejected,
    Unreachable,
)
from callcenter.sip.headers import NameAddr
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri

# What asks a phone to take the call by itself, each way that phones know: RFC 5373 4 (Answer-Mode), the parameter of
# Call-Info that Polycom, Snom and many softphones read, and the Alert-Info of Cisco, Yealink and Grandstream. None is
# required: a phone that knows none of them rings.
TAKE_IT_YOURSELF = (
    ("Answer-Mode", "Auto"),
    ("Call-Info", "<sip:offer.invalid>;answer-after=0"),
    ("Alert-Info", "<http://offer.invalid>;info=alert-autoanswer;delay=0"),
)


async def ring_agent(
    call: Call, waiting: Waiting, in_hand: OfferInHand, on_ringing: Callable[[], None] | None = None
) -> Party | None:
    """Tell the agent's screen, ring the phones, and return the agent who picked one up.

    None when the offer came to nothing: then it was given back, and the caller keeps the place. There is one sound
    whichever phone it will be: who answers first says where it goes. ``on_ringing`` is called once.
    """
    with contextlib.ExitStack() as undo:
        return await _ring(call, waiting, in_hand, on_ringing, undo, ())


async def ring_all(
    call: Call, waiting: Waiting, rung: Sequence[OfferInHand], on_ringing: Callable[[], None] | None = None
) -> tuple[OfferInHand, Party] | None:
    """Ring several agents, each as :func:`ring_agent` does; the first who picks up has the caller.

    The phones of the others stop, and show no missed call. None when all came to nothing.
    """
    told: asyncio.Queue[tuple[OfferInHand, Party | None]] = asyncio.Queue()
    rings = False

    def once() -> None:
        nonlocal rings
        if not rings and on_ringing is not None:
            on_ringing()
        rings = True

    async def ring(in_hand: OfferInHand, undo: contextlib.ExitStack) -> None:
        rivals = [each for each in rung if each is not in_hand]
        agent: Party | None = None
        try:
            agent = await _ring(call, waiting, in_hand, once, undo, rivals)
        finally:
            # Told whatever came of it, also of a mistake of ours: the caller waits for as many words as phones ring.
            undo.close()
            told.put_nowait((in_hand, agent))

    def let_go() -> None:
        """Whoever picked up in the moment in which the caller hung up talks to nobody."""
        while not told.empty():
            _, agent = told.get_nowait()
            if agent is not None:
                agent.close()

    beside = Background(limit=len(rung))
    # What the tasks hold is let go here and at once, also when the caller hangs up: they would come to it too late.
    with contextlib.ExitStack() as all_of_them:
        all_of_them.callback(let_go)
        all_of_them.callback(beside.cancel)
        for in_hand in rung:
            undo = all_of_them.enter_context(contextlib.ExitStack())
            beside.start(ring(in_hand, undo), name=f"ringing {in_hand.offer.agent_id} for {call.id}")
        for _ in rung:
            in_hand, agent = await told.get()
            if agent is not None:
                return in_hand, agent
    return None


async def _ring(
    call: Call,
    waiting: Waiting,
    in_hand: OfferInHand,
    on_ringing: Callable[[], None] | None,
    undo: contextlib.ExitStack,
    rivals: Sequence[OfferInHand],
) -> Party | None:
    """Ring an agent; what is held meanwhile is on ``undo``, and off it when he has picked up before the rivals."""
    services, offer = call.services, in_hand.offer
    phones = services.phones_of(offer.agent_id)
    if not phones:
        waiting.give_back(offer, OfferResult.UNREACHABLE, "no phone registered")
        return None
    sound = Sound()
    watch_agent(call, offer, sound)
    undo.callback(sound.release)
    try:
        pop = SentPop(call, offer)
        undo.callback(pop.close)
        flow = next((phone.flow for phone in phones if phone.flow.transport.private), phones[0].flow)
        # Whoever is called back has none yet.
        beside = call.caller.sound if call.caller.sound.is_open else None
        codecs = codecs_of_agent(services, offer.agent_id)
        await sound.open(services.plane, call.id, flow, offer=None, beside=beside, codecs=codecs)
        await pop.confirmed()
        if in_hand.withdrawn.done():
            return None
        legs = [dial(call, offer, binding, sound) for binding in phones]
        undo.callback(lambda: hang_up(legs, cause=ELSEWHERE if rivals and in_hand.withdrawn.done() else ""))
        # A phone may move its sound while it rings (RFC 3311); where several share one sound, none may.
        party = Party(Side.AGENT, legs[0], sound, phones[0]) if len(legs) == 1 else None
        if party is not None:
            undo.callback(party.close)

        def rang() -> None:
            waiting.rang(offer)
            if on_ringing is not None:
                on_ringing()

        leg = await pick_up(in_hand, legs, rang)
        if in_hand.withdrawn.done():
            return None
        if not isinstance(leg, Leg):
            waiting.give_back(offer, *failure(leg))
            return None
        if leg.incoming:
            return await take_pulled(call, waiting, in_hand, leg, rivals)
        sound.signalled_from = leg.flow.remote.host
        if party is None:
            party = Party(Side.AGENT, leg, sound, phones[legs.index(leg)])
            undo.callback(party.close)
        answer = await leg.outcome()
        if not isinstance(answer, Answered) or answer.sdp is None:
            raise BadDescription("its answer has no session description")
        await sound.take_answer(answer.sdp, leg.flow)
    except NoCapacity as error:
        waiting.give_back(offer, OfferResult.LOST_RACE, str(error))
        return None
    except (BadDescription, NotAcceptable) as error:
        waiting.give_back(offer, OfferResult.UNREACHABLE, f"no sound with this phone: {error}")
        return None
    if in_hand.withdrawn.done():
        return None
    for rival in rivals:
        rival.withdraw(OfferResult.LOST_RACE)
    waiting.picked_up(offer)
    undo.pop_all()
    return party


async def take_pulled(
    call: Call, waiting: Waiting, in_hand: OfferInHand, leg: Leg, rivals: Sequence[OfferInHand]
) -> Party | None:
    """The agent has picked up by a phone that did not ring, and called in the place of one that did."""
    offer = in_hand.offer
    sound = await answer_beside(call, leg, call.caller.sound, lambda sound: watch_agent(call, offer, sound))
    if sound is None:
        waiting.give_back(offer, OfferResult.UNREACHABLE, "no sound with the phone that called in its place")
        return None
    party = Party(Side.AGENT, leg, sound, binding_of(leg, call.services.phones_of(offer.agent_id)))
    if in_hand.withdrawn.done():
        party.close()
        return None
    party.opened()
    for rival in rivals:
        rival.withdraw(OfferResult.LOST_RACE)
    waiting.picked_up(offer)
    tell_pull(call, leg, offer)
    return party


def dial(call: Call, offer: Offer, binding: Binding, sound: Sound) -> Leg:
    """Send the INVITE: who calls, and a display name that says for which company to answer, or which colleague.

    A phone is asked to take by itself what a queue brings, never a colleague who dials.
    """
    user_agent, flow, agent = call.services.user_agent, binding.flow, offer.agent_id
    by_itself = bool(offer.queue) and agent in call.services.settings.auto_answer
    here = NameAddr.parse(user_agent.contact(flow, None)).uri
    description, insisting = sound.offer_to(flow)
    return user_agent.dial(
        binding.contact,
        flow,
        from_=NameAddr(Uri(user=call.from_number or "anonymous", host=here.host), call.shown_name),
        to=NameAddr(Uri(user=agent, host=here.host)),
        sdp=description,
        or_else=insisting,
        routes=binding.path,
        max_forwards=call.caller.leg.max_forwards,
        headers=TAKE_IT_YOURSELF if by_itself else (),
        user=agent,
    )


async def pick_up(in_hand: OfferInHand, legs: Sequence[Leg], on_ringing: Callable[[], None]) -> Leg | Failed:
    """Wait until a phone is answered or all have refused, or the ACD takes the offer back.

    Or another phone of the agent calls in the place of one that rings: then that is the leg, and an incoming one.
    """
    with Ringing(legs) as ringing:
        async with until(in_hand.withdrawn), until(ringing.pulled):
            return await first_answer(legs, on_ringing)
        if ringing.pulled.done() and not in_hand.withdrawn.done():
            hang_up(legs, cause=ELSEWHERE)
            return ringing.claim()
    return Cancelled()


def failure(outcome: Failed) -> tuple[OfferResult, str]:
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
        case Cancelled():
            return OfferResult.LOST_RACE, "taken back"
