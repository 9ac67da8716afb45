"""The dispatcher between the ACD and a log that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callcenter.acd.core import Acd
from callcenter.acd.events import DeviceChanged, Ticket
from callcenter.calls.dispatcher import Dispatcher, HowLeft, OfferInHand
from callcenter.calls.facts import FactStream
from callcenter.model.facts import Fact, OfferEnded
from callcenter.model.states import Device, EndCause, OfferResult, Side, VisitOutcome
from callcenter.simulation import floor
from callcenter.simulation.clock import SimClock, run
from callcenter.storage.database import StaleWriter, StorageError

HUNG_UP = HowLeft(Side.CALLER, EndCause.HANGUP, VisitOutcome.ABANDONED)


async def one_caller(flushed: Callable[[int], Awaitable[None]]) -> list[Fact]:
    """Amy is free, a caller joins, and hangs up when the offer comes; returns the facts."""
    facts: list[Fact] = []
    clock = SimClock(asyncio.get_running_loop())
    plan = floor.with_agent(floor.settings().plan, floor.agent("amy", {"english": 5}))
    stream = FactStream(clock, boot="b1", last_seq=0, write=facts.append)
    dispatcher = Dispatcher(Acd(plan), stream, clock, flushed)

    async def call() -> None:
        dispatcher.tell(DeviceChanged("amy", Device.REGISTERED, "phone registered"))
        with dispatcher.queued(Ticket("v1", "c1", "sales-english", "tech"), lambda: HUNG_UP) as waiting:
            assert isinstance(await waiting.next(), OfferInHand)
        await asyncio.sleep(1)
        dispatching.cancel()

    async with asyncio.TaskGroup() as group:
        dispatching = group.create_task(dispatcher.run())
        group.create_task(call())
    return facts


def test_an_offer_whose_facts_were_let_go_is_made_again_and_the_switch_stands() -> None:
    failures = [StorageError("fact 5 was not written")]

    async def flushed(seq: int) -> None:
        if failures:
            raise failures.pop()

    facts = run(one_caller(flushed))
    results = [fact.body.result for fact in facts if isinstance(fact.body, OfferEnded)]
    assert results == [OfferResult.LOST_RACE, OfferResult.CALLER_GONE]


def test_a_switch_whose_log_was_taken_over_offers_nothing_more() -> None:
    async def flushed(seq: int) -> None:
        raise StaleWriter("another switch has taken this database over")

    with pytest.raises(ExceptionGroup) as failed:
        run(one_caller(flushed))
    assert failed.group_contains(StaleWriter)
