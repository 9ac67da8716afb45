"""Follow-ups, as commands: what was promised to a customer: by whom, until when, what was tried, and how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from callcenter.calls.followups import Stale, TooMany
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.due import Due, NotADue, read_due
from callcenter.model.facts import utc
from callcenter.model.followup import (
    MAX_NOTE,
    MAX_TEXT,
    MAX_TITLE,
    PROMISES,
    PROMISES_VERSION,
    Attempt,
    Followup,
    FollowupKind,
    FollowupState,
    Promises,
)
from callcenter.model.ids import derived_id
from callcenter.operate import fields
from callcenter.operate.callbacks import schedule, serves, wanted_by
from callcenter.storage import followups as storage
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 50
# What the scheduled callback of a follow-up is asked for with, beside what the follow-up says itself.
CALLBACK_FIELDS = ("not_after", "mode", "preview", "reason")
CREATE_FIELDS = (
    *("client", "kind", "title", "text", "due_at", "zone", "agent", "queue", "customer", "number", "call"),
    *CALLBACK_FIELDS,
)
CHANGE_FIELDS = ("title", "text", "due_at", "zone", "customer", "number", "call")

WordT = TypeVar("WordT", bound=StrEnum)
Run = Callable[[Asked], Awaitable[Mapping[str, Any]]]
Edit = Callable[[Followup], Followup]


def followup_commands(house: House, known: Callable[[], Mapping[str, Command]]) -> Mapping[str, Command]:
    """The commands by their names. ``known`` are all commands that there are: callbacks have theirs."""

    async def created(asked: Asked) -> dict[str, Any]:
        asked.only(*CREATE_FIELDS)
        followup = await _new(house, asked)
        if followup.kind is FollowupKind.CALLBACK:
            followup = replace(followup, callback=await _schedule(house, known(), asked, followup))
        elif extra := next((name for name in CALLBACK_FIELDS if asked.fields.get(name) is not None), None):
            raise CommandError(f"`{extra}` belongs to a callback: write `kind` callback", field=extra)
        try:
            followup = await house.followups.create(followup)
        except TooMany as error:
            raise CommandError(str(error), Reason.TOO_MANY) from error
        except (StorageError, TimeoutError) as error:
            raise _away(error) from error
        return _told(house, followup)

    async def shown(asked: Asked) -> dict[str, Any]:
        asked.only("followup")
        return _told(house, await _one(house, asked))

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only(*_FILTERS, "after", "limit")
        limit = fields.number(asked, "limit", least=1, most=storage.MAX_ROWS, usual=DEFAULT_LIMIT)
        due, _, name = fields.text(asked, "after", most=128).partition("|")
        try:
            found = await house.edges.storage.followups.find(_wanted(house, asked), after=(due, name), limit=limit)
        except StorageError as error:
            raise _away(error) from error
        now = house.edges.clock.now()
        items = [each.plain(now) for each in found]
        return {"items": items, "next": f"{items[-1]['due_at']}|{items[-1]['id']}" if len(items) == limit else None}

    async def figures(asked: Asked) -> dict[str, Any]:
        asked.only("client", "agent", "due_after", "due_before", "by")
        by = fields.text(asked, "by", most=20)
        if by not in ("", "client", "agent"):
            raise CommandError("`by` is client or agent", field="by")
        wanted = _wanted(house, asked)
        # What is not due yet can be neither kept nor late.
        now = house.edges.clock.now()
        until = now if wanted.due_before is None else min(wanted.due_before, now)
        store = house.edges.storage.followups
        try:
            found: list[Promises] = await store.promises(replace(wanted, due_before=until), by_agent=by == "agent")
        except StorageError as error:
            raise _away(error) from error
        return {"items": [each.plain() for each in found], "version": PROMISES_VERSION, "definitions": dict(PROMISES)}

    async def updated(asked: Asked) -> dict[str, Any]:
        asked.only("followup", "revision", *CHANGE_FIELDS)
        before = await _one(house, asked)
        changes = await _changes(house, asked, before)

        def edit(followup: Followup) -> Followup:
            _still_open(followup)
            return replace(followup, **changes)

        return await _change(house, asked, edit)

    async def attempted(asked: Asked) -> dict[str, Any]:
        asked.only("followup", "revision", "outcome", "note")
        outcome = fields.text(asked, "outcome", most=64, wanted=True)
        note = fields.text(asked, "note", most=MAX_NOTE, lines=True)
        attempt = Attempt(house.edges.clock.now(), asked.by, outcome, note)

        def edit(followup: Followup) -> Followup:
            _still_open(followup)
            return followup.tried(attempt)

        return await _change(house, asked, edit)

    def ended(state: FollowupState) -> Run:
        async def run(asked: Asked) -> dict[str, Any]:
            asked.only("followup", "revision", "note")
            note = fields.text(asked, "note", most=MAX_NOTE, lines=True)
            attempt = Attempt(house.edges.clock.now(), asked.by, state.value, note)

            def edit(followup: Followup) -> Followup:
                if followup.state is state:
                    return followup
                _still_open(followup)
                return replace(followup.tried(attempt) if note else followup, state=state)

            told = await _change(house, asked, edit)
            if (callback := told["followup"]["callback"]) and _alone(house, callback, told["followup"]["created_at"]):
                await _cancel_callback(known(), asked, callback)
            return told

        return run

    async def reopened(asked: Asked) -> dict[str, Any]:
        asked.only("followup", "revision", "due_at", "zone")
        before = await _one(house, asked)
        due = _due(house, asked, before.client, zone=before.zone) if asked.fields.get("due_at") is not None else None

        def edit(followup: Followup) -> Followup:
            if followup.state is FollowupState.OPEN:
                again = followup
            else:  # the callback has ended with it: left there, it would end this one again
                again = replace(followup, state=FollowupState.OPEN, callback="")
            return again if due is None else _with_due(again, due)

        return await _change(house, asked, edit)

    async def taken(asked: Asked) -> dict[str, Any]:
        asked.only("followup", "revision")
        await _one(house, asked)
        agent = asked.actor.agent
        if not agent or agent not in house.acd.plan.agents:
            raise CommandError("who takes a follow-up is an agent: assign it to one", Reason.FORBIDDEN)

        def edit(followup: Followup) -> Followup:
            _still_open(followup)
            if followup.agent not in ("", agent):
                raise CommandError(f"it is {followup.agent}'s already", Reason.CONFLICT)
            return replace(followup, agent=agent)

        return await _change(house, asked, edit, whoever=True)

    async def assigned(asked: Asked) -> dict[str, Any]:
        asked.only("followup", "revision", "agent", "queue")
        before = await _one(house, asked)
        agent, queue = _owner(house, asked, before.client)
        if not agent and not queue:
            raise CommandError("`agent` or `queue` is missing: whose is it to be?", field="agent")

        def edit(followup: Followup) -> Followup:
            _still_open(followup)
            return replace(followup, agent=agent, queue=queue or followup.queue)

        return await _change(house, asked, edit)

    reads, writes = Scope.FOLLOWUPS_READ, Scope.FOLLOWUPS_WRITE
    return {
        "followup_create": Command(created, scope=writes),
        "followup_get": Command(shown, changes=False, scope=reads),
        "followup_list": Command(listed, changes=False, scope=reads),
        "followup_figures": Command(figures, changes=False, scope=reads),
        "followup_update": Command(updated, scope=writes),
        "followup_attempt": Command(attempted, scope=writes),
        "followup_done": Command(ended(FollowupState.DONE), scope=writes),
        "followup_cancel": Command(ended(FollowupState.CANCELLED), scope=writes),
        "followup_reopen": Command(reopened, scope=writes),
        "followup_take": Command(taken, scope=writes),
        "followup_assign": Command(assigned, scope=writes),
    }


_FILTERS = ("client", "state", "agent", "queue", "customer", "call", "kind", "due_after", "due_before")


# What is asked for


async def _new(house: House, asked: Asked) -> Followup:
    """The follow-up that is asked for. Raises CommandError."""
    kind = _word(asked, "kind", FollowupKind) or FollowupKind.TASK
    client, call, customer, number = await _about(house, asked)
    due = _due(house, asked, client)
    agent, queue = _owner(house, asked, client)
    if not agent and not queue:
        agent = asked.actor.agent if asked.actor.role is Role.AGENT else ""
        queue = "" if agent else house.followups.queue_of(client)
        if not agent and not queue:
            raise CommandError("`agent` or `queue` is missing: whose is it?", field="agent")
    return Followup(
        id=derived_id(asked.actor.user, asked.id) if asked.id is not None else house.ids.new(),
        client=client,
        kind=kind,
        title=fields.text(asked, "title", most=MAX_TITLE, wanted=True),
        text=fields.text(asked, "text", most=MAX_TEXT, lines=True),
        due_at=due.at,
        due_local=due.local,
        zone=due.zone,
        customer=customer,
        number=number,
        call=call,
        queue=queue,
        agent=agent,
        made_by=asked.actor.agent,
        created_by=asked.by,
        created_at=house.edges.clock.now(),
    )


async def _about(house: House, asked: Asked) -> tuple[str, str, str, str]:
    """Whom it is about: client, call, customer and number; of a call what is known of its caller."""
    call = fields.text(asked, "call", most=64)
    customer, written = fields.customer(asked), fields.text(asked, "number", most=40)
    number = ""
    if call:
        client, customer_of_call, number = await _of_call(house, asked, call)
        if asked.fields.get("client") is not None and fields.client(house, asked) != client:
            raise CommandError(f"the call is none of {asked.fields['client']}'s", field="call")
        customer = customer or customer_of_call
    else:
        client = fields.client(house, asked)
    if written:
        number = _number(house, client, written)
    await _check_customer(house, client, customer)
    return client, call, customer, number


async def _of_call(house: House, asked: Asked, name: str) -> tuple[str, str, str]:
    """Client, customer and number of a call, of one that is up or one that is saved."""
    call = house.supervisor.calls.get(name)
    if call is not None and asked.actor.sees(call.client.id):
        known = call.known.customer
        return call.client.id, known.id if known is not None else "", house.do_not_call.number_of(call) or ""
    try:
        record = await house.edges.storage.interactions.by_call(name)
    except StorageError as error:
        raise _away(error) from error
    if record is None or not asked.actor.sees(record["client"]):
        raise CommandError(f"there is no call `{name}`", Reason.NOT_FOUND, field="call")
    outbound = record.get("direction") == "outbound"
    number = house.do_not_call.written(record["client"], record["to_number" if outbound else "from_number"] or "")
    return record["client"], record["customer"] or "", number or ""


async def _check_customer(house: House, client: str, customer: str) -> None:
    try:
        if customer and not await house.edges.storage.followups.knows_customer(client, customer):
            raise CommandError(f"there is no customer `{customer}`", Reason.NOT_FOUND, field="customer")
    except StorageError as error:
        raise _away(error) from error


def _number(house: House, client: str, written: str) -> str:
    number = house.do_not_call.written(client, written)
    if number is None:
        raise CommandError(f"`{written}` is no telephone number: write e.g. +14155550100", field="number")
    return number


def _due(house: House, asked: Asked, client: str, zone: str = "") -> Due:
    """When it is due: not in the past."""
    written, now = fields.text(asked, "due_at", most=64, wanted=True), house.edges.clock.now()
    try:
        due = read_due(written, _zone(house, asked, client, zone), now)
    except NotADue as error:
        raise CommandError(str(error), field="due_at") from None
    if due.at <= now:
        raise CommandError(f"`{written}` is past: it was {due.local} in {due.zone}", field="due_at")
    return due


def _zone(house: House, asked: Asked, client: str, before: str) -> ZoneInfo:
    name = fields.text(asked, "zone", most=64) or before
    if not name:
        there = house.services.settings.clients.get(client)
        return (there.zone if there is not None else None) or ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise _no_zone(name) from None
    except KeyError:
        raise _no_zone(name) from None


def _no_zone(name: str) -> CommandError:
    return CommandError(f"`{name}` is no time zone: write e.g. Europe/Madrid", field="zone")


def _owner(house: House, asked: Asked, client: str) -> tuple[str, str]:
    """Whose it is to be: an agent who serves the client, a queue of the client, or both. Raises CommandError."""
    agent, queue = fields.text(asked, "agent", most=64), fields.text(asked, "queue", most=64)
    plan, actor = house.acd.plan, asked.actor
    if agent:
        if not serves(house, agent, client):
            raise CommandError(f"no agent `{agent}` serves {client}", Reason.NOT_FOUND, field="agent")
        if actor.role is Role.AGENT and agent != actor.agent:
            raise CommandError("a supervisor gives work to others: name a queue", Reason.FORBIDDEN, field="agent")
    if queue:
        there = plan.queues.get(queue)
        if there is None or there.client != client:
            raise CommandError(f"{client} has no queue `{queue}`", Reason.NOT_FOUND, field="queue")
    return agent, queue


def _with_due(followup: Followup, due: Due) -> Followup:
    return replace(followup, due_at=due.at, due_local=due.local, zone=due.zone)


async def _changes(house: House, asked: Asked, before: Followup) -> dict[str, Any]:
    """The fields that are to be otherwise, with their values."""
    given, changes = asked.fields, dict[str, Any]()
    if "title" in given:
        changes["title"] = fields.text(asked, "title", most=MAX_TITLE, wanted=True)
    if "text" in given:
        changes["text"] = fields.text(asked, "text", most=MAX_TEXT, lines=True)
    if given.get("due_at") is not None:
        if before.callback:
            raise CommandError("change its callback: that has the time", Reason.CONFLICT, field="due_at")
        due = _due(house, asked, before.client, zone=before.zone)
        changes.update(due_at=due.at, due_local=due.local, zone=due.zone)
    elif given.get("zone") is not None:
        raise CommandError("`zone` says where `due_at` is meant, which is missing", field="due_at")
    if "customer" in given:
        changes["customer"] = fields.customer(asked)
        await _check_customer(house, before.client, changes["customer"])
    if "number" in given:
        written = fields.text(asked, "number", most=40)
        changes["number"] = _number(house, before.client, written) if written else ""
    if "call" in given:
        changes["call"] = fields.text(asked, "call", most=64)
        if changes["call"] and (await _of_call(house, asked, changes["call"]))[0] != before.client:
            raise CommandError(f"the call is none of {before.client}'s", field="call")
    return changes


def _wanted(house: House, asked: Asked) -> storage.Asked:
    client, clients = fields.client(house, asked, wanted=False), asked.actor.clients
    return storage.Asked(
        clients=frozenset({client}) if client else clients,
        state=_word(asked, "state", FollowupState) or "",
        agent=fields.text(asked, "agent", most=64),
        queue=fields.text(asked, "queue", most=64),
        customer=fields.customer(asked),
        call=fields.text(asked, "call", most=64),
        kind=_word(asked, "kind", FollowupKind) or "",
        due_after=fields.moment(asked, "due_after"),
        due_before=fields.moment(asked, "due_before"),
    )


def _word(asked: Asked, name: str, words: type[WordT]) -> WordT | None:
    written = fields.text(asked, name, most=64)
    if written and written not in list(words):
        raise CommandError(f"`{name}` is one of {', '.join(words)}", field=name)
    return words(written) if written else None


# What is done


async def _one(house: House, asked: Asked) -> Followup:
    """The follow-up that is named, if whoever asks sees it. Raises CommandError."""
    name = fields.text(asked, "followup", most=64, wanted=True)
    try:
        found = await house.followups.get(name)
    except (StorageError, TimeoutError) as error:
        raise _away(error) from error
    if found is None or not asked.actor.sees(found.client):
        raise CommandError(f"there is no follow-up `{name}`", Reason.NOT_FOUND, field="followup")
    return found


async def _change(house: House, asked: Asked, edit: Edit, *, whoever: bool = False) -> dict[str, Any]:
    """Change the one that is named, and tell it. ``whoever``: also what is none of theirs yet."""
    before = await _one(house, asked)
    revision = asked.fields.get("revision")
    if revision is not None and (not isinstance(revision, int) or isinstance(revision, bool)):
        raise CommandError("`revision` is the number that the follow-up had when it was read", field="revision")

    def checked(followup: Followup) -> Followup:
        if not whoever:
            _may_change(asked.actor, followup)
        return edit(followup)

    try:
        after = await house.followups.change(before.id, asked.by, checked, revision=revision)
    except Stale as error:
        sentence = f"it was changed meanwhile: read it again, {error}"
        raise CommandError(sentence, Reason.CONFLICT, field="revision", revision=error.revision) from error
    except (StorageError, TimeoutError) as error:
        raise _away(error) from error
    assert after is not None, "a follow-up is never taken out of the table"
    return _told(house, after)


def _may_change(actor: Actor, followup: Followup) -> None:
    """An agent changes his own, what he has promised himself, and what is nobody's yet."""
    if actor.role is Role.AGENT and followup.agent and actor.agent not in (followup.agent, followup.made_by):
        raise CommandError(f"it is {followup.agent}'s: a supervisor changes it", Reason.FORBIDDEN)


def _still_open(followup: Followup) -> None:
    if followup.state is not FollowupState.OPEN:
        raise CommandError(f"it is {followup.state}: reopen it first", Reason.CONFLICT)


def _told(house: House, followup: Followup) -> dict[str, Any]:
    return {"followup": followup.plain(house.edges.clock.now())}


def _away(error: Exception) -> CommandError:
    return CommandError(f"the database is away: {error}".rstrip(": "), Reason.UNAVAILABLE)


# Callbacks


async def _schedule(house: House, known: Mapping[str, Command], asked: Asked, followup: Followup) -> str:
    """Have the callback planned that carries a follow-up out; its id. The same again gives the same one."""
    command = known["callback_schedule"]
    if not followup.number:
        raise CommandError("`number` is missing: where is the customer to be called?", field="number")
    plan = {
        "client": followup.client,
        "queue": followup.queue or house.followups.queue_of(followup.client),
        "number": followup.number,
        "not_before": followup.due_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "zone": followup.zone,
        "source": "follow_up",
        "followup": followup.id,
        "customer": followup.customer,
        "call": followup.call,
        "prefer": next((who for who in (followup.agent, followup.made_by) if serves(house, who, followup.client)), ""),
        **{name: asked.fields.get(name) for name in CALLBACK_FIELDS},
    }
    request = Asked(
        "callback_schedule",
        asked.by,
        derived_id(followup.id, "callback"),
        {name: value for name, value in plan.items() if value not in (None, "")},
    )
    # Whoever asks must be allowed to; that it comes of a follow-up is ours to say.
    command.check(replace(request, behalf=asked.behalf))
    result = await schedule(house, await wanted_by(house, request, asked.actor))
    return str(result["callback"]["id"])


def _alone(house: House, callback: str, created_at: str) -> bool:
    """Whether a callback is there for one follow-up alone, that is over: one that was promised in another way too, or
    that others wait for, is dialled all the same.
    """
    each = house.callbacks.find(callback)
    others = house.followups.carried_out_by(callback)
    return each is not None and utc(each.value.requested_at) >= created_at and not (each.value.beside or others)


async def _cancel_callback(known: Mapping[str, Command], asked: Asked, callback: str) -> None:
    """Its callback is not dialled any more; one that has ended, or is being dialled, goes its way."""
    # Whoever ends a follow-up ends what carries it out, whoever has planned that.
    request = Asked("callback_cancel", asked.by, fields={"callback": callback, "why": "its follow-up is over"})
    with contextlib.suppress(CommandError):
        await known["callback_cancel"].run(request)
