"""What the ACD is told and what it answers: events in, effects out, one frozen value each.

An event that comes late, twice, or about something unknown is ignored; none raises. Times are seconds of the same
monotonic clock as the ``now`` of ``Acd.handle``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callcenter.acd.requirements import Needs, Requirement
from callcenter.acd.settings import Plan
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome

# Events


@dataclass(frozen=True, slots=True)
class Ticket:
    """A caller's place in a queue; ``id`` is the id of the visit.

    ``requirements`` add to the queue's; ``priority`` None takes the queue's; ``first_joined`` is the place kept from
    an earlier visit. With ``agent`` the visit is for this one agent: nobody else is a candidate, and what the queue
    requires does not count; an empty ``queue`` says that none brought it. It waits while he is at work, and ends when
    he does not take it. For ``prefer_for`` seconds since joining the agent ``prefer`` is the only candidate, while he
    can come; afterwards he is the first among equals.

    ``callback`` is the id of a callback: nobody is on the phone, who might be too many for the queue or have waited too
    long; in all else it stands in line as a caller does. An agent to whom it is offered is kept for ``reserve_for``
    seconds before his phone must ring: meanwhile the customer is dialled. It is not for those ``without``, who have
    declined it.

    ``closed``: it is outside the queue's hours, which the ACD does not know, and the caller is refused.

    The rest is for the record alone, and decides nothing: the visit's ``number`` in its call, from 1; ``place_of``, the
    visit whose place it goes on with; ``origins``, where what is asked comes from, as (who asks, what).
    """

    id: str
    call_id: str
    queue: str
    client: str
    requirements: Needs = ()
    priority: int | None = None
    first_joined: float | None = None
    agent: str = ""
    prefer: str = ""
    prefer_for: float = 0.0
    number: int = 0
    place_of: str = ""
    origins: tuple[tuple[str, str], ...] = ()
    callback: str = ""
    closed: bool = False
    reserve_for: float = 0.0
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A caller joins a queue: answered by offers, or by TicketRefused, or in the end by TicketExpired."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Leave:
    """The visit is over without a talk: ABANDONED (short or not: the core decides), FLOWED_OUT or LOST."""

    ticket_id: str
    outcome: VisitOutcome
    reason: str = ""

    def __post_init__(self) -> None:
        assert self.outcome in (VisitOutcome.ABANDONED, VisitOutcome.FLOWED_OUT, VisitOutcome.LOST), self.outcome


@dataclass(frozen=True, slots=True)
class Prioritised:
    """A waiting caller is to have another priority, by somebody's word; ``by`` says whose."""

    ticket_id: str
    priority: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class OfferRinging:
    """The agent's phone rings; ``ring_for`` counts from here."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    """The agent picked up. No deadline runs from here on: TalkEnded must follow, whatever happens."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class Connected:
    """Caller and agent hear each other: the visit is answered."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class OfferFailed:
    """The agent did not pick up. The caller goes back to the old place; with CALLER_GONE the visit is abandoned.

    Ignored after the pick-up: then TalkEnded tells the end.
    """

    offer_id: str
    result: OfferResult
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.result is not OfferResult.ACCEPTED, self.result


@dataclass(frozen=True, slots=True)
class Held:
    """One side put the other on hold."""

    offer_id: str
    by: Side


@dataclass(frozen=True, slots=True)
class Resumed:
    """The side that held took the other back."""

    offer_id: str
    by: Side


@dataclass(frozen=True, slots=True)
class TalkMoved:
    """The agent talks on in another call: whoever had him in the line handed him over. He owes what ``queue`` asks.

    It takes two who heard each other. What follows about the offer is told of the other call.
    """

    offer_id: str
    call_id: str
    queue: str = ""


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """The agent's leg is over. Before Connected the caller goes back to the old place, or (by CALLER) has abandoned."""

    offer_id: str
    by: Side
    cause: EndCause


@dataclass(frozen=True, slots=True)
class WrapUpDone:
    """The agent is through with the call.

    Where the client's dispositions are required, and in a mandatory wrap-up, it takes one; an unknown one is ignored.
    """

    agent_id: str
    disposition: str = ""
    by: str = "agent"


@dataclass(frozen=True, slots=True)
class DispositionGiven:
    """What the agent's talk comes to, said while it goes on or is wrapped up: the wrap-up ends with it.

    An unknown one is ignored, and so is one for another talk than that of ``offer_id``.
    """

    agent_id: str
    offer_id: str
    disposition: str
    by: str = "agent"
    why: str = ""


@dataclass(frozen=True, slots=True)
class WrapUpAsked:
    """The agent needs the time that an optional wrap-up has for who asks."""

    agent_id: str
    by: str = "agent"


@dataclass(frozen=True, slots=True)
class WrapUpExtended:
    """The agent needs more time; granted once."""

    agent_id: str
    by: str = "agent"


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    """The agent's phone came, went or is busy elsewhere; ``cause`` says why in words."""

    agent_id: str
    device: Device
    cause: str = ""


@dataclass(frozen=True, slots=True)
class IntentChosen:
    """The agent, or a supervisor, chose; kept for the end of the present work if there is any.

    Signing out takes a phone that does not talk yet out at once. ``by`` names who chose. ``lasts``: after so many
    seconds of being not ready, counted from when it begins, it is told that it has lasted as long as it may.
    """

    agent_id: str
    intent: Intent
    reason: str = ""
    by: str = "agent"
    lasts: float | None = None


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """Somebody changed who an agent is to the routing: what is None is as configured. It holds until it is told anew,
    over reloads too; callers who wait are offered by it at once.
    """

    agent_id: str
    skills: Mapping[str, int] | None
    clients: frozenset[str] | None
    queues: frozenset[str] | None
    by: str


@dataclass(frozen=True, slots=True)
class OwnCallBegan:
    """The agent dials: nobody is offered to him until OwnCallEnded, which must follow, whatever happens.

    What he does by it the ACD knows: beside a talk he consults, an offer that is out is taken back.
    """

    agent_id: str
    call_id: str


@dataclass(frozen=True, slots=True)
class OwnCallEnded:
    """A call that the agent dialled is over, however it went: he is back at what was before, or has chosen since."""

    agent_id: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The configuration changed. Callers keep their places and talks go on.

    Who waits asks at once what the queue asks now. Callers of a queue that is gone flow out; of one that has another
    name now they do so for ``queue_renamed``, and join that one on the same place. An agent who is gone is signed out
    when his work ends. Tell the ACD with DeviceChanged about the phones of agents who are new.
    """

    plan: Plan


AcdEvent = (
    Join
    | Leave
    | Prioritised
    | OfferRinging
    | OfferAccepted
    | Connected
    | OfferFailed
    | Held
    | Resumed
    | TalkMoved
    | TalkEnded
    | WrapUpDone
    | DispositionGiven
    | WrapUpAsked
    | WrapUpExtended
    | DeviceChanged
    | IntentChosen
    | RosterChanged
    | OwnCallBegan
    | OwnCallEnded
    | Reconfigured
)

# Effects


@dataclass(frozen=True, slots=True)
class Offer:
    """One caller for one agent. ``expires_at`` is when the reservation ends by itself if nobody picked up.

    ``generation`` grows with every offer of this ACD; what carries an older one for the same agent is stale.
    ``ticket_id``-try is the ``id``. ``waited`` is seconds since joining; ``skills`` what is asked of the agent,
    ``explanation`` why it is him, as JSON. ``together`` is how many agents are rung at once for this caller.
    """

    id: str
    ticket_id: str
    call_id: str
    queue: str
    agent_id: str
    epoch: int
    generation: int
    ring_for: float
    expires_at: float
    waited: float
    skills: tuple[Requirement, ...]
    why: tuple[str, ...]
    explanation: str = ""
    together: int = 1


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Ring this agent for this caller; tell how it goes by OfferRinging, OfferAccepted, OfferFailed."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class WithdrawOffer:
    """The offer is over: cancel or hang up the agent's leg. Only if he had picked up is TalkEnded still awaited."""

    offer_id: str
    ticket_id: str
    agent_id: str
    result: OfferResult


@dataclass(frozen=True, slots=True)
class TicketExpired:
    """The visit flowed out: the longest wait was reached, nobody is there, the queue is gone, or the one agent does not
    take it.

    ``action`` is what the queue says that comes after (``QueueSettings.action``); empty: go on behind the queue.
    """

    ticket_id: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class TicketRefused:
    """The caller could not join: ``full``, ``closed``, an absence as ``nobody_ready``, ``unknown_queue``, or what the
    one agent lacks, as ``signed_out``.

    The visit has ended. ``action`` as in TicketExpired.
    """

    ticket_id: str
    action: str
    reason: str


AcdEffect = MakeOffer | WithdrawOffer | TicketExpired | TicketRefused
