"""What a worker hands over to its recorder: runs of sound as they came, in messages of a socket pair.

A run is a stretch of one stream without a gap: the payloads of its packets one after the other. So neither side does
anything for each packet that it could do for ten.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from callcenter.rtp.codecs import CODECS

MAX_MESSAGE: Final = 48 * 1024
"""Octets after which a message is sent; one item may still go beyond it."""
MAX_RUN: Final = 16 * 1024
"""Octets after which a run is cut; what is one packet's goes beyond it by no more than that."""
MAX_RECEIVED: Final = MAX_MESSAGE + MAX_RUN + 4096
"""What any message fits into."""

# Kind, codec, channel, recording, source, sequence, timestamp, seconds of the steady clock, octets that follow.
_ITEM: Final = struct.Struct("<BBBIIHIdI")
_SOUND: Final = 1
_CLOCK: Final = 2
_STOP: Final = 3

_NAMES: Final = tuple(CODECS)
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES)}

LEFT: Final = 0
RIGHT: Final = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Sound of one source (a number of its recording's own) without a gap."""

    recording: int
    channel: int
    source: int
    codec: str
    sequence: int
    """Of the first packet."""
    timestamp: int
    """Of the first packet."""
    at: float
    """When the first packet was begun to be spoken, as the earliest of the packets has it; of a codec whose packets'
    length is not known by their size: when it came. Seconds of the steady clock."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything before this moment has been handed over. The first one is the start of the recording."""

    recording: int
    at: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The recording ends at this moment."""

    recording: int
    at: float


Item = Run | Tick | Stop


def sound(
    recording: int,
    channel: int,
    source: int,
    codec: str,
    sequence: int,
    timestamp: int,
    at: float,
    payload: bytes | bytearray,
) -> bytes:
    """The octets of a run."""
    head = _ITEM.pack(_SOUND, _NUMBERS[codec], channel, recording, source, sequence, timestamp, at, len(payload))
    return head + payload


def tick(recording: int, at: float) -> bytes:
    """The octets of a tick."""
    return _ITEM.pack(_CLOCK, 0, 0, recording, 0, 0, 0, at, 0)


def stop(recording: int, at: float) -> bytes:
    """The octets of a stop."""
    return _ITEM.pack(_STOP, 0, 0, recording, 0, 0, 0, at, 0)


def items(message: bytes | memoryview) -> Iterator[Item]:
    """What is in a message. Raises ValueError when it is none of ours."""
    start, end = 0, len(message)
    while start < end:
        try:
            kind, codec, channel, recording, source, sequence, timestamp, at, size = _ITEM.unpack_from(message, start)
        except struct.error as error:
            raise ValueError("an item is cut") from error
        start += _ITEM.size
        if kind == _CLOCK:
            yield Tick(recording, at)
        elif kind == _STOP:
            yield Stop(recording, at)
        elif kind == _SOUND and codec < len(_NAMES) and start + size <= end:
            payload = bytes(message[start : start + size])
            yield Run(recording, channel, source, _NAMES[codec], sequence, timestamp, at, payload)
        else:
            raise ValueError("an item of no kind of ours")
        start += size
