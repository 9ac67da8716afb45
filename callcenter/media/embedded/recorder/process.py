"""A recorder as the plane sees it: the process beside one worker, which is started when it is needed, and again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import structlog

from callcenter.media.embedded import control
from callcenter.media.plane import MediaError, RecordingOrder, RecordingReason

log = structlog.get_logger(__name__)

_START_WITHIN: Final = 20.0
# It never waits for a disk: who does not answer for so long hangs.
_ANSWER_WITHIN: Final = 5.0
# It says once a second that it lives.
_SILENT_AFTER: Final = 8.0
# Files are finished within 20 seconds, or left as they are.
_END_WITHIN: Final = 25.0

Message = control.Message


class _Process(asyncio.Protocol):
    """One recorder process and its control connection."""

    def __init__(self, on_message: Callable[[Message], None], on_lost: Callable[[_Process], None]) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.alive = True
        self.ready = asyncio.Event()
        """Whether it takes orders, or is gone already."""
        self.lost = asyncio.Event()
        """Whether it is gone."""
        self.heard_at = 0.0
        self.leaves = False
        """Whether it ends because the worker has."""
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._frames = control.Frames()
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}

    @property
    def pid(self) -> int:
        return self.process.pid if self.process is not None else 0

    def send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(control.frame(message))

    async def ask(self, op: str, *arguments: object) -> Any:
        """Command it and wait for the answer. Raises MediaError, TimeoutError."""
        if not self.alive:
            raise MediaError("the recorder has ended")
        number = next(self._numbers)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked[number] = answer
        self.send([op, number, *arguments])
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                return await answer
        finally:
            self._asked.pop(number, None)

    async def wait(self) -> int:
        """Wait until it has ended; the status is of no use to anybody."""
        return await self.process.wait() if self.process is not None else 0

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        for message in self._frames.feed(data):
            op, number, *rest = message
            if op == control.READY:
                self.ready.set()
            elif op == control.RECORDER_ENDS:
                self.leaves = True
            elif op in (control.OK, control.FAILED):
                answer = self._asked.pop(number, None)
                if answer is None or answer.done():
                    continue
                if op == control.OK:
                    answer.set_result(rest[0])
                else:
                    answer.set_exception(MediaError(rest[1]))
            elif op != control.LOAD:
                self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self.ready.set()
        self.lost.set()
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(MediaError("the recorder has ended"))
        self._on_lost(self)


class Recorder:
    """The recorder of one worker.

    ``on_recorded`` is told of each recording that has ended (recording, path, seconds, octets, SHA-256, reason,
    detail), ``on_lost`` of those that a recorder which has died had in hand, with the reason.
    """

    def __init__(
        self,
        index: int,
        on_recorded: Callable[[int, str, float, int, str, RecordingReason, str], None],
        on_lost: Callable[[list[int], str], None],
    ) -> None:
        self.index = index
        self._on_recorded = on_recorded
        self._on_lost = on_lost
        # The worker's end goes to the worker. Ours goes to one recorder after the other: the worker sees no change.
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._starting = asyncio.Lock()
        self._process: _Process | None = None
        self._recordings: set[int] = set()
        self._closed = False
        self._waits: set[asyncio.Task[int]] = set()

    def __repr__(self) -> str:
        return f"<recorder {self.index} pid {self.pid}, {len(self._recordings)} recordings>"

    def __len__(self) -> int:
        return len(self._recordings)

    @property
    def pid(self) -> int:
        """The process id; 0 when none runs."""
        return self._process.pid if self._process is not None else 0

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._closed and self._process is None and not self._waits

    async def start(self) -> None:
        """Have the process run. Raises MediaError."""
        async with self._starting:
            if self._process is None and not self._closed:
                self._process = await self._start()
                self._process.heard_at = asyncio.get_running_loop().time()
        if self._process is None:
            raise MediaError(f"recorder {self.index} is closed")

    async def open(self, number: int, order: RecordingOrder, rate: int) -> str:
        """Make the file of a recording; returns its path. Raises MediaError."""
        await self.start()
        process = self._process
        assert process is not None
        self._recordings.add(number)
        key = order.key.hex() if order.key is not None else ""
        try:
            path: str = await process.ask(control.RECORD_OPEN, number, order.path, order.encoding, rate, key)
        except TimeoutError as error:
            self.end(number, RecordingReason.FAILED, "it was not waited for")
            self._recordings.discard(number)
            raise MediaError(f"{order.path}: not made within {_ANSWER_WITHIN:.0f} s: the disk is slow") from error
        except BaseException:
            self.end(number, RecordingReason.FAILED, "it was not waited for")
            self._recordings.discard(number)
            raise
        if number not in self._recordings:
            raise MediaError("the recorder has ended")
        return path

    def end(self, number: int, reason: RecordingReason, detail: str) -> None:
        """End a recording that the worker does not hand over any more."""
        if self._process is not None:
            self._process.send([control.RECORD_END, number, reason, detail])

    def check(self) -> None:
        """Once a second: kill it when it does not say anything any more."""
        process = self._process
        if process is not None and asyncio.get_running_loop().time() - process.heard_at > _SILENT_AFTER:
            process.kill()

    def kill(self) -> None:
        """End the process by force."""
        if self._process is not None:
            self._process.kill()

    def worker_started(self) -> None:
        """The worker has its end now."""
        self.theirs.close()

    def hang_up(self) -> None:
        """The worker has ended: no more recordings. The process finishes its files, and goes. May be called twice."""
        self._closed = True
        self.theirs.close()
        self._ours.close()

    async def close(self) -> None:
        """Hang up, and wait until the process is gone."""
        self.hang_up()
        async with self._starting:
            process = self._process
        if process is not None:
            await self._end(process)
        await asyncio.gather(*self._waits)

    async def _end(self, process: _Process) -> None:
        try:
            async with asyncio.timeout(_END_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await process.lost.wait()

    async def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        settings = {"control": theirs.fileno(), "sound": self._ours.fileno()}
        process = _Process(self._take, self._lose)
        try:
            with theirs:
                process.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "callcenter.media.embedded.recorder.main",
                    json.dumps(settings),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=tuple(settings.values()),
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": _python_path()},
                )
        except OSError as error:
            ours.close()
            raise MediaError(f"recorder {self.index} cannot be started: {error}") from error
        await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
        try:
            async with asyncio.timeout(_START_WITHIN):
                await process.ready.wait()
        except TimeoutError as error:
            raise MediaError(f"recorder {self.index} was not ready within {_START_WITHIN:.0f} s") from error
        finally:
            if not process.ready.is_set():
                process.kill()
        if not process.alive:
            raise MediaError(f"recorder {self.index} ended while it started")
        return process

    def _take(self, message: Message) -> None:
        op, number, *rest = message
        if op == control.RECORDED and number in self._recordings:
            self._recordings.discard(number)
            path, seconds, octets, sha256, reason, detail = rest
            self._on_recorded(number, path, seconds, octets, sha256, RecordingReason(reason), detail)
        elif op == control.TROUBLE:
            log.warning("codec not recorded", recorder=self.index, error=rest[0])

    def _lose(self, process: _Process) -> None:
        """It has ended; another one is started for the next recording."""
        if process is not self._process:
            return
        self._process = None
        wait = asyncio.get_running_loop().create_task(process.wait(), name=f"end recorder {self.index}")
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        recordings, self._recordings = sorted(self._recordings), set()
        if not process.leaves:
            log.error("recorder lost", recorder=self.index, pid=process.pid, recordings=len(recordings))
        if recordings:
            self._on_lost(recordings, f"the recorder (pid {process.pid}) died")


def _python_path() -> str:
    """As a worker, it must find this package, installed or not."""
    here = str(Path(__file__).resolve().parents[4])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
