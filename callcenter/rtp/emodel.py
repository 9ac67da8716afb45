"""The E-model (ITU-T G.107, 2015): how good a call sounds, estimated from loss, its bursts, codec and delay.

``R`` goes from 0 to 93.2, which is the best that a narrow-band call can be; :func:`mos_of` makes of it the mean opinion
score that people would give, from 1 to 4.41. What belongs to rooms and telephones has the default of the Recommendation
(its Table 3). Wide-band codecs are measured on the same scale: what they sound better by is not counted, so that
figures of all trunks can be compared.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec costs (ITU-T G.113 Appendix I): ``ie`` without any loss, and ``bpl``, how well it bears loss.

    ``delay_ms`` is what coding and decoding take beyond the length of a packet.
    """

    ie: float
    bpl: float
    delay_ms: float = 0.0


# G.711 with the concealment of its Appendix I, as phones have it; without any, bpl would be 4.3 (G.113 Table I.4).
G711: Final = Impairment(0.0, 25.1)
# On the wide-band scale 13, where G.711 has 36 (G.113 Appendix IV): no worse than G.711 on this one.
G722: Final = Impairment(0.0, 25.1, 1.5)
# The ITU has published no figures: it conceals at least as well as the best that have one, and looks ahead 6.5 ms.
OPUS: Final = Impairment(0.0, 25.1, 6.5)
L16: Final = Impairment(0.0, 25.1)
# Not spoken here: by these the tests compare with the tables of the Appendix.
G729A_VAD: Final = Impairment(11.0, 19.0, 15.0)
G723_1_VAD: Final = Impairment(15.0, 16.1, 37.5)

IMPAIRMENTS: Final = {"PCMU": G711, "PCMA": G711, "G722": G722, "OPUS": OPUS, "L16": L16}
"""By the name of the codec, in capitals."""

# The defaults of G.107 Table 3: loudness (dB) of sending and receiving, sidetone, the rooms' noise (dB(A)), the D-value
# of the telephones, the circuit's noise (dBm0p), echo losses (dB), and quantizing distortion units.
_SLR: Final = 8.0
_RLR: Final = 2.0
_STMR: Final = 15.0
_DS: Final = 3.0
_LSTR: Final = 18.0
_PS: Final = 35.0
_PR: Final = 35.0
_NC: Final = -70.0
_NFOR: Final = -64.0
_TELR: Final = 65.0
_WEPL: Final = 110.0
_QDU: Final = 1.0

# Beyond this both directions of a conversation are lost anyway; keeps the formulas within floating point.
_LONGEST_DELAY_MS: Final = 10_000.0


def effective_impairment(codec: Impairment, loss: float, burst_ratio: float = 1.0) -> float:
    """``Ie,eff`` (G.107 7.5): what the codec costs with so much loss (0 to 1).

    ``burst_ratio`` is how long losses last on average, against what they would by chance: 1 for single packets.
    """
    percent = 100 * min(1.0, max(0.0, loss))
    if not percent:
        return codec.ie
    return codec.ie + (95 - codec.ie) * percent / (percent / max(1.0, burst_ratio) + codec.bpl)


def rating(codec: Impairment = G711, *, loss: float = 0.0, burst_ratio: float = 1.0, delay_ms: float = 0.0) -> float:
    """``R`` (G.107 7.1), never below 0. ``delay_ms`` is from mouth to ear, one way."""
    delay = min(_LONGEST_DELAY_MS, max(0.0, delay_ms))
    return max(0.0, _rating_of_delay(delay) - effective_impairment(codec, loss, burst_ratio))


def mos_of(rating: float) -> float:
    """The mean opinion score of a conversation, 1 to 4.5, of ``R`` (G.107 Annex B)."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    # The curve falls below 1 under R = 6.5, where it was never measured.
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


def burst_ratio(lost: int, bursts: int, expected: int) -> float:
    """``BurstR`` (G.107 3.1): the mean length of ``bursts`` runs of ``lost`` packets, against that of chance."""
    if not lost or not bursts or expected <= lost:
        return 1.0
    return max(1.0, lost / min(bursts, lost) * (1 - lost / expected))


@functools.lru_cache(maxsize=1024)
def _rating_of_delay(delay_ms: float) -> float:
    """``Ro - Is - Id``: all but the codec. There is no echo but that of the telephones: ``T = Ta``, ``Tr = 2 T``."""
    return _RO - _simultaneous(delay_ms) - _delay_impairment(delay_ms)


def _noise() -> float:
    """``No`` (G.107 7.2): all noise together, in dBm0p."""
    olr = _SLR + _RLR
    sent = _PS - _SLR - _DS - 100 + 0.004 * (_PS - olr - _DS - 14) ** 2
    effective = _PR + 10 * math.log10(1 + 10 ** ((10 - _LSTR) / 10))
    received = _RLR - 121 + effective + 0.008 * (effective - 35) ** 2
    return 10 * math.log10(math.fsum(math.pow(10, each / 10) for each in (_NC, sent, received, _NFOR + _RLR)))


_NO: Final = _noise()
_RO: Final = 15 - 1.5 * (_SLR + _NO)


def _simultaneous(delay_ms: float) -> float:
    """``Is`` (G.107 7.3): too loud, sidetone, quantizing."""
    x = _SLR + _RLR + 0.2 * (64 + _NO - _RLR)
    loudness: float = 20 * ((1 + (x / 8) ** 8) ** (1 / 8) - x / 8)
    stmr = -10 * math.log10(10 ** (-_STMR / 10) + math.exp(-delay_ms / 4) * 10 ** (-_TELR / 10))
    sidetone: float = (
        12 * (1 + ((stmr - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmr + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmr - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * math.log10(_QDU)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    quantizing = 15 * math.log10(1 + 10 ** ((_RO - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))
    return loudness + sidetone + quantizing


def _delay_impairment(delay_ms: float) -> float:
    """``Id`` (G.107 7.4): the talker's echo, the listener's echo, and delay as such."""
    t = delay_ms
    terv = _TELR - 40 * math.log10((1 + t / 10) / (1 + t / 150)) + 6 * math.exp(-0.3 * t**2)
    apart = -1.5 * (_NO - _RLR) - (80 + 2.5 * (terv - 14))
    talker: float = (apart / 2 + math.sqrt(apart**2 / 4 + 100) - 1) * (1 - math.exp(-t))
    apart = _RO - 10.5 * (_WEPL + 7) * (2 * t + 1) ** -0.25
    listener: float = apart / 2 + math.sqrt(apart**2 / 4 + 169)
    if t <= 100:
        return talker + listener
    x = math.log2(t / 100)
    absolute: float = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return talker + listener + absolute
