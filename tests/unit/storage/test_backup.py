"""A backup is one moment of a switch that goes on writing; what was changed in it is found; it goes back whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
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
from callcenter.storage.database import StorageError
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


def full(*_: object) -> None:
    """A disk that is."""
    raise OSError(28, "No space left on device", "manifest.json")


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


async def test_what_was_changed_in_it_is_found(place: Place, storage: Storage) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)

    def wrong() -> list[str]:
        return backup.verify(whole).wrong

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


# At three in the morning


async def test_backups_that_lie_in_the_data_folder_are_not_in_the_next_one(place: Place, storage: Storage) -> None:
    await recorded(storage)
    within = place.data / "backups"
    first = backup.back_up(place.sources(), within, NOW)[1]
    (place.data / "before-20261130T000000Z").mkdir()
    (place.data / "before-20261130T000000Z" / "0000-credentials.yaml").write_text("of before a restore")
    (within / "callcenter-20261130T110000Z.part" / "data").mkdir(parents=True)
    (within / "callcenter-20261130T110000Z.part" / "data" / "credentials.yaml").write_text("cut short")
    assert set(backup.back_up(place.sources(), within, LATER)[1].files) == set(first.files)
    # Nor where they lie in it without a folder of their own.
    beside = backup.back_up(place.sources(), place.data, NOW)[1]
    assert set(beside.files) == set(first.files)
    assert set(backup.back_up(place.sources(), place.data, LATER)[1].files) == set(first.files)


async def test_what_is_linked_to_is_saved_as_it_is(place: Place, storage: Storage, tmp_path: Path) -> None:
    # As certificates that another program renews, and configurations that a cluster mounts.
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "live").mkdir(parents=True)
    (elsewhere / "live" / "cert.pem").write_text("a certificate")
    (elsewhere / "queues.yaml").write_text("queues: {}")
    (place.config / "queues.yaml").symlink_to(elsewhere / "queues.yaml")
    (place.data / "tls" / "live").symlink_to(elsewhere / "live")
    (place.data / "tls" / "round").symlink_to(place.data / "tls")
    (place.data / "certificates").symlink_to(place.data / "tls")
    (place.config / "gone.yaml").symlink_to(elsewhere / "gone.yaml")
    whole, manifest = backup.back_up(place.sources(), place.backups, NOW)
    both = {f"data/{name}/{path}" for name in ("tls", "certificates") for path in ("key.pem", "live/cert.pem")}
    assert {"config/queues.yaml", *both} <= set(manifest.files)
    assert (whole / "config" / "queues.yaml").read_text() == "queues: {}"
    assert not [name for name in manifest.files if "round" in name or "gone" in name]


async def test_a_recording_whose_age_comes_meanwhile_does_not_spoil_the_backup(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    copyfile = shutil.copyfile

    def beside_the_switch(source: Path, goal: Path) -> None:
        if source.suffix == ".wav" and source.is_relative_to(place.recordings):
            source.unlink()
        copyfile(source, goal)

    monkeypatch.setattr(shutil, "copyfile", beside_the_switch)
    whole, manifest = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    assert not [name for name in manifest.files if name.startswith("recordings/")]
    assert backup.verify(whole).wrong == []


async def test_a_disk_without_the_room_is_not_filled(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The switch may write its facts to the same disk.
    await recorded(storage)
    (place.data / "tls" / "big.pem").write_bytes(bytes(3_000_000))

    def usage(_: Path) -> shutil._ntuple_diskusage:
        return shutil._ntuple_diskusage(10**9, 10**9, backup.ROOM_LEFT + 2_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(BackupError, match=r"needs some 3\.\d MB, and .*backups has 2\.0 MB to spare: nothing was made"):
        backup.back_up(place.sources(), place.backups, NOW)
    assert list(place.backups.iterdir()) == []


async def test_a_database_of_before_there_were_recordings_is_saved_too(place: Place, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(place.databases[MAIN])) as main, main:
        main.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY)")
        main.execute("INSERT INTO migrations VALUES (1)")
        main.execute("CREATE TABLE facts (seq INTEGER PRIMARY KEY)")
    whole, manifest = backup.back_up(place.sources(), place.backups, NOW)
    assert (manifest.schema, manifest.listed) == (1, 0)
    assert backup.verify(whole).wrong == []


def test_a_database_that_is_damaged_is_told_in_a_line_and_leaves_nothing(place: Place) -> None:
    place.databases[MAIN].write_bytes(b"SQLite format 3\0" + bytes(8_000))
    with pytest.raises(BackupError, match="callcenter"):
        backup.back_up(place.sources(), place.backups, NOW)
    assert list(place.backups.iterdir()) == []


async def test_a_file_that_the_disk_no_longer_gives_back_is_wrong_and_the_others_are_looked_at(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    (whole / "config" / "agents.yaml").write_text("changed")
    kept = backup._kept

    def of_a_bad_disk(path: Path) -> backup.Kept:
        if path.name == "main.db":
            raise OSError(5, "Input/output error", str(path))
        return kept(path)

    monkeypatch.setattr(backup, "_kept", of_a_bad_disk)
    wrong = backup.verify(whole).wrong
    assert "config/agents.yaml: has another size" in wrong
    assert any(each.startswith("databases/main.db: cannot be read: ") for each in wrong)


async def test_looking_at_a_backup_takes_no_room_and_leaves_it_as_it_was(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}

    monkeypatch.setattr(shutil, "copyfile", full)
    assert backup.verify(whole).wrong == []
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


async def test_a_backup_of_a_newer_program_is_told_as_one_whichever_database_is_newer(
    place: Place, storage: Storage
) -> None:
    await recorded(storage)
    with contextlib.closing(sqlite3.connect(place.databases["desk"])) as desk, desk:
        desk.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY)")
        desk.execute("INSERT INTO migrations VALUES (99)")
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    assert backup.verify(whole, {"desk": 98}).wrong == [
        "database desk: has schema 99, this program knows schemas up to 98: use a newer one"
    ]
    assert backup.verify(whole, {"desk": 99}).wrong == []
    assert backup.verify(whole, {}).notes == ["database desk: this program has none of that name, and restores none"]


async def test_when_the_last_one_was_made_is_known_to_who_watches(place: Place, storage: Storage) -> None:
    await recorded(storage)
    assert backup.last_made(place.data) is None
    manifest = backup.back_up(place.sources(), place.backups, NOW)[1]
    assert backup.last_made(place.data) == NOW
    # It is said of this folder, and not of the one that is restored elsewhere.
    again = backup.back_up(place.sources(), place.backups, LATER)[1]
    assert set(again.files) == set(manifest.files)
    assert backup.last_made(place.data) == LATER
    (place.data / backup.LAST).write_text("no instant")
    assert backup.last_made(place.data) is None


# A restore that does not come to its end


async def test_a_restore_that_fails_half_way_puts_back_what_was_there(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    await storage.close()
    (place.data / "credentials.yaml").write_text("of today")
    before = {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()}
    rename = Path.rename

    def fails(path: Path, goal: Path) -> Path:
        if path.name == "key.pem.part":
            raise OSError(5, "Input/output error", str(path))
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(BackupError, match=r"nothing was restored: .*input/output error.*as it was"):
        backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()} == before
    await (await Storage.open(place.databases[MAIN], clock=SystemClock())).close()


class PowerCut(BaseException):
    """Nothing is done any more."""


async def test_a_switch_does_not_start_over_a_restore_that_was_cut_short(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would begin with an empty database, and take calls.
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    await storage.close()
    rename = Path.rename

    def cut(path: Path, goal: Path) -> Path:
        if path.name.endswith(".part"):
            raise PowerCut
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", cut)
    monkeypatch.setattr(backup, "_undo", lambda *_: None)
    with pytest.raises(PowerCut):
        backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    monkeypatch.undo()
    assert not place.databases[MAIN].exists()
    with pytest.raises(StorageError, match=r"a restore .* was cut short: .*before-20261201T120000Z.*restore it again"):
        await Storage.open(place.databases[MAIN], clock=SystemClock())
    # Who tries again and fails before anything was touched has not mended it.
    monkeypatch.setattr(backup, "_part_of", full)
    with pytest.raises(BackupError, match="no space left on device"):
        backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    monkeypatch.undo()
    with pytest.raises(StorageError, match="was cut short"):
        await Storage.open(place.databases[MAIN], clock=SystemClock())
    # Once more, and it is whole; what was there before stays aside.
    even_later = datetime(2026, 12, 2, 12, 0, tzinfo=UTC)
    backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=even_later)
    again = await Storage.open(place.databases[MAIN], clock=SystemClock())
    assert again.log.last_seq == 22
    await again.close()
    assert (place.data / "before-20261201T120000Z").is_dir()


async def test_what_was_there_is_moved_aside_on_its_own_disk(place: Place, storage: Storage, tmp_path: Path) -> None:
    # Recordings lie on a large disk, and a database on a fast one: nothing can be moved from one to the other at once.
    await storage.close()
    disk, fast = tmp_path / "disk", tmp_path / "fast"
    place.recordings = disk / "recordings"
    (place.recordings / "acme").mkdir(parents=True)
    (place.recordings / "acme" / "one.wav").write_text("what was said")
    place.databases = {MAIN: fast / "callcenter.db", "desk": place.data / "desk.db"}
    storage = await Storage.open(place.databases[MAIN], clock=SystemClock())
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    await storage.close()
    told = backup.restore(whole, place.databases, place.data, place.recordings, replace=True, now=LATER)
    name = "before-20261201T120000Z"
    for folder, was in (
        (place.data, "credentials.yaml"),
        (fast, "callcenter.db"),
        (place.recordings, "one.wav"),
    ):
        assert [path for path in (folder / name).iterdir() if path.name.endswith(was)], folder
        assert str(folder / name) in told[0]


async def test_a_restore_of_nobody_knows_what_that_was_cut_short_is_told_all_the_same(place: Place) -> None:
    place.databases[MAIN].with_name("callcenter.db.restoring").write_text("")
    with pytest.raises(StorageError, match="a restore of a backup was cut short"):
        await Storage.open(place.databases[MAIN], clock=SystemClock())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_what_root_restores_is_whose_the_data_folder_is(place: Place, storage: Storage, tmp_path: Path) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(recordings=True), place.backups, NOW)
    goal = Place(tmp_path / "goal")
    shutil.rmtree(goal.data)
    goal.data.mkdir()
    os.chown(goal.data, 12_345, 12_346)
    fast, config = tmp_path / "fast", tmp_path / "config-again"
    goal.databases[MAIN] = fast / "switch" / "callcenter.db"
    backup.restore_config(whole, config)
    backup.give_config(config, goal.data)
    backup.restore(whole, goal.databases, goal.data, goal.recordings, replace=False, now=LATER)
    restored = [*goal.data.rglob("*"), fast, *fast.rglob("*"), config, *config.rglob("*")]
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in restored}
    assert owners == {(12_345, 12_346)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_lock_that_root_has_made_is_not_in_the_way_of_the_switch(
    place: Place, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    goal = tmp_path / "goal"
    goal.mkdir()
    os.chown(goal, 12_345, 12_346)
    monkeypatch.setattr(backup, "_part_of", full)
    with pytest.raises(BackupError, match="no space left on device"):
        backup.restore(whole, {MAIN: goal / "callcenter.db"}, goal, goal / "recordings", replace=False, now=LATER)
    assert [(path.name, path.stat().st_uid) for path in goal.iterdir()] == [("callcenter.db.lock", 12_345)]


def test_a_place_that_cannot_be_written_is_told_in_a_line(place: Place, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    files = '"databases/main.db": {"octets": 1, "sha256": ""}'
    manifest = '{"format": 1, "made_at": "", "callcenter": "", "node": "", "revision": "", "schema": 1, "last_fact": 0,'
    recordings = '"recordings": {"listed": 0, "included": false}'
    (whole / "manifest.json").write_text(f'{manifest} {recordings}, "tables": {{}}, "files": {{{files}}}}}')
    blocked = tmp_path / "a file"
    blocked.write_text("")
    databases = {MAIN: blocked / "data" / "callcenter.db"}
    with pytest.raises(BackupError, match="cannot write"):
        backup.restore(whole, databases, blocked / "data", blocked / "recordings", replace=False, now=LATER)


async def test_a_configuration_is_restored_for_its_owner_alone(place: Place, storage: Storage, tmp_path: Path) -> None:
    await recorded(storage)
    whole, _ = backup.back_up(place.sources(), place.backups, NOW)
    backup.restore_config(whole, tmp_path / "config-again")
    for path in (tmp_path / "config-again", *(tmp_path / "config-again").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
