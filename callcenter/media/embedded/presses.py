"""Presses: the keys that we press towards a peer, 20 ms after 20 ms: as telephone events, or as tones in its codec."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final, TypeAlias

from callcenter.media.plane import LONG_PAUSE, MOST_KEYS
from callcenter.rtp.codecs import codec
from callcenter.rtp.dtmf import ENDS, EventPacket, press
from callcenter.rtp.tones import tone

# Frames a second, and those of a long pause.
_FRAMES: Final = 50
_LONG: Final = 2 * _FRAMES

# Between two presses there are at least 40 ms (ITU-T Q.24).
_SHORTEST: Final = 2

_OCTETS: Final = 2  # of a sample


class Rest(Enum):
    """Nothing is pressed now. ``SHORT``: between two keys; ``LONG``: for so long that the peer hears others."""

    SHORT = "short"
    LONG = "long"


Frame: TypeAlias = EventPacket | bytes | Rest
"""A packet of an event, or the payload of a packet of sound, or nothing at all."""


class Presses:
    """Keys to be pressed. ``event_rate``: timestamp units a second of the peer's events; 0: it takes none, and gets
    tones by ``codec``.
    """

    __slots__ = ("_codec", "_event_rate", "_frames", "_keys", "start")

    def __init__(self, codec: str, event_rate: int) -> None:
        self.start = 0
        """Timestamp at which the present event began."""
        self._codec = codec
        self._event_rate = event_rate
        self._keys: deque[tuple[str, float, float]] = deque(maxlen=2 * MOST_KEYS)
        self._frames = self._as_events() if event_rate else self._as_tones()

    def __repr__(self) -> str:
        return f"<Presses {len(self._keys)} keys to come>"  # which ones may be a secret

    def add(self, keys: str, duration: float, pause: float) -> None:
        """These behind those that are still to be pressed; both times in seconds."""
        self._keys.extend((key, duration, pause) for key in keys)

    def next_frame(self) -> Frame | None:
        """What the next 20 ms bring; None when all is pressed."""
        return next(self._frames, None)

    def _as_events(self) -> Iterator[Frame]:
        step = self._event_rate // _FRAMES
        while self._keys:
            key, duration, pause = self._keys.popleft()
            if key == LONG_PAUSE:
                yield from [Rest.LONG] * _LONG
                continue
            yield from press(key, step * max(_SHORTEST, round(duration * _FRAMES)), step)
            # The end goes out again within the pause.
            yield from [Rest.SHORT] * max(1, round(pause * _FRAMES) - (ENDS - 1))

    def _as_tones(self) -> Iterator[Frame]:
        spoken = codec(self._codec)
        encoder, samples = spoken.encoder(), spoken.sample_rate // _FRAMES
        while self._keys:
            key, duration, pause = self._keys.popleft()
            if key == LONG_PAUSE:
                yield from [Rest.LONG] * _LONG
                continue
            frames = max(_SHORTEST, round(duration * _FRAMES))
            pcm = tone(key, samples * frames, spoken.sample_rate)
            pcm += bytes(_OCTETS * samples * max(_SHORTEST, round(pause * _FRAMES)))
            size = _OCTETS * samples
            for at in range(0, len(pcm), size):
                yield encoder.encode(pcm[at : at + size])
