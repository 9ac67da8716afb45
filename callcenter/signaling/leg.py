"""Leg: one INVITE session, as the calls layer sees it: ring, answer, hang up; who they are, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from callcenter.runtime.driver import Driver
from callcenter.runtime.once import Flag, Once
from callcenter.signaling.info_keys import InfoKeys
from callcenter.signaling.outcome import (
    Answered,
    Busy,
    Cancelled,
    Declined,
    DialOutcome,
    NoAnswer,
    Rejected,
    Unreachable,
    outcome_of,
)
from callcenter.sip import events
from callcenter.sip.events import EndedBy
from callcenter.sip.message import MAX_FORWARDS

if TYPE_CHECKING:
    from callcenter.signaling.referral import Referral
    from callcenter.sip.digest_client import DigestClient
    from callcenter.sip.diversion import Diverted
    from callcenter.sip.endpoint import Endpoint
    from callcenter.sip.flow import Flow
    from callcenter.sip.headers import NameAddr
    from callcenter.sip.message import Request, Response

__all__ = [
    "Answered",
    "Busy",
    "Cancelled",
    "Declined",
    "DialOutcome",
    "EndedBy",
    "Leg",
    "LegEnded",
    "LegState",
    "NoAnswer",
    "Reinvite",
    "ReinviteOutcome",
    "Rejected",
    "Unreachable",
]

# What we say of ourselves in a Reason header; longer helps nobody.
MAX_CAUSE = 100


class LegState(StrEnum):
    """Where a leg stands. ``UP`` begins with the 200, whoever sent it."""

    NEW = "new"
    RINGING = "ringing"
    UP = "up"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LegEnded:
    """Who ended the leg, and why: 200 for a hang-up, 487 for a caller who gave up, 408 for silence, 503 for no way."""

    by: EndedBy
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReinviteOutcome:
    """The answer to our re-INVITE: 200 and the peer's SDP, or the status that refused it (481: the leg has ended)."""

    status: int
    sdp: bytes | None = None

    @property
    def accepted(self) -> bool:
        """Whether the change is in force."""
        return self.status == 200


class Leg:
    """One SIP session. Made by the UserAgent; everything but the two waits is a plain call that never waits.

    ``offer`` is the SDP of the peer's INVITE, ``early_sdp`` what the peer described before the leg was up: in a
    provisional answer to ours, or in the PRACK to one of ours. ``answered`` tells whether the leg was ever up.
    ``reached`` is set by the peer's first sign of life (100 or more) or the leg's end, ``ringing`` when the peer's
    phone rings (a 18x came), or took the call without saying so. ``on_reinvite`` and ``on_info`` are called on the
    spot; without ``on_reinvite`` a repeated offer gets the old answer and a new one 488. ``user`` is who a caller
    proved to be, where a password was asked, ``trunk`` the trunk that an incoming leg came by; ``refusal`` the answer
    that refused our INVITE. ``early`` is done with the first early media of our INVITE, and with None when there was
    none.
    ``on_refer`` is called on the spot too; without it nobody may refer us anywhere (403). ``on_notified`` hears the
    answer to our :meth:`refer` and what follows, as statuses. ``on_replaced`` is given the leg of another phone of the
    same user, which calls in the place of this one (RFC 3891); without it none can (480). ``asserted_number`` is a
    caller's number as a trusted network vouches for it, when ``withheld`` for nobody to see; ``attested``: the
    ``remote_number`` is such a one. ``diverted``: who sent the call on, the last one first.
    ``info_keys``: keys that the peer is told by INFO.
    ``trusted``: whoever calls is a peer that is configured; ``stranger``: neither that nor a phone that is registered.
    """

    # With so many attributes a dictionary is no longer shared, and five times as large.
    __slots__ = (
        "__weakref__",
        "_acknowledged",
        "_changing",
        "_driver",
        "_early",
        "_ended",
        "_endpoint",
        "_local_sdp",
        "_offered",
        "_outcome",
        "_peer_offer",
        "_remote_sdp",
        "answered",
        "asserted_number",
        "attested",
        "dialled",
        "diverted",
        "early_sdp",
        "flow",
        "id",
        "info_keys",
        "offer",
        "on_info",
        "on_notified",
        "on_refer",
        "on_reinvite",
        "on_replaced",
        "reached",
        "refusal",
        "remote_name",
        "remote_number",
        "request",
        "ringing",
        "sip_call_id",
        "state",
        "stranger",
        "trunk",
        "trusted",
        "user",
        "withheld",
    )

    def __init__(
        self,
        session: str,
        flow: Flow,
        endpoint: Endpoint,
        driver: Driver[events.Effect],
        *,
        request: Request | None = None,
        offer: bytes | None = None,
        remote_number: str = "",
        remote_name: str = "",
        dialled: str = "",
        local_sdp: bytes | None = None,
        call_id: str = "",
        user: str = "",
        trunk: str = "",
    ) -> None:
        self.id = session
        self.user = user
        self.trunk = trunk
        self.refusal: Response | None = None
        self.trusted = True
        self.stranger = False
        self.flow = flow
        self.request = request
        self.offer = offer
        self.remote_number = remote_number
        self.remote_name = remote_name
        self.dialled = dialled
        self.sip_call_id = request.call_id if request is not None else call_id
        self.state = LegState.NEW
        self.answered = False
        self.early_sdp: bytes | None = None
        self.reached = Flag()
        self.ringing = Flag()
        self.on_reinvite: Callable[[Reinvite], None] | None = None
        self.on_info: Callable[[str, bytes], None] | None = None
        self.on_refer: Callable[[Referral], None] | None = None
        self.on_notified: Callable[[int], None] | None = None
        self.on_replaced: Callable[[Leg], None] | None = None
        self.asserted_number = ""
        self.attested = False
        self.withheld = False
        self.diverted: tuple[Diverted, ...] = ()
        self.info_keys = InfoKeys(self.inform)
        self._endpoint = endpoint
        self._driver = driver
        self._local_sdp = local_sdp
        self._remote_sdp = offer
        self._ended: Once[LegEnded] = Once()
        self._acknowledged: Once[bytes | None] = Once()
        self._outcome: Once[DialOutcome] = Once()
        self._peer_offer: Once[bytes | None] = Once()
        self._early: Once[bytes | None] = Once()
        self._offered: Reinvite | None = None
        self._changing: Once[ReinviteOutcome] | None = None

    @property
    def incoming(self) -> bool:
        """Whether the peer called us."""
        return self.request is not None

    @property
    def max_forwards(self) -> int:
        """How far a call may still go to whom this caller is put through: so one that comes back to us again and again
        ends (RFC 3261 16.6, RFC 7332).
        """
        left = self.request.max_forwards if self.request is not None else None
        return MAX_FORWARDS if left is None else min(left - 1, MAX_FORWARDS)

    @property
    def ended(self) -> asyncio.Future[LegEnded]:
        """Done when the leg is over, exactly once, whatever happened; cancelling the wait does not cancel it."""
        return self._ended.future

    @property
    def ending(self) -> LegEnded | None:
        """How it ended, None while it lasts: for looking, as ``ended`` is for waiting."""
        return self._ended.value

    @property
    def acknowledged(self) -> asyncio.Future[bytes | None]:
        """Done with the ACK to our 200: the peer's answer, if its INVITE made no offer. Done with None when it ends
        first.
        """
        return self._acknowledged.future

    @property
    def peer_offer(self) -> asyncio.Future[bytes | None]:
        """Done with the peer's offer, when our INVITE made none: answer it with ``acknowledge``, perhaps before the leg
        is up. Done with None when the leg ends first.
        """
        assert not self.incoming, "the peer called us"
        return self._peer_offer.future

    @property
    def early(self) -> asyncio.Future[bytes | None]:
        """Done with the description of the first early media; None when it was answered, or ended, without any."""
        return self._early.future

    async def outcome(self) -> DialOutcome:
        """Wait for what comes of our INVITE."""
        assert not self.incoming, "the peer called us"
        return await self._outcome.future

    def ring(self, *, status: int = 180, sdp: bytes | None = None) -> None:
        """Tell the caller that it rings, or 183 with early media: ``sdp`` is what the 200 would carry. Ignored when the
        leg has ended.
        """
        assert self.incoming, "we called"
        if self.state in (LegState.NEW, LegState.RINGING):
            self.state = LegState.RINGING
            self._driver.run(self._endpoint.ring(self.id, self._driver.now(), status=status, sdp=sdp))

    def answer(self, sdp: bytes) -> None:
        """Take the call: 200 with ``sdp``, our answer (or offer, if the INVITE had none). Ignored when it has ended."""
        assert self.incoming, "we called"
        assert self.state is not LegState.UP, "answered twice"
        if self.state is not LegState.ENDED:
            self.state = LegState.UP
            self.answered = True
            self._local_sdp = sdp
            self._driver.run(self._endpoint.answer(self.id, sdp, self._driver.now()))

    def acknowledge(self, sdp: bytes) -> None:
        """Answer the peer's offer, after ours was an INVITE without one. Ignored when the leg has ended."""
        assert not self.incoming, "the peer called us"
        if self.state is not LegState.ENDED:
            self._local_sdp = sdp
            self._driver.run(self._endpoint.acknowledge(self.id, sdp, self._driver.now()))

    def reject(self, status: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the call. Ignored when it has ended, and never after ``answer``."""
        assert self.incoming, "we called"
        assert self.state is not LegState.UP, "answered already"
        if self.state is not LegState.ENDED:
            now = self._driver.now()
            self._driver.run(self._endpoint.reject(self.id, status, now, reason=reason, headers=headers))

    def hangup(self, *, status: int | None = None, reason: str | None = None, cause: str = "") -> None:
        """End the leg, right in any state: refuse, CANCEL or BYE. Never waits; may be called twice.

        ``status`` and ``reason`` are what a caller who was not answered yet is told (default 480). ``cause`` tells the
        peer in words why, in a Reason header (RFC 3326): "Call completed elsewhere".
        """
        if self.state is LegState.ENDED:
            return
        headers: tuple[tuple[str, str], ...] = ()
        if self.incoming and self.state is not LegState.UP:
            headers = (("Reason", _reason(status or 480, cause)),) if cause else ()
        elif cause:
            # In CANCEL and BYE the endpoint writes status and reason into the Reason header.
            status, reason = status or 200, cause
        now = self._driver.now()
        self._driver.run(self._endpoint.hangup(self.id, now, status=status, reason=reason, headers=headers))

    async def reinvite(self, sdp: bytes) -> ReinviteOutcome:
        """Offer a change of the session, and wait for the answer. Of offers made in a hurry the latest counts.

        Before the leg is up, the peer hears of it when it takes UPDATE and the sound was agreed on; else afterwards.
        """
        if self.state is LegState.ENDED:
            return ReinviteOutcome(481)
        if self._changing is None:
            self._changing = Once()
        changing = self._changing
        self._local_sdp = sdp
        self._driver.run(self._endpoint.reinvite(self.id, sdp, self._driver.now()))
        return await changing.future

    def prove_by(self, login: DigestClient) -> None:
        """Answer the peer's challenges in this session with this login, where the peer called us."""
        self._endpoint.prove_by(self.id, login)

    def ask(self) -> None:
        """Ask the peer whether it is still there. Never waits: the leg ends when no answer comes, else nothing does."""
        if self.state is LegState.UP:
            self._driver.run(self._endpoint.ask(self.id, self._driver.now()))

    def inform(self, content_type: str, body: bytes) -> None:
        """Send an INFO, as phones do that tell their keys so. Ignored unless the leg is up."""
        if self.state is LegState.UP:
            self._driver.run(self._endpoint.info(self.id, content_type, body, self._driver.now()))

    def refer(self, target: NameAddr, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Ask the peer to call somebody else (RFC 3515). Ignored unless the leg is up."""
        if self.state is LegState.UP:
            _, effects = self._endpoint.refer(self.id, target, self._driver.now(), headers=headers)
            self._driver.run(effects)

    def take_referral(self, referral: Referral) -> None:
        """The peer asks us to call somebody else; called by the UserAgent."""
        if self.on_refer is None:
            referral.reject(403)
            return
        try:
            self.on_refer(referral)
        except Exception:
            referral.reject(500)
            raise

    def take_replacement(self, leg: Leg) -> None:
        """Another phone of the same user calls in the place of this one; called by the UserAgent."""
        if self.on_replaced is None or self.state is LegState.ENDED:
            leg.reject(480)
        else:
            self.on_replaced(leg)

    def begin_again(self, session: str, sdp: bytes) -> None:
        """The peer refused our description, and is called with another one; called by the UserAgent."""
        self.id, self._local_sdp, self.refusal = session, sdp, None
        self.state = LegState.NEW

    def take(self, event: events.Effect) -> None:
        """What the endpoint tells of this session; called by the UserAgent."""
        match event:
            case events.Trying():
                self.reached.set()
            case events.Progressed(sdp=sdp, status=status, response=response):
                self.sip_call_id = self.sip_call_id or response.call_id
                self._take_early(sdp)
                self.reached.set()
                if 180 <= status <= 189:
                    if self.state is LegState.NEW:
                        self.state = LegState.RINGING
                    self.ringing.set()
            case events.ProgressAnswered(sdp=sdp):
                self._take_early(sdp)
            case events.Answered(sdp=sdp, response=response):
                self.sip_call_id = self.sip_call_id or response.call_id
                self.state = LegState.UP
                self.answered = True
                self._remote_sdp = sdp
                self._offered_by_peer(sdp)
                self.reached.set()
                self.ringing.set()
                self._early.resolve(None)
                self._outcome.resolve(Answered(sdp))
            case events.Rejected(response=response):
                self.refusal = response  # SessionEnded follows and says the same in words
            case events.Acknowledged(sdp=sdp):
                self._take_acknowledgement(sdp)
            case events.ReinviteReceived(offer=offer):
                self._take_reinvite(offer)
            case events.ReinviteAnswered(sdp=sdp):
                self._remote_sdp = sdp or self._remote_sdp
                self._changed(ReinviteOutcome(200, sdp))
            case events.ReinviteRejected(status=status):
                self._changed(ReinviteOutcome(status))
            case events.InfoAnswered(status=status):
                self.info_keys.answered(status)
            case events.InfoReceived(content_type=content_type, body=body):
                if self.on_info is not None:
                    self.on_info(content_type or "", body)
            case events.ReferAnswered(status=status) | events.Notified(status=status):
                if self.on_notified is not None:
                    self.on_notified(status)
            case events.SessionEnded(by=by, status=status, reason=reason):
                self._take_end(LegEnded(by, status, reason))
            case _:
                raise AssertionError(f"no event of a session: {event!r:.100}")

    def __repr__(self) -> str:
        way = f"{self.remote_number} -> {self.dialled}" if self.incoming else f"-> {self.remote_number}"
        end = f" by {self._ended.value.by}" if self._ended.value is not None else ""
        return f"<Leg {self.id[:8]} {way} {self.state}{end} {self.flow.transport} {self.flow.remote}>"

    def _take_early(self, sdp: bytes | None) -> None:
        if sdp is not None:
            self.early_sdp = self._remote_sdp = sdp
            if not self.incoming:
                self._early.resolve(sdp)
            self._offered_by_peer(sdp)

    def _offered_by_peer(self, sdp: bytes | None) -> None:
        if not self.incoming and self._local_sdp is None:
            self._peer_offer.resolve(sdp)

    def _take_acknowledgement(self, sdp: bytes | None) -> None:
        self._remote_sdp = sdp or self._remote_sdp
        if not self._acknowledged.done:
            # The answer may have come before, in the PRACK to our early media.
            self._acknowledged.resolve(sdp or self.early_sdp)
        elif self._offered is not None:
            self._offered.take_acknowledgement(sdp)

    def _take_reinvite(self, offer: bytes | None) -> None:
        reinvite = self._offered = Reinvite(offer, lambda sdp: self._accept_reinvite(offer, sdp), self._reject_reinvite)
        if self.on_reinvite is None:
            if self._local_sdp is not None and (offer is None or offer == self._remote_sdp):
                reinvite.accept(self._local_sdp)  # a refresh, nothing changes
            else:
                reinvite.reject(488)
            return
        try:
            self.on_reinvite(reinvite)
        except Exception:
            reinvite.reject(500)
            raise

    def _accept_reinvite(self, offer: bytes | None, sdp: bytes) -> None:
        if self.state is not LegState.ENDED:
            self._local_sdp = sdp
            self._remote_sdp = offer or self._remote_sdp
            self._driver.run(self._endpoint.accept_reinvite(self.id, sdp, self._driver.now()))

    def _reject_reinvite(self, status: int) -> None:
        if self.state is not LegState.ENDED:
            self._driver.run(self._endpoint.reject_reinvite(self.id, status, self._driver.now()))

    def _changed(self, outcome: ReinviteOutcome) -> None:
        changing, self._changing = self._changing, None
        if changing is not None:
            changing.resolve(outcome)

    def _take_end(self, ended: LegEnded) -> None:
        self.info_keys.close()
        self.state = LegState.ENDED
        self.reached.set()
        self._ended.resolve(ended)
        self._outcome.resolve(outcome_of(ended.by, ended.status, ended.reason))
        self._acknowledged.resolve(None)
        self._peer_offer.resolve(None)
        self._early.resolve(None)
        if self._offered is not None:
            self._offered.take_acknowledgement(None)
        self._changed(ReinviteOutcome(481))


class Reinvite:
    """The peer wants to change the session. ``offer`` is its SDP; None when it wants ours.

    Answer once, at once or later; what comes after the first answer, or after the leg's end, is ignored.
    """

    def __init__(self, offer: bytes | None, accept: Callable[[bytes], None], reject: Callable[[int], None]) -> None:
        self.offer = offer
        self._accept = accept
        self._reject = reject
        self._answered = False
        self._acknowledged: Once[bytes | None] = Once()

    @property
    def acknowledged(self) -> asyncio.Future[bytes | None]:
        """Done with the SDP of the ACK, when the re-INVITE had no offer; None when it was refused or the leg ended."""
        return self._acknowledged.future

    def accept(self, sdp: bytes) -> None:
        """Accept; ``sdp`` is our answer, or our offer when the re-INVITE had none. Never waits."""
        if not self._answered:
            self._answered = True
            self._accept(sdp)

    def reject(self, status: int = 488) -> None:
        """Refuse; the session goes on as it was. Never waits."""
        if not self._answered:
            self._answered = True
            self._acknowledged.resolve(None)
            self._reject(status)

    def take_acknowledgement(self, sdp: bytes | None) -> None:
        """The ACK came, or never will; called by the leg."""
        self._acknowledged.resolve(sdp)

    def __repr__(self) -> str:
        return f"<Reinvite {'with' if self.offer else 'without'} offer{' answered' if self._answered else ''}>"


def _reason(status: int, cause: str) -> str:
    text = "".join(c for c in cause if c.isprintable())[:MAX_CAUSE].replace("\\", "\\\\").replace('"', '\\"')
    return f'SIP;cause={status};text="{text}"'
