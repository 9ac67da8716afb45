"""Putting through: a caller whom an agent, or a queue, sends to a number outside, and the talk that follows there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from callcenter.calls.bridge import talk_outside
from callcenter.calls.call import Call
from callcenter.calls.outside import NotReached, Reached, dial_outside
from callcenter.calls.queueing import FlowedOut
from callcenter.calls.transfer import Handover, OutsideTalk
from callcenter.media.plane import Clip
from callcenter.model.interaction import Ending
from callcenter.signaling.outcome import Busy, Declined, NoAnswer

# Nobody outside is rung longer: the caller has waited once already.
RING_FOR = 60.0


async def put_through(call: Call, handover: Handover, number: str, keys: str, queue: str) -> Ending | FlowedOut:
    """Dial a number for the caller, who hears the music of ``queue`` meanwhile, press ``keys`` there, let both talk."""
    reached = await reach(call, number, queue, handover.rings, keys)
    return reached if isinstance(reached, FlowedOut) else await talk_there(call, handover, reached, queue)


async def overflow_outside(call: Call, number: str, queue: str) -> Ending | FlowedOut:
    """Dial a number for a caller whom no agent of ``queue`` took, and let both talk."""
    call.stage = f"overflowing to {number}"
    reached = await reach(call, number, queue, None)
    if isinstance(reached, FlowedOut):
        return reached
    try:
        return await talk_outside(call, reached.party, reached.number, reached.trunk, music_of(call, queue))
    finally:
        reached.party.close()


async def reach(
    call: Call, number: str, queue: str, on_ringing: Callable[[], None] | None, keys: str = ""
) -> Reached | FlowedOut:
    """Dial a number for the caller, who hears the music of ``queue`` meanwhile; FlowedOut when nobody was reached."""
    try:
        async with asyncio.timeout(RING_FOR):
            reached = await dial_outside(
                call.services,
                call.client,
                number,
                call.id,
                beside=call.caller.sound,
                on_ringing=on_ringing,
                meanwhile=music_of(call, queue),
                max_forwards=call.caller.leg.max_forwards,
                keys=keys,
            )
    except TimeoutError:
        return FlowedOut(reason="no_answer")
    if isinstance(reached, NotReached):
        match reached.outcome:
            case Busy():
                return FlowedOut(reason="busy")
            case Declined():
                return FlowedOut(reason="declined")
            case NoAnswer():
                return FlowedOut(reason="no_answer")
            case _:
                return FlowedOut(reason=reached.detail)
    return reached


def music_of(call: Call, queue: str) -> Sequence[Clip]:
    """What is heard in a queue."""
    return call.settings.prompts.music(call.settings.treatments[queue].music)


async def take_over_outside(call: Call, handover: Handover, consulted: OutsideTalk, queue: str) -> Ending | FlowedOut:
    """Go on with somebody outside whom the agent has consulted, out of that call into this one."""
    if not consulted.lasts:
        return FlowedOut(reason="declined")
    consulted.given_away.set_result(None)
    return await talk_there(call, handover, Reached(consulted.party, consulted.trunk, consulted.number), queue)


async def talk_there(call: Call, handover: Handover, reached: Reached, queue: str) -> Ending:
    """Let both talk, and part."""
    handover.done()
    try:
        return await talk_outside(call, reached.party, reached.number, reached.trunk, music_of(call, queue))
    finally:
        reached.party.close()
