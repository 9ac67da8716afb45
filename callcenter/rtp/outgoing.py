"""The RTP stream that we send to one peer: one SSRC, numbers that go on whatever feeds it.

A prompt, then the relayed sound of one leg, then music, then another leg: the peer hears one source without a gap in
its numbering. Losses of a relayed stream stay visible to the peer as gaps.
"""

from __future__ import annotations

from typing import Final

from callcenter.rtp.g711 import FRAME_SAMPLES, SAMPLE_RATE
from callcenter.rtp.packet import HEADER, HEADER_SIZE, MARKER, VERSION_2, sequence_step

# A feed whose sequence number jumps further than this numbers anew (RFC 3550 A.1).
MAX_DROPOUT: Final = 3000


class Outgoing:
    """Numbers what is sent. ``now`` is seconds of a steady clock."""

    __slots__ = (
        "_feed",
        "_first",
        "_sent_at",
        "_sequence_shift",
        "_timestamp_shift",
        "octets",
        "packets",
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
        self.octets = 0
        self._sent_at: float | None = None
        self._feed: object = None
        self._first = 0
        self._sequence_shift = 0
        self._timestamp_shift = 0

    def frame(self, feed: object, payload_type: int, payload: bytes, now: float) -> bytes:
        """A packet with a frame of our own; ``feed`` is who it comes from, the marker is set on the first of a feed."""
        second = payload_type
        if self._feed is not feed:
            self._feed = feed
            second |= MARKER
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = self.timestamp_at(now, FRAME_SAMPLES)
        self._sent_at = now
        self.packets += 1
        self.octets += len(payload)
        return HEADER.pack(VERSION_2, second, self.sequence, self.timestamp, self.ssrc) + payload

    def relay(
        self, feed: object, data: bytes, payload_type: int, table: bytes | None, event: bool, now: float
    ) -> bytes | None:
        """The packet ``data`` of another stream (``feed``) renumbered; None when it is older than the feed's first.

        ``table`` translates the payload; an ``event`` (RFC 4733) says nothing about the time of the sound.
        """
        first, second, sequence, timestamp, _ = HEADER.unpack_from(data)
        marker = second & MARKER
        step = sequence_step(sequence + self._sequence_shift, self.sequence)
        if self._feed is not feed or not -MAX_DROPOUT < step < MAX_DROPOUT:
            # Another feed, or one that numbers anew.
            self._feed = feed
            self._first = (self.sequence + 1) & 0xFFFF
            self._sequence_shift = self._first - sequence
            self._timestamp_shift = self.timestamp_at(now, FRAME_SAMPLES) - timestamp
            marker, step = MARKER, 1
        sequence = (sequence + self._sequence_shift) & 0xFFFF
        timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if step > 0:
            self.sequence = sequence
            if (sequence - self._first) & 0xFFFF > 2 * MAX_DROPOUT:
                self._first = (sequence - MAX_DROPOUT) & 0xFFFF
            if not event:
                self.timestamp = timestamp
                self._sent_at = now
        elif (sequence - self._first) & 0x8000:
            return None
        self.packets += 1
        self.octets += len(data) - HEADER_SIZE
        rest = data[HEADER_SIZE:]
        if table is not None:
            rest = _translate(data, first, table)
        return HEADER.pack(first, marker | payload_type, sequence, timestamp, self.ssrc) + rest

    def omit(self, feed: object) -> None:
        """A packet of the feed is not passed on: what follows closes up, so that the peer counts no loss."""
        if self._feed is feed:
            self._sequence_shift -= 1

    def timestamp_at(self, now: float, at_least: int = 0) -> int:
        """The timestamp that the moment ``now`` has in this stream, ``at_least`` so far after the latest packet."""
        if self._sent_at is None:
            return self.timestamp
        elapsed = round((now - self._sent_at) * SAMPLE_RATE)
        return (self.timestamp + max(at_least, elapsed)) & 0xFFFFFFFF


def _translate(data: bytes, first: int, table: bytes) -> bytes:
    # CSRC list, header extension and padding stay as they are.
    start, end = HEADER_SIZE, len(data)
    if first & 0x3F:
        start += 4 * (first & 0x0F)
        if first & 0x10:
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & 0x20:
            end -= data[-1]
    return data[HEADER_SIZE:start] + data[start:end].translate(table) + data[end:]
