"""Peaks are the loudest samples of the pieces that a recording is parted into, sealed or not, PCM or G.711."""

from __future__ import annotations

import asyncio
import sys
import threading
from array import array
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from callcenter.desk.reading.peaks import FINEST, Peaks, Seen, peaks_of, shares
from callcenter.desk.reading.recordings import NotThere, Sound
from callcenter.media.embedded.recorder.files import create
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.sealing import CHUNK, Format
from callcenter.media.plane import RecordingEncoding

KEY = bytes(range(32))
KEYS = MasterKeys((KEY,))
PCM = Format(RecordingEncoding.PCM, 8000)


def drawn(length_ms: int, caller: Iterable[int], agent: Iterable[int]) -> Peaks:
    return Peaks(length_ms, array("H", caller), array("H", agent))


def written(folder: Path, sound: bytes, key: bytes | None, form: Format = PCM) -> Path:
    file = create(str(folder / "r"), form, key)
    file.write(sound)
    file.finish()
    file.name()
    return Path(file.path)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("frames", [1, 7, CHUNK // 4 + 1, 30_011])
def test_each_is_the_loudest_of_its_piece_on_its_side(tmp_path: Path, frames: int, key: bytes | None) -> None:
    samples = array("h", Random(frames).randbytes(4 * frames))
    with Sound(written(tmp_path, samples.tobytes(), key), KEYS) as sound:
        found = peaks_of(sound, 100)
    pieces = min(100, frames)
    for side, told in ((0, found.caller), (1, found.agent)):
        one = [abs(each) for each in samples[side::2]]
        edges = [at * frames // pieces for at in range(pieces + 1)]
        wanted = [max(one[edges[at] : edges[at + 1]]) for at in range(pieces)]
        assert list(told) == wanted
        assert shares(told) == [round(each / 32_768, 4) for each in wanted]
    assert found.length_ms == frames // 8


def test_what_is_stored_as_g711_is_as_loud(tmp_path: Path) -> None:
    form = Format(RecordingEncoding.ULAW, 8000)
    with Sound(written(tmp_path, bytes([0x80, 0xFF] * 800), None, form), KEYS) as sound:
        found = peaks_of(sound, 4)
    assert (found.length_ms, shares(found.caller), shares(found.agent)) == (100, [0.9803] * 4, [0.0] * 4)


def test_fewer_are_made_of_the_finest() -> None:
    fine = drawn(1000, [1, 5, 2, 3, 9], [0, 0, 0, 7, 0])
    assert fine.of(2) == drawn(1000, [5, 9], [0, 7])
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


async def test_what_is_known_already_waits_for_nothing_that_is_looked_through(tmp_path: Path) -> None:
    path, free = written(tmp_path, bytes(400), KEY), threading.Event()

    def slowly() -> Sound:
        free.wait(10)
        return Sound(path, KEYS)

    seen = Seen()
    known = await seen.of("ab", lambda: Sound(path, KEYS))
    other = asyncio.create_task(seen.of("cd", slowly))
    await asyncio.sleep(0)  # it has the turn
    try:
        async with asyncio.timeout(5):
            assert await seen.of("ab", slowly) is known
        assert not other.done()
    finally:
        free.set()
        await other


def test_what_is_remembered_of_one_is_small(tmp_path: Path) -> None:
    with Sound(written(tmp_path, Random(1).randbytes(40_000), None), KEYS) as sound:
        found = peaks_of(sound)
    assert len(found.caller) == len(found.agent) == FINEST
    assert sys.getsizeof(found.caller) + sys.getsizeof(found.agent) < 9_000
