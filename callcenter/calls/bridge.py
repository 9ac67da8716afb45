"""The bridge: caller and agent, or whoever was dialled, talk, hold, and part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum

from callcenter.calls.call import Call
from callcenter.calls.call_control import ControlledTalk, refused
from callcenter.calls.circle import Circle, Seat
from callcenter.calls.consult import Asking
from callcenter.calls.dialled import Forbidden
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.heard import watch_outside
from callcenter.calls.keys import keys_cross
from callcenter.calls.party import Party
from callcenter.calls.pulling import Pulls
from callcenter.calls.record_notice import give_notice
from callcenter.calls.recorded_talk import Talkers
from callcenter.calls.results import Result
from callcenter.calls.sound import Sound
from callcenter.calls.star_keys import StarKeys
from callcenter.calls.transfer import (
    Handover,
    OutsideTalk,
    Talk,
    consult_over,
    hand_over,
    refuse_referral,
    send_to,
    take_referral,
)
from callcenter.media.plane import Clip
from callcenter.model.facts import CallHeld, CallResumed, OutsideConnected, OutsideLegEnded
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.inner_leg import InnerLeg
from callcenter.signaling.leg import EndedBy
from callcenter.signaling.referral import Referral
from callcenter.sip.headers import NameAddr
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri

# A phone that holds may be silent for long: it is asked so often whether it is there, and is lost when it owes two
# answers (each is waited for 32 s, RFC 3261 timer F; one may get lost with a connection that is made anew).
ASK_EVERY = 15.0
OWED = 2

HANDED_OVER = Ending(Side.SYSTEM, EndCause.TRANSFERRED, 0, "whom it had reached was handed over")


class TalkEnd(Enum):
    """Who or what ended the talk, the caller's hang-up apart: that leaves the whole call."""

    AGENT_HUNG_UP = "agent hung up"
    AGENT_LOST = "agent lost"
    TOO_LATE = "too late"
    NEVER_BEGAN = "never began"
    GIVEN_AWAY = "given away"


async def talk(
    call: Call, agent: Party, waiting: Waiting, in_hand: OfferInHand, music: Sequence[Clip]
) -> TalkEnd | Handover:
    """Bridge both parties until the agent's side ends, or hands the caller over.

    The caller's hang-up leaves this block from outside.
    """
    caller, offer = call.caller, in_hand.offer
    caller.sound.stop()
    await caller.sound.session.bridge(agent.sound.session)
    if agent.leg.ending is not None:
        return TalkEnd.NEVER_BEGAN
    waiting.connected(offer)
    if call.handover is not None:
        call.handover.done()
    call.stage = f"talking to {offer.agent_id}"
    circle = Circle(call, Seat.of(caller, dialler(call)), Seat.of(agent, offer.agent_id))

    handed_over: asyncio.Future[Handover] = asyncio.get_running_loop().create_future()

    def referred(referral: Referral, consulted: Call | None = None) -> None:
        if pulls.under_way:
            referral.reject(491)
            return
        handover = take_referral(call, offer, agent, referral, consulted)
        if handover is not None:
            call.handover = handover
            handed_over.set_result(handover)

    def hand_over_to(consulted: Call) -> bool:
        handover = None if pulls.under_way or handed_over.done() else hand_over(call, offer, agent, consulted)
        if handover is not None:
            call.handover = handover
            handed_over.set_result(handover)
        return handover is not None

    def put_through(asked: str) -> Result:
        if pulls.under_way or handed_over.done():
            return Result.UNDER_WAY
        handover = send_to(call, offer, agent, asked)
        if isinstance(handover, Forbidden):
            return refused(handover)
        call.handover = handover
        handed_over.set_result(handover)
        return Result.DONE

    now = call.talk = Talk(in_hand, agent, waiting, referred)
    if not call.agent:
        agent.leg.on_refer = referred
    else:
        # Colleagues hand nobody over who is one of us; who consults them may, by either of the two calls.
        caller.leg.on_refer = lambda referral: consult_over(call, referral)
        agent.leg.on_refer = lambda referral: refuse_referral(offer.agent_id, referral)
    pulls = Pulls(call, agent, now.given_away, offer)
    missed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    hung_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def look_after_holder() -> None:
        await lost_while_holding(call, agent, offer.agent_id)
        missed.set_result(None)

    # Colleagues ask nobody about one of us who has dialled them.
    asking = Asking(call, offer, agent, circle, music, hand_over_to) if not call.agent else None
    services = call.services
    keys = StarKeys(
        agent, lambda: services.settings.feature_codes, lambda keys: services.obey_code(offer.agent_id, keys)
    )
    parted = False
    beside = Background(limit=1)
    beside.start(look_after_holder(), name=f"holds of {offer.agent_id}")

    def hold_changed(party: Party) -> None:
        waiting.hold_changed(offer, party.side, holds=party.holds)

    names = (str(Side.CALLER), offer.agent_id)
    who = Talkers(circle, caller, agent, (caller,), *names, offer.id, offer.agent_id, offer.queue)
    theirs, his = circle.seats
    steered = ControlledTalk(
        call,
        agent,
        theirs,
        lambda: None if hung_up.done() else hung_up.set_result(None),
        put_through if not call.agent else None,
    )
    try:
        with (
            call.services.circles.open(circle),
            services.controls.open(offer.agent_id, steered),
            steered_by_dialler(call, his),
            keys_cross(caller, agent, circle),
            call.services.recordings.talk(call, who),
            holds(circle, caller, agent, music, hold_changed, keys.attach),
        ):
            if asking is not None:
                services.consults.begin(offer.agent_id, asking)
            await asyncio.wait(
                (agent.ended, agent.trouble, in_hand.withdrawn, missed, handed_over, now.given_away, hung_up),
                return_when=asyncio.FIRST_COMPLETED,
            )
            parted = True
            if asking is not None and agent.ended.done() and agent.ended.result().by is EndedBy.PEER:
                consulted = asking.hands_over
                if consulted is not None and not handed_over.done():
                    hand_over_to(consulted)
    finally:
        if asking is not None:
            services.consults.end(offer.agent_id, asking)
            handed_to = handed_over.result().consulted if handed_over.done() else None
            asking.close(handed_to, agent_stays=not parted and call.how_left().by is Side.CALLER)
        keys.close()
        beside.cancel()
        pulls.close()
        agent.leg.on_refer = caller.leg.on_refer = None
        call.talk = None
        end_entry(call)
    if now.given_away.done():
        return TalkEnd.GIVEN_AWAY
    if handed_over.done():
        # First of all: a phone may hang up in the moment in which it has asked for the transfer.
        return handed_over.result()
    if in_hand.withdrawn.done():
        return TalkEnd.TOO_LATE
    if hung_up.done():
        return TalkEnd.AGENT_HUNG_UP
    if agent.ended.done() and agent.ended.result().by is EndedBy.PEER:
        return TalkEnd.AGENT_HUNG_UP
    return TalkEnd.AGENT_LOST


async def talk_outside(call: Call, other: Party, number: str, trunk: str, music: Sequence[Clip]) -> Ending:
    """Bridge the caller and somebody outside until that side ends. The caller's hang-up leaves from outside.

    Whoever is recorded and is none of ours hears so before.
    """
    caller, leg_id = call.caller, call.services.ids.new()
    strangers = (other,) if call.agent else (caller, other)
    if call.services.recordings.wants(call, queue_behind(call), call.agent):
        async with until(other.ended), until(other.trouble):
            await give_notice(call, strangers)
    caller.sound.stop()
    await caller.sound.session.bridge(other.sound.session)
    call.add(OutsideConnected(leg_id, number, trunk, other.sound.secure))
    watch_outside(call, other.sound, leg_id, trunk)
    now = call.outside = OutsideTalk(other, number, trunk)
    if call.agent:
        caller.leg.on_refer = lambda referral: consult_over(call, referral)
    call.stage = f"talking to {number}"
    circle = Circle(call, Seat.of(caller, dialler(call)), Seat.of(other))
    # Of an agent's own call whoever is outside is the customer; else it is whom the caller was put through to.
    customer, mate = (other, caller) if call.agent else (caller, other)
    names = (str(Side.OUTSIDE), call.agent) if call.agent else (str(Side.CALLER), str(Side.OUTSIDE))
    who = Talkers(circle, customer, mate, strangers, *names, leg_id, call.agent, queue_behind(call))
    pulls = Pulls(call, other, now.given_away)

    def hold_changed(party: Party) -> None:
        side = Side.OUTSIDE if party is other else Side.CALLER
        call.add(CallHeld(side, leg_id) if party.holds else CallResumed(side, leg_id))

    ending: Ending | None = None
    try:
        with (
            call.services.circles.open(circle),
            steered_by_dialler(call, circle.seats[1]),
            keys_cross(caller, other, circle),
            call.services.recordings.talk(call, who),
            holds(circle, caller, other, music, hold_changed),
        ):
            await asyncio.wait((other.ended, other.trouble, now.given_away), return_when=asyncio.FIRST_COMPLETED)
        ending = HANDED_OVER if now.given_away.done() else ended_outside(other)
        return ending
    finally:
        end_entry(call)
        pulls.close()
        caller.leg.on_refer = None
        left = call.how_left()
        by, cause = (ending.by, ending.cause) if ending is not None else (left.by, left.cause)
        call.add(OutsideLegEnded(leg_id, by, cause))


def dialler(call: Call) -> str:
    """The agent who sits in this talk as the one who dialled; empty: a caller does, or the agent in another talk."""
    return "" if isinstance(call.caller.leg, InnerLeg) else call.agent


NOBODY_STEERS: AbstractContextManager[None] = nullcontext()


def steered_by_dialler(call: Call, seat: Seat) -> AbstractContextManager[None]:
    """The agent who has dialled, if one has, may steer the talk while the block lasts; who hangs up ends the call."""
    if not (agent := dialler(call)):
        return NOBODY_STEERS
    talk = ControlledTalk(
        call, call.caller, seat, lambda: call.give_up(Ending(Side.CALLER, EndCause.HANGUP, 0, "ordered"))
    )
    return call.services.controls.open(agent, talk)


def queue_behind(call: Call) -> str:
    """The queue whose callers are put through to somebody outside; of an agent's own call there is none."""
    return call.waits_by.queue if call.waits_by is not None and not call.agent else ""


def end_entry(call: Call) -> None:
    """What the customer was asked for in the talk is asked no more."""
    if call.entry is not None:
        call.entry.close()


def ended_outside(other: Party) -> Ending:
    """How a talk ended with the leg, or the sound, of somebody outside."""
    ended = other.leg.ending
    if ended is None:
        return Ending(Side.SYSTEM, EndCause.MEDIA_TIMEOUT, 0, "no sound came from outside any more")
    if ended.by is EndedBy.PEER:
        return Ending(Side.OUTSIDE, EndCause.HANGUP)
    return Ending(Side.SYSTEM, EndCause.NETWORK, 0, f"the leg outside was lost: {ended.reason}")


@contextmanager
def holds(
    circle: Circle,
    one: Party,
    other: Party,
    music: Sequence[Clip],
    tell: Callable[[Party], None],
    tell_moved: Callable[[], None] | None = None,
) -> Iterator[None]:
    """While the block lasts, whoever is put on hold hears music, and ``tell`` hears of each who begins or ends to.

    So does whoever goes on by another phone, being on hold; ``tell_moved`` hears of them. Of three, two talk on when
    one holds; and an agent who asks somebody else hears them, whatever the one does who waits meanwhile.

    Who lets the other wait by an order, and hears nobody meanwhile, hears a tone now and then: the phone knows of no
    hold, and some hang up when nothing comes any more.
    """
    tone = circle.call.settings.prompts.hold_tone
    plays: dict[Party, tuple[Sound, int, Sequence[Clip]]] = {}

    def has(party: Party, clips: Sequence[Clip]) -> bool:
        sound, play, playing = plays.get(party, (None, 0, ()))
        return sound is party.sound and sound.is_playing(play) and playing is clips

    def waits(party: Party) -> bool:
        asks = party is other and circle.seats[0].apart
        return (other if party is one else one).holds and not circle.is_conference and not asks

    def lets_wait(party: Party) -> bool:
        """Whether it is by an order alone that they hear nobody."""
        by_order = party.lets_wait and not (party.away or party.phone_holds)
        return bool(tone) and by_order and not circle.lets_hear(party.sound.session)

    def play_or_stop(party: Party) -> None:
        wanted = music if waits(party) else tone if lets_wait(party) else None
        if wanted is None:
            if has(party, music) or has(party, tone):
                party.sound.stop()
        elif not has(party, wanted):
            plays[party] = party.sound, party.sound.start(wanted, loop=True), wanted

    def changed(party: Party, before: bool) -> None:
        play_or_stop(one)
        play_or_stop(other)
        if party.holds != before:
            tell(party)
        circle.changed()
        if isinstance(one.leg, InnerLeg) and one.leg.on_hold is not None:
            one.leg.on_hold()

    def moved(party: Party) -> None:
        play_or_stop(party)
        circle.anew()
        circle.changed()
        if tell_moved is not None:
            tell_moved()

    def heard_otherwise() -> None:
        # A supervisor speaks to who hears the tone, or does no more.
        for party in (one, other):
            if party.lets_wait:
                play_or_stop(party)

    one.on_hold = other.on_hold = changed
    one.on_moved = other.on_moved = moved
    one.on_quiet = other.on_quiet = play_or_stop
    try:
        for party in (one, other):
            if party.holds:
                changed(party, False)
        with circle.call.services.circles.watch_those_in(circle, heard_otherwise):
            yield
    finally:
        one.on_hold = other.on_hold = one.on_moved = other.on_moved = None
        one.on_quiet = other.on_quiet = None
        # Whoever was on hold may go on talking to somebody else.
        for party in (one, other):
            if has(party, music) or has(party, tone) or waits(party):
                party.sound.stop()


async def lost_while_holding(call: Call, agent: Party, agent_id: str) -> None:
    """Wait until the agent's phone, which holds and need not send sound, does not answer any more either."""
    owed = 0
    while owed < OWED:
        await asyncio.sleep(ASK_EVERY)
        # One that is not registered is asked within its call.
        asked = agent.holds and agent.phone is not None
        owed = owed + 1 if asked and not await phone_answers(call, agent, agent_id) else 0


async def phone_answers(call: Call, agent: Party, agent_id: str) -> bool:
    """Whether the agent's phone answers anything at all to an OPTIONS (RFC 3261 11): the one that talks, no other."""
    binding = registered_now(agent.phone, call.services.phones_of(agent_id))
    if binding is None:
        return False
    user_agent, flow = call.services.user_agent, binding.flow
    here = NameAddr.parse(user_agent.contact(flow, None)).uri
    to = NameAddr(Uri(user=agent_id, host=here.host))
    answer = await user_agent.request(
        "OPTIONS", binding.contact, flow, from_=NameAddr(Uri(host=here.host)), to=to, routes=binding.path
    )
    return answer is not None


def registered_now(phone: Binding | None, phones: Sequence[Binding]) -> Binding | None:
    """Where a phone that was rung is registered by now; None when it is so no more.

    It may have come back by another connection. One that is alone is taken for the same, whatever it says of itself.
    """
    if phone is None or len(phones) == 1:
        return phones[0] if phones else None
    for each in phones:
        if each.instance == phone.instance if phone.instance else each.contact.matches(phone.contact):
            return each
    return None
