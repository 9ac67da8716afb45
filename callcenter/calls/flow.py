"""The flow: runs the steps that the configuration names, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from callcenter.calls.call import Call
from callcenter.calls.queueing import FlowedOut, wait_in_queue
from callcenter.calls.settings import Choice, Hangup, Menu, Say, Step, ToQueue
from callcenter.model.facts import DigitsEntered, IntentCaptured, LanguageChosen
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side


async def run_steps(call: Call, steps: Sequence[Step]) -> Ending | None:
    """Run the steps; the ending when one of them ends the call, None when all are through."""
    for step in steps:
        ending = await run_step(call, step)
        if ending is not None:
            return ending
    return None


async def run_step(call: Call, step: Step) -> Ending | None:
    """Run one step."""
    match step:
        case Say():
            await call.caller.sound.say(call.prompt(step.prompt), barge_in=step.barge_in)
            return None
        case Menu():
            choice = await ask(call, step)
            if choice is None:
                return await run_steps(call, step.otherwise) or Ending(
                    Side.SYSTEM, EndCause.FLOW_ENDED, 0, f"no choice at menu {step.id}"
                )
            choose(call, step, choice)
            return await run_steps(call, choice.then)
        case ToQueue():
            match await wait_in_queue(call, step):
                case Ending() as ending:
                    return ending
                case FlowedOut(action=action):
                    return await after_queue(call, step, action)
        case Hangup():
            if step.prompt is not None:
                await call.caller.sound.say(call.prompt(step.prompt), barge_in=False)
            return Ending(Side.SYSTEM, EndCause.FLOW_ENDED)
        case _:
            assert_never(step)


async def after_queue(call: Call, step: ToQueue, action: str) -> Ending | None:
    """What follows a queue that gave the caller back: the step's own steps, else the queue's ``on_max_wait``.

    That names a flow, run in place of the rest; ``continue`` and nothing go on behind the step.
    """
    if step.on_timeout:
        return await run_steps(call, step.on_timeout)
    flow = call.settings.flows.get(action)
    if flow is None:
        return None
    return await run_steps(call, flow.steps) or Ending(Side.SYSTEM, EndCause.FLOW_ENDED)


async def ask(call: Call, menu: Menu) -> Choice | None:
    """Ask until a key of the menu comes; None after the last try."""
    sound, again = call.caller.sound, None
    call.stage = f"at menu {menu.id}"
    for _ in range(menu.retries + 1):
        if again is not None:
            await sound.say(call.prompt(again), barge_in=menu.barge_in)
        await sound.say(call.prompt(menu.prompt), barge_in=menu.barge_in)
        key = await sound.key(menu.timeout)
        choice = menu.choices.get(key) if key is not None else None
        if key is not None:
            call.add(DigitsEntered(menu.id, key, valid=choice is not None))
        if choice is not None and key is not None:
            call.captured.entered[menu.id] = key
            return choice
        again = menu.no_input if key is None else menu.invalid
    return None


def choose(call: Call, menu: Menu, choice: Choice) -> None:
    """Note what the caller chose."""
    captured = call.captured
    if choice.language is not None and choice.language != captured.language:
        captured.language = choice.language
        call.add(LanguageChosen(choice.language))
    if choice.intent:
        captured.intent = choice.intent
        captured.menus.append(choice.intent)
        call.add(IntentCaptured(choice.intent, menu.id))
