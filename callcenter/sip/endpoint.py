"""Endpoint: the whole of RFC 3261 for one element: messages and now in, effects out, one deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.sip.body import SDP, sdp_of
from callcenter.sip.core import Core, merge_key
from callcenter.sip.dialog import DialogState, caller_of, routed
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import Effect, EndedBy, InviteReceived, RequestReceived, ResponseReceived
from callcenter.sip.flow import Address, Flow
from callcenter.sip.headers import Headers
from callcenter.sip.invite import Session
from callcenter.sip.message import MAX_FORWARDS, Request, Response
from callcenter.sip.parser import answerable, check, parse
from callcenter.sip.refer import send_refer, take_notify, take_refer, take_subscribe
from callcenter.sip.replaces import replaces_of
from callcenter.sip.session_state import SessionState
from callcenter.sip.session_timer import SessionTimer, offer_headers
from callcenter.sip.timers import RFC_TIMERS, SipTimers
from callcenter.sip.transaction import State
from callcenter.sip.transaction_client import ClientInvite, ClientRequest, client_key
from callcenter.sip.transaction_server import ServerInvite, ServerRequest, server_key

if TYPE_CHECKING:
    from random import Random

    from callcenter.sip.digest_client import DigestClient
    from callcenter.sip.headers import NameAddr
    from callcenter.sip.message import Message
    from callcenter.sip.metrics import Metrics
    from callcenter.sip.uri import Uri

HeaderLines = Iterable[tuple[str, str]]

# What is understood here; what the application understands is named to the constructor.
CORE_METHODS = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "PRACK", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE",
)  # fmt: skip

# Methods that mean nothing outside a dialog: there the answer is 481, not 405 (RFC 3261 12.2.2).
DIALOG_METHODS = frozenset(("BYE", "INFO", "UPDATE", "PRACK"))

# What bodies of ours and of peers may be (RFC 5621: a part among others counts too).
ACCEPT = ("Accept", f"{SDP}, multipart/mixed")

# What an Accept of a peer names when it reads our descriptions.
READS_SDP = frozenset((SDP, "application/*", "*/*"))

# Schemes of Request-URIs that can name somebody here.
SCHEMES = frozenset(("sip", "sips", "tel"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what peers can make us keep; past them a request is answered 503 with Retry-After, statelessly.

    A transaction lives 32 s, most of it with nothing left but its answer, in some 2.5 KiB: the bound is 3,100 new ones
    a second, two of them a call, and 250 MiB. Requests within dialogs may take half as many again, so that calls can
    end while new ones are refused.
    """

    transactions: int = 100_000
    sessions: int = 5_000
    retry_after: int = 5


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What the endpoint keeps now."""

    transactions: int
    dialogs: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a request is refused with before anything of it is kept (RFC 3261 8.2.7)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FromTrunk:
    """An INVITE comes by this trunk, which has proved to be it."""

    trunk: str


# Whether who calls may: the user that they proved to be, empty where nobody need prove anything; by which trunk they
# come; or a Refusal.
Screen = Callable[["Request", Flow], str | FromTrunk | Refusal]

# What a request for the application is answered with at once; None: it is told of it.
AskFirst = Callable[["Request", Flow], Refusal | None]


class Endpoint:
    """A SIP element. Every method that may send returns the effects, to be performed in order.

    ``now`` is in seconds of a clock that only grows. ``advertised`` gives the address that stands in our Via and
    Contact towards the peer of a flow; without it, it is the flow's own. ``accept_methods`` are told as
    RequestReceived, outside dialogs. ``supported`` are the option tags that a peer may require. While ``healthy`` is
    False, OPTIONS is answered 503. Without ``agent_name`` no message names us. Without ``session_timer`` no session is
    refreshed (RFC 4028).

    ``screen``, when set, is asked of each new INVITE before a transaction is made for it. So a challenge goes out
    without a 100 before it, which simple phones take for the answer to read, and whoever has no password makes us keep
    nothing. ``ask_first``, when set, is asked so of each request that would be told as RequestReceived: nearly every
    REGISTER comes twice, the first time without a password.

    ``stranger`` gives the source of who is known by nothing, and empty for all others: over UDP they are answered
    little until they have shown that they are there (see sip/strangers.py). ``on_unreadable`` is told the flow of each
    message that could not be read.
    """

    def __init__(
        self,
        *,
        random: Random,
        timers: SipTimers = RFC_TIMERS,
        agent_name: str = "callcenter",
        advertised: Callable[[Flow], Address] | None = None,
        accept_methods: Sequence[str] = ("REGISTER",),
        supported: Sequence[str] = ("100rel", "path", "outbound", "replaces", "norefersub"),
        session_timer: SessionTimer | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.healthy = True
        self.screen: Screen | None = None
        self.ask_first: AskFirst | None = None
        self.stranger: Callable[[Flow], str] = _nobody
        self.on_unreadable: Callable[[Flow], None] | None = None
        self._limits = limits
        self._accepted = frozenset(accept_methods)
        if session_timer is not None:
            supported = (*supported, "timer")
        self._supported = frozenset(supported)
        methods = (*CORE_METHODS, *accept_methods)
        self._core = Core(random, timers, agent_name, advertised or _own_address, methods, supported, session_timer)

    def __repr__(self) -> str:
        status = self.status()
        return f"<Endpoint {status.sessions} sessions, {status.transactions} transactions>"

    # -- the wire ----------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """Take a UDP datagram."""
        try:
            message = parse(data)
        except SipParseError as error:
            return self.receive_error(error, flow, now)
        return self.receive_message(message, flow, now)

    def receive_message(self, message: Message, flow: Flow, now: float) -> list[Effect]:
        """Take a message that is framed already (TCP, TLS)."""
        try:
            if isinstance(message, Request):
                self._receive_request(message, flow, now)
            else:
                self._receive_response(message, now)
        except SipParseError as error:
            if isinstance(message, Request):
                if error.partial is None:
                    # Its transaction was looked for before it was checked.
                    error.partial = answerable(message)
                return self.receive_error(error, flow, now)
        return self._core.flush()

    def receive_error(self, error: SipParseError, flow: Flow, now: float) -> list[Effect]:
        """Answer a request that could not be read, if enough of it could; else silence."""
        request = error.partial
        self._core.metrics.could_not_read(error.reason)
        if self.on_unreadable is not None:
            self.on_unreadable(flow)
        if request is not None and request.method != "ACK":
            self._core.refuse(_seen_from(request, flow), flow, error.status, reason=error.reason)
        return self._core.flush()

    def turn_away(self, request: Request, flow: Flow, retry_after: int) -> list[Effect]:
        """Answer a request 503 without looking at it; silence to one that is being answered already."""
        try:
            if server_key(request, request.method) not in self._core.servers:
                self._core.refuse(_seen_from(request, flow), flow, 503, [("Retry-After", str(retry_after))])
        except SipParseError:
            pass  # No answer would find its way.
        return self._core.flush()

    def send_failed(self, key: str, now: float) -> list[Effect]:
        """The Send with this key could not be performed."""
        self._core.send_failed(key, now)
        return self._core.flush()

    def connection_lost(self, connection: int, now: float) -> list[Effect]:
        """A TCP or TLS connection is gone."""
        self._core.connection_lost(connection, now)
        return self._core.flush()

    @property
    def deadline(self) -> float | None:
        """When to call expire; None = nothing is due."""
        return self._core.deadline

    def expire(self, now: float) -> list[Effect]:
        """Do what is due at ``now``."""
        self._core.expire(now)
        return self._core.flush()

    # -- incoming sessions -------------------------------------------------------------------------------------------

    def ring(self, session: str, now: float, *, status: int = 180, sdp: bytes | None = None) -> list[Effect]:
        """Answer the peer's INVITE provisionally (101-199), with early media if ``sdp`` is given.

        This and the methods below do nothing when the session is over, unknown, or in a state where they mean nothing.
        """
        if (found := self._core.sessions.get(session)) is not None:
            found.ring(status, sdp, now)
        return self._core.flush()

    def answer(self, session: str, sdp: bytes, now: float) -> list[Effect]:
        """Accept the peer's INVITE: 200, repeated until the ACK comes (Acknowledged)."""
        if (found := self._core.sessions.get(session)) is not None:
            found.answer(sdp, now)
        return self._core.flush()

    def reject(
        self, session: str, status: int, now: float, *, reason: str | None = None, headers: HeaderLines = ()
    ) -> list[Effect]:
        """Refuse the peer's INVITE (300-699); SessionEnded(LOCAL) comes at once."""
        if (found := self._core.sessions.get(session)) is not None:
            found.reject(status, reason, headers, now)
        return self._core.flush()

    # -- outgoing sessions -------------------------------------------------------------------------------------------

    def invite(
        self,
        *,
        target: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        sdp: bytes | None,
        now: float,
        routes: Sequence[str] = (),
        headers: HeaderLines = (),
        call_id: str | None = None,
        cseq: int = 1,
        max_forwards: int = MAX_FORWARDS,
        user: str = "",
        login: DigestClient | None = None,
        tag: str | None = None,
    ) -> tuple[str, list[Effect]]:
        """Call ``target`` by ``flow``; returns the session. Without ``sdp`` the peer makes the offer: see acknowledge.

        ``routes`` are Route values (an outbound proxy, the Path of a registration). ``call_id``, ``cseq`` and ``tag``
        repeat a call that was refused, whose session is the new one's too (8.1.3.5). Where a call is passed on,
        ``max_forwards`` is what is left of its own. How many calls we make is for the caller to bound. ``user`` is
        whose phone it is, who alone may have another take its place. ``login`` answers the peer's challenges, to this
        INVITE and to all that follows in the session.
        """
        core = self._core
        tag = tag or core.tag()
        assert tag not in core.sessions, "that call is not over"
        request = self._new_request(
            "INVITE", target, flow, from_.with_tag(tag), to, routes, call_id, cseq, sdp or b"", max_forwards
        )
        contact = core.contact(flow, from_.uri.user, "sips" if target.scheme == "sips" else "sip")
        timer = () if core.session_timer is None else offer_headers(core.session_timer, 0, None)
        proved = () if login is None else login.headers("INVITE", str(request.uri))
        for name, value in (*core.session_headers(contact), *timer, *headers, *proved):
            request.headers.add(name, value)
        if sdp:
            request.headers.add("Content-Type", SDP)
        core.sessions[tag] = Session.outgoing(core, tag, request, target, contact, flow, now, user, login)
        return tag, core.flush()

    def prove_by(self, session: str, login: DigestClient) -> None:
        """Answer the peer's challenges to what we send within this session, that it began."""
        if (found := self._core.sessions.get(session)) is not None:
            found.login = login

    def acknowledge(self, session: str, sdp: bytes, now: float) -> list[Effect]:
        """Answer the peer's offer in a PRACK or ACK, after an INVITE without one Progressed or was Answered with it."""
        if (found := self._core.sessions.get(session)) is not None:
            found.acknowledge(sdp, now)
        return self._core.flush()

    def hangup(
        self,
        session: str,
        now: float,
        *,
        status: int | None = None,
        reason: str | None = None,
        headers: HeaderLines = (),
    ) -> list[Effect]:
        """End the session, right in any state: CANCEL, BYE or a final answer, when each is allowed.

        SessionEnded(LOCAL) comes at once, the endpoint finishes alone. ``status`` refuses a session not answered yet
        (480 by default), and becomes a Reason header in CANCEL and BYE. May be called twice.
        """
        if (found := self._core.sessions.get(session)) is not None:
            found.hangup(status, reason, headers, now)
        return self._core.flush()

    # -- changes of a session ----------------------------------------------------------------------------------------

    def reinvite(self, session: str, sdp: bytes, now: float) -> list[Effect]:
        """Offer a change of the session, once it is our turn; the latest offer wins.

        A re-INVITE in a session that is up. Before, an UPDATE, if the peer takes that (RFC 3311); else it waits.
        """
        if (found := self._core.sessions.get(session)) is not None:
            found.reinvite(sdp, now)
        return self._core.flush()

    def accept_reinvite(self, session: str, sdp: bytes, now: float) -> list[Effect]:
        """Accept the change that the peer offered, with our answer (or our offer, when it made none)."""
        if (found := self._core.sessions.get(session)) is not None:
            found.accept_reinvite(sdp, now)
        return self._core.flush()

    def reject_reinvite(self, session: str, status: int, now: float) -> list[Effect]:
        """Refuse the change that the peer offered (488 ...); the session goes on as it was."""
        if (found := self._core.sessions.get(session)) is not None:
            found.reject_reinvite(status, now)
        return self._core.flush()

    def info(self, session: str, content_type: str, body: bytes, now: float) -> list[Effect]:
        """Send an INFO within a session that is up."""
        if (found := self._core.sessions.get(session)) is not None:
            found.info(content_type, body, now)
        return self._core.flush()

    def ask(self, session: str, now: float) -> list[Effect]:
        """Ask the peer of a session that is up whether it is there; SessionEnded tells when it is not."""
        if (found := self._core.sessions.get(session)) is not None:
            found.ask(now)
        return self._core.flush()

    # -- references --------------------------------------------------------------------------------------------------

    def accept_refer(self, session: str, number: int, now: float) -> list[Effect]:
        """Do as the peer's REFER of this number asks: 202, and a NOTIFY at once."""
        if (found := self._core.references.get(session, {}).get(number)) is not None:
            found.accept(now)
        return self._core.flush()

    def reject_refer(self, session: str, number: int, status: int, now: float) -> list[Effect]:
        """Refuse it (300-699)."""
        if (found := self._core.references.get(session, {}).get(number)) is not None:
            found.reject(status, now)
        return self._core.flush()

    def notify_refer(
        self, session: str, number: int, status: int, now: float, *, reason: str | None = None
    ) -> list[Effect]:
        """Tell the peer how the call that it asked for goes; from 200 on that is the last word."""
        if (found := self._core.references.get(session, {}).get(number)) is not None:
            found.progress(status, reason, now)
        return self._core.flush()

    def refer(
        self, session: str, target: NameAddr, now: float, *, headers: HeaderLines = ()
    ) -> tuple[int, list[Effect]]:
        """Ask the peer of an established session to call ``target``; returns the number of what follows: ReferAnswered
        and Notified. 0, and nothing follows, when the session is not up.
        """
        found = self._core.sessions.get(session)
        if found is None or found.state is not SessionState.ESTABLISHED:
            return 0, []
        number = send_refer(self._core, found, target, headers, now)
        return number, self._core.flush()

    # -- other requests ----------------------------------------------------------------------------------------------

    def respond(
        self,
        transaction: str,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> list[Effect]:
        """Answer a RequestReceived. Does nothing when it has its answer, or nobody waits for one any more."""
        server = self._core.servers.get(transaction)
        if not isinstance(server, ServerRequest) or server.state is State.COMPLETED:
            pass
        elif status == 401 and not body:
            self._core.challenge(server, headers, reason)
        else:
            self._core.respond(
                server,
                status,
                now,
                to_tag=self._core.tag(),
                reason=reason,
                headers=headers,
                body=body,
                content_type=content_type,
            )
        return self._core.flush()

    def request(
        self,
        *,
        method: str,
        target: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        now: float,
        headers: HeaderLines = (),
        body: bytes = b"",
        routes: Sequence[str] = (),
        call_id: str | None = None,
        cseq: int = 1,
    ) -> tuple[str, list[Effect]]:
        """Send a request outside a session (REGISTER, OPTIONS ...); returns its id. ResponseReceived tells the answer.

        ``call_id`` and ``cseq`` continue a row of requests: the next REGISTER, or one that was challenged.
        """
        core = self._core
        from_ = from_.with_tag(core.tag()) if from_.tag is None else from_
        request = self._new_request(method, target, flow, from_, to, routes, call_id, cseq, body)
        for name, value in headers:
            request.headers.add(name, value)
        request_id = client_key(request.via.branch or "", method)
        core.send_request(request, flow, _Asked(core, request_id), now)
        return request_id, core.flush()

    def contact(self, flow: Flow, user: str | None) -> str:
        """Our Contact value towards the peer of ``flow``: ``<sip:user@host:port;transport=tcp>``."""
        return self._core.contact(flow, user)

    def new_call_id(self) -> str:
        """A Call-ID that nobody else has: 128 bits of chance."""
        return self._core.tag() + self._core.tag()

    # -- moving a session --------------------------------------------------------------------------------------------

    def dialog_state(self, session: str) -> DialogState | None:
        """The session's dialog as a value that can be stored; None when the session is not established."""
        found = self._core.sessions.get(session)
        return found.dialog_state() if found is not None else None

    def adopt(self, state: DialogState, now: float) -> str:
        """Take up an established session that another process had; returns the session.

        Our CSeq jumps by 1,000. The next description sent must carry a higher version than ``state.local_sdp``.
        """
        core = self._core
        known = core.dialogs.get((state.call_id, state.local_tag, state.remote_tag))
        if known is not None:
            return known.id
        session = Session.adopted(core, state, now)
        core.sessions[session.id] = session
        return session.id

    def status(self) -> EndpointStatus:
        """How much is kept: all zero when every session is over and the timers have run out."""
        core = self._core
        usages = len(core.dialogs) + len(core.references)
        return EndpointStatus(len(core.clients) + len(core.servers), usages, len(core.sessions))

    @property
    def metrics(self) -> Metrics:
        """What was counted since the start."""
        return self._core.metrics

    # -- requests of peers -------------------------------------------------------------------------------------------

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        core, method = self._core, request.method
        server = core.servers.get(server_key(request, "INVITE" if method == "ACK" else method))
        if server is not None and not (method == "ACK" and server.state is State.ACCEPTED):
            core.receive_again(server, method, now)
            return
        core.metrics.request_came(method)
        _seen_from(request, flow)
        check(request)
        if method != "INVITE" and "Replaces" in request.headers:
            raise SipParseError("Replaces Is For INVITE")  # RFC 3891 3
        if method == "CANCEL":
            self._cancel(request, flow, now)
        elif request.to_tag is not None:
            self._within_dialog(request, flow, now)
        elif method != "ACK":
            self._outside_dialog(request, flow, now)

    def _cancel(self, request: Request, flow: Flow, now: float) -> None:
        """9.2: a CANCEL is answered for itself; it takes an INVITE back that has no final answer yet."""
        core = self._core
        invite = core.servers.get(server_key(request, "INVITE"))
        if not isinstance(invite, ServerInvite):
            core.refuse(request, flow, 481)
            return
        core.respond(core.accept_request(request, flow, now), 200, now, to_tag=invite.tag)
        if invite.user is not None:
            invite.user.on_cancel(invite, request, now)

    def _within_dialog(self, request: Request, flow: Flow, now: float) -> None:
        """12.2.2: a request for a dialog of ours, if we have it."""
        core, method = self._core, request.method
        session = core.dialogs.get((request.call_id, request.to_tag or "", request.from_tag or ""))
        dialog = session.dialog_with(request.from_tag or "") if session is not None else None
        if session is None or dialog is None:
            if method == "ACK":
                self._odd_ack(request, now)
            elif method in CORE_METHODS or method in self._accepted or method in DIALOG_METHODS:
                core.refuse(request, flow, 481)
            else:
                core.refuse(request, flow, 405, [core.allow])
            return
        if method == "ACK":
            core.strangers.heard(session.id)
            session.on_ack(request, now)
            return
        if not dialog.in_order(request.cseq.number):
            core.refuse(request, flow, 500)
            return
        dialog.heard(request, flow)
        core.strangers.heard(session.id)
        core.follow(flow, session)
        if self._requires_unknown(request, flow):
            return
        if len(core.servers) >= self._limits.transactions * 3 // 2:
            self._refuse_for_load(request, flow)
            return
        match method:
            case "BYE":
                session.on_bye(request, dialog, now=now, flow=flow)
            case "INVITE":
                if not self._unreadable_body(request, flow):
                    session.changes.on_reinvite(request, flow, now)
            case "UPDATE":
                if not self._unreadable_body(request, flow):
                    session.changes.on_update(request, dialog, flow, now)
            case "PRACK":
                if not self._unreadable_body(request, flow):
                    session.on_prack(request, dialog, flow, now)
            case "INFO":
                session.on_info(request, flow, now)
            case "REFER" if session.id in core.strangers:
                # Not even that there is no such call as it names, nor by NOTIFYs.
                core.refuse(request, flow, 403)
            case "REFER":
                take_refer(core, session, dialog, request, flow, now)
            case "NOTIFY":
                take_notify(core, session, request, flow, now)
            case "SUBSCRIBE":
                take_subscribe(core, session, request, flow, now)
            case "OPTIONS":
                # 11.2: a call that is goes on, also while no new one would be taken.
                core.refuse(request, flow, 200, self._abilities())
            case _:
                core.refuse(request, flow, 405, [core.allow])

    def _odd_ack(self, request: Request, now: float) -> None:
        """An ACK to a 2xx with a To tag of its own and the branch of the INVITE: pyVoIP means that INVITE.

        A stranger's shows nothing: whoever forged the INVITE knows its branch.
        """
        invite = self._core.servers.get(server_key(request, "INVITE"))
        if not isinstance(invite, ServerInvite) or invite.request.call_id != request.call_id:
            return
        session = invite.user
        if isinstance(session, Session) and session.server is invite and not self._core.strangers.unheard(session.id):
            session.on_ack(request, now)

    def _outside_dialog(self, request: Request, flow: Flow, now: float) -> None:
        """8.2: what a request must be before it is looked at, in the order of the RFC."""
        core, method = self._core, request.method
        if method in DIALOG_METHODS and method not in self._accepted:
            core.refuse(request, flow, 481)
        elif method not in CORE_METHODS and method not in self._accepted:
            core.refuse(request, flow, 405, [core.allow])
        elif request.uri.scheme not in SCHEMES:
            core.refuse(request, flow, 416)
        elif merge_key(request) in core.merges:
            # 8.2.2.2: the same request came by another way before; its own repetitions found their transaction.
            core.refuse(request, flow, 482)
        elif request.max_forwards == 0 and method != "OPTIONS":
            # We pass calls on, so a loop through us must end (RFC 7332); a ping with 0 asks for us alone.
            core.refuse(request, flow, 483)
        elif self._requires_unknown(request, flow):
            pass
        elif method == "OPTIONS":
            self._options(request, flow)
        elif method == "REFER":
            # No stranger makes us call anybody: who may is known within a call alone.
            core.refuse(request, flow, 403)
        elif method == "NOTIFY":
            take_notify(core, None, request, flow, now)
        elif method == "SUBSCRIBE":
            take_subscribe(core, None, request, flow, now)
        elif len(core.servers) >= self._limits.transactions:
            self._refuse_for_load(request, flow)
        elif method == "INVITE":
            self._invited(request, flow, now)
        elif self.ask_first is not None and (refusal := self.ask_first(request, flow)) is not None:
            core.refuse(request, flow, refusal.status, refusal.headers)
        else:
            server = core.accept_request(request, flow, now)
            core.emit(RequestReceived(server.key, request, flow))

    def _invited(self, request: Request, flow: Flow, now: float) -> None:
        """13.3.1: somebody calls."""
        core = self._core
        if len(core.sessions) >= self._limits.sessions:
            self._refuse_for_load(request, flow)
        elif (peer := caller_of(request)) is None or not peer.uri.is_sip:
            core.refuse(request, flow, 400, reason="Missing Contact")
        elif not self._unreadable_body(request, flow) and not self._takes_no_description(request, flow):
            admitted = self.screen(request, flow) if self.screen is not None else ""
            if isinstance(admitted, Refusal):
                core.refuse(request, flow, admitted.status, admitted.headers)
                return
            user, trunk = ("", admitted.trunk) if isinstance(admitted, FromTrunk) else (admitted, "")
            replaced = self._replaced(request, flow, user)
            if replaced is None:
                return
            if core.refuses_interval(request, flow):
                return
            stranger = self.stranger(flow) if not trunk else ""
            source = stranger if not flow.reliable else ""
            if source and not core.strangers.room(source):
                self._refuse_for_load(request, flow)
                return
            tag = core.tag()
            server = core.accept_invite(request, flow, None, now)
            contact = core.contact(flow, request.uri.user, _scheme_of_contact(request, peer))
            session = Session.incoming(core, tag, server, contact, flow, now, user)
            server.user, server.tag = session, tag
            core.sessions[tag] = session
            if stranger and not user:
                core.strangers.is_at(tag, flow.remote.host)
            if source:
                core.strangers.began(tag, source, server)
            core.emit(InviteReceived(tag, request, flow, sdp_of(request), user, replaced, trunk))

    def _replaced(self, request: Request, flow: Flow, user: str) -> str | None:
        """RFC 3891 3: the session that an INVITE is to replace, empty without one; None: it was refused.

        Only who is in a call themselves may have it at another phone. To all others it is as if there were none.
        """
        replaces = replaces_of(request.headers)
        if replaces is None:
            return ""
        core = self._core
        session = core.dialogs.get(replaces.key)
        if session is None or not user or session.user != user or session.state is SessionState.INCOMING:
            # Of early dialogs only those that we began can be replaced.
            core.refuse(request, flow, 481)
        elif session.over:
            core.refuse(request, flow, 603)
        elif replaces.early_only and session.state not in (SessionState.CALLING, SessionState.PROCEEDING):
            core.refuse(request, flow, 486)
        else:
            return session.id
        return None

    def _options(self, request: Request, flow: Flow) -> None:
        """11.2: what we can do, and whether we can do it now."""
        core, headers = self._core, self._abilities()
        if self.healthy:
            core.refuse(request, flow, 200, headers)
        else:
            core.refuse(request, flow, 503, [*headers, ("Retry-After", str(self._limits.retry_after))])

    def _abilities(self) -> list[tuple[str, str]]:
        return [self._core.allow, self._core.supported, ACCEPT]

    def _requires_unknown(self, request: Request, flow: Flow) -> bool:
        """8.2.2.3: whether the peer insists on something we do not have; then it is answered 420."""
        required = request.headers.get("Require")
        if required is None:
            return False
        unknown = [tag for tag in request.option_tags("Require") if tag not in self._supported]
        if unknown:
            self._core.refuse(request, flow, 420, [("Unsupported", ", ".join(unknown))])
        return bool(unknown)

    def _unreadable_body(self, request: Request, flow: Flow) -> bool:
        """8.2.3: whether the body of an INVITE brings no session description; then it is answered 415."""
        if not request.body:
            return False
        encoding = request.headers.get("Content-Encoding")
        if encoding is not None and encoding.lower() != "identity":
            self._core.refuse(request, flow, 415, [("Accept-Encoding", "identity")])
            return True
        if sdp_of(request) is None:
            disposition = (request.headers.get("Content-Disposition") or "").lower().replace(" ", "")
            if "handling=optional" not in disposition:
                self._core.refuse(request, flow, 415, [ACCEPT])
                return True
        return False

    def _takes_no_description(self, request: Request, flow: Flow) -> bool:
        """20.1: whether the caller reads no session description; an INVITE that we cannot answer is refused: 406."""
        accepted = request.headers.values("Accept")
        if not accepted or any(value.partition(";")[0].rstrip().lower() in READS_SDP for value in accepted):
            return False
        self._core.refuse(request, flow, 406, reason=f"Only {SDP} Is Spoken Here")
        return True

    def _refuse_for_load(self, request: Request, flow: Flow) -> None:
        self._core.refuse(request, flow, 503, [("Retry-After", str(self._limits.retry_after))])

    # -- answers of peers --------------------------------------------------------------------------------------------

    def _receive_response(self, response: Response, now: float) -> None:
        core = self._core
        client = core.clients.get(client_key(response.via.branch or "", response.cseq.method))
        if client is None:
            # Out of the blue, or too late.
            core.metrics.late_responses += 1
            return
        check(response)
        # 8.1.3.3: more than one Via, or a CSeq that is not ours: not for us.
        if len(response.vias) == 1 and response.cseq.number == client.request.cseq.number:
            core.receive_response(response, client, now)

    def _new_request(
        self,
        method: str,
        target: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        routes: Sequence[str],
        call_id: str | None,
        cseq: int,
        body: bytes,
        max_forwards: int = MAX_FORWARDS,
    ) -> Request:
        core = self._core
        uri, route = routed(target, tuple(routes))
        headers = Headers([("Via", core.via(flow)), ("Max-Forwards", str(max_forwards))])
        for value in route:
            headers.add("Route", value)
        headers.add("From", str(from_))
        headers.add("To", str(to))
        headers.add("Call-ID", call_id or self.new_call_id())
        headers.add("CSeq", f"{cseq} {method}")
        return Request(method, uri, headers, body)


class _Asked:
    """Who waits for the answer to a request outside a session: the application."""

    __slots__ = ("_core", "_id")

    def __init__(self, core: Core, request_id: str) -> None:
        self._core = core
        self._id = request_id

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        if response.status >= 200:
            self._core.emit(ResponseReceived(self._id, response))

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        self._core.emit(ResponseReceived(self._id, None))


def _seen_from(request: Request, flow: Flow) -> Request:
    """Note in the top Via where the request came from (RFC 3261 18.2.1, RFC 3581 4); returns the request."""
    via = request.via
    seen = via.seen_from(flow.remote.host, flow.remote.port)
    if seen is not via:
        request.note_via(seen)
    return request


def _scheme_of_contact(request: Request, peer: NameAddr) -> str:
    """12.1.1: who calls a sips URI, or comes from one, is answered with one."""
    routes = request.record_routes
    uris = (request.uri, routes[0].uri if routes else peer.uri)
    return "sips" if any(uri.scheme == "sips" for uri in uris) else "sip"


def _nobody(_: Flow) -> str:
    return ""


def _own_address(flow: Flow) -> Address:
    return flow.local
