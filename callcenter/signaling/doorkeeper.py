"""Doorkeeper: asks who dials what only our own people may, by digest; the gate is told of who guesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.sip.digest import Challenge, Credentials, DigestServer, Refused, Verified, parse_directives
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
        self._digest = digest
        self._credentials = credentials
        self._clock = clock
        self._guarded = guarded
        self._gate = gate

    def screen(self, request: Request, flow: Flow) -> str | Refusal:
        """Who calls a guarded number, or what they are refused with; empty for a number that is open to all.

        So is everybody asked who wants to take the place of a call that is (RFC 3891 4): whether there is one is not
        told to strangers.
        """
        if not self._guarded(request.uri.number_or_user) and "Replaces" not in request.headers:
            return ""
        if self._gate is not None and not self._gate.may_try(flow):
            return Refusal(403)
        host, dialled, wall = flow.remote.host, request.uri.number_or_user, self._clock.now().timestamp()
        match self._digest.verify(request, self._credentials, wall, source=host):
            case Challenge(stale=stale):
                challenges = self._digest.challenges(wall, stale=stale, source=host)
                return Refusal(401, tuple(("WWW-Authenticate", value) for value in challenges))
            case Verified(user=user) if not is_meant_for(request):
                return self._refuse(flow, dialled, f"what {user} signed was to call somebody else")
            case Verified(user=user) if request.from_.uri.user == user:
                return user
            case Verified(user=user):
                return self._refuse(flow, dialled, f"{user} calls in another's name")
            case Refused():
                return self._refuse(flow, dialled, "wrong user or password")

    def _refuse(self, flow: Flow, dialled: str, why: str) -> Refusal:
        log.warning("a caller was refused", source=flow.remote.host, number=dialled, why=why)
        if self._gate is not None:
            self._gate.failed(flow)
        return Refusal(403)

    def __repr__(self) -> str:
        return f"<Doorkeeper {self._digest.realm}>"


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
