"""Where sound belongs in a recording: streams with clocks of their own, laid on one clock, and mixed. Pure.

Every stream has its timestamps, which say exactly how its packets follow each other, and arrivals, which say roughly
when. The packets that were least delayed hold the timestamps to the common clock; a phone's clock that is fast or slow
is followed a sample at a time, which nobody hears.
"""

from __future__ import annotations

import audioop
import math
from array import array
from collections import deque
from typing import Final

from callcenter.media.embedded.recorder.handover import Run
from callcenter.rtp.codecs import Decoder, codec
from callcenter.rtp.packet import sequence_step, timestamp_step
from callcenter.rtp.statistics import MAX_DROPOUT, MAX_MISORDER

# Seconds between where timestamps and arrivals put a packet: beyond that the stream has set its clock anew (another
# SSRC, the far end of a transfer), and arrivals decide.
RESTART: Final = 1.0
# The same after a pause of at least so long: some phones let their clock stand while they say nothing.
_RESTART_AFTER_PAUSE: Final = 0.1
_PAUSE: Final = 0.2

# Seconds in which some packet is expected to come with hardly a delay.
_WINDOW: Final = 8.0
# Seconds by which a stream may be off: below the first it is left alone, from the second on it is set right at once.
_NEAR: Final = 0.002
_FAR: Final = 0.012
# Seconds between two corrections of a sample: 830 millionths, where a phone's crystal is off by 100.
_MOVE_AFTER: Final = 0.15

# Samples: a hole as small as this comes of a correction, and is filled so that it does not click.
_STITCH: Final = 2

_OCTETS: Final = 2


class Stream:
    """The sound of one source, decoded, from where the recording has not been written yet."""

    def __init__(self, rate: int, start: int = 0) -> None:
        self._rate = rate
        self._codec = ""
        self._clock_rate = 0
        self._steady = True
        self._decoder: Decoder | None = None
        self._pcm = bytearray()
        self._start = start
        """The sample of the recording that ``_pcm`` begins with."""
        # A packet of the stream, and the sample of the recording that it belongs to; None: arrivals decide.
        self._timestamp: int | None = None
        self._sequence = 0
        self._at = 0.0
        # How late runs were to where they were put, as far as none later was earlier: (when, seconds).
        self._late: deque[tuple[float, float]] = deque()
        self._since = 0.0
        self._moved_at = 0.0
        self._heard_until = 0.0

    def add(self, run: Run, at: float) -> None:
        """A run that was begun to be spoken at ``at``, seconds after the start of the recording (see ``Run.at``).

        Raises CodecMissing.
        """
        if run.codec != self._codec:
            self._change(run.codec)
        assert self._decoder is not None
        pcm = self._decoder.decode(run.payload)
        if not self._steady:
            at -= len(pcm) / _OCTETS / self._rate
        where = self._where(run, at)
        self._sequence, self._timestamp, self._at = run.sequence, run.timestamp, where
        self._heard_until = at + len(pcm) / _OCTETS / self._rate
        self._put(round(where), pcm)

    def take(self, count: int) -> bytes:
        """The next ``count`` samples, silence where none came."""
        size = count * _OCTETS
        pcm = bytes(self._pcm[:size])
        del self._pcm[:size]
        self._start += count
        return pcm.ljust(size, b"\0")

    def _change(self, name: str) -> None:
        known = codec(name)
        self._decoder = known.decoder(self._rate)
        self._codec = name
        self._steady = known.octets is not None
        if known.clock_rate != self._clock_rate:
            self._clock_rate = known.clock_rate
            self._timestamp = None

    def _where(self, run: Run, at: float) -> float:
        """The sample of the recording at which a run begins."""
        late = math.inf
        expected = self._at / self._rate
        if self._timestamp is not None:
            packets = sequence_step(run.sequence, self._sequence)
            ticks = timestamp_step(run.timestamp, self._timestamp)
            if -MAX_MISORDER < packets < MAX_DROPOUT and (packets > 0) == (ticks > 0):
                expected += ticks / self._clock_rate
                late = at - expected
        if abs(late) > (_RESTART_AFTER_PAUSE if at - self._heard_until > _PAUSE else RESTART):
            self._late.clear()
            self._since = at
            return at * self._rate
        while self._late and self._late[-1][1] >= late:
            self._late.pop()
        self._late.append((at, late))
        while self._late[0][0] < at - _WINDOW:
            self._late.popleft()
        return (expected + self._correction(at)) * self._rate

    def _correction(self, now: float) -> float:
        """Seconds by which to move the stream from now on."""
        least = self._late[0][1]
        if abs(least) < _NEAR or (least > 0 and now - self._since < _WINDOW):
            return 0.0  # one that came late says nothing, but all of them for long do
        if abs(least) < _FAR:
            if now - self._moved_at < _MOVE_AFTER:
                return 0.0
            least = (1 if least > 0 else -1) / self._rate
        self._moved_at = now
        self._late = deque((when, late - least) for when, late in self._late)
        return least

    def _put(self, where: int, pcm: bytes) -> None:
        if where < self._start:
            pcm = pcm[(self._start - where) * _OCTETS :]
            where = self._start
        offset = (where - self._start) * _OCTETS
        gap = offset - len(self._pcm)
        if gap > 0:
            stitch = self._pcm[-_OCTETS:] * (gap // _OCTETS) if gap <= _STITCH * _OCTETS else b""
            self._pcm += stitch or bytes(gap)
        self._pcm[offset : offset + len(pcm)] = pcm


class Channel:
    """One channel: the sum of its streams."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start = 0
        self._streams: dict[int, Stream] = {}

    def add(self, run: Run, at: float) -> None:
        """A run of one of its sources, spoken at ``at`` seconds after the start. Raises CodecMissing."""
        stream = self._streams.get(run.source)
        if stream is None:
            stream = self._streams[run.source] = Stream(self._rate, self._start)
        stream.add(run, at)

    def take(self, count: int) -> bytes:
        """The next samples, silence where none came."""
        self._start += count
        total: bytes | None = None
        for stream in self._streams.values():
            pcm = stream.take(count)
            total = pcm if total is None else audioop.add(total, pcm, _OCTETS)
        return total if total is not None else bytes(count * _OCTETS)


def in_order(runs: list[Run]) -> list[Run]:
    """Runs of a recording as they were sent, where some packets have overtaken others.

    A stream that numbers anew may come to stand before the end of the one before: each is put where it belongs all the
    same, by its timestamps.
    """
    if len(runs) <= 2:  # nearly always: one of each channel
        return runs
    first: dict[tuple[int, int], int] = {}
    for run in runs:
        first.setdefault((run.channel, run.source), run.sequence)
    return sorted(
        runs,
        key=lambda run: (
            run.channel,
            run.source,
            sequence_step(run.sequence, first[run.channel, run.source]),
        ),
    )


def interleaved(left: bytes, right: bytes) -> bytes:
    """Two channels as a stereo file has them."""
    both = array("h", bytes(2 * len(left)))
    # Whatever order the machine has its octets in: they are moved by twos.
    both[0::2] = array("h", left)
    both[1::2] = array("h", right)
    return both.tobytes()
