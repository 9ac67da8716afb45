"""The desk as a child of the switch: started, started again, and never in the way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from callcenter.operate import desk_process
from callcenter.operate.desk_process import DeskProcess

# What the desk does as far as the switch sees it: it says that it serves, and ends with its standard input.
SERVES = "import sys, time; print('{\"ready\": true}', flush=True); sys.stdin.read()"
FAILS = 'print(\'{"error": "its configuration has mistakes"}\', flush=True); raise SystemExit(1)'
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('{\"ready\": true}', flush=True); signal.pause()"
)


@pytest.fixture
async def started(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[str], DeskProcess]]:
    """Starts a desk that does what the code says; it is closed after the test."""
    monkeypatch.setattr(desk_process, "FIRST_RETRY", 0.01)
    made: list[DeskProcess] = []

    def start(code: str, port: int = 0) -> DeskProcess:
        desk = DeskProcess([sys.executable, "-I", "-S", "-c", code], "127.0.0.1", port)
        made.append(desk)
        desk.start()
        return desk

    yield start
    for desk in made:
        await desk.close()
        assert desk.pid is None


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)


async def test_one_that_dies_is_started_again_on_the_same_socket(started: Callable[[str], DeskProcess]) -> None:
    desk = started(SERVES)
    port = desk.port
    assert port > 0
    await until(lambda: desk.running)
    first = desk.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: desk.running and desk.pid != first)
    assert (desk.port, desk.starts, desk.detail) == (port, 2, "")


async def test_who_asks_while_it_is_away_is_not_refused(started: Callable[[str], DeskProcess]) -> None:
    desk = started(FAILS)
    await until(lambda: desk.starts > 1)
    with socket.create_connection(("127.0.0.1", desk.port), 5):
        pass


async def test_one_that_cannot_start_says_why_once_and_is_tried_less_and_less_often(
    started: Callable[[str], DeskProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    wait_for = asyncio.wait_for

    async def noted(what: Any, pause: float) -> object:
        pauses.append(pause)
        return await wait_for(what, pause)

    monkeypatch.setattr(asyncio, "wait_for", noted)
    with structlog.testing.capture_logs() as log:
        desk = started(FAILS)
        await until(lambda: desk.starts == 4)
    assert pauses[:3] == [0.01, 0.02, 0.04]
    assert not desk.running
    assert desk.detail == "it ended with status 1: its configuration has mistakes"
    assert [line["detail"] for line in log if line["log_level"] == "error"] == [desk.detail]


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    desk = DeskProcess([str(tmp_path / "nothing")], "127.0.0.1", 0)
    desk.start()
    await until(lambda: "cannot be started" in desk.detail)
    await desk.close()


async def test_one_that_does_not_listen_to_the_end_is_ended(
    started: Callable[[str], DeskProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_process, "STOPPED_WITHIN", 0.05)
    desk = started(DEAF)
    await until(lambda: desk.running)
    pid = desk.pid
    await desk.close()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
