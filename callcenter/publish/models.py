"""Models: the shape of whatever is published and taken over MQTT, as types: what is sent is checked against these, and
the AsyncAPI document is made from them.

Readers ignore fields that they do not know: more may come within the same schema name, and none goes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from callcenter.model.callback import Mode, Source
from callcenter.model.states import Device, Intent, SupervisionMode, Work

Instant = Annotated[
    str,
    Meta(
        description="UTC, in ISO 8601 with milliseconds and Z",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        extra_json_schema={"format": "date-time"},
    ),
]
Seconds = Annotated[float, Meta(description="seconds")]
Share = Annotated[float, Meta(ge=0, le=1, description="a share of 1")]
Count = Annotated[int, Meta(ge=0)]
Id = Annotated[str, Meta(min_length=1, description="an id of the switch, or a name of its configuration")]
CommandId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="of the sender's choice, a new one for each command: the same again is not done again, and gets "
        "the same answer",
    ),
]


# States: retained


class Chosen(TypedDict):
    """What an agent wants to be."""

    chosen: Intent
    reason: str


class TalkRecording(TypedDict):
    """The recording of the talk that goes on."""

    id: Id
    state: Literal["on", "paused"]
    by: str


class Supervised(TypedDict):
    """Who takes part in the agent's talk, and how, where the agent is to know."""

    supervisor: Id
    mode: SupervisionMode


class AgentState(TypedDict):
    """What an agent wants (``chosen``), does (``work``) and can be reached by (``device``). It names the call by its
    id and nothing of the caller. ``next`` holds from the end of the present work on; null when that changes nothing.
    """

    schema: Literal["agent.v1"]
    agent: Id
    chosen: Intent
    reason: str
    forced: bool
    cause: str
    next: Chosen | None
    work: Work
    device: Device
    wrap_up_until: Instant | None
    wrap_up_remaining_s: Seconds | None
    extension_s: Seconds
    wrap_up: str | None
    by: str | None
    break_until: Instant | None
    break_over: bool
    pause_until: Instant | None
    since: Instant
    at: Instant
    call: Id | None
    recording: TalkRecording | None
    supervised: list[Supervised]


class _Line(TypedDict):
    waiting: Count
    callbacks: Count
    planned: Count
    longest_s: Seconds
    longest_since: Instant | None
    ready: Count
    signed_in: Count
    talking: Count
    agents: dict[str, int]
    offered: Count
    answered: Count
    abandoned: Count
    asa_s: Seconds | None
    service_level: Share | None
    service_level_20s: Share | None


class QueueState(_Line):
    """How many wait in a queue, who is there for them, and what the day has come to: counts, nothing of a caller."""

    schema: Literal["queue.v1"]
    queue: Id
    client: Id
    service_level_s: Seconds
    at: Instant


class ClientState(_Line):
    """The same of all queues of a client together, and of the agents who answer for it."""

    schema: Literal["client.v1"]
    client: Id
    at: Instant


class ConfigState(TypedDict):
    """Which configuration is in force, since when, and who or what loaded it, in words."""

    schema: Literal["config.v1"]
    revision: str
    loaded_at: Instant
    by: str


class TrunkState(TypedDict):
    """Whether calls can go by a trunk; ``up`` is null as long as nothing is known of it."""

    schema: Literal["trunk.v1"]
    trunk: Id
    up: bool | None
    detail: str
    at: Instant


class RecordingFailure(TypedDict):
    """One thing that failed."""

    at: Instant
    call: str
    reason: str
    detail: str


class RecordingsState(TypedDict):
    """Whether recordings can be made: an alarm when ``state`` is ``no_space``. ``free`` and ``wanted`` are bytes."""

    schema: Literal["recordings.v1"]
    state: Literal["off", "ok", "no_space"]
    free: int | None
    wanted: int
    detail: str
    failures: Count
    last_failure: RecordingFailure | None
    at: Instant


class EntryState(TypedDict):
    """How far the customer is with what they enter while the agent talks to them, in stars."""

    call: Id
    entry: Id
    state: Literal["asking", "entering"]
    step: NotRequired[str]
    entered: NotRequired[Annotated[str, Meta(pattern=r"^\**$")]]
    count: NotRequired[Count]
    shortest: NotRequired[Count]
    longest: NotRequired[Count]


# The screen pop


class PopClient(TypedDict):
    """In whose name to answer."""

    id: Id
    name: str
    greeting: str


class Diverted(TypedDict("_DivertedFrom", {"from": str})):
    """Who sent the call on to us last, and why."""

    name: str
    why: str


class Ivr(TypedDict):
    """What the caller chose and entered, in stars where it is masked."""

    language: str
    menu: list[str]
    entered: dict[str, str]


class PopCallback(TypedDict):
    """That the customer is called back; with ``rang_in``, that they were to be and have called first. In ``preview_s``
    the agent says whether they are dialled (`callback_accept`, `callback_decline`); null: he is not asked.
    """

    id: Id
    number: str
    requested: Instant
    since: Instant
    attempt: int
    call: str
    source: Source
    mode: Mode
    reason: str
    rang_in: bool
    preview_s: Seconds | None
    followup: str


class PopField(TypedDict):
    """A field of the client's own that agents are shown."""

    name: str
    label: str
    value: Any


class PopInteraction(TypedDict):
    """A call that there was."""

    call: str | None
    at: str | None
    queue: str | None
    agent: str | None
    intent: str | None
    outcome: str | None
    disposition: str | None
    wait_ms: int | None
    talk_ms: int | None


class PopPerson(TypedDict):
    """Somebody whom the client knows."""

    id: Id
    name: str
    account: str
    tier: str
    language: str
    since: str | None
    notes: str
    accounts: list[str]
    fields: list[PopField]


class PopNote(TypedDict):
    """What an agent noted last of them."""

    at: str
    agent: str
    call: str | None
    text: str


class PopCustomer(TypedDict):
    """Who calls. With the match ``maybe`` there are ``candidates``, and nobody is to be taken for sure."""

    match: Literal["sure", "maybe", "none"]
    id: NotRequired[Id]
    name: NotRequired[str]
    account: NotRequired[str]
    tier: NotRequired[str]
    language: NotRequired[str]
    since: NotRequired[str | None]
    notes: NotRequired[str]
    accounts: NotRequired[list[str]]
    fields: NotRequired[list[PopField]]
    note: NotRequired[PopNote | None]
    last: NotRequired[PopInteraction | None]
    interactions: NotRequired[list[PopInteraction]]
    candidates: NotRequired[list[PopPerson]]


class Why(TypedDict):
    """One reason why this agent has this caller."""

    text: str


class Pop(TypedDict("_PopFrom", {"from": str})):
    """Everything that the agent needs before the phone rings. ``seq`` counts the pops of this agent: a gap shows.

    ``update``: it replaces the pop of the same ``id``: more is known of the caller since.
    """

    schema: Literal["pop.v1"]
    seq: Count
    id: Id
    update: bool
    at: Instant
    expires: Instant
    call: Id
    offer: Id
    agent: Id
    rings_in_ms: Count
    client: PopClient
    queue: str
    from_name: str
    to: str
    diverted: Diverted | None
    intent: str
    skills: dict[str, int]
    waited_s: Seconds
    position_was: int | None
    ivr: Ivr
    attributes: dict[str, str]
    callback: PopCallback | None
    srtp: str | None
    record: Literal["yes", "on_demand"] | None
    customer: PopCustomer
    open_followups: NotRequired[Count]
    followups: NotRequired[list[dict[str, Any]]]
    why: list[Why]


class PopShown(TypedDict):
    """That the agent's page shows a pop."""

    id: Id
    at: NotRequired[Instant]
    shown: NotRequired[bool]


# Events: numbered


class CallEvent(TypedDict):
    """One thing that happened to a call. ``seq`` is its number in the switch's log, ``ms`` are milliseconds of the
    clock of ``boot``: durations come from these.
    """

    schema: Literal["call.v1"]
    seq: Count
    at: Instant
    boot: str
    ms: int
    call: Id
    event: str
    data: dict[str, Any]


class FollowupEvent(TypedDict):
    """One thing that happened to a follow-up, by ids only; ``seq`` is its number in the switch's log."""

    schema: Literal["followup.v1"]
    seq: Count
    at: Instant
    boot: str
    client: Id
    followup: Id
    event: str
    data: dict[str, Any]


class AgentFollowups(TypedDict):
    """How many open follow-ups an agent has, and how many of these are due, and overdue."""

    schema: Literal["followups.v1"]
    agent: Id
    open: Count
    due: Count
    overdue: Count
    at: Instant


# Commands and answers


class _Command(TypedDict):
    id: CommandId
    agent: NotRequired[Annotated[str, Meta(description="for whom, of a supervisor's command")]]


class _OfTalk(_Command):
    call: NotRequired[Annotated[str, Meta(description="which talk, where the agent has several")]]


class _OfPresentCall(_Command):
    call: NotRequired[
        Annotated[str, Meta(description="only while the agent is at this call: not for the one that has come after it")]
    ]


class _OfCaller(TypedDict):
    id: CommandId
    call: Id


Target = Annotated[str, Meta(max_length=128, description="an agent, a queue, or a number")]


class StateCommand(_Command):
    """Be ready, not ready for a reason, or signed out, from the end of the present work on."""

    do: Literal["state"]
    chosen: Intent
    reason: NotRequired[str | None]
    why: NotRequired[Annotated[str, Meta(max_length=200, description="of a supervisor's: what the agent is told")]]


class WrapUpDoneCommand(_Command):
    """Be through with the call."""

    do: Literal["wrap_up_done"]
    disposition: NotRequired[str | None]


class WrapUpExtendCommand(_Command):
    """Have more time, once."""

    do: Literal["wrap_up_extend"]


class DispositionsCommand(_Command):
    """Hear what the present call may come to."""

    do: Literal["dispositions"]


class RosterCommand(_Command):
    """Be somebody else to the routing; a supervisor's to say."""

    do: Literal["roster"]
    skills: NotRequired[dict[str, int] | None]
    clients: NotRequired[list[str] | None]
    queues: NotRequired[list[str] | None]
    reset: NotRequired[bool]


class RecordCommand(_OfPresentCall):
    """Have the present talk recorded, or not, or not for a while."""

    do: Literal["record_start", "record_stop", "record_pause", "record_resume"]


class SuperviseCommand(_Command):
    """Let the supervisor hear the agent's talks by a phone of her own; a supervisor's to say."""

    do: Literal["supervise"]
    mode: Literal["listen", "whisper", "barge", "leave"]
    call: NotRequired[Annotated[str, Meta(description="in place of `agent`: whoever talks in it")]]


class SendDigitsCommand(_OfPresentCall):
    """Press keys towards whom the agent talks to."""

    do: Literal["send_digits"]
    digits: str


class EntryStartCommand(_OfPresentCall):
    """Have the customer enter something while they talk."""

    do: Literal["entry_start"]
    entry: Id


class EntryCancelCommand(_OfPresentCall):
    """Ask for it no more."""

    do: Literal["entry_cancel"]


class ConsultCommand(_OfPresentCall):
    """Ask somebody while the caller waits."""

    do: Literal["consult"]
    to: Target


class ConsultingCommand(_OfPresentCall):
    """Change between the caller and whom was asked, join all three, let them go, or put the caller through to them."""

    do: Literal["consult_swap", "consult_join", "consult_drop", "consult_transfer"]


class HoldCommand(_OfTalk):
    """Let the other side wait, with music; the phone need not know."""

    do: Literal["hold"]


class ResumeCommand(_OfTalk):
    """Take them back. Where the phone itself holds too the answer is ``pending``: that is its own to end."""

    do: Literal["resume"]


class TransferCommand(_OfTalk):
    """Put the caller through without a word before."""

    do: Literal["transfer"]
    to: Target


class HangUpCommand(_OfTalk):
    """End the talk, or the call that is being dialled. A supervisor names an ``agent``, or a ``call`` alone."""

    do: Literal["hang_up"]


class DialCommand(_Command):
    """Have the agent's own phone rung, and the number dialled when it is picked up, as if he had dialled it there."""

    do: Literal["dial"]
    to: Target


class AnswerCommand(_OfPresentCall):
    """Have the phone taken off that rings, where it can be told to."""

    do: Literal["answer"]


class MoveCommand(_OfCaller):
    """Let a waiting caller wait in another queue of the company; a supervisor's to say."""

    do: Literal["move"]
    queue: Id


class PriorityCommand(_OfCaller):
    """Let a waiting caller have another priority; a supervisor's to say."""

    do: Literal["priority"]
    priority: Annotated[int, Meta(ge=0, le=1000)]


class TakeCommand(_OfCaller):
    """Offer a waiting caller to an agent who is free; a supervisor's to say."""

    do: Literal["take"]
    agent: Id


class OtherCommand(TypedDict):
    """A command about what is kept: notes, dispositions, customers, follow-ups, callbacks. They are named, and have the
    fields, as in the desk's API; what was done is in the answer's ``result``.
    """

    id: CommandId
    do: str


COMMANDS: tuple[Any, ...] = (
    StateCommand,
    WrapUpDoneCommand,
    WrapUpExtendCommand,
    DispositionsCommand,
    RosterCommand,
    RecordCommand,
    SuperviseCommand,
    SendDigitsCommand,
    EntryStartCommand,
    EntryCancelCommand,
    ConsultCommand,
    ConsultingCommand,
    HoldCommand,
    ResumeCommand,
    TransferCommand,
    HangUpCommand,
    DialCommand,
    AnswerCommand,
    MoveCommand,
    PriorityCommand,
    TakeCommand,
    OtherCommand,
)


class Reply(TypedDict):
    """The answer to a command. ``pending``: it holds from the end of the present work on, or of what stands in the way.
    A refusal says why in a sentence (``error``) and in a word (``reason``), and may name the ``field`` that is wrong.
    """

    id: str | None
    ok: bool
    pending: NotRequired[bool]
    call: NotRequired[Id]
    required: NotRequired[bool]
    codes: NotRequired[dict[str, Any]]
    chosen: NotRequired[str | None]
    fields: NotRequired[list[dict[str, Any]]]
    missing: NotRequired[list[str]]
    result: NotRequired[dict[str, Any]]
    error: NotRequired[str]
    reason: NotRequired[Literal["invalid", "forbidden", "not_found", "conflict", "too_many", "unavailable"]]
    field: NotRequired[str]


Status = Literal["online", "offline", "draining"]
