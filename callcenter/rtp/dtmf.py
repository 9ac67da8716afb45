"""Telephone events (RFC 4733): every press of a key told once, whatever is lost, repeated or late; and how we press."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from callcenter.rtp.packet import timestamp_step

KEYS: Final = "0123456789*#ABCD"
_PAYLOAD: Final = struct.Struct("!BBH")
_END: Final = 0x80
_LONGEST: Final = 0xFFFF

# Seconds by which a packet of a press that is over may come late; what is older is a new count.
_LATE: Final = 5

# So often the last packet of a press is sent, for whoever misses the first (RFC 4733 2.5.1.4).
ENDS: Final = 3

VOLUME: Final = 10
"""Of what we press, in dB below 0 dBm0 (RFC 4733 2.3.3)."""


class EventReceiver:
    """Reads the events of one stream: all packets of a press carry the timestamp of its start (RFC 4733 2.2.2).

    ``rate``: timestamp units in a second, which is what durations are counted in too.
    """

    __slots__ = ("_duration", "_ended", "_event", "_late", "_timestamp", "begun")

    def __init__(self, rate: int = 8000) -> None:
        self.begun = 0
        """How many events have begun, those that are no keys (flash) included."""
        self._late = _LATE * rate
        self._event = -1
        self._timestamp = 0
        self._duration = 0
        self._ended = True

    @property
    def key(self) -> str:
        """The key that was pressed last, or is; empty: none, or an event that is no key."""
        return KEYS[self._event] if 0 <= self._event < len(KEYS) else ""

    def receive(self, payload: bytes, timestamp: int, marker: bool = False) -> str | None:
        """The key when this packet is the first seen of a press, else None."""
        if len(payload) < _PAYLOAD.size:
            return None
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        if self._event < 0:
            fresh = True
        else:
            step = timestamp_step(timestamp, self._timestamp)
            if -self._late < step < 0:
                return None
            fresh = event != self._event or (step != 0 and not self._goes_on(step, duration, marker))
        if fresh or timestamp != self._timestamp:
            self._ended = False
            self._duration = 0
        self._event, self._timestamp, self._duration = event, timestamp, max(self._duration, duration)
        self._ended = self._ended or bool(flags & _END)
        if not fresh:
            return None
        self.begun += 1
        return KEYS[event] if event < len(KEYS) else None

    def _goes_on(self, step: int, duration: int, marker: bool) -> bool:
        # Events longer than the duration field go on in segments with a later timestamp (RFC 4733 2.5.1.3), each where
        # the one before ended, of which some may be lost; and some gateways wrongly let the timestamp grow with the
        # duration.
        if marker or self._ended:
            return False
        return step % _LONGEST == 0 or step == self._duration or step == duration - self._duration


class EventPacket(NamedTuple):
    """One packet of a press, ``offset`` timestamp units after its beginning by the clock of the header."""

    payload: bytes
    offset: int
    marker: bool


def press(key: str, duration: int, step: int, *, volume: int = VOLUME) -> Iterator[EventPacket]:
    """The packets of a press, one each ``step`` timestamp units, the last of them three times. Raises ValueError.

    ``duration`` in timestamp units; what is longer than the field for it goes in segments (RFC 4733 2.5.1.3).
    """
    base, reached, first = 0, 0, True
    while base + reached < duration:
        if reached == _LONGEST:
            base, reached = base + _LONGEST, 0
        reached = min(reached + step, _LONGEST, duration - base)
        ended = base + reached == duration
        payload = event_payload(key, reached, end=ended, volume=volume)
        yield EventPacket(payload, base, first)
        first = False
    for _ in range(ENDS - 1):
        yield EventPacket(event_payload(key, reached, end=True, volume=volume), base, marker=False)


def event_payload(key: str, duration: int, *, end: bool = False, volume: int = VOLUME) -> bytes:
    """The payload of one packet of a press; ``duration`` in samples since its beginning. Raises ValueError."""
    return _PAYLOAD.pack(KEYS.index(key.upper()), (_END if end else 0) | volume & 0x3F, min(duration, _LONGEST))
