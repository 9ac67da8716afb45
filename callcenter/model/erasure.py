"""Erasure: facts of a call in which nothing names the caller any more; what happened, and how long, stays as it was."""

from __future__ import annotations

import dataclasses
from typing import Any

from callcenter.model.facts import (
    AttributeSet,
    Body,
    BranchTaken,
    CallArrived,
    CallbackAttempted,
    CallbackRequested,
    CallEnded,
    CallerMediaStarted,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    CustomerFound,
    DigitsEntered,
    DispositionChosen,
    DispositionCorrected,
    Fact,
    FieldsWritten,
    MediaMissing,
    OneWayAudio,
    OutsideConnected,
    RecordingStarted,
    TransferFailed,
    TrunkTried,
)
from callcenter.model.states import Direction, TransferTo

MARK = "erased"
"""What stands where there was something. Of numbers with a few letters by chance behind a dash, the same for all calls
of one person: who called again is counted as before, and nobody knows who it was."""


def erased(body: Body, mark: str = MARK, *, customer: bool = True) -> Body:
    """A fact of a call without its caller. ``mark`` stands for their number. The same again changes nothing.

    Without ``customer`` stays by its id which customer it was, whose record says who that is as long as there is one.
    """
    match body:
        case CallArrived():
            return _arrived(body, mark)
        case CustomerFound() if customer:
            return dataclasses.replace(body, customer="")
        case DigitsEntered():
            return _without(body, "digits")
        case AttributeSet():
            return _without(body, "value")
        case BranchTaken(why=why):
            return dataclasses.replace(body, why=tuple(MARK for _ in why))
        case CallbackRequested() | CallbackAttempted() | OutsideConnected() | TrunkTried():
            return body if body.number.startswith(MARK) else dataclasses.replace(body, number=mark)
        case CallTransferred(to=to) if to in (TransferTo.OUTSIDE, TransferTo.NUMBER):
            return _without(body, "target")
        case TransferFailed(target=target) | ConferenceJoined(target=target) | ConferenceLeft(target=target) if (
            target.startswith("+")
        ):
            return _without(body, "target")
        case CallerMediaStarted():
            return _without(body, "source")
        case MediaMissing() | OneWayAudio() | CallEnded():
            # In words, and they may name an address.
            return _without(body, "detail")
        case RecordingStarted():
            return _without(body, "left")
        case DispositionChosen() | DispositionCorrected() | FieldsWritten():
            # Whoever corrects says why in a sentence, and may name whom they talked to.
            return _without(body, "why")
        case _:
            return body


def erased_fact(fact: Fact, mark: str = MARK, *, customer: bool = True) -> Fact:
    """The same of a whole fact; the very same one where there is nothing to be erased."""
    body = erased(fact.body, mark, customer=customer)
    return fact if body == fact.body else dataclasses.replace(fact, body=body)


def _without(body: Body, name: str) -> Body:
    gone: dict[str, Any] = {name: MARK}
    return dataclasses.replace(body, **gone) if getattr(body, name) else body


def _arrived(body: CallArrived, mark: str) -> CallArrived:
    gone: dict[str, Any] = {"diverted_number": MARK, "diverted_name": MARK}
    if body.direction is Direction.INBOUND or body.callback:
        gone |= {"from_number": mark, "from_name": MARK, "source": MARK, "sip_call_id": MARK}
    else:
        # The number that one of ours has dialled.
        gone["to_number"] = mark
    there = {name: value for name, value in gone.items() if getattr(body, name)}
    # What was erased before keeps its mark.
    return dataclasses.replace(
        body, **{name: value for name, value in there.items() if not getattr(body, name).startswith(MARK)}
    )
