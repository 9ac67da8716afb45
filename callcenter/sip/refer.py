"""Refer: a peer asks us to call somebody else (RFC 3515), and hears by NOTIFY how that goes; or we ask a peer.

What is received is told as ReferReceived, to be accepted or refused; the subscription that an accepted one makes lives
in the dialog beside the session, and may outlive it (RFC 5057).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.events import EndedBy, Notified, ReferAnswered, ReferReceived
from callcenter.sip.headers import NameAddr, find_param, parse_params
from callcenter.sip.message import REASONS
from callcenter.sip.replaces import Replaces, replaces_in
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.core import Core
    from callcenter.sip.dialog import Dialog
    from callcenter.sip.flow import Flow
    from callcenter.sip.invite import Session
    from callcenter.sip.message import Request, Response
    from callcenter.sip.transaction_client import ClientInvite, ClientRequest
    from callcenter.sip.transaction_server import ServerRequest

HeaderLines = Iterable[tuple[str, str]]

PACKAGE = "refer"
SIPFRAG = "message/sipfrag"
ALLOW_EVENTS = ("Allow-Events", PACKAGE)

# Whom one can be referred to; others cannot be called from here (8.2.2.1: 416).
SCHEMES = frozenset(("sip", "sips", "tel"))

# Seconds that a subscription lives unless the peer asks for less: longer than any phone rings.
LIFETIME = 180

# References of one dialog under way at once; a phone makes one, and another when that came to nothing.
MAX_REFERENCES = 8

# Answers to a NOTIFY after which there is nobody to notify any more (RFC 6665 4.2.2, RFC 5057 5.1).
GONE = frozenset((404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604))

_STATUS_LINE = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]{0,200}))?")


@dataclass(frozen=True, slots=True)
class Refer:
    """What a REFER asks for: whom to call, which dialog that call replaces, and who asks.

    ``target`` is without headers: what a peer wrote there is no header of ours. ``referred_by`` is the number or user
    of Referred-By (RFC 3892), a claim and no proof. ``silent``: no NOTIFY is wanted (RFC 4488).
    """

    target: Uri
    replaces: Replaces | None = None
    referred_by: str = ""
    silent: bool = False


def read_refer(request: Request) -> Refer:
    """What a REFER asks for. Raises SipParseError with the status that refuses it (2.4.2)."""
    values = request.headers.all("Refer-To")
    if len(values) != 1:
        raise SipParseError("Exactly One Refer-To")
    uri = NameAddr.parse(values[0]).uri
    if uri.scheme not in SCHEMES:
        raise SipParseError("Unsupported URI Scheme", status=416)
    if uri.scheme != "tel" and (uri.param("method") or "INVITE").upper() != "INVITE":
        raise SipParseError("Only INVITE", status=501)
    by = request.headers.all("Referred-By")
    if len(by) > 1:
        raise SipParseError("More Than One Referred-By")
    wanted = (request.headers.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower()
    return Refer(
        target=replace(uri.without_params("method"), headers="", raw="") if uri.headers or uri.params else uri,
        replaces=replaces_in(uri),
        referred_by=NameAddr.parse(by[0]).uri.number_or_user if by else "",
        silent=wanted == "false",
    )


def take_refer(core: Core, session: Session, dialog: Dialog, request: Request, flow: Flow, now: float) -> None:
    """A peer's REFER within a dialog of ours. Raises SipParseError."""
    refer = read_refer(request)
    if session.over:
        core.refuse(request, flow, 481)
        return
    references = core.references.setdefault(session.id, {})
    if len(references) >= MAX_REFERENCES:
        core.refuse(request, flow, 491)
        return
    server = core.accept_request(request, flow, now)
    reference = Reference(core, session.id, dialog, server, silent=refer.silent)
    references[reference.number] = reference
    replaced = ""
    if refer.replaces is not None:
        found = core.dialogs.get(refer.replaces.key)
        if found is None or found.over:
            # As the INVITE with that Replaces would be answered; a 481 to the REFER itself would end this dialog.
            reference.accept(now)
            reference.progress(481, None, now)
            return
        replaced = found.id
    core.emit(ReferReceived(session.id, reference.number, refer, replaced))


class ReferenceState(Enum):
    """Where a reference stands."""

    ASKED = auto()
    ACTIVE = auto()
    LAST_NOTIFY = auto()  # what ends it is out
    OVER = auto()


class Reference:
    """A REFER of the peer, and the subscription to how it goes: one NOTIFY after the other, the latest word each, and
    the last word at once.

    ``number`` is its CSeq, by which several in one dialog are told apart.
    """

    __slots__ = (
        "_core",
        "_dialog",
        "_event",
        "_expires_at",
        "_lifetime",
        "_notifying",
        "_server",
        "_session",
        "_silent",
        "_told",
        "_wanted",
        "number",
        "queued",
        "state",
    )

    def __init__(self, core: Core, session: str, dialog: Dialog, server: ServerRequest, *, silent: bool) -> None:
        request = server.request
        self.number = request.cseq.number
        self.state = ReferenceState.ASKED
        self.queued: float | None = None
        self._core = core
        self._session = session
        self._dialog = dialog
        self._server = server
        self._silent = silent
        # 2.4.6: the first of a dialog may do without an id, and simple phones know of none.
        self._event = f"{PACKAGE};id={self.number}" if dialog.referred else PACKAGE
        self._lifetime = LIFETIME if request.expires is None else min(request.expires, LIFETIME)
        self._expires_at: float | None = None
        # What was told last, what waits until the NOTIFY that is out is answered, and whether one is.
        self._told: tuple[int, str] = (100, REASONS[100])
        self._wanted: tuple[int, str] | None = None
        self._notifying = False
        dialog.referred = True

    def __repr__(self) -> str:
        return f"<Reference {self._session}/{self.number} {self.state.name.lower()}>"

    # -- what its user asks ------------------------------------------------------------------------------------------

    def accept(self, now: float) -> None:
        """202, and the first NOTIFY at once (2.4.4)."""
        if self.state is not ReferenceState.ASKED:
            return
        headers = [("Contact", self._dialog.contact)]
        if self._silent:
            headers.append(("Refer-Sub", "false"))
        self._core.respond(self._server, 202, now, headers=headers)
        if self._silent:
            self._forget()
            return
        self.state = ReferenceState.ACTIVE
        self._expires_at = now + self._lifetime
        self._core.watch(self)
        self.progress(100, None, now)

    def reject(self, status: int, now: float) -> None:
        """Refuse it (300-699)."""
        assert status >= 300, status
        if self.state is ReferenceState.ASKED:
            self._core.respond(self._server, status, now)
            self._forget()

    def progress(self, status: int, reason: str | None, now: float) -> None:
        """How it goes: what the INVITE that was asked for is answered with. From 200 on it is the last word."""
        if self.state is not ReferenceState.ACTIVE:
            return
        words = REASONS.get(status, "") if reason is None else reason
        if status >= 200:
            # It waits for nothing: a BYE of ours may be next, and nobody listens behind that.
            self._notify(status, words, "terminated;reason=noresource", now)
        else:
            self._wanted = status, words
            self._settle(now)

    # -- the subscription --------------------------------------------------------------------------------------------

    def on_subscribe(self, request: Request, flow: Flow, now: float) -> None:
        """The peer wants to hear longer of it, or no more (2.4.4, RFC 6665 4.2.1)."""
        if self.state is not ReferenceState.ACTIVE:
            self._core.refuse(request, flow, 481)
            return
        asked = LIFETIME if request.expires is None else min(request.expires, LIFETIME)
        server = self._core.accept_request(request, flow, now)
        headers = [("Expires", str(asked)), ("Contact", self._dialog.contact)]
        self._core.respond(server, 200, now, headers=headers)
        self._expires_at = now + asked
        self._core.watch(self)
        if asked:
            self.progress(*self._told, now)
        else:
            self._notify(*self._told, "terminated;reason=timeout", now)

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        """The answer to a NOTIFY."""
        if response.status < 200:
            return
        self._notifying = False
        if response.status in GONE or self.state is ReferenceState.LAST_NOTIFY:
            self._forget()
        else:
            self._settle(now)

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        """Nobody answers NOTIFYs."""
        self._forget()

    @property
    def deadline(self) -> float | None:
        """When the subscription runs out."""
        return self._expires_at

    def expire(self, now: float) -> None:
        """It has run out."""
        if self._expires_at is not None and self._expires_at <= now:
            self._notify(*self._told, "terminated;reason=timeout", now)

    def _settle(self, now: float) -> None:
        """Tell what is new, unless a NOTIFY is out: two of them may overtake each other."""
        if self._wanted is None or self._notifying or self.state is not ReferenceState.ACTIVE:
            return
        (status, reason), self._wanted = self._wanted, None
        assert self._expires_at is not None
        left = max(0, round(self._expires_at - now))
        self._notify(status, reason, f"active;expires={left}", now)

    def _notify(self, status: int, reason: str, state: str, now: float) -> None:
        self._told = status, reason
        if state.startswith("terminated"):
            self.state = ReferenceState.LAST_NOTIFY
            self._expires_at = None
            self._core.watch(self)
        hop = self._dialog.next_hop()
        body = f"SIP/2.0 {status} {reason}\r\n".encode()
        request = self._dialog.request("NOTIFY", self._core.via(hop), body=body)
        for name, value in (
            ("Event", self._event),
            ("Subscription-State", state),
            ("Contact", self._dialog.contact),
            ("Content-Type", f"{SIPFRAG};version=2.0"),
        ):
            request.headers.add(name, value)
        self._notifying = True
        self._core.send_request(request, hop, self, now)

    def _forget(self) -> None:
        self.state = ReferenceState.OVER
        self._expires_at = None
        self._core.watch(self)
        references = self._core.references.get(self._session)
        if references is not None:
            references.pop(self.number, None)
            if not references:
                del self._core.references[self._session]


def take_subscribe(core: Core, session: Session | None, request: Request, flow: Flow, now: float) -> None:
    """A SUBSCRIBE, within a session or not: only what a REFER began can be subscribed to (RFC 6665 4.2.1.3: 489)."""
    package, number = _event_of(request)
    if package != PACKAGE:
        core.refuse(request, flow, 489, [ALLOW_EVENTS])
        return
    references = core.references.get(session.id, {}) if session is not None else {}
    reference = references.get(number) if number is not None else next(iter(references.values()), None)
    if reference is not None:
        reference.on_subscribe(request, flow, now)
    else:
        # No subscription begins without a REFER (RFC 3515 2.4.4).
        core.refuse(request, flow, 403)


# -- what we ask of a peer -------------------------------------------------------------------------------------------


def send_refer(core: Core, session: Session, target: NameAddr, headers: HeaderLines, now: float) -> int:
    """Ask the peer of an established session to call ``target``; returns the number of the reference."""
    dialog = session.dialog
    assert dialog is not None
    hop = dialog.next_hop()
    request = dialog.request("REFER", core.via(hop))
    for name, value in (("Refer-To", str(target)), ("Contact", dialog.contact), *headers):
        request.headers.add(name, value)
    number = request.cseq.number
    core.asked.setdefault(session.id, {})[number] = number
    core.send_request(request, hop, Asked(core, session.id, number), now)
    return number


class Asked:
    """Our REFER: who hears what it is answered."""

    __slots__ = ("_core", "_number", "_session")

    def __init__(self, core: Core, session: str, number: int) -> None:
        self._core = core
        self._session = session
        self._number = number

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        """Accepted, with NOTIFYs to come, or refused."""
        if response.status >= 200:
            self._answered(response.status)

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        """No answer came, or it could not be sent."""
        self._answered(408 if cause is EndedBy.TIMEOUT else 503)

    def _answered(self, status: int) -> None:
        asked = self._core.asked.get(self._session, {})
        if status >= 300:
            for wire, number in list(asked.items()):
                if number == self._number:
                    del asked[wire]
        if self._session in self._core.sessions:
            self._core.emit(ReferAnswered(self._session, self._number, status))


def take_notify(core: Core, session: Session | None, request: Request, flow: Flow, now: float) -> None:
    """A NOTIFY: of our REFER, or of nothing that we asked for (RFC 6665 4.1.3)."""
    package, number = _event_of(request)
    if package != PACKAGE:
        core.refuse(request, flow, 489, [ALLOW_EVENTS])
        return
    asked = core.asked.get(session.id, {}) if session is not None else {}
    if number is None and asked:
        number = min(asked)
    if session is None or number is None or number not in asked:
        core.refuse(request, flow, 481)
        return
    status, reason = _read_sipfrag(request)
    state = (request.headers.get("Subscription-State") or "").partition(";")[0].strip(" \t").lower()
    known_as = asked[number]
    if state == "terminated":
        del asked[number]
    core.respond(core.accept_request(request, flow, now), 200, now)
    core.emit(Notified(session.id, known_as, status, reason, state == "terminated"))


def _read_sipfrag(request: Request) -> tuple[int, str]:
    """The status line in the body of a NOTIFY (RFC 3420). Raises SipParseError."""
    found = _STATUS_LINE.match(request.body)
    if request.content_type != SIPFRAG or found is None:
        raise SipParseError("Bad sipfrag")
    return int(found[1]), (found[2] or b"").decode("utf-8", "replace").strip()


def _event_of(request: Request) -> tuple[str, int | None]:
    """The package that Event names, and the number of the REFER. Raises SipParseError."""
    package, semicolon, rest = (request.headers.get("Event") or "").partition(";")
    number = find_param(parse_params(semicolon + rest), "id")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 10):
        raise SipParseError("Bad Event")
    return package.strip(" \t").lower(), None if number is None else int(number)
