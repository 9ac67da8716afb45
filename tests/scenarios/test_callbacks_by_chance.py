"""Floors on which callers ask to be called back by chance: the line is always kept, and nobody is dialled twice."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from callcenter.calls.settings import CallbackRules
from callcenter.model.facts import (
    AgentLegEnded,
    CallbackAttempted,
    CallbackEnded,
    CallbackFailed,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
)
from callcenter.model.states import OfferResult
from callcenter.runtime.scopes import Background
from callcenter.simulation.phone import Phone, PhoneFailure
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import AgentPhone, World, tell
from tests.scenarios.callbacks import HELP, furnish
from tests.scenarios.trunks import trunk

RULES = CallbackRules(outside=("+1",), tries=2, spacing=40.0, ring_for=15.0)
MANNERS = (Manners(), Manners(rings=3.0), Manners(rings=None), Manners(status=486), Manners(status=503))
LASTS = 400.0


async def floor(world: World, chance: Random, *, restarts: bool) -> None:
    """Six customers, of whom most ask; two agents who mostly pick up; a carrier that changes its mind."""
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    furnish(world, rules=RULES)
    agents = [await world.agent(name, english=5) for name in ("amy", "bob")]
    people = Background(limit=20)
    for number in range(6):
        phone = await world.phone(f"+14155550{number + 101}")
        people.start(customer(world, phone, chance), name=f"customer {phone.name}")
    for agent in agents:
        people.start(work(world, agent, chance), name=f"work of {agent.name}")
    for _ in range(8):
        await world.sleep(LASTS / 8)
        carrier.manners = chance.choice(MANNERS)
        if restarts and chance.random() < 0.3:
            await world.restart(crash=chance.random() < 0.5)
    carrier.manners = Manners()
    await world.sleep(150)
    people.cancel()
    await world.settled()
    for phone in world.phones:
        phone.drops()
    for call in carrier.calls:
        call.leg.hangup() if call.connected else call.leg.reject(480)
    await world.sleep(20)
    furnish(world, queues=(HELP,))
    await world.sleep(1)


async def customer(world: World, phone: Phone, chance: Random) -> None:
    """Calls now and then, waits, and asks to be called back, or hangs up."""
    while True:
        await world.sleep(chance.uniform(1, 90))
        if not world.up or not phone.is_free:
            continue
        call = phone.starts_dialling("1000")
        await world.sleep(chance.uniform(1, 10))
        for key in chance.choice(("11", "11", "1*", "1", "")):
            if not call.over:
                await phone.press(key)
                await world.sleep(chance.uniform(0.3, 2))
        await world.sleep(chance.uniform(8, 40))
        if phone.call is call:
            phone.drops()


async def work(world: World, phone: AgentPhone, chance: Random) -> None:
    """Picks up what rings, most of the time, and talks for a while."""
    while True:
        try:
            await phone.rings(within=60)
            await world.sleep(chance.uniform(0, 2))
            if phone.call is not None and not phone.call.over and chance.random() < 0.9:
                phone.picks_up()
                await world.sleep(chance.uniform(1, 25))
        except PhoneFailure:
            pass
        phone.drops()
        await asyncio.sleep(1)


def look_at_the_line(facts: list[Fact]) -> None:
    """Whoever was offered to an agent stood first of all who waited, by priority and place."""
    waiting: dict[str, tuple[int, int]] = {}
    offered: set[str] = set()
    offers: dict[str, str] = {}
    boot = ""
    for fact in facts:
        if fact.boot != boot:
            boot, waiting, offered = fact.boot, {}, set()
        match fact.body:
            case CallQueued(visit=visit, priority=priority, first_joined_ms=place):
                waiting[visit] = (-priority, place)
            case QueueLeft(visit=visit):
                waiting.pop(visit, None)
                offered.discard(visit)
            case OfferMade(visit=visit, offer=offer):
                first = min(place for each, place in waiting.items() if each not in offered or each == visit)
                assert waiting[visit] == first, f"{visit} jumped ahead at fact {fact.seq}"
                offered.add(visit)
                offers[offer] = visit
            case OfferEnded(visit=visit, result=result) if result is not OfferResult.ACCEPTED:
                offered.discard(visit)
            case AgentLegEnded(offer=offer):
                offered.discard(offers[offer])  # before the bridge: the place is that of before
            case _:
                pass


def look_at_the_attempts(facts: list[Fact]) -> None:
    """Of each callback one attempt at a time, the spacing between, no more than its tries, and one end."""
    since: dict[str, float] = {}
    running: set[str] = set()
    ended: set[str] = set()
    for fact in facts:
        match fact.body:
            case CallbackAttempted(callback=callback, attempt=attempt):
                assert callback not in running | ended
                assert attempt <= RULES.tries
                at = fact.at.timestamp()
                assert at - since.get(callback, at - RULES.spacing) >= RULES.spacing - 0.5
                since[callback] = at
                running.add(callback)
            case CallbackFailed(callback=callback):
                running.discard(callback)
            case CallbackEnded(callback=callback):
                assert callback not in ended
                ended.add(callback)
                running.discard(callback)
            case _:
                pass
    assert since.keys() <= ended


@pytest.mark.long
@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarts"])
@pytest.mark.parametrize("seed", range(6))
def test_a_floor(seed: int, restarts: bool) -> None:
    chance = Random(seed)
    logged: list[Fact] = []

    async def story(world: World) -> None:
        await floor(world, chance, restarts=restarts)
        logged.extend(await world.logged())

    world = tell(story, seed=seed)
    look_at_the_line(logged)
    look_at_the_attempts(logged)
    assert any(isinstance(fact.body, CallbackEnded) for fact in logged), "nobody asked"
    assert len(world.house.callbacks) == 0
