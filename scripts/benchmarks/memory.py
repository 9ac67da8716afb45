"""Memory of a call: what the switch and its workers grew by, divided by the calls that are held."""

from __future__ import annotations

import asyncio
import gc

import uvloop

from scripts.benchmarks import floor, machine
from scripts.benchmarks.climb import pace, settled
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import BenchError, Figure, Run, at_most
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, AgentCall, Agents, Caller, Callers, Sound, Tally
from scripts.benchmarks.switch import Switch, running

AIM = 100.0  # kB
# Half of the callers talk, half wait.
CALLS = 400
RATE = 40.0
SETTLE = 15.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    calls = round(run.pick(CALLS, 200, 4))
    people = floor.write(run.folder, calls // 2)
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch, people, calls))


async def _measure(run: Run, switch: Switch, people: Floor, calls: int) -> list[Figure]:
    server, tally = (switch.host, switch.port), Tally()
    callers_sound, agents_sound = Sound(CALLER_VOICE, AGENT_VOICE), Sound(AGENT_VOICE, CALLER_VOICE)
    callers = Callers(server, tally, sound=callers_sound)
    agents = Agents(server, tally, agents_sound, pick_up_after=0.02)
    loop = asyncio.get_running_loop()
    talking: set[str] = set()
    pressed: list[Caller] = []

    def answered(call: Caller) -> None:
        loop.call_later(0.1, press, call)

    def press(call: Caller) -> None:
        callers.press(call, 1)
        pressed.append(call)

    def up(talk: AgentCall) -> None:
        talking.add(talk.caller)

    callers.on_answer, agents.on_up = answered, up
    try:
        await agents.sign_in(people.agents, floor.PASSWORD)
        # One call before counting: what is loaded at the first of its kind is no call's.
        first = callers.dial()
        await settled(lambda: first.number in talking, SETTLE)
        await asyncio.sleep(1.0 if run.quick or run.tiny else 3.0)
        before = machine.memory(switch.pid)
        await pace(RATE, (calls - 1) / RATE, callers.dial)
        held = await settled(lambda: len(pressed) == calls and len(talking) == len(people.agents), SETTLE)
        await asyncio.sleep(run.pick(5.0, 1.0, 0.1))
        after = machine.memory(switch.pid)
        gc.collect()
    finally:
        callers.close()
        agents.close()
        callers_sound.close()
        agents_sound.close()
    if not held or tally.failed:
        raise BenchError(f"{len(pressed)} calls of {calls} are up, {len(talking)} talk: {tally}")
    grown = calls - 1
    uss, rss = (after.uss - before.uss) / grown / 1000, (after.rss - before.rss) / grown / 1000
    run.say(f"{calls} calls, {len(talking)} of them talking: {uss:.0f} kB each, {after.uss / 1e6:.0f} MB in all")
    details = {
        "rss_kb_each": round(rss, 1),
        "calls": calls,
        "talking": len(talking),
        "uss_mb_before": round(before.uss / 1e6, 1),
        "uss_mb_with_calls": round(after.uss / 1e6, 1),
    }
    return [Figure("memory of a call", "kB", round(uss, 1), at_most(AIM), details)]
