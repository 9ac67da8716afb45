"""Callback: somebody who is to be called back: at which number, when, on which place in line, and what was tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from callcenter.model.facts import utc

# Of texts that people write: longer ones belong into a note.
MAX_REASON = 500


class Source(StrEnum):
    """Who asked for a callback. ``CALLER``: in the flow; ``ABANDONED``: nobody did, they hung up while they waited."""

    CALLER = "caller"
    AGENT = "agent"
    API = "api"
    ABANDONED = "abandoned"
    CALL_ME = "call_me"
    FOLLOW_UP = "follow_up"


class Mode(StrEnum):
    """Who is brought to the phone first. ``CUSTOMER_FIRST``: dialled while an agent is reserved for them alone."""

    AGENT_FIRST = "agent_first"
    CUSTOMER_FIRST = "customer_first"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to dial: written before, and nobody dials while there is one.

    ``attempt`` is its id, ``epoch`` that of the log's writer: one of an earlier epoch is dead, and its attempt was
    interrupted. What it dialled may ring on ``until`` then at the latest.
    """

    attempt: str
    epoch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that the customer was dialled, or that an agent did not want to.

    ``cause`` says in a word what came of it: ``reached``, ``busy``, ``no_answer`` and the like, ``interrupted``; empty
    while it is under way. ``number`` counts from 1; 0 is a preview that the ``agent`` declined, which is no attempt.
    """

    number: int
    at: datetime
    agent: str = ""
    call: str = ""
    cause: str = ""
    detail: str = ""
    ended_at: datetime | None = None

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return _plain(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Attempt:
        """What :meth:`plain` made. Raises KeyError, TypeError or ValueError."""
        return cls(**_known(cls, values, ("at", "ended_at")))


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback, as it is kept over a restart, and for a while when it has ended; instants are UTC.

    ``number`` is in E.164. ``first_joined_at`` is the place in line, by the wall's clock; ``due_at`` when the customer
    may be dialled next (the spacing after an attempt), ``attempts`` how often they were, each with what came of it in
    ``history``; ``lease``: they are just now. ``dialled`` is the number of ours that the caller had called, in the call
    ``requested_in``; of one that nobody asked for in a call, both are empty or the number that we show. ``priority``
    None takes the queue's; ``needs`` is what the caller asks of an agent beyond the queue, in the text form of
    ``acd/requirements.py``, and ``prefer`` the agent who comes first among equals; nobody else is asked for
    ``prefer_for`` seconds since it is due. ``place_of`` is the visit that held the place last (its call, a slash, and
    its number there), ``told`` the position that they were told last of it. ``asked_by`` is who asked for it at a
    number that is not the own; empty where it is.

    ``scheduled``: it has no place of a caller's who waited, but joins the line when it is due, as a caller arriving
    then. It is due not before ``not_before`` and not from ``not_after`` on; None: no matter. ``zone`` is the customer's
    time zone (IANA), empty where it is the company's. ``reason`` is what the call is about, in somebody's words.
    ``preview``: the agent sees the customer first, and accepts or declines. ``customer`` and ``followup`` are ids;
    ``beside``: whatever becomes of its follow-ups, somebody else has asked for it too.

    What the flow had learnt, for the agent's screen: the ``account`` of a customer who is known for sure, ``language``,
    ``intent``, ``menus``, and ``entered`` and ``attributes`` with stars for what is masked.

    One that has ended has an ``outcome`` (see :class:`CallbackOutcome`), and a word for why in ``ended_why``.
    """

    id: str
    client: str
    queue: str
    number: str
    first_joined_at: datetime
    requested_at: datetime
    due_at: datetime
    requested_in: str
    dialled: str
    language: str
    name: str = ""
    account: str = ""
    intent: str = ""
    attempts: int = 0
    lease: Lease | None = None
    priority: int | None = None
    needs: str = ""
    prefer: str = ""
    prefer_for: float = 0.0
    place_of: str = ""
    told: int | None = None
    asked_by: str = ""
    menus: tuple[str, ...] = ()
    entered: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    source: Source = Source.CALLER
    scheduled: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None
    zone: str = ""
    mode: Mode = Mode.AGENT_FIRST
    preview: bool = False
    reason: str = ""
    customer: str = ""
    followup: str = ""
    beside: bool = False
    created_by: str = ""
    history: tuple[Attempt, ...] = ()
    outcome: str = ""
    ended_why: str = ""
    ended_at: datetime | None = None

    @property
    def dialling(self) -> bool:
        """Whether the customer is being dialled, or was when we were interrupted."""
        return self.lease is not None

    def is_of(self, by: str, agent: str) -> bool:
        """Whether an agent may change it: they have planned it (``by``, as ``created_by`` says it), or are to call."""
        return self.created_by == by or (agent != "" and self.prefer == agent)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        lease = None if self.lease is None else _plain(self.lease)
        history = [each.plain() for each in self.history]
        return {**_plain(self), "menus": list(self.menus), "lease": lease, "history": history}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Callback:
        """What :meth:`plain` made, also by an older program; unknown keys are passed over.

        Raises KeyError, TypeError or ValueError.
        """
        instants = ("first_joined_at", "requested_at", "due_at", "not_before", "not_after", "ended_at")
        known = _known(cls, values, instants)
        known["menus"] = tuple(values.get("menus", ()))
        known["source"] = Source(values.get("source", Source.CALLER))
        known["mode"] = Mode(values.get("mode", Mode.AGENT_FIRST))
        known["history"] = tuple(Attempt.from_plain(each) for each in values.get("history", ()))
        lease = values.get("lease")
        if lease is not None:
            known["lease"] = Lease(**_known(Lease, lease, ("until",)))
        elif values.get("dialling"):  # written before there were leases
            known["lease"] = Lease("", 0, known["due_at"])
        return cls(**known)


def _plain(value: Any) -> dict[str, Any]:
    values = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return {name: utc(each) if isinstance(each, datetime) else each for name, each in values.items()}


def _known(cls: Any, values: Mapping[str, Any], instants: tuple[str, ...]) -> dict[str, Any]:
    known = {item.name: values[item.name] for item in dataclasses.fields(cls) if item.name in values}
    for name in instants:
        if known.get(name) is not None:
            known[name] = datetime.fromisoformat(known[name])
    return known
