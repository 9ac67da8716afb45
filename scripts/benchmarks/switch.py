"""The switch under measurement: a program on its own core, from start to stop."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import BenchError, Run

READY_WITHIN = 60.0
STOP_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that takes calls."""

    pid: int
    host: str
    port: int
    started_in: float  # seconds from the start of the process to its ready line
    log: Path


@contextlib.contextmanager
def running(run: Run, floor: Floor, *options: str) -> Iterator[Switch]:
    """``callcenter run`` on ``floor`` while the block lasts. Raises BenchError when it does not start."""
    command = [sys.executable, "-m", "callcenter", "run", "--log", "json"]
    command += ["--set", "desk.enabled=false", *options]
    command += ["--config", str(floor.config), "--data", str(floor.data)]
    with started(run, command) as switch:
        yield switch


@contextlib.contextmanager
def started(run: Run, command: Sequence[str]) -> Iterator[Switch]:
    """A program that tells where it takes calls as the switch does, while the block lasts."""
    log = run.folder / "switch.log"
    with log.open("ab") as errors:
        began = time.monotonic()
        process = run.start_on_switch_core(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        address = _ready(process, began + READY_WITHIN)
        if address is None:
            raise BenchError(f"the switch did not start: {_tail(log)}")
        yield Switch(process.pid, *address, time.monotonic() - began, log)
        if process.poll() is not None:
            raise BenchError(f"the switch ended with {process.returncode}: {_tail(log)}")
    finally:
        # The first word lets calls go on for a while, the second ends them.
        for patience in (0.3, STOP_WITHIN):
            process.terminate()
            try:
                process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            process.kill()
            process.communicate()


def _ready(process: subprocess.Popen[bytes], until: float) -> tuple[str, int] | None:
    assert process.stdout is not None
    said = b""
    handle = process.stdout.fileno()
    while (left := until - time.monotonic()) > 0 and select.select([handle], [], [], left)[0]:
        piece = os.read(handle, 65536)
        said += piece
        found = re.search(rb"^ready: SIP udp (\S+?):(\d+)", said, re.MULTILINE)
        if found is not None:
            return found[1].decode(), int(found[2])
        if not piece:
            break
    return None


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:].strip() or "it said nothing"
