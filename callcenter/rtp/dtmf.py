"""Telephone events (RFC 4733): every press of a key told once, whatever is lost, repeated or late."""

from __future__ import annotations

import struct
from typing import Final

from callcenter.rtp.packet import timestamp_step

KEYS: Final = "0123456789*#ABCD"
_PAYLOAD: Final = struct.Struct("!BBH")
_END: Final = 0x80
_LONGEST: Final = 0xFFFF

# A packet of a press that is over may come this late (timestamp units, 5 s); what is older is a new count.
_LATE: Final = 40_000


class EventReceiver:
    """Reads the events of one stream: all packets of a press carry the timestamp of its start (RFC 4733 2.2.2)."""

    __slots__ = ("_duration", "_ended", "_event", "_timestamp", "begun")

    def __init__(self) -> None:
        self.begun = 0
        """How many events have begun, those that are no keys (flash) included."""
        self._event = -1
        self._timestamp = 0
        self._duration = 0
        self._ended = True

    def receive(self, payload: bytes, timestamp: int, marker: bool = False) -> str | None:
        """The key when this packet is the first seen of a press, else None."""
        if len(payload) < _PAYLOAD.size:
            return None
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        if self._event < 0:
            fresh = True
        else:
            step = timestamp_step(timestamp, self._timestamp)
            if -_LATE < step < 0:
                return None
            fresh = event != self._event or (step != 0 and not self._goes_on(step, duration, marker))
        if fresh or timestamp != self._timestamp:
            self._ended = False
        self._event, self._timestamp, self._duration = event, timestamp, duration
        self._ended = self._ended or bool(flags & _END)
        if not fresh:
            return None
        self.begun += 1
        return KEYS[event] if event < len(KEYS) else None

    def _goes_on(self, step: int, duration: int, marker: bool) -> bool:
        # Events longer than the duration field go on in segments with a later timestamp (RFC 4733 2.5.1.3); and some
        # gateways wrongly let the timestamp grow with the duration.
        if marker or self._ended:
            return False
        return step == _LONGEST or step == duration - self._duration


def event_payload(key: str, duration: int, *, end: bool = False, volume: int = 10) -> bytes:
    """The payload of one packet of a press; ``duration`` in samples since its beginning. Raises ValueError."""
    return _PAYLOAD.pack(KEYS.index(key.upper()), (_END if end else 0) | volume & 0x3F, min(duration, _LONGEST))
