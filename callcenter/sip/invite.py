"""Session: one INVITE and what grows from it: ringing, answer, CANCEL, re-INVITE, BYE (RFC 3261 9, 13, 14, 15)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from callcenter.sip.body import SDP, sdp_of
from callcenter.sip.branches import MAX_FORKS, Branches
from callcenter.sip.changes import Changes
from callcenter.sip.dialog import Dialog
from callcenter.sip.digest_client import MOST_TRIES
from callcenter.sip.events import (
    Acknowledged,
    Answered,
    EndedBy,
    InfoAnswered,
    InfoReceived,
    Rejected,
    SessionEnded,
    Trying,
)
from callcenter.sip.headers import quote_string
from callcenter.sip.message import REASONS
from callcenter.sip.offer_answer import Exchange
from callcenter.sip.progress import Progress
from callcenter.sip.reason import in_words
from callcenter.sip.repetition import repeated
from callcenter.sip.session_state import SessionState, Timer
from callcenter.sip.transaction import Input, State, input_of
from callcenter.sip.transaction_client import ClientInvite, cancel_of

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.dialog import DialogState
    from callcenter.sip.digest_client import DigestClient
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request, Response
    from callcenter.sip.transaction_client import ClientRequest
    from callcenter.sip.transaction_server import ServerInvite
    from callcenter.sip.uri import Uri

HeaderLines = Iterable[tuple[str, str]]

EXPIRED = "Session timer expired"
# The headers of a session's timer, which are said anew (RFC 4028).
TIMERS = frozenset(("session-expires", "min-se"))


class Session:
    """One INVITE session, incoming or outgoing, from its first INVITE until nothing of it is left."""

    __slots__ = (
        "__weakref__",
        "_ack_carries_answer",
        "_asking",
        "_branches",
        "_core",
        "_due",
        "_held",
        "_interval",
        "_parting",
        "_progress",
        "_unreached",
        "changes",
        "client",
        "connections",
        "contact",
        "dialog",
        "id",
        "local_sdp",
        "login",
        "queued",
        "server",
        "state",
        "user",
    )

    def __init__(self, core: Core, session_id: str, state: SessionState, contact: str, user: str = "") -> None:
        self.id = session_id
        # Whose phone it is, as they proved or as we know; empty: nobody's of ours.
        self.user = user
        self.state = state
        # What we prove to the peer when it asks; None: nothing to this one.
        self.login: DigestClient | None = None
        self.queued: float | None = None
        # By which connections the peer was heard: the endpoint's book-keeping.
        self.connections: set[int] = set()
        self.dialog: Dialog | None = None
        # Our INVITE while it has no final answer, or a 2xx that we have not acknowledged.
        self.client: ClientInvite | None = None
        # The peer's INVITE while it has no final answer, or a 2xx that the peer has not acknowledged.
        self.server: ServerInvite | None = None
        self.contact = contact
        self.changes = Changes(core, self)
        # The description that we sent last.
        self.local_sdp: bytes | None = None
        self._core = core
        self._due: dict[Timer, float] = {}
        # Of an incoming session, and of an outgoing one.
        self._progress: Progress | None = None
        self._branches: Branches | None = None
        # The description of our 2xx, while that has to wait.
        self._held: bytes | None = None
        self._interval = 0.0
        self._ack_carries_answer = False
        self._unreached = 0
        # While we ask the peer whether it is there: the number of its last request before that.
        self._asking: int | None = None
        self._parting: tuple[tuple[str, str], ...] = ()

    @classmethod
    def incoming(
        cls, core: Core, tag: str, transaction: ServerInvite, contact: str, flow: Flow, now: float, user: str = ""
    ) -> Session:
        """The session of a peer's INVITE, which came by ``flow`` and has a Contact; ``user`` is who it proved to be."""
        request = transaction.request
        session = cls(core, tag, SessionState.INCOMING, contact, user)
        session.server = transaction
        session._progress = Progress(core, session)
        dialog = session.dialog = Dialog.of_request(request, tag, flow, contact)
        dialog.described = sdp_of(request)
        dialog.exchange = Exchange.OPEN if dialog.described is None else Exchange.ASKED
        session.changes.note_methods(request)
        core.enter(dialog, session)
        if request.expires:
            session.set_timer(Timer.EXPIRES, now + request.expires)
        return session

    @classmethod
    def outgoing(
        cls,
        core: Core,
        tag: str,
        request: Request,
        target: Uri,
        contact: str,
        flow: Flow,
        now: float,
        user: str = "",
        login: DigestClient | None = None,
    ) -> Session:
        """The session of our INVITE, which is sent here. ``target`` is whom it is for, whatever the Request-URI."""
        session = cls(core, tag, SessionState.CALLING, contact, user)
        session.login = login
        session._branches = Branches(core, session, target)
        session.local_sdp = request.body or None
        session.client = core.send_invite(request, flow, session, now)
        return session

    @classmethod
    def adopted(cls, core: Core, state: DialogState, now: float) -> Session:
        """The established session of another process."""
        dialog = Dialog.of_state(state)
        session = cls(core, dialog.local_tag, SessionState.ESTABLISHED, dialog.contact)
        session.dialog = dialog
        session.local_sdp = state.local_sdp
        core.enter(dialog, session)
        session.changes.adopt(state, now)
        return session

    def __repr__(self) -> str:
        branches = self._branches
        peer = self.dialog.remote if self.dialog is not None else branches.target if branches is not None else ""
        return f"<Session {self.id} {peer} {self.state.name.lower()}>"

    # -- what its user asks ------------------------------------------------------------------------------------------

    def ring(self, status: int, sdp: bytes | None, now: float) -> None:
        """Say that we are getting there."""
        assert 100 < status < 200, status
        if self.state is SessionState.INCOMING and self._held is None:
            assert self._progress is not None
            self._progress.say(status, sdp, now)

    def answer(self, sdp: bytes, now: float) -> None:
        """Accept the peer's INVITE, once what was told before it is acknowledged (RFC 3262 5)."""
        if self.state is SessionState.INCOMING and self._held is None:
            self._held = sdp
            self.settle(now)

    def reject(self, status: int, reason: str | None, headers: HeaderLines, now: float) -> None:
        """Refuse the peer's INVITE."""
        assert status >= 300, status
        if self.state is SessionState.INCOMING:
            assert self.server is not None
            self._core.respond(self.server, status, now, to_tag=self.id, reason=reason, headers=headers)
            self.end(EndedBy.LOCAL, status, reason or REASONS.get(status, ""))
            self.forget(now)

    def acknowledge(self, sdp: bytes, now: float) -> None:
        """Answer the offer in the 2xx, or in a provisional answer, to our INVITE that had none."""
        if self._branches is not None and not self.over and self._branches.answer(sdp, now):
            self.local_sdp = sdp
        elif self.state is SessionState.ESTABLISHED and self._owes_ack:
            assert self.dialog is not None
            self.local_sdp = sdp
            self.dialog.exchange = Exchange.AGREED
            self._pay_ack(sdp)
            self.settle(now)

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
                self.end(EndedBy.LOCAL, 487, reason or REASONS[487])
                self._cancel(now)
            case SessionState.ANSWERED:
                # 15: no BYE before the ACK to our 2xx, or before it is clear that none will come.
                self._parting = parting + _reason_header(status, reason)
                self.end(EndedBy.LOCAL, 200, reason or REASONS[200])
                self.state = SessionState.LEAVING
            case SessionState.ESTABLISHED:
                self._parting = parting + _reason_header(status, reason)
                self.end(EndedBy.LOCAL, 200, reason or REASONS[200])
                self.bye(now)
            case _:
                # Over already.
                pass

    def reinvite(self, sdp: bytes, now: float) -> None:
        """Offer a change, as soon as it is our turn; the latest offer wins."""
        if not self.over:
            self.changes.want(sdp, now)

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        """Accept the change the peer offered."""
        if not self.over:
            self.changes.accept(sdp, now)

    def reject_reinvite(self, status: int, now: float) -> None:
        """Refuse the change the peer offered."""
        if not self.over:
            self.changes.reject(status, now)

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
        return self.changes.described_in(self.dialog.state(self.local_sdp, self.dialog.described))

    # -- what the peer sends within the dialog -----------------------------------------------------------------------

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        """The dialog with this branch of the peer."""
        if self.dialog is not None and self.dialog.remote_tag == remote_tag:
            return self.dialog
        return self._branches.with_tag(remote_tag) if self._branches is not None else None

    def dialogs(self) -> list[Dialog]:
        """Every dialog, early or confirmed."""
        early = self._branches.dialogs() if self._branches is not None else []
        return [*early, self.dialog] if self.dialog is not None else early

    def on_ack(self, request: Request, now: float) -> None:
        """The ACK to a 2xx of ours; a repeated one, or one for another INVITE, changes nothing."""
        server = self.server
        if server is None or self.asked or server.request.cseq.number != request.cseq.number:
            return
        sdp = sdp_of(request)
        self._acknowledged()
        dialog = self.dialog
        assert dialog is not None
        if self._ack_carries_answer:
            dialog.exchange = Exchange.AGREED
            dialog.described = sdp or dialog.described
        match self.state:
            case SessionState.ANSWERED:
                self.state = SessionState.ESTABLISHED
                self._core.emit(Acknowledged(self.id, sdp))
                self.settle(now)
            case SessionState.ESTABLISHED:
                if self._ack_carries_answer:
                    self._core.emit(Acknowledged(self.id, sdp))
                self.settle(now)
            case SessionState.LEAVING:
                self.bye(now)
            case _:
                # Over: our BYE is out already.
                pass

    def on_cancel(self, transaction: ServerInvite, request: Request, now: float) -> None:
        """The peer takes back an INVITE; after our final answer that has no effect (9.2)."""
        if transaction is not self.server or not self.asked:
            return
        match self.state:
            case SessionState.INCOMING:
                self.refuse_pending(487, now)
                self.end(EndedBy.PEER, 487, in_words(request.headers) or REASONS[487])
                self.forget(now)
            case _:
                # A re-INVITE: the session goes on as it was.
                self.refuse_pending(487, now)
                self.settle(now)

    def on_bye(self, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """The peer hangs up (15.1.2)."""
        self._core.respond(self._core.accept_request(request, flow, now), 200, now)
        reason = in_words(request.headers) or REASONS[200]
        match self.state:
            case SessionState.INCOMING | SessionState.ANSWERED | SessionState.ESTABLISHED:
                self.end(EndedBy.PEER, 200, reason)
                self.forget(now)
            case SessionState.CALLING | SessionState.PROCEEDING:
                # One early dialog ends; with the last one, the INVITE has nobody to ring any more.
                assert self._branches is not None
                self._branches.drop(dialog.remote_tag, now)
                if not self._branches.any_left:
                    self.end(EndedBy.PEER, 200, reason)
                    self._cancel(now)
            case SessionState.LEAVING | SessionState.CLOSING:
                # Both hung up: the BYE of ours that is out is answered by its own transaction.
                self.forget(now)
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

    def on_prack(self, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """A provisional answer of ours arrived (RFC 3262 3)."""
        if self.over or self._progress is None:
            self._core.refuse(request, flow, 481)
        else:
            self._progress.on_prack(request, dialog, flow, now)

    # -- what becomes of our requests --------------------------------------------------------------------------------

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        """An answer to a request of ours."""
        if isinstance(transaction, ClientInvite):
            if transaction.request.to_tag is None:
                self._on_invite_response(transaction, response, now)
            else:
                self.changes.on_reinvite_response(transaction, response, now)
            return
        method = transaction.request.method
        if method == "UPDATE":
            self.changes.on_update_response(response, now)
        elif method == "PRACK" and response.status >= 200:
            self._on_prack_answer(now)
        elif method == "BYE" and response.status >= 200 and self.state is SessionState.CLOSING:
            self.forget(now)
        elif method == "OPTIONS" and response.status >= 200:
            self._on_answer_to_ask(response, now)
        elif method == "INFO" and response.status >= 200 and not self.over:
            self._core.emit(InfoAnswered(self.id, response.status))
        # The answer to a CANCEL says nothing: the INVITE's own answer does (9.1).

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        """A request of ours got no answer, or could not be sent."""
        status = 408 if cause is EndedBy.TIMEOUT else 503
        match self.state, transaction.request.method:
            case SessionState.CALLING | SessionState.PROCEEDING, "INVITE":
                # 8.1.3.1: as if a 408 or a 503 had come.
                self._core.emit(Rejected(self.id, status, REASONS[status], None))
                self.end(cause, status, REASONS[status])
                self.forget(now)
            case SessionState.ABANDONED | SessionState.CANCELLED, "INVITE":
                self.forget(now)
            case SessionState.ESTABLISHED, "INVITE":
                self.changes.on_failure(cause, now)
            case _, "UPDATE":
                self.changes.on_failure(cause, now)
            case _, "PRACK":
                # The INVITE's own answer will tell.
                self._on_prack_answer(now)
            case SessionState.ESTABLISHED, "INFO":
                self._core.emit(InfoAnswered(self.id, status))
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
                    self.end(cause, status, REASONS[status])
                    self.bye(now)
            case SessionState.CLOSING, "BYE":
                self.forget(now)
            case _:
                # A CANCEL: the INVITE gives up by itself. What was under way when we hung up.
                pass

    def on_server_failure(self, transaction: ServerInvite, now: float) -> None:
        """Our answer to the peer's INVITE cannot be sent, by no connection."""
        if transaction is not self.server:
            return
        match self.state:
            case SessionState.INCOMING:
                self.end(EndedBy.TRANSPORT, 503, REASONS[503])
                self.forget(now)
            case SessionState.ANSWERED:
                self.end(EndedBy.TRANSPORT, 503, REASONS[503])
                self._acknowledged()
                self.bye(now)
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
                    assert self._branches is not None
                    self._branches.on_progress(transaction, response, now)
            case SessionState.ABANDONED, Input.PROVISIONAL:
                self._cancel(now)
            case SessionState.CALLING | SessionState.PROCEEDING, Input.SUCCESS:
                dialog = self._confirm(transaction, response, now)
                self.state = SessionState.ESTABLISHED
                if dialog.exchange is not Exchange.OPEN:
                    self._pay_ack(None)
                self._core.emit(Answered(self.id, _conclude(dialog, sdp_of(response)), response))
                self.changes.note_methods(response)
                self.changes.learn(response, now)
                self.settle(now)
            case SessionState.ABANDONED | SessionState.CANCELLED, Input.SUCCESS:
                # A 200 may cross our CANCEL: then the session is up, and only a BYE ends it (9.1).
                self._confirm(transaction, response, now)
                self.bye(now)
            case _, Input.SUCCESS:
                self._on_success_again(transaction, response, now)
            case SessionState.CALLING | SessionState.PROCEEDING, Input.FAILURE if (
                response.status == 422 and self.changes.ask_for_longer(response)
            ):
                uri = str(transaction.request.uri)
                self._invite_again(
                    transaction, now, self.login.headers("INVITE", uri) if self.login is not None else ()
                )
            case SessionState.CALLING | SessionState.PROCEEDING, Input.FAILURE if credentials := self._credentials(
                transaction, response
            ):
                self._invite_again(transaction, now, credentials)
            case SessionState.CALLING | SessionState.PROCEEDING, Input.FAILURE:
                reason = response.reason or REASONS.get(response.status, "")
                self._core.emit(Rejected(self.id, response.status, reason, response))
                self.end(EndedBy.PEER, response.status, in_words(response.headers) or reason)
                self.forget(now)
            case SessionState.ABANDONED | SessionState.CANCELLED, Input.FAILURE:
                self.forget(now)
            case _:
                # A provisional answer after the CANCEL.
                pass

    def _on_success_again(self, transaction: ClientInvite, response: Response, now: float) -> None:
        """A 2xx after the first: repeated because our ACK was lost, or of another branch (13.2.2.4)."""
        tag = response.to_tag or ""
        if (ack := transaction.acks.get(tag)) is not None:
            self._core.emit(ack)
        elif self.dialog is not None and self.dialog.remote_tag != tag and len(transaction.acks) < MAX_FORKS:
            assert self._branches is not None
            fork = self._branches.fork(transaction, response)
            self.ack(transaction, fork, None)
            hop = fork.next_hop()
            self._core.send_request(fork.request("BYE", self._core.via(hop)), hop, None, now)
        # Else our ACK waits for our user's answer, or the peer makes up branches.

    def _on_prack_answer(self, now: float) -> None:
        if self._branches is not None:
            self._branches.prack_done()
            if not self.over:
                self.settle(now)

    def _on_answer_to_ask(self, response: Response, now: float) -> None:
        if self.state is not SessionState.ESTABLISHED:
            return
        self._unreached, self._asking = 0, None
        match response.status:
            case 481:
                self.end(EndedBy.PEER, 481, response.reason or REASONS[481])
                self.forget(now)
            case 408:
                self.end(EndedBy.PEER, 408, response.reason or REASONS[408])
                self.bye(now)
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
            case SessionState.INCOMING, Timer.PROGRESS if self._progress is not None:
                self._progress.say_again(now)
            case SessionState.INCOMING, Timer.REPEAT_PROGRESS if self._progress is not None:
                self._progress.repeat(now)
            case SessionState.INCOMING, Timer.NO_PRACK:
                # RFC 3262 3: a 5xx, for the peer that wanted it so does not answer.
                self.refuse_pending(504, now)
                self.end(EndedBy.TIMEOUT, 504, "No PRACK")
                self.forget(now)
            case SessionState.INCOMING, Timer.EXPIRES:
                # 13.3.1: an invitation that names its end is refused then.
                self.refuse_pending(487, now)
                self.end(EndedBy.TIMEOUT, 487, "Invitation expired")
                self.forget(now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED | SessionState.LEAVING, Timer.REPEAT_OK:
                # 13.3.1.4: whatever the transport, for the 2xx or its ACK may be lost behind a proxy.
                assert self.server is not None
                self._interval = min(2 * self._interval, self._core.timers.t2)
                self.set_timer(Timer.REPEAT_OK, now + self._interval)
                self._core.repeat(self.server, now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED, Timer.NO_ACK:
                self._acknowledged()
                self.end(EndedBy.TIMEOUT, 408, "No ACK")
                self.bye(now)
            case SessionState.LEAVING, Timer.NO_ACK:
                self._acknowledged()
                self.bye(now)
            case _, Timer.GLARE:
                self.settle(now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED, Timer.SESSION_REFRESH:
                self.changes.refresh(now)
            case SessionState.ANSWERED | SessionState.ESTABLISHED, Timer.SESSION_EXPIRED:
                # RFC 4028 10: nobody refreshed it in time.
                self._parting = _reason_header(408, EXPIRED)
                self.end(EndedBy.TIMEOUT, 408, EXPIRED)
                self.bye(now)
            case _:
                # The session has moved on.
                pass

    def set_timer(self, timer: Timer, at: float) -> None:
        """Wait for this until then."""
        self._due[timer] = at
        self._core.watch(self)

    def stop_timer(self, timer: Timer) -> None:
        """Wait for this no longer."""
        if self._due.pop(timer, None) is not None:
            self._core.watch(self)

    def waits_for(self, timer: Timer) -> bool:
        """Whether it waits for this."""
        return timer in self._due

    # -- the parts ---------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether its user has been told the end."""
        return self.state.value >= SessionState.ABANDONED.value

    @property
    def early(self) -> bool:
        """Whether its first INVITE has no final answer yet."""
        return self.state in (SessionState.CALLING, SessionState.PROCEEDING, SessionState.INCOMING)

    @property
    def asked(self) -> bool:
        """Whether an INVITE of the peer waits for our final answer."""
        return self.server is not None and self.server.state is State.PROCEEDING

    @property
    def _owes_ack(self) -> bool:
        """Whether a 2xx to our INVITE waits for our ACK, because our user has to answer its offer."""
        return self.client is not None and self.client.state not in (State.CALLING, State.PROCEEDING)

    def turn(self) -> Dialog | None:
        """The dialog in which a change can be proposed now, if there is one."""
        if self.dialog is None:
            return self._branches.turn() if self._branches is not None else None
        waits = self.early and self._progress is not None and self._progress.outstanding
        return None if waits else self.dialog

    def settle(self, now: float) -> None:
        """Do what has waited for its turn: our 2xx, or a change."""
        held = self._held
        if held is None or self.state is not SessionState.INCOMING:
            self.changes.settle(now)
        elif not self.changes.in_flight and not (self._progress is not None and self._progress.describes):
            self._due.clear()
            self.state = SessionState.ANSWERED
            self.accept(held, now)

    def accept(self, sdp: bytes, now: float) -> None:
        """Send the 2xx to the peer's INVITE, and again until its ACK comes."""
        assert self.server is not None
        assert self.dialog is not None
        dialog, request = self.dialog, self.server.request
        self._ack_carries_answer = dialog.exchange is Exchange.OPEN
        described = dialog.exchange is not Exchange.AGREED
        if described:
            self.local_sdp = sdp
            offer = sdp_of(request)
            dialog.exchange = Exchange.OFFERED if self._ack_carries_answer else Exchange.AGREED
            dialog.described = offer or dialog.described
            self.changes.answered(offer)
        self._core.respond(
            self.server,
            200,
            now,
            to_tag=self.id,
            headers=self.changes.answer_headers(request),
            body=sdp if described else b"",
            content_type=SDP if described else None,
        )
        self._interval = self._core.timers.t1
        self._due[Timer.REPEAT_OK] = now + self._interval
        self._due[Timer.NO_ACK] = now + self._core.timers.timeout
        self._core.watch(self)
        self.changes.restart(now)

    def _acknowledged(self) -> None:
        """Our 2xx needs to be repeated no longer."""
        self._shed()
        self._due.pop(Timer.REPEAT_OK, None)
        self._due.pop(Timer.NO_ACK, None)
        self._core.watch(self)

    def refuse_pending(self, status: int, now: float) -> None:
        """Give the peer's INVITE its final answer."""
        assert self.server is not None
        assert self.dialog is not None
        server, self.server = self.server, None
        self.dialog.exchange = Exchange.AGREED
        self._core.respond(server, status, now, to_tag=self.id)
        server.shed()

    def _credentials(self, transaction: ClientInvite, response: Response) -> list[tuple[str, str]]:
        """What answers the challenge to our INVITE (22.2); none when we have no login there, or it was refused."""
        if self.login is None or transaction.challenges + 1 >= MOST_TRIES:
            return []
        return self.login.again(transaction.request, response)

    def _invite_again(self, transaction: ClientInvite, now: float, credentials: HeaderLines) -> None:
        """Repeat our INVITE, in the same dialog to be, as the peer wants it: proved, or refreshed less often
        (RFC 3261 8.1.3.5, RFC 4028 7.3).
        """
        refused, flow = transaction.request, transaction.flow
        more = (*self.changes.first_headers(), *credentials)
        request = repeated(refused, self._core.via(flow), refused.cseq.number + 1, more, but=TIMERS)
        assert self._branches is not None
        self._branches.drop_all(now)
        self.state = SessionState.CALLING
        self.client = self._core.send_invite(request, flow, self, now, transaction.challenges + 1)

    def _confirm(self, transaction: ClientInvite, response: Response, now: float) -> Dialog:
        """The first 2xx to our INVITE makes the dialog."""
        assert self._branches is not None
        dialog = self.dialog = self._branches.confirm(transaction, response, now)
        self._core.enter(dialog, self)
        return dialog

    def ack(self, transaction: ClientInvite, dialog: Dialog, sdp: bytes | None) -> None:
        """Acknowledge a 2xx to our INVITE: a request of its own, with the INVITE's number (13.2.2.4)."""
        hop = dialog.next_hop()
        number = transaction.request.cseq.number
        request = dialog.request("ACK", self._core.via(hop), cseq=number, body=sdp or b"")
        # 22.1: who wanted the INVITE proved may want so of its ACK, which cannot be challenged.
        for name in ("Authorization", "Proxy-Authorization"):
            for value in transaction.request.headers.all(name):
                request.headers.add(name, value)
        if sdp:
            request.headers.add("Content-Type", SDP)
        transaction.acks[dialog.remote_tag] = self._core.send_ack(request, hop)

    def _pay_ack(self, sdp: bytes | None) -> None:
        assert self.client is not None
        assert self.dialog is not None
        client, self.client = self.client, None
        self.ack(client, self.dialog, sdp)

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

    def bye(self, now: float) -> None:
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
            self.forget(now)
            return
        self._core.send_request(request, hop, self, now)

    def _close(self, now: float) -> None:
        """No timer, no INVITE of either side outlives the session by more than 64*T1."""
        self._held = None
        if self._branches is not None:
            self._branches.close()
        self.changes.close(now)
        self._due.clear()
        self._core.watch(self)
        if self.asked:
            # 15.1.2: what is pending is answered 487.
            self.refuse_pending(487, now)
        self._shed()
        if self.client is not None:
            self._core.give_up(self.client, now)
            self.client = None

    def _shed(self) -> None:
        if self.server is not None:
            self.server.shed()
            self.server = None

    def end(self, by: EndedBy, status: int, reason: str) -> None:
        """Tell the end, once: every caller leaves the states in which the session is alive."""
        self._core.emit(SessionEnded(self.id, by, status, reason))

    def forget(self, now: float) -> None:
        """Nothing of it is left."""
        self.state = SessionState.ENDED
        self._close(now)
        self._core.forget(self)


def _conclude(dialog: Dialog, sdp: bytes | None) -> bytes | None:
    """What the peer described when it answered: in the 2xx, or before, for the first answer counts (13.2.1)."""
    match dialog.exchange:
        case Exchange.OFFERED:
            # One that it gave in a provisional answer which nobody acknowledges stands for a 2xx without.
            dialog.exchange = Exchange.AGREED
            dialog.described = sdp or dialog.described
        case Exchange.OPEN if sdp is not None:
            dialog.exchange = Exchange.ASKED
            dialog.described = sdp
        case _:
            # Agreed before, or the offer of a provisional answer still waits for ours.
            pass
    return dialog.described


def _reason_header(status: int | None, reason: str | None) -> tuple[tuple[str, str], ...]:
    """Why a BYE or CANCEL is sent (RFC 3326)."""
    if status is None:
        return ()
    text = reason or REASONS.get(status, "")
    return (("Reason", f"SIP;cause={status}" + (f";text={quote_string(text)}" if text else "")),)
