"""The RTP stream that we send to one peer: one SSRC, numbers that go on whatever feeds it.

A prompt, then the relayed sound of one leg, then music, then another leg: the peer hears one source without a gap in
its numbering. Losses of a relayed stream stay visible to the peer as gaps.
"""

from __future__ import annotations

from typing import Final

from callcenter.rtp.dtmf import EventPacket
from callcenter.rtp.g711 import FRAME_SAMPLES, SAMPLE_RATE
from callcenter.rtp.packet import (
    HEADER,
    HEADER_SIZE,
    LEAD,
    MARKER,
    VERSION_2,
    Header,
    payload_bounds,
    sequence_step,
    timestamp_step,
)

# A feed whose sequence number jumps further than this numbers anew (RFC 3550 A.1).
MAX_DROPOUT: Final = 3000

# Octets of a packet of 20 ms.
_USUAL: Final = HEADER_SIZE + FRAME_SAMPLES

_pack_lead: Final = LEAD.pack_into


class Outgoing:
    """Numbers what is sent. ``now`` is seconds of a steady clock."""

    __slots__ = (
        "_event_at",
        "_feed",
        "_first",
        "_lead",
        "_more_octets",
        "_sent_at",
        "_sequence_shift",
        "_timestamp_shift",
        "packets",
        "rate",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.sequence = sequence
        """Of the latest packet."""
        self.timestamp = timestamp
        """Of the latest packet of sound."""
        self.packets = 0
        self.rate = SAMPLE_RATE
        """Timestamp units a second."""
        self._sent_at: float | None = None
        self._event_at: int | None = None  # when the latest event began, in timestamp units
        self._feed: object = None
        self._first = 0
        self._lead = VERSION_2 << 8
        self._more_octets = 0  # beside those of 20 ms a packet
        self._sequence_shift = 0
        self._timestamp_shift = 0

    @property
    def octets(self) -> int:
        """Octets of payload so far."""
        return self.packets * FRAME_SAMPLES + self._more_octets

    def count_at(self, rate: int, ssrc: int) -> None:
        """Count so many timestamp units a second; what was sent at another rate was another stream (RFC 7160 4.1)."""
        if rate != self.rate:
            self.rate = rate
            self._feed = self._event_at = None
            if self._sent_at is not None:
                self.ssrc = ssrc

    def rest(self) -> None:
        """Nothing is sent for a while; then the marker is set."""
        self._feed = None

    def frame(self, feed: object, payload_type: int, payload: bytes, now: float, ticks: int = FRAME_SAMPLES) -> bytes:
        """A packet with a frame of our own, ``ticks`` timestamp units long; ``feed`` is who it comes from, the marker
        is set on the first of a feed.
        """
        second = payload_type
        if self._feed is not feed:
            self._feed = feed
            second |= MARKER
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = self.timestamp_at(now, ticks)
        self._sent_at = now
        self.packets += 1
        self._more_octets += len(payload) - FRAME_SAMPLES
        return HEADER.pack(VERSION_2, second, self.sequence, self.timestamp, self.ssrc) + payload

    def begin_event(self, now: float) -> int:
        """The timestamp of an event of our own that begins now; what follows has later ones."""
        least = self.rate // 50
        self.timestamp = self.timestamp_at(now, least)
        # One that is being relayed may have begun later than this by the clock of its sender.
        if self._event_at is not None and timestamp_step(self.timestamp, self._event_at) < least:
            self.timestamp = (self._event_at + least) & 0xFFFFFFFF
        self._event_at, self._sent_at = self.timestamp, now
        return self.timestamp

    def event(self, feed: object, payload_type: int, packet: EventPacket, timestamp: int) -> bytes:
        """A packet of a telephone event of our own, all of whose packets have the timestamp of its beginning."""
        self._feed = feed
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self._more_octets += len(packet.payload) - FRAME_SAMPLES
        second = payload_type | (MARKER if packet.marker else 0)
        return HEADER.pack(VERSION_2, second, self.sequence, timestamp & 0xFFFFFFFF, self.ssrc) + packet.payload

    def relay(
        self,
        feed: object,
        packet: bytearray,
        size: int,
        header: Header,
        payload_type: int,
        table: bytes | None,
        event: bool,
        now: float,
    ) -> bool:
        """Renumber the first ``size`` octets of ``packet``, which come from another stream (``feed``), where they are.

        False when they are older than the feed's first: not to be sent. ``header`` is what HEADER reads there;
        ``table`` translates the payload; an ``event`` (RFC 4733) says nothing about the time of the sound.
        """
        first, second, number, timestamp, _ = header
        marker = second & MARKER
        sequence = (number + self._sequence_shift) & 0xFFFF
        step = sequence - self.sequence
        if step != 1 or self._feed is not feed:  # hardly ever
            step = sequence_step(sequence, self.sequence)
            if self._feed is not feed or not -MAX_DROPOUT < step < MAX_DROPOUT:
                # Another feed, or one that numbers anew.
                self._feed = feed
                self._first = sequence = (self.sequence + 1) & 0xFFFF
                self._sequence_shift = sequence - number
                self._timestamp_shift = self.timestamp_at(now, self.rate // 50) - timestamp
                if self._sent_at is None:
                    self._sent_at = now  # also by an event: what follows it is later
                marker, step = MARKER, 1
        timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if step > 0:
            self.sequence = sequence
            # A late packet leaves a gap before it comes: then the feed's first must not be half the numbers away.
            if step != 1 and (sequence - self._first) & 0xFFFF > 2 * MAX_DROPOUT:
                self._first = (sequence - MAX_DROPOUT) & 0xFFFF
            if not event:
                self.timestamp = timestamp
                self._sent_at = now
            else:
                self._event_at = timestamp
        elif (sequence - self._first) & 0x8000:
            return False
        if not event:
            self._lead = VERSION_2 << 8 | payload_type
        self.packets += 1
        if size != _USUAL:
            self._more_octets += size - _USUAL
        if table is not None:
            _translate(packet, size, first, table)
        HEADER.pack_into(packet, 0, first, marker | payload_type, sequence, timestamp, self.ssrc)
        return True

    def go_on(self, packet: bytearray, number: int, timestamp: int, now: float) -> None:
        """Renumber the next packet of the feed that was relayed last: 20 ms of sound with a plain header.

        It has the payload type of the one before and follows it; otherwise it is :meth:`relay` that knows what to do.
        """
        self.sequence = sequence = (number + self._sequence_shift) & 0xFFFF
        self.timestamp = timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._sent_at = now
        self.packets += 1
        _pack_lead(packet, 0, self._lead, sequence, timestamp, self.ssrc)

    def omit(self, feed: object) -> None:
        """A packet of the feed is not passed on: what follows closes up, so that the peer counts no loss."""
        if self._feed is feed:
            self._sequence_shift -= 1

    def timestamp_at(self, now: float, at_least: int = 0) -> int:
        """The timestamp that the moment ``now`` has in this stream, ``at_least`` so far after the latest packet."""
        if self._sent_at is None:
            return self.timestamp
        elapsed = round((now - self._sent_at) * self.rate)
        return (self.timestamp + max(at_least, elapsed)) & 0xFFFFFFFF


def _translate(packet: bytearray, size: int, first: int, table: bytes) -> None:
    # CSRC list, header extension and padding stay as they are.
    start, end = HEADER_SIZE, size
    if first & 0x3F:
        start, end = payload_bounds(packet[:size])
    packet[start:end] = packet[start:end].translate(table)
