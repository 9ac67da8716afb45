"""The sound of a recording from any place on, sealed or not, is what the whole file holds."""

from __future__ import annotations

import io
import os
from pathlib import Path
from random import Random

import pytest

from callcenter.desk.reading.recordings import Filter, NotThere, Recordings, Sound, for_client, sound_of
from callcenter.media.embedded.recorder.files import create
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.mending import decrypt
from callcenter.media.embedded.recorder.sealing import CHUNK, Format
from callcenter.media.plane import RecordingEncoding
from callcenter.model.facts import RecordingEnded, RecordingStarted
from callcenter.storage.database import InlineDatabase
from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock, fact

KEY = bytes(range(32))
KEYS = MasterKeys((KEY,))
PCM = Format(RecordingEncoding.PCM, 8000)


def written(folder: Path, octets: int, key: bytes | None) -> Path:
    """A recording of so much chance."""
    file = create(str(folder / f"r{octets}"), PCM, key)
    file.write(Random(octets).randbytes(octets))
    file.finish()
    file.name()
    return Path(file.path)


@pytest.mark.parametrize("octets", [4, CHUNK - 4, CHUNK, CHUNK + 4, 3 * CHUNK + 1000])
@pytest.mark.parametrize("key", [None, KEY])
def test_any_range_is_that_part_of_the_whole(tmp_path: Path, octets: int, key: bytes | None) -> None:
    path = written(tmp_path, octets, key)
    out = io.BytesIO()
    whole = path.read_bytes()
    if key is not None:
        decrypt(path, KEYS, out)
        whole = out.getvalue()
    with Sound(path, KEYS) as sound:
        assert sound.size == len(whole)
        places = [0, 1, 43, 44, 45, CHUNK - 1, CHUNK, CHUNK + 44, len(whole) - 1, len(whole), len(whole) + 7]
        for start in places:
            for length in (1, 44, 100, CHUNK, CHUNK + 1, len(whole)):
                assert b"".join(sound.read(start, length)) == whole[start : start + length], (start, length)


def test_what_was_edited_is_not_given_out(tmp_path: Path) -> None:
    path = written(tmp_path, 2 * CHUNK, KEY)
    with path.open("r+b") as file:
        file.seek(CHUNK + 500)
        file.write(b"edited")
    with Sound(path, KEYS) as sound:
        assert len(b"".join(sound.read(0, 100))) == 100
        with pytest.raises(NotThere, match="was edited in its chunk 1"):
            list(sound.read(0, sound.size))


def test_a_key_that_is_missing_and_a_file_that_is_cut_or_gone_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, CHUNK, KEY)
    with pytest.raises(NotThere, match="is sealed under the key"):
        Sound(path, MasterKeys((os.urandom(32),)))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(NotThere, match="is cut before its last chunk"):
        Sound(path, KEYS)
    with pytest.raises(NotThere, match="cannot be read: no such file"):
        Sound(tmp_path / "gone.wav", KEYS)


def test_no_path_leads_out_of_the_folder_of_recordings(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    outside = written(tmp_path, 100, None)
    with pytest.raises(NotThere, match="outside"):
        sound_of(tmp_path / "recordings", f"../{outside.name}", KEYS)


async def test_pages_of_the_index_hold_what_is_ones_own() -> None:
    database = InlineDatabase()
    storage = await Storage.over(database, clock=StillClock())
    for number in range(12):
        client = ("acme", "globex")[number % 2]
        started = RecordingStarted(f"r{number:02d}", f"{client}/r", client, "the queue", agent="ana", queue="sales")
        storage.recordings.take(fact(2 * number + 1, started, f"cc1-{number}"))
        ended = RecordingEnded(f"r{number:02d}", "ana", f"{client}/r", 1000, 99, "ab", "stopped")
        storage.recordings.take(fact(2 * number + 2, ended, f"cc1-{number}"))
    await storage.log.drained()
    reading = Recordings(database)
    found, after = await reading.page(Filter(agent="ana"), frozenset({"acme"}), limit=4)
    rest, last = await reading.page(Filter(agent="ana"), frozenset({"acme"}), after=after, limit=4)
    assert [each["recording"] for each in [*found, *rest]] == ["r10", "r08", "r06", "r04", "r02", "r00"]
    assert last is None
    assert (await reading.page(Filter(client="globex"), frozenset({"acme"})))[0] == []
    [one], _ = await reading.page(Filter(call="cc1-3"), None)
    assert (one["recording"], one["client"], one["agents"]) == ("r03", "globex", ["ana"])
    assert "path" not in one
    assert await reading.one("r03", frozenset({"acme"})) is None
    assert await reading.one("r03", frozenset({"globex"})) == one
    shown = for_client(one)
    assert (shown["agents"], shown["started_by"]) == ([], None)
    await storage.close()
