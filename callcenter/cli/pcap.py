"""Pcap: SIP messages as a capture file for Wireshark and its like: IP and UDP put around each, as it went."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

# The file begins with an IP header in each packet, whatever its version (LINKTYPE_RAW).
LINKTYPE_RAW = 101
MAGIC_MICROSECONDS = 0xA1B2C3D4
SNAPLEN = 65_535
UDP = 17
HOPS = 64
# What fits into an IPv4 packet beside both headers.
MAX_PAYLOAD = 65_535 - 20 - 8

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Datagram:
    """One message: ``at`` in Unix seconds."""

    at: float
    source: Endpoint
    target: Endpoint
    data: bytes


def capture(datagrams: Iterable[Datagram]) -> bytes:
    """The whole file. What went over a connection stands in it as a datagram all the same."""
    out = [struct.pack("<IHHiIII", MAGIC_MICROSECONDS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW)]
    for each in datagrams:
        packet = _packet(each)
        seconds, micros = divmod(round(each.at * 1_000_000), 1_000_000)
        out.append(struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet)
    return b"".join(out)


def _packet(datagram: Datagram) -> bytes:
    source, target = _address(datagram.source[0]), _address(datagram.target[0])
    if source.version != target.version:
        # An address that was advertised may be of another family than the peer's.
        source, target = (_mapped(each) for each in (source, target))
    data = datagram.data[:MAX_PAYLOAD]
    length = 8 + len(data)
    header = struct.pack("!HHHH", datagram.source[1], datagram.target[1], length, 0)
    pseudo = source.packed + target.packed
    pseudo += struct.pack("!BBH", 0, UDP, length) if source.version == 4 else struct.pack("!IHBB", length, 0, 0, UDP)
    # A sum of nothing is written as all ones (RFC 768): zero would say that there is none.
    udp = header[:6] + struct.pack("!H", _checksum(pseudo + header + data) or 0xFFFF) + data
    if isinstance(source, IPv6Address):
        return struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + source.packed + target.packed + udp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, HOPS, UDP, 0) + source.packed + target.packed
    return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + udp


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        # A name that is advertised: no packet carries it.
        return IPv4Address(0)


def _mapped(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
