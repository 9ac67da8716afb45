"""The index of recordings: what the facts make of it, what is asked of it, what stays when a file is gone."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from callcenter.model.facts import (
    Body,
    Fact,
    RecordingDeleted,
    RecordingEnded,
    RecordingHeld,
    RecordingReleased,
    RecordingStarted,
)
from callcenter.storage import recording_files
from callcenter.storage.recording_files import DiskFiles, Mended, Space
from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock

NUMBERS = itertools.count(1)


def tell(storage: Storage, clock: StillClock, body: Body, call: str) -> None:
    storage.recordings.take(Fact(next(NUMBERS), clock.now(), "boot", 0, call, body))


def started(name: str, client: str = "acme", agent: str = "amy") -> RecordingStarted:
    return RecordingStarted(
        name, f"{client}/{name}.wav", client, "rule: always", "offer", agent, "sales", "caller", agent
    )


def ended(name: str, reason: str = "stopped", octets: int = 1000) -> RecordingEnded:
    return RecordingEnded(name, "amy", f"acme/{name}.wav", 5000, octets, "ab" * 32, reason)


async def test_what_was_recorded_is_found_by_whom_and_when_and_outlives_its_file(tmp_path: Path) -> None:
    clock = StillClock()
    storage = await Storage.open(tmp_path / "switch.db", clock=clock)
    began = clock.now()
    tell(storage, clock, started("cc1-aaa-1"), "cc1-aaa")
    tell(storage, clock, ended("cc1-aaa-1"), "cc1-aaa")
    clock.pass_(86_400.0)
    tell(storage, clock, started("cc1-bbb-1", agent=""), "cc1-bbb")
    tell(storage, clock, ended("cc1-bbb-1", "disk_full"), "cc1-bbb")
    tell(storage, clock, started("cc1-ccc-1", "other", "bob"), "cc1-ccc")
    tell(storage, clock, ended("cc1-ccc-1", "failed", octets=0), "cc1-ccc")
    tell(storage, clock, started("cc1-ddd-1"), "cc1-ddd")
    await storage.log.drained()
    index = storage.recordings

    async def names(**asked: object) -> list[str]:
        return [each.recording[4:7] for each in await index.find(**asked)]  # type: ignore[arg-type]

    assert await names() == ["ddd", "ccc", "bbb", "aaa"], "the latest first"
    assert await names(client="other") == ["ccc"]
    assert await names(agent="amy") == ["ddd", "aaa"]
    assert await names(call="bbb") == ["bbb"]
    assert await names(state="cut") == ["bbb"]
    assert await names(until=clock.now()) == ["aaa"]
    assert await names(since=clock.now(), limit=2) == ["ddd", "ccc"]
    assert [each.recording for each in await index.unfinished()] == ["cc1-ddd-1"]
    assert await index.by_end("aaa-1") == await index.by_id("cc1-aaa-1")
    assert await index.by_end("-1") is None, "several end so"
    assert await index.clients() == ["acme", "other"]

    due = await index.due("acme", clock.now() + timedelta(seconds=1), 10)
    assert [each.state for each in due] == ["kept", "cut"]
    assert [each.recording for each in await index.due("acme", began + timedelta(hours=1), 10)] == ["cc1-aaa-1"]
    tell(storage, clock, RecordingHeld("cc1-aaa-1", "eva", "claim"), "cc1-aaa")
    await storage.log.drained()
    assert await index.due("acme", began + timedelta(hours=1), 10) == []
    tell(storage, clock, RecordingReleased("cc1-aaa-1", "eva"), "cc1-aaa")
    tell(storage, clock, RecordingDeleted("cc1-aaa-1", "retention", "older than 90 days"), "cc1-aaa")
    await storage.log.drained()
    await storage.close()
    storage = await Storage.open(tmp_path / "switch.db", clock=clock)
    row = await storage.recordings.by_id("cc1-aaa-1")
    assert row is not None
    assert (row.state, row.deleted_by, row.held_by, row.sha256) == ("deleted", "retention", None, "ab" * 32)
    assert row.plain()["agents"] == ["amy"]
    await storage.close()


async def test_a_file_is_deleted_with_the_folder_of_its_day_when_it_was_the_last(tmp_path: Path) -> None:
    mended = Mended(tmp_path, 1.0, 2, "")
    files = DiskFiles(lambda path: mended if path.exists() else None)
    day = tmp_path / "acme" / "2026" / "11" / "30"
    day.mkdir(parents=True)
    one, other = day / "one.wav", day / "other.wav"
    one.write_bytes(b"")
    other.write_bytes(b"")
    assert await files.mend(one) == mended
    await files.delete(one)
    assert other.exists()
    await files.delete(other)
    await files.delete(other)
    assert not day.exists()
    assert await files.mend(one) is None
    space = await files.space(tmp_path / "not" / "there")
    assert 0 < space.free <= space.total


async def test_what_cannot_be_deleted_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "one.wav"
    folder.mkdir()
    with pytest.raises(OSError, match=r"one\.wav"):
        await DiskFiles(lambda _: None).delete(folder)


async def test_a_disk_that_does_not_answer_is_one_that_fails_and_is_not_asked_again_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk of the network is away: neither the start nor the calls wait for it, nor do threads gather."""
    asked, goes_on = [], threading.Event()

    def hangs(directory: Path) -> Space:
        asked.append(directory)
        goes_on.wait()
        return Space(1, 2)

    monkeypatch.setattr(recording_files, "_space", hangs)
    monkeypatch.setattr(recording_files, "ANSWERS_WITHIN", 0.05)
    files = DiskFiles(lambda _: None)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk has not answered"):
            await files.space(tmp_path)
    assert len(asked) == 1
    goes_on.set()
    monkeypatch.setattr(recording_files, "ANSWERS_WITHIN", 5.0)
    assert await files.space(tmp_path) == Space(1, 2)
