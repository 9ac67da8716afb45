"""Progress: what a caller is told before our answer, some of it until the caller says that it came (RFC 3262)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.sip.body import SDP, sdp_of
from callcenter.sip.events import ProgressAnswered
from callcenter.sip.offer_answer import Exchange, status_of_offer
from callcenter.sip.part import Part
from callcenter.sip.reliable import FIRST_NUMBERS, TAG, ReliableAnswers, rack_of, wants_reliable
from callcenter.sip.session_state import SessionState, Timer

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.dialog import Dialog
    from callcenter.sip.flow import Flow
    from callcenter.sip.invite import Session
    from callcenter.sip.message import Request

# A proxy on the way gives up after three minutes without a provisional answer (RFC 3261 13.3.1.1).
AGAIN_EVERY = 60.0


class Progress(Part):
    """The provisional answers to the peer's INVITE of one session."""

    __slots__ = ("_core", "_reliable", "_said")

    def __init__(self, core: Core, session: Session) -> None:
        super().__init__(session)
        self._core = core
        self._said: tuple[int, bytes | None] | None = None
        # Those that want a PRACK, once there is one.
        self._reliable: ReliableAnswers | None = None

    @property
    def outstanding(self) -> bool:
        """Whether one waits for its PRACK."""
        return self._reliable is not None and self._reliable.outstanding

    @property
    def describes(self) -> bool:
        """Whether one that waits for its PRACK describes our sound: then no 2xx may follow before that (RFC 3262 5)."""
        return self._reliable is not None and self._reliable.describes

    def say(self, status: int, sdp: bytes | None, now: float) -> None:
        """Say that we are getting there."""
        self._said = (status, sdp)
        self._send(status, sdp, now)

    def say_again(self, now: float) -> None:
        """A minute has passed."""
        if self._said is not None and not self.outstanding:
            self._send(*self._said, now)

    def repeat(self, now: float) -> None:
        """No PRACK has come; whatever the transport, the interval doubles without a cap (RFC 3262 3)."""
        session, reliable = self._session, self._reliable
        assert session.server is not None
        assert reliable is not None
        reliable.interval *= 2
        session.set_timer(Timer.REPEAT_PROGRESS, now + reliable.interval)
        self._core.repeat_progress(session.server, now)

    def on_prack(self, request: Request, dialog: Dialog, flow: Flow, now: float) -> None:
        """A provisional answer arrived (RFC 3262 3); with the answer to our offer in it, or with a new one (5)."""
        core, session, reliable, sdp = self._core, self._session, self._reliable, sdp_of(request)
        if reliable is None or not reliable.expects(rack_of(request)):
            core.refuse(request, flow, 481)
            return
        answers = reliable.describes and dialog.exchange is Exchange.OFFERED
        if answers and sdp is None:
            core.refuse(request, flow, 400, reason="Answer Missing")
            return
        reliable.acknowledge()
        session.stop_timer(Timer.REPEAT_PROGRESS)
        session.stop_timer(Timer.NO_PRACK)
        transaction = core.accept_request(request, flow, now)
        if sdp is None:
            core.respond(transaction, 200, now)
        elif answers:
            core.respond(transaction, 200, now)
            dialog.exchange, dialog.described = Exchange.AGREED, sdp
            core.emit(ProgressAnswered(session.id, sdp))
        elif (status := status_of_offer(dialog.exchange)) is not None:
            # That the provisional answer arrived stays true.
            core.respond(transaction, status, now, headers=core.come_again(status))
        else:
            session.changes.ask(transaction, request, dialog, sdp)
        if session.state is SessionState.INCOMING and reliable.waiting:
            self._send(*reliable.waiting.popleft(), now)
        session.settle(now)

    def _send(self, status: int, sdp: bytes | None, now: float) -> None:
        core, session = self._core, self._session
        assert session.server is not None
        assert session.dialog is not None
        exchange = session.dialog.exchange
        if exchange in (Exchange.OFFERED, Exchange.AGREED):
            # It was told, and is not told again: the peer would not look at it (RFC 3261 13.2.1).
            sdp = None
        headers = [("Contact", session.contact)]
        if wants_reliable(session.server.request, describes=sdp is not None):
            if self._reliable is None:
                number = session.server.request.cseq.number
                self._reliable = ReliableAnswers(number, core.random.randrange(1, FIRST_NUMBERS))
            if self._reliable.outstanding:
                self._reliable.waiting.append((status, sdp))
                return
            headers = [*core.session_headers(session.contact), ("Require", TAG)]
            headers.append(("RSeq", str(self._reliable.next(describes=sdp is not None))))
            if sdp is not None:
                session.local_sdp = sdp
                session.dialog.exchange = Exchange.AGREED if exchange is Exchange.ASKED else Exchange.OFFERED
                session.changes.answered(session.dialog.described)
            self._reliable.interval = core.timers.t1
            session.set_timer(Timer.REPEAT_PROGRESS, now + core.timers.t1)
            session.set_timer(Timer.NO_PRACK, now + core.timers.timeout)
        elif exchange is Exchange.OPEN:
            # An offer of ours has to arrive (RFC 3261 13.2.1).
            sdp = None
        core.respond(
            session.server,
            status,
            now,
            to_tag=session.id,
            headers=headers,
            body=sdp or b"",
            content_type=SDP if sdp else None,
        )
        session.set_timer(Timer.PROGRESS, now + AGAIN_EVERY)
