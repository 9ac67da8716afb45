"""Timelines: the story of a call and of those that belong to it, and of a customer, read from what is kept.

Only questions are asked: the switch's own reader serves, and so does the one of a process beside it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from callcenter.model.access import Actor, Scope
from callcenter.model.facts import (
    BODIES,
    AgentLegEnded,
    AgentTookOver,
    CallConnected,
    Fact,
    FieldsWritten,
    NoteWritten,
    utc,
)
from callcenter.model.interaction import Interaction
from callcenter.model.timeline import Entry, Sight, filled_in, journey, links, noted, span, spoken, timeline
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Row, Value, storable
from callcenter.storage.log import fact_of

# Facts of one call, as many as a restart reads; beside calls fewer, some milliseconds' work; and in one question.
MOST_FACTS = 10_000
MOST_BESIDE_CALLS = 2_000
FACTS_AT_ONCE = 200
# Calls of one journey, and how many are looked at for those that belong to it.
MOST_CALLS = 20
MOST_CANDIDATES = 200
# A place in line, and a callback, is of the same days.
SAME_JOURNEY = timedelta(days=14)
# What a talk's end and the own call's may be apart that was dialled in it.
ABOUT = timedelta(seconds=2)
MAX_LIMIT = 200
MAX_CURSOR = 400


class BadCursor(ValueError):
    """A cursor that was not given out here; one line."""


@dataclass(frozen=True, slots=True)
class CallOfJourney:
    """One call of a journey. ``why`` it belongs to it: ``asked`` for, ``earlier`` or ``later`` (the place in line went
    from one to the other), ``callback``, or ``consulted``.
    """

    why: str
    interaction: Interaction

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        call = self.interaction
        return {
            "call": call.call_id,
            "why": self.why,
            "client": call.client,
            "direction": call.direction.value,
            "arrived_at": utc(call.arrived_at),
            "ended_at": None if call.ended_at is None else utc(call.ended_at),
            "outcome": None if call.outcome is None else call.outcome.value,
        }


@dataclass(frozen=True, slots=True)
class Journey:
    """What happened in a call and in those that belong to it, in one order. ``revision`` changes with what is told."""

    calls: tuple[CallOfJourney, ...]
    entries: tuple[Entry, ...]

    @property
    def revision(self) -> str:
        """A word that is another one as soon as anything else is told."""
        told = json_text([[each.plain() for each in self.calls], [each.plain() for each in self.entries]])
        return hashlib.sha256(told.encode()).hexdigest()[:20]

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "calls": [each.plain() for each in self.calls],
            "entries": [each.plain() for each in self.entries],
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a customer's history: a ``call``, ``note``, ``follow_up``, ``callback`` or ``merge``."""

    at: str
    kind: str
    id: str
    words: str
    data: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Where it stands: by time, and within the same moment by kind and id."""
        return self.at, f"{self.kind}/{self.id}"

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {"at": self.at, "kind": self.kind, "id": self.id, "words": self.words, "data": dict(self.data)}


class Timelines:
    """Questions about what happened. Every method raises StorageError."""

    def __init__(self, database: Database, most_facts: int = MOST_FACTS) -> None:
        """``most_facts`` of one call are told, the first ones."""
        self._database = database
        self._most = most_facts

    async def of_call(self, call: str, actor: Actor, *, alone: bool = False) -> Journey | None:
        """The journey of a call, as far as somebody may see it; None when there is no such call to be seen.

        ``alone``: of this call, and no other. Raises StorageError.
        """
        first = await self._read(call, actor)
        if first is None:
            return None
        told = {call: ("asked", *first)}
        waiting = [] if alone else [call]
        while waiting and len(told) < MOST_CALLS:
            facts, interaction = told[waiting.pop(0)][1:]
            for why, other in await self._linked(facts, interaction):
                if (
                    other not in told
                    and len(told) < MOST_CALLS
                    and (found := await self._read(other, actor)) is not None
                ):
                    told[other] = (why, *found)
                    waiting.append(other)
        parts = []
        for _, facts, interaction in told.values():
            sight = Sight.of(actor, interaction)
            entries = await self._with_texts(timeline(facts, sight), facts, interaction.call_id, sight)
            promised = sight.house and actor.may(Scope.FOLLOWUPS_READ)
            after = await self._followed_up(entries, interaction) if promised else []
            parts.append((*entries, *after))
        calls = [CallOfJourney(why, interaction) for why, _, interaction in told.values()]
        calls.sort(key=lambda each: (each.interaction.arrived_at, each.interaction.call_id))
        return Journey(tuple(calls), journey(parts))

    async def facts_of(self, call: str) -> list[Fact]:
        """The facts of a call, in their order. Raises StorageError."""
        found: list[Fact] = []
        after = 0
        while len(found) < self._most:
            rows = await self._database.fetch_all(_FACTS, (storable(call), after, FACTS_AT_ONCE))
            found += [fact_of(row) for row in rows if row[5] in BODIES]
            if len(rows) < FACTS_AT_ONCE:
                break
            after = rows[-1][0]
            await asyncio.sleep(0)
        return found

    async def of_customer(
        self, client: str, ids: Sequence[str], actor: Actor, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Item], str | None]:
        """What there is of a customer, the latest first, and the cursor of the next page; None: that is all.

        ``ids``: all that mean this customer. Of each kind is told what ``actor`` may read of it elsewhere. Raises
        BadCursor, StorageError.
        """
        at, key = read_cursor(after) if after else ("~", "~")
        limit = max(1, min(limit, MAX_LIMIT))
        known = [storable(each) for each in ids if each]
        marks = ", ".join("?" * len(known))
        found: list[Item] = []
        for kind, sql in _SOURCES.items():
            if not actor.may(_TAKES[kind]):
                continue
            # The first comparison alone is one that an index is entered by.
            params: tuple[Value, ...] = (client, *known, at, at, f"{kind}/", key, limit + 1)
            rows = await self._database.fetch_all(sql.replace("IDS", marks), params)
            found += [_item(kind, row) for row in rows]
        found.sort(key=lambda item: item.key, reverse=True)
        return found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None

    async def _read(self, call: str, actor: Actor) -> tuple[list[Fact], Interaction] | None:
        facts = await self.facts_of(call)
        try:
            interaction = Interaction.from_facts(facts)
        except ValueError:
            return None
        return (facts, interaction) if actor.sees(interaction.client) else None

    async def _linked(self, facts: Sequence[Fact], call: Interaction) -> list[tuple[str, str]]:
        """Other calls, each with why it belongs to this one."""
        named = links(facts)
        found = [(link.kind, link.call) for link in named if link.call]
        for name in dict.fromkeys(link.callback for link in named if link.callback):
            found += [("callback", other) for other in await self._of_callback(name) if other != call.call_id]
        near = (utc(call.arrived_at - SAME_JOURNEY), utc(call.arrived_at + SAME_JOURNEY))
        if call.from_number:
            rows = await self._database.fetch_all(
                _OF_NUMBER, (call.client, storable(call.from_number), *near, MOST_CANDIDATES)
            )
            for other, text in rows:
                record = from_json(text)
                if other == call.call_id:
                    continue
                if any(visit["place_of"].startswith(f"{call.call_id}/") for visit in record["visits"]):
                    found.append(("later", other))
        talks = _talks(facts)
        if talks:
            until = call.ended_at or facts[-1].at
            window = (utc(call.arrived_at), utc(until + ABOUT))
            rows = await self._database.fetch_all(_DIALLED, (call.client, *window, MOST_CANDIDATES))
            for other, text in rows:
                record = from_json(text)
                began = datetime.fromisoformat(record["arrived_at"])
                by = record["dialled_by"]
                if any(by == agent and since <= began <= end + ABOUT for agent, since, end in talks):
                    found.append(("consulted", other))
        return found

    async def _of_callback(self, name: str) -> list[str]:
        """The call in which a callback was asked for, and those in which the customer was dialled."""
        rows = await self._database.fetch_all(_CALLBACK, (name,))
        if not rows:
            return []
        record = from_json(rows[0][0])
        return [call for call in (record["requested_in"], *(each["call"] for each in record["history"])) if call]

    async def _followed_up(self, entries: Sequence[Entry], call: Interaction) -> list[Entry]:
        """What is to be done about the call, and was: each behind the last thing that happened before it."""
        found = []
        for row in await self._database.fetch_all(_FOLLOW_UPS, (storable(call.call_id),)):
            name, kind, state, title, due_at, created_by, created_at, done_by, done_at = row
            data = {"follow_up": name, "state": state, "title": title, "due_at": due_at}
            told = [(created_at, f"{kind} due at {due_at} by {created_by}: {title}")]
            if done_at:
                told.append((done_at, f"{kind} {state} by {done_by}: {title}"))
            for at, words in told:
                moment = datetime.fromisoformat(at)
                seq = max((entry.seq for entry in entries if entry.at <= moment), default=entries[0].seq)
                ms = round((moment - call.arrived_at).total_seconds() * 1000)
                found.append(Entry(seq, moment, ms, call.call_id, "follow_up", words, data))
        return found

    async def _with_texts(
        self, entries: Sequence[Entry], facts: Sequence[Fact], call: str, sight: Sight
    ) -> tuple[Entry, ...]:
        """The entries with what was written: it is kept beside the facts."""
        if not sight.house or not any(isinstance(fact.body, NoteWritten | FieldsWritten) for fact in facts):
            return tuple(entries)
        notes = {
            (note, revision): text for note, revision, text in await self._database.fetch_all(_TEXTS, (storable(call),))
        }
        values = {
            (offer, name, revision): value
            for offer, name, revision, value in await self._database.fetch_all(_VALUES, (storable(call),))
        }
        counted: dict[tuple[str, str], int] = {}
        more: dict[int, tuple[str, dict[str, Any]]] = {}
        for fact in facts:
            match fact.body:
                case NoteWritten(note=note, revision=revision) as body if (note, revision) in notes:
                    text = notes[note, revision]
                    more[fact.seq] = noted(body, text), {"text": text}
                case FieldsWritten(offer=offer, fields=fields, cleared=cleared) as body:
                    told: dict[str, tuple[str | None, str | None]] = {}
                    for name in (*fields, *cleared):
                        number = counted[offer, name] = counted.get((offer, name), 0) + 1
                        told[name] = values.get((offer, name, number)), values.get((offer, name, number - 1))
                    more[fact.seq] = filled_in(body, told), {"values": {name: told[name][0] for name in fields}}
                case _:
                    pass
        return tuple(_written(entry, *more[entry.seq]) if entry.seq in more else entry for entry in entries)


def _written(entry: Entry, words: str, data: Mapping[str, Any]) -> Entry:
    """An entry with what was written."""
    return replace(entry, words=words, data={**entry.data, **data})


def cursor_of(item: Item) -> str:
    """The cursor behind an item."""
    return base64.urlsafe_b64encode(json_text(list(item.key)).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, str]:
    """Behind which moment and key a page begins. Raises BadCursor."""
    try:
        if len(cursor) > MAX_CURSOR:
            raise BadCursor
        at, key = from_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not (isinstance(at, str) and isinstance(key, str)):
            raise BadCursor
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadCursor("`after` is a cursor as `next` gives it: ask without it for the first page") from None
    return storable(at), storable(key)


def _talks(facts: Sequence[Fact]) -> list[tuple[str, datetime, datetime]]:
    """Who talked from when to when."""
    began: dict[str, tuple[str, datetime]] = {}
    talks = []
    for fact in facts:
        match fact.body:
            case CallConnected(offer=offer, agent=agent) | AgentTookOver(offer=offer, agent=agent):
                began[offer] = agent, fact.at
            case AgentLegEnded(offer=offer) if offer in began:
                talks.append((*began.pop(offer), fact.at))
            case _:
                pass
    return talks + [(agent, since, facts[-1].at) for agent, since in began.values()]


def _item(kind: str, row: Row) -> Item:
    at, name, *values = row
    match kind:
        case "call":
            record = from_json(values[0])
            names = ("direction", "queue", "agent", "intent", "outcome", "wait_ms", "talk_ms", "hold_ms", "revision")
            data = {name: record.get(name) for name in names}
            said = [leg["disposition"] for leg in record["legs"] if leg["disposition"]] or [record.get("disposition")]
            data["disposition"] = said[-1] or ""
            whom = f" with {record['agent']}" if record["agent"] else ""
            how = spoken(record["outcome"] or "goes on")
            words = f"{record['direction']} call{whom}: {how}" + (
                f", {span(record['talk_ms'])} of talk" if whom else ""
            )
        case "note":
            call, agent, author, revision, draft, text = values
            data = {
                "call": call,
                "agent": agent,
                "author": author,
                "revision": revision,
                "draft": bool(draft),
                "text": text,
            }
            words = f"note by {agent or author}"
        case "follow_up":
            of, state, title, due_at, agent, queue, done_at = values
            data = {"of": of, "state": state, "title": title, "due_at": due_at, "agent": agent, "queue": queue}
            data["done_at"] = done_at
            words = f"{of} due at {due_at}, {state}: {title}"
        case "callback":
            queue, source, outcome, attempts, not_before = values
            data = {
                "queue": queue,
                "source": source,
                "outcome": outcome,
                "attempts": attempts,
                "not_before": not_before,
            }
            words = f"callback by {queue}: {spoken(outcome) if outcome else 'open'}"
        case _:
            of, by = values
            data, words = {"merged": of, "by": by}, f"became one with {of}"
    return Item(at, kind, name, words, {name: value for name, value in data.items() if value not in ("", None)})


_FACTS = "SELECT seq, at, boot, ms, call_id, kind, body FROM facts WHERE call_id = ? AND seq > ? ORDER BY seq LIMIT ?"
_OF_NUMBER = (
    "SELECT call_id, record FROM interactions WHERE client = ? AND from_number = ? AND from_number <> ''"
    " AND arrived_at BETWEEN ? AND ? ORDER BY arrived_at LIMIT ?"
)
_CALLBACK = "SELECT record FROM callbacks WHERE id = ?"
_DIALLED = (
    "SELECT call_id, record FROM interactions WHERE client = ? AND arrived_at BETWEEN ? AND ?"
    " AND direction <> 'inbound' ORDER BY arrived_at LIMIT ?"
)
_TEXTS = (
    "SELECT r.note, r.revision, r.text FROM notes AS n JOIN note_revisions AS r ON r.note = n.id"
    " WHERE n.call_id = ? AND n.call_id <> ''"
)
_FOLLOW_UPS = (
    "SELECT id, kind, state, title, due_at, created_by, created_at, done_by, done_at FROM followups"
    " WHERE call_id = ? AND call_id <> '' ORDER BY created_at, id"
)
_VALUES = "SELECT offer, field, revision, value FROM wrap_up_fields WHERE call_id = ?"
_TAKES: Mapping[str, Scope] = {
    "call": Scope.CALLS_READ,
    "note": Scope.CALLS_READ,
    "follow_up": Scope.FOLLOWUPS_READ,
    "callback": Scope.CALLBACKS_READ,
    "merge": Scope.CUSTOMERS_READ,
}
# Of each kind: when, which, and what; the latest first, from a cursor on.
_BEHIND = "{at} <= ? AND ({at} < ? OR ? || {id} < ?) ORDER BY {at} DESC, {id} DESC LIMIT ?"
_SOURCES: Mapping[str, str] = {
    "call": "SELECT arrived_at, call_id, record FROM interactions WHERE client = ? AND customer_id IN (IDS)"
    " AND customer_id <> '' AND " + _BEHIND.format(at="arrived_at", id="call_id"),
    "note": "SELECT created_at, id, call_id, agent, author, revision, draft, text FROM notes WHERE client = ?"
    " AND customer_id IN (IDS) AND customer_id <> '' AND " + _BEHIND.format(at="created_at", id="id"),
    "follow_up": "SELECT created_at, id, kind, state, title, due_at, agent, queue, done_at FROM followups"
    " WHERE client = ? AND customer IN (IDS) AND customer <> '' AND " + _BEHIND.format(at="created_at", id="id"),
    "callback": "SELECT requested_at, id, queue, source, outcome, attempts, json_extract(record, '$.not_before')"
    # By the customer, who has a few, and not by the client, who has all.
    " FROM callbacks WHERE client || '' = ? AND customer IN (IDS) AND customer != '' AND "
    + _BEHIND.format(at="requested_at", id="id"),
    "merge": "SELECT merged_at, id, id, merged_by FROM customer_merges WHERE client = ? AND into_id IN (IDS) AND "
    + _BEHIND.format(at="merged_at", id="id"),
}
