"""Clips: sound read from disk and encoded once per codec.

G.711 is made before a clip is first played, since it costs next to nothing. Other codecs are made when the first leg
of theirs plays the clip: a little before it begins, the rest while it plays, many times faster than it is heard.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from typing import Any, Final

from callcenter.media.plane import MediaError
from callcenter.media.wav import Wav, read_wav
from callcenter.rtp.codecs import CODECS, AudioCodec

FRAME_MS: Final = 20
"""Clips last whole frames."""

_OCTETS: Final = 2  # of a sample

# Encoding is done for so many seconds at a time; between two such turns the calls have theirs.
_TURN: Final = 0.0004

# Milliseconds of sound that are encoded before a clip is played.
_AHEAD: Final = 400

# What is made of every clip before it is played.
_AT_ONCE: Final = ("PCMU", "PCMA")

# Encoded sound kept at most: nearly three hours in two codecs. The clip unused for longest goes first.
MAX_KEPT: Final = 160 * 1024 * 1024


class _Encoded:
    """A clip's sound in one codec, as far as it is made."""

    __slots__ = ("_waiting", "codec", "failed", "ms", "octets", "packets", "size")

    def __init__(self, codec: AudioCodec) -> None:
        self.codec = codec
        self.octets: bytes | bytearray = bytearray()
        self.packets: list[bytes] = []
        """In place of octets where sound cannot be cut: one for each frame."""
        self.ms = 0
        """Milliseconds that are made."""
        self.size = 0
        self.failed: MediaError | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def until(self, ms: int) -> None:
        """Wait until so much is made. Raises MediaError when that will never be."""
        if self.failed is None and self.ms < ms:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((ms, future))
            await future
        if self.failed is not None:
            raise self.failed

    def tell(self) -> None:
        """Wake who waits for what is made by now."""
        due = [each for each in self._waiting if self.failed is not None or each[0] <= self.ms]
        for each in due:
            self._waiting.remove(each)
            if not each[1].done():
                each[1].set_result(None)

    def add(self, payload: bytes) -> None:
        """The next frame."""
        if self.codec.octets is None:
            self.packets.append(payload)
        else:
            self.octets += payload
        self.size += len(payload)
        self.ms += FRAME_MS


class LoadedClip:
    """Sound in whole frames of 20 ms, by codec."""

    __slots__ = ("_clips", "encoded", "frames", "path", "stamp")

    def __init__(self, clips: Clips, path: str, frames: int, stamp: tuple[int, int]) -> None:
        self._clips = clips
        self.path = path
        self.frames = frames
        self.stamp = stamp
        self.encoded: dict[str, _Encoded] = {}

    def __repr__(self) -> str:
        return f"<LoadedClip {self.path} {self.frames * FRAME_MS} ms {', '.join(self.encoded)}>"

    @property
    def size(self) -> int:
        """Octets kept."""
        return sum(encoded.size for encoded in self.encoded.values())

    def is_made(self, codec: AudioCodec, start: int = 0) -> bool:
        """Whether it can be played in this codec from ``start`` (ms) on."""
        encoded = self.encoded.get(codec.name)
        return encoded is not None and encoded.ms >= _needed(self, start)

    def cut(self, codec: AudioCodec, start: int, ms: int) -> bytes:
        """The payload of ``ms`` milliseconds of it, from ``start`` (ms) on; of Opus the one frame that begins there.

        What is not made yet, because the peer has just changed its codec, is silent.
        """
        encoded = self.encoded.get(codec.name)
        if encoded is not None and start + ms <= encoded.ms:
            if codec.octets is None:
                return encoded.packets[start // FRAME_MS]
            return bytes(encoded.octets[start * codec.octets : (start + ms) * codec.octets])
        if encoded is None:
            self._clips.begin(self, codec)
        return codec.silence(codec.sample_rate * ms // 1000)


class Clips:
    """The clips of one worker, which uses these ``codecs``."""

    def __init__(self, codecs: tuple[str, ...]) -> None:
        self._at_once = tuple(CODECS[name] for name in codecs if name in _AT_ONCE)
        self._kept: dict[str, LoadedClip] = {}
        self._size = 0
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, path: str) -> LoadedClip | None:
        """The clip if it is loaded."""
        clip = self._kept.pop(path, None)
        if clip is not None:
            self._kept[path] = clip  # now the latest used
        return clip

    async def load(self, path: str) -> LoadedClip:
        """Read and encode the clip, anew if the file has changed. Raises MediaError naming the file."""
        stamp = _stamp(path)
        clip = self.get(path)
        return clip if clip is not None and clip.stamp == stamp else await self._read(path, stamp)

    async def make(self, clip: LoadedClip, codec: AudioCodec, start: int = 0) -> None:
        """Make so much of the clip in this codec that it can be played from ``start`` (ms) on.

        The rest follows by itself. Raises MediaError naming the file when that is not to be read any more.
        """
        await self.begin(clip, codec).until(_needed(clip, start))

    def begin(self, clip: LoadedClip, codec: AudioCodec) -> _Encoded:
        """Make the clip in this codec, beside the calls."""
        encoded = clip.encoded.get(codec.name)
        if encoded is None:
            encoded = clip.encoded[codec.name] = _Encoded(codec)
            self._start(self._make(clip, encoded))
        return encoded

    async def _read(self, path: str, stamp: tuple[int, int]) -> LoadedClip:
        wav = await _beside(path)
        octets = _OCTETS * wav.rate * FRAME_MS // 1000
        clip = LoadedClip(self, path, -(-len(wav.pcm) // octets), stamp)
        for codec in self._at_once:
            encoded = clip.encoded[codec.name] = _Encoded(codec)
            await self._encode(clip, encoded, wav)
        former = self._kept.pop(path, None)
        self._size += clip.size - (former.size if former else 0)
        self._kept[path] = clip
        self._forget()
        return clip

    async def _make(self, clip: LoadedClip, encoded: _Encoded) -> None:
        try:
            await self._encode(clip, encoded, await _beside(clip.path))
        except MediaError as error:
            encoded.failed = error  # the file is gone: in this codec it is silent
            encoded.tell()
            return
        if self._kept.get(clip.path) is clip:
            self._size += encoded.size
            self._forget()

    async def _encode(self, clip: LoadedClip, encoded: _Encoded, wav: Wav) -> None:
        """Encode the sound in turns, one clip's at a time."""
        encoder = encoded.codec.encoder(wav.rate)
        size, at, end = _OCTETS * wav.rate * FRAME_MS // 1000, 0, clip.frames * FRAME_MS
        while encoded.ms < end:
            async with self._turn:
                until = time.monotonic() + _TURN
                while encoded.ms < end and time.monotonic() < until:
                    encoded.add(encoder.encode(wav.pcm[at : at + size].ljust(size, b"\0")))
                    at += size
                encoded.tell()
                await asyncio.sleep(0)
        encoded.octets = bytes(encoded.octets)

    def _forget(self) -> None:
        while self._size > MAX_KEPT and len(self._kept) > 1:
            self._size -= self._kept.pop(next(iter(self._kept))).size

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _beside(path: str) -> Wav:
    """Read a file in a thread: what is long would stop the calls. Raises MediaError."""
    return await asyncio.get_running_loop().run_in_executor(None, read_wav, path)


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


def _needed(clip: LoadedClip, start: int) -> int:
    """Milliseconds that must be made before it is played from ``start`` on; what is played in a loop goes round."""
    length = clip.frames * FRAME_MS
    return min(start % length + _AHEAD, length)
