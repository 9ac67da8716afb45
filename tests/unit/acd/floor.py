"""A small floor for the tests: an Acd, its clock, its log, and what must hold at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

from callcenter.acd.agents import AgentView
from callcenter.acd.core import Acd
from callcenter.acd.events import (
    AcdEffect,
    AcdEvent,
    Connected,
    DeviceChanged,
    IntentChosen,
    Join,
    Leave,
    MakeOffer,
    Offer,
    OfferAccepted,
    OfferRinging,
    OwnCallBegan,
    OwnCallEnded,
    Reconfigured,
    TalkEnded,
    Ticket,
    WithdrawOffer,
)
from callcenter.acd.queue import TicketView
from callcenter.acd.requirements import AllOf, Need, Needs, Requirement
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, Strategy, WrapUpSettings
from callcenter.model.facts import (
    AgentStateChanged,
    CallQueued,
    Decision,
    Draft,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
)
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work
from tests.unit.acd.checker import Checker

BodyT = TypeVar("BodyT")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
START = 1000.0

AMY = AgentSettings("amy", "Amy", {"english": 5}, frozenset({"acme"}))
BOB = AgentSettings("bob", "Bob", {"english": 3}, frozenset({"acme"}))
SALES = QueueSettings(
    "sales",
    "acme",
    (Requirement("english", 2),),
    max_wait=120.0,
    on_max_wait="sorry",
    wrap_up=WrapUpSettings(),
    strategy=Strategy.BEST_SKILL,
)


def plan(*settings: QueueSettings | AgentSettings) -> Plan:
    """A plan of these queues and agents; by default the sales queue with Amy (english 5) and Bob (english 3)."""
    chosen = settings or (SALES, AMY, BOB)
    return Plan(
        queues={each.id: each for each in chosen if isinstance(each, QueueSettings)},
        agents={each.id: each for each in chosen if isinstance(each, AgentSettings)},
    )


class Middle(Random):
    """A lot that always falls on the middle, so that two floors in the same state draw alike."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert stop is None
        return start // 2


class Floor:
    """An Acd that keeps its facts and effects, and checks itself after every decision."""

    def __init__(self, settings: Plan, *, ready: Iterable[str] = ()) -> None:
        self.acd = Acd(settings, random=Middle())
        self.now = START
        self.facts: list[Fact] = []
        self.effects: list[AcdEffect] = []
        self.made: dict[str, Offer] = {}
        self.checker = Checker(settings)
        self.reloaded = False
        for agent in ready:
            self.tell(DeviceChanged(agent, Device.REGISTERED, "registered"))

    def tell(self, event: AcdEvent) -> Decision[AcdEffect]:
        self.reloaded |= isinstance(event, Reconfigured)
        return self._keep(self.acd.handle(event, self.now))

    def sleep(self, seconds: float) -> None:
        """Let time pass; all that falls due on the way happens at its time."""
        until = round(self.now + seconds, 3)
        while (deadline := self.acd.deadline) is not None and deadline <= until:
            self.now = deadline
            self._keep(self.acd.expire(self.now))
        self.now = until

    def _keep(self, decision: Decision[AcdEffect]) -> Decision[AcdEffect]:
        self.checker.plan = self.acd.plan
        for draft in decision.facts:
            self.facts.append(numbered(len(self.facts) + 1, draft, self.now))
            self.checker.take(self.facts[-1])
        for effect in decision.effects:
            self.effects.append(effect)
            if isinstance(effect, MakeOffer):
                self.made[effect.offer.id] = effect.offer
        check(self)
        return decision

    # What people do

    def join(
        self,
        visit: str,
        queue: str = "sales",
        *,
        asked: Needs = (),
        priority: int | None = None,
        first_joined: float | None = None,
        agent: str = "",
        client: str = "acme",
        prefer: str = "",
        prefer_for: float = 0.0,
    ) -> None:
        place = (priority, first_joined, agent, prefer, prefer_for)
        self.tell(Join(Ticket(visit, f"call-{visit}", queue, client, asked, *place)))

    def ask_for(self, agent: str, visit: str, queue: str = "") -> None:
        """A colleague dials this agent by name, or (with a queue) a caller is passed on to him."""
        self.tell(Join(Ticket(visit, f"call-{visit}", queue, "acme" if queue else "", agent=agent)))

    def dial(self, agent: str, call: str) -> None:
        self.tell(OwnCallBegan(agent, call))

    def leave_off(self, agent: str, call: str) -> None:
        self.tell(OwnCallEnded(agent, call))

    def hang_up(self, visit: str) -> None:
        self.tell(Leave(visit, VisitOutcome.ABANDONED))

    def choose(self, agent: str, intent: Intent, reason: str = "") -> None:
        self.tell(IntentChosen(agent, intent, reason, by=agent))

    def phone(self, agent: str, device: Device) -> None:
        self.tell(DeviceChanged(agent, device))

    def answer(self, visit: str) -> str:
        """Whoever is offered this caller takes the call; the offer's id."""
        offer = self.offer_of(visit)
        self.tell(OfferRinging(offer))
        self.tell(OfferAccepted(offer))
        self.tell(Connected(offer))
        return offer

    def part(self, offer: str, by: Side = Side.CALLER) -> None:
        self.tell(TalkEnded(offer, by, EndCause.HANGUP))

    # What people see

    def agent(self, agent: str) -> AgentView:
        view = self.acd.agent(agent)
        assert view is not None, agent
        return view

    def ticket(self, visit: str) -> TicketView | None:
        for queue in self.queues():
            for ticket in self.acd.waiting(queue):
                if ticket.id == visit:
                    return ticket
        return None

    def queues(self) -> set[str]:
        return {body.queue for body in self.bodies(CallQueued)}

    def offered(self, visit: str) -> str:
        """Whom the caller is offered to; empty when to nobody."""
        ticket = self.ticket(visit)
        assert ticket is not None, f"{visit} does not wait"
        return ticket.agent

    def offer_of(self, visit: str) -> str:
        return self.agent(self.offered(visit)).offer

    def outcome(self, visit: str) -> tuple[VisitOutcome, str] | None:
        """How the visit ended, with its reason."""
        return next(((body.outcome, body.reason) for body in self.bodies(QueueLeft) if body.visit == visit), None)

    def results(self) -> list[tuple[str, OfferResult]]:
        return [(body.agent, body.result) for body in self.bodies(OfferEnded)]

    def withdrawn(self) -> list[tuple[str, OfferResult]]:
        return [(each.agent_id, each.result) for each in self.effects if isinstance(each, WithdrawOffer)]

    def bodies(self, kind: type[BodyT]) -> list[BodyT]:
        return [fact.body for fact in self.facts if isinstance(fact.body, kind)]

    def refolded(self) -> Acd:
        """A new Acd that learnt all from the log."""
        again = Acd(self.acd.plan, random=Middle())
        for fact in self.facts:
            again.apply(fact)
        return again


def numbered(seq: int, draft: Draft, now: float) -> Fact:
    """The fact that the fact stream would make of a draft."""
    return Fact(seq, EPOCH, "boot", round(now * 1000), draft.call_id, draft.body)


# What must hold after every decision, told from what others may see and from the log alone.


def check(floor: Floor) -> None:
    """Fails with a sentence when something does not hold."""
    agents = {view.id: view for view in floor.acd.agents()}
    tickets = {ticket.id: ticket for queue in floor.queues() for ticket in floor.acd.waiting(queue)}
    check_nobody_idle_beside_a_caller(floor.acd, agents.values(), tickets.values())
    check_offers(agents.values(), tickets.values())
    check_books(floor.facts, tickets)
    check_nobody_is_stuck(floor, agents.values())


def check_nobody_idle_beside_a_caller(acd: Acd, agents: Iterable[AgentView], tickets: Iterable[TicketView]) -> None:
    waiting = [ticket for ticket in tickets if not ticket.agent]
    for agent in agents:
        able = (agent.intent, agent.work, agent.device) == (Intent.READY, Work.IDLE, Device.REGISTERED)
        assert agent.available == (able and agent.until is None), f"{agent.id}: available is not what the state says"
        for ticket in waiting:
            assert not (agent.available and may_take(acd.who(agent.id), ticket)), (
                f"{agent.id} is free and {ticket.id} waits"
            )


def may_take(agent: AgentSettings, ticket: TicketView) -> bool:
    if ticket.only:
        return ticket.only == agent.id
    if ticket.preferred not in ("", agent.id):
        return False
    member = agent.queues is None or ticket.queue in agent.queues
    return member and ticket.client in agent.clients and all(meets(agent.skills, need) for need in ticket.asked)


def meets(skills: Mapping[str, int], need: Need) -> bool:
    if isinstance(need, Requirement):
        return skills.get(need.skill, 0) >= need.minimum
    return (all if isinstance(need, AllOf) else any)(meets(skills, each) for each in need.needs)


def check_offers(agents: Iterable[AgentView], tickets: Iterable[TicketView]) -> None:
    engaged = Counter(agent.offer for agent in agents if agent.offer)
    assert all(count == 1 for count in engaged.values()), f"one offer, two agents: {engaged}"
    taken = Counter(agent for ticket in tickets for agent in ticket.ringing)
    assert all(count == 1 for count in taken.values()), f"one agent, two callers: {taken}"
    for agent in agents:
        alone = agent.work in (Work.IDLE, Work.OUTBOUND)
        assert bool(agent.offer) == (not alone), f"{agent.id}: {agent.work} with offer {agent.offer!r}"
        assert alone or agent.intent is Intent.READY, f"{agent.id} works while {agent.intent}"
        dials = agent.work in (Work.OUTBOUND, Work.CONSULTING)
        assert bool(agent.own_calls) == dials or agent.work is Work.WRAP_UP, (
            f"{agent.id}: {agent.work} with own calls {agent.own_calls}"
        )
        if agent.work in (Work.RESERVED, Work.RINGING):
            assert agent.id in taken, f"{agent.id} is {agent.work} for nobody"
    on_the_phone = {agent.id for agent in agents if agent.work not in (Work.RESERVED, Work.RINGING)}
    for ticket in tickets:
        assert ticket.agent == (ticket.ringing[0] if ticket.ringing else "")
        assert not on_the_phone & set(ticket.ringing) or len(ticket.ringing) == 1, (
            f"{ticket.id} was picked up and rings on"
        )


def check_books(facts: list[Fact], tickets: dict[str, TicketView]) -> None:
    bodies = [fact.body for fact in facts]
    queued = [body.visit for body in bodies if isinstance(body, CallQueued)]
    left = [body.visit for body in bodies if isinstance(body, QueueLeft)]
    assert len(set(queued)) == len(queued), "a visit began twice"
    assert len(set(left)) == len(left), "a visit ended twice"
    assert set(queued) == set(left) | set(tickets), "offered is not answered, left and waiting"
    assert not set(left) & set(tickets), "a visit waits on after its end"
    made = [body.offer for body in bodies if isinstance(body, OfferMade)]
    over = [body.offer for body in bodies if isinstance(body, OfferEnded)]
    assert len(set(made)) == len(made), "an offer was made twice"
    assert len(set(over)) == len(over), "an offer ended twice"
    assert set(over) <= set(made), "an offer ended that was never made"


def check_nobody_is_stuck(floor: Floor, agents: Iterable[AgentView]) -> None:
    deadline = floor.acd.deadline
    assert deadline is None or round(deadline * 1000) > round(floor.now * 1000), "what was due did not happen"
    last = {fact.body.agent: fact.body for fact in floor.facts if isinstance(fact.body, AgentStateChanged)}
    for agent in agents:
        told = last.get(agent.id)
        if told is not None:
            assert (agent.intent, agent.reason, agent.work, agent.device, agent.offer, agent.own_calls) == (
                told.intent,
                told.reason,
                told.work,
                told.device,
                told.offer,
                told.own_calls,
            ), f"{agent.id} is not what the facts tell"
        if agent.work in (Work.RESERVED, Work.RINGING):
            assert deadline is not None, f"{agent.id} is {agent.work} without an end"
            assert deadline <= floor.made[agent.offer].expires_at, f"{agent.id} is {agent.work} beyond the lease"


def check_refold(floor: Floor) -> None:
    """The log tells everything: a new Acd that reads it stands where this one stands."""
    again = floor.refolded()
    assert again.snapshot() == floor.acd.snapshot()
    # Since when nobody is there by a plan that came later, the log does not say.
    if not floor.reloaded or not any(queue.leave_empty for queue in floor.acd.plan.queues.values()):
        assert again.deadline == floor.acd.deadline
    assert again.agents() == floor.acd.agents() or set(again.agents()) == set(floor.acd.agents())
    for queue in floor.queues():
        assert again.waiting(queue) == floor.acd.waiting(queue)
