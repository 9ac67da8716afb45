"""``/callbacks``: who is to be called back, when, and what was tried; plan one, change it, call it off."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from callcenter.desk.commands import command
from callcenter.desk.identity import TheDesk, requires
from callcenter.model.access import Actor, Scope
from callcenter.model.callback import MAX_REASON, Mode, Source
from callcenter.model.ids import SLUG
from callcenter.model.states import CallbackOutcome

router = APIRouter(prefix="/api/v1", tags=["callbacks"])
Reads = Annotated[Actor, requires(Scope.CALLBACKS_READ)]
Writes = Annotated[Actor, requires(Scope.CALLBACKS_WRITE)]
Slug = Annotated[str, Field(pattern="^" + SLUG.pattern.replace(r"\Z", "$"), max_length=64)]
# What may stand in an address or a field of the switch's: nothing that a terminal obeys.
Word = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Number = Annotated[str, Field(max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["+14155550100"])]
Reason = Annotated[str, Field(max_length=MAX_REASON, pattern=r"^[^\x00-\x1f\x7f]*$")]
Moment = Annotated[
    str,
    Field(
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="ISO 8601; without Z or an offset it is by the customer's clocks",
        examples=["2026-12-01T10:00", "2026-12-01T10:00:00+01:00"],
    ),
]
State = Literal["open", "ended", "reached", "given_up", "cancelled", "removed", "expired"]


class NewCallback(BaseModel):
    """A callback to be planned. With a ``call`` its company, queue, number and customer need not be said again."""

    model_config = ConfigDict(extra="forbid")

    client: Slug | None = None
    queue: Slug | None = None
    number: Number | None = None
    call: Word | None = Field(default=None, description="the call in which it came up: one of one's own, for an agent")
    customer: Word | None = None
    name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    language: Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z0-9-]*$")] | None = None
    reason: Reason | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    zone: Word | None = Field(default=None, description="IANA; left out: where the number is, else the company's")
    mode: Mode | None = None
    preview: bool | None = None
    prefer: Slug | None = Field(default=None, description="the agent who is asked first")
    prefer_for_s: Annotated[int, Field(ge=0, le=604_800)] | None = Field(default=None, description="so long alone")
    followup: Word | None = None
    source: Literal["api", "call_me", "follow_up"] | None = None


class CallbackChange(BaseModel):
    """What is to be otherwise; a time that is null is no matter any more."""

    model_config = ConfigDict(extra="forbid")

    queue: Slug | None = None
    reason: Reason | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    zone: Word | None = None
    mode: Mode | None = None
    preview: bool | None = None
    prefer: Slug | None = None
    prefer_for_s: Annotated[int, Field(ge=0, le=604_800)] | None = None


class Attempt(BaseModel):
    """One time that the customer was dialled; ``number`` 0: an agent declined, and nobody was."""

    number: int
    at: datetime
    agent: str
    call: str
    cause: str = Field(description="what came of it; empty while it is under way")
    detail: str
    ended_at: datetime | None


class Callback(BaseModel):
    """A callback; instants are UTC."""

    id: str
    client: str
    queue: str
    number: str
    name: str
    customer: str
    state: str = Field(description="planned, held, in_line, shown, dialling, or how it ended")
    source: Source
    reason: str
    requested_at: datetime
    created_by: str
    call: str
    followup: str
    scheduled: bool
    not_before: datetime | None
    not_after: datetime | None
    zone: str
    next_at: datetime | None = Field(description="when it joins the line, or has joined it")
    mode: Mode
    preview: bool
    prefer: str
    prefer_for_s: float
    language: str
    attempts: int
    history: list[Attempt]
    outcome: CallbackOutcome | Literal[""]
    ended_at: datetime | None
    ended_why: str


class Planned(BaseModel):
    """What was planned. ``merged``: one for the same number and queue was planned before, and both are one now."""

    callback: Callback
    merged: bool


class CallbackList(BaseModel):
    """Callbacks, those that were asked for last first."""

    items: list[Callback]
    next: str | None


@router.get("/callbacks")
async def callbacks(
    desk: TheDesk,
    request: Request,
    actor: Reads,
    client: Annotated[Slug | None, Query()] = None,
    queue: Annotated[Slug | None, Query()] = None,
    number: Annotated[Number | None, Query()] = None,
    customer: Annotated[Word | None, Query()] = None,
    agent: Annotated[Slug | None, Query(description="the one who is preferred")] = None,
    call: Annotated[Word | None, Query(description="the one that it was asked for in")] = None,
    source: Annotated[Source | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[Word | None, Query()] = None,
) -> CallbackList:
    """Who is to be called back, and who was."""
    asked = {
        "client": client, "queue": queue, "number": number, "customer": customer, "agent": agent, "call": call,
        "source": source, "state": state, "after": after,
    }  # fmt: skip
    found = await command(desk, request, actor, "callback_list", limit=limit, **_said(asked))
    return CallbackList(**found)


@router.post("/callbacks", status_code=201)
async def plan_callback(desk: TheDesk, request: Request, actor: Writes, new: NewCallback) -> Planned:
    """Have a customer called back: in the window, in the hours in which one may, by an agent with the skill."""
    return Planned(**await command(desk, request, actor, "callback_schedule", **_said(new.model_dump(mode="json"))))


@router.get("/callbacks/{callback}")
async def callback(desk: TheDesk, request: Request, actor: Reads, callback: Word) -> Callback:
    """One of them, with every attempt."""
    return Callback(**(await command(desk, request, actor, "callback_get", callback=callback))["callback"])


@router.patch("/callbacks/{callback}")
async def change_callback(
    desk: TheDesk, request: Request, actor: Writes, callback: Word, change: CallbackChange
) -> Callback:
    """Have it carried out otherwise, by a JSON merge (RFC 7396)."""
    changes = change.model_dump(mode="json", exclude_unset=True)
    done = await command(desk, request, actor, "callback_change", callback=callback, **changes)
    return Callback(**done["callback"])


@router.delete("/callbacks/{callback}")
async def cancel_callback(
    desk: TheDesk, request: Request, actor: Writes, callback: Word, why: Annotated[Reason | None, Query()] = None
) -> Callback:
    """Call it off; what it has come to."""
    done = await command(desk, request, actor, "callback_cancel", callback=callback, **_said({"why": why}))
    return Callback(**done["callback"])


class Accept(BaseModel):
    """Who accepts; ``agent`` is for whom a supervisor says it."""

    model_config = ConfigDict(extra="forbid")

    agent: Slug | None = None


class Decline(Accept):
    """Who declines, and why."""

    reason: Reason | None = None


@router.post("/callbacks/{callback}/accept")
async def accept_callback(
    desk: TheDesk, request: Request, actor: Writes, callback: Word, accept: Accept | None = None
) -> Callback:
    """Call the customer who is shown."""
    said = _said(accept.model_dump()) if accept is not None else {}
    done = await command(desk, request, actor, "callback_accept", callback=callback, **said)
    return Callback(**done["callback"])


@router.post("/callbacks/{callback}/decline")
async def decline_callback(
    desk: TheDesk, request: Request, actor: Writes, callback: Word, decline: Decline | None = None
) -> Callback:
    """Leave the customer who is shown to another agent."""
    said = _said(decline.model_dump()) if decline is not None else {}
    done = await command(desk, request, actor, "callback_decline", callback=callback, **said)
    return Callback(**done["callback"])


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
