"""Clips: sound read from disk and encoded once per codec, before it is played."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from callcenter.media.plane import MediaError
from callcenter.media.wav import read_wav
from callcenter.rtp.codecs import AudioCodec
from callcenter.rtp.g711 import (
    ALAW_SILENCE,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    ULAW_SILENCE,
    encode_alaw,
    encode_ulaw,
)

_CODECS: Final[dict[str, tuple[Callable[[bytes], bytes], int]]] = {
    "PCMU": (encode_ulaw, ULAW_SILENCE),
    "PCMA": (encode_alaw, ALAW_SILENCE),
}

# Encoding one second takes 0.4 ms a codec; between two the calls have their turn.
_CHUNK: Final = SAMPLE_RATE * 2

# Encoded sound kept at most: nearly three hours in two codecs. The clip unused for longest goes first.
MAX_KEPT: Final = 160 * 1024 * 1024


class LoadedClip:
    """Sound in whole frames of 20 ms, by codec."""

    __slots__ = ("encoded", "frames", "stamp")

    def __init__(self, encoded: dict[str, bytes], stamp: tuple[int, int]) -> None:
        self.encoded = encoded
        self.frames = len(next(iter(encoded.values()))) // FRAME_SAMPLES
        self.stamp = stamp

    def cut(self, codec: AudioCodec, start: int, ms: int) -> bytes:
        """The payload of ``ms`` milliseconds of it, from ``start`` (ms) on."""
        assert codec.octets is not None, "sound of this codec is not cut"
        return self.encoded[codec.name][start * codec.octets : (start + ms) * codec.octets]

    @property
    def size(self) -> int:
        """Octets kept."""
        return sum(map(len, self.encoded.values()))


class Clips:
    """The clips of one worker."""

    def __init__(self, codecs: tuple[str, ...]) -> None:
        self._codecs = codecs
        self._kept: dict[str, LoadedClip] = {}
        self._size = 0

    def get(self, path: str) -> LoadedClip | None:
        """The clip if it is loaded."""
        clip = self._kept.pop(path, None)
        if clip is not None:
            self._kept[path] = clip  # now the latest used
        return clip

    async def load(self, path: str) -> LoadedClip:
        """Read and encode the clip, anew if the file has changed. Raises MediaError naming the file."""
        try:
            status = os.stat(path)
        except OSError as error:
            raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
        stamp = (status.st_mtime_ns, status.st_size)
        clip = self.get(path)
        if clip is not None and clip.stamp == stamp:
            return clip
        pcm = read_wav(path)
        encoded = {}
        for codec in self._codecs:
            encode, silence = _CODECS[codec]
            parts = []
            for start in range(0, len(pcm), _CHUNK):
                parts.append(encode(pcm[start : start + _CHUNK]))
                await asyncio.sleep(0)
            data = b"".join(parts)
            encoded[codec] = data + bytes((silence,)) * (-len(data) % FRAME_SAMPLES)
        clip = LoadedClip(encoded, stamp)
        self._keep(path, clip)
        return clip

    def _keep(self, path: str, clip: LoadedClip) -> None:
        former = self._kept.pop(path, None)
        self._size += clip.size - (former.size if former else 0)
        self._kept[path] = clip
        while self._size > MAX_KEPT and len(self._kept) > 1:
            self._size -= self._kept.pop(next(iter(self._kept))).size
