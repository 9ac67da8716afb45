"""``/do-not-call``: the numbers that a client is not to call."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import Reason
from callcenter.desk.commands import command
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Scope
from callcenter.model.do_not_call import MAX_REASON, NotAList, Source, read_csv

router = APIRouter(prefix="/api/v1", tags=["do-not-call"])
Reads = Annotated[Actor, requires(Scope.CALLBACKS_READ)]
Writes = Annotated[Actor, requires(Scope.CALLBACKS_WRITE)]
Supervises = Annotated[Actor, requires(Scope.SUPERVISE)]
Id = Annotated[str, Field(max_length=64)]
Number = Annotated[str, Field(min_length=1, max_length=40)]

LONGEST_PAGE = 500
# What goes to the switch at once, and what one request may bring.
AT_ONCE = 200
MOST_LINES = 20_000
# Told of one file; the others are counted.
MOST_REJECTED = 100


class Entry(BaseModel):
    """A number that is not called."""

    id: str
    client: str
    number: str = Field(description="in E.164")
    reason: str
    source: Source
    call: str | None = Field(description="where the caller asked for it")
    added_by: str
    added_at: datetime
    expires_at: datetime | None


class EntryList(BaseModel):
    """The numbers of a client; ``next`` is what ``after`` takes for those behind."""

    items: list[Entry]
    next: str | None


class NewEntry(BaseModel):
    """A number, or whom an agent talks to in a ``call``, that is not to be called."""

    model_config = ConfigDict(extra="forbid")

    client: Id | None = Field(default=None, description="whose; not needed with `call`, nor by who sees one alone")
    number: Number | None = None
    call: Id | None = None
    reason: str = Field(default="", max_length=MAX_REASON)
    expires_at: str | None = Field(default=None, max_length=64, description="2027-11-30, or a moment; null: for good")


class File(BaseModel):
    """A CSV file with the columns ``number`` and, if any, ``reason`` and ``expires``."""

    model_config = ConfigDict(extra="forbid")

    client: Id | None = None
    csv: str = Field(max_length=1_000_000)
    dry: bool = Field(default=False, description="only tell what would come of it")


class Rejected(BaseModel):
    """A line that is no number, and why."""

    line: int
    why: str


class Imported(BaseModel):
    """What came of a file. ``rejected`` are the first of those that ``refused`` counts."""

    dry: bool
    added: int
    known: int
    refused: int
    rejected: list[Rejected]


@router.get("/do-not-call")
async def do_not_call(
    request: Request,
    desk: TheDesk,
    actor: Reads,
    client: Id | None = None,
    number: Annotated[str | None, Query(max_length=40, description="only whether this one is there")] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50,
    after: Annotated[str | None, Query(max_length=40)] = None,
) -> EntryList:
    """The numbers that a client is not to call, in their order."""
    asked = _named({"client": client, "number": number, "after": after})
    return EntryList(**await command(desk, request, actor, "do_not_call", limit=limit, **asked))


@router.post("/do-not-call", status_code=201)
async def add_do_not_call(request: Request, desk: TheDesk, actor: Writes, new: NewEntry) -> Entry:
    """Put a number on the list: its callbacks end, and nobody dials it by hand."""
    told = await command(desk, request, actor, "do_not_call_add", **_named(new.model_dump(mode="json")))
    return Entry(**told["entry"])


@router.delete("/do-not-call/{entry}", status_code=204)
async def remove_do_not_call(request: Request, desk: TheDesk, actor: Supervises, entry: Id) -> None:
    """Take a number off the list, by the id of its entry."""
    await command(desk, request, actor, "do_not_call_remove", entry=entry)


@router.post("/do-not-call/import")
async def import_do_not_call(request: Request, desk: TheDesk, actor: Supervises, file: File) -> Imported:
    """Put the numbers of a file on the list; what is wrong is told by line, and the rest is taken."""
    try:
        lines = list(read_csv(file.csv))
    except NotAList as error:
        raise Problem(422, Reason.INVALID, str(error), "csv") from None
    if not lines:
        raise Problem(422, Reason.INVALID, "there is no number in it", "csv")
    if len(lines) > MOST_LINES:
        detail = f"{len(lines)} lines: send {MOST_LINES} at once at most, or use `callcenter do-not-call import`"
        raise Problem(422, Reason.INVALID, detail, "csv")
    imported = Imported(dry=file.dry, added=0, known=0, refused=0, rejected=[])
    for start in range(0, len(lines), AT_ONCE):
        entries = [
            {"line": each.line, "number": each.number, "reason": each.reason, "expires_at": each.expires}
            for each in lines[start : start + AT_ONCE]
        ]
        # A key of the request stands for all of it: the same piece again changes nothing anyway.
        fields = _named({"client": file.client})
        told = await desk.switch.ask("do_not_call_import", actor, entries=entries, dry=file.dry, **fields)
        imported.added += told["added"]
        imported.known += told["known"]
        imported.refused += len(told["rejected"])
        room = MOST_REJECTED - len(imported.rejected)
        imported.rejected += [Rejected(**each) for each in told["rejected"][:room]]
    return imported


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that are there."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
