"""A worker as the plane sees it: the process, its control connection, what it was asked and what it carries."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from callcenter.media.embedded import control
from callcenter.media.embedded.board import Board
from callcenter.media.embedded.recorder.process import Recorder
from callcenter.media.embedded.version import OTHER_VERSION
from callcenter.media.plane import MediaError, MediaGone, NoCapacity
from callcenter.runtime.once import Once

# Python, asyncio and uvloop take 0.1 s to load; a machine that starts everything at once may take its time.
_START_WITHIN = 20.0

# A worker reports each second. One that is silent for so long hangs, and its calls hear nothing.
_SILENT_CHECKS = 5

_END_WITHIN = 2.0

# Share of a core that a leg takes (975 relayed calls on one): what was let in is counted so until it shows in the load.
_LOAD_OF_A_LEG = 0.0005

# A worker that is late for so many reports in a row, each of a second, is late; one alone may be a hiccup.
_LATE_REPORTS = 3


class WorkerProcess(asyncio.Protocol):
    """One worker process. ``lost`` resolves once, with the reason, when it is gone, whoever ended it."""

    def __init__(
        self,
        index: int,
        settings: control.WorkerSettings,
        on_event: Callable[[control.Message], None],
        new_recorder: Callable[[int], Recorder],
    ) -> None:
        self.index = index
        self.recorder: Recorder | None = None
        """What writes the recordings of its legs; from its start on."""
        self.restarts = 0
        """How many have died in its place before it."""
        self.draining = False
        """Whether it takes no new call."""
        self.told_empty = False
        """Whether it was told, since it drains, that its last call has ended."""
        self.retires_at: float | None = None
        """When its last calls are ended, if another has its place (monotonic seconds); None: the place is its own."""
        self.kept: set[int] = set()
        """Ports that stay its own when another has its place: those in use then, and a few more."""
        self.passed_on: set[int] = set()
        """Ports of these that go to the other with the end of the leg that has them."""
        self.began = time.monotonic()
        self.capacity = 0
        """Most legs."""
        self.reserved = 0
        """Legs that it carries, or keeps room for; counted by the plane."""
        self.pairs = settings["pairs"]
        """Pairs of ports that are its own."""
        self._rest = settings["port_rest"]
        self._resting: deque[float] = deque()
        self.load = 0.0
        """Share of a core that it uses, over the last seconds."""
        self.late = 0.0
        """By how many seconds nine of ten ticks of the last second were late at most."""
        self.worst_late = 0.0
        """By how many seconds the worst one was, or the worst frame of a prompt."""
        self.memory = 0
        """Octets in memory."""
        self.board = Board(settings["pairs"])
        """What its legs have counted."""
        self._rows = deque(range(settings["pairs"]))
        self._fresh = 0.0
        self._lates: deque[float] = deque(maxlen=_LATE_REPORTS)
        self.imports = 0.0
        """Seconds that its imports took."""
        self.lost: Once[str] = Once()
        self._settings = settings
        self._on_event = on_event
        self._new_recorder = new_recorder
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self._sender: control.Sender | None = None
        self._frames = control.Frames()
        self._ready: Once[None] = Once()
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._unheard = 0

    def __repr__(self) -> str:
        state = "lost" if self.lost.done else f"{self.load:.0%} of a core"
        return f"<media worker {self.index} pid {self.pid} {state}>"

    def successor(self, *, died: bool = True) -> WorkerProcess:
        """Another one with the same share of the ports, not yet started; ``died``: because this one did."""
        successor = WorkerProcess(self.index, {**self._settings}, self._on_event, self._new_recorder)
        successor.restarts = self.restarts + died
        return successor

    def give_back(self, leg: int) -> None:
        """Release a leg, whose ports rest from now on."""
        self.send([control.RELEASE, leg])
        self._resting.append(time.monotonic())

    def gain(self, ports: list[int]) -> None:
        """These are its own from now on, after their rest: another worker has had them."""
        self.send([control.PORTS, 0, [], ports])
        self._resting.extend([time.monotonic()] * len(ports))

    @property
    def free_pairs(self) -> int:
        """Pairs that are neither reserved nor at rest: who lets a call in must know that its second leg finds ports."""
        rested = time.monotonic() - self._rest
        while self._resting and self._resting[0] <= rested:
            self._resting.popleft()
        return self.pairs - self.reserved - len(self._resting)

    def take_row(self) -> int:
        """A row of the board for another leg; -1: there is none."""
        self._fresh += 1
        return self._rows.popleft() if self._rows else -1

    def give_row(self, row: int) -> None:
        """The row is nobody's any more."""
        if row >= 0:
            self._rows.append(row)

    @property
    def expected_load(self) -> float:
        """The share of a core that it uses, or will with the legs that were let in of late."""
        return self.load + self._fresh * _LOAD_OF_A_LEG

    @property
    def lateness(self) -> float:
        """The lateness (seconds) that it has had for some seconds now, at least."""
        return min(self._lates) if len(self._lates) == _LATE_REPORTS else 0.0

    @property
    def pid(self) -> int:
        """The process id; 0 before it runs."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether it takes commands."""
        return self._ready.done and not self.lost.done

    async def start(self) -> None:
        """Start the process and wait until it is ready. Raises MediaError; then nothing of it is left."""
        ours, theirs = socket.socketpair()
        self._settings["control"], self._settings["board"] = theirs.fileno(), self.board.file
        self.recorder = self._new_recorder(self.index)
        self._settings["recorder"] = self.recorder.theirs.fileno()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "callcenter.media.embedded.worker",
                    json.dumps(self._settings),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), self.board.file, self.recorder.theirs.fileno()),
                    start_new_session=True,  # the terminal's signals are for the switch
                    env={**os.environ, "PYTHONPATH": _python_path()},
                )
        except OSError as error:
            ours.close()
            self.recorder.hang_up()
            raise MediaError(f"media worker {self.index} cannot be started: {error}") from error
        finally:
            self.board.close_file()
        self.recorder.worker_started()
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
            async with asyncio.timeout(_START_WITHIN):
                await asyncio.wait((self._ready.future, self.lost.future), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise MediaError(f"media worker {self.index} was not ready within {_START_WITHIN:.0f} s") from error
        finally:
            if not self.alive:
                await self.end()
        if self.lost.done:
            if self._process.returncode == OTHER_VERSION:
                raise MediaError(f"media worker {self.index} is of another version than the switch: restart the switch")
            raise MediaError(f"media worker {self.index} ended while it started, {self.exit_status()}")

    def send(self, message: control.Message) -> None:
        """Command it. Does nothing when it is gone."""
        if self._sender is not None:
            self._sender.send(message)
            if message[0] == control.REMOTE:
                # What SIP tells the peer in this turn may bring its sound before the turn is over.
                self._sender.flush()

    async def ask(self, op: str, *arguments: object, undo: Callable[[Any], None] | None = None) -> Any:
        """Command it and wait for the answer. ``undo`` takes the result when the waiter is cancelled meanwhile.

        Raises NoCapacity, MediaError, MediaGone.
        """
        if not self.alive:
            raise MediaGone(f"media worker {self.index} is gone")
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self.send([op, number, *arguments])
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(lambda done: _undo(done, undo))
            raise

    def check(self) -> None:
        """Once a second: kill it when it does not say anything any more."""
        self._unheard += 1
        if self._unheard > _SILENT_CHECKS:
            self.kill()

    def kill(self) -> None:
        """End it by force; ``lost`` follows."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """Let it say goodbye to its peers, and wait until the process is gone; by force when it takes too long."""
        self.send([control.QUIT, 0])
        if self._process is not None:
            try:
                async with asyncio.timeout(_END_WITHIN):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
        if self._transport is not None:
            self._transport.close()
        if self.recorder is not None:
            self.recorder.hang_up()

    def exit_status(self) -> str:
        """How the process ended, in words."""
        status = self._process.returncode if self._process is not None else None
        if status is None:
            return "still running"
        return f"by signal {-status}" if status < 0 else f"with status {status}"

    # The control connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket pair is ours."""
        self._transport = cast("asyncio.Transport", transport)
        self._sender = control.Sender(self._transport, asyncio.get_running_loop())

    def data_received(self, data: bytes) -> None:
        """Answers and events."""
        self._unheard = 0
        for message in self._frames.feed(data):
            op, number, *rest = message
            if op == control.OK or op == control.FAILED:
                answer = self._asked.pop(number, None)
                if answer is not None and not answer.done():
                    _settle(answer, op, rest)
            elif op == control.LOAD:
                self.load += (number - self.load) / 2
                self.late, self.worst_late, self.memory = rest
                self._lates.append(self.late)
                self._fresh /= 2
            elif op == control.READY:
                self.capacity, self.imports = number, rest[0]
                self._ready.resolve(None)
            else:
                self._on_event(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended, or closes its end because it does."""
        reason = f"media worker {self.index} (pid {self.pid}) died"
        asked, self._asked = self._asked, {}
        self.lost.resolve(reason)
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(MediaGone(reason))


def _settle(answer: asyncio.Future[Any], op: str, rest: list[Any]) -> None:
    if op == control.OK:
        answer.set_result(rest[0])
    elif rest[0] == control.CAPACITY:
        answer.set_exception(NoCapacity(rest[1]))
    else:
        answer.set_exception(MediaError(rest[1]))


def _undo(answer: asyncio.Future[Any], undo: Callable[[Any], None] | None) -> None:
    if answer.exception() is None and undo is not None:
        undo(answer.result())


def _python_path() -> str:
    """The worker must find this package, installed or not, whatever the working directory is."""
    here = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
