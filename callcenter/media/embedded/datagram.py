"""The datagram at hand: one buffer that all legs of a worker read into; it is dealt with before the next one is read.

A packet is renumbered there and sent on, so that a relay makes no copy.
"""

from __future__ import annotations

from typing import Final

from callcenter.rtp.g711 import FRAME_SAMPLES
from callcenter.rtp.packet import HEADER_SIZE, MAX_PACKET

PACKET: Final = bytearray(MAX_PACKET + 1)
VIEW: Final = memoryview(PACKET)

USUAL: Final = HEADER_SIZE + FRAME_SAMPLES
"""Octets of a packet of 20 ms of G.711."""
USUAL_VIEW: Final = VIEW[:USUAL]
USUAL_PAYLOAD: Final = VIEW[HEADER_SIZE:USUAL]
