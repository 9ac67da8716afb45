"""SimTrunk: a simulated carrier's server: it challenges, registers, refuses, falls silent, rings and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from callcenter.runtime.clock import Clock
from callcenter.signaling.leg import Answered, DialOutcome, Leg
from callcenter.signaling.reply import Reply
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.network import SimHost
from callcenter.simulation.phone import PhoneCall, Sounds
from callcenter.sip.digest import Challenge, Credentials, DigestServer, Verified, authorize
from callcenter.sip.endpoint import Endpoint, Refusal
from callcenter.sip.events import RequestReceived
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request
from callcenter.sip.uri import Uri

REALM = "carrier.example"


@dataclass(slots=True)
class Manners:
    """What a carrier does with the calls that come. May be changed at any time.

    ``status``: refuse with it, with ``headers``; 0: ring, and answer after ``rings`` seconds (None: never).
    ``says_nothing``: not even that. ``challenge``: 401 or 407 first; 0: not at all. ``early``: send early media while
    it rings. ``grants``: seconds of a registration; ``least`` what it must be asked for; ``refuses``: the status of
    every REGISTER.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    rings: float | None = 0.5
    says_nothing: bool = False
    challenge: int = 0
    early: bool = False
    grants: int = 600
    least: int = 0
    refuses: int = 0


@dataclass(slots=True)
class Seen:
    """What came to a carrier."""

    invites: list[Request] = field(default_factory=list)
    registers: list[Request] = field(default_factory=list)
    registered_at: list[float] = field(default_factory=list)


class SimTrunk:
    """A carrier. ``account`` is the user and the password that it wants to be proved, where it challenges."""

    def __init__(
        self,
        name: str,
        host: SimHost,
        switch: Address,
        *,
        clock: Clock,
        random: Random,
        sounds: Sounds,
        account: tuple[str, str] = ("", ""),
    ) -> None:
        self.name = name
        self.host = host
        self.manners = Manners()
        self.seen = Seen()
        self.calls: list[PhoneCall] = []
        self.registrations: set[str] = set()
        self.endpoint = Endpoint(random=random, agent_name="carrier", accept_methods=("REGISTER",))
        self.endpoint.screen = self._screen
        self.user_agent = UserAgent(host, self.endpoint, clock, self._invited, self._requested)
        self._switch = switch
        self._clock = clock
        self._random = random
        self._sounds = sounds
        self._account = account
        self._digest = DigestServer(REALM, b"simulated key of a carrier")

    async def open(self) -> SimTrunk:
        """Be there."""
        await self.user_agent.open()
        return self

    async def close(self) -> None:
        """Hang up and be gone."""
        await self.user_agent.close()

    def is_registered(self) -> bool:
        """Whether the switch is registered here."""
        return bool(self.registrations)

    @property
    def address(self) -> str:
        """The IP address."""
        return self.host.address

    def forget_nonces(self) -> None:
        """Every nonce that was given is stale from now on, as after a restart."""
        self._digest = DigestServer(REALM, self._random.getrandbits(128).to_bytes(16, "big"))

    async def calls_in(
        self,
        number: str,
        caller: str = "+14155550199",
        *,
        user: str = "",
        password: str = "",
        headers: Sequence[tuple[str, str]] = (),
        to: str = "",
    ) -> tuple[PhoneCall, DialOutcome]:
        """Somebody calls ``number`` by this carrier; the call, and what came of it. With ``user`` it proves itself.

        ``to`` is the number in To, where that is another one.
        """
        flow = Flow(Transport.UDP, Address(self.host.address, self.host.port), self._switch)
        target = Uri.parse(f"sip:{number}@{self._switch}")
        from_ = NameAddr(Uri(user=user or caller, host=REALM))
        call_id = f"{self._random.getrandbits(64):016x}"
        sound = self._sounds(self.name, self.host.address)

        def invite(cseq: int, *more: tuple[str, str]) -> Leg:
            return self.user_agent.dial(
                target,
                flow,
                from_=from_,
                to=NameAddr(Uri(user=to or number, host=REALM)),
                sdp=sound.offer(),
                headers=(*headers, *more),
                call_id=call_id,
                cseq=cseq,
            )

        leg = invite(1)
        outcome = await leg.outcome()
        if leg.refusal is not None and leg.refusal.status == 401 and user:
            answer = authorize(
                leg.refusal.headers.all("WWW-Authenticate"),
                method="INVITE",
                uri=str(target),
                user=user,
                password=password,
                cnonce=f"{self._random.getrandbits(64):016x}",
            )
            assert answer is not None
            leg = invite(2, ("Authorization", answer))
            outcome = await leg.outcome()
        call = PhoneCall(leg, sound, number)
        if isinstance(outcome, Answered):
            call.connected = True
            if outcome.sdp is not None:
                sound.take_answer(outcome.sdp)
        leg.ended.add_done_callback(lambda _: sound.release())
        self.calls.append(call)
        return call, outcome

    async def registers(self, user: str, password: str, *, expires: int = 600) -> int:
        """Register at the switch, as a customer's PBX does, or take it back with 0 seconds; what it is answered."""
        flow = Flow(Transport.UDP, Address(self.host.address, self.host.port), self._switch)
        target, who = Uri.parse(f"sip:{self._switch}"), NameAddr(Uri(user=user, host=self._switch.host))
        call_id = f"{self._random.getrandbits(64):016x}"
        answer: tuple[tuple[str, str], ...] = ()
        cseq = 0
        while True:
            cseq += 1
            response = await self.user_agent.request(
                "REGISTER",
                target,
                flow,
                from_=who,
                to=who,
                headers=(("Contact", f"<sip:line@{self.host.address};line=7>;expires={expires}"), *answer),
                call_id=call_id,
                cseq=cseq,
            )
            assert response is not None, "the switch does not answer"
            if response.status != 401 or answer:
                return response.status
            proved = authorize(
                response.headers.all("WWW-Authenticate"),
                method="REGISTER",
                uri=str(target),
                user=user,
                password=password,
                cnonce=f"{self._random.getrandbits(64):016x}",
            )
            assert proved is not None
            answer = (("Authorization", proved),)

    def __repr__(self) -> str:
        return f"<SimTrunk {self.name} {self.host.address}>"

    # What it does.

    def _screen(self, request: Request, flow: Flow) -> str | Refusal:
        status = self.manners.challenge
        if not status:
            return ""
        asked, answered = (
            ("WWW-Authenticate", "Authorization") if status == 401 else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        match self._digest.verify(request, self._credentials, self._clock.now().timestamp(), header=answered):
            case Verified(user=user):
                return user
            case verdict:
                return Refusal(status, tuple((asked, value) for value in self._challenges(verdict)))

    def _challenges(self, verdict: object) -> list[str]:
        stale = isinstance(verdict, Challenge) and verdict.stale
        return self._digest.challenges(self._clock.now().timestamp(), stale=stale)

    def _credentials(self, user: str) -> Credentials | None:
        name, password = self._account
        return Credentials.of(user, REALM, password) if user == name else None

    def _requested(self, event: RequestReceived) -> Reply:
        request, manners = event.request, self.manners
        self.seen.registers.append(request)
        self.seen.registered_at.append(self._clock.monotonic())
        if manners.refuses:
            return Reply(manners.refuses)
        if manners.challenge:
            verdict = self._digest.verify(request, self._credentials, self._clock.now().timestamp())
            if not isinstance(verdict, Verified):
                return Reply(401, tuple(("WWW-Authenticate", value) for value in self._challenges(verdict)))
        wanted = request.expires or 0
        if 0 < wanted < manners.least:
            return Reply(423, (("Min-Expires", str(manners.least)),))
        contact = request.contact
        assert contact is not None
        granted = min(wanted, manners.grants)
        (self.registrations.add if granted else self.registrations.discard)(str(contact.uri))
        return Reply(200, (("Contact", f"<{contact.uri}>;expires={granted}"),) if granted else ())

    def _invited(self, leg: Leg) -> None:
        assert leg.request is not None
        self.seen.invites.append(leg.request)
        manners = replace(self.manners)
        if manners.says_nothing:
            return
        if manners.status:
            leg.reject(manners.status, headers=manners.headers)
            return
        sound = self._sounds(self.name, self.host.address)
        call = PhoneCall(leg, sound, leg.remote_number)
        self.calls.append(call)
        leg.ended.add_done_callback(lambda _: sound.release())
        assert leg.offer is not None
        answer = sound.answer(leg.offer)
        if manners.early:
            leg.ring(status=183, sdp=answer)
        else:
            leg.ring()
        if manners.rings is not None:
            asyncio.get_running_loop().call_later(manners.rings, self._pick_up, call, answer)

    def _pick_up(self, call: PhoneCall, answer: bytes) -> None:
        if not call.over:
            call.leg.answer(answer)
            call.connected = True
