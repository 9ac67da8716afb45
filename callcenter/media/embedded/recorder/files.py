"""The files that recordings are written to: WAV, or sealed. Good to read at any moment, whoever dies.

While it is written a file has ``.part`` behind its name, and is locked, so that nobody mends it meanwhile. Sound is
written first, the header that counts it then: what the header says is always there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final, Protocol

from callcenter.media.embedded.recorder.sealing import CHUNK, TAG, Format, Sealer, sha256_of
from callcenter.media.plane import RecordingEncoding

PART: Final = ".part"
WAV: Final = ".wav"
SEALED: Final = ".wav.sealed"

# Sizes in a WAV file have 32 bits.
MOST_OCTETS: Final = 0xFFFFFFFF - 4096

_CHANNELS: Final = 2
_PCM_TAG: Final = 1
_ULAW_TAG: Final = 7
_PCM_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHH 4sI")
# A format that is not PCM names the size of what more is said of it, and the samples stand in a chunk of their own.
_ULAW_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")
# Of both: the tag, channels, samples a second.
_FMT: Final = struct.Struct("<HHI")


class FileFull(Exception):
    """No more sound fits into a file of this format."""


def suffix(key: bytes | None) -> str:
    """What stands behind the name of a recording."""
    return WAV if key is None else SEALED


def wav_header(format: Format, octets: int) -> bytes:
    """The header of a WAV file with so many octets of sound."""
    rate, frame = format.rate, format.frame
    if format.encoding is RecordingEncoding.PCM:
        size = _PCM_HEADER.size - 8 + octets
        return _PCM_HEADER.pack(
            b"RIFF", size, b"WAVE",
            b"fmt ", 16, _PCM_TAG, _CHANNELS, rate, rate * frame, frame, 16,
            b"data", octets,
        )  # fmt: skip
    size = _ULAW_HEADER.size - 8 + octets
    return _ULAW_HEADER.pack(
        b"RIFF", size, b"WAVE",
        b"fmt ", 18, _ULAW_TAG, _CHANNELS, rate, rate * frame, frame, 8, 0,
        b"fact", 4, octets // frame,
        b"data", octets,
    )  # fmt: skip


def read_wav_header(head: bytes) -> tuple[Format, int] | None:
    """How the sound of a WAV file of ours is encoded, by its first octets, and where it begins; None: it is none."""
    if head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt " or len(head) < _PCM_HEADER.size:
        return None
    tag, channels, rate = _FMT.unpack_from(head, 20)
    if channels != _CHANNELS or not rate:
        return None
    kinds = {_PCM_TAG: (RecordingEncoding.PCM, _PCM_HEADER), _ULAW_TAG: (RecordingEncoding.ULAW, _ULAW_HEADER)}
    if tag not in kinds:
        return None
    encoding, header = kinds[tag]
    return Format(encoding, rate), header.size


class RecordingFile(Protocol):
    """A file that sound is written to. All of it raises OSError."""

    path: str
    """Its name once it is whole."""

    @property
    def seconds(self) -> float:
        """Length of the sound that is stored."""
        ...

    def write(self, sound: bytes) -> None:
        """Sound behind what is there: whole samples of both channels. Raises FileFull too."""
        ...

    def finish(self) -> tuple[int, str]:
        """Make it safe, nothing is written after that; returns octets and SHA-256 of what is stored."""
        ...

    def name(self) -> None:
        """Give the file that is finished its name."""
        ...

    def abandon(self) -> None:
        """Leave it as it is, with ``.part`` behind its name. May be called twice."""
        ...

    def discard(self) -> None:
        """Away with it: nothing was recorded."""
        ...


class _File:
    """What both kinds share."""

    def __init__(self, path: str) -> None:
        """Make the file, and the folders that it stands in. Raises OSError."""
        self.path = path
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._number = os.open(path + PART, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._end = 0

    def _begin(self, header: bytes) -> None:
        try:
            self._append(header)
        except OSError:
            self.discard()
            raise

    def _append(self, data: bytes) -> None:
        """Write at the end; when not all of it can be, what was written is counted and the error raised."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._number, left, self._end)
            self._end += written
            left = left[written:]

    def _settle(self) -> tuple[int, str]:
        os.ftruncate(self._number, self._end)
        os.fsync(self._number)
        return self._end, sha256_of(self.path + PART)

    def name(self) -> None:
        """Give it its name."""
        os.rename(self.path + PART, self.path)
        self.abandon()
        sync_folder(self.path)

    def abandon(self) -> None:
        """Close it."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def discard(self) -> None:
        """Close it, and take it away."""
        os.unlink(self.path + PART)
        self.abandon()


class WavFile(_File):
    """A WAV file of two channels."""

    def __init__(self, path: str, format: Format) -> None:
        super().__init__(path + WAV)
        self._format = format
        self._header = len(wav_header(format, 0))
        self._begin(wav_header(format, 0))

    @property
    def seconds(self) -> float:
        """Length of the sound that is stored."""
        return (self._end - self._header) / self._format.frame / self._format.rate

    def write(self, sound: bytes) -> None:
        """Sound behind what is there."""
        if self._end + len(sound) > MOST_OCTETS:
            raise FileFull("a WAV file holds no more")
        try:
            self._append(sound)
        finally:
            self._end -= (self._end - self._header) % self._format.frame
            os.pwrite(self._number, wav_header(self._format, self._end - self._header), 0)

    def finish(self) -> tuple[int, str]:
        """Make it safe."""
        return self._settle()


class SealedFile(_File):
    """A sealed file: sound waits until a chunk is full."""

    def __init__(self, path: str, format: Format, key: bytes) -> None:
        super().__init__(path + SEALED)
        self._format = format
        self._sealer = Sealer(format, key)
        self._stored = 0
        self._header = len(self._sealer.header)
        self._sound = bytearray()
        self._spoilt = False
        self._begin(self._sealer.header)

    @property
    def seconds(self) -> float:
        """Length of the sound that is stored."""
        return self._stored / self._format.frame / self._format.rate

    def write(self, sound: bytes) -> None:
        """Sound behind what is there."""
        if self._end + len(sound) > MOST_OCTETS:
            raise FileFull("a recording is no longer than this")
        self._sound += sound
        while len(self._sound) >= CHUNK:
            chunk = self._sealer.seal(bytes(self._sound[:CHUNK]))
            del self._sound[:CHUNK]
            try:
                self._append(chunk)
            except OSError:
                # Its number is used up: nothing may follow but the end, and what is there of it must go.
                self._end -= (self._end - self._header) % (CHUNK + TAG)
                os.ftruncate(self._number, self._end)
                self._spoilt = True
                raise
            self._stored += CHUNK

    def finish(self) -> tuple[int, str]:
        """Make it safe."""
        if self._spoilt:
            self._sealer.take_back()
            self._sound.clear()
        self._append(self._sealer.seal(bytes(self._sound), last=True))
        self._stored += len(self._sound)
        return self._settle()


def create(path: str, format: Format, key: bytes | None) -> RecordingFile:
    """The file for a recording: ``path`` and a suffix. Raises OSError."""
    return WavFile(path, format) if key is None else SealedFile(path, format, key)


def sync_folder(path: str) -> None:
    """Have the disk keep what the folder of ``path`` says now."""
    number = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
