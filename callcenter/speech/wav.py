"""WAV files: read any usual kind, write sound for the line (8 or 16 kHz, mono, 16 bit)."""

from __future__ import annotations

import audioop
import os
import struct
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
"""Samples a second of telephone sound."""

WIDE_RATE = 16_000
"""Of wide-band sound: it is made 8 kHz where a peer has no wide-band codec."""

MAX_BYTES = 64 << 20
"""A recording that is larger is no prompt: ten minutes of 48 kHz stereo are 115 MB, of 16 kHz mono 19 MB."""

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE

CONVERT = "convert it: ffmpeg -i FILE -ar 16000 -ac 1 -c:a pcm_s16le NAME.wav"


class UnreadableSound(Exception):
    """The file cannot be used as sound: ``reason`` says why, ``hint`` what to do."""

    def __init__(self, path: Path, reason: str, hint: str = CONVERT) -> None:
        super().__init__(f"{path}: {reason}; {hint}")
        self.path = path
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples of 16 bit, ``rate`` of them a second."""

    rate: int
    samples: array[int]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header of a WAV file tells."""

    kind: int
    channels: int
    rate: int
    bits: int
    start: int
    length: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.length / (self.rate * self.channels * (self.bits // 8))

    @property
    def for_the_line(self) -> bool:
        """Whether the media plane takes it as it is."""
        return (self.kind, self.channels, self.bits) == (PCM, 1, 16) and self.rate in (RATE, WIDE_RATE)


def probe(path: Path) -> Shape:
    """Read the header alone. Raises UnreadableSound."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(12)
            if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
                raise UnreadableSound(path, f"it is not a WAV file{_looks_like(head)}")
            if size > MAX_BYTES:
                raise UnreadableSound(path, f"it is larger than {MAX_BYTES >> 20} MB", "shorten or convert it")
            form: tuple[int, int, int, int] | None = None
            while len(chunk := file.read(8)) == 8:
                name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
                if name == b"fmt ":
                    form = _form(path, file.read(length))
                elif name == b"data":
                    if form is None:
                        break
                    start = file.tell()
                    # A recorder that was cut off, or that wrote to a pipe, leaves a length that is not true.
                    return _shape(path, form, start, min(length, size - start))
                else:
                    file.seek(length, os.SEEK_CUR)
                if length % 2:
                    file.seek(1, os.SEEK_CUR)
    except (OSError, ValueError) as error:  # ValueError: no name of a file, as with a zero byte in it
        raise UnreadableSound(path, getattr(error, "strerror", None) or str(error), "check the name") from error
    raise UnreadableSound(path, "the WAV file has no sound in it", "record it again")


def read(path: Path) -> Sound:
    """The sound of a WAV file: any rate, any channels (mixed down), PCM of 8 to 32 bit, float, A-law, mu-law.

    Raises UnreadableSound.
    """
    shape = probe(path)
    try:
        with path.open("rb") as file:
            file.seek(shape.start)
            raw = file.read(shape.length)
    except OSError as error:
        raise UnreadableSound(path, error.strerror or str(error), "check the name and the rights") from error
    width = shape.bits // 8
    raw = raw[: len(raw) - len(raw) % (width * shape.channels)]
    samples = array("h", _to_16_bit(raw, shape))
    if shape.channels > 1:
        count = shape.channels
        samples = array("h", (sum(samples[i : i + count]) // count for i in range(0, len(samples), count)))
    return Sound(shape.rate, samples)


def write(path: Path, sound: Sound) -> None:
    """Write a WAV file of 16 bit, whole or not at all. Raises OSError."""
    data = sound.samples.tobytes()
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, PCM, 1, sound.rate,
                         sound.rate * 2, 2, 16, b"data", len(data))  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".wav")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(header + data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _to_16_bit(raw: bytes, shape: Shape) -> bytes:
    match shape.kind, shape.bits:
        case 3, 32 | 64:
            values = array("f" if shape.bits == 32 else "d", raw)
            return array("h", (int(max(-1.0, min(1.0, value)) * 32767) for value in values)).tobytes()
        case 6, _:
            return audioop.alaw2lin(raw, 2)
        case 7, _:
            return audioop.ulaw2lin(raw, 2)
        case _, 8:
            return audioop.lin2lin(audioop.bias(raw, 1, -128), 1, 2)  # 8 bits are unsigned in a WAV file
        case _, 16:
            return raw
        case _:
            return audioop.lin2lin(raw, shape.bits // 8, 2)


def _form(path: Path, data: bytes) -> tuple[int, int, int, int]:
    if len(data) < 16:
        raise UnreadableSound(path, "its header is cut off", "record it again")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data[:16])
    if kind == EXTENSIBLE and len(data) >= 26:
        kind = struct.unpack("<H", data[24:26])[0]
    return kind, channels, rate, bits


def _shape(path: Path, form: tuple[int, int, int, int], start: int, length: int) -> Shape:
    kind, channels, rate, bits = form
    known = {PCM: (8, 16, 24, 32), FLOAT: (32, 64), ALAW: (8,), MULAW: (8,)}
    if bits not in known.get(kind, ()):
        raise UnreadableSound(path, f"its encoding (WAV format {kind}, {bits} bit) is not known")
    if not 1 <= channels <= 8 or not 4000 <= rate <= 192_000:
        raise UnreadableSound(path, f"{channels} channels at {rate} Hz cannot be used")
    if length < channels * bits // 8:
        raise UnreadableSound(path, "the WAV file has no sound in it", "record it again")
    return Shape(kind, channels, rate, bits, start, length)


def _looks_like(head: bytes) -> str:
    if head[:3] == b"ID3" or head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return " but an MP3"
    if head[:4] == b"OggS":
        return " but an Ogg file"
    if head[:4] == b"fLaC":
        return " but a FLAC file"
    return ""
