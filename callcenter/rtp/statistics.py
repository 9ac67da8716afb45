"""What was received of one RTP source: loss and jitter as RFC 3550 (A.1, A.3, A.8) counts them."""

from __future__ import annotations

from typing import Final

from callcenter.rtp.g711 import SAMPLE_RATE
from callcenter.rtp.rtcp import ReportBlock

# What is further ahead or behind is a sender that numbers anew, or a stray (RFC 3550 A.1).
MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 100


class Reception:
    """The packets of one SSRC, in arrival order."""

    __slots__ = (
        "_arrival",
        "_bad",
        "_base",
        "_cycles",
        "_earlier",
        "_expected_prior",
        "_received",
        "_received_prior",
        "_timestamp",
        "_transits",
        "bursts",
        "doubled",
        "highest",
        "jitter",
        "rate",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int, rate: int = SAMPLE_RATE) -> None:
        self.ssrc = ssrc
        self.rate = rate
        """Timestamp units a second."""
        self.jitter = 0.0
        """Interarrival jitter in timestamp units."""
        self.bursts = 0
        """How often packets were missing, one or several in a row; some may have come late."""
        self.doubled = 0
        """Packets that came twice, one after the other: they make up for none that is lost."""
        self._earlier = 0  # lost before the last restart of the numbering
        self._bad = -1
        self._arrival = 0.0
        self._timestamp = 0
        self._transits = False
        self._base = sequence
        self.highest = sequence
        """The highest sequence number so far (16 bits)."""
        self._cycles = 0
        self._received = 0
        self._expected_prior = 0
        self._received_prior = 0

    def count(self, sequence: int) -> None:
        """A packet came that says nothing about jitter (a telephone event keeps its first timestamp)."""
        step = (sequence - self.highest) & 0xFFFF
        if step < MAX_DROPOUT:
            if step > 1:
                self.bursts += 1
            elif not step and self._received:
                self.doubled += 1
            if sequence < self.highest:
                self._cycles += 0x10000
            self.highest = sequence
        elif step <= 0x10000 - MAX_MISORDER:
            # A jump: two in a row mean that the sender has started its numbers anew (A.1).
            if sequence != self._bad:
                self._bad = (sequence + 1) & 0xFFFF
                return
            self._earlier = self.lost
            self._base, self.highest = (sequence - 1) & 0xFFFF, sequence
            self._cycles = 0x10000 if sequence == 0 else 0
            self._received, self.doubled = 1, 0
            self._expected_prior = self._received_prior = 0
            self._bad = -1
        self._received += 1

    def receive(self, sequence: int, timestamp: int, arrival: float) -> None:
        """A packet of sound came at ``arrival`` (seconds of a steady clock)."""
        if sequence - self.highest == 1:  # nearly always: written out for speed
            self.highest = sequence
            self._received += 1
        else:
            self.count(sequence)
        if self._transits:
            rate = self.rate
            late = abs((arrival - self._arrival) * rate - (timestamp - self._timestamp))
            # More than a second is a sender that sets its clock anew, or the moment, once in six days, in which the
            # timestamp wraps.
            if late < rate:
                self.jitter += (late - self.jitter) / 16.0
        self._transits = True
        self._arrival = arrival
        self._timestamp = timestamp

    @property
    def arrival(self) -> float:
        """When the latest packet of sound came; 0.0 before the first."""
        return self._arrival

    @property
    def lost(self) -> int:
        """Packets lost so far; never negative, although late duplicates may have come."""
        return self._earlier + max(0, self._expected - self._received + self.doubled)

    @property
    def expected(self) -> int:
        """Packets that should have come since the numbering began."""
        return self._expected

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self.jitter * 1000.0 / self.rate

    @property
    def _expected(self) -> int:
        return self._cycles + self.highest - self._base + 1

    def report(self, last_report: int = 0, delay: float = 0.0) -> ReportBlock:
        """The block for the next RTCP report: the loss since the last one, and all in all.

        ``last_report`` is the middle of the NTP time of the source's last sender report, ``delay`` the seconds since.
        """
        expected = self._expected - self._expected_prior
        lost = expected - (self._received - self._received_prior)
        self._expected_prior, self._received_prior = self._expected, self._received
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0,
            # As 6.4.1 has it, duplicates count as received.
            cumulative_lost=min(self._earlier + max(0, self._expected - self._received), 0x7FFFFF),
            highest_sequence=(self._cycles + self.highest) & 0xFFFFFFFF,
            jitter=int(self.jitter) & 0xFFFFFFFF,
            last_report=last_report,
            delay=int(delay * 65536) & 0xFFFFFFFF if last_report else 0,
        )
