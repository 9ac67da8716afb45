"""Wrap-up: an agent's time after a talk, how it ends, and with which disposition."""

from __future__ import annotations

from callcenter.acd.agents import MOVES, Agent, Move, needs_disposition
from callcenter.acd.engagement import Engagement
from callcenter.acd.events import DispositionGiven, WrapUpAsked, WrapUpDone, WrapUpExtended
from callcenter.acd.floor import Floor
from callcenter.acd.settings import WrapUpSettings
from callcenter.acd.work import free
from callcenter.model.facts import DispositionChosen, WrapUpEnded, changed
from callcenter.model.states import WrapUpMode

WRAPUP_TIMEOUT = "WRAPUP_TIMEOUT"
NO_WRAP_UP = WrapUpSettings(WrapUpMode.NONE)


def begin_wrap_up(floor: Floor, engagement: Engagement) -> None:
    """A talk is over: what the queue gives the agent of time begins, or he is free at once."""
    queue = floor.plan.queue(floor.plan.renamed.get(engagement.queue, engagement.queue))
    settings = (queue and queue.wrap_up) or NO_WRAP_UP
    agent, mode = engagement.agent, settings.mode
    seconds, longer = round(settings.seconds * 1000), round(settings.extend_once * 1000)
    if mode is WrapUpMode.OPTIONAL:
        # What he may ask for is what the time of the choice can be extended by.
        seconds, longer = (round(settings.choice * 1000), seconds) if seconds else (0, 0)
    elif mode is WrapUpMode.MANDATORY:
        seconds = longer = 0
    # Who is gone from the configuration can say nothing any more, and would owe the disposition for ever.
    owed = floor.employed(agent) if mode is WrapUpMode.MANDATORY else seconds > 0
    if mode is WrapUpMode.NONE or not owed:
        free(floor, engagement, Move.RELEASE, "talk ended")
        return
    state = changed(
        agent.state("talk ended", floor.now),
        work=MOVES[agent.work, Move.WRAP_UP],
        remaining_ms=seconds,
        extension_ms=longer,
        wrap_up=mode,
    )
    floor.tell(state, engagement.call_id)


def on_wrap_up(floor: Floor, agent: Agent, event: WrapUpDone | WrapUpAsked | WrapUpExtended) -> None:
    """The agent, or somebody for him, says something of the wrap-up that goes on."""
    optional = agent.wrap_up is WrapUpMode.OPTIONAL
    match event:
        case WrapUpDone(disposition=given, by=by):
            disposition = _disposition(floor, agent, given)
            if disposition is not None:
                finish(floor, agent, disposition, f"wrap-up done by {by}")
        case WrapUpAsked(by=by) if optional:
            name = floor.engagements[agent.offer].queue
            queue = floor.plan.queue(floor.plan.renamed.get(name, name))
            settings = (queue and queue.wrap_up) or NO_WRAP_UP
            state = changed(
                agent.state(f"wrap-up asked for by {by}", floor.now),
                remaining_ms=agent.extension,
                extension_ms=round(settings.extend_once * 1000),
                wrap_up=WrapUpMode.TIMED,
            )
            floor.tell(state, floor.call_of(agent))
        case WrapUpExtended(by=by) if agent.extension and not optional:
            state = agent.state(f"wrap-up extended by {by}", floor.now)
            longer = state.remaining_ms + agent.extension
            floor.tell(changed(state, remaining_ms=longer, extension_ms=0), floor.call_of(agent))
        case _:
            pass  # it was extended before, or has no end to extend


def _disposition(floor: Floor, agent: Agent, given: str) -> str | None:
    """What a wrap-up ends with by the agent's word; None when it does not end so."""
    engagement = floor.engagements[agent.offer]
    known = floor.plan.dispositions_of(engagement.queue)
    if given:
        return known.find(given)
    if engagement.disposition:
        return engagement.disposition
    return None if needs_disposition(agent.wrap_up, known) else ""


def on_disposition(floor: Floor, agent: Agent, event: DispositionGiven) -> None:
    """What the talk comes to was said before the wrap-up is over."""
    engagement = floor.engagements.get(agent.offer)
    if engagement is None or engagement.offer != event.offer_id or not engagement.connected:
        return
    found = floor.plan.dispositions_of(engagement.queue).find(event.disposition)
    if found:
        chosen = DispositionChosen(engagement.client, agent.id, engagement.offer, found, event.by, event.why)
        floor.tell(chosen, engagement.call_id)


def run_out(floor: Floor, agent: Agent) -> None:
    """The time of a wrap-up is over, and what was said of the talk before counts."""
    said = floor.engagements[agent.offer].disposition
    if agent.wrap_up is WrapUpMode.OPTIONAL:
        finish(floor, agent, said, "no wrap-up asked for")
    else:
        finish(floor, agent, said or WRAPUP_TIMEOUT, "wrap-up timed out")


def finish(floor: Floor, agent: Agent, disposition: str, cause: str) -> None:
    """The agent is through with the call."""
    engagement = floor.engagements[agent.offer]
    floor.tell(WrapUpEnded(agent.id, engagement.offer, disposition), engagement.call_id)
    free(floor, engagement, Move.FINISH, cause)
