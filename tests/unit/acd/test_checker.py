"""Every decision on random floors, worked out anew by a checker that knows nothing of how it was made."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from callcenter.acd.agenda import Agenda, Due
from callcenter.acd.agents import Agent
from callcenter.acd.core import Acd
from callcenter.acd.events import (
    AcdEvent,
    Connected,
    DeviceChanged,
    IntentChosen,
    Join,
    Leave,
    MakeOffer,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    Reconfigured,
    RosterChanged,
    TalkEnded,
    Ticket,
    WrapUpDone,
)
from callcenter.acd.pool import Demand, Pool
from callcenter.acd.requirements import AnyOf, Need, Requirement
from callcenter.acd.rosters import Agents
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, RoutingStep, Share, Strategy, WrapUpSettings
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome
from tests.unit.acd.checker import Checker
from tests.unit.acd.floor import numbered

SKILLS, CLIENTS = ("english", "sales", "support"), ("acme", "beta")
AGENTS, QUEUES = tuple(f"agent{at}" for at in range(7)), ("q0", "q1", "q2", "q3")
EVENTS = 40


def a_need(chance: Random) -> Need:
    one = Requirement(chance.choice(SKILLS), chance.randint(1, 4))
    other = Requirement(chance.choice(SKILLS), chance.randint(1, 4))
    return AnyOf((one, other)) if chance.random() < 0.3 else one


def a_plan(chance: Random) -> Plan:
    return Plan(
        queues={
            name: QueueSettings(
                name,
                chance.choice(CLIENTS),
                tuple(a_need(chance) for _ in range(chance.randint(0, 2))),
                priority=chance.randint(0, 1),
                ring_for=5.0,
                max_wait=chance.choice((None, 60.0)),
                wrap_up=WrapUpSettings(seconds=3.0),
                strategy=chance.choice(list(Strategy)),
                steps=tuple(
                    RoutingStep(after, a_need(chance) if chance.random() < 0.7 else None)
                    for after in (2.0, 9.0)
                    if chance.random() < 0.4
                ),
                age_weight=chance.choice((0.0, 0.0, 2.0, 30.0)),
            )
            for name in QUEUES[: chance.randint(2, 4)]
        },
        agents={
            name: AgentSettings(
                name,
                name,
                {skill: chance.randint(1, 5) for skill in SKILLS if chance.random() < 0.7},
                frozenset(chance.sample(CLIENTS, chance.randint(1, 2))),
                queues=None if chance.random() < 0.8 else frozenset(chance.sample(QUEUES, 2)),
                weight=chance.randint(1, 3),
            )
            for name in AGENTS[: chance.randint(2, 7)]
        },
        shares={
            name: Share(chance.randint(0, 2), chance.choice((1.0, 3.0))) for name in CLIENTS if chance.random() < 0.5
        },
        revision=str(chance.random()),
    )


class RandomFloor:
    """A floor on which things happen by chance; every offer is checked."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        plan = a_plan(self.chance)
        self.acd = Acd(plan, random=self.chance)
        self.checker = Checker(plan)
        self.now, self.seq = 100.0, 0
        self.offers: list[str] = []
        self.visits: list[str] = []

    def run(self) -> int:
        """So many decisions were checked."""
        for agent in self.acd.plan.agents:
            self.tell(DeviceChanged(agent, Device.REGISTERED))
        for _ in range(EVENTS):
            self.tell(self.something())
            self.sleep(self.chance.choice((0.0, 0.0, 0.001, 1.0, 4.0)))
        return self.checker.checked

    def tell(self, event: AcdEvent) -> None:
        decision = self.acd.handle(event, self.now)
        self.checker.plan = self.acd.plan
        for draft in decision.facts:
            self.seq += 1
            self.checker.take(numbered(self.seq, draft, self.now))
        self.checker.check_rest(round(self.now * 1000))
        self.offers += [effect.offer.id for effect in decision.effects if isinstance(effect, MakeOffer)]

    def sleep(self, seconds: float) -> None:
        until = round(self.now + seconds, 3)
        while (deadline := self.acd.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            for draft in (decision := self.acd.expire(self.now)).facts:
                self.seq += 1
                self.checker.take(numbered(self.seq, draft, self.now))
            self.checker.check_rest(round(self.now * 1000))
            self.offers += [effect.offer.id for effect in decision.effects if isinstance(effect, MakeOffer)]
        self.now = until

    def something(self) -> AcdEvent:
        """What happens next."""
        chance = self.chance
        agent = chance.choice(list(self.acd.plan.agents))
        what = chance.random()
        if what < 0.4 or not self.offers:
            return self.a_caller(agent)
        if what < 0.75:
            offer = chance.choice(self.offers[-4:])
            failed = OfferFailed(offer, chance.choice((OfferResult.DECLINED, OfferResult.BUSY, OfferResult.LOST_RACE)))
            accepted, over = OfferAccepted(offer), TalkEnded(offer, chance.choice(list(Side)), EndCause.HANGUP)
            return chance.choice(
                (OfferRinging(offer), accepted, Connected(offer), Connected(offer), over, over, failed)
            )
        if what < 0.8:
            return Leave(chance.choice(self.visits), VisitOutcome.ABANDONED)
        if what < 0.85:
            return IntentChosen(agent, chance.choice(list(Intent)), "lunch")
        if what < 0.9:
            return WrapUpDone(agent, "solved")
        if what < 0.93:
            return RosterChanged(agent, {chance.choice(SKILLS): chance.randint(1, 5)}, None, None, "dora")
        if what < 0.95:
            return Reconfigured(a_plan(chance))
        if what < 0.97:
            return DeviceChanged(agent, Device.UNREACHABLE)
        return DeviceChanged(agent, Device.REGISTERED)

    def a_caller(self, agent: str) -> Join:
        chance = self.chance
        self.visits.append(f"v{len(self.visits)}")
        ticket = Ticket(
            self.visits[-1],
            "call",
            chance.choice(QUEUES),
            chance.choice(CLIENTS),
            (a_need(chance),) if chance.random() < 0.2 else (),
            chance.choice((None, None, 0, 1, 2)),
            None if chance.random() < 0.8 else self.now - 20.0,
            agent=agent if chance.random() < 0.1 else "",
            prefer=agent if chance.random() < 0.3 else "",
            prefer_for=chance.choice((0.0, 3.0, 30.0)),
        )
        return Join(ticket)


def walk(seeds: range) -> int:
    """So many decisions were checked on the floors of these seeds; a failure names its own."""
    checked = 0
    for seed in seeds:
        try:
            checked += RandomFloor(seed).run()
        except AssertionError as error:
            raise AssertionError(f"floor {seed}: {error}") from error
    return checked


def test_every_decision_on_hundreds_of_random_floors_is_the_one_that_had_to_be_made() -> None:
    assert walk(range(300)) > 1500


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 3000, 500))
def test_every_decision_on_thousands_of_random_floors_is_the_one_that_had_to_be_made(first: int) -> None:
    assert walk(range(first, first + 500)) > 2_500


def test_the_checker_finds_an_agent_who_was_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def last(self: Pool, demand: Demand, ticket: str, candidates: Agents) -> int:
        return candidates.bit_length() - 1

    monkeypatch.setattr(Pool, "first", last)
    with pytest.raises(AssertionError, match="was before agent"):
        walk(range(50))


def test_the_checker_finds_an_explanation_that_miscounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "excluded", lambda self, demand: {})
    with pytest.raises(AssertionError):
        walk(range(50))


def test_the_checker_finds_a_phone_that_should_have_rung_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.acd.pool.RING_ALL_MOST", 1)
    with pytest.raises(AssertionError, match="were to be rung at once"):
        walk(range(50))


def test_the_checker_finds_a_caller_whom_nobody_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    follow = Pool.follow

    def forgetful(self: Pool, agent: Agent) -> None:
        follow(self, agent)
        self._new_agents.clear()

    monkeypatch.setattr(Pool, "follow", forgetful)
    with pytest.raises(AssertionError, match=r"is free and .* waits"):
        walk(range(50))


def test_the_checker_finds_a_queue_that_is_taken_out_of_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    rank = Demand.rank
    monkeypatch.setattr(Demand, "rank", lambda self, now: (*rank(self, now)[:2], 0, *rank(self, now)[3:]))
    with pytest.raises(AssertionError):
        walk(range(50))


def test_the_checker_finds_a_step_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Agenda.set

    def forgetful(self: Agenda, what: Due, whose: str, when: int | None) -> None:
        note(self, what, whose, None if what is Due.STEP else when)

    monkeypatch.setattr(Agenda, "set", forgetful)
    with pytest.raises(AssertionError, match="was to be relaxed"):
        walk(range(50))


def test_each_strategy_has_its_floors() -> None:
    used = Counter(queue.strategy for seed in range(300) for queue in a_plan(Random(seed)).queues.values())
    assert set(used) == set(Strategy)
