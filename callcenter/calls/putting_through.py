"""Putting through: a caller whom an agent has sent to a number outside, and the talk that follows there."""

from __future__ import annotations

import asyncio

from callcenter.calls.call import Call
from callcenter.calls.outside import NotReached, dial_outside
from callcenter.calls.queueing import FlowedOut
from callcenter.calls.transfer import Handover
from callcenter.model.facts import OutsideConnected, OutsideLeft
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side
from callcenter.signaling.outcome import Busy, Declined, NoAnswer

# Nobody outside is rung longer: the caller has waited once already.
RING_FOR = 60.0


async def put_through(call: Call, handover: Handover, number: str, queue: str) -> Ending | FlowedOut:
    """Dial a number for the caller, who hears the music of ``queue`` meanwhile, and let both talk."""
    sound = call.caller.sound
    treatment = call.settings.treatments[queue]
    with sound.playing(call.settings.prompts.music(treatment.music), loop=True):
        try:
            async with asyncio.timeout(RING_FOR):
                reached = await dial_outside(
                    call.services, call.client, number, call.id, beside=sound, on_ringing=handover.rings
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
    party = reached.party
    try:
        await sound.session.bridge(party.sound.session)
        call.add(OutsideConnected(reached.number, reached.trunk))
        call.stage = "talking outside"
        handover.done()
        await asyncio.wait((party.leg.ended, party.sound.trouble), return_when=asyncio.FIRST_COMPLETED)
        cause = EndCause.HANGUP if party.leg.ending is not None else EndCause.MEDIA_TIMEOUT
        call.add(OutsideLeft(reached.number, cause))
    finally:
        party.close()
    return Ending(Side.SYSTEM, EndCause.TRANSFERRED, 0, "the talk outside is over")
