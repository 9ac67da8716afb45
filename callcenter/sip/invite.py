"""Session: one INVITE and what grows from it: ringing, answer, CANCEL, re-INVITE, BYE (RFC 3261 9, 13, 14, 15)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING

from callcenter.sip.body import SDP, sdp_of
from callcenter.sip.dialog import Dialog
from callcenter.sip.events import (
    Acknowledged,
    Answered,
    EndedBy,
    InfoReceived,
    Progressed,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Rejected,
    SessionEnded,
    Trying,
)
from callcenter.sip.headers import quote_string
from callcenter.sip.message import REASONS
from callcenter.sip.reason import in_words
from callcenter.sip.transaction import Input, State, input_of
from callcenter.sip.transaction_client import ClientInvite, cancel_of

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.dialog import DialogState
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request, Response
    from callcenter.sip.transaction_client import ClientRequest
    from callcenter.sip.transaction_server import ServerInvite
    from callcenter.sip.uri import Uri

HeaderLines = Iterable[tuple[str, str]]

# A proxy on the way gives up after three minutes without a provisional answer (RFC 3261 13.3.1.1).
REFRESH_EVERY = 60.0

# Tries of a re-INVITE that collides with the peer's; a peer that always answers 491 is not waited for any longer.
MAX_GLARES = 5

# Answers of other branches of our INVITE that are tidied away, each with ACK and BYE; nobody has that many phones.
MAX_FORKS = 16


class SessionState(Enum):
    """Where a session stands. From ABANDONED on it is over for its user, and the endpoint finishes alone."""

    CALLING = auto()
    PROCEEDING = auto()
    INCOMING = auto()
    ANSWERED = auto()
    ESTABLISHED = auto()
    ABANDONED = auto()  # our INVITE has no answer yet: the CANCEL waits for a provisional one
    CANCELLED = auto()  # the CANCEL is out
    LEAVING = auto()  # our BYE waits for the ACK to our 2xx
    CLOSING = auto()  # our BYE is out
    ENDED = auto()


class Timer(Enum):
    """What a session waits for."""

    REFRESH = auto()
    EXPIRES = auto()
    REPEAT_OK = auto()
    NO_ACK = auto()
    GLARE = auto()


class Session:
    """One INVITE session, incoming or outgoing, from its first INVITE until nothing of it is left."""

    __slots__ = (
        "_ack_carries_answer",
        "_asking",
        "_contact",
        "_core",
        "_due",
        "_early",
        "_glares",
        "_interval",
        "_local_sdp",
        "_offered",
        "_parting",
        "_progress",
        "_remote_sdp",
        "_target",
        "_unreached",
        "_wanted",
        "client",
        "connections",
        "dialog",
        "id",
        "queued",
        "server",
        "state",
    )

    def __init__(self, core: Core, session_id: str, state: SessionState, contact: str) -> None:
        self.id = session_id
        self.state = state
        self.queued: float | None = None
        # By which connections the peer was heard: the endpoint's book-keeping.
        self.connections: set[int] = set()
        self.dialog: Dialog | None = None
        # Our INVITE while it has no final answer, or a 2xx that we have not acknowledged.
        self.client: ClientInvite | None = None
        # The peer's INVITE while it has no final answer, or a 2xx that the peer has not acknowledged.
        self.server: ServerInvite | None = None
        self._core = core
        self._contact = contact
        self._due: dict[Timer, float] = {}
        self._early: dict[str, Dialog] = {}
        self._target: Uri | None = None
        self._progress: tuple[int, bytes | None] | None = None
        self._interval = 0.0
        self._ack_carries_answer = False
        # The offer of our next re-INVITE, and of the one under way.
        self._wanted: bytes | None = None
        self._offered: bytes | None = None
        self._glares = 0
        self._unreached = 0
        # While we ask the peer whether it is there: the number of its last request before that.
        self._asking: int | None = None
        self._parting: tuple[tuple[str, str], ...] = ()
        self._local_sdp: bytes | None = None
        self._remote_sdp: bytes | None = None

    @classmethod
    def incoming(cls, core: Core, tag: str, transaction: ServerInvite, contact: str, flow: Flow, now: float) -> Session:
        """The session of a peer's INVITE, which came by ``flow`` and has a Contact."""
        request = transaction.request
        session = cls(core, tag, SessionState.INCOMING, contact)
        session.server = transaction
        session.dialog = Dialog.of_request(request, tag, flow, contact)
        session._remote_sdp = sdp_of(request)
        core.enter(session.dialog, session)
        if request.expires:
            session._set(Timer.EXPIRES, now + request.expires)
        return session

    @classmethod
    def outgoing(
        cls, core: Core, tag: str, request: Request, target: Uri, contact: str, flow: Flow, now: float
    ) -> Session:
        """The session of our INVITE, which is sent here. ``target`` is whom it is for, whatever the Request-URI."""
        session = cls(core, tag, SessionState.CALLING, contact)
        session._target = target
        session._local_sdp = request.body or None
        session.client = core.send_invite(request, flow, session, now)
        return session

    @classmethod
    def adopted(cls, core: Core, dialog: Dialog, local_sdp: bytes | None, remote_sdp: bytes | None) -> Session:
        """The established session of another process."""
        session = cls(core, dialog.local_tag, SessionState.ESTABLISHED, dialog.contact)
        session.dialog = dialog
        session._local_sdp = local_sdp
        session._remote_sdp = remote_sdp
        core.enter(dialog, session)
        return session

    def __repr__(self) -> str:
        peer = self.dialog.remote if self.dialog is not None else self._target
        return f"<Session {self.id} {peer} {self.state.name.lower()}>"

    # -- what its user asks ------------------------------------------------------------------------------------------

    def ring(self, status: int, sdp: bytes | None, now: float) -> None:
        """Say that we are getting there."""
        assert 100 < status < 200, status
        if self.state is SessionState.INCOMING:
            self._progress = (status, sdp)
            self._say_progress(now)

    def answer(self, sdp: bytes, now: float) -> None:
        """Accept the peer's INVITE."""
        if self.state is SessionState.INCOMING:
            self._due.clear()
            self.state = SessionState.ANSWERED
            self._accept(sdp, now)

    def reject(self, status: int, reason: str | None, headers: HeaderLines, now: float) -> None:
        """Refuse the peer's INVITE."""
        assert status >= 300, status
        if self.state is SessionState.INCOMING:
            assert self.server is not None
            self._core.respond(self.server, status, now, to_tag=self.id, reason=reason, headers=headers)
            self._end(EndedBy.LOCAL, status, reason or REASONS.get(status, ""))
            self._forget(now)

    def acknowledge(self, sdp: bytes, now: float) -> None:
        """Answer the offer in the 2xx to our INVITE that had none."""
        if self.state is SessionState.ESTABLISHED and self._owes_ack:
            self._local_sdp = sdp
            self._pay_ack(sdp)
            self._settle(now)

    def hangup(self, status: int | None, reason: str | None, headers: HeaderLines, now: float) -> None:
        """End it, wherever it stands."""
        parting = tuple(headers)
        match self.state:
            case SessionState.INCOMING:
                # A status that refuses nothing tells an answered peer why we leave.
                refusal = status if status is not None and status >= 300 else 480
                self.reject(refusal, reason, parting, now)
            case SessionState.CALLING | SessionState.PROCEEDING:
                self._parting = parting + _reason_header(status, reason)
                self._end(EndedBy.LOCAL, 487, reason or REASONS[487])
                self._cancel(now)
            case SessionState.ANSWERED:
                # 15: no BYE before the ACK to our 2xx, or before it is clear that none will come.
                self._parting = parting + _reason_header(status, reason)
                self._end(EndedBy.LOCAL, 200, reason or REASONS[200])
                self.state = SessionState.LEAVING
            case SessionState.ESTABLISHED:
                self._parting = parting + _reason_header(status, reason)
                self._end(EndedBy.LOCAL, 200, reason or REASONS[200])
                self._bye(now)
            case _:
                # Over already.
                pass

    def reinvite(self, sdp: bytes, now: float) -> None:
        """Offer a change, as soon as it is our turn; the latest offer wins."""
        if self.state in (SessionState.ANSWERED, SessionState.ESTABLISHED):
            self._wanted = sdp
            self._glares = 0
            self._settle(now)

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        """Accept the change the peer offered."""
        if self.state is SessionState.ESTABLISHED and self._asked:
            assert self.server is not None
            assert self.dialog is not None
            self.dialog.refresh(self.server.request)
            self._remote_sdp = sdp_of(self.server.request) or self._remote_sdp
            self._accept(sdp, now)

    def reject_reinvite(self, status: int, now: float) -> None:
        """Refuse the change the peer offered."""
        assert status >= 300, status
        if self.state is SessionState.ESTABLISHED and self._asked:
            self._refuse_pending(status, now)
            self._settle(now)

    def info(self, content_type: str, body: bytes, now: float) -> None:
        """Tell the peer's application something, while the session is up; the answer says nothing more (RFC 6086)."""
        if self.dialog is None or self.state is not SessionState.ESTABLISHED:
            return
        hop = self.dialog.next_hop()
        request = self.dialog.request("INFO", self._core.via(hop), body=body)
        request.headers.add("Content-Type", content_type)
        self._core.send_request(request, hop, self, now)

    def ask(self, now: float) -> None:
        """Ask the peer whether it still has the dialog: an OPTIONS within it. If not, the session ends (12.2.1.2)."""
        if self.dialog is None or self.state is not SessionState.ESTABLISHED or self._asking is not None:
            return
        self._asking = self.dialog.remote_cseq or 0
        hop = self.dialog.next_hop()
        self._core.send_request(self.dialog.request("OPTIONS", self._core.via(hop)), hop, self, now)

    def dialog_state(self) -> DialogState | None:
        """The dialog as a value, once it is established."""
        if self.state is not SessionState.ESTABLISHED or self.dialog is None:
            return None
        return self.dialog.state(self._local_sdp, self._remote_sdp)

    # -- what the peer sends within the dialog -----------------------------------------------------------------------

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        """The dialog with this branch of the peer."""
        if self.dialog is not None and self.dialog.remote_tag == remote_tag:
            return self.dialog
        return self._early.get(remote_tag)

    def dialogs(self) -> list[Dialog]:
        """Every dialog, early or confirmed."""
        return [*self._early.values(), self.dialog] if self.dialog is not None else [*self._early.values()]

    def on_ack(self, request: Request, now: float) -> None:
        """The ACK to a 2xx of ours; a repeated one, or one for another INVITE, changes nothing."""
        server = self.server
        if server is None or self._asked or server.request.cseq.number != request.cseq.number:
            return
        sdp = sdp_of(request)
        self._acknowledged()
        match self.state:
            case SessionState.ANSWERED:
                self.state = SessionState.ESTABLISHED
                self._remote_sdp = sdp or self._remote_sdp
                self._core.emit(Acknowledged(self.id, sdp))
                self._settle(now)
            case SessionState.ESTABLISHED:
                if self._ack_carries_answer:
                    self._remote_sdp = sdp or self._remote_sdp
                    self._core.emit(Acknowledged(self.id, sdp))
                self._settle(now)
            case SessionState.LEAVING:
                self._bye(now)
            case _:
                # Over: our BYE is out already.
                pass

    def on_cancel(self, transaction: ServerInvite, request: Request, now: float) -> None:
        """The peer takes back an INVITE; after our final answer that has no effect (9.2)."""
        if transaction is not self.server or not self._asked:
            return
        match self.state:
            case SessionState.INCOMING:
                self._refuse_pending(487, now)
                self._end(EndedBy.PEER, 487, in_words(request.headers) or REASONS[487])
                self._forget(now)
            case _:
                # A re-INVITE: the session goes on as it was.
                self._refuse_pending(487, now)
                self._settle(now)

    def on_bye(self, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """The peer hangs up (15.1.2)."""
        self._core.respond(self._core.accept_request(request, flow, now), 200, now)
        reason = in_words(request.headers) or REASONS[200]
        match self.state:
            case SessionState.INCOMING | SessionState.ANSWERED | SessionState.ESTABLISHED:
                self._end(EndedBy.PEER, 200, reason)
                self._forget(now)
            case SessionState.CALLING | SessionState.PROCEEDING:
                # One early dialog ends; with the last one, the INVITE has nobody to ring any more.
                self._drop_early(dialog.remote_tag)
                if not self._early:
                    self._end(EndedBy.PEER, 200, reason)
                    self._cancel(now)
            case SessionState.LEAVING | SessionState.CLOSING:
                # Both hung up: the BYE of ours that is out is answered by its own transaction.
                self._forget(now)
            case _:
                # Abandoned or cancelled: the INVITE's final answer ends it.
                pass

    def on_info(self, request: Request, flow: Flow, now: float) -> None:
        """Something for the application."""
        if self.over:
            self._core.refuse(request, flow, 481)
            return
        self._core.respond(self._core.accept_request(request, flow, now), 200, now)
        self._core.emit(InfoReceived(self.id, request.content_type, request.body))

    def on_reinvite(self, request: Request, flow: Flow, now: float) -> None:
        """The peer wants a change (14.2)."""
        match self.state:
            case SessionState.ESTABLISHED if self.server is None and self.client is None:
                self.server = self._core.accept_invite(request, flow, self, now)
                self._core.emit(ReinviteReceived(self.id, sdp_of(request)))
            case SessionState.INCOMING | SessionState.ESTABLISHED if self._asked:
                # Its earlier INVITE is not answered yet.
                again = str(self._core.random.randrange(11))
                self._core.refuse(request, flow, 500, [("Retry-After", again)])
            case SessionState.CALLING | SessionState.PROCEEDING | SessionState.ANSWERED | SessionState.ESTABLISHED:
                # Glare: an INVITE of ours is under way, or our 2xx is not acknowledged.
                self._core.refuse(request, flow, 491)
            case _:
                self._core.refuse(request, flow, 481)

    # -- what becomes of our requests --------------------------------------------------------------------------------

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        """An answer to a request of ours."""
        if isinstance(transaction, ClientInvite):
            if transaction.request.to_tag is None:
                self._on_invite_response(transaction, response, now)
            else:
                self._on_reinvite_response(transaction, response, now)
        elif transaction.request.method == "BYE" and response.status >= 200 and self.state is SessionState.CLOSING:
            self._forget(now)
        elif transaction.request.method == "OPTIONS" and response.status >= 200:
            self._on_answer_to_ask(response, now)
        # The answer to a CANCEL says nothing: the INVITE's own answer does (9.1).

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        """A request of ours got no answer, or could not be sent."""
        status = 408 if cause is EndedBy.TIMEOUT else 503
        match self.state, transaction.request.method:
            case SessionState.CALLING | SessionState.PROCEEDING, "INVITE":
                # 8.1.3.1: as if a 408 or a 503 had come.
                self._core.emit(Rejected(self.id, status, REASONS[status], None))
                self._end(cause, status, REASONS[status])
                self._forget(now)
            case SessionState.ABANDONED | SessionState.CANCELLED, "INVITE":
                self._forget(now)
            case SessionState.ESTABLISHED, "INVITE":
                self.client = None
                if cause is EndedBy.TIMEOUT:
                    # 12.2.1.2: the peer does not answer any more, so the dialog is over.
                    self._end(cause, status, REASONS[status])
                    self._bye(now)
                else:
                    self._core.emit(ReinviteRejected(self.id, status))
                    self._settle(now)
            case SessionState.ESTABLISHED, "OPTIONS":
                assert self.dialog is not None
                asking, self._asking = self._asking, None
                if (self.dialog.remote_cseq or 0) != asking:
                    # It does not answer, and says something else instead: somebody is there.
                    self._unreached = 0
                    return
                # A connection may have been lost, and be made anew: the peer is gone when that happens twice.
                self._unreached += 1
                if cause is EndedBy.TIMEOUT or self._unreached > 1:
                    self._end(cause, status, REASONS[status])
                    self._bye(now)
            case SessionState.CLOSING, "BYE":
                self._forget(now)
            case _:
                # A CANCEL: the INVITE gives up by itself. What was under way when we hung up. An INFO.
                pass

    def on_server_failure(self, transaction: ServerInvite, now: float) -> None:
        """Our answer to the peer's INVITE cannot be sent, by no connection."""
        if transaction is not self.server:
            return
        match self.state:
            case SessionState.INCOMING:
                self._end(EndedBy.TRANSPORT, 503, REASONS[503])
                self._forget(now)
            case SessionState.ANSWERED:
                self._end(EndedBy.TRANSPORT, 503, REASONS[503])
                self._acknowledged()
                self._bye(now)
            case _:
                # A re-INVITE, or a session that is over: the ACK that never comes ends the wait.
                pass

    def _on_invite_response(self, transaction: ClientInvite, response: Response, now: float) -> None:
        match self.state, input_of(response.status):
            case SessionState.CALLING | SessionState.PROCEEDING, Input.PROVISIONAL:
                self.state = SessionState.PROCEEDING
                if response.status == 100:
                    self._core.emit(Trying(self.id))
                else:
                    self._meet_early(transaction, response)
                    self._core.emit(Progressed(self.id, response.status, sdp_of(response), response))
            case SessionState.ABANDONED, Input.PROVISIONAL:
                self._cancel(now)
            case SessionState.CALLING | SessionState.PROCEEDING, Input.SUCCESS:
                self._confirm(transaction, response)
                self.state = SessionState.ESTABLISHED
                self._remote_sdp = sdp_of(response) or self._remote_sdp
                if transaction.request.body:
                    self._pay_ack(None)
                self._core.emit(Answered(self.id, sdp_of(response), response))
            case SessionState.ABANDONED | SessionState.CANCELLED, Input.SUCCESS:
                # A 200 may cross our CANCEL: then the session is up, and only a BYE ends it (9.1).
                self._confirm(transaction, response)
                self._bye(now)
            case _, Input.SUCCESS:
                self._on_success_again(transaction, response, now)
            case SessionState.CALLING | SessionState.PROCEEDING, Input.FAILURE:
                reason = response.reason or REASONS.get(response.status, "")
                self._core.emit(Rejected(self.id, response.status, reason, response))
                self._end(EndedBy.PEER, response.status, in_words(response.headers) or reason)
                self._forget(now)
            case SessionState.ABANDONED | SessionState.CANCELLED, Input.FAILURE:
                self._forget(now)
            case _:
                # A provisional answer after the CANCEL.
                pass

    def _on_success_again(self, transaction: ClientInvite, response: Response, now: float) -> None:
        """A 2xx after the first: repeated because our ACK was lost, or of another branch (13.2.2.4)."""
        tag = response.to_tag or ""
        if (ack := transaction.acks.get(tag)) is not None:
            self._core.emit(ack)
        elif self.dialog is not None and self.dialog.remote_tag != tag and len(transaction.acks) < MAX_FORKS:
            assert self._target is not None
            fork = Dialog.of_response(transaction.request, response, self._target, transaction.flow, self._contact)
            self._ack(transaction, fork, None)
            hop = fork.next_hop()
            self._core.send_request(fork.request("BYE", self._core.via(hop)), hop, None, now)
        # Else our ACK waits for our user's answer, or the peer makes up branches.

    def _on_reinvite_response(self, transaction: ClientInvite, response: Response, now: float) -> None:
        given = input_of(response.status)
        if given is Input.PROVISIONAL:
            return
        if given is Input.SUCCESS:
            ack = transaction.acks.get(response.to_tag or "")
            if ack is not None:
                self._core.emit(ack)
                return
            assert self.dialog is not None
            self.dialog.refresh(response)
            self._ack(transaction, self.dialog, None)
        if transaction is not self.client:
            # We hung up meanwhile.
            return
        self.client = None
        offered, self._offered = self._offered, None
        match response.status:
            case _ if given is Input.SUCCESS:
                self._local_sdp = offered
                self._remote_sdp = sdp_of(response) or self._remote_sdp
                self._core.emit(ReinviteAnswered(self.id, sdp_of(response)))
            case 491 if self._glares < MAX_GLARES:
                # 14.1: who made the Call-ID waits longer, so that the two do not meet again.
                self._glares += 1
                if self._wanted is None:
                    self._wanted = offered
                assert self.dialog is not None
                random = self._core.random
                hundredths = random.randrange(0, 201) if self.dialog.incoming else random.randrange(210, 401)
                self._set(Timer.GLARE, now + hundredths / 100)
            case 481:
                # 12.2.1.2: the peer does not know the dialog.
                self._end(EndedBy.PEER, 481, response.reason or REASONS[481])
                self._forget(now)
                return
            case 408:
                self._end(EndedBy.PEER, 408, response.reason or REASONS[408])
                self._bye(now)
                return
            case status:
                self._core.emit(ReinviteRejected(self.id, status))
        self._settle(now)

    def _on_answer_to_ask(self, response: Response, now: float) -> None:
        if self.state is not SessionState.ESTABLISHED:
            return
        self._unreached, self._asking = 0, None
        match response.status:
            case 481:
                self._end(EndedBy.PEER, 481, response.reason or REASONS[481])
                self._forget(now)
            case 408:
                self._end(EndedBy.PEER, 408, response.reason or REASONS[408])
                self._bye(now)
            case _:
                pass  # whatever it says, somebody is there

    # -- timers ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to call expire; None = nothing is due."""
        return min(self._due.values()) if self._due else None

    def expire(self, now: float) -> None:
        """Do what is due."""
        while self._due:
            timer = min(self._due, key=self._due.__getitem__)
            if self._due[timer] > now:
                return
            del self._due[timer]
            self._fire(timer, now)

    def _fire(self, timer: Timer, now: float) -> None:
        match self.state, timer:
            case SessionState.INCOMING, Timer.REFRESH:
                self._say_progress(now)
            case SessionState.INCOMING, Timer.EXPIRES:
                # 13.3.1: an invitation that names its end is refused then.
                self._refuse_pending(487, now)
                self._end(EndedBy.TIMEOUT, 487, "Invitation expired")
                self._forget(now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED | SessionState.LEAVING, Timer.REPEAT_OK:
                # 13.3.1.4: whatever the transport, for the 2xx or its ACK may be lost behind a proxy.
                assert self.server is not None
                self._interval = min(2 * self._interval, self._core.timers.t2)
                self._set(Timer.REPEAT_OK, now + self._interval)
                self._core.repeat(self.server, now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED, Timer.NO_ACK:
                self._acknowledged()
                self._end(EndedBy.TIMEOUT, 408, "No ACK")
                self._bye(now)
            case SessionState.LEAVING, Timer.NO_ACK:
                self._acknowledged()
                self._bye(now)
            case SessionState.ESTABLISHED, Timer.GLARE:
                self._settle(now)
            case _:
                # The session has moved on.
                pass

    def _set(self, timer: Timer, at: float) -> None:
        self._due[timer] = at
        self._core.watch(self)

    # -- the parts ---------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether its user has been told the end."""
        return self.state.value >= SessionState.ABANDONED.value

    @property
    def _asked(self) -> bool:
        """Whether an INVITE of the peer waits for our final answer."""
        return self.server is not None and self.server.state is State.PROCEEDING

    @property
    def _owes_ack(self) -> bool:
        """Whether a 2xx to our INVITE waits for our ACK, because our user has to answer its offer."""
        return self.client is not None and self.client.state not in (State.CALLING, State.PROCEEDING)

    def _say_progress(self, now: float) -> None:
        assert self._progress is not None
        assert self.server is not None
        status, sdp = self._progress
        self._core.respond(
            self.server,
            status,
            now,
            to_tag=self.id,
            headers=[("Contact", self._contact)],
            body=sdp or b"",
            content_type=SDP if sdp else None,
        )
        self._set(Timer.REFRESH, now + REFRESH_EVERY)

    def _accept(self, sdp: bytes, now: float) -> None:
        """Send the 2xx to the peer's INVITE, and again until its ACK comes."""
        assert self.server is not None
        self._ack_carries_answer = sdp_of(self.server.request) is None
        self._local_sdp = sdp
        self._core.respond(
            self.server,
            200,
            now,
            to_tag=self.id,
            headers=self._core.session_headers(self._contact),
            body=sdp,
            content_type=SDP,
        )
        self._interval = self._core.timers.t1
        self._due[Timer.REPEAT_OK] = now + self._interval
        self._set(Timer.NO_ACK, now + self._core.timers.timeout)

    def _acknowledged(self) -> None:
        """Our 2xx needs to be repeated no longer."""
        self._shed()
        self._due.pop(Timer.REPEAT_OK, None)
        self._due.pop(Timer.NO_ACK, None)
        self._core.watch(self)

    def _refuse_pending(self, status: int, now: float) -> None:
        """Give the peer's INVITE its final answer."""
        assert self.server is not None
        server, self.server = self.server, None
        self._core.respond(server, status, now, to_tag=self.id)
        server.shed()

    def _settle(self, now: float) -> None:
        """Send the re-INVITE that is wanted, if no INVITE is under way either way (14.1)."""
        if (
            self._wanted is None
            or self.state is not SessionState.ESTABLISHED
            or self.server is not None
            or self.client is not None
            or Timer.GLARE in self._due
        ):
            return
        assert self.dialog is not None
        self._offered, self._wanted = self._wanted, None
        hop = self.dialog.next_hop()
        request = self.dialog.request("INVITE", self._core.via(hop), body=self._offered)
        for name, value in self._core.session_headers(self._contact):
            request.headers.add(name, value)
        request.headers.add("Content-Type", SDP)
        self.client = self._core.send_invite(request, hop, self, now)

    def _meet_early(self, transaction: ClientInvite, response: Response) -> None:
        """A provisional answer with a tag makes an early dialog (12.1)."""
        tag = response.to_tag
        if tag is None or tag in self._early or len(self._early) >= MAX_FORKS:
            return
        assert self._target is not None
        dialog = Dialog.of_response(transaction.request, response, self._target, transaction.flow, self._contact)
        self._early[tag] = dialog
        self._core.enter(dialog, self)

    def _drop_early(self, tag: str) -> None:
        dialog = self._early.pop(tag, None)
        if dialog is not None:
            self._core.leave(dialog)

    def _confirm(self, transaction: ClientInvite, response: Response) -> None:
        """The first 2xx makes the dialog; its route set counts, not that of the early one (13.2.2.4)."""
        assert self._target is not None
        dialog = Dialog.of_response(transaction.request, response, self._target, transaction.flow, self._contact)
        early = self._early.get(dialog.remote_tag)
        if early is not None:
            dialog.remote_cseq, dialog.flow, dialog.bound = early.remote_cseq, early.flow, early.bound
        for tag in list(self._early):
            self._drop_early(tag)
        self.dialog = dialog
        self._core.enter(dialog, self)

    def _ack(self, transaction: ClientInvite, dialog: Dialog, sdp: bytes | None) -> None:
        """Acknowledge a 2xx to our INVITE: a request of its own, with the INVITE's number (13.2.2.4)."""
        hop = dialog.next_hop()
        number = transaction.request.cseq.number
        request = dialog.request("ACK", self._core.via(hop), cseq=number, body=sdp or b"")
        if sdp:
            request.headers.add("Content-Type", SDP)
        transaction.acks[dialog.remote_tag] = self._core.send_ack(request, hop)

    def _pay_ack(self, sdp: bytes | None) -> None:
        assert self.client is not None
        assert self.dialog is not None
        client, self.client = self.client, None
        self._ack(client, self.dialog, sdp)

    def _cancel(self, now: float) -> None:
        """Take our INVITE back, or wait for the provisional answer before which that is forbidden (9.1)."""
        assert self.client is not None
        if self.client.state is State.CALLING:
            self.state = SessionState.ABANDONED
            return
        self.state = SessionState.CANCELLED
        request = cancel_of(self.client.request)
        for name, value in self._parting:
            request.headers.add(name, value)
        self._core.send_request(request, self.client.flow, self, now)
        self._core.give_up(self.client, now)

    def _bye(self, now: float) -> None:
        """Hang up, and leave nothing open behind (15.1.1)."""
        assert self.dialog is not None
        if self._owes_ack:
            self._pay_ack(None)
        self.state = SessionState.CLOSING
        self._close(now)
        hop = self.dialog.next_hop()
        request = self.dialog.request("BYE", self._core.via(hop))
        for name, value in self._parting:
            request.headers.add(name, value)
        if self._core.strangers.unheard(self.id):
            # Nothing tells that anybody is there: one word is enough.
            self._core.send_once(request, hop)
            self._forget(now)
            return
        self._core.send_request(request, hop, self, now)

    def _close(self, now: float) -> None:
        """No timer, no INVITE of either side outlives the session by more than 64*T1."""
        self._wanted = None
        self._due.clear()
        self._core.watch(self)
        if self._asked:
            # 15.1.2: what is pending is answered 487.
            self._refuse_pending(487, now)
        self._shed()
        if self.client is not None:
            self._core.give_up(self.client, now)
            self.client = None

    def _shed(self) -> None:
        if self.server is not None:
            self.server.shed()
            self.server = None

    def _end(self, by: EndedBy, status: int, reason: str) -> None:
        """Tell the end, once: every caller leaves the states in which the session is alive."""
        self._core.emit(SessionEnded(self.id, by, status, reason))

    def _forget(self, now: float) -> None:
        self.state = SessionState.ENDED
        self._close(now)
        self._core.forget(self)


def _reason_header(status: int | None, reason: str | None) -> tuple[tuple[str, str], ...]:
    """Why a BYE or CANCEL is sent (RFC 3326)."""
    if status is None:
        return ()
    text = reason or REASONS.get(status, "")
    return (("Reason", f"SIP;cause={status}" + (f";text={quote_string(text)}" if text else "")),)
