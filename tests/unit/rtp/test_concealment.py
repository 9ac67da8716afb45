"""Concealment: a loss sounds like what was there before, then fades, and sound that comes again does not click."""

from __future__ import annotations

import audioop
import itertools
from array import array

import pytest

from callcenter.rtp.concealment import Concealment
from tests.unit.rtp.sounds import decibels, packets, tone

RATE = 8000


def jumps(pcm: bytes) -> int:
    """The greatest step from one sample to the next."""
    samples = array("h", pcm)
    return max(abs(after - before) for before, after in itertools.pairwise(samples))


@pytest.mark.parametrize("hertz", [90, 170, 260, 400])
def test_a_voice_goes_on_at_its_own_pitch(hertz: int) -> None:
    voice = tone(hertz, RATE, 200)
    concealment = Concealment(RATE)
    pieces = packets(voice, RATE, 20)
    for piece in pieces[:5]:
        assert concealment.take(piece) == piece
    filled = concealment.fill(RATE // 50)
    off = audioop.add(filled, audioop.mul(pieces[5], 2, -1), 2)
    assert decibels(off, pieces[5]) < -6
    again = concealment.take(pieces[6])
    assert jumps(pieces[4] + filled + again) < 2.5 * jumps(voice)


def test_it_fades_to_silence_within_sixty_milliseconds() -> None:
    concealment = Concealment(RATE)
    for piece in packets(tone(170, RATE, 100), RATE, 20):
        concealment.take(piece)
    heights = [audioop.rms(concealment.fill(RATE // 50), 2) for _ in range(5)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > 3000
    assert heights[3:] == [0, 0]


def test_before_any_sound_there_is_silence() -> None:
    concealment = Concealment(RATE)
    assert concealment.fill(160) == bytes(320)
    piece = tone(170, RATE, 20)
    assert concealment.take(piece)[-200:] == piece[-200:]


def test_one_short_packet_is_enough_to_go_on_with() -> None:
    concealment = Concealment(RATE)
    concealment.take(b"\x01\x00")
    assert len(concealment.fill(160)) == 320
    concealment.take(b"")
    assert len(concealment.fill(7)) == 14
