"""What people write of calls, and the story of a call and of a customer: notes, dispositions, fields, timelines."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import Reason
from callcenter.desk.commands import command
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.note import MAX_NOTE
from callcenter.storage.customers import Customers
from callcenter.storage.timelines import MAX_CURSOR, MAX_LIMIT, BadCursor, Timelines

router = APIRouter(prefix="/api/v1", tags=["interactions"])

Name = Annotated[str, Path(min_length=1, max_length=64)]
Client = Annotated[
    str, Query(max_length=64, description="whose customer; may be left out by who sees one company alone")
]
IfMatch = Annotated[str | None, Header(description="the ETag of what is changed: 412 when it has changed since")]
Reads = Annotated[Actor, requires(Scope.CALLS_READ)]
Writes = Annotated[Actor, requires(Scope.CALLS_CONTROL)]
ReadsCustomers = Annotated[Actor, requires(Scope.CUSTOMERS_READ)]
Why = Annotated[str, Field(max_length=500, description="the reason; of who corrects what somebody else said, required")]


class NoteRevision(BaseModel):
    """What a note said from one revision on."""

    model_config = ConfigDict(extra="ignore")

    revision: int
    at: str
    by: str
    why: str
    text: str


class Note(BaseModel):
    """A note. A ``draft`` is being typed; it is kept when its agent is through with the call."""

    id: str = Field(examples=["x-3f0a6f0b9c1d2e3f4a5b"])
    client: str
    call: str
    customer: str
    agent: str
    author: str
    created_at: str
    changed_at: str
    changed_by: str
    revision: int
    draft: bool
    text: str
    revisions: list[NoteRevision] = []


class Notes(BaseModel):
    """The notes of a call or of a customer."""

    items: list[Note]


class WrittenNote(BaseModel):
    """What a note is to say; as a draft while it is typed."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_NOTE, examples=["wants a quieter fan"])
    draft: bool = False
    why: Why = ""


class FollowUpWanted(BaseModel):
    """A follow-up beside a disposition: when it is due, and whose it is (the agent's whose talk it was, else)."""

    model_config = ConfigDict(extra="forbid")

    due_at: str | None = Field(default=None, max_length=64, examples=["2026-12-01T10:00:00Z"])
    title: str | None = Field(default=None, max_length=200)
    text: str | None = Field(default=None, max_length=2000)
    agent: str | None = Field(default=None, max_length=64)
    queue: str | None = Field(default=None, max_length=64)
    zone: str | None = Field(default=None, max_length=64, examples=["Europe/Madrid"])
    kind: str | None = Field(default=None, max_length=20, examples=["task", "callback"])


class GivenDisposition(BaseModel):
    """What a talk came to: of the call's last agent, of this ``agent``, or of the talk of this ``offer``."""

    model_config = ConfigDict(extra="forbid")

    disposition: str = Field(min_length=1, max_length=64, examples=["sold"])
    agent: str = Field(default="", max_length=64)
    offer: str = Field(default="", max_length=64)
    why: Why = ""
    follow_up: FollowUpWanted | None = None


class Disposition(BaseModel):
    """What a talk came to, and what was said ``before``; ``corrects``: after the end of its wrap-up."""

    call: str
    agent: str
    offer: str
    before: str
    disposition: str
    label: str
    corrects: bool
    follow_up: dict[str, Any] | None = None


class GivenFields(BaseModel):
    """Values of wrap-up fields by their names; null takes one away."""

    model_config = ConfigDict(extra="forbid")

    values: dict[str, str | int | float | bool | None] = Field(max_length=50, examples=[{"order": "A-1881"}])
    agent: str = Field(default="", max_length=64)
    offer: str = Field(default="", max_length=64)
    why: Why = ""


class AskedField(BaseModel):
    """A field that is asked for, with its value."""

    name: str
    label: str
    type: str
    required: bool
    mask: bool
    choices: dict[str, str]
    value: str | None


class Fields(BaseModel):
    """The fields of a talk's wrap-up; ``history`` has every value that was ever given."""

    call: str
    agent: str
    offer: str
    fields: list[AskedField]
    missing: list[str]
    history: list[dict[str, Any]]


class JourneyCall(BaseModel):
    """A call of a journey, and why it belongs to it."""

    call: str
    why: str = Field(examples=["asked", "earlier", "later", "callback", "consulted"])
    client: str
    direction: str
    arrived_at: str
    ended_at: str | None
    outcome: str | None


class TimelineEntry(BaseModel):
    """One thing that happened: for people in ``words``, for programs as ``data``; ``ms`` since its call arrived."""

    seq: int
    at: str
    ms: int
    call: str
    kind: str
    words: str
    data: dict[str, Any]


class Timeline(BaseModel):
    """A call and those that belong to it, as one story."""

    calls: list[JourneyCall]
    entries: list[TimelineEntry]
    revision: str


class CustomerItem(BaseModel):
    """One thing of a customer's history."""

    at: str
    kind: str = Field(examples=["call", "note", "follow_up", "callback", "merge"])
    id: str
    words: str
    data: dict[str, Any]


class CustomerTimeline(BaseModel):
    """A page of a customer's history, the latest first."""

    items: list[CustomerItem]
    next: str | None


@router.get("/calls/{call}/note")
async def notes_of_call(desk: TheDesk, request: Request, response: Response, actor: Reads, call: Name) -> Notes:
    """The notes of a call, with what they said before. The ETag is that of one's own, for :func:`write_note`."""
    _not_for_clients(actor, "call")
    answer = await command(desk, request, actor, "notes", call=call, history=True)
    own = [note for note in answer["notes"] if note["author"] == actor.user]
    response.headers["ETag"] = _tag(own[0]["revision"] if own else 0)
    return Notes(items=answer["notes"])


@router.put("/calls/{call}/note")
async def write_note(
    desk: TheDesk,
    request: Request,
    response: Response,
    actor: Writes,
    call: Name,
    body: WrittenNote,
    if_match: IfMatch = None,
) -> Note:
    """Write one's own note of a call, or its draft, in place of what it said; that stays among its revisions."""
    fields = {"call": call, **body.model_dump(exclude_defaults=True), "text": body.text}
    return await _written(desk, request, response, actor, fields, if_match)


@router.post("/calls/{call}/notes", status_code=201)
async def add_note(
    desk: TheDesk, request: Request, response: Response, actor: Writes, call: Name, body: WrittenNote
) -> Note:
    """Write another note of a call."""
    fields = {"call": call, "more": True, **body.model_dump(exclude_defaults=True), "text": body.text}
    return await _written(desk, request, response, actor, fields, None)


@router.put("/notes/{note}")
async def correct_note(
    desk: TheDesk,
    request: Request,
    response: Response,
    actor: Writes,
    note: Name,
    body: WrittenNote,
    if_match: IfMatch = None,
) -> Note:
    """Write a note anew; somebody else's with a reason."""
    fields = {"note": note, **body.model_dump(exclude_defaults=True), "text": body.text}
    return await _written(desk, request, response, actor, fields, if_match)


@router.put("/calls/{call}/disposition")
async def write_disposition(
    desk: TheDesk, request: Request, actor: Writes, call: Name, body: GivenDisposition
) -> Disposition:
    """Say what a talk came to: while it goes on, in its wrap-up, or afterwards in the place of what was said."""
    answer = await command(desk, request, actor, "disposition", call=call, **body.model_dump(exclude_none=True))
    return Disposition(**answer)


@router.get("/calls/{call}/fields")
async def fields_of_call(
    desk: TheDesk,
    request: Request,
    actor: Writes,
    call: Name,
    agent: Annotated[str, Query(max_length=64)] = "",
    offer: Annotated[str, Query(max_length=64)] = "",
) -> Fields:
    """What is asked for after a talk, and what was filled in."""
    return Fields(**await command(desk, request, actor, "fields", call=call, agent=agent, offer=offer))


@router.put("/calls/{call}/fields")
async def write_fields(desk: TheDesk, request: Request, actor: Writes, call: Name, body: GivenFields) -> Fields:
    """Fill in fields of a talk; what they said before stays in the history."""
    return Fields(**await command(desk, request, actor, "fields", call=call, **body.model_dump()))


@router.get(
    "/calls/{call}/timeline",
    response_model=Timeline,
    responses={304: {"description": "nothing more was told since"}},
)
async def timeline_of_call(
    desk: TheDesk,
    response: Response,
    actor: Reads,
    call: Name,
    alone: Annotated[bool, Query(description="without the calls that belong to it")] = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Timeline | Response:
    """What happened in a call, and in those that belong to it, as far as one may see it."""
    told = await Timelines(desk.reader).of_call(call, actor, alone=alone)
    if told is None:
        raise Problem(404, Reason.NOT_FOUND, "there is no such call", "call")
    tag = _tag(told.revision)
    response.headers["ETag"] = tag
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Timeline(**told.plain())


@router.get("/customers/{customer}/timeline")
async def timeline_of_customer(
    desk: TheDesk,
    actor: ReadsCustomers,
    customer: Name,
    client: Client = "",
    after: Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> CustomerTimeline:
    """What there is of a customer: calls, notes, follow-ups, callbacks, and who became one with them.

    Of each kind as far as one's scopes go: calls and notes take calls:read.
    """
    ids = await _customer(desk, actor, client, customer)
    try:
        items, following = await Timelines(desk.reader).of_customer(*ids, actor, after=after, limit=limit)
    except BadCursor as error:
        raise Problem(422, Reason.INVALID, str(error), "after") from None
    return CustomerTimeline(items=[CustomerItem(**item.plain()) for item in items], next=following)


@router.get("/customers/{customer}/notes")
async def notes_of_customer(
    desk: TheDesk, request: Request, actor: ReadsCustomers, customer: Name, client: Client = ""
) -> Notes:
    """The notes of a customer and of their calls, the latest first."""
    whose, _ = await _customer(desk, actor, client, customer)
    answer = await command(desk, request, actor, "notes", client=whose, customer=customer, history=True)
    return Notes(items=answer["notes"])


@router.post("/customers/{customer}/notes", status_code=201)
async def add_note_of_customer(
    desk: TheDesk,
    request: Request,
    response: Response,
    actor: Annotated[Actor, requires(Scope.CALLS_CONTROL, Scope.CUSTOMERS_WRITE)],
    customer: Name,
    body: WrittenNote,
    client: Client = "",
) -> Note:
    """Write a note of a customer, beside any call."""
    whose, _ = await _customer(desk, actor, client, customer)
    fields = {"client": whose, "customer": customer, "more": True, "text": body.text}
    return await _written(desk, request, response, actor, fields, None)


async def _written(
    desk: TheDesk,
    request: Request,
    response: Response,
    actor: Actor,
    fields: dict[str, Any],
    if_match: str | None,
) -> Note:
    """Have a note written. Raises Problem: 412 when it is not the one any more that the writer knows."""
    if if_match is not None:
        fields["revision"] = _revision(if_match)
    try:
        answer = await command(desk, request, actor, "note", **fields)
    except Problem as problem:
        if problem.field == "revision" and problem.reason == Reason.CONFLICT:
            raise Problem(412, problem.reason, problem.detail, "If-Match", **problem.more) from None
        raise
    note = Note(**answer["note"])
    response.headers["ETag"] = _tag(note.revision)
    return note


async def _customer(desk: TheDesk, actor: Actor, client: str, customer: str) -> tuple[str, tuple[str, ...]]:
    """Whose customer it is, and every id that means them. Raises Problem."""
    whose = client or (next(iter(actor.clients)) if actor.clients is not None and len(actor.clients) == 1 else "")
    if not whose:
        raise Problem(422, Reason.INVALID, "`client` is missing: whose customer is it?", "client")
    customers = Customers(desk.reader)
    found = await customers.get(whose, customer) if actor.sees(whose) else None
    if found is None:
        raise Problem(404, Reason.NOT_FOUND, "there is no such customer", "customer")
    return whose, await customers.ids_of(whose, found.id)


def _not_for_clients(actor: Actor, field: str) -> None:
    """What agents write among themselves is not shown to the client company."""
    if actor.role is Role.CLIENT:
        raise Problem(403, Reason.FORBIDDEN, "notes are for those who work on the floor", field)


def _tag(value: object) -> str:
    return f'"{value}"'


def _revision(tag: str) -> int:
    """The revision that an ETag of a note names. Raises Problem."""
    number = tag.strip().removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise Problem(412, Reason.CONFLICT, "that is no ETag of a note", "If-Match")
    return int(number)
