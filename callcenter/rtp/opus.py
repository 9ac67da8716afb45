"""Opus (RFC 6716) by libopus, which is taken where it is found: Opus is offered only there.

What is called is little, so that the library itself is enough and no binding is needed: Debian's ``libopus0``, which
is kept up to date with the system, or else the one that the extra ``opus`` brings.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

HOW_TO_GET: Final = "apt-get install libopus0, or pip install 'callcenter[opus]'"
"""What to do where the library is missing."""

CLOCK_RATE: Final = 48_000
"""RFC 7587 4.1: whatever is sampled, timestamps count by this clock."""

_SYSTEM: Final = "libopus.so.0"
_EXTRA: Final = ("opuslib_next", "_native/libopus.so")

# opus_defines.h.
_VOICE: Final = 2048
_SET_BITRATE: Final = 4002
_SET_MAX_BANDWIDTH: Final = 4004
_SET_VBR: Final = 4006
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS: Final = 4014
_NARROW_BAND: Final = 1101
_MEDIUM_BAND: Final = 1102
_WIDE_BAND: Final = 1103

# Of 0 to 10. Speech of one voice hardly gains from more, and 10 takes more than twice as long.
_COMPLEXITY: Final = 3

# Bits a second (RFC 7587 3.1.1: 16 to 20 kbit/s for wide-band speech, 8 to 12 for narrow-band; a little above), and the
# least that a peer may ask for.
_WIDE_BITRATE: Final = 24_000
_NARROW_BITRATE: Final = 16_000
_LEAST_BITRATE: Final = 6_000

# Percent that may be lost when the peer can make good what is: the encoder repeats as much as pays for it.
_EXPECTED_LOSS: Final = 10

# A packet holds 120 ms at most (RFC 6716 3.2.5), and no frame of it more octets than 1275.
_MOST_MS: Final = 120
_MOST_OCTETS: Final = 1275


def library() -> ctypes.CDLL | None:
    """The library; None where there is none."""
    return _library()


@lru_cache(1)
def _library() -> ctypes.CDLL | None:
    for path in (_SYSTEM, _extra()):
        if path:
            try:
                return _declared(ctypes.CDLL(path))
            except (OSError, AttributeError):
                continue  # not there, or for another machine, or no libopus
    return None


def _extra() -> str:
    """Where the extra's library is; empty when the extra is not installed."""
    found = importlib.util.find_spec(_EXTRA[0])
    if found is None or not found.submodule_search_locations:
        return ""
    return str(Path(found.submodule_search_locations[0], _EXTRA[1]))


def _declared(opus: ctypes.CDLL) -> ctypes.CDLL:
    number, state = ctypes.c_int, ctypes.c_void_p
    opus.opus_encoder_get_size.argtypes = opus.opus_decoder_get_size.argtypes = [number]
    opus.opus_encoder_init.argtypes = [state, ctypes.c_int32, number, number]
    opus.opus_decoder_init.argtypes = [state, ctypes.c_int32, number]
    opus.opus_encode.argtypes = [state, ctypes.c_char_p, number, ctypes.c_char_p, ctypes.c_int32]
    opus.opus_decode.argtypes = [state, ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, number, number]
    opus.opus_encoder_ctl.argtypes = [state, number]  # and one number more
    opus.opus_get_version_string.restype = ctypes.c_char_p
    return opus


def version() -> str:
    """What the library calls itself; empty where there is none."""
    found = library()
    return found.opus_get_version_string().decode(errors="replace") if found is not None else ""


class CodecMissing(Exception):
    """The codec's library is not on this machine; the text tells how to get it."""


class OpusEncoder:
    """Sound for one peer, at ``rate`` samples a second; heeds the peer's ``fmtp`` (RFC 7587 6.1)."""

    __slots__ = ("_encode", "_made", "_out", "_state")

    def __init__(self, rate: int, fmtp: str = "") -> None:
        opus = _needed()
        # The state is Python's memory: nothing has to be given back.
        self._state = ctypes.create_string_buffer(opus.opus_encoder_get_size(1))
        _check(opus.opus_encoder_init(self._state, rate, 1, _VOICE))
        self._encode: Any = opus.opus_encode
        self._out = ctypes.create_string_buffer(_MOST_OCTETS)
        self._made = memoryview(self._out)
        wishes = parameters(fmtp)
        most = _number(wishes.get("maxplaybackrate", ""), CLOCK_RATE)
        band = _WIDE_BAND if most >= 16_000 else _MEDIUM_BAND if most >= 12_000 else _NARROW_BAND
        bitrate = _WIDE_BITRATE if rate >= 16_000 and band != _NARROW_BAND else _NARROW_BITRATE
        asked = _number(wishes.get("maxaveragebitrate", ""), bitrate)
        helped = wishes.get("useinbandfec") == "1"
        for request, value in (
            (_SET_COMPLEXITY, _COMPLEXITY),
            (_SET_MAX_BANDWIDTH, band),
            (_SET_BITRATE, max(_LEAST_BITRATE, min(bitrate, asked))),
            (_SET_VBR, 0 if wishes.get("cbr") == "1" else 1),
            (_SET_INBAND_FEC, 1 if helped else 0),
            (_SET_PACKET_LOSS, _EXPECTED_LOSS if helped else 0),
        ):
            _check(opus.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))

    def encode(self, pcm: bytes) -> bytes:
        """The payload of one packet: 10, 20, 40 or 60 ms of PCM."""
        size = _check(self._encode(self._state, pcm, len(pcm) // 2, self._out, _MOST_OCTETS))
        return self._made[:size].tobytes()


class OpusDecoder:
    """The sound of one peer, at ``rate`` samples a second. Stereo is mixed down."""

    __slots__ = ("_decode", "_heard", "_out", "_rate", "_state")

    def __init__(self, rate: int) -> None:
        opus = _needed()
        self._state = ctypes.create_string_buffer(opus.opus_decoder_get_size(1))
        _check(opus.opus_decoder_init(self._state, rate, 1))
        self._decode: Any = opus.opus_decode
        self._rate = rate
        self._out, self._heard = _room(rate)

    def decode(self, payload: bytes) -> bytes:
        """The sound of a packet; what cannot be read is concealed as if 20 ms were lost."""
        if not payload:
            return self.conceal(self._rate // 50)
        samples = self._decode(self._state, payload, len(payload), self._out, self._rate * _MOST_MS // 1000, 0)
        return self._heard[: 2 * samples].tobytes() if samples > 0 else self.conceal(self._rate // 50)

    def conceal(self, samples: int) -> bytes:
        """What stands in for so many samples that were lost, by the codec's own knowledge of the voice."""
        # The library conceals in steps of 2.5 ms.
        step = self._rate // 400
        whole = min(-(-samples // step) * step, self._rate * _MOST_MS // 1000)
        made = self._decode(self._state, None, 0, self._out, whole, 0)
        sound = self._heard[: 2 * min(samples, max(0, made))].tobytes()
        return sound + bytes(2 * samples - len(sound))


@lru_cache(4)
def _room(rate: int) -> tuple[ctypes.Array[ctypes.c_char], memoryview]:
    """Where decoded sound is put, to be copied at once: one place for all."""
    room = ctypes.create_string_buffer(2 * rate * _MOST_MS // 1000)
    return room, memoryview(room)


def parameters(fmtp: str) -> dict[str, str]:
    """The parameters of an fmtp line: names in lower case, each with its value."""
    pairs = (each.partition("=") for each in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else otherwise


def _needed() -> ctypes.CDLL:
    found = library()
    if found is None:
        raise CodecMissing(f"Opus needs libopus: {HOW_TO_GET}")
    return found


def _check(result: int) -> int:
    assert result >= 0, f"libopus: error {result}"
    return result
