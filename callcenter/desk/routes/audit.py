"""``/audit``: who had what changed, by which door, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from callcenter.desk.identity import TheDesk, requires
from callcenter.model.access import MAX_USER, Actor, Scope
from callcenter.storage.audit import MOST, find_acts

router = APIRouter(prefix="/api/v1", tags=["audit"])
Word = Annotated[str, Query(max_length=MAX_USER)]


class ActInfo(BaseModel):
    """Something that was asked for."""

    id: int
    at: str = Field(description="ISO 8601, UTC")
    user: str
    role: str
    via: str = Field(description="control (on the switch's machine), desk, or mqtt")
    action: str
    client: str = Field(description="whose business it was; empty: no client's")
    target: str = Field(description="the id of what was to be changed")
    outcome: str = Field(description="done, or why not in a word")
    command: str = Field(description="the id of the request")


class AuditPage(BaseModel):
    """A page, the latest first."""

    items: list[ActInfo]
    next: str | None = Field(description="`after` of the next page")


@router.get("/audit")
async def audit(
    desk: TheDesk,
    actor: Annotated[Actor, requires(Scope.AUDIT_READ)],
    client: Word = "",
    user: Word = "",
    action: Word = "",
    target: Word = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    after: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> AuditPage:
    """Who had what changed. Who sees some companies alone sees what was done of theirs, and nothing else."""
    clients = actor.clients
    if client:
        clients = frozenset({client}) if actor.sees(client) else frozenset()
    found = await find_acts(
        desk.reader,
        clients=clients,
        user=user,
        action=action,
        target=target,
        since=since,
        until=until,
        before=after,
        limit=limit,
    )
    items = [ActInfo(**act.plain()) for act in found]
    return AuditPage(items=items, next=str(items[-1].id) if len(items) == limit else None)
