"""Sealed recordings: sound encrypted at rest, in chunks that are each complete, at their place, and of their file.

The file is a header and chunks. The header says how the sound is encoded, names the master key (by an id that tells
nothing of it), and holds the file's own data key, wrapped by the master key. Each chunk is AES-256-GCM under the data
key; its nonce is its number and whether it is the last, and the header is authenticated with it. So a chunk that was
edited, moved, doubled, left out, or taken from another file does not open; a file without its last chunk is known to be
cut, and is good up to its last whole chunk. (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015.)

Samples are stored as in a WAV file, without its header: this one says the same.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcenter.media.embedded.recorder.keys import MasterKeys, key_id
from callcenter.media.plane import RecordingEncoding

MAGIC: Final = b"CCSEALED"
_VERSION: Final = 1
CHUNK: Final = 32 * 1024
"""Octets of sound in a chunk: a second of it, at 8 kHz."""
TAG: Final = 16

# Magic, version, encoding, channels, spare, samples a second, octets of a chunk, id of the master key.
_HEAD: Final = struct.Struct("<8sBBBxII8s")
_NONCE: Final = 12
_KEY: Final = 32
HEADER_SIZE: Final = _HEAD.size + _NONCE + _KEY + TAG
_CHUNK_NONCE: Final = struct.Struct(">QI")
_ENCODINGS: Final = (RecordingEncoding.PCM, RecordingEncoding.ULAW)
_CHANNELS: Final = 2


class SealError(Exception):
    """The file cannot be opened, or not further: one line that says why."""

    def __init__(self, detail: str, *, at_end: bool = False) -> None:
        super().__init__(detail)
        self.at_end = at_end
        """Whether only the end of the file is missing, or damaged."""


class KeyMissing(SealError):
    """None of the master keys at hand is the file's."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the sound of a recording is encoded."""

    encoding: RecordingEncoding
    rate: int
    """Samples a second."""

    @property
    def frame(self) -> int:
        """Octets of one sample of both channels."""
        return _CHANNELS * (2 if self.encoding is RecordingEncoding.PCM else 1)


class Sealer:
    """Seals the chunks of a new file."""

    def __init__(self, format: Format, master: bytes) -> None:
        data_key = os.urandom(_KEY)
        head = _HEAD.pack(
            MAGIC, _VERSION, _ENCODINGS.index(format.encoding), _CHANNELS, format.rate, CHUNK, key_id(master)
        )
        nonce = os.urandom(_NONCE)
        self.header = head + nonce + AESGCM(master).encrypt(nonce, data_key, head)
        """What the file begins with."""
        self._cipher = AESGCM(data_key)
        self._next = 0

    def seal(self, sound: bytes, *, last: bool = False) -> bytes:
        """The next chunk: CHUNK octets of sound; the last one has less, or none."""
        assert len(sound) < CHUNK if last else len(sound) == CHUNK, "only the last chunk is short"
        chunk = self._cipher.encrypt(_CHUNK_NONCE.pack(self._next, last), sound, self.header)
        self._next += 1
        return chunk

    def take_back(self) -> None:
        """The latest chunk was not stored: only the last one may have its number (another nonce)."""
        self._next -= 1


class Opened:
    """A sealed file that is read. Raises SealError, KeyMissing, OSError."""

    def __init__(self, file: BinaryIO, keys: MasterKeys) -> None:
        header = file.read(HEADER_SIZE)
        if header[: len(MAGIC)] != MAGIC:
            raise SealError("is no sealed recording")
        if len(header) < HEADER_SIZE:
            raise SealError("is cut within its header")
        head, nonce, wrapped = header[: _HEAD.size], header[_HEAD.size :][:_NONCE], header[_HEAD.size + _NONCE :]
        _, version, encoding, channels, rate, chunk, name = _HEAD.unpack(head)
        if version != _VERSION or encoding >= len(_ENCODINGS) or channels != _CHANNELS or chunk != CHUNK or not rate:
            raise SealError(f"is of a later version ({version}), or its header is damaged")
        master = keys.find(name)
        if master is None:
            raise KeyMissing(f"is sealed under the key {name.hex()}, which is not among those given ({keys})")
        try:
            data_key = AESGCM(master).decrypt(nonce, wrapped, head)
        except InvalidTag:
            raise SealError("was edited in its header") from None
        self.format = Format(_ENCODINGS[encoding], rate)
        self.chunks = 0
        """Chunks that have opened."""
        self.complete = False
        """Whether the last chunk has opened."""
        self._file = file
        self._header = header
        self._cipher = AESGCM(data_key)

    def sound(self) -> Iterator[bytes]:
        """The sound of each chunk. Raises SealError where it cannot go on; what came before is good. Goes once."""
        self._file.seek(HEADER_SIZE)
        self.chunks, self.complete = 0, False
        ahead = self._file.read(CHUNK + TAG)
        while ahead:
            chunk, ahead = ahead, self._file.read(CHUNK + TAG)
            last = len(chunk) < CHUNK + TAG
            try:
                sound = self._cipher.decrypt(_CHUNK_NONCE.pack(self.chunks, last), chunk, self._header)
            except InvalidTag:
                if not last:
                    raise SealError(f"was edited in its chunk {self.chunks}") from None
                raise SealError(f"is cut within its chunk {self.chunks}, or was edited there", at_end=True) from None
            self.chunks += 1
            self.complete = last
            yield sound
        if not self.complete:
            where = f"after its chunk {self.chunks - 1}" if self.chunks else "before its sound"
            raise SealError(f"is cut {where}", at_end=True)

    @property
    def octets(self) -> int:
        """Octets of sound in the file, by its size. Raises SealError when its end is missing, OSError."""
        stored = os.fstat(self._file.fileno()).st_size - HEADER_SIZE
        whole, rest = divmod(stored, CHUNK + TAG)
        if rest < TAG:
            raise SealError("is cut before its last chunk", at_end=True)
        return whole * CHUNK + rest - TAG

    def chunk(self, number: int) -> bytes:
        """The sound of one chunk, counted from 0, wherever it stands. Raises SealError, OSError."""
        self._file.seek(HEADER_SIZE + number * (CHUNK + TAG))
        stored = self._file.read(CHUNK + TAG)
        try:
            return self._cipher.decrypt(_CHUNK_NONCE.pack(number, len(stored) < CHUNK + TAG), stored, self._header)
        except (InvalidTag, ValueError):
            raise SealError(f"was edited in its chunk {number}, or is cut there") from None

    def whole_size(self) -> int:
        """Octets of header and whole chunks, as far as they have opened."""
        return HEADER_SIZE + self.chunks * (CHUNK + TAG)

    def last_chunk(self) -> bytes:
        """An empty last chunk, which finishes a file that was cut after ``chunks`` whole ones."""
        return self._cipher.encrypt(_CHUNK_NONCE.pack(self.chunks, True), b"", self._header)


def sha256_of(path: str) -> str:
    """The digest of a file as it is stored, hexadecimal digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
