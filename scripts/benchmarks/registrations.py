"""Registrations a second: REGISTER, 401, REGISTER with the digest, 200, each a new binding's refresh and saved."""

from __future__ import annotations

import itertools

import uvloop

from scripts.benchmarks import floor
from scripts.benchmarks.climb import Attempt, Watch, climb, hold, kept_up, pace
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import Figure, Run, at_least
from scripts.benchmarks.phones import Registering
from scripts.benchmarks.switch import Switch, running

AIM = 2500
AGENTS = 1000
SETTLE = 3.0
# Where the phones say that they take calls; nobody calls.
CONTACT_PORT = 9


def measure(run: Run) -> list[Figure]:
    """One round."""
    people = floor.write(run.folder, round(run.pick(AGENTS, 200, 5)))
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch, people))


async def _measure(run: Run, switch: Switch, people: Floor) -> list[Figure]:
    users = itertools.cycle(people.agents)

    async def attempt(rate: float, seconds: float) -> Attempt:
        registering = Registering((switch.host, switch.port), floor.PASSWORD)
        try:
            watch = Watch(switch)
            await pace(rate, seconds, lambda: registering.register(next(users), CONTACT_PORT))
            count = registering.tally.started
            details = await watch.finish(lambda: registering.open, last=0.0, within=SETTLE, count=count)
        finally:
            registering.close()
        tally = registering.tally
        told = f"{tally.ended} of {tally.started} registered, {tally.repeated} repetitions"
        told += f"; {details['cpu_ms_each']} ms CPU each, {details['late_s']} s late"
        return Attempt(rate, tally.clean and kept_up(details), told, details)

    # Everybody once: from then on each is a refresh, as on a running floor.
    await attempt(run.pick(200, 200, 20), len(people.agents) / run.pick(200, 200, 20))
    if run.tiny:
        best = await attempt(20, 0.3)
    else:
        best = await climb(run, attempt, start=run.pick(700, 800, 0), seconds=run.pick(6, 1.2, 0), most=4000)
    if not run.quick:
        best = await hold(run, attempt, best)
    return [Figure("registrations", "1/s", best.rate if best.clean else 0.0, at_least(AIM), best.details)]
