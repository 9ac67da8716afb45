"""Whole calls a second: dial, prompt, digit, queue, agent, bridge, BYE, with sound both ways. Nothing is lost."""

from __future__ import annotations

import asyncio

import uvloop

from scripts.benchmarks import floor
from scripts.benchmarks.climb import Attempt, Watch, climb, hold, kept_up, pace
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import Figure, Run, at_least
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, AgentCall, Agents, Caller, Callers, Sound, Tally
from scripts.benchmarks.switch import Switch, running

AIM = 150
AGENTS = 200
# A caller listens so long before the key, an agent lets it ring so long, and so long they talk. A digit at the very
# moment of the answer is nobody's habit, and costs some switches dearly.
LISTEN, RING, TALK = 0.5, 0.1, 1.0
# So many agents serve no more.
MOST = 175
SETTLE = 8.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    people = floor.write(run.folder, round(run.pick(AGENTS, AGENTS, 5)))
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch, people))


async def _measure(run: Run, switch: Switch, people: Floor) -> list[Figure]:
    server, tally = (switch.host, switch.port), Tally()
    callers_sound, agents_sound = Sound(CALLER_VOICE, AGENT_VOICE), Sound(AGENT_VOICE, CALLER_VOICE)
    agents = Agents(server, tally, agents_sound, pick_up_after=RING)
    await agents.sign_in(people.agents, floor.PASSWORD)
    run.say(f"{len(people.agents)} agents are there")

    async def attempt(rate: float, seconds: float) -> Attempt:
        return await try_rate(switch, agents, callers_sound, rate, seconds)

    try:
        await attempt(run.pick(10, 10, 5), run.pick(2.0, 0.5, 0.2))
        if run.tiny:
            best = await attempt(5, 0.4)
        else:
            best = await climb(run, attempt, start=run.pick(50, 54, 0), seconds=run.pick(8, 2, 0), most=MOST)
        if not run.quick:
            best = await hold(run, attempt, best)
    finally:
        agents.close()
        callers_sound.close()
        agents_sound.close()
    return [Figure("whole calls", "1/s", best.rate if best.clean else 0.0, at_least(AIM), best.details)]


async def try_rate(switch: Switch, agents: Agents, sound: Sound, rate: float, seconds: float) -> Attempt:
    """Dial at a rate for some seconds, and let everybody talk."""
    tally = Tally()
    callers = Callers((switch.host, switch.port), tally, sound=sound)
    loop = asyncio.get_running_loop()
    agents.tally = tally

    def answered(call: Caller) -> None:
        loop.call_later(LISTEN, callers.press, call, 1)

    def up(talk: AgentCall) -> None:
        loop.call_later(TALK, part, talk)

    def part(talk: AgentCall) -> None:
        call = callers.by_number.get(talk.caller)
        if call is None or call.voice is None or not call.voice.heard or not talk.voice.heard:
            tally.fail("they did not hear each other")
        else:
            tally.talked += 1
        if call is not None:
            callers.hang_up(call)

    callers.on_answer, agents.on_up = answered, up
    try:
        watch = Watch(switch)
        await pace(rate, seconds, callers.dial)
        details = await watch.finish(
            lambda: max(len(callers.calls), len(agents.calls)),
            last=LISTEN + RING + TALK,
            within=SETTLE,
            count=tally.started,
        )
    finally:
        callers.close()
    clean = tally.clean and tally.talked == tally.started and kept_up(details)
    told = f"{tally}, {tally.talked} talked; {details['cpu_ms_each']} ms CPU a call, {details['late_s']} s late"
    return Attempt(rate, clean, told, details)
