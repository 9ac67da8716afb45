"""STUN on the SIP port: a phone behind a NAT asks where it is seen, and keeps its way open (RFC 5626 3.5.2, RFC 8489).

Only binding requests that are right in every octet are answered; whatever else looks like STUN is dropped.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from zlib import crc32

from callcenter.sip.flow import Address

HEADER = struct.Struct("!HHI12s")
ATTRIBUTE = struct.Struct("!HH")
MAGIC_COOKIE = 0x2112A442

BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
XOR_MAPPED_ADDRESS, ERROR_CODE, UNKNOWN_ATTRIBUTES, FINGERPRINT = 0x0020, 0x0009, 0x000A, 0x8028
FINGERPRINT_XOR = 0x5354554E

# A request of 20 octets is answered with 44 at most (IPv6): nobody multiplies what he sends under a forged address by
# more than this.
MAX_FACTOR = 2.2
# Longer ones are no keep-alive.
MAX_REQUEST = 256


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and no SIP: its first two bits are zero, and the cookie is there (RFC 8489 5)."""
    return len(data) >= HEADER.size and data[0] < 0x40 and data[4:8] == b"\x21\x12\xa4\x42"


def answer(data: bytes, seen: Address) -> bytes | None:
    """What a binding request from ``seen`` is answered with; None for all that is none, or a wrong one.

    Attributes that must be understood and are not get 420, as RFC 8489 6.3.1 asks.
    """
    if not HEADER.size <= len(data) <= MAX_REQUEST:
        return None
    kind, length, cookie, transaction = HEADER.unpack_from(data)
    if kind != BINDING_REQUEST or cookie != MAGIC_COOKIE or length % 4 or length != len(data) - HEADER.size:
        return None
    unknown, signed, at = [], False, HEADER.size
    while at < len(data):
        if signed or len(data) - at < ATTRIBUTE.size:
            return None  # FINGERPRINT is the last, if it is there (14.7)
        number, size = ATTRIBUTE.unpack_from(data, at)
        value = data[at + ATTRIBUTE.size : at + ATTRIBUTE.size + size]
        if len(value) < size:
            return None
        if number == FINGERPRINT:
            if value != _fingerprint(data[:at]):
                return None
            signed = True
        elif number < 0x8000:
            unknown.append(number)
        at += ATTRIBUTE.size + (size + 3) // 4 * 4
    if at != len(data):
        return None
    if unknown:
        listed = struct.pack(f"!{len(unknown)}H", *unknown)
        # 420: class 4, number 20, and no reason phrase: it would only make the answer longer.
        attributes = _attribute(ERROR_CODE, b"\0\0\x04\x14") + _attribute(UNKNOWN_ATTRIBUTES, listed)
        return _message(BINDING_ERROR, transaction, attributes, signed=signed)
    return _message(
        BINDING_SUCCESS, transaction, _attribute(XOR_MAPPED_ADDRESS, _mapped(seen, transaction)), signed=signed
    )


def _mapped(seen: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (14.2): hidden from NATs that change every address they see."""
    address = ip_address(seen.host.partition("%")[0])
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    octets = bytes(one ^ other for one, other in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    return struct.pack("!BBH", 0, family, seen.port ^ (MAGIC_COOKIE >> 16)) + octets


def _attribute(number: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)


def _message(kind: int, transaction: bytes, attributes: bytes, *, signed: bool) -> bytes:
    """A whole message; with ``signed`` a FINGERPRINT, since the peer has sent one."""
    extra = ATTRIBUTE.size + 4 if signed else 0
    message = HEADER.pack(kind, len(attributes) + extra, MAGIC_COOKIE, transaction) + attributes
    return message + _attribute(FINGERPRINT, _fingerprint(message)) if signed else message


def _fingerprint(message: bytes) -> bytes:
    """Of all that stands before it, the length as if it were there already (14.7)."""
    return struct.pack("!I", crc32(message) ^ FINGERPRINT_XOR)
