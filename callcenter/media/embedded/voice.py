"""Voice: the sound of one leg, decoded once for all ears in which it is mixed."""

from __future__ import annotations

from typing import Final

from callcenter.rtp.codecs import CODECS, Decoder
from callcenter.rtp.jitter import JitterBuffer
from callcenter.rtp.resample import Resampler, resampler

UNIT: Final = 0.01
"""Seconds. Ears read whole units of a clock that is the same for all, so that each gets what the others got."""

# Units kept for ears that read later than others: the longest packet, and one.
_KEPT: Final = 7

_OCTETS: Final = 2  # of a sample


class Voice:
    """What a leg's peer says, at ``rate`` samples a second, and at a lower rate for whoever asks for that."""

    __slots__ = ("_buffer", "_clock_rate", "_decoders", "_lower", "_made", "_quiet", "_resampler", "_sound", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._buffer: JitterBuffer | None = None
        self._clock_rate = 0
        self._decoders: dict[str, Decoder] = {}
        self._made = 0  # the unit up to which there is sound
        self._quiet = 0  # the unit from which on there is nothing at all
        self._sound = b""
        self._lower = b""
        self._resampler: Resampler | None = None

    def __repr__(self) -> str:
        return f"<Voice {self.rate} Hz {self._buffer}>"

    def take(self, codec: str, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """A packet of the peer came."""
        decoder = self._decoders.get(codec)
        if decoder is None:
            decoder = self._decoders[codec] = CODECS[codec].decoder(self.rate)
        clock_rate = CODECS[codec].clock_rate
        if self._buffer is None or clock_rate != self._clock_rate:
            self._buffer, self._clock_rate = JitterBuffer(clock_rate, self.rate), clock_rate
        self._buffer.put(sequence, timestamp, payload, decoder, now)

    def read(self, rate: int, until: int, count: int, now: float) -> bytes:
        """The ``count`` units before the unit ``until``, at this rate; empty when nothing is heard at all."""
        if until > self._made:
            self._make(until, count, now)
        if until - count >= self._quiet:
            return b""
        sound = self._sound
        if rate != self.rate:
            if self._resampler is None:
                self._resampler = resampler(self.rate, rate)
                self._lower = bytes(len(sound) * rate // self.rate)
            sound = self._lower
        size = _OCTETS * round(rate * UNIT)
        end = len(sound) - (self._made - until) * size
        return sound[max(0, end - count * size) : max(0, end)].rjust(count * size, b"\0")

    def _make(self, until: int, count: int, now: float) -> None:
        """Go on up to this unit."""
        units = until - self._made
        if not 0 < units <= _KEPT:
            # Nobody has listened for a while.
            units = count
            if self._made and self._buffer is not None:
                self._buffer.hurry()
        self._made = until
        size = _OCTETS * round(self.rate * UNIT)
        sound = self._buffer.pull(units * size // _OCTETS, now) if self._buffer is not None else b""
        if sound:
            self._quiet = until
        else:
            sound = bytes(units * size)
        if self._resampler is not None:
            lower = self._resampler.resample(sound)
            self._lower = (self._lower + lower)[-len(lower) // units * _KEPT :]
        self._sound = (self._sound + sound)[-_KEPT * size :]
