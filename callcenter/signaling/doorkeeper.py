"""Doorkeeper: asks who dials what only our own people may, by digest, and is short with who keeps guessing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.sip.digest import Challenge, Credentials, DigestServer, Refused, Verified, parse_directives
from callcenter.sip.endpoint import Refusal
from callcenter.sip.errors import SipError
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request

# Wrong answers of one address within a minute after which no more are looked at for the rest of it. A phone answers
# once for each time that somebody dials: a whole office with old passwords stays below it.
MAX_WRONG = 10
WITHIN = 60.0
# Addresses that answered wrongly and are remembered; the oldest is forgotten first.
MAX_ADDRESSES = 10_000

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
    ) -> None:
        self._digest = digest
        self._credentials = credentials
        self._clock = clock
        self._guarded = guarded
        # For each address, when its minute began, and the wrong answers since.
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def screen(self, request: Request, flow: Flow) -> str | Refusal:
        """Who calls a guarded number, or what they are refused with; empty for a number that is open to all.

        So is everybody asked who wants to take the place of a call that is (RFC 3891 4): whether there is one is not
        told to strangers.
        """
        if not self._guarded(request.uri.number_or_user) and "Replaces" not in request.headers:
            return ""
        host, dialled = flow.remote.host, request.uri.number_or_user
        if self._guesses(host) >= MAX_WRONG:
            return Refusal(403)
        wall = self._clock.now().timestamp()
        match self._digest.verify(request, self._credentials, wall):
            case Challenge(stale=stale):
                challenges = self._digest.challenges(wall, stale=stale)
                return Refusal(401, tuple(("WWW-Authenticate", value) for value in challenges))
            case Verified(user=user) if not is_meant_for(request):
                return self._refuse(host, dialled, f"what {user} signed was to call somebody else")
            case Verified(user=user) if request.from_.uri.user == user:
                self._wrong.pop(host, None)
                return user
            case Verified(user=user):
                return self._refuse(host, dialled, f"{user} calls in another's name")
            case Refused():
                return self._refuse(host, dialled, "wrong user or password")

    def _refuse(self, host: str, dialled: str, why: str) -> Refusal:
        began, count = self._wrong.pop(host, (self._clock.monotonic(), 0))
        self._wrong[host] = (began, count + 1)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)
        log.warning("a caller was refused", source=host, number=dialled, why=why, wrong_answers=count + 1)
        return Refusal(403)

    def _guesses(self, host: str) -> int:
        """How often an address answered wrongly in its minute."""
        began, count = self._wrong.get(host, (0.0, 0))
        if count and self._clock.monotonic() - began > WITHIN:
            del self._wrong[host]
            return 0
        return count

    def __repr__(self) -> str:
        return f"<Doorkeeper {len(self._wrong)} addresses with wrong answers>"


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
