"""ControlClient: a running switch as other programs see it; synchronous, for the command line."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

from callcenter.control import sockets
from callcenter.control.protocol import EVENTS, line


class ControlError(Exception):
    """What was asked is not done: one line that says why. ``details`` is what else the switch said of it."""

    def __init__(self, sentence: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.details = details or {}


class NoSwitch(ControlError):
    """Nobody answers."""


class ControlClient:
    """Asks the switch behind the socket at ``path``; connects when it is first needed, and again when it was lost."""

    def __init__(self, path: Path, *, timeout: float | None = 10.0) -> None:
        self.path = path
        self.timeout = timeout
        self._lines: _Lines | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, do: str, *, timeout: float | None = None, **fields: Any) -> dict[str, Any]:
        """Have one command done; what came of it. ``timeout`` in place of the client's, for what takes its time.

        Raises ControlError when it was refused, NoSwitch when nobody answers. A connection that is lost in the middle
        is made anew once, and asked the same: the switch does a command once for each id.
        """
        request = line({"id": secrets.token_hex(8), "do": do, **fields})
        try:
            answer = self._exchange(request, timeout)
        except (EOFError, ConnectionError):
            self.close()
            try:
                answer = self._exchange(request, timeout)
            except (EOFError, ConnectionError):
                self.close()
                raise NoSwitch("the switch has ended") from None
        return _result(answer)

    def events(self, after: int | None = None) -> Generator[dict[str, Any], None, None]:
        """The facts behind number ``after``, in order, as they come (None: from now on); ends with the switch.

        Raises ControlError when we read too slowly and were cut: ask again after the last one that came.
        """
        lines = self._connected(None)
        try:
            lines.send(line({"id": "1", "do": EVENTS, **({} if after is None else {"after": after})}))
            _result(lines.next())
            while True:
                message = lines.next()
                if "fact" not in message:
                    _result(message)
                yield message["fact"]
        except (EOFError, ConnectionError):
            return
        finally:
            lines.close()

    def close(self) -> None:
        """Hang up. May be called twice; asking again connects again."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def __repr__(self) -> str:
        return f"<ControlClient {self.path}>"

    def _exchange(self, request: bytes, timeout: float | None) -> dict[str, Any]:
        if self._lines is None:
            self._lines = self._connected(self.timeout)
        limit = self.timeout if timeout is None else timeout
        self._lines.connection.settimeout(limit)
        try:
            self._lines.send(request)
            return self._lines.next()
        except ValueError:
            self.close()
            raise ControlError(f"what answers on {self.path} is no callcenter") from None
        except TimeoutError:
            self.close()
            raise ControlError(f"the switch did not answer within {limit:g} s") from None

    def _connected(self, timeout: float | None) -> _Lines:
        try:
            return _Lines(sockets.connect(self.path, timeout))
        except FileNotFoundError:
            raise NoSwitch(f"no switch runs on {self.path.parent}") from None
        except (ConnectionRefusedError, NotADirectoryError):
            raise NoSwitch(f"no switch runs on {self.path.parent} any more") from None
        except OSError as error:
            raise NoSwitch(f"the switch on {self.path.parent} cannot be reached: {error.strerror or error}") from None


class _Lines:
    """One connection, line by line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def next(self) -> dict[str, Any]:
        """The next message. Raises EOFError, ConnectionError, TimeoutError; ValueError when it is none of ours."""
        text = self._file.readline()
        if not text.endswith(b"\n"):
            raise EOFError
        found: Any = json.loads(text)
        if not isinstance(found, dict) or not {"result", "error", "fact"} & found.keys():
            raise ValueError(found)
        message: dict[str, Any] = found
        return message

    def close(self) -> None:
        self._file.close()
        self.connection.close()


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.get("ok"):
        raise ControlError(str(answer.pop("error", "refused")), answer)
    result: dict[str, Any] = answer["result"]
    return result
