"""Simulated recordings: no sound, but which sessions were recorded on which channel, from when to when."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callcenter.media.plane import MediaSession, OnRecordingEnded, RecordingEnded, RecordingOrder, RecordingReason

_OCTETS_PER_SECOND = 32_000


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """What was recorded without a change: seconds after the start, and the ids of the sessions on each channel."""

    start: float
    end: float
    left: str
    right: tuple[str, ...]


class SimMediaRecording:
    """A recording of a simulated plane. Made by ``SimMediaPlane.record``."""

    def __init__(
        self,
        order: RecordingOrder,
        left: MediaSession,
        right: Sequence[MediaSession],
        on_end: OnRecordingEnded,
        forget: Callable[[SimMediaRecording], None],
    ) -> None:
        self.order = order
        self.left = left
        self.right = tuple(right)
        self.spans: list[RecordedSpan] = []
        """What was recorded so far, but for what is being recorded now."""
        self.ended = False
        self._on_end = on_end
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._began = self._since = self._loop.time()
        self._paused = False

    def __repr__(self) -> str:
        state = "ended" if self.ended else "paused" if self._paused else "runs"
        return f"<SimMediaRecording {self.id} {state}>"

    @property
    def id(self) -> str:
        """As it was ordered."""
        return self.order.id

    @property
    def paused(self) -> bool:
        """Whether nothing is recorded now."""
        return self._paused

    @property
    def path(self) -> str:
        """The file's name."""
        return self.order.path + (".wav" if self.order.key is None else ".wav.sealed")

    def pause(self) -> None:
        """Record nothing from now on."""
        self._note()
        self._paused = True

    def resume(self) -> None:
        """Record again."""
        self._note()
        self._paused = False

    def hears(self, right: Sequence[MediaSession]) -> None:
        """Who is on the right channel from now on."""
        self._note()
        self.right = tuple(right)

    def stop(self) -> None:
        """End it."""
        self.end(RecordingReason.STOPPED)

    def end(self, reason: RecordingReason, detail: str = "") -> None:
        """It ends, for whatever reason."""
        if self.ended:
            return
        self._note()
        self.ended = True
        self._forget(self)
        seconds = round(self._loop.time() - self._began, 3)
        octets = 44 + round(seconds * _OCTETS_PER_SECOND)
        sha256 = hashlib.sha256(f"{self.path} {octets}".encode()).hexdigest()
        ended = RecordingEnded(self.id, self.path, seconds, octets, sha256, reason, detail)
        self._loop.call_soon(self._on_end, ended)

    def _note(self) -> None:
        now = self._loop.time()
        if not self.ended and not self._paused and now > self._since:
            right = tuple(session.id for session in self.right)
            self.spans.append(RecordedSpan(self._since - self._began, now - self._began, self.left.id, right))
        self._since = now
