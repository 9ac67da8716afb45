"""G.711: mu-law and A-law by tables, to and from 16-bit samples and from one to the other.

The tables are laid out as runs, one run a code, so that they cost microseconds at import; encoding looks a sample up.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final

SAMPLE_RATE: Final = 8000
FRAME_SAMPLES: Final = 160
"""Samples, and octets, of 20 ms."""


def _ulaw_encoding() -> bytes:
    # 14-bit magnitudes 0..8192; code k covers a run of them, twice as long with each segment (G.711 table 2a). Code 0
    # holds magnitude 0 alone, which a negative sample never has (-1 >> 2 is -1); the last code takes what is clipped.
    runs = [1] + [2 << (code >> 4) for code in range(1, 127)]
    start = sum(runs)
    positive = b"".join(bytes((~code & 0xFF,)) * (run * 4) for code, run in enumerate([*runs, 8192 - start]))
    negative = b"".join(bytes((~code & 0x7F,)) * (run * 4) for code, run in enumerate([0, *runs[1:], 8193 - start]))
    return positive + negative[::-1]


def _alaw_encoding() -> bytes:
    # 13-bit magnitudes 0..4095, every even bit inverted (G.711 table 1a); the first two segments have the same step.
    runs = [1 << max(1, code >> 4) for code in range(128)]
    positive = b"".join(bytes((code ^ 0xD5,)) * (run * 8) for code, run in enumerate(runs))
    negative = b"".join(bytes((code ^ 0x55,)) * (run * 8) for code, run in enumerate(runs))
    return positive + negative[::-1]


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    segment, step = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = step + 8 if segment == 0 else (step + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


# Indexed by the sample taken as an unsigned 16-bit number.
_ULAW: Final = _ulaw_encoding()
_ALAW: Final = _alaw_encoding()
ULAW_SAMPLES: Final = tuple(map(_ulaw_sample, range(256)))
ALAW_SAMPLES: Final = tuple(map(_alaw_sample, range(256)))

ULAW_TO_ALAW: Final = bytes(_ALAW[sample & 0xFFFF] for sample in ULAW_SAMPLES)
ALAW_TO_ULAW: Final = bytes(_ULAW[sample & 0xFFFF] for sample in ALAW_SAMPLES)
"""For ``bytes.translate``."""

ULAW_SILENCE: Final = 0xFF
ALAW_SILENCE: Final = 0xD5


def encode_ulaw(pcm: bytes) -> bytes:
    """Mu-law of 16-bit little-endian samples."""
    return _encode(pcm, _ULAW)


def encode_alaw(pcm: bytes) -> bytes:
    """A-law of 16-bit little-endian samples."""
    return _encode(pcm, _ALAW)


def decode_ulaw(data: bytes) -> bytes:
    """16-bit little-endian samples of mu-law."""
    return _decode(data, ULAW_SAMPLES)


def decode_alaw(data: bytes) -> bytes:
    """16-bit little-endian samples of A-law."""
    return _decode(data, ALAW_SAMPLES)


def _encode(pcm: bytes, table: bytes) -> bytes:
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(table.__getitem__, samples))


def _decode(data: bytes, table: tuple[int, ...]) -> bytes:
    samples = array("h", map(table.__getitem__, data))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
