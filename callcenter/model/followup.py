"""Follow-up: something that was promised to a customer, or is to be done about one: by whom, and until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from callcenter.model.facts import utc

MAX_TITLE = 200
MAX_TEXT = 4_000
MAX_NOTE = 1_000
# What was tried so often, and more, is told by the latest.
MAX_ATTEMPTS = 50


class FollowupState(StrEnum):
    """Whether it is still to be done."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class FollowupKind(StrEnum):
    """A task that somebody does by hand, or a callback that the switch dials."""

    TASK = "task"
    CALLBACK = "callback"


class Told(IntEnum):
    """What was told of an open follow-up since its due time was set; each once, in this order."""

    NOTHING = 0
    REMINDED = 1
    DUE = 2
    OVERDUE = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that was tried: when, by whom, with what outcome in a word, and a note."""

    at: datetime
    by: str
    outcome: str
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"at": utc(self.at), "by": self.by, "outcome": self.outcome, "note": self.note}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Attempt:
        """What :meth:`plain` made."""
        return cls(datetime.fromisoformat(values["at"]), values["by"], values["outcome"], values.get("note", ""))


@dataclass(frozen=True, slots=True)
class Followup:
    """One follow-up; instants are UTC, and what there is none of is empty.

    ``agent`` whose it is, or nobody's yet of those of ``queue``. ``made_by`` is the agent who promised it. ``due_at``
    is ``due_local`` (without an offset) in the time zone ``zone``. ``customer``, ``number`` (E.164) and ``call`` say
    whom it is about. ``callback`` is the one that carries it out. ``revision`` grows with each change.

    ``title``, ``text``, ``number`` and the notes of the attempts are customer data: they stand in the table alone.
    """

    id: str
    client: str
    kind: FollowupKind
    title: str
    due_at: datetime
    due_local: str
    zone: str
    created_by: str
    created_at: datetime
    state: FollowupState = FollowupState.OPEN
    text: str = ""
    customer: str = ""
    number: str = ""
    call: str = ""
    queue: str = ""
    agent: str = ""
    made_by: str = ""
    callback: str = ""
    attempts: tuple[Attempt, ...] = ()
    done_by: str = ""
    done_at: datetime | None = None
    revision: int = 1
    told: Told = Told.NOTHING

    def plain(self, now: datetime) -> dict[str, Any]:
        """As plain JSON values, as of ``now``; None where there is nothing."""
        named = ("customer", "number", "call", "queue", "agent", "made_by", "callback", "done_by")
        return {
            "id": self.id,
            "client": self.client,
            "kind": self.kind.value,
            "state": self.state.value,
            "title": self.title,
            "text": self.text,
            "due_at": utc(self.due_at),
            "due_local": self.due_local,
            "zone": self.zone,
            "overdue": self.state is FollowupState.OPEN and self.due_at < now,
            **{name: getattr(self, name) or None for name in named},
            "attempts": [each.plain() for each in self.attempts],
            "created_by": self.created_by,
            "created_at": utc(self.created_at),
            "done_at": None if self.done_at is None else utc(self.done_at),
            "revision": self.revision,
        }

    def tried(self, attempt: Attempt) -> Followup:
        """With one attempt more; of too many the first are let go."""
        return dataclasses.replace(self, attempts=(*self.attempts, attempt)[-MAX_ATTEMPTS:])


@dataclass(frozen=True, slots=True)
class FollowupRules:
    """What a company wants of its follow-ups. Times are seconds.

    Somebody is reminded ``remind`` before one is due (0: nobody), and it is overdue ``overdue_after`` behind that.
    ``queue`` has those that are nobody's: created without an owner, or whose agent is gone; empty: the first queue.
    """

    remind: float = 0.0
    overdue_after: float = 3_600.0
    queue: str = ""


USUAL_RULES = FollowupRules()

# What is counted of promises, and how; a change of a formula is another version.
PROMISES_VERSION = 2
# A callback is not dialled before it is due: who is reached within this (seconds) was called back in time.
CALLED_WITHIN = 3_600
PROMISES: Mapping[str, str] = {
    "promised": "follow-ups that fell due in the time asked for, but for cancelled ones",
    "kept": "of these, done no later than they were due; a callback, which is dialled from then on: within an hour",
    "late": "of these, done after that",
    "open": "of these, not done yet",
    "kept_share": "kept / promised",
}


@dataclass(frozen=True, slots=True)
class Promises:
    """How promises were kept, of one company, by one agent (empty: all, or nobody's)."""

    client: str
    agent: str
    kept: int
    late: int
    open: int

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, by the formulas of ``PROMISES``."""
        promised = self.kept + self.late + self.open
        return {
            "client": self.client,
            "agent": self.agent or None,
            "promised": promised,
            "kept": self.kept,
            "late": self.late,
            "open": self.open,
            "kept_share": round(self.kept / promised, 4) if promised else None,
        }
