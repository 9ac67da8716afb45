"""From 8 to 16 kHz and back: a half-band filter that goes on from packet to packet.

``audioop`` multiplies and adds in C, so that a filter of 39 taps costs 16 us for 20 ms; its own ``ratecv`` draws
straight lines between samples, which takes 3 dB from a tone of 3 kHz and mirrors it above 4 kHz.
"""

from __future__ import annotations

import audioop
import math
from typing import Final, Protocol

NARROW: Final = 8000
WIDE: Final = 16000
"""Samples a second of the sound of telephones, and of wide-band ones."""

# Taps on each side of a sample that is made. Sound up to 3.4 kHz keeps its level to 0.1 dB, what lies above 4.6 kHz is
# 50 dB lower.
_REACH: Final = 10
_BETA: Final = 4.5  # of the Kaiser window

# 32-bit sums have room for a quarter of full scale in each tap: sound at full scale is clipped at its end alone.
_ROOM: Final = 0.25


def _bessel(value: float) -> float:
    """The modified Bessel function of order 0, by its series."""
    total, term, index = 1.0, 1.0, 1
    while term > 1e-12 * total:
        term *= (value / (2 * index)) ** 2
        total += term
        index += 1
    return total


def _taps() -> tuple[float, ...]:
    """The weights of the samples half a step away, one and a half, and so on: the same to both sides."""
    offsets = [index + 0.5 for index in range(_REACH)]
    window = [_bessel(_BETA * math.sqrt(1 - (offset / _REACH) ** 2)) / _bessel(_BETA) for offset in offsets]
    taps = [
        math.sin(math.pi * offset) / (math.pi * offset) * each for offset, each in zip(offsets, window, strict=True)
    ]
    return tuple(tap / (2 * sum(taps)) for tap in taps)


_TAPS: Final = _taps()


class Resampler(Protocol):
    """Sound (16 bit, little endian, mono) at another rate, packet after packet."""

    def resample(self, pcm: bytes) -> bytes:
        """The next packet's sound at the other rate; it lags by 1.25 ms."""
        ...


class Doubler:
    """8 kHz to 16 kHz."""

    __slots__ = ("_former",)

    def __init__(self) -> None:
        self._former = bytes(2 * (2 * _REACH - 1))

    def resample(self, pcm: bytes) -> bytes:
        """The same sound at 16 kHz."""
        sound = self._former + pcm
        self._former = sound[len(pcm) :]
        between = audioop.lin2lin(audioop.mul(_between(sound), 4, 1 / _ROOM), 4, 2)
        # Every second sample is one that came, every other one lies between two of them.
        came = sound[2 * (_REACH - 1) : 2 * (_REACH - 1) + len(pcm)]
        return audioop.add(audioop.tostereo(came, 2, 1, 0), audioop.tostereo(between, 2, 0, 1), 2)


class Halver:
    """16 kHz to 8 kHz, an even number of samples at a time."""

    __slots__ = ("_came", "_former")

    def __init__(self) -> None:
        self._former = bytes(2 * (2 * _REACH - 1))
        self._came = bytes(2 * (_REACH - 1))

    def resample(self, pcm: bytes) -> bytes:
        """The same sound at 8 kHz."""
        came = self._came + audioop.tomono(pcm, 2, 1, 0)
        sound = self._former + audioop.tomono(pcm, 2, 0, 1)
        size = len(pcm) // 2
        self._came, self._former = came[size:], sound[size:]
        middle = audioop.mul(audioop.lin2lin(came[:size], 2, 4), 4, _ROOM)
        return audioop.lin2lin(audioop.mul(audioop.add(middle, _between(sound), 4), 4, 0.5 / _ROOM), 4, 2)


def resampler(rate: int, to: int) -> Resampler | None:
    """What takes sound of one rate to another; None when they are the same. Raises ValueError for other rates."""
    if rate == to:
        return None
    if (rate, to) == (NARROW, WIDE):
        return Doubler()
    if (rate, to) == (WIDE, NARROW):
        return Halver()
    raise ValueError(f"no sound is taken from {rate} Hz to {to} Hz")


def _between(sound: bytes) -> bytes:
    """The samples half-way between those of ``sound``, without ``2 * _REACH - 1`` of them; 32 bit, with room."""
    wide = audioop.mul(audioop.lin2lin(sound, 2, 4), 4, _ROOM)
    size = len(wide) - 4 * (2 * _REACH - 1)
    total = b""
    for index, tap in enumerate(_TAPS):
        before, after = 4 * (_REACH - 1 - index), 4 * (_REACH + index)
        pair = audioop.add(wide[before : before + size], wide[after : after + size], 4)
        weighed = audioop.mul(pair, 4, tap)
        total = audioop.add(total, weighed, 4) if index else weighed
    return total
