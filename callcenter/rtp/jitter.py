"""Jitter buffer: packets come as the network lets them, sound leaves evenly, as it is asked for.

It begins at once and learns how long to wait. Where sound that is due has not come, something stands in for it, and
what comes behind waits so much longer; where for seconds nothing has come late, two packets are made one by a
cross-fade: so the clocks of both sides may drift apart, too. What is lost is concealed; what comes too late is left
out; where nothing was said (the timestamp goes on, the number does not) there is silence as long as it was.
"""

from __future__ import annotations

from bisect import insort
from operator import attrgetter
from typing import Final, NamedTuple

from callcenter.rtp.codecs import Decoder
from callcenter.rtp.mixer import fade
from callcenter.rtp.packet import sequence_step, timestamp_step

_OCTETS: Final = 2  # of a sample

# Concealed at once: shorter than any packet.
_CHUNK_MS: Final = 10

# A packet is never longer.
_LONGEST_MS: Final = 120

# Seconds. For so long nothing may have been played later than _GUARD after its time before the wait is made shorter:
# the clocks of a busy machine are no better.
_WINDOW: Final = 4.0
_GUARD: Final = 0.012

# Seconds. For more than this nothing waits, or two people would talk at once: then the oldest is left out.
MOST_WAIT: Final = 0.3

# Seconds. A jump of the timestamp beyond it is a sender that counts anew.
_JUMP: Final = 2.0

# Seconds without a packet after which nothing is heard any more, not even silence.
_GONE: Final = 0.3

# Numbers that are remembered, to know what comes twice; and the jump beyond which a sender numbers anew.
_REMEMBERED: Final = 64
_MAX_DROPOUT: Final = 3000


class _Packet(NamedTuple):
    timestamp: int  # goes on over the wrap
    arrival: float
    payload: bytes
    decoder: Decoder


_by_timestamp: Final = attrgetter("timestamp")


class JitterBuffer:
    """The sound of one stream whose timestamps count ``clock_rate`` units a second, ``sample_rate`` samples a second.

    ``now`` is seconds of a steady clock.
    """

    __slots__ = (
        "_arrived",
        "_clock_rate",
        "_decoder",
        "_head",
        "_highest",
        "_least",
        "_longer",
        "_packets",
        "_sample_rate",
        "_seen",
        "_shorter",
        "_sound",
        "_stray",
        "_timestamp",
        "_waited",
        "_window_ends",
    )

    def __init__(self, clock_rate: int, sample_rate: int) -> None:
        self._clock_rate = clock_rate
        self._sample_rate = sample_rate
        self._packets: list[_Packet] = []
        self._sound = b""  # decoded, and not yet asked for
        self._decoder: Decoder | None = None
        self._head: int | None = None  # the timestamp of what is to be heard next; None: nothing has come yet
        self._waited = 0  # for how long, in timestamp units, nothing was there to be heard next
        self._timestamp = 0  # of what came latest
        self._highest = 0
        self._seen = 0  # one bit for each of the numbers up to the highest
        self._stray = -1
        self._arrived = 0.0
        self._least = 0.0
        self._window_ends = 0.0
        self._shorter = self._longer = False

    def __repr__(self) -> str:
        return f"<JitterBuffer {len(self._packets)} packets>"

    def put(self, sequence: int, timestamp: int, payload: bytes, decoder: Decoder, now: float) -> None:
        """A packet came, to be decoded by ``decoder``."""
        if not self._fresh(sequence):
            return
        self._arrived = now
        self._timestamp += timestamp_step(timestamp, self._timestamp & 0xFFFFFFFF)
        due = self._head + self._waited if self._head is not None else 0
        if self._head is None or abs(self._timestamp - due) > _JUMP * self._clock_rate:
            self._begin(self._timestamp, now)
        elif self._timestamp < self._head:
            # Something has stood in for it: so the rest had better wait longer. Its end may still be of use.
            late = (self._head - self._timestamp) / self._clock_rate
            self._longer = self._longer or late < MOST_WAIT
            if late >= _LONGEST_MS / 1000:
                return
        packets = self._packets
        insort(packets, _Packet(self._timestamp, now, payload, decoder), key=_by_timestamp)
        while packets[-1].timestamp - packets[0].timestamp > MOST_WAIT * self._clock_rate:
            del packets[0]
            self._head, self._waited = packets[0].timestamp, 0

    def pull(self, samples: int, now: float) -> bytes:
        """The next so many samples; empty while nothing was received for long."""
        if self._head is None:
            return b""
        if not self._packets and not self._sound and now - self._arrived > _GONE:
            self._waited += samples * self._clock_rate // self._sample_rate
            return b""
        size = samples * _OCTETS
        while len(self._sound) < size:
            self._sound += self._more(self._head, now)
        pulled, self._sound = self._sound[:size], self._sound[size:]
        return pulled

    def hurry(self) -> None:
        """Nothing was pulled for a while: of what has come meanwhile only the latest is of use."""
        del self._packets[:-1]
        self._sound = b""
        if self._packets:
            self._head, self._waited = self._packets[0].timestamp, 0

    def _more(self, head: int, now: float) -> bytes:
        """What is to be heard next."""
        chunk = _CHUNK_MS * self._clock_rate // 1000
        if not self._packets:
            self._waited += chunk
            return self._concealed(chunk)
        if self._longer:
            self._longer = False
            return self._concealed(chunk)
        gap = self._packets[0].timestamp - head - self._waited
        if gap > 0:
            # What lies between was lost, or nothing was said.
            self._head, self._waited = head + self._waited + min(gap, chunk), 0
            return self._concealed(min(gap, chunk))
        return self._decoded(head, now)

    def _decoded(self, head: int, now: float) -> bytes:
        packet = self._packets.pop(0)
        self._decoder = packet.decoder
        sound = packet.decoder.decode(packet.payload)
        end = packet.timestamp + self._ticks(sound)
        self._measure(now, now - packet.arrival, len(sound) / _OCTETS / self._sample_rate)
        if packet.timestamp < head:
            sound = sound[_OCTETS * ((head - packet.timestamp) * self._sample_rate // self._clock_rate) :]
        elif self._shorter and self._packets and self._packets[0].timestamp == end:
            following = self._packets[0].decoder.decode(self._packets.pop(0).payload)
            end += self._ticks(following)
            sound = fade(sound, following) if len(following) == len(sound) else following
            self._shorter = False
        self._head, self._waited = max(head, end), 0
        return sound

    def _measure(self, now: float, wait: float, length: float) -> None:
        """A packet has waited so long, and lasts so long."""
        self._least = min(self._least, wait)
        if now >= self._window_ends:
            self._shorter = self._least > length + _GUARD
            self._least, self._window_ends = wait, now + _WINDOW

    def _ticks(self, sound: bytes) -> int:
        return len(sound) // _OCTETS * self._clock_rate // self._sample_rate

    def _concealed(self, ticks: int) -> bytes:
        samples = max(1, ticks * self._sample_rate // self._clock_rate)
        return self._decoder.conceal(samples) if self._decoder is not None else bytes(_OCTETS * samples)

    def _begin(self, timestamp: int, now: float) -> None:
        """The sender begins, or counts anew: what comes is heard at once."""
        self._packets.clear()
        self._head, self._waited = timestamp, 0
        self._least, self._window_ends = MOST_WAIT, now + _WINDOW
        self._shorter = self._longer = False

    def _fresh(self, sequence: int) -> bool:
        """Whether the packet of this number is taken: it has not come before, nor does it come from nowhere."""
        step = sequence_step(sequence, self._highest)
        if self._head is None or sequence == self._stray:
            # The first, or the second in a row from elsewhere: the sender numbers anew (RFC 3550 A.1).
            self._head, self._highest, self._seen, self._stray = None, sequence, 1, -1
        elif 0 < step < _MAX_DROPOUT:
            self._highest = sequence
            self._seen = (self._seen << min(step, _REMEMBERED) | 1) & (1 << _REMEMBERED) - 1
        elif -_REMEMBERED < step <= 0:
            bit = 1 << -step
            if self._seen & bit:
                return False
            self._seen |= bit
        else:
            self._stray = (sequence + 1) & 0xFFFF
            return False
        return True
