"""Own calls: what happens when one of our agents dials: a colleague, a queue, or a number outside."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Sequence

import structlog

from callcenter.acd.events import Ticket, TicketExpired, TicketRefused
from callcenter.calls.bridge import HANDED_OVER, TalkEnd, talk, talk_outside
from callcenter.calls.call import Call
from callcenter.calls.callback_pending import NOWHERE
from callcenter.calls.codecs import codecs_of, codecs_of_agent
from callcenter.calls.dialled import Colleague, Destination, Forbidden, Line, Outside, destination, home_of
from callcenter.calls.dispatcher import LeftByKey, OfferInHand, SentOn, Waiting
from callcenter.calls.flow import run_steps
from callcenter.calls.fork import ELSEWHERE, first_answer, hang_up
from callcenter.calls.heard import watch_caller
from callcenter.calls.inbound import RETRY_AFTER, pick_up, take_up
from callcenter.calls.outside import NotReached, dial_outside
from callcenter.calls.party import Party
from callcenter.calls.pulling import binding_of
from callcenter.calls.queueing import tell_phone_lost
from callcenter.calls.refusal import refused
from callcenter.calls.results import Result
from callcenter.calls.ringing import TAKE_IT_YOURSELF, ring_agent
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
from callcenter.runtime.scopes import until
from callcenter.signaling.leg import (
    Busy,
    Cancelled,
    Declined,
    EndedBy,
    Leg,
    LegEnded,
    NoAnswer,
    Rejected,
    Unreachable,
)
from callcenter.signaling.outcome import Answered, DialOutcome
from callcenter.sip.headers import NameAddr
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri

# Calls of one agent at once: one on hold, one to consult, and one more that is just being dialled.
MOST_LINES = 3
# Seconds that the own phone rings of an agent who has ordered a call by his program.
RING_OWN_FOR = 30.0

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
        acd = services.dispatcher.acd
        if agent not in acd.plan.agents:
            return False
        view = acd.agent(agent)
        dialled = with_post_dial(leg.request.uri.user or "", leg.dialled) if leg.request is not None else leg.dialled
        meant = self._meant(agent, dialled)
        if isinstance(meant, Forbidden):
            log.warning("an agent's call was refused", agent=agent, number=leg.dialled, why=meant.why)
            leg.reject(meant.status, meant.phrase or None)
            return True
        if self._full:
            leg.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))
            return True
        call = self._call(agent, leg, meant)
        # One who is in a call already may want to bring both together: sound of one worker can be bridged.
        first = self._supervisor.calls.get(view.call_id) if view is not None else None
        beside = first.caller.sound if first is not None and first.caller.sound.is_open else None
        self._supervisor.start(call, script_of(meant, beside))
        return True

    def click(self, agent: str, target: str) -> Call | Result | Forbidden:
        """Ring the agent's own phone and dial ``target`` when it is picked up, as if he had dialled it there: the call
        that this is, or why it may not be.
        """
        services = self._services
        if not services.phones_of(agent):
            return Result.NO_PHONE
        view = services.dispatcher.acd.agent(agent)
        if view is not None and len(view.own_calls) >= MOST_LINES:
            return Result.NO_LINE
        meant = self._meant(agent, target)
        if isinstance(meant, Forbidden):
            log.warning("an agent's call was refused", agent=agent, number=split_post_dial(target)[0], why=meant.why)
            return meant
        if self._full:
            return Result.TOO_MANY
        call = self._call(agent, NotPickedUp(services, agent, split_post_dial(target)[0]), meant)
        self._supervisor.start(call, click_script(meant))
        return call

    @property
    def _full(self) -> bool:
        return self._supervisor.lines >= self._services.settings.max_calls or self.draining

    def _meant(self, agent: str, dialled: str) -> Destination:
        """Whom an agent dials who may do so now."""
        services = self._services
        acd, view = services.dispatcher.acd, services.dispatcher.acd.agent(agent)
        if not services.phones_of(agent):
            return Forbidden(403, "has no registered phone")
        if view is not None and len(view.own_calls) >= MOST_LINES:
            return Forbidden(486, "has no line left")
        meant = destination(services.settings, acd.plan, agent, dialled, acd.who(agent).clients)
        return (services.do_not_call.dialled(agent, meant) or meant) if isinstance(meant, Outside) else meant

    def _call(self, agent: str, leg: Leg, meant: Destination) -> Call:
        """The call that the agent's leg is, told to have come."""
        services = self._services
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
                transport=str(leg.flow.transport) if leg.incoming else "",
                source=str(leg.flow.remote) if leg.incoming else "",
                sip_call_id=leg.sip_call_id,
                direction=direction,
                agent=agent,
            )
        )
        return call


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


class NotPickedUp(Leg):
    """The leg of an agent who has ordered a call, and whose own phone was not picked up yet: nobody, who can be hung up
    on all the same.
    """

    def __init__(self, services: Services, agent: str, dialled: str) -> None:
        ours = services.dispatcher.acd.plan.agents.get(agent)
        super().__init__(
            f"own phone of {agent}",
            NOWHERE,
            services.user_agent.endpoint,
            services.user_agent.driver,
            remote_number=agent,
            remote_name=ours.name if ours is not None else "",
            dialled=dialled,
            user=agent,
        )

    def hangup(self, *, status: int | None = None, reason: str | None = None, cause: str = "") -> None:
        """Give up. Never waits; may be called twice."""
        if self.ending is None:
            self._take_end(LegEnded(EndedBy.LOCAL, status or 487, reason or cause))


def click_script(meant: Destination) -> Script:
    """What happens to a call that an agent has ordered: his own phone first, then whom he wants."""

    async def run(call: Call) -> Ending:
        with call.services.dispatcher.own_call(call.agent, call.id):
            picked_up = await ring_own_phone(call)
            if isinstance(picked_up, Ending):
                return picked_up
            nobody, call.caller = call.caller, picked_up
            ending: Ending | None = None
            try:
                watch_caller(call)
                async with until(picked_up.ended), until(picked_up.trouble):
                    ending = await go_there(call, meant)
            finally:
                nobody.close()  # or it would stay in a ring; not before: the script ends with it
            left = call.ending or call.ended_outside()
            return ending or left or Ending(Side.SYSTEM, EndCause.ERROR, 500, "the call left no ending")

    return run


async def go_there(call: Call, meant: Destination) -> Ending:
    """Dial, for an agent who has the phone in the hand already."""
    match meant:
        case Colleague(agent=agent):
            return await call_colleague(call, agent)
        case Line(queue=queue):
            return await call_queue(call, queue, None)
        case Outside(number=number, keys=keys):
            return await call_outside(call, number, keys)
        case Forbidden(status=status, why=why):
            return Ending(Side.SYSTEM, EndCause.REJECTED, status, why)


async def ring_own_phone(call: Call) -> Party | Ending:
    """Ring the phones of the agent, with the number that he wants in their display; the one that he picks up.

    They are asked to take it by themselves where they are configured so. Who is cancelled leaves nothing behind.
    """
    services, agent = call.services, call.agent
    phones = services.phones_of(agent)
    nobody = Ending(Side.CALLER, EndCause.CANCELLED, 480, "the own phone was not picked up")
    call.stage = f"ringing the own phone of {agent}"
    if not phones:
        return nobody
    with contextlib.ExitStack() as undo:
        sound = Sound()
        undo.callback(sound.release)
        flow = next((each.flow for each in phones if each.flow.transport.private), phones[0].flow)
        try:
            codecs = codecs_of_agent(services, agent)
            await sound.open(services.plane, call.id, flow, offer=None, codecs=codecs)
        except MediaError as error:
            return Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 500, str(error))
        legs = [ring_it(call, binding, sound) for binding in phones]
        undo.callback(lambda: hang_up(legs))
        try:
            async with asyncio.timeout(RING_OWN_FOR):
                picked_up = await first_answer(legs, lambda: None)
        except TimeoutError:
            return nobody
        answer = await picked_up.outcome() if isinstance(picked_up, Leg) else None
        if not isinstance(picked_up, Leg) or not isinstance(answer, Answered) or answer.sdp is None:
            return nobody
        try:
            await sound.take_answer(answer.sdp, picked_up.flow)
        except MediaError as error:
            return Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 488, str(error))
        legs.remove(picked_up)
        hang_up(legs, cause=ELSEWHERE)
        party = Party(Side.CALLER, picked_up, sound, binding_of(picked_up, phones))
        party.opened()
        undo.pop_all()
        return party


def ring_it(call: Call, binding: Binding, sound: Sound) -> Leg:
    """Send the INVITE to one of the agent's own phones."""
    user_agent, flow, agent = call.services.user_agent, binding.flow, call.agent
    here = NameAddr.parse(user_agent.contact(flow, None)).uri
    description, insisting = sound.offer_to(flow)
    return user_agent.dial(
        binding.contact,
        flow,
        from_=NameAddr(Uri(user=call.number.number, host=here.host), call.client.name),
        to=NameAddr(Uri(user=agent, host=here.host)),
        sdp=description,
        or_else=insisting,
        routes=binding.path,
        headers=TAKE_IT_YOURSELF if agent in call.services.settings.auto_answer else (),
        user=agent,
    )


def tell_ringing(call: Call, status: int = 180) -> None:
    """It rings there: the phone of who dialled says so, or who has picked up his own already hears it."""
    party, ringback = call.caller, call.settings.prompts.ringback
    if party.leg.incoming:
        party.leg.ring(status=status)
    elif ringback and status == 180:
        party.sound.start(ringback, loop=True)


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
    if not leg.incoming:
        call.caller.sound.stop()
        call.add(CallAnswered())
        return None
    try:
        description = told or (session.sdp if leg.offer is None else await session.reoffer(leg.offer))
    except MediaError as error:
        return refused(leg, error)
    return await pick_up(call.caller, description, lambda: call.add(CallAnswered()))


async def call_queue(call: Call, queue: str, beside: Sound | None) -> Ending:
    """Wait in a queue as callers do, and go where it sends them."""
    answered = functools.partial(call.add, CallAnswered())
    if not call.caller.leg.incoming:
        answered()
        return await run_steps(call, (ToQueue(queue),))
    ending = await take_up(call.caller, call.services, call.id, answered, beside=beside)
    return ending or await run_steps(call, (ToQueue(queue),))


async def call_colleague(call: Call, agent_id: str) -> Ending:
    """Ring another agent, who is the ACD's to reserve; while he is busy the colleague waits for him."""
    call.stage = f"dialling {agent_id}"
    view = call.services.dispatcher.acd.agent(agent_id)
    if view is not None and view.work is not Work.IDLE:
        tell_ringing(call, 182)  # RFC 3261 21.1.4: the colleague is not free yet
    ticket = Ticket(id=call.services.ids.new(), call_id=call.id, queue="", client="", agent=agent_id, number=1)
    with call.services.dispatcher.queued(ticket, call.how_left) as waiting:
        while True:
            match await waiting.next():
                case OfferInHand() as in_hand:
                    if (end := await take_colleague(call, waiting, in_hand)) is not None:
                        return end
                case TicketExpired(reason=reason) | TicketRefused(reason=reason):
                    return not_taken(reason)
                case LeftByKey() | SentOn():
                    raise AssertionError("no key leads away from a colleague, and nobody is sent away")


async def take_colleague(call: Call, waiting: Waiting, in_hand: OfferInHand) -> Ending | None:
    """Ring the colleague's phones, answer the one who dialled, and let both talk; None when it came to nothing."""
    if in_hand.withdrawn.done():
        return None
    colleague = await ring_agent(call, waiting, in_hand, functools.partial(tell_ringing, call))
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
        on_ringing=leg.ring if leg.incoming else None,
        on_early=let_hear,
        meanwhile=() if leg.incoming else call.settings.prompts.ringback,
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
