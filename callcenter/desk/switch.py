"""Switch: the running switch as the desk sees it, over the control socket: commands to it, facts from it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from callcenter.control.protocol import EVENTS, CommandError, Reason, line
from callcenter.control.sockets import connect
from callcenter.model.access import Actor
from callcenter.model.facts import BODIES, Fact, body_from_dict
from callcenter.runtime.encoding import from_json

# Connections kept for commands: each does one at a time. The switch takes 64 of all its clients.
CONNECTIONS = 16
# A line of the switch: a status of a large floor is some megabytes.
LONGEST_LINE = 64 * 1024 * 1024
CONNECT_PATIENCE = 2.0
FIRST_RETRY = 0.1
LAST_RETRY = 2.0


class SwitchAway(Exception):
    """The switch does not answer; one line."""


class Switch:
    """Asks the switch behind the control socket at ``path``; connects when it is first needed, and again when lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def ask(
        self, do: str, actor: Actor | None, *, id: str | None = None, timeout: float = 10.0, **fields: Any
    ) -> dict[str, Any]:
        """Have one command done for ``actor`` (None: for the desk itself); what came of it.

        ``id``: the same again, also over a lost connection, is done once. ``timeout`` is seconds. Raises CommandError
        when it was refused, SwitchAway when nobody answers in time: then it may or may not be done.
        """
        behalf = {} if actor is None else {"as": actor.plain()}
        request = line({"id": id or secrets.token_hex(8), "do": do, **behalf, **fields})
        try:
            async with asyncio.timeout(timeout), self._room:
                return await self._ask(request)
        except TimeoutError:
            raise SwitchAway(f"the switch did not answer within {timeout:g} s") from None

    async def facts(self, after: int | None = None, kinds: Collection[str] | None = None) -> AsyncIterator[Fact]:
        """The facts behind number ``after``, in order, as they come (None: from now on), without a gap or a double.

        While the switch is away this waits. ``kinds``: those alone; the others cost next to nothing. Kinds that this
        program does not know are left out. Raises CommandError when the switch has no such fact.
        """
        retry = FIRST_RETRY
        while True:
            try:
                connection = await self._connected()
            except SwitchAway:
                await asyncio.sleep(retry)
                retry = min(2 * retry, LAST_RETRY)
                continue
            try:
                begun = await connection.ask(
                    line({"id": "1", "do": EVENTS, **({} if after is None else {"after": after})})
                )
                after, retry = int(begun["after"]), FIRST_RETRY
                while True:
                    text = await connection.read()
                    head = _told(text)
                    after = head.seq
                    if head.kind in BODIES and (kinds is None or head.kind in kinds):
                        yield _fact(from_json(text)["fact"])
            except (EOFError, OSError):
                pass  # It has ended, or cut us because we read too slowly: on from where we were.
            finally:
                connection.close()

    def close(self) -> None:
        """Hang up. May be called twice; asking again connects again."""
        while self._idle:
            self._idle.pop().close()

    def __repr__(self) -> str:
        return f"<Switch {self.path}>"

    async def _ask(self, request: bytes) -> dict[str, Any]:
        while True:
            fresh = not self._idle
            connection = await self._connected() if fresh else self._idle.pop()
            try:
                answer = await connection.ask(request)
            except (EOFError, OSError):
                connection.close()
                # One that was kept may have died with the last switch: a new one is told the same, under the same id.
                if fresh:
                    raise SwitchAway("the switch has ended") from None
            except CommandError:
                self._idle.append(connection)
                raise
            except BaseException:
                connection.close()  # its answer would be taken for the next one's
                raise
            else:
                self._idle.append(connection)
                return answer

    async def _connected(self) -> _Connection:
        try:
            # On this machine that is done at once, or refused.
            made = connect(self.path, CONNECT_PATIENCE)
            made.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=made, limit=LONGEST_LINE)
        except OSError as error:
            raise SwitchAway(f"no switch runs on {self.path.parent}: {error.strerror or error}") from None
        return _Connection(reader, writer)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> dict[str, Any]:
        """The result of one command. Raises CommandError; EOFError and OSError when the connection is lost."""
        self._writer.write(request)
        await self._writer.drain()
        answer = from_json(await self.read())
        if answer.pop("ok"):
            result: dict[str, Any] = answer["result"]
            return result
        raise _refusal(answer)

    async def read(self) -> bytes:
        """The next line. Raises EOFError, OSError."""
        text = await self._reader.readline()
        if not text.endswith(b"\n"):
            raise EOFError
        return text

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._writer.close()


def _refusal(answer: dict[str, Any]) -> CommandError:
    sentence, field = str(answer.pop("error", "refused")), answer.pop("field", None)
    try:
        reason = Reason(answer.pop("reason", ""))
    except ValueError:  # a newer switch knows more of them
        reason = Reason.INVALID
    answer.pop("id", None)
    return CommandError(sentence, reason, field=field, **answer)


class _Head(msgspec.Struct):
    seq: int
    kind: str


class _Told(msgspec.Struct):
    fact: _Head | None = None


_heads = msgspec.json.Decoder(_Told)


def _told(text: bytes) -> _Head:
    """What is needed of every fact. Raises EOFError when the switch sends us away."""
    head = _heads.decode(text).fact
    if head is None:
        raise EOFError
    return head


def _fact(values: dict[str, Any]) -> Fact:
    at = datetime.fromisoformat(values["at"])
    body = body_from_dict(values["kind"], values["body"])
    return Fact(values["seq"], at, values["boot"], values["ms"], values["call_id"], body)
