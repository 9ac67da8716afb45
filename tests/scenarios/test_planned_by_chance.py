"""Callbacks planned by chance over a leap of the clocks, restarts and a clock that is set: each in its time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from callcenter.calls.hours import Door, Hours, Interval, look
from callcenter.calls.settings import CallbackRules, Missed
from callcenter.control.protocol import CommandError
from callcenter.model.callback import Callback, Mode
from callcenter.model.facts import CallbackAttempted, CallbackEnded, CallbackFailed, CallbackRequested, Fact, utc
from callcenter.runtime.scopes import Background
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import World, tell
from callcenter.storage.callbacks import find_callbacks
from tests.scenarios.callback_commands import ask, now
from tests.scenarios.callbacks import SALES, furnish
from tests.scenarios.test_callback_ways import opens
from tests.scenarios.test_callbacks_by_chance import work
from tests.scenarios.trunks import trunk

ZONES = ("Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "")
RULES = CallbackRules(outside=("+1",), tries=2, spacing=300.0, ring_for=15.0, per_day=50, missed=Missed.EXPIRE)
MAY = Hours("may", tuple((Interval(8 * 60, 11 * 60), Interval(13 * 60, 20 * 60)) for _ in range(7)))
MANNERS = (Manners(), Manners(rings=2.0), Manners(rings=None), Manners(status=486), Manners(status=503))
# The evening before the clocks leap ahead in Europe, and before they fall back in America and at Lord Howe's.
BEGINS = (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 31, 20, tzinfo=UTC))
LASTS_HOURS = 14


async def floor(world: World, chance: Random) -> None:
    """Windows by chance over a day and a night, a carrier of many minds, two agents, restarts, a clock that is set."""
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    furnish(world, rules=replace(RULES, mode=chance.choice(list(Mode))))
    opens(world, MAY, callbacks=True)
    agents = [await world.agent(name, english=5) for name in ("amy", "bob")]
    people, numbers = Background(limit=5), itertools.count(101)
    for agent in agents:
        people.start(work(world, agent, chance), name=f"work of {agent.name}")
    for _ in range(LASTS_HOURS):
        for _ in range(chance.randint(0, 2)):
            begin = now(world) + timedelta(minutes=chance.randint(0, 900))
            window: dict[str, Any] = {
                "not_before": utc(begin),
                "not_after": utc(begin + timedelta(minutes=chance.randint(20, 600))),
            }
            number = f"+14155550{next(numbers)}"
            with contextlib.suppress(CommandError):  # nobody may be called then, or they are just being dialled
                await ask(
                    world, "callback_schedule", client="tech", queue=SALES, number=number,
                    zone=chance.choice(ZONES) or None, **(window if chance.random() < 0.8 else {}),
                )  # fmt: skip
        carrier.manners = chance.choice(MANNERS)
        await world.sleep(3600 * chance.uniform(0.5, 1.5))
        if chance.random() < 0.2:
            await world.restart(crash=chance.random() < 0.5)
            opens(world, MAY, callbacks=True)
        if chance.random() < 0.1:
            world.clock.set_wall(timedelta(minutes=chance.choice((-45, 5, 90))))
    people.cancel()
    for phone in world.phones:
        phone.drops()
    for call in carrier.calls:
        call.leg.hangup() if call.connected else call.leg.reject(480)
    await asyncio.sleep(30)
    world.house.callbacks.suspend(True)
    await world.settled()


def in_its_time(value: Callback, at: datetime) -> bool:
    """Whether a customer may be called at an instant."""
    zone = ZoneInfo(value.zone or "UTC")
    window = (value.not_before is None or at >= value.not_before) and (value.not_after is None or at < value.not_after)
    return window and look(MAY, zone, at).door is Door.OPEN


@pytest.mark.long
@pytest.mark.parametrize("begins", BEGINS, ids=["spring", "autumn"])
def test_a_day(begins: datetime) -> None:
    chance = Random(f"{begins}")
    logged: list[Fact] = []
    kept: dict[str, Callback] = {}

    async def story(world: World) -> None:
        await floor(world, chance)
        logged.extend(await world.logged())
        kept.update({each.id: each for each in await find_callbacks(world.storage.database, limit=1000)})

    tell(story, begins=begins)
    asked = {fact.body.callback for fact in logged if isinstance(fact.body, CallbackRequested)}
    ended = {fact.body.callback for fact in logged if isinstance(fact.body, CallbackEnded)}
    assert asked == set(kept), "none is lost"
    assert ended == {each.id for each in kept.values() if each.outcome}
    dialling: dict[str, str] = {}
    for fact in logged:
        match fact.body:
            case CallbackAttempted(callback=name, number=number):
                assert number not in dialling, f"{number} is dialled twice at once, fact {fact.seq}"
                dialling[number] = name
                assert in_its_time(kept[name], fact.at), f"{kept[name]} was dialled at {fact.at}, out of its time"
            case CallbackFailed(callback=name) | CallbackEnded(callback=name):
                dialling = {number: each for number, each in dialling.items() if each != name}
            case _:
                pass
    assert any(isinstance(fact.body, CallbackAttempted) for fact in logged), "nobody was dialled"
    for each in kept.values():
        assert each.attempts == sum(tried.number > 0 for tried in each.history)
