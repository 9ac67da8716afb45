"""What a caller hears of the switch, and when: the prompt after the answer, and no more of it after a key.

By the packets at the caller's telephone, on one clock: from the 200 to the first packet in which the prompt's tone is,
and from the first packet of a key to the last packet of the prompt. Music of another tone follows it.
"""

from __future__ import annotations

import asyncio

import uvloop

from scripts.benchmarks import floor, tones
from scripts.benchmarks.climb import pace, settled
from scripts.benchmarks.part import BenchError, Figure, Run, at_most
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, Caller, Callers, Sound, Tally
from scripts.benchmarks.switch import Switch, running

AIM = 60.0  # milliseconds
# So slowly that no two calls stand in each other's way.
RATE = 12.0
# The key falls at every moment between two packets; afterwards the caller stays long enough to hear what follows.
LISTEN, LISTEN_STEP, STAY = 0.5, 0.0037, 0.4
SETTLE = 10.0
HEADER = 12
# A frame in which the tone is as loud as half of what was recorded has it.
LOUD = 0.5


def measure(run: Run) -> list[Figure]:
    """One round."""
    people = floor.write(run.folder, 1)
    with running(run, people) as switch:
        return uvloop.run(_measure(run, switch))


async def _measure(run: Run, switch: Switch) -> list[Figure]:
    sound, tally, loop = Sound(CALLER_VOICE, AGENT_VOICE), Tally(), asyncio.get_running_loop()
    callers = Callers((switch.host, switch.port), tally, sound=sound)
    calls: list[Caller] = []

    def dial() -> None:
        call = callers.dial()
        assert call.voice is not None
        call.voice.kept = []
        calls.append(call)

    def answered(call: Caller) -> None:
        loop.call_later(LISTEN + LISTEN_STEP * (len(calls) % 7), press, call)

    def press(call: Caller) -> None:
        callers.press(call, 1)
        loop.call_later(STAY, callers.hang_up, call)

    callers.on_answer = answered
    try:
        await pace(RATE, run.pick(20.0, 4.0, 0.5), dial)
        await settled(lambda: not callers.calls, SETTLE)
    finally:
        callers.close()
        sound.close()
    begins, ends = [], []
    for call in calls:
        assert call.voice is not None
        of_prompt = [at for at, data in call.voice.kept or () if _is_prompt(data)]
        if of_prompt and call.pressed_at:
            begins.append(1000 * (of_prompt[0] - call.answered_at))
            ends.append(1000 * max(0.0, of_prompt[-1] - call.pressed_at))
    if len(begins) < len(calls):
        raise BenchError(f"of {len(calls)} callers {len(begins)} heard the prompt: {tally}")
    return [
        _figure(run, "answer to the prompt (p99)", begins),
        _figure(run, "key to the end of the prompt (p99)", ends),
    ]


def _is_prompt(packet: bytes) -> bool:
    return len(packet) == HEADER + 160 and tones.level(packet[HEADER:], floor.MENU_HERTZ) > LOUD


def _figure(run: Run, name: str, waits: list[float]) -> Figure:
    waits = sorted(waits)
    p99 = round(waits[int(len(waits) * 0.99)], 2)
    details = {"p50": round(waits[len(waits) // 2], 2), "max": round(waits[-1], 2), "measured": len(waits)}
    run.say(f"{name}: {p99} ms, p50 {details['p50']} ms")
    return Figure(name, "ms", p99, at_most(AIM), details)
