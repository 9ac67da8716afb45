"""Workload: a floor of people who do what people do, by chance; one seed is one day on it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

from callcenter.calls.record_policy import RecordingSettings, RecordRule
from callcenter.calls.settings import Collect, DialRules, Flow, Supervisor
from callcenter.signaling.trunks.settings import Accept, Peer, TrunkSettings
from callcenter.simulation.fate import SECONDS, AgentFate, CallerFate, CarrierFate, Fate, Restart, Span
from callcenter.simulation.network import Weather
from callcenter.simulation.phone import Manner, Phone, PhoneFailure
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import AgentPhone, World, tell
from callcenter.sip.crypto import Security

# What callers press: two queues, a wrong key, nothing.
KEYS = {"1": 8, "2": 4, "9": 1, "": 1}
# What agents dial on their phones: ready more often than all that keeps callers away.
CODES = {"*20": 5, "*21": 1, "*22": 1, "*29": 1, "*30": 1, "*31": 1, "*32": 1, "*33": 1}
COMMANDS: tuple[dict[str, str], ...] = (
    {"do": "state", "chosen": "ready"},
    {"do": "state", "chosen": "ready"},
    {"do": "state", "chosen": "not_ready", "reason": "lunch"},
    {"do": "state", "chosen": "signed_out"},
    {"do": "wrap_up_done", "disposition": "solved"},
    {"do": "wrap_up_extend"},
    {"do": "state", "chosen": "not_ready", "reason": "none of ours"},
)
# How often an agent has what is at one phone at the other.
PULLS = 0.3
SOMEBODY_OUTSIDE = "+14155550188"
SUPERVISOR, ENTRY = "supervisor-phone", "entry"
# What agents' programs order in talks.
ORDERS = {
    "consult": 5,
    "consult_join": 3,
    "consult_swap": 2,
    "consult_drop": 1,
    "consult_transfer": 1,
    "entry_start": 3,
    "entry_cancel": 1,
    "record_start": 2,
    "record_stop": 1,
    "record_pause": 1,
    "record_resume": 1,
}
# Phones register often, so that a switch that was restarted soon knows them again.
REGISTERED_FOR = 90.0
# Whoever vanished is missed by now, and nobody is left to say goodbye to the switch.
AFTERWARDS = 200.0
# Who looks after the floor looks as often as this.
GLANCE_EVERY = 0.5


def live(seed: int, **floor_plan: Any) -> World:
    """Live one seed's day, on a floor of this plan beyond what the seed says; afterwards nothing may be left over.

    Returns the floor. Raises with the seed in words.
    """
    fate = Fate.of(seed)
    try:
        return tell(
            functools.partial(day, fate=fate),
            seed=seed,
            weather=fate.weather,
            max_calls=fate.max_calls,
            max_sessions=fate.max_sessions,
            barge_in=fate.barge_in,
            **floor_plan,
        )
    except BaseException as error:
        error.add_note(f"seed {seed}: {fate}\nthis one alone: ./scripts/simulate {seed}")
        raise


async def day(world: World, fate: Fate) -> None:
    """Callers come and go, agents take, miss, hold, hang up and vanish, things break and are mended."""
    chance = world.random
    world.publisher.delay, world.publisher.transit = fate.broker_delay, fate.broker_delay / 2
    furnish(world, fate)
    async with asyncio.TaskGroup() as people:
        glance = people.create_task(look_after(world))
        troubles = [people.create_task(trouble) for trouble in troubles_of(world, fate)]
        workers = await carriers_of(world, fate, people, chance)
        phones = [(each, await world.hire(each.name, each.skills, transport=each.transport)) for each in fate.agents]
        for each, phone in phones:
            if each.private:
                world.private_phones[phone.name] = Security(chance.randbytes)
            others = [other.name for other in fate.agents if other is not each]
            if each.orders:
                talks_chance = Random(f"orders of {each.name} {fate.seed}")
                workers.append(people.create_task(have_done(world, phone, each, others, talks_chance)))
            workers.append(people.create_task(work(world, phone, each, others, chance)))
            if each.second:
                second = await world.phone(f"{each.name}-second", transport=each.transport)
                second.number = each.name
                workers.append(people.create_task(lie_beside(world, second, phone, each, chance)))
        if fate.supervised:
            eve = await world.hire(SUPERVISOR, {})
            followed = Random(f"supervision {fate.seed}")
            workers.append(people.create_task(supervise(world, eve, [agent.name for agent in fate.agents], followed)))
        for caller in fate.callers:
            calling = await world.phone(caller.number, transport=caller.transport)
            if caller.private:
                world.private_phones[calling.name] = Security(chance.randbytes)
            workers.append(people.create_task(call(world, calling, caller, chance)))
        await asyncio.wait((*workers, *troubles))
        await world.sleep(AFTERWARDS)
        # Twice: one may have been about to.
        for _ in range(2):
            for plugged in world.phones:
                plugged.registers_no_more()
            await world.sleep(AFTERWARDS / 2)
        glance.cancel()


def troubles_of(world: World, fate: Fate) -> Iterator[Coroutine[Any, Any, None]]:
    """What breaks in this day, each to be run."""
    for at, weather in fate.storms:
        yield storm(world, at, weather)
    for span in fate.broker:
        yield broker_away(world, span)
    for span in fate.database:
        yield database_away(world, span)
    for at in fate.workers:
        yield worker_dies(world, at)
    for restart in fate.restarts:
        yield restarted(world, restart)


async def storm(world: World, at: float, weather: Weather) -> None:
    """The weather changes."""
    await world.sleep(at)
    world.network.weather = weather


async def broker_away(world: World, span: Span) -> None:
    """The broker dies, with something on its way if it can be had, and comes back."""
    await world.sleep(span.begin)
    for _ in range(200):
        if world.up and world.publisher.status().waiting:
            break
        await world.sleep(GLANCE_EVERY / 5)
    await up(world)
    world.publisher.die()
    await world.sleep(span.seconds)
    await up(world)
    world.publisher.revive()


async def database_away(world: World, span: Span) -> None:
    """The disk is full for a while."""
    await world.sleep(span.begin)
    await up(world)
    world.database.away = "the disk is full"
    await world.sleep(span.seconds)
    world.database.away = ""


async def restarted(world: World, restart: Restart) -> None:
    """The switch goes and comes; not while its disk is full, for then it would not come back."""
    await world.sleep(restart.at)
    while world.database.away:
        await world.sleep(GLANCE_EVERY)
    await world.restart(down=restart.down, crash=restart.crash)


async def worker_dies(world: World, at: float) -> None:
    """A media worker takes its calls with it."""
    await world.sleep(at)
    world.plane.kill_worker()


async def up(world: World) -> None:
    """Until the switch runs."""
    while not world.up:
        await world.sleep(GLANCE_EVERY)


async def look_after(world: World) -> None:
    """At no moment may a caller wait beside an agent who could take him."""
    while True:
        await world.sleep(GLANCE_EVERY)
        acd = world.house.acd
        if not world.up or not acd.offering:
            continue
        for queue in acd.plan.queues:
            for ticket in acd.waiting(queue):
                free = [agent for agent, hindrances in acd.explain(ticket.id).items() if not hindrances]
                assert ticket.agent or not free, f"{ticket} waits in {queue} beside {free}"


def furnish(world: World, fate: Fate) -> None:
    """What holds for the talks of the day: who is recorded, who listens, what callers may be asked for in a talk."""
    calls = world.settings.calls
    steps = (Collect("card", "card", "greeting", shortest=4, longest=8, mask=True, first_digit=3.0, between=2.0),)
    world.furnish(
        recording=RecordingSettings(
            Path("/var/recordings"),
            clients={name: RecordRule(share=fate.recorded, on_demand=True) for name in calls.clients},
        ),
        clients={name: replace(each, in_talk=(ENTRY,)) for name, each in calls.clients.items()},
        flows={**calls.flows, ENTRY: Flow(ENTRY, steps)},
        supervisors={"supervisor": Supervisor("supervisor", "Eva", None, SUPERVISOR)},
    )


async def have_done(world: World, phone: AgentPhone, fate: AgentFate, others: Sequence[str], chance: Random) -> None:
    """What an agent's program orders in the talks of the day."""
    ends = world.clock.monotonic() + SECONDS
    numbers, do = itertools.count(), ""
    while world.clock.monotonic() < ends:
        await world.sleep(chance.uniform(0.05, 6))
        if world.up and talks(phone) and chance.random() < fate.orders:
            # Who asks somebody wants them to talk to the caller, mostly.
            asks = do == "consult" and chance.random() < 0.7
            do = "consult_join" if asks else chance.choices(list(ORDERS), list(ORDERS.values()))[0]
            more = {"to": chance.choice((*others, "sales-english", SOMEBODY_OUTSIDE))} if do == "consult" else {}
            more |= {"entry": ENTRY} if do == "entry_start" else {}
            world.publisher.command(phone.name, {"id": f"talk-{next(numbers)}", "do": do, **more})


async def supervise(world: World, phone: AgentPhone, agents: Sequence[str], chance: Random) -> None:
    """The day of a supervisor: to hear one agent after the other, in one way or another."""
    ends = world.clock.monotonic() + SECONDS
    while world.clock.monotonic() < ends:
        if phone.registered_until is None:
            with contextlib.suppress(PhoneFailure):
                await phone.register(SUPERVISOR, f"secret of {SUPERVISOR}", expires=REGISTERED_FOR)
        await world.sleep(chance.uniform(0.1, 10))
        if phone.is_free:
            phone.starts_dialling(chance.choice(("*71", "*72", "*73")) + chance.choice(agents))
        elif talks(phone) and chance.random() < 0.7:
            with contextlib.suppress(PhoneFailure):
                await phone.press(chance.choice("456"))
        else:
            phone.drops()
    phone.manner = Manner.DECLINES
    phone.drops()


async def carriers_of(world: World, fate: Fate, people: asyncio.TaskGroup, chance: Random) -> list[asyncio.Task[None]]:
    """The carriers of the day, by which everybody may call out, each at its work."""
    carriers = [(each, await world.carrier(f"carrier-{number}")) for number, each in enumerate(fate.carriers)]
    world.trunks(
        *(
            TrunkSettings(
                carrier.name,
                peers=(Peer(carrier.address),),
                accept=Accept(networks=(ip_network(carrier.address),)),
                max_calls=each.lines,
                qualify=each.qualify,
            )
            for each, carrier in carriers
        )
    )
    world.permit(**{agent.name: DialRules(outside=("+1",)) for agent in fate.agents})
    return [people.create_task(carry(world, carrier, each, people, chance)) for each, carrier in carriers]


async def carry(world: World, carrier: SimTrunk, fate: CarrierFate, people: asyncio.TaskGroup, chance: Random) -> None:
    """A carrier's day: somebody calls in, somebody is called and rings, answers, is busy; some hang up."""
    ends = world.clock.monotonic() + SECONDS
    for at in fate.calls:
        people.create_task(call_by(world, carrier, at, chance))
    while world.clock.monotonic() < ends:
        carrier.manners = Manners(
            status=chance.choices(list(fate.statuses), list(fate.statuses.values()))[0],
            rings=chance.choices(list(fate.rings), list(fate.rings.values()))[0],
            early=fate.early,
        )
        await world.sleep(chance.uniform(1, 15))
        for call in carrier.calls:
            if chance.random() < 0.2:
                call.leg.hangup()
    carrier.manners = Manners(status=503)
    for leg in list(carrier.user_agent.legs.values()):
        leg.hangup()


async def call_by(world: World, carrier: SimTrunk, at: float, chance: Random) -> None:
    """Somebody calls in by a carrier, and presses something or nothing; whom they reach or the carrier hangs up."""
    await world.sleep(at)
    call, _ = await carrier.calls_in("1000")
    await world.sleep(chance.choice((0.01, 3, 8)))
    key = chance.choices(list(KEYS), list(KEYS.values()))[0]
    if key and call.connected and not call.over:
        call.sound.press(key)


async def lie_beside(world: World, phone: Phone, first: Phone, fate: AgentFate, chance: Random) -> None:
    """The day of an agent's second phone: it is there too, and is taken, declined or let ring like the first; or it
    takes what the first has, or what rings there.
    """
    ends = world.clock.monotonic() + SECONDS
    if fate.private:
        world.private_phones[phone.name] = Security(chance.randbytes)
    while world.clock.monotonic() < ends:
        if phone.registered_until is None:
            with contextlib.suppress(PhoneFailure):
                await phone.register(fate.name, f"secret of {fate.name}", expires=REGISTERED_FOR)
        phone.manner = chance.choices(list(fate.manners), list(fate.manners.values()))[0]
        await world.sleep(chance.uniform(2, 25))
        if chance.random() < fate.vanishes:
            world.unplug(phone)
            return
        has_one = talks(first) or (first.call is not None and first.call.leg.incoming and not first.call.over)
        if phone.is_free and has_one and chance.random() < PULLS:
            phone.starts_pulling(first)
        elif chance.random() < fate.hangs_up:
            phone.drops()
    phone.manner = Manner.DECLINES
    phone.drops()


async def work(world: World, phone: AgentPhone, fate: AgentFate, others: Sequence[str], chance: Random) -> None:
    """One agent's day: sign in when the network lets it, change manners, hold, pause, dial, hand callers over, hang
    up, maybe vanish.
    """
    ends = world.clock.monotonic() + SECONDS
    numbers = itertools.count()
    while world.clock.monotonic() < ends:
        if phone.registered_until is None:
            with contextlib.suppress(PhoneFailure):
                await phone.register(phone.name, f"secret of {phone.name}", expires=REGISTERED_FOR)
        phone.manner = chance.choices(list(fate.manners), list(fate.manners.values()))[0]
        await world.sleep(chance.uniform(2, 25))
        if chance.random() < fate.vanishes:
            world.unplug(phone)
            return
        if chance.random() < fate.pauses:
            await changes_his_mind(world, phone, chance, f"{next(numbers)}")
        if talks(phone) and chance.random() < fate.holds:
            await held_for_a_while(world, phone, chance)
        if talks(phone) and phone.beside is None and chance.random() < fate.consults:
            await asks_first(world, phone, chance.choice((*others, "sales-english", SOMEBODY_OUTSIDE)), chance)
        elif talks(phone) and chance.random() < fate.transfers:
            phone.transfers(chance.choice((*others, "sales-spanish", "1000", f"tel:{SOMEBODY_OUTSIDE}")))
        elif phone.is_free and phone.beside is None and chance.random() < fate.dials:
            phone.starts_dialling(chance.choice((*others, "sales-english", SOMEBODY_OUTSIDE)))
        elif chance.random() < fate.hangs_up:
            phone.drops()
    phone.manner = Manner.DECLINES
    phone.drops()


async def changes_his_mind(world: World, phone: AgentPhone, chance: Random, number: str) -> None:
    """Say by code or by command what he wants to be, or that he is through; whatever he is doing."""
    if chance.random() < 0.5:
        with contextlib.suppress(PhoneFailure):
            await phone.dials_code(chance.choices(list(CODES), list(CODES.values()))[0])
    else:
        # His program may be away with the broker: then he stays as he is.
        world.publisher.command(phone.name, {"id": number, **chance.choice(COMMANDS)})


async def call(world: World, phone: Phone, fate: CallerFate, chance: Random) -> None:
    """One caller: dials at some moment, presses something or nothing, hangs up when patience ends, may call again."""
    await world.sleep(fate.at)
    for _ in range(fate.calls):
        dialled = phone.starts_dialling(fate.dials)
        await world.sleep(chance.choice((0.01, 0.5, 3, 8)))
        if dialled.leg.answered and not dialled.over:
            key = chance.choices(list(KEYS), list(KEYS.values()))[0]
            if key:
                await phone.press(key)
            await world.sleep(chance.choice((0.05, 1, 10, 60, 120)))
            if chance.random() < fate.vanishes:
                world.unplug(phone)
                return
            if talks(phone) and chance.random() < fate.holds:
                await held_for_a_while(world, phone, chance)
        phone.drops()
        await world.sleep(chance.uniform(0.1, 10))


async def held_for_a_while(world: World, phone: Phone, chance: Random) -> None:
    """Put the other side on hold, and take it back if it is still there."""
    with contextlib.suppress(PhoneFailure):
        await phone.hold()
        await world.sleep(chance.uniform(0.1, 5))
        if talks(phone):
            await phone.resume()


async def asks_first(world: World, phone: AgentPhone, whom: str, chance: Random) -> None:
    """Ask somebody on the second line while the caller holds, and put both through, or hang up there."""
    with contextlib.suppress(PhoneFailure):
        await phone.hold()
    try:
        async with asyncio.timeout(chance.uniform(1, 40)):
            asked = await phone.dial_beside(whom)
    except TimeoutError:
        if phone.beside is not None:
            phone.beside.leg.hangup()
            phone.beside = None
        return
    await world.sleep(chance.uniform(0.01, 5))
    if talks(phone) and asked.connected and not asked.over and chance.random() < 0.7:
        phone.joins_both(by_the_second_line=chance.random() < 0.5)
        await world.sleep(chance.uniform(0.01, 5))
    asked.leg.hangup()


def talks(phone: Phone) -> bool:
    """Whether the phone is in a call that is up."""
    return phone.call is not None and phone.call.leg.answered and not phone.call.over
