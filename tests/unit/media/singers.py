"""Phones that say a tone each, in any codec and in packets of any length, and tell by the tones whom they hear."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from callcenter.rtp.codecs import CODECS, Decoder, Encoder
from callcenter.rtp.packet import Packet
from callcenter.sip.crypto import Security
from callcenter.sip.sdp import PCMA, PCMU, Codec
from tests.unit.media.peers import House, Peer, RealHouse, RealPeer, SimPeer

PITCH = {"amy": 500, "bob": 800, "carol": 1200, "dave": 1700}
"""Hz: no multiple of another, and each whole in the window that is looked at."""
LOUDNESS = 6000
"""Amplitude: three are no louder than what can be said."""
RATE = 16000
WINDOW_MS = 100


class Singer(RealPeer):
    """A phone whose voice is one tone."""

    def __init__(
        self,
        name: str,
        codecs: Sequence[Codec],
        ptime: int,
        asks: int | None,
        most: int | None,
        security: Security | None,
    ) -> None:
        super().__init__(name, "127.0.0.1", codecs, security=security)
        self.ptime = ptime
        self.sound = b""
        """All that was heard, 16 kHz."""
        self._asks = asks
        self._most = most
        self._encoder: Encoder | None = None
        self._decoder: Decoder | None = None
        self._sung = 0
        self.sang_at: list[float] = []
        """When each packet was sent."""

    @property
    def codec(self) -> str:
        assert self.negotiated is not None
        return self.negotiated.codec.name

    def offer(self) -> bytes:
        return self._with_times(super().offer())

    def answer(self, offer: bytes) -> bytes:
        return self._with_times(super().answer(offer))

    def _with_times(self, sdp: bytes) -> bytes:
        lines = [line for line in sdp.split(b"\r\n") if line and not (self._asks and line.startswith(b"a=ptime:"))]
        lines += [f"a=ptime:{self._asks}".encode()] if self._asks else []
        lines += [f"a=maxptime:{self._most}".encode()] if self._most else []
        return self.says(b"\r\n".join([*lines, b""]))

    def frame(self, codec: Codec) -> bytes:
        self.sang_at.append(time.monotonic())
        if self._encoder is None:
            self._encoder = CODECS[codec.name].encoder(RATE)
        samples = RATE * self.ptime // 1000
        times = np.arange(self._sung, self._sung + samples)
        self._sung += samples
        sound = np.rint(LOUDNESS * np.sin(math.tau * PITCH[self.name] * times / RATE)).astype("<i2")
        return self._encoder.encode(sound.tobytes())

    def listen_to(self, packet: Packet) -> None:
        negotiated = self.negotiated
        if negotiated is None or packet.payload_type != negotiated.receive_payload_type:
            return
        if self._decoder is None:
            self._decoder = CODECS[negotiated.codec.name].decoder(RATE)
        self.sound += self._decoder.decode(packet.payload)

    def level(self, name: str) -> float:
        """How loud somebody is heard, in dB; 0: as loud as they are."""
        return level_of(self.sound[-2 * RATE * WINDOW_MS // 1000 :], PITCH[name])

    @property
    def hears_all(self) -> set[str]:
        """Whose voices are heard now."""
        size = 2 * RATE * WINDOW_MS // 1000
        if not self.received or time.monotonic() - self.received[-1][0] > 0.1:
            return set()
        return {name for name in PITCH if len(self.sound) >= size and self.level(name) > -6}


def level_of(sound: bytes, pitch: float) -> float:
    """How loud a tone is in this sound (16 kHz), in dB; 0: as loud as a singer."""
    samples = np.frombuffer(sound, "<i2").astype(float)
    wave = np.exp(-1j * math.tau * pitch * np.arange(len(samples)) / RATE)
    return 20 * math.log10(max(1e-6, 2 * abs(samples @ wave) / len(samples) / LOUDNESS))


def singer(
    house: House,
    name: str,
    *,
    codecs: Sequence[Codec] = (PCMU, PCMA),
    ptime: int = 20,
    asks: int | None = None,
    most: int | None = None,
    security: Security | None = None,
) -> Peer:
    """A phone in this house that sends packets of ``ptime`` ms, ``asks`` for others and takes none above ``most``."""
    if isinstance(house, RealHouse):
        peer = Singer(name, codecs, ptime, asks, most, security)
        house.peers.append(peer)
        return peer
    return house.peer(name, codecs=codecs, security=security)


def heard_by(peer: Peer) -> set[str]:
    """The names of those whom this phone hears now."""
    if isinstance(peer, Singer):
        return peer.hears_all
    assert isinstance(peer, SimPeer)
    return peer.hears_all
