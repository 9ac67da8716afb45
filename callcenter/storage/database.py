"""Database: plain SQL behind a small interface, served by SQLite in threads (aiosqlite) or on the spot."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite

Value = str | int | float | bytes | None
Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Value]]
T = TypeVar("T")

# How long a statement waits for another program's lock (a backup, an import) before it fails as locked.
BUSY_TIMEOUT_MS = 2_000
# What is left of the write-ahead log after a checkpoint; a long reader may make it larger for a while.
WAL_SIZE_LIMIT = 64 * 1024 * 1024
# Connections of a program that only reads: so many long queries at once, and the others still get their turn.
READERS = 4


class StorageError(Exception):
    """The database cannot do it; the text is one line for an operator. It may work later."""


class RejectedStatement(StorageError):
    """The database is well, but refuses these values or this statement: trying again does not help."""


class StaleWriter(StorageError):
    """Another writer has taken the log over; nothing more is appended by this one."""


class Transaction(Protocol):
    """Statements that are committed together or not at all."""

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Run one statement; the rows are those of a query or of ``RETURNING``. Raises StorageError."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row. Raises StorageError."""
        ...


class Reading(Protocol):
    """Queries on the spot, for :meth:`Database.read`: plain calls, in the database's own thread."""

    def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query."""
        ...


class Writing(Protocol):
    """Statements on the spot, for :meth:`Database.write`: plain calls, in the database's own thread."""

    def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Run one statement; the rows are those of a query or of ``RETURNING``."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row."""
        ...


class Database(Protocol):
    """Plain SQL with ``?`` for values. Every method raises StorageError."""

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Run one writing statement in a transaction of its own; the rows are those of ``RETURNING``."""
        ...

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query, as of the last commit; never waits for a writer."""
        ...

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Queries as one piece of ``work``, all as of one commit: the database's thread is asked once, not for each.

        ``work`` touches nothing but what it is given, and goes on although the wait was cancelled. Whoever waits pays
        for the way to the thread and back: some 0.4 ms where a query takes a tenth of that.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A writing transaction, one at a time: committed when the block ends, rolled back when it raises."""
        ...

    async def write(self, work: Callable[[Writing], T]) -> T:
        """A writing transaction as one piece of ``work``: the database's thread is asked once, not for each statement.

        ``work`` touches nothing but what it is given. It may have been committed although the wait was cancelled.
        """
        ...

    async def scrub(self) -> bool:
        """Bring the write-ahead log to its place and empty it, so that nothing that was overwritten stays in it.

        False where another reads or writes just now: then it is as it was.
        """
        ...

    async def close(self) -> None:
        """Close. May be called twice."""
        ...


class AioDatabase:
    """SQLite in threads of its own: one connection writes, another reads, so that readers never wait."""

    def __init__(self, path: Path, writer: _Thread, reader: _Thread) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, *, beside: bool = False) -> AioDatabase:
        """Open or create the database file (mode 0600). Raises StorageError with one clear line.

        ``beside``: another program is the one that must not wait. What this one writes it brings from the log to its
        place itself, some pages at a time, so that the other's commits do not find it to do.
        """
        _prepare(path)
        writer = await _Thread.open(path, [*_SETTINGS, *(_BESIDE if beside else ())])
        try:
            reader = await _Thread.open(path, [*_SETTINGS, "PRAGMA query_only = ON"])
        except BaseException:
            await writer.close()
            raise
        return cls(path, writer, reader)

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Run one writing statement in a transaction of its own. Raises StorageError."""
        return await self.write(lambda writing: writing.execute(sql, params))

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query, as of the last commit. Raises StorageError."""
        return await self._reader.run(lambda connection: connection.execute(sql, params).fetchall())

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Queries as one piece of work. Raises StorageError."""
        return await self._reader.run(lambda connection: _as_of_one_commit(connection, work))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A writing transaction. Raises StorageError."""
        async with self._writing:
            try:
                await self._writer.run(lambda connection: connection.execute("BEGIN IMMEDIATE"))
                yield _ThreadTransaction(self._writer)
                await self._writer.run(sqlite3.Connection.commit)
            except BaseException:
                # The thread takes its work in order, so the rollback follows whatever a cancelled
                # await left running; with no transaction open it does nothing.
                with contextlib.suppress(StorageError):
                    await asyncio.shield(asyncio.ensure_future(self._writer.run(sqlite3.Connection.rollback)))
                raise

    async def write(self, work: Callable[[Writing], T]) -> T:
        """A writing transaction as one piece of work. Raises StorageError."""
        async with self._writing:
            return await self._writer.run(lambda connection: _in_transaction(connection, work))

    async def scrub(self) -> bool:
        """Empty the write-ahead log; False where somebody is in it. Raises StorageError."""
        async with self._writing:
            return await self._writer.run(_scrubbed)

    async def close(self) -> None:
        """Close both connections. May be called twice."""
        await self._reader.close()
        await self._writer.close()


class ReadingDatabase:
    """A database that another process writes, read through a few connections, so that a long query holds up no other.

    What would write is refused. Every query sees the last commit when it begins.
    """

    def __init__(self, path: Path, threads: Sequence[_Thread]) -> None:
        self.path = path
        self._threads = threads
        self._free: asyncio.LifoQueue[_Thread] = asyncio.LifoQueue()
        for thread in threads:
            self._free.put_nowait(thread)

    @classmethod
    async def open(cls, path: Path, connections: int = READERS) -> ReadingDatabase:
        """Open what is there already. Raises StorageError."""
        threads: list[_Thread] = []
        try:
            for _ in range(connections):
                threads.append(await _Thread.open(path, _READING, mode="rw"))  # noqa: PERF401 - closed when one fails
        except BaseException:
            for thread in threads:
                await thread.close()
            raise
        return cls(path, threads)

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Refused. Raises RejectedStatement."""
        raise self._refusal()

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query, as of the last commit. Raises StorageError."""
        thread = await self._free.get()
        try:
            return await thread.run(lambda connection: connection.execute(sql, params).fetchall())
        finally:
            self._free.put_nowait(thread)

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Queries as one piece of work. Raises StorageError."""
        thread = await self._free.get()
        try:
            return await thread.run(lambda connection: _as_of_one_commit(connection, work))
        finally:
            self._free.put_nowait(thread)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Refused. Raises RejectedStatement."""
        raise self._refusal()

    async def write(self, work: Callable[[Writing], T]) -> T:
        """Refused. Raises RejectedStatement."""
        raise self._refusal()

    async def scrub(self) -> bool:
        """Refused. Raises RejectedStatement."""
        raise self._refusal()

    async def close(self) -> None:
        """Close every connection. May be called twice."""
        for thread in self._threads:
            await thread.close()

    def _refusal(self) -> RejectedStatement:
        return RejectedStatement(f"the database {self.path} is only read here: ask the switch by a command")


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, which takes a whole piece of work too: its thread is asked once for all statements."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the thread, behind what was asked before."""
        execute: Any = self._execute  # what each of its own methods calls; it has no types
        result: T = await execute(lambda: work(self._conn))
        return result


class _Thread:
    """One connection and the thread that it lives in."""

    def __init__(self, path: Path, connection: _Connection) -> None:
        self._path = path
        self._connection = connection
        self._open = True

    @classmethod
    async def open(cls, path: Path, pragmas: Sequence[str], mode: str = "rwc") -> _Thread:
        """A connection with these settings; ``mode`` as in SQLite's URIs. Raises StorageError."""
        connect = functools.partial(_connect, path, mode)
        connection = _Connection(connect, iter_chunk_size=64)
        # A switch that ends by a mistake, with its storage open, must end: the thread does not hold the process.
        # (The connection is the thread itself in older releases.)
        living: Any = getattr(connection, "_thread", connection)
        living.daemon = True
        with _mapped(path):
            _ = await connection
        thread = cls(path, connection)
        try:
            await thread.run(lambda opened: [opened.execute(pragma).fetchall() for pragma in pragmas])
        except BaseException:
            await thread.close()
            raise
        return thread

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the thread, behind what was asked before. Raises StorageError."""
        with _mapped(self._path):
            return await self._connection.run(work)

    async def close(self) -> None:
        """Close behind what was asked before. May be called twice."""
        if self._open:
            self._open = False
            await self._connection.close()


class _ThreadTransaction:
    def __init__(self, thread: _Thread) -> None:
        self._thread = thread

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self._thread.run(lambda connection: connection.execute(sql, params).fetchall())

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        await self._thread.run(lambda connection: connection.executemany(sql, rows))


class _Spot:
    """Statements on the spot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return self._connection.execute(sql, params).fetchall()

    execute = fetch_all

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._connection.executemany(sql, rows)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", isolation_level=None, uri=True)


def _as_of_one_commit(connection: sqlite3.Connection, work: Callable[[Reading], T]) -> T:
    connection.execute("BEGIN")
    try:
        return work(_Spot(connection))
    finally:
        # Nothing was written: how it ends is all the same. (Without a transaction it does nothing.)
        connection.rollback()


def _in_transaction(connection: sqlite3.Connection, work: Callable[[Writing], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(_Spot(connection))
        connection.commit()
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
        raise
    return result


def _scrubbed(connection: sqlite3.Connection) -> bool:
    # Whoever reads is not waited for: nobody could write meanwhile.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return not busy


class InlineDatabase:
    """SQLite on the spot, without a thread: for virtual time, where a thread would break the clock."""

    def __init__(self, path: str | Path = ":memory:") -> None:
        self.path = Path(path)
        if path != ":memory:":
            _prepare(self.path)
        self._writing = asyncio.Lock()
        with _mapped(self.path):
            # Its one thread is the loop's; a test's fixture may close it from another.
            self._connection = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
            try:
                for pragma in _SETTINGS:
                    self._connection.execute(pragma).fetchall()
            except sqlite3.Error:
                self._connection.close()
                raise

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Run one writing statement in a transaction of its own. Raises StorageError."""
        async with self.transaction() as transaction:
            return await transaction.execute(sql, params)

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query. Raises StorageError."""
        with _mapped(self.path):
            return self._connection.execute(sql, params).fetchall()

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Queries as one piece of work. Raises StorageError."""
        with _mapped(self.path):
            return work(_Spot(self._connection))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A writing transaction. Raises StorageError."""
        async with self._writing:
            try:
                with _mapped(self.path):
                    self._connection.execute("BEGIN IMMEDIATE")
                yield _InlineTransaction(self._connection, self.path)
                with _mapped(self.path):
                    self._connection.commit()
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.rollback()
                raise

    async def write(self, work: Callable[[Writing], T]) -> T:
        """A writing transaction as one piece of work. Raises StorageError."""
        async with self._writing:
            with _mapped(self.path):
                return _in_transaction(self._connection, work)

    async def scrub(self) -> bool:
        """Empty the write-ahead log. Raises StorageError."""
        async with self._writing:
            with _mapped(self.path):
                return _scrubbed(self._connection)

    async def close(self) -> None:
        """Close. May be called twice."""
        self._connection.close()


class _InlineTransaction:
    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        with _mapped(self._path):
            return self._connection.execute(sql, params).fetchall()

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with _mapped(self._path):
            self._connection.executemany(sql, rows)


_SETTINGS = [
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    # With WAL a killed process loses nothing that was committed; a power cut may lose the last moments.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # What is deleted or overwritten is gone from free pages too: somebody may ask to be forgotten.
    "PRAGMA secure_delete = ON",
    f"PRAGMA journal_size_limit = {WAL_SIZE_LIMIT}",
]
# The journal is as its writer has it. Write access is for the index of the write-ahead log, which readers keep too.
_READING = [f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}", "PRAGMA query_only = ON"]


# Pages of the write-ahead log (4 kB) after which they are brought to their place; SQLite's own default is 1,000.
_BESIDE = ["PRAGMA wal_autocheckpoint = 200"]


def storable(text: str) -> str:
    """``text`` without what a database refuses: half characters of a peer's broken UTF-8, and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _prepare(path: Path) -> None:
    """Make the folder and the file, so that only their owner reads them. Raises StorageError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"cannot write the database {path}: {(error.strerror or str(error)).lower()}") from error


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """SQLite's errors told in the operator's words."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError, UnicodeError) as error:
        raise RejectedStatement(f"the database {path} refuses a value: {error}") from error
    except sqlite3.ProgrammingError as error:
        raise _closed_or_rejected(path, str(error)) from error
    except sqlite3.Error as error:
        raise StorageError(_line(path, error)) from error
    except ValueError as error:
        raise _closed_or_rejected(path, str(error)) from error


def _closed_or_rejected(path: Path, text: str) -> StorageError:
    if "closed" in text.lower() or "no active connection" in text:
        return StorageError(f"the database {path} is closed")
    return RejectedStatement(f"the database {path} refuses a value: {text}")


def _line(path: Path, error: sqlite3.Error) -> str:
    # Extended codes begin with the name of their family: SQLITE_IOERR_WRITE, SQLITE_READONLY_DBMOVED.
    name = getattr(error, "sqlite_errorname", "") or ""
    for prefix, words in _WORDS:
        if name.startswith(prefix):
            return f"the database {path} {words}"
    return f"the database {path}: {error}"


_WORDS = (
    ("SQLITE_FULL", "cannot grow: the disk is full"),
    ("SQLITE_BUSY", "is locked by another program"),
    ("SQLITE_LOCKED", "is locked by another program"),
    ("SQLITE_READONLY", "is read-only"),
    ("SQLITE_NOTADB", "is not a database: the file holds something else; move it away or give another path"),
    ("SQLITE_CORRUPT", "is damaged; restore it from a backup"),
    ("SQLITE_CANTOPEN", "cannot be opened"),
    ("SQLITE_IOERR", "cannot be read or written: input/output error"),
    ("SQLITE_PERM", "may not be used: permission denied"),
)
