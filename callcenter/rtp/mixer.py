"""Mixing: the sum of what several say, and one sound made to go over into another. 16 bit, little endian, mono."""

from __future__ import annotations

import audioop
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_OCTETS: Final = 2  # of a sample

# A cross-fade goes in so many steps, each so much louder or softer that no step is heard.
_STEPS: Final = 16


def mix(sounds: Sequence[bytes]) -> bytes:
    """The sum of sounds of equal length, none of which is empty. It is clipped where it is louder than can be said, one
    addend after the other, and never wraps.
    """
    total = sounds[0]
    for sound in sounds[1:]:
        total = audioop.add(total, sound, _OCTETS)
    return total


def fade(earlier: bytes, later: bytes) -> bytes:
    """Sound that begins as ``earlier`` and ends as ``later``; of their length, which is the same."""
    samples = len(earlier) // _OCTETS
    parts = []
    for start, end, gain in _steps(samples):
        softer = audioop.mul(earlier[start:end], _OCTETS, 1 - gain)
        parts.append(audioop.add(softer, audioop.mul(later[start:end], _OCTETS, gain), _OCTETS))
    return b"".join(parts)


@lru_cache(16)
def _steps(samples: int) -> tuple[tuple[int, int, float], ...]:
    """Where each step of a fade begins and ends, in octets, and how loud the later sound is in it."""
    edges = [_OCTETS * (samples * step // _STEPS) for step in range(_STEPS + 1)]
    return tuple((edges[step], edges[step + 1], (step + 0.5) / _STEPS) for step in range(_STEPS))
