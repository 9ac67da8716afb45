"""Callback plans: what somebody asks for who has a customer called back, or who changes that; and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from callcenter.model.callback import Callback, Mode, Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """A callback as it is asked for, in no flow. ``number`` as somebody wrote it; ``by`` says in words who asks.

    ``id`` is what it shall be called: the same again asks for nothing new. ``call`` is the call in which it came up.
    ``zone`` empty: that of the number, else the company's. What is None is as the company has it. ``prefer`` is an
    agent, who alone is asked for ``prefer_for`` seconds since it is due.

    ``agent`` is who asks, where it is an agent: of others' plans they change none. ``talked``: they have had the
    customer on the phone for it, who may think better of what they had asked for themselves.
    """

    client: str
    queue: str
    number: str
    source: Source
    by: str
    id: str = ""
    reason: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    zone: str = ""
    mode: Mode | None = None
    preview: bool | None = None
    prefer: str = ""
    prefer_for: float = 0.0
    customer: str = ""
    followup: str = ""
    call: str = ""
    language: str = ""
    name: str = ""
    agent: str | None = None
    talked: bool = False

    def may_join(self, there: Callback) -> bool:
        """Whether it may become one with a callback for the same number and queue."""
        if self.agent is None or there.is_of(self.by, self.agent):
            return True
        return self.talked and not there.created_by


class Obstacle(StrEnum):
    """Why it cannot be, for programs."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class NotPlanned(Exception):
    """A callback that is not planned, changed or called off; the text says why, ``field`` what is wrong."""

    def __init__(self, sentence: str, obstacle: Obstacle = Obstacle.INVALID, field: str | None = None) -> None:
        super().__init__(sentence)
        self.obstacle = obstacle
        self.field = field
