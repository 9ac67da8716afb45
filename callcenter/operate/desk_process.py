"""DeskProcess: the desk as a child of the switch, which starts it, and starts it again; it never stands in the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Sequence

import structlog

# The kernel holds so many that connect while the desk starts (again): they wait for a second, and are served.
BACKLOG = 512
FIRST_RETRY = 0.2
LAST_RETRY = 30.0
# A desk that ran this long had started well: the next failure is met with the shortest pause again.
RAN_WELL = 30.0
STOPPED_WITHIN = 5.0
LONGEST_WORD = 300

log = structlog.get_logger()


class DeskError(Exception):
    """The desk does not run; one line."""


class DeskProcess:
    """Runs ``command`` on a socket that listens on ``host`` and ``port`` (0: a free one), for as long as it is open.

    The socket is the switch's: while the desk is away nobody is refused, and a free port stays the same. Whatever goes
    wrong is an alarm in the log and the status (``running``, ``detail``), is tried again with growing pauses, and
    keeps no call waiting.
    """

    def __init__(self, command: Sequence[str], host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.running = False
        self.detail = "not started"
        self.starts = 0
        self._command = tuple(command)
        self._socket: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<DeskProcess {self.url} {'running' if self.running else self.detail}>"

    @property
    def pid(self) -> int | None:
        """The desk's process, while there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def url(self) -> str:
        """Where it is asked on this machine."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen, and start it beside; returns at once. ``port`` is the true one from here on, if it could be had."""
        assert self._task is None, "started twice"
        try:
            self._listen()
        except DeskError as error:
            self._alarm(str(error))
        # Supervision outlives the calls' task group, as the broker's does.
        self._task = asyncio.get_running_loop().create_task(self._supervise(), name="desk process")

    async def close(self) -> None:
        """Stop the desk by its own process id, and wait until it is gone. May be called twice."""
        if self._task is None:
            return
        self._closing.set()
        await asyncio.wait({self._task})
        self._task = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _listen(self) -> socket.socket:
        """The socket, made when there is none yet. Raises DeskError."""
        if self._socket is None:
            listening = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind((self.host, self.port))
                listening.listen(BACKLOG)
            except OSError as error:
                listening.close()
                raise DeskError(f"it cannot listen on {self.host}:{self.port}: {error.strerror or error}") from None
            self._socket, self.port = listening, int(listening.getsockname()[1])
        return self._socket

    async def _supervise(self) -> None:
        loop, retry = asyncio.get_running_loop(), FIRST_RETRY
        while not self._closing.is_set():
            began = loop.time()
            try:
                await self._run(self._listen())
            except DeskError as error:
                self._alarm(str(error))
            except OSError as error:
                self._alarm(f"it cannot be started: {error.strerror or error}")
            if loop.time() - began > RAN_WELL:
                retry = FIRST_RETRY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), retry)
            retry = min(retry * 2, LAST_RETRY)

    async def _run(self, listening: socket.socket) -> None:
        """One life of the process. Raises DeskError when it ends by itself, OSError when it cannot be started."""
        self.starts += 1
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            "--fd",
            str(listening.fileno()),
            # It reads to the end of it, which comes also when we are killed: then it ends.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(listening.fileno(),),
            # Ctrl-C on the terminal is ours to answer.
            start_new_session=True,
        )
        words: list[str] = []
        ended = asyncio.ensure_future(process.wait())
        reading = asyncio.ensure_future(self._read(process, words))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({ended, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not self._closing.is_set():
                await asyncio.wait({reading}, timeout=STOPPED_WITHIN)
                status = ended.result()
                how = f"by signal {-status}" if status < 0 else f"with status {status}"
                raise DeskError(f"it ended {how}{': ' if words else ''}{'; '.join(words[-3:])}")
        finally:
            closing.cancel()
            await _stop(process, ended)
            await asyncio.wait({reading}, timeout=STOPPED_WITHIN)
            reading.cancel()
            self._process = None
            self.running = False

    async def _read(self, process: asyncio.subprocess.Process, words: list[str]) -> None:
        """What it says of itself: that it serves, or why it does not."""
        assert process.stdout is not None
        while text := await process.stdout.readline():
            try:
                said = json.loads(text)
            except ValueError:
                continue
            if isinstance(said, dict) and said.get("ready"):
                self.running, self.detail = True, ""
                log.info("the desk serves", url=self.url, pid=process.pid)
            elif isinstance(said, dict) and "error" in said:
                words.append(str(said["error"])[:LONGEST_WORD])

    def _alarm(self, why: str) -> None:
        if self.detail != why:
            log.error("the desk does not run; calls go on", detail=why)
        self.running, self.detail = False, why


async def _stop(process: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
    for end in (process.terminate, process.kill):
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                end()
            await asyncio.wait({ended}, timeout=STOPPED_WITHIN)
