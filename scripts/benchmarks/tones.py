"""Tones as the frames of 20 ms that a telephone sends: for whoever must decode what it hears."""

from __future__ import annotations

import math
from array import array

from G722 import G722

FRAME = 0.02
_AMPLITUDE = 8000
# Of mu-law: the bias, and the largest magnitude that is not clipped (G.711).
_BIAS, _CLIP = 0x84, 32635


def pcmu(hertz: int, seconds: float = 1.0) -> list[bytes]:
    """A tone in G.711 mu-law."""
    return _frames(bytes(map(_ulaw, samples(hertz, seconds, 8000))))


def g722(hertz: int, seconds: float = 1.0) -> list[bytes]:
    """A tone in G.722 at 64 kbit/s."""
    return _frames(bytes(G722(16000, 64000).encode(samples(hertz, seconds, 16000))))


def level(payload: bytes, hertz: int) -> float:
    """How strong a tone is in a frame of mu-law: its amplitude as a share of what :func:`pcmu` sends."""
    turn = math.tau * hertz / 8000
    real = sum(_ULAW_SAMPLES[octet] * math.cos(turn * at) for at, octet in enumerate(payload))
    imaginary = sum(_ULAW_SAMPLES[octet] * math.sin(turn * at) for at, octet in enumerate(payload))
    return 2 * math.hypot(real, imaginary) / max(1, len(payload)) / _AMPLITUDE


def samples(hertz: int, seconds: float, rate: int) -> array[int]:
    """A tone as 16-bit samples."""
    count = round(seconds * rate)
    return array("h", (round(_AMPLITUDE * math.sin(math.tau * hertz * at / rate)) for at in range(count)))


def _frames(encoded: bytes) -> list[bytes]:
    return [encoded[at : at + 160] for at in range(0, len(encoded), 160)]


def _ulaw(sample: int) -> int:
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, _CLIP) + _BIAS
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | magnitude >> segment + 3 & 0x0F) & 0xFF


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS << (code >> 4 & 7)) - _BIAS
    return -magnitude if code & 0x80 else magnitude


_ULAW_SAMPLES = tuple(map(_ulaw_sample, range(256)))
