"""Recordings by the control socket: which there are, one of them, who keeps it, and away with it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from callcenter.calls.recordings import NotDone
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Scope
from callcenter.operate import fields
from callcenter.operate.written import written
from callcenter.storage.database import StorageError
from callcenter.storage.recordings import MAX_ROWS, Recording

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 100
FILTERS = ("client", "agent", "call", "state")
MOMENTS = ("since", "until")


def recording_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only(*FILTERS, *MOMENTS, "limit")
        words = {name: fields.text(asked, name) for name in FILTERS}
        moments = {name: fields.moment(asked, name) for name in MOMENTS}
        limit = fields.number(asked, "limit", least=1, most=MAX_ROWS, usual=DEFAULT_LIMIT)
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
        return await _one(house, house.recordings.find(fields.text(asked, "recording", wanted=True)))

    async def held(asked: Asked) -> dict[str, Any]:
        asked.only("recording", "why")
        name, why = fields.text(asked, "recording", wanted=True), fields.text(asked, "why", wanted=True)
        return await _one(house, house.recordings.hold(name, asked.by, why))

    async def released(asked: Asked) -> dict[str, Any]:
        asked.only("recording")
        return await _one(house, house.recordings.release(fields.text(asked, "recording", wanted=True), asked.by))

    async def deleted(asked: Asked) -> dict[str, Any]:
        asked.only("recording", "why")
        name, why = fields.text(asked, "recording", wanted=True), fields.text(asked, "why", wanted=True)
        return await _one(house, house.recordings.delete(name, asked.by, why))

    async def opened(asked: Asked) -> dict[str, Any]:
        asked.only("recording")
        name = fields.text(asked, "recording", wanted=True)
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
