"""Sounds to try codecs with, and how loud they are."""

from __future__ import annotations

import audioop
import math
from array import array
from collections.abc import Callable


def tone(hertz: float, rate: int, ms: int, amplitude: float = 8000.0) -> bytes:
    """A pure tone: 16 bit, little endian, mono."""
    turn = 2 * math.pi * hertz / rate
    return array("h", (round(amplitude * math.sin(turn * index)) for index in range(rate * ms // 1000))).tobytes()


def packets(pcm: bytes, rate: int, ms: int) -> list[bytes]:
    """The sound in pieces of so many milliseconds."""
    size = 2 * rate * ms // 1000
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def through(work: Callable[[bytes], bytes], pcm: bytes, rate: int, ms: int = 20) -> bytes:
    """The sound, worked on packet after packet."""
    return b"".join(map(work, packets(pcm, rate, ms)))


def decibels(sound: bytes, reference: bytes) -> float:
    """How much louder a sound is than the other, as RMS."""
    return 20 * math.log10(max(0.1, audioop.rms(sound, 2)) / max(0.1, audioop.rms(reference, 2)))


def height(pcm: bytes, rate: int, hertz: float) -> float:
    """The amplitude of one frequency in a sound."""
    samples = array("h", pcm)
    turn = 2 * math.pi * hertz / rate
    real = sum(sample * math.cos(turn * index) for index, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * index) for index, sample in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)
