"""RTP by the thousand: one process sends and takes 80,000 packets a second, with ``sendmmsg`` and ``recvmmsg``.

A turn lasts 20 ms and has 20 slots, each with a socket of its own and a twentieth of the legs: every millisecond one
system call sends the packets of a slot. All packets of a slot differ by their leg alone, so a turn's number is written
into all of them by a few strided copies. Each carries leg and turn; when it comes back, the kernel's time of arrival
and the time of that slot's sending tell how long it was under way, however late we are ourselves.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

HOST = "127.0.0.1"
SLOTS = 20
SLOT = 0.001
FRAME = 160
HEADER = 12
SIZE = HEADER + FRAME
# Taken at once.
BATCH = 512
# Of a packet that comes: room for any RTP, and for the kernel's time beside it.
ROOM = 256
BESIDE = 64
RECEIVE_BUFFER = 8 << 20
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33

_WHOLE = struct.Struct(f"!BBHIIII{FRAME - 8}s")
_PACKET = struct.Struct(f"!{HEADER}xII{ROOM - HEADER - 8}x")  # leg, turn
_STAMP = struct.Struct(f"=16xqq{BESIDE - 32}x")  # a cmsghdr, then a timespec

_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("vector", ctypes.POINTER(_Iovec)),
        ("vector_size", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Messages(ctypes.Structure):
    _fields_ = (("message", _Message), ("size", ctypes.c_uint))


def _address_of(buffer: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))


class Slot:
    """One socket, and the packets of its legs. ``port`` is where its legs say they are."""

    def __init__(self) -> None:
        self.socket, self._rtcp = _pair()
        self.port: int = self.socket.getsockname()[1]
        self._packets = bytearray()
        self._count = 0

    def close(self) -> None:
        """No more."""
        self.socket.close()
        self._rtcp.close()

    def fill(self, legs: Sequence[tuple[int, int]]) -> None:
        """The legs of this slot: number and the port to which each sends."""
        self._count = len(legs)
        self._packets = bytearray(SIZE * self._count)
        self._names = bytearray(16 * self._count)
        for at, (leg, port) in enumerate(legs):
            ssrc = 0x10000000 + leg
            _WHOLE.pack_into(self._packets, at * SIZE, 0x80, 0, 0, 0, ssrc, leg, 0, b"\xff" * (FRAME - 8))
            struct.pack_into("=H", self._names, at * 16, socket.AF_INET)
            struct.pack_into("!H4s", self._names, at * 16 + 2, port, socket.inet_aton(HOST))
        packets, names = (_address_of(each) if each else 0 for each in (self._packets, self._names))
        self._vectors = (_Iovec * self._count)()
        self._messages = (_Messages * self._count)()
        for at in range(self._count):
            self._vectors[at] = _Iovec(packets + at * SIZE, SIZE)
            message = self._messages[at].message
            message.name, message.name_size = names + at * 16, 16
            message.vector, message.vector_size = ctypes.pointer(self._vectors[at]), 1

    def send(self, turn: int) -> int:
        """Send the packets of this turn; how many left."""
        if not self._count:
            return 0
        packets, count = self._packets, self._count
        numbers = struct.pack("!HI", turn & 0xFFFF, turn * FRAME & 0xFFFFFFFF)
        for at, octet in (*enumerate(numbers, 2), *enumerate(struct.pack("!I", turn), HEADER + 4)):
            packets[at::SIZE] = bytes((octet,)) * count
        sent = 0
        while sent < count:
            done = _libc.sendmmsg(self.socket.fileno(), ctypes.byref(self._messages, sent * _SIZE), count - sent, 0)
            if done <= 0:
                break
            sent += int(done)
        return sent


_SIZE = ctypes.sizeof(_Messages)


class Taker:
    """Takes what has come to a socket."""

    def __init__(self) -> None:
        self.data = bytearray(BATCH * ROOM)
        self.stamps = bytearray(BATCH * BESIDE)
        data, stamps = _address_of(self.data), _address_of(self.stamps)
        self._vectors = (_Iovec * BATCH)()
        self._messages = (_Messages * BATCH)()
        for at in range(BATCH):
            self._vectors[at] = _Iovec(data + at * ROOM, ROOM)
            message = self._messages[at].message
            message.vector, message.vector_size = ctypes.pointer(self._vectors[at]), 1
            message.control, message.control_size = stamps + at * BESIDE, BESIDE

    def take(self, sock: socket.socket) -> int:
        """How many packets stand in ``data`` and ``stamps`` now."""
        count = _libc.recvmmsg(sock.fileno(), self._messages, BATCH, socket.MSG_DONTWAIT, None)
        return max(0, int(count))


@dataclass(slots=True)
class Measured:
    """What became of the packets of the counted turns. Delays in seconds."""

    sent: int
    received: int
    delays: array[float]
    behind: float
    """By how much our own slots were late at worst."""
    busy: float
    """Share of the core that the generator used."""

    @property
    def loss(self) -> float:
        """The share that never came."""
        return max(0.0, 1 - self.received / self.sent) if self.sent else 1.0

    def percentile(self, share: float) -> float:
        """So many of the delays are no longer, in seconds."""
        return self.delays[min(len(self.delays) - 1, int(share * len(self.delays)))] if self.delays else float("inf")


class Generator:
    """Sends and takes on one core."""

    def __init__(self) -> None:
        self.slots = [Slot() for _ in range(SLOTS)]
        self._taker = Taker()
        self._turn = 0  # numbers go on from one measurement to the next, as a phone's do

    def close(self) -> None:
        """Close the sockets."""
        for slot in self.slots:
            slot.close()

    def slot_of(self, leg: int) -> int:
        """Legs are dealt out in turn, the two of a call to different slots."""
        return (leg * 7 + leg // SLOTS) % SLOTS

    def aim(self, ports: Sequence[int]) -> None:
        """Leg ``n`` sends to ``ports[n]``."""
        legs: list[list[tuple[int, int]]] = [[] for _ in self.slots]
        for leg, port in enumerate(ports):
            legs[self.slot_of(leg)].append((leg, port))
        for slot, own in zip(self.slots, legs, strict=True):
            slot.fill(own)

    def relay(self, legs: int, seconds: float, warm: float = 1.0) -> Measured:
        """Send on all legs for so long; what comes back after the warm-up is counted."""
        slot_of = [self.slot_of(leg) for leg in range(legs)]
        start = self._turn
        first, last = start + round(warm * 50), start + round((warm + seconds) * 50)
        self._turn = last
        sent_at = array("q", bytes(8 * SLOTS * (last - start)))
        delays: array[float] = array("d")
        sent = received = 0
        behind = 0.0

        def take() -> None:
            nonlocal received
            for slot in self.slots:
                while count := self._taker.take(slot.socket):
                    for (leg, turn), (whole, nano) in zip(
                        _PACKET.iter_unpack(memoryview(self._taker.data)[: count * ROOM]),
                        _STAMP.iter_unpack(memoryview(self._taker.stamps)[: count * BESIDE]),
                        strict=True,
                    ):
                        if first <= turn < last:
                            received += 1
                            left_at = sent_at[(turn - start) * SLOTS + slot_of[leg]]
                            delays.append((whole * 1_000_000_000 + nano - left_at) * 1e-9)
                    if count < BATCH:
                        break

        began, cpu = time.monotonic() + 0.05, time.process_time()
        for step in range((last - start) * SLOTS):
            turn, number = start + step // SLOTS, step % SLOTS
            wait = began + step * SLOT - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            elif turn >= first:
                behind = max(behind, -wait)
            sent_at[step] = time.time_ns()
            left = self.slots[number].send(turn)
            if turn >= first:
                sent += left
            take()
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            take()
            time.sleep(SLOT)
        busy = (time.process_time() - cpu) / (time.monotonic() - began)
        return Measured(sent, received, array("d", sorted(delays)), behind, busy)

    def listen(self, seconds: float, warm: float = 1.0) -> Measured:
        """Take the streams that come; how late each packet is by its stream's own clock, at its best moment on time."""
        streams: dict[int, list[tuple[int, float]]] = {}
        began, cpu = time.monotonic(), time.process_time()
        while time.monotonic() < began + warm + seconds:
            counted = time.monotonic() >= began + warm
            for slot in self.slots:
                while count := self._taker.take(slot.socket):
                    self._collect(count, streams if counted else None)
                    if count < BATCH:
                        break
            time.sleep(SLOT)
        busy = (time.process_time() - cpu) / (time.monotonic() - began)
        lateness: list[float] = []
        expected = received = 0
        for packets in streams.values():
            begin = packets[0][0]
            received += len(packets)
            expected += (packets[-1][0] - begin & 0xFFFFFFFF) // FRAME + 1
            late = [at - (timestamp - begin & 0xFFFFFFFF) / 8000 for timestamp, at in packets]
            best = min(late)
            lateness += [each - best for each in late]
        return Measured(expected, received, array("d", sorted(lateness)), 0.0, busy)

    def _collect(self, count: int, streams: dict[int, list[tuple[int, float]]] | None) -> None:
        if streams is None:
            return
        data, stamps = self._taker.data, self._taker.stamps
        for at, (whole, nano) in enumerate(_STAMP.iter_unpack(memoryview(stamps)[: count * BESIDE])):
            timestamp, ssrc = struct.unpack_from("!II", data, at * ROOM + 4)
            streams.setdefault(ssrc, []).append((timestamp, whole % 100_000 + nano * 1e-9))


def _pair() -> tuple[socket.socket, socket.socket]:
    """An even port and the odd one behind it, whose reports nobody reads."""
    while True:  # every second try finds an even one
        with contextlib.ExitStack() as undo:
            rtp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
            rtcp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
            rtp.bind((HOST, 0))
            if rtp.getsockname()[1] % 2:
                continue
            try:
                rtcp.bind((HOST, rtp.getsockname()[1] + 1))
            except OSError:
                continue
            rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            with contextlib.suppress(OSError):
                rtp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
            rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            undo.pop_all()
            return rtp, rtcp
