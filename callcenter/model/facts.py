"""Facts: what happened, in the past tense, once, by the one who knows.

A :class:`Fact` is an envelope (who, when, which call) around a body (what). Logs, metrics, MQTT and the saved
interaction are all read from facts; nothing else computes a duration.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from callcenter.model.customer import Match
from callcenter.model.states import (
    CallbackOutcome,
    Device,
    Direction,
    DrainOutcome,
    EndCause,
    EntryResult,
    Intent,
    OfferResult,
    OneWay,
    Side,
    SupervisionMode,
    TransferKind,
    TransferTo,
    VisitOutcome,
    Work,
    WrapUpMode,
)

# The switch


@dataclass(frozen=True, slots=True)
class SwitchStarted:
    """The switch came up; ``config`` is the digest of its configuration."""

    node: str
    version: str
    config: str


@dataclass(frozen=True, slots=True)
class SwitchStopped:
    """The switch went down in good order."""

    reason: str


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """Another configuration is in force, for calls that arrive from now on; ``by`` says in words who had it loaded."""

    revision: str
    by: str


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """No new calls are taken; the ``calls`` that are up have ``limit_ms`` to end by themselves."""

    by: str
    calls: int
    limit_ms: int


@dataclass(frozen=True, slots=True)
class DrainEnded:
    """The drain is over, ``calls`` of those that were up had to be ended; ``by`` is who cancelled or cut it short."""

    outcome: DrainOutcome
    calls: int = 0
    by: str = ""


# A call begins and ends


@dataclass(frozen=True, slots=True)
class CallArrived:
    """An INVITE for one of our numbers, or from one of our agents, was taken on; or a ``callback`` came into line.

    Numbers are as dialled; names may be empty. ``agent`` is who dialled, of a call that is not inbound; ``trunk`` is
    the one that it came by, empty: none. ``diverted_...``: who sent the call on to us last and why, in a word of RFC
    5806; all empty when nobody did. ``callback`` is the id of the one that this call carries out; empty: none.
    """

    client: str
    flow: str
    from_number: str
    from_name: str
    to_number: str
    transport: str
    source: str
    sip_call_id: str
    direction: Direction = Direction.INBOUND
    agent: str = ""
    trunk: str = ""
    diverted_number: str = ""
    diverted_name: str = ""
    diverted_why: str = ""
    callback: str = ""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """We sent the 200 to the caller: the flow begins to speak. Of a callback: the customer picked up."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over; the last fact of a call but for the agent's wrap-up.

    ``alive_ms`` stands where a later boot closes the books of an earlier one: the last sign of life of that boot, on
    its own clock, because nobody knows more of when the call was cut.
    """

    by: Side
    cause: EndCause
    sip_status: int = 0
    detail: str = ""
    alive_ms: int = 0


# Who is calling, and the customer base


@dataclass(frozen=True, slots=True)
class CustomerFound:
    """The customer base was asked who is calling, ``by`` number or account; ``match`` is sure, maybe or none.

    ``attested``: a network that is trusted vouches for the number. ``by`` is crm or crm_account where the company's own
    CRM knew it.
    """

    customer: str
    match: Match
    by: str = "number"
    attested: bool = False


@dataclass(frozen=True, slots=True)
class CustomerSaved:
    """A customer of ``client`` was written down (``created``) or changed; ``by`` says in words who did."""

    client: str
    customer: str
    by: str
    revision: int = 0
    created: bool = False


@dataclass(frozen=True, slots=True)
class CustomerMerged:
    """Two records became one: ``merged`` means ``customer`` from now on. ``conflicts`` names what they contradicted
    each other in.
    """

    client: str
    customer: str
    merged: str
    by: str
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerErased:
    """A person was erased: ``ids`` means nobody any more, and nothing names the caller in so many ``calls``.

    ``kept`` says in a word what was not erased (``recording held``, ``call under way``). ``reason`` is ``request``, or
    ``retention`` where they were kept as long as they may be.
    """

    client: str
    ids: tuple[str, ...]
    by: str
    reason: str = "request"
    calls: int = 0
    recordings: int = 0
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomersImported:
    """A file of customers was taken in: so many of ``client`` were added or changed."""

    client: str
    by: str
    rows: int


# What a caller says, and what the flow decides


@dataclass(frozen=True, slots=True)
class LanguageChosen:
    """The caller is served in this language from now on."""

    language: str


@dataclass(frozen=True, slots=True)
class DigitsEntered:
    """The caller pressed ``digits`` at the step named ``step``; ``valid`` when the step knew them.

    Of what is ``masked`` only the number of digits is told, by as many stars. ``account``: it was asked whose it is.
    """

    step: str
    digits: str
    valid: bool
    masked: bool = False
    account: bool = False


@dataclass(frozen=True, slots=True)
class AttributeSet:
    """An attribute of the call has a value from now on; stars stand for what is masked."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class HoursChecked:
    """The opening hours of this name were asked: ``open``, ``closed`` or ``holiday``, and the name of the holiday."""

    hours: str
    door: str
    holiday: str = ""


@dataclass(frozen=True, slots=True)
class BranchTaken:
    """A branch chose its case, counted from 1, for the reasons in ``why``; 0: none held, it went on ``otherwise``."""

    step: str
    case: int
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryBegan:
    """An agent has the customer enter something while they talk: ``entry`` is the flow. ``by``: who ordered it."""

    agent: str
    entry: str
    by: str


@dataclass(frozen=True, slots=True)
class EntryEnded:
    """The customer is not asked any more. ``by``: who ended it, where it was cancelled."""

    agent: str
    entry: str
    result: EntryResult
    by: str = ""


@dataclass(frozen=True, slots=True)
class FlowEntered:
    """The call went on with another flow than the one it arrived in."""

    flow: str


@dataclass(frozen=True, slots=True)
class IntentCaptured:
    """The caller said what they want."""

    intent: str
    step: str


# In line


@dataclass(frozen=True, slots=True)
class CallQueued:
    """A visit to a queue began. ``first_joined_ms`` is on the boot's monotonic clock: the kept place in line.

    ``agent`` names the only one whom the visit is for; one that was dialled himself is asked for behind no queue.
    ``requirements`` are the skills asked without an alternative, each with its least level; where there are
    alternatives, ``needs`` tells all that is asked, in the text form (``acd/requirements.py``); ``own`` is what of it
    the caller's ticket asks beside the queue. ``prefer`` is the agent who comes first among equals, and who alone is
    asked for ``prefer_ms``.
    ``visit_no`` is its number in the call, from 1. ``place_of`` is the visit whose place it goes on with, as its call,
    a slash and its number; empty for a place that is new. ``origins`` says where what is asked comes from, each as
    (who asks, what).
    ``callback`` is the id of the callback that stands in line in the place of somebody on the phone; empty: none.
    ``reserve_ms``: so much longer an agent is reserved for it, while the customer is dialled; ``without``: agents who
    have declined it.
    """

    visit: str
    queue: str
    client: str
    priority: int
    requirements: tuple[tuple[str, int], ...]
    first_joined_ms: int
    agent: str = ""
    needs: str = ""
    own: str = ""
    prefer: str = ""
    prefer_ms: int = 0
    visit_no: int = 0
    place_of: str = ""
    origins: tuple[tuple[str, str], ...] = ()
    callback: str = ""
    reserve_ms: int = 0
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutingRelaxed:
    """A routing step was reached, counted from 1: a waiting caller asks something else of an agent from now on.

    ``requirements`` and ``needs`` are as in CallQueued. ``reason`` is ``time``, or ``nobody_signed_in`` where nobody
    was there who met what was asked before, or ``reload`` where the queue asks something else by another configuration:
    then the step may be 0, which is none.
    """

    visit: str
    queue: str
    step: int
    requirements: tuple[tuple[str, int], ...]
    needs: str = ""
    reason: str = "time"


@dataclass(frozen=True, slots=True)
class CallPrioritised:
    """A waiting caller has another ``priority`` from now on, and stands in the line as if they always had. ``by`` is
    who gave it to them.
    """

    visit: str
    queue: str
    priority: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class PreferenceEnded:
    """A waiting caller is not for the preferred agent alone any more: ``time``, or why that agent does not come."""

    visit: str
    queue: str
    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """A visit to a queue ended without or with an answer; ``reason`` refines flowed_out, refused and lost."""

    visit: str
    queue: str
    outcome: VisitOutcome
    reason: str = ""


# Callbacks


@dataclass(frozen=True, slots=True)
class CallbackRequested:
    """A caller is to be called back at ``number`` (E.164), on the place in line of ``visit`` (empty: they had none).

    ``first_joined_ms`` is on the boot's monotonic clock. Nothing is promised to the caller before this is written.
    ``source`` is who asked, as in :class:`Source`. One that is ``scheduled`` joins the line when it is due, not before
    ``not_before`` (UTC; empty: at once); asked for in no call, its number stands in the table of callbacks alone.
    """

    callback: str
    visit: str
    client: str
    queue: str
    number: str
    first_joined_ms: int
    source: str = "caller"
    scheduled: bool = False
    not_before: str = ""


@dataclass(frozen=True, slots=True)
class CallbackChanged:
    """A callback that has not ended is to be carried out otherwise; ``what`` are the names of what was changed."""

    callback: str
    client: str
    by: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallbackDeferred:
    """A callback cannot be carried out now: not before ``until`` (UTC). ``reason``: ``window_missed``, ``hours``."""

    callback: str
    client: str
    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallbackDeclined:
    """An agent was shown whom to call back, and did not want to: it is another's. Nobody was dialled."""

    callback: str
    client: str
    agent: str
    offer: str


@dataclass(frozen=True, slots=True)
class CallbackAttempted:
    """The customer is dialled, for the ``attempt``-th time, by ``agent``, whom ``offer`` has brought.

    When it comes to nothing, or is cut by a crash, there is no other attempt for ``spacing_ms``.
    """

    callback: str
    attempt: int
    agent: str
    offer: str
    number: str
    spacing_ms: int


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """An attempt came to nothing. ``cause``: ``no_answer``, ``busy``, ``declined``, ``rejected``, ``unreachable``,
    ``agent_gone`` (who hung up before anybody answered), or ``interrupted`` by what happened to us; ``detail`` says
    more in words.
    """

    callback: str
    attempt: int
    cause: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallbackEnded:
    """A callback is over, after so many ``attempts``; ``detail`` says in a word why."""

    callback: str
    client: str
    queue: str
    outcome: CallbackOutcome
    attempts: int
    detail: str = ""


# Who is not to be called


@dataclass(frozen=True, slots=True)
class DoNotCallAdded:
    """A number is on a client's do-not-call list from now on, as ``entry``: ``source`` is caller, agent, api or import.

    ``by`` says in words who had it added. The number itself stands in the list alone, so that it can be erased.
    """

    client: str
    entry: str
    source: str
    by: str


@dataclass(frozen=True, slots=True)
class DoNotCallRemoved:
    """A number is off a client's do-not-call list again; ``by`` says in words who had it taken off."""

    client: str
    entry: str
    by: str


@dataclass(frozen=True, slots=True)
class DoNotCallDialled:
    """An agent dialled a number of the do-not-call list by hand; ``refused``, or dialled all the same, being warned."""

    client: str
    entry: str
    agent: str
    refused: bool


# Follow-ups


@dataclass(frozen=True, slots=True)
class FollowupCreated:
    """Something was promised to a customer, or is to be done about one, until ``due_at``.

    ``kind`` is task or callback, ``by`` says in words who created it. ``agent`` whose it is, or nobody's yet of those
    of ``queue``; ``customer`` and ``call`` say whom and which talk it is about. What is empty there is none of. What
    it says of the customer stands in the table alone, so that it can be erased.
    """

    client: str
    followup: str
    kind: str
    due_at: str
    by: str
    agent: str = ""
    queue: str = ""
    customer: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True)
class FollowupChanged:
    """An open follow-up is another one from now on, or one is open again: ``what`` names the fields that changed.

    ``due_at``, ``agent`` and ``queue`` are as they are now. ``by`` says in words who changed it.
    """

    client: str
    followup: str
    revision: int
    what: tuple[str, ...]
    due_at: str
    by: str
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class FollowupReminded:
    """A follow-up will be due soon; once for each due time."""

    client: str
    followup: str
    due_at: str
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class FollowupDue:
    """A follow-up is due; once for each due time, over restarts too. The fact's ``at`` is later when we were down."""

    client: str
    followup: str
    due_at: str
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class FollowupOverdue:
    """A follow-up was due for as long as the company waits, and is not done; once for each due time."""

    client: str
    followup: str
    due_at: str
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class FollowupDone:
    """A follow-up was done, ``in_time`` or late; ``by`` says in words by whom."""

    client: str
    followup: str
    by: str
    in_time: bool
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class FollowupCancelled:
    """A follow-up need not be done any more; ``by`` says in words who says so."""

    client: str
    followup: str
    by: str


# From the line to an agent


@dataclass(frozen=True, slots=True)
class PositionAnnounced:
    """A waiting caller was told their place in line (the announcement began)."""

    visit: str
    position: int


@dataclass(frozen=True, slots=True)
class WaitAnnounced:
    """A waiting caller was told how long it may still take, from ``low_ms`` to ``high_ms`` (the announcement began)."""

    visit: str
    low_ms: int
    high_ms: int


@dataclass(frozen=True, slots=True)
class OfferMade:
    """A waiting caller was offered to an agent, who is reserved from now until ``lease_ms`` have passed.

    ``explanation`` says why it was this agent and this caller, as compact JSON (``acd/why.py``).
    """

    visit: str
    offer: str
    generation: int
    queue: str
    agent: str
    ring_for_ms: int
    lease_ms: int
    why: tuple[str, ...] = ()
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class ScreenPopSent:
    """The screen pop left for the broker; ``acknowledged`` when the broker confirmed it in time."""

    offer: str
    agent: str
    pop: str
    acknowledged: bool
    took_ms: int


@dataclass(frozen=True, slots=True)
class ScreenPopUpdated:
    """The same pop was sent again, with more that is known of the caller."""

    offer: str
    agent: str
    pop: str


@dataclass(frozen=True, slots=True)
class AgentRang:
    """The agent's phone reported that it rings (180), or took the call without saying so."""

    offer: str
    agent: str


@dataclass(frozen=True, slots=True)
class OfferEnded:
    """The offer is over; ``detail`` says in a word or a SIP status why."""

    visit: str
    offer: str
    agent: str
    result: OfferResult
    detail: str = ""


# Talks, and how they move on


@dataclass(frozen=True, slots=True)
class CallConnected:
    """Caller and agent hear each other: the visit is answered."""

    visit: str
    offer: str
    agent: str


@dataclass(frozen=True, slots=True)
class CallHeld:
    """One side put the other on hold; ``offer`` brought them together."""

    by: Side
    offer: str = ""


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The side that held took the other back; ``offer`` brought them together."""

    by: Side
    offer: str = ""


@dataclass(frozen=True, slots=True)
class AgentLegEnded:
    """The agent's part of the call is over."""

    offer: str
    agent: str
    by: Side
    cause: EndCause


@dataclass(frozen=True, slots=True)
class CallTransferred:
    """The agent ``by`` hands the caller over to ``target``, and their talk ends, which ``offer`` had brought about."""

    offer: str
    by: str
    kind: TransferKind
    to: TransferTo
    target: str


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """The target of a transfer did not take the caller, who goes back where they came from; ``detail`` says why."""

    offer: str
    by: str
    target: str
    status: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AgentTookOver:
    """An agent came into the call out of another, where ``offer`` had brought him, and hears the caller; ``queue`` is
    what the caller came to him by.
    """

    offer: str
    agent: str
    queue: str = ""


@dataclass(frozen=True, slots=True)
class PhoneChanged:
    """An agent goes on with the talk by another phone, which has called in the place of the first (RFC 3891).

    ``side``: in which part of the call; ``offer`` is that of the talk, empty for an agent who dialled. ``source`` is
    where the phone signals from, by ``transport``; ``sip_call_id`` is how its part of the call is known to it.
    """

    side: Side
    agent: str
    offer: str = ""
    transport: str = ""
    source: str = ""
    sip_call_id: str = ""


@dataclass(frozen=True, slots=True)
class OutsideConnected:
    """The caller and somebody outside hear each other; ``number`` is in E.164, ``leg`` names this part of the call.

    ``srtp``: by which crypto-suite the sound to there is encrypted, empty for plain RTP.
    """

    leg: str
    number: str
    trunk: str
    srtp: str = ""


@dataclass(frozen=True, slots=True)
class OutsideLegEnded:
    """The part of the call that somebody outside had is over."""

    leg: str
    by: Side
    cause: EndCause


# Who is in a talk beside the two


@dataclass(frozen=True, slots=True)
class SupervisionStarted:
    """A supervisor hears the call from now on, with the agent whom she follows from call to call.

    ``supervision`` is the id of her part in this call. ``agent_sees``: whether the agent is shown it, as the client
    wants.
    """

    supervision: str
    supervisor: str
    agent: str
    client: str
    mode: SupervisionMode
    agent_sees: bool


@dataclass(frozen=True, slots=True)
class SupervisionChanged:
    """The supervisor takes part in another way from now on."""

    supervision: str
    supervisor: str
    agent: str
    mode: SupervisionMode


@dataclass(frozen=True, slots=True)
class SupervisionEnded:
    """The supervisor hears the call no more: she left, or the agent did."""

    supervision: str
    supervisor: str
    agent: str


@dataclass(frozen=True, slots=True)
class ConferenceJoined:
    """The agent has joined the caller and ``target``, whom he consults in the call ``consulted``: all hear each other.

    ``offer`` is that of the talk with the caller.
    """

    offer: str
    agent: str
    consulted: str
    target: str


@dataclass(frozen=True, slots=True)
class ConferenceLeft:
    """It is a talk of two again, because ``by`` left: the caller, the agent, or who was consulted (outside)."""

    offer: str
    agent: str
    consulted: str
    target: str
    by: Side


# Whether both are heard


@dataclass(frozen=True, slots=True)
class CallerMediaStarted:
    """The first RTP packet of the caller came in; ``srtp``: by which crypto-suite, empty for plain RTP."""

    source: str
    srtp: str = ""


@dataclass(frozen=True, slots=True)
class AgentMediaStarted:
    """The first RTP packet of the agent came in, after ``offer`` was answered; ``srtp`` as the caller's."""

    offer: str
    agent: str
    source: str
    srtp: str = ""


@dataclass(frozen=True, slots=True)
class MediaMissing:
    """A side that should send has sent nothing at all; ``detail`` says in words what came, and what may be wrong.

    ``offer`` and ``agent`` are those of the talk; empty when the caller is not heard and there is no talk yet.
    ``trunk`` is that of the side's leg, if any.
    """

    side: Side
    detail: str
    offer: str = ""
    agent: str = ""
    trunk: str = ""


# Recordings


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    """What is said in a talk is recorded from now on, into ``path`` below the folder of recordings.

    ``offer`` is that of the talk, or the ``leg`` of somebody outside; ``agent`` and ``queue`` are empty where there is
    none. ``by`` says in words whose will it is: a rule of the configuration, or who commanded. ``left`` and ``right``
    are who is heard on each channel; ``noticed``: those who hear a notice first have heard it to its end. ``key`` names
    the key by which the file is encrypted; empty: it is plain.
    """

    recording: str
    path: str
    client: str
    by: str
    offer: str = ""
    agent: str = ""
    queue: str = ""
    left: str = ""
    right: str = ""
    noticed: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class RecordingPaused:
    """Nothing of the talk is recorded from now on; ``by`` is who commanded, or the step that takes a secret in."""

    recording: str
    agent: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordingResumed:
    """The talk is recorded again; ``by`` as in RecordingPaused."""

    recording: str
    agent: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """The file of a recording is whole: ``length_ms`` of sound in ``octets`` bytes whose SHA-256 is ``sha256``.

    ``reason`` is ``stopped`` when it ended with the talk or by a command (``by``, else empty); else the word of what
    cut it short, and ``detail`` more of it. Without octets there is no file. May come behind the end of the call.
    """

    recording: str
    agent: str
    path: str
    length_ms: int
    octets: int
    sha256: str
    reason: str
    by: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """What should be recorded is not, and the call goes on: ``reason`` in a word (``no_space``, ``disk_full``,
    ``slow_disk``, ``failed``, ``worker_lost``), ``detail`` in more. Of one that had begun RecordingEnded follows.
    """

    recording: str
    agent: str
    client: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RecordingHeld:
    """A recording is kept from now on, however old it gets, until it is released; ``why`` in words."""

    recording: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RecordingReleased:
    """Nothing keeps a recording from being deleted any more but its age."""

    recording: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordingDeleted:
    """The file of a recording is gone; what it was stays told. ``why``: ``retention``, or what somebody said."""

    recording: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RecordingOpened:
    """Somebody is given the sound of a recording to hear: ``by`` says in words who."""

    recording: str
    client: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordingSpaceChanged:
    """There is room for recordings, or too little, and none is begun; ``free`` of ``total`` bytes, ``wanted`` at least.

    ``detail`` says more in words, where that cannot be told.
    """

    enough: bool
    free: int
    total: int
    wanted: int
    detail: str = ""


# How it sounds


@dataclass(frozen=True, slots=True)
class OneWayAudio:
    """In the middle of a call one side is heard no more; ``detail`` says in words what is seen, and what may be wrong.

    ``offer`` and ``agent`` as of MediaMissing; ``trunk`` is that of the side's leg, if any.
    """

    side: Side
    kind: OneWay
    detail: str
    offer: str = ""
    agent: str = ""
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class OneWayAudioEnded:
    """What OneWayAudio told of is mended, after ``after_ms``."""

    side: Side
    kind: OneWay
    after_ms: int
    offer: str = ""
    agent: str = ""
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class LegQuality:
    """How the sound of one leg was, told at its end; ``offer``, ``agent``, ``trunk`` and ``leg`` (outside) say whose.

    ``mos`` is estimated by the E-model (ITU-T G.107) of what came from the peer: ``received`` packets of ``codec``,
    ``lost`` before they reached us, with their jitter at the end and at its worst. The ``remote`` figures are of what
    we sent, by the peer's reports; there is a ``remote_mos`` when ``reports`` have come. 0: not known.
    """

    side: Side
    codec: str
    received: int
    lost: int
    jitter_ms: float
    worst_jitter_ms: float
    mos: float
    sent: int
    remote_lost: int
    remote_jitter_ms: float
    remote_mos: float
    round_trip_ms: float
    reports: int
    unauthentic: int = 0
    offer: str = ""
    agent: str = ""
    trunk: str = ""
    leg: str = ""


# Agents, and what is commanded


@dataclass(frozen=True, slots=True)
class AgentStateChanged:
    """An agent's whole state after a change; ``cause`` says in words what moved it.

    ``forced``: the system chose the intent, not the agent. ``next`` and ``next_reason`` are the intent from the end of
    the present work on; they differ from ``intent`` while a choice is pending. ``remaining_ms`` until a wrap-up, or an
    idle agent's pause after an offer that failed, ends by itself (0: it does not); ``extension_ms`` by which the
    wrap-up may still be extended, once, or which the agent may ask for, of an optional one. ``own_calls`` are the calls
    that the agent dialled and is in. ``wrap_up`` is the kind of the wrap-up that goes on, none beside one. ``by`` is
    who chose last, in words, empty when the system did. ``break_ms`` until a break has lasted as long as it may (0: it
    has no limit, or has come to it: then ``overrun``); ``next_break_ms`` how long the one may last that is chosen for
    the end of the present work.
    """

    agent: str
    intent: Intent
    reason: str
    work: Work
    device: Device
    cause: str
    offer: str = ""
    forced: bool = False
    next: Intent = Intent.READY
    next_reason: str = ""
    remaining_ms: int = 0
    extension_ms: int = 0
    own_calls: tuple[str, ...] = ()
    wrap_up: WrapUpMode = WrapUpMode.NONE
    by: str = ""
    break_ms: int = 0
    overrun: bool = False
    next_break_ms: int = 0


@dataclass(frozen=True, slots=True)
class BreakOverran:
    """The agent's break has lasted as long as it may and goes on: nobody is forced back. The state that follows says
    so too.
    """

    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class BreakRefused:
    """The agent may not take a break now: ``out`` are on it already, of ``at_once`` that may."""

    agent: str
    reason: str
    out: int
    at_once: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class AgentCommanded:
    """Somebody else commanded for an agent; ``order`` and ``result`` say in words what, and what came of it."""

    agent: str
    order: str
    by: str
    result: str


@dataclass(frozen=True, slots=True)
class CallCommanded:
    """Somebody commanded for a caller, who is none of the agent's talks; ``order`` and ``result`` say in words what,
    and what came of it. ``by`` is who, as it is told of an agent's state.
    """

    order: str
    by: str
    result: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class AgentSkillsChanged:
    """Who an agent is to the routing differs from the configuration, from now on and over restarts, until a reset.

    ``changed`` names what of ``skills``, ``clients`` and ``queues`` counts; the rest, and all of it when that is empty,
    is as configured. Without a configured restriction ``queues`` are all queues of the clients.
    """

    agent: str
    by: str
    changed: tuple[str, ...] = ()
    skills: tuple[tuple[str, int], ...] = ()
    clients: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureCodeDialled:
    """An agent dialled a code, which is no customer's call; ``result`` says in words what came of it."""

    agent: str
    code: str
    result: str


@dataclass(frozen=True, slots=True)
class StateRepaired:
    """The watchdog found something that nobody works on any more, and let it go; ``what`` says it in words."""

    what: str
    agent: str = ""
    offer: str = ""
    visit: str = ""


# What is written of a talk


@dataclass(frozen=True, slots=True)
class WrapUpEnded:
    """The agent is through with the call; ``disposition`` is WRAPUP_TIMEOUT when the time ran out.

    It is empty when none was given, also when an optional wrap-up was not asked for.
    """

    agent: str
    offer: str
    disposition: str


@dataclass(frozen=True, slots=True)
class NoteWritten:
    """Somebody has written a note of the call, or of a customer where there is no call; the text is in a table.

    ``revision`` counts how often this note was written, drafts included. ``agent`` is in whose talk, empty: in nobody's
    own. ``by`` is who wrote, in words; ``corrects`` that it stands in the place of a text that was told before.
    """

    client: str
    note: str
    by: str
    revision: int
    agent: str = ""
    customer: str = ""
    corrects: bool = False


@dataclass(frozen=True, slots=True)
class DispositionChosen:
    """What the talk of ``offer`` comes to, chosen before its wrap-up is over, and kept for the end of it.

    Of a call that the agent dialled ``offer`` is empty. ``by`` and ``why`` as in DispositionCorrected.
    """

    client: str
    agent: str
    offer: str
    disposition: str
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class DispositionCorrected:
    """After the end of a wrap-up its disposition is another one: ``after``, and was ``before`` (empty: there was none).

    ``by`` is who says so, in words, and ``why`` the reason; of an agent's own talk it may be empty.
    """

    client: str
    agent: str
    offer: str
    before: str
    after: str
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class FieldsWritten:
    """Fields of a talk's wrap-up have values now, or none any more (``cleared``); the values are in a table.

    ``corrects``: after the end of the wrap-up. The rest is as in DispositionCorrected.
    """

    client: str
    agent: str
    offer: str
    fields: tuple[str, ...]
    by: str
    cleared: tuple[str, ...] = ()
    corrects: bool = False
    why: str = ""


# Broker and trunks


@dataclass(frozen=True, slots=True)
class BrokerStateChanged:
    """The MQTT broker came or went; ``detail`` says why in words."""

    connected: bool
    detail: str


@dataclass(frozen=True, slots=True)
class TrunkStateChanged:
    """A trunk can be called by from now on, or cannot any more; ``detail`` says why in words."""

    trunk: str
    up: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrunkTried:
    """A call that leaves the house was tried by a trunk, at ``peer`` (empty: it did not come so far).

    ``status`` is the final answer, 0 when there was none; ``result`` says in words what came of it.
    """

    trunk: str
    peer: str
    number: str
    status: int
    result: str
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class TrunkQualityChanged:
    """Many of the latest calls by a trunk have sounded bad (not ``good``), or do so no more; ``detail`` says how bad.

    ``bad`` of ``of`` legs had a mean opinion score under the bound that is configured.
    """

    trunk: str
    good: bool
    bad: int
    of: int
    detail: str = ""


# All of them: a new one is written above, beside what it belongs to, and named here

Body = (
    SwitchStarted
    | SwitchStopped
    | ConfigReloaded
    | DrainBegan
    | DrainEnded
    | CallArrived
    | CallAnswered
    | CustomerFound
    | CustomerSaved
    | CustomerMerged
    | CustomerErased
    | CustomersImported
    | LanguageChosen
    | DigitsEntered
    | AttributeSet
    | HoursChecked
    | BranchTaken
    | EntryBegan
    | EntryEnded
    | FlowEntered
    | IntentCaptured
    | CallQueued
    | RoutingRelaxed
    | PreferenceEnded
    | CallbackRequested
    | CallbackChanged
    | CallbackDeferred
    | CallbackDeclined
    | CallbackAttempted
    | CallbackFailed
    | CallbackEnded
    | DoNotCallAdded
    | FollowupCreated
    | FollowupChanged
    | FollowupReminded
    | FollowupDue
    | FollowupOverdue
    | FollowupDone
    | FollowupCancelled
    | DoNotCallRemoved
    | DoNotCallDialled
    | PositionAnnounced
    | WaitAnnounced
    | OfferMade
    | ScreenPopSent
    | ScreenPopUpdated
    | AgentRang
    | OfferEnded
    | CallConnected
    | CallHeld
    | CallResumed
    | AgentLegEnded
    | CallTransferred
    | TransferFailed
    | AgentTookOver
    | PhoneChanged
    | OutsideConnected
    | OutsideLegEnded
    | SupervisionStarted
    | SupervisionChanged
    | SupervisionEnded
    | ConferenceJoined
    | ConferenceLeft
    | QueueLeft
    | CallerMediaStarted
    | AgentMediaStarted
    | MediaMissing
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | RecordingEnded
    | RecordingFailed
    | RecordingHeld
    | RecordingReleased
    | RecordingDeleted
    | RecordingOpened
    | RecordingSpaceChanged
    | OneWayAudio
    | OneWayAudioEnded
    | LegQuality
    | CallEnded
    | AgentStateChanged
    | BreakOverran
    | BreakRefused
    | AgentCommanded
    | CallCommanded
    | CallPrioritised
    | AgentSkillsChanged
    | StateRepaired
    | WrapUpEnded
    | NoteWritten
    | DispositionChosen
    | DispositionCorrected
    | FieldsWritten
    | FeatureCodeDialled
    | BrokerStateChanged
    | TrunkStateChanged
    | TrunkTried
    | TrunkQualityChanged
)

BODIES: dict[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(Body)}


# Around them


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact not yet numbered: what a core hands out, and what a call script adds."""

    body: Body
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A numbered fact. ``ms`` are integer milliseconds of the monotonic clock of boot ``boot``."""

    seq: int
    at: datetime
    boot: str
    ms: int
    call_id: str | None
    body: Body

    @property
    def kind(self) -> str:
        """The name of the body's type: ``CallArrived`` and so on."""
        return type(self.body).__name__


def body_to_dict(body: Body) -> dict[str, Any]:
    """The body as plain JSON values: enums by value, tuples as lists."""
    plain: dict[str, Any] = msgspec.to_builtins(body)
    for name in _TUPLES[type(body)]:
        plain[name] = _listed(plain[name])
    return plain


def body_from_dict(kind: str, values: dict[str, Any]) -> Body:
    """The body that :func:`body_to_dict` wrote. Unknown fields are ignored, so that an older switch reads newer logs.

    Raises ``KeyError`` for an unknown kind and ``TypeError`` for a missing field.
    """
    shape = BODIES[kind]
    wanted = {
        name: values[name] if hint is None else _typed(hint, values[name])
        for name, hint in _hints(shape)
        if name in values
    }
    body: Body = shape(**wanted)
    return body


def utc(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def changed(state: AgentStateChanged, **changes: Any) -> AgentStateChanged:
    """The state with some of its fields changed: as ``dataclasses.replace``, in a third of the time.

    An agent's state changes several times with every decision of the ACD.
    """
    values = list(_STATE(state))
    for name, value in changes.items():
        values[_STATE_AT[name]] = value
    return AgentStateChanged(*values)


_STATE_NAMES = tuple(item.name for item in dataclasses.fields(AgentStateChanged))
_STATE = attrgetter(*_STATE_NAMES)
_STATE_AT = {name: at for at, name in enumerate(_STATE_NAMES)}

# The fields that msgspec would leave tuples.
_TUPLES: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(item.name for item in dataclasses.fields(kind) if "tuple[" in str(item.type))
    for kind in BODIES.values()
}
_AS_IT_IS = frozenset((str, int, bool, float, type(None)))
_HINTS: dict[type[Any], tuple[tuple[str, Any], ...]] = {}


def _hints(shape: type[Any]) -> tuple[tuple[str, Any], ...]:
    """The fields with their types; None for one whose JSON value is the value itself: a log has millions of them."""
    found = _HINTS.get(shape)
    if found is None:
        hints = typing.get_type_hints(shape)
        found = tuple((name, None if hint in _AS_IT_IS else hint) for name, hint in hints.items())
        _HINTS[shape] = found
    return found


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def _typed(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_typed(inner[0], item) for item in value)
        return tuple(_typed(each, item) for each, item in zip(inner, value, strict=True))
    if origin in (typing.Union, types.UnionType):
        return value
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return value


Effect = TypeVar("Effect")


@dataclass(frozen=True, slots=True)
class Decision(Generic[Effect]):
    """What a core decided: facts, to be logged first, and effects, to be performed after."""

    facts: tuple[Draft, ...] = ()
    effects: tuple[Effect, ...] = field(default=())


R = TypeVar("R", bound=Callable[..., Any])


def reads(*kinds: type[Body]) -> Callable[[R], R]:
    """Marks a reader of facts that has use for these kinds alone: it is not called with any other."""

    def marked(reader: R) -> R:
        reader.kinds = frozenset(kinds)  # type: ignore[attr-defined]
        return reader

    return marked


def kinds_of(reader: Callable[..., Any]) -> frozenset[type[Body]] | None:
    """What a reader :func:`reads`; None: every kind."""
    return getattr(reader, "kinds", None)
