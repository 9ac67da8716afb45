"""Desk: what every route and every task of the desk is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from callcenter.config import Settings
from callcenter.control import SOCKET
from callcenter.desk.integrations.integrations import Integrations
from callcenter.desk.metrics import EndedCalls
from callcenter.desk.switch import Switch
from callcenter.desk.tokens import Tokens
from callcenter.runtime.clock import Clock, SystemClock
from callcenter.storage.database import AioDatabase, Database, ReadingDatabase
from callcenter.storage.migrate import migrate, shipped

FILE = "desk.db"
"""The desk's own database in the data folder: tokens, sessions, webhooks; nothing of the switch's."""


class Desk:
    """One desk.

    ``settings`` are those in force, replaced as a whole at a reload. ``reader`` is the switch's database, which is only
    read: whatever is to change there is asked of the ``switch``. ``own`` is the desk's, where it writes. ``ending`` is
    set when the desk ends: what is open for long (a stream of events) ends then by itself.
    """

    def __init__(
        self, settings: Settings, clock: Clock, switch: Switch, reader: Database, own: Database,
        load: Callable[[], Settings] | None = None,
    ) -> None:  # fmt: skip
        """``load`` reads the configuration again. Raises ConfigError."""
        self.settings = settings
        self.clock = clock
        self.switch = switch
        self.reader = reader
        self.own = own
        self.load = load or (lambda: settings)
        self.tokens = Tokens(own, clock)
        self.integrations = Integrations(lambda: self.settings, switch, reader, own, clock)
        self.ended_calls = EndedCalls()
        self.ending = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Desk {self.settings.desk.host}:{self.settings.desk.port} revision {self.settings.revision}>"


async def open_own(data: Path, clock: Clock) -> AioDatabase:
    """The desk's own database, with its schema up to date. Raises StorageError."""
    own = await AioDatabase.open(data / FILE)
    try:
        await migrate(own, clock.now(), shipped("callcenter.desk"))
    except BaseException:
        await own.close()
        raise
    return own


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, load: Callable[[], Settings] | None = None) -> AsyncIterator[Desk]:
    """A desk over the data folder of a switch, which may be away. Raises StorageError."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        own = await open_own(settings.switch.data, clock)
        stack.push_async_callback(own.close)
        reader = await ReadingDatabase.open(settings.storage.path)
        stack.push_async_callback(reader.close)
        switch = Switch(settings.switch.data / SOCKET)
        stack.callback(switch.close)
        yield Desk(settings, clock, switch, reader, own, load)
