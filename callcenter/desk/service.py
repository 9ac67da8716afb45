"""The desk as it runs: HTTP, the tasks beside it, and how both end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog
import uvicorn

from callcenter.config import ConfigError
from callcenter.config.problems import count
from callcenter.config.secrets import SecretsError
from callcenter.desk import call_me
from callcenter.desk.app import create_app
from callcenter.desk.desk import Desk
from callcenter.model.facts import ConfigReloaded

Task = Callable[[Desk], Awaitable[None]]

# How long requests that are under way may take when the desk ends; then they are cut.
GRACE = 3
KEEP_ALIVE = 30
BACKLOG = 512
# More at once are told 503; each costs some memory, and streams of events stay open.
MOST_AT_ONCE = 1_000
FIRST_RETRY = 1.0
LAST_RETRY = 30.0
RAN_WELL = 60.0

log = structlog.get_logger()


async def follow_configuration(desk: Desk) -> None:
    """Take another configuration up when the switch has."""
    async for fact in desk.switch.facts(kinds=frozenset({ConfigReloaded.__name__})):
        try:
            await desk.reload()
        except ConfigError as error:
            log.error("the desk goes on with the configuration before", detail=count(error.problems))
            continue
        except SecretsError as error:
            log.error("the desk goes on with the configuration before", detail=str(error))
            continue
        log.info("the desk has reloaded", revision=desk.settings.revision, fact=fact.seq)


async def ask_crms(desk: Desk) -> None:
    """Ask the companies' own CRMs who calls."""
    await desk.integrations.look_ups.run()


async def tell_webhooks(desk: Desk) -> None:
    """Tell the companies' receivers what became of their calls."""
    await desk.integrations.webhooks.run()


async def follow_facts(desk: Desk) -> None:
    """Follow the facts, for everybody who reads them here."""
    await desk.hub.run()


TASKS: tuple[tuple[str, Task], ...] = (
    ("follow the facts", follow_facts),
    ("follow the configuration", follow_configuration),
    ("ask CRMs who calls", ask_crms),
    ("tell webhooks", tell_webhooks),
    ("put away who asked to be called", call_me.clean),
)  # fmt: skip
"""What goes on beside HTTP for as long as the desk lives."""


async def serve(
    desk: Desk,
    listening: socket.socket,
    on_ready: Callable[[], None],
    *,
    ended: Awaitable[object] | None = None,
    tasks: Sequence[tuple[str, Task]] = TASKS,
) -> None:
    """Serve on ``listening`` until SIGTERM or SIGINT, or until ``ended`` is done."""
    logging.getLogger("uvicorn.error").addHandler(_ToTheLog(logging.WARNING))
    server = _Server(
        uvicorn.Config(
            create_app(desk),
            http="h11",
            ws="none",
            lifespan="off",
            loop="none",
            # Paths hold names of people's records, and queries numbers: nobody keeps them by the way.
            access_log=False,
            log_config=None,
            server_header=False,
            # A proxy on this machine says for whom it asks.
            forwarded_allow_ips="127.0.0.1,::1",
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
            limit_concurrency=MOST_AT_ONCE,
        )
    )
    server.on_ready = on_ready
    loop = asyncio.get_running_loop()

    def end() -> None:
        desk.ending.set()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    waiting = None if ended is None else asyncio.ensure_future(_then(ended, end))
    beside = [loop.create_task(_keep(desk, name, task), name=name) for name, task in tasks]
    try:
        await server.serve(sockets=[listening])
    finally:
        desk.ending.set()
        for task in [*beside, *([waiting] if waiting is not None else [])]:
            task.cancel()
        await asyncio.wait(beside)


async def _then(ended: Awaitable[object], end: Callable[[], None]) -> None:
    await ended
    end()


async def _keep(desk: Desk, name: str, task: Task) -> None:
    """Run a task again when it fails, or ends by itself: it is there as long as the desk is."""
    loop, retry = asyncio.get_running_loop(), FIRST_RETRY
    while True:
        began = loop.time()
        try:
            await task(desk)
            log.error("a task of the desk has ended and is begun again", task=name)
        except Exception as error:
            log.error("a task of the desk failed and is begun again", task=name, exc_info=error)
        if loop.time() - began > RAN_WELL:
            retry = FIRST_RETRY
        await asyncio.sleep(retry)
        retry = min(2 * retry, LAST_RETRY)


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to us and says when it serves."""

    on_ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()


class _ToTheLog(logging.Handler):
    """What uvicorn complains of, as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        word = log.error if record.levelno >= logging.ERROR else log.warning
        word("web server", detail=record.getMessage(), **({"exc_info": record.exc_info} if record.exc_info else {}))
