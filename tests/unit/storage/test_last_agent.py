"""Who answered a caller last: by customer, by number, within a time, and never across companies."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from callcenter.model.customer import Match
from callcenter.model.facts import (
    Body,
    CallAnswered,
    CallConnected,
    CallEnded,
    CallQueued,
    CustomerFound,
    Fact,
    OfferMade,
    QueueLeft,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import Direction, EndCause, Side, VisitOutcome
from callcenter.storage.database import InlineDatabase
from callcenter.storage.interactions import last_agent
from callcenter.storage.store import Storage
from tests.unit.storage.support import NOON, StillClock, arrived

JANA, PETR = "+420777123456", "+420777999888"
AGES = timedelta(days=365)


class Past:
    """Calls of a day that is over."""

    def __init__(self, store: Storage) -> None:
        self.store = store
        self.numbers = itertools.count(1)

    async def call(
        self,
        agent: str,
        number: str = JANA,
        *,
        ago: timedelta = timedelta(hours=1),
        customer: str = "",
        client: str = "acme",
        direction: Direction = Direction.INBOUND,
    ) -> None:
        """A call that this agent answered; nobody, when empty."""
        bodies: list[Body] = [replace(arrived(number), client=client, direction=direction), CallAnswered()]
        bodies += [CustomerFound(customer, Match.SURE)] if customer else []
        bodies.append(CallQueued("v1", "sales", client, 0, (), 20))
        if agent:
            bodies += [OfferMade("v1", "o1", 1, "sales", agent, 20_000, 25_000), CallConnected("v1", "o1", agent)]
        else:
            bodies.append(QueueLeft("v1", "sales", VisitOutcome.ABANDONED))
        bodies.append(CallEnded(Side.CALLER, EndCause.HANGUP))
        call_id = f"cc1-{next(self.numbers)}"
        facts = [Fact(at, NOON - ago, "boot1", at * 10, call_id, body) for at, body in enumerate(bodies, 1)]
        self.store.interactions.save(Interaction.from_facts(facts))
        await self.store.log.drained()

    async def last(self, customer: str = "", number: str = "", within: timedelta = AGES, client: str = "acme") -> str:
        return await self.store.database.read(
            lambda reading: last_agent(reading, client, NOON - within, customer=customer, number=number)
        )


@pytest.fixture
async def past() -> AsyncIterator[Past]:
    store = await Storage.over(InlineDatabase(), clock=StillClock())
    yield Past(store)
    await store.close()


async def test_the_last_one_who_answered_the_number_counts(past: Past) -> None:
    await past.call("ana", ago=timedelta(hours=3))
    await past.call("bob", ago=timedelta(hours=2))
    await past.call("cid", PETR)
    assert await past.last(number=JANA) == "bob"
    assert await past.last(number="+420777000000") == ""
    assert await past.last() == ""


async def test_a_customer_is_known_by_the_record_whatever_number_they_called_from(past: Past) -> None:
    await past.call("ana", JANA, customer="c-1", ago=timedelta(hours=2))
    await past.call("bob", PETR, customer="c-2", ago=timedelta(hours=1))
    assert await past.last(customer="c-1") == "ana"
    assert await past.last(customer="c-1", number="+420777000000") == "ana"


async def test_the_later_of_both_counts_when_customer_and_number_were_answered_by_different_agents(past: Past) -> None:
    await past.call("ana", PETR, customer="c-1", ago=timedelta(hours=2))
    await past.call("bob", JANA, ago=timedelta(hours=1))
    assert await past.last(customer="c-1", number=JANA) == "bob"
    await past.call("cid", PETR, customer="c-1", ago=timedelta(minutes=5))
    assert await past.last(customer="c-1", number=JANA) == "cid"


async def test_a_call_that_nobody_answered_changes_nothing(past: Past) -> None:
    await past.call("ana", ago=timedelta(hours=2))
    await past.call("", ago=timedelta(hours=1))
    assert await past.last(number=JANA) == "ana"


async def test_what_was_longer_ago_than_is_asked_does_not_count(past: Past) -> None:
    await past.call("ana", ago=timedelta(hours=2))
    assert await past.last(number=JANA, within=timedelta(hours=2)) == "ana"
    assert await past.last(number=JANA, within=timedelta(minutes=119)) == ""


async def test_another_company_s_calls_and_our_own_are_none_of_theirs(past: Past) -> None:
    await past.call("ana", client="globex")
    await past.call("bob", direction=Direction.OUTBOUND)
    assert await past.last(number=JANA) == ""
    assert await past.last(number=JANA, client="globex") == "ana"


async def test_callers_without_a_number_are_not_one_caller(past: Past) -> None:
    await past.call("ana", "")
    assert await past.last(number="") == ""


async def test_the_question_is_answered_by_indexes(past: Past) -> None:
    """Also with a year of calls in the database nobody waits for it."""
    from callcenter.storage.interactions import WHO_ANSWERED_LAST

    rows = await past.store.database.fetch_all(f"EXPLAIN QUERY PLAN {WHO_ANSWERED_LAST}", ("a", "b", "c") * 2)
    plan = " ".join(str(row[-1]) for row in rows)
    assert "interactions_of_customer" in plan
    assert "interactions_of_number" in plan
    assert "SCAN interactions" not in plan
