"""InnerLeg: a leg without a network: whoever is in one call dials another, and speaks in it by a tie of sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from callcenter.signaling.leg import Leg, LegEnded, LegState, ReinviteOutcome
from callcenter.sip.events import EndedBy

if TYPE_CHECKING:
    from callcenter.signaling.user_agent import UserAgent
    from callcenter.sip.digest_client import DigestClient
    from callcenter.sip.flow import Flow
    from callcenter.sip.headers import NameAddr


class InnerLeg(Leg):
    """What the call that is dialled sees is a leg like any other, of a peer that made an ``offer`` and is trusted.

    ``on_ring`` is told that it rings, with the description of early media if there is some, and ``on_answer`` the
    description by which the call is answered; both are called on the spot, and so is ``on_hold`` when one side of the
    call begins or ends to hold the other. :meth:`leave` is the peer's hang-up.
    """

    def __init__(
        self,
        name: str,
        flow: Flow,
        user_agent: UserAgent,
        *,
        offer: bytes,
        user: str,
        dialled: str,
        remote_name: str,
        on_ring: Callable[[bytes | None], None],
        on_answer: Callable[[bytes], None],
    ) -> None:
        super().__init__(
            name,
            flow,
            user_agent.endpoint,
            user_agent.driver,
            offer=offer,
            remote_number=user,
            remote_name=remote_name,
            dialled=dialled,
            call_id=name,
            user=user,
        )
        self.on_hold: Callable[[], None] | None = None
        self._on_ring = on_ring
        self._on_answer = on_answer

    @property
    def incoming(self) -> bool:
        """It was we who were called."""
        return True

    def leave(self) -> None:
        """Whoever dialled hangs up. Never waits; may be called twice."""
        status = 200 if self.answered else 487
        self._end(EndedBy.PEER, status, "")

    def ring(self, *, status: int = 180, sdp: bytes | None = None) -> None:
        """Let whoever dialled hear that it rings, or early media."""
        if self.state in (LegState.NEW, LegState.RINGING):
            self.state = LegState.RINGING
            self._on_ring(sdp)

    def answer(self, sdp: bytes) -> None:
        """Take the call."""
        if self.state is not LegState.ENDED:
            self.state = LegState.UP
            self.answered = True
            self._on_answer(sdp)
            self._acknowledged.resolve(None)

    def reject(self, status: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the call."""
        self._end(EndedBy.LOCAL, status, reason or "")

    def hangup(self, *, status: int | None = None, reason: str | None = None, cause: str = "") -> None:
        """End it, right in any state."""
        self._end(EndedBy.LOCAL, status or (200 if self.answered else 480), reason or cause)

    async def reinvite(self, sdp: bytes) -> ReinviteOutcome:
        """There is nothing to change."""
        return ReinviteOutcome(488)

    def prove_by(self, login: DigestClient) -> None:
        """Nobody asks."""

    def ask(self) -> None:
        """It is there as long as the call is that it was dialled in."""

    def inform(self, content_type: str, body: bytes) -> None:
        """Keys go in the sound."""

    def refer(self, target: NameAddr, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Nobody to ask."""

    def _end(self, by: EndedBy, status: int, reason: str) -> None:
        if self.state is not LegState.ENDED:
            self._take_end(LegEnded(by, status, reason))
