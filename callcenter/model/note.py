"""Note: what somebody wrote of a call, or of a customer; and one of its earlier texts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

# What a person writes beside a talk; who has more to say attaches a file elsewhere.
MAX_NOTE = 10_000


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is now. Instants are UTC in ISO 8601.

    It is of a ``call``, of a ``customer``, or of both: of the customer whose call it is. ``agent`` is in whose talk it
    was written, empty: in nobody's own; ``author`` the user who began it, ``changed_by`` who wrote last, in words.
    ``revision`` counts how often it was written. A ``draft`` is being typed: it is replaced by what is typed next, and
    becomes a text that is kept when the agent is through with the call.
    """

    id: str
    client: str
    call: str
    customer: str
    agent: str
    author: str
    created_at: str
    changed_at: str
    changed_by: str
    revision: int
    draft: bool
    text: str

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class NoteRevision:
    """What a note said from one revision on; ``why`` it was corrected, where somebody did."""

    note: str
    revision: int
    at: str
    by: str
    why: str
    text: str

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)
