"""Doorkeeper: asks who dials what only our own people may, by digest; the gate is told of who guesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.signaling.challenger import NO, Challenger
from callcenter.sip.digest import Credentials, DigestServer, parse_directives
from callcenter.sip.endpoint import Refusal
from callcenter.sip.errors import SipError
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.signaling.gate import Gate
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request

log = structlog.get_logger()


class Doorkeeper:
    """The endpoint's screen: what is ``guarded`` needs a password (RFC 3261 22.2), all else none.

    Everybody is challenged alike, and refused alike: whether a user exists is not told.
    """

    def __init__(
        self,
        digest: DigestServer,
        credentials: Callable[[str], Credentials | None],
        clock: Clock,
        guarded: Callable[[str], bool],
        gate: Gate | None = None,
    ) -> None:
        self._challenger = Challenger(digest, clock, gate)
        self._credentials = credentials
        self._guarded = guarded

    def screen(self, request: Request, flow: Flow) -> str | Refusal:
        """Who calls a guarded number, or what they are refused with; empty for a number that is open to all.

        So is everybody asked who wants to take the place of a call that is (RFC 3891 4): whether there is one is not
        told to strangers.
        """
        dialled = request.uri.number_or_user
        if not self._guarded(dialled) and "Replaces" not in request.headers:
            return ""
        who = self._challenger.who(request, flow, self._credentials)
        if who is NO:
            _tell(flow, dialled, "wrong user or password")
        elif isinstance(who, str) and not is_meant_for(request):
            _tell(flow, dialled, f"what {who} signed was to call somebody else")
            return self._challenger.no(flow)
        elif isinstance(who, str) and request.from_.uri.user != who:
            _tell(flow, dialled, f"{who} calls in another's name")
            return self._challenger.no(flow)
        return who

    def __repr__(self) -> str:
        return f"<Doorkeeper {self._challenger.realm}>"


def _tell(flow: Flow, dialled: str, why: str) -> None:
    log.warning("a caller was refused", source=flow.remote.host, number=dialled, why=why)


def is_meant_for(request: Request) -> bool:
    """Whether the credentials were made for whom the request calls, so that nobody on the way can bend a call.

    Only the user of the digest-uri counts: phones and proxies write the rest in many ways, and some leave it out.
    """
    for value in request.headers.all("Authorization"):
        try:
            signed = Uri.parse((parse_directives(value) or {}).get("uri", ""))
        except SipError:
            return False
        if signed.user and signed.number_or_user != request.uri.number_or_user:
            return False
    return True
