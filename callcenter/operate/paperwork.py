"""Notes, dispositions and wrap-up fields as commands: said of a talk while it goes on, or after it; and its story."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from callcenter.calls.paperwork import Talk
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Scope
from callcenter.model.facts import utc
from callcenter.model.timeline import lines
from callcenter.operate import fields
from callcenter.operate.fields import flag, text
from callcenter.storage.database import StorageError
from callcenter.storage.wrap_up_fields import in_force

if TYPE_CHECKING:
    from callcenter.app.house import House

# The command that makes a follow-up, and what of it may be said beside a disposition.
FOLLOW_UP = "followup_create"
FOLLOW_UP_FIELDS = (
    *("due_at", "zone", "kind", "title", "text", "agent", "queue"),
    *("not_after", "mode", "preview", "reason"),
)
MOST_NAME = 64
MOST_TITLE = 200

log = structlog.get_logger()


def paperwork_commands(house: House, table: Callable[[], Mapping[str, Command]]) -> Mapping[str, Command]:
    """The commands by their names; ``table`` has those of the others."""

    async def note(asked: Asked) -> dict[str, Any]:
        asked.only("call", "client", "customer", "agent", "note", "text", "more", "draft", "revision", "why")
        if not isinstance(asked.fields.get("text"), str):
            raise CommandError("`text` is missing: it is what the note says; empty takes it away", field="text")
        said = asked.fields["text"]
        revision = asked.fields.get("revision")
        if revision is not None and (not isinstance(revision, int) or isinstance(revision, bool) or revision < 0):
            raise CommandError("`revision` is the number of the one you know; 0: there is none yet", field="revision")
        name, call = (text(asked, each, most=MOST_NAME) for each in ("note", "call"))
        customer = fields.customer(asked)
        if sum(map(bool, (name, call, customer))) != 1:
            raise CommandError("say one of `call`, `customer` and `note`", field="call")
        written = await house.paperwork.note(
            asked.actor,
            said,
            by=asked.by,
            command=asked.id or house.ids.new(),
            call=call,
            client=text(asked, "client", most=MOST_NAME, wanted=bool(customer)),
            customer=customer,
            agent=text(asked, "agent", most=MOST_NAME),
            note=name,
            more=flag(asked, "more"),
            draft=flag(asked, "draft"),
            revision=revision,
            why=text(asked, "why"),
        )
        return {"note": written.plain()}

    async def notes(asked: Asked) -> dict[str, Any]:
        asked.only("call", "client", "customer", "history")
        call, customer = text(asked, "call", most=MOST_NAME), fields.customer(asked)
        if bool(call) == bool(customer):
            raise CommandError("say one of `call` and `customer`", field="call")
        client = text(asked, "client", most=MOST_NAME, wanted=bool(customer))
        found = await house.paperwork.notes(asked.actor, call=call, client=client, customer=customer)
        if not flag(asked, "history"):
            return {"notes": [each.plain() for each in found]}
        told = await house.edges.storage.notes.revisions([each.id for each in found])
        return {
            "notes": [
                {**each.plain(), "revisions": [one.plain() for one in told if one.note == each.id]} for each in found
            ]
        }

    async def disposition(asked: Asked) -> dict[str, Any]:
        asked.only("call", "agent", "offer", "disposition", "why", "follow_up")
        call, agent, offer = (text(asked, each, most=MOST_NAME) for each in ("call", "agent", "offer"))
        said, why = text(asked, "disposition", most=MOST_NAME, wanted=True), text(asked, "why")
        wanted = asked.fields.get("follow_up")
        if wanted is not None and not isinstance(wanted, dict):
            raise CommandError('`follow_up` is an object, such as {"due_at": "2026-12-01T10:00Z"}', field="follow_up")
        talk = await house.paperwork.find(asked.actor, call, agent, offer)
        code = house.paperwork.known(talk).find(said) or said
        made = await _follow_up(house, table(), asked, talk, code, wanted)
        before, found = await house.paperwork.dispose(
            asked.actor, said, by=asked.by, call=talk.call, agent=talk.agent, offer=talk.offer, why=why
        )
        return {
            "call": talk.call,
            "agent": talk.agent,
            "offer": talk.offer,
            "before": before.disposition,
            "disposition": found,
            "label": house.paperwork.known(talk).codes.get(found, found),
            "corrects": not before.at_work and found != before.disposition,
            **({} if made is None else {"follow_up": made}),
        }

    async def filled(asked: Asked) -> dict[str, Any]:
        asked.only("call", "agent", "offer", "values", "why")
        call, agent, offer = (text(asked, each, most=MOST_NAME) for each in ("call", "agent", "offer"))
        values = asked.fields.get("values")
        if values is not None and not isinstance(values, dict):
            raise CommandError('`values` is an object, such as {"order": "A-1881"}', field="values")
        if values:
            talk = await house.paperwork.fill(
                asked.actor, values, by=asked.by, call=call, agent=agent, offer=offer, why=text(asked, "why")
            )
        else:
            talk = await house.paperwork.find(asked.actor, call, agent, offer)
        asks = house.paperwork.fields_of(talk.client, talk.queue)
        there = [each for each in await house.paperwork.values(talk.call) if each.offer == talk.offer]
        now = {name: each.value for (_, name), each in in_force(there).items() if each.value is not None}
        return {
            "call": talk.call,
            "agent": talk.agent,
            "offer": talk.offer,
            "fields": [{**each.plain(), "value": now.get(each.name)} for each in asks.values()],
            "missing": [each.name for each in asks.values() if each.required and each.name not in now],
            "history": [each.plain() for each in there],
        }

    async def timeline(asked: Asked) -> dict[str, Any]:
        asked.only("call", "alone")
        name = text(asked, "call", wanted=True)
        known = house.known_calls.find(call=name)
        call = name if known is None else known.id
        try:
            told = await house.edges.storage.timelines.of_call(call, asked.actor, alone=flag(asked, "alone"))
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        if told is None:
            raise CommandError(f"no call `{name}` is in the log", Reason.NOT_FOUND, field="call")
        return {"call": call, "lines": list(lines(told.entries)), **told.plain()}

    return {
        "note": Command(note, scope=Scope.CALLS_CONTROL),
        "notes": Command(notes, changes=False, scope=Scope.CALLS_READ),
        "disposition": Command(disposition, scope=Scope.CALLS_CONTROL),
        "fields": Command(filled, scope=Scope.CALLS_CONTROL),
        "timeline": Command(timeline, changes=False, scope=Scope.CALLS_READ),
    }


def promises(
    house: House, table: Callable[[], Mapping[str, Command]]
) -> Callable[[Talk, str], Coroutine[Any, Any, None]]:
    """Makes the follow-up of a disposition that nobody has said more of, for :attr:`Paperwork.on_owed`."""

    async def owed(talk: Talk, code: str) -> None:
        asked = Asked("disposition", "the disposition", f"{talk.offer}:{code}"[:MOST_NAME])
        try:
            await _follow_up(house, table(), asked, talk, code, {})
        except CommandError as error:
            log.warning("a disposition is not followed up", call=talk.call, disposition=code, detail=str(error))

    return owed


async def _follow_up(
    house: House, table: Mapping[str, Command], asked: Asked, talk: Talk, code: str, wanted: Mapping[str, Any] | None
) -> Any:
    """Make the follow-up that is wanted, or that the disposition demands; None for none. Raises CommandError.

    It comes before the disposition, which is not taken without; said again, the same one is found.
    """
    demand = house.paperwork.demand(talk.client, code)
    if wanted is None and (demand is None or not demand.required or talk.disposition == code):
        return None
    said = dict(wanted or {})
    for name in said:
        if name not in FOLLOW_UP_FIELDS:
            raise CommandError(f"`follow_up` knows no field `{name}`; there are {', '.join(FOLLOW_UP_FIELDS)}",
                               field=f"follow_up.{name}")  # fmt: skip
    if "due_at" not in said:
        if demand is None or demand.due is None:
            raise CommandError(f"`{code}` takes a follow-up: say in `follow_up` when it is due (`due_at`)",
                               field="follow_up.due_at")  # fmt: skip
        said["due_at"] = utc(house.edges.clock.now() + timedelta(seconds=demand.due))
    label = house.paperwork.known(talk).codes.get(code, code)
    said.setdefault("title", label[:MOST_TITLE])
    if not {"agent", "queue"} & said.keys():
        said["agent"] = talk.agent
    command = table.get(FOLLOW_UP)
    if command is None:
        raise CommandError("follow-ups are not kept here", Reason.UNAVAILABLE, field="follow_up")
    command.check(asked)
    name = f"{asked.id or house.ids.new()}:follow-up"
    ask = dataclasses.replace(asked, do=FOLLOW_UP, id=name, fields={"client": talk.client, "call": talk.call, **said})
    try:
        answer = await command.run(ask)
        return answer.get("followup", answer)
    except CommandError as error:
        field = f"follow_up.{error.field}" if error.field else "follow_up"
        raise CommandError(f"the follow-up: {error}", error.reason, field=field, **error.details) from error
