"""Keys as tones in the sound (DTMF, ITU-T Q.23 and Q.24): every press told once, speech and music are none.

Sound is looked at in windows of 20 ms, a new one each 10 ms. Two windows in a row with the same pair of tones, each of
the right frequency, make a press: so 40 ms are enough, wherever they begin, and 20 ms are not. The frequency is told by
how far a tone's phase moves from one window to the next, to a hertz or two; the height of a tone alone could not tell
an error of 1.5 % (to be taken) from one of 3.5 % (to be refused).

``audioop.findfactor`` is a scalar product in C: a frame of 20 ms costs 2 us in silence, 10 us in noise or speech, 20 us
in a tone (a Goertzel filter in Python: 66 us). It is done only while keys are wanted, on legs without telephone events.
"""

from __future__ import annotations

import audioop
import cmath
import functools
import math
from array import array
from collections.abc import Callable
from typing import Final, NamedTuple

from callcenter.rtp.codecs import CODECS, Decoder
from callcenter.rtp.g711 import SAMPLE_RATE
from callcenter.rtp.packet import sequence_step, timestamp_step

LOW: Final = (697, 770, 852, 941)
HIGH: Final = (1209, 1336, 1477, 1633)
KEYS: Final = ("123A", "456B", "789C", "*0#D")
"""A row for each low tone, a column for each high one."""

_HOP: Final = SAMPLE_RATE // 100
_WINDOW: Final = 2 * _HOP
_OCTETS: Final = 2  # of a sample

# Each tone of a press has at least this amplitude, about -34 dBm0 (Q.24: sensitive to -25, deaf below -35 and so).
_FAINTEST: Final = 430.0

# Frequencies off by so much are still the tone (Q.24: 1.5 % must be, 3.5 % must not).
_OFF: Final = 0.024

# The high tone may be weaker than the low one by 8 dB, stronger by 4 dB (Q.24), and a little more.
_TWIST: Final = (10 ** (-9.5 / 20), 10 ** (5.5 / 20))

# The pair holds at least this share of all energy: noise and an echo of our prompt may be 7 dB below it. Speech has
# its energy elsewhere too. As long as it is not known how far a frequency is off, its height may be measured too low.
_PURE: Final = 0.78
_NEARLY_PURE: Final = 0.64

# The next tone of the same group, relative to the one that sounds: a Hann window leaves a quarter of a neighbour.
_NEXT: Final = 0.5

# From one half of a window, or one window, to the next the sound changes by this factor at most: speech swells.
_STEADY: Final = 1.22

# A press is over after so many windows without it: a pause of 40 ms leaves four, a break of 10 ms three.
_PAUSE: Final = 4

# Lost packets say neither that a key is held nor that it is not; after so many samples it is another press.
_MAX_LOSS: Final = SAMPLE_RATE // 10

# What comes at once at most: 100 ms. Who sends longer packets is cut.
_MAX_SAMPLES: Final = SAMPLE_RATE // 10

# What we press: each tone well above -25 dBm0, the high one 2 dB louder, as lines weaken it more (Q.24, annex A). Both
# together stay clear of full scale, which is +3.17 dBm0.
_SENT: Final = (32124 * 10 ** ((-9 - 3.17) / 20), 32124 * 10 ** ((-7 - 3.17) / 20))

# A tone that begins or ends at full height clicks, and a click sounds beside the pair: seconds of its slope.
_SLOPE: Final = 0.002

# Other codecs remember: each stream has a decoder of its own.
_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {"PCMU": audioop.ulaw2lin, "PCMA": audioop.alaw2lin}


class _Tone:
    """One frequency: its two references, and how its phase moves in one hop."""

    __slots__ = ("_cosine", "_scale", "_sine", "advance", "hertz", "tolerance")

    def __init__(self, hertz: int) -> None:
        self.hertz = hertz
        turn = 2 * math.pi * hertz / SAMPLE_RATE
        self.advance = cmath.exp(-1j * turn * _HOP)
        self.tolerance = 2 * math.pi * hertz * _OFF * _HOP / SAMPLE_RATE
        """How far the phase may be off after a hop."""
        hann = [math.sin(math.pi * (index + 0.5) / _WINDOW) ** 2 for index in range(_WINDOW)]
        waves = [
            array("h", (round(32000 * hann[index] * wave(turn * index)) for index in range(_WINDOW)))
            for wave in (math.cos, math.sin)
        ]
        self._cosine, self._sine = (wave.tobytes() for wave in waves)
        # findfactor divides by the reference's energy: back to the amplitude of the tone.
        self._scale = tuple(2 * sum(sample * sample for sample in wave) / (32000 * sum(hann)) for wave in waves)

    def measure(self, window: bytes) -> complex:
        """Amplitude and phase of this frequency in a window."""
        find, scale = audioop.findfactor, self._scale
        return complex(find(window, self._cosine) * scale[0], -find(window, self._sine) * scale[1])

    def correction(self, before: complex, now: complex) -> float:
        """By how much the tone that sounds from one window to the next is higher than measured; 0.0: not this tone."""
        turned = now / before * self.advance
        off = cmath.phase(turned)
        if abs(off) > self.tolerance or not 1 / _STEADY < abs(turned) < _STEADY:
            return 0.0
        # A Hann window shows a tone beside the frequency looked for lower than it is.
        bins = off * SAMPLE_RATE / (2 * math.pi * _HOP) * _WINDOW / SAMPLE_RATE
        turn = math.pi * bins
        return (1 - bins * bins) * turn / math.sin(turn) if turn else 1.0


_LOW_TONES: Final = tuple(map(_Tone, LOW))
_HIGH_TONES: Final = tuple(map(_Tone, HIGH))


class _Pair(NamedTuple):
    """A low and a high tone, as one window shows them."""

    row: int
    column: int
    low: complex
    high: complex
    energy: float


class ToneReceiver:
    """Reads the keys of one stream of packets, of any codec and any that follow each other."""

    __slots__ = ("_before", "_decoders", "_misses", "_pending", "_pressed", "_sequence", "_timestamp")

    def __init__(self) -> None:
        self._pending = b""
        self._before: _Pair | None = None
        self._pressed = ""
        self._misses = 0
        self._sequence = -1
        self._timestamp = 0
        self._decoders: dict[str, Decoder] | None = None

    @property
    def held(self) -> bool:
        """Whether a key is held now."""
        return bool(self._pressed)

    def receive(self, payload: bytes, codec: str, sequence: int, timestamp: int) -> str:
        """The keys whose presses this packet makes certain: mostly none, hardly ever more than one."""
        units = CODECS[codec].clock_rate // SAMPLE_RATE  # of the timestamp in a sample
        if self._sequence >= 0:
            step = sequence_step(sequence, self._sequence)
            if step <= 0 and step > -100:
                return ""  # late, or twice
            self._bridge(timestamp_step(timestamp, self._timestamp) // units, lost=step != 1)
        self._sequence = sequence
        sound = self._decode(payload, codec)[: _MAX_SAMPLES * _OCTETS]
        self._timestamp = (timestamp + len(sound) // _OCTETS * units) & 0xFFFFFFFF
        samples = self._pending + sound
        keys = ""
        start, end = 0, len(samples)
        while end - start >= _WINDOW * _OCTETS:
            keys += self._look(samples[start : start + _WINDOW * _OCTETS])
            start += _HOP * _OCTETS
        self._pending = samples[start:]
        return keys

    def _decode(self, payload: bytes, codec: str) -> bytes:
        plain = _DECODERS.get(codec)
        if plain is not None:
            return plain(payload, _OCTETS)
        if self._decoders is None:
            self._decoders = {}
        if codec not in self._decoders:
            self._decoders[codec] = CODECS[codec].decoder(SAMPLE_RATE)
        return self._decoders[codec].decode(payload)

    def _bridge(self, gap: int, *, lost: bool) -> None:
        """Between the packets ``gap`` samples are missing."""
        if gap == 0:
            return
        self._pending, self._before = b"", None
        if gap < 0 or gap > _MAX_LOSS or (not lost and gap >= (_PAUSE - 1) * _HOP):
            # A sender that was silent without a packet, that set its clock anew, or of which much was lost.
            self._pressed, self._misses = "", 0

    def _look(self, window: bytes) -> str:
        """The key whose press is certain with this window; empty mostly."""
        found = _pair_in(window)
        before, self._before = self._before, found
        if found is None:
            self._misses += 1
            if self._misses >= _PAUSE:
                self._pressed = ""
            return ""
        key = KEYS[found.row][found.column]
        if key == self._pressed:
            self._misses = 0
            return ""
        if before is None or not _goes_on(before, found):
            return ""
        self._pressed, self._misses = key, 0
        return key


def _pair_in(window: bytes) -> _Pair | None:
    """A pair of tones and nothing else; None for any other sound."""
    energy = float(audioop.rms(window, _OCTETS)) ** 2
    if energy < _FAINTEST * _FAINTEST:
        return None
    low = _strongest(_LOW_TONES, window)
    if low is None:
        return None
    # Of a pair the low tone has, with all the twist allowed, a fifth at least.
    share = abs(low[1]) ** 2 / 2
    if share < 0.15 * energy:
        return None
    high = _strongest(_HIGH_TONES, window)
    if high is None or share + abs(high[1]) ** 2 / 2 < _NEARLY_PURE * energy:
        return None
    # A window that a tone fills in part only is weighed most in its middle, and would seem full.
    half = _HOP * _OCTETS
    if not 1 / _STEADY < audioop.rms(window[:half], _OCTETS) / max(1, audioop.rms(window[half:], _OCTETS)) < _STEADY:
        return None
    return _Pair(low[0], high[0], low[1], high[1], energy)


def _strongest(tones: tuple[_Tone, ...], window: bytes) -> tuple[int, complex] | None:
    """The one tone of a group that sounds."""
    found = [tone.measure(window) for tone in tones]
    heights = [abs(each) for each in found]
    highest = max(heights)
    index = heights.index(highest)
    if highest < _FAINTEST or any(height > _NEXT * highest for other, height in enumerate(heights) if other != index):
        return None
    return index, found[index]


def _goes_on(before: _Pair, now: _Pair) -> bool:
    """Whether the same pair goes on from one window to the next, each tone with the right frequency and height."""
    if (before.row, before.column) != (now.row, now.column):
        return False
    more_low = _LOW_TONES[now.row].correction(before.low, now.low)
    more_high = _HIGH_TONES[now.column].correction(before.high, now.high)
    if not (more_low and more_high):
        return False
    for window in (before, now):
        low, high = abs(window.low) * more_low, abs(window.high) * more_high
        if not _TWIST[0] <= high / low <= _TWIST[1] or (low * low + high * high) / 2 < _PURE * window.energy:
            return False
    return True


@functools.lru_cache(maxsize=64)
def tone(key: str, samples: int, sample_rate: int = SAMPLE_RATE) -> bytes:
    """The pair of tones of a key, 16 bit, mono. Raises ValueError when there is no such key."""
    row = next((row for row, keys in enumerate(KEYS) if key in keys), None)
    if row is None or len(key) != 1:
        raise ValueError(f"{key!r} is no key of a telephone")
    low, high = (2 * math.pi * hertz / sample_rate for hertz in (LOW[row], HIGH[KEYS[row].index(key)]))
    slope = _SLOPE * sample_rate
    return array(
        "h",
        (
            round(
                min(1.0, at / slope, (samples - at) / slope)
                * (_SENT[0] * math.sin(low * at) + _SENT[1] * math.sin(high * at))
            )
            for at in range(samples)
        ),
    ).tobytes()
