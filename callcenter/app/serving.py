"""Serving: the switch as a program, from the start until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from callcenter.app.edges import open_edges
from callcenter.app.house import open_house
from callcenter.config.secrets import Secrets
from callcenter.config.settings import Settings
from callcenter.control import SOCKET
from callcenter.control.server import ControlServer
from callcenter.control.sockets import SocketError
from callcenter.control.systemd import Notifier
from callcenter.media.plane import MediaError
from callcenter.operate.audit import CommandBooks
from callcenter.operate.commands import Commands
from callcenter.operate.desk_process import DeskProcess
from callcenter.operate.life import Life
from callcenter.operate.paperwork import promises
from callcenter.operate.reload import Reloader
from callcenter.operate.signals import Signals
from callcenter.operate.watch import Watch
from callcenter.publish.mqtt import BrokerError
from callcenter.runtime import memory
from callcenter.runtime.errors import first_error
from callcenter.signaling.certificates import Shown
from callcenter.signaling.settings import Listen
from callcenter.signaling.transport import TransportError
from callcenter.storage.database import StorageError

LAST_FACTS_PATIENCE = 1.0
# How long the first callers wait for our own broker to take the states: milliseconds, unless something is wrong.
FIRST_LINK_PATIENCE = 1.0

log = structlog.get_logger()


class StartError(Exception):
    """The switch cannot start; one line for the operator."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The switch takes calls: where it listens (with the true ports), its broker, if it runs one, and its socket.

    ``certificate``: the one that it shows by TLS to who names no server, where it listens for TLS. ``desk``: where the
    desk is asked on this machine; empty: there is none.
    """

    listeners: tuple[Listen, ...]
    broker: tuple[str, int] | None
    control: Path
    certificate: Shown | None = None
    desk: str = ""


def run(
    settings: Settings,
    secrets: Secrets,
    *,
    on_ready: Callable[[Ready], None],
    load: Callable[[], Settings],
    hangup_reloads: bool = False,
    desk: Sequence[str] = (),
) -> None:
    """Run a switch until it is told to end. Raises StartError when it cannot start.

    ``load`` reads the configuration again, for a reload. SIGINT and SIGTERM drain, and the second one ends. SIGHUP ends
    (the terminal was closed), or with ``hangup_reloads`` reloads. ``desk`` is how the desk is started beside it.
    """
    uvloop.run(serve(settings, secrets, on_ready, load, hangup_reloads=hangup_reloads, desk=desk))


async def serve(
    settings: Settings,
    secrets: Secrets,
    on_ready: Callable[[Ready], None],
    load: Callable[[], Settings],
    *,
    hangup_reloads: bool = False,
    desk: Sequence[str] = (),
) -> None:
    """Open the real edges, the house within them, the control socket, and live until the end is asked for."""
    life = Life(Notifier.from_environment())
    signals = Signals(life)
    refused: BaseException | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(life.close)
            edges, broker = await open_edges(settings, secrets, stack)
            house = await stack.enter_async_context(open_house(settings, secrets, edges))
            reloader = Reloader(house, life, load, broker)
            if hangup_reloads:
                signals.hangup_reloads(reloader)
            commands = Commands(house, life, reloader)
            house.paperwork.on_owed = promises(house, commands.all)
            control = ControlServer(settings.switch.data / SOCKET, commands.all(), edges.storage.log)
            control.books = house.mqtt_orders.books = CommandBooks(house)
            house.mqtt_orders.answer, house.mqtt_orders.for_programs = control.answer, commands.for_programs()
            await control.open()
            stack.push_async_callback(control.close)
            if desk and settings.desk.enabled:
                house.desk_process = DeskProcess(desk, settings.desk.host, settings.desk.port)
                stack.push_async_callback(house.desk_process.close)
                house.desk_process.start()
            if broker is not None and broker.running:
                # So that the first caller has a screen pop; a broker that is slow keeps nobody from calling.
                await edges.publisher.ready(FIRST_LINK_PATIENCE)
            house.lag.begin()
            stack.callback(house.lag.close)
            watch = Watch(reloader, lambda: house.settings)
            stack.callback(watch.close)
            watch.begin()
            life.begin(house)
            address = (broker.host, broker.port) if broker is not None and broker.running else None
            memory.settle()
            shown = edges.keyring.current.shown[0] if edges.keyring is not None else None
            url = house.desk_process.url if house.desk_process is not None else ""
            on_ready(Ready(house.user_agent.network.listeners, address, control.path, shown, url))
            reason = await life.over()
            log.info("going down", reason=reason, calls=len(house.supervisor.calls))
            await house.go_down(reason)
            # Whoever follows the events hears the last ones too.
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(LAST_FACTS_PATIENCE):
                    await edges.storage.log.flushed(house.stream.seq)
    except* (StorageError, MediaError, TransportError, BrokerError, SocketError) as errors:
        # Not raised from here: what an except* raises is a group again, in some versions of Python 3.11.
        refused = first_error(errors)
    if refused is not None:
        raise StartError(str(refused)) from refused
