"""Telephone sound from studio sound: resample, trim, bring to one loudness. Plain functions over samples."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import mul

from callcenter.speech.wav import RATE, Sound

TARGET_DBFS = -20.0
"""Loudness of speech while it speaks, as RMS: what handsets are made for, with room for its peaks."""

PEAK = 0.89
"""Highest sample after levelling, of full scale: G.711 distorts near its ends."""

FRAME = RATE // 50
SILENCE_DB = -42.0  # below the loudest frame; breath and room are under it
LEAD, TAIL = 2, 4  # frames of 20 ms left before and after the speech
PAUSE = 0.2  # seconds of silence behind it: one prompt follows another as one sentence does
CROSSINGS = 16  # of the resampler's sinc on each side: 60 dB and more of stop band


def telephone(sound: Sound) -> Sound:
    """The same sound at 8 kHz."""
    return sound if sound.rate == RATE else Sound(RATE, resample(sound.samples, sound.rate, RATE))


def spoken(sound: Sound) -> Sound:
    """Speech made ready for the line: 8 kHz, trimmed, one loudness, no click at the edges, a pause behind it."""
    return Sound(RATE, fade(levelled(trimmed(telephone(sound).samples))) + array("h", bytes(2 * int(PAUSE * RATE))))


def resample(samples: Sequence[int], rate: int, to: int) -> array[int]:
    """Samples at another rate: a windowed sinc, one row of taps for each phase."""
    step = math.gcd(rate, to)
    up, down = to // step, rate // step
    cut = min(1.0, to / rate) * 0.94  # of half the lower rate: nothing folds back into the band
    reach = math.ceil(CROSSINGS / cut)
    bank = []
    for phase in range(up):
        taps = [_tap(k - reach - phase / up, cut, reach) for k in range(2 * reach + 1)]
        gain = sum(taps)
        bank.append([tap / gain for tap in taps])
    width = 2 * reach + 1
    padded = [0] * reach + list(samples) + [0] * (reach + 1)
    result = array("h")
    for n in range(len(samples) * to // rate):
        start, phase = divmod(n * down, up)
        value = sum(map(mul, bank[phase], padded[start : start + width]))
        result.append(max(-32768, min(32767, round(value))))
    return result


def trimmed(samples: array[int]) -> array[int]:
    """Without the silence before and after the speech."""
    levels = frame_levels(samples)
    if not levels:
        return samples
    floor = max(levels) * 10 ** (SILENCE_DB / 20)
    loud = [index for index, level in enumerate(levels) if level > floor]
    if not loud:
        return samples
    return samples[max(0, loud[0] - LEAD) * FRAME : (loud[-1] + 1 + TAIL) * FRAME]


def levelled(samples: array[int], target: float = TARGET_DBFS) -> array[int]:
    """At the loudness ``target`` (dBFS, RMS while it sounds), as far as the peaks allow."""
    now = loudness(samples)
    if now == -math.inf:
        return samples
    peak = max(map(abs, samples)) / 32768
    gain = min(10 ** ((target - now) / 20), PEAK / peak)
    return array("h", (round(sample * gain) for sample in samples))


def loudness(samples: Sequence[int]) -> float:
    """RMS in dBFS over the frames that are not silent; -inf for silence."""
    levels = frame_levels(samples)
    top = max(levels, default=0.0)
    if not top:
        return -math.inf
    heard = [level for level in levels if level > top * 10 ** (-30 / 20)]
    return 20 * math.log10(math.sqrt(sum(level * level for level in heard) / len(heard)) / 32768)


def frame_levels(samples: Sequence[int]) -> list[float]:
    """RMS of each 20 ms of telephone sound."""
    return [
        math.sqrt(sum(sample * sample for sample in samples[at : at + FRAME]) / FRAME)
        for at in range(0, len(samples), FRAME)
    ]


def fade(samples: array[int], seconds: float = 0.005) -> array[int]:
    """Softened at both ends, so that nothing clicks."""
    count = min(int(seconds * RATE), len(samples) // 2)
    for index in range(count):
        samples[index] = samples[index] * index // count
        samples[-1 - index] = samples[-1 - index] * index // count
    return samples


def _tap(offset: float, cut: float, reach: int) -> float:
    if abs(offset) > reach:
        return 0.0
    window = 0.42 + 0.5 * math.cos(math.pi * offset / reach) + 0.08 * math.cos(2 * math.pi * offset / reach)
    angle = math.pi * offset * cut
    return window * (1.0 if angle == 0 else math.sin(angle) / angle)
