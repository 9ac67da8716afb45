"""Tracer: the last SIP messages as they came and went, in a ring; looked at only when somebody asks."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from callcenter.runtime.clock import Clock

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow

# Octets that the ring holds for each message it may hold: real ones have 300 to 1,200, so that a flood of long ones
# shortens what is kept and takes no more memory.
OCTETS_EACH = 1_000

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)


class Seen(NamedTuple):
    """A message: its running number, when (monotonic clock), which way, and what."""

    number: int
    at: float
    sent: bool
    flow: Flow
    data: bytes


class Tracer:
    """Keeps the last ``most`` messages. To keep one costs half a microsecond; to look for a Call-ID, two for each."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._ring: deque[Seen] = deque()
        self._octets = 0
        self._number = 0

    def take(self, sent: bool, flow: Flow, data: bytes) -> None:
        """Keep a message: what UserAgent's ``trace`` calls."""
        ring = self._ring
        self._number += 1
        ring.append(Seen(self._number, self._clock.monotonic(), sent, flow, data))
        self._octets += len(data)
        while len(ring) > self._most or self._octets > self._most * OCTETS_EACH:
            self._octets -= len(ring.popleft().data)

    def messages(self, after: int = 0) -> Iterator[Seen]:
        """Those behind the number ``after``, the oldest first: a picture, whatever comes meanwhile."""
        return (seen for seen in list(self._ring) if seen.number > after)

    @property
    def last(self) -> int:
        """The number of the last message; 0 before the first."""
        return self._number

    @property
    def oldest_at(self) -> float:
        """When the oldest message that is kept came; now, when there is none."""
        return self._ring[0].at if self._ring else self._clock.monotonic()

    def __len__(self) -> int:
        return len(self._ring)

    def __repr__(self) -> str:
        return f"<Tracer {len(self._ring)} of {self._most} messages, {self._octets} octets>"


def call_id_of(data: bytes) -> str:
    """The Call-ID of a message as it was written; empty when it has none."""
    found = _CALL_ID.search(data, 0, max(data.find(b"\r\n\r\n"), 0) or len(data))
    return found[1].decode("utf-8", "replace") if found is not None else ""
