"""``/me``: who asks, as the desk sees them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from callcenter.desk.identity import requires
from callcenter.model.access import SCOPES, Actor, Role, Scope

router = APIRouter(prefix="/api/v1", tags=["me"])


class Me(BaseModel):
    """Who asks, and what they may."""

    user: str
    role: Role
    agent: str | None = Field(description="as which agent they work; null: as none")
    clients: list[str] | None = Field(description="the companies that are theirs to see; null: all")
    scopes: list[Scope]


@router.get("/me")
async def me(actor: Annotated[Actor, requires()]) -> Me:
    """Who asks, and what they may."""
    return Me(
        user=actor.user,
        role=actor.role,
        agent=actor.agent or None,
        clients=None if actor.clients is None else sorted(actor.clients),
        scopes=sorted(scope for scope in SCOPES[actor.role] if actor.may(scope)),
    )
