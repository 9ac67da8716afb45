"""RTP packets (RFC 3550 5.1): the fixed header, and where the payload lies."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

# First byte (version, padding, extension, CSRC count), second byte (marker, payload type), sequence, timestamp, SSRC.
HEADER: Final = struct.Struct("!BBHII")
LEAD: Final = struct.Struct("!HHII")
"""The same with the first two bytes as one number."""
Header = tuple[int, int, int, int, int]
HEADER_SIZE: Final = 12
VERSION_MASK: Final = 0xC0
VERSION_2: Final = 0x80
MARKER: Final = 0x80

# A payload of G.711 is 160 octets for 20 ms; what is longer than an Ethernet frame is not sound.
MAX_PACKET: Final = 1500


class RtpError(ValueError):
    """The packet cannot be read."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet; CSRC list, header extension and padding are read over and not kept."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @staticmethod
    def parse(data: bytes) -> Packet:
        """Read a datagram. Raises RtpError."""
        start, end = payload_bounds(data)
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & MARKER))

    def to_bytes(self) -> bytes:
        """The datagram: header and payload."""
        second = self.payload_type | (MARKER if self.marker else 0)
        return HEADER.pack(VERSION_2, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def payload_bounds(data: bytes | bytearray) -> tuple[int, int]:
    """Start and end of the payload within a datagram. Raises RtpError."""
    if len(data) < HEADER_SIZE or data[0] & VERSION_MASK != VERSION_2:
        raise RtpError("not RTP version 2")
    first = data[0]
    start, end = HEADER_SIZE + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if end < start + 4:
            raise RtpError("the header extension is cut")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        padding = data[-1]
        if padding == 0:
            raise RtpError("padding of no length")
        end -= padding
    if start > end:
        raise RtpError("the header is longer than the packet")
    return start, end


def sequence_step(later: int, earlier: int) -> int:
    """How far ``later`` is ahead of ``earlier`` over the wrap of 16 bits; negative when it is behind."""
    step = (later - earlier) & 0xFFFF
    return step - 0x10000 if step & 0x8000 else step


def timestamp_step(later: int, earlier: int) -> int:
    """How far ``later`` is ahead of ``earlier`` over the wrap of 32 bits; negative when it is behind."""
    step = (later - earlier) & 0xFFFFFFFF
    return step - 0x100000000 if step & 0x80000000 else step
