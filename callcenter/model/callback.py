"""Callback: somebody who is to be called back: at which number, on which place in line, and what they have said."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from callcenter.model.facts import utc


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback, as it is kept over a restart; instants are UTC.

    ``number`` is in E.164. ``first_joined_at`` is the place in line, by the wall's clock; ``due_at`` when the customer
    may be dialled next (the spacing after an attempt), ``attempts`` how often they were; ``dialling``: they are just
    now. ``dialled`` is the number of ours that the caller had called, in the call ``requested_in``. ``priority`` None
    takes the queue's; ``needs`` is what the caller asks of an agent beyond the queue, in the text form of
    ``acd/requirements.py``, and ``prefer`` the agent who comes first among equals. ``place_of`` is the visit that held
    the place last (its call, a slash, and its number there), ``told`` the position that they were told last of it.
    ``asked_by`` is who asked for it at a number that is not the own; empty where it is.

    What the flow had learnt, for the agent's screen: the ``account`` of a customer who is known for sure, ``language``,
    ``intent``, ``menus``, and ``entered`` and ``attributes`` with stars for what is masked.
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
    dialling: bool = False
    priority: int | None = None
    needs: str = ""
    prefer: str = ""
    place_of: str = ""
    told: int | None = None
    asked_by: str = ""
    menus: tuple[str, ...] = ()
    entered: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        instants = {name: utc(value) for name, value in values.items() if isinstance(value, datetime)}
        return {**values, **instants, "menus": list(self.menus)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Callback:
        """What :meth:`plain` made; unknown keys are passed over. Raises KeyError, TypeError or ValueError."""
        known = {item.name: values[item.name] for item in dataclasses.fields(cls) if item.name in values}
        for name in ("first_joined_at", "requested_at", "due_at"):
            known[name] = datetime.fromisoformat(values[name])
        known["menus"] = tuple(values.get("menus", ()))
        return cls(**known)
