"""Kinds: what may come from a peer by its payload type, and the way of each kind to another peer."""

from __future__ import annotations

import functools
from typing import Final

from callcenter.media.embedded.clips import FRAME_MS
from callcenter.media.embedded.control import COMFORT_NOISE, EVENT
from callcenter.rtp.codecs import CODECS
from callcenter.rtp.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW

# A payload type that was not agreed on is none of them.
SPOKEN: Final = tuple(CODECS)
KINDS: Final = (*SPOKEN, EVENT, COMFORT_NOISE)
EVENT_KIND: Final = KINDS.index(EVENT)
NOISE_KIND: Final = KINDS.index(COMFORT_NOISE)
"""Says how silence sounds (RFC 3389), and that the peer is there. Nobody else has to hear it."""
NO_KIND: Final = -1

_TABLES: Final = {("PCMU", "PCMA"): ULAW_TO_ALAW, ("PCMA", "PCMU"): ALAW_TO_ULAW}

Ways = tuple[tuple[int, bytes | None, bool] | None, ...]
"""Of each kind that another leg takes: by what payload type the peer does, by which table it is translated, and whether
it has to be decoded and encoded anew. None: the peer does not get it.
"""

NO_WAYS: Final[Ways] = (None,) * len(KINDS)


@functools.lru_cache(maxsize=256)
def kinds(accepts: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    """The kind of every payload type; there are few such lists, and many legs that share them."""
    names = dict(accepts)
    return tuple(KINDS.index(names[number]) if number in names else NO_KIND for number in range(128))


@functools.lru_cache(maxsize=256)
def ways_to(codec: str, payload_type: int, event_type: int) -> Ways:
    """The ways to a peer; many legs share them, too."""
    tables = [(name, _TABLES.get((name, codec))) for name in SPOKEN]
    spoken = [(payload_type, table, table is None and name != codec) for name, table in tables]
    return (*spoken, (event_type, None, False) if event_type >= 0 else None, None)


@functools.lru_cache(maxsize=64)
def silence_of(name: str, octets: int) -> bytes:
    """The payload of a packet of silence, as long as one of so many ``octets``; 20 ms where these tell no length."""
    codec = CODECS[name]
    ms = octets / codec.octets if codec.octets is not None else FRAME_MS
    return codec.silence(round(ms * codec.sample_rate / 1000))
