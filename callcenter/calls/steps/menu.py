"""The step ``menu``: a prompt, and one key."""

from __future__ import annotations

from callcenter.calls.call import Call
from callcenter.calls.settings import Choice, Menu
from callcenter.calls.steps.language import speak
from callcenter.model.facts import DigitsEntered, IntentCaptured

# A caller who has the menu repeated more often is a child at the phone: the key counts as a wrong one then.
MAX_REPEATS = 20


async def ask(call: Call, menu: Menu) -> Choice | None:
    """Ask until a key of the menu comes; None after the last try."""
    sound, again, tries, repeats = call.caller.sound, None, 0, 0
    call.stage = f"at menu {menu.id}"
    while tries <= menu.retries:
        if again is not None:
            await sound.say(call.prompt(again), barge_in=menu.barge_in)
        await sound.say(call.prompt(menu.prompt), barge_in=menu.barge_in)
        key = await sound.key(menu.timeout)
        choice = menu.choices.get(key) if key is not None else None
        if key is not None:
            call.add(DigitsEntered(menu.id, key, valid=choice is not None))
        if choice is not None and choice.repeat and repeats < MAX_REPEATS:
            again, repeats = None, repeats + 1
            continue
        if choice is not None and key is not None and not choice.repeat:
            call.captured.entered[menu.id] = key
            return choice
        tries += 1
        again = menu.no_input if key is None else menu.invalid
    return None


def choose(call: Call, menu: Menu, choice: Choice) -> None:
    """Note what the caller chose."""
    captured = call.captured
    speak(call, choice.language)
    if choice.intent:
        captured.intent = choice.intent
        captured.menus.append(choice.intent)
        call.add(IntentCaptured(choice.intent, menu.id))
