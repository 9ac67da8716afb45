"""Waiting for an agent: the place in line, the music, the offers, and the talk that follows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from callcenter.acd.events import DeviceChanged, Ticket
from callcenter.acd.settings import QUEUE_RENAMED
from callcenter.calls.asked import Asked, asked_of
from callcenter.calls.bridge import HANDED_OVER, TalkEnd, talk
from callcenter.calls.call import Call
from callcenter.calls.dispatcher import LeftByKey, OfferInHand, SentOn, Waiting
from callcenter.calls.heard import watch_agent
from callcenter.calls.hours import Door, closes, look
from callcenter.calls.line import Line, visit_name
from callcenter.calls.party import Party
from callcenter.calls.record_notice import before_the_talk, notice_in_line
from callcenter.calls.ringing import ring_agent, ring_all
from callcenter.calls.screen_pop import SentPop
from callcenter.calls.settings import AskCallback, OnClose, ToQueue
from callcenter.calls.transfer import Handover
from callcenter.calls.waiting_room import WaitingRoom
from callcenter.calls.whisper import whisper, words_for
from callcenter.media.plane import Clip
from callcenter.model.facts import DigitsEntered
from callcenter.model.interaction import Ending
from callcenter.model.states import Device, Direction, EndCause, OfferResult, Side, VisitOutcome
from callcenter.signaling.leg import EndedBy

UTC = ZoneInfo("UTC")

# The priority of a caller who is put through to one agent: before all whom others can take too.
FOR_ONE_ALONE = 100
# Seconds until somebody who was free a moment ago must be offered the caller who is put through to them.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class FlowedOut:
    """The queue gave the caller back; ``action`` is what it says comes after (a flow's name, ``continue``, nothing).

    ``key`` is the one by which the caller left, if they did; else ``reason`` says in a word why.
    """

    action: str = ""
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The agent handed the caller over, out of the talk that ``step`` led to: see the call's hand-over."""

    step: ToQueue


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's phone was lost in the talk."""


async def wait_in_queue(
    call: Call, step: ToQueue, agent: str = "", *, sent: bool = False
) -> Ending | FlowedOut | HandedOver:
    """Wait for an agent and talk; for one ``agent`` alone, when they are named, and not for long.

    An agent whose phone is lost in the talk does not cost the caller the call: they wait again, on their old place.
    So they do in a queue that a reload gave another name, where a supervisor has sent them, and when the agent does not
    take them to whom she has ``sent`` them.
    """
    services = call.services
    kept = services.callbacks.rings_in(call, step.queue)
    if call.line is None or not step.keep_place:
        call.line = come_back(call, step.queue) or Line(services.clock.monotonic())
    if kept is not None and kept.first_joined <= call.line.first_joined:
        call.line = kept
    call.waits_by = step
    while True:
        call.stage = f"waiting {step.queue}"
        asked = Asked(priority=FOR_ONE_ALONE) if agent else asked_of(call, step)
        call.visits += 1
        ticket = Ticket(
            id=services.ids.new(),
            call_id=call.id,
            queue=step.queue,
            client=call.client.id,
            requirements=asked.needs,
            priority=asked.priority,
            first_joined=call.line.first_joined,
            agent=agent,
            prefer=asked.prefer,
            prefer_for=asked.prefer_for,
            number=call.visits,
            place_of=call.line.visit,
            origins=asked.origins,
            closed=not agent and is_closed(call, step.queue),
        )
        call.line.visit = visit_name(call.id, call.visits)
        call.ticket = ticket
        with (
            services.callbacks.abandoning(call, ticket),
            services.dispatcher.queued(ticket, call.how_left) as waiting,
        ):
            if call.handover is not None and call.handover.agent_id == agent:
                call.handover.wants_back()
            end = await serve(call, step, waiting)
        if isinstance(end, FlowedOut) and end.reason == QUEUE_RENAMED and (renamed := under_new_name(call, step)):
            step = call.waits_by = renamed
        elif isinstance(end, SentOn):
            step = call.waits_by = sent_to(call, step, end)
            agent, sent = end.agent, bool(end.agent)
        elif isinstance(end, AgentLost) or (sent and isinstance(end, FlowedOut)):
            agent, sent = "", False
            step = call.waits_by = replace(step, keep_place=True)
        else:
            return end


def sent_to(call: Call, step: ToQueue, sent: SentOn) -> ToQueue:
    """The step by which a caller waits from now on whom a supervisor has sent on. What follows a queue is what that one
    says, where it is another; the way out by a key is that of the step they came by.
    """
    if sent.queue not in call.settings.treatments:
        call.renew()  # a queue that is newer than the call: looked up before
    other = sent.queue != step.queue
    return replace(step, queue=sent.queue, keep_place=True, on_timeout=() if other else step.on_timeout)


def under_new_name(call: Call, step: ToQueue) -> ToQueue | None:
    """The step to a queue that has another name by now, on the same place; None when the call cannot go there."""
    services = call.services
    queue = services.dispatcher.acd.plan.renamed.get(step.queue, "")
    known = queue in call.settings.treatments or (queue in services.settings.treatments and call.renew())
    return replace(step, queue=queue, keep_place=True) if known else None


def come_back(call: Call, queue: str) -> Line | None:
    """The place in line of a caller who was here a moment ago, and hung up or was cut off; None for all others."""
    if call.direction is not Direction.INBOUND or call.caller.leg.withheld:
        return None
    keep_for = call.client.routing.keep_place_for
    return call.services.places.claim(call.id, call.client.id, call.from_number, queue, keep_for)


async def serve(
    call: Call,
    step: ToQueue,
    waiting: Waiting,
    *,
    in_hand: OfferInHand | None = None,
    welcome: Sequence[Clip] = (),
) -> Ending | FlowedOut | HandedOver | AgentLost | SentOn:
    """Take offers, until an agent has talked or the place is lost; meanwhile the caller sits in the waiting room.

    One who is there already is ``in_hand``: whoever was called back before an agent hears the ``welcome`` first, and is
    told AgentLost when that one does not come.
    """
    treatment = call.settings.treatments[step.queue]
    music = call.settings.prompts.music(treatment.music)
    # Who is put through to somebody stands in no line.
    one_alone = bool(waiting.ticket.agent)
    announce, keys = (None, {}) if one_alone else (treatment.announce, step.keys)

    def pressed(key: str) -> None:
        call.add(DigitsEntered(step.queue, key, valid=True))
        called_back = isinstance(next(iter(keys[key]), None), AskCallback)
        waiting.leave_by_key(key, "callback" if called_back else "key")

    closing = None if one_alone else closing_time(call, step.queue)
    room = WaitingRoom(call, waiting.ticket.id, music, announce, keys, pressed)
    room.enter(notice_in_line(call, step.queue), welcome)
    try:
        if in_hand is not None:
            end = None if in_hand.withdrawn.done() else await take_offer(call, waiting, in_hand, room, music)
            if end is None:
                # From now on they are a caller who waits, as any other, and not for ever.
                waiting.leave(VisitOutcome.FLOWED_OUT, "agent_gone")
                return AgentLost()
            return HandedOver(step) if isinstance(end, Handover) else end
        while True:
            try:
                async with asyncio.timeout(PATIENCE) if one_alone else asyncio.timeout_at(closing):
                    news = await waiting.next()
            except TimeoutError:
                if not one_alone and not is_closed(call, step.queue):
                    closing = closing_time(call, step.queue)  # the clock on the wall was set back meanwhile
                    continue
                reason = "timeout" if one_alone else "closed"
                waiting.leave(VisitOutcome.FLOWED_OUT, reason)
                settings = call.services.dispatcher.acd.plan.queues.get(step.queue)
                action = settings.action(reason) if settings is not None and not one_alone else ""
                return FlowedOut(action, reason=reason)
            if isinstance(news, LeftByKey):
                return FlowedOut(key=news.key)
            if isinstance(news, SentOn):
                return news
            if not isinstance(news, OfferInHand):
                return FlowedOut(news.action, reason=news.reason)
            end = await take_offer(call, waiting, news, room, music)
            if isinstance(end, Handover):
                return HandedOver(step)
            if end is not None:
                return end
    finally:
        room.leave()


def is_closed(call: Call, queue: str) -> bool:
    """Whether it is outside the opening hours of a queue."""
    hours = call.settings.hours.get(call.settings.treatments[queue].hours)
    return hours is not None and look(hours, zone_of(call), call.services.clock.now()).door is not Door.OPEN


def closing_time(call: Call, queue: str) -> float | None:
    """When, by the loop's clock, a queue closes for those who wait in it, too; None: they are served."""
    treatment = call.settings.treatments[queue]
    hours = call.settings.hours.get(treatment.hours)
    if hours is None or treatment.on_close is OnClose.SERVE:
        return None
    now = call.services.clock.now()
    end = closes(hours, zone_of(call), now)
    return None if end is None else asyncio.get_running_loop().time() + (end - now).total_seconds()


def zone_of(call: Call) -> ZoneInfo:
    """The time zone of the company that was called."""
    return call.client.zone or UTC


async def take_offer(
    call: Call, waiting: Waiting, in_hand: OfferInHand, room: WaitingRoom, music: Sequence[Clip]
) -> Ending | AgentLost | Handover | None:
    """Ring the agent, or all who are rung at once, and talk; None when it came to nothing, and the caller waits on."""
    rung = waiting.rung_with(in_hand)
    if not rung:
        return None
    with room.offered():
        taken = await ring(call, waiting, rung)
        if taken is None:
            return None
        in_hand, agent = taken
        words = () if waiting.ticket.agent else words_for(call, in_hand.offer.queue, in_hand.offer.agent_id)
        if words:
            await whisper(agent, words, in_hand)
            if not still_there(call, agent, waiting, in_hand):
                return None
    room.leave()
    end = await converse(call, agent, waiting, in_hand, music)
    if end is None:
        room.enter()
    return end


async def ring(call: Call, waiting: Waiting, rung: Sequence[OfferInHand]) -> tuple[OfferInHand, Party] | None:
    """Who picks up first, with the offer; None when nobody does."""
    for in_hand in rung:
        if (agent := take_back(call, waiting, in_hand)) is not None:
            return in_hand, agent
    rings = call.handover.rings if call.handover is not None else None
    if len(rung) > 1:
        return await ring_all(call, waiting, rung, rings)
    agent = await ring_agent(call, waiting, rung[0], rings)
    return None if agent is None else (rung[0], agent)


def still_there(call: Call, agent: Party, waiting: Waiting, in_hand: OfferInHand) -> bool:
    """Whether the agent can talk after the whisper; if not, the caller keeps the place, and the music has gone on."""
    if not in_hand.withdrawn.done() and not agent.leg.ended.done() and not agent.sound.trouble.done():
        return True
    if in_hand.withdrawn.done():
        waiting.too_late()
    elif agent.leg.ended.done() and agent.leg.ended.result().by is EndedBy.PEER:
        waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
    else:
        tell_phone_lost(call, in_hand.offer.agent_id)
        waiting.talk_ended(Side.SYSTEM, EndCause.MEDIA_TIMEOUT)
    agent.close()
    return False


async def converse(
    call: Call, agent: Party, waiting: Waiting, in_hand: OfferInHand, music: Sequence[Clip]
) -> Ending | AgentLost | Handover | None:
    """Let caller and agent talk, and part; None when it came to nothing."""
    try:
        await before_the_talk(call, agent, in_hand)
        taken_back = in_hand.withdrawn.done()
        end = TalkEnd.TOO_LATE if taken_back else await talk(call, agent, waiting, in_hand, music)
    finally:
        # Who hands the caller over stays, to hear how it goes; who was handed over has another call.
        if not waiting.handed_on and (call.handover is None or call.handover.party is not agent):
            agent.close()
    match end:
        case Handover():
            waiting.talk_ended(Side.AGENT, EndCause.TRANSFERRED)
            await call.caller.sound.session.unbridge()
            return end
        case TalkEnd.GIVEN_AWAY:
            return HANDED_OVER
        case TalkEnd.AGENT_HUNG_UP:
            waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
            return Ending(Side.AGENT, EndCause.AGENT_HANGUP)
        case TalkEnd.AGENT_LOST:
            # First the phone, then the talk: else the next caller in line is sent to the same dead phone.
            tell_phone_lost(call, in_hand.offer.agent_id)
            waiting.talk_ended(Side.SYSTEM, EndCause.MEDIA_TIMEOUT)
            return AgentLost()
        case TalkEnd.NEVER_BEGAN:
            # Picked up and gone before anybody was heard: the caller keeps the place.
            waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
        case TalkEnd.TOO_LATE:
            waiting.too_late()
    return None


def take_back(call: Call, waiting: Waiting, in_hand: OfferInHand) -> Party | None:
    """The agent who handed the caller over in vain, when it is them whom the caller is offered to, phone in hand."""
    handover, offer = call.handover, in_hand.offer
    if handover is None or handover.agent_id != offer.agent_id:
        return None
    call.handover = None
    SentPop(call, offer).close()
    waiting.picked_up(offer)
    return handover.party


async def take_over(call: Call, step: ToQueue, consulted: Call) -> Ending | FlowedOut | HandedOver:
    """Go on with the agent whom the one before has consulted in a call of the own; FlowedOut when they are gone."""
    if consulted.talk is None:
        return FlowedOut(reason=OfferResult.DECLINED)
    in_hand, agent = consulted.talk.in_hand, consulted.talk.party
    waiting = consulted.talk.give_away()
    offer = in_hand.offer = replace(in_hand.offer, call_id=call.id, queue=step.queue)
    music = call.settings.prompts.music(call.settings.treatments[step.queue].music)
    watch_agent(call, offer, agent.sound)
    with call.services.dispatcher.taken_over(waiting, offer, step.queue, call.how_left):
        SentPop(call, offer).close()
        end = await converse(call, agent, waiting, in_hand, music)
    match end:
        case Handover():
            return HandedOver(step)
        case AgentLost():
            return await wait_in_queue(call, replace(step, keep_place=True))
        case None:
            return FlowedOut(reason=OfferResult.DECLINED)
        case Ending():
            return end


def tell_phone_lost(call: Call, agent_id: str) -> None:
    """An agent's phone is gone in a talk. Whoever has a second one can be rung there: the dead one gives no sign."""
    services = call.services
    if len(services.phones_of(agent_id)) < 2:
        services.dispatcher.tell(DeviceChanged(agent_id, Device.UNREACHABLE, "the phone was lost in a talk"))
