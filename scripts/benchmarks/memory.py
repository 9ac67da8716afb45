"""Memory of a call: what the switch and its workers grow by with calls that are up, divided by their number.

Short calls come before them, for longer and as fast. So the rings of the last messages and facts are full, and of as
many calls there are transactions, which are kept for 32 s (RFC 6026), before the counting and at its end. A quick run
has no time for that: there the transactions of the counted calls are counted, too.
"""

from __future__ import annotations

import asyncio
import gc

import uvloop

from scripts.benchmarks import floor, machine
from scripts.benchmarks.climb import pace, settled
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import Aim, BenchError, Figure, Run, at_most
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, AgentCall, Agents, Caller, Callers, Sound, Tally
from scripts.benchmarks.switch import Switch, running

AIM = 50.0  # kB
# So many talk; then as many wait.
CALLS = 200
RATE, QUICKLY = 5.0, 40.0
BEFORE, TALK = 200, 0.2
SETTLE = 15.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    calls = round(run.pick(CALLS, CALLS, 3))
    people = floor.write(run.folder, calls)
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch, people, calls))


async def _measure(run: Run, switch: Switch, people: Floor, calls: int) -> list[Figure]:
    server, tally = (switch.host, switch.port), Tally()
    callers_sound, agents_sound = Sound(CALLER_VOICE, AGENT_VOICE), Sound(AGENT_VOICE, CALLER_VOICE)
    callers = Callers(server, tally, sound=callers_sound)
    agents = Agents(server, tally, agents_sound, pick_up_after=0.02)
    loop = asyncio.get_running_loop()
    rate = run.pick(RATE, QUICKLY, QUICKLY)
    talking: set[str] = set()
    pressed: list[Caller] = []
    short = True

    def answered(call: Caller) -> None:
        loop.call_later(0.1, press, call)

    def press(call: Caller) -> None:
        callers.press(call, 1)
        pressed.append(call)

    def up(talk: AgentCall) -> None:
        if short:
            loop.call_later(TALK, agents.hang_up, talk)
        else:
            talking.add(talk.caller)

    async def more(count: int, name: str, aim: Aim | None, talk: int) -> Figure:
        """The memory that so many more calls take; ``talk``: how many then talk in all."""
        before, pressed_before = machine.memory(switch.pid), len(pressed)
        await pace(rate, count / rate, callers.dial)
        held = await settled(lambda: len(pressed) == pressed_before + count and len(talking) == talk, SETTLE)
        await asyncio.sleep(run.pick(1.0, 1.0, 0.1))
        after = machine.memory(switch.pid)
        gc.collect()
        if not held or tally.failed:
            raise BenchError(f"{len(pressed)} calls are up, {len(talking)} talk: {tally}")
        uss, rss = (after.uss - before.uss) / count / 1000, (after.rss - before.rss) / count / 1000
        run.say(f"{name}: {uss:.0f} kB with {count} of them, {after.uss / 1e6:.0f} MB in all")
        details = {
            "rss_kb_each": round(rss, 1),
            "calls": count,
            "uss_mb_before": round(before.uss / 1e6, 1),
            "uss_mb_with_calls": round(after.uss / 1e6, 1),
        }
        return Figure(name, "kB", round(uss, 1), aim, details)

    callers.on_answer, agents.on_up = answered, up
    try:
        await agents.sign_in(people.agents, floor.PASSWORD)
        await pace(rate, run.pick(BEFORE, BEFORE, 2) / rate, callers.dial)
        if not await settled(lambda: not callers.calls, SETTLE):
            raise BenchError(f"the short calls do not end: {tally}")
        short = False
        pressed.clear()
        bridged = await more(calls, "memory of a bridged call", at_most(AIM), talk=calls)
        return [bridged, await more(calls, "memory of a waiting call", None, talk=calls)]
    finally:
        callers.close()
        agents.close()
        callers_sound.close()
        agents_sound.close()
