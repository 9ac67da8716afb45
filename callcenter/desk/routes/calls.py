"""``/calls``: what calls came to, and why it was so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.asked import FIRST_PAGE, After, Limit, ListOf, Moment, Name, Word, for_whom, refused
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem, not_found
from callcenter.desk.reading.calls import Calls, Filter, for_agent, for_client, summary_for_client
from callcenter.desk.reading.paging import BadCursor
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.ids import is_slug
from callcenter.model.states import Outcome

router = APIRouter(prefix="/api/v1", tags=["calls"])

Reads = Annotated[Actor, requires(Scope.CALLS_READ)]
CALL = "call"


class Call(BaseModel):
    """A call in a list. What was not is empty or null; for somebody of a client company ``agent`` is empty."""

    model_config = ConfigDict(populate_by_name=True)

    call: str = Field(examples=["cc1-01kjpwd6vzpggn6g4qsaxf72bt"])
    client: str = Field(examples=["acme"])
    customer: str = Field(description="the customer's id, when it was surely they", examples=["c-4711"])
    direction: str = Field(examples=["inbound"])
    from_: str = Field(alias="from", examples=["+14155550100"])
    to: str = Field(examples=["+18005550100"])
    arrived_at: str = Field(examples=["2026-11-30T12:00:00.000Z"])
    ended_at: str | None = Field(examples=["2026-11-30T12:05:00.000Z"])
    outcome: str | None = Field(examples=["handled"])
    intent: str = Field(examples=["sales"])
    queue: str = Field(description="the last one visited", examples=["sales"])
    agent: str = Field(description="who talked last", examples=["ana"])
    wait_ms: int
    talk_ms: int
    hold_ms: int
    wrap_up_ms: int
    ended_by: str | None = Field(examples=["caller"])
    cause: str | None = Field(examples=["hangup"])


class CallPage(ListOf):
    """A page of calls, the latest first."""

    items: list[Call]


class CallRecord(BaseModel):
    """All that is kept of a call: who, when, each visit to a queue, offer, talk, transfer and recording.

    A call that is still up has no ``ended_at`` and no ``outcome``.
    """

    model_config = ConfigDict(extra="allow")

    call_id: str = Field(examples=["cc1-01kjpwd6vzpggn6g4qsaxf72bt"])
    client: str = Field(examples=["acme"])
    arrived_at: str
    ended_at: str | None
    outcome: str | None
    from_number: str
    to_number: str
    visits: list[dict[str, Any]]
    legs: list[dict[str, Any]]
    recordings: list[dict[str, Any]]


class Why(BaseModel):
    """Why a call went to whom it went: ``lines`` for people, the decisions as they were taken, what it waits for."""

    lines: list[str]
    call: str
    decisions: list[dict[str, Any]]
    waiting: list[dict[str, Any]]


class Trace(BaseModel):
    """The messages of a call, in base64, without secrets, and the facts between them."""

    model_config = ConfigDict(extra="allow")

    call: str
    sip_call_ids: list[str]
    messages: list[dict[str, Any]]
    facts: list[dict[str, Any]]


@router.get("/calls")
async def calls(
    desk: TheDesk,
    actor: Reads,
    client: Word = "",
    queue: Word = "",
    agent: Annotated[str, Query(max_length=200, description="who talked last")] = "",
    customer: Word = "",
    number: Annotated[str, Query(max_length=200, description="the customer's, as it was signalled or dialled")] = "",
    outcome: Annotated[Outcome | Literal[""], Query(description="what it came to")] = "",
    since: Moment = None,
    until: Moment = None,
    after: After = None,
    limit: Limit = FIRST_PAGE,
) -> CallPage:
    """Calls by when they arrived, the latest first. What is empty is not asked for."""
    if actor.role is Role.CLIENT:
        agent = ""  # what cannot be seen cannot be guessed by asking either
    asked = Filter(client, queue, agent, customer, number, outcome, since, until)
    try:
        found, following = await Calls(desk.reader).page(asked, actor.clients, after=after, limit=limit)
    except BadCursor as error:
        raise Problem(422, Reason.INVALID, str(error), "after") from None
    return CallPage(items=[Call(**for_whom(actor, each, summary_for_client)) for each in found], next=following)


@router.get("/calls/{call}")
async def call(desk: TheDesk, actor: Reads, call: Name) -> CallRecord:
    """All that is kept of one call, also while it is up."""
    found = await Calls(desk.reader).one(call, actor.clients)
    if found is None:
        raise not_found(CALL)
    if actor.role is Role.AGENT:
        found = for_agent(found, actor.agent)
    return CallRecord(**for_whom(actor, found, for_client))


@router.get("/calls/{call}/why")
async def why(desk: TheDesk, actor: Annotated[Actor, requires(Scope.CALLS_READ, Scope.AGENTS_READ)], call: Name) -> Why:
    """Why a call went to whom it went, or what it waits for."""
    if not is_slug(call):
        raise not_found(CALL)
    try:
        told = await desk.switch.ask("why", actor, call=call)
    except CommandError as error:
        raise refused(CALL, error) from None
    if told["call"] != call:  # the end of an id names a call on the command line alone
        raise not_found(CALL)
    return Why(**told)


@router.get("/calls/{call}/trace")
async def trace(
    desk: TheDesk, actor: Annotated[Actor, requires(Scope.CALLS_READ, Scope.SUPERVISE)], call: Name
) -> Trace:
    """The SIP messages of a call, where the switch keeps them, and its facts."""
    if not is_slug(call):
        raise not_found(CALL)
    try:
        told = await desk.switch.ask("trace", actor, call=call)
    except CommandError as error:
        raise refused(CALL, error) from None
    if told["call"] != call:
        raise not_found(CALL)
    return Trace(**told)
