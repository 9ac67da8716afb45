"""Call: one caller's call: who and which company, what was asked, its parties, its facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from callcenter.calls.dispatcher import HowLeft
from callcenter.calls.party import Party
from callcenter.calls.services import Services
from callcenter.calls.settings import Client, Number
from callcenter.calls.sound import Sound
from callcenter.media.plane import Clip
from callcenter.model.customer import Customer, Match
from callcenter.model.facts import Body, CallEnded
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side, VisitOutcome
from callcenter.signaling.leg import EndedBy, Leg


@dataclass(frozen=True, slots=True)
class CallerKnown:
    """What the customer base says of the caller. ``recent``: their last interactions, the latest first."""

    match: Match = Match.NONE
    customers: tuple[Customer, ...] = ()
    recent: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class Captured:
    """What the flow has learnt from the caller."""

    language: str
    intent: str = ""
    menus: list[tuple[str, str]] = field(default_factory=list)


class Call:
    """One inbound call. Its script acquires; :meth:`close` gives everything back without waiting."""

    def __init__(self, call_id: str, client: Client, number: Number, leg: Leg, services: Services) -> None:
        self.id = call_id
        self.client = client
        self.number = number
        self.services = services
        self.caller = Party(Side.CALLER, leg, Sound())
        self.captured = Captured(client.language)
        self.known = CallerKnown()
        self.ending: Ending | None = None
        self.stage = "arriving"

    @property
    def from_number(self) -> str:
        """The caller's number as it was signalled."""
        return self.caller.leg.remote_number

    def add(self, body: Body) -> None:
        """Tell a fact of this call."""
        self.services.stream.append(body, self.id)

    def prompt(self, name: str) -> tuple[Clip, ...]:
        """The clips of a prompt in the caller's language."""
        return self.services.settings.prompts.prompt(name, self.captured.language)

    def end(self, ending: Ending) -> None:
        """Note who ended the call and why; the first word counts."""
        if self.ending is None:
            self.ending = ending

    def how_left(self) -> HowLeft:
        """What it is for the queue when the script is left here and now: the caller hung up, or we failed them."""
        if self.caller.leg.ended.done() and self.ending is None:
            return HowLeft(Side.CALLER, EndCause.HANGUP, VisitOutcome.ABANDONED)
        if self.caller.sound.trouble.done():
            return HowLeft(Side.SYSTEM, EndCause.MEDIA_TIMEOUT, VisitOutcome.LOST, "media")
        if self.ending is not None:
            return HowLeft(self.ending.by, self.ending.cause, VisitOutcome.LOST, self.ending.cause.value)
        return HowLeft(Side.SYSTEM, EndCause.ERROR, VisitOutcome.LOST, "error")

    def close(self) -> None:
        """Hang up, give everything back, and tell the end. Never waits."""
        ending = self.ending or self._ended_by_leg()
        self.caller.leg.hangup(status=ending.sip_status or None, reason=ending.detail or None)
        self.caller.close()
        # Told through the dispatcher, so that it stands behind the end of the visit and of the agent's leg.
        self.services.dispatcher.note(CallEnded(ending.by, ending.cause, ending.sip_status, ending.detail), self.id)

    def __repr__(self) -> str:
        return f"<Call {self.id[-6:]} {self.from_number} -> {self.number.number} {self.stage}>"

    def _ended_by_leg(self) -> Ending:
        leg = self.caller.leg
        if not leg.ended.done():
            return Ending(Side.SYSTEM, EndCause.ERROR, 500, "the script left no ending")
        ended = leg.ended.result()
        match ended.by:
            case EndedBy.PEER:
                cause = EndCause.HANGUP if leg.answered else EndCause.CANCELLED
                return Ending(Side.CALLER, cause, ended.status, ended.reason)
            case EndedBy.LOCAL:
                return Ending(Side.SYSTEM, EndCause.REJECTED, ended.status, ended.reason)
            case EndedBy.TIMEOUT | EndedBy.TRANSPORT:
                return Ending(Side.SYSTEM, EndCause.NETWORK, ended.status, ended.reason)
