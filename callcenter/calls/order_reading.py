"""How orders are read: a command came as plain values, and every field of it is met with suspicion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from callcenter.acd.requirements import requirements
from callcenter.acd.settings import MAX_DISPOSITION, Plan
from callcenter.calls.orders import (
    FIELDS,
    HANG_UP,
    LEAVE,
    OF_A_CALLER,
    SUPERVISORS_ALONE,
    TAKE,
    Answer,
    AskDispositions,
    CancelEntry,
    ChangeRoster,
    Choose,
    Consult,
    Dial,
    EndCall,
    ExtendWrapUp,
    FinishWrapUp,
    HangUp,
    Hold,
    Move,
    OfCaller,
    Order,
    Prioritise,
    Record,
    Resume,
    SendDigits,
    StartEntry,
    Supervise,
    Take,
    Transfer,
)
from callcenter.calls.recorded_talk import RecordAction
from callcenter.calls.settings import ConsultDo
from callcenter.media.plane import MOST_KEYS, checked_keys
from callcenter.model.states import Intent, SupervisionMode

MAX_ID = 64
# Points of priority that a supervisor may give; a queue's own are from 0 up, callers for one agent alone have 100.
HIGHEST_PRIORITY = 1_000
# A number, with the keys to be pressed behind it, or a name.
MAX_TARGET = 128
# Why a supervisor wants it, in words that the agent is shown.
MAX_WHY = 200
# Skills have levels up to this; 0 says that an agent has one no more.
HIGHEST_LEVEL = 5
MOST_SKILLS = 200


class BadCommand(Exception):
    """A command that cannot be understood; one sentence that says what to write instead."""


def read_order(
    command: Mapping[str, Any], reasons: Mapping[str, str], plan: Plan | None = None, *, own: bool = True
) -> Order:
    """What a command says; ``own``: of an agent for himself. Raises BadCommand."""
    do = command.get("do")
    there = [name for name in FIELDS if not (own and name in SUPERVISORS_ALONE)]
    if not isinstance(do, str) or do not in there:
        raise BadCommand(f"`do` is {_shown(do)}: write one of {', '.join(there)}")
    known = ("id", "do", "agent", *FIELDS[do])
    for name in command:
        if name not in known:
            raise BadCommand(f"`{_cut(name)}` is no field of `{do}`{near(name, known)}; it has {', '.join(known)}")
    match do:
        case "state":
            return read_choice(command, reasons)
        case "wrap_up_done":
            return FinishWrapUp(text_of(command, "disposition", MAX_DISPOSITION, wanted="a word or two", default=""))
        case "roster":
            return read_roster(command, plan or Plan({}, {}))
        case "dispositions":
            return AskDispositions()
        case "record_start" | "record_stop" | "record_pause" | "record_resume":
            return Record(RecordAction(do), _call(command))
        case "supervise":
            return read_supervision(command)
        case "send_digits":
            return read_digits(command)
        case "entry_start":
            return StartEntry(text_of(command, "entry", MAX_ID, wanted="the name of a flow"), _call(command))
        case "entry_cancel":
            return CancelEntry(_call(command))
        case "hold":
            return Hold(_call(command))
        case "resume":
            return Resume(_call(command))
        case "hang_up":
            return HangUp(_call(command))
        case "transfer":
            return Transfer(text_of(command, "to", MAX_TARGET, wanted="to whom: a name or a number"), _call(command))
        case "dial":
            return Dial(text_of(command, "to", MAX_TARGET, wanted="whom to dial: a name or a number"))
        case "answer":
            return Answer(_call(command))
        case ConsultDo.ASK:
            return Consult(
                ConsultDo.ASK, text_of(command, "to", MAX_ID, wanted="whom to ask: a name or a number"), _call(command)
            )
        case ConsultDo.SWAP | ConsultDo.JOIN | ConsultDo.DROP | ConsultDo.TRANSFER:
            return Consult(ConsultDo(do), call=_call(command))
        case _:
            return ExtendWrapUp()


def is_for_the_desk(command: Mapping[str, Any]) -> bool:
    """Whether a command is one of those that are obeyed here, and at once; or none that could be understood."""
    do = command.get("do")
    return not isinstance(do, str) or do in FIELDS


def names_a_caller(command: Mapping[str, Any]) -> bool:
    """Whether a supervisor's command is of a caller, and not of an agent."""
    do = command.get("do")
    return isinstance(do, str) and (
        do in OF_A_CALLER or (do == HANG_UP and "agent" not in command and "call" in command)
    )


def read_of_caller(command: Mapping[str, Any]) -> tuple[str, OfCaller]:
    """Which call a supervisor's command is about, and what it says of the caller. Raises BadCommand."""
    do = str(command.get("do"))
    known = ("id", "do", *(("agent",) if do == TAKE else ()), *FIELDS[do])
    for name in command:
        if name not in known:
            raise BadCommand(f"`{_cut(name)}` is no field of `{do}`{near(name, known)}; it has {', '.join(known)}")
    call = text_of(command, "call", MAX_ID, wanted="the id of a call")
    match do:
        case "move":
            return call, Move(text_of(command, "queue", MAX_ID, wanted="the name of a queue"))
        case "priority":
            return call, Prioritise(_priority(command.get("priority")))
        case "take":
            return call, Take(text_of(command, "agent", MAX_ID, wanted="the name of an agent"))
        case _:
            return call, EndCall()


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_PRIORITY:
        raise BadCommand(f"`priority` is {_shown(value)}: write a number from 0 to {HIGHEST_PRIORITY}")
    return value


def _call(command: Mapping[str, Any]) -> str:
    return text_of(command, "call", MAX_ID, wanted="the id of a call", default="")


def read_choice(command: Mapping[str, Any], reasons: Mapping[str, str]) -> Choose:
    """What somebody chooses to be. Raises BadCommand."""
    chosen = command.get("chosen")
    if not isinstance(chosen, str) or chosen not in list(Intent):
        raise BadCommand(f"`chosen` is {_shown(chosen)}: write one of {', '.join(Intent)}")
    intent = Intent(chosen)
    reason = text_of(command, "reason", MAX_ID, wanted="a reason for being not ready", default="")
    if intent is not Intent.NOT_READY:
        if reason:
            raise BadCommand(f"`reason` goes with not_ready alone: leave it out, with {intent}")
        return Choose(intent)
    if reason not in reasons and (reason or reasons):
        there = f"the reasons are {', '.join(reasons)}" if reasons else "no reasons are configured: leave it out"
        what = f"no reason is named `{reason}`{near(reason, reasons)}" if reason else "`reason` is missing"
        raise BadCommand(f"{what}; {there}")
    return Choose(intent, reason)


def read_digits(command: Mapping[str, Any]) -> SendDigits:
    """Keys that are to be pressed. Raises BadCommand."""
    digits = text_of(command, "digits", MOST_KEYS, wanted="the keys to press")
    try:
        return SendDigits(checked_keys(digits), _call(command))
    except ValueError as error:
        raise BadCommand(f"`digits`: {error}") from error


def read_supervision(command: Mapping[str, Any]) -> Supervise:
    """How a supervisor wants to hear an agent. Raises BadCommand."""
    mode = command.get("mode")
    if mode == LEAVE:
        return Supervise(None)
    if not isinstance(mode, str) or mode not in list(SupervisionMode):
        raise BadCommand(f"`mode` is {_shown(mode)}: write one of {', '.join(SupervisionMode)}, or {LEAVE}")
    return Supervise(SupervisionMode(mode))


def read_roster(command: Mapping[str, Any], plan: Plan) -> ChangeRoster:
    """What an agent is to be to the routing; names of skills, clients and queues must be some of the plan's. Raises
    BadCommand.
    """
    reset = command.get("reset", False)
    if not isinstance(reset, bool):
        raise BadCommand("`reset` is true or false")
    skills = _skills(command.get("skills"), plan)
    clients = _names(command.get("clients"), "clients", {queue.client for queue in plan.queues.values()}, some=True)
    queues = _names(command.get("queues"), "queues", plan.queues, some=False)
    if not reset and skills is None and clients is None and queues is None:
        raise BadCommand("nothing is changed: write `skills`, `clients` or `queues`, or `reset`: true")
    return ChangeRoster(skills, clients, queues, reset)


def _skills(value: Any, plan: Plan) -> Mapping[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_SKILLS:
        raise BadCommand('`skills` is no object of skills: write one such as {"english": 4}')
    known = known_skills(plan)
    for skill, level in value.items():
        if skill not in known:
            raise BadCommand(f"no skill is named `{_cut(skill)}`{near(skill, known)}")
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= HIGHEST_LEVEL:
            raise BadCommand(f"`{skill}` is {_shown(level)}: write a level from 1 to {HIGHEST_LEVEL}, or 0 for none")
    return dict(value)


def known_skills(plan: Plan) -> set[str]:
    """The skills that anybody has or any queue asks for."""
    skills = {skill for agent in plan.agents.values() for skill in agent.skills}
    return skills | {need.skill for queue in plan.queues.values() for need in requirements(queue.requirements)}


def _names(value: Any, field: str, known: Iterable[str], *, some: bool) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or (some and not value):
        raise BadCommand(f'`{field}` is no list of names: write one such as ["{next(iter(sorted(known)), "")}"]')
    there = set(known)
    for name in value:
        if not isinstance(name, str) or name not in there:
            kind = field.removesuffix("s")
            raise BadCommand(
                f"no {kind} is named `{_cut(name)}`{near(name, there)}; there are {', '.join(sorted(there))}"
            )
    return frozenset(value)


def text_of(command: Mapping[str, Any], name: str, most: int, *, wanted: str, default: str | None = None) -> str:
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


def near(word: str, known: Iterable[str]) -> str:
    """For the end of a refusal: which of the known words was meant, if one is like it."""
    found = difflib.get_close_matches(str(word)[:MAX_ID], list(known), n=1)
    return f" (did you mean `{found[0]}`?)" if found else ""
