"""Codecs: how sound becomes the payload of a packet, and is sound again. One object each for what one peer sends, or is
sent, since most codecs remember.

Between codecs sound is PCM: 16 bit, little endian, mono, 8000 or 16000 samples a second.
"""

from __future__ import annotations

import audioop
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Protocol

from callcenter.rtp import opus
from callcenter.rtp.concealment import Concealment
from callcenter.rtp.opus import CodecMissing
from callcenter.rtp.resample import NARROW, WIDE, Resampler, resampler

__all__ = ["CODECS", "G722", "L16", "OPUS", "PCMA", "PCMU", "AudioCodec", "CodecMissing", "Decoder", "Encoder", "codec"]

_OCTETS: Final = 2  # of a sample


class Encoder(Protocol):
    """Makes payloads of the sound for one peer."""

    def encode(self, pcm: bytes) -> bytes:
        """The payload of one packet: whole tens of milliseconds of PCM, at most 60; Opus knows 10, 20, 40 and 60."""
        ...


class Decoder(Protocol):
    """Makes sound of the payloads of one peer, in their order."""

    def decode(self, payload: bytes) -> bytes:
        """The sound of a packet; what cannot be read is concealed as if 20 ms were lost."""
        ...

    def conceal(self, samples: int) -> bytes:
        """So many samples that stand in for packets that did not come."""
        ...


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """A codec, made ready for one stream by ``encoder`` and ``decoder``."""

    name: str
    clock_rate: int
    """Timestamp units a second (RFC 3551: 8000 for G722, although it has 16000 samples)."""
    sample_rate: int
    """Samples of PCM a second that it has by nature."""
    octets: int | None
    """Octets of payload for a millisecond, wherever sound is cut; None: a packet is one whole, of any size."""
    _encoder: Callable[[int, str], Encoder]
    _decoder: Callable[[int], Decoder]

    @property
    def missing(self) -> str:
        """What to install before it can be used here; empty when all is there."""
        return opus.HOW_TO_GET if self is OPUS and opus.library() is None else ""

    @property
    def wide(self) -> bool:
        """Whether more is heard than a telephone's 3.4 kHz."""
        return self.sample_rate > NARROW

    def encoder(self, rate: int | None = None, fmtp: str = "") -> Encoder:
        """A new encoder of PCM at ``rate`` (8000 or 16000; None: its own); the peer's ``fmtp`` is heeded.

        Raises CodecMissing.
        """
        return self._encoder(rate or self.sample_rate, fmtp)

    def decoder(self, rate: int | None = None) -> Decoder:
        """A new decoder to PCM at ``rate`` (8000 or 16000; None: its own). Raises CodecMissing."""
        return self._decoder(rate or self.sample_rate)

    def ticks(self, ms: int) -> int:
        """Timestamp units in so many milliseconds."""
        return self.clock_rate * ms // 1000

    def silence(self, samples: int) -> bytes:
        """The payload of one packet of silence: so many samples at ``sample_rate``. Raises CodecMissing."""
        return _silence(self.name, samples)


@lru_cache(64)
def _silence(name: str, samples: int) -> bytes:
    return codec(name).encoder().encode(bytes(_OCTETS * samples))


class _Plain:
    """A codec without memory: a function each way, and two resamplers where the sound has another rate."""

    __slots__ = ("_concealment", "_decode", "_resampler", "_size")

    def __init__(self, decode: Callable[[bytes], bytes], size: int, own_rate: int, rate: int) -> None:
        self._decode = decode
        self._size = size  # octets of the least that can be decoded alone
        self._resampler = resampler(own_rate, rate)
        self._concealment = Concealment(rate)

    def decode(self, payload: bytes) -> bytes:
        """The sound of a packet."""
        if len(payload) % self._size:
            payload = payload[: -(len(payload) % self._size)]
        pcm = self._decode(payload)
        if self._resampler is not None:
            pcm = self._resampler.resample(pcm)
        return self._concealment.take(pcm)

    def conceal(self, samples: int) -> bytes:
        """What stands in for sound that was lost."""
        return self._concealment.fill(samples)


class _PlainEncoder:
    """The other way."""

    __slots__ = ("_encode", "_resampler")

    def __init__(self, encode: Callable[[bytes], bytes], own_rate: int, rate: int) -> None:
        self._encode = encode
        self._resampler: Resampler | None = resampler(rate, own_rate)

    def encode(self, pcm: bytes) -> bytes:
        """The payload of a packet."""
        return self._encode(pcm if self._resampler is None else self._resampler.resample(pcm))


class _G722:
    """G.722 at 64 kbit/s, by libg722, which takes and gives sound of 8 kHz too, with the upper band left out."""

    __slots__ = ("_codec", "_concealment")

    def __init__(self, rate: int) -> None:
        # Imported when it is used: a switch without G.722 need not load it.
        from G722 import G722

        self._codec: Any = G722(rate, 64000, use_numpy=False)
        self._concealment = Concealment(rate)

    def encode(self, pcm: bytes) -> bytes:
        """The payload of a packet."""
        payload: bytes = self._codec.encode(_samples(pcm))
        return payload

    def decode(self, payload: bytes) -> bytes:
        """The sound of a packet."""
        return self._concealment.take(_octets(self._codec.decode(payload)))

    def conceal(self, samples: int) -> bytes:
        """What stands in for sound that was lost."""
        return self._concealment.fill(samples)


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _octets(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _swapped(data: bytes) -> bytes:
    # L16 has the network's order (RFC 3551 4.5.11).
    return audioop.byteswap(data, _OCTETS)


def _law(name: str, encode: Callable[[bytes, int], bytes], decode: Callable[[bytes, int], bytes]) -> AudioCodec:
    return AudioCodec(
        name,
        NARROW,
        NARROW,
        8,
        lambda rate, _: _PlainEncoder(lambda pcm: encode(pcm, _OCTETS), NARROW, rate),
        lambda rate: _Plain(lambda payload: decode(payload, _OCTETS), 1, NARROW, rate),
    )


PCMU: Final = _law("PCMU", audioop.lin2ulaw, audioop.ulaw2lin)
PCMA: Final = _law("PCMA", audioop.lin2alaw, audioop.alaw2lin)
G722: Final = AudioCodec("G722", 8000, WIDE, 8, lambda rate, _: _G722(rate), _G722)
L16: Final = AudioCodec(
    "L16",
    WIDE,
    WIDE,
    32,
    lambda rate, _: _PlainEncoder(_swapped, WIDE, rate),
    lambda rate: _Plain(_swapped, _OCTETS * WIDE // rate, WIDE, rate),
)
OPUS: Final = AudioCodec("opus", opus.CLOCK_RATE, WIDE, None, opus.OpusEncoder, opus.OpusDecoder)

CODECS: Final[Mapping[str, AudioCodec]] = MappingProxyType({each.name: each for each in (PCMU, PCMA, G722, OPUS, L16)})
"""Every codec that we know, by its name in session descriptions."""


def codec(name: str) -> AudioCodec:
    """The codec of that name. Raises KeyError for one that is not in CODECS."""
    return CODECS[name]
