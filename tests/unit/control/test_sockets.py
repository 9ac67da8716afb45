"""The socket's file: private, as long a path as one likes, and one switch behind it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from callcenter.control.sockets import LONGEST, Listening, SocketError, connect, peer


def path_in(folder: Path, *, long: bool = False) -> Path:
    if long:
        folder = folder / ("a" * 100) / ("b" * 100)
        folder.mkdir(parents=True)
        assert len(str(folder)) > LONGEST
    return folder / "control.sock"


@pytest.mark.parametrize("long", [False, True])
def test_it_is_reached_however_long_its_path_is_by_its_owner_alone(tmp_path: Path, long: bool) -> None:
    path = path_in(tmp_path, long=long)
    before = len(os.listdir("/proc/self/fd"))
    listening = Listening(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with connect(path, 5.0) as client:
        server, _ = listening.socket.accept()
        with server:
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"
            assert peer(server)[0] == os.getpid()
    listening.close()
    listening.close()
    listening.socket.close()
    assert not path.exists()
    assert len(os.listdir("/proc/self/fd")) == before, "no descriptor is left open"


@pytest.mark.parametrize("long", [False, True])
def test_the_socket_of_a_dead_switch_is_replaced(tmp_path: Path, long: bool) -> None:
    path = path_in(tmp_path, long=long)
    dead = Listening(path)
    dead.socket.close()  # killed: its file stays
    assert path.exists()
    living = Listening(path)
    dead.close()
    assert path.exists(), "what is another's is left alone"
    connect(path, 5.0).close()
    living.close()
    living.socket.close()


@pytest.mark.parametrize("long", [False, True])
def test_a_living_switch_is_named_and_left_alone(tmp_path: Path, long: bool) -> None:
    path = path_in(tmp_path, long=long)
    living = Listening(path)
    with pytest.raises(SocketError, match=rf"another switch \(process {os.getpid()}\) runs on "):
        Listening(path)
    connect(path, 5.0).close()
    living.close()
    living.socket.close()


def test_what_is_no_socket_is_not_taken_away(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    path.write_text("mine")
    with pytest.raises(SocketError, match="is in the way: it is no socket"):
        Listening(path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="cannot be used: No such file or directory"):
        Listening(tmp_path / "nowhere" / "control.sock")


def test_an_attempt_that_fails_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SocketError, match="cannot be made"):
        Listening(tmp_path / ("x" * 120))
    with pytest.raises(OSError, match="No such file"):
        connect(tmp_path / "control.sock")
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_name_of_a_user_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    one, other = socket.socketpair()
    with one, other:
        assert peer(one) == (os.getpid(), f"user {os.getuid()}")
