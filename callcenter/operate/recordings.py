"""Recordings by the control socket: which there are, one of them, who keeps it, and away with it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from callcenter.calls.recordings import NotDone
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Scope
from callcenter.operate.written import written
from callcenter.storage.database import StorageError
from callcenter.storage.recordings import MAX_ROWS, Recording

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 100
# A reason that is longer belongs into a file of one's own.
MOST_WORDS = 500
FILTERS = ("client", "agent", "call", "state")
MOMENTS = ("since", "until")


def recording_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only(*FILTERS, *MOMENTS, "limit")
        words = {name: _text(asked, name) for name in FILTERS}
        moments = {name: _moment(asked, name) for name in MOMENTS}
        limit = asked.fields.get("limit", DEFAULT_LIMIT)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_ROWS:
            raise CommandError(f"`limit` is a number from 1 to {MAX_ROWS}")
        try:
            found = await house.edges.storage.recordings.find(
                client=words["client"],
                agent=words["agent"],
                call=words["call"],
                state=words["state"],
                since=moments["since"],
                until=moments["until"],
                limit=limit,
            )
        except StorageError as error:
            raise CommandError(str(error)) from error
        return {**_where(house), "recordings": [each.plain() for each in found]}

    async def shown(asked: Asked) -> dict[str, Any]:
        asked.only("recording")
        return await _one(house, house.recordings.find(_text(asked, "recording", wanted=True)))

    async def held(asked: Asked) -> dict[str, Any]:
        asked.only("recording", "why")
        name, why = _text(asked, "recording", wanted=True), _text(asked, "why", wanted=True)
        return await _one(house, house.recordings.hold(name, asked.by, why))

    async def released(asked: Asked) -> dict[str, Any]:
        asked.only("recording")
        return await _one(house, house.recordings.release(_text(asked, "recording", wanted=True), asked.by))

    async def deleted(asked: Asked) -> dict[str, Any]:
        asked.only("recording", "why")
        name, why = _text(asked, "recording", wanted=True), _text(asked, "why", wanted=True)
        return await _one(house, house.recordings.delete(name, asked.by, why))

    async def opened(asked: Asked) -> dict[str, Any]:
        asked.only("recording")
        name = _text(asked, "recording", wanted=True)
        try:
            found = await house.recordings.open_for(name, asked.by, asked.actor.sees)
            # Nobody hears what nobody will know of.
            await written(house, house.stream.seq)
        except NotDone as error:
            there = await house.edges.storage.recordings.by_id(name)
            hidden = there is None or not asked.actor.sees(there.client)
            raise CommandError(str(error), Reason.NOT_FOUND if hidden else Reason.CONFLICT) from error
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        return {**_where(house), "recording": found.plain()}

    return {
        "recordings": Command(listed, changes=False),
        "recording": Command(shown, changes=False),
        "recording_open": Command(opened, scope=Scope.RECORDINGS_READ),
        "recording_hold": Command(held),
        "recording_release": Command(released),
        "recording_delete": Command(deleted),
    }


def _where(house: House) -> dict[str, Any]:
    return {"directory": str(house.services.settings.recording.directory)}


async def _one(house: House, asked: Awaitable[Recording]) -> dict[str, Any]:
    try:
        return {**_where(house), "recording": (await asked).plain()}
    except (NotDone, StorageError) as error:
        raise CommandError(str(error)) from error


def _text(asked: Asked, name: str, *, wanted: bool = False) -> str:
    value = asked.fields.get(name) or ""
    if not isinstance(value, str) or len(value) > MOST_WORDS or not value.isprintable():
        raise CommandError(f"`{name}` is a text of up to {MOST_WORDS} characters")
    if wanted and not value.strip():
        raise CommandError(f"`{name}` is missing")
    return value.strip()


def _moment(asked: Asked, name: str) -> datetime | None:
    text = _text(asked, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"`{name}` is no moment: write e.g. 2026-11-30 or 2026-11-30T10:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
