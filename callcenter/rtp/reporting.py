"""When RTCP reports are due (RFC 3550 6.3), and what the peer's reports say of the sound that we send it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from callcenter.rtp.rtcp import ReceiverReport, ReportBlock, RtcpPacket, SenderReport, middle, round_trip

REDUCED_MINIMUM: Final = 360 / 80
"""Mean seconds between reports (RFC 3550 6.2): 360 by the kbit/s of the session, which for G.711 are 80. Two members
never come near the 5 % of the bandwidth that reports may take.
"""

# Makes up for the draws that come too early being drawn again (RFC 3550 6.3.1): e - 3/2.
_COMPENSATION: Final = 1.21828

# So many packets must have gone out between two reports of a peer before it matters that it has counted none: fewer
# may be on their way, or be the first after a pause.
_ENOUGH_SENT: Final = 50

# A peer may send its first report before our first packet is there.
_REPORTS_WITHOUT_US: Final = 3

# A source that is silent for five intervals is taken for gone (RFC 3550 6.3.5); theirs may be 5 s by default.
_SILENT_INTERVALS: Final = 5
_USUAL_INTERVAL: Final = 5.0


class ReportTimer:
    """Tells when the next report is due; ``draw`` gives numbers from 0 up to 1."""

    __slots__ = ("_draw", "_last", "_mean", "_next")

    def __init__(self, mean: float, draw: Callable[[], float], now: float) -> None:
        self._mean = mean
        self._draw = draw
        self._last = now
        # The first comes in half the time (RFC 3550 6.2).
        self._next = now + self._interval() / 2

    def due(self, now: float) -> bool:
        """Whether a report is due, which is then sent."""
        if now < self._next:
            return False
        # Timer reconsideration (6.3.6): the interval is drawn anew when it is over.
        interval = self._interval()
        if self._last + interval > now:
            self._next = self._last + interval
            return False
        self._last = now
        self._next = now + self._interval()
        return True

    def _interval(self) -> float:
        """So that the reports of many do not come all at once: half to one and a half times the mean."""
        return self._mean * (0.5 + self._draw()) / _COMPENSATION


class PeerReports:
    """What a peer's reports say of our stream ``ssrc``, whose packets are numbered from ``first`` on (16 bits).

    Where that is not known (None), what it should have received is counted from its first report on.
    """

    __slots__ = (
        "_first",
        "_highest",
        "_sent_at_advance",
        "blocks",
        "expected",
        "gap",
        "jitter",
        "last_at",
        "lost",
        "reports",
        "round_trip",
        "ssrc",
        "unheard_since",
    )

    def __init__(self, ssrc: int, first: int | None) -> None:
        self.ssrc = ssrc
        self.reports = 0
        """How many have come."""
        self.blocks = 0
        """How many of them spoke of our stream."""
        self.lost = 0
        """Packets of ours that never reached it, the gaps counted that we relayed to it."""
        self.expected = 0
        """Packets that should have reached it."""
        self.jitter = 0
        """In timestamp units of our stream."""
        self.round_trip = 0.0
        """Seconds, 0 as long as it is not known."""
        self.last_at = 0.0
        self.gap = 0.0
        """Seconds between the last two."""
        self.unheard_since: float | None = None
        """Since when the peer reports that nothing of ours reaches it; None: it does, or we send too little to tell."""
        self._first = first
        self._highest = -1
        self._sent_at_advance = 0

    def take(self, packet: RtcpPacket, sent: int, ntp: int, now: float) -> None:
        """One packet of a datagram, received at ``now`` (``ntp``) after we had ``sent`` so many packets."""
        if not isinstance(packet, SenderReport | ReceiverReport):
            return
        if self.reports:
            self.gap = now - self.last_at
        self.last_at = now
        self.reports += 1
        ours = [block for block in packet.blocks if block.ssrc == self.ssrc]
        for block in ours:
            self._take_block(block, ntp)
        highest = ours[-1].highest_sequence if ours else -1
        never = not self.blocks and self.reports < _REPORTS_WITHOUT_US
        if highest != self._highest or (not ours and self.blocks):
            # It goes on; or a report of which our stream was left out, which says nothing.
            self._highest, self._sent_at_advance, self.unheard_since = highest, sent, None
        elif sent - self._sent_at_advance >= _ENOUGH_SENT and not never and self.unheard_since is None:
            self.unheard_since = now

    def _take_block(self, block: ReportBlock, ntp: int) -> None:
        self.blocks += 1
        if self._first is None:
            self._first = block.highest_sequence + 1
        self.lost = max(0, block.cumulative_lost)
        self.expected = max(0, (block.highest_sequence - self._first + 1) & 0xFFFFFFFF)
        self.jitter = block.jitter
        self.round_trip = round_trip(block, middle(ntp)) or self.round_trip

    def silent_since(self, now: float) -> float | None:
        """When the last report came, if for so long now none has that they must have stopped; None: they have not."""
        if self.reports < 2:
            return None
        patience = _SILENT_INTERVALS * max(_USUAL_INTERVAL, self.gap)
        return self.last_at if now - self.last_at > patience else None
