"""Changes: what changes a session in being, by re-INVITE and UPDATE, both ways; and what keeps it alive (RFC 4028)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callcenter.sip.body import SDP, sdp_of
from callcenter.sip.events import EndedBy, ReinviteAnswered, ReinviteReceived, ReinviteRejected
from callcenter.sip.message import REASONS, read_seconds
from callcenter.sip.offer_answer import Exchange, status_of_offer
from callcenter.sip.part import Part
from callcenter.sip.reliable import in_sequence, prack, rseq_of
from callcenter.sip.session_state import MAX_RETRY_AFTER, SessionState, Timer
from callcenter.sip.session_timer import (
    Refreshing,
    agreed_by,
    answer_to,
    least_of,
    no_shorter,
    offer_headers,
)

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.dialog import Dialog, DialogState
    from callcenter.sip.flow import Flow
    from callcenter.sip.invite import Session
    from callcenter.sip.message import Message, Request, Response
    from callcenter.sip.transaction_client import ClientInvite
    from callcenter.sip.transaction_server import ServerRequest

# Tries of a change that collides with the peer's, or that it asks to repeat; one that always does is given up.
MAX_GLARES = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """A re-INVITE or an UPDATE of ours that is under way. A ``refresh`` changes nothing, and nobody waits for it."""

    dialog: Dialog
    offer: bytes | None
    refresh: bool
    by_update: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """An offer in the peer's UPDATE or PRACK, which waits for our user's answer."""

    transaction: ServerRequest
    request: Request
    dialog: Dialog
    offer: bytes


class Changes(Part):
    """The changes of one session: at most one under way each way, offers and answers in turn (RFC 3261 14, 3311)."""

    __slots__ = (
        "_agreed",
        "_answered",
        "_core",
        "_glares",
        "_least",
        "_pending",
        "_proposal",
        "_refuses_update",
        "_stale",
        "_updates",
        "_wanted",
    )

    def __init__(self, core: Core, session: Session) -> None:
        super().__init__(session)
        self._core = core
        # The offer of our next change.
        self._wanted: bytes | None = None
        self._proposal: Proposal | None = None
        self._pending: Pending | None = None
        self._glares = 0
        # The peer's last offer, when our last description answered it: the same again changes nothing.
        self._answered: bytes | None = None
        # Whether the peer takes UPDATE, as its Allow said last; never again once it has refused one.
        self._updates = False
        self._refuses_update = False
        self._agreed: Refreshing | None = None
        # The highest Min-SE of a 422; 0: none.
        self._least = 0
        # Whether a refresh is due.
        self._stale = False

    # -- what its user asks ------------------------------------------------------------------------------------------

    def want(self, sdp: bytes, now: float) -> None:
        """Offer a change, as soon as it is our turn; the latest offer wins."""
        self._wanted = sdp
        self._glares = 0
        self._session.settle(now)

    def accept(self, sdp: bytes, now: float) -> None:
        """Accept the change the peer offered."""
        session, pending = self._session, self._pending
        if pending is not None:
            self._pending = None
            self._agree(pending.dialog, pending.offer, sdp)
            self._answer(pending.transaction, pending.request, pending.dialog, sdp, now)
            session.settle(now)
        elif session.state is SessionState.ESTABLISHED and session.asked:
            assert session.server is not None
            assert session.dialog is not None
            session.dialog.refresh(session.server.request)
            session.accept(sdp, now)

    def reject(self, status: int, now: float) -> None:
        """Refuse the change the peer offered."""
        assert status >= 300, status
        session, pending = self._session, self._pending
        if pending is not None:
            self._pending = None
            pending.dialog.exchange = Exchange.AGREED
            self._core.respond(pending.transaction, status, now)
            session.settle(now)
        elif session.state is SessionState.ESTABLISHED and session.asked:
            session.refuse_pending(status, now)
            session.settle(now)

    # -- what the peer asks ------------------------------------------------------------------------------------------

    def on_reinvite(self, request: Request, flow: Flow, now: float) -> None:
        """The peer wants a change (RFC 3261 14.2)."""
        session, core = self._session, self._core
        match session.state:
            case SessionState.ESTABLISHED if session.server is None and session.client is None:
                dialog = session.dialog
                assert dialog is not None
                if (status := status_of_offer(dialog.exchange)) is not None:
                    self._refuse(request, flow, status)
                    return
                if core.refuses_interval(request, flow):
                    return
                offer = sdp_of(request)
                self.note_methods(request)
                session.server = core.accept_invite(request, flow, session, now)
                if core.strangers.doubts(session.id, flow):
                    session.server.left = 1
                dialog.exchange = Exchange.OPEN if offer is None else Exchange.ASKED
                if offer is not None and offer == self._answered and session.local_sdp is not None:
                    self.accept(session.local_sdp, now)
                else:
                    core.emit(ReinviteReceived(session.id, offer))
            case SessionState.INCOMING | SessionState.ESTABLISHED if session.asked:
                # Its earlier INVITE is not answered yet.
                self._refuse(request, flow, 500)
            case SessionState.CALLING | SessionState.PROCEEDING | SessionState.ANSWERED | SessionState.ESTABLISHED:
                # Glare: an INVITE of ours is under way, or our 2xx is not acknowledged.
                self._refuse(request, flow, 491)
            case _:
                core.refuse(request, flow, 481)

    def on_update(self, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """The peer wants a change, or refreshes: in an early dialog too (RFC 3311 5.2)."""
        session, core = self._session, self._core
        if session.over:
            core.refuse(request, flow, 481)
            return
        offer = sdp_of(request)
        if self._pending is not None:
            self._refuse(request, flow, 500)
        elif offer is not None and (status := status_of_offer(dialog.exchange)) is not None:
            self._refuse(request, flow, status)
        elif not core.refuses_interval(request, flow):
            self.note_methods(request)
            transaction = core.accept_request(request, flow, now)
            if offer is None:
                self._answer(transaction, request, dialog, None, now)
            elif offer == self._answered and dialog is session.dialog and session.local_sdp is not None:
                self._answer(transaction, request, dialog, session.local_sdp, now)
            else:
                self.ask(transaction, request, dialog, offer)

    def ask(self, transaction: ServerRequest, request: Request, dialog: Dialog, offer: bytes) -> None:
        """Tell our user of an offer in an UPDATE or a PRACK."""
        dialog.exchange = Exchange.ASKED
        self._pending = Pending(transaction, request, dialog, offer)
        self._core.emit(ReinviteReceived(self._session.id, offer))

    def _answer(
        self, transaction: ServerRequest, request: Request, dialog: Dialog, sdp: bytes | None, now: float
    ) -> None:
        headers: list[tuple[str, str]] = []
        if request.method == "UPDATE":
            dialog.refresh(request)
            headers = self.answer_headers(request)
        content_type = None if sdp is None else SDP
        self._core.respond(transaction, 200, now, headers=headers, body=sdp or b"", content_type=content_type)
        if request.method == "UPDATE":
            self.restart(now)

    def _agree(self, dialog: Dialog, offer: bytes, answer: bytes) -> None:
        dialog.exchange = Exchange.AGREED
        dialog.described = offer
        self._session.local_sdp = answer
        self._answered = offer

    def _refuse(self, request: Request, flow: Flow, status: int) -> None:
        self._core.refuse(request, flow, status, self._core.come_again(status))

    # -- what we propose ---------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> bool:
        """Whether an offer waits for its answer, either way, in a request that is no INVITE."""
        proposal = self._proposal
        return self._pending is not None or (proposal is not None and proposal.by_update and proposal.offer is not None)

    def settle(self, now: float) -> None:
        """Send the change that is wanted, or the refresh that is due, if it is our turn (RFC 3261 14.1, 3311 5.1)."""
        session = self._session
        if (self._wanted is None and not self._stale) or self._proposal is not None or self._pending is not None:
            return
        dialog = session.turn()
        if dialog is None or dialog.exchange is not Exchange.AGREED or session.waits_for(Timer.GLARE):
            return
        wanted, refresh = self._wanted, self._wanted is None
        match session.state:
            case SessionState.ESTABLISHED if session.server is None and session.client is None:
                self._wanted, self._stale = None, False
                if not refresh or not self._updates:
                    self._reinvite(Proposal(dialog, session.local_sdp if refresh else wanted, refresh, False), now)
                else:
                    self._update(Proposal(dialog, None, True, True), now)
            case SessionState.INCOMING | SessionState.PROCEEDING if self._updates and wanted is not None:
                self._wanted = None
                self._update(Proposal(dialog, wanted, False, True), now)
            case _:
                # Not before our 2xx is acknowledged, or an INVITE that is under way is through.
                pass

    def _reinvite(self, proposal: Proposal, now: float) -> None:
        session, dialog = self._session, proposal.dialog
        self._proposal = proposal
        dialog.exchange = Exchange.OFFERED
        hop = dialog.next_hop()
        request = dialog.request("INVITE", self._core.via(hop), body=proposal.offer or b"")
        for name, value in (*self.headers(), ("Content-Type", SDP)):
            request.headers.add(name, value)
        session.client = self._core.send_invite(request, hop, session, now)

    def _update(self, proposal: Proposal, now: float) -> None:
        dialog, offer = proposal.dialog, proposal.offer
        self._proposal = proposal
        hop = dialog.next_hop()
        request = dialog.request("UPDATE", self._core.via(hop), body=offer or b"")
        for name, value in self.headers():
            request.headers.add(name, value)
        if offer is not None:
            dialog.exchange = Exchange.OFFERED
            request.headers.add("Content-Type", SDP)
        self._core.send_request(request, hop, self._session, now)

    def on_reinvite_response(self, transaction: ClientInvite, response: Response, now: float) -> None:
        """An answer to a re-INVITE of ours, and every repetition of it."""
        session = self._session
        if response.status < 200:
            if transaction is session.client and self._proposal is not None:
                self._acknowledge_progress(transaction, self._proposal.dialog, response, now)
            return
        if response.status < 300:
            ack = transaction.acks.get(response.to_tag or "")
            if ack is not None:
                self._core.emit(ack)
                return
            assert session.dialog is not None
            session.dialog.refresh(response)
            session.ack(transaction, session.dialog, None)
        if transaction is not session.client:
            # We hung up meanwhile.
            return
        session.client = None
        self._on_answer(response, now)

    def _acknowledge_progress(self, transaction: ClientInvite, dialog: Dialog, response: Response, now: float) -> None:
        """A provisional answer to a re-INVITE wants a PRACK like any other; the answer may stand in it (RFC 6141 3)."""
        rseq = rseq_of(response)
        if rseq is not None and in_sequence(transaction, dialog.remote_tag, rseq):
            dialog.described = sdp_of(response) or dialog.described
            hop = dialog.next_hop()
            request = prack(dialog, self._core.via(hop), rseq, transaction.request.cseq.number, None)
            self._core.send_request(request, hop, None, now)

    def on_update_response(self, response: Response, now: float) -> None:
        """An answer to an UPDATE of ours; behind the end of the session it tells nobody anything."""
        if self._session.over:
            return
        if response.status >= 200 and self._proposal is not None and self._proposal.by_update:
            if response.status < 300:
                self._proposal.dialog.refresh(response)
            self._on_answer(response, now)

    def _on_answer(self, response: Response, now: float) -> None:
        session, proposal = self._session, self._proposal
        assert proposal is not None
        self._proposal = None
        dialog, status = proposal.dialog, response.status
        if proposal.offer is not None:
            dialog.exchange = Exchange.AGREED
        match status:
            case _ if status < 300:
                self._glares = 0
                self.note_methods(response)
                self._accepted(proposal, sdp_of(response))
                self.learn(response, now)
            case 491 if self._glares < MAX_GLARES:
                # 14.1: who made the Call-ID waits longer, so that the two do not meet again.
                random = self._core.random
                hundredths = random.randrange(0, 201) if dialog.incoming else random.randrange(210, 401)
                self._try_again(proposal, now + hundredths / 100)
            case 500 if self._glares < MAX_GLARES and (wait := _retry_after(response)) is not None:
                # RFC 3311 5.3: the peer is busy with a change of its own.
                self._try_again(proposal, now + wait)
            case 422 if self._glares < MAX_GLARES and (least := least_of(response)) > self._least:
                # RFC 4028 7.3: the peer is not to be woken so often.
                self._least, self._agreed = least, no_shorter(self._agreed, least)
                self._try_again(proposal, now)
            case 405 | 501 if proposal.by_update:
                self._updates, self._refuses_update = False, True
                self._try_again(proposal, now)
            case 481 if not session.early:
                # 12.2.1.2: the peer does not know the dialog.
                session.end(EndedBy.PEER, 481, response.reason or REASONS[481])
                session.forget(now)
                return
            case 408 if not session.early:
                session.end(EndedBy.PEER, 408, response.reason or REASONS[408])
                session.bye(now)
                return
            case _:
                self._refused(proposal, status, now)
        session.settle(now)

    def on_failure(self, cause: EndedBy, now: float) -> None:
        """A re-INVITE or UPDATE of ours got no answer, or could not be sent."""
        session, proposal = self._session, self._proposal
        if proposal is None or session.over:
            return
        self._proposal = None
        if proposal.offer is not None:
            proposal.dialog.exchange = Exchange.AGREED
        if not proposal.by_update:
            session.client = None
        status = 408 if cause is EndedBy.TIMEOUT else 503
        if cause is EndedBy.TIMEOUT and not session.early:
            # 12.2.1.2: the peer does not answer any more, so the dialog is over.
            session.end(cause, status, REASONS[status])
            session.bye(now)
        else:
            self._refused(proposal, status, now)
            session.settle(now)

    def _accepted(self, proposal: Proposal, answer: bytes | None) -> None:
        session = self._session
        if proposal.offer is None:
            return
        session.local_sdp, self._answered = proposal.offer, None
        # The answer to a re-INVITE may have come before its 2xx, and is not told again then.
        proposal.dialog.described = answer or proposal.dialog.described
        if not proposal.refresh:
            self._core.emit(ReinviteAnswered(session.id, answer or proposal.dialog.described))

    def _try_again(self, proposal: Proposal, at: float) -> None:
        self._glares += 1
        if proposal.refresh:
            self._stale = True
        elif self._wanted is None:
            self._wanted = proposal.offer
        self._session.set_timer(Timer.GLARE, at)

    def _refused(self, proposal: Proposal, status: int, now: float) -> None:
        if not proposal.refresh:
            self._core.emit(ReinviteRejected(self._session.id, status))
            return
        # A proxy that wants a password which we have not: whether the session is over is for the peer to say.
        challenged = status in (401, 407)
        if proposal.by_update and status != 503 and not challenged:
            # Whatever it has against it: the next refresh is a re-INVITE.
            self._updates, self._refuses_update = False, True
        if self._agreed is None or self._session.early:
            return
        if challenged or (not self._agreed.mutual and status != 503):
            # A peer without session timers: whatever it answers, somebody is there.
            self.restart(now)
        else:
            self._session.set_timer(Timer.SESSION_REFRESH, now + self._agreed.again_after)

    # -- session timers ----------------------------------------------------------------------------------------------

    def headers(self) -> list[tuple[str, str]]:
        """What an INVITE or UPDATE of ours says of us, and of how often the session is refreshed."""
        session, wanted = self._session, self._core.session_timer
        headers = self._core.session_headers(session.contact)
        if wanted is not None and not session.early:
            headers += offer_headers(wanted, self._least, self._agreed)
        return headers

    def first_headers(self) -> list[tuple[str, str]]:
        """What our first INVITE asks for, after a peer refused to be woken so often."""
        wanted = self._core.session_timer
        return [] if wanted is None else offer_headers(wanted, self._least, None)

    def answer_headers(self, request: Request) -> list[tuple[str, str]]:
        """What our 2xx to an INVITE or UPDATE says of us, and of how often the session is refreshed."""
        session, wanted = self._session, self._core.session_timer
        headers = self._core.session_headers(session.contact)
        if wanted is not None and not session.early:
            self._agreed, agreed = answer_to(wanted, request, self._agreed)
            headers += agreed
        return headers

    def learn(self, response: Response, now: float) -> None:
        """Take what the 2xx to our INVITE or UPDATE agrees to, and begin to count."""
        wanted = self._core.session_timer
        if wanted is not None and not self._session.early:
            self._agreed = agreed_by(wanted, response, self._least, self._agreed)
            self.restart(now)

    def ask_for_longer(self, response: Response) -> bool:
        """Take the Min-SE of the 422 to our first INVITE; whether it is worth another try (RFC 4028 7.3)."""
        least = least_of(response)
        if self._core.session_timer is None or least <= self._least or self._glares >= MAX_GLARES:
            return False
        self._glares += 1
        self._least = least
        return True

    def restart(self, now: float) -> None:
        """The session was refreshed."""
        agreed, session = self._agreed, self._session
        if agreed is None or session.over or session.early:
            return
        if agreed.ours:
            session.set_timer(Timer.SESSION_REFRESH, now + agreed.refresh_after)
        else:
            session.stop_timer(Timer.SESSION_REFRESH)
        session.set_timer(Timer.SESSION_EXPIRED, now + agreed.ends_after)

    def refresh(self, now: float) -> None:
        """A refresh is due."""
        self._stale = True
        self._session.settle(now)

    def note_methods(self, message: Message) -> None:
        """Take note whether the peer takes UPDATE."""
        allow = message.headers.get("Allow")
        if allow is not None and not self._refuses_update:
            self._updates = "UPDATE" in allow or any("UPDATE" in each for each in message.headers.all("Allow"))

    def answered(self, offer: bytes | None) -> None:
        """Our description answered this offer of the peer's; None: it was an offer."""
        self._answered = offer

    def forsake(self, dialog: Dialog, now: float) -> None:
        """This early dialog is gone: what was proposed in it is for another branch, what the peer proposed for none."""
        proposal, pending = self._proposal, self._pending
        if proposal is not None and proposal.dialog is dialog:
            self._proposal = None
            self._wanted = self._wanted or proposal.offer
        if pending is not None and pending.dialog is dialog:
            self._pending = None
            self._core.respond(pending.transaction, 487, now)

    # -- its end, and moving -----------------------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """The session is over: nothing is wanted, and what is pending is answered 487 (RFC 3261 15.1.2)."""
        self._wanted, self._stale, self._proposal = None, False, None
        if self._pending is not None:
            self._core.respond(self._pending.transaction, 487, now)
            self._pending = None

    def described_in(self, state: DialogState) -> DialogState:
        """The dialog as a value, with what keeps it alive."""
        agreed = self._agreed
        if agreed is None:
            return replace(state, updates=self._updates)
        return replace(
            state,
            session_interval=agreed.interval,
            refreshes=agreed.ours,
            mutual=agreed.mutual,
            updates=self._updates,
        )

    def adopt(self, state: DialogState, now: float) -> None:
        """Go on where another process stopped; when it refreshed last is not known, so that one of ours is due soon."""
        self._updates = state.updates
        if not state.session_interval:
            return
        agreed = self._agreed = Refreshing(state.session_interval, state.refreshes, state.mutual)
        self.restart(now)
        if agreed.ours:
            # Not all that were adopted at once.
            self._session.set_timer(Timer.SESSION_REFRESH, now + self._core.random.uniform(0, agreed.again_after))


def _retry_after(response: Response) -> float | None:
    """Seconds after which a 500 asks us to come again, bounded; None when it does not."""
    text = response.headers.get("Retry-After")
    seconds = None if text is None else read_seconds(text.partition(";")[0].partition("(")[0].strip())
    return None if seconds is None else float(min(seconds, MAX_RETRY_AFTER))
