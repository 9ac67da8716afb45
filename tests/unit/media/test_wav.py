"""WAV files: what is taken, and what is said of those that are not."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from callcenter.media.plane import MediaError
from callcenter.media.wav import Wav, read_wav


def write(path: Path, *, channels: int = 1, width: int = 2, rate: int = 8000, data: bytes = b"\1\2\3\4") -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return str(path)


def test_the_samples_are_read(tmp_path: Path) -> None:
    assert read_wav(write(tmp_path / "a.wav")) == Wav(8000, b"\1\2\3\4")
    assert read_wav(write(tmp_path / "a.wav", rate=16000)) == Wav(16000, b"\1\2\3\4")


def test_other_chunks_are_passed_over_and_the_long_format_is_understood(tmp_path: Path) -> None:
    pcm = b"\x01\x00" + bytes(14)
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack("<HHI", 22, 16, 4) + pcm
    body = b"LIST\x03\x00\x00\x00abc\0" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data\xff\xff\xff\xff\1\2\3\4\5"
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    assert read_wav(str(path)) == Wav(8000, b"\1\2\3\4")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"channels": 2}, "8000 Hz, 2 channels, 16 bit, PCM"),
        ({"rate": 44100}, "44100 Hz, 1 channel, 16 bit, PCM"),
        ({"width": 1}, "8000 Hz, 1 channel, 8 bit, PCM"),
    ],
)
def test_another_form_is_named_with_the_file(tmp_path: Path, form: dict[str, int], said: str) -> None:
    path = write(tmp_path / "a.wav", **form)  # type: ignore[arg-type]
    with pytest.raises(MediaError) as error:
        read_wav(path)
    assert str(error.value) == f"{path}: must be 8000 or 16000 Hz, mono, 16 bit, PCM, but is {said}"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no WAV file"),
        (b"ID3 an mp3 file", "is no WAV file"),
        (b"RIFF\0\0\0\0WAVE", "holds no sound"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "without a format"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0ab", "format is cut"),
    ],
)
def test_what_is_no_wav_file_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=said) as error:
        read_wav(str(path))
    assert str(path) in str(error.value)


def test_a_file_without_sound_or_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds no sound"):
        read_wav(write(tmp_path / "empty.wav", data=b""))
    with pytest.raises(MediaError, match="No such file"):
        read_wav(str(tmp_path / "missing.wav"))
