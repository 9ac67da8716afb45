"""What goes over the control socket: one JSON object a line, both ways.

``{"id": "7f3a", "do": "status"}`` is answered ``{"id": "7f3a", "ok": true, "result": {...}}`` or
``{"id": "7f3a", "ok": false, "error": "one clear sentence"}``. A command that changes something is done once for each
id: the same again, also over another connection, gives the same answer. After ``{"do": "events", "after": 88231}`` each
fact follows as ``{"fact": {...}}``, in order, without a gap and never twice; without ``after`` those from now on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callcenter.model.facts import Fact, body_to_dict, utc

EVENTS = "events"

MAX_LINE = 64 * 1024
"""Bytes of a request; no command needs more than some hundred."""

MAX_ID = 64


class CommandError(Exception):
    """A command that was not done: one clear sentence, and what else the asker should know."""

    def __init__(self, sentence: str, **details: Any) -> None:
        super().__init__(sentence)
        self.details = details


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was asked. ``by`` is the user behind the connection, as the system knows it."""

    do: str
    by: str
    id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.do} by {self.by}"

    def only(self, *known: str) -> None:
        """Raises CommandError for a field that means nothing here: it may be misspelt."""
        for name in self.fields:
            if name not in known:
                fields = ", ".join(f"`{each}`" for each in known) or "none"
                raise CommandError(f"{self.do} knows no field `{name}`; there are: {fields}")


def read(line: bytes, by: str) -> Asked:
    """A line as a command. Raises CommandError."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandError('this is not JSON: write e.g. {"id": "1", "do": "status"}') from None
    if not isinstance(values, dict):
        raise CommandError('a command is a JSON object: write e.g. {"id": "1", "do": "status"}')
    name, do = values.pop("id", None), values.pop("do", None)
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= MAX_ID):
        raise CommandError(f"`id` is a text of 1 to {MAX_ID} characters, of one's own choice")
    if not isinstance(do, str):
        raise CommandError("`do` names the command, as a text")
    return Asked(do, by, name, values)


def done(id: str | None, result: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a command that was done."""
    return {"id": id, "ok": True, "result": dict(result)}


def refused(id: str | None, error: CommandError) -> dict[str, Any]:
    """The answer to a command that was not done."""
    return {**error.details, "id": id, "ok": False, "error": str(error)}


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


def line(message: Mapping[str, Any]) -> bytes:
    """A message as a line. ASCII, so that whatever a peer of SIP sent, broken UTF-8 too, passes unchanged."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
