"""``/reports``: what happened, in the figures of ``callcenter report``, and the calls themselves, as tables."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response

from callcenter.control.protocol import Reason
from callcenter.desk.asked import Word, not_for_clients
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.desk.reading.calls import Calls, Filter, summary_for_client
from callcenter.desk.reading.paging import MAX_LIMIT
from callcenter.desk.reading.reports import AskedWrongly, Books, plain, table
from callcenter.ledger.report import By
from callcenter.model.access import Actor, Role, Scope
from callcenter.runtime.encoding import json_text

router = APIRouter(prefix="/api/v1", tags=["reports"])

# Calls in one table; whoever wants more asks for fewer days at once.
MAX_CALLS = 50_000
# Days of one report: what is longer reads more than anybody waits for.
MAX_DAYS = 400
CSV, JSON = "text/csv; charset=utf-8", "application/json"
# What a spreadsheet would take for a formula. A number of a telephone is none.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Kind(StrEnum):
    """What rows are of."""

    CALLS = "calls"
    QUEUES = "queues"
    AGENTS = "agents"
    CLIENTS = "clients"


FIRST_BY = {Kind.QUEUES: By.QUEUE, Kind.AGENTS: By.AGENT, Kind.CLIENTS: By.CLIENT}
Day = Annotated[
    str,
    Query(
        pattern=r"^(today|yesterday|\d{4}-\d{2}-\d{2})$",
        description="2026-03-02, today or yesterday",
        examples=["today"],
    ),
]


@router.get(
    "/reports/{kind}",
    response_class=Response,
    responses={
        200: {
            "description": "Times in milliseconds, shares of 1, moments with their offset; `definitions` say how each"
            " figure is meant",
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {"schema": "report.v1", "from": "2026-03-02", "to": "2026-03-02", "by": ["queue"],
                                "rows": [{"queue": "sales", "offered": 4, "answered": 2, "service_level": 0.3333}]},
                },
                "text/csv": {"schema": {"type": "string"}, "example": "queue,offered,answered\nsales,4,2\n"},
            },
        },
        304: {"description": "You have it already"},
    },
)  # fmt: skip
async def report(
    desk: TheDesk,
    actor: Annotated[Actor, requires(Scope.REPORTS_READ)],
    kind: Kind,
    first: Annotated[Day, Query(alias="from", description="the first day, of each client's own time zone")] = "today",
    last: Annotated[Day, Query(alias="to", description="the last day")] = "today",
    by: Annotated[
        list[By] | None, Query(description="what rows are of too; may be given several times; not for calls")
    ] = None,
    client: Word = "",
    queue: Word = "",
    agent: Word = "",
    minutes: Annotated[Literal["15", "30", "60"], Query(description="how long an interval is")] = "30",
    format: Annotated[Literal["json", "csv"], Query()] = "json",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Figures of days: the same as of ``callcenter report``, or every call of them."""
    wanted = [*([FIRST_BY[kind]] if kind in FIRST_BY else []), *(by or [])]
    if By.AGENT in wanted or agent:
        not_for_clients(actor, "what is told of agents")
    if client and not actor.sees(client):
        client = "?"  # as one that there is not: no name has this character
    days = _day(first, "from"), _day(last, "to")
    if kind is Kind.CALLS:
        if by:
            raise Problem(422, Reason.INVALID, "calls are told one by one: leave `by` away", "by")
        if not actor.may(Scope.CALLS_READ):
            raise Problem(403, Reason.FORBIDDEN, f"this takes the scope {Scope.CALLS_READ}, which you do not hold")
        body = await _calls(desk, actor, days, Filter(client=client, queue=queue, agent=agent), format)
    else:
        body = await asyncio.to_thread(
            _figures, desk, actor, tuple(dict.fromkeys(wanted)), days, client, queue, agent, int(minutes), format
        )
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    if format == "csv":
        headers["Content-Disposition"] = f'attachment; filename="{kind}-{first}-{last}.csv"'
    return Response(body, headers=headers, media_type=CSV if format == "csv" else JSON)


def _day(text: str, field: str) -> date | int:
    if text in ("today", "yesterday"):
        return ("today", "yesterday").index(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(422, Reason.INVALID, f"there is no day {text}: write e.g. 2026-03-02", field) from None


def _figures(
    desk: Desk,
    actor: Actor,
    by: tuple[By, ...],
    days: tuple[date | int, date | int],
    client: str,
    queue: str,
    agent: str,
    minutes: int,
    format: str,
) -> bytes:
    books = Books(desk.settings, desk.clock.now(), actor.clients)
    try:
        question = books.question(
            by, first=days[0], last=days[1], minutes=minutes, client=client, queue=queue, agent=agent
        )
    except AskedWrongly as error:
        raise Problem(422, Reason.INVALID, str(error).replace("--", ""), error.field) from None
    if (question.last - question.first).days >= MAX_DAYS:
        raise Problem(422, Reason.INVALID, f"ask for {MAX_DAYS} days at most", "from")
    answer = books.answer(question)
    if format == "csv":
        return as_csv(table(answer))
    told = plain(answer, books.as_of, books.corrected)
    if actor.clients is not None:
        told["gaps"] = []  # what the house has lost is the house's to mend
    return json_text(told).encode("ascii")


async def _calls(desk: Desk, actor: Actor, days: tuple[date | int, date | int], asked: Filter, format: str) -> bytes:
    """Every call of these days, the latest first: of each client by its own clock."""
    reading, rows = Calls(desk.reader), list[dict[str, Any]]()
    zones = {name: about.zone or UTC for name, about in desk.settings.calls.clients.items()}
    seen = [asked.client] if asked.client else await reading.clients()
    for client in seen:
        if not actor.sees(client):
            continue
        zone = zones.get(client, UTC)
        since, until = _moments(desk.clock.now(), zone, days)
        each = Filter(client, asked.queue, asked.agent, since=since, until=until)
        after = None
        while True:
            items, after = await reading.page(each, actor.clients, after=after, limit=MAX_LIMIT)
            rows += [_row(item, zone, actor) for item in items]
            if len(rows) > MAX_CALLS:
                raise Problem(
                    422, Reason.INVALID, f"these are more than {MAX_CALLS} calls: ask for fewer days at once", "from"
                )
            if after is None:
                break
    if format == "csv":
        heads = list(rows[0]) if rows else CALL_HEADS
        return await asyncio.to_thread(as_csv, [heads, *(list(row.values()) for row in rows)])
    return await asyncio.to_thread(lambda: json_text({"schema": "calls.v1", "rows": rows}).encode("ascii"))


def _moments(now: datetime, zone: tzinfo, days: tuple[date | int, date | int]) -> tuple[datetime, datetime]:
    today = now.astimezone(zone).date()
    try:
        first, last = (today - timedelta(days=each) if isinstance(each, int) else each for each in days)
        if last < first:
            raise Problem(422, Reason.INVALID, f"to {last} is before from {first}", "to")
        if (last - first).days >= MAX_DAYS:
            raise Problem(422, Reason.INVALID, f"ask for {MAX_DAYS} days at most", "from")
        begins = datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC)
        behind = last + timedelta(days=1)
        return begins, datetime(behind.year, behind.month, behind.day, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise Problem(422, Reason.INVALID, "no calendar has these days", "from") from None


CALL_HEADS = [
    "call", "client", "customer", "direction", "from", "to", "arrived_at", "ended_at", "outcome", "intent", "queue",
    "agent", "wait_ms", "talk_ms", "hold_ms", "wrap_up_ms", "ended_by", "cause",
]  # fmt: skip


def _row(call: dict[str, Any], zone: tzinfo, actor: Actor) -> dict[str, Any]:
    """A call with its moments by the client's clock, with their offset."""
    shown = summary_for_client(call) if actor.role is Role.CLIENT else call
    moments = {name: _local(shown[name], zone) for name in ("arrived_at", "ended_at")}
    return {**shown, **moments}


def _local(at: str | None, zone: tzinfo) -> str | None:
    return at and datetime.fromisoformat(at).astimezone(zone).isoformat(timespec="milliseconds")


def as_csv(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV (RFC 4180), of which no spreadsheet takes a cell for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_harmless(value) for value in row])
    return text.getvalue().encode("utf-8", "replace")


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA) and not (value[0] == "+" and value[1:].isdigit()):
        return "'" + value
    return value
