"""The wire between the broker, paho and our own lane: whole packets to whom they belong, however they come in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.publish.wire import FIRST, LAST, Wire, publish_packet
from tests.unit.publish.support import until

MOST = 2_000
PINGRESP = b"\xd0\x00"


def test_a_publish_is_written_as_the_standard_draws_it() -> None:
    """MQTT 5, 3.3: flags, length, topic, identifier, properties, payload."""
    assert publish_packet("a/b", b"hi", 0x8001, False, None, None) == b"\x32\x0a\x00\x03a/b\x80\x01\x00hi"
    assert publish_packet("a/b", b"", 0x8001, True, None, None) == b"\x33\x08\x00\x03a/b\x80\x01\x00"
    assert publish_packet("a", b"x", 0x8001, False, 60, b"77") == (
        b"\x32\x11\x00\x01a\x80\x01\x0a\x02\x00\x00\x00\x3c\x09\x00\x0277x"
    )
    assert publish_packet("a", b"x" * 200, 0x8001, False, None, None)[:3] == b"\x32\xce\x01"
    assert publish_packet("a", b"x" * 20_000, 0x8001, False, None, None)[:4] == b"\x32\xa6\x9c\x01"
    long = publish_packet("a", b"x", 0x8001, False, None, b"c" * 200)
    assert long[:10] == b"\x32\xd3\x01\x00\x01a\x80\x01\xcb\x01"


class Both:
    """A wire, its far end, and what came of it."""

    def __init__(self) -> None:
        self.far, near = socket.socketpair()
        self.far.setblocking(False)
        near.setblocking(False)
        self.near = near
        self.answers: list[tuple[int, int]] = []
        self.others = bytearray()
        self.end: list[str] = []
        self.wire = Wire(near, asyncio.get_running_loop(), lambda *answer: self.answers.append(answer), self.take, MOST)

    def take(self) -> None:
        """Read as paho does: a byte, then more, until there is none."""
        with contextlib.suppress(BlockingIOError):
            while self.wire.has_more:
                try:
                    data = self.wire.recv(3)
                except BlockingIOError:
                    raise
                except OSError as error:
                    self.end.append(str(error))
                    return
                if not data:
                    self.end.append("end")
                    return
                self.others += data


@contextlib.asynccontextmanager
async def both() -> AsyncIterator[Both]:
    made = Both()
    try:
        yield made
    finally:
        made.wire.close()
        made.far.close()


answers = st.tuples(st.integers(FIRST, LAST), st.sampled_from([0x00, 0x10, 0x87, 0x97]), st.booleans())
packets = st.lists(
    st.one_of(
        answers,
        st.binary(max_size=300).map(lambda body: b"\x30" + _varint(len(body)) + body),
        st.sampled_from([PINGRESP, b"\x40\x02\x00\x01", b"\x90\x04\x00\x01\x00\x01"]),
    ),
    max_size=40,
)


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, byte = divmod(number, 128)
        out.append(byte | 0x80 if number else byte)
        if not number:
            return bytes(out)


@given(packets, st.lists(st.integers(1, 50), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_however_the_bytes_are_cut_each_answer_is_heard_and_the_rest_is_whole(
    came: list[tuple[int, int, bool] | bytes], cuts: list[int]
) -> None:
    async def main() -> None:
        stream, heard, others = b"", [], b""
        for packet in came:
            if isinstance(packet, bytes):
                stream += packet
                others += packet
            else:
                number, code, short = packet
                code = 0 if short else code
                body = number.to_bytes(2) + (b"" if short else bytes((code, 0)))
                stream += b"\x40" + bytes((len(body),)) + body
                heard.append((number, code))
        async with both() as made:
            at = 0
            for cut in [*cuts, len(stream)]:
                made.far.send(stream[at : at + cut])
                at += cut
                await asyncio.sleep(0)
            await until(lambda: (made.answers, bytes(made.others)) == (heard, others))
            made.far.close()
            await until(lambda: made.end == ["end"])

    asyncio.run(main())


async def test_what_is_written_in_one_turn_leaves_together_and_in_order() -> None:
    async with both() as made:
        for number in range(5):
            made.wire.write(bytes((number,)))
        assert made.wire.send(b"paho") == 4
        with pytest.raises(BlockingIOError):
            made.far.recv(100)
        await asyncio.sleep(0)
        assert made.far.recv(100) == b"\0\1\2\3\4paho"


async def test_a_far_end_that_reads_slowly_gets_every_byte_in_order() -> None:
    async with both() as made:
        parts = [bytes((number % 256,)) * 10_000 for number in range(200)]
        for part in parts:
            made.wire.write(part)
        got = bytearray()
        while len(got) < 2_000_000:
            await asyncio.sleep(0.0001)
            with contextlib.suppress(BlockingIOError):
                got += made.far.recv(50_000)
        assert got == b"".join(parts)


@pytest.mark.parametrize("head", [b"\x30" + _varint(MOST + 1), b"\x30\xff\xff\xff\xff\x01"])
async def test_a_packet_that_is_larger_than_we_take_ends_the_connection(head: bytes) -> None:
    async with both() as made:
        made.far.send(PINGRESP + head + b"x" * 100)
        await until(lambda: made.end)
        assert made.others == PINGRESP
        assert made.end[0].startswith("the broker sends a packet of ")


async def test_a_connection_that_is_reset_is_told_once_and_takes_no_more() -> None:
    async with both() as made:
        made.far.close()
        made.wire.write(b"x")
        await until(lambda: made.end)
        made.wire.write(b"y")
        await asyncio.sleep(0.01)
        assert len(made.end) == 1


async def test_the_farewell_goes_out_before_the_socket_is_closed() -> None:
    made = Both()
    made.wire.send(b"\xe0\x00")
    made.wire.close()
    made.wire.close()
    assert made.far.recv(10) == b"\xe0\x00"
    await asyncio.sleep(0)
    made.far.close()
