"""CallsSettings: the companies served, their numbers, and the flows that a call runs through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from callcenter.acd.requirements import Needs
from callcenter.calls.hours import Door, Hours
from callcenter.calls.record_policy import NOBODY, RecordingSettings
from callcenter.calls.supervision_rules import ALL_ALLOWED, SupervisionRules
from callcenter.calls.windows import Wish
from callcenter.calls.wrap_up_fields import WrapUpField
from callcenter.media.plane import Clip
from callcenter.model.callback import Mode
from callcenter.model.customer import Match, normalise_number
from callcenter.model.customer import Rules as CustomerRules
from callcenter.model.dial_plan import DialPlan, country_code
from callcenter.model.followup import USUAL_RULES, FollowupRules
from callcenter.model.states import SupervisionMode


class DoNotCallRule(StrEnum):
    """What becomes of an agent who dials a number of the do-not-call list by hand: refused, or refused once."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Outbound:
    """How calls leave the house in a company's name: by ``trunks``, in this order, showing ``caller_id``.

    ``plan`` is how its agents write numbers. ``hidden``: whom we call is not shown the number. ``do_not_call``: what
    becomes of an agent who dials a number that is not to be called.
    """

    plan: DialPlan
    caller_id: str
    trunks: tuple[str, ...]
    hidden: bool = False
    do_not_call: DoNotCallRule = DoNotCallRule.REFUSE


# Who is preferred, beside an agent by name: the one who answered the caller last, the one who has promised them
# something that is still to be done, and the customer's own.
LAST_AGENT = "last_agent"
PROMISE = "promise"
CUSTOMERS_AGENT = "customer"


@dataclass(frozen=True, slots=True)
class Routing:
    """What a company's calls ask beyond what their queues do.

    ``languages`` and ``intents``: what the agent must know for a call in this language, or with this intent.
    ``tiers``: points of priority for a customer of this account tier, if it is sure who calls.

    ``prefer``: agents, LAST_AGENT, PROMISE or CUSTOMERS_AGENT; the first of them that there is has ``prefer_for``
    seconds, from when the caller joined the line, to take the call before others may. LAST_AGENT is who talked last in
    the last handled call of the customer, or the number, that arrived within ``last_agent_within`` seconds. PROMISE is
    who has promised the caller what is due next of all that is still to be done for them.

    Who hangs up while waiting, or is cut off, and calls again by the same number within ``keep_place_for`` seconds has
    the place in line of before; 0: never.
    """

    languages: Mapping[str, Needs] = field(default_factory=dict)
    intents: Mapping[str, Needs] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)
    prefer: tuple[str, ...] = ()
    prefer_for: float = 20.0
    last_agent_within: float = 86_400.0
    keep_place_for: float = 120.0


# What costs more than a call, or is how others make money of ours: beginnings of numbers. No company calls them back
# unless its own rules name them. Premium rate, shared cost and the like by the national numbering plans; of +1 also the
# islands whose numbers look like any other of that country and are billed as calls abroad; satellites, and numbers that
# belong to no country (ITU-T E.164, shared country codes).
COSTLY: tuple[str, ...] = (
    "+1900", "+1242", "+1246", "+1264", "+1268", "+1284", "+1345", "+1441", "+1473", "+1649", "+1658", "+1664",
    "+1721", "+1758", "+1767", "+1784", "+1809", "+1829", "+1849", "+1868", "+1869", "+1876",
    "+3381", "+3382", "+3389",
    "+34803", "+34806", "+34807", "+34905", "+34907",
    "+39199", "+39892", "+39894", "+39895", "+39899",
    "+4470", "+4484", "+4487", "+449", "+44118",
    "+49118", "+49137", "+49180", "+49190", "+49900",
    "+52900",
    "+55300", "+55500", "+55900",
    "+351601", "+351607", "+35164", "+35165", "+351707", "+351708", "+35176",
    "+870", "+878", "+881", "+882", "+883", "+888", "+979",
)  # fmt: skip


class Missed(StrEnum):
    """What becomes of a callback whose window passed: the ``NEXT`` moment that is allowed, or it has ``EXPIRED``."""

    NEXT = "next"
    EXPIRE = "expire"


class RingsIn(StrEnum):
    """What becomes of a callback that is planned when the customer rings in first, and talks to somebody.

    ``MERGE``: it is done with, and the agent has seen what it was about. ``KEEP``: they are called all the same.
    """

    MERGE = "merge"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """Which numbers a company calls back, and how.

    ``outside`` and ``never`` are beginnings of numbers in E.164, of which the longest that fits counts. The customer is
    dialled ``tries`` times, and ``tries_per_day`` of the customer's days, each for ``ring_for`` seconds at most, with
    ``spacing`` seconds from one that came to nothing to the next, or those of ``spacing_by`` its cause. One caller has
    ``per_caller`` callbacks at once at other numbers than the own at most, and one number ``per_day`` in 24 hours.

    ``hours`` names the opening hours, by the customer's clocks, outside of which nobody is called back; empty: only
    those of the queue count. ``mode`` holds where nobody says otherwise, as does ``preview``: an agent has
    ``preview_for`` seconds to accept whom he is shown, and is not asked again for ``preview_again``. Those that have
    ended are kept for ``keep_for`` seconds.
    """

    outside: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    tries: int = 3
    spacing: float = 300.0
    ring_for: float = 40.0
    per_caller: int = 3
    per_day: int = 5
    spacing_by: Mapping[str, float] = field(default_factory=dict)
    tries_per_day: int | None = None
    hours: str = ""
    missed: Missed = Missed.NEXT
    rings_in: RingsIn = RingsIn.MERGE
    mode: Mode = Mode.AGENT_FIRST
    preview: bool = False
    preview_for: float = 30.0
    preview_again: float = 600.0
    keep_for: float = 365 * 86_400.0

    def spaced(self, cause: str) -> float:
        """How long nobody is dialled after an attempt that came to nothing for this cause, in seconds."""
        return self.spacing_by.get(cause, self.spacing)

    @property
    def least_spacing(self) -> float:
        """The shortest of them."""
        return min((*self.spacing_by.values(), self.spacing))

    def permits(self, number: str) -> bool:
        """Whether this number in E.164 may be called back."""
        return DialRules(outside=self.outside, never=self.never).permits(number)

    @classmethod
    def at_home(cls, *own: str) -> CallbackRules:
        """What is safe without a word of the company's: the countries of its ``own`` numbers, and nothing costly."""
        countries = sorted({country_code(number) for number in own})
        return cls(outside=tuple(f"+{country}" for country in countries), never=COSTLY)


@dataclass(frozen=True, slots=True)
class FollowUpDemand:
    """A disposition is taken with a follow-up alone, if ``required``. ``due``: seconds from then on, where nobody says
    another time; None: somebody has to.
    """

    required: bool = True
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A company in whose name calls are answered. ``languages``: the first is spoken until another is chosen.

    ``zone`` is where its opening hours are meant, where they name no zone themselves. Without ``outbound`` no call
    leaves the house in its name, and without ``callbacks`` it calls nobody back. ``music`` is the piece that whoever
    is on hold hears where no queue has brought them; empty: the first that there is. ``in_talk`` are the flows that
    agents may have a customer go through while they talk, to enter something. ``wrap_up_fields`` are asked for after
    its talks, ``follow_ups`` by the dispositions that have to have one. ``customers``: how it keeps them. Without
    ``own_base`` they are in a system of its own alone, and our base is not asked who calls.
    """

    id: str
    name: str
    languages: tuple[str, ...]
    greeting: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo | None = None
    outbound: Outbound | None = None
    callbacks: CallbackRules | None = None
    routing: Routing = Routing()
    music: str = ""
    supervision: SupervisionRules = ALL_ALLOWED
    in_talk: tuple[str, ...] = ()
    followups: FollowupRules = USUAL_RULES
    wrap_up_fields: Mapping[str, WrapUpField] = field(default_factory=dict)
    follow_ups: Mapping[str, FollowUpDemand] = field(default_factory=dict)
    customers: CustomerRules = field(default_factory=CustomerRules)
    own_base: bool = True

    @property
    def language(self) -> str:
        """The language that a call begins in."""
        return self.languages[0]

    def speaks(self, language: str) -> str | None:
        """Which of our languages serves a customer of this one: itself, else one of its kind (en for en-GB)."""
        if language in self.languages:
            return language
        return next((each for each in self.languages if language and _base(each) == _base(language)), None)

    def greeting_for(self, language: str, agent: str) -> str:
        """What the agent named ``agent`` says first; in the client's first language when ``language`` has none."""
        text = self.greeting.get(language) or self.greeting.get(self.language, "")
        return text.replace("{agent}", agent)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that callers dial, in E.164, and the short forms that reach it too."""

    number: str
    client: str
    flow: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Say:
    """Play a prompt. With ``barge_in`` a key ends it; the key counts for the next menu either way (type-ahead)."""

    prompt: str
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key of a menu means. ``language``: speak this from now on; None: stay.

    ``repeat``: the menu is played again, and nothing else.
    """

    intent: str = ""
    language: str | None = None
    then: tuple[Step, ...] = ()
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Menu:
    """Play a prompt and take one key.

    ``timeout``: seconds to wait for a key after the prompt. ``retries``: how often it is asked again; ``invalid`` and
    ``no_input`` are prompts played before that (None: only the menu's own prompt again). ``otherwise``: the steps
    after the last try; the flow does not come back behind the menu from them, nor from a choice that ends the call.
    """

    id: str
    prompt: str
    choices: Mapping[str, Choice]
    timeout: float = 5.0
    retries: int = 2
    invalid: str | None = None
    no_input: str | None = None
    otherwise: tuple[Step, ...] = ()
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class Collect:
    """Play a prompt and take digits into the attribute ``into``.

    ``shortest`` to ``longest`` digits, ended by the ``terminator``, or by ``between`` seconds without a key; where both
    are the same, by the last digit. ``*``, unless it is the terminator, begins anew. ``first_digit``: seconds to wait
    for the first. ``retries``: how often it is asked again, after the prompt ``invalid`` or ``no_input``.

    ``mask``: what is entered is told nowhere, only how many digits it had. ``look_up``: it must be the account of a
    customer; ``not_found`` are the steps when the last try was nobody's. ``otherwise``: the steps after the last try;
    None: say ``goodbye`` and hang up. The flow goes on behind both.
    """

    id: str
    into: str
    prompt: str
    shortest: int = 1
    longest: int = 32
    terminator: str | None = "#"
    first_digit: float = 5.0
    between: float = 3.0
    retries: int = 2
    invalid: str | None = None
    no_input: str | None = None
    mask: bool = False
    look_up: bool = False
    not_found: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] | None = None
    goodbye: str | None = None
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Note attributes of the call: branches ask for them, agents see them, the record keeps them."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AddDoNotCall:
    """The caller is not to be called any more: their number comes onto the company's list, and a prompt says so."""

    prompt: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChooseLanguage:
    """Speak this language from now on; None: the customer's own, where it is known for sure and the company has it."""

    language: str | None


@dataclass(frozen=True, slots=True)
class AttributeIs:
    """An attribute has one of these ``values``, or begins with one of ``prefixes``, or ``there``: has any at all."""

    name: str
    values: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    there: bool | None = None


@dataclass(frozen=True, slots=True)
class CallerIs:
    """The caller's number is one of ``numbers``, or begins with one of ``prefixes``, or is ``anonymous`` or is not."""

    numbers: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    anonymous: bool | None = None


@dataclass(frozen=True, slots=True)
class CustomerIs:
    """How sure the customer is; when it is for sure, one of these tiers and languages. What is empty asks nothing."""

    matches: frozenset[Match] = frozenset()
    tiers: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LanguageIs:
    """The caller is served in one of these languages."""

    languages: frozenset[str]


@dataclass(frozen=True, slots=True)
class IntentIs:
    """What the caller chose last is one of these."""

    intents: frozenset[str]


@dataclass(frozen=True, slots=True)
class HoursAre:
    """The opening hours of this name stand so."""

    hours: str
    doors: frozenset[Door] = frozenset({Door.OPEN})


Condition = AttributeIs | CallerIs | CustomerIs | LanguageIs | IntentIs | HoursAre


@dataclass(frozen=True, slots=True)
class Case:
    """Steps, when every condition holds."""

    when: tuple[Condition, ...]
    then: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """The first case that holds, else ``otherwise``; the flow goes on behind it. ``id`` may be empty."""

    id: str
    cases: tuple[Case, ...]
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class AskHours:
    """Steps by how the opening hours stand; the flow goes on behind them."""

    hours: str
    then: Mapping[Door, tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class SubFlow:
    """Run another flow and come back."""

    flow: str


@dataclass(frozen=True, slots=True)
class GoTo:
    """Run another flow in place of the rest."""

    flow: str


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Wait in a queue for an agent. ``priority``: None takes the queue's. ``needs`` come beside what the queue asks.

    ``prefer`` and ``prefer_for`` stand in place of the client's, see :class:`Routing`; None takes those.

    ``on_timeout``: the steps after the queue's longest wait, or when the queue refuses the caller; empty: the steps
    behind this one. ``keys``: the steps after a key pressed while waiting; the place is given up. ``keep_place``: the
    place in line is that of the visit before, as if the caller had waited here all the time.
    """

    queue: str
    priority: int | None = None
    on_timeout: tuple[Step, ...] = ()
    keys: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    keep_place: bool = False
    needs: Needs = ()
    prefer: tuple[str, ...] | None = None
    prefer_for: float | None = None


@dataclass(frozen=True, slots=True)
class CallbackPrompts:
    """What is said to a caller who is to be called back; ids of prompts.

    ``confirm`` comes before the number, read out by ``digit`` (a prompt with ``{digit}`` in it), and ``choose`` behind
    it: 1 is right, 2 another number, star none. ``enter`` asks for a number, ``invalid`` is said of one that cannot be
    called, ``accepted`` before we hang up, ``unavailable`` when it cannot be done. ``connecting`` is what a customer
    hears who is called back before an agent is: that somebody comes to the phone at once. ``preview`` is what an agent
    hears who is to say whether they call: 1 does, 2 does not.
    """

    confirm: str = "callback-confirm"
    digit: str = "callback-digit"
    choose: str = "callback-choose"
    enter: str = "callback-enter"
    invalid: str = "callback-invalid"
    accepted: str = "callback-accepted"
    unavailable: str = "callback-unavailable"
    connecting: str = "callback-connecting"
    preview: str = "callback-preview"

    @property
    def all(self) -> tuple[str, ...]:
        """All that a caller hears who asks for it, the one with the digits too."""
        return (self.confirm, self.digit, self.choose, self.enter, self.invalid, self.accepted, self.unavailable)


@dataclass(frozen=True, slots=True)
class AskWhen:
    """Ask a caller when they want to be called back: a prompt, and what each key means."""

    prompt: str
    wishes: Mapping[str, Wish]


@dataclass(frozen=True, slots=True)
class AskCallback:
    """Have the caller called back when it is their turn in ``queue``, with the place kept, and hang up.

    The number is confirmed, or entered, within ``retries`` more tries of ``timeout`` seconds. ``prompts`` None: those
    of the settings. ``otherwise``: the steps when it comes to nothing; None: wait on in the queue, with the place kept.
    ``when``: they are asked first when they want it; None: at their turn.
    """

    queue: str
    prompts: CallbackPrompts | None = None
    timeout: float = 5.0
    retries: int = 2
    otherwise: tuple[Step, ...] | None = None
    when: AskWhen | None = None


@dataclass(frozen=True, slots=True)
class Hangup:
    """Play a last prompt, if there is one, and end the call."""

    prompt: str | None = None


Step = (
    Say
    | Menu
    | Collect
    | SetAttributes
    | AddDoNotCall
    | ChooseLanguage
    | Branch
    | AskHours
    | SubFlow
    | GoTo
    | ToQueue
    | AskCallback
    | Hangup
)


@dataclass(frozen=True, slots=True)
class Flow:
    """The steps of a call, one after the other; behind the last one the call is hung up."""

    id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class AnnounceWait:
    """The prompts that tell how long it may still take, which there are once for each range of ``acd.estimate``.

    ``under`` tells the end alone of a range that begins with nothing, ``between`` both ends of the others.
    """

    under: str
    between: str


@dataclass(frozen=True, slots=True)
class Announce:
    """What a waiting caller is told, ``first`` seconds after joining and then ``every`` so many.

    ``position``: the prompt of the place in line, which there is once for each of 1 to ``most``; ``beyond`` is said in
    its place to those further back. ``prompts`` are said in turn when there is no news of the place. ``wait``: how
    long it may still take is told too, when it is known well enough.
    """

    position: str | None = None
    first: float = 15.0
    every: float = 30.0
    most: int = 10
    beyond: str | None = None
    prompts: tuple[str, ...] = ()
    wait: AnnounceWait | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing is ever said."""
        return self.position is None and not self.prompts and self.wait is None


class OnClose(StrEnum):
    """What becomes of those who wait when a queue's hours end: they are served, or leave as who comes then."""

    SERVE = "serve"
    LEAVE = "leave"


PLACEHOLDERS = ("client", "queue", "intent", "language")
"""What a whisper may name: the company, the queue, what the caller wants, and the language they are served in."""


@dataclass(frozen=True, slots=True)
class QueueTreatment:
    """How a caller fares in a queue. ``music`` is the id of a piece, heard from an agent who holds, too.

    ``hours`` names the opening hours outside of which nobody may join; empty: always open. ``whisper`` is what an agent
    hears before the caller, by the agent's language: the ids of prompts, and ``{intent}`` or ``{language}`` where what
    is said is the caller's; nothing: both talk at once.
    """

    queue: str
    music: str
    announce: Announce | None = None
    hours: str = ""
    on_close: OnClose = OnClose.SERVE
    whisper: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    call_back_after: float | None = None
    """Who hangs up having waited so many seconds is called back; None: nobody is."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Every prompt and every piece of music as sound on disk, by prompt id and language."""

    texts: Mapping[tuple[str, str], tuple[Clip, ...]] = field(default_factory=dict)
    pieces: Mapping[str, tuple[Clip, ...]] = field(default_factory=dict)
    ringback: tuple[Clip, ...] = ()
    """What an agent hears while somebody's phone rings outside, as long as the carrier lets nothing be heard."""
    hold_tone: tuple[Clip, ...] = ()
    """What whoever lets somebody wait by an order hears meanwhile: a sign now and then that it is so."""

    def prompt(self, id: str, language: str) -> tuple[Clip, ...]:
        """The clips of a prompt. Raises KeyError for one that the configuration does not have."""
        return self.texts[id, language]

    def there(self, id: str, language: str) -> tuple[Clip, ...]:
        """The clips of a prompt; none for one that the configuration does not have."""
        return self.texts.get((id, language), ())

    def position(self, id: str, language: str, position: int) -> tuple[Clip, ...]:
        """The clips of a prompt with ``{position}`` in it, for one position. Raises KeyError."""
        return self.texts[position_of(id, position), language]

    def wait(self, id: str, language: str, low: int, high: int) -> tuple[Clip, ...]:
        """The clips of a prompt with ``{low}`` and ``{high}`` in it, for one range of minutes. Raises KeyError."""
        return self.texts[wait_of(id, low, high), language]

    def digits(self, id: str, language: str, digits: str) -> tuple[Clip, ...]:
        """The clips of a prompt with ``{digit}`` in it, for one digit after the other. Raises KeyError."""
        return tuple(clip for digit in digits for clip in self.texts[position_of(id, int(digit)), language])

    def music(self, id: str) -> tuple[Clip, ...]:
        """The clips of a piece of music, to be looped. Raises KeyError."""
        return self.pieces[id]

    def clips(self) -> Iterator[Clip]:
        """Every clip, for the media plane to prepare."""
        for clips in (*self.texts.values(), *self.pieces.values(), self.ringback, self.hold_tone):
            yield from clips


@dataclass(frozen=True, slots=True)
class BreakLimits:
    """What a break for one reason may be: the ``longest``, and all of a day together, in seconds; and how many agents
    may be out for it ``at_once``. None: no limit.

    Nobody is forced back: who is out too long is told of. Who would be one too many is refused. A break that goes on
    keeps the limits that it began with.
    """

    longest: float | None = None
    a_day: float | None = None
    at_once: int | None = None


NO_LIMITS = BreakLimits()


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Somebody who may command for agents, by a login of their own; ``clients``: for those who serve no others, None:
    for all.
    """

    id: str
    name: str
    clients: frozenset[str] | None = None
    agent: str = ""
    """As which agent she has a phone, by which she takes part in talks; empty: she has none."""


class ConsultDo(StrEnum):
    """What an agent may do in a talk about somebody else: ask them while the caller waits, change between the two, join
    all three, let the other go and be back with the caller, or put the caller through.
    """

    ASK = "consult"
    SWAP = "consult_swap"
    JOIN = "consult_join"
    DROP = "consult_drop"
    TRANSFER = "consult_transfer"


class CodeAction(StrEnum):
    """What an agent may order by dialling a code. ``STATE``: nothing, but hear how things stand. Behind those of
    ``WITH_TARGET`` follows whom they are about.
    """

    READY = "ready"
    NOT_READY = "not_ready"
    SIGN_OUT = "sign_out"
    WRAP_UP_DONE = "wrap_up_done"
    WRAP_UP_EXTEND = "wrap_up_extend"
    STATE = "state"
    RECORD_START = "record_start"
    RECORD_STOP = "record_stop"
    RECORD_PAUSE = "record_pause"
    RECORD_RESUME = "record_resume"
    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"
    CONSULT = "consult"
    CONSULT_SWAP = "consult_swap"
    CONSULT_JOIN = "consult_join"
    CONSULT_DROP = "consult_drop"
    CONSULT_TRANSFER = "consult_transfer"
    ENTRY_START = "entry_start"
    ENTRY_CANCEL = "entry_cancel"
    CALLBACK_ACCEPT = "callback_accept"
    CALLBACK_DECLINE = "callback_decline"


SUPERVISING = {
    CodeAction.LISTEN: SupervisionMode.LISTEN,
    CodeAction.WHISPER: SupervisionMode.WHISPER,
    CodeAction.BARGE: SupervisionMode.BARGE,
}
CONSULTING = {
    CodeAction.CONSULT: ConsultDo.ASK,
    CodeAction.CONSULT_SWAP: ConsultDo.SWAP,
    CodeAction.CONSULT_JOIN: ConsultDo.JOIN,
    CodeAction.CONSULT_DROP: ConsultDo.DROP,
    CodeAction.CONSULT_TRANSFER: ConsultDo.TRANSFER,
}
WITH_TARGET = frozenset({*SUPERVISING, CodeAction.CONSULT})


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """What a dialled code means; ``reason`` of being not ready, ``disposition`` of the call that is wrapped up, and the
    flow of an ``entry``.
    """

    action: CodeAction
    reason: str = ""
    disposition: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class DialRules:
    """What an agent may dial: other ``agents``, ``queues``, and numbers outside.

    ``outside`` and ``never`` are beginnings of numbers in E.164; of those that fit a number the longest counts.
    """

    agents: bool = True
    queues: bool = True
    outside: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def permits(self, number: str) -> bool:
        """Whether this number outside may be dialled."""
        allowed = max((len(each) for each in self.outside if number.startswith(each)), default=-1)
        return allowed > max((len(each) for each in self.never if number.startswith(each)), default=-1)


NO_RULES = DialRules()


def find_code(codes: Mapping[str, FeatureCode], dialled: str) -> tuple[FeatureCode, str] | None:
    """The code that was dialled, with whom it is about: what stands behind it, perhaps behind a star."""
    if (exact := codes.get(dialled)) is not None:
        return exact, ""
    for code, about in codes.items():
        if about.action in WITH_TARGET and dialled.startswith(code):
            return about, dialled.removeprefix(code).removeprefix("*").removesuffix("#")
    return None


@dataclass(frozen=True, slots=True)
class CallsSettings:
    """All that the scripts of calls go by. ``hours`` by name. ``intents``: what each means in a queue, by the queue's
    name, in place of what it means to the client. ``queue_fields`` are asked for after a queue's talks, by its name,
    beside those of the client.

    ``may_dial`` by agent; ``agent_extensions`` and ``queue_extensions``: whom a short number reaches. In the name of
    which client a number outside is dialled: ``dial_prefixes`` of those that stand behind a prefix, ``home_clients`` by
    agent of all others.
    ``reasons`` for being not ready, with what each means in words; ``break_limits`` of those that have some.
    ``supervisors`` by their logins. ``auto_answer``: agents whose phones are asked to take what is offered by
    themselves. ``feature_codes`` by what an agent dials;
    ``agent_languages`` is what each agent hears then. ``agent_codecs``: the only ones that an agent's phones are to
    have, in this order, where that is set.
    ``pop_wait``: seconds that an agent's INVITE waits for the broker's acknowledgement of the screen pop.
    ``max_calls``: calls at once; one more is answered 503.
    """

    clients: Mapping[str, Client] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    treatments: Mapping[str, QueueTreatment] = field(default_factory=dict)
    hours: Mapping[str, Hours] = field(default_factory=dict)
    prompts: Prompts = field(default_factory=Prompts)
    reasons: Mapping[str, str] = field(default_factory=dict)
    break_limits: Mapping[str, BreakLimits] = field(default_factory=dict)
    supervisors: Mapping[str, Supervisor] = field(default_factory=dict)
    auto_answer: frozenset[str] = frozenset()
    feature_codes: Mapping[str, FeatureCode] = field(default_factory=dict)
    agent_languages: Mapping[str, str] = field(default_factory=dict)
    agent_codecs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may_dial: Mapping[str, DialRules] = field(default_factory=dict)
    agent_extensions: Mapping[str, str] = field(default_factory=dict)
    queue_extensions: Mapping[str, str] = field(default_factory=dict)
    dial_prefixes: Mapping[str, str] = field(default_factory=dict)
    home_clients: Mapping[str, str] = field(default_factory=dict)
    intents: Mapping[str, Mapping[str, Needs]] = field(default_factory=dict)
    queue_fields: Mapping[str, Mapping[str, WrapUpField]] = field(default_factory=dict)
    callback_prompts: CallbackPrompts = CallbackPrompts()
    recording: RecordingSettings = NOBODY
    pop_wait: float = 0.15
    max_calls: int = 400
    dial_rules: frozenset[DialRules] = field(init=False, repr=False, compare=False)
    """Each of the rules of ``may_dial`` once: they are looked at for whoever calls, strangers too."""
    extension_lengths: frozenset[int] = field(init=False, repr=False, compare=False)
    """How many digits extensions have."""
    preferred: frozenset[str] = field(init=False, repr=False, compare=False)
    """Everybody whom some step of a flow prefers."""

    def __post_init__(self) -> None:
        """Note what is asked of every INVITE."""
        extensions = (*self.agent_extensions, *self.queue_extensions)
        object.__setattr__(self, "dial_rules", frozenset(self.may_dial.values()))
        object.__setattr__(self, "extension_lengths", frozenset(map(len, extensions)))
        steps = (step for flow in self.flows.values() for step in all_steps(flow.steps))
        preferred = (step.prefer or () for step in steps if isinstance(step, ToQueue))
        object.__setattr__(self, "preferred", frozenset(word for words in preferred for word in words))

    def find_number(self, dialled: str) -> Number | None:
        """The number that was dialled: in full, without its plus, with ``00`` for it, or by an alias."""
        wanted = normalise_number(dialled)
        found = self.numbers.get(wanted) or self.numbers.get("+" + wanted)
        if found is not None:
            return found
        return next((each for each in self.numbers.values() if wanted in each.aliases), None)


def all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """These steps, and all that stand within them."""
    for step in steps:
        yield step
        within: list[tuple[Step, ...]] = []
        match step:
            case Menu(choices=choices, otherwise=otherwise):
                within = [*(choice.then for choice in choices.values()), otherwise]
            case Collect(not_found=not_found, otherwise=after):
                within = [not_found, after or ()]
            case Branch(cases=cases, otherwise=otherwise):
                within = [*(case.then for case in cases), otherwise]
            case AskHours(then=then):
                within = list(then.values())
            case ToQueue(on_timeout=on_timeout, keys=keys):
                within = [on_timeout, *keys.values()]
            case AskCallback(otherwise=otherwise_):
                within = [otherwise_ or ()]
            case _:
                pass
        for inner in within:
            yield from all_steps(inner)


def position_of(id: str, position: int) -> str:
    """Under which id a prompt stands for one position, or digit; no prompt of the configuration may be named so."""
    return f"{id}/{position}"


def said_of(text: str) -> str:
    """Under which id a piece of a whisper stands that is the same for all callers."""
    return f"said/{text}"


def intent_of(intent: str) -> str:
    """Under which id the words for an intent stand."""
    return f"intent/{intent}"


def language_of(language: str) -> str:
    """Under which id the name of a language stands."""
    return f"language/{language}"


def wait_of(id: str, low: int, high: int) -> str:
    """Under which id a prompt stands for one range of minutes."""
    return f"{id}/{low}-{high}"


def _base(language: str) -> str:
    return language.partition("-")[0]
