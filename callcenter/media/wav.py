"""WAV files as the media plane takes them: 8 kHz, mono, 16 bit."""

from __future__ import annotations

import struct
from typing import Final

from callcenter.media.plane import MediaError
from callcenter.rtp.g711 import SAMPLE_RATE

_FORMAT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE

# An hour: what is longer is no prompt, and would fill the workers' memory.
MAX_OCTETS: Final = 3600 * SAMPLE_RATE * 2


def read_wav(path: str) -> bytes:
    """The samples (16 bit, little endian) of a file. Raises MediaError naming the file and what is wrong with it."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_OCTETS + 65536)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise MediaError(f"{path}: is no WAV file")
    at, known = 12, False
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt ":
            _check_format(path, data[at : at + size])
            known = True
        elif name == b"data":
            if not known:
                raise MediaError(f"{path}: is a WAV file without a format")
            # A stream of unknown length has the size 0xFFFFFFFF; a cut file less than it says.
            samples = data[at : at + size]
            if not samples:
                raise MediaError(f"{path}: holds no sound")
            if len(samples) > MAX_OCTETS:
                raise MediaError(f"{path}: is longer than an hour")
            return samples[: len(samples) & ~1]
        at += size + (size & 1)
    raise MediaError(f"{path}: holds no sound")


def _check_format(path: str, data: bytes) -> None:
    if len(data) < _FORMAT.size:
        raise MediaError(f"{path}: its WAV format is cut")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(data)
    if tag == _EXTENSIBLE and len(data) >= 26:
        tag = int.from_bytes(data[24:26], "little")
    if (tag, channels, rate, bits) != (_PCM, 1, SAMPLE_RATE, 16):
        kind = "PCM" if tag == _PCM else f"format {tag}"
        found = f"{rate} Hz, {channels} channel{'s' if channels != 1 else ''}, {bits} bit, {kind}"
        raise MediaError(f"{path}: must be 8000 Hz, mono, 16 bit, PCM, but is {found}")
