"""Play: what is played to a peer, frame by frame."""

from __future__ import annotations

from callcenter.media.embedded.clips import LoadedClip
from callcenter.rtp.g711 import FRAME_SAMPLES


class Play:
    """Clips one after the other; from ``start`` seconds into them on."""

    __slots__ = ("_at", "_clips", "_index", "_loop", "number")

    def __init__(self, number: int, clips: list[LoadedClip], loop: bool, start: float = 0.0) -> None:
        self.number = number
        self._clips = clips
        self._loop = loop
        self._index = 0
        self._at = round(start * 50)
        if loop:
            self._at %= sum(clip.frames for clip in clips) or 1
        while self._index < len(clips) and self._at >= clips[self._index].frames:
            self._at -= clips[self._index].frames
            self._index += 1

    def next_frame(self, codec: str | None) -> bytes | None:
        """The next 20 ms, empty without a codec; None at the end."""
        if self._index == len(self._clips):
            if not self._loop or not self._clips:
                return None
            self._index = 0
        clip = self._clips[self._index]
        start = self._at * FRAME_SAMPLES
        self._at += 1
        if self._at >= clip.frames:
            self._at = 0
            self._index += 1
        return b"" if codec is None else clip.encoded[codec][start : start + FRAME_SAMPLES]
