"""``/config``: which configuration is in force, what the files would change, and putting them in force."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from callcenter.desk.commands import command
from callcenter.desk.identity import TheDesk, requires
from callcenter.model.access import Actor, Scope
from callcenter.publish import topics

router = APIRouter(prefix="/api/v1", tags=["config"])

Configures = Annotated[Actor, requires(Scope.CONFIG)]
# Seconds that a reload may take: voices may have to speak new prompts first.
PATIENCE = 300.0


class Config(BaseModel):
    """The configuration in force. ``desk`` is the one that the desk goes by: a moment behind, after a reload."""

    revision: str = Field(examples=["3f9a1c22"])
    loaded_at: str
    by: str = Field(description="who or what loaded it, in words")
    desk: str


class Change(BaseModel):
    """One difference. ``sign`` is ``~``, ``+`` or ``-``; ``note`` is what it means for calls and agents of now."""

    sign: str
    path: str = Field(examples=["queues.sales.max_wait"])
    before: str
    after: str
    note: str
    waits: bool = Field(description="it takes effect at the next start only")


class Reading(BaseModel):
    """What stands in the files, against what is in force."""

    model_config = ConfigDict(extra="ignore")

    before: str = Field(description="the revision in force before")
    revision: str = Field(description="that of the files; give it to a reload, so that nothing else is loaded")
    files: int
    changes: list[Change]
    calls: int = Field(description="that are up: they go on as they began")
    warnings: list[Any]


class Reload(BaseModel):
    """What to put in force."""

    model_config = ConfigDict(extra="forbid")

    revision: str | None = Field(
        default=None, max_length=200, description="the one that was looked at; another one is not loaded"
    )


@router.get("/config")
async def config(desk: TheDesk, actor: Configures) -> Config:
    """Which configuration is in force."""
    state = (await desk.snapshots.take()).states[topics.CONFIG]
    return Config(revision=state["revision"], loaded_at=state["loaded_at"], by=state["by"], desk=desk.settings.revision)


@router.post("/config/check")
async def check(desk: TheDesk, actor: Configures, request: Request) -> Reading:
    """What a reload would change now; every mistake of the files is in ``problems`` of the refusal. Nothing is done."""
    return Reading(**await command(desk, request, actor, "reload_look", timeout=PATIENCE))


@router.post("/config/reload")
async def reload(desk: TheDesk, actor: Configures, request: Request, body: Reload | None = None) -> Reading:
    """Put in force what stands in the files, for calls from the next one on."""
    fields = {"revision": body.revision} if body is not None and body.revision is not None else {}
    return Reading(**await command(desk, request, actor, "reload", timeout=PATIENCE, **fields))
