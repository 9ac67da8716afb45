"""Random histories of a small floor: in whatever order things come, what must hold holds, and the log tells it all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callcenter.acd.core import Acd
from callcenter.acd.events import (
    AcdEvent,
    Connected,
    DeviceChanged,
    Held,
    IntentChosen,
    Join,
    Leave,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    OwnCallBegan,
    OwnCallEnded,
    Reconfigured,
    Resumed,
    RosterChanged,
    TalkEnded,
    TalkMoved,
    Ticket,
    WrapUpAsked,
    WrapUpDone,
    WrapUpExtended,
)
from callcenter.acd.pool import Pool
from callcenter.acd.presence import Absence
from callcenter.acd.requirements import AnyOf, Needs, Requirement
from callcenter.acd.settings import (
    AgentSettings,
    Dispositions,
    Plan,
    QueueSettings,
    RnaRule,
    RnaSettings,
    RoutingStep,
    Share,
    Strategy,
    WrapUpSettings,
)
from callcenter.model.facts import CallQueued, Fact, OfferEnded, OfferMade, QueueLeft, body_from_dict, body_to_dict
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work, WrapUpMode
from tests.unit.acd.floor import Floor, Middle, check, check_refold, plan

SKILLS = ("english", "sales")
# For what nobody is waited for: nothing more often than something.
ABSENCES: tuple[frozenset[str], ...] = (frozenset(), frozenset(), *(frozenset({each}) for each in Absence))
CLIENTS = ("acme", "beta")
AGENTS = ("amy", "bob", "cas", "dan")
QUEUES = ("sales", "support", "refunds")

seconds = st.sampled_from((0.0, 0.001, 1.0, 4.0, 20.0))
rules = st.builds(RnaRule, st.sampled_from((0.5, 5.0)), st.sampled_from((None, 1, 2)))
skilled = st.builds(Requirement, st.sampled_from(SKILLS), st.integers(1, 5))
alternatives = st.lists(skilled, min_size=1, max_size=2).map(lambda each: AnyOf(tuple(each)))
requirements: st.SearchStrategy[Needs] = st.lists(st.one_of(skilled, skilled, alternatives), max_size=2).map(tuple)
steps = st.lists(
    st.builds(RoutingStep, st.sampled_from((0.0, 3.0, 20.0)), st.one_of(st.none(), skilled, alternatives)), max_size=2
).map(lambda each: tuple(sorted(each, key=lambda step: step.after)))
wrap_ups = st.one_of(
    st.none(),
    st.builds(
        WrapUpSettings, st.sampled_from(WrapUpMode), st.sampled_from((0.0, 3.0)), seconds, st.sampled_from((0.0, 2.0))
    ),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    queues = draw(st.sets(st.sampled_from(QUEUES), min_size=1))
    agents = draw(st.sets(st.sampled_from(AGENTS), min_size=1))
    return Plan(
        queues={
            name: QueueSettings(
                id=name,
                client="acme",
                requirements=draw(requirements),
                priority=draw(st.integers(0, 1)),
                ring_for=draw(st.sampled_from((2.0, 20.0))),
                max_wait=draw(st.sampled_from((None, 0.0, 10.0, 60.0))),
                on_max_wait="sorry",
                wrap_up=draw(wrap_ups),
                max_waiting=draw(st.sampled_from((1, 3, 50))),
                strategy=draw(st.sampled_from(Strategy)),
                steps=draw(steps),
                age_weight=draw(st.sampled_from((0.0, 0.0, 1.0, 0.001))),
                join_empty=draw(st.sampled_from(ABSENCES)),
                leave_empty=draw(st.sampled_from(ABSENCES)),
                leave_after=draw(st.sampled_from((0.0, 4.0, 30.0))),
            )
            for name in sorted(queues)
        },
        agents={
            name: AgentSettings(
                id=name,
                name=name.title(),
                skills=draw(st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5))),
                clients=draw(st.frozensets(st.sampled_from(CLIENTS), min_size=1)),
                sign_in=draw(st.sampled_from(Intent)),
                queues=draw(st.one_of(st.none(), st.none(), st.frozensets(st.sampled_from(QUEUES)))),
                weight=draw(st.integers(1, 3)),
            )
            for name in sorted(agents)
        },
        rna=RnaSettings(*(draw(rules) for _ in range(5))),
        offer_grace=draw(st.sampled_from((0.0, 5.0))),
        dispositions=draw(
            st.dictionaries(
                st.sampled_from(CLIENTS),
                st.builds(Dispositions, st.just({"solved": "Solved", "not/yet": "Not: Yet"}), st.booleans()),
            )
        ),
        shares=draw(
            st.dictionaries(st.sampled_from(CLIENTS), st.builds(Share, st.integers(0, 2), st.sampled_from((1.0, 3.0))))
        ),
    )


class History(RuleBasedStateMachine):
    """Agents, phones, callers and scripts do as they like, in time and out of time."""

    @initialize(settings=plans())
    def open(self, settings: Plan) -> None:
        self.floor = Floor(settings)
        self.visits: list[str] = []
        for agent in AGENTS[:2]:
            self.floor.phone(agent, Device.REGISTERED)

    @rule(
        queue=st.sampled_from((*QUEUES, "nowhere")),
        asked=requirements,
        priority=st.sampled_from((None, 0, 1, 2)),
        kept=st.sampled_from((None, 0.0, 30.0)),
        client=st.sampled_from(("acme", *CLIENTS)),
        prefer=st.sampled_from(("", "", *AGENTS, "nobody")),
        prefer_for=st.sampled_from((0.0, 5.0)),
    )
    def join(
        self,
        queue: str,
        asked: Needs,
        priority: int | None,
        kept: float | None,
        client: str,
        prefer: str,
        prefer_for: float,
    ) -> None:
        visit = f"v{len(self.visits)}"
        self.visits.append(visit)
        place = None if kept is None else self.floor.now - kept
        self.floor.join(
            visit,
            queue,
            asked=asked,
            priority=priority,
            first_joined=place,
            client=client,
            prefer=prefer,
            prefer_for=prefer_for,
        )

    @rule(agent=st.sampled_from((*AGENTS, "nobody")), queue=st.sampled_from(("", *QUEUES, "nowhere")))
    def ask_for(self, agent: str, queue: str) -> None:
        visit = f"v{len(self.visits)}"
        self.visits.append(visit)
        self.floor.ask_for(agent, visit, queue)

    @rule(agent=st.sampled_from((*AGENTS, "nobody")), call=st.sampled_from(("c1", "c2", "c3")))
    def dial(self, agent: str, call: str) -> None:
        self.floor.dial(agent, call)

    @rule(agent=st.sampled_from((*AGENTS, "nobody")), call=st.sampled_from(("c1", "c2", "c3")))
    def leave_off(self, agent: str, call: str) -> None:
        self.floor.leave_off(agent, call)

    @precondition(lambda self: self.visits)
    @rule(
        data=st.data(),
        outcome=st.sampled_from((VisitOutcome.ABANDONED, VisitOutcome.FLOWED_OUT, VisitOutcome.LOST)),
    )
    def leave(self, data: st.DataObject, outcome: VisitOutcome) -> None:
        self.floor.tell(Leave(data.draw(st.sampled_from(self.visits)), outcome, "because"))

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), queue=st.sampled_from(QUEUES))
    def join_again(self, data: st.DataObject, queue: str) -> None:
        self.floor.join(data.draw(st.sampled_from(self.visits)), queue)

    @precondition(lambda self: self.floor.made)
    @rule(data=st.data(), side=st.sampled_from(Side))
    def hear_of_an_offer(self, data: st.DataObject, side: Side) -> None:
        """Of the newest most often, of any at times, known to be over or not."""
        offers = list(self.floor.made)
        offer = data.draw(st.one_of(st.sampled_from(offers[-2:]), st.sampled_from(offers), st.just("never-1")))
        failures = [result for result in OfferResult if result is not OfferResult.ACCEPTED]
        events: list[AcdEvent] = [
            OfferRinging(offer),
            OfferAccepted(offer),
            Connected(offer),
            Held(offer, side),
            Resumed(offer, side),
            TalkMoved(offer, "another call", data.draw(st.sampled_from(("", *QUEUES)))),
            TalkEnded(offer, side, EndCause.HANGUP),
            OfferFailed(offer, data.draw(st.sampled_from(failures)), "told"),
        ]
        self.floor.tell(data.draw(st.sampled_from(events)))

    @precondition(lambda self: any(not ticket_is_over(self.floor, offer) for offer in self.floor.made))
    @rule(data=st.data())
    def talk(self, data: st.DataObject) -> None:
        """The way that it goes most often in life, so that histories get to the talks and behind them."""
        live = [offer for offer in self.floor.made if not ticket_is_over(self.floor, offer)]
        offer = data.draw(st.sampled_from(live))
        self.floor.tell(OfferRinging(offer))
        self.floor.tell(OfferAccepted(offer))
        self.floor.tell(Connected(offer))

    @rule(agent=st.sampled_from((*AGENTS, "nobody")), device=st.sampled_from(Device))
    def phone(self, agent: str, device: Device) -> None:
        self.floor.phone(agent, device)

    @rule(
        agent=st.sampled_from((*AGENTS, "nobody")),
        intent=st.sampled_from(Intent),
        reason=st.sampled_from(("", "lunch", "no_answer")),
        lasts=st.sampled_from((None, 0.0, 3.0)),
    )
    def choose(self, agent: str, intent: Intent, reason: str, lasts: float | None) -> None:
        self.floor.tell(IntentChosen(agent, intent, reason, lasts=lasts))

    @rule(
        agent=st.sampled_from((*AGENTS, "nobody")),
        skills=st.one_of(st.none(), st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5))),
        clients=st.one_of(st.none(), st.frozensets(st.sampled_from(CLIENTS))),
        within=st.one_of(st.none(), st.frozensets(st.sampled_from(QUEUES))),
    )
    def change_roster(
        self,
        agent: str,
        skills: dict[str, int] | None,
        clients: frozenset[str] | None,
        within: frozenset[str] | None,
    ) -> None:
        self.floor.tell(RosterChanged(agent, skills, clients, within, "eva"))

    @rule(agent=st.sampled_from((*AGENTS, "nobody")), disposition=st.sampled_from(("", "solved", "yet", "nothing")))
    def wrap_up(self, agent: str, disposition: str) -> None:
        self.floor.tell(WrapUpDone(agent, disposition))

    @rule(agent=st.sampled_from((*AGENTS, "nobody")))
    def extend(self, agent: str) -> None:
        self.floor.tell(WrapUpExtended(agent))

    @rule(agent=st.sampled_from((*AGENTS, "nobody")))
    def ask_for_time(self, agent: str) -> None:
        self.floor.tell(WrapUpAsked(agent))

    @rule(settings=plans())
    def reload(self, settings: Plan) -> None:
        self.floor.tell(Reconfigured(settings))

    @rule(time=seconds)
    def sleep(self, time: float) -> None:
        self.floor.sleep(time)

    @rule(time=seconds)
    def stall(self, time: float) -> None:
        """The loop was busy: time has passed, and the next event comes before the timer."""
        self.floor.now = round(self.floor.now + time, 3)

    @rule()
    def sleep_until_something_is_due(self) -> None:
        if (deadline := self.floor.acd.deadline) is not None and deadline > self.floor.now:
            self.floor.sleep(round(deadline - self.floor.now, 3))

    @invariant()
    def the_log_tells_it_all(self) -> None:
        if hasattr(self, "floor"):
            check_refold(self.floor)

    def teardown(self) -> None:
        """All scripts end and all time passes: nothing is left, and nobody is stuck without saying why."""
        if not hasattr(self, "floor"):
            return
        floor = self.floor
        floor.sleep(0.0)
        check(floor)
        pass_time(floor)
        for agent in floor.acd.agents():
            assert agent.work not in (Work.RESERVED, Work.RINGING), f"{agent.id} is {agent.work} beyond all leases"
        for offer in list(floor.made):
            floor.tell(TalkEnded(offer, Side.SYSTEM, EndCause.ERROR))
        for visit in self.visits:
            floor.tell(Leave(visit, VisitOutcome.LOST, "the end"))
        for agent in floor.acd.agents():
            for call in agent.own_calls:
                assert floor.acd.dialled_by(call) == agent.id
                floor.leave_off(agent.id, call)
        pass_time(floor)
        for agent in floor.acd.agents():
            mandatory = agent.work is Work.WRAP_UP and agent.until is None
            assert agent.work is Work.IDLE or mandatory, f"{agent.id} is left {agent.work}"
            floor.tell(WrapUpDone(agent.id, "solved"))
        assert all(agent.work is Work.IDLE for agent in floor.acd.agents())
        assert floor.acd.deadline is None
        check_nothing_is_left(floor, self.visits)


def ticket_is_over(floor: Floor, offer: str) -> bool:
    return floor.ticket(floor.made[offer].ticket_id) is None


def pass_time(floor: Floor) -> None:
    """Until nothing is due any more, or the same goes round and round: offers that nobody hears of."""
    for _ in range(40):
        if (deadline := floor.acd.deadline) is None:
            return
        floor.sleep(round(deadline - floor.now, 3))
    for view in floor.acd.agents():
        floor.choose(view.id, Intent.SIGNED_OUT)
    floor.sleep(120)


def check_nothing_is_left(floor: Floor, visits: list[str]) -> None:
    joined = [body.visit for body in floor.bodies(CallQueued)]
    left = [body.visit for body in floor.bodies(QueueLeft)]
    assert sorted(joined) == sorted(left) == sorted(visits), "every visit ends exactly once"
    made = [body.offer for body in floor.bodies(OfferMade)]
    ended = [body.offer for body in floor.bodies(OfferEnded)]
    assert sorted(made) == sorted(ended), "every offer ends exactly once"


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


# What the log tells also decides alike


@given(plans(), st.data())
@settings(max_examples=40, deadline=None)
def test_an_acd_that_read_the_log_decides_like_the_one_that_wrote_it(configured: Plan, data: st.DataObject) -> None:
    floor = Floor(configured)
    for _ in range(data.draw(st.integers(5, 25))):
        one_event(floor, data)
    again: Acd = Acd(floor.acd.plan, random=Middle())
    for fact in floor.facts:
        again.apply(through_json(fact))
    for _ in range(10):
        event = some_event(floor, data)
        floor.now = round(floor.now + data.draw(seconds), 3)
        mine, his = floor.acd.handle(event, floor.now), again.handle(event, floor.now)
        assert mine == his
        assert again.deadline == floor.acd.deadline


def one_event(floor: Floor, data: st.DataObject) -> None:
    floor.tell(some_event(floor, data))
    if data.draw(st.booleans()):
        floor.sleep(data.draw(seconds))


def some_event(floor: Floor, data: st.DataObject) -> AcdEvent:
    visit = f"v{len(floor.bodies(CallQueued))}"
    events: list[AcdEvent] = [Join(Ticket(visit, "call", queue, "acme")) for queue in QUEUES]
    events.append(Join(Ticket(visit, "call", "sales", "acme", prefer="amy", prefer_for=5.0)))
    for agent in AGENTS:
        events += [DeviceChanged(agent, Device.REGISTERED), IntentChosen(agent, Intent.READY)]
        events += [WrapUpDone(agent, "solved"), Join(Ticket(visit, "call", "", "", agent=agent))]
        events += [OwnCallBegan(agent, "c1"), OwnCallEnded(agent, "c1"), WrapUpAsked(agent)]
        events += [IntentChosen(agent, Intent.NOT_READY, "lunch", lasts=3.0)]
        events += [
            RosterChanged(agent, {"english": 5}, None, None, "eva"),
            RosterChanged(agent, None, None, None, "eva"),
        ]
    for offer in list(floor.made)[-3:]:
        events += [OfferRinging(offer), OfferAccepted(offer), Connected(offer), Held(offer, Side.AGENT)]
        events += [OfferFailed(offer, OfferResult.BUSY), TalkEnded(offer, Side.CALLER, EndCause.HANGUP)]
    return data.draw(st.sampled_from(events))


def through_json(fact: Fact) -> Fact:
    """The fact as it comes back from the store."""
    plain: dict[str, Any] = body_to_dict(fact.body)
    return Fact(fact.seq, fact.at, fact.boot, fact.ms, fact.call_id, body_from_dict(fact.kind, plain))


def test_the_checks_see_what_they_are_there_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor that never matches is found out at once."""
    monkeypatch.setattr(Pool, "matches", lambda self, now: iter(()))
    floor = Floor(plan(), ready=("amy",))
    with pytest.raises(AssertionError, match="amy is free and v1 waits"):
        floor.join("v1")
