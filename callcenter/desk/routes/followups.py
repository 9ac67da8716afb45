"""``/followups``: what was promised to customers: by whom, until when, what was tried, and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import Reason
from callcenter.desk.commands import command
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Scope
from callcenter.model.customer_form import MAX_ID
from callcenter.model.followup import MAX_NOTE, MAX_TEXT, MAX_TITLE, FollowupKind, FollowupState

router = APIRouter(prefix="/api/v1", tags=["followups"])
Reads = Annotated[Actor, requires(Scope.FOLLOWUPS_READ)]
Writes = Annotated[Actor, requires(Scope.FOLLOWUPS_WRITE)]
IfMatch = Annotated[str | None, Header(description="the ETag of the follow-up as it was read: 412 when it has changed")]
Id = Annotated[str, Field(max_length=64)]
Customer = Annotated[str, Field(max_length=MAX_ID)]

LONGEST_PAGE = 500
DUE = "a local time (`2026-12-01T10:00`), one with an offset, or `tomorrow 10:00`, `friday 9:30`, `17:00`, `in 2h`"


class TriedOnce(BaseModel):
    """Something that was tried."""

    at: datetime
    by: str
    outcome: str
    note: str


class FollowupInfo(BaseModel):
    """A follow-up."""

    id: str
    client: str
    kind: FollowupKind
    state: FollowupState
    title: str
    text: str
    due_at: datetime
    due_local: str = Field(description="the same on the clock of `zone`")
    zone: str
    overdue: bool = Field(description="whether it was due and is still open")
    customer: str | None
    number: str | None = Field(description="whom it is about, in E.164")
    call: str | None
    queue: str | None
    agent: str | None = Field(description="whose it is; null: of anybody who serves the queue")
    made_by: str | None = Field(description="the agent who promised it")
    callback: str | None = Field(description="the callback that carries it out")
    done_by: str | None
    attempts: list[TriedOnce]
    created_by: str
    created_at: datetime
    done_at: datetime | None
    revision: int


class FollowupList(BaseModel):
    """Follow-ups by due time; ``next`` is what ``after`` takes for those behind."""

    items: list[FollowupInfo]
    next: str | None


class Kept(BaseModel):
    """How promises were kept, of one client, by one agent."""

    client: str
    agent: str | None
    promised: int
    kept: int
    late: int
    open: int
    kept_share: float | None


class KeptList(BaseModel):
    """The figures with what they mean: a formula that changes has another version."""

    items: list[Kept]
    version: int
    definitions: dict[str, str]


class NewFollowup(BaseModel):
    """One to be created. Without ``agent`` and ``queue`` it is the agent's who asks, or the client's first queue's."""

    model_config = ConfigDict(extra="forbid")

    client: Id | None = Field(default=None, description="whose; not needed with `call`, nor where one alone is seen")
    kind: FollowupKind = FollowupKind.TASK
    title: str = Field(min_length=1, max_length=MAX_TITLE)
    text: str = Field(default="", max_length=MAX_TEXT)
    due_at: str = Field(min_length=1, max_length=64, description=f"not in the past: {DUE}")
    zone: Id | None = Field(default=None, description="where `due_at` is meant, e.g. Europe/Madrid; else the client's")
    agent: Id | None = None
    queue: Id | None = None
    customer: Customer | None = None
    number: str | None = Field(default=None, max_length=40)
    call: Id | None = Field(default=None, description="the call it is about: customer and number are taken from it")
    mode: Literal["agent_first", "customer_first"] | None = Field(default=None, description="of a callback")
    preview: bool | None = Field(default=None, description="of a callback: the agent sees it before it is dialled")
    not_after: str | None = Field(default=None, max_length=64, description="of a callback: it is too late from then on")
    reason: str | None = Field(default=None, max_length=200, description="of a callback: what it is about, in a word")


class FollowupChange(BaseModel):
    """What is to be otherwise (RFC 7396: what is not named stays, null takes away)."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, min_length=1, max_length=MAX_TITLE)
    text: str | None = Field(default=None, max_length=MAX_TEXT)
    due_at: str | None = Field(default=None, min_length=1, max_length=64, description=f"not in the past: {DUE}")
    zone: Id | None = None
    customer: Customer | None = None
    number: str | None = Field(default=None, max_length=40)
    call: Id | None = None


class NewAttempt(BaseModel):
    """What was tried, with the outcome in a word: no_answer, busy, left_message, spoke ..."""

    model_config = ConfigDict(extra="forbid")

    outcome: str = Field(min_length=1, max_length=64)
    note: str = Field(default="", max_length=MAX_NOTE)


class Ended(BaseModel):
    """A word about how it ended."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", max_length=MAX_NOTE)


class Reopened(BaseModel):
    """Until when it is to be done now; without, as before."""

    model_config = ConfigDict(extra="forbid")

    due_at: str | None = Field(default=None, min_length=1, max_length=64, description=DUE)
    zone: Id | None = None


class Owner(BaseModel):
    """Whose it is to be."""

    model_config = ConfigDict(extra="forbid")

    agent: Id | None = None
    queue: Id | None = None


@router.get("/followups")
async def followups(
    request: Request,
    desk: TheDesk,
    actor: Reads,
    client: Id | None = None,
    state: FollowupState | None = None,
    agent: Id | None = None,
    queue: Id | None = None,
    customer: Customer | None = None,
    call: Id | None = None,
    kind: FollowupKind | None = None,
    due_after: Annotated[str | None, Query(max_length=64)] = None,
    due_before: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50,
    after: Annotated[str | None, Query(max_length=128)] = None,
) -> FollowupList:
    """Follow-ups by due time."""
    asked = {
        "client": client,
        "state": state,
        "agent": agent,
        "queue": queue,
        "customer": customer,
        "call": call,
        "kind": kind,
        "due_after": due_after,
        "due_before": due_before,
        "after": after,
    }
    return FollowupList(**await command(desk, request, actor, "followup_list", limit=limit, **_named(asked)))


@router.get("/followups/figures")
async def figures(
    request: Request,
    desk: TheDesk,
    actor: Reads,
    client: Id | None = None,
    agent: Id | None = None,
    due_after: Annotated[str | None, Query(max_length=64)] = None,
    due_before: Annotated[str | None, Query(max_length=64)] = None,
    by: Literal["client", "agent"] = "client",
) -> KeptList:
    """Promises kept, late and open, of those that fell due between."""
    asked = {"client": client, "agent": agent, "due_after": due_after, "due_before": due_before}
    return KeptList(**await command(desk, request, actor, "followup_figures", by=by, **_named(asked)))


@router.post("/followups", status_code=201)
async def create_followup(
    request: Request, response: Response, desk: TheDesk, actor: Writes, new: NewFollowup
) -> FollowupInfo:
    """Promise something; of kind callback the switch dials the customer when it is due."""
    told = await command(desk, request, actor, "followup_create", **_named(new.model_dump(mode="json")))
    info = _told(response, told)
    response.headers["Location"] = f"/api/v1/followups/{info.id}"
    return info


@router.get("/followups/{followup}")
async def followup(request: Request, response: Response, desk: TheDesk, actor: Reads, followup: Id) -> FollowupInfo:
    """One of them; its ETag goes in ``If-Match`` with a change."""
    return _told(response, await command(desk, request, actor, "followup_get", followup=followup))


@router.patch("/followups/{followup}")
async def change_followup(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    change: FollowupChange,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """Change what it says, or until when it is to be done."""
    given = change.model_dump(mode="json", exclude_unset=True)
    fields = {name: "" if value is None and name not in ("due_at", "zone") else value for name, value in given.items()}
    return await _changed(request, response, desk, actor, "followup_update", followup, if_match, fields)


@router.post("/followups/{followup}/attempts", status_code=201)
async def note_attempt(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    attempt: NewAttempt,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """Note what was tried."""
    return await _changed(
        request, response, desk, actor, "followup_attempt", followup, if_match, attempt.model_dump(mode="json")
    )


@router.post("/followups/{followup}/done")
async def end_followup(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    ended: Ended | None = None,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """It is done."""
    fields = {} if ended is None else ended.model_dump(mode="json")
    return await _changed(request, response, desk, actor, "followup_done", followup, if_match, fields)


@router.post("/followups/{followup}/cancel")
async def cancel_followup(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    ended: Ended | None = None,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """It need not be done any more."""
    fields = {} if ended is None else ended.model_dump(mode="json")
    return await _changed(request, response, desk, actor, "followup_cancel", followup, if_match, fields)


@router.post("/followups/{followup}/reopen")
async def reopen_followup(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    again: Reopened | None = None,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """It is still to be done."""
    fields = {} if again is None else _named(again.model_dump(mode="json"))
    return await _changed(request, response, desk, actor, "followup_reopen", followup, if_match, fields)


@router.post("/followups/{followup}/take")
async def take_followup(
    request: Request, response: Response, desk: TheDesk, actor: Writes, followup: Id, if_match: IfMatch = None
) -> FollowupInfo:
    """It is the agent's who asks: one that was nobody's."""
    return await _changed(request, response, desk, actor, "followup_take", followup, if_match, {})


@router.post("/followups/{followup}/assign")
async def assign_followup(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Writes,
    followup: Id,
    owner: Owner,
    if_match: IfMatch = None,
) -> FollowupInfo:
    """Give it to an agent, or back to a queue."""
    fields = _named(owner.model_dump(mode="json"))
    return await _changed(request, response, desk, actor, "followup_assign", followup, if_match, fields)


async def _changed(
    request: Request,
    response: Response,
    desk: TheDesk,
    actor: Actor,
    do: str,
    followup: str,
    if_match: str | None,
    fields: dict[str, Any],
) -> FollowupInfo:
    """Have it changed, as long as it is the one that was read. Raises Problem."""
    revision = {} if if_match in (None, "*") else {"revision": _revision(if_match or "")}
    try:
        return _told(response, await command(desk, request, actor, do, followup=followup, **revision, **fields))
    except Problem as problem:
        if problem.reason == Reason.CONFLICT and problem.field == "revision":
            more = {"revision": problem.more.get("revision")}
            raise Problem(412, Reason.CONFLICT, problem.detail, "If-Match", **more) from None
        raise


def _revision(written: str) -> int:
    number = written.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        detail = "it is no ETag of a follow-up: send the one that came with it"
        raise Problem(412, Reason.CONFLICT, detail, "If-Match")
    return int(number)


def _told(response: Response, told: dict[str, Any]) -> FollowupInfo:
    info = FollowupInfo(**told["followup"])
    response.headers["ETag"] = f'"{info.revision}"'
    return info


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that are there."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
