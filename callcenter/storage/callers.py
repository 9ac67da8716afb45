"""Callers: all that a call asks about who calls, in one go: the way to the database's thread costs more than it all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callcenter.model.customer import Customer, Match
from callcenter.model.followup import Followup
from callcenter.model.note import Note
from callcenter.storage.database import Database, Reading, StorageError
from callcenter.storage.followups import of_caller
from callcenter.storage.interactions import last_agent, recent_of_customer
from callcenter.storage.notes import last_of_customer

Who = Callable[[Reading], tuple[Match, Sequence[Customer]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of whoever it is. ``recent``: so many of a customer's last calls.

    ``last_agent_since``: from when on who answered last counts, for a customer or a ``number``, as it was signalled;
    None: nobody wants to know. ``followups``: whether anything is to be done for anybody of this client, for a customer
    or ``followups_of``, a number in E.164.
    """

    client: str
    recent: int
    number: str = ""
    last_agent_since: datetime | None = None
    followups: bool = False
    followups_of: str = ""


@dataclass(slots=True)
class Found:
    """What the database has said by now. ``match`` is None until it has said who calls."""

    match: Match | None = None
    customers: tuple[Customer, ...] = ()
    recent: tuple[dict[str, Any], ...] = ()
    note: Note | None = None
    last_agent: str = ""
    open_followups: int = 0
    followups: tuple[Followup, ...] = ()

    @property
    def customer(self) -> Customer | None:
        """Who calls, when that is sure."""
        return self.customers[0] if self.match is Match.SURE and self.customers else None


class Callers:
    """Reads the tables of customers, interactions, notes and follow-ups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look_up(self, who: Who, wanted: Wanted, within: float) -> Found:
        """Ask ``who`` it is, and what is wanted of them. Never raises.

        What the database has not said ``within`` so many seconds, or cannot say, is not waited for.
        """
        found, waiting = Found(), [True]
        try:
            async with asyncio.timeout(within):
                await self._database.read(lambda reading: _look_up(reading, found, who, wanted, waiting))
        except (TimeoutError, StorageError):
            # The thread may go on: what it finds from now on comes too late.
            return replace(found)
        finally:
            # A thread that is behind has not to look up first who has gone on without: it would stay behind.
            waiting.clear()
        return found


def _look_up(reading: Reading, found: Found, who: Who, wanted: Wanted, waiting: Sequence[bool]) -> None:
    """Find it; nothing where nobody is ``waiting`` any more."""
    if not waiting:
        return
    match, customers = who(reading)
    found.customers = tuple(customers)
    found.match = match
    customer, client = found.customer, wanted.client
    if customer is not None:
        found.recent = tuple(recent_of_customer(reading, client, customer.id, wanted.recent))
        found.note = last_of_customer(reading, client, customer.id)
    whose = customer.id if customer is not None else ""
    if wanted.last_agent_since is not None:
        found.last_agent = last_agent(reading, client, wanted.last_agent_since, customer=whose, number=wanted.number)
    if wanted.followups:
        count, followups = of_caller(reading, client, whose, wanted.followups_of)
        found.open_followups, found.followups = count, tuple(followups)
