"""Unix sockets by their path, however long it is, and who is at the other end."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

# What the system keeps of a socket's address (unix(7)), the zero at its end not counted.
LONGEST = 107
BACKLOG = 32


class SocketError(Exception):
    """The socket cannot be listened on; one line for an operator."""


class Listening:
    """A socket that listens on ``path`` (mode 0600), and takes its file away when it is closed."""

    def __init__(self, path: Path) -> None:
        """Take the place of a socket whose switch is dead. Raises SocketError, also when a living one answers there."""
        self.path = path
        try:
            self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SocketError(f"the folder of the control socket {path} cannot be used: {error.strerror}") from error
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            _make_way(path)
            self.socket.bind(_short(path, self._folder))
            os.chmod(path.name, 0o600, dir_fd=self._folder)
            self._file = self._identity()
            # Only from here on can anybody connect.
            self.socket.listen(BACKLOG)
        except OSError as error:
            self.socket.close()
            os.close(self._folder)
            raise SocketError(f"the control socket {path} cannot be made: {error.strerror or error}") from error
        except SocketError:
            self.socket.close()
            os.close(self._folder)
            raise

    def close(self) -> None:
        """Take the file away, if it is still ours. Who was given the socket closes it. May be called twice."""
        if self._folder < 0:
            return
        with contextlib.suppress(OSError):
            if self._identity() == self._file:
                os.unlink(self.path.name, dir_fd=self._folder)
        os.close(self._folder)
        self._folder = -1

    def _identity(self) -> tuple[int, int, int]:
        """Which file stands there. Its number alone may be that of one which was taken away."""
        found = os.stat(self.path.name, dir_fd=self._folder)
        return found.st_dev, found.st_ino, found.st_ctime_ns


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """Connect to the socket at ``path``. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _reachable(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def peer(connection: socket.socket) -> tuple[int, str]:
    """The process at the other end of a Unix socket, and the name of its user."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        return pid, pwd.getpwuid(uid).pw_name
    except KeyError:
        return pid, f"user {uid}"


def _make_way(path: Path) -> None:
    """Take away what a dead switch left. Raises SocketError when somebody answers, or when it is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketError(f"{path} is in the way: it is no socket; move it away")
        with connect(path) as living:
            pid, _ = peer(living)
        raise SocketError(f"another switch (process {pid}) runs on {path.parent}: it answers on {path.name}")
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _short(path, folder)
    finally:
        os.close(folder)


def _short(path: Path, folder: int) -> str:
    """``path`` as an address: where it is too long for one, by way of its opened folder."""
    if len(os.fsencode(path)) <= LONGEST:
        return str(path)
    short = f"/proc/self/fd/{folder}/{path.name}"
    if len(os.fsencode(short)) > LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return short
