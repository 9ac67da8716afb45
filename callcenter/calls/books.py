"""Books: folds each call's facts into its interaction and has it saved with the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from callcenter.model.facts import (
    AgentLegEnded,
    AgentTookOver,
    CallAnswered,
    CallArrived,
    CallConnected,
    CallEnded,
    CallQueued,
    DispositionChosen,
    DispositionCorrected,
    Draft,
    Fact,
    FieldsWritten,
    NoteWritten,
    OfferEnded,
    OfferMade,
    OutsideConnected,
    OutsideLegEnded,
    QueueLeft,
    RecordingEnded,
    RecordingFailed,
    WrapUpEnded,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome

# Ended calls whose wrap-up, or whose recording's end, is awaited. A queue without wrap-up never tells its end: the
# oldest are let go.
MAX_AWAITING_WRAP_UP = 2000


class Books:
    """A reader of facts. ``save`` is told the interaction when the call ends, and again when the wrap-up does, when the
    file of a recording is whole, and when somebody says more of the call, or corrects what was said.
    """

    def __init__(self, save: Callable[[Interaction], None]) -> None:
        self._save = save
        self._open: dict[str, list[Fact]] = {}
        self._ended: dict[str, list[Fact]] = {}

    @property
    def open_calls(self) -> int:
        """Calls that have not ended yet."""
        return len(self._open)

    def knows(self, call_id: str) -> bool:
        """Whether more is expected of a call: it is up, or its wrap-up or a recording is not over."""
        return call_id in self._open or call_id in self._ended

    def so_far(self, call_id: str) -> Interaction | None:
        """What a call comes to by now; None for one of which nothing more is expected (:meth:`knows`)."""
        facts = self._open.get(call_id) or self._ended.get(call_id)
        return Interaction.from_facts(facts) if facts else None

    def reopen(self, facts: Sequence[Fact]) -> None:
        """More will be told of a call that has ended: these are its facts, all of them."""
        call_id = facts[0].call_id if facts else None
        if call_id is not None and not self.knows(call_id):
            self._await_the_rest(call_id, list(facts))

    def forget(self, call_id: str) -> None:
        """What is known here of a call that has ended is no more so: whoever says more of it has it reopened."""
        self._ended.pop(call_id, None)

    def take(self, fact: Fact) -> None:
        """Read one fact."""
        if fact.call_id is None:
            return
        if isinstance(fact.body, CallArrived):
            self._open[fact.call_id] = [fact]
            return
        facts = self._open.get(fact.call_id) or self._ended.get(fact.call_id)
        if facts is None:
            return
        facts.append(fact)
        match fact.body:
            case CallEnded():
                del self._open[fact.call_id]
                interaction = Interaction.from_facts(facts)
                self._save(interaction)
                if interaction.legs or interaction.records:
                    self._await_the_rest(fact.call_id, facts)
            case (
                WrapUpEnded()
                | RecordingEnded()
                | RecordingFailed()
                | NoteWritten()
                | DispositionChosen()
                | DispositionCorrected()
                | FieldsWritten()
            ) if fact.call_id in self._ended:
                interaction = Interaction.from_facts(facts)
                self._save(interaction)
                wrapped_up = {each.body.offer for each in facts if isinstance(each.body, WrapUpEnded)}
                if all(leg.offer in wrapped_up for leg in interaction.legs) and not interaction.records:
                    del self._ended[fact.call_id]
            case _:
                pass

    def take_up(self, facts: Iterable[Fact]) -> None:
        """Read the facts of an earlier boot's unfinished call, to be closed by :func:`closing_facts`."""
        for fact in facts:
            self.take(fact)

    def _await_the_rest(self, call_id: str, facts: list[Fact]) -> None:
        self._ended[call_id] = facts
        if len(self._ended) > MAX_AWAITING_WRAP_UP:
            del self._ended[next(iter(self._ended))]


def closing_facts(facts: Iterable[Fact], alive_ms: int) -> list[Draft]:
    """What a restart has to tell of a call that the last boot left unfinished.

    ``alive_ms`` is the last sign of life of that boot, on its own clock. Nothing, when only the record was not saved.
    """
    call_id: str | None = None
    visits: dict[str, str] = {}
    offers: dict[str, OfferMade] = {}
    talking: dict[str, str] = {}
    outside: dict[str, None] = {}
    # A callback that was in line is not lost: it goes on with another visit, on the same place.
    called_back = False
    for fact in facts:
        call_id = fact.call_id
        match fact.body:
            case CallArrived(callback=callback):
                called_back = bool(callback)
            case CallAnswered():
                called_back = False
            case CallQueued(visit=visit, queue=queue):
                visits[visit] = queue
            case QueueLeft(visit=visit):
                visits.pop(visit, None)
            case OfferMade() as offer:
                offers[offer.offer] = offer
            case OfferEnded(offer=offer_id):
                offers.pop(offer_id, None)
            case CallConnected(visit=visit, offer=offer_id, agent=agent):
                visits.pop(visit, None)
                talking[offer_id] = agent
            case AgentTookOver(offer=offer_id, agent=agent):
                talking[offer_id] = agent
            case AgentLegEnded(offer=offer_id):
                talking.pop(offer_id, None)
            case OutsideConnected(leg=leg):
                outside[leg] = None
            case OutsideLegEnded(leg=leg):
                outside.pop(leg, None)
            case CallEnded():
                return []
            case _:
                pass
    bodies: list[OfferEnded | AgentLegEnded | OutsideLegEnded | QueueLeft | CallEnded] = [
        OfferEnded(offer.visit, offer.offer, offer.agent, OfferResult.LOST_RACE, "switch restarted")
        for offer in offers.values()
    ]
    bodies += [AgentLegEnded(offer, agent, Side.SYSTEM, EndCause.RESTART) for offer, agent in talking.items()]
    bodies += [OutsideLegEnded(leg, Side.SYSTEM, EndCause.RESTART) for leg in outside]
    outcome = VisitOutcome.FLOWED_OUT if called_back else VisitOutcome.LOST
    bodies += [QueueLeft(visit, queue, outcome, "restart") for visit, queue in visits.items()]
    bodies.append(CallEnded(Side.SYSTEM, EndCause.RESTART, 0, "the switch was restarted", alive_ms))
    return [Draft(body, call_id) for body in bodies]
