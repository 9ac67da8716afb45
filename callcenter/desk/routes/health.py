"""``/livez`` and ``/readyz``: for who watches over the house, or spreads calls over several. Nobody need be known."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from callcenter.control.protocol import CommandError
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk
from callcenter.desk.switch import SwitchAway

router = APIRouter(tags=["health"])

PATIENCE = 2.0


class Live(BaseModel):
    """The loop turns: that this was answered says it."""

    live: Literal[True] = True


class ReadyState(BaseModel):
    """Whether calls should be sent here."""

    ready: bool
    why: list[str] = Field(
        description="why not, in words: starting, draining, ending, database, media, sip, trunk NAME, switch away"
    )


@router.get("/livez")
async def livez() -> Live:
    """Whether the desk lives; it says nothing of the switch."""
    return Live()


@router.get("/readyz", responses={503: {"model": ReadyState, "description": "no: not now"}})
async def readyz(desk: TheDesk, response: Response) -> ReadyState:
    """Whether calls should be sent here: not while it drains, and not without a trunk that is required."""
    why = await desk.readiness.now(lambda: _why_not(desk))
    response.status_code = 503 if why else 200
    return ReadyState(ready=not why, why=why)


async def _why_not(desk: Desk) -> list[str]:
    try:
        told = await desk.switch.ask("health", None, timeout=PATIENCE)
    except (SwitchAway, CommandError):
        return ["switch away"]
    return [str(each) for each in told["reasons"]]
