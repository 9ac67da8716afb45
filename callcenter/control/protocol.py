"""What goes over the control socket: one JSON object a line, both ways.

``{"id": "7f3a", "do": "status"}`` is answered ``{"id": "7f3a", "ok": true, "result": {...}}`` or
``{"id": "7f3a", "ok": false, "error": "one clear sentence"}``. A command that changes something is done once for each
id: the same again, also over another connection, gives the same answer. After ``{"do": "events", "after": 88231}`` each
fact follows as ``{"fact": {...}}``, in order, without a gap and never twice; without ``after`` those from now on.

A program that asks for somebody else (the desk for an agent who signed in) says for whom in ``as``, as
:meth:`Actor.plain` writes it. Whoever may open the socket is believed: it is private to the switch's own user.
A refusal has a ``reason`` in a word (one of :class:`Reason`), and may name the ``field`` that is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from callcenter.model.access import Actor, BadActor, operator
from callcenter.model.facts import Fact, body_to_dict, utc

EVENTS = "events"

_encoder: Final = msgspec.json.Encoder()

MAX_LINE = 64 * 1024
"""Bytes of a request; no command needs more than some hundred."""

MAX_ID = 64


class Reason(StrEnum):
    """Why a command was not done, for programs."""

    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class CommandError(Exception):
    """A command that was not done: a clear sentence, why in a word, which field, and what else there is to know."""

    def __init__(
        self, sentence: str, reason: Reason = Reason.INVALID, *, field: str | None = None, **details: Any
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.field = field
        self.details = details


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was asked. ``by`` says in words who asks: the user behind the connection, as the system knows it,
    or for whom a program asks. ``actor`` is the same as what they may; without, whoever works on this machine. ``via``
    is the door that it came by: control, desk or mqtt.
    """

    do: str
    by: str
    id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    behalf: Actor | None = None
    via: str = field(default="control", compare=False)

    @property
    def actor(self) -> Actor:
        """Who asks, as what."""
        return self.behalf if self.behalf is not None else operator(self.by)

    def __str__(self) -> str:
        return f"{self.do} by {self.by}"

    def only(self, *known: str) -> None:
        """Raises CommandError for a field that means nothing here: it may be misspelt."""
        for name in self.fields:
            if name not in known:
                fields = ", ".join(f"`{each}`" for each in known) or "none"
                raise CommandError(f"{self.do} knows no field `{name}`; there are: {fields}", field=name)


def read(line: bytes, by: str) -> Asked:
    """A line as a command. Raises CommandError."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandError('this is not JSON: write e.g. {"id": "1", "do": "status"}') from None
    if not isinstance(values, dict):
        raise CommandError('a command is a JSON object: write e.g. {"id": "1", "do": "status"}')
    name, do, behalf = values.pop("id", None), values.pop("do", None), values.pop("as", None)
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= MAX_ID):
        raise CommandError(f"`id` is a text of 1 to {MAX_ID} characters, of one's own choice")
    if not isinstance(do, str):
        raise CommandError("`do` names the command, as a text")
    try:
        actor = None if behalf is None else Actor.from_plain(behalf)
    except BadActor as error:
        raise CommandError(f"`as`: {error}", field="as") from None
    if actor is None:
        return Asked(do, by, name, values)
    return Asked(do, f"{actor.role} {actor.user}", name, values, actor, via="desk")


def done(id: str | None, result: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a command that was done."""
    return {"id": id, "ok": True, "result": dict(result)}


def refused(id: str | None, error: CommandError) -> dict[str, Any]:
    """The answer to a command that was not done."""
    where = {} if error.field is None else {"field": error.field}
    return {**error.details, **where, "id": id, "ok": False, "error": str(error), "reason": error.reason.value}


def told(fact: Fact) -> dict[str, Any]:
    """A fact as it is told to who follows the events."""
    return {
        "fact": {
            "seq": fact.seq,
            "at": utc(fact.at),
            "boot": fact.boot,
            "ms": fact.ms,
            "call_id": fact.call_id,
            "kind": fact.kind,
            "body": body_to_dict(fact.body),
        }
    }


class Prepared(dict[str, msgspec.Raw]):
    """A value of a result: an object whose values are JSON already, in UTF-8. Nothing of it is encoded anew: it may be
    megabytes, and every call waits for the loop meanwhile (10,000 states: 3 ms; by way of their values: 350 ms).
    """

    def __init__(self, values: Mapping[str, bytes]) -> None:
        super().__init__(zip(values, map(msgspec.Raw, values.values()), strict=True))
        self.size = sum(map(len, values)) + sum(map(len, values.values())) + 8 * len(values)
        """Octets that it takes at least, and about as many at most."""


def line(message: Mapping[str, Any]) -> bytes:
    """A message as a line. ASCII, so that whatever a peer of SIP sent, broken UTF-8 too, passes unchanged."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def answer_line(answer: Mapping[str, Any]) -> bytes | bytearray:
    """An answer as a line: as :func:`line`, but for what is prepared, which is passed on as it is."""
    result = answer.get("result")
    if isinstance(result, dict) and (ready := [each for each in result.values() if isinstance(each, Prepared)]):
        room = bytearray(sum(each.size for each in ready) + 1024)  # at once: growing costs more than all the rest
        _encoder.encode_into(answer, room)
        room += b"\n"
        return room
    return line(answer)
