"""Do not call, as commands: numbers onto a client's list and off it, what stands there, and whole lists at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Role, Scope
from callcenter.model.customer_form import with_plus
from callcenter.model.do_not_call import MAX_REASON, Entry, Source, read_expiry
from callcenter.operate import fields
from callcenter.storage.database import StorageError
from callcenter.storage.do_not_call import MAX_ROWS

if TYPE_CHECKING:
    from callcenter.app.house import House

# Entries of one command; a line of the socket holds 64 kB.
MOST_AT_ONCE = 250
DEFAULT_LIMIT = 50


def do_not_call_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def added(asked: Asked) -> dict[str, Any]:
        asked.only("client", "number", "call", "reason", "expires_at")
        reason = fields.text(asked, "reason", most=MAX_REASON)
        expires = _expiry(house, fields.text(asked, "expires_at", most=64))
        if asked.fields.get("call") is not None:
            client, number, call = _of_call(house, asked)
        else:
            client, call = fields.client(house, asked), ""
            number = _number(house, client, fields.text(asked, "number", most=40, wanted=True))
        # An agent has it added who is just talking to somebody; all else is a program, or somebody at a desk.
        source = Source.AGENT if asked.actor.role is Role.AGENT else Source.API
        entry = house.do_not_call.add(
            client, number, reason=reason, source=source, by=asked.by, call=call, expires_at=expires
        )
        await _written(house)
        return {"entry": entry.plain()}

    async def removed(asked: Asked) -> dict[str, Any]:
        asked.only("client", "number", "entry")
        entry = await _entry(house, asked)
        house.do_not_call.remove(entry, asked.by)
        await _written(house)
        return {"entry": entry.plain()}

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only("client", "number", "after", "limit")
        client = fields.client(house, asked)
        limit = fields.number(asked, "limit", least=1, most=MAX_ROWS, usual=DEFAULT_LIMIT)
        store = house.edges.storage.do_not_call
        try:
            if (number := fields.text(asked, "number", most=40)) != "":
                one = await store.entry(client, _number(house, client, number))
                return {"items": [] if one is None else [one.plain()], "next": None}
            found = await store.find(client, after=fields.text(asked, "after", most=40), limit=limit)
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        return {"items": [each.plain() for each in found], "next": found[-1].number if len(found) == limit else None}

    async def imported(asked: Asked) -> dict[str, Any]:
        asked.only("client", "entries", "dry")
        client, dry = fields.client(house, asked), fields.flag(asked, "dry")
        entries = asked.fields.get("entries")
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_AT_ONCE:
            raise CommandError(f"`entries` is a list of 1 to {MOST_AT_ONCE} numbers", field="entries")
        added = known = 0
        rejected: list[dict[str, Any]] = []
        seen: set[str] = set()
        for at, each in enumerate(entries):
            try:
                number, reason, expires = _row(house, client, each)
            except CommandError as error:
                line = each.get("line") if isinstance(each, dict) else None
                rejected.append({"line": line if isinstance(line, int) else at + 1, "why": str(error)})
                continue
            if number in seen or house.do_not_call.forbids(client, number):
                known += 1
            else:
                added += 1
            seen.add(number)
            if not dry:
                house.do_not_call.add(
                    client, number, reason=reason, source=Source.IMPORT, by=asked.by, expires_at=expires
                )
        if not dry:
            await _written(house)
        return {"dry": dry, "added": added, "known": known, "rejected": rejected}

    return {
        "do_not_call_add": Command(added, scope=Scope.CALLBACKS_WRITE),
        "do_not_call_remove": Command(removed, scope=Scope.SUPERVISE),
        "do_not_call": Command(listed, changes=False, scope=Scope.CALLBACKS_READ),
        "do_not_call_import": Command(imported, scope=Scope.SUPERVISE),
    }


async def _written(house: House) -> None:
    try:
        await house.edges.storage.do_not_call.kept(fields.WRITTEN_WITHIN)
    except (TimeoutError, StorageError) as error:
        # In memory it holds already, and it is written when the database is back, if we live to see that.
        raise CommandError(f"the database is away: {error}".rstrip(": "), Reason.UNAVAILABLE) from error


def _of_call(house: House, asked: Asked) -> tuple[str, str, str]:
    """Client, number and call of whom an agent talks to, or has just talked to."""
    name = fields.text(asked, "call", most=64, wanted=True)
    call = house.supervisor.calls.get(name)
    actor = asked.actor
    if call is None or not actor.sees(call.client.id):
        raise CommandError(f"there is no call `{name}`", Reason.NOT_FOUND, field="call")
    if actor.role is Role.AGENT:
        view = house.acd.agent(actor.agent)
        if (view is None or view.call_id != name) and call.agent != actor.agent:
            raise CommandError("the call is none of yours", Reason.FORBIDDEN, field="call")
    number = house.do_not_call.number_of(call)
    if number is None:
        raise CommandError("the number is not shown: nobody can be held from calling it", Reason.CONFLICT, field="call")
    return call.client.id, number, name


async def _entry(house: House, asked: Asked) -> Entry:
    store, wanted = house.edges.storage.do_not_call, fields.text(asked, "entry", most=64)
    try:
        if wanted:
            entry = await store.by_id(wanted)
        else:
            client = fields.client(house, asked)
            number = _number(house, client, fields.text(asked, "number", most=40, wanted=True))
            entry = await store.entry(client, number)
    except StorageError as error:
        raise CommandError(str(error), Reason.UNAVAILABLE) from error
    if entry is None or not asked.actor.sees(entry.client):
        raise CommandError(
            "there is no such number on the list", Reason.NOT_FOUND, field="entry" if wanted else "number"
        )
    return entry


def _row(house: House, client: str, each: object) -> tuple[str, str, datetime | None]:
    if not isinstance(each, dict):
        raise CommandError('an entry is an object such as {"number": "+14155550100", "reason": "asked for it"}')
    row = Asked("do_not_call_import", "", fields=each)
    row.only("line", "number", "reason", "expires_at")
    number = _number(house, client, fields.text(row, "number", most=40, wanted=True))
    expires = _expiry(house, fields.text(row, "expires_at", most=64))
    return number, fields.text(row, "reason", most=MAX_REASON), expires


def _number(house: House, client: str, written: str) -> str:
    # A list that a spreadsheet had is of these numbers too.
    whole = with_plus(written, house.services.settings.clients[client].customers)
    number = house.do_not_call.written(client, whole)
    if number is None:
        raise CommandError(f"`{written}` is no telephone number: write e.g. +14155550100", field="number")
    return number


def _expiry(house: House, written: str) -> datetime | None:
    try:
        expires = read_expiry(written)
    except ValueError as error:
        raise CommandError(str(error), field="expires_at") from None
    if expires is not None and expires <= house.edges.clock.now():
        raise CommandError(f"`{written}` is past: it would expire at once", field="expires_at")
    return expires
