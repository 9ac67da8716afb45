"""``/public/v1/clients/{client}/call-me``: customers ask on a company's website or in its app to be called.

In two steps, so that nobody is called who did not ask: a request plans nothing, and answers with a code; confirmed, by
that code or by the company's own backend, it becomes a callback. What is noted of a number is told to nobody here: a
number that is not to be called is answered as any other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from callcenter.calls.settings import Client
from callcenter.config.settings import CallMe
from callcenter.control.protocol import Reason
from callcenter.desk import call_me as requests
from callcenter.desk.call_me import State, TooMany, knows_code
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, address_of, limit, too_many, who_asks
from callcenter.desk.problems import Problem, not_found
from callcenter.model.access import Scope
from callcenter.model.due import NotADue, read_due

router = APIRouter(prefix="/public/v1/clients/{client}", tags=["call me"])
Id = Annotated[str, Field(max_length=64)]
Code = Annotated[str, Field(min_length=1, max_length=64, description="the code that came with the request")]
CodeHeader = Annotated[
    str, Header(alias=requests.CODE_HEADER, max_length=64, description="the code that came with the request")
]

# A request is some words; nobody sends a letter by this door.
LONGEST_BODY = 4096
DUE = "a local time (`2026-12-01T10:00`), one with an offset, or `tomorrow 10:00`, `friday 9:30`, `17:00`, `in 2h`"


class NewCallMe(BaseModel):
    """Who is to be called, about what, and when."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(min_length=1, max_length=32, description="as it is dialled in the company's country, or +...")
    reason: str = Field(default="", max_length=64, description="one of those that the company has")
    at: str | None = Field(default=None, min_length=1, max_length=64, description=f"not before: {DUE}")
    until: str | None = Field(default=None, min_length=1, max_length=64, description="and not after")
    name: str = Field(default="", max_length=80)
    language: str = Field(default="", max_length=35, pattern="^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$")


class CallMeState(BaseModel):
    """How a request stands; of the callback itself nothing is told."""

    id: str
    state: State
    not_before: datetime = Field(description="nobody is called sooner")
    confirm_by: datetime = Field(description="not confirmed by then, it comes to nothing")


class CallMeMade(CallMeState):
    """A new request."""

    code: str = Field(description="what confirms, shows and cancels it; told only now")
    confirm: Literal["caller", "backend"] = Field(description="who is to confirm it")


class Confirmation(BaseModel):
    """The code; a backend that confirms shows its token instead."""

    model_config = ConfigDict(extra="forbid")

    code: Code | None = None


class Cancellation(BaseModel):
    """The code."""

    model_config = ConfigDict(extra="forbid")

    code: Code


class Door:
    """A company's public door: the company, and what it allows."""

    def __init__(self, desk: Desk, client: Client, rules: CallMe) -> None:
        self.desk = desk
        self.client = client
        self.rules = rules
        self.hours = desk.settings.calls.hours.get(rules.hours)
        self.zone = client.zone or ZoneInfo("UTC")

    async def find(self, id: str, code: str | None) -> requests.Request:
        """The request that this code belongs to. Raises Problem: a wrong code is as good as none."""
        found = await self.desk.call_me.find(self.client.id, id)
        if found is None or code is None or not knows_code(found, code):
            raise not_found("request")
        return found


async def the_door(request: Request, desk: TheDesk, client: Id) -> Door:
    """Whether the company has such a door, for pages of this origin, and for one who does not ask all the time."""
    limit(desk, f"address {address_of(request)}")
    rules, there = desk.settings.call_me.get(client), desk.settings.calls.clients.get(client)
    if rules is None or there is None:
        raise not_found("client")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() not in rules.origins:
        raise Problem(403, Reason.FORBIDDEN, "this page may not ask here: its origin is none of the client's")
    if len(await request.body()) > LONGEST_BODY:
        raise Problem(413, "content_too_large", f"a body is {LONGEST_BODY // 1024} kB at most")
    return Door(desk, there, rules)


TheDoor = Annotated[Door, Depends(the_door)]
_token = HTTPBearer(auto_error=False, scheme_name="token")


@router.post("/call-me", status_code=202)
async def call_me(request: Request, door: TheDoor, new: NewCallMe) -> CallMeMade:
    """Ask to be called. Nobody is called before it is confirmed, nor within the delay that the company has."""
    desk, rules, client = door.desk, door.rules, door.client
    number = client.outbound.plan.to_e164(new.number) if client.outbound is not None else None
    if number is None or client.callbacks is None or not client.callbacks.permits(number):
        raise Problem(422, Reason.INVALID, "this is no number that is called: write e.g. +14155550100", "number")
    if new.reason and new.reason not in rules.reasons:
        raise Problem(422, Reason.INVALID, f"reason: one of {', '.join(rules.reasons) or 'none'}", "reason")
    not_before, not_after = _window(door, new)
    try:
        made, code = await desk.call_me.add(
            client.id,
            rules,
            address_of(request),
            number=number,
            reason=new.reason,
            name=" ".join(new.name.split()),
            language=client.speaks(new.language) or client.language,
            not_before=not_before,
            not_after=not_after,
        )
    except TooMany as error:
        raise too_many(error.wait) from None
    return CallMeMade(**_told(made), code=code, confirm="backend" if rules.backend else "caller")


@router.post("/call-me/{id}/confirm")
async def confirm_call_me(
    request: Request,
    door: TheDoor,
    id: Id,
    confirmation: Confirmation | None = None,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_token)] = None,
) -> CallMeState:
    """Confirm it: by the code, or by a token of the company's backend (callbacks:write), as the company has it."""
    if door.rules.backend:
        actor = await who_asks(request, door.desk, bearer, None)
        if not actor.may(Scope.CALLBACKS_WRITE):
            detail = f"this takes the scope {Scope.CALLBACKS_WRITE}, which you do not hold"
            raise Problem(403, Reason.FORBIDDEN, detail, scope=Scope.CALLBACKS_WRITE)
        found = await door.desk.call_me.find(door.client.id, id) if actor.sees(door.client.id) else None
        if found is None:
            raise not_found("request")
    else:
        found = await door.find(id, confirmation.code if confirmation is not None else None)
    match found.state:
        case State.REQUESTED:
            found = await requests.confirm(door.desk, found, door.rules)
        case State.CANCELLED | State.EXPIRED:
            raise Problem(409, Reason.CONFLICT, f"it is {found.state}: ask again")
        case State.CONFIRMED:
            pass
    return CallMeState(**_told(found))


@router.get("/call-me/{id}")
async def call_me_state(door: TheDoor, id: Id, code: CodeHeader) -> CallMeState:
    """How it stands."""
    return CallMeState(**_told(await door.find(id, code)))


@router.post("/call-me/{id}/cancel")
async def cancel_call_me(door: TheDoor, id: Id, cancellation: Cancellation) -> CallMeState:
    """Do not call after all."""
    found = await door.find(id, cancellation.code)
    if found.state in (State.REQUESTED, State.CONFIRMED):
        found = await requests.cancel(door.desk, found)
    return CallMeState(**_told(found))


def _window(door: Door, new: NewCallMe) -> tuple[datetime, datetime | None]:
    """From when to when they wish to be called, within the hours in which somebody does. Raises Problem."""
    now = door.desk.clock.now()
    earliest = now + timedelta(seconds=door.rules.delay)
    wished = _moment(door, new.at, "at", now)
    until = _moment(door, new.until, "until", now)
    if wished is not None and not requests.is_open(door.hours, door.zone, max(wished, earliest)):
        raise Problem(422, Reason.INVALID, "nobody is there at that time: wish another, or none", "at")
    not_before = requests.next_open(door.hours, door.zone, max(wished or earliest, earliest))
    if not_before is None:
        raise Problem(422, Reason.INVALID, "nobody is there in the next days", "at")
    if until is not None and until <= not_before:
        raise Problem(422, Reason.INVALID, "that is too early: nobody can call until then", "until")
    return not_before, until


def _moment(door: Door, written: str | None, field: str, now: datetime) -> datetime | None:
    if written is None:
        return None
    try:
        at = read_due(written, door.zone, now).at
    except NotADue as error:
        raise Problem(422, Reason.INVALID, str(error), field) from None
    if not now < at < now + requests.FURTHEST:
        raise Problem(422, Reason.INVALID, f"it is past, or more than {requests.FURTHEST.days} days away", field)
    return at


def _told(request: requests.Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "state": request.state,
        "not_before": request.not_before,
        "confirm_by": request.confirm_by,
    }
