"""``/customers``: who calls: looked up, written down, made one of two, erased; and files of them, in and out."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import Reason
from callcenter.desk.commands import command
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Scope
from callcenter.model.customer import Match, Rules
from callcenter.model.customer_form import MAX_ID
from callcenter.storage.customer_csv import CustomerFiles, Mode
from callcenter.storage.customer_rows import is_encoding
from callcenter.storage.customers import MAX_ROWS
from callcenter.storage.database import storable

router = APIRouter(prefix="/api/v1", tags=["customers"])

# A million customers are some 150 MB.
MAX_FILE = 1 << 30
# Seconds that the next part of a file may take to come.
PATIENCE = 30.0

Reader = Annotated[Actor, requires(Scope.CUSTOMERS_READ)]
Writer = Annotated[Actor, requires(Scope.CUSTOMERS_WRITE)]
Exporter = Annotated[Actor, requires(Scope.CUSTOMERS_READ, Scope.CUSTOMERS_BULK)]
Importer = Annotated[Actor, requires(Scope.CUSTOMERS_WRITE, Scope.CUSTOMERS_BULK)]
Client = Annotated[str, Query(min_length=1, max_length=64, description="the company whose customer it is")]
FieldValue = str | int | float | bool | None


class Written(BaseModel):
    """What may be written of a customer; what is left out stays, null takes it away."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=2000)
    numbers: list[str] | None = Field(default=None, max_length=100, description="in E.164, or as they are dialled")
    accounts: list[str] | None = Field(default=None, max_length=100)
    tier: str | None = Field(default=None, max_length=2000)
    language: str | None = Field(default=None, max_length=2000)
    since: str | None = Field(default=None, max_length=2000)
    notes: str | None = Field(default=None, max_length=2000)
    agent: str | None = Field(default=None, max_length=64, description="whom they would rather talk to")
    fields: dict[str, FieldValue] | None = Field(default=None, description="those that the company has declared")


class NewCustomer(Written):
    """A new customer, under an id of one's own or one that is made."""

    client: str = Field(min_length=1, max_length=64)
    id: str | None = Field(default=None, min_length=1, max_length=MAX_ID)


class Merge(BaseModel):
    """A record that became one with another; ``record`` is what it was, ``conflicts`` what was kept and what not."""

    id: str
    at: str
    by: str
    record: dict[str, Any]
    conflicts: dict[str, Any]


class CustomerInfo(BaseModel):
    """A customer of one company."""

    client: str
    id: str
    name: str
    numbers: list[str]
    accounts: list[str]
    tier: str
    language: str
    since: str
    notes: str
    agent: str
    fields: dict[str, FieldValue]
    revision: int = Field(description="as in the ETag: with If-Match a change is refused that somebody made another of")
    merged: list[Merge] = Field(default=[], description="records that became this one; of one alone")


class CustomerList(BaseModel):
    """Customers by their ids; ``next`` is what to ask for ``after``."""

    items: list[CustomerInfo]
    next: str | None


class Found(BaseModel):
    """Who has a number or an account, and how sure it is."""

    match: Match
    items: list[CustomerInfo]


class MergeOrder(BaseModel):
    """Which record becomes one with this customer."""

    model_config = ConfigDict(extra="forbid")

    client: str = Field(min_length=1, max_length=64)
    other: str = Field(min_length=1, max_length=MAX_ID)


class Conflict(BaseModel):
    """What the two contradicted each other in."""

    kept: Any
    other: Any


class Merged(BaseModel):
    """The one that two became."""

    customer: CustomerInfo
    merged: bool = Field(description="false: they were one already")
    conflicts: dict[str, Conflict]


class ErasureOrder(BaseModel):
    """Who is to be erased: a customer by the id, or whoever has a number. With ``dry`` nothing is, and it is told."""

    model_config = ConfigDict(extra="forbid")

    client: str = Field(min_length=1, max_length=64)
    customer: str | None = Field(default=None, min_length=1, max_length=MAX_ID)
    number: str | None = Field(default=None, min_length=1, max_length=64)
    dry: bool = False


class Erased(BaseModel):
    """What was erased, how much of it, and what was not and why."""

    client: str
    customers: list[str]
    found: bool
    dry: bool
    erased: dict[str, int]
    kept: list[str]


class RejectedLine(BaseModel):
    """A line that is no customer."""

    line: int
    why: str


class Imported(BaseModel):
    """What an import did, or with ``dry`` would do; the first hundred lines that are none, and how many there are."""

    added: int
    changed: int
    unchanged: int
    refused: int
    dry: bool
    rejected: list[RejectedLine]
    passed_over: list[str] = Field(default=[], description="columns that mean nothing")


@router.get("/customers")
async def customers(
    desk: TheDesk,
    request: Request,
    actor: Reader,
    client: Client,
    name: Annotated[str, Query(max_length=200, description="how the name begins")] = "",
    after: Annotated[str, Query(max_length=MAX_ID)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 50,
) -> CustomerList:
    """The customers of a company, by their ids."""
    told = await command(desk, request, actor, "customer_find", client=client, name=name, after=after, limit=limit)
    found = [CustomerInfo(**each) for each in told["customers"]]
    return CustomerList(items=found, next=found[-1].id if len(found) == limit else None)


@router.get("/customers/lookup")
async def look_up(
    desk: TheDesk,
    request: Request,
    actor: Reader,
    client: Client,
    number: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    account: Annotated[str | None, Query(min_length=1, max_length=64, description="its digits")] = None,
) -> Found:
    """Who has a number, or an account: as a call would find them."""
    if (number is None) == (account is None):
        raise Problem(422, Reason.INVALID, "say a number, or an account", "number")
    by = {"number": number} if number is not None else {"account": account}
    told = await command(desk, request, actor, "customer_find", client=client, **by)
    return Found(match=told.get("match", Match.NONE), items=[CustomerInfo(**each) for each in told["customers"]])


@router.get("/customers/export", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
async def export(desk: TheDesk, actor: Exporter, client: Client) -> Response:
    """All customers of a company as CSV, as an import reads it."""
    rules = _rules(desk, actor, client)
    # Nothing is changed, but all that is known of everybody leaves the house.
    await desk.audit(actor, "customers_export", client=client)
    headers = {"Content-Disposition": f'attachment; filename="customers-{client}.csv"'}
    text = CustomerFiles(desk.reader, rules).export([client])
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/customers/{customer}")
async def one(
    desk: TheDesk, request: Request, response: Response, actor: Reader, customer: str, client: Client
) -> CustomerInfo:
    """One, also by an id that it had before it became one with another."""
    told = await command(desk, request, actor, "customer_get", client=client, customer=customer)
    return _tagged(response, told)


@router.post("/customers", status_code=201)
async def create(desk: TheDesk, request: Request, response: Response, actor: Writer, new: NewCustomer) -> CustomerInfo:
    """Write a new customer down. Without an id of one's own it takes an ``Idempotency-Key``."""
    fields = new.model_dump(exclude_unset=True, exclude={"id", "client"})
    own = {} if new.id is None else {"customer": new.id}
    told = await command(desk, request, actor, "customer_create", client=new.client, **own, **fields)
    found = _tagged(response, told)
    response.headers["Location"] = f"/api/v1/customers/{quote(found.id, safe='')}?client={quote(new.client)}"
    return found


@router.patch("/customers/{customer}")
async def update(
    desk: TheDesk,
    request: Request,
    response: Response,
    actor: Writer,
    customer: str,
    client: Client,
    changes: Written,
    if_match: Annotated[str | None, Header(max_length=40)] = None,
) -> CustomerInfo:
    """Change what is written (JSON merge patch, RFC 7396); with ``If-Match`` only what nobody has changed since."""
    known = {} if if_match is None or if_match.strip() == "*" else {"revision": _revision(if_match)}
    written = changes.model_dump(exclude_unset=True)
    try:
        asked = {"client": client, "customer": customer, **known}
        told = await command(desk, request, actor, "customer_update", **asked, **written)
    except Problem as problem:
        if known and problem.field == "revision":
            headers = {"ETag": f'"{problem.more.get("revision", "")}"'}
            raise Problem(412, "stale", problem.detail, "If-Match", headers=headers, **problem.more) from None
        raise
    return _tagged(response, told)


@router.post("/customers/{customer}/merge")
async def merge(desk: TheDesk, request: Request, actor: Writer, customer: str, order: MergeOrder) -> Merged:
    """Have another record become one with this one; nothing is lost, and its id means this one from then on."""
    asked = {"client": order.client, "customer": customer, "other": order.other}
    return Merged(**await command(desk, request, actor, "customer_merge", **asked))


@router.post("/customers/erase")
async def erase(
    desk: TheDesk, request: Request, actor: Annotated[Actor, requires(Scope.CUSTOMERS_ERASE)], order: ErasureOrder
) -> Erased:
    """Erase one person: the record, and whatever names them in calls, recordings, notes and callbacks."""
    numbers = await _numbers(desk, order)  # before: nobody knows them then
    told = await command(desk, request, actor, "customer_erase", **order.model_dump(exclude_none=True))
    if not order.dry:
        await desk.call_me.forget(order.client, numbers)
    return Erased(**told)


async def _numbers(desk: Desk, order: ErasureOrder) -> list[str]:
    """The numbers of who is to be erased, in E.164."""
    client = desk.settings.calls.clients.get(order.client)
    plan = client.outbound.plan if client is not None and client.outbound is not None else None
    if plan is None:
        return []  # nobody asks to be called by a company that calls nobody
    written = [order.number or ""]
    if order.customer is not None:
        rows = await desk.reader.fetch_all(
            "SELECT number FROM customer_numbers WHERE client = ? AND customer_id = ?",
            (storable(order.client), storable(order.customer)),
        )
        written = [str(number) for (number,) in rows]
    return [number for each in written if (number := plan.to_e164(each)) is not None]


@router.post(
    "/customers/import",
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def take_in(
    desk: TheDesk,
    request: Request,
    actor: Importer,
    client: Client,
    mode: Mode = Mode.REPLACE,
    dry: Annotated[bool, Query(description="only tell what would be done")] = False,
) -> Imported:
    """Take in a CSV of customers of one company. It is read by a program of its own, while calls go on.

    It is UTF-8, or what the ``charset`` of its ``Content-Type`` says, as ``windows-1250``.
    """
    _rules(desk, actor, client)
    encoding = _encoding(request.headers.get("content-type", ""))
    if desk.importing.locked():
        raise Problem(429, Reason.TOO_MANY, "a file is being taken in already", headers={"Retry-After": "10"})
    async with desk.importing:
        with _room(desk.settings.switch.data) as path:
            await _receive(request, path)
            report = await _import(desk, path, client, mode, encoding, dry=dry)
    if report["clients"] and not dry:
        await command(desk, request, actor, "customers_imported", clients=report["clients"])
    return Imported(**report)


def _rules(desk: Desk, actor: Actor, client: str) -> Mapping[str, Rules]:
    """How a company keeps its customers. Raises Problem for one that is not theirs to see."""
    found = desk.settings.calls.clients.get(client)
    if found is None or not actor.sees(client):
        raise Problem(404, Reason.NOT_FOUND, f"there is no client `{client}`", "client")
    return {client: found.customers}


def _encoding(content_type: str) -> str:
    """What a CSV is written in, if its type says so. Raises Problem for another type, and for what is no encoding."""
    told = Message()
    told["Content-Type"] = content_type
    if told.get_content_type() != "text/csv" or not content_type:
        raise Problem(415, Reason.INVALID, "the body is a CSV: Content-Type text/csv", "Content-Type")
    charset = told.get_content_charset("utf-8")
    if not is_encoding(charset):
        raise Problem(415, Reason.INVALID, f"there is no charset {charset!r:.60}", "Content-Type")
    # A file in UTF-8 need not be said to be, and may say itself that it is UTF-16.
    return "" if codecs.lookup(charset).name == "utf-8" else charset


@contextlib.contextmanager
def _room(data: Path) -> Iterator[Path]:
    """A file that only we read, gone afterwards."""
    handle, name = tempfile.mkstemp(prefix="import-", suffix=".csv", dir=data)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        os.unlink(name)


async def _receive(request: Request, path: Path) -> None:
    """The body into a file, as it comes. Raises Problem when it is too large."""
    received = 0
    with path.open("wb") as file:
        parts = aiter(request.stream())
        while True:
            try:
                # Somebody else's file waits for the end of this one.
                async with asyncio.timeout(PATIENCE):
                    part = await anext(parts, None)
            except TimeoutError:
                raise Problem(408, Reason.INVALID, f"nothing of the file came for {PATIENCE:g} s") from None
            if part is None:
                return
            received += len(part)
            if received > MAX_FILE:
                raise Problem(413, Reason.INVALID, f"a file is at most {MAX_FILE >> 20} MB: part it")
            await asyncio.to_thread(file.write, part)


async def _import(desk: Desk, path: Path, client: str, mode: Mode, encoding: str, *, dry: bool) -> dict[str, Any]:
    """Have a program of its own take the file in; what it says of it. Raises Problem."""
    settings = desk.settings
    arguments = [str(path), "--mode", mode.value, "--client", client, "--json", "--untold", *(["--dry"] if dry else [])]
    if encoding:
        arguments += ["--encoding", encoding]
    if settings.folder is not None:
        arguments += ["--config", str(settings.folder)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "callcenter", "customers", "import", *arguments),
        *("--data", str(settings.switch.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, wrong = await process.communicate()
    except asyncio.CancelledError:
        # Whoever asked is gone, and what was taken in stays: the same again goes on from there.
        process.kill()
        await process.wait()
        raise
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError:
        lines = wrong.decode(errors="replace").strip().replace(str(path), "the file").splitlines()
        detail = lines[-1].removeprefix("callcenter: ") if lines else "the file was not taken in"
        raise Problem(422, Reason.INVALID, detail) from None
    return report


def _revision(if_match: str) -> int:
    """The revision that an ETag names. Raises Problem."""
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Problem(412, "stale", "this is no ETag of a customer", "If-Match")
    return int(text)


def _tagged(response: Response, told: Mapping[str, Any]) -> CustomerInfo:
    found = CustomerInfo(**told["customer"])
    response.headers["ETag"] = f'"{found.revision}"'
    return found
