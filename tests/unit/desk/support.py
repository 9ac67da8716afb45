"""What the desk's tests share: a desk over a real storage, a switch that is simulated, and clients with tokens.

::

    async def test_x(tmp_path: Path) -> None:
        async with open_floor(tmp_path) as floor:
            floor.answers["note"] = {"note": "n1"}              # or a function of what was asked, or a CommandError
            ada = await floor.client(Role.AGENT, agent="ana")
            answer = await ada.post("/api/v1/calls/c1/notes", json={"text": "late again"})
            assert floor.asked[-1].fields == {"call": "c1", "text": "late again"}
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from callcenter.calls.facts import FactStream
from callcenter.config import Settings
from callcenter.config.secrets import open_secrets
from callcenter.control import SOCKET
from callcenter.control.protocol import Asked, CommandError
from callcenter.control.server import Command, ControlServer
from callcenter.desk.app import create_app
from callcenter.desk.desk import Desk, open_desk
from callcenter.model.access import Role, Scope, operator
from callcenter.runtime.clock import SystemClock
from callcenter.storage.store import Storage
from tests.unit.config.floor import GOOD, load_text

BASE = "http://desk.test"
TWO_COMPANIES = GOOD.replace(
    "numbers:\n", "  globex: {name: Globex, languages: [en]}\nnumbers:\n", 1
).replace(
    "agents:\n",
    "  globex-sales: {client: globex, requirements: {english: 3}}\nagents:\n"
    "  bob: {name: Bob, skills: {english: 4}, clients: [globex]}\n",
    1,
).replace(
    "prompts:\n", "supervisors:\n  sue: {name: Sue, clients: [acme]}\nprompts:\n", 1
).replace(
    "flows:\n", '  "+15555550200": {client: globex, flow: other}\nflows:\n  other: [{queue: globex-sales}]\n', 1
)  # fmt: skip
"""Acme (queue sales, agent ana, supervisor sue) and Globex (queue globex-sales, agent bob)."""

Answer = Mapping[str, Any] | CommandError | Callable[[Asked], Awaitable[Mapping[str, Any]]]


class Floor:
    """A desk under test. ``answers`` by command: what the switch says; ``asked``: what it was asked."""

    def __init__(self, desk: Desk, storage: Storage, stack: contextlib.AsyncExitStack) -> None:
        self.desk = desk
        self.storage = storage
        self.stream = FactStream(SystemClock(), boot="boot", last_seq=storage.log.last_seq, write=storage.log.write)
        self.app = create_app(desk)
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer] = {"audited": {}}
        self.passwords: dict[str, str] = {}
        self._stack = stack
        self._tokens = 0

    async def client(
        self,
        role: Role | None = Role.ADMIN,
        *,
        clients: set[str] | None = None,
        scopes: set[Scope] | None = None,
        agent: str = "",
    ) -> httpx.AsyncClient:
        """Somebody who asks with a token of that role; None: with none at all."""
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {await self.token(role, clients=clients, scopes=scopes, agent=agent)}"
        return await self._stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE, headers=headers)
        )

    async def token(
        self, role: Role, *, clients: set[str] | None = None, scopes: set[Scope] | None = None, agent: str = ""
    ) -> str:
        """A token of that role; of an agent's, ana's unless another is named, of a client's, acme's."""
        self._tokens += 1
        if clients is None and role is Role.CLIENT:
            clients = {"acme"}
        token, _ = await self.desk.tokens.create(
            operator("test"),
            f"{role}-{self._tokens}",
            role,
            clients=None if clients is None else frozenset(clients),
            scopes=None if scopes is None else frozenset(scopes),
            agent=agent or ("ana" if role is Role.AGENT else ""),
        )
        return token

    async def written(self) -> None:
        """Until the facts that were appended to ``stream`` are committed."""
        await self.storage.log.flushed(self.stream.seq)

    async def answer(self, asked: Asked) -> Mapping[str, Any]:
        """What the switch does."""
        self.asked.append(asked)
        told = self.answers[asked.do]
        if isinstance(told, CommandError):
            raise told
        return await told(asked) if callable(told) else told


class _Commands(dict[str, Command]):
    """Every command there may be: a test says in ``answers`` what comes of it."""

    def __init__(self, run: Callable[[Asked], Awaitable[Mapping[str, Any]]]) -> None:
        super().__init__()
        self._run = run

    def get(self, do: str, default: Any = None) -> Any:
        scope = Scope.CALLBACKS_WRITE if do.startswith("callback_") else Scope.CALLS_READ
        return Command(self._run, scope=scope) if do else default


@contextlib.asynccontextmanager
async def open_floor(folder: Path, text: str = TWO_COMPANIES, *settings: str) -> AsyncIterator[Floor]:
    """A floor that is open while the block lasts: ``text`` is its configuration, ``settings`` are ``path=value``."""

    def load() -> Settings:
        return load_text(folder, text, *settings)

    loaded = load()
    secrets = open_secrets(loaded)
    async with contextlib.AsyncExitStack() as stack:
        storage = await Storage.open(loaded.storage.path, clock=SystemClock())
        stack.push_async_callback(storage.close)
        desk = await stack.enter_async_context(open_desk(loaded, load))
        floor = Floor(desk, storage, stack)
        floor.passwords = {user: held.mqtt for user, held in secrets.passwords.items()}
        server = ControlServer(loaded.switch.data / SOCKET, _Commands(floor.answer), storage.log)
        await server.open()
        stack.push_async_callback(server.close)
        yield floor
