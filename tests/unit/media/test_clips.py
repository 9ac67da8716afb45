"""Clips: sound from disk in every codec, made when it is needed, never at the cost of those who talk."""

from __future__ import annotations

import asyncio
import itertools
import time
import wave
from pathlib import Path

import pytest

from callcenter.media.embedded.clips import Clips, LoadedClip
from callcenter.media.plane import MediaError
from callcenter.rtp.codecs import CODECS, AudioCodec
from tests.unit.rtp.sounds import decibels, height, tone

EVERY = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def write(path: Path, rate: int, ms: int, hertz: float = 1000) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone(hertz, rate, ms))
    return str(path)


def clips() -> Clips:
    return Clips(tuple(CODECS))


async def made(house: Clips, path: str, codec: AudioCodec, start: int = 0) -> LoadedClip:
    clip = await house.load(path)
    await house.make(clip, codec, start)
    return clip


def heard(clip: LoadedClip, codec: AudioCodec, ms: int = 20) -> bytes:
    """The clip as a peer hears it."""
    decoder, end = codec.decoder(), clip.frames * 20
    return b"".join(decoder.decode(clip.cut(codec, at, ms)) for at in range(0, end, ms))


@EVERY
@pytest.mark.parametrize("rate", [8000, 16000])
async def test_a_clip_is_heard_as_loud_as_it_is_in_every_codec(codec: AudioCodec, rate: int, tmp_path: Path) -> None:
    house = clips()
    path = write(tmp_path / "a.wav", rate, 990)
    clip = await made(house, path, codec, 600)
    assert clip.frames == 50
    sound = heard(clip, codec)
    assert len(sound) == 2 * codec.sample_rate
    middle = sound[len(sound) // 4 : len(sound) * 3 // 4]
    assert decibels(middle, tone(1000, rate, 500)) == pytest.approx(0, abs=0.5)
    assert height(middle, codec.sample_rate, 1000) == pytest.approx(8000, rel=0.07)


async def test_a_wide_band_clip_is_wide_where_the_leg_is(tmp_path: Path) -> None:
    house = clips()
    path = write(tmp_path / "a.wav", 16000, 400, 5500)
    for codec in CODECS.values():
        clip = await made(house, path, codec)
        loss = decibels(heard(clip, codec)[3000:], tone(5500, 16000, 300))
        assert (loss > -1) if codec.wide else (loss < -40)


async def test_packets_may_be_of_any_length_where_sound_can_be_cut(tmp_path: Path) -> None:
    clip = await made(clips(), write(tmp_path / "a.wav", 8000, 600), CODECS["G722"], 200)
    whole = clip.cut(CODECS["G722"], 0, 600)
    assert len(whole) == 4800
    for ms in (10, 20, 30, 40, 50, 60):
        assert b"".join(clip.cut(CODECS["G722"], at, ms) for at in range(0, 600, ms)) == whole


async def test_g711_is_there_at_once_and_the_rest_when_somebody_needs_it(tmp_path: Path) -> None:
    house = clips()
    path = write(tmp_path / "a.wav", 8000, 2000)
    assert house.get(path) is None
    clip = await house.load(path)
    assert house.get(path) is clip
    assert clip.is_made(CODECS["PCMU"])
    assert clip.is_made(CODECS["PCMA"], 1900)
    assert not clip.is_made(CODECS["G722"])
    await house.make(clip, CODECS["G722"])
    assert clip.is_made(CODECS["G722"])
    await house.make(clip, CODECS["G722"], 1900)
    assert clip.is_made(CODECS["G722"], 1900)


async def test_who_changes_the_codec_in_the_middle_hears_it_go_on_after_a_moment(tmp_path: Path) -> None:
    house, codec = clips(), CODECS["opus"]
    clip = await house.load(write(tmp_path / "a.wav", 8000, 1000))
    assert clip.cut(codec, 0, 20) == codec.silence(320)
    await house.make(clip, codec, 600)
    assert decibels(heard(clip, codec)[16000:], tone(1000, 8000, 500)) == pytest.approx(0, abs=0.5)


async def test_making_a_long_clip_stops_nobody(tmp_path: Path) -> None:
    """In 30 s of music there are 1500 frames of Opus, some 200 ms of work: done in turns of half a millisecond."""
    house = clips()
    path = write(tmp_path / "a.wav", 16000, 6000)
    clip = await house.load(path)
    turns: list[float] = []

    async def others() -> None:
        while True:
            turns.append(time.thread_time())
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await asyncio.gather(*(house.make(clip, CODECS["opus"], start) for start in (0, 3000, 5600)))
    task.cancel()
    busy = sorted(after - before for before, after in itertools.pairwise(turns))
    assert len(busy) > 20
    # The processor's time, since others may have it meanwhile; a turn ends with the frame that is at hand.
    assert busy[len(busy) * 99 // 100] < 0.002


async def test_a_file_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    house = clips()
    path = write(tmp_path / "a.wav", 8000, 100)
    first = await made(house, path, CODECS["G722"])
    write(tmp_path / "a.wav", 16000, 200)
    second = await made(house, path, CODECS["G722"])
    assert (first.frames, second.frames) == (5, 10)
    assert house.get(path) is second


async def test_a_file_that_is_gone_is_told_and_silent(tmp_path: Path) -> None:
    house = clips()
    path = write(tmp_path / "a.wav", 8000, 100)
    clip = await house.load(path)
    Path(path).unlink()
    with pytest.raises(MediaError, match="cannot be read"):
        await house.load(path)
    assert clip.cut(CODECS["G722"], 0, 20) == CODECS["G722"].silence(320)
    with pytest.raises(MediaError, match="cannot be read"):
        await house.make(clip, CODECS["G722"])
    assert clip.cut(CODECS["G722"], 0, 20) == CODECS["G722"].silence(320)
