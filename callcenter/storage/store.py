"""Storage: the database of one switch, opened, migrated and kept from a second writer."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from callcenter.runtime.clock import Clock
from callcenter.storage.audit import Audit
from callcenter.storage.breaks import Breaks
from callcenter.storage.callbacks import Callbacks
from callcenter.storage.callers import Callers
from callcenter.storage.customers import Customers
from callcenter.storage.database import AioDatabase, Database, StorageError
from callcenter.storage.do_not_call import DoNotCall
from callcenter.storage.erasure import Erasure
from callcenter.storage.followups import Followups
from callcenter.storage.intents import Intents
from callcenter.storage.interactions import Interactions
from callcenter.storage.locations import Locations
from callcenter.storage.log import FactLog, OnState
from callcenter.storage.metrics import Metrics
from callcenter.storage.migrate import migrate
from callcenter.storage.notes import Notes
from callcenter.storage.recordings import Recordings
from callcenter.storage.retained import Retained
from callcenter.storage.roster import Roster
from callcenter.storage.timelines import MOST_BESIDE_CALLS, Timelines
from callcenter.storage.wrap_up_fields import WrapUpFields

# Ends the name of what lies beside a database while files are put back: which backup, and where that was before.
RESTORING = ".restoring"


class Storage:
    """The log, interactions, customers, registrations and callbacks, over one database."""

    def __init__(self, database: Database, log: FactLog, clock: Clock, lock: WriterLock | None) -> None:
        self.database = database
        self.log = log
        self.interactions = Interactions(database, log)
        self.audit = Audit(database, log)
        self.customers = Customers(database)
        self.callers = Callers(database)
        self.locations = Locations(database, log, clock)
        self.intents = Intents(database, log)
        self.breaks = Breaks(database, log)
        self.roster = Roster(database, log)
        self.retained = Retained(database, log)
        self.metrics = Metrics(database, log)
        self.callbacks = Callbacks(database, log)
        self.recordings = Recordings(database, log)
        self.notes = Notes(database, log)
        self.wrap_up_fields = WrapUpFields(database, log)
        self.timelines = Timelines(database, MOST_BESIDE_CALLS)
        self.do_not_call = DoNotCall(database, log, clock)
        self.erasure = Erasure(database, log)
        self.followups = Followups(database, log)
        self._lock = lock

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, on_state: OnState | None = None) -> Storage:
        """Open or create the database, bring its schema up to date, and take the log over.

        ``on_state(healthy, detail)`` is told when writing fails and when it works again. Raises StorageError with one
        clear line.
        """
        lock = WriterLock(path)
        try:
            _look_for_half_a_restore(path)
            return await cls.over(await AioDatabase.open(path), clock=clock, on_state=on_state, lock=lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    async def over(
        cls, database: Database, *, clock: Clock, on_state: OnState | None = None, lock: WriterLock | None = None
    ) -> Storage:
        """The same over a database that is open; it is closed when that fails."""
        try:
            await migrate(database, clock.now())
            log = await FactLog.open(database)
        except BaseException:
            await database.close()
            raise
        log.on_state = on_state
        return cls(database, log, clock, lock)

    async def close(self) -> None:
        """Commit the last word, then close. May be called twice.

        Raises StorageError when something could not be written within five seconds; it is closed all the same.
        """
        try:
            await self.log.close()
        finally:
            await self.database.close()
            if self._lock is not None:
                self._lock.release()


async def open_database_beside(path: Path, clock: Clock) -> AioDatabase:
    """The database without its log, for a program beside the switch (an import of customers). Raises StorageError."""
    database = await AioDatabase.open(path, beside=True)
    try:
        await migrate(database, clock.now())
    except BaseException:
        await database.close()
        raise
    return database


def _look_for_half_a_restore(path: Path) -> None:
    """Raises StorageError. What is there may be nothing, or half of it the old and half of it the new."""
    try:
        backup, *aside = path.with_name(path.name + RESTORING).read_text().splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        backup, aside = "a backup", []
    before = f"; what was there before is in {aside[0]}" if aside and aside[0] else ""
    raise StorageError(
        f"a restore of {backup} was cut short: the database {path} is not whole{before}: restore it again (--replace)"
    )


class WriterLock:
    """One switch a database: a lock on a file beside it, which the system lets go when its process dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises StorageError when another switch holds it, or it cannot be made."""
        beside = path.with_name(path.name + ".lock")
        try:
            beside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"cannot write beside the database: {beside}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StorageError(f"the database {path} is in use by another switch (process {holder})") from error
        except OSError as error:
            self.release()
            raise StorageError(f"cannot lock the database {path}: {error.strerror}") from error

    def give_to(self, user: int, group: int) -> None:
        """Let the file be another user's, who is to take it next."""
        os.fchown(self._file, user, group)

    def release(self) -> None:
        """Let go. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
