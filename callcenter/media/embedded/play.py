"""Play: what is played to a peer, packet by packet."""

from __future__ import annotations

from typing import Final

from callcenter.media.embedded.clips import FRAME_MS, LoadedClip
from callcenter.rtp.codecs import AudioCodec

_STEP_MS: Final = 10


class Play:
    """Clips one after the other; from ``start`` seconds into them on."""

    __slots__ = ("_at", "_clips", "_index", "_loop", "number")

    def __init__(self, number: int, clips: list[LoadedClip], loop: bool, start: float = 0.0) -> None:
        self.number = number
        self._clips = clips
        self._loop = loop
        self._index = 0
        # In steps, into the clip.
        self._at = round(start * 1000 / FRAME_MS) * FRAME_MS // _STEP_MS
        if loop:
            self._at %= sum(map(_steps, clips)) or 1
        while self._index < len(clips) and self._at >= _steps(clips[self._index]):
            self._at -= _steps(clips[self._index])
            self._index += 1

    def next_packet(self, codec: AudioCodec | None, ms: int) -> bytes | None:
        """The next ``ms`` (whole tens), empty without a codec; the last ones may be fewer. None at the end.

        Of a codec whose packets are one whole each, a frame.
        """
        if codec is not None and codec.octets is None:
            ms = FRAME_MS
        parts = []
        while ms > 0 and (clip := self._clip()) is not None:
            steps = min(ms // _STEP_MS, _steps(clip) - self._at)
            parts.append(b"" if codec is None else clip.cut(codec, self._at * _STEP_MS, steps * _STEP_MS))
            self._at += steps
            ms -= steps * _STEP_MS
        return b"".join(parts) if parts else None

    def _clip(self) -> LoadedClip | None:
        """The clip whose turn it is; None at the end of all."""
        for _ in range(2):
            while self._index < len(self._clips):
                clip = self._clips[self._index]
                if self._at < _steps(clip):
                    return clip
                self._index, self._at = self._index + 1, 0
            if self._loop:
                self._index = 0
        return None


def _steps(clip: LoadedClip) -> int:
    return clip.frames * FRAME_MS // _STEP_MS
