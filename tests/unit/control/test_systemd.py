"""What the service manager is told, over the kinds of sockets that it has."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from callcenter.control.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end, and its address as it stands in the environment."""
    name = f"@callcenter-test-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name[1:] if name.startswith("@") else name)
        end.settimeout(5)
        yield end, name


def test_it_is_told_and_our_children_are_not_to_speak_in_our_name(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/bin"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"PATH": "/bin"}
    assert notifier.watchdog == 30.0
    notifier.tell(READY=1, STATUS="1 call")
    assert end.recv(100) == b"READY=1\nSTATUS=1 call"
    notifier.close()
    notifier.tell(WATCHDOG=1)
    notifier.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_where_nobody_listens_nothing_is_said(environment: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environment)
    assert notifier.watchdog is None
    notifier.tell(READY=1)


def test_a_manager_that_is_gone_costs_one_line_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    notifier.tell(READY=1)
    notifier.tell(WATCHDOG=1)
    assert capsys.readouterr().out.count("the service manager is not reached") == 1
    notifier.close()
