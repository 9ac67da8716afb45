"""Results: what came of an order, in a sentence for people and in a word for programs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from callcenter.control.protocol import Reason


class Result(StrEnum):
    """What came of an order. ``PENDING``: it holds from the end of the present work on."""

    DONE = "done"
    PENDING = "pending"
    NOT_UNDERSTOOD = "not understood"
    NO_SUCH_AGENT = "no such agent"
    NOTHING_TO_WRAP_UP = "nothing to wrap up"
    NEEDS_DISPOSITION = "needs a disposition"
    UNKNOWN_DISPOSITION = "unknown disposition"
    NEEDS_FIELDS = "needs fields"
    NEEDS_FOLLOW_UP = "needs a follow-up"
    TOO_MANY_OUT = "too many are out"
    NOT_PERMITTED = "not permitted"
    ENDLESS = "has no end to extend"
    NOT_EXTENDABLE = "cannot be extended"
    EXTENDED_BEFORE = "was extended before"
    NOT_RECORDED = "is not recorded"
    NOT_RECORDABLE = "may not be recorded"
    MUST_RECORD = "must be recorded"
    NO_ROOM = "no room for recordings"
    HERSELF = "nobody hears himself"
    NO_PHONE = "has no phone"
    NOT_SUPERVISING = "does not hear this agent"
    TOO_MANY = "too many at once"
    NOT_ALLOWED = "not allowed"
    NO_SUCH_TARGET = "no such target"
    NOT_THERE = "not there"
    BUSY = "busy"
    UNDER_WAY = "under way"
    NOT_TRANSFERABLE = "cannot be transferred"
    ASKS_NOW = "talks to whom they asked"
    PHONE_HOLDS = "the phone holds"
    NO_LINE = "no line left"
    DO_NOT_CALL = "is not to be called"
    NOT_RINGING = "does not ring"
    PHONE_CANNOT = "the phone cannot"
    NO_SUCH_CALL = "no such call"
    NOT_WAITING = "does not wait"
    PICKED_UP = "is being taken"
    WAITS_THERE = "waits there already"
    NO_SUCH_QUEUE = "no such queue"
    NOT_TALKING = "talks to no caller"
    NOBODY_ASKED = "has asked nobody"
    ASKS_ALREADY = "asks somebody already"
    NOT_ANSWERED = "nobody has answered yet"
    NOT_REACHABLE = "cannot be asked"
    NO_SUCH_ENTRY = "no such entry"
    ENTERS_ALREADY = "enters something already"
    NOTHING_ENTERED = "enters nothing"
    NOT_SHOWN = "is shown nobody"

    @property
    def good(self) -> bool:
        """Whether it was obeyed."""
        return self in (Result.DONE, Result.PENDING)


# What is told of a result that is no good, and what to do instead.
SENTENCES: Mapping[Result, str] = {
    Result.NO_SUCH_AGENT: "no agent of that name is configured",
    Result.NOTHING_TO_WRAP_UP: "there is nothing to wrap up: the wrap-up begins when a talk has ended",
    Result.NEEDS_DISPOSITION: "this wrap-up ends only with a disposition: send it in `disposition`",
    Result.UNKNOWN_DISPOSITION: "the disposition is unknown",
    Result.NEEDS_FIELDS: "this wrap-up ends only with its fields filled in: send them by `fields`",
    Result.NEEDS_FOLLOW_UP: "that disposition takes a follow-up: send both by `disposition`, with `follow_up`",
    Result.TOO_MANY_OUT: "too many are out already: ask again when one of them is back",
    Result.NOT_PERMITTED: "your clients are not all that this agent serves: ask who may command for all of them",
    Result.ENDLESS: "this wrap-up has no end to extend: it ends when you send a disposition",
    Result.NOT_EXTENDABLE: "this queue's wrap-up cannot be extended: finish it with `wrap_up_done`",
    Result.EXTENDED_BEFORE: "the wrap-up was extended already, and once is all: finish it with `wrap_up_done`",
    Result.NOT_RECORDED: "this talk is not recorded: `record_start` has it recorded, where that is permitted",
    Result.NOT_RECORDABLE: "this talk may not be recorded: neither client, queue nor agent has `record: on_demand`",
    Result.NO_ROOM: "there is too little room where recordings are: whoever runs the switch knows of it",
    Result.MUST_RECORD: "this talk must be recorded: it can be paused (`record_pause`), not stopped",
    Result.HERSELF: "that is your own phone: nobody hears himself",
    Result.NO_PHONE: "no phone of yours is registered: `agent` under your login says as which agent you have one",
    Result.NOT_SUPERVISING: "you do not hear this agent now",
    Result.NOT_TALKING: "the agent talks to no caller now",
    Result.NOBODY_ASKED: "nobody is asked now: `consult` comes first",
    Result.ASKS_ALREADY: "somebody is asked already: `consult_drop` lets them go",
    Result.NOT_ANSWERED: "nobody has answered yet: wait, or `consult_drop`",
    Result.NOT_REACHABLE: "whom you want to ask cannot be reached, or you may not dial them; the log says why",
    Result.NO_SUCH_ENTRY: "no such entry is permitted in this company's talks: `in_talk` of the client names them",
    Result.ENTERS_ALREADY: "the customer is asked for something already: wait, or `entry_cancel`",
    Result.NOTHING_ENTERED: "the customer is asked for nothing now",
    Result.NOT_SHOWN: "the agent is not asked now whether to call anybody back",
    Result.NOT_ALLOWED: "that may not be dialled, or the caller may not go there: the log says why",
    Result.NO_SUCH_TARGET: "nobody has that name or number",
    Result.NOT_THERE: "whom you want is not there: not ready, or without a phone",
    Result.BUSY: "whom you want is busy now",
    Result.UNDER_WAY: "something else is under way in this talk: ask again in a moment",
    Result.NOT_TRANSFERABLE: "only a caller whom a queue has brought can be put through",
    Result.ASKS_NOW: "the agent talks to somebody who was asked: `consult_swap` or `consult_drop` comes first",
    Result.PHONE_HOLDS: "the phone itself holds: take the caller back there",
    Result.NO_LINE: "the agent has as many calls of their own already as there may be: hang one of them up first",
    Result.DO_NOT_CALL: "the number is on the company's do-not-call list; where that only warns, dial it again",
    Result.NOT_RINGING: "no phone of the agent rings for a caller",
    Result.PHONE_CANNOT: "a phone that rings cannot be told to answer: pick it up; with the agent's `auto_answer: true`"
    " (agents.yaml) it takes by itself what a queue offers, and what a program dials for the agent",
    Result.NO_SUCH_CALL: "there is no such call now",
    Result.NOT_WAITING: "the caller waits in no queue now",
    Result.PICKED_UP: "an agent has just picked up for this caller",
    Result.WAITS_THERE: "the caller waits in that queue already",
    Result.NO_SUCH_QUEUE: "the caller's company has no such queue",
    Result.TOO_MANY: "too many take part in talks now, or the switch is going down: ask again in a while",
}
# Why, in a word for programs; what is not here is a conflict with how things stand.
REASONS: Mapping[Result, Reason] = {
    Result.NOT_UNDERSTOOD: Reason.INVALID,
    Result.UNKNOWN_DISPOSITION: Reason.INVALID,
    Result.NEEDS_DISPOSITION: Reason.INVALID,
    Result.NEEDS_FIELDS: Reason.INVALID,
    Result.NEEDS_FOLLOW_UP: Reason.INVALID,
    Result.NO_SUCH_ENTRY: Reason.INVALID,
    Result.NO_SUCH_TARGET: Reason.INVALID,
    Result.NO_SUCH_QUEUE: Reason.INVALID,
    Result.NO_SUCH_AGENT: Reason.NOT_FOUND,
    Result.NO_SUCH_CALL: Reason.NOT_FOUND,
    Result.NOT_PERMITTED: Reason.FORBIDDEN,
    Result.NOT_ALLOWED: Reason.FORBIDDEN,
    Result.NOT_RECORDABLE: Reason.FORBIDDEN,
    Result.HERSELF: Reason.FORBIDDEN,
    Result.DO_NOT_CALL: Reason.FORBIDDEN,
    Result.TOO_MANY_OUT: Reason.TOO_MANY,
    Result.TOO_MANY: Reason.UNAVAILABLE,
}


def refusal(result: Result, sentence: str) -> dict[str, Any]:
    """The answer to a command that was not obeyed: why in words, and in one for programs."""
    return {"ok": False, "error": sentence, "reason": REASONS.get(result, Reason.CONFLICT).value}
