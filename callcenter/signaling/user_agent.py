"""UserAgent: the shell of the SIP core: messages go in and out, and sessions become legs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from callcenter.runtime.clock import Clock
from callcenter.runtime.driver import Driver
from callcenter.signaling.leg import Leg
from callcenter.signaling.reply import Reply
from callcenter.signaling.transport import Network
from callcenter.sip.events import (
    Acknowledged,
    Answered,
    Effect,
    InfoReceived,
    InviteReceived,
    ProgressAnswered,
    Progressed,
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

if TYPE_CHECKING:
    from callcenter.sip.endpoint import Endpoint
    from callcenter.sip.errors import SipParseError
    from callcenter.sip.flow import Flow
    from callcenter.sip.headers import NameAddr
    from callcenter.sip.message import Request, Response
    from callcenter.sip.uri import Uri

# While we go down callers are told to try again after so many seconds: a restart takes less.
DRAIN_RETRY_AFTER = 10
CLOSE_LOOKS_EVERY = 0.05


class UserAgent:
    """One SIP element on one network.

    ``legs`` holds every session that is not over. ``on_invite`` and ``on_request`` are called on the spot and never
    wait; if they raise, the peer gets 500. ``on_request`` returns the answer, or None and calls :meth:`respond` later.
    ``trace``, when set, sees each message: ``trace(sent, flow, data)``.
    ``on_connection_lost`` is told the number of each connection that went.
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
        self._endpoint = endpoint
        self._driver: Driver[Effect] = Driver(endpoint, self._perform, clock)
        self._on_invite = on_invite
        self._on_request = on_request
        self._asked: dict[str, asyncio.Future[Response | None]] = {}

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
    ) -> Leg:
        """Call ``target`` over ``flow``: the INVITE goes out before this returns. Await ``leg.outcome()``.

        Without ``sdp`` the peer makes the offer: see ``Leg.peer_offer``. ``call_id`` and ``cseq`` repeat a call that
        was challenged.
        """
        session, effects = self._endpoint.invite(
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
        )
        number = to.uri.number_or_user
        leg = Leg(
            session, flow, self._endpoint, self._driver, remote_number=number, remote_name=to.label,
            dialled=number, local_sdp=sdp, call_id=call_id or "",
        )  # fmt: skip
        self.legs[session] = leg
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
        if self.trace is not None:
            self.trace(False, flow, data)
        self._driver.run(self._endpoint.receive(data, flow, self._driver.now()))

    def message(self, message: Request | Response, flow: Flow) -> None:
        """A message came over a connection."""
        if self.trace is not None:
            self.trace(False, flow, message.to_bytes())
        self._driver.run(self._endpoint.receive_message(message, flow, self._driver.now()))

    def unreadable(self, error: SipParseError, flow: Flow) -> None:
        """Something unreadable came over a connection."""
        self._driver.run(self._endpoint.receive_error(error, flow, self._driver.now()))

    def send_failed(self, key: str) -> None:
        """The network could not send it."""
        self._driver.run(self._endpoint.send_failed(key, self._driver.now()))

    def connection_lost(self, connection: int) -> None:
        """A connection is gone."""
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
                if leg is not None:
                    leg.take(effect)
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
                | InfoReceived(session=session)
            ):
                # Without a leg it is a session that was refused at the door.
                leg = self.legs.get(session)
                if leg is not None:
                    leg.take(effect)

    def _invited(self, event: InviteReceived) -> None:
        request, session = event.request, event.session
        if self.draining:
            retry = (("Retry-After", str(DRAIN_RETRY_AFTER)),)
            self._driver.run(self._endpoint.reject(session, 503, self._driver.now(), headers=retry))
            return
        caller = request.from_
        leg = Leg(
            session,
            event.flow,
            self._endpoint,
            self._driver,
            request=request,
            offer=event.offer,
            remote_number=caller.uri.number_or_user,
            remote_name=caller.label,
            dialled=request.uri.number_or_user,
            user=event.user,
            trunk=event.trunk,
        )
        self.legs[session] = leg
        try:
            self._on_invite(leg)
        except Exception:
            leg.hangup(status=500)
            raise

    def _requested(self, event: RequestReceived) -> None:
        try:
            reply = self._on_request(event)
        except Exception:
            self.respond(event.transaction, 500)
            raise
        if reply is not None:
            self.respond(event.transaction, reply.status, reason=reply.reason, headers=reply.headers)
