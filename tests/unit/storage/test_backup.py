"""A backup is one moment of a switch that goes on writing; what was changed in it is found; it goes back whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callcenter.calls.facts import FactStream
from callcenter.model.facts import DigitsEntered, RecordingEnded, RecordingStarted
from callcenter.runtime.clock import SystemClock
from callcenter.storage import backup
from callcenter.storage.backup import MAIN, BackupError, Sources
from callcenter.storage.store import Storage, WriterLock

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


class Place:
    """A switch's folders, with something in each."""

    def __init__(self, folder: Path) -> None:
        self.data, self.config, self.backups = folder / "data", folder / "config", folder / "backups"
        self.recordings = self.data / "recordings"
        self.databases = {MAIN: self.data / "callcenter.db", "desk": self.data / "desk.db"}
        for path, text in {
            self.data / "credentials.yaml": "agents: {}",
            self.data / "tls" / "key.pem": "a key",
            self.data / "mosquitto" / "mosquitto.conf": "made anew",
            self.data / "prompts" / "hello.wav": "made anew",
            self.data / "control.sock.lock": "",
            self.config / "agents.yaml": "agents: {}",
            self.config / "prompts" / "hello.wav": "sound",
            self.recordings / "acme" / "one.wav": "what was said",
        }.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def sources(self, *, recordings: bool = False) -> Sources:
        chosen = self.recordings if recordings else None
        return Sources(self.databases, self.data, self.config, chosen, "cc1", "abc")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
async def storage(place: Place) -> AsyncIterator[Storage]:
    clock = SystemClock()
    opened = await Storage.open(place.databases[MAIN], clock=clock)
    yield opened
    await opened.close()


def stream(storage: Storage) -> FactStream:
    return FactStream(SystemClock(), boot="boot", last_seq=storage.log.last_seq, write=storage.log.write)


async def recorded(storage: Storage) -> None:
    """A recording that is kept, and a few facts."""
    told = stream(storage)
    told.subscribe(storage.recordings.take)
    told.append(RecordingStarted("r1", "acme/one.wav", "acme", "always", "o1", "ana"), "c1")
    told.append(RecordingEnded("r1", "ana", "acme/one.wav", 1000, 13, "00", "stopped"), "c1")
    for number in range(20):
        told.append(DigitsEntered("main", str(number), True), "c1")
    await storage.log.flushed(told.seq)


async def test_it_is_one_moment_of_a_switch_that_goes_on_writing(place: Place, storage: Storage) -> None:
    told = stream(storage)
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            for _ in range(20):
                told.append(DigitsEntered("main", str(told.seq + 1), True), "c1")
            await storage.log.flushed(told.seq)

    writing = asyncio.create_task(write())
    await storage.log.beyond(200)
    whole, manifest = await asyncio.to_thread(backup.back_up, place.sources(), place.backups, NOW)
    before = told.seq
    await storage.log.beyond(before)  # it was not held up
    done.set()
    await writing
    assert 200 <= manifest.last_fact <= before
    restored = Place(place.backups / "elsewhere")
    shutil.rmtree(restored.data)
    backup.restore(whole, restored.databases, restored.data, restored.recordings, replace=False, now=LATER)
    again = await Storage.open(restored.databases[MAIN], clock=SystemClock())
    try:
        facts = await again.log.read(0, 1_000_000)
        assert [fact.seq for fact in facts] == list(range(1, manifest.last_fact + 1))
    finally:
        await again.close()


async def test_what_the_desk_says_of_the_facts_is_never_of_their_future(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    await storage.close()
    with contextlib.closing(sqlite3.connect(place.databases["desk"])) as desk, desk:
        desk.execute("CREATE TABLE integration_cursors (name TEXT, seq INTEGER)")
        desk.execute("INSERT INTO integration_cursors VALUES ('webhooks', 22)")
    copy = backup._copy_database
    copied: list[str] = []

    def while_both_go_on(path: Path, goal: Path) -> None:
        copy(path, goal)
        copied.append(path.name)
        if len(copied) == 1:
            with contextlib.closing(sqlite3.connect(place.databases[MAIN])) as main, main:
                main.execute("INSERT INTO facts (seq, at, boot, ms, kind, body) VALUES (23, '', '', 0, 'X', '{}')")
            with contextlib.closing(sqlite3.connect(place.databases["desk"])) as desk, desk:
                desk.execute("UPDATE integration_cursors SET seq = 23")

    monkeypatch.setattr(backup, "_copy_database", while_both_go_on)
    whole, manifest = backup.back_up(place.sources(), place.backups, NOW)
    assert len(copied) == 2
    with contextlib.closing(sqlite3.connect(whole / "databases" / "desk.db")) as desk:
        assert desk.execute("SELECT seq FROM integration_cursors").fetchall() == [(22,)]
    assert manifest.last_fact == 23


async def test_a_database_that_the_backup_has_none_of_is_moved_aside_with_its_log(
    place: Place, storage: Storage
) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    await storage.close()
    desk = place.databases["desk"]
    for path in (desk, desk.with_name("desk.db-wal")):
        path.write_text("of another future")
    backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    assert not desk.exists()
    aside = {path.name.split("-", 1)[1] for path in (place.data / "before-20261201T120000Z").iterdir()}
    assert {"desk.db", "desk.db-wal"} <= aside


async def test_who_waits_to_be_called_back_is_counted_and_no_other_whatever_the_schema(
    place: Place, storage: Storage, tmp_path: Path
) -> None:
    await storage.close()
    with contextlib.closing(sqlite3.connect(place.databases[MAIN])) as main, main:
        for name, outcome in (("one", ""), ("two", "reached"), ("three", "cancelled")):
            main.execute(
                "INSERT INTO callbacks (id, client, queue, number, first_joined_at, due_at, attempts, record, outcome)"
                " VALUES (?, '', '', '', '', '', 0, '{}', ?)",
                (name, outcome),
            )
    assert backup.waiting_callbacks(place.databases[MAIN]) == 1
    older = tmp_path / "older.db"
    with contextlib.closing(sqlite3.connect(older)) as main, main:
        main.execute("CREATE TABLE facts (seq INTEGER)")
    assert backup.waiting_callbacks(older) == 0
    with contextlib.closing(sqlite3.connect(older)) as main, main:
        main.execute("CREATE TABLE callbacks (id TEXT)")
        main.execute("INSERT INTO callbacks VALUES ('one')")
    assert backup.waiting_callbacks(older) == 1


async def test_it_holds_what_cannot_be_made_anew_for_its_owner_alone(place: Place, storage: Storage) -> None:
    await recorded(storage)
    whole, manifest = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    assert set(manifest.files) == {
        "databases/main.db",
        "data/credentials.yaml",
        "data/tls/key.pem",
        "config/agents.yaml",
        "config/prompts/hello.wav",
        "recordings/acme/one.wav",
    }
    assert (manifest.listed, manifest.included) == (1, True)
    for path in (whole, *whole.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    listed = backup.back_up(place.sources(), place.backups, LATER)[1]
    assert (listed.listed, listed.included) == (1, False)
    assert not [name for name in listed.files if name.startswith("recordings/")]


async def test_what_was_changed_in_it_is_found(place: Place, storage: Storage, tmp_path: Path) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)

    def wrong() -> list[str]:
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return backup.verify(whole, scratch).wrong

    assert wrong() == []
    (whole / "data" / "credentials.yaml").write_text("agents: []")
    assert wrong() == ["data/credentials.yaml: was changed"]
    (whole / "data" / "credentials.yaml").write_text("agents: {}")
    (whole / "recordings" / "acme" / "one.wav").unlink()
    assert wrong() == ["recordings/acme/one.wav: is missing"]
    (whole / "recordings" / "acme" / "one.wav").write_text("what was said")
    # A row that is gone, with sums made to fit: the counts tell.
    database = whole / "databases" / "main.db"
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM facts WHERE seq = 7")
    connection.close()
    manifest = json.loads((whole / "manifest.json").read_text())
    manifest["files"]["databases/main.db"] = backup._kept(database).plain()
    (whole / "manifest.json").write_text(json.dumps(manifest))
    assert wrong() == ["database main: facts has 21 rows, 22 were counted"]
    manifest["files"]["../../data/callcenter.db"] = {"octets": 1, "sha256": ""}
    (whole / "manifest.json").write_text(json.dumps(manifest))
    assert "../../data/callcenter.db: leads out of the backup" in wrong()


async def test_nothing_is_overwritten_unless_that_is_wanted_and_then_it_is_kept(place: Place, storage: Storage) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    await storage.close()

    def put(*, replace: bool) -> list[str]:
        return backup.restore(whole, place.databases, place.data, place.recordings, replace=replace, now=LATER)

    (place.data / "credentials.yaml").write_text("of today")
    with pytest.raises(BackupError, match="is there already; --replace moves"):
        put(replace=False)
    assert (place.data / "credentials.yaml").read_text() == "of today"
    told = put(replace=True)
    assert (place.data / "credentials.yaml").read_text() == "agents: {}"
    aside = place.data / "before-20261201T120000Z"
    assert str(aside) in told[0]
    assert "of today" in [path.read_text() for path in aside.glob("*credentials.yaml")]
    assert not list(place.data.rglob("*.part"))


async def test_a_switch_that_runs_is_not_restored_under(place: Place, storage: Storage) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    with pytest.raises(BackupError, match=r"in use by another switch .*: stop it first"):
        backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)


async def test_what_is_cut_short_is_no_backup(place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    await recorded(storage)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "manifest.json")

    monkeypatch.setattr(backup, "_write", full)
    with pytest.raises(BackupError, match=r"was not made: manifest\.json: no space left on device"):
        backup.back_up(place.sources(), place.backups, NOW)
    assert list(place.backups.iterdir()) == []


def test_nothing_to_save_and_no_backup_are_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing was saved there yet"):
        backup.back_up(place.sources(), place.backups, NOW)
    with pytest.raises(BackupError, match=r"is no backup: manifest\.json: .*no such file"):
        backup.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(BackupError, match="has the format 99"):
        backup.read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BackupError, match="is damaged"):
        backup.read_manifest(tmp_path)


async def test_a_restore_that_runs_out_of_disk_has_touched_nothing(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    whole, manifest = backup.back_up(place.sources(), place.backups, NOW)
    await storage.close()
    before = {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()}
    copied = 0

    def full(source: Path, goal: Path) -> None:
        nonlocal copied
        copied += 1
        if copied == len([name for name in manifest.files if not name.startswith("config/")]):
            raise OSError(28, "No space left on device", str(goal))
        goal.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(BackupError, match="no space left on device"):
        backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    assert {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()} == before


async def test_the_lock_is_let_go_after_a_restore(place: Place, storage: Storage) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    await storage.close()
    backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    WriterLock(place.databases[MAIN]).release()
