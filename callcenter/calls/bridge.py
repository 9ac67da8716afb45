"""The bridge: caller and agent talk, hold, and part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum

from callcenter.calls.call import Call
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.calls.party import Party
from callcenter.media.plane import Clip
from callcenter.signaling.leg import EndedBy


class TalkEnd(Enum):
    """Who or what ended the talk, the caller's hang-up apart: that leaves the whole call."""

    AGENT_HUNG_UP = "agent hung up"
    AGENT_LOST = "agent lost"
    TOO_LATE = "too late"


async def talk(call: Call, agent: Party, waiting: Waiting, in_hand: OfferInHand, music: Sequence[Clip]) -> TalkEnd:
    """Bridge both parties until the agent's side ends. The caller's hang-up leaves this block from outside."""
    caller, offer = call.caller, in_hand.offer
    caller.sound.stop()
    await caller.sound.session.bridge(agent.sound.session)
    waiting.connected(offer)
    call.stage = f"talking to {offer.agent_id}"

    def hold_changed(party: Party) -> None:
        other = agent if party is caller else caller
        if party.holds:
            other.sound.start(music, loop=True)
        else:
            other.sound.stop()
        waiting.hold_changed(offer, party.side, holds=party.holds)

    caller.on_hold = agent.on_hold = hold_changed
    for party in (caller, agent):
        if party.holds:
            hold_changed(party)
    try:
        await asyncio.wait(
            (agent.leg.ended, agent.sound.trouble, in_hand.withdrawn), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        caller.on_hold = agent.on_hold = None
    if in_hand.withdrawn.done():
        return TalkEnd.TOO_LATE
    if agent.leg.ended.done() and agent.leg.ended.result().by is EndedBy.PEER:
        return TalkEnd.AGENT_HUNG_UP
    return TalkEnd.AGENT_LOST
