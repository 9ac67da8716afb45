"""``/clients``: the companies in whose name calls are answered."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callcenter.desk.asked import Name
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import not_found
from callcenter.model.access import Actor, Scope
from callcenter.publish import topics

router = APIRouter(prefix="/api/v1", tags=["clients"])

CLIENT = "client"
Reads = Annotated[Actor, requires(Scope.CALLS_READ)]


class Client(BaseModel):
    """A company in whose name calls are answered."""

    client: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    languages: list[str] = Field(description="the first is spoken until another is chosen", examples=[["en", "es"]])
    zone: str | None = Field(description="where its opening hours and days are meant", examples=["America/New_York"])
    greeting: dict[str, str] = Field(description="what an agent says first, by language")
    numbers: list[str] = Field(description="those that its callers dial", examples=[["+18005550100"]])
    queues: list[str] = Field(examples=[["sales"]])


class ClientNow(Client):
    """A company, and how all its queues stand together (``client.v1``; null until the switch has told)."""

    state: dict[str, Any] | None = Field(
        examples=[{"schema": "client.v1", "client": "acme", "waiting": 2, "service_level": 0.91}]
    )


class Clients(BaseModel):
    """All companies that are yours to see."""

    items: list[Client]


@router.get("/clients")
async def clients(desk: TheDesk, actor: Reads) -> Clients:
    """All companies that are yours to see."""
    return Clients(items=[Client(**_about(desk, name)) for name in desk.settings.calls.clients if actor.sees(name)])


@router.get("/clients/{client}")
async def client(desk: TheDesk, actor: Reads, client: Name) -> ClientNow:
    """One company, with how its queues stand."""
    if client not in desk.settings.calls.clients or not actor.sees(client):
        raise not_found(CLIENT)
    states = (await desk.snapshots.take()).states
    state = states.get(topics.client_state(client))
    return ClientNow(**_about(desk, client), state=None if state is None else dict(state))


def _about(desk: Desk, name: str) -> dict[str, Any]:
    about, settings = desk.settings.calls.clients[name], desk.settings
    return {
        "client": name,
        "name": about.name,
        "languages": list(about.languages),
        "zone": about.zone.key if about.zone is not None else None,
        "greeting": dict(about.greeting),
        "numbers": [each.number for each in settings.calls.numbers.values() if each.client == name],
        "queues": [each.id for each in settings.plan.queues.values() if each.client == name],
    }
