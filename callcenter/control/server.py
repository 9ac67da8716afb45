"""ControlServer: answers commands over a Unix socket, and tells the facts as they come, from any number on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from callcenter.control.protocol import (
    EVENTS,
    MAX_LINE,
    Asked,
    CommandError,
    Reason,
    answer_line,
    done,
    line,
    read,
    refused,
    told,
)
from callcenter.control.skeleton import skeleton
from callcenter.control.sockets import Listening, peer
from callcenter.model.access import Scope
from callcenter.model.facts import Fact
from callcenter.runtime.scopes import Background

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps clients from costing calls anything. Times are seconds."""

    clients: int = 64
    """Connections at once."""
    at_work: int = 32
    """Commands that run at once."""
    remembered: int = 1_000
    """Answers that are kept for who asks with the same id again."""
    page: int = 100
    """Facts taken from the log, and into the memory, at once."""
    buffer: int = 256 * 1024
    """Bytes that wait for a client before nothing more is read for it."""
    patience: float = 10.0
    """How long a client may leave what waits for it unread; then it is cut."""
    farewell: float = 5.0
    """How long a client that was cut may take to read the word that says so."""
    last_facts: float = 1.0
    """How long the last facts may take to be told when the switch goes down."""


class Log(Protocol):
    """The log of facts as it is followed here."""

    @property
    def last_seq(self) -> int:
        """The last committed fact."""
        ...

    async def read(self, after: int, limit: int) -> list[Fact]:
        """The next committed facts."""
        ...

    async def beyond(self, seq: int) -> int:
        """Until a fact after ``seq`` is committed; returns the last one."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """What a command does. ``changes``: it is done once for each id; else asking again looks again.

    ``scope`` is what somebody must hold for whom a program asks; None: only who works on this machine asks for it.
    ``secret``: its answer is kept nowhere.
    """

    run: Callable[[Asked], Awaitable[Mapping[str, Any]]]
    changes: bool = True
    scope: Scope | None = None
    secret: bool = False

    @property
    def forgets(self) -> bool:
        """Whether somebody is erased by it, and with them what is kept of answers: their name may stand in one."""
        return self.scope is Scope.CUSTOMERS_ERASE

    def has_forgotten(self, asked: Asked) -> bool:
        """Whether that was so, and not only told what would be: who asks the same again is answered the same then."""
        return self.forgets and asked.fields.get("dry") is not True

    def check(self, asked: Asked) -> None:
        """Raises CommandError when this is not for whoever asks."""
        if asked.behalf is None:
            return
        if self.scope is None:
            raise CommandError(f"{asked.do} is for who works on the switch's own machine", Reason.FORBIDDEN)
        if not asked.behalf.may(self.scope):
            raise CommandError(f"{asked.do} takes the scope {self.scope}, which you do not hold", Reason.FORBIDDEN)


class Books(Protocol):
    """Who keeps books of commands that change something."""

    async def before(self, asked: Asked) -> Mapping[str, Any] | None:
        """The result of the same, asked before this switch was started; None: it is new. Raises CommandError for
        another command under the same id.
        """
        ...

    def done(self, asked: Asked, command: Command, result: Mapping[str, Any]) -> None:
        """It was done. Never waits."""
        ...

    def refused(self, asked: Asked, reason: Reason) -> None:
        """It was not done. Never waits."""
        ...


class _Cut(Exception):
    """A client is sent away; the text says why."""


@dataclass(eq=False, slots=True)
class _Client:
    """One connection."""

    writer: asyncio.StreamWriter
    pid: int
    user: str
    task: asyncio.Task[Any]
    position: int = 0
    streams: Background = field(default_factory=lambda: Background(limit=1))
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    def __str__(self) -> str:
        return f"<control client {self.user} process {self.pid}{' follows events' if self.streams else ''}>"


class ControlServer:
    """One socket for all commands. A command that raises CommandError was not done, and its text says why."""

    def __init__(self, path: Path, commands: Mapping[str, Command], facts: Log, limits: Limits | None = None) -> None:
        assert EVENTS not in commands, "events are told here"
        self.path = path
        self._commands = commands
        self._log = facts
        self._limits = limits or Limits()
        self._listening: Listening | None = None
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._work = Background(limit=self._limits.at_work)
        # What was asked, and the answer; of those that were forgotten the name of the command alone.
        self._answers: dict[tuple[str, str], tuple[Asked | str, asyncio.Future[dict[str, Any]]]] = {}
        self.books: Books | None = None

    async def open(self) -> None:
        """Listen. Raises SocketError."""
        self._listening = Listening(self.path)
        self._server = await asyncio.start_unix_server(self._serve, sock=self._listening.socket, limit=MAX_LINE)

    async def close(self) -> None:
        """Tell who follows the last facts, and hang up. May be called twice."""
        if self._server is None or self._listening is None:
            return
        server, self._server = self._server, None
        server.close()
        self._listening.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.last_facts):
                for client in list(self._clients):
                    while client.streams and client.position < self._log.last_seq:
                        client.progress.clear()
                        await client.progress.wait()
        # What was under way is answered: that the switch goes down.
        self._work.cancel()
        await asyncio.sleep(0)
        clients = list(self._clients)
        for client in clients:
            client.streams.cancel()
            client.writer.close()
        # Their tasks end by themselves: cancelled, the streams of Python 3.11 would complain.
        if clients:
            _, slow = await asyncio.wait([client.task for client in clients], timeout=self._limits.last_facts)
            for client in clients:
                if client.task in slow:
                    client.writer.transport.abort()

    def __repr__(self) -> str:
        return f"<ControlServer {self.path} {len(self._clients)} clients>"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid, user = peer(writer.get_extra_info("socket"))
        task = asyncio.current_task()
        assert task is not None
        client = _Client(writer, pid, user, task)
        writer.transport.set_write_buffer_limits(high=self._limits.buffer)
        full = len(self._clients) >= self._limits.clients
        self._clients.add(client)
        try:
            if full:
                raise _Cut(f"{self._limits.clients} clients are connected, and no more are taken: end one of them")
            while (asked := await self._read(reader)) is not None:
                await self._take(asked, client)
        except _Cut as cut:
            self._send_away(client, str(cut))
        except ConnectionError:
            pass  # Gone, without a word.
        finally:
            client.streams.cancel()
            self._clients.discard(client)
            if not writer.is_closing():
                writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes | None:
        """The next line; None at the end."""
        try:
            return await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            return end.partial or None
        except asyncio.LimitOverrunError:
            raise _Cut(f"a line is longer than {MAX_LINE // 1024} kB: no command needs that") from None

    async def _take(self, text: bytes, client: _Client) -> None:
        """Answer one line."""
        asked = None
        try:
            asked = read(text, client.user)
            if asked.do == EVENTS:
                await self._begin_to_tell(asked, client)
                return
            answer = await self._answer(asked)
        except CommandError as error:
            answer = refused(asked.id if asked is not None else None, error)
        await self._write(client, answer_line(answer))

    # Commands

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """What a command is answered that came another way than by the socket: each once for its id, as here."""
        try:
            return await self._answer(asked)
        except CommandError as error:
            return refused(asked.id, error)

    async def _answer(self, asked: Asked) -> dict[str, Any]:
        """What a command is answered. Raises CommandError when it was not begun."""
        command = self._commands.get(asked.do)
        if command is None:
            known = ", ".join(sorted([*self._commands, EVENTS]))
            raise CommandError(f"`{asked.do}` is no command; there are: {known}")
        try:
            command.check(asked)
        except CommandError as error:
            if command.changes and self.books is not None:
                self.books.refused(asked, error.reason)
            raise
        if not command.changes or asked.id is None:
            return await asyncio.shield(self._begin(asked, command))
        before = self._answers.get((asked.by, asked.id))
        if before is not None and before[0] != (asked if isinstance(before[0], Asked) else asked.do):
            raise CommandError(
                f"the id `{asked.id}` was used for another command: take a new one for each",
                Reason.CONFLICT,
                field="id",
            )
        if before is None or _was_away(before[1]):
            self._answers.pop((asked.by, asked.id), None)
            before = self._answers[asked.by, asked.id] = asked, self._begin(asked, command)
            self._forget_old()
        return await asyncio.shield(before[1])

    def _begin(self, asked: Asked, command: Command) -> asyncio.Future[dict[str, Any]]:
        """Run a command beside its connection: what was begun is done, also when the client goes away meanwhile."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        books = self.books if command.changes else None
        if not self._work.start(_run(asked, command, answer, books), name=str(asked)):
            raise CommandError("too many commands are at work: ask again in a moment", Reason.TOO_MANY)
        if command.has_forgotten(asked):
            answer.add_done_callback(lambda _: self._forget_all())
        return answer

    def _forget_all(self) -> None:
        """Of each answer there is left that it was done: who asks again must not have it done once more."""
        for key, (asked, answer) in list(self._answers.items()):
            if not answer.done() or isinstance(asked, str):
                continue
            told = answer.result()
            if not told["ok"] or self._commands[asked.do].forgets:
                del self._answers[key]  # nothing was done, or it says anew what there is left to be erased
                continue
            rest = asyncio.get_running_loop().create_future()
            rest.set_result(done(asked.id, skeleton(told["result"])))
            self._answers[key] = asked.do, rest

    def _forget_old(self) -> None:
        spare = len(self._answers) - self._limits.remembered
        finished = (key for key, (_, answer) in self._answers.items() if answer.done())
        for key in list(itertools.islice(finished, max(0, spare))):
            del self._answers[key]

    # Events

    async def _begin_to_tell(self, asked: Asked, client: _Client) -> None:
        asked.only("after")
        after, last = asked.fields.get("after"), self._log.last_seq
        if after is None:
            after = last
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise CommandError("`after` is the number of the last fact that you have: 0 for all; none: from now on")
        if after > last:
            raise CommandError(
                f"fact {after} is not written yet, the last one is {last}: does it belong to this switch?"
            )
        if client.streams:
            raise CommandError("this connection follows the events already: open another one")
        client.position = after
        await self._write(client, line(done(asked.id, {"after": after})))
        client.streams.start(self._tell(client), name=f"events for {client.user}")

    async def _tell(self, client: _Client) -> None:
        """All facts from the client's position on, as fast as it reads and never faster."""
        try:
            while True:
                last = await self._log.beyond(client.position)
                facts = await self._log.read(client.position, self._limits.page)
                for fact in facts:
                    await self._write(client, line(told(fact)))
                    client.position = fact.seq
                if not facts:  # Kinds that this program does not know.
                    client.position = last
                client.progress.set()
        except _Cut as cut:
            self._send_away(client, str(cut))
        except ConnectionError:
            client.writer.close()
        except Exception as error:  # noqa: BLE001 - the log is another layer's: whatever it raises, the client is told
            self._send_away(client, f"the log cannot be read: {error}; ask again after {client.position}")

    # Bytes

    async def _write(self, client: _Client, data: bytes | bytearray) -> None:
        """Write, and wait until there is room again. Raises _Cut when the client does not read, ConnectionError."""
        async with client.writing:
            client.writer.write(data)
            try:
                async with asyncio.timeout(self._limits.patience):
                    await client.writer.drain()
            except TimeoutError:
                raise _Cut(
                    f"cut: nothing was read for {self._limits.patience:g} s; connect again, and ask for the events"
                    f" after {client.position}"
                ) from None

    def _send_away(self, client: _Client, word: str) -> None:
        """Say why, and close: at once where the client reads, else when its time for that is over."""
        writer = client.writer
        if writer.is_closing():
            return
        log.info("control client sent away", user=client.user, process=client.pid, reason=word)
        writer.write(line({"id": None, "ok": False, "error": word}))
        writer.close()
        asyncio.get_running_loop().call_later(self._limits.farewell, writer.transport.abort)


def _was_away(answer: asyncio.Future[dict[str, Any]]) -> bool:
    """Whether a command could not be done for now: who asks again as they were told to is not told so for ever."""
    return answer.done() and not answer.cancelled() and answer.result().get("reason") == Reason.UNAVAILABLE.value


async def _run(asked: Asked, command: Command, answer: asyncio.Future[dict[str, Any]], books: Books | None) -> None:
    try:
        came_of_it = await books.before(asked) if books is not None else None
        if came_of_it is None:
            came_of_it = await command.run(asked)
            if books is not None:
                books.done(asked, command, came_of_it)
        result = done(asked.id, came_of_it)
    except CommandError as error:
        if books is not None:
            books.refused(asked, error.reason)
        result = refused(asked.id, error)
    except asyncio.CancelledError:
        answer.set_result(refused(asked.id, CommandError("the switch goes down", Reason.UNAVAILABLE)))
        raise
    except Exception as error:
        log.exception("command failed", command=str(asked))
        result = refused(
            asked.id,
            CommandError(
                f"{asked.do} failed by a mistake of ours: {type(error).__name__}: {error}", Reason.UNAVAILABLE
            ),
        )
    answer.set_result(result)
