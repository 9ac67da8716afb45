"""Two waits, measured at the telephones on one clock: from the key to the agent's INVITE, and from an agent's BYE to
the next INVITE while callers wait. The flow says nothing between the key and the queue; the wrap-up is none.
"""

from __future__ import annotations

import asyncio
import time

import uvloop

from scripts.benchmarks import floor
from scripts.benchmarks.climb import pace, settled
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.part import BenchError, Detail, Figure, Run, at_most
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, AgentCall, Agents, Caller, Callers, Sound, Tally
from scripts.benchmarks.switch import Switch, running

DIGIT_AIM, FREE_AIM = 3.0, 10.0  # milliseconds
AGENTS = 40
# So slowly that no two calls stand in each other's way: this is what one caller waits, not what a crowd does.
RATE = 12.0
LISTEN, TALK = 0.3, 0.25
# Agents who serve a line of waiting callers, each for a moment.
SERVING, SERVED_FOR, IN_LINE = 5, 0.3, 40
SETTLE = 10.0


def measure(run: Run) -> list[Figure]:
    """One round."""
    people = floor.write(run.folder, round(run.pick(AGENTS, AGENTS, 4)))
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch, people))


async def _measure(run: Run, switch: Switch, people: Floor) -> list[Figure]:
    stage = Stage(switch)
    try:
        # The few who serve the line of the second wait sign in first: who is not there is not called.
        serving = people.agents[: round(run.pick(SERVING, SERVING, 2))]
        await stage.agents.sign_in(serving, floor.PASSWORD)
        free = await stage.free_to_invite(round(run.pick(200, 40, 6)))
        await stage.agents.sign_in(people.agents, floor.PASSWORD)
        digit = await stage.digit_to_invite(run.pick(20.0, 3.0, 0.5))
    finally:
        stage.close()
    for figure in (digit, free):
        run.say(f"{figure.name}: {figure.details['p50']} ms (p50), {figure.details['p99']} ms (p99)")
    return [digit, free]


class Stage:
    """Callers who press at once, agents who pick up at once."""

    def __init__(self, switch: Switch) -> None:
        self._server = (switch.host, switch.port)
        self._loop = asyncio.get_running_loop()
        self._callers_sound = Sound(CALLER_VOICE, AGENT_VOICE)
        self._agents_sound = Sound(AGENT_VOICE, CALLER_VOICE)
        self.agents = Agents(self._server, Tally(), self._agents_sound, pick_up_after=0.02)

    async def digit_to_invite(self, seconds: float) -> Figure:
        """From the first packet of the key to the INVITE, with agents who are free."""
        callers, waits = self._dialling(), list[float]()

        def rings(talk: AgentCall) -> None:
            call = callers.by_number.get(talk.caller)
            if call is not None:
                waits.append((talk.rang_at - call.pressed_at) * 1000)
                self._loop.call_later(TALK, callers.hang_up, call)

        self.agents.on_invite, self.agents.on_up, self.agents.on_end = rings, _nothing, _nothing
        try:
            await pace(RATE, seconds, callers.dial)
            await settled(lambda: not callers.calls, SETTLE)
        finally:
            callers.close()
        return _figure("digit to the agent's INVITE", waits, 0.5, DIGIT_AIM, callers.tally)

    async def free_to_invite(self, calls: int) -> Figure:
        """From an agent's BYE to the next INVITE for the same agent, while callers wait."""
        callers, waits = self._dialling(), list[float]()
        free_since: dict[str, float] = {}

        def rings(talk: AgentCall) -> None:
            if (since := free_since.pop(talk.agent, None)) is not None:
                waits.append((talk.rang_at - since) * 1000)

        def up(talk: AgentCall) -> None:
            self._loop.call_later(SERVED_FOR, part, talk)

        def part(talk: AgentCall) -> None:
            # With nobody left to serve there is no next INVITE to wait for.
            free_since[talk.agent] = time.monotonic()
            self.agents.hang_up(talk)

        self.agents.on_invite, self.agents.on_up, self.agents.on_end = rings, up, _nothing
        try:
            # A short line, kept short: the sound of hundreds who wait would be what is measured.
            first = min(calls, IN_LINE)
            await pace(50.0, first / 50.0, callers.dial)
            await pace(SERVING / SERVED_FOR * 0.8, (calls - first) / (SERVING / SERVED_FOR * 0.8), callers.dial)
            await settled(lambda: not callers.calls, SETTLE + calls * SERVED_FOR)
        finally:
            callers.close()
        return _figure("agent free to the next INVITE (p99)", waits, 0.99, FREE_AIM, callers.tally)

    def close(self) -> None:
        """Close all."""
        self.agents.close()
        self._callers_sound.close()
        self._agents_sound.close()

    def _dialling(self) -> Callers:
        tally = Tally()
        callers = Callers(self._server, tally, sound=self._callers_sound)
        self.agents.tally = tally

        def answered(call: Caller) -> None:
            self._loop.call_later(LISTEN, callers.press, call, 1)

        callers.on_answer = answered
        return callers


def _nothing(_: AgentCall) -> None:
    """Nobody listens."""


def _figure(name: str, waits: list[float], share: float, aim: float, tally: Tally) -> Figure:
    """The wait that so many are no longer than, with the other percentiles beside it."""
    if not waits:
        raise BenchError(f"{name}: no call came that far: {tally}")
    waits = sorted(waits)
    details: dict[str, Detail] = {
        "p50": round(waits[len(waits) // 2], 2),
        "p99": round(waits[int(len(waits) * 0.99)], 2),
        "max": round(waits[-1], 2),
        "measured": len(waits),
        "failed": tally.failed,
    }
    return Figure(name, "ms", round(waits[int(len(waits) * share)], 2), at_most(aim), details)
