"""Waiting for an agent: the place in line, the music, the offers, and the talk that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callcenter.acd.events import DeviceChanged, Ticket
from callcenter.calls.bridge import TalkEnd, talk
from callcenter.calls.call import Call, Line
from callcenter.calls.dispatcher import LeftByKey, OfferInHand, Waiting
from callcenter.calls.ringing import ring_agent
from callcenter.calls.settings import ToQueue
from callcenter.calls.waiting_room import WaitingRoom
from callcenter.media.plane import Clip
from callcenter.model.facts import DigitsEntered
from callcenter.model.interaction import Ending
from callcenter.model.states import Device, EndCause, Side


@dataclass(frozen=True, slots=True)
class FlowedOut:
    """The queue gave the caller back; ``action`` is what it says comes after (a flow's name, ``continue``, nothing).

    ``key`` is the one by which the caller left, if they did.
    """

    action: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's phone was lost in the talk."""


async def wait_in_queue(call: Call, step: ToQueue) -> Ending | FlowedOut:
    """Wait for an agent and talk.

    An agent whose phone is lost in the talk does not cost the caller the call: they wait again, on their old place.
    """
    services = call.services
    if call.line is None or not step.keep_place:
        call.line = Line(services.clock.monotonic())
    while True:
        call.stage = f"waiting {step.queue}"
        ticket = Ticket(
            id=services.ids.new(),
            call_id=call.id,
            queue=step.queue,
            client=call.client.id,
            priority=step.priority,
            first_joined=call.line.first_joined,
        )
        with services.dispatcher.queued(ticket, call.how_left) as waiting:
            end = await serve(call, step, waiting)
        if not isinstance(end, AgentLost):
            return end


async def serve(call: Call, step: ToQueue, waiting: Waiting) -> Ending | FlowedOut | AgentLost:
    """Take offers, until an agent has talked or the place is lost; meanwhile the caller sits in the waiting room."""
    treatment = call.settings.treatments[step.queue]
    music = call.settings.prompts.music(treatment.music)

    def pressed(key: str) -> None:
        call.add(DigitsEntered(step.queue, key, valid=True))
        waiting.leave_by_key(key)

    room = WaitingRoom(call, waiting.ticket.id, music, treatment.announce, step.keys, pressed)
    room.enter()
    try:
        while True:
            news = await waiting.next()
            if isinstance(news, LeftByKey):
                return FlowedOut(key=news.key)
            if not isinstance(news, OfferInHand):
                return FlowedOut(news.action)
            end = await take_offer(call, waiting, news, room, music)
            if end is not None:
                return end
    finally:
        room.leave()


async def take_offer(
    call: Call, waiting: Waiting, in_hand: OfferInHand, room: WaitingRoom, music: Sequence[Clip]
) -> Ending | AgentLost | None:
    """Ring the agent, and talk; None when it came to nothing, and the caller waits on."""
    if in_hand.withdrawn.done():
        return None
    with room.offered():
        agent = await ring_agent(call, waiting, in_hand)
    if agent is None:
        return None
    room.leave()
    try:
        end = await talk(call, agent, waiting, in_hand, music)
    finally:
        agent.close()
    match end:
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
    room.enter()
    return None


def tell_phone_lost(call: Call, agent_id: str) -> None:
    """An agent's phone is gone in a talk. Whoever has a second one can be rung there: the dead one gives no sign."""
    services = call.services
    if len(services.phones_of(agent_id)) < 2:
        services.dispatcher.tell(DeviceChanged(agent_id, Device.UNREACHABLE, "the phone was lost in a talk"))
