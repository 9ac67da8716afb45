"""Payloads: what is published, as plain values with a schema name, and the bytes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from callcenter.model.customer import Customer, Match
from callcenter.model.facts import AgentStateChanged, Fact, body_to_dict, utc
from callcenter.model.note import Note
from callcenter.model.states import Work
from callcenter.publish.events import EVENTS, FOLLOWUP_EVENTS
from callcenter.runtime.encoding import json_bytes

POP_SCHEMA = "pop.v1"
AGENT_SCHEMA = "agent.v1"
CALL_SCHEMA = "call.v1"
QUEUE_SCHEMA = "queue.v1"
CLIENT_SCHEMA = "client.v1"
CONFIG_SCHEMA = "config.v1"
TRUNK_SCHEMA = "trunk.v1"
RECORDINGS_SCHEMA = "recordings.v1"
FOLLOWUP_SCHEMA = "followup.v1"
FOLLOWUPS_SCHEMA = "followups.v1"

# Brokers drop the connection over a message that is too large for them; the smallest limit met is 128 kB.
MAX_PAYLOAD = 64 * 1024
# A caller's name or a note that is longer helps nobody on a screen.
MAX_TEXT = 1_000
MAX_INTERACTIONS = 10


@dataclass(frozen=True, slots=True)
class Pop:
    """A screen pop: everything the agent needs before the phone rings. The publisher adds ``seq``.

    ``interactions`` are records as the storage gives them, latest first. With ``match`` MAYBE, ``customers`` are
    candidates, shown side by side and never as sure; ``fields`` are those
    of each, by its id, that the client shows. ``diverted``: who sent the call on to us last, and why.
    ``callback``: the customer is called back, and dialled when the agent picks up; None of a caller. ``srtp``: the
    crypto-suite by which the caller's sound is encrypted, empty for plain RTP. ``record``: ``yes`` where the talk
    will be recorded, ``on_demand`` where the agent may have it recorded, else empty. ``note`` is the customer's last.
    ``open_followups`` counts what is still to be done for the caller, of which ``followups`` are the next.
    ``update``: a pop of this id was sent before, and more is known since.
    """

    id: str
    at: datetime
    expires_at: datetime
    call: str
    offer: str
    agent: str
    rings_in_ms: int
    client: str
    client_name: str
    greeting: str
    queue: str
    from_number: str
    from_name: str
    to_number: str
    language: str
    intent: str
    skills: Mapping[str, int]
    waited_s: float
    diverted: Mapping[str, str] | None = None
    menu: Sequence[str] = ()
    entered: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    match: Match = Match.NONE
    customers: Sequence[Customer] = ()
    fields: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    interactions: Sequence[Mapping[str, Any]] = ()
    why: Sequence[str] = ()
    position_was: int | None = None
    callback: Mapping[str, Any] | None = None
    srtp: str = ""
    record: str = ""
    note: Note | None = None
    open_followups: int = 0
    followups: Sequence[Mapping[str, Any]] = ()
    update: bool = False

    def payload(self) -> dict[str, Any]:
        """The pop as plain JSON values (schema pop.v1)."""
        return {
            "schema": POP_SCHEMA,
            "id": self.id,
            "update": self.update,
            "at": utc(self.at),
            "expires": utc(self.expires_at),
            "call": self.call,
            "offer": self.offer,
            "agent": self.agent,
            "rings_in_ms": self.rings_in_ms,
            "client": {"id": self.client, "name": self.client_name, "greeting": _short(self.greeting)},
            "queue": self.queue,
            "from": _short(self.from_number),
            "from_name": _short(self.from_name),
            "to": _short(self.to_number),
            "diverted": self.diverted,
            "intent": self.intent,
            "skills": dict(self.skills),
            "waited_s": round(self.waited_s, 1),
            "position_was": self.position_was,
            "ivr": {"language": self.language, "menu": list(self.menu), "entered": dict(self.entered)},
            "attributes": dict(self.attributes),
            "callback": self.callback,
            "srtp": self.srtp or None,
            "record": self.record or None,
            "open_followups": self.open_followups,
            "followups": [dict(each) for each in self.followups],
            "customer": self._customer(),
            "why": [{"text": text} for text in self.why],
        }

    def _customer(self) -> dict[str, Any]:
        match self.match, list(self.customers):
            case Match.SURE, [customer]:
                last = [_interaction(record) for record in self.interactions[:MAX_INTERACTIONS]]
                return {
                    **_customer(customer, self.fields),
                    "match": Match.SURE.value,
                    "note": None if self.note is None else _note(self.note),
                    "last": last[0] if last else None,
                    "interactions": last,
                }
            case _, []:
                return {"match": Match.NONE.value}
            case _, candidates:
                # No name stands where a reader in a hurry would take it for the caller's.
                return {"match": Match.MAYBE.value, "candidates": [_customer(each, self.fields) for each in candidates]}


def agent_state(
    state: AgentStateChanged,
    *,
    at: datetime,
    since: datetime | None = None,
    call: str | None = None,
    recording: Mapping[str, Any] | None = None,
    heard_by: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """An agent's retained state at ``at`` (schema agent.v1). It names the call by its id and nothing of the caller.

    ``since`` is when the agent began to want and to do that, or was lost or found. ``next`` is what holds from the end
    of the present work on, null when that changes nothing. A wrap-up, or a pause after an offer that failed, ends by
    itself at ``wrap_up_until`` or ``pause_until``; a wrap-up without that time ends with a disposition. ``wrap_up`` is
    its kind; who needs time in an optional one asks for it before that time (``wrap_up_extend``). ``by`` is who chose
    last, null when the system did. ``supervised``: who takes part in the agent's talk, and how, where the client wants
    the agent to know (``heard_by``, as supervisor and mode). A break has lasted as long as it may at ``break_until``;
    ``break_over``: it has. ``recording`` is that of the talk: its id, whether it is ``on`` or ``paused``, and by whom;
    null when there is none.
    """
    pending = (state.next, state.next_reason) != (state.intent, state.reason)
    until = utc(at + timedelta(milliseconds=state.remaining_ms)) if state.remaining_ms else None
    wraps_up = state.work is Work.WRAP_UP
    return {
        "schema": AGENT_SCHEMA,
        "agent": state.agent,
        "chosen": state.intent.value,
        "reason": state.reason,
        "forced": state.forced,
        "cause": state.cause,
        "next": {"chosen": state.next.value, "reason": state.next_reason} if pending else None,
        "work": state.work.value,
        "device": state.device.value,
        "wrap_up_until": until if wraps_up else None,
        "wrap_up_remaining_s": round(state.remaining_ms / 1000, 1) if wraps_up and until else None,
        "extension_s": round(state.extension_ms / 1000, 1),
        "wrap_up": state.wrap_up.value if wraps_up else None,
        "by": state.by or None,
        "break_until": utc(at + timedelta(milliseconds=state.break_ms)) if state.break_ms else None,
        "break_over": state.overrun,
        "pause_until": None if wraps_up else until,
        "since": utc(since or at),
        "at": utc(at),
        "call": call,
        "recording": recording,
        "supervised": [{"supervisor": who, "mode": mode} for who, mode in heard_by],
    }


@dataclass(frozen=True, slots=True)
class LineState:
    """What is told of a queue, or of all queues of a client: counts, nothing of a caller.

    ``callbacks`` are those of the ``waiting`` who are called back at their turn, ``planned`` those who do not wait, as
    they are called back later. ``signed_in`` and ``ready`` are the
    agents who may serve it, ``agents`` these by what they are at (of
    ``ledger.agent_time``). ``offered`` and what follows is of the visits that began today in the client's time zone, by
    the definitions of ``ledger.definitions``: ``service_level`` by the threshold of each queue itself, the other one by
    20 s; null where none was counted yet.
    """

    waiting: int
    callbacks: int
    longest_since: datetime | None
    ready: int
    signed_in: int
    talking: int
    agents: Mapping[str, int]
    offered: int
    answered: int
    abandoned: int
    asa_ms: int | None
    service_level: float | None
    service_level_20s: float | None
    planned: int = 0

    def payload(self, at: datetime) -> dict[str, Any]:
        """As plain JSON values. ``longest_s`` was the longest wait ``at`` that moment: a page counts on by itself from
        ``longest_since``.
        """
        since = self.longest_since
        return {
            "waiting": self.waiting,
            "callbacks": self.callbacks,
            "planned": self.planned,
            "longest_s": 0.0 if since is None else round(max(0.0, (at - since).total_seconds()), 1),
            "longest_since": None if since is None else utc(since),
            "ready": self.ready,
            "signed_in": self.signed_in,
            "talking": self.talking,
            "agents": dict(self.agents),
            "offered": self.offered,
            "answered": self.answered,
            "abandoned": self.abandoned,
            "asa_s": None if self.asa_ms is None else round(self.asa_ms / 1000, 1),
            "service_level": self.service_level,
            "service_level_20s": self.service_level_20s,
        }


def queue_state(queue: str, state: LineState, *, client: str, threshold_ms: int, at: datetime) -> dict[str, Any]:
    """A queue's retained state (schema queue.v1); ``service_level_s`` is its own threshold."""
    figures = {**state.payload(at), "service_level_s": round(threshold_ms / 1000, 3)}
    return {"schema": QUEUE_SCHEMA, "queue": queue, "client": client, **figures, "at": utc(at)}


def client_state(client: str, state: LineState, *, at: datetime) -> dict[str, Any]:
    """The retained state of all queues of a client (schema client.v1), and of the agents who answer for it."""
    return {"schema": CLIENT_SCHEMA, "client": client, **state.payload(at), "at": utc(at)}


def config_state(revision: str, *, loaded_at: datetime, by: str) -> dict[str, Any]:
    """Which configuration is in force (schema config.v1), since when, and who or what loaded it, in words."""
    return {"schema": CONFIG_SCHEMA, "revision": revision, "loaded_at": utc(loaded_at), "by": by}


def trunk_state(trunk: str, *, up: bool | None, detail: str, at: datetime) -> dict[str, Any]:
    """A trunk's retained state since ``at`` (schema trunk.v1); ``up`` is null as long as nothing is known of it."""
    return {"schema": TRUNK_SCHEMA, "trunk": trunk, "up": up, "detail": _short(detail), "at": utc(at)}


def recordings_state(
    *,
    on: bool,
    enough: bool,
    free: int | None,
    wanted: int,
    detail: str,
    failures: int,
    last_failure: Mapping[str, Any] | None,
    at: datetime,
) -> dict[str, Any]:
    """Whether recordings can be made (schema recordings.v1): an alarm when ``state`` is ``no_space``, and with each
    failure. ``state`` is ``off`` where the configuration has nobody recorded. ``free`` and ``wanted`` are bytes.
    """
    return {
        "schema": RECORDINGS_SCHEMA,
        "state": "off" if not on else "ok" if enough else "no_space",
        "free": free,
        "wanted": wanted,
        "detail": detail,
        "failures": failures,
        "last_failure": last_failure,
        "at": utc(at),
    }


def failure_told(at: datetime, call: str, reason: str, detail: str) -> dict[str, Any]:
    """One thing that failed, within such a state."""
    return {"at": utc(at), "call": call, "reason": reason, "detail": _short(detail)}


def call_event(fact: Fact) -> dict[str, Any] | None:
    """What is published of a fact of a call (schema call.v1); None for facts that are no part of a call's story."""
    event = EVENTS.get(type(fact.body))
    if event is None or fact.call_id is None:
        return None
    return {
        "schema": CALL_SCHEMA,
        "seq": fact.seq,
        "at": utc(fact.at),
        "boot": fact.boot,
        "ms": fact.ms,
        "call": fact.call_id,
        "event": event,
        "data": body_to_dict(fact.body),
    }


def followup_event(fact: Fact) -> dict[str, Any] | None:
    """What is published of a fact of a follow-up (schema followup.v1), ids only; None for all other facts."""
    event = FOLLOWUP_EVENTS.get(type(fact.body))
    if event is None:
        return None
    data = body_to_dict(fact.body)
    return {
        "schema": FOLLOWUP_SCHEMA,
        "seq": fact.seq,
        "at": utc(fact.at),
        "boot": fact.boot,
        "client": data["client"],
        "followup": data["followup"],
        "event": event,
        "data": data,
    }


def agent_followups(agent: str, open: int, due: int, overdue: int, *, at: datetime) -> dict[str, Any]:
    """How many open follow-ups an agent has (schema followups.v1), and how many of these are due, and overdue."""
    numbers = {"open": open, "due": due, "overdue": overdue}
    return {"schema": FOLLOWUPS_SCHEMA, "agent": agent, **numbers, "at": utc(at)}


def encode(payload: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. Half characters of a peer's broken UTF-8 become question marks.

    A payload that is too large for brokers loses its ``data`` and says so in ``truncated``.
    """
    data = _json(payload)
    if len(data) > MAX_PAYLOAD:
        kept = {name: value for name, value in payload.items() if len(_json({name: value})) <= MAX_TEXT}
        data = _json({**kept, "truncated": True})
    return data


def _json(payload: Mapping[str, Any]) -> bytes:
    try:
        return json_bytes(payload)
    except UnicodeEncodeError:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _customer(customer: Customer, fields: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "id": customer.id,
        "name": _short(customer.name),
        "account": _short(customer.account),
        "tier": _short(customer.tier),
        "language": customer.language,
        "since": customer.since,
        "notes": _short(customer.notes),
        "accounts": [_short(each) for each in customer.accounts],
        "fields": [
            {name: _short(value) if isinstance(value, str) else value for name, value in each.items()}
            for each in fields.get(customer.id, ())
        ],
    }


def _note(note: Note) -> dict[str, Any]:
    return {"at": note.created_at, "agent": note.agent, "call": note.call or None, "text": _short(note.text)}


def _interaction(record: Mapping[str, Any]) -> dict[str, Any]:
    legs = record.get("legs") or []
    return {
        "call": record.get("call_id"),
        "at": record.get("arrived_at"),
        "queue": record.get("queue"),
        "agent": record.get("agent"),
        "intent": record.get("intent"),
        "outcome": record.get("outcome"),
        "disposition": legs[-1].get("disposition", "") if legs else "",
        "wait_ms": record.get("wait_ms"),
        "talk_ms": record.get("talk_ms"),
    }


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
