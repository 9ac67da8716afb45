"""Reports: RTCP of one leg (RFC 3550 6), what the peer says of our sound and what we say of the peer's."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from typing import TYPE_CHECKING, Final

from callcenter.rtp import rtcp
from callcenter.rtp.packet import MAX_PACKET
from callcenter.rtp.reporting import PeerReports, ReportTimer
from callcenter.rtp.statistics import Reception

if TYPE_CHECKING:
    from callcenter.media.embedded.leg import Leg

# NTP time of the steady clock's zero: reports must not jump when the wall clock is set.
_EPOCH: Final = time.time() - time.monotonic()


def is_rtcp(second: int) -> bool:
    """Whether a packet with this second octet is RTCP, on a port where sound comes too (RFC 5761 4)."""
    return 192 <= second <= 223


class Reports:
    """Sends a report each ``interval`` seconds or so and reads the peer's. They are never answered."""

    __slots__ = (
        "_cname",
        "_first",
        "_former",
        "_last_report",
        "_last_report_at",
        "_leg",
        "_ours",
        "_reported",
        "_rtcp",
        "_sent_before",
        "_timer",
        "destination",
        "heard_at",
        "mux",
        "peer",
    )

    def __init__(self, leg: Leg, rtcp: socket.socket, interval: float) -> None:
        self._leg = leg
        self._rtcp = rtcp
        self._cname = f"{random.getrandbits(64):016x}"
        self._timer = ReportTimer(interval, random.random, time.monotonic())
        self._reported = False
        self._ours = leg.ear.outgoing.ssrc
        self._first = (leg.ear.outgoing.sequence + 1) & 0xFFFF
        self._former: Reception | None = None
        self._sent_before = 0
        self._last_report = 0
        self._last_report_at = 0.0
        self.destination: tuple[str, int] | None = None
        """Where reports go; None: nowhere."""
        self.heard_at = 0.0
        """When the latest report came."""
        self.mux = False
        """Whether reports go, as sound does, to the peer's port for sound, and from ours (RFC 5761)."""
        self.peer: PeerReports | None = None
        """What the peer says of our sound; None: it has said nothing yet."""

    def restart(self, former: Reception | None) -> None:
        """The peer begins a new stream; of the ``former`` one the next report tells for the last time."""
        self._last_report = 0
        self._former = former

    def readable(self) -> None:
        """A datagram waits on the RTCP port."""
        try:
            data, addr = self._rtcp.recvfrom(MAX_PACKET)
        except OSError:
            return
        self.received(data, addr)

    def received(self, data: bytes, addr: tuple[object, ...], own_port: bool = True) -> None:
        """A datagram of RTCP, on its own port or, wrongly, on that of sound."""
        leg = self._leg
        host = str(addr[0])
        if host not in leg.hosts:
            return
        if leg.opener is not None:
            opened = leg.opener.open_report(data)
            if opened is None:
                return
            data = opened
        try:
            packets = rtcp.parse_compound(data)
        except rtcp.RtcpError:
            return
        if not self._is_the_peers(packets, addr):
            return
        now = time.monotonic()
        ntp = rtcp.ntp_time(now + _EPOCH)
        self.heard_at = now
        outgoing = leg.ear.outgoing
        peer = self.peer
        if peer is None or peer.ssrc != outgoing.ssrc:
            peer = self.peer = PeerReports(outgoing.ssrc, self._first if outgoing.ssrc == self._ours else None)
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport) and packet.ssrc == leg.ssrc:
                self._last_report = rtcp.middle(packet.ntp)
                self._last_report_at = now
                if own_port:
                    self.destination = (host, int(str(addr[1])))
            peer.take(packet, outgoing.packets, ntp, now)

    def _is_the_peers(self, packets: list[rtcp.RtcpPacket], addr: tuple[object, ...]) -> bool:
        """Whether a report is of whom we hear: by its key, its source, or its address. Others on the same host must not
        keep a call alive that is dead, nor tell how it sounds.
        """
        leg = self._leg
        if leg.opener is not None or leg.ssrc < 0 or addr[:2] == self.destination:
            return True
        reports = (each for each in packets if isinstance(each, rtcp.SenderReport | rtcp.ReceiverReport))
        return any(each.ssrc == leg.ssrc for each in reports)

    def upkeep(self, now: float) -> None:
        """Send a report when one is due."""
        # Before anything was said either way there is nothing to report, and the address is but somebody's word.
        if (self._leg.ear.outgoing.packets or self._leg.ssrc >= 0) and self._timer.due(now):
            self._send(now)

    def goodbye(self) -> None:
        """The leg ends. Who has sent nothing at all leaves without a word (RFC 3550 6.3.7)."""
        if self._leg.ear.outgoing.packets or self._reported:
            self._send(time.monotonic(), goodbye=True)

    def _send(self, now: float, *, goodbye: bool = False) -> None:
        leg = self._leg
        sock, destination = (leg.rtp, leg.ear.destination) if self.mux else (self._rtcp, self.destination)
        # Another host than that of the sound has asked for nothing: whoever describes it would have us send to it.
        if destination is None or not destination[1] or destination[0] != leg.ear.destination[0]:
            return
        outgoing, sealer = leg.ear.outgoing, leg.ear.sealer
        blocks = (leg.reception.report(self._last_report, now - self._last_report_at),) if leg.ssrc >= 0 else ()
        if self._former is not None:
            blocks = (*blocks, self._former.report())
            self._former = None
        report: rtcp.SenderReport | rtcp.ReceiverReport
        if outgoing.packets > self._sent_before:
            ntp = rtcp.ntp_time(now + _EPOCH)
            timestamp = outgoing.timestamp_at(now)
            report = rtcp.SenderReport(outgoing.ssrc, ntp, timestamp, outgoing.packets, outgoing.octets, blocks)
        else:
            report = rtcp.ReceiverReport(outgoing.ssrc, blocks)
        self._sent_before = outgoing.packets
        packets: list[rtcp.RtcpPacket] = [report, rtcp.SourceDescription(outgoing.ssrc, self._cname)]
        if goodbye:
            packets.append(rtcp.Goodbye((outgoing.ssrc,)))
        self._reported = True
        compound: bytes | None = rtcp.build_compound(packets)
        if sealer is not None:
            compound = sealer.seal_report(rtcp.build_compound(packets))
        if compound is not None:
            with contextlib.suppress(OSError):
                sock.sendto(compound, destination)
