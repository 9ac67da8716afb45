"""The step ``collect``: a prompt, and digits: an account, an order, a card, a PIN."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from callcenter.calls.call import Call
from callcenter.calls.known import look_up_account
from callcenter.calls.settings import Collect
from callcenter.calls.sound import Sound
from callcenter.calls.steps.attributes import note, stars
from callcenter.model.facts import DigitsEntered

DIGITS = frozenset("0123456789")
# Digits that follow a secret that is whole are part of it as long as they come in its rhythm: within twice the caller's
# own longest pause, and at least so many seconds. What comes later is an answer to what is asked next.
BREATH = 1.0


class Collected(Enum):
    """What came of it. ``NOBODYS``: the last try was well entered, and no customer's account."""

    ENTERED = "entered"
    NOBODYS = "nobody's"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the caller entered in one try; ``pressed``: any key at all."""

    digits: str
    pressed: bool
    too_long: bool = False


async def collect(
    call: Call, step: Collect, *, sound: Sound | None = None, on_digit: Callable[[str], None] | None = None
) -> Collected:
    """Ask until something right is entered; its digits are the call's attribute then.

    ``sound``: whose, where it is not the caller who is asked, in a talk; ``on_digit`` hears of every digit so far.
    """
    again, result = None, Collected.NOTHING
    if sound is None:
        sound = call.caller.sound
        call.stage = f"entering {step.id}"
    for _ in range(step.retries + 1):
        with sound.masked(step.mask):
            if again is not None:
                await sound.say(call.prompt(again), barge_in=step.barge_in)
            await sound.say(call.prompt(step.prompt), barge_in=step.barge_in)
            entry = await take_digits(sound, step, on_digit)
        whole = len(entry.digits) >= step.shortest and not entry.too_long
        known = not (whole and step.look_up and entry.digits) or await look_up_account(call, entry.digits)
        if entry.pressed:
            told = stars(entry.digits) if step.mask else entry.digits
            call.add(DigitsEntered(step.id, told, valid=whole and known, masked=step.mask, account=step.look_up))
        if whole and (entry.digits or step.into in call.captured.attributes):
            note(call, step.into, entry.digits, masked=step.mask)
            call.captured.entered[step.into] = call.captured.told[step.into]
        if whole and known:
            return Collected.ENTERED
        result = Collected.NOBODYS if whole else Collected.NOTHING
        again = step.invalid if entry.pressed else step.no_input
    return result


async def take_digits(sound: Sound, step: Collect, on_digit: Callable[[str], None] | None = None) -> Entry:
    """Take keys until the entry is over: by the terminator, a pause, or the last digit that there can be.

    ``*`` begins anew. A lone terminator, and nothing at all, are entries without digits.
    """
    digits, pressed, patience = "", False, step.first_digit
    clock = asyncio.get_running_loop().time
    last, longest_pause = clock(), 0.0
    fixed = step.terminator is None or step.shortest == step.longest
    while (key := await sound.key(patience)) is not None:
        if pressed:
            longest_pause = max(longest_pause, clock() - last)
        last, pressed, patience = clock(), True, step.between
        if key == step.terminator:
            break
        if key == "*":
            digits, patience = "", step.first_digit
            if on_digit is not None:
                on_digit(digits)
        elif key in DIGITS and len(digits) == step.longest:
            await let_finish(sound, step)
            return Entry(digits, pressed, too_long=True)
        elif key in DIGITS:
            digits += key
            if on_digit is not None:
                on_digit(digits)
            if fixed and len(digits) == step.longest:
                breath = min(step.between, max(BREATH, 2 * longest_pause))
                sound.swallow(step.terminator, step.between, breath=breath if step.mask else None)
                break
    return Entry(digits, pressed)


async def let_finish(sound: Sound, step: Collect) -> None:
    """Wait until the caller, who has entered too much, is through: the rest is not meant for the next step."""
    while (key := await sound.key(step.between)) is not None:
        if key == step.terminator:
            return
