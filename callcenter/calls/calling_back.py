"""Calling back: a callback's turn: it stands in line, agent and customer are brought together, and both talk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from callcenter.acd.events import Ticket, TicketExpired, TicketRefused
from callcenter.acd.requirements import parse
from callcenter.acd.settings import QUEUE_RENAMED
from callcenter.calls.call import Call
from callcenter.calls.callback_pending import Pending
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
from callcenter.calls.screen_pop import SentPop
from callcenter.calls.settings import ToQueue
from callcenter.calls.transfer import Handover
from callcenter.calls.whisper import whisper, words_for
from callcenter.media.plane import Clip
from callcenter.model.callback import Mode
from callcenter.model.facts import CallAnswered
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side, VisitOutcome
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.outcome import Answered, Busy, Cancelled, Declined, DialOutcome, NoAnswer, Rejected

# An agent who says nothing is asked no longer, whatever the company's rules are (seconds).
LONGEST_PREVIEW = 600.0

Talked = Ending | FlowedOut | HandedOver | AgentLost | SentOn


class Declines(Enum):
    """What an agent does who does not want to call whom he is shown."""

    THIS_ONE = "this one"


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody picked up, in a word why; and how the call ends by it."""

    cause: str
    ending: Ending


async def call_back(call: Call, each: Pending) -> Ending:
    """Stand in line on the kept place, and bring agent and customer together.

    Mostly the agent comes first: a customer who picks up hears somebody at once. Where the customer is to come first,
    they are dialled while an agent is reserved for them alone. Nobody is dialled for whom nobody has time, and who was
    reached is a caller like any other from then on.
    """
    value = each.value
    if not value.account or not await look_up_account(call, value.account):
        await look_up_number(call)
    assert call.line is not None, "a callback has a place"
    step = ToQueue(value.queue, priority=value.priority, keep_place=True)
    while True:
        end = await stand_in_line(call, each, step)
        if end is not None:
            break
    if isinstance(end, AgentLost | FlowedOut | HandedOver | SentOn):
        return await with_customer(call, step, end)
    return end


async def stand_in_line(call: Call, each: Pending, step: ToQueue) -> Talked | None:
    """One visit to the queue; None when it goes on with another, as other agents are asked by then."""
    value, line = each.value, call.line
    assert line is not None, "a callback has a place"
    call.stage = "in line to be called back"
    without, asked_again_in = call.services.callbacks.previews.without(each)
    rules = call.client.callbacks
    reserved = 0.0
    if rules is not None and value.mode is Mode.CUSTOMER_FIRST:
        reserved = rules.ring_for + (rules.preview_for if value.preview else 0.0)
    call.visits += 1
    ticket = call.ticket = Ticket(
        id=call.services.ids.new(),
        call_id=call.id,
        queue=value.queue,
        client=value.client,
        requirements=parse(value.needs),
        priority=value.priority,
        first_joined=line.first_joined,
        prefer=value.prefer,
        prefer_for=preferred_for(call, each),
        callback=value.id,
        number=call.visits,
        place_of=line.visit,
        reserve_for=reserved,
        without=without,
    )
    line.visit = visit_name(call.id, call.visits)
    with call.services.dispatcher.queued(ticket, lambda: how_left(call, each)) as waiting:
        again = None if asked_again_in is None else asyncio.get_running_loop().time() + asked_again_in
        return await take_offers(call, each, step, waiting, again)


def preferred_for(call: Call, each: Pending) -> float:
    """How long the preferred agent alone is asked from now on, in seconds: it counts since the callback was due."""
    value = each.value
    if not value.prefer or not value.prefer_for:
        return 0.0
    waited = (call.services.clock.now() - value.first_joined_at).total_seconds()
    return max(0.0, value.prefer_for - max(0.0, waited))


def how_left(call: Call, each: Pending) -> HowLeft:
    """What it is for the visit when the turn is left here and now: as long as nobody was reached, the place is kept."""
    left = call.how_left()
    if call.caller.leg.answered or left.cause in (EndCause.ERROR, EndCause.MEDIA_FAILED):
        return left
    return HowLeft(left.by, left.cause, VisitOutcome.FLOWED_OUT, each.why or left.cause.value)


async def take_offers(call: Call, each: Pending, step: ToQueue, waiting: Waiting, again: float | None) -> Talked | None:
    """Take offers until the customer was dialled; who leaves the queue otherwise stays to be called back.

    None when an agent did not want to call them, or one who did not is asked ``again`` (by the loop's time).
    """
    while True:
        try:
            async with asyncio.timeout_at(again):
                news = await waiting.next()
        except TimeoutError:
            waiting.leave(VisitOutcome.FLOWED_OUT, "asked_again")
            return None
        match news:
            case OfferInHand() as in_hand:
                if each.value.mode is Mode.CUSTOMER_FIRST:
                    end = await dial_first(call, each, step, waiting, in_hand)
                else:
                    end = await take_offer(call, each, step, waiting, in_hand)
                if end is Declines.THIS_ONE:
                    return None
                if end is not None:
                    return end
            case TicketExpired(reason=reason) | TicketRefused(reason=reason):
                if reason == QUEUE_RENAMED:
                    each.why = reason  # it goes on at once, under the new name
                return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, reason)
            case LeftByKey() | SentOn():
                raise AssertionError("nobody is there to press a key, or to be sent elsewhere")


async def take_offer(
    call: Call, each: Pending, step: ToQueue, waiting: Waiting, in_hand: OfferInHand
) -> Talked | Declines | None:
    """Ring the agent, dial the customer, and let both talk; None when no agent took it, and the place is kept.

    What the agent is told of the customer is told before the dialling: whoever picks up then hears somebody at once.
    So is what he says of it, where he may decline.
    """
    rung = waiting.rung_with(in_hand)
    if not rung:
        return None
    with contextlib.ExitStack() as undo:
        verdict = None
        if each.value.preview:
            undo.callback(call.services.callbacks.previews.shown, each)
            verdict = call.services.callbacks.previews.show(each, in_hand.offer.agent_id)
        taken = await ring_or_not(call, waiting, rung, verdict)
        if taken is None and verdict is not None and says_no(verdict):
            return decline(call, each, waiting, in_hand)
        if taken is None:
            return None
        in_hand, agent = taken
        return await with_agent(call, each, step, waiting, in_hand, agent, verdict)


async def ring_or_not(
    call: Call, waiting: Waiting, rung: Sequence[OfferInHand], verdict: asyncio.Future[bool] | None
) -> tuple[OfferInHand, Party] | None:
    """Ring the agent, as long as he does not decline by his screen."""
    if verdict is None:
        return await ring(call, waiting, rung)
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(future: asyncio.Future[bool]) -> None:
        if not refused.done() and says_no(future):
            refused.set_result(None)

    verdict.add_done_callback(told)
    taken = None
    try:
        async with until(refused):
            taken = await ring(call, waiting, rung)
    finally:
        verdict.remove_done_callback(told)
        if refused.done() and taken is not None:
            taken[1].close()
    return None if refused.done() else taken


def says_no(verdict: asyncio.Future[bool]) -> bool:
    """Whether an agent has declined."""
    return verdict.done() and not verdict.cancelled() and not verdict.result()


def decline(call: Call, each: Pending, waiting: Waiting, in_hand: OfferInHand) -> Declines:
    """The agent does not call this customer: he is free again at once, and it is no missed call of his."""
    waiting.leave(VisitOutcome.FLOWED_OUT, "declined")
    waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
    call.services.callbacks.previews.declined(each, call, in_hand.offer)
    return Declines.THIS_ONE


async def accepts(call: Call, agent: Party, in_hand: OfferInHand, verdict: asyncio.Future[bool]) -> bool:
    """What the agent, phone in hand, says to whom he is shown: by a command, a code, or a key: 1 calls, 2 does not.

    Who says nothing in time, hangs up, or is taken back does not.
    """
    rules = call.client.callbacks
    language = call.settings.agent_languages.get(in_hand.offer.agent_id, call.captured.language)
    words = call.settings.prompts.there(call.settings.callback_prompts.preview, language)
    call.stage = f"shown to {in_hand.offer.agent_id}"
    beside = Background(limit=1)
    beside.start(by_key(agent, words, verdict), name=f"what {in_hand.offer.agent_id} says to {call.id}")
    try:
        async with until(agent.leg.ended), until(agent.sound.trouble), until(in_hand.withdrawn):
            async with asyncio.timeout(rules.preview_for if rules is not None else 0.0):
                await asyncio.wait({verdict})
    except TimeoutError:
        pass
    finally:
        beside.cancel()
        agent.sound.stop()
    return verdict.done() and not verdict.cancelled() and verdict.result()


async def by_key(agent: Party, words: Sequence[Clip], verdict: asyncio.Future[bool]) -> None:
    """Let the agent hear what the keys mean, and take the first one that means something."""
    agent.sound.forget_keys()
    if words:
        await agent.sound.say(words, barge_in=True)
    while not verdict.done():
        key = await agent.sound.key(LONGEST_PREVIEW)
        if key in ("1", "2") and not verdict.done():
            verdict.set_result(key == "1")


async def with_agent(
    call: Call,
    each: Pending,
    step: ToQueue,
    waiting: Waiting,
    in_hand: OfferInHand,
    agent: Party,
    verdict: asyncio.Future[bool] | None,
) -> Talked | Declines | None:
    """The agent has picked up: tell him who it is, let him say whether he calls, and dial."""
    try:
        words = words_for(call, in_hand.offer.queue, in_hand.offer.agent_id)
        if words:
            await whisper(agent, words, in_hand)
            if not still_there(call, agent, waiting, in_hand):
                return None
        if verdict is not None and not await accepts(call, agent, in_hand, verdict):
            if in_hand.withdrawn.done():
                waiting.too_late()
                return None
            return decline(call, each, waiting, in_hand)
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


async def dial_customer(call: Call, each: Pending, agent: Party | None, in_hand: OfferInHand) -> Reached | Failed:
    """Dial the customer while the agent, phone in hand, hears it ring. An attempt is told before, and counts.

    Without an ``agent`` one is reserved, whose phone rings when they have picked up.
    """
    callbacks, value, client = call.services.callbacks, each.value, call.client
    assert client.callbacks is not None, "the company calls nobody back"
    call.stage = f"calling back {value.number}"
    if not await callbacks.attempt(each, call, in_hand.offer):
        return Failed("not_dialled", Ending(Side.SYSTEM, EndCause.CANCELLED, 480, "it was not dialled"))
    reached: Reached | NotReached | None = None
    timed_out = False
    async with contextlib.AsyncExitStack() as gone:
        await gone.enter_async_context(until(in_hand.withdrawn))
        if agent is not None:
            await gone.enter_async_context(until(agent.leg.ended))
            await gone.enter_async_context(until(agent.sound.trouble))
        try:
            async with asyncio.timeout(client.callbacks.ring_for):
                reached = await dial_outside(
                    call.services,
                    client,
                    value.number,
                    call.id,
                    beside=agent.sound if agent is not None else None,
                    meanwhile=call.settings.prompts.ringback if agent is not None else (),
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
    elif agent is None:
        failed = Failed("agent_gone", Ending(Side.SYSTEM, EndCause.CANCELLED, 487, "the agent was taken back"))
    else:
        failed = Failed("agent_gone", Ending(Side.AGENT, EndCause.AGENT_HANGUP, 0, "before the customer answered"))
    callbacks.failed(each, call.id, failed.cause, failed.ending.detail)
    return failed


async def dial_first(
    call: Call, each: Pending, step: ToQueue, waiting: Waiting, in_hand: OfferInHand
) -> Talked | Declines | None:
    """Dial the customer, for whom this agent is reserved, and ring him when they have picked up.

    They hear that somebody comes, then music; when this agent does not come, they wait for the next, on the same place.
    Is he taken back before they have picked up, nobody is there for them any more: they are hung up on before they can.
    """
    rung = waiting.rung_with(in_hand)
    if not rung:
        return None
    in_hand = rung[0]
    if each.value.preview:
        verdict = call.services.callbacks.previews.show(each, in_hand.offer.agent_id)
        try:
            pop = SentPop(call, in_hand.offer)
            try:
                await pop.confirmed()
            finally:
                pop.close()
            accepted = await accepts_unrung(call, in_hand, verdict)
        finally:
            call.services.callbacks.previews.shown(each)
        if in_hand.withdrawn.done():
            return None
        if not accepted:
            return decline(call, each, waiting, in_hand)
    reached = await dial_customer(call, each, None, in_hand)
    if isinstance(reached, Failed):
        # The visit first: it was not the agent who refused, and nobody else is offered the customer at once.
        waiting.leave(VisitOutcome.FLOWED_OUT, reached.cause)
        return reached.ending
    customer = call.caller = reached.party
    customer.side = Side.CALLER
    watch_caller(call)
    call.add(CallAnswered())
    call.stage = f"called back, {in_hand.offer.agent_id} comes"
    end: Talked | None = None
    async with until(customer.leg.ended), until(customer.sound.trouble):
        call.waits_by = step
        words = call.settings.prompts.there(call.settings.callback_prompts.connecting, call.captured.language)
        end = await serve(call, step, waiting, in_hand=in_hand, welcome=words)
    return end or call.ended_outside() or Ending(Side.SYSTEM, EndCause.ERROR, 500, "the callback left no ending")


async def accepts_unrung(call: Call, in_hand: OfferInHand, verdict: asyncio.Future[bool]) -> bool:
    """What the agent says by his screen or a code, whose phone does not ring yet."""
    rules = call.client.callbacks
    call.stage = f"shown to {in_hand.offer.agent_id}"
    with contextlib.suppress(TimeoutError):
        async with until(in_hand.withdrawn), asyncio.timeout(rules.preview_for if rules is not None else 0.0):
            await asyncio.wait({verdict})
    return verdict.done() and verdict.result()


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
