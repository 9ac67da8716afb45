"""CommandDesk: what agents and supervisors ask for, whatever way it came: done once, answered in words."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, assert_never

from callcenter.acd.agents import AgentView, needs_disposition
from callcenter.acd.events import IntentChosen, RosterChanged, WrapUpAsked, WrapUpDone, WrapUpExtended
from callcenter.acd.requirements import requirements
from callcenter.acd.settings import MAX_DISPOSITION, Dispositions, Plan
from callcenter.calls.breaks import BreakRules
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.recorded_talk import Obeyed, RecordAction
from callcenter.calls.settings import ConsultDo, Supervisor
from callcenter.control.protocol import Reason
from callcenter.media.plane import MOST_KEYS, checked_keys
from callcenter.model.facts import AgentCommanded, BreakRefused, CallCommanded
from callcenter.model.states import Intent, SupervisionMode, Work, WrapUpMode

if TYPE_CHECKING:
    from callcenter.calls.paperwork import Paperwork

MAX_ID = 64
# Answers that are kept for who asks again. A program asks again within seconds; a floor of a thousand makes this many
# commands in a quarter of an hour, some 2 MB.
REMEMBERED = 5_000

STATE, WRAP_UP_DONE, WRAP_UP_EXTEND = "state", "wrap_up_done", "wrap_up_extend"
DISPOSITIONS, ROSTER, SUPERVISE = "dispositions", "roster", "supervise"
LEAVE = "leave"
HOLD, RESUME, TRANSFER, HANG_UP, DIAL, ANSWER = "hold", "resume", "transfer", "hang_up", "dial", "answer"
MOVE, PRIORITY, TAKE = "move", "priority", "take"
# Points of priority that a supervisor may give; a queue's own are from 0 up, callers for one agent alone have 100.
HIGHEST_PRIORITY = 1_000
# A number, with the keys to be pressed behind it, or a name.
MAX_TARGET = 128
# Why a supervisor wants it, in words that the agent is shown.
MAX_WHY = 200
SEND_DIGITS, ENTRY_START, ENTRY_CANCEL = "send_digits", "entry_start", "entry_cancel"
CALLBACK_ACCEPT, CALLBACK_DECLINE = "callback_accept", "callback_decline"
# Skills have levels up to this; 0 says that an agent has one no more.
HIGHEST_LEVEL = 5
MOST_SKILLS = 200

# The fields that a command may have beside `id`, `do` and `agent`.
FIELDS: Mapping[str, tuple[str, ...]] = {
    STATE: ("chosen", "reason", "why"),
    WRAP_UP_DONE: ("disposition",),
    WRAP_UP_EXTEND: (),
    DISPOSITIONS: (),
    ROSTER: ("skills", "clients", "queues", "reset"),
    **{str(action): () for action in RecordAction},
    SUPERVISE: ("mode", "call"),
    SEND_DIGITS: ("digits",),
    ENTRY_START: ("entry",),
    ENTRY_CANCEL: (),
    ConsultDo.ASK: ("to",),
    **{do: () for do in ConsultDo if do is not ConsultDo.ASK},
    HOLD: ("call",),
    RESUME: ("call",),
    TRANSFER: ("to", "call"),
    HANG_UP: ("call",),
    DIAL: ("to",),
    ANSWER: (),
    MOVE: ("call", "queue"),
    PRIORITY: ("call", "priority"),
    TAKE: ("call",),
}
# What nobody may say of himself.
SUPERVISORS_ALONE = frozenset({ROSTER, SUPERVISE, MOVE, PRIORITY, TAKE})
# What is said of a caller who waits, whoever the agents are.
OF_A_CALLER = frozenset({MOVE, PRIORITY, TAKE})


@dataclass(frozen=True, slots=True)
class Choose:
    """Be ready, not ready for a reason, or signed out, from the end of the present work on."""

    intent: Intent
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.intent} {self.reason}".strip()


@dataclass(frozen=True, slots=True)
class FinishWrapUp:
    """Be through with the call."""

    disposition: str = ""

    def __str__(self) -> str:
        return f"{WRAP_UP_DONE} {self.disposition}".strip()


@dataclass(frozen=True, slots=True)
class ExtendWrapUp:
    """Have more time, once; in an optional wrap-up: have some."""

    def __str__(self) -> str:
        return WRAP_UP_EXTEND


@dataclass(frozen=True, slots=True)
class ChangeRoster:
    """Be somebody else to the routing. What is None stays as it is, unless all is ``reset`` to what is configured.

    Of ``skills`` those alone are changed that are named; level 0 takes one away.
    """

    skills: Mapping[str, int] | None = None
    clients: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    reset: bool = False

    def __str__(self) -> str:
        words = [ROSTER, *(f"{skill}={level}" for skill, level in (self.skills or {}).items())]
        words += [f"clients {','.join(sorted(self.clients))}"] if self.clients is not None else []
        words += [f"queues {','.join(sorted(self.queues)) or 'none'}"] if self.queues is not None else []
        return " ".join([*words, "reset"] if self.reset else words)


@dataclass(frozen=True, slots=True)
class AskDispositions:
    """Hear what the present call may come to."""

    def __str__(self) -> str:
        return DISPOSITIONS


@dataclass(frozen=True, slots=True)
class Record:
    """Have the present talk recorded, or not, or not for a while."""

    action: RecordAction

    def __str__(self) -> str:
        return str(self.action)


@dataclass(frozen=True, slots=True)
class Supervise:
    """Let the supervisor hear the agent's talks, in this way, by a phone of her own; None: no more."""

    mode: SupervisionMode | None

    def __str__(self) -> str:
        return f"{SUPERVISE} {self.mode or LEAVE}"


@dataclass(frozen=True, slots=True)
class Consult:
    """In the talk that goes on: ask ``to`` (a colleague, a queue, a number), or go on with whom the agent has asked."""

    do: ConsultDo
    to: str = ""

    def __str__(self) -> str:
        return f"{self.do} {self.to}".strip()


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys towards whom the agent talks to."""

    digits: str

    def __str__(self) -> str:
        return f"{SEND_DIGITS}, {len(self.digits)} keys"  # they may be a secret


@dataclass(frozen=True, slots=True)
class StartEntry:
    """Have the customer enter something while they talk: go through this flow."""

    flow: str

    def __str__(self) -> str:
        return f"{ENTRY_START} {self.flow}"


@dataclass(frozen=True, slots=True)
class CancelEntry:
    """Ask for it no more."""

    def __str__(self) -> str:
        return ENTRY_CANCEL


@dataclass(frozen=True, slots=True)
class AnswerPreview:
    """Call the customer who is shown, or leave them to another agent. Programs say it as every command about callbacks
    is said, with a reason.
    """

    accepts: bool

    def __str__(self) -> str:
        return CALLBACK_ACCEPT if self.accepts else CALLBACK_DECLINE


InTalk: TypeAlias = SendDigits | StartEntry | CancelEntry
"""What is ordered in a talk, and done by it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Let the other side wait, with music. Of several talks it is that of ``call``; without, the one that goes on."""

    call: str = ""

    def __str__(self) -> str:
        return HOLD


@dataclass(frozen=True, slots=True)
class Resume:
    """Take them back."""

    call: str = ""

    def __str__(self) -> str:
        return RESUME


@dataclass(frozen=True, slots=True)
class Transfer:
    """Put the caller through to ``to`` (a colleague, a queue, a number) without a word before."""

    to: str
    call: str = ""

    def __str__(self) -> str:
        return TRANSFER  # a number is somebody's; what came of it is told with the call


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the talk, or the call that is being dialled."""

    call: str = ""

    def __str__(self) -> str:
        return HANG_UP


Steer: TypeAlias = Hold | Resume | Transfer | HangUp
"""What is ordered of a talk, in the place of the phone's keys."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Have the agent's own phone rung, and then ``to`` dialled, as if he had dialled it."""

    to: str

    def __str__(self) -> str:
        return DIAL


@dataclass(frozen=True, slots=True)
class Answer:
    """Have the phone that rings taken off, where it can be told to."""

    def __str__(self) -> str:
        return ANSWER


@dataclass(frozen=True, slots=True)
class Move:
    """Let a waiting caller wait in another queue of the company, as long as they have waited already."""

    queue: str

    def __str__(self) -> str:
        return f"{MOVE} to {self.queue}"


@dataclass(frozen=True, slots=True)
class Prioritise:
    """Let a waiting caller have another priority."""

    priority: int

    def __str__(self) -> str:
        return f"{PRIORITY} {self.priority}"


@dataclass(frozen=True, slots=True)
class Take:
    """Offer a waiting caller to this agent now; who does not take them leaves them where they were."""

    agent: str

    def __str__(self) -> str:
        return f"{TAKE} by {self.agent}"


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up on a caller."""

    def __str__(self) -> str:
        return HANG_UP


OfCaller: TypeAlias = Move | Prioritise | Take | EndCall
"""What a supervisor orders of a caller, in a queue or elsewhere."""

Order: TypeAlias = (
    Choose
    | FinishWrapUp
    | ExtendWrapUp
    | ChangeRoster
    | AskDispositions
    | Record
    | Supervise
    | Consult
    | InTalk
    | AnswerPreview
    | Steer
    | Dial
    | Answer
)


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
    Result.PHONE_CANNOT: "that phone cannot be told to answer: pick it up, or have it under `auto_answer`",
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
# What came of a command about a recording.
RECORDED: Mapping[Obeyed, Result] = {
    Obeyed.DONE: Result.DONE,
    Obeyed.LATER: Result.PENDING,
    Obeyed.NO_TALK: Result.NOT_TALKING,
    Obeyed.NOT_RECORDED: Result.NOT_RECORDED,
    Obeyed.FORBIDDEN: Result.NOT_RECORDABLE,
    Obeyed.MUST_GO_ON: Result.MUST_RECORD,
    Obeyed.NO_ROOM: Result.NO_ROOM,
}


class FloorControl(Protocol):
    """Who does what is ordered of calls. Nothing here ever waits."""

    def steer(self, agent: str, order: Steer) -> Result:
        """Do what is ordered of the talk that an agent has."""
        ...

    def dial(self, agent: str, order: Dial) -> Result:
        """Ring the agent's own phone, and dial."""
        ...

    def dialled(self, agent: str) -> str:
        """The id of the call that was dialled for the agent last."""
        ...

    def answer(self, agent: str) -> Result:
        """Have the agent's phone taken off that rings."""
        ...

    def client_of(self, call: str) -> str:
        """The company of a call that is up; empty when there is none."""
        ...

    def agent_in(self, call: str) -> str:
        """The agent who talks in a call; empty when there is none."""
        ...

    def move(self, call: str, queue: str) -> Result:
        """Let a waiting caller wait elsewhere."""
        ...

    def prioritise(self, call: str, priority: int, by: str) -> Result:
        """Let a waiting caller have another priority."""
        ...

    def take(self, call: str, agent: str) -> Result:
        """Offer a waiting caller to an agent."""
        ...

    def end_call(self, call: str, by: str) -> Result:
        """Hang up on a caller."""
        ...


class BadCommand(Exception):
    """A command that cannot be understood; one sentence that says what to write instead."""


class CommandDesk:
    """Takes commands and gives answers, at once. Whoever asks again with the same id gets the same answer."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        reasons: Callable[[], Mapping[str, str]],
        breaks: BreakRules | None = None,
        record: Callable[[str, RecordAction, str], Obeyed] | None = None,
    ) -> None:
        """``reasons`` for being not ready that are configured now: the slug, and what it means in words. ``breaks``:
        their limits. ``record`` does what is commanded (by whom) with the recording of an agent's talk.
        """
        self._dispatcher = dispatcher
        self._reasons = reasons
        self._breaks = breaks
        self._record = record
        self.supervise: Callable[[Supervisor, str, SupervisionMode | None], Result] | None = None
        """Who lets supervisors hear agents."""
        self.consult: Callable[[str, Consult], Result] | None = None
        """Who lets agents ask others while a caller waits."""
        self.in_talk: Callable[[str, InTalk, str], Result] | None = None
        """Who does what agents order in their talks."""
        self.preview: Callable[[str, bool], bool] | None = None
        """Who asks agents whether to call a customer back."""
        self.paperwork: Paperwork | None = None
        """Who knows what a wrap-up has to have beside its disposition."""
        self.floor: FloorControl | None = None
        """Who does what is ordered of calls."""
        self._answered: OrderedDict[tuple[str, str, str], dict[str, Any]] = OrderedDict()

    def take(
        self,
        command: Mapping[str, Any],
        *,
        by: str,
        agent: str | None = None,
        supervisor: Supervisor | None = None,
    ) -> dict[str, Any]:
        """Obey a command and answer it. Never waits, and never raises on a peer's mistake.

        ``by`` says in words who commands, for the cause of what changes. ``agent`` is who it is for, where the way it
        came by says so: the agent's own program. Without, ``supervisor`` commands for the command's own ``agent``.
        """
        name = command.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
            sentence = f"`id` is missing or no text of 1 to {MAX_ID} characters: write a new one for each command"
            return {"id": None, **refusal(Result.NOT_UNDERSTOOD, sentence)}
        key = (by, agent or "", name)
        answer = self._answered.get(key)
        if answer is None and self._dispatcher.closed:
            return {"id": name, **refusal(Result.TOO_MANY, "the switch is going down: send it again when it is back")}
        if answer is None:
            answer = self._answered[key] = {"id": name, **self._obey(command, by, agent, supervisor)}
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        return dict(answer)

    def obey(self, agent: str, order: Order, *, by: str, supervisor: Supervisor | None = None) -> Result:
        """Do what an agent, or a supervisor for them, orders; what came of it. Never waits.

        What a supervisor orders is told as a fact, whatever came of it; no limit of those who may be out binds her.
        """
        # What was told before comes before: the answer must be true now.
        self._dispatcher.decide()
        result = self._carry_out(agent, order, by, supervisor)
        if supervisor is not None and not isinstance(order, AskDispositions):
            self._dispatcher.note(AgentCommanded(agent, str(order), by, str(result)))
        self._dispatcher.decide()
        after = self._dispatcher.acd.agent(agent)
        if isinstance(order, Choose) and result is Result.DONE and after is not None and after.pending:
            return Result.PENDING
        return result

    def _carry_out(self, agent: str, order: Order, by: str, supervisor: Supervisor | None) -> Result:
        acd = self._dispatcher.acd
        view = acd.agent(agent)
        if view is None or agent not in acd.plan.agents:
            return Result.NO_SUCH_AGENT
        if isinstance(order, Supervise):
            # Which of the agent's calls are hers to hear is asked of each.
            if supervisor is None or self.supervise is None:
                return Result.NOT_PERMITTED
            return self.supervise(supervisor, agent, order.mode)
        if supervisor is not None and not self._may_command(supervisor, agent, order):
            return Result.NOT_PERMITTED
        result = Result.DONE
        match order:
            case Choose():
                result = self._choose(view, order, by, supervisor)
            case FinishWrapUp(disposition=disposition):
                result = self._finishes(view, disposition, acd.plan)
                if result.good:
                    self._owe(view, disposition)
                    self._dispatcher.tell(WrapUpDone(agent, disposition, by))
            case ExtendWrapUp():
                result = _extends(view, acd.plan)
                if result.good:
                    asks = view.wrap_up is WrapUpMode.OPTIONAL
                    self._dispatcher.tell(WrapUpAsked(agent, by) if asks else WrapUpExtended(agent, by))
            case ChangeRoster():
                self._dispatcher.tell(self._changed(agent, order, by))
            case Consult():
                result = self.consult(agent, order) if self.consult is not None else Result.NOT_TALKING
            case AnswerPreview(accepts=accepts):
                asked = self.preview is not None and self.preview(agent, accepts)
                result = Result.DONE if asked else Result.NOT_SHOWN
            case SendDigits() | StartEntry() | CancelEntry():
                result = self.in_talk(agent, order, by) if self.in_talk is not None else Result.NOT_TALKING
            case Hold() | Resume() | Transfer() | HangUp():
                result = self.floor.steer(agent, order) if self.floor is not None else Result.NOT_TALKING
            case Dial():
                result = self.floor.dial(agent, order) if self.floor is not None else Result.NO_PHONE
            case Answer():
                result = self.floor.answer(agent) if self.floor is not None else Result.NOT_RINGING
            case AskDispositions():
                pass
            case Record(action=action):
                result = RECORDED[self._record(agent, action, by)] if self._record is not None else Result.NOT_TALKING
            case _:
                assert_never(order)
        return result

    def command_caller(self, call: str, order: OfCaller, *, by: str, supervisor: Supervisor) -> Result:
        """Do what a supervisor orders of a caller; what came of it. Never waits.

        It is told as a fact of the call, whatever came of it; of a call that is none of hers nothing is.
        """
        self._dispatcher.decide()
        client = self.floor.client_of(call) if self.floor is not None else ""
        if self.floor is None or not client or not (supervisor.clients is None or client in supervisor.clients):
            return Result.NO_SUCH_CALL
        result = self._command_caller(self.floor, call, order, by, supervisor)
        self._dispatcher.note(CallCommanded(str(order), by, str(result), client), call)
        self._dispatcher.decide()
        return result

    def _command_caller(
        self, floor: FloorControl, call: str, order: OfCaller, by: str, supervisor: Supervisor
    ) -> Result:
        match order:
            case Move(queue=queue):
                return floor.move(call, queue)
            case Prioritise(priority=priority):
                return floor.prioritise(call, priority, by)
            case Take(agent=agent):
                if agent not in self._dispatcher.acd.plan.agents:
                    return Result.NO_SUCH_AGENT
                return floor.take(call, agent)
            case EndCall():
                return floor.end_call(call, by)

    def _choose(self, view: AgentView, order: Choose, by: str, supervisor: Supervisor | None) -> Result:
        lasts = None
        if order.intent is Intent.NOT_READY and self._breaks is not None:
            crowd = self._breaks.crowd(view.id, order.reason)
            goes_already = (Intent.NOT_READY, order.reason) in (
                (view.intent, view.reason),
                (view.next, view.next_reason),
            )
            if crowd is not None and supervisor is None and not goes_already:
                self._dispatcher.note(BreakRefused(view.id, order.reason, *crowd, by=by))
                return Result.TOO_MANY_OUT
            lasts = self._breaks.lasts(view.id, order.reason)
        self._dispatcher.tell(IntentChosen(view.id, order.intent, order.reason, by, lasts))
        return Result.DONE

    def _may_command(self, supervisor: Supervisor, agent: str, order: Order) -> bool:
        """Whether all clients are the supervisor's whom the agent serves, and would serve."""
        if supervisor.clients is None:
            return True
        acd = self._dispatcher.acd
        serves = acd.plan.agents[agent].clients | acd.who(agent).clients
        if isinstance(order, ChangeRoster) and order.clients is not None:
            serves |= order.clients
        return serves <= supervisor.clients

    def _changed(self, agent: str, order: ChangeRoster, by: str) -> RosterChanged:
        """The whole change there is then, of which the order is the latest part."""
        acd = self._dispatcher.acd
        before = None if order.reset else acd.change(agent)
        skills = dict(before.skills) if before is not None and "skills" in before.changed else None
        if order.skills is not None:
            base = acd.plan.agents[agent].skills if skills is None else skills
            skills = {skill: level for skill, level in {**base, **order.skills}.items() if level}
        clients, queues = order.clients, order.queues
        if before is not None and clients is None and "clients" in before.changed:
            clients = frozenset(before.clients)
        if before is not None and queues is None and "queues" in before.changed:
            queues = frozenset(before.queues)
        return RosterChanged(agent, skills, clients, queues, by)

    def _obey(
        self, command: Mapping[str, Any], by: str, agent: str | None, supervisor: Supervisor | None
    ) -> dict[str, Any]:
        if supervisor is not None and names_a_caller(command):
            return self._obey_of_caller(command, by, supervisor)
        try:
            order = read_order(command, self._reasons(), self._plan_of(supervisor), own=supervisor is None)
            if supervisor is not None and (why := _text(command, "why", MAX_WHY, wanted="why, in words", default="")):
                by = f"{by}: {why}"
            if agent is None and supervisor is not None and isinstance(order, Supervise) and "agent" not in command:
                agent = self._talks_in(_text(command, "call", MAX_ID, wanted="the id of a call"), supervisor)
                if not agent:
                    return refusal(Result.NO_SUCH_CALL, SENTENCES[Result.NO_SUCH_CALL])
            whom = agent if agent is not None else _text(command, "agent", MAX_ID, wanted="the name of an agent")
        except BadCommand as error:
            return refusal(Result.NOT_UNDERSTOOD, str(error))
        result = self.obey(whom, order, by=by, supervisor=supervisor)
        if result is Result.PENDING:
            return {"ok": True, "pending": True}
        if result is Result.NOT_PERMITTED and whom not in self._plan_of(supervisor).agents:
            result = Result.NO_SUCH_AGENT  # what is another company's alone is as none
        if not result.good:
            return refusal(result, self._sentence(result, whom, order, supervisor))
        if isinstance(order, AskDispositions):
            known = self._dispositions(whom)
            return {"ok": True, "required": known.required, "codes": dict(known.codes), **self._asked_for(whom)}
        if isinstance(order, Dial) and self.floor is not None:
            return {"ok": True, "call": self.floor.dialled(whom)}
        return {"ok": True}

    def _talks_in(self, call: str, supervisor: Supervisor) -> str:
        """The agent who talks in a call of hers; empty when there is none."""
        client = self.floor.client_of(call) if self.floor is not None else ""
        hers = client and (supervisor.clients is None or client in supervisor.clients)
        return self.floor.agent_in(call) if self.floor is not None and hers else ""

    def _obey_of_caller(self, command: Mapping[str, Any], by: str, supervisor: Supervisor) -> dict[str, Any]:
        try:
            call, order = read_of_caller(command)
        except BadCommand as error:
            return refusal(Result.NOT_UNDERSTOOD, str(error))
        result = self.command_caller(call, order, by=by, supervisor=supervisor)
        if result is Result.PENDING:
            return {"ok": True, "pending": True}
        hers = self._plan_of(supervisor).agents
        if result is Result.NOT_ALLOWED and isinstance(order, Take) and order.agent not in hers:
            result = Result.NO_SUCH_AGENT
        if result is Result.NO_SUCH_AGENT and isinstance(order, Take):
            return refusal(result, f"no agent is named `{order.agent}`{near(order.agent, hers)}")
        return {"ok": True} if result.good else refusal(result, SENTENCES[result])

    def _plan_of(self, supervisor: Supervisor | None) -> Plan:
        """What somebody is told that there is: to who has some companies alone, nothing that is only another's."""
        acd = self._dispatcher.acd
        if supervisor is None or supervisor.clients is None:
            return acd.plan
        hers = supervisor.clients
        agents = {
            name: agent
            for name, agent in acd.plan.agents.items()
            if name == supervisor.agent or not hers.isdisjoint(agent.clients | acd.who(name).clients)
        }
        queues = {name: queue for name, queue in acd.plan.queues.items() if queue.client in hers}
        return replace(acd.plan, agents=agents, queues=queues)

    def _sentence(self, result: Result, agent: str, order: Order, supervisor: Supervisor | None) -> str:
        match result, order:
            case Result.NO_SUCH_AGENT, _:
                return f"no agent is named `{agent}`{near(agent, self._plan_of(supervisor).agents)}"
            case Result.UNKNOWN_DISPOSITION | Result.NEEDS_DISPOSITION, FinishWrapUp(disposition=given):
                codes = self._dispositions(agent).codes
                sentence = f"no disposition is named `{given}`{near(given, codes)}" if given else SENTENCES[result]
                return f"{sentence}; the dispositions are {', '.join(codes)}" if codes else sentence
            case Result.NEEDS_FIELDS, _ if self.paperwork is not None:
                return f"{SENTENCES[result]}; missing: {', '.join(f.name for f in self.paperwork.missing(agent))}"
            case Result.TOO_MANY_OUT, Choose(reason=reason) if self._breaks is not None:
                crowd = self._breaks.crowd(agent, reason)
                out = f"{crowd[0]} of {crowd[1]} are out for `{reason}` already" if crowd else "too many were out"
                return f"{out}: ask again when one of them is back"
            case _:
                return SENTENCES[result]

    def _finishes(self, view: AgentView, disposition: str, plan: Plan) -> Result:
        result = _finishes(view, disposition, plan)
        if not result.good or self.paperwork is None:
            return result
        queue = plan.queue(plan.renamed.get(view.queue, view.queue))
        chosen = plan.dispositions_of(view.queue).find(disposition or view.disposition) or ""
        demand = self.paperwork.demand(queue.client, chosen) if queue is not None and chosen else None
        if demand is not None and demand.required and demand.due is None and chosen != view.disposition:
            return Result.NEEDS_FOLLOW_UP
        # Who asked for no time owes nothing.
        owes = view.wrap_up is not WrapUpMode.OPTIONAL and self.paperwork.missing(view.id)
        return Result.NEEDS_FIELDS if owes else result

    def _owe(self, view: AgentView, disposition: str) -> None:
        plan = self._dispatcher.acd.plan
        queue = plan.queue(plan.renamed.get(view.queue, view.queue))
        chosen = plan.dispositions_of(view.queue).find(disposition) if disposition else None
        if self.paperwork is not None and queue is not None and chosen:
            self.paperwork.owe(view, queue.client, chosen)

    def _asked_for(self, agent: str) -> dict[str, Any]:
        """What the wrap-up of the agent's present talk asks for beside a disposition."""
        view, plan = self._dispatcher.acd.agent(agent), self._dispatcher.acd.plan
        queue = plan.queue(plan.renamed.get(view.queue, view.queue)) if view is not None else None
        if view is None or queue is None or self.paperwork is None:
            return {}
        return {
            "chosen": view.disposition or None,
            "fields": [each.plain() for each in self.paperwork.fields_of(queue.client, queue.id).values()],
            "missing": [each.name for each in self.paperwork.missing(agent)],
        }

    def _dispositions(self, agent: str) -> Dispositions:
        view = self._dispatcher.acd.agent(agent)
        return self._dispatcher.acd.plan.dispositions_of(view.queue if view is not None else "")


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
            return FinishWrapUp(_text(command, "disposition", MAX_DISPOSITION, wanted="a word or two", default=""))
        case "roster":
            return read_roster(command, plan or Plan({}, {}))
        case "dispositions":
            return AskDispositions()
        case "record_start" | "record_stop" | "record_pause" | "record_resume":
            return Record(RecordAction(do))
        case "supervise":
            return read_supervision(command)
        case "send_digits":
            return read_digits(command)
        case "entry_start":
            return StartEntry(_text(command, "entry", MAX_ID, wanted="the name of a flow"))
        case "entry_cancel":
            return CancelEntry()
        case "hold":
            return Hold(_call(command))
        case "resume":
            return Resume(_call(command))
        case "hang_up":
            return HangUp(_call(command))
        case "transfer":
            return Transfer(_text(command, "to", MAX_TARGET, wanted="to whom: a name or a number"), _call(command))
        case "dial":
            return Dial(_text(command, "to", MAX_TARGET, wanted="whom to dial: a name or a number"))
        case "answer":
            return Answer()
        case ConsultDo.ASK:
            return Consult(ConsultDo.ASK, _text(command, "to", MAX_ID, wanted="whom to ask: a name or a number"))
        case ConsultDo.SWAP | ConsultDo.JOIN | ConsultDo.DROP | ConsultDo.TRANSFER:
            return Consult(ConsultDo(do))
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
    call = _text(command, "call", MAX_ID, wanted="the id of a call")
    match do:
        case "move":
            return call, Move(_text(command, "queue", MAX_ID, wanted="the name of a queue"))
        case "priority":
            return call, Prioritise(_priority(command.get("priority")))
        case "take":
            return call, Take(_text(command, "agent", MAX_ID, wanted="the name of an agent"))
        case _:
            return call, EndCall()


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_PRIORITY:
        raise BadCommand(f"`priority` is {_shown(value)}: write a number from 0 to {HIGHEST_PRIORITY}")
    return value


def _call(command: Mapping[str, Any]) -> str:
    return _text(command, "call", MAX_ID, wanted="the id of a call", default="")


def refusal(result: Result, sentence: str) -> dict[str, Any]:
    """The answer to a command that was not obeyed: why in words, and in one for programs."""
    return {"ok": False, "error": sentence, "reason": REASONS.get(result, Reason.CONFLICT).value}


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
        what = f"no reason is named `{reason}`{near(reason, reasons)}" if reason else "`reason` is missing"
        raise BadCommand(f"{what}; {there}")
    return Choose(intent, reason)


def read_digits(command: Mapping[str, Any]) -> SendDigits:
    """Keys that are to be pressed. Raises BadCommand."""
    digits = _text(command, "digits", MOST_KEYS, wanted="the keys to press")
    try:
        return SendDigits(checked_keys(digits))
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


def _finishes(view: AgentView, disposition: str, plan: Plan) -> Result:
    if view.work is not Work.WRAP_UP:
        return Result.NOTHING_TO_WRAP_UP
    known = plan.dispositions_of(view.queue)
    if disposition:
        return Result.DONE if known.find(disposition) is not None else Result.UNKNOWN_DISPOSITION
    owed = needs_disposition(view.wrap_up, known) and not view.disposition
    return Result.NEEDS_DISPOSITION if owed else Result.DONE


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


def near(word: str, known: Iterable[str]) -> str:
    """For the end of a refusal: which of the known words was meant, if one is like it."""
    found = difflib.get_close_matches(str(word)[:MAX_ID], list(known), n=1)
    return f" (did you mean `{found[0]}`?)" if found else ""
