"""Referral: the peer of a leg asks us to call somebody else; it hears how that goes until the last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callcenter.runtime.driver import Driver
    from callcenter.signaling.leg import Leg
    from callcenter.sip.endpoint import Endpoint
    from callcenter.sip.events import Effect
    from callcenter.sip.uri import Uri


class Referral:
    """A REFER within a leg (RFC 3515). Accept or refuse it once; then tell how it goes. Nothing here ever waits.

    ``target`` is whom to call; ``replaces`` the leg of ours whose place that call is to take (RFC 3891), if the REFER
    names one; ``referred_by`` who asks, as they claim. The peer hears the rest also when the leg has ended meanwhile.
    """

    def __init__(
        self,
        session: str,
        number: int,
        endpoint: Endpoint,
        driver: Driver[Effect],
        *,
        target: Uri,
        replaces: Leg | None,
        referred_by: str,
    ) -> None:
        self.target = target
        self.replaces = replaces
        self.referred_by = referred_by
        self._session = session
        self._number = number
        self._endpoint = endpoint
        self._driver = driver
        self._answered = False
        self._over = False

    def accept(self) -> None:
        """We do it: 202, and the peer hears at once that we try."""
        if not self._answered:
            self._answered = True
            self._driver.run(self._endpoint.accept_refer(self._session, self._number, self._driver.now()))

    def reject(self, status: int = 603) -> None:
        """We do not."""
        if not self._answered:
            self._answered = self._over = True
            self._driver.run(self._endpoint.reject_refer(self._session, self._number, status, self._driver.now()))

    def progress(self, status: int, reason: str | None = None) -> None:
        """What the call comes to, in a SIP status; from 200 on it is the last word, and later ones are ignored."""
        if self._answered and not self._over:
            self._over = status >= 200
            now = self._driver.now()
            self._driver.run(self._endpoint.notify_refer(self._session, self._number, status, now, reason=reason))

    def __repr__(self) -> str:
        state = "over" if self._over else "accepted" if self._answered else "asked"
        return f"<Referral to {self.target} {state}>"
