"""The synchronous client: what the command line says of a switch that is there, goes, or never was."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from callcenter.control.client import ControlClient, ControlError, NoSwitch
from callcenter.control.sockets import Listening
from tests.unit.control.support import open_desk


async def test_it_asks_and_follows_a_true_server(tmp_path: Path) -> None:
    def ask() -> list[int]:
        with ControlClient(tmp_path / "control.sock") as client:
            assert client.ask("do", agent="ana") == {"number": 1}
            assert client.ask("do") == {"number": 2}, "each question has an id of its own"
            with pytest.raises(ControlError, match="`dance` is no command"):
                client.ask("dance")
            events = client.events(after=0)
            return [next(events)["seq"] for _ in range(30)]

    async with open_desk(tmp_path, facts=30) as desk:
        assert await asyncio.to_thread(ask) == list(range(1, 31))
        assert dict(desk.asked[0].fields) == {"agent": "ana"}


async def test_the_events_end_with_the_switch(tmp_path: Path) -> None:
    async with open_desk(tmp_path, facts=3) as desk:
        following = asyncio.create_task(asyncio.to_thread(lambda: list(ControlClient(desk.path).events(0))))
        while " 1 clients" not in repr(desk.server):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await desk.server.close()
        assert [fact["seq"] for fact in await following] == [1, 2, 3]


def test_where_no_switch_runs_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSwitch, match=f"^no switch runs on {tmp_path}$"):
        ControlClient(tmp_path / "control.sock").ask("status")
    dead = Listening(tmp_path / "control.sock")
    dead.socket.close()
    with pytest.raises(NoSwitch, match=f"^no switch runs on {tmp_path} any more$"):
        ControlClient(tmp_path / "control.sock").ask("status")


def wait(gate: threading.Event) -> None:
    gate.wait(10)


Serve = Callable[[socket.socket, int], None]


@contextmanager
def server(path: Path, serve: Serve) -> Iterator[list[dict[str, Any]]]:
    """A server that treats each connection as ``serve`` says; what it was asked."""
    listening = Listening(path)
    listening.socket.setblocking(True)
    asked: list[dict[str, Any]] = []

    def run() -> None:
        for number in range(2):
            try:
                connection, _ = listening.socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                asked.append(json.loads(lines.readline()))
                serve(connection, number)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield asked
    finally:
        listening.socket.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.socket.close()
        listening.close()


def test_a_connection_that_is_lost_in_the_middle_is_asked_the_same_again(tmp_path: Path) -> None:
    def serve(connection: socket.socket, number: int) -> None:
        if number == 1:
            connection.sendall(b'{"id":"1","ok":true,"result":{"done":"once"}}\n')

    with server(tmp_path / "s", serve) as asked, ControlClient(tmp_path / "s") as client:
        assert client.ask("drain", seconds=5) == {"done": "once"}
        assert asked[0] == asked[1], "the same id, so that it is done once"
        assert asked[0]["seconds"] == 5


def test_a_switch_that_goes_away_twice_has_ended(tmp_path: Path) -> None:
    with (
        server(tmp_path / "s", lambda connection, number: None),
        pytest.raises(NoSwitch, match=r"^the switch has ended$"),
    ):
        ControlClient(tmp_path / "s").ask("status")


def test_a_switch_that_does_not_answer_is_not_waited_for_without_end(tmp_path: Path) -> None:
    gate = threading.Event()
    with server(tmp_path / "s", lambda connection, number: wait(gate)):
        with pytest.raises(ControlError, match=r"did not answer within 0\.05 s"):
            ControlClient(tmp_path / "s").ask("status", timeout=0.05)
        gate.set()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b"[]\n", b'{"ok":true}\n', b"\xff\n"])
def test_a_socket_of_another_program_is_told_in_one_line(tmp_path: Path, said: bytes) -> None:
    with (
        server(tmp_path / "s", lambda connection, number: connection.sendall(said)),
        ControlClient(tmp_path / "s") as client,
        pytest.raises(ControlError, match=r"^what answers on .*/s is no callcenter$"),
    ):
        client.ask("status")
