"""Transfer: an agent hands the caller over by a REFER from the own phone: to whom that may be, and how it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from callcenter.acd.events import Offer, OwnCallBegan, OwnCallEnded, WrapUpDone
from callcenter.calls import dialled
from callcenter.calls.dialled import Colleague, Forbidden, Line, Outside
from callcenter.calls.party import Party
from callcenter.calls.settings import Number
from callcenter.model.facts import CallTransferred, TransferFailed
from callcenter.model.interaction import Ending
from callcenter.model.post_dial import split_post_dial, with_post_dial
from callcenter.model.states import Device, EndCause, Intent, Side, TransferKind, TransferTo, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from callcenter.calls.call import Call
    from callcenter.calls.dispatcher import OfferInHand, Waiting
    from callcenter.signaling.leg import Leg
    from callcenter.signaling.referral import Referral

# The disposition of a talk that began anew, because nobody took the caller whom the agent handed over.
TRANSFER_RETURNED = "TRANSFER_RETURNED"

# What an offer that failed is in the words of SIP, for the phone that waits how the transfer goes.
STATUSES = {"no_answer": 408, "busy": 486, "declined": 603}
NOT_REACHED = 480

# Seconds that the agent's phone has to hang up by itself; a NOTIFY that is lost is sent again in half of one.
PARTING = 2.0

# How the question ends that an agent had for somebody who has not answered, when the caller is put through to them.
QUESTION_OVER = Ending(Side.SYSTEM, EndCause.TRANSFERRED, 487, "the caller was put through instead")

# Seconds that a phone has to make up its mind, to hang up or to stay, when it hears that a transfer failed.
MAY_HANG_UP = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OurNumber:
    """What callers hear who dial this number of ours."""

    number: Number


Destination = Colleague | Line | OurNumber | Outside


class Talk:
    """A talk of the caller with an agent, while it lasts; ``given_away`` is done when another call takes the agent.

    ``on_attended`` is told of a REFER in the call by which this agent has consulted somebody, that wants the caller put
    through to them.
    """

    def __init__(
        self,
        in_hand: OfferInHand,
        party: Party,
        waiting: Waiting,
        on_attended: Callable[[Referral, Call], None],
    ) -> None:
        self.in_hand = in_hand
        self.party = party
        self.on_attended = on_attended
        self.given_away: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = waiting

    @property
    def agent_id(self) -> str:
        """With whom."""
        return self.in_hand.offer.agent_id

    def give_away(self) -> Waiting:
        """Let another call have the agent, who is its to hang up from now on, and the talk its to end."""
        self.given_away.set_result(None)
        return self._waiting.hand_on()


class OutsideTalk:
    """A talk with somebody outside, at ``number`` by ``trunk``; ``given_away`` is done when another call takes them."""

    def __init__(self, party: Party, number: str, trunk: str) -> None:
        self.party = party
        self.number = number
        self.trunk = trunk
        self.given_away: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def lasts(self) -> bool:
        """Whether both are still there, and in this call."""
        return self.party.leg.ending is None and not self.given_away.done()


class Handover:
    """A caller between the agent who hands them over and the one who takes them.

    The agent's part of the call is over; the phone may stay, to hear how it goes, and be given the caller back. As long
    as it does nobody else is offered to the agent. ``consulted`` is the call in which the agent has spoken to them
    before, if any. Without a ``referral`` the agent has ordered it otherwise, or hung up, and hears nothing of how it
    goes. Only :meth:`stays` waits; :meth:`close` may be called twice.
    """

    def __init__(
        self,
        call: Call,
        offer: Offer,
        party: Party,
        referral: Referral | None,
        destination: Destination,
        consulted: Call | None = None,
    ) -> None:
        self.agent_id = offer.agent_id
        self.party = party
        self.destination = destination
        self._call = call
        self._offer = offer
        self._referral = referral
        self.consulted = consulted
        self._engaged = True
        self._hanging_up: asyncio.TimerHandle | None = None
        # Before the talk ends: in between the next caller would be offered to a phone that is not free.
        call.services.dispatcher.tell(OwnCallBegan(self.agent_id, call.id))
        party.leg.ended.add_done_callback(self._phone_gone)
        if referral is not None:
            referral.accept()
        to, target = told_of(destination)
        kind = TransferKind.ATTENDED if consulted is not None else TransferKind.BLIND
        call.add(CallTransferred(offer.id, self.agent_id, kind, to, target))

    async def stays(self) -> bool:
        """Whether the agent's phone stays in the call, now that it has heard that the transfer failed.

        Some phones hang up then. A caller who was given back to one of them would be lost.
        """
        try:
            async with asyncio.timeout(MAY_HANG_UP):
                await self.party.leg.ended
        except TimeoutError:
            return True
        return False

    def rings(self) -> None:
        """Somebody's phone rings for the caller."""
        self._progress(180)

    def done(self) -> None:
        """The caller is where the agent wanted them. The phone hangs up when it hears so, or is hung up a little later.

        At once would be too soon: a BYE may overtake the NOTIFY, and the agent would not know whether it went well.
        """
        self._progress(200)
        call, self._call.handover = self._call, None
        if self._referral is None:
            self.close()
            return
        if call.parting is not None:
            call.parting.close()
        call.parting = self
        self._hanging_up = asyncio.get_running_loop().call_later(PARTING, self.close)

    def failed(self, status: int, detail: str) -> None:
        """Nobody took the caller."""
        self._progress(status)
        _, target = told_of(self.destination)
        self._call.add(TransferFailed(self._offer.id, self.agent_id, target, status, detail))

    def wants_back(self) -> None:
        """Let the caller be offered to the agent again, who waits for it with the phone in the hand."""
        dispatcher = self._call.services.dispatcher
        dispatcher.tell(WrapUpDone(self.agent_id, TRANSFER_RETURNED, "a transfer that came to nothing"))
        self._let_agent_go()

    def close(self) -> None:
        """The agent's phone has no more to do with it. A word on how it went that is still owed: not done (487)."""
        self._progress(487)
        if self._hanging_up is not None:
            self._hanging_up.cancel()
        self._let_agent_go()
        self.party.close()

    def _progress(self, status: int) -> None:
        if self._referral is not None:
            self._referral.progress(status)

    def _phone_gone(self, _: object) -> None:
        self._let_agent_go()

    def _let_agent_go(self) -> None:
        if self._engaged:
            self._engaged = False
            self._call.services.dispatcher.tell(OwnCallEnded(self.agent_id, self._call.id))

    def __repr__(self) -> str:
        return f"<Handover by {self.agent_id} to {told_of(self.destination)[1]}>"


def take_referral(
    call: Call, offer: Offer, party: Party, referral: Referral, consulted: Call | None = None
) -> Handover | None:
    """The agent's phone wants the caller to be put through: a hand-over, or None, and it was refused.

    ``consulted`` is the call in which the agent has spoken to whoever takes the caller; else the REFER may name it.
    Where nobody has answered there yet, the caller is put through to whom it was for, as if there had been no question,
    and the question is over (a transfer that is attended half, as many phones do it).
    """
    asked = with_post_dial(referral.target.user or "", referral.target.number_or_user)
    if consulted is None and referral.replaces is not None:
        consulted = call.services.call_of(referral.replaces)
        found = _consulted_in(call, offer.agent_id, consulted, referral.replaces)
    elif consulted is not None:
        found = _consulted_in(call, offer.agent_id, consulted, consulted.caller.leg)
    else:
        found = destination_of(call, offer.agent_id, asked)
    if call.handover is not None:
        found = Forbidden(491, "another transfer is under way")
    if isinstance(found, Forbidden):
        log.info(
            "a transfer was refused",
            agent=offer.agent_id,
            target=split_post_dial(asked)[0],
            status=found.status,
            why=found.why,
        )
        referral.reject(found.status)
        return None
    if consulted is not None and not has_answered(consulted):
        handover = Handover(call, offer, party, referral, found)
        consulted.give_up(QUESTION_OVER)
        return handover
    return Handover(call, offer, party, referral, found, consulted)


def hand_over(call: Call, offer: Offer, party: Party, consulted: Call) -> Handover | None:
    """The agent leaves the caller to whom he has asked in a call of his own, by an order or by hanging up: a hand-over,
    or None, and it was refused. As with :func:`take_referral` whoever has not answered yet is rung for the caller.
    """
    found = _consulted_in(call, offer.agent_id, consulted, consulted.caller.leg)
    if call.handover is not None:
        found = Forbidden(491, "another transfer is under way")
    if isinstance(found, Forbidden):
        log.info("a transfer was refused", agent=offer.agent_id, status=found.status, why=found.why)
        return None
    if has_answered(consulted):
        return Handover(call, offer, party, None, found, consulted)
    handover = Handover(call, offer, party, None, found)
    consulted.give_up(QUESTION_OVER)
    return handover


def send_to(call: Call, offer: Offer, party: Party, asked: str) -> Handover | Forbidden:
    """The agent orders that the caller is put through to ``asked``, unseen: a hand-over, or why it may not be.

    The phone stays in the call, if it does not hang up by itself, until somebody else has the caller: when nobody takes
    them the agent has them back, as after a REFER.
    """
    found = destination_of(call, offer.agent_id, asked)
    if call.handover is not None:
        found = Forbidden(491, "another transfer is under way")
    if isinstance(found, Forbidden):
        target = split_post_dial(asked)[0]
        log.info("a transfer was refused", agent=offer.agent_id, target=target, status=found.status, why=found.why)
        return found
    return Handover(call, offer, party, None, found)


def has_answered(consulted: Call) -> bool:
    """Whether the agent talks to somebody in this call of the own."""
    return consulted.talk is not None or (consulted.outside is not None and consulted.outside.lasts)


def _consulted_in(call: Call, agent_id: str, consulted: Call | None, leg: Leg) -> Destination | Forbidden:
    """Whom the agent has consulted, in a call of the own: the only one whose place may be taken."""
    if consulted is None or consulted is call or consulted.agent != agent_id or consulted.caller.leg is not leg:
        return Forbidden(403, "would take the place of somebody in a call of others")
    outside = consulted.outside
    if outside is not None and outside.lasts:
        return Outside(call.client.id, outside.number)
    if consulted.talk is None:
        return destination_of(call, agent_id, consulted.number.number, consulted)
    colleague = consulted.talk.agent_id
    if call.client.id not in call.services.dispatcher.acd.who(colleague).clients:
        return Forbidden(403, f"{colleague} does not serve {call.client.name}")
    return Colleague(colleague)


def consult_over(consulted: Call, referral: Referral) -> None:
    """The REFER of an attended transfer came by the call in which the agent consults, and names that of the caller."""
    leg = referral.replaces
    call = consulted.services.call_of(leg) if leg is not None else None
    talk = call.talk if call is not None and not call.agent else None  # colleagues hand over nobody who is one of us
    if talk is None or talk.party.leg is not leg or talk.agent_id != consulted.agent:
        refuse_referral(consulted.agent, referral)
    else:
        talk.on_attended(referral, consulted)


def refuse_referral(agent_id: str, referral: Referral) -> None:
    """Who talks to a colleague, or to somebody outside, hands over a caller of another call, and not this one's."""
    why = "no caller is in this call; it would have to name the one that this agent holds"
    log.info("a transfer was refused", agent=agent_id, target=referral.target.number_or_user, status=403, why=why)
    referral.reject(403)


def destination_of(call: Call, agent_id: str, asked: str, ringing: Call | None = None) -> Destination | Forbidden:
    """Where an agent may send a caller: to colleagues, queues and numbers of the caller's company; outside if allowed.

    Of the target's URI only the user counts: what is meant is always somebody whom this switch knows. A colleague's
    phone may be ``ringing`` for the agent's own question: it will be free.
    """
    services, client = call.services, call.client
    number = call.settings.find_number(asked)
    if number is not None:
        ours = number.client == client.id
        return OurNumber(number) if ours else Forbidden(403, f"the number is none of {client.name}'s")
    if asked in services.settings.feature_codes:
        return Forbidden(403, "a code is no place for a caller")
    plan = services.dispatcher.acd.plan
    serves = services.dispatcher.acd.who(agent_id).clients if agent_id in plan.agents else frozenset[str]()
    match dialled.destination(services.settings, plan, agent_id, asked, serves):
        case Colleague(agent=agent):
            return _absence(call, agent, ringing) or Colleague(agent)
        case Line(queue=queue) if plan.queues[queue].client != client.id or queue not in call.settings.treatments:
            return Forbidden(403, f"the queue is none of {client.name}'s")
        case found:
            return found


def _absence(call: Call, asked: str, ringing: Call | None) -> Forbidden | None:
    """Why a colleague cannot be given the caller now; None when they can."""
    acd = call.services.dispatcher.acd
    if call.client.id not in acd.who(asked).clients:
        return Forbidden(403, f"{asked} does not serve {call.client.name}")
    view = acd.agent(asked)
    if view is None or view.intent is not Intent.READY or view.device is Device.UNREACHABLE:
        return Forbidden(480, f"{asked} is not there")
    rings_for_us = ringing is not None and view.call_id == ringing.id and view.work in (Work.RESERVED, Work.RINGING)
    if (view.work is not Work.IDLE and not rings_for_us) or view.device is Device.BUSY_ELSEWHERE:
        return Forbidden(486, f"{asked} is {view.work}")
    return None


def told_of(destination: Destination) -> tuple[TransferTo, str]:
    """What facts say of a destination: its kind, and its name or number."""
    match destination:
        case Colleague(agent=agent):
            return TransferTo.AGENT, agent
        case Line(queue=queue):
            return TransferTo.QUEUE, queue
        case OurNumber(number=number):
            return TransferTo.NUMBER, number.number
        case Outside(number=number):
            return TransferTo.OUTSIDE, number
