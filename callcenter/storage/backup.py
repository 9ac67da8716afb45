"""Backup: everything a switch cannot make anew, copied while it runs; looked at again; and put back.

A backup is a folder with ``manifest.json``, which names each file with its size and SHA-256 and counts the rows of each
table. It gets its name when it is whole: what was cut short has ``.part`` behind it, and is no backup. Passwords and
what customers said are in it, so its folders and files are for their owner alone.

A database is copied by SQLite's own online backup: one moment of it, whatever is written meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from callcenter import __version__
from callcenter.model.facts import utc
from callcenter.storage.database import StorageError
from callcenter.storage.migrate import shipped
from callcenter.storage.store import WriterLock

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES, DATA, CONFIG, RECORDINGS = "databases", "data", "config", "recordings"
# The switch's own database; others (the desk's) may be missing.
MAIN = "main"
PART = ".part"
# What the data folder holds that is made anew, copied in another way, or only of this run.
LEFT_OUT_FOLDERS = frozenset({"mosquitto", "prompts", "recordings"})
LEFT_OUT_FILES = re.compile(r".*(\.db|\.db-wal|\.db-shm|\.db-journal|\.lock|\.sock|\.part|\.pid)\Z")
# How long a database may be locked by another program before it is given up, in seconds.
PATIENCE = 30.0
_STEP = 1 << 20


class BackupError(Exception):
    """It was not done; one line that says why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is copied. ``databases`` by name; one whose file is missing is left out, but for :data:`MAIN`.

    ``recordings``: the folder of recordings, whose files are copied too; None: they are listed only.
    """

    databases: Mapping[str, Path]
    data: Path
    config: Path
    recordings: Path | None = None
    node: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup."""

    octets: int
    sha256: str

    def plain(self) -> dict[str, Any]:
        """For the manifest."""
        return {"octets": self.octets, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. ``tables`` counts the rows of each database's tables; ``listed`` the recordings that the
    switch knew as kept, ``included`` whether their files are here.
    """

    made_at: str
    version: str
    node: str
    revision: str
    schema: int
    last_fact: int
    files: Mapping[str, Kept]
    tables: Mapping[str, Mapping[str, int]]
    listed: int
    included: bool

    @property
    def octets(self) -> int:
        """Of all files together."""
        return sum(each.octets for each in self.files.values())

    def plain(self) -> dict[str, Any]:
        """For the file."""
        return {
            "format": FORMAT,
            "made_at": self.made_at,
            "callcenter": self.version,
            "node": self.node,
            "revision": self.revision,
            "schema": self.schema,
            "last_fact": self.last_fact,
            "recordings": {"listed": self.listed, "included": self.included},
            "tables": {name: dict(tables) for name, tables in self.tables.items()},
            "files": {name: each.plain() for name, each in self.files.items()},
        }


@dataclass(slots=True)
class Verified:
    """What a look at a backup found: ``wrong`` makes it useless, ``notes`` are to be known."""

    manifest: Manifest
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# Making one


def back_up(sources: Sources, folder: Path, now: datetime) -> tuple[Path, Manifest]:
    """Copy everything into a new folder within ``folder``, named by the moment; where it is, and what it holds.

    The switch may run, and goes on. Raises BackupError; nothing is left then.
    """
    if not sources.databases[MAIN].is_file():
        raise BackupError(f"there is no database {sources.databases[MAIN]}: nothing was saved there yet")
    whole = folder / f"callcenter-{now:%Y%m%dT%H%M%SZ}"
    part = whole.with_name(whole.name + PART)
    if whole.exists():
        raise BackupError(f"{whole} is there already: wait a second, or name another folder")
    try:
        _folder(folder)
        part.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"cannot write {part}: {_reason(error)}") from error
    try:
        manifest = _copy_all(sources, part, now)
        _write(part / MANIFEST, json.dumps(manifest.plain(), indent=1).encode())
        for path in (part, *part.rglob("*")):
            _settle(path)
        part.rename(whole)
        _settle(folder)
    except OSError as error:
        raise BackupError(f"the backup was not made: {_reason(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return whole, manifest


def _copy_all(sources: Sources, part: Path, now: datetime) -> Manifest:
    files: dict[str, Kept] = {}
    tables: dict[str, dict[str, int]] = {}
    (part / DATABASES).mkdir(mode=0o700)
    # The main one last: what the others say of it (how far they have read its facts) is then never of its future. What
    # was told of since is told again under its id; the other way about it would be passed over.
    for name, path in sorted(sources.databases.items(), key=lambda item: item[0] == MAIN):
        if not path.is_file():
            continue
        copy = part / DATABASES / f"{name}.db"
        _copy_database(path, copy)
        files[f"{DATABASES}/{name}.db"] = _kept(copy)
        with _opened(copy) as connection:
            tables[name] = _counts(connection)
    for relative, path in _data_files(sources):
        files[f"{DATA}/{relative}"] = _copy(path, part / DATA / relative)
    for relative, path in _walk(sources.config):
        files[f"{CONFIG}/{relative}"] = _copy(path, part / CONFIG / relative)
    with _opened(part / DATABASES / f"{MAIN}.db") as connection:
        schema = _one(connection, "SELECT COALESCE(MAX(version), 0) FROM migrations")
        last_fact = _one(connection, "SELECT COALESCE(MAX(seq), 0) FROM facts")
        listed = _recordings(connection)
    if sources.recordings is not None:
        for relative in listed:
            path = sources.recordings / relative
            if path.is_file():  # else its age has come meanwhile
                files[f"{RECORDINGS}/{relative}"] = _copy(path, part / RECORDINGS / relative)
    return Manifest(
        made_at=utc(now),
        version=__version__,
        node=sources.node,
        revision=sources.revision,
        schema=schema,
        last_fact=last_fact,
        files=files,
        tables=tables,
        listed=len(listed),
        included=sources.recordings is not None,
    )


def _copy_database(path: Path, copy: Path) -> None:
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with _opened(path) as source, contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.backup(target)
            # One file, without a log beside it.
            target.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        raise BackupError(f"the database {path} cannot be copied: {error}") from error


def _data_files(sources: Sources) -> Iterator[tuple[str, Path]]:
    """The files of the data folder that are nowhere else: passwords, certificates, what an operator has put there."""
    elsewhere = {path.absolute() for path in (sources.config, sources.recordings) if path is not None}
    for relative, path in _walk(sources.data):
        if relative.split("/")[0] in LEFT_OUT_FOLDERS or LEFT_OUT_FILES.match(path.name):
            continue
        if not elsewhere.intersection(path.absolute().parents):
            yield relative, path


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def _copy(path: Path, copy: Path) -> Kept:
    _folder(copy.parent)
    shutil.copyfile(path, copy)
    copy.chmod(0o600)
    return _kept(copy)


# Looking at one


def read_manifest(folder: Path) -> Manifest:
    """What a backup says that it holds. Raises BackupError."""
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        if values["format"] != FORMAT:
            raise BackupError(f"{path} has the format {values['format']}, this program reads {FORMAT}: use a newer one")
        return Manifest(
            made_at=values["made_at"],
            version=values["callcenter"],
            node=values["node"],
            revision=values["revision"],
            schema=values["schema"],
            last_fact=values["last_fact"],
            files={name: Kept(each["octets"], each["sha256"]) for name, each in values["files"].items()},
            tables=values["tables"],
            listed=values["recordings"]["listed"],
            included=values["recordings"]["included"],
        )
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {path.name}: {_reason(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{path} is damaged: {error!r}") from error


def verify(folder: Path, scratch: Path) -> Verified:
    """Look at every file, and into copies of the databases, put back into ``scratch``, an empty folder.

    Raises BackupError when it is no backup at all.
    """
    manifest = read_manifest(folder)
    found = Verified(manifest)
    newest = shipped()[-1].version
    if manifest.schema > newest:
        found.wrong.append(
            f"its database has schema {manifest.schema}, this program knows schemas up to {newest}: use a newer one"
        )
    for name, kept in manifest.files.items():
        path = folder / name
        if not _within(folder, path):
            found.wrong.append(f"{name}: leads out of the backup")
        elif not path.is_file():
            found.wrong.append(f"{name}: is missing")
        elif (there := _kept(path)) != kept:
            what = "has another size" if there.octets != kept.octets else "was changed"
            found.wrong.append(f"{name}: {what}")
    for name in sorted({relative for relative, _ in _walk(folder)} - {MANIFEST, *manifest.files}):
        found.notes.append(f"{name}: is not of the backup")
    if f"{DATABASES}/{MAIN}.db" not in manifest.files:
        found.wrong.append("the switch's own database is not in it")
    if found.wrong:
        return found
    for name, counts in manifest.tables.items():
        found.wrong += [f"database {name}: {each}" for each in _look_into(folder, name, counts, scratch)]
    return found


def _look_into(folder: Path, name: str, counts: Mapping[str, int], scratch: Path) -> list[str]:
    """What is wrong with one database."""
    copy = scratch / f"{name}.db"
    shutil.copyfile(folder / DATABASES / f"{name}.db", copy)
    try:
        with _opened(copy) as connection:
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            wrong += [f"{len(broken)} rows lead to nothing"] if broken else []
            there = _counts(connection)
    except sqlite3.Error as error:
        return [str(error)]
    wrong += [
        f"{table} has {there.get(table, 0)} rows, {rows} were counted"
        for table, rows in counts.items()
        if there.get(table, 0) != rows
    ]
    return wrong


# Putting it back


def restore(
    folder: Path, databases: Mapping[str, Path], data: Path, recordings: Path, *, replace: bool, now: datetime
) -> list[str]:
    """Put a backup back: databases, what was in the data folder, recordings that it holds. What was done, in words.

    ``replace`` moves what is there aside, under a name with the moment; without, nothing may be there. The
    configuration stays in the backup, for :func:`restore_config`. Raises BackupError; nothing was changed then, but for
    a failing disk in the middle, of which the message says where everything is.
    """
    manifest = read_manifest(folder)
    _folder(data)
    try:
        lock = WriterLock(databases[MAIN])
    except StorageError as error:
        raise BackupError(f"{error}: stop it first") from error
    try:
        goals = _goals(folder, manifest, databases, data, recordings)
        aside = data / f"before-{now:%Y%m%dT%H%M%SZ}"
        # A database that the backup has none of, too: what it says of the switch's is not of that one.
        wanted = dict.fromkeys([*(goal for _, goal in goals), *databases.values()])
        in_the_way = [goal for goal in wanted if goal.exists()]
        if in_the_way and not replace:
            more = f", and {len(in_the_way) - 1} more" if len(in_the_way) > 1 else ""
            raise BackupError(f"{in_the_way[0]}{more}: is there already; --replace moves what is there into {aside}")
        return _put_back(goals, in_the_way, aside, databases)
    finally:
        lock.release()


def _goals(
    folder: Path, manifest: Manifest, databases: Mapping[str, Path], data: Path, recordings: Path
) -> list[tuple[Path, Path]]:
    """Each file of the backup, and where it goes."""
    goals = []
    for name in manifest.files:
        source, (kind, _, relative) = folder / name, name.partition("/")
        if not _within(folder, source):
            raise BackupError(f"{name} leads out of the backup: nothing was restored")
        match kind:
            case "databases":
                goal = databases.get(relative.removesuffix(".db"))
            case "data":
                goal = data / relative
            case "recordings":
                goal = recordings / relative
            case _:
                continue
        if goal is not None:
            goals.append((source, goal))
    return goals


def _put_back(
    goals: list[tuple[Path, Path]], in_the_way: list[Path], aside: Path, databases: Mapping[str, Path]
) -> list[str]:
    told = []
    try:
        # Copied first and named last: a full disk is found before anything was touched.
        parts = [(_part_of(source, goal), goal) for source, goal in goals]
        logs = [path.with_name(path.name + end) for path in databases.values() for end in ("-wal", "-shm")]
        moved = [*in_the_way, *(log for log in logs if log.exists())]
        for number, path in enumerate(moved):
            aside.mkdir(mode=0o700, exist_ok=True)
            # Numbered, for files of several folders may have one name.
            path.rename(aside / f"{number:04d}-{path.name}")
        if moved:
            told.append(f"what was there is in {aside}")
        for part, goal in parts:
            part.rename(goal)
        for folder in {goal.parent for _, goal in parts}:
            _settle(folder)
    except OSError as error:
        raise BackupError(f"not everything was restored: {_reason(error)}; what was there before: {aside}") from error
    finally:
        for _, goal in goals:
            goal.with_name(goal.name + PART).unlink(missing_ok=True)
    told.append(f"{len(goals)} files restored")
    return told


def _part_of(source: Path, goal: Path) -> Path:
    _folder(goal.parent)
    part = goal.with_name(goal.name + PART)
    shutil.copyfile(source, part)
    part.chmod(0o600)
    _settle(part)
    return part


def restore_config(folder: Path, config: Path) -> int:
    """Put the configuration of a backup into ``config``, an empty or new folder; how many files. Raises BackupError."""
    if config.exists() and (not config.is_dir() or any(config.iterdir())):
        raise BackupError(f"{config} is not empty: name a new folder for the configuration")
    names = [name for name in read_manifest(folder).files if name.startswith(f"{CONFIG}/")]
    try:
        for name in names:
            goal = config / name.removeprefix(f"{CONFIG}/")
            if not _within(config, goal):
                raise BackupError(f"{name} leads out of the folder: nothing was restored")
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, goal)
    except OSError as error:
        raise BackupError(f"the configuration was not restored: {_reason(error)}") from error
    return len(names)


def waiting_callbacks(database: Path) -> int:
    """How many people a restored database is going to call back, who may have been called since. Raises BackupError."""
    try:
        with _opened(database) as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(callbacks)")]
            # It may be of an older schema: before ended ones were kept, and before there were any.
            if not columns:
                return 0
            ended = " WHERE outcome = ''" if "outcome" in columns else ""
            return _one(connection, f"SELECT COUNT(*) FROM callbacks{ended}")
    except sqlite3.Error as error:
        raise BackupError(f"the database {database} cannot be read: {error}") from error


# Files


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    """The rows of each table."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return {name: _one(connection, f'SELECT COUNT(*) FROM "{name}"') for (name,) in names.fetchall()}


def _recordings(connection: sqlite3.Connection) -> list[str]:
    """The paths of the recordings whose files are there."""
    rows = connection.execute("SELECT path FROM recordings WHERE state IN ('kept', 'cut') AND octets > 0 ORDER BY path")
    return [
        path for (path,) in rows.fetchall() if path and not Path(path).is_absolute() and ".." not in Path(path).parts
    ]


def _one(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _kept(path: Path) -> Kept:
    digest, octets = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_STEP):
            digest.update(block)
            octets += len(block)
    return Kept(octets, digest.hexdigest())


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _folder(path: Path) -> None:
    """Make a folder and those above it, for their owner alone (``parents`` of mkdir would leave these open)."""
    for each in (*reversed(path.parents), path):
        each.mkdir(mode=0o700, exist_ok=True)


def _settle(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _within(folder: Path, path: Path) -> bool:
    return folder.resolve() in path.resolve().parents


def _reason(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return where + (error.strerror or str(error)).lower()
