"""Workload: a floor of people who do what people do, by chance; one seed is one day on it."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from callcenter.simulation.phone import Manner, Phone, PhoneFailure
from callcenter.simulation.world import AgentPhone, World

# What agents do when it rings, by weight.
MANNERS = {Manner.TAKES: 12, Manner.RINGS: 1, Manner.BUSY: 1, Manner.DECLINES: 1, Manner.IGNORES: 1}
# What callers press: two queues, a wrong key, nothing.
KEYS = {"1": 8, "2": 4, "9": 1, "": 1}


async def day(world: World, *, callers: int = 8, agents: int = 4, seconds: float = 240.0) -> None:
    """Callers come and go by chance while agents take, miss, hold, hang up and vanish. All are gone at the end."""
    chance = world.random
    async with asyncio.TaskGroup() as people:
        for number in range(agents):
            skills = chance.choice(({"english": 4}, {"spanish": 3}, {"english": 3, "spanish": 3}))
            phone = await world.hire(f"agent-{number}", skills)
            people.create_task(work(world, phone, chance, seconds))
        for number in range(callers):
            caller = await world.phone(f"+1415555{number:04d}")
            people.create_task(call_once(world, caller, chance, seconds))
    # Nobody is left to say goodbye to the switch: whoever vanished is missed by now.
    await world.sleep(200)


async def work(world: World, phone: AgentPhone, chance: Random, seconds: float) -> None:
    """One agent's day: sign in when the network lets it, change manners, hold now and then, hang up, maybe vanish."""
    ends = world.clock.monotonic() + seconds
    while phone.registered_until is None and world.clock.monotonic() < ends:
        with contextlib.suppress(PhoneFailure):
            await phone.register(phone.name, f"secret of {phone.name}")
    while world.clock.monotonic() < ends:
        phone.manner = chance.choices(list(MANNERS), list(MANNERS.values()))[0]
        await world.sleep(chance.uniform(2, 25))
        if chance.random() < 0.02:
            world.unplug(phone)
            return
        if talks(phone) and chance.random() < 0.3:
            with contextlib.suppress(PhoneFailure):
                await phone.hold()
                await world.sleep(chance.uniform(0.1, 5))
                if talks(phone):
                    await phone.resume()
        if chance.random() < 0.3:
            phone.drops()
    phone.manner = Manner.DECLINES
    phone.drops()


def talks(phone: Phone) -> bool:
    """Whether the phone is in a call that is up."""
    return phone.call is not None and phone.call.leg.answered and not phone.call.over


async def call_once(world: World, caller: Phone, chance: Random, seconds: float) -> None:
    """One caller: dials at some moment, presses something or nothing, and hangs up when patience ends."""
    await world.sleep(chance.uniform(0, seconds / 2))
    call = caller.starts_dialling("1000")
    await world.sleep(chance.choice((0.01, 0.5, 3, 8)))
    if call.leg.answered and not call.over:
        key = chance.choices(list(KEYS), list(KEYS.values()))[0]
        if key:
            await caller.press(key)
        await world.sleep(chance.choice((0.05, 1, 10, 60, 120)))
        if chance.random() < 0.1:
            world.unplug(caller)
            return
    caller.drops()
