"""The flow: runs the steps that the configuration names, one after the other, until something ends the call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from callcenter.calls.call import Call
from callcenter.calls.callback_offer import offer_callback
from callcenter.calls.dialled import Colleague, Line, Outside
from callcenter.calls.overflow import ToCallback, ToFlow, ToNumber, ToOtherQueue, overflow_of
from callcenter.calls.putting_through import overflow_outside, put_through, take_over_outside
from callcenter.calls.queueing import FlowedOut, HandedOver, take_over, wait_in_queue
from callcenter.calls.settings import (
    AddDoNotCall,
    AskCallback,
    AskHours,
    Branch,
    ChooseLanguage,
    Collect,
    GoTo,
    Hangup,
    Menu,
    Say,
    SetAttributes,
    Step,
    SubFlow,
    ToQueue,
)
from callcenter.calls.steps.attributes import note
from callcenter.calls.steps.branch import choose_case, door
from callcenter.calls.steps.collect import Collected, collect
from callcenter.calls.steps.language import customers_language, speak
from callcenter.calls.steps.menu import ask, choose
from callcenter.calls.transfer import NOT_REACHED, STATUSES, Handover, OurNumber, OutsideTalk
from callcenter.model.facts import FlowEntered
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side

# A caller who goes round in menus all day, or flows that call each other for ever, end here: a step tells few facts,
# and a restart reads all those of a call (see app/last_run.py).
MAX_STEPS = 2_000
MAX_AHEAD = 2_000

# A queue that has sent the caller on so many seconds ago has no room for them now either: two that are full, and send
# to each other, must not do so until the call has no steps left.
SENT_ON_JUST_NOW = 1.0


@dataclass(frozen=True, slots=True)
class GoOn:
    """Run these steps, then what stands behind."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class GoAway:
    """Run these steps in place of all that stands behind. ``why``: what the record says if the call ends after them."""

    steps: tuple[Step, ...]
    why: str = ""


Outcome = Ending | GoOn | GoAway | None
"""What a step comes to; None: the next one follows."""


async def run_flow(call: Call, flow: str) -> Ending:
    """Run a flow, and wherever it leads to."""
    return await run_steps(call, call.settings.flows[flow].steps)


async def run_steps(call: Call, steps: Sequence[Step]) -> Ending:
    """Run steps, and wherever they lead to. Behind the last one the call is over."""
    todo, why = list(reversed(steps)), ""
    for _ in range(MAX_STEPS):
        if not todo:
            return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, why)
        match await run_step(call, todo.pop()):
            case Ending() as ending:
                return ending
            case GoOn(steps=steps):
                todo += reversed(steps)
            case GoAway(steps=steps, why=why):
                todo = list(reversed(steps))
            case None:
                pass
        if len(todo) > MAX_AHEAD:
            break
    return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, "the flow goes round and round")


async def run_step(call: Call, step: Step) -> Outcome:
    """Run one step."""
    match step:
        case Say():
            await call.caller.sound.say(call.prompt(step.prompt), barge_in=step.barge_in)
            return None
        case Menu():
            choice = await ask(call, step)
            if choice is None:
                return GoAway(step.otherwise, f"no choice at menu {step.id}")
            choose(call, step, choice)
            return GoOn(choice.then)
        case Collect():
            return after_collect(step, await collect(call, step))
        case SetAttributes():
            for name, value in step.values.items():
                note(call, name, value)
            return None
        case AddDoNotCall():
            # Who hides the number cannot be held from being called, and is not told so.
            if call.services.do_not_call.asked_by_caller(call, step.reason) is not None and step.prompt is not None:
                await call.caller.sound.say(call.prompt(step.prompt), barge_in=False)
            return None
        case ChooseLanguage():
            speak(call, step.language or customers_language(call))
            return None
        case Branch():
            return GoOn(choose_case(call, step))
        case AskHours():
            return GoOn(step.then.get(door(call, step.hours), ()))
        case SubFlow():
            return GoOn(enter(call, step.flow))
        case GoTo():
            return GoAway(enter(call, step.flow))
        case ToQueue():
            match await wait_in_queue(call, step):
                case Ending() as ending:
                    return ending
                case FlowedOut() as end:
                    return await flowed_out(call, step, end)
                case HandedOver(step=step):
                    return await follow(call, step)
        case AskCallback():
            return await offer_callback(call, step) or not_called_back(call, step)
        case Hangup():
            if step.prompt is not None:
                await call.caller.sound.say(call.prompt(step.prompt), barge_in=False)
            return Ending(Side.SYSTEM, EndCause.FLOW_ENDED)
        case _:
            assert_never(step)


async def follow(call: Call, step: ToQueue) -> Outcome:
    """Put the caller through to where an agent handed them over, out of the talk that ``step`` led to.

    Queues and numbers take anybody. When a colleague or somebody outside does not, the caller goes back to the agent if
    that phone is still there, else to the queue where they were, with the place kept.
    """
    end: Ending | FlowedOut | HandedOver = HandedOver(step)
    while isinstance(end, HandedOver):
        step, handover = end.step, call.handover
        assert handover is not None, "nobody handed the caller over"
        call.stage = f"handed over by {handover.agent_id}"
        match handover.destination:
            case Line(queue=queue):
                handover.done()
                # Whom the caller would rather talk to may be the very agent who sends them on.
                return GoAway((ToQueue(queue, keep_place=True, prefer=()),))
            case OurNumber(number=number):
                handover.done()
                return GoAway(enter(call, number.flow))
            case Colleague() if handover.consulted is not None:
                end = await take_over(call, step, handover.consulted)
            case Colleague(agent=agent):
                end = await wait_in_queue(call, replace(step, keep_place=True), agent)
            case Outside() if (there := consulted_outside(handover)) is not None:
                end = await take_over_outside(call, handover, there, step.queue)
            case Outside(number=outside, keys=keys):
                end = await put_through(call, handover, outside, keys, step.queue)
            case _:
                assert_never(handover.destination)
        if isinstance(end, FlowedOut) and call.handover is not None:
            end = await back_to_agent(call, step, call.handover, end.reason)
            if isinstance(end, FlowedOut):
                return GoAway((replace(step, keep_place=True, prefer=()),))
    return end if isinstance(end, Ending) else await flowed_out(call, step, end)


def consulted_outside(handover: Handover) -> OutsideTalk | None:
    """Somebody outside whom the agent has spoken to before."""
    return handover.consulted.outside if handover.consulted is not None else None


async def back_to_agent(call: Call, step: ToQueue, handover: Handover, why: str) -> Ending | FlowedOut | HandedOver:
    """Nobody took the caller, who goes back to the agent if that phone is still there; FlowedOut when it is not."""
    end: Ending | FlowedOut | HandedOver = FlowedOut()
    handover.failed(STATUSES.get(why, NOT_REACHED), why)
    music = call.settings.prompts.music(call.settings.treatments[step.queue].music)
    with call.caller.sound.playing(music, loop=True):
        stays = await handover.stays()
    if stays:
        end = await wait_in_queue(call, replace(step, keep_place=True), handover.agent_id)
    if call.handover is handover:
        handover.close()
        call.handover = None
    return end


def after_collect(step: Collect, collected: Collected) -> Outcome:
    """What follows an entry: after the last try the step's own steps, and without any the end of the call."""
    match collected:
        case Collected.ENTERED:
            return None
        case Collected.NOBODYS if step.not_found:
            return GoOn(step.not_found)
        case Collected.NOBODYS | Collected.NOTHING if step.otherwise is not None:
            return GoOn(step.otherwise)
        case Collected.NOBODYS | Collected.NOTHING:
            return GoAway((Hangup(step.goodbye),), f"nothing entered at {step.id}")
        case _:
            assert_never(collected)


def not_called_back(call: Call, step: AskCallback) -> Outcome:
    """What follows when a caller is not called back after all: without steps for it they wait on, as before."""
    if step.otherwise is not None:
        return GoOn(step.otherwise)
    by = call.waits_by if call.waits_by is not None and call.waits_by.queue == step.queue else ToQueue(step.queue)
    return GoAway((replace(by, keep_place=True),))


async def go_on(call: Call, step: ToQueue, end: Ending | FlowedOut | HandedOver) -> Ending:
    """Go on behind a talk that no step of a flow has led to, as if ``step`` had."""
    outcome: Outcome
    match end:
        case Ending() as outcome:
            pass
        case FlowedOut():
            outcome = await flowed_out(call, step, end)
        case HandedOver(step=handed_over):
            outcome = await follow(call, handed_over)
    match outcome:
        case Ending():
            return outcome
        case GoOn(steps=steps) | GoAway(steps=steps):
            return await run_steps(call, steps)
        case None:
            return Ending(Side.SYSTEM, EndCause.FLOW_ENDED)


async def flowed_out(call: Call, step: ToQueue, end: FlowedOut) -> Outcome:
    """What follows when no agent took the caller: the steps of the key by which they left, or of the queue."""
    return GoOn(step.keys[end.key]) if end.key else await after_queue(call, step, end.action)


async def after_queue(call: Call, step: ToQueue, action: str) -> Outcome:
    """What follows a queue that gave the caller back: the step's own steps, else what the queue says.

    A flow is run in place of the rest; all else goes on behind the step in the end. The queue is as the configuration
    has it now: a flow or a queue that is newer than the call is taken with all that it was written with.
    """
    if step.on_timeout:
        return GoOn(step.on_timeout)
    settings, newest = call.settings, call.services.settings
    match overflow_of(action):
        case ToFlow(flow=flow):
            known = flow in settings.flows or (flow in newest.flows and call.renew())
            return GoAway(enter(call, flow)) if known else None
        case ToOtherQueue(queue=queue):
            now = call.services.clock.monotonic()
            call.sent_on[step.queue] = now
            if now - call.sent_on.get(queue, -math.inf) < SENT_ON_JUST_NOW:
                return None
            known = queue in settings.treatments or (queue in newest.treatments and call.renew())
            return GoOn((replace(step, queue=queue, keep_place=True),)) if known else None
        case ToNumber(number=number):
            end = await overflow_outside(call, number, step.queue)
            return end if isinstance(end, Ending) else None
        case ToCallback():
            return await offer_callback(call, AskCallback(step.queue))
        case overflow:
            assert_never(overflow)


def enter(call: Call, flow: str) -> tuple[Step, ...]:
    """The steps of a flow that the call goes on with."""
    call.add(FlowEntered(flow))
    return call.settings.flows[flow].steps
