"""Desk: what every route and every task of the desk is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import structlog

from callcenter.config import Settings
from callcenter.config.secrets import DeskLogin, desk_logins
from callcenter.config.settings import desk_database
from callcenter.control import SOCKET
from callcenter.control.protocol import CommandError
from callcenter.desk.call_me import Requests
from callcenter.desk.events import Hub
from callcenter.desk.fresh import Fresh
from callcenter.desk.hearings import Hearings
from callcenter.desk.integrations.integrations import Integrations
from callcenter.desk.metrics import EndedCalls
from callcenter.desk.passwords import Passwords
from callcenter.desk.rates import Buckets
from callcenter.desk.reading.peaks import Seen
from callcenter.desk.sessions import Sessions
from callcenter.desk.snapshots import Snapshots
from callcenter.desk.switch import Switch, SwitchAway
from callcenter.desk.tokens import Tokens
from callcenter.desk.whose import Whose
from callcenter.model.access import Actor
from callcenter.runtime.clock import Clock, SystemClock
from callcenter.runtime.private_file import SECRET_LENGTH, NotPrivate, own_secret
from callcenter.storage.database import AioDatabase, Database, ReadingDatabase
from callcenter.storage.migrate import migrate, shipped

log = structlog.get_logger()

SECRET_FILE = "desk.secret"
"""What hashes in the desk's database are keyed by, beside it."""


class Desk:
    """One desk.

    ``settings`` are those in force, replaced as a whole at a reload. ``reader`` is the switch's database, which is only
    read: whatever is to change there is asked of the ``switch``. ``own`` is the desk's, where it writes. ``ending`` is
    set when the desk ends: what is open for long (a stream of events) ends then by itself.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        switch: Switch,
        reader: Database,
        own: Database,
        load: Callable[[], Settings] | None = None,
        logins: Mapping[str, DeskLogin] | None = None,
        secret: bytes | None = None,
    ) -> None:
        """``load`` reads the configuration again; it raises ConfigError. ``secret`` is the installation's; None: one of
        this process, and limits begin anew with it.
        """
        self.settings = settings
        self.clock = clock
        self.switch = switch
        self.reader = reader
        self.own = own
        self.load = load or (lambda: settings)
        self.tokens = Tokens(own, clock)
        self.hub = Hub(switch.facts, reader, Whose(lambda: self.settings))
        self.snapshots = Snapshots(lambda: switch.ask("snapshot", None))
        self.hearings = Hearings()
        self.peaks = Seen()
        self.integrations = Integrations(lambda: self.settings, switch, reader, own, clock)
        self.passwords = Passwords(logins or {}, clock)
        self.sessions = Sessions(own, clock, self.passwords, lambda: self.settings.desk.session)
        self.call_me = Requests(own, clock, secret or token_bytes(SECRET_LENGTH))
        self.rates = _rates(settings, clock)
        self.readiness = Fresh(clock)
        self.ended_calls = EndedCalls()
        self.ending = asyncio.Event()
        # A file of customers is taken in by a process of its own: one at a time.
        self.importing = asyncio.Lock()

    async def reload(self) -> None:
        """Take another configuration up, whole or not at all. Raises ConfigError, SecretsError."""
        settings = await asyncio.to_thread(self.load)
        self.passwords.logins = await asyncio.to_thread(desk_logins, settings)
        if settings.desk.rate != self.settings.desk.rate:
            self.rates = _rates(settings, self.clock)
        # Where it listens is the switch's to say, and stays.
        here = self.settings.desk
        self.settings = replace(settings, desk=replace(settings.desk, host=here.host, port=here.port))

    async def audit(self, actor: Actor, action: str, *, client: str = "", target: str = "") -> None:
        """Have the switch write down what was done here, in the desk's own database. Never fails."""
        log.info("done at the desk", action=action, by=f"{actor.role} {actor.user}", client=client, target=target)
        try:
            await self.switch.ask(
                "audited", None, user=actor.user, role=actor.role.value, action=action, client=client, target=target
            )
        except (SwitchAway, CommandError) as error:
            log.warning("not in the audit: the switch does not take it", action=action, detail=str(error))

    def __repr__(self) -> str:
        return f"<Desk {self.settings.desk.host}:{self.settings.desk.port} revision {self.settings.revision}>"


def _rates(settings: Settings, clock: Clock) -> Buckets:
    return Buckets(clock, settings.desk.rate.requests_per_second, settings.desk.rate.burst)


async def open_own(data: Path, clock: Clock) -> AioDatabase:
    """The desk's own database, with its schema up to date. Raises StorageError."""
    own = await AioDatabase.open(desk_database(data))
    try:
        await migrate(own, clock.now(), shipped("callcenter.desk"))
    except BaseException:
        await own.close()
        raise
    return own


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, load: Callable[[], Settings] | None = None) -> AsyncIterator[Desk]:
    """A desk over the data folder of a switch, which may be away. Raises StorageError, SecretsError."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        own = await open_own(settings.switch.data, clock)
        stack.push_async_callback(own.close)
        reader = await ReadingDatabase.open(settings.storage.path)
        stack.push_async_callback(reader.close)
        switch = Switch(settings.switch.data / SOCKET)
        stack.callback(switch.close)
        logins = await asyncio.to_thread(desk_logins, settings)
        secret = await asyncio.to_thread(_secret, settings.switch.data / SECRET_FILE)
        desk = Desk(settings, clock, switch, reader, own, load, logins, secret)
        # Before the first one asks: who was taken from a company sees nothing of it, also while the switch is away.
        await desk.hub.load_roster()
        yield desk


def _secret(path: Path) -> bytes | None:
    try:
        return own_secret(path)
    except (NotPrivate, OSError) as error:
        log.warning("limits of who asks to be called begin anew: there is no secret to know them by", detail=str(error))
        return None
