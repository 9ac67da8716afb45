"""What stands in for sound that was lost: the last period of the voice again, softer and softer.

After G.711 Appendix I: up to 10 ms nothing is noticed, after 60 ms there is silence.
"""

from __future__ import annotations

import audioop
import sys
from array import array
from typing import Final

# Milliseconds. A voice's period is at most 15; a shorter one than 5 is found as twice, or thrice, itself.
_SHORTEST: Final = 5
_LONGEST: Final = 15
_COMPARED: Final = 10
_HISTORY: Final = _LONGEST + _COMPARED
# The voice is made softer in steps, from so many on, and gone after so many.
_STEP: Final = 5
_UNNOTICED: Final = 10
_GONE_AFTER: Final = 60
# Sound that comes again is faded in over so many.
_FADE: Final = 4


class Concealment:
    """The sound of one stream (16 bit, little endian, mono), ``rate`` samples a second."""

    __slots__ = ("_at", "_before", "_cycle", "_latest", "_lost", "_octets")

    def __init__(self, rate: int) -> None:
        self._octets = 2 * rate // 1000  # of a millisecond
        self._before = self._latest = b""
        self._cycle = b""
        self._at = 0
        self._lost = 0  # milliseconds, since sound came

    def take(self, pcm: bytes) -> bytes:
        """The sound of a packet that came; its beginning is faded in when some was lost before it."""
        if self._lost:
            pcm = self._faded_in(pcm)
            self._lost, self._cycle = 0, b""
        self._before, self._latest = self._latest, pcm
        return pcm

    def fill(self, samples: int) -> bytes:
        """So many samples in the place of what was lost."""
        if not self._lost:
            self._cycle, self._at = self._last_period(), 0
        parts: list[bytes] = []
        missing = 2 * samples
        while missing > 0:
            size = min(_STEP * self._octets, missing)
            parts.append(self._next(size))
            self._lost += max(1, size // self._octets)
            missing -= size
        return b"".join(parts)

    def _next(self, size: int) -> bytes:
        gain = 1 - max(0, self._lost - _UNNOTICED) / (_GONE_AFTER - _UNNOTICED)
        if gain <= 0 or not self._cycle:
            return bytes(size)
        period = len(self._cycle)
        sound = (self._cycle * (2 + size // period))[self._at : self._at + size]
        self._at = (self._at + size) % period
        return audioop.mul(sound, 2, gain)

    def _last_period(self) -> bytes:
        """The latest period of the voice, found where the sound resembles its end most."""
        octets = self._octets
        sound = (self._before + self._latest)[-_HISTORY * octets :]
        if len(sound) < _HISTORY * octets:
            return sound
        end = sound[-_COMPARED * octets :]
        at, factor = audioop.findfit(sound[: -_SHORTEST * octets], end)
        cycle = sound[2 * at - _LONGEST * octets :]
        # Half a period resembles it as well, upside down.
        return cycle if factor > 0 else audioop.mul(cycle, 2, -1) + cycle

    def _faded_in(self, pcm: bytes) -> bytes:
        size = min(_FADE * self._octets, len(pcm))
        count = size // 2
        old, new = array("h", self._next(2 * count)), array("h", pcm[: 2 * count])
        if sys.byteorder == "big":
            old.byteswap()
            new.byteswap()
        for index in range(count):
            new[index] = (old[index] * (count - index) + new[index] * index) // count
        if sys.byteorder == "big":
            new.byteswap()
        return new.tobytes() + pcm[2 * count :]
