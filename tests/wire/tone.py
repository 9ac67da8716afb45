"""Tones: made for one phone to send, measured in what another has heard."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy
from numpy.typing import NDArray

RATE = 8000  # samples a second, as G.711 has them
WAV_HEADER = 44  # bytes; what baresip and wave write before 16-bit samples
SILENT_BELOW = 200.0  # root mean square of 16-bit samples: under it nobody would call it a tone

Samples = NDArray[numpy.int16]


def tone(hz: float, seconds: float, amplitude: int = 9000) -> Samples:
    """A sine at 8 kHz, 16 bit."""
    at = numpy.arange(int(seconds * RATE)) / RATE
    return (numpy.sin(2 * numpy.pi * hz * at) * amplitude).astype(numpy.int16)


def key_tone(key: str, seconds: float) -> Samples:
    """The two tones of a key (ITU-T Q.23)."""
    row, column = divmod("123A456B789C*0#D".index(key), 4)
    low, high = (697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]
    return tone(low, seconds, 6000) + tone(high, seconds, 6000)


def silence(seconds: float) -> Samples:
    """Nothing."""
    return numpy.zeros(int(seconds * RATE), dtype=numpy.int16)


def write_wav(path: Path, samples: Samples) -> Path:
    """Writes 8 kHz mono 16 bit."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def mu_law(samples: Samples) -> bytes:
    """G.711 mu-law of 16-bit samples (by its definition: bias, segment, step)."""
    wide = samples.astype(numpy.int32)
    sign = numpy.where(wide < 0, 0x80, 0)
    magnitude = numpy.minimum(numpy.abs(wide), 32635) + 132
    segment = numpy.floor(numpy.log2(magnitude)).astype(numpy.int32) - 7
    step = (magnitude >> (segment + 3)) & 0x0F
    coded: NDArray[numpy.uint8] = (~(sign | (segment << 4) | step) & 0xFF).astype(numpy.uint8)
    return coded.tobytes()


def from_mu_law(coded: bytes) -> Samples:
    """16-bit samples of G.711 mu-law."""
    code = ~numpy.frombuffer(coded, dtype=numpy.uint8).astype(numpy.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 132) << ((code >> 4) & 7)) - 132
    return numpy.where(code & 0x80, -magnitude, magnitude).astype(numpy.int16)


def tail_of_wav(path: Path, seconds: float) -> Samples:
    """The last part of a WAV that may still be growing: its header's length is not looked at.

    Of several channels the first; of a higher rate every second sample, or sixth: enough to know a tone below 4 kHz.
    """
    data = path.read_bytes()
    step = _values_of_wav(data[:WAV_HEADER]) // RATE
    samples = numpy.frombuffer(data[WAV_HEADER : WAV_HEADER + (len(data) - WAV_HEADER) // 2 * 2], dtype="<i2")
    samples = samples[: samples.size // step * step : step]
    return samples[-int(seconds * RATE) :].astype(numpy.int16)


def seconds_of_wav(path: Path) -> float:
    """How much sound a WAV that may still be growing holds."""
    data = path.read_bytes()
    return max(0, len(data) - WAV_HEADER) / 2 / _values_of_wav(data[:WAV_HEADER])


def _values_of_wav(header: bytes) -> int:
    """How many 16-bit values are a second of sound; as those of G.711 as long as the header is not written."""
    channels, rate = struct.unpack_from("<HI", header, 22) if len(header) == WAV_HEADER else (1, RATE)
    return channels * rate or RATE


def loudness(samples: Samples) -> float:
    """Root mean square."""
    return float(numpy.sqrt(numpy.mean(numpy.square(samples.astype(numpy.float64))))) if samples.size else 0.0


def frequency(samples: Samples) -> float | None:
    """The strongest frequency in Hz; None for silence."""
    if samples.size < RATE // 20 or loudness(samples) < SILENT_BELOW:
        return None
    windowed = samples.astype(numpy.float64) * numpy.hanning(samples.size)
    padded = max(RATE, samples.size)
    return float(numpy.argmax(numpy.abs(numpy.fft.rfft(windowed, padded)))) * RATE / padded


def purity(samples: Samples, hz: float, width: float = 30.0) -> float:
    """The share of the sound's energy that lies within ``width`` Hz of ``hz``: 1 for that tone alone."""
    spectrum = numpy.square(numpy.abs(numpy.fft.rfft(samples.astype(numpy.float64) * numpy.hanning(samples.size))))
    at = numpy.fft.rfftfreq(samples.size, 1 / RATE)
    total = float(spectrum[at > 50].sum())
    return float(spectrum[numpy.abs(at - hz) <= width].sum()) / total if total else 0.0


def is_tone(samples: Samples, hz: float) -> bool:
    """This tone and hardly anything else."""
    found = frequency(samples)
    return found is not None and abs(found - hz) <= 10 and purity(samples, hz) > 0.8


KEYS = "0123456789*#"
"""The keys of a telephone, in the order of their events (RFC 4733)."""


def rtp_of_key(key: str, *, payload_type: int = 101, packets: int = 6, nth: int = 0) -> list[bytes]:
    """The RTP packets of one key, the ``nth`` of its call: start, going on, and three times its end."""
    made = []
    for number in range(packets + 3):
        ended = number >= packets
        marked = payload_type | (0x80 if number == 0 else 0)
        sequence, timestamp = 1000 + nth * (packets + 3) + number, 16000 + nth * 8000
        header = struct.pack("!BBHII", 0x80, marked, sequence, timestamp, 0x0BADCAFE)
        duration = 160 * min(number + 1, packets)
        made.append(header + struct.pack("!BBH", KEYS.index(key), (0x80 if ended else 0) | 10, duration))
    return made


def pcap_of_keys(keys: str) -> bytes:
    """Keys one after the other as a capture, 20 ms from packet to packet, for sipp's play_pcap_audio."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    packets = [rtp for nth, key in enumerate(keys) for rtp in rtp_of_key(key, nth=nth)]
    for number, rtp in enumerate(packets):
        udp = struct.pack("!HHHH", 4000, 4000, 8 + len(rtp), 0) + rtp
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        frame = b"\0" * 12 + b"\x08\0" + ip + udp
        out += struct.pack("<IIII", 1, number * 20_000, len(frame), len(frame)) + frame
    return out


def tones_in(samples: Samples, candidates: tuple[float, ...]) -> set[float]:
    """Which of these tones are in a sound that may hold several: each with a tenth of its energy at least."""
    if samples.size < RATE // 20 or loudness(samples) < SILENT_BELOW:
        return set()
    return {hz for hz in candidates if purity(samples, hz) > 0.1}
