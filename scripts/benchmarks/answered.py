"""Answered calls a second: INVITE, 200, ACK, a tenth of a second of prompt, BYE. Nothing fails, nothing is repeated."""

from __future__ import annotations

import asyncio

import uvloop

from scripts.benchmarks import floor
from scripts.benchmarks.climb import Attempt, Watch, climb, hold, kept_up, pace
from scripts.benchmarks.part import Figure, Run, at_least
from scripts.benchmarks.phones import Caller, Callers, Tally
from scripts.benchmarks.switch import Switch, running

AIM = 1000
# What stays up so long hears five packets of the prompt.
TALK = 0.1
# An answer that takes longer than T1 is asked for again, so this is how long a clean call can take to end.
SETTLE = 3.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    with running(run, floor.write(run.folder, 1)) as switch:
        best = uvloop.run(best_rate(run, switch))
    return [Figure("answered calls", "1/s", best.rate if best.clean else 0.0, at_least(AIM), best.details)]


async def best_rate(run: Run, switch: Switch) -> Attempt:
    """The highest rate at which whoever listens at ``switch`` answers clean."""

    async def attempt(rate: float, seconds: float) -> Attempt:
        return await try_rate(switch, rate, seconds)

    seconds = run.pick(8.0, 1.5, 0.3)
    # The first calls of a switch pay for what the later ones find ready.
    await attempt(run.pick(50, 50, 10), run.pick(2.0, 0.5, 0.2))
    if run.tiny:
        best = await attempt(20, seconds)
    else:
        best = await climb(run, attempt, start=run.pick(250, 300, 0), seconds=seconds, most=4000)
    if not run.quick:
        best = await hold(run, attempt, best)
    return best


async def try_rate(switch: Switch, rate: float, seconds: float) -> Attempt:
    """Dial at a rate for some seconds."""
    tally = Tally()
    callers = Callers((switch.host, switch.port), tally)
    loop = asyncio.get_running_loop()

    def answered(call: Caller) -> None:
        loop.call_later(TALK, callers.hang_up, call)

    callers.on_answer = answered
    try:
        watch = Watch(switch)
        await pace(rate, seconds, callers.dial)
        details = await watch.finish(lambda: len(callers.calls), last=TALK, within=SETTLE, count=tally.started)
    finally:
        callers.close()
    slow = sorted(callers.answer_seconds)
    details["lost"] = tally.started - tally.ended
    details["answer_ms_p99"] = round(slow[int(len(slow) * 0.99)] * 1000, 2) if slow else 0.0
    told = f"{tally}; {details['cpu_ms_each']} ms CPU a call, answered in {details['answer_ms_p99']} ms (p99)"
    return Attempt(rate, tally.clean and kept_up(details), f"{told}, {details['late_s']} s late", details)
