"""Choices: what an agent chooses and dials, and what becomes of his phone."""

from __future__ import annotations

from dataclasses import replace

from callcenter.acd.agents import MOVES, OFFERED, Agent, Move, begun, forced
from callcenter.acd.events import DeviceChanged, IntentChosen
from callcenter.acd.floor import Floor
from callcenter.acd.offers import take_back
from callcenter.acd.work import at_rest
from callcenter.model.facts import changed
from callcenter.model.states import Device, Intent, OfferResult, Work


def on_agent(floor: Floor, agent: Agent, event: DeviceChanged | IntentChosen) -> None:
    """An agent's phone came or went, or he chose what he wants."""
    match event:
        case DeviceChanged(device=device, cause=cause):
            if device is not agent.device or (device is Device.REGISTERED and agent.given_up):
                _change_device(floor, agent, device, cause)
        case IntentChosen(intent=intent, reason=reason):
            _choose(floor, agent, replace(event, reason="" if intent is Intent.READY else reason))


def _change_device(floor: Floor, agent: Agent, device: Device, cause: str) -> None:
    state = changed(agent.state(cause or f"phone {device}", floor.now), device=device)
    came_back = agent.device is Device.UNREACHABLE or agent.given_up
    if came_back and agent.work is Work.IDLE:
        state = changed(state, remaining_ms=0)
        sign_in = floor.plan.agents[agent.id].sign_in
        chose_to_stay_away = agent.intent is not Intent.READY and not agent.forced
        if agent.intent is not Intent.READY and sign_in is not Intent.SIGNED_OUT and not chose_to_stay_away:
            reason = "" if sign_in is Intent.READY else "signed_in"
            state = forced(state, sign_in, reason)
    floor.tell(state, floor.call_of(agent))
    if device is Device.UNREACHABLE and agent.work in OFFERED:
        take_back(floor, floor.engagements[agent.offer], OfferResult.UNREACHABLE, "phone lost")


def _choose(floor: Floor, agent: Agent, chosen: IntentChosen) -> None:
    intent, reason, before = chosen.intent, chosen.reason, agent.state("", floor.now)
    state = changed(before, next=intent, next_reason=reason)
    if (intent, reason) != (agent.next, agent.next_reason):
        # At least one: 0 would say that it has no limit, where there is nothing left of it.
        limited = chosen.lasts is not None and intent is Intent.NOT_READY
        state = changed(state, next_break_ms=max(1, round((chosen.lasts or 0.0) * 1000)) if limited else 0)
    if agent.work is Work.IDLE:
        state = changed(begun(state), forced=False, remaining_ms=0)
    if state != before:
        cause = f"{intent} chosen by {chosen.by}"
        floor.tell(changed(state, cause=cause, by=chosen.by), floor.call_of(agent))
    if intent is Intent.SIGNED_OUT and agent.work in OFFERED:
        take_back(floor, floor.engagements[agent.offer], OfferResult.DECLINED, "signed out")


def begin_own_call(floor: Floor, agent: Agent, call_id: str) -> None:
    """The agent dials."""
    if agent.work in OFFERED:
        # Whoever dials cannot take a caller too, and did not refuse one: nobody is to blame.
        take_back(floor, floor.engagements[agent.offer], OfferResult.LOST_RACE, "the agent dials")
    state = changed(agent.state("dials", floor.now), own_calls=(*agent.own_calls, call_id))
    if agent.work is Work.IDLE:
        state = changed(state, remaining_ms=0)
    # In a wrap-up the call waits for its end to be his work; beside another of his own it is the same work.
    work = agent.work if agent.work is Work.WRAP_UP else MOVES.get((agent.work, Move.DIAL), agent.work)
    floor.tell(changed(state, work=work), call_id)


def end_own_call(floor: Floor, agent: Agent, call_id: str) -> None:
    """A call that the agent has dialled is over."""
    left = tuple(each for each in agent.own_calls if each != call_id)
    state = changed(agent.state("own call over", floor.now), own_calls=left)
    match agent.work:
        case Work.OUTBOUND if not left:
            state = at_rest(floor, agent, changed(state, work=MOVES[agent.work, Move.HANG_UP]), None)
        case Work.CONSULTING if not left:
            held = bool(floor.engagements[agent.offer].held_by)
            state = changed(state, work=MOVES[agent.work, Move.HOLD if held else Move.RESUME])
        case _:
            pass  # another one goes on, or the wrap-up does
    floor.tell(state, call_id)
