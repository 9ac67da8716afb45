"""STUN on the SIP port: right requests are answered with where they come from, all else with nothing."""

from __future__ import annotations

import socket
import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.flow import Address
from callcenter.sip.stun import MAX_FACTOR, answer, is_stun

SEEN = Address("192.0.2.1", 32853)
# RFC 5769 2: the transaction of its samples; 2.2 and 2.3 hold these addresses, hidden so.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
V4 = bytes.fromhex("002000080001a147e112a643")
V6 = bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")
SEEN_V6 = Address("2001:db8:1234:5678:11:2233:4455:6677", 32853)


def request(attributes: bytes = b"", *, kind: int = 1, cookie: int = 0x2112A442, length: int | None = None) -> bytes:
    return struct.pack("!HHI", kind, len(attributes) if length is None else length, cookie) + TRANSACTION + attributes


def signed(data: bytes) -> bytes:
    """With a FINGERPRINT at its end."""
    data = data[:2] + struct.pack("!H", len(data) - 20 + 8) + data[4:]
    return data + struct.pack("!HHI", 0x8028, 4, crc32(data) ^ 0x5354554E)


@pytest.mark.parametrize(("seen", "mapped"), [(SEEN, V4), (SEEN_V6, V6)])
def test_phone_is_told_where_it_is_seen(seen: Address, mapped: bytes) -> None:
    assert answer(request(), seen) == struct.pack("!HHI", 0x0101, len(mapped), 0x2112A442) + TRANSACTION + mapped


def test_scope_of_a_link_local_address_is_no_part_of_it() -> None:
    told = answer(request(), Address("fe80::1%eth0", 5060))
    assert told is not None
    mask = bytes.fromhex("2112a442") + TRANSACTION
    octets = bytes(one ^ other for one, other in zip(told[28:], mask, strict=True))
    assert socket.inet_ntop(socket.AF_INET6, octets) == "fe80::1"


def test_request_with_fingerprint_is_answered_with_one() -> None:
    assert answer(signed(request()), SEEN) == signed(struct.pack("!HHI", 0x0101, 12, 0x2112A442) + TRANSACTION + V4)


def test_attributes_that_may_be_ignored_are() -> None:
    software = struct.pack("!HH", 0x8022, 5) + b"phone\0\0\0"
    assert answer(request(software), SEEN) == answer(request(), SEEN)


def test_attributes_that_must_be_understood_are_named_in_the_refusal() -> None:
    username = struct.pack("!HH", 0x0006, 3) + b"amy\0"
    told = answer(request(username), SEEN)
    assert told is not None
    assert told[:2] == b"\x01\x11"
    assert told[20:] == bytes.fromhex("0009000400000414" + "000a000200060000")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request()[:19],
        request(kind=0x0101),
        request(kind=0x0011),
        request(kind=0x0003),
        request(cookie=0),
        request(length=4),
        request(b"\0\0\0"),
        request() + b"\0",
        request(struct.pack("!HH", 0x8022, 8) + b"phon"),
        request(bytes(300)),
        signed(request())[:-1] + b"\0",
        signed(request()) + struct.pack("!HH", 0x8022, 0),
        signed(signed(request())),
    ],
)
def test_what_is_not_right_in_every_octet_is_not_answered(data: bytes) -> None:
    assert answer(data, SEEN) is None


@given(
    st.binary(max_size=300) | st.binary(max_size=120).map(request) | st.binary(max_size=120).map(request).map(signed)
)
def test_nobody_multiplies_what_he_sends(data: bytes) -> None:
    for seen in (SEEN, SEEN_V6):
        told = answer(data, seen)
        assert told is None or len(told) <= MAX_FACTOR * len(data)
        assert told is None or is_stun(data)


def test_sip_is_no_stun() -> None:
    assert is_stun(request())
    for data in (b"OPTIONS sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n\r\n....", b"\r\n\r\n", bytes(20), b""):
        assert not is_stun(data)
