"""Orders: what agents may order, and supervisors of them or of a caller, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from callcenter.calls.recorded_talk import RecordAction
from callcenter.calls.settings import ConsultDo
from callcenter.model.states import Intent, SupervisionMode

STATE, WRAP_UP_DONE, WRAP_UP_EXTEND = "state", "wrap_up_done", "wrap_up_extend"
DISPOSITIONS, ROSTER, SUPERVISE = "dispositions", "roster", "supervise"
LEAVE = "leave"
HOLD, RESUME, TRANSFER, HANG_UP, DIAL, ANSWER = "hold", "resume", "transfer", "hang_up", "dial", "answer"
MOVE, PRIORITY, TAKE = "move", "priority", "take"
SEND_DIGITS, ENTRY_START, ENTRY_CANCEL = "send_digits", "entry_start", "entry_cancel"
CALLBACK_ACCEPT, CALLBACK_DECLINE = "callback_accept", "callback_decline"

# The fields that a command may have beside `id`, `do` and `agent`.
FIELDS: Mapping[str, tuple[str, ...]] = {
    STATE: ("chosen", "reason", "why"),
    WRAP_UP_DONE: ("disposition",),
    WRAP_UP_EXTEND: (),
    DISPOSITIONS: (),
    ROSTER: ("skills", "clients", "queues", "reset"),
    **{str(action): ("call",) for action in RecordAction},
    SUPERVISE: ("mode", "call"),
    SEND_DIGITS: ("digits", "call"),
    ENTRY_START: ("entry", "call"),
    ENTRY_CANCEL: ("call",),
    ConsultDo.ASK: ("to", "call"),
    **{do: ("call",) for do in ConsultDo if do is not ConsultDo.ASK},
    HOLD: ("call",),
    RESUME: ("call",),
    TRANSFER: ("to", "call"),
    HANG_UP: ("call",),
    DIAL: ("to",),
    ANSWER: ("call",),
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
    call: str = ""

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
    call: str = ""

    def __str__(self) -> str:
        return f"{self.do} {self.to}".strip()


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys towards whom the agent talks to."""

    digits: str
    call: str = ""

    def __str__(self) -> str:
        return f"{SEND_DIGITS}, {len(self.digits)} keys"  # they may be a secret


@dataclass(frozen=True, slots=True)
class StartEntry:
    """Have the customer enter something while they talk: go through this flow."""

    flow: str
    call: str = ""

    def __str__(self) -> str:
        return f"{ENTRY_START} {self.flow}"


@dataclass(frozen=True, slots=True)
class CancelEntry:
    """Ask for it no more."""

    call: str = ""

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

    call: str = ""

    def __str__(self) -> str:
        return ANSWER


OfPresentCall: TypeAlias = Record | Consult | SendDigits | StartEntry | CancelEntry | Answer
"""What is ordered of what an agent is at now. With a ``call``: only while it is that one, for the talk that was meant
may be over, and the next customer's have begun.
"""


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
