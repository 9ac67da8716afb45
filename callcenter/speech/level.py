"""Sound for the line from studio sound: resample, trim, bring to one loudness. Plain functions over samples."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import mul

from callcenter.speech.wav import RATE, WIDE_RATE, Sound

TARGET_DBFS = -20.0
"""Loudness of speech while it speaks, as RMS: what handsets are made for, with room for its peaks."""

PEAK = 0.89
"""Highest sample after levelling, of full scale: G.711 distorts near its ends."""

FRAMES = 50  # a second
SILENCE_DB = -42.0  # below the loudest frame; breath and room are under it
LEAD, TAIL = 2, 4  # frames of 20 ms left before and after the speech
PAUSE = 0.2  # seconds of silence behind it: one prompt follows another as one sentence does
CROSSINGS = 16  # of the resampler's sinc on each side: 60 dB and more of stop band


def for_the_line(sound: Sound, most: int = WIDE_RATE) -> Sound:
    """The same sound at 16 kHz if it has as much, and ``most`` allows it; else at 8 kHz."""
    rate = WIDE_RATE if min(sound.rate, most) >= WIDE_RATE else RATE
    return sound if sound.rate == rate else Sound(rate, resample(sound.samples, sound.rate, rate))


def spoken(sound: Sound, most: int = WIDE_RATE) -> Sound:
    """Speech made ready for the line: trimmed, one loudness, no click at the edges, a pause behind it."""
    ready = for_the_line(sound, most)
    rate = ready.rate
    heard = fade(levelled(trimmed(ready.samples, rate), rate=rate), rate=rate)
    return Sound(rate, heard + array("h", bytes(2 * int(PAUSE * rate))))


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


def trimmed(samples: array[int], rate: int = RATE) -> array[int]:
    """Without the silence before and after the speech."""
    levels, frame = frame_levels(samples, rate), rate // FRAMES
    if not levels:
        return samples
    floor = max(levels) * 10 ** (SILENCE_DB / 20)
    loud = [index for index, level in enumerate(levels) if level > floor]
    if not loud:
        return samples
    return samples[max(0, loud[0] - LEAD) * frame : (loud[-1] + 1 + TAIL) * frame]


def levelled(samples: array[int], target: float = TARGET_DBFS, rate: int = RATE) -> array[int]:
    """At the loudness ``target`` (dBFS, RMS while it sounds), as far as the peaks allow."""
    now = loudness(samples, rate)
    if now == -math.inf:
        return samples
    peak = max(map(abs, samples)) / 32768
    gain = min(10 ** ((target - now) / 20), PEAK / peak)
    return array("h", (round(sample * gain) for sample in samples))


def loudness(samples: Sequence[int], rate: int = RATE) -> float:
    """RMS in dBFS over the frames that are not silent; -inf for silence."""
    levels = frame_levels(samples, rate)
    top = max(levels, default=0.0)
    if not top:
        return -math.inf
    heard = [level for level in levels if level > top * 10 ** (-30 / 20)]
    return 20 * math.log10(math.sqrt(sum(level * level for level in heard) / len(heard)) / 32768)


def frame_levels(samples: Sequence[int], rate: int = RATE) -> list[float]:
    """RMS of each 20 ms."""
    frame = rate // FRAMES
    return [
        math.sqrt(sum(sample * sample for sample in samples[at : at + frame]) / frame)
        for at in range(0, len(samples), frame)
    ]


def fade(samples: array[int], seconds: float = 0.005, rate: int = RATE) -> array[int]:
    """Softened at both ends, so that nothing clicks."""
    count = min(int(seconds * rate), len(samples) // 2)
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
