"""Phone: a simulated SIP phone and the person in front of it; what stories are told with.

What the person does is said in the present tense: ``await amy.rings()``, ``await amy.answers()``. Whatever does not
come true within its time fails with a sentence and with what the phone saw.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Protocol
from urllib.parse import quote

from callcenter.runtime.clock import Clock
from callcenter.runtime.scopes import Background
from callcenter.signaling.leg import Answered, Leg, LegEnded, LegState, Reinvite
from callcenter.signaling.reply import Reply
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.network import SimHost
from callcenter.sip.digest import authorize
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.errors import SdpError, SdpNotAcceptable
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import MAX_FORWARDS, Response
from callcenter.sip.timers import SipTimers
from callcenter.sip.uri import Uri

# How long a person waits for what should come at once, in seconds.
PATIENCE = 5.0
# Ringing may be seen this much before the time said, never more.
EARLY = 1.0
# An INVITE that nobody answers is given up after 64*T1.
DIAL_PATIENCE = 40.0
# How often ears are pricked.
LISTEN_EVERY = 0.02
BETWEEN_KEYS = 0.2
LOG_LENGTH = 200
# A registration is refreshed when half of its time is over.
REFRESH_AFTER = 0.5
MAX_CHALLENGES = 3


class PhoneFailure(AssertionError):
    """What should have happened at a phone did not; says what the phone saw instead."""


class Manner(StrEnum):
    """What the person does when it rings."""

    RINGS = "lets it ring"
    TAKES = "takes it at once"
    BUSY = "is busy"
    DECLINES = "declines at once"
    IGNORES = "does not even ring"


class PhoneSound(Protocol):
    """What a phone hears and says in one call, in the simulated media world."""

    def offer(self) -> bytes:
        """Our description as an offer."""
        ...

    def answer(self, offer: bytes) -> bytes:
        """Take the peer's offer, the first or another; our answer. Raises SdpError, SdpNotAcceptable."""
        ...

    def take_answer(self, sdp: bytes) -> None:
        """Take the peer's answer to our offer."""
        ...

    def hold(self) -> bytes:
        """An offer that puts the peer on hold."""
        ...

    def resume(self) -> bytes:
        """An offer that takes the peer back."""
        ...

    def press(self, key: str) -> None:
        """Press a key."""
        ...

    def heard(self) -> tuple[str, ...]:
        """What is heard at this moment: paths of clips, or the name of the phone whose voice it is; () is silence."""
        ...

    def release(self) -> None:
        """Fall silent for good. May be called twice."""
        ...


# Opens the sound of a call: name and IP address of the phone.
Sounds = Callable[[str, str], PhoneSound]


@dataclass(eq=False, slots=True)
class PhoneCall:
    """One call of a phone; the switch knows it by its ``sip_call_id``. ``connected``: both know that it is answered.

    ``proves`` answers a challenge, once: the call is made again by another leg, with the account that is registered.
    """

    leg: Leg
    sound: PhoneSound
    number: str
    connected: bool = False
    holds: bool = False
    began: float = 0.0
    proves: Callable[[Response], Leg | None] | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.leg.state is LegState.ENDED

    @property
    def sip_call_id(self) -> str:
        """The Call-ID."""
        return self.leg.sip_call_id

    @property
    def caller(self) -> str:
        """The number that the display shows when it rings."""
        return self.leg.remote_number

    @property
    def caller_name(self) -> str:
        """The name that the display shows when it rings."""
        return self.leg.remote_name

    def __repr__(self) -> str:
        return f"<PhoneCall {self.leg!r}>"


class Phone:
    """A phone that takes one call at a time. ``name`` is its user; ``number`` what it shows to those it calls.

    Everything it calls and registers with goes to ``switch``. ``call`` is the call that is, or the last that was;
    ``beside`` the one that the person made beside it, while it lasts.
    """

    def __init__(
        self,
        name: str,
        host: SimHost,
        switch: Address,
        *,
        clock: Clock,
        random: Random,
        sounds: Sounds,
        number: str = "",
        display: str = "",
        transport: Transport = Transport.UDP,
        timers: SipTimers | None = None,
    ) -> None:
        self.name = name
        self.number = number or name
        self.display = display
        self.manner = Manner.RINGS
        self.early_media = False
        """Whether it sends sound while it rings: it says how in a 183 before the 180."""
        self.max_forwards = MAX_FORWARDS
        """How far its calls may go."""
        self.call: PhoneCall | None = None
        self.calls: list[PhoneCall] = []
        self.beside: PhoneCall | None = None
        self.registered_until: float | None = None
        self.log: deque[str] = deque(maxlen=LOG_LENGTH)
        self.endpoint = Endpoint(random=random, timers=timers or SipTimers(), agent_name="phone", accept_methods=())
        self.user_agent = UserAgent(host, self.endpoint, clock, self._invited, lambda _: Reply(405))
        self.host = host
        self._switch = switch
        self._transport = transport
        self._clock = clock
        self._random = random
        self._sounds = sounds
        self._background = Background()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._account: tuple[str, str, float] | None = None
        self._register_call_id = f"{random.getrandbits(64):016x}"
        self._register_cseq = 0
        self._refresh: asyncio.TimerHandle | None = None

    async def open(self) -> Phone:
        """Plug it in."""
        await self.user_agent.open()
        return self

    async def close(self) -> None:
        """Hang up and unplug it."""
        self._stop_refreshing()
        await self.user_agent.close()
        self._background.cancel()

    # What the person does.

    async def register(self, user: str, password: str, *, expires: float = 600.0) -> None:
        """Register at the switch and stay registered. Fails when the switch does not take it."""
        self._account = (user, password, expires)
        response = await self._register(expires)
        if response is None or response.status != 200:
            raise self._failure(f"could not register as {user}: {_told(response)}")

    async def is_refused_registration(self, user: str, password: str) -> int:
        """Try to register and be refused; returns the status."""
        self._account = (user, password, 600.0)
        response = await self._register(600.0)
        if response is None or response.status == 200:
            raise self._failure(f"should not get registered as {user}: {_told(response)}")
        self._account = None
        return response.status

    async def unregister(self) -> None:
        """Take the registration back."""
        assert self._account is not None, f"{self.name} never registered"
        response = await self._register(0.0)
        self._stop_refreshing()
        if response is None or response.status != 200:
            raise self._failure(f"could not unregister: {_told(response)}")

    def starts_dialling(
        self, number: str, *, offers: bool = True, headers: tuple[tuple[str, str], ...] = ()
    ) -> PhoneCall:
        """Send the INVITE and go on: what comes of it is seen later. Without ``offers`` the switch makes the offer."""
        assert self.is_free, f"{self.name} is in a call already"
        sound = self._sounds(self.name, self.host.address)
        local = NameAddr(Uri.parse(f"sip:{self.number}@{self._switch}"), self.display)
        target = self._uri(number)
        self._note(f"dials {number}")
        call_id = f"{self._random.getrandbits(64):016x}"
        sdp = sound.offer() if offers else None

        def invite(cseq: int, *authorization: tuple[str, str]) -> Leg:
            return self.user_agent.dial(
                target, self._flow(), from_=local, to=NameAddr(target), sdp=sdp, call_id=call_id, cseq=cseq,
                headers=(*headers, *authorization), max_forwards=self.max_forwards,
            )  # fmt: skip

        def prove(challenge: Response) -> Leg | None:
            answer = self._answer_to(challenge, target)
            return invite(2, ("Authorization", answer)) if answer is not None else None

        call = self._take_up(PhoneCall(invite(1), sound, number, proves=prove))
        if not offers:
            self._background.start(self._await_offer(call), name=f"{self.name} is offered")
        self._background.start(self._await_outcome(call), name=f"{self.name} dials {number}")
        return call

    async def dial(self, number: str, *, offers: bool = True) -> PhoneCall:
        """Call and be connected."""
        call = self.starts_dialling(number, offers=offers)
        await self._until(lambda: call.connected or call.over, DIAL_PATIENCE, f"is not connected with {number}")
        if not call.connected:
            raise self._failure(f"is not connected with {number}: {_end_of(call)}")
        return call

    async def dial_beside(
        self,
        number: str,
        *,
        shown: str | None = None,
        user: str | None = None,
        password: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> PhoneCall:
        """Call on a second line, beside the call that is, and prove who calls where that is asked; connected or over.

        With the account that is registered, unless others are named; ``shown`` is the number in From.
        """
        known, secret = self._account[:2] if self._account is not None else ("", "")
        who, password = user or known, secret if password is None else password
        sound = self._sounds(self.name, self.host.address)
        local = NameAddr(Uri.parse(f"sip:{shown or who or self.number}@{self._switch}"), self.display)
        target, call_id = self._uri(number), f"{self._random.getrandbits(64):016x}"
        self._note(f"dials {number} on the second line")

        def invite(cseq: int, *authorization: tuple[str, str]) -> PhoneCall:
            leg = self.user_agent.dial(
                target, self._flow(), from_=local, to=NameAddr(target), sdp=sound.offer(), call_id=call_id, cseq=cseq,
                headers=(*headers, *authorization),
            )  # fmt: skip
            self.beside = PhoneCall(leg, sound, number)
            return self.beside

        call = invite(1)
        outcome = await call.leg.outcome()
        for cseq in range(2, MAX_CHALLENGES + 1):
            refusal = call.leg.refusal
            if refusal is None or refusal.status != 401 or not who:
                break
            answer = authorize(
                refusal.headers.all("WWW-Authenticate"),
                method="INVITE",
                uri=str(target),
                user=who,
                password=password,
                cnonce=f"{self._random.getrandbits(64):016x}",
            )
            if answer is None:
                break
            call = invite(cseq, ("Authorization", answer))
            outcome = await call.leg.outcome()
        call.leg.ended.add_done_callback(lambda _: self._second_line_ended(call))
        if isinstance(outcome, Answered):
            if outcome.sdp is not None:
                sound.take_answer(outcome.sdp)
            call.connected = True
        self._note(f"second line to {number}: {outcome}")
        return call

    def starts_pulling(
        self, other: Phone, call: PhoneCall | None = None, *, offers: bool = True, early_only: bool = False
    ) -> PhoneCall:
        """Call in the place of another phone, which is in ``call``, and go on: an INVITE with Replaces (RFC 3891)."""
        named = other.names(call or other.this_call())
        replaces = ("Replaces", named + (";early-only" if early_only else ""))
        return self.starts_dialling(self.number, offers=offers, headers=(replaces,))

    async def pulls(
        self, other: Phone, call: PhoneCall | None = None, *, offers: bool = True, early_only: bool = False
    ) -> PhoneCall:
        """Call in the place of another phone, which is in ``call``, and be connected."""
        pulled = self.starts_pulling(other, call, offers=offers, early_only=early_only)
        await self._until(lambda: pulled.connected or pulled.over, DIAL_PATIENCE, "does not have the call")
        if not pulled.connected:
            raise self._failure(f"does not have the call: {_end_of(pulled)}")
        return pulled

    async def dials_code(self, code: str) -> list[str]:
        """Dial a code and listen until it hangs up; the clips that were heard, in their order. Fails when refused."""
        call = await self.dial_beside(code)
        if not call.connected:
            raise self._failure(f"dials {code} and is refused: {_end_of(call)}")
        heard: list[str] = []
        until = self._clock.monotonic() + DIAL_PATIENCE
        while not call.over:
            heard += [clip for clip in call.sound.heard() if clip not in heard[-1:]]
            if self._clock.monotonic() > until:
                call.leg.hangup()
                raise self._failure(f"dials {code} and is never hung up")
            await asyncio.sleep(LISTEN_EVERY)
        self._note(f"dialled {code} and heard {', '.join(heard) or 'nothing'}")
        return heard

    async def is_refused(self, *statuses: int, within: float = DIAL_PATIENCE) -> int:
        """The call going out is refused (with one of ``statuses``, if some are named); returns the status."""
        call = self.this_call()
        await self._until(lambda: call.over, within, "is not refused")
        status = call.leg.ended.result().status
        if call.leg.answered or (statuses and status not in statuses):
            wanted = " or ".join(str(each) for each in statuses) or "a refusal"
            raise self._failure(f"should see {wanted}: {_end_of(call)}")
        return status

    async def rings(self, *, after: float = 0.0, within: float = PATIENCE) -> PhoneCall:
        """It rings: ``after`` so many seconds from now, and not before; give or take ``within``."""
        began = self._clock.monotonic()
        await self._until(self._is_ringing, after + within, "does not ring")
        waited = self._clock.monotonic() - began
        if waited < after - EARLY:
            raise self._failure(f"rings after {waited:.1f} s already, not after {after:g} s")
        return self.this_call()

    async def rings_not(self, *, during: float = PATIENCE) -> None:
        """It does not ring for so many seconds."""
        try:
            await self._until(self._is_ringing, during, "")
        except PhoneFailure:
            return
        raise self._failure("rings, and should not")

    async def stops_ringing(self, *, after: float = 0.0, within: float = PATIENCE) -> None:
        """It rang, and stops."""
        await self._until(lambda: not self._is_ringing(), after + within, "rings on")

    def picks_up(self) -> None:
        """Take the call and go on: the 200 is out, the ACK comes later."""
        call = self.this_call()
        assert call.leg.incoming, f"{self.name} called"
        assert not call.leg.answered, f"{self.name} took the call before"
        self._pick_up(call)

    async def answers(self) -> PhoneCall:
        """Take the call that rings, and be connected."""
        if not self._is_ringing():
            raise self._failure("should answer, and nothing rings")
        call = self.this_call()
        self.picks_up()
        await self._until(lambda: call.connected or call.over, DIAL_PATIENCE, "answers and is not heard")
        if call.over:
            raise self._failure(f"answers, and the caller is gone: {_end_of(call)}")
        return call

    async def declines(self, status: int = 603, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the call that rings."""
        if not self._is_ringing():
            raise self._failure("should decline, and nothing rings")
        self._note(f"declines with {status}")
        self.this_call().leg.reject(status, headers=headers)

    async def hangs_up(self) -> None:
        """Hang up, whatever state the call is in. Nothing to wait for: the phone is free at once."""
        self.drops()

    def drops(self) -> None:
        """What :meth:`hangs_up` does, for where nobody can wait."""
        if self.call is not None:
            self._note("hangs up")
            self.call.leg.hangup()

    async def is_hung_up(self, *, after: float = 0.0, within: float = PATIENCE) -> LegEnded:
        """The other side ends the call; returns how."""
        call = self.this_call()
        await self._until(lambda: call.over, after + within, "is still in the call")
        return call.leg.ended.result()

    async def hold(self, call: PhoneCall | None = None) -> None:
        """Put the other side on hold; that of ``call``, if the person talks on two lines."""
        call = call or self.this_call()
        await self._offer(call, call.sound.hold(), "hold")
        call.holds = True

    async def resume(self) -> None:
        """Take the other side back."""
        call = self.this_call()
        await self._offer(call, call.sound.resume(), "resume")
        call.holds = False

    def joins_both(self, *, by_the_second_line: bool = False) -> list[int]:
        """Put the two through to each other with whom the person talks on two lines: an attended transfer.

        As with :meth:`transfers`. Phones differ in which of their two calls the REFER goes by.
        """
        first, second = self.this_call(), self.beside
        assert second is not None, f"{self.name} has one call"
        by, other = (second, first) if by_the_second_line else (first, second)
        return self.transfers(other.number, self.names(other), by=by)

    def names(self, call: PhoneCall) -> str:
        """A call of this phone by its dialog: the value of a Replaces that means it (RFC 3891)."""
        if (request := call.leg.request) is not None:
            return f"{request.call_id};to-tag={request.from_tag};from-tag={call.leg.id}"
        dialog = self.endpoint.dialog_state(call.leg.id)
        assert dialog is not None, f"{call!r} is not up"
        return f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"

    def transfers(self, target: str, replaces: str = "", *, by: PhoneCall | None = None) -> list[int]:
        """Have the other side put through to somebody else (REFER); the statuses that come of it gather in the list.

        The first is the answer to the REFER, the others what the NOTIFYs tell. ``replaces``: the value of the Replaces
        that the call to the target is to carry. ``by``: in which call, if it is not the only one.
        """
        call = by or self.this_call()
        told: list[int] = []
        self._note(f"transfers to {target}")

        def notified(status: int) -> None:
            told.append(status)
            self._note(f"is told of the transfer: {status}")

        call.leg.on_notified = notified
        uri = Uri.parse(target) if ":" in target else self._uri(target)
        headers = f"Replaces={quote(replaces)}" if replaces else ""
        call.leg.refer(NameAddr(dataclasses.replace(uri, headers=headers, raw="" if headers else uri.raw)))
        return told

    async def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        call = self.this_call()
        for count, key in enumerate(keys):
            if count:
                await asyncio.sleep(BETWEEN_KEYS)
            self._note(f"presses {key}")
            call.sound.press(key)

    async def informs(self, keys: str) -> None:
        """Press keys on a phone that tells them by SIP INFO."""
        call = self.this_call()
        for count, key in enumerate(keys):
            if count:
                await asyncio.sleep(BETWEEN_KEYS)
            self._note(f"presses {key}, by INFO")
            call.leg.inform("application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n".encode())

    async def hears(self, what: str | Phone, *, after: float = 0.0, within: float = PATIENCE) -> None:
        """Hear a clip whose path has ``what`` in it, or the voice of another phone."""
        wanted = what.name if isinstance(what, Phone) else what
        await self._until(lambda: self._hears(what), after + within, f"does not hear {wanted!r}", listen=True)
        self._note(f"hears {wanted}")

    async def hears_nothing(self, *, after: float = 0.0, within: float = PATIENCE) -> None:
        """It is silent in the ear."""
        await self._until(lambda: not self.heard_now(), after + within, "hears something", listen=True)
        self._note("hears nothing")

    def heard_now(self) -> tuple[str, ...]:
        """What is in the ear at this moment."""
        if self.call is None or not self.call.connected or self.call.over:
            return ()
        return self.call.sound.heard()

    def registers_no_more(self) -> None:
        """Let the registration run out."""
        self._stop_refreshing()

    def vanish(self) -> None:
        """The plug is pulled: the phone is gone without a word, and reacts to nothing any more."""
        self._note("vanishes")
        self._stop_refreshing()
        self.host.vanish()

    @property
    def is_free(self) -> bool:
        """Whether it is in no call."""
        return self.call is None or self.call.over

    def __repr__(self) -> str:
        doing = "free" if self.is_free else str(self.this_call().leg.state)
        return f"<Phone {self.name} {doing}, {self.manner}>"

    # What the phone does.

    def _invited(self, leg: Leg) -> None:
        shown = f"{leg.remote_name} {leg.remote_number}".strip()
        if self.manner is Manner.BUSY or not self.is_free or self.beside is not None:
            self._note(f"is called by {shown}, and is busy")
            leg.reject(486)
            return
        if self.manner is Manner.DECLINES:
            self._note(f"is called by {shown}, and declines")
            leg.reject(603)
            return
        call = self._take_up(PhoneCall(leg, self._sounds(self.name, self.host.address), leg.remote_number))
        if self.manner is Manner.IGNORES:
            self._note(f"is called by {shown}, and does not ring")
            return
        self._note(f"rings: {shown}")
        if self.early_media and leg.offer is not None:
            leg.ring(status=183, sdp=call.sound.answer(leg.offer))
        leg.ring()
        if self.manner is Manner.TAKES:
            self._pick_up(call)

    def _take_up(self, call: PhoneCall) -> PhoneCall:
        call.began = self._clock.monotonic()
        self.call = call
        self.calls.append(call)
        self._watch(call)
        return call

    def _watch(self, call: PhoneCall) -> None:
        call.leg.on_reinvite = lambda reinvite: self._reinvited(call, reinvite)
        call.leg.ended.add_done_callback(lambda ended: self._ended(call, ended.result()))

    def _answer_to(self, challenge: Response, target: Uri) -> str | None:
        """The Authorization of our account; None when there is none, or nothing of it was asked."""
        if self._account is None or challenge.status != 401:
            return None
        user, password, _ = self._account
        return authorize(
            challenge.headers.all("WWW-Authenticate"),
            method="INVITE",
            uri=str(target),
            user=user,
            password=password,
            cnonce=f"{self._random.getrandbits(64):016x}",
        )

    def _pick_up(self, call: PhoneCall) -> None:
        offer = call.leg.offer
        try:
            sdp = call.sound.answer(offer) if offer is not None else call.sound.offer()
        except (SdpError, SdpNotAcceptable) as error:
            self._note(f"cannot answer: {error}")
            call.leg.reject(error.status)
            return
        self._note("answers")
        call.leg.answer(sdp)
        self._background.start(self._await_acknowledgement(call), name=f"{self.name} answers")

    async def _await_acknowledgement(self, call: PhoneCall) -> None:
        sdp = await call.leg.acknowledged
        if sdp is not None and call.leg.offer is None:
            call.sound.take_answer(sdp)
        if not call.over:
            call.connected = True
            self._note("is connected")

    async def _await_outcome(self, call: PhoneCall) -> None:
        leg = call.leg
        if isinstance(outcome := await call.leg.outcome(), Answered):
            if outcome.sdp is not None and not call.leg.peer_offer.done():
                call.sound.take_answer(outcome.sdp)
            call.connected = True
            self._note("is connected")
        elif call.leg is not leg:
            await self._await_outcome(call)

    async def _await_offer(self, call: PhoneCall) -> None:
        leg = call.leg
        offer = await leg.peer_offer
        if offer is not None:
            call.leg.acknowledge(call.sound.answer(offer))
        elif call.leg is not leg:
            await self._await_offer(call)

    async def _offer(self, call: PhoneCall, sdp: bytes, what: str) -> None:
        self._note(f"offers to {what}")
        outcome = await call.leg.reinvite(sdp)
        if not outcome.accepted:
            raise self._failure(f"wants to {what} and gets {outcome.status}")
        if outcome.sdp is not None:
            call.sound.take_answer(outcome.sdp)
        self._note(f"{what} is accepted")

    def _reinvited(self, call: PhoneCall, reinvite: Reinvite) -> None:
        if reinvite.offer is None:
            reinvite.accept(call.sound.offer())
            self._background.start(self._await_delayed_answer(call, reinvite), name=f"{self.name} offers")
            return
        try:
            reinvite.accept(call.sound.answer(reinvite.offer))
        except (SdpError, SdpNotAcceptable) as error:
            reinvite.reject(error.status)
        self._note("is offered another description")

    async def _await_delayed_answer(self, call: PhoneCall, reinvite: Reinvite) -> None:
        sdp = await reinvite.acknowledged
        if sdp is not None:
            call.sound.take_answer(sdp)

    def _ended(self, call: PhoneCall, ended: LegEnded) -> None:
        prove, call.proves = call.proves, None
        if prove is not None and call.leg.refusal is not None and (leg := prove(call.leg.refusal)) is not None:
            call.leg = leg
            self._watch(call)
            return
        call.sound.release()
        self._note(f"call is over by {ended.by}: {ended.status} {ended.reason}".rstrip())

    def _second_line_ended(self, call: PhoneCall) -> None:
        call.sound.release()
        if self.beside is call:
            self.beside = None
        self._note(f"second line is over: {_end_of(call)}")

    async def _register(self, expires: float) -> Response | None:
        assert self._account is not None
        user, password, _ = self._account
        target, flow = Uri.parse(f"sip:{self._switch}"), self._flow()
        who = NameAddr(Uri.parse(f"sip:{user}@{self._switch}"))
        headers = [("Contact", self.user_agent.contact(flow, user)), ("Expires", f"{expires:.0f}")]
        authorization: tuple[tuple[str, str], ...] = ()
        response: Response | None = None
        for _ in range(MAX_CHALLENGES):
            self._register_cseq += 1
            response = await self.user_agent.request(
                "REGISTER",
                target,
                flow,
                from_=who,
                to=who,
                headers=(*headers, *authorization),
                call_id=self._register_call_id,
                cseq=self._register_cseq,
            )
            if response is None or response.status != 401:
                break
            answer = authorize(
                response.headers.all("WWW-Authenticate"),
                method="REGISTER",
                uri=str(target),
                user=user,
                password=password,
                cnonce=f"{self._random.getrandbits(64):016x}",
            )
            if answer is None:
                break
            authorization = (("Authorization", answer),)
        self._note(f"registers as {user} for {expires:.0f} s: {_told(response)}")
        self._stop_refreshing()
        if response is not None and response.status == 200 and expires:
            self.registered_until = self._clock.monotonic() + expires
            loop = asyncio.get_running_loop()
            self._refresh = loop.call_later(expires * REFRESH_AFTER, self._refresh_registration)
        return response

    def _refresh_registration(self) -> None:
        assert self._account is not None
        self._background.start(self._register_again(self._account[2]), name=f"{self.name} registers again")

    async def _register_again(self, expires: float) -> None:
        await self._register(expires)

    def _stop_refreshing(self) -> None:
        self.registered_until = None
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None

    def _flow(self) -> Flow:
        return Flow(self._transport, Address(self.host.address, self.host.port), self._switch)

    def _uri(self, user: str) -> Uri:
        transport = "" if self._transport is Transport.UDP else f";transport={self._transport.value.lower()}"
        return Uri.parse(f"sip:{user}@{self._switch}{transport}")

    # What is seen and waited for.

    def _is_ringing(self) -> bool:
        call = self.call
        return call is not None and call.leg.incoming and call.leg.state is LegState.RINGING

    def _hears(self, what: str | Phone) -> bool:
        if isinstance(what, Phone):
            return what.name in self.heard_now()
        return any(what in each for each in self.heard_now())

    def this_call(self) -> PhoneCall:
        """The call that is, or the last that was. Fails when there was none."""
        if self.call is None:
            raise self._failure("should be in a call, and never was")
        return self.call

    def _note(self, what: str) -> None:
        self.log.append(f"{self._clock.monotonic():10.3f} {self.name} {what}")
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        if not news.done():
            news.set_result(None)

    async def _until(
        self, come_true: Callable[[], bool], within: float, otherwise: str, *, listen: bool = False
    ) -> None:
        deadline = self._clock.monotonic() + within
        while not come_true():
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise self._failure(f"{otherwise} within {within:g} s")
            await _first(self._news, min(left, LISTEN_EVERY) if listen else left)

    def _failure(self, what: str) -> PhoneFailure:
        now = f"{self._clock.monotonic():.3f} s"
        ears = ", ".join(self.heard_now()) or "nothing"
        seen = "\n".join(self.log) or "  nothing"
        return PhoneFailure(f"{self.name} {what}. At {now} it hears {ears}. What it saw:\n{seen}")


async def _first(news: Awaitable[None], within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await asyncio.shield(news)
    except TimeoutError:
        pass


def _told(response: Response | None) -> str:
    return f"{response.status} {response.reason}" if response is not None else "no answer"


def _end_of(call: PhoneCall) -> str:
    ended = call.leg.ended.result()
    return f"{ended.status} {ended.reason} by {ended.by}"
