"""Asking for a callback: who waits may be called back, at the number they confirm, and at a time they choose."""

from __future__ import annotations

from callcenter.calls.call import Call
from callcenter.calls.callback import AT_ONCE
from callcenter.calls.callback_numbers import callable_number, own_number
from callcenter.calls.settings import AskCallback, AskWhen, Collect
from callcenter.calls.steps.collect import take_digits
from callcenter.calls.windows import Wish
from callcenter.model.facts import DigitsEntered
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side

NUMBER = "callback-number"
WHEN = "callback-when"


async def offer_callback(call: Call, step: AskCallback) -> Ending | None:
    """Ask for the number, promise to call back, and hang up; None when it comes to nothing: the call goes on.

    Only a number that the company calls back is taken. The promise is made when it is written, and not else.
    """
    call.stage = f"asking for a callback from {step.queue}"
    prompts = step.prompts or call.settings.callback_prompts
    callbacks = call.services.callbacks
    if not callbacks.possible(call, step.queue):
        await call.caller.sound.say(call.prompt(prompts.unavailable), barge_in=False)
        return None
    wish = await ask_when(call, step, step.when) if step.when is not None else AT_ONCE
    if wish is None:
        return None
    number = await ask_number(call, step)
    if number is None:
        return None
    if not await callbacks.request(call, step.queue, number, wish):
        await call.caller.sound.say(call.prompt(prompts.unavailable), barge_in=False)
        return None
    call.caller.sound.forget_keys()
    await call.caller.sound.say(call.prompt(prompts.accepted), barge_in=False)
    return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, "will be called back")


async def ask_when(call: Call, step: AskCallback, when: AskWhen) -> Wish | None:
    """When the caller wants it, by a key; None when they press none that means anything."""
    sound = call.caller.sound
    sound.forget_keys()
    for _ in range(step.retries + 1):
        await sound.say(call.prompt(when.prompt), barge_in=True)
        key = await sound.key(step.timeout)
        if key is not None:
            call.add(DigitsEntered(WHEN, key, valid=key in when.wishes))
        if key is not None and key in when.wishes:
            return when.wishes[key]
    return None


async def ask_number(call: Call, step: AskCallback) -> str | None:
    """The number that the caller has confirmed, in E.164: the own one, or another; None when they have not."""
    sound, prompts = call.caller.sound, step.prompts or call.settings.callback_prompts
    number = own_number(call)
    sound.forget_keys()
    entries = confirmations = 0
    while True:
        if number is None:
            if entries > step.retries:
                return None
            entries += 1
            number = await enter_number(call, step)
            continue
        if confirmations > step.retries + entries:
            return None
        confirmations += 1
        await sound.say(call.prompt(prompts.confirm), barge_in=True)
        digits = call.settings.prompts.digits(prompts.digit, call.captured.language, number.removeprefix("+"))
        await sound.say(digits, barge_in=True)
        await sound.say(call.prompt(prompts.choose), barge_in=True)
        key = await sound.key(step.timeout)
        if key is not None:
            call.add(DigitsEntered(NUMBER, key, valid=key in "12*"))
        if key == "1":
            return number
        if key == "*":
            return None
        if key == "2":
            number = None


async def enter_number(call: Call, step: AskCallback) -> str | None:
    """One try to enter a number; None when it is none that may be called."""
    sound, prompts = call.caller.sound, step.prompts or call.settings.callback_prompts
    await sound.say(call.prompt(prompts.enter), barge_in=True)
    entry = await take_digits(sound, Collect(NUMBER, "", prompts.enter, longest=20, first_digit=step.timeout))
    number = None if entry.too_long else callable_number(call.settings, call.client, entry.digits)
    if entry.pressed:
        call.add(DigitsEntered(NUMBER, entry.digits, valid=number is not None))
    if number is None and entry.pressed:
        await sound.say(call.prompt(prompts.invalid), barge_in=True)
    return number
