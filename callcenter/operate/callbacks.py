"""Callbacks, as commands: have a customer called back at a time, see what is planned, change it, call it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from callcenter.calls.callback_plans import NotPlanned, Wanted
from callcenter.calls.windows import moment
from callcenter.config.calendar import NotWrittenSo
from callcenter.config.calendar import zone as written_zone
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.callback import MAX_REASON, Callback, Mode, Source
from callcenter.model.facts import utc
from callcenter.model.ids import derived_id
from callcenter.model.states import CallbackOutcome
from callcenter.operate import fields
from callcenter.storage.callbacks import find_callbacks
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

MOST_LISTED = 500
DEFAULT_LIMIT = 50
# Nobody waits longer for one agent alone, who has days off.
LONGEST_PREFERENCE = 7 * 86_400
STATES = ("open", "ended", *CallbackOutcome)
TIMES = ("not_before", "not_after", "zone")
PLAN = (
    *("client", "queue", "number", "call", "customer", "name", "language", "reason", *TIMES),
    *("mode", "preview", "prefer", "prefer_for_s", "followup", "source"),
)
CHANGES = ("queue", "reason", *TIMES, "mode", "preview", "prefer", "prefer_for_s")
# What a program may say of where a callback comes from; the others are said by us.
TOLD_SOURCES = (Source.API, Source.CALL_ME, Source.FOLLOW_UP)


def callback_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def scheduled(asked: Asked) -> dict[str, Any]:
        asked.only(*PLAN)
        return await schedule(house, await wanted_by(house, asked, asked.actor))

    async def shown(asked: Asked) -> dict[str, Any]:
        asked.only("callback")
        return {"callback": told(house, await _one(house, asked))}

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only(*("client", "queue", "number", "customer", "agent", "call", "source", "state", "after", "limit"))
        client = fields.client(house, asked, wanted=False)
        state, source = fields.text(asked, "state"), fields.text(asked, "source")
        if state and state not in STATES:
            raise CommandError(f"`state` is one of {', '.join(STATES)}", field="state")
        if source and source not in list(Source):
            raise CommandError(f"`source` is one of {', '.join(Source)}", field="source")
        limit = fields.number(asked, "limit", least=1, most=MOST_LISTED, usual=DEFAULT_LIMIT)
        words = {name: fields.text(asked, name) for name in ("queue", "number", "customer", "agent", "call")}
        try:
            found = await find_callbacks(
                house.edges.storage.database,
                clients=asked.actor.clients,
                client=client,
                queue=words["queue"],
                number=words["number"],
                customer=words["customer"],
                agent=words["agent"],
                call=words["call"],
                source=source,
                state=state,
                before=fields.text(asked, "after"),
                limit=limit,
            )
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        items = [told(house, each) for each in found]
        return {"items": items, "next": found[-1].id if len(found) == limit else None}

    async def changed(asked: Asked) -> dict[str, Any]:
        asked.only("callback", *CHANGES)
        value = await _one(house, asked)
        _may_change(asked, value)
        return await _done(house, house.callbacks.change(value.id, asked.by, _changes(house, asked, value)))

    async def cancelled(asked: Asked) -> dict[str, Any]:
        asked.only("callback", "why")
        value = await _one(house, asked)
        _may_change(asked, value)
        why = fields.text(asked, "why", most=MAX_REASON)
        return await _done(house, house.callbacks.call_off(value.id, asked.by, why))

    async def accepted(asked: Asked) -> dict[str, Any]:
        asked.only("callback", "agent")
        return _decided(house, asked, accepts=True)

    async def declined(asked: Asked) -> dict[str, Any]:
        asked.only("callback", "agent", "reason")
        return _decided(house, asked, accepts=False)

    write, read = Scope.CALLBACKS_WRITE, Scope.CALLBACKS_READ
    return {
        "callback_schedule": Command(scheduled, scope=write),
        "callback_get": Command(shown, changes=False, scope=read),
        "callback_list": Command(listed, changes=False, scope=read),
        "callback_change": Command(changed, scope=write),
        "callback_cancel": Command(cancelled, scope=write),
        "callback_accept": Command(accepted, scope=write),
        "callback_decline": Command(declined, scope=write),
    }


async def schedule(house: House, wanted: Wanted) -> dict[str, Any]:
    """Have a customer called back, for whatever asks within the switch; answers as the command. Raises CommandError.

    ``merged``: one for the same number and queue was planned before, and both are one now.
    """
    try:
        value, merged = await house.callbacks.plan(wanted)
    except NotPlanned as error:
        raise _refused(error) from error
    except StorageError as error:
        raise CommandError(str(error), Reason.UNAVAILABLE) from error
    return {"callback": told(house, value), "merged": merged}


def told(house: House, value: Callback) -> dict[str, Any]:
    """A callback as others are told of it; instants are UTC. ``next_at`` is when it joins the line, or did."""
    each = house.callbacks.find(value.id)
    next_at = value.first_joined_at if each is None or each.call is not None else each.opens or value.due_at
    if each is None:
        state = value.outcome or "open"
    elif each.dialling:
        state = "dialling"
    elif each.call is not None:
        state = "shown" if each.shown_to else "in_line"
    else:
        state = "held" if each.holders else "planned"
    return {
        "id": value.id,
        "client": value.client,
        "queue": value.queue,
        "number": value.number,
        "name": value.name,
        "customer": value.customer,
        "state": state,
        "source": str(value.source),
        "reason": value.reason,
        "requested_at": utc(value.requested_at),
        "created_by": value.created_by,
        "call": value.requested_in,
        "followup": value.followup,
        "scheduled": value.scheduled,
        "not_before": _told(value.not_before),
        "not_after": _told(value.not_after),
        "zone": str(house.callbacks.times.zone(value)),
        "next_at": None if value.outcome else utc(next_at),
        "mode": str(value.mode),
        "preview": value.preview,
        "prefer": value.prefer,
        "prefer_for_s": value.prefer_for,
        "language": value.language,
        "attempts": value.attempts,
        "history": [each.plain() for each in value.history],
        "outcome": value.outcome,
        "ended_at": _told(value.ended_at),
        "ended_why": value.ended_why,
    }


def _told(at: datetime | None) -> str | None:
    return None if at is None else utc(at)


async def _done(house: House, changing: Any) -> dict[str, Any]:
    try:
        return {"callback": told(house, await changing)}
    except NotPlanned as error:
        raise _refused(error) from error
    except StorageError as error:
        raise CommandError(str(error), Reason.UNAVAILABLE) from error


def _refused(error: NotPlanned) -> CommandError:
    return CommandError(str(error), Reason(error.obstacle.value), field=error.field)


async def _one(house: House, asked: Asked) -> Callback:
    name = fields.text(asked, "callback", most=64, wanted=True)
    try:
        value = await house.callbacks.look_up(name)
    except StorageError as error:
        raise CommandError(str(error), Reason.UNAVAILABLE) from error
    if value is None or not asked.actor.sees(value.client):
        raise CommandError(f"there is no callback `{name}`", Reason.NOT_FOUND, field="callback")
    return value


def _may_change(asked: Asked, value: Callback) -> None:
    """Agents change what they have planned, and what is theirs to call. Raises CommandError."""
    actor = asked.actor
    if actor.role is Role.AGENT and not value.is_of(asked.by, actor.agent):
        sentence = "it was planned by somebody else, and for another agent: ask a supervisor"
        raise CommandError(sentence, Reason.FORBIDDEN, field="callback")


@dataclass(frozen=True, slots=True)
class _Known:
    """What a call says of whom is to be called back; ``theirs``: who asks was in it."""

    call: str = ""
    client: str = ""
    queue: str = ""
    number: str = ""
    customer: str = ""
    language: str = ""
    name: str = ""
    theirs: bool = False


async def wanted_by(house: House, asked: Asked, actor: Actor) -> Wanted:
    """The callback that a command asks for. ``actor`` is who is behind it, where we ask for them. Raises CommandError.

    Agents change nothing of another's by it.
    """
    call = await _of_call(house, asked, actor.agent) if asked.fields.get("call") is not None else _Known()
    client = call.client if call.client and asked.fields.get("client") is None else fields.client(house, asked)
    if call.client and client != call.client:
        raise CommandError(f"the call is one of {call.client}", field="client")
    number = fields.text(asked, "number", most=40) or call.number
    if not number:
        hint = "`number` is missing" if not call.call else "the caller's number is not shown: ask for one"
        raise CommandError(hint, field="number")
    # Also one that is written as in the company's country says by whose clocks a time is meant.
    number = house.do_not_call.written(client, number) or number
    of_call = house.do_not_call.written(client, call.number) if call.theirs else None
    queue = fields.text(asked, "queue", most=64) or call.queue or _only_queue(house, client)
    home = house.callbacks.times.home(client)
    plain = house.callbacks.times.zone_for(client, number, _zone(asked), house.edges.clock.now())
    zone = ZoneInfo(plain) if plain else home
    return Wanted(
        client=client,
        queue=queue,
        number=number,
        source=_source(asked),
        by=asked.by,
        id=derived_id(asked.actor.user, asked.id) if asked.id else "",
        reason=fields.text(asked, "reason", most=MAX_REASON),
        not_before=_moment(asked, "not_before", zone),
        not_after=_moment(asked, "not_after", zone),
        zone=_zone(asked),
        mode=_mode(asked),
        preview=fields.flag(asked, "preview") if asked.fields.get("preview") is not None else None,
        prefer=_prefer(house, asked, client),
        prefer_for=fields.number(asked, "prefer_for_s", least=0, most=LONGEST_PREFERENCE, usual=0),
        customer=fields.customer(asked) or call.customer,
        followup=fields.text(asked, "followup", most=64),
        call=call.call,
        language=fields.text(asked, "language", most=35) or call.language,
        name=fields.text(asked, "name", most=100) or call.name,
        agent=actor.agent if actor.role is Role.AGENT else None,
        talked=of_call == number,
    )


def _changes(house: House, asked: Asked, value: Callback) -> dict[str, Any]:
    """What is to be otherwise; null takes a time away."""
    given, changes = asked.fields, dict[str, Any]()
    if "zone" in given:
        changes["zone"] = _zone(asked)
    zone = ZoneInfo(changes["zone"]) if changes.get("zone") else house.callbacks.times.zone(value)
    for name in ("not_before", "not_after"):
        if name in given:
            changes[name] = _moment(asked, name, zone)
    for name, most in (("queue", 64), ("reason", MAX_REASON)):
        if name in given:
            changes[name] = fields.text(asked, name, most=most)
    if "prefer" in given:
        changes["prefer"] = _prefer(house, asked, value.client)
    if given.get("mode") is not None:
        changes["mode"] = _mode(asked)
    if given.get("preview") is not None:
        changes["preview"] = fields.flag(asked, "preview")
    if "prefer_for_s" in given:
        changes["prefer_for"] = fields.number(asked, "prefer_for_s", least=0, most=LONGEST_PREFERENCE, usual=0)
    if not changes:
        raise CommandError(f"nothing is changed: write one of {', '.join(f'`{each}`' for each in CHANGES)}")
    return changes


def _prefer(house: House, asked: Asked, client: str) -> str:
    """Who is to call rather than others; empty: nobody. Raises CommandError, of another company's agents as of none."""
    name = fields.text(asked, "prefer", most=64)
    if name and not serves(house, name, client):
        raise CommandError(f"no agent `{name}` serves {client}", Reason.NOT_FOUND, field="prefer")
    return name


def serves(house: House, agent: str, client: str) -> bool:
    """Whether there is an agent of that name who calls for this client, as configured or as it is just now."""
    known = house.acd.plan.agents.get(agent)
    return known is not None and client in known.clients | house.acd.who(agent).clients


def _source(asked: Asked) -> Source:
    said = fields.text(asked, "source", most=20)
    if asked.actor.role is Role.AGENT and said != Source.FOLLOW_UP:
        return Source.AGENT
    if not said:
        return Source.API
    if said not in TOLD_SOURCES:
        raise CommandError(f"`source` is one of {', '.join(TOLD_SOURCES)}", field="source")
    return Source(said)


def _mode(asked: Asked) -> Mode | None:
    said = fields.text(asked, "mode", most=20)
    if not said:
        return None
    if said not in list(Mode):
        raise CommandError(f"`mode` is one of {', '.join(Mode)}", field="mode")
    return Mode(said)


def _zone(asked: Asked) -> str:
    name = fields.text(asked, "zone", most=64)
    try:
        return written_zone(name).key if name else ""
    except NotWrittenSo as error:
        raise CommandError(f"{error}: {error.hint}", field="zone") from None


def _moment(asked: Asked, name: str, zone: ZoneInfo) -> datetime | None:
    written = fields.text(asked, name, most=64)
    if not written:
        return None
    try:
        return moment(written, zone)
    except ValueError:
        hint = "write 2026-11-30T10:00 by the customer's clocks, or 2026-11-30T10:00+01:00"
        raise CommandError(f"`{written}` is no moment: {hint}", field=name) from None


def _only_queue(house: House, client: str) -> str:
    queues = [each.id for each in house.acd.plan.queues.values() if each.client == client]
    if len(queues) != 1:
        raise CommandError(f"`queue` is missing: who is to call? There are {', '.join(sorted(queues))}", field="queue")
    return queues[0]


async def _of_call(house: House, asked: Asked, agent: str) -> _Known:
    """What is known of the call that it came up in: it goes on, or has ended. Raises CommandError."""
    name, actor = fields.text(asked, "call", most=64, wanted=True), asked.actor
    call = house.supervisor.calls.get(name)
    if call is not None:
        view = house.acd.agent(agent) if agent else None
        theirs = agent != "" and (call.agent == agent or (view is not None and view.call_id == name))
        customer = call.known.customer
        known = _Known(
            call=name,
            client=call.client.id,
            queue=call.ticket.queue if call.ticket is not None else "",
            number=house.do_not_call.number_of(call) or "",
            customer=customer.id if customer is not None else "",
            language=call.captured.language,
            name=customer.name if customer is not None else "",
            theirs=theirs,
        )
    else:
        try:
            record = await house.edges.storage.interactions.by_call(name)
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        if record is None:
            raise CommandError(f"there is no call `{name}`", Reason.NOT_FOUND, field="call")
        agents = {record.get("dialled_by"), *(leg["agent"] for leg in record.get("legs", ()))}
        theirs = agent != "" and agent in agents
        known = replace(_recorded(name, record), theirs=theirs)
    if not actor.sees(known.client):
        raise CommandError(f"there is no call `{name}`", Reason.NOT_FOUND, field="call")
    if actor.role is Role.AGENT and not theirs:
        raise CommandError("the call is none of yours", Reason.FORBIDDEN, field="call")
    return known


def _recorded(name: str, record: Mapping[str, Any]) -> _Known:
    outwards = record.get("direction", "inbound") != "inbound"
    visits = record.get("visits") or ()
    return _Known(
        call=name,
        client=record["client"],
        queue=visits[-1]["queue"] if visits else "",
        number=record["to_number"] if outwards else record["from_number"],
        customer=record.get("customer") or "",
        language=record.get("language") or "",
    )


def _decided(house: House, asked: Asked, *, accepts: bool) -> dict[str, Any]:
    actor = asked.actor
    agent = actor.agent if actor.role is Role.AGENT else fields.text(asked, "agent", most=64) or actor.agent
    each = house.callbacks.previews.shown_to(agent) if agent else None
    wanted = fields.text(asked, "callback", most=64)
    if each is None or not actor.sees(each.value.client) or wanted not in ("", each.value.id):
        raise CommandError("the agent is not asked now whether to call anybody", Reason.CONFLICT)
    house.callbacks.previews.decide(agent, accepts, fields.text(asked, "reason", most=MAX_REASON))
    return {"callback": told(house, each.value)}
