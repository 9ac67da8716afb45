"""Backup: everything a switch cannot make anew, copied while it runs; looked at again; and put back.

A backup is a folder with ``manifest.json``, which names each file with its size and SHA-256 and counts the rows of each
table. It gets its name when it is whole: what was cut short has ``.part`` behind it, and is no backup. Passwords and
what customers said are in it, so its folders and files are for their owner alone.

A database is copied by SQLite's own online backup: one moment of it, whatever is written meanwhile. What links lead to
is copied, not the links.

While files are put in their places ``FILE.restoring`` lies beside the switch's database, and no switch starts over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from callcenter import __version__
from callcenter.model.facts import utc
from callcenter.storage.database import StorageError
from callcenter.storage.migrate import shipped
from callcenter.storage.store import RESTORING, WriterLock

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES, DATA, CONFIG, RECORDINGS = "databases", "data", "config", "recordings"
# The switch's own database; others (the desk's) may be missing.
MAIN = "main"
PART = ".part"
# In the data folder: when the last backup of it was made.
LAST = "last_backup"
# What the data folder holds that is made anew, copied in another way, or only of this run.
LEFT_OUT_FOLDERS = frozenset({"mosquitto", "prompts", "recordings"})
LEFT_OUT_FILES = re.compile(
    r".*(\.db|\.db-wal|\.db-shm|\.db-journal|\.lock|\.sock|\.part|\.pid|\.restoring)\Z|last_backup\Z"
)
# Backups, and what a restore has moved aside: each would hold all that were made before it.
EARLIER = re.compile(r"(callcenter|before)-\d{8}T\d{6}Z(\.part)?\Z")
# So many octets stay free on the disk that a backup is written to: the switch may write its facts there.
ROOM_LEFT = 64 << 20
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
        _have_room(sources, folder)
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
    except sqlite3.Error as error:
        raise BackupError(f"the backup was not made: a database cannot be read: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):  # whoever may only read there has made one all the same
        last = sources.data / LAST
        last.unlink(missing_ok=True)  # it may be another user's
        last.write_text(f"{manifest.made_at}\n")
    return whole, manifest


def last_made(data: Path) -> datetime | None:
    """When the last backup of a data folder was made; None: never, as far as is known there."""
    try:
        return datetime.fromisoformat((data / LAST).read_text().strip())
    except (OSError, ValueError):
        return None


def cut_short(folder: Path) -> list[Path]:
    """What lies in a folder of backups that did not get to its end, or is being made just now."""
    return sorted(path for path in folder.glob(f"*{PART}") if EARLIER.match(path.name))


def _have_room(sources: Sources, folder: Path) -> None:
    """Raises BackupError, and OSError."""
    paths = [path.with_name(path.name + end) for path in sources.databases.values() for end in ("", "-wal")]
    paths += [path for _, path in (*_data_files(sources), *_config_files(sources))]
    if sources.recordings is not None:
        paths += [path for _, path in _walk(sources.recordings)]
    wanted, free = sum(map(_size, paths)), shutil.disk_usage(folder).free - ROOM_LEFT
    if wanted > free:
        raise BackupError(
            f"a backup needs some {wanted / 1e6:.1f} MB, and {folder} has {max(0, free) / 1e6:.1f} MB to spare:"
            " nothing was made"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


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
    with _opened(part / DATABASES / f"{MAIN}.db") as connection:
        schema = _one(connection, "SELECT COALESCE(MAX(version), 0) FROM migrations")
        last_fact = _one(connection, "SELECT COALESCE(MAX(seq), 0) FROM facts")
        listed = _recordings(connection)
    wanted = [(f"{DATA}/{relative}", path) for relative, path in _data_files(sources)]
    wanted += [(f"{CONFIG}/{relative}", path) for relative, path in _config_files(sources)]
    if sources.recordings is not None:
        wanted += [(f"{RECORDINGS}/{relative}", sources.recordings / relative) for relative in listed]
    for name, path in wanted:
        # What is gone by now was not to stay: a recording whose age has come, a file that was written beside another.
        if (kept := _copy(path, part / name)) is not None:
            files[name] = kept
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

    def enter(path: Path) -> bool:
        made_anew = path.parent == sources.data and path.name in LEFT_OUT_FOLDERS
        return not made_anew and path.absolute() not in elsewhere and not EARLIER.match(path.name)

    for relative, path in _walk(sources.data, enter):
        if not LEFT_OUT_FILES.match(path.name):
            yield relative, path


def _config_files(sources: Sources) -> Iterator[tuple[str, Path]]:
    return _walk(sources.config, lambda path: not EARLIER.match(path.name))


def _walk(folder: Path, enter: Callable[[Path], bool] = lambda _: True) -> Iterator[tuple[str, Path]]:
    """The files below a folder, in order. A link that leads round to where it stands is passed over. Raises OSError."""

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone meanwhile
            raise error

    for where, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        here = Path(where)
        # One that two links lead to is needed under both names: what reads it there has no other.
        if here.resolve() in {(folder / above).resolve() for above in here.relative_to(folder).parents}:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if enter(here / name))
        for path in (here / name for name in sorted(names)):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _copy(path: Path, copy: Path) -> Kept | None:
    """None when it is not there any more."""
    _folder(copy.parent)
    try:
        shutil.copyfile(path, copy)
    except FileNotFoundError:
        copy.unlink(missing_ok=True)
        return None
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


def verify(folder: Path, schemas: Mapping[str, int] | None = None) -> Verified:
    """Look at every file, and into every database: nothing is written, here or elsewhere.

    ``schemas``: the newest schema of each database that this program knows beside the switch's own; None: of any.
    Raises BackupError when it is no backup at all.
    """
    manifest = read_manifest(folder)
    found = Verified(manifest)
    for name, kept in manifest.files.items():
        if wrong := _what_is_wrong(folder, folder / name, kept):
            found.wrong.append(f"{name}: {wrong}")
    try:
        there = {relative for relative, _ in _walk(folder)}
    except OSError as error:
        found.wrong.append(f"it cannot be looked through: {_reason(error)}")
        there = set()
    for name in sorted(there - {MANIFEST, *manifest.files}):
        found.notes.append(f"{name}: is not of the backup")
    if f"{DATABASES}/{MAIN}.db" not in manifest.files:
        found.wrong.append("the switch's own database is not in it")
    if found.wrong:
        return found
    known = {MAIN: shipped()[-1].version, **(schemas or {})}
    for name, counts in manifest.tables.items():
        found.wrong += [f"database {name}: {each}" for each in _look_into(folder, name, counts, known.get(name))]
        if name not in known and schemas is not None:
            found.notes.append(f"database {name}: this program has none of that name, and restores none")
    return found


def _what_is_wrong(folder: Path, path: Path, kept: Kept) -> str:
    """With one file; empty: nothing."""
    if not _within(folder, path):
        return "leads out of the backup"
    if not path.is_file():
        return "is missing"
    try:
        there = _kept(path)
    except OSError as error:
        return f"cannot be read: {_reason(error)}"
    if there == kept:
        return ""
    return "has another size" if there.octets != kept.octets else "was changed"


def _look_into(folder: Path, name: str, counts: Mapping[str, int], newest: int | None) -> list[str]:
    """What is wrong with one database."""
    # It was left in one file, and nobody writes there: SQLite needs no file beside it, so that the backup stays as it
    # is, on a disk that cannot be written too.
    uri = f"{(folder / DATABASES / f'{name}.db').absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            wrong += [f"{len(broken)} rows lead to nothing"] if broken else []
            there = _counts(connection)
            schema = _one(connection, "SELECT MAX(version) FROM migrations") if there.get("migrations") else 0
    except sqlite3.Error as error:
        return [str(error)]
    if newest is not None and schema > newest:
        wrong.append(f"has schema {schema}, this program knows schemas up to {newest}: use a newer one")
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

    ``replace`` moves what is there aside, on its own disk, into folders named by the moment; without, nothing may be
    there. What root restores is whose the data folder is. The configuration stays in the backup, for
    :func:`restore_config`. Raises BackupError; nothing was changed then, or the message says where everything is.
    """
    manifest = read_manifest(folder)
    try:
        _folder(data)
        owner = _owner(data)
        _folder(databases[MAIN].parent, owner)
    except OSError as error:
        raise BackupError(f"cannot write {data}: {_reason(error)}") from error
    try:
        lock = WriterLock(databases[MAIN])
    except StorageError as error:
        raise BackupError(f"{error}: stop it first") from error
    try:
        if owner is not None:
            lock.give_to(*owner)
        goals = _goals(folder, manifest, databases, data, recordings)
        # A database that the backup has none of, too: what it says of the switch's is not of that one.
        wanted = dict.fromkeys([*(goal for _, goal in goals), *databases.values()])
        in_the_way = [goal for goal in wanted if goal.exists()]
        name = f"before-{now:%Y%m%dT%H%M%SZ}"
        if in_the_way and not replace:
            more = f", and {len(in_the_way) - 1} more" if len(in_the_way) > 1 else ""
            raise BackupError(
                f"{in_the_way[0]}{more}: is there already; --replace moves what is there into {data / name}"
            )
        return _put_back(folder, goals, in_the_way, _Aside(name, (data, recordings)), databases, owner)
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


class _Aside:
    """Where what was there before is moved to: a folder within each of the ``roots``, and beside what is in none.

    A file is moved in an instant, and never copied, as long as it stays on its disk.
    """

    def __init__(self, name: str, roots: Iterable[Path]) -> None:
        self._name = name
        self._roots = tuple(roots)
        self.folders: dict[Path, None] = {}
        self._moved = 0

    def place(self, path: Path) -> Path:
        """A new name for a file. Raises OSError."""
        within = [root for root in self._roots if root in path.parents]
        folder = max(within, key=lambda root: len(root.parts), default=path.parent) / self._name
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folders[folder] = None
        self._moved += 1
        # Numbered, for files of several folders may have one name.
        return folder / f"{self._moved - 1:04d}-{path.name}"

    def __str__(self) -> str:
        return ", ".join(map(str, self.folders))


def _put_back(
    folder: Path,
    goals: list[tuple[Path, Path]],
    in_the_way: list[Path],
    aside: _Aside,
    databases: Mapping[str, Path],
    owner: tuple[int, int] | None,
) -> list[str]:
    mark = databases[MAIN].with_name(databases[MAIN].name + RESTORING)
    # There is one already where an earlier restore was cut short: only a whole one takes it away.
    marked = mark.exists()
    done: list[tuple[Path, Path]] = []
    try:
        # Copied first and named last: a full disk is found before anything was touched.
        parts = [(_part_of(source, goal, owner), goal) for source, goal in goals]
        logs = [path.with_name(path.name + end) for path in databases.values() for end in ("-wal", "-shm")]
        moved = [(path, aside.place(path)) for path in (*in_the_way, *(log for log in logs if log.exists()))]
        if not marked:
            mark.write_text(f"{folder}\n{aside}\n")
            _settle(mark.parent)
        for path, new in (*moved, *parts):
            done.append((path, new))
            path.rename(new)
        for each in {*aside.folders, *(path.parent for path, _ in moved), *(goal.parent for _, goal in parts)}:
            _settle(each)
    except BaseException as error:
        left = _undo(done, aside, None if marked else mark)
        if not isinstance(error, OSError):
            raise
        if left:
            raise BackupError(
                f"not everything was restored: {_reason(error)}; what was there before: {aside}"
            ) from error
        raise BackupError(f"nothing was restored: {_reason(error)}; everything is as it was") from error
    finally:
        for _, goal in goals:
            goal.with_name(goal.name + PART).unlink(missing_ok=True)
    mark.unlink()
    told = [f"what was there is in {aside}"] if moved else []
    return [*told, f"{len(goals)} files restored"]


def _undo(done: list[tuple[Path, Path]], aside: _Aside, mark: Path | None) -> bool:
    """Give everything its name again; whether something could not be. The last one may not have got its new name."""
    try:
        for path, new in reversed(done):
            if new.exists() and not path.exists():
                new.rename(path)
        for folder in aside.folders:
            folder.rmdir()
        if mark is not None:
            mark.unlink(missing_ok=True)
    except OSError:
        return True
    return False


def _owner(folder: Path) -> tuple[int, int] | None:
    """Who is to have what is restored into a folder; None: who restores it."""
    there = folder.stat()
    return (there.st_uid, there.st_gid) if os.geteuid() == 0 and there.st_uid != 0 else None


def _part_of(source: Path, goal: Path, owner: tuple[int, int] | None) -> Path:
    _folder(goal.parent, owner)
    part = goal.with_name(goal.name + PART)
    shutil.copyfile(source, part)
    part.chmod(0o600)
    if owner is not None:
        os.chown(part, *owner)
    _settle(part)
    return part


def restore_config(folder: Path, config: Path) -> int:
    """Put the configuration of a backup into ``config``, an empty or new folder; how many files. Raises BackupError."""
    if config.exists() and (not config.is_dir() or any(config.iterdir())):
        raise BackupError(f"{config} is not empty: name a new folder for the configuration")
    names = [name for name in read_manifest(folder).files if name.startswith(f"{CONFIG}/")]
    try:
        _folder(config)
        for name in names:
            goal = config / name.removeprefix(f"{CONFIG}/")
            if not _within(config, goal):
                raise BackupError(f"{name} leads out of the folder: nothing was restored")
            _folder(goal.parent)
            shutil.copyfile(folder / name, goal)
            goal.chmod(0o600)
    except BaseException as error:
        take_config_back(config)
        if not isinstance(error, OSError):
            raise
        raise BackupError(f"the configuration was not restored: {_reason(error)}") from error
    return len(names)


def give_config(config: Path, data: Path) -> None:
    """Let a configuration that root has restored be whose the data folder is: nobody else may read it, and the switch
    must. Raises BackupError.
    """
    try:
        owner = _owner(data) if data.exists() else None
        if owner is not None:
            for path in (config, *config.rglob("*")):
                os.chown(path, *owner)
    except OSError as error:
        raise BackupError(f"the configuration was not restored: {_reason(error)}") from error


def take_config_back(config: Path) -> None:
    """Leave the folder empty into which a configuration was restored, as it was before."""
    with contextlib.suppress(OSError):
        for path in config.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


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
    """The paths of the recordings whose files are there; none of a schema that knows of no recordings."""
    if not {"path", "state", "octets"} <= {row[1] for row in connection.execute("PRAGMA table_info(recordings)")}:
        return []
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


def _folder(path: Path, owner: tuple[int, int] | None = None) -> None:
    """Make a folder and those above it, for their owner alone (``parents`` of mkdir would leave these open)."""
    for each in (*reversed(path.parents), path):
        new = owner is not None and not each.exists()
        each.mkdir(mode=0o700, exist_ok=True)
        if owner is not None and new:
            os.chown(each, *owner)


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
