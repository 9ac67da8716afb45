"""Branches: the phones that our INVITE has reached before one of them answers, each in an early dialog of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.sip.body import sdp_of
from callcenter.sip.dialog import Dialog
from callcenter.sip.events import Progressed
from callcenter.sip.offer_answer import Exchange
from callcenter.sip.part import Part
from callcenter.sip.reliable import in_sequence, prack, rseq_of

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.invite import Session
    from callcenter.sip.message import Response
    from callcenter.sip.transaction_client import ClientInvite
    from callcenter.sip.uri import Uri

# Branches that are followed, and answers of other branches that are tidied away, each with ACK and BYE; nobody has that
# many phones.
MAX_FORKS = 16

# Requests of ours in the early dialog of a branch that lost; its BYE counts on from above them.
MAX_EARLY_REQUESTS = 1_000


class Branches(Part):
    """The branches of one INVITE of ours. ``target`` is whom it is for, whatever the Request-URI."""

    __slots__ = ("_core", "_early", "_owed", "_pracks", "target")

    def __init__(self, core: Core, session: Session, target: Uri) -> None:
        super().__init__(session)
        self.target = target
        self._core = core
        self._early: dict[str, Dialog] = {}
        # PRACKs that wait for our user's answer to the offer in a provisional answer; and how many are out.
        self._owed: list[tuple[ClientInvite, Dialog, int]] = []
        self._pracks = 0

    @property
    def any_left(self) -> bool:
        """Whether one of them is there still."""
        return bool(self._early)

    def with_tag(self, tag: str) -> Dialog | None:
        """The early dialog with this branch."""
        return self._early.get(tag)

    def dialogs(self) -> list[Dialog]:
        """Every early dialog."""
        return list(self._early.values())

    def turn(self) -> Dialog | None:
        """The one in which a change can be proposed now; None when there is none, or more than one rings."""
        # A PRACK that arrives after a later request would be refused (12.2.2): its answer comes first.
        return next(iter(self._early.values())) if len(self._early) == 1 and not self._pracks else None

    def on_progress(self, transaction: ClientInvite, response: Response, now: float) -> None:
        """A provisional answer of a branch; one that wants a PRACK counts once, and in its order (RFC 3262 4)."""
        dialog = self._meet(transaction, response)
        sdp, rseq = sdp_of(response), rseq_of(response)
        if dialog is None:
            if rseq is None:
                self._core.emit(Progressed(self._session.id, response.status, sdp, response))
            return
        if rseq is not None and not in_sequence(transaction, dialog.remote_tag, rseq):
            return
        self._session.changes.note_methods(response)
        asked = False
        match dialog.exchange:
            case Exchange.OFFERED if sdp is not None:
                dialog.described = sdp
                dialog.exchange = Exchange.OFFERED if rseq is None else Exchange.AGREED
            case Exchange.OPEN if sdp is not None and rseq is not None:
                asked = True
                dialog.described, dialog.exchange = sdp, Exchange.ASKED
                self._owed.append((transaction, dialog, rseq))
            case _:
                # 13.2.1: what follows the answer is not looked at, and no offer is made in what may get lost.
                sdp = None
        self._core.emit(Progressed(self._session.id, response.status, sdp, response))
        if rseq is not None and not asked:
            self._prack(transaction, dialog, rseq, None, now)

    def answer(self, sdp: bytes, now: float) -> bool:
        """Answer the offer in a provisional answer; whether there was one."""
        if not self._owed:
            return False
        transaction, dialog, rseq = self._owed.pop(0)
        dialog.exchange = Exchange.AGREED
        self._prack(transaction, dialog, rseq, sdp, now)
        return True

    def prack_done(self) -> None:
        """A PRACK of ours has its answer, or none will come: the INVITE's own will tell."""
        self._pracks -= 1

    def drop(self, tag: str, now: float) -> None:
        """This branch rings no more: what was under way with it is answered, or made with another."""
        dialog = self._early.pop(tag, None)
        if dialog is not None:
            self._core.leave(dialog)
            self._owed = [each for each in self._owed if each[1] is not dialog]
            self._session.changes.forsake(dialog, now)

    def drop_all(self, now: float) -> None:
        """None of them rings any more."""
        for tag in list(self._early):
            self.drop(tag, now)

    def confirm(self, transaction: ClientInvite, response: Response, now: float) -> Dialog:
        """The first 2xx makes the dialog; its route set counts, not that of the early one (13.2.2.4)."""
        dialog = self._branch(transaction, response)
        early = self._early.pop(dialog.remote_tag, None)
        if early is not None:
            early.routes, early.target, early.remote = dialog.routes, dialog.target, dialog.remote
            dialog = early
        self.drop_all(now)
        return dialog

    def fork(self, transaction: ClientInvite, response: Response) -> Dialog:
        """The dialog with a branch that answered too late."""
        dialog = self._branch(transaction, response)
        # Its early dialog, if it had one, may have seen PRACKs: no number may come twice.
        dialog.local_cseq += MAX_EARLY_REQUESTS
        return dialog

    def close(self) -> None:
        """The session is over: nothing is owed."""
        self._owed.clear()

    def _meet(self, transaction: ClientInvite, response: Response) -> Dialog | None:
        """A provisional answer with a tag makes an early dialog (12.1)."""
        tag = response.to_tag
        if tag is None:
            return None
        known = self._early.get(tag)
        if known is not None or len(self._early) >= MAX_FORKS:
            return known
        dialog = self._early[tag] = self._branch(transaction, response)
        self._core.enter(dialog, self._session)
        return dialog

    def _branch(self, transaction: ClientInvite, response: Response) -> Dialog:
        request = transaction.request
        dialog = Dialog.of_response(request, response, self.target, transaction.flow, self._session.contact)
        dialog.exchange = Exchange.OFFERED if request.body else Exchange.OPEN
        return dialog

    def _prack(self, transaction: ClientInvite, dialog: Dialog, rseq: int, sdp: bytes | None, now: float) -> None:
        hop = dialog.next_hop()
        request = prack(dialog, self._core.via(hop), rseq, transaction.request.cseq.number, sdp)
        self._pracks += 1
        self._core.send_request(request, hop, self._session, now)
