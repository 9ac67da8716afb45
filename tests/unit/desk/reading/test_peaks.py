"""Peaks are the loudest samples of the pieces that a recording is parted into, sealed or not, PCM or G.711."""

from __future__ import annotations

import array
import asyncio
from pathlib import Path
from random import Random

import pytest

from callcenter.desk.reading.peaks import FINEST, Peaks, Seen, peaks_of
from callcenter.desk.reading.recordings import NotThere, Sound
from callcenter.media.embedded.recorder.files import create
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.sealing import CHUNK, Format
from callcenter.media.plane import RecordingEncoding

KEY = bytes(range(32))
KEYS = MasterKeys((KEY,))
PCM = Format(RecordingEncoding.PCM, 8000)


def written(folder: Path, sound: bytes, key: bytes | None, form: Format = PCM) -> Path:
    file = create(str(folder / "r"), form, key)
    file.write(sound)
    file.finish()
    file.name()
    return Path(file.path)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("frames", [1, 7, CHUNK // 4 + 1, 30_011])
def test_each_is_the_loudest_of_its_piece_on_its_side(tmp_path: Path, frames: int, key: bytes | None) -> None:
    samples = array.array("h", Random(frames).randbytes(4 * frames))
    with Sound(written(tmp_path, samples.tobytes(), key), KEYS) as sound:
        found = peaks_of(sound, 100)
    pieces = min(100, frames)
    for side, told in ((0, found.caller), (1, found.agent)):
        one = [abs(each) for each in samples[side::2]]
        edges = [at * frames // pieces for at in range(pieces + 1)]
        wanted = [max(one[edges[at] : edges[at + 1]]) for at in range(pieces)]
        assert list(told) == [round(each / 32_768, 4) for each in wanted]
    assert found.length_ms == frames // 8


def test_what_is_stored_as_g711_is_as_loud(tmp_path: Path) -> None:
    form = Format(RecordingEncoding.ULAW, 8000)
    with Sound(written(tmp_path, bytes([0x80, 0xFF] * 800), None, form), KEYS) as sound:
        found = peaks_of(sound, 4)
    assert found == Peaks(100, [0.9803] * 4, [0.0] * 4)


def test_fewer_are_made_of_the_finest() -> None:
    fine = Peaks(1000, [0.1, 0.5, 0.2, 0.3, 0.9], [0.0, 0.0, 0.0, 0.7, 0.0])
    assert fine.of(2) == Peaks(1000, [0.5, 0.9], [0.0, 0.7])
    assert fine.of(FINEST) is fine


def test_what_is_no_recording_of_ours_has_none(tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    for octets in (b"", b"RIFF", b"RIFF____WAVEfmt " + bytes(60), b"x" * 100):
        path.write_bytes(octets)
        with Sound(path, KEYS) as sound, pytest.raises(NotThere):
            peaks_of(sound)


async def test_a_recording_is_looked_through_once_for_all_who_draw_it(tmp_path: Path) -> None:
    path, opened = written(tmp_path, bytes(400), KEY), 0

    def look() -> Sound:
        nonlocal opened
        opened += 1
        return Sound(path, KEYS)

    seen = Seen()
    found = await asyncio.gather(*(seen.of("ab", look) for _ in range(5)))
    assert (opened, {each.length_ms for each in found}) == (1, {12})
