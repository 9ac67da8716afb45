"""UserAgent: the shell of the SIP core: messages go in and out, and sessions become legs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from callcenter.runtime.clock import Clock
from callcenter.runtime.driver import Driver
from callcenter.signaling.leg import Leg
from callcenter.signaling.referral import Referral
from callcenter.signaling.reply import Reply
from callcenter.signaling.transport import Network
from callcenter.sip.diversion import diversions_of
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import (
    Acknowledged,
    Answered,
    Effect,
    EndedBy,
    InfoAnswered,
    InfoReceived,
    InviteReceived,
    Notified,
    ProgressAnswered,
    Progressed,
    ReferAnswered,
    ReferReceived,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Rejected,
    RequestReceived,
    ResponseReceived,
    Send,
    SessionEnded,
    Trying,
)
from callcenter.sip.guard import Verdict
from callcenter.sip.identity import identity_of
from callcenter.sip.message import MAX_FORWARDS, Request
from callcenter.sip.parser import parse

if TYPE_CHECKING:
    from callcenter.signaling.gate import Gate
    from callcenter.sip.digest_client import DigestClient
    from callcenter.sip.endpoint import Endpoint
    from callcenter.sip.flow import Flow
    from callcenter.sip.headers import NameAddr
    from callcenter.sip.message import Response
    from callcenter.sip.uri import Uri

# While we go down callers are told to try again after so many seconds: a restart takes less.
DRAIN_RETRY_AFTER = 10
CLOSE_LOOKS_EVERY = 0.05

# How phones refuse a description: for want of anything common, of a known profile, or everywhere.
NOT_ACCEPTABLE = frozenset({488, 415, 606})

Invite = Callable[[bytes | None, str, int, str | None], "tuple[str, list[Effect]]"]
"""Sends an INVITE with this description, Call-ID and CSeq, and the From tag of the one that it repeats."""


class UserAgent:
    """One SIP element on one network.

    ``legs`` holds every session that is not over. ``on_invite`` and ``on_request`` are called on the spot and never
    wait; if they raise, the peer gets 500. ``on_request`` returns the answer, or None and calls :meth:`respond` later.
    ``trace``, when set, sees each message: ``trace(sent, flow, data)``.
    ``on_dial`` is told the Call-ID of each INVITE that begins a session of ours, before it goes out.
    ``on_connection_lost`` is told the number of each connection that went. ``trusted`` says whose word counts on who
    calls (P-Asserted-Identity, RFC 3325), by the way that they come and the trunk, if any: nobody's, unless it is set.
    What ``gate``, when set, does not let pass is neither read nor traced.
    """

    def __init__(
        self,
        network: Network,
        endpoint: Endpoint,
        clock: Clock,
        on_invite: Callable[[Leg], None],
        on_request: Callable[[RequestReceived], Reply | None],
    ) -> None:
        self.network = network
        self.legs: dict[str, Leg] = {}
        self.draining = False
        self.trace: Callable[[bool, Flow, bytes], None] | None = None
        self.on_connection_lost: Callable[[int], None] | None = None
        self.trusted: Callable[[Flow, str], bool] = lambda *_: False
        self.on_dial: Callable[[str], None] | None = None
        self.gate: Gate | None = None
        self.endpoint = self._endpoint = endpoint
        self.driver = self._driver = Driver[Effect](endpoint, self._perform, clock)
        self._on_invite = on_invite
        self._on_request = on_request
        # Connections that something came over, and were not lost since.
        self.connections: set[int] = set()
        self._asked: dict[str, asyncio.Future[Response | None]] = {}
        self._second: dict[str, tuple[bytes, Invite]] = {}

    async def open(self) -> None:
        """Listen. Raises TransportError."""
        await self.network.open(self)

    def dial(
        self,
        target: Uri,
        flow: Flow,
        *,
        from_: NameAddr,
        to: NameAddr,
        sdp: bytes | None,
        headers: Iterable[tuple[str, str]] = (),
        routes: Sequence[str] = (),
        call_id: str | None = None,
        cseq: int = 1,
        or_else: bytes | None = None,
        max_forwards: int = MAX_FORWARDS,
        user: str = "",
        login: DigestClient | None = None,
    ) -> Leg:
        """Call ``target`` over ``flow``: the INVITE goes out before this returns. Await ``leg.outcome()``.

        Without ``sdp`` the peer makes the offer: see ``Leg.peer_offer``. ``or_else`` is offered to a peer that accepts
        no such description as ``sdp`` (488). ``call_id`` and ``cseq`` repeat a call that was challenged; with a
        ``login`` the challenges are answered, of all that is sent in this session, and nobody need look after that.
        ``max_forwards``: what is left of those of the caller who is put through. ``user``: whose phone it is, who may
        have another of theirs take its place (``Leg.replaces``).
        """
        headers, call_id = tuple(headers), call_id or self._endpoint.new_call_id()
        if self.on_dial is not None:
            self.on_dial(call_id)

        def invite(sdp: bytes | None, call_id: str, cseq: int, tag: str | None) -> tuple[str, list[Effect]]:
            return self._endpoint.invite(
                target=target,
                flow=flow,
                from_=from_,
                to=to,
                sdp=sdp,
                now=self._driver.now(),
                routes=routes,
                headers=headers,
                call_id=call_id,
                cseq=cseq,
                max_forwards=max_forwards,
                user=user,
                login=login,
                tag=tag,
            )

        session, effects = invite(sdp, call_id, cseq, None)
        number = to.uri.number_or_user
        leg = Leg(
            session, flow, self._endpoint, self._driver, remote_number=number, remote_name=to.label,
            dialled=number, local_sdp=sdp, call_id=call_id,
        )  # fmt: skip
        self.legs[session] = leg
        if or_else is not None:
            self._second[session] = or_else, invite
        self._driver.run(effects)
        return leg

    def request(
        self,
        method: str,
        target: Uri,
        flow: Flow,
        *,
        from_: NameAddr,
        to: NameAddr,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        routes: Sequence[str] = (),
        call_id: str | None = None,
        cseq: int = 1,
    ) -> asyncio.Future[Response | None]:
        """Send a request outside a session. Done with the final answer; with None when none came."""
        request_id, effects = self._endpoint.request(
            method=method,
            target=target,
            flow=flow,
            from_=from_,
            to=to,
            now=self._driver.now(),
            headers=headers,
            body=body,
            routes=routes,
            call_id=call_id,
            cseq=cseq,
        )
        answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        self._driver.run(effects)
        return answer

    def respond(
        self,
        transaction: str,
        status: int,
        *,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer a RequestReceived."""
        self._driver.run(
            self._endpoint.respond(
                transaction,
                status,
                self._driver.now(),
                reason=reason,
                headers=headers,
                body=body,
                content_type=content_type,
            )
        )

    def contact(self, flow: Flow, user: str | None) -> str:
        """Our Contact value towards the peer of ``flow``."""
        return self._endpoint.contact(flow, user)

    def drain(self) -> None:
        """Take no new calls (503 with Retry-After, also to OPTIONS); the calls that are go on."""
        self.draining = True
        self._endpoint.healthy = False

    async def close(self, within: float = 1.0) -> None:
        """Hang up what is left, wait at most ``within`` seconds for the peers to confirm, and close the network."""
        self.drain()
        for leg in list(self.legs.values()):
            leg.hangup(status=503, cause="Shutting down")
        try:
            # Peers who do not answer within this time will find out by themselves.
            for _ in range(round(within / CLOSE_LOOKS_EVERY)):
                if not self._endpoint.status().sessions:
                    break
                await asyncio.sleep(CLOSE_LOOKS_EVERY)
        finally:
            self._driver.close()
            self.network.close()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_result(None)
            self._asked.clear()

    def datagram(self, data: bytes, flow: Flow) -> None:
        """A UDP datagram came."""
        if self.gate is not None and (verdict := self.gate.datagram(data, flow)) is not Verdict.PASS:
            if verdict is Verdict.REFUSE:
                with contextlib.suppress(SipParseError):
                    self._turn_away(parse(data), flow, self.gate)
            return
        if self.trace is not None:
            self.trace(False, flow, data)
        self._driver.run(self._endpoint.receive(data, flow, self._driver.now()))

    def message(self, message: Request | Response, flow: Flow) -> None:
        """A message came over a connection."""
        self.connections.add(flow.connection)
        if self.gate is not None and (verdict := self.gate.message(message, flow)) is not Verdict.PASS:
            if verdict is Verdict.REFUSE:
                self._turn_away(message, flow, self.gate)
            return
        if self.trace is not None:
            self.trace(False, flow, message.to_bytes())
        self._driver.run(self._endpoint.receive_message(message, flow, self._driver.now()))

    def unreadable(self, error: SipParseError, flow: Flow) -> None:
        """Something unreadable came over a connection."""
        if self.gate is not None and not self.gate.may_try(flow):
            return
        self._driver.run(self._endpoint.receive_error(error, flow, self._driver.now()))

    def send_failed(self, key: str) -> None:
        """The network could not send it."""
        self._driver.run(self._endpoint.send_failed(key, self._driver.now()))

    def connection_lost(self, connection: int) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._driver.run(self._endpoint.connection_lost(connection, self._driver.now()))
        if self.on_connection_lost is not None:
            self.on_connection_lost(connection)

    def __repr__(self) -> str:
        where = ", ".join(str(listener) for listener in self.network.listeners)
        return f"<UserAgent {where} {len(self.legs)} legs{' draining' if self.draining else ''}>"

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(flow=flow, data=data, key=key):
                if self.trace is not None:
                    self.trace(True, flow, data)
                self.network.send(flow, data, key)
            case InviteReceived():
                self._invited(effect)
            case SessionEnded(session=session):
                leg = self.legs.pop(session, None)
                second = self._second.pop(session, None)
                if leg is not None and not (second is not None and self._offer_second(leg, effect, *second)):
                    leg.take(effect)
            case ReferReceived():
                self._referred(effect)
            case RequestReceived():
                self._requested(effect)
            case ResponseReceived(request_id=request_id, response=response):
                answer = self._asked.pop(request_id, None)
                if answer is not None and not answer.done():
                    answer.set_result(response)
            case (
                Trying(session=session)
                | Progressed(session=session)
                | ProgressAnswered(session=session)
                | Answered(session=session)
                | Rejected(session=session)
                | Acknowledged(session=session)
                | ReinviteReceived(session=session)
                | ReinviteAnswered(session=session)
                | ReinviteRejected(session=session)
                | InfoAnswered(session=session)
                | InfoReceived(session=session)
                | ReferAnswered(session=session)
                | Notified(session=session)
            ):
                # Without a leg it is a session that was refused at the door.
                leg = self.legs.get(session)
                if leg is not None:
                    leg.take(effect)

    def _offer_second(self, leg: Leg, ended: SessionEnded, sdp: bytes, invite: Invite) -> bool:
        """Call with the second description a peer that did not accept the first; returns whether that is so."""
        refusal = leg.refusal
        if refusal is None or ended.by is not EndedBy.PEER or ended.status not in NOT_ACCEPTABLE:
            return False
        session, effects = invite(sdp, refusal.call_id, refusal.cseq.number + 1, leg.id)
        self.legs[session] = leg
        leg.begin_again(session, sdp)
        self._driver.run(effects)
        return True

    def _turn_away(self, message: Request | Response, flow: Flow, gate: Gate) -> None:
        if isinstance(message, Request):
            self._driver.run(self._endpoint.turn_away(message, flow, gate.retry_after(flow)))

    def _invited(self, event: InviteReceived) -> None:
        request, session = event.request, event.session
        if self.draining:
            retry = (("Retry-After", str(DRAIN_RETRY_AFTER)),)
            self._driver.run(self._endpoint.reject(session, 503, self._driver.now(), headers=retry))
            return
        replaced = self.legs.get(event.replaces)
        if event.replaces and replaced is None:
            # A session that was refused at the door: nobody's to be replaced.
            self._driver.run(self._endpoint.reject(session, 481, self._driver.now()))
            return
        caller = identity_of(request, trusted=self.trusted(event.flow, event.trunk))
        leg = Leg(
            session,
            event.flow,
            self._endpoint,
            self._driver,
            request=request,
            offer=event.offer,
            remote_number=caller.number,
            remote_name=caller.name,
            dialled=request.uri.number_or_user,
            user=event.user,
            trunk=event.trunk,
        )
        leg.asserted_number, leg.withheld, leg.attested = caller.asserted, caller.withheld, caller.attested
        leg.diverted = diversions_of(request.headers)
        if self.gate is not None and not event.trunk:
            leg.trusted = self.gate.guard.trusts(event.flow)
            leg.stranger = self.gate.guard.stranger(event.flow) != ""
        self.legs[session] = leg
        try:
            if replaced is not None:
                replaced.take_replacement(leg)
            else:
                self._on_invite(leg)
        except Exception:
            leg.hangup(status=500)
            raise

    def _referred(self, event: ReferReceived) -> None:
        referral = Referral(
            event.session,
            event.number,
            self._endpoint,
            self._driver,
            target=event.refer.target,
            replaces=self.legs.get(event.replaces),
            referred_by=event.refer.referred_by,
        )
        leg = self.legs.get(event.session)
        if leg is None or (event.replaces and referral.replaces is None):
            # A session that was refused at the door is nobody's to be referred by, or to be replaced.
            referral.reject(403)
        else:
            leg.take_referral(referral)

    def _requested(self, event: RequestReceived) -> None:
        try:
            reply = self._on_request(event)
        except Exception:
            self.respond(event.transaction, 500)
            raise
        if reply is not None:
            self.respond(event.transaction, reply.status, reason=reply.reason, headers=reply.headers)
