"""Kinds: what may come from a peer by its payload type, and the way of each kind to another peer."""

from __future__ import annotations

import functools
from typing import Final

from callcenter.media.embedded.control import COMFORT_NOISE, EVENT
from callcenter.rtp.codecs import codec
from callcenter.rtp.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW

# A payload type that was not agreed on is none of them.
KINDS: Final = ("PCMU", "PCMA", EVENT, COMFORT_NOISE)
SPOKEN: Final = KINDS[:2]
EVENT_KIND: Final = KINDS.index(EVENT)
NOISE_KIND: Final = KINDS.index(COMFORT_NOISE)
"""Says how silence sounds (RFC 3389), and that the peer is there. Nobody else has to hear it."""
NO_KIND: Final = -1

FRAME_MS: Final = 20

_TABLES: Final = {("PCMU", "PCMA"): ULAW_TO_ALAW, ("PCMA", "PCMU"): ALAW_TO_ULAW}

Ways = tuple[tuple[int, bytes | None] | None, ...]
"""Of each kind that another leg relays: by what payload type the peer takes it, and how it is translated."""

NO_WAYS: Final[Ways] = (None,) * len(KINDS)


@functools.lru_cache(maxsize=256)
def kinds(accepts: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    """The kind of every payload type; there are few such lists, and many legs that share them."""
    names = dict(accepts)
    return tuple(KINDS.index(names[number]) if number in names else NO_KIND for number in range(128))


@functools.lru_cache(maxsize=256)
def ways_to(codec: str, payload_type: int, event_type: int) -> Ways:
    """The ways to a peer; many legs share them, too."""
    spoken = [(payload_type, _TABLES.get((name, codec))) for name in SPOKEN]
    return (*spoken, (event_type, None) if event_type >= 0 else None, None)


@functools.lru_cache(maxsize=64)
def silence_of(name: str, octets: int) -> bytes:
    """The payload of a packet of silence, as long as one of so many ``octets``; 20 ms where these tell no length."""
    spoken = codec(name)
    ms = octets / spoken.octets if spoken.octets is not None else FRAME_MS
    return spoken.silence(round(ms * spoken.sample_rate / 1000))
