"""Taps: what a worker keeps of the sound of legs that are recorded, until it hands it over to the recorder.

``Tap.take`` runs for every packet of such a leg. Nothing here waits: what the recorder does not take is kept for a
while, and then the recordings end.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from callcenter.media.embedded.recorder import handover
from callcenter.media.embedded.recorder.handover import LEFT, MAX_MESSAGE, MAX_RUN, RIGHT
from callcenter.media.embedded.wheel import SLOTS, Wheel
from callcenter.rtp.codecs import CODECS

PERIOD: Final = 0.2
"""Seconds between two hand-overs of a recording."""

# The recorder empties the socket as fast as it can, and never waits for a disk. What it has not taken after so many
# octets, or so long (seconds), it does not take: the machine is overloaded, or the process hangs.
MAX_WAITING: Final = 32 << 20
MAX_WAIT: Final = 4.0

# Asked for; the system grants less.
_SOCKET_BUFFER: Final = 1 << 20

Take = Callable[[str, int, int, bytes, float], None]


class Tapped(Protocol):
    """A leg, as far as taps know one."""

    tap: Take | None
    """Is called with codec, timestamp, sequence, payload and the time for every packet of sound that is taken."""


class Tap:
    """What comes in by one leg for one recording, since the last hand-over."""

    __slots__ = (
        "_at",
        "_channel",
        "_codec",
        "_data",
        "_latest",
        "_next_sequence",
        "_next_timestamp",
        "_octet",
        "_recording",
        "_runs",
        "_sequence",
        "_source",
        "_tick",
        "_timestamp",
    )

    def __init__(self, recording: int, channel: int, source: int) -> None:
        self._recording = recording
        self._channel = channel
        self._source = source
        self._runs: list[bytes] = []
        # The run at hand.
        self._codec = ""
        self._sequence = 0
        self._timestamp = 0
        self._at = math.inf
        self._data = bytearray()
        # What goes on with it.
        self._octet = 0.0  # seconds; 0: a packet's size does not tell its length
        self._tick = 0.0  # timestamp units of an octet
        self._next_sequence = -1
        self._next_timestamp = -1
        self._latest = -1

    def take(self, codec: str, timestamp: int, sequence: int, payload: bytes, now: float) -> None:
        """A packet came."""
        if sequence != self._next_sequence or timestamp != self._next_timestamp or codec != self._codec:
            if (sequence + 1) & 0xFFFF == self._next_sequence and timestamp == self._latest and codec == self._codec:
                return  # it came twice
            self._begin(codec, timestamp, sequence)
        self._latest = timestamp
        data = self._data
        data += payload
        at = now - len(data) * self._octet
        if at < self._at:
            self._at = at
        self._next_sequence = (sequence + 1) & 0xFFFF
        self._next_timestamp = (timestamp + int(len(payload) * self._tick)) & 0xFFFFFFFF
        if len(data) > MAX_RUN or not self._octet:
            self._end()

    def _begin(self, codec: str, timestamp: int, sequence: int) -> None:
        """A run, in the place of the one at hand."""
        self._end()
        if codec != self._codec:
            self._codec = codec
            known = CODECS[codec]
            self._octet = 1 / (1000 * known.octets) if known.octets else 0.0
            self._tick = known.clock_rate * self._octet
        self._sequence, self._timestamp = sequence, timestamp

    def _end(self) -> None:
        """What comes next is another run, even if it goes on."""
        if self._data:
            run = handover.sound(
                self._recording,
                self._channel,
                self._source,
                self._codec,
                self._sequence,
                self._timestamp,
                self._at,
                self._data,
            )
            self._runs.append(run)
            self._data = bytearray()
        self._at = math.inf
        self._sequence, self._timestamp = self._next_sequence, self._next_timestamp

    def runs(self) -> list[bytes]:
        """What has gathered, to be handed over."""
        self._end()
        runs, self._runs = self._runs, []
        return runs


class _Recording:
    """One recording of a worker: its taps."""

    __slots__ = ("left", "number", "paused", "right", "sources")

    def __init__(self, number: int, left: tuple[Tapped, Tap]) -> None:
        self.number = number
        self.left = left
        self.right: dict[Tapped, Tap] = {}
        self.sources = 1
        self.paused = False

    def taps(self) -> list[tuple[Tapped, Tap]]:
        """All of them, each with its leg."""
        return [self.left, *self.right.items()]


class Taps:
    """All recordings of one worker. ``lost`` is told of those that the recorder does not take any more, and why."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, lost: Callable[[int, str], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._lost = lost
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        self._recordings: dict[int, _Recording] = {}
        self._of: dict[Tapped, list[Take]] = {}
        self._wheel: Wheel[_Recording] = Wheel(loop, PERIOD / SLOTS, lambda recording, _: self._hand_over(recording))
        self._gathered: list[bytes] = []
        self._sends = False
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_octets = 0

    def __len__(self) -> int:
        return len(self._recordings)

    def start(self, number: int, left: Tapped, right: Sequence[Tapped]) -> None:
        """Record these legs."""
        recording = self._recordings[number] = _Recording(number, (left, Tap(number, LEFT, 0)))
        self._attach(*recording.left)
        self._gather(handover.tick(number, time.monotonic()))
        self.hears(number, right)
        self._wheel.add(recording)

    def hears(self, number: int, right: Sequence[Tapped]) -> None:
        """Who is on the right channel from now on."""
        recording = self._recordings.get(number)
        if recording is None:
            return
        former = recording.right
        gone = {leg: tap for leg, tap in former.items() if leg not in right}
        recording.right = {leg: former[leg] for leg in right if leg in former}
        for leg, tap in gone.items():
            if not recording.paused:
                self._detach(leg, tap)
            self._gather(*tap.runs())
        for leg in right:
            if leg not in recording.right:
                tap = recording.right[leg] = Tap(number, RIGHT, recording.sources)
                recording.sources += 1
                if not recording.paused:
                    self._attach(leg, tap)

    def pause(self, number: int) -> None:
        """Take nothing from now on."""
        recording = self._recordings.get(number)
        if recording is not None and not recording.paused:
            recording.paused = True
            for leg, tap in recording.taps():
                self._detach(leg, tap)

    def resume(self, number: int) -> None:
        """Take sound again."""
        recording = self._recordings.get(number)
        if recording is not None and recording.paused:
            recording.paused = False
            for leg, tap in recording.taps():
                self._attach(leg, tap)

    def stop(self, number: int) -> None:
        """It ends here."""
        recording = self._forget(number)
        if recording is not None:
            self._hand_over(recording)
            self._gather(handover.stop(number, time.monotonic()))

    def drop(self, number: int) -> None:
        """It has ended without us."""
        self._forget(number)

    def released(self, leg: Tapped) -> None:
        """The leg is no more. A recording with it on the left is stopped by the plane."""
        for recording in self._recordings.values():
            tap = recording.right.pop(leg, None)
            if tap is not None:
                self._gather(*tap.runs())
        if self._of.pop(leg, None):
            leg.tap = None

    def close(self) -> None:
        """Hand over what has gathered; the recorder finishes all files when it sees that. May be called twice."""
        for number in tuple(self._recordings):
            recording = self._forget(number)
            if recording is not None:
                self._hand_over(recording)
        if self._sock.fileno() >= 0:
            self._send_gathered()
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def _forget(self, number: int) -> _Recording | None:
        recording = self._recordings.pop(number, None)
        if recording is not None:
            self._wheel.remove(recording)
            if not recording.paused:
                for leg, tap in recording.taps():
                    self._detach(leg, tap)
        return recording

    def _attach(self, leg: Tapped, tap: Tap) -> None:
        takes = self._of.setdefault(leg, [])
        takes.append(tap.take)
        leg.tap = _all(takes)

    def _detach(self, leg: Tapped, tap: Tap) -> None:
        takes = self._of.get(leg)
        if takes is None:
            return  # released before
        takes.remove(tap.take)
        leg.tap = _all(takes)
        if not takes:
            del self._of[leg]

    # To the recorder

    def _hand_over(self, recording: _Recording) -> None:
        for _, tap in recording.taps():
            self._gathered += tap.runs()
        self._gather(handover.tick(recording.number, time.monotonic()))

    def _gather(self, *items: bytes) -> None:
        """Send it at the end of this turn of the loop, with what others hand over in it."""
        self._gathered += items
        if not self._sends:
            self._sends = True
            self._loop.call_soon(self._send_gathered)

    def _send_gathered(self) -> None:
        self._sends = False
        items, self._gathered = self._gathered, []
        message: list[bytes] = []
        size = 0
        for item in items:
            message.append(item)
            size += len(item)
            if size > MAX_MESSAGE:
                self._send(b"".join(message))
                message, size = [], 0
        if message:
            self._send(b"".join(message))

    def _send(self, message: bytes) -> None:
        if not self._waiting:
            try:
                self._sock.send(message)
                return
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._go_on)
            except OSError:
                return  # the plane tells what has become of the recorder
        now = time.monotonic()
        self._waiting.append((now, message))
        self._waiting_octets += len(message)
        if self._waiting_octets > MAX_WAITING or now - self._waiting[0][0] > MAX_WAIT:
            self._give_up()

    def _go_on(self) -> None:
        """The socket takes something again."""
        while self._waiting:
            try:
                self._sock.send(self._waiting[0][1])
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
                self._waiting_octets = 0
                break
            self._waiting_octets -= len(self._waiting.popleft()[1])
        self._loop.remove_writer(self._sock)

    def _give_up(self) -> None:
        """The recorder has not taken anything for too long."""
        seconds, octets = time.monotonic() - self._waiting[0][0], self._waiting_octets
        self._waiting.clear()
        self._waiting_octets = 0
        self._loop.remove_writer(self._sock)
        for number in tuple(self._recordings):
            self._forget(number)
            self._lost(number, f"the recorder has left {octets >> 10} kB untaken for {seconds:.1f} s")


def _all(takes: list[Take]) -> Take | None:
    """One for all of them; a leg is hardly ever recorded twice."""
    if len(takes) <= 1:
        return takes[0] if takes else None
    several = tuple(takes)

    def take(codec: str, timestamp: int, sequence: int, payload: bytes, now: float) -> None:
        for each in several:
            each(codec, timestamp, sequence, payload, now)

    return take
