"""What the tests of the desk share: facts of two companies in a true log, and people who see one of them, or both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from callcenter.acd.settings import AgentSettings, Plan, QueueSettings
from callcenter.calls.facts import FactStream
from callcenter.config.settings import Settings
from callcenter.desk.events import Hub, Limits
from callcenter.desk.whose import Whose
from callcenter.model.access import Actor, Role
from callcenter.model.facts import Body, Fact
from callcenter.storage.database import InlineDatabase
from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock, arrived

ADMIN = Actor("ada", Role.ADMIN)
SUPERVISOR = Actor("sam", Role.SUPERVISOR, frozenset({"acme"}))
ANA = Actor("ana", Role.AGENT, frozenset({"acme"}), agent="ana")
CLIENT = Actor("acme-boss", Role.CLIENT, frozenset({"acme"}))


def two_companies() -> Settings:
    """Ana serves Acme, bob Globex, and eve both."""
    agents = {"ana": ("acme",), "bob": ("globex",), "eve": ("acme", "globex")}
    plan = Plan(
        queues={name: QueueSettings(name, client) for name, client in (("sales", "acme"), ("help", "globex"))},
        agents={name: AgentSettings(name, name.title(), clients=frozenset(of)) for name, of in agents.items()},
    )
    return cast("Settings", SimpleNamespace(plan=plan))


def call_of(client: str) -> Body:
    return replace(arrived(), client=client)


class Floor:
    """A log that is written, and a hub that follows it."""

    def __init__(self, storage: Storage, limits: Limits) -> None:
        self.storage = storage
        self.limits = limits
        self.settings = two_companies()
        self.stream = FactStream(StillClock(), boot="boot", last_seq=storage.log.last_seq, write=storage.log.write)
        self.followed = 0
        self.hub = self.another_hub()

    def another_hub(self) -> Hub:
        """As after a restart of the desk."""
        self.hub = Hub(self.facts, self.storage.database, Whose(lambda: self.settings), self.limits)
        return self.hub

    async def facts(self, after: int) -> AsyncIterator[Fact]:
        self.followed += 1
        while True:
            await self.storage.log.beyond(after)
            for fact in await self.storage.log.read(after, 100):
                yield fact
                after = fact.seq

    def add(self, body: Body, call_id: str | None = None) -> int:
        return self.stream.append(body, call_id).seq

    async def written(self) -> None:
        await self.storage.log.flushed(self.stream.seq)


@contextlib.asynccontextmanager
async def a_floor(**limits: Any) -> AsyncIterator[Floor]:
    """A floor that is there while the block lasts."""
    storage = await Storage.over(InlineDatabase(), clock=StillClock())
    try:
        yield Floor(storage, Limits(**limits))
    finally:
        await storage.close()
