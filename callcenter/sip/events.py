"""What the endpoint asks of its shell and tells it: one union, ``Effect``, performed in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request, Response
    from callcenter.sip.refer import Refer


class EndedBy(StrEnum):
    """Who or what ended a session."""

    PEER = "peer"
    LOCAL = "local"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``data`` over ``flow``. If that cannot be done, tell the endpoint: ``send_failed(key, now)``."""

    flow: Flow
    data: bytes
    key: str


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A peer calls: ring, answer or reject. ``offer`` is the SDP of the INVITE; None when the peer wants ours.

    ``user`` is who the peer proved to be, where the endpoint's screen asked; empty: nobody asked. ``replaces`` is the
    session that the call wants to take the place of (RFC 3891), which is for the application to allow; ``trunk`` is the
    one that it came by.
    """

    session: str
    request: Request
    flow: Flow
    offer: bytes | None
    user: str = ""
    replaces: str = ""
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Trying:
    """Our INVITE got a 100: somebody is there, and works on it."""

    session: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """Our INVITE got a provisional answer (101-199).

    ``sdp`` is early media; or, when our INVITE had no offer, the peer's: see ``Endpoint.acknowledge``.
    """

    session: str
    status: int
    sdp: bytes | None
    response: Response


@dataclass(frozen=True, slots=True)
class Answered:
    """Our INVITE got a 2xx, which is acknowledged already (an INVITE without offer: see ``Endpoint.acknowledge``).

    ``sdp`` is what the peer described first, in the 2xx or before it, or changed it to since.
    """

    session: str
    sdp: bytes | None
    response: Response


@dataclass(frozen=True, slots=True)
class Rejected:
    """Our INVITE was refused (300-699), timed out (408) or could not be sent (503); SessionEnded follows.

    ``response`` is None when no answer came at all.
    """

    session: str
    status: int
    reason: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class ProgressAnswered:
    """The PRACK brought the peer's answer to the offer in our provisional answer (RFC 3262 5)."""

    session: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The ACK to our 200 came; ``sdp`` is the peer's answer when our 200 carried the offer.

    Told for the first 200 of a session, and for that to a re-INVITE only when the 200 carried our offer.
    """

    session: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """The peer wants to change the session; answer with accept_reinvite or reject_reinvite.

    By a re-INVITE; or by an UPDATE or a PRACK, and then perhaps before the session is up (RFC 3311, 3262 5).
    """

    session: str
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """Our re-INVITE was accepted."""

    session: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteRejected:
    """Our re-INVITE was refused; the session goes on as it was."""

    session: str
    status: int


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """Our INFO has its final answer; 408 or 503 when there came none."""

    session: str
    status: int


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO within the session, answered 200 already."""

    session: str
    content_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """The peer asks us to call somebody (RFC 3515); answer with accept_refer or reject_refer, by ``number``.

    ``replaces`` is the session of ours that the call would replace; empty when the REFER names none.
    """

    session: str
    number: int
    refer: Refer
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class ReferAnswered:
    """Our REFER was accepted (2xx), or refused, or not answered at all (408, 503)."""

    session: str
    number: int
    status: int


@dataclass(frozen=True, slots=True)
class Notified:
    """The peer tells how the call goes that we asked for; with ``last`` nothing more is told."""

    session: str
    number: int
    status: int
    reason: str
    last: bool


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over: told exactly once, and nothing of the session is told afterwards.

    ``status``: 200 after a BYE, 487 after a CANCEL, the status of a refusal, 408 when time ran out, 503 when nothing
    could be sent. ``reason``: the peer's Reason header (RFC 3326) in words, or those that go with the status.
    """

    session: str
    by: EndedBy
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request outside a session, of a method named to the endpoint; answer with ``respond`` within 64*T1."""

    transaction: str
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The final answer to a request sent with ``request``; None when it timed out or could not be sent."""

    request_id: str
    response: Response | None


Effect = (
    Send
    | InviteReceived
    | Trying
    | Progressed
    | Answered
    | Rejected
    | ProgressAnswered
    | Acknowledged
    | ReinviteReceived
    | ReinviteAnswered
    | ReinviteRejected
    | InfoAnswered
    | InfoReceived
    | ReferReceived
    | ReferAnswered
    | Notified
    | SessionEnded
    | RequestReceived
    | ResponseReceived
)
