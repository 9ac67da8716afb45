"""Programs that a test starts: their output kept, ended by their own pid, never by name."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ENDS_WITHIN = 30.0  # s after SIGTERM; then SIGKILL
# Which of the workers of a run this is: none gives away the ports of another.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Neither those that the system gives to who asks for any, nor those of the sound of switches. Those beside them are for
# whoever takes them unasked: a phone listens for TLS one above its port.
_PORTS = range(9_000, 16_000, 4)
_given: set[int] = set()
# Where two runs on one machine begin is a matter of chance.
_next = itertools.count(os.getppid() * 211 + _WORKER * (len(_PORTS) // 2))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free a moment ago, for programs that cannot tell which one they took.

    None is given twice to one test run: who was given it may not have bound it yet.
    """
    for _ in _PORTS:
        port = _PORTS[next(_next) % len(_PORTS)]
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def free_range(count: int) -> tuple[int, int]:
    """The first and the last of ``count`` UDP ports side by side that were free a moment ago, from an even one on.

    None is given twice to one test run: who was given them may not have bound them yet.
    """
    half = 10_000 * (_WORKER % 2)
    for low in range(40_000 + half, 50_000 + half, 100):
        if low in _given:
            continue
        try:
            with contextlib.ExitStack() as stack:
                for port in range(low, low + count):
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
        except OSError:
            continue
        _given.update(range(low, low + count, 100))
        return low, low + count - 1
    raise AssertionError(f"no {count} free ports side by side")


async def start(
    command: Sequence[str],
    *,
    folder: Path,
    stdout: int | IO[bytes] = PIPE,
    stderr: int | IO[bytes] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Starts a program; without ``stdin`` it reads nothing, without ``stderr`` that goes to ``folder/stderr.log``."""
    # Tests in the background of a script ignore Ctrl-C, and so would all that they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if stderr is not None:
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr, env=environment
        )
    with (folder / "stderr.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=stdin, stdout=stdout, stderr=log, env=environment
        )


async def end(process: Process, how: signal.Signals = signal.SIGTERM) -> int:
    """Ends a process that we started and returns its status."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            # Not by its own method, which looks whether it has ended, and takes the status from who waits for it (255).
            os.kill(process.pid, how)
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            return await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()
