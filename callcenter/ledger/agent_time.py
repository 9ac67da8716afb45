"""Agent time: which part of the signed-in time an agent's state is."""

from __future__ import annotations

from callcenter.model.facts import AgentStateChanged
from callcenter.model.states import Device, Intent, OfferResult, Work

READY_IDLE = "ready_idle"
RINGING = "ringing"
TALK = "talk"
HOLD = "hold"
CONSULT = "consult"
WRAP_UP = "wrap_up"
OUTBOUND = "outbound"
UNREACHABLE = "unreachable"
OTHER = "other"
# Followed by the reason.
BREAK = "break"

# In the order of reports; breaks, which have as many names as there are reasons, stand behind the wrap-up.
PARTS = (READY_IDLE, RINGING, TALK, HOLD, CONSULT, WRAP_UP, BREAK, OUTBOUND, UNREACHABLE, OTHER)
# What is work for a caller: occupancy is by these.
OCCUPIED = (TALK, HOLD, CONSULT, WRAP_UP, RINGING)

_AT_WORK = {
    Work.RESERVED: RINGING,
    Work.RINGING: RINGING,
    Work.TALKING: TALK,
    Work.HELD: HOLD,
    Work.CONSULTING: CONSULT,
    Work.WRAP_UP: WRAP_UP,
    Work.OUTBOUND: OUTBOUND,
}


def part_of(state: AgentStateChanged) -> str:
    """The part; empty for whoever is signed out, also while they still dial a call of their own.

    At work an agent is at that, whatever was chosen for afterwards. Idle, a break counts by its reason, also while the
    phone is away; a phone that is away without one is ``unreachable``, also when that is why the system took the agent
    off the floor. ``other``: a pause after an offer that failed, or a phone that is busy with something else.
    """
    if state.intent is Intent.SIGNED_OUT:
        return ""
    if (at_work := _AT_WORK.get(state.work)) is not None:
        return at_work
    if state.intent is Intent.NOT_READY:
        if state.forced and state.reason == OfferResult.UNREACHABLE:
            return UNREACHABLE
        return f"{BREAK}:{state.reason}"
    if state.device is Device.UNREACHABLE:
        return UNREACHABLE
    if state.device is not Device.REGISTERED or state.remaining_ms:
        return OTHER
    return READY_IDLE


def kind(part: str) -> str:
    """The part without a break's reason."""
    return part.partition(":")[0]
