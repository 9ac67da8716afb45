"""Waiting for an agent: the place in line, the music, the offers, and the talk that follows."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.acd.events import DeviceChanged, Ticket
from callcenter.calls.bridge import TalkEnd, talk
from callcenter.calls.call import Call
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.ringing import ring_agent
from callcenter.calls.settings import ToQueue
from callcenter.model.interaction import Ending
from callcenter.model.states import Device, EndCause, Side


@dataclass(frozen=True, slots=True)
class FlowedOut:
    """The queue gave the caller back; ``action`` is what it says comes after (a flow's name, ``continue``, nothing)."""

    action: str


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's phone was lost in the talk."""


async def wait_in_queue(call: Call, step: ToQueue) -> Ending | FlowedOut:
    """Wait for an agent and talk.

    An agent whose phone is lost in the talk does not cost the caller the call: they wait again, on their old place.
    """
    services = call.services
    first_joined: float | None = None
    while True:
        call.stage = f"waiting {step.queue}"
        ticket = Ticket(
            id=services.ids.new(),
            call_id=call.id,
            queue=step.queue,
            client=call.client.id,
            priority=step.priority,
            first_joined=first_joined,
        )
        first_joined = services.clock.monotonic() if first_joined is None else first_joined
        with services.dispatcher.queued(ticket, call.how_left) as waiting:
            end = await serve(call, waiting)
        if not isinstance(end, AgentLost):
            return end


async def serve(call: Call, waiting: Waiting) -> Ending | FlowedOut | AgentLost:
    """Play music and take offers, until an agent has talked or the place is lost."""
    settings, sound = call.settings, call.caller.sound
    music = settings.prompts.music(settings.treatments[waiting.ticket.queue].music)
    sound.start(music, loop=True)
    while True:
        news = await waiting.next()
        if not isinstance(news, OfferInHand):
            sound.stop()
            # Pressed to the music; what the flow asks next is not known to the caller yet.
            sound.forget_keys()
            return FlowedOut(news.action)
        agent = await ring_agent(call, waiting, news)
        if agent is None:
            continue
        try:
            end = await talk(call, agent, waiting, news, music)
        finally:
            agent.close()
        match end:
            case TalkEnd.AGENT_HUNG_UP:
                waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
                return Ending(Side.AGENT, EndCause.AGENT_HANGUP)
            case TalkEnd.AGENT_LOST:
                # First the phone, then the talk: else the next caller in line is sent to the same dead phone.
                gone = DeviceChanged(news.offer.agent_id, Device.UNREACHABLE, "the phone was lost in a talk")
                call.services.dispatcher.tell(gone)
                waiting.talk_ended(Side.SYSTEM, EndCause.MEDIA_TIMEOUT)
                return AgentLost()
            case TalkEnd.NEVER_BEGAN:
                # Picked up and gone before anybody was heard: the caller keeps the place.
                waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
                sound.start(music, loop=True)
            case TalkEnd.TOO_LATE:
                waiting.too_late()
                sound.start(music, loop=True)
