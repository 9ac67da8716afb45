"""SRTP (RFC 3711): what is sent is sealed, what comes is opened or thrown away; the ciphers are libsrtp's.

Importing it takes a tenth of a second, in which libsrtp tries its ciphers: a worker does so before a call needs it.
"""

from __future__ import annotations

from typing import Final

from pylibsrtp import Error, Policy, Session

from callcenter.rtp.packet import HEADER_SIZE
from callcenter.sip.crypto import Suite

# The replay window (RFC 3711 3.3.2): packets that are so far behind the latest are taken once, older ones never.
WINDOW: Final = 256

# Each source of a peer has a context of its own, which is kept. A phone begins a new one with a hold or a transfer.
MAX_SOURCES: Final = 256

# Of an SRTCP packet: header and sender, index, the shortest tag.
_SHORTEST_REPORT: Final = 8 + 4 + 4

_PROFILES: Final = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


class Sealer:
    """Seals what one leg sends. One key counts its packets in one Sealer: never make a second one of it."""

    __slots__ = ("_session", "key")

    def __init__(self, suite: str, key: str) -> None:
        self.key = (suite, key)
        """Which key, to know it again."""
        self._session = _session(suite, key, Policy.SSRC_ANY_OUTBOUND)

    def __repr__(self) -> str:
        return f"<Sealer {self.key[0]}>"

    def seal(self, packet: bytes) -> bytes | None:
        """The packet as it goes out; None for one that must not: too long, a second time, or far too late."""
        try:
            return self._session.protect(packet)
        except (Error, ValueError):
            return None

    def seal_report(self, compound: bytes) -> bytes | None:
        """RTCP as it goes out."""
        try:
            return self._session.protect_rtcp(compound)
        except (Error, ValueError):
            return None


class Opener:
    """Opens what comes to one leg, and counts what it throws away in ``unauthentic``."""

    __slots__ = ("_session", "_sources", "key", "unauthentic")

    def __init__(self, suite: str, key: str) -> None:
        self.key = (suite, key)
        """Which key, to know it again."""
        self.unauthentic = 0
        self._session = _session(suite, key, Policy.SSRC_ANY_INBOUND)
        self._sources: set[bytes] = set()

    def __repr__(self) -> str:
        return f"<Opener {self.key[0]} {self.unauthentic} unauthentic>"

    def open(self, packet: bytes) -> bytes | None:
        """The packet as it was sealed; None when the peer has not, or when it came before (a replay)."""
        source = packet[8:HEADER_SIZE]
        if source not in self._sources and len(self._sources) >= MAX_SOURCES:
            return None
        try:
            opened = self._session.unprotect(packet)
        except (Error, ValueError):
            self.unauthentic += 1
            return None
        self._sources.add(source)
        return opened

    def open_report(self, packet: bytes) -> bytes | None:
        """The RTCP that was sealed, None as above."""
        source = packet[4:8]
        if len(packet) < _SHORTEST_REPORT or (source not in self._sources and len(self._sources) >= MAX_SOURCES):
            return None
        try:
            opened = self._session.unprotect_rtcp(packet)
        except (Error, ValueError):
            self.unauthentic += 1
            return None
        self._sources.add(source)
        return opened


def _session(suite: str, key: str, direction: int) -> Session:
    policy = Policy(key=bytes.fromhex(key), ssrc_type=direction, srtp_profile=_PROFILES[Suite(suite)])
    policy.window_size = WINDOW
    return Session(policy)
