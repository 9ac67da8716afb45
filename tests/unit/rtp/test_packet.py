"""RTP packets: written and read again, odd headers read over, broken ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.packet import Packet, RtpError, payload_bounds, sequence_step, timestamp_step

packets = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=320),
    marker=st.booleans(),
)


@given(packets)
def test_what_is_written_is_read(packet: Packet) -> None:
    assert Packet.parse(packet.to_bytes()) == packet


@given(st.binary(max_size=64))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        start, end = payload_bounds(data)
    except RtpError:
        return
    assert 12 <= start <= end <= len(data)


def test_csrc_extension_and_padding_are_read_over() -> None:
    plain = Packet(0, 1, 2, 3, b"sound").to_bytes()
    extended = (
        bytes([0x80 | 0x20 | 0x10 | 2]) + plain[1:12] + b"\0" * 8 + b"\xbe\xde\x00\x01" + b"\0" * 4 + b"sound\0\0\3"
    )
    assert Packet.parse(extended).payload == b"sound"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(11),
        b"\x83" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\0\0\0\1",
        b"\xa0" + bytes(11),
        b"\xa0" + bytes(12),
        b"\xa0" + bytes(11) + b"\x05",
    ],
)
def test_broken_packets_are_refused(data: bytes) -> None:
    with pytest.raises(RtpError):
        payload_bounds(data)


@given(st.integers(0, 0xFFFF), st.integers(-0x7FFF, 0x7FFF))
def test_sequence_numbers_are_compared_over_the_wrap(number: int, step: int) -> None:
    assert sequence_step((number + step) & 0xFFFF, number) == step


@given(st.integers(0, 0xFFFFFFFF), st.integers(-0x7FFFFFFF, 0x7FFFFFFF))
def test_timestamps_are_compared_over_the_wrap(number: int, step: int) -> None:
    assert timestamp_step((number + step) & 0xFFFFFFFF, number) == step
