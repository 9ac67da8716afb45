"""From 8 to 16 kHz and back: what a telephone carries keeps its level, and no mirror image comes with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.resample import Doubler, Halver, resampler
from tests.unit.rtp.sounds import decibels, height, through, tone


@pytest.mark.parametrize("hertz", [200, 1000, 2000, 3000, 3400])
def test_a_tone_keeps_its_level_both_ways(hertz: int) -> None:
    sound = tone(hertz, 8000, 500)
    wide = through(Doubler().resample, sound, 8000)
    back = through(Halver().resample, wide, 16000)
    assert len(wide) == 2 * len(sound)
    assert len(back) == len(sound)
    assert decibels(wide[1600:], sound) == pytest.approx(0, abs=0.1)
    assert decibels(back[800:], sound) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("hertz", [300, 1000, 3000, 3400])
def test_no_image_above_what_was_there(hertz: int) -> None:
    wide = through(Doubler().resample, tone(hertz, 8000, 500), 8000)[1600:]
    assert height(wide, 16000, 8000 - hertz) < 8000 * 10 ** (-48 / 20)


@pytest.mark.parametrize("hertz", [4700, 5000, 6000, 7500])
def test_nothing_folds_back_into_the_band(hertz: int) -> None:
    sound = tone(hertz, 16000, 500)
    assert decibels(through(Halver().resample, sound, 16000)[800:], sound) < -48


def test_the_loudest_sound_is_not_broken() -> None:
    sound = tone(1000, 8000, 500, 32700)
    wide = through(Doubler().resample, sound, 8000)
    assert decibels(wide[1600:], sound) == pytest.approx(0, abs=0.1)
    assert height(wide[1600:], 16000, 3000) < 50
    assert decibels(through(Halver().resample, wide, 16000)[800:], sound) == pytest.approx(0, abs=0.1)


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_it_does_not_matter_how_the_sound_is_cut(sizes: list[int]) -> None:
    narrow = tone(440, 8000, 200)[: 2 * sum(sizes)]
    wide = tone(440, 16000, 200)[: 4 * sum(sizes)]
    doubler, halver = Doubler(), Halver()
    doubled, halved, at = b"", b"", 0
    for size in sizes:
        doubled += doubler.resample(narrow[2 * at : 2 * (at + size)])
        halved += halver.resample(wide[4 * at : 4 * (at + size)])
        at += size
    assert doubled == Doubler().resample(narrow)
    assert halved == Halver().resample(wide)


def test_there_are_two_rates() -> None:
    assert resampler(8000, 8000) is None
    with pytest.raises(ValueError, match="44100"):
        resampler(44100, 8000)
