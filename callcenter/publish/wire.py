"""Wire: the socket of an MQTT 5 connection, between the broker, paho, and our own lane for publishing.

paho makes and takes apart each message by itself, with two dozen objects and a system call each: 35 µs of processor for
one that is published, where a lane that does nothing else needs 6 (a floor publishes thousands a second). So what we
publish and the broker's word on it (PUBLISH and PUBACK, MQTT 5 sections 3.3 and 3.4) pass by paho; everything else,
from login to farewell, is aiomqtt's and paho's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

PUBLISH_QOS_1 = 0x32
RETAIN = 0x01
PUBACK = 0x40
MESSAGE_EXPIRY, CORRELATION_DATA = 0x02, 0x09
READ = 65536
# Packet identifiers from here on are ours; paho counts its own from one up, and has few.
FIRST, LAST = 0x8000, 0xFFFF
# A packet's length has four bytes at most (MQTT 5, 1.5.5).
MAX_LENGTH_BYTES = 4

AGAIN = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def publish_packet(
    topic: str, payload: bytes, packet_id: int, retain: bool, expires_s: int | None, correlation: bytes | None
) -> bytes:
    """A PUBLISH with QoS 1 (MQTT 5, 3.3)."""
    name = topic.encode()
    properties = b""
    if expires_s is not None:
        properties += bytes((MESSAGE_EXPIRY,)) + expires_s.to_bytes(4)
    if correlation is not None:
        properties += bytes((CORRELATION_DATA,)) + len(correlation).to_bytes(2) + correlation
    head = b"".join(
        (len(name).to_bytes(2), name, packet_id.to_bytes(2), _length(len(properties)), properties),
    )
    first = PUBLISH_QOS_1 | RETAIN if retain else PUBLISH_QOS_1
    return b"".join((bytes((first,)), _length(len(head) + len(payload)), head, payload))


class Wire:
    """What paho takes for its socket; behind it the real one, that nobody else reads or writes any more.

    ``answered(packet_id, code)`` is told of acknowledgements; ``hand_over`` is called when something else came, to be
    had from :meth:`recv`. What is written in one turn of the loop leaves together.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        answered: Callable[[int, int], None],
        hand_over: Callable[[], None],
        max_packet: int,
    ) -> None:
        self._sock = sock
        self._loop = loop
        self._answered = answered
        self._hand_over = hand_over
        self._max_packet = max_packet
        self._out: list[bytes] = []
        self._flushing = False
        self._rest = b""
        self._others = bytearray()
        self._end: OSError | None = None
        self._ended = False
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        loop.add_reader(sock.fileno(), self._readable)

    def write(self, packet: bytes) -> None:
        """Send a whole packet, with what else there is in this turn of the loop."""
        self._out.append(packet)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    # What paho does with a socket.

    @property
    def has_more(self) -> bool:
        """Whether there is something for paho to read: packets, or the end."""
        return bool(self._others) or self._ended

    def recv(self, size: int) -> bytes:
        """The next bytes for paho."""
        if self._others:
            data = bytes(self._others[:size])
            del self._others[:size]
            return data
        if self._end is not None:
            raise self._end
        if self._ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        """Send a whole packet of paho's."""
        self.write(bytes(data))
        return len(data)

    def fileno(self) -> int:
        """The real socket's."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the real socket; the farewell goes out before."""
        if self._sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                if self._out:
                    self._sock.send(b"".join(self._out))
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
        self._out.clear()

    # The real socket.

    def _flush(self) -> None:
        if self._sock.fileno() < 0 or not self._out:
            self._flushing = False
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        try:
            sent = self._sock.send(data)
        except AGAIN:
            sent = 0
        except OSError as error:
            self._finish(error)
            return
        if sent == len(data):
            self._out.clear()
            self._flushing = False
            self._loop.remove_writer(self._sock.fileno())
        else:
            # TLS wants the same bytes again, and more of them are welcome.
            self._out = [data[sent:]]
            self._loop.add_writer(self._sock.fileno(), self._flush)

    def _readable(self) -> None:
        while True:
            try:
                data = self._sock.recv(READ)
            except AGAIN:
                return
            except OSError as error:
                self._finish(error)
                return
            if not data:
                self._finish(None)
                return
            self._take(self._rest + data if self._rest else data)
            # TLS may hold what the socket no longer shows.
            if self._sock.fileno() < 0 or not isinstance(self._sock, ssl.SSLSocket) or not self._sock.pending():
                return

    def _take(self, data: bytes) -> None:
        at, end = 0, len(data)
        while end - at >= 2:
            length, behind = data[at + 1], at + 2
            if length & 0x80:
                found = _read_length(data, at + 1)
                if found is None:
                    break
                length, behind = found
            if length > self._max_packet:
                self._finish(OSError(f"the broker sends a packet of {length} bytes"))
                return
            if behind + length > end:
                break
            if data[at] == PUBACK and length >= 2 and data[behind] & 0x80:
                code = data[behind + 2] if length > 2 else 0
                self._answered(data[behind] << 8 | data[behind + 1], code)
            else:
                self._others += data[at : behind + length]
            at = behind + length
        self._rest = data[at:]
        if self._others:
            self._hand_over()

    def _finish(self, error: OSError | None) -> None:
        """The connection is over: paho hears of it behind what came before."""
        self._ended, self._end = True, error
        self._flushing = True  # Nothing is written any more.
        self._out.clear()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._hand_over()


def _length(number: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_length(data: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends; None when there is more of it to come."""
    number = 0
    for place in range(MAX_LENGTH_BYTES):
        if at + place >= len(data):
            return None
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return 1 << 30, at  # Longer than any: the caller ends it.
