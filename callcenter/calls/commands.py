"""CommandDesk: what agents and supervisors ask for, whatever way it came: done once, answered in words."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, assert_never

from callcenter.acd.agents import AgentView
from callcenter.acd.events import IntentChosen, WrapUpDone, WrapUpExtended
from callcenter.acd.settings import Plan
from callcenter.calls.dispatcher import Dispatcher
from callcenter.model.states import Intent, Work

MAX_ID = 64
MAX_DISPOSITION = 64
# Answers that are kept for who asks again. A program asks again within seconds; a floor of a thousand makes this many
# commands in a quarter of an hour, some 2 MB.
REMEMBERED = 5_000

STATE, WRAP_UP_DONE, WRAP_UP_EXTEND = "state", "wrap_up_done", "wrap_up_extend"

# The fields that a command may have beside `id`, `do` and `agent`.
FIELDS: Mapping[str, tuple[str, ...]] = {
    STATE: ("chosen", "reason"),
    WRAP_UP_DONE: ("disposition",),
    WRAP_UP_EXTEND: (),
}


@dataclass(frozen=True, slots=True)
class Choose:
    """Be ready, not ready for a reason, or signed out, from the end of the present work on."""

    intent: Intent
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FinishWrapUp:
    """Be through with the call."""

    disposition: str = ""


@dataclass(frozen=True, slots=True)
class ExtendWrapUp:
    """Have more time, once."""


Order: TypeAlias = Choose | FinishWrapUp | ExtendWrapUp


class Result(StrEnum):
    """What came of an order. ``PENDING``: it holds from the end of the present work on."""

    DONE = "done"
    PENDING = "pending"
    NO_SUCH_AGENT = "no such agent"
    NOTHING_TO_WRAP_UP = "nothing to wrap up"
    NEEDS_DISPOSITION = "needs a disposition"
    ENDLESS = "has no end to extend"
    NOT_EXTENDABLE = "cannot be extended"
    EXTENDED_BEFORE = "was extended before"

    @property
    def good(self) -> bool:
        """Whether it was obeyed."""
        return self in (Result.DONE, Result.PENDING)


# What is told of a result that is no good, and what to do instead.
SENTENCES: Mapping[Result, str] = {
    Result.NO_SUCH_AGENT: "no agent of that name is configured",
    Result.NOTHING_TO_WRAP_UP: "there is nothing to wrap up: the wrap-up begins when a talk has ended",
    Result.NEEDS_DISPOSITION: "this wrap-up ends only with a disposition: send it in `disposition`",
    Result.ENDLESS: "this wrap-up has no end to extend: it ends when you send a disposition",
    Result.NOT_EXTENDABLE: "this queue's wrap-up cannot be extended: finish it with `wrap_up_done`",
    Result.EXTENDED_BEFORE: "the wrap-up was extended already, and once is all: finish it with `wrap_up_done`",
}


class BadCommand(Exception):
    """A command that cannot be understood; one sentence that says what to write instead."""


class CommandDesk:
    """Takes commands and gives answers, at once. Whoever asks again with the same id gets the same answer."""

    def __init__(self, dispatcher: Dispatcher, reasons: Callable[[], Mapping[str, str]]) -> None:
        """``reasons`` for being not ready that are configured now: the slug, and what it means in words."""
        self._dispatcher = dispatcher
        self._reasons = reasons
        self._answered: OrderedDict[tuple[str, str, str], dict[str, Any]] = OrderedDict()

    def take(self, command: Mapping[str, Any], *, by: str, agent: str | None = None) -> dict[str, Any]:
        """Obey a command and answer it. Never waits, and never raises on a peer's mistake.

        ``by`` says in words who commands, for the cause of what changes. ``agent`` is who it is for, where the way it
        came by says so; else the command's own ``agent``.
        """
        name = command.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
            sentence = f"`id` is missing or no text of 1 to {MAX_ID} characters: write a new one for each command"
            return {"id": None, "ok": False, "error": sentence}
        key = (by, agent or "", name)
        answer = self._answered.get(key)
        if answer is None and self._dispatcher.closed:
            return {"id": name, "ok": False, "error": "the switch is going down: send it again when it is back"}
        if answer is None:
            answer = self._answered[key] = {"id": name, **self._obey(command, by, agent)}
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        return dict(answer)

    def obey(self, agent: str, order: Order, *, by: str) -> Result:
        """Do what an agent, or somebody for them, orders; what came of it. Never waits."""
        # What was told before comes before: the answer must be true now.
        self._dispatcher.decide()
        view = self._dispatcher.acd.agent(agent)
        if view is None or agent not in self._dispatcher.acd.plan.agents:
            return Result.NO_SUCH_AGENT
        match order:
            case Choose(intent=intent, reason=reason):
                self._dispatcher.tell(IntentChosen(agent, intent, reason, by))
                result = Result.DONE
            case FinishWrapUp(disposition=disposition):
                result = _finishes(view, disposition)
                if result.good:
                    self._dispatcher.tell(WrapUpDone(agent, disposition, by))
            case ExtendWrapUp():
                result = _extends(view, self._dispatcher.acd.plan)
                if result.good:
                    self._dispatcher.tell(WrapUpExtended(agent, by))
            case _:
                assert_never(order)
        self._dispatcher.decide()
        after = self._dispatcher.acd.agent(agent)
        if isinstance(order, Choose) and after is not None and after.pending:
            return Result.PENDING
        return result

    def _obey(self, command: Mapping[str, Any], by: str, agent: str | None) -> dict[str, Any]:
        try:
            order = read_order(command, self._reasons())
            whom = agent if agent is not None else _text(command, "agent", MAX_ID, wanted="the name of an agent")
        except BadCommand as error:
            return {"ok": False, "error": str(error)}
        result = self.obey(whom, order, by=by)
        if result is Result.PENDING:
            return {"ok": True, "pending": True}
        if result is Result.NO_SUCH_AGENT:
            sentence = f"no agent is named `{whom}`{_near(whom, self._dispatcher.acd.plan.agents)}"
            return {"ok": False, "error": sentence}
        return {"ok": True} if result.good else {"ok": False, "error": SENTENCES[result]}


def read_order(command: Mapping[str, Any], reasons: Mapping[str, str]) -> Order:
    """What a command says. Raises BadCommand."""
    do = command.get("do")
    if not isinstance(do, str) or do not in FIELDS:
        raise BadCommand(f"`do` is {_shown(do)}: write one of {', '.join(FIELDS)}")
    known = ("id", "do", "agent", *FIELDS[do])
    for name in command:
        if name not in known:
            raise BadCommand(f"`{_cut(name)}` is no field of `{do}`{_near(name, known)}; it has {', '.join(known)}")
    match do:
        case "state":
            return read_choice(command, reasons)
        case "wrap_up_done":
            return FinishWrapUp(_text(command, "disposition", MAX_DISPOSITION, wanted="a word or two", default=""))
        case _:
            return ExtendWrapUp()


def read_choice(command: Mapping[str, Any], reasons: Mapping[str, str]) -> Choose:
    """What somebody chooses to be. Raises BadCommand."""
    chosen = command.get("chosen")
    if not isinstance(chosen, str) or chosen not in list(Intent):
        raise BadCommand(f"`chosen` is {_shown(chosen)}: write one of {', '.join(Intent)}")
    intent = Intent(chosen)
    reason = _text(command, "reason", MAX_ID, wanted="a reason for being not ready", default="")
    if intent is not Intent.NOT_READY:
        if reason:
            raise BadCommand(f"`reason` goes with not_ready alone: leave it out, with {intent}")
        return Choose(intent)
    if reason not in reasons and (reason or reasons):
        there = f"the reasons are {', '.join(reasons)}" if reasons else "no reasons are configured: leave it out"
        what = f"no reason is named `{reason}`{_near(reason, reasons)}" if reason else "`reason` is missing"
        raise BadCommand(f"{what}; {there}")
    return Choose(intent, reason)


def _finishes(view: AgentView, disposition: str) -> Result:
    if view.work is not Work.WRAP_UP:
        return Result.NOTHING_TO_WRAP_UP
    mandatory = view.until is None
    return Result.DONE if disposition or not mandatory else Result.NEEDS_DISPOSITION


def _extends(view: AgentView, plan: Plan) -> Result:
    if view.work is not Work.WRAP_UP:
        return Result.NOTHING_TO_WRAP_UP
    if view.until is None:
        return Result.ENDLESS
    if view.extension:
        return Result.DONE
    queue = plan.queues.get(view.queue)
    once = queue is not None and queue.wrap_up is not None and queue.wrap_up.extend_once > 0
    return Result.EXTENDED_BEFORE if once else Result.NOT_EXTENDABLE


def _text(command: Mapping[str, Any], name: str, most: int, *, wanted: str, default: str | None = None) -> str:
    """A field that holds a short text. Raises BadCommand."""
    value = command.get(name, default)
    if value is None and name in command and default is not None:
        return default  # null says the same as nothing
    if not isinstance(value, str) or not value.isprintable():
        raise BadCommand(f"`{name}` is {_shown(value)}: write {wanted}")
    value = value.strip()
    if len(value) > most:
        raise BadCommand(f"`{name}` has {len(value)} characters: {most} at most")
    if not value and default is None:
        raise BadCommand(f"`{name}` is empty: write {wanted}")
    return value


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    return f"`{_cut(value)}`" if isinstance(value, str | int | float) else f"of the type {type(value).__name__}"


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_ID else text[: MAX_ID - 1] + "…"


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word)[:MAX_ID], list(known), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""
