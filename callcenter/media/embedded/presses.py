"""Presses: the keys that we press towards a peer, packet by packet: as telephone events, or as tones in its codec."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final, TypeAlias

from callcenter.media.plane import LONG_PAUSE, MOST_KEYS
from callcenter.rtp.codecs import AudioCodec
from callcenter.rtp.dtmf import ENDS, EventPacket, press
from callcenter.rtp.tones import tone

LONG: Final = 2.0
"""Seconds of a long pause."""

SHORTEST: Final = 0.04
"""Seconds that a press, and the pause behind it, last at least (ITU-T Q.24)."""

_OCTETS: Final = 2  # of a sample


class Rest(Enum):
    """Nothing is pressed now. ``SHORT``: between two keys; ``LONG``: for so long that the peer hears others."""

    SHORT = "short"
    LONG = "long"


Frame: TypeAlias = EventPacket | bytes | Rest
"""A packet of an event, or the payload of a packet of sound, or nothing at all."""


class Presses:
    """Keys to be pressed, in packets of ``ms`` milliseconds. ``event_rate``: units a second in which the peer counts
    the durations of events; 0: it takes none, and gets tones by ``codec``.
    """

    __slots__ = ("_codec", "_fmtp", "_frames", "_keys", "event_rate", "ms", "start")

    def __init__(self, codec: AudioCodec, fmtp: str, event_rate: int, ms: int) -> None:
        self.event_rate = event_rate
        self.ms = ms
        self.start = 0
        """Timestamp at which the present event began."""
        self._codec = codec
        self._fmtp = fmtp
        self._keys: deque[tuple[str, float, float]] = deque(maxlen=2 * MOST_KEYS)
        self._frames = self._as_events() if event_rate else self._as_tones()

    def __repr__(self) -> str:
        return f"<Presses {len(self._keys)} keys to come>"  # which ones may be a secret

    def add(self, keys: str, duration: float, pause: float) -> None:
        """These behind those that are still to be pressed; both times in seconds."""
        self._keys.extend((key, duration, pause) for key in keys)

    def next_frame(self) -> Frame | None:
        """What the next packet is; None when all is pressed."""
        return next(self._frames, None)

    def _packets(self, seconds: float) -> int:
        """In how many packets a press, or a pause, lasts so long, and not too short."""
        return math.ceil(max(seconds, SHORTEST) * 1000 / self.ms - 0.01)

    def _as_events(self) -> Iterator[Frame]:
        step = self.event_rate * self.ms // 1000
        while self._keys:
            key, duration, pause = self._keys.popleft()
            if key == LONG_PAUSE:
                yield from [Rest.LONG] * self._packets(LONG)
                continue
            yield from press(key, step * self._packets(duration), step)
            # The end goes out again within the pause.
            yield from [Rest.SHORT] * max(1, self._packets(pause) - (ENDS - 1))

    def _as_tones(self) -> Iterator[Frame]:
        codec = self._codec
        encoder, samples = codec.encoder(fmtp=self._fmtp), codec.sample_rate * self.ms // 1000
        while self._keys:
            key, duration, pause = self._keys.popleft()
            if key == LONG_PAUSE:
                yield from [Rest.LONG] * self._packets(LONG)
                continue
            size = _OCTETS * samples
            pcm = tone(key, samples * self._packets(duration), codec.sample_rate)
            pcm += bytes(size * self._packets(pause))
            for at in range(0, len(pcm), size):
                yield encoder.encode(pcm[at : at + size])
