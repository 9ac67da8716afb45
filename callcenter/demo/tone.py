"""Tones that stand for voices: who hears 440 Hz hears the caller, who hears 660 Hz the agent."""

from __future__ import annotations

import math
from collections.abc import Sequence

RATE = 8000
"""Samples a second, 16 bit."""

# Of the energy that is heard, so much must lie at the tone: a prompt or music has its energy spread.
MOST_OF_IT = 0.5
# Root mean square below which it is silence (of 32767).
SILENCE = 100.0


def tone(hz: float, seconds: float, *, loudness: float = 0.2) -> list[int]:
    """Samples of a tone; ``loudness`` is the share of full scale."""
    step = 2 * math.pi * hz / RATE
    return [round(32767 * loudness * math.sin(step * at)) for at in range(round(seconds * RATE))]


def loud(samples: Sequence[int]) -> bool:
    """Whether there is any sound."""
    return bool(samples) and math.sqrt(sum(sample * sample for sample in samples) / len(samples)) > SILENCE


def hears(samples: Sequence[int], hz: float) -> bool:
    """Whether the samples (a tenth of a second or more) are the tone (Goertzel's algorithm)."""
    if not loud(samples):
        return False
    factor = 2 * math.cos(2 * math.pi * hz / RATE)
    last = before = 0.0
    energy = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
        energy += sample * sample
    at_tone = (last * last + before * before - factor * last * before) * 2 / len(samples)
    return at_tone / energy > MOST_OF_IT
