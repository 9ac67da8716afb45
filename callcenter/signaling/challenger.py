"""Challenger: asks peers who they are, by digest (RFC 3261 22), and tells the gate of who guesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callcenter.runtime.clock import Clock
from callcenter.sip.digest import Challenge, Credentials, DigestServer, Refused, Verified
from callcenter.sip.endpoint import Refusal

if TYPE_CHECKING:
    from callcenter.signaling.gate import Gate
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request

# One answer to everybody who is not let in: a new challenge would only invite another try.
NO = Refusal(403)


class Challenger:
    """Everybody is challenged alike, and refused alike: whether there is such a user is told to nobody."""

    def __init__(self, digest: DigestServer, clock: Clock, gate: Gate | None = None) -> None:
        self.realm = digest.realm
        self._digest = digest
        self._clock = clock
        self._gate = gate

    def who(self, request: Request, flow: Flow, credentials: Callable[[str], Credentials | None]) -> str | Refusal:
        """Which user a request proves to come from; else what it is answered: a challenge, or NO.

        Who is refused with ``NO`` itself has shown wrong credentials; the gate has heard of it.
        """
        if (refusal := self._not_yet(flow)) is not None:
            return refusal
        wall, source = self._clock.now().timestamp(), flow.remote.host
        match self._digest.verify(request, credentials, wall, source=source):
            case Challenge(stale=stale):
                return self._challenge(flow, stale=stale)
            case Verified(user=user):
                return user
            case Refused():
                return self.no(flow)

    def ask(self, flow: Flow) -> Refusal:
        """The challenge to a request that proves nothing."""
        return self._not_yet(flow) or self._challenge(flow, stale=False)

    def no(self, flow: Flow) -> Refusal:
        """What somebody is answered whose credentials are of no use here; the gate counts that."""
        if self._gate is not None:
            self._gate.failed(flow)
        return NO

    def __repr__(self) -> str:
        return f"<Challenger {self.realm}>"

    def _not_yet(self, flow: Flow) -> Refusal | None:
        """Of who has guessed too often nothing is looked at for a while."""
        return Refusal(403) if self._gate is not None and not self._gate.may_try(flow) else None

    def _challenge(self, flow: Flow, *, stale: bool) -> Refusal:
        values = self._digest.challenges(self._clock.now().timestamp(), stale=stale, source=flow.remote.host)
        return Refusal(401, tuple([("WWW-Authenticate", value) for value in values]))
