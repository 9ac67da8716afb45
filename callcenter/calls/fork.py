"""Fork: all phones of one person ring at once, and the first to be answered has the call (RFC 3261 16.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from callcenter.runtime.scopes import Background
from callcenter.signaling.leg import (
    Answered,
    Busy,
    Cancelled,
    Declined,
    DialOutcome,
    Leg,
    NoAnswer,
    Rejected,
    Unreachable,
)

# A phone that is there answers an INVITE with 100 or 180 at once; by now it was sent four times (RFC 3261 timer A).
SIGN_OF_LIFE = 4.0
# What phones that rang in vain are told, so that they show no missed call (RFC 3326 2).
ELSEWHERE = "Call completed elsewhere"

Failed: TypeAlias = Busy | NoAnswer | Declined | Rejected | Unreachable | Cancelled


async def first_answer(legs: Sequence[Leg], on_ringing: Callable[[], None]) -> Leg | Failed:
    """The leg that was answered first, or, when none was, what says most of why.

    ``on_ringing`` is called once, with the first that rings. The others are hung up, also when it fails: one refusal is
    for this phone alone, a 6xx for the person. Whoever is cancelled here hangs up himself.
    """
    told: asyncio.Queue[tuple[Leg, DialOutcome]] = asyncio.Queue()
    rings = asyncio.Event()

    async def listen(leg: Leg) -> None:
        await leg.ringing.wait()
        if not rings.is_set():
            rings.set()
            on_ringing()

    async def await_outcome(leg: Leg) -> None:
        told.put_nowait((leg, await outcome_of(leg)))

    beside = Background(limit=2 * len(legs))
    for leg in legs:
        beside.start(listen(leg), name=f"ringing of {leg.id}")
        beside.start(await_outcome(leg), name=f"answer of {leg.id}")
    failures: list[Failed] = []
    try:
        while len(failures) < len(legs):
            leg, outcome = await told.get()
            if isinstance(outcome, Answered):
                hang_up(legs, but=leg, cause=ELSEWHERE)
                return leg
            failures.append(outcome)
            if is_for_all(outcome):
                break
    finally:
        beside.cancel()
    hang_up(legs)
    return max(failures, key=telling)


async def outcome_of(leg: Leg) -> DialOutcome:
    """What comes of a call that was sent, to a phone that must show that it is there."""
    try:
        async with asyncio.timeout(SIGN_OF_LIFE):
            await leg.reached.wait()
    except TimeoutError:
        leg.hangup()
        return Unreachable(408, "the phone gave no sign of life")
    return await leg.outcome()


def hang_up(legs: Sequence[Leg], *, but: Leg | None = None, cause: str = "") -> None:
    """End all legs but one. A 200 that crosses our CANCEL is acknowledged, and ended by a BYE (RFC 3261 9.1)."""
    for leg in legs:
        if leg is not but:
            leg.hangup(cause=cause)


def is_for_all(outcome: Failed) -> bool:
    """Whether a refusal is the person's, on whichever phone it was given (RFC 3261 21.6)."""
    return not isinstance(outcome, Cancelled) and outcome.status >= 600


def telling(outcome: Failed) -> int:
    """How much a failure tells of the person: a red button more than a line in use, a phone gone nothing."""
    match outcome:
        case Declined():
            return 5
        case Busy():
            return 4
        case NoAnswer():
            return 3
        case Rejected():
            return 2
        case Unreachable():
            return 1
        case Cancelled():
            return 0
