"""RTCP (RFC 3550 6): sender and receiver reports, source description and goodbye, read and written."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
_CNAME: Final = 1
_NTP_EPOCH: Final = 2_208_988_800  # 1900 to 1970, seconds

_COMMON: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!IQIII")
_BLOCK: Final = struct.Struct("!IIIIII")


class RtcpError(ValueError):
    """The compound packet cannot be read."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one source; ``jitter`` in timestamp units, ``delay`` in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR: what was sent, with the wall clock (64-bit NTP) beside the timestamp."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        """The packet."""
        octets = self.octets & 0xFFFFFFFF
        body = _SENDER.pack(self.ssrc, self.ntp, self.timestamp, self.packets & 0xFFFFFFFF, octets)
        return _packet(SR, len(self.blocks), body + _pack_blocks(self.blocks))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR: from one that has sent nothing since its last report."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        """The packet."""
        return _packet(RR, len(self.blocks), self.ssrc.to_bytes(4, "big") + _pack_blocks(self.blocks))


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES with the canonical name of one source, which every compound packet carries."""

    ssrc: int
    cname: str

    def to_bytes(self) -> bytes:
        """The packet."""
        name = self.cname.encode()[:255]
        chunk = self.ssrc.to_bytes(4, "big") + bytes((_CNAME, len(name))) + name
        return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE: the sources end."""

    sources: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The packet."""
        return _packet(BYE, len(self.sources), b"".join(ssrc.to_bytes(4, "big") for ssrc in self.sources))


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye


def build_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """One datagram of several packets; the first must be a report (RFC 3550 6.1)."""
    return b"".join(packet.to_bytes() for packet in packets)


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """The packets of a datagram; unknown types are left out. Raises RtcpError when it is not well formed (A.2)."""
    if len(data) < 8 or data[0] & 0xE0 != 0x80 or data[1] not in (SR, RR):
        raise RtcpError("does not begin with a report")
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise RtcpError("a packet is cut")
        first, kind, words = _COMMON.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first & 0xC0 != 0x80 or end > len(data):
            raise RtcpError("a packet is cut")
        body = data[at + 4 : end]
        if first & 0x20:
            # Only the last packet may be padded.
            if end != len(data) or not 0 < body[-1:][0] <= len(body):
                raise RtcpError("wrong padding")
            body = body[: -body[-1]]
        packet = _parse(kind, first & 0x1F, body)
        if packet is not None:
            packets.append(packet)
        at = end
    return packets


def ntp_time(unix: float) -> int:
    """The 64-bit NTP time of an instant given in Unix seconds."""
    return int((unix + _NTP_EPOCH) * 65536) << 16 & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP time, as reports repeat it."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip(block: ReportBlock, now: int) -> float | None:
    """Seconds there and back, from a block about us and ``now`` (middle 32 bits); None when it cannot be told."""
    if not block.last_report:
        return None
    elapsed = (now - block.last_report - block.delay) & 0xFFFFFFFF
    # What looks negative or longer than a minute is a wrong clock or a forged report.
    return elapsed / 65536 if elapsed < 60 * 65536 else None


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _COMMON.pack(0x80 | count, kind, len(body) // 4) + body


def _pack_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.cumulative_lost & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_report,
            block.delay,
        )
        for block in blocks
    )


def _parse(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    if kind == SR:
        if len(body) < _SENDER.size:
            raise RtcpError("a sender report is cut")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        blocks = _parse_blocks(body, _SENDER.size, count)
        return SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)
    if kind == RR:
        if len(body) < 4:
            raise RtcpError("a receiver report is cut")
        return ReceiverReport(int.from_bytes(body[:4], "big"), _parse_blocks(body, 4, count))
    if kind == BYE:
        if len(body) < 4 * count:
            raise RtcpError("a goodbye is cut")
        return Goodbye(tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, 4 * count, 4)))
    if kind == SDES and count and len(body) >= 6 and body[4] == _CNAME:
        name = body[6 : 6 + body[5]]
        return SourceDescription(int.from_bytes(body[:4], "big"), name.decode("utf-8", "replace"))
    return None


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < start + count * _BLOCK.size:
        raise RtcpError("a report block is cut")
    blocks = []
    for at in range(start, start + count * _BLOCK.size, _BLOCK.size):
        ssrc, loss, highest, jitter, last_report, delay = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                cumulative_lost=lost - 0x1000000 if lost & 0x800000 else lost,
                highest_sequence=highest,
                jitter=jitter,
                last_report=last_report,
                delay=delay,
            )
        )
    return tuple(blocks)
