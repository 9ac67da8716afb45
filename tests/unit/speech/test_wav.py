"""WAV files of every usual kind are read alike; what is none is told in words that help."""

from __future__ import annotations

import math
import struct
from array import array
from pathlib import Path

import pytest

from callcenter.speech import level
from callcenter.speech.wav import RATE, WIDE_RATE, Sound, UnreadableSound, probe, read, write


def tone(rate: int, hertz: float = 440.0, seconds: float = 0.5, loud: float = 0.5) -> list[float]:
    return [loud * math.sin(2 * math.pi * hertz * n / rate) for n in range(int(rate * seconds))]


def wav(
    kind: int, channels: int, rate: int, bits: int, data: bytes, *, extra: bytes = b"", extensible: bool = False
) -> bytes:
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate, rate * channels * bits // 8,
                       channels * bits // 8, bits)  # fmt: skip
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, kind) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + extra
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm(values: list[float], bits: int) -> bytes:
    top = 2 ** (bits - 1) - 1
    if bits == 8:
        return bytes(round(value * top) + 128 for value in values)
    return b"".join(round(value * top).to_bytes(bits // 8, "little", signed=True) for value in values)


def strength(samples: array[int], rate: int, hertz: float) -> float:
    """How much of one frequency is in it, 1.0 for a full-scale sine."""
    re = sum(sample * math.cos(2 * math.pi * hertz * n / rate) for n, sample in enumerate(samples))
    im = sum(sample * math.sin(2 * math.pi * hertz * n / rate) for n, sample in enumerate(samples))
    return 2 * math.hypot(re, im) / len(samples) / 32768


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("extensible", [False, True])
def test_pcm_of_any_width_is_read(bits: int, extensible: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(1, 1, 8000, bits, pcm(tone(8000), bits), extensible=extensible))
    sound = read(path)
    assert (sound.rate, sound.seconds) == (8000, 0.5)
    assert strength(sound.samples, 8000, 440) == pytest.approx(0.5, abs=0.01)
    assert abs(sum(sound.samples) / len(sound.samples)) < 300


@pytest.mark.parametrize(("code", "bits"), [("f", 32), ("d", 64)])
def test_floats_are_read_and_held_within_full_scale(code: str, bits: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(3, 1, 8000, bits, array(code, [0.0, 0.5, 2.0, -2.0]).tobytes()))
    assert list(read(path).samples) == [0, 16383, 32767, -32767]


@pytest.mark.parametrize(("kind", "silence"), [(6, 0xD5), (7, 0xFF)])
def test_g711_in_a_wav_file_is_read(kind: int, silence: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(kind, 1, 8000, 8, bytes([silence] * 80)))
    assert max(map(abs, read(path).samples)) <= 8


def test_stereo_is_mixed_down_and_chunks_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = struct.pack("<4h", 1000, 3000, -1000, -3000)
    path.write_bytes(wav(1, 2, 44100, 16, data, extra=b"LIST" + struct.pack("<I", 3) + b"abc\x00"))
    sound = read(path)
    assert (sound.rate, list(sound.samples)) == (44100, [2000, -2000])


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    whole = wav(1, 1, 8000, 16, pcm(tone(8000), 16))
    path.write_bytes(whole[:-1001])
    assert read(path).seconds == pytest.approx(0.437, abs=0.001)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04" + b"\0" * 20, "but an MP3"),
        (b"OggS" + b"\0" * 20, "but an Ogg file"),
        (b"fLaC" + b"\0" * 20, "but a FLAC file"),
        (wav(1, 1, 8000, 16, b""), "no sound in it"),
        (wav(2, 1, 8000, 4, b"\0" * 100), "WAV format 2, 4 bit"),
        (wav(1, 0, 8000, 16, b"\0" * 100), "cannot be used"),
        (wav(1, 1, 8000, 16, b"\0" * 100)[:30], "cut off"),
        (b"RIFF\0\0\0\0WAVE", "no sound in it"),
    ],
)
def test_what_is_no_sound_is_told_in_one_line(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(UnreadableSound) as caught:
        read(path)
    assert words in caught.value.reason
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSound, match="No such file"):
        probe(tmp_path / "none.wav")


def test_what_is_written_is_read_again_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.wav"
    sound = Sound(RATE, array("h", [1, -2, 32767, -32768]))
    write(path, sound)
    assert read(path) == sound
    assert probe(path).for_the_line
    assert [each.name for each in path.parent.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 24000, 44100, 48000, 6000])
def test_another_rate_keeps_the_pitch_the_loudness_and_the_length(rate: int) -> None:
    samples = array("h", (round(value * 32767) for value in tone(rate, 1000)))
    result = level.resample(samples, rate, RATE)
    assert len(result) / RATE == pytest.approx(0.5, abs=0.001)
    assert strength(result[400:-400], RATE, 1000) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("rate", "hertz"), [(16000, 5000), (24000, 6500), (44100, 4600), (48000, 7000)])
def test_what_a_telephone_cannot_carry_does_not_fold_back_into_the_speech(rate: int, hertz: float) -> None:
    samples = array("h", (round(value * 32767) for value in tone(rate, hertz)))
    heard = level.resample(samples, rate, RATE)[400:-400]
    assert max(map(abs, heard)) < 32768 * 0.5 * 0.01


def test_speech_is_brought_to_one_loudness_trimmed_and_never_clipped() -> None:
    for loud in (0.01, 0.2, 0.99):
        quiet = [0] * 8000
        samples = array("h", [*quiet, *(round(value * 32767) for value in tone(RATE, 300, 1.0, loud)), *quiet])
        sound = level.spoken(Sound(RATE, samples))
        assert level.loudness(sound.samples) == pytest.approx(level.TARGET_DBFS, abs=0.3)
        assert max(map(abs, sound.samples)) <= level.PEAK * 32768
        assert sound.seconds == pytest.approx(1.0 + 0.12 + level.PAUSE, abs=0.05)


@pytest.mark.parametrize(
    ("rate", "most", "line"), [(24000, WIDE_RATE, WIDE_RATE), (16000, WIDE_RATE, WIDE_RATE), (24000, RATE, RATE),
                               (11025, WIDE_RATE, RATE), (8000, WIDE_RATE, RATE)]
)  # fmt: skip
def test_sound_is_wide_band_where_it_has_as_much(rate: int, most: int, line: int, tmp_path: Path) -> None:
    samples = array("h", (round(value * 32767) for value in tone(rate, 300, 0.6, 0.2)))
    sound = level.spoken(Sound(rate, samples), most)
    assert sound.rate == line
    assert level.loudness(sound.samples, line) == pytest.approx(level.TARGET_DBFS, abs=0.3)
    assert sound.seconds == pytest.approx(0.6 + level.PAUSE, abs=0.05)
    write(tmp_path / "a.wav", sound)
    assert probe(tmp_path / "a.wav").for_the_line
    assert level.for_the_line(Sound(rate, samples), most).rate == line


def test_a_sound_of_sharp_peaks_is_left_quieter_rather_than_clipped() -> None:
    spikes = array("h", [0, 0, 0, 0, 0, 0, 0, 0, 0, 20000] * 800)
    sound = level.levelled(spikes, target=-3.0)
    assert max(sound) == pytest.approx(level.PEAK * 32768, abs=2)


def test_silence_stays_silence() -> None:
    assert level.loudness([0] * 800) == -math.inf
    assert not any(level.spoken(Sound(RATE, array("h", [0] * 800))).samples)
