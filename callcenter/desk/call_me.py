"""Call me: who asked on a client's website to be called, until they, or the client's own backend, have confirmed it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from callcenter.calls.hours import Door, Hours, look
from callcenter.config.settings import CallMe
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.facts import utc
from callcenter.model.ids import derived_id
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database, Row, Value, storable

if TYPE_CHECKING:
    from callcenter.desk.desk import Desk

# What shows a request in a GET: addresses are kept in logs on the way, headers are not.
CODE_HEADER = "Call-Me-Code"
# Before the client, in the path of its public door.
PUBLIC = "/public/v1/clients/"
# Who does not confirm within this has to ask again; nothing of it was planned.
CONFIRM_WITHIN = timedelta(minutes=15)
# The limits look back a day; what is older is deleted.
KEPT = timedelta(hours=25)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# How often what is over is put away.
CLEANS_EVERY = 300.0
# So far ahead somebody may wish to be called, and so far is looked for an hour that is open.
FURTHEST = timedelta(days=14)
STEP = timedelta(minutes=15)

log = structlog.get_logger()


class State(StrEnum):
    """How a request stands. What became of the callback is told to nobody by this door."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for. Instants are UTC; ``number`` is in E.164, and empty when it is confirmed or over.

    ``number_key`` tells the number from others, and says of nobody which it is.
    """

    id: str
    client: str
    number: str
    reason: str
    name: str
    language: str
    not_before: datetime
    not_after: datetime | None
    state: State
    callback: str
    created_at: datetime
    code: bytes
    number_key: str

    @property
    def confirm_by(self) -> datetime:
        """Until when it can be confirmed."""
        return self.created_at + CONFIRM_WITHIN


class TooMany(Exception):
    """There were too many requests; ``wait`` seconds from now one may go through."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many: again in {wait:.0f} s")
        self.wait = wait


class Requests:
    """The requests of all clients, in the desk's own database.

    Who it was is kept until a request is confirmed or over. For the limits there are hashes, keyed by a ``secret``.
    """

    def __init__(self, own: Database, clock: Clock, secret: bytes) -> None:
        self._own = own
        self._clock = clock
        self._secret = secret

    async def add(
        self,
        client: str,
        rules: CallMe,
        address: str,
        *,
        number: str,
        reason: str,
        name: str,
        language: str,
        not_before: datetime,
        not_after: datetime | None,
    ) -> tuple[Request, str]:
        """A new request, with the code by which it is known; nothing is planned yet. Raises TooMany, StorageError."""
        now = _to_the_ms(self._clock.now())
        address_key = self._key("address", client, address)
        for where, value, most, span in (
            ("address_key", address_key, rules.per_address, HOUR),
            ("client", client, rules.per_hour, HOUR),
            ("client", client, rules.per_day, DAY),
        ):
            await self._limit(where, value, client, most, span, now)
        made, code = f"cm-{secrets.token_hex(10)}", secrets.token_urlsafe(18)
        request = Request(
            id=made,
            client=client,
            number=number,
            reason=storable(reason),
            name=storable(name),
            language=storable(language),
            not_before=_to_the_ms(not_before),
            not_after=not_after,
            state=State.REQUESTED,
            callback="",
            created_at=now,
            code=_hash(code),
            number_key=self._key("number", client, number),
        )
        values = (*_row(request), address_key)
        await self._own.execute(
            f"INSERT INTO call_me ({_COLUMNS}, address_key) VALUES ({', '.join('?' * len(values))})", values
        )
        return request, code

    async def find(self, client: str, id: str) -> Request | None:
        """A client's request, as it stands now; None when there is none. Raises StorageError."""
        rows = await self._own.fetch_all(
            f"SELECT {_COLUMNS} FROM call_me WHERE id = ? AND client = ?", (storable(id), storable(client))
        )
        request = _request(rows[0]) if rows else None
        if request is not None and request.state is State.REQUESTED and request.confirm_by <= self._clock.now():
            request = await self.set_state(request, State.EXPIRED)
        return request

    async def set_state(self, request: Request, state: State, callback: str = "") -> Request:
        """It stands so from now on. Raises StorageError."""
        rows = await self._own.execute(
            f"UPDATE call_me SET state = ?, callback = ?, {_NOBODY} WHERE id = ? RETURNING {_COLUMNS}",
            (state.value, callback or request.callback, request.id),
        )
        return _request(rows[0])

    async def too_often(self, request: Request, rules: CallMe) -> bool:
        """Whether this number was confirmed so often in a day that it is not called again. Raises StorageError."""
        since = utc(self._clock.now() - DAY)
        rows = await self._own.fetch_all(
            # One of before there were keys is like no other.
            "SELECT COUNT(*) FROM call_me WHERE number_key = ? AND number_key <> '' AND created_at > ? AND state = ?"
            " AND id <> ?",
            (request.number_key, since, State.CONFIRMED.value, request.id),
        )
        return int(rows[0][0]) >= rules.per_number

    async def clean(self) -> None:
        """Put away what was not confirmed in time, and delete what is old. Raises StorageError."""
        now = self._clock.now()
        await self._own.execute("DELETE FROM call_me WHERE created_at <= ?", (utc(now - KEPT),))
        await self._own.execute(
            f"UPDATE call_me SET state = ?, {_NOBODY} WHERE state = ? AND created_at <= ?",
            (State.EXPIRED.value, State.REQUESTED.value, utc(now - CONFIRM_WITHIN)),
        )
        await self._own.scrub()

    async def forget(self, client: str, numbers: Iterable[str]) -> None:
        """Nobody is called at these numbers (E.164) who has not confirmed it: they are erased. Raises StorageError."""
        for number in numbers:
            await self._own.execute(
                f"UPDATE call_me SET state = ?, {_NOBODY} WHERE number_key = ? AND state = ?",
                (State.EXPIRED.value, self._key("number", client, number), State.REQUESTED.value),
            )
        await self._own.scrub()

    def _key(self, kind: str, client: str, value: str) -> str:
        """What stands for a number or an address in the limits of a client."""
        return hmac.new(self._secret, f"{kind}\0{client}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]

    async def _limit(self, where: str, value: str, client: str, most: int, span: timedelta, now: datetime) -> None:
        """Raises TooMany when there were so many of one kind within a span of time."""
        rows = await self._own.fetch_all(
            f"SELECT created_at FROM call_me WHERE {where} = ? AND client = ? AND created_at > ?"
            " ORDER BY created_at DESC LIMIT 1 OFFSET ?",
            (value, client, utc(now - span), most - 1),
        )
        if rows:
            raise TooMany((datetime.fromisoformat(rows[0][0]) + span - now).total_seconds())


def knows_code(request: Request, code: str) -> bool:
    """Whether this is the code that came with it."""
    return hmac.compare_digest(_hash(code), request.code)


async def confirm(desk: Desk, request: Request, rules: CallMe) -> Request:
    """Have the callback planned; done once, however often it is asked for.

    A number that is not to be called, or was asked for too often, is answered as any other: what is noted of a number
    is nobody's business here. Raises CommandError where it may go well later, or the time that was wished is over;
    SwitchAway, StorageError.
    """
    requests, callback = desk.call_me, ""
    earliest = max(request.not_before, desk.clock.now() + timedelta(seconds=rules.delay))
    if request.not_after is not None and request.not_after <= earliest:
        raise CommandError("the time that was wished is over: ask again", Reason.CONFLICT)
    if await requests.too_often(request, rules):
        log.info("a call-me is dropped: its number was asked for too often", client=request.client, request=request.id)
        return await requests.set_state(request, State.CONFIRMED)
    fields: dict[str, Any] = {
        "client": request.client,
        "queue": rules.queue,
        "number": request.number,
        "source": "call_me",
        "reason": rules.reasons.get(request.reason, request.reason),
        "not_before": utc(earliest),
        "name": request.name,
        "language": request.language,
    }
    if request.not_after is not None:
        fields["not_after"] = utc(request.not_after)
    try:
        told = await desk.switch.ask(
            "callback_schedule",
            as_call_me(request.client),
            id=derived_id("call-me", request.id),
            **{name: value for name, value in fields.items() if value},
        )
        # What was promised in another way as well is not this door's to call off.
        callback = "" if told["merged"] else str(told["callback"]["id"])
    except CommandError as error:
        if error.reason is Reason.UNAVAILABLE:
            raise
        log.warning("a call-me comes to nothing", client=request.client, request=request.id, reason=error.reason.value)
    return await requests.set_state(request, State.CONFIRMED, callback)


async def cancel(desk: Desk, request: Request) -> Request:
    """It is not wanted any more; a callback that is being dialled goes its way. Raises SwitchAway, StorageError."""
    if request.callback:
        try:
            await desk.switch.ask("callback_cancel", as_call_me(request.client), callback=request.callback)
        except CommandError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise
    return await desk.call_me.set_state(request, State.CANCELLED)


def as_call_me(client: str) -> Actor:
    """As whom the public door asks the switch: callbacks of this one client, and nothing else."""
    return Actor(f"call-me {client}"[:64], Role.SUPERVISOR, frozenset({client}), frozenset({Scope.CALLBACKS_WRITE}))


def is_open(hours: Hours | None, zone: ZoneInfo, at: datetime) -> bool:
    """Whether somebody is there to call at that time."""
    return hours is None or look(hours, zone, at).door is Door.OPEN


def next_open(hours: Hours | None, zone: ZoneInfo, at: datetime) -> datetime | None:
    """From when on, from a moment on, somebody is there to call; None when it is not in sight."""
    if is_open(hours, zone, at):
        return at
    # On quarters of an hour, as opening hours are written.
    moment = at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond) + STEP
    while moment - at < FURTHEST:
        if is_open(hours, zone, moment):
            return moment
        moment += STEP
    return None


async def clean(desk: Desk) -> None:
    """Put away what is over, for as long as the desk lives."""
    while True:
        await desk.call_me.clean()
        await asyncio.sleep(CLEANS_EVERY)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "replace")).digest()


def _to_the_ms(at: datetime) -> datetime:
    """As the table keeps it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _row(request: Request) -> tuple[Value, ...]:
    """As the table has it, in the order of its columns."""
    values = (getattr(request, name) for name in _COLUMNS.split(", "))
    return tuple(utc(value) if isinstance(value, datetime) else value for value in values)


def _request(row: Row) -> Request:
    told = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("not_before", "not_after", "created_at"):
        told[name] = None if told[name] is None else datetime.fromisoformat(told[name])
    return Request(**{**told, "state": State(told["state"])})


_COLUMNS = (
    "id, client, number, reason, name, language, not_before, not_after, state, callback, created_at, code, number_key"
)
# What is taken out of a row when it is confirmed or over.
_NOBODY = "number = '', reason = '', name = ''"
