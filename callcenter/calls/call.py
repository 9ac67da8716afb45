"""Call: one caller's call: who and which company, what was asked, its parties, its facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from callcenter.acd.events import Ticket
from callcenter.calls.dispatcher import HowLeft
from callcenter.calls.line import Line
from callcenter.calls.party import Party
from callcenter.calls.services import Services
from callcenter.calls.settings import Client, Number, ToQueue
from callcenter.calls.sound import Sound, Trouble
from callcenter.media.plane import Clip, MediaLost
from callcenter.model.callback import Callback
from callcenter.model.customer import Customer, Match
from callcenter.model.facts import Body, CallEnded, LanguageChosen
from callcenter.model.followup import Followup
from callcenter.model.interaction import Ending
from callcenter.model.note import Note
from callcenter.model.states import Direction, EndCause, Side, VisitOutcome
from callcenter.signaling.leg import EndedBy, Leg, LegEnded

if TYPE_CHECKING:
    from callcenter.calls.entry import Entry
    from callcenter.calls.recorded_talk import RecordedTalk
    from callcenter.calls.screen_pop import SentPop
    from callcenter.calls.transfer import Handover, OutsideTalk, Talk

# A script that is left without a word, and nothing else has ended.
LEFT_OPEN = Ending(Side.SYSTEM, EndCause.ERROR, 500, "the script left no ending")

CRM = "crm"
CRM_ACCOUNT = "crm_account"
"""By what a company's CRM knew the caller: their number, or the account that they entered."""


@dataclass(frozen=True, slots=True)
class CallerKnown:
    """What the customer base says of the caller. ``recent``: their last interactions, the latest first.

    ``last_agent`` answered them last; empty: nobody, or nobody wants to know. ``note`` is the last one of them.
    ``open_followups`` counts what is still to be done for them, of which ``followups`` are the next. ``by``: what
    they are known by, number or account, in our own base, or by the company's CRM.
    """

    match: Match = Match.NONE
    customers: tuple[Customer, ...] = ()
    recent: tuple[dict[str, Any], ...] = ()
    last_agent: str = ""
    note: Note | None = None
    open_followups: int = 0
    followups: tuple[Followup, ...] = ()
    by: str = ""

    @property
    def customer(self) -> Customer | None:
        """Who calls, when that is sure: who it may be is not who it is."""
        return self.customers[0] if self.match is Match.SURE and self.customers else None

    @property
    def promised_by(self) -> str:
        """The agent who has promised them what is due next: who made it, else whose it is; empty where nobody has."""
        return next((each.made_by or each.agent for each in self.followups if each.made_by or each.agent), "")


@dataclass(slots=True)
class Captured:
    """What the flow has learnt from the caller.

    ``attributes`` are as branches ask for them; ``told``, and ``entered`` by menu and attribute, as agents and records
    may see them: stars stand there for what is masked.
    """

    language: str
    intent: str = ""
    menus: list[str] = field(default_factory=list)
    entered: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict, repr=False)
    told: dict[str, str] = field(default_factory=dict)


class Call:
    """One call. Its script acquires; :meth:`close` gives everything back without waiting.

    ``agent`` is who dialled, where the caller is one of ours. ``callback`` is what the call carries out, where the
    caller is a customer who is called back, and whom nobody dials before an agent has picked up.

    ``settings`` are those in force when the call arrived: a reload does not change a call under way, unless a queue
    sends the caller where only the new ones lead (:meth:`renew`).
    """

    # So many are too many for a dictionary that shares its keys with those of other calls: 1.6 kB each.
    __slots__ = (
        "__weakref__",
        "_draw",
        "_stage",
        "agent",
        "callback",
        "caller",
        "captured",
        "client",
        "direction",
        "ending",
        "entry",
        "handover",
        "id",
        "known",
        "line",
        "number",
        "outside",
        "parting",
        "pops",
        "promised",
        "recorded",
        "recordings",
        "sent_on",
        "services",
        "settings",
        "since",
        "stage_since",
        "talk",
        "ticket",
        "visits",
        "waits_by",
    )

    def __init__(
        self,
        call_id: str,
        client: Client,
        number: Number,
        leg: Leg,
        services: Services,
        *,
        direction: Direction = Direction.INBOUND,
        agent: str = "",
        callback: Callback | None = None,
    ) -> None:
        self.id = call_id
        self.direction = direction
        self.agent = agent
        self.callback = callback
        # What we had planned to call them for, who have rung in before.
        self.promised: Callback | None = None
        self.client = client
        self.number = number
        self.services = services
        self.settings = services.settings
        self.caller = Party(Side.CALLER, leg, Sound())
        self.captured = Captured(client.language)
        self.known = CallerKnown()
        self.line: Line | None = None
        # How many visits to queues there were so far.
        self.visits = 0
        # When each queue sent the caller on to another one last (monotonic).
        self.sent_on: dict[str, float] = {}
        # The step by which the caller waits, or waited last, and the ticket that came of it.
        self.waits_by: ToQueue | None = None
        self.ticket: Ticket | None = None
        self.ending: Ending | None = None
        # With whom the caller talks; an agent who handed them over, until it is known how that goes; and until that
        # phone has hung up.
        self.talk: Talk | None = None
        self.outside: OutsideTalk | None = None
        # What the customer is asked to enter while they talk.
        self.entry: Entry | None = None
        self.handover: Handover | None = None
        self.parting: Handover | None = None
        # What may be recorded of the talk, while there is one, and how many recordings were begun so far.
        self.recorded: RecordedTalk | None = None
        # The last pop that each agent's screen was sent of this call.
        self.pops: dict[str, SentPop] = {}
        self.recordings = 0
        self._draw: float | None = None
        self.since = services.clock.monotonic()
        self.stage = "arriving"

    @property
    def stage(self) -> str:
        """Where the call is in its story, in words."""
        return self._stage

    @stage.setter
    def stage(self, words: str) -> None:
        self._stage = words
        self.stage_since = self.services.clock.monotonic()

    @property
    def draw(self) -> float:
        """A number from 0 to 1 by which the call is among a share of all, or not."""
        if self._draw is None:
            self._draw = self.services.recordings.draw()
        return self._draw

    @property
    def from_number(self) -> str:
        """The caller's number as it was signalled."""
        return self.caller.leg.remote_number

    @property
    def from_name(self) -> str:
        """The caller's name: as it was signalled, or of one of ours as we know it."""
        ours = self.services.dispatcher.acd.plan.agents.get(self.agent)
        return ours.name if ours is not None else self.caller.leg.remote_name

    @property
    def shown_name(self) -> str:
        """What an agent's phone shows beside the number: for which company to answer, or which colleague it is."""
        return self.from_name if self.agent else self.client.name

    def add(self, body: Body) -> None:
        """Tell a fact of this call."""
        self.services.stream.append(body, self.id)

    def show_again(self) -> None:
        """More is known of the caller: show it to the agents whose phones ring for them, or who talk with them."""
        acd = self.services.dispatcher.acd
        for agent, pop in self.pops.items():
            view = acd.agent(agent)
            if view is not None and view.call_id == self.id:
                pop.renew()

    def prompt(self, name: str) -> tuple[Clip, ...]:
        """The clips of a prompt in the caller's language."""
        return self.settings.prompts.prompt(name, self.captured.language)

    def renew(self) -> bool:
        """Go on by the settings in force now; False, and nothing changes, when they have no such company any more."""
        client = self.services.settings.clients.get(self.client.id)
        if client is None:
            return False
        self.settings, self.client = self.services.settings, client
        if self.captured.language not in client.languages:
            self.captured.language = client.language
            self.add(LanguageChosen(client.language))
        return True

    def end(self, ending: Ending) -> None:
        """Note who ended the call and why; the first word counts."""
        if self.ending is None:
            self.ending = ending

    def give_up(self, ending: Ending) -> None:
        """End the call from outside of its script. Never waits; does nothing when it has ended."""
        self.end(ending)
        self.caller.leg.hangup(status=ending.sip_status or None, cause=ending.detail)

    def how_left(self) -> HowLeft:
        """What it is for the queue when the script is left here and now: the caller hung up, or we failed them."""
        ending = self.ending or self.ended_outside() or LEFT_OPEN
        if ending.by is Side.CALLER:
            return HowLeft(ending.by, ending.cause, VisitOutcome.ABANDONED)
        return HowLeft(ending.by, ending.cause, VisitOutcome.LOST, ending.cause.value)

    def ended_outside(self) -> Ending | None:
        """How the call ended beside its script: with the caller's leg, or their sound. None while both are up."""
        ended, trouble = self.caller.leg.ending, self.caller.sound.trouble
        if ended is not None:
            return ended_with_leg(ended, answered=self.caller.leg.answered)
        return sound_gone(trouble.result(), self.caller.sound.source) if trouble.done() else None

    def close(self) -> None:
        """Hang up, give everything back, and tell the end. Never waits."""
        ending = self.ending or self.ended_outside() or LEFT_OPEN
        self.caller.leg.hangup(status=ending.sip_status or None, reason=ending.detail or None)
        self.caller.close()
        for handover in (self.handover, self.parting):
            if handover is not None:
                handover.close()
        self.handover = self.parting = None  # they hold us
        self.pops.clear()  # and so do these
        # Told through the dispatcher, so that it stands behind the end of the visit and of the agent's leg.
        self.services.dispatcher.note(CallEnded(ending.by, ending.cause, ending.sip_status, ending.detail), self.id)

    def __repr__(self) -> str:
        return f"<Call {self.id[-6:]} {self.from_number} -> {self.number.number} {self.stage}>"


def ended_with_leg(ended: LegEnded, *, answered: bool) -> Ending:
    """The ending of a call whose caller's leg is over."""
    match ended.by:
        case EndedBy.PEER:
            cause = EndCause.HANGUP if answered else EndCause.CANCELLED
            return Ending(Side.CALLER, cause, ended.status, ended.reason)
        case EndedBy.LOCAL:
            return Ending(Side.SYSTEM, EndCause.REJECTED, ended.status, ended.reason)
        case EndedBy.TIMEOUT | EndedBy.TRANSPORT:
            return Ending(Side.SYSTEM, EndCause.NETWORK, ended.status, ended.reason)


def sound_gone(trouble: Trouble, source: str) -> Ending:
    """The ending of a call whose caller's sound, which came from ``source``, is gone for good."""
    if isinstance(trouble, MediaLost):
        return Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 0, f"{trouble.detail}, and with it the sound of this call")
    since = f"any more, for {trouble.seconds:.0f} s; it had come from {source}"
    never = f"at all, for {trouble.seconds:.0f} s"
    return Ending(Side.SYSTEM, EndCause.MEDIA_TIMEOUT, 0, f"no sound came from the caller {since if source else never}")
