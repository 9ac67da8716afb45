"""Calling back: a callback's turn: it stands in line, an agent picks up, the customer is dialled, and both talk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from callcenter.acd.events import Ticket, TicketExpired, TicketRefused
from callcenter.acd.requirements import parse
from callcenter.acd.settings import QUEUE_RENAMED
from callcenter.calls.call import Call
from callcenter.calls.callback import Pending
from callcenter.calls.dispatcher import HowLeft, LeftByKey, OfferInHand, SentOn, Waiting
from callcenter.calls.flow import go_on
from callcenter.calls.heard import watch_caller
from callcenter.calls.known import look_up_account, look_up_number
from callcenter.calls.line import visit_name
from callcenter.calls.outside import NotReached, Reached, dial_outside
from callcenter.calls.own_call import not_reached
from callcenter.calls.party import Party
from callcenter.calls.queueing import (
    AgentLost,
    FlowedOut,
    HandedOver,
    converse,
    ring,
    sent_to,
    serve,
    still_there,
    wait_in_queue,
)
from callcenter.calls.settings import ToQueue
from callcenter.calls.transfer import Handover
from callcenter.calls.whisper import whisper, words_for
from callcenter.model.facts import CallAnswered
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side, VisitOutcome
from callcenter.runtime.scopes import until
from callcenter.signaling.outcome import Answered, Busy, Cancelled, Declined, DialOutcome, NoAnswer, Rejected

Talked = Ending | FlowedOut | HandedOver | AgentLost | SentOn


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody picked up, in a word why; and how the call ends by it."""

    cause: str
    ending: Ending


async def call_back(call: Call, each: Pending) -> Ending:
    """Stand in line on the kept place, and bring agent and customer together.

    The agent comes first: a customer who picks up hears somebody at once, and nobody is dialled for whom nobody has
    time. Who was reached is a caller like any other from then on.
    """
    value = each.value
    call.stage = "in line to be called back"
    if not value.account or not await look_up_account(call, value.account):
        await look_up_number(call)
    assert call.line is not None, "a callback has a place"
    call.visits += 1
    ticket = call.ticket = Ticket(
        id=call.services.ids.new(),
        call_id=call.id,
        queue=value.queue,
        client=value.client,
        requirements=parse(value.needs),
        priority=value.priority,
        first_joined=call.line.first_joined,
        prefer=value.prefer,
        callback=value.id,
        number=call.visits,
        place_of=call.line.visit,
    )
    call.line.visit = visit_name(call.id, call.visits)
    step = ToQueue(value.queue, priority=value.priority, keep_place=True)
    end: Talked
    with call.services.dispatcher.queued(ticket, lambda: how_left(call, each)) as waiting:
        end = await take_offers(call, each, step, waiting)
    if isinstance(end, AgentLost | FlowedOut | HandedOver | SentOn):
        return await with_customer(call, step, end)
    return end


def how_left(call: Call, each: Pending) -> HowLeft:
    """What it is for the visit when the turn is left here and now: as long as nobody was reached, the place is kept."""
    left = call.how_left()
    if call.caller.leg.answered or left.cause in (EndCause.ERROR, EndCause.MEDIA_FAILED):
        return left
    return HowLeft(left.by, left.cause, VisitOutcome.FLOWED_OUT, each.why or left.cause.value)


async def take_offers(call: Call, each: Pending, step: ToQueue, waiting: Waiting) -> Talked:
    """Take offers until the customer was dialled; who leaves the queue otherwise stays to be called back."""
    while True:
        match await waiting.next():
            case OfferInHand() as in_hand:
                end = await take_offer(call, each, step, waiting, in_hand)
                if end is not None:
                    return end
            case TicketExpired(reason=reason) | TicketRefused(reason=reason):
                if reason == QUEUE_RENAMED:
                    each.why = reason  # it goes on at once, under the new name
                return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, reason)
            case LeftByKey() | SentOn():
                raise AssertionError("nobody is there to press a key, or to be sent elsewhere")


async def take_offer(call: Call, each: Pending, step: ToQueue, waiting: Waiting, in_hand: OfferInHand) -> Talked | None:
    """Ring the agent, dial the customer, and let both talk; None when no agent took it, and the place is kept.

    What the agent is told of the customer is told before the dialling: whoever picks up then hears somebody at once.
    """
    rung = waiting.rung_with(in_hand)
    if not rung:
        return None
    taken = await ring(call, waiting, rung)
    if taken is None:
        return None
    in_hand, agent = taken
    try:
        words = words_for(call, in_hand.offer.queue, in_hand.offer.agent_id)
        if words:
            await whisper(agent, words, in_hand)
            if not still_there(call, agent, waiting, in_hand):
                return None
        reached = await dial_customer(call, each, agent, in_hand)
        if in_hand.withdrawn.done() and not isinstance(reached, Reached):
            waiting.too_late()
        if isinstance(reached, Failed):
            # The visit first: it was not the agent who refused, and nobody else is offered the customer at once.
            waiting.leave(VisitOutcome.FLOWED_OUT, reached.cause)
            waiting.talk_ended(reached.ending.by, reached.ending.cause)
            return reached.ending
        return await with_both(call, step, waiting, in_hand, agent, reached)
    finally:
        if not waiting.handed_on and (call.handover is None or call.handover.party is not agent):
            agent.close()


async def dial_customer(call: Call, each: Pending, agent: Party, in_hand: OfferInHand) -> Reached | Failed:
    """Dial the customer while the agent, phone in hand, hears it ring. An attempt is told before, and counts."""
    callbacks, value, client = call.services.callbacks, each.value, call.client
    assert client.callbacks is not None, "the company calls nobody back"
    call.stage = f"calling back {value.number}"
    if not await callbacks.attempt(each, call, in_hand.offer):
        return Failed("not_dialled", Ending(Side.SYSTEM, EndCause.CANCELLED, 480, "it was not dialled"))
    reached: Reached | NotReached | None = None
    timed_out = False
    async with until(agent.leg.ended), until(agent.sound.trouble), until(in_hand.withdrawn):
        try:
            async with asyncio.timeout(client.callbacks.ring_for):
                reached = await dial_outside(
                    call.services,
                    client,
                    value.number,
                    call.id,
                    beside=agent.sound,
                    meanwhile=call.settings.prompts.ringback,
                )
        except TimeoutError:
            timed_out = True
    if isinstance(reached, Reached):
        callbacks.reached(each, call)
        return reached
    if isinstance(reached, NotReached):
        failed = Failed(cause_of(reached.outcome), Ending(*not_reached(reached.outcome), reached.detail))
    elif timed_out:
        failed = Failed("no_answer", Ending(Side.OUTSIDE, EndCause.REJECTED, 480, "rang too long"))
    else:
        failed = Failed("agent_gone", Ending(Side.AGENT, EndCause.AGENT_HANGUP, 0, "before the customer answered"))
    callbacks.failed(each, call.id, failed.cause, failed.ending.detail)
    return failed


async def with_both(
    call: Call, step: ToQueue, waiting: Waiting, in_hand: OfferInHand, agent: Party, reached: Reached
) -> Talked:
    """The customer picked up: from now on they are the caller. Without an agent any more they wait on, to music."""
    customer = call.caller = reached.party
    customer.side = Side.CALLER
    watch_caller(call)
    call.add(CallAnswered())
    end: Talked | Handover | None = None
    async with until(customer.leg.ended), until(customer.sound.trouble):
        music = call.settings.prompts.music(call.settings.treatments[step.queue].music)
        call.waits_by = step
        end = await converse(call, agent, waiting, in_hand, music)
        if end is None:
            end = await serve(call, step, waiting)
    if isinstance(end, Handover):
        return HandedOver(step)
    return end or call.ended_outside() or Ending(Side.SYSTEM, EndCause.ERROR, 500, "the callback left no ending")


async def with_customer(call: Call, step: ToQueue, end: AgentLost | FlowedOut | HandedOver | SentOn) -> Ending:
    """Go on with the customer behind the talk, or the line: they wait again, are put through, or hear what follows."""
    ending: Ending | None = None
    async with until(call.caller.leg.ended), until(call.caller.sound.trouble):
        match end:
            case AgentLost():
                then = await wait_in_queue(call, step)
            case SentOn(agent=agent):
                step = sent_to(call, step, end)
                then = await wait_in_queue(call, step, agent, sent=bool(agent))
            case _:
                then = end
        ending = await go_on(call, step, then)
    return ending or call.ended_outside() or Ending(Side.SYSTEM, EndCause.ERROR, 500, "the callback left no ending")


def cause_of(outcome: DialOutcome) -> str:
    """Why nobody picked up, in a word."""
    match outcome:
        case Busy():
            return "busy"
        case NoAnswer() | Cancelled() | Answered():
            return "no_answer"
        case Declined():
            return "declined"
        case Rejected():
            return "rejected"
        case _:
            return "unreachable"
