"""Own calls: what happens when one of our agents dials: a colleague, a queue, or a number outside."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import structlog

from callcenter.acd.events import Ticket, TicketExpired, TicketRefused
from callcenter.calls.bridge import HANDED_OVER, TalkEnd, talk, talk_outside
from callcenter.calls.call import Call
from callcenter.calls.codecs import codecs_of
from callcenter.calls.dialled import Colleague, Destination, Forbidden, Line, Outside, destination, home_of
from callcenter.calls.dispatcher import LeftByKey, OfferInHand, Waiting
from callcenter.calls.flow import run_steps
from callcenter.calls.heard import watch_caller
from callcenter.calls.inbound import RETRY_AFTER, pick_up, take_up
from callcenter.calls.outside import NotReached, dial_outside
from callcenter.calls.queueing import tell_phone_lost
from callcenter.calls.refusal import refused
from callcenter.calls.ringing import ring_agent
from callcenter.calls.services import Services
from callcenter.calls.settings import Client, Number, ToQueue
from callcenter.calls.sound import Sound
from callcenter.calls.supervisor import Script, Supervisor
from callcenter.calls.transfer import Handover
from callcenter.media.plane import Clip, MediaError
from callcenter.model.facts import CallAnswered, CallArrived
from callcenter.model.interaction import Ending
from callcenter.model.post_dial import split_post_dial, with_post_dial
from callcenter.model.states import Direction, EndCause, OfferResult, Side, Work
from callcenter.signaling.leg import Busy, Cancelled, Declined, Leg, NoAnswer, Rejected, Unreachable
from callcenter.signaling.outcome import Answered, DialOutcome

# Calls of one agent at once: one on hold, one to consult, and one more that is just being dialled.
MOST_LINES = 3

log = structlog.get_logger()


class OwnCalls:
    """Takes in what our agents dial. Who they are is proved before: the leg's ``user``."""

    def __init__(self, services: Services, supervisor: Supervisor) -> None:
        self.draining = False
        self._services = services
        self._supervisor = supervisor

    def take(self, leg: Leg) -> bool:
        """Serve ``leg`` if one of our agents dialled; False when it is a caller like any other."""
        services, agent = self._services, leg.user
        acd, settings = services.dispatcher.acd, services.settings
        if agent not in acd.plan.agents:
            return False
        view = acd.agent(agent)
        dialled = with_post_dial(leg.request.uri.user or "", leg.dialled) if leg.request is not None else leg.dialled
        meant = destination(settings, acd.plan, agent, dialled, acd.who(agent).clients)
        if not services.phones_of(agent):
            meant = Forbidden(403, "has no registered phone")
        elif view is not None and len(view.own_calls) >= MOST_LINES:
            meant = Forbidden(486, "has no line left")
        elif isinstance(meant, Outside):
            meant = services.do_not_call.dialled(agent, meant) or meant
        if isinstance(meant, Forbidden):
            log.warning("an agent's call was refused", agent=agent, number=leg.dialled, why=meant.why)
            leg.reject(meant.status, meant.phrase or None)
            return True
        if self._supervisor.lines >= settings.max_calls or self.draining:
            leg.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))
            return True
        direction = Direction.OUTBOUND if isinstance(meant, Outside) else Direction.INTERNAL
        client = client_of(services, agent, meant)
        # What is pressed behind a number may be a PIN, and is told nowhere.
        number = Number(split_post_dial(leg.dialled)[0], client.id, "")
        call = Call(services.ids.call(), client, number, leg, services, direction=direction, agent=agent)
        call.add(
            CallArrived(
                client=client.id,
                flow="",
                from_number=leg.remote_number,
                from_name=call.from_name,
                to_number=meant.number if isinstance(meant, Outside) else leg.dialled,
                transport=str(leg.flow.transport),
                source=str(leg.flow.remote),
                sip_call_id=leg.sip_call_id,
                direction=direction,
                agent=agent,
            )
        )
        # One who is in a call already may want to bring both together: sound of one worker can be bridged.
        first = self._supervisor.calls.get(view.call_id) if view is not None else None
        beside = first.caller.sound if first is not None and first.caller.sound.is_open else None
        self._supervisor.start(call, script_of(meant, beside))
        return True


def client_of(services: Services, agent: str, meant: Destination) -> Client:
    """In whose name an agent calls: of a queue its client, else the one that was chosen, or the agent's own."""
    settings, acd = services.settings, services.dispatcher.acd
    match meant:
        case Line(queue=queue):
            return settings.clients[acd.plan.queues[queue].client]
        case Outside(client=client):
            return settings.clients[client]
        case Colleague() | Forbidden():
            home = home_of(settings, acd.who(agent).clients, agent)
            return settings.clients.get(home) or Client(home, "", ("",))


def script_of(meant: Destination, beside: Sound | None) -> Script:
    """What happens to a call of an agent's; meanwhile nobody is offered to whoever dialled."""

    async def run(call: Call) -> Ending:
        watch_caller(call)
        with call.services.dispatcher.own_call(call.agent, call.id):
            match meant:
                case Colleague(agent=agent):
                    return await open_line(call, beside) or await call_colleague(call, agent)
                case Line(queue=queue):
                    return await call_queue(call, queue, beside)
                case Outside(number=number, keys=keys):
                    return await open_line(call, beside) or await call_outside(call, number, keys)
                case Forbidden(status=status, why=why):
                    return Ending(Side.SYSTEM, EndCause.REJECTED, status, why)

    return run


async def open_line(call: Call, beside: Sound | None) -> Ending | None:
    """Open the sound of who dials, of whom nothing is due before the answer; the ending when there is no room for it.

    So the other's can be opened beside it, and nobody is missed for being silent while it rings.
    """
    leg = call.caller.leg
    try:
        codecs = codecs_of(call.services, leg)
        await call.caller.sound.open(call.services.plane, call.id, leg.flow, offer=None, beside=beside, codecs=codecs)
    except MediaError as error:
        return refused(leg, error)
    return None


async def answer_line(call: Call, told: bytes | None = None) -> Ending | None:
    """Answer who dialled: somebody is there; the ending when their phone cannot speak with us.

    ``told`` is our answer to their offer where early media was told with it already: it stays (RFC 3261 13.2.1).
    """
    leg, session = call.caller.leg, call.caller.sound.session
    try:
        description = told or (session.sdp if leg.offer is None else await session.reoffer(leg.offer))
    except MediaError as error:
        return refused(leg, error)
    return await pick_up(call.caller, description, lambda: call.add(CallAnswered()))


async def call_queue(call: Call, queue: str, beside: Sound | None) -> Ending:
    """Wait in a queue as callers do, and go where it sends them."""
    answered = functools.partial(call.add, CallAnswered())
    ending = await take_up(call.caller, call.services, call.id, answered, beside=beside)
    return ending or await run_steps(call, (ToQueue(queue),))


async def call_colleague(call: Call, agent_id: str) -> Ending:
    """Ring another agent, who is the ACD's to reserve; while he is busy the colleague waits for him."""
    call.stage = f"dialling {agent_id}"
    view = call.services.dispatcher.acd.agent(agent_id)
    if view is not None and view.work is not Work.IDLE:
        call.caller.leg.ring(status=182)  # RFC 3261 21.1.4: the colleague is not free yet
    ticket = Ticket(id=call.services.ids.new(), call_id=call.id, queue="", client="", agent=agent_id, number=1)
    with call.services.dispatcher.queued(ticket, call.how_left) as waiting:
        while True:
            match await waiting.next():
                case OfferInHand() as in_hand:
                    if (end := await take_colleague(call, waiting, in_hand)) is not None:
                        return end
                case TicketExpired(reason=reason) | TicketRefused(reason=reason):
                    return not_taken(reason)
                case LeftByKey():
                    raise AssertionError("no key leads away from a colleague")


async def take_colleague(call: Call, waiting: Waiting, in_hand: OfferInHand) -> Ending | None:
    """Ring the colleague's phones, answer the one who dialled, and let both talk; None when it came to nothing."""
    if in_hand.withdrawn.done():
        return None
    colleague = await ring_agent(call, waiting, in_hand, call.caller.leg.ring)
    if colleague is None:
        return None
    try:
        if (ending := await answer_line(call)) is not None:
            return ending
        end = await talk(call, colleague, waiting, in_hand, music_of(call))
    finally:
        if not waiting.handed_on:
            colleague.close()
    match end:
        case TalkEnd.GIVEN_AWAY:
            return HANDED_OVER
        case TalkEnd.AGENT_HUNG_UP | TalkEnd.NEVER_BEGAN:
            waiting.talk_ended(Side.AGENT, EndCause.AGENT_HANGUP)
            return Ending(Side.AGENT, EndCause.AGENT_HANGUP)
        case TalkEnd.TOO_LATE:
            waiting.too_late()
            return Ending(Side.SYSTEM, EndCause.CANCELLED, 0, "the colleague was taken back")
        case TalkEnd.AGENT_LOST:
            tell_phone_lost(call, in_hand.offer.agent_id)
            waiting.talk_ended(Side.SYSTEM, EndCause.MEDIA_TIMEOUT)
            return Ending(Side.SYSTEM, EndCause.MEDIA_TIMEOUT, 0, "the colleague's phone was lost")
        case Handover():
            raise AssertionError("nobody hands over a colleague who dialled")


async def call_outside(call: Call, number: str, keys: str = "") -> Ending:
    """Dial a number outside, answer the agent when it is answered there, press ``keys`` there, and let both talk."""
    call.stage = f"dialling {number}"
    leg, told = call.caller.leg, None

    async def let_hear() -> None:
        """What the carrier says before the answer is heard by the agent too, whose phone made an offer."""
        nonlocal told
        if leg.offer is not None and told is None:
            with contextlib.suppress(MediaError):  # the answer tells it, too
                told = await call.caller.sound.session.reoffer(leg.offer)
                leg.ring(status=183, sdp=told)

    reached = await dial_outside(
        call.services,
        call.client,
        number,
        call.id,
        beside=call.caller.sound,
        on_ringing=leg.ring,
        on_early=let_hear,
        max_forwards=leg.max_forwards,
        keys=keys,
    )
    if isinstance(reached, NotReached):
        return Ending(*not_reached(reached.outcome), reached.detail)
    try:
        ending = await answer_line(call, told)
        return ending or await talk_outside(call, reached.party, reached.number, reached.trunk, music_of(call))
    finally:
        if call.outside is None or not call.outside.given_away.done():
            reached.party.close()


def music_of(call: Call) -> Sequence[Clip]:
    """What is heard from whoever holds: the company's own piece, in whose name the agent calls."""
    pieces = call.settings.prompts.pieces
    return pieces.get(call.client.music) or next(iter(pieces.values()), ())


def not_taken(reason: str) -> Ending:
    """What the phone of who dialled a colleague is told, by the ACD's word."""
    match reason:
        case OfferResult.BUSY | "timeout":
            return Ending(Side.AGENT, EndCause.REJECTED, 486, "Busy Here")
        case OfferResult.DECLINED:
            return Ending(Side.AGENT, EndCause.REJECTED, 603, "Decline")
        case OfferResult.NO_ANSWER:
            return Ending(Side.AGENT, EndCause.REJECTED, 480, "No Answer")
        case "full":
            return Ending(Side.SYSTEM, EndCause.REJECTED, 503, "Too Many Wait")
        case _:
            return Ending(Side.SYSTEM, EndCause.REJECTED, 480, reason.replace("_", " ").title())


def not_reached(outcome: DialOutcome) -> tuple[Side, EndCause, int]:
    """By whom and with which status a call ended that reached nobody outside."""
    match outcome:
        case Busy(status=status) | Declined(status=status) | NoAnswer(status=status):
            return Side.OUTSIDE, EndCause.REJECTED, status
        case Rejected(status=status) | Unreachable(status=status):
            return Side.SYSTEM, EndCause.REJECTED, status
        case Cancelled() | Answered():
            return Side.SYSTEM, EndCause.CANCELLED, 480
