"""WAV files as the media plane takes them: 8 or 16 kHz, mono, 16 bit."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from callcenter.media.plane import MediaError

_FORMAT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
# More of a format is not read than those that are known have.
_LONGEST_FORMAT: Final = 64

RATES: Final = (8000, 16000)
"""Samples a second: telephone sound, or wide-band."""

MAX_SECONDS: Final = 3600
"""What is longer is no prompt, and would fill the workers' memory."""


@dataclass(frozen=True, slots=True)
class Wav:
    """The samples (16 bit, little endian) of a file, ``rate`` a second."""

    rate: int
    pcm: bytes


def read_wav(path: str) -> Wav:
    """The sound of a file. Raises MediaError naming the file and what is wrong with it.

    It takes milliseconds for minutes of sound, nearly all of them without the interpreter's lock.
    """
    try:
        with open(path, "rb") as file:
            return _read(path, file)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error


def _read(path: str, file: BinaryIO) -> Wav:
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise MediaError(f"{path}: is no WAV file")
    rate = 0
    while len(chunk := file.read(8)) == 8:
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        end = file.tell() + size + (size & 1)
        if name == b"fmt ":
            rate = _check_format(path, file.read(min(size, _LONGEST_FORMAT)))
        elif name == b"data":
            if not rate:
                raise MediaError(f"{path}: is a WAV file without a format")
            # A stream of unknown length has the size 0xFFFFFFFF; a cut file less than it says.
            most = MAX_SECONDS * rate * 2
            samples = file.read(min(size, most + 2))
            if not samples:
                raise MediaError(f"{path}: holds no sound")
            if len(samples) > most:
                raise MediaError(f"{path}: is longer than an hour")
            return Wav(rate, samples if len(samples) % 2 == 0 else samples[:-1])
        file.seek(end, os.SEEK_SET)
    raise MediaError(f"{path}: holds no sound")


def _check_format(path: str, data: bytes) -> int:
    """The rate. Raises MediaError for any other form."""
    if len(data) < _FORMAT.size:
        raise MediaError(f"{path}: its WAV format is cut")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(data)
    if tag == _EXTENSIBLE and len(data) >= 26:
        tag = int.from_bytes(data[24:26], "little")
    if (tag, channels, bits) != (_PCM, 1, 16) or rate not in RATES:
        kind = "PCM" if tag == _PCM else f"format {tag}"
        found = f"{rate} Hz, {channels} channel{'s' if channels != 1 else ''}, {bits} bit, {kind}"
        raise MediaError(f"{path}: must be 8000 or 16000 Hz, mono, 16 bit, PCM, but is {found}")
    return int(rate)
