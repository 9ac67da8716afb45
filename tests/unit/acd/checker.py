"""A checker of decisions that knows nothing of how they are made.

It follows the facts, and at each offer works out anew, from the manual, who should have been offered whom, and whether
the explanation says the truth about it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from callcenter.acd.requirements import AllOf, Need, Requirement, parse
from callcenter.acd.settings import RING_ALL_MOST, AgentSettings, Plan, QueueSettings, Share, Strategy
from callcenter.model.facts import (
    AgentLegEnded,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    CallConnected,
    CallPrioritised,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    PreferenceEnded,
    QueueLeft,
    RoutingRelaxed,
)
from callcenter.model.states import Device, Intent, OfferResult, Side, Work

BLAME = {OfferResult.NO_ANSWER, OfferResult.BUSY, OfferResult.DECLINED, OfferResult.UNREACHABLE}
POINT = 60_000_000
Rank = tuple[Any, ...]
Agents = Mapping[str, AgentSettings]


@dataclass
class Person:
    """An agent, as the facts tell."""

    state: AgentStateChanged
    idle_since: int = 0
    calls: int = 0
    talk: int = 0
    talks_since: int = 0

    @property
    def free(self) -> bool:
        state = self.state
        wants = state.intent is Intent.READY and state.device is Device.REGISTERED
        return wants and state.work is Work.IDLE and not state.remaining_ms


@dataclass
class Caller:
    """A visit, as the facts tell."""

    told: CallQueued
    number: int
    asked: tuple[Need, ...]
    only_preferred: bool
    joined: int
    offers: set[str] = field(default_factory=set)
    step: int = 0
    # Who is still to be rung beside those who were, in this order.
    to_ring: list[str] = field(default_factory=list)


@dataclass
class Given:
    """An offer that is out, or a talk."""

    visit: str
    agent: str
    client: str
    connected: bool = False


def stranger(agent: str) -> AgentStateChanged:
    """Somebody of whom nothing was told yet."""
    return AgentStateChanged(agent, Intent.SIGNED_OUT, "", Work.IDLE, Device.UNREACHABLE, "")


class Checker:
    """Follows a floor by its facts; ``plan`` is set anew at each reload."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.checked = 0
        self.people: dict[str, Person] = {}
        self.callers: dict[str, Caller] = {}
        self.given: dict[str, Given] = {}
        self.last: dict[str, str] = {}
        self.changes: dict[str, AgentSkillsChanged] = {}
        self.number = 0

    # Following

    def take(self, fact: Fact, *, checking: bool = True) -> None:
        """Take in a fact; an offer is checked before."""
        ms = fact.ms
        match fact.body:
            case CallQueued() as told:
                self.number += 1
                asked = parse(told.needs) if told.needs else tuple(Requirement(*each) for each in told.requirements)
                self.callers[told.visit] = Caller(told, self.number, asked, told.prefer_ms > 0, ms)
            case RoutingRelaxed() as told:
                caller = self.callers[told.visit]
                caller.asked = (
                    parse(told.needs) if told.needs else tuple(Requirement(*one) for one in told.requirements)
                )
                caller.step = told.step
            case CallPrioritised(visit=visit, priority=priority):
                self.callers[visit].told = replace(self.callers[visit].told, priority=priority)
            case PreferenceEnded(visit=visit, reason=reason):
                caller = self.callers[visit]
                assert reason != "time" or ms >= caller.joined + caller.told.prefer_ms, f"{visit} insisted for less"
                caller.only_preferred = False
            case QueueLeft(visit=visit):
                self.callers.pop(visit, None)
            case OfferMade() as made:
                if checking:
                    self.check(made, ms)
                self.callers[made.visit].offers.add(made.offer)
                self.given[made.offer] = Given(made.visit, made.agent, self.callers[made.visit].told.client)
                self.last[made.queue] = made.agent
            case OfferEnded(offer=offer, result=result):
                if result in BLAME:
                    self.people[self.given[offer].agent].idle_since = ms
                if result is not OfferResult.ACCEPTED:
                    self.back_in_line(offer)
            case CallConnected(offer=offer) | AgentTookOver(offer=offer):
                if offer in self.given:
                    self.given[offer].connected = True
                    person = self.people[self.given[offer].agent]
                    person.calls += 1
                    person.talks_since = ms
            case AgentLegEnded(offer=offer, by=by) if offer in self.given:
                self.leg_ended(offer, by, ms)
            case AgentStateChanged() as state:
                self.changed(state, ms)
            case AgentSkillsChanged() as change:
                self.changes[change.agent] = change
            case _:
                pass

    def back_in_line(self, offer: str) -> None:
        if (caller := self.callers.get(self.given[offer].visit)) is not None:
            caller.offers.discard(offer)

    def leg_ended(self, offer: str, by: Side, ms: int) -> None:
        given = self.given[offer]
        person = self.people[given.agent]
        if given.connected:
            person.talk += ms - person.talks_since
            person.talks_since = ms
            person.idle_since = ms
        elif given.visit in self.callers:
            if by is not Side.CALLER:
                person.idle_since = ms
            self.back_in_line(offer)

    def changed(self, state: AgentStateChanged, ms: int) -> None:
        person = self.people.get(state.agent)
        if person is None:
            person = self.people[state.agent] = Person(stranger(state.agent))
        before = person.state
        came_ready = state.intent is Intent.READY and before.intent is not Intent.READY
        phone_back = before.device is Device.UNREACHABLE and state.device is not Device.UNREACHABLE
        wrapped_up = before.work is Work.WRAP_UP and state.work is not Work.WRAP_UP
        if came_ready or phone_back or wrapped_up:
            person.idle_since = ms
        if before.intent is Intent.SIGNED_OUT and state.intent is not Intent.SIGNED_OUT:
            person.calls = person.talk = 0
        if before.offer and not state.offer:
            self.given.pop(before.offer, None)
        person.state = state

    # Working out

    def agents(self) -> dict[str, AgentSettings]:
        """The agents of the plan, as they were changed at run time."""
        return {name: self.as_changed(agent) for name, agent in self.plan.agents.items()}

    def as_changed(self, agent: AgentSettings) -> AgentSettings:
        change = self.changes.get(agent.id)
        if change is None:
            return agent
        if "skills" in change.changed:
            agent = replace(agent, skills=dict(change.skills))
        if "clients" in change.changed:
            agent = replace(agent, clients=frozenset(change.clients))
        if "queues" in change.changed:
            agent = replace(agent, queues=frozenset(change.queues))
        return agent

    def is_free(self, agent: str) -> bool:
        person = self.people.get(agent)
        return person is not None and person.free

    def settings(self, caller: Caller) -> QueueSettings | None:
        queue = caller.told.queue
        return self.plan.queues.get(queue) if queue else self.plan.direct

    def strategy(self, caller: Caller) -> Strategy:
        queue = self.settings(caller)
        assert queue is not None
        if queue.strategy is Strategy.RING_ALL and caller.told.callback:
            return Strategy.LONGEST_IDLE
        return queue.strategy

    def obstacle(self, caller: Caller, agent: AgentSettings) -> str:
        """What keeps an agent from a caller, the first of the list; empty when nothing does."""
        told = caller.told
        if told.agent:
            if told.agent != agent.id:
                return "not_asked"
        elif told.client not in agent.clients:
            return "other_client"
        elif agent.queues is not None and told.queue not in agent.queues:
            return "other_queue"
        elif points(agent.skills, caller.asked) is None:
            return "skill"
        elif caller.only_preferred and told.prefer != agent.id:
            return "not_asked"
        person = self.people.get(agent.id)
        if person is None or person.state.intent is Intent.SIGNED_OUT:
            return "signed_out"
        if person.state.intent is not Intent.READY:
            return "not_ready"
        if person.state.device is not Device.REGISTERED:
            return "unreachable"
        if person.state.work is not Work.IDLE:
            return "at_work"
        return "" if person.free else "pausing"

    def busy(self, client: str) -> int:
        return sum(given.client == client for given in self.given.values())

    def turn(self, caller: Caller, now: int) -> Rank:
        """Where a caller stands among all: the share of the client, then urgency, then time, then number."""
        told, queue = caller.told, self.settings(caller)
        assert queue is not None
        level: tuple[int, float] = (0, 0.0)
        if told.agent:
            level = (-1, 0.0)
        elif self.plan.shares:
            share, busy = self.plan.shares.get(told.client, Share()), self.busy(told.client)
            under = busy < share.minimum
            level = (0, busy / share.minimum) if under else (1, (busy - share.minimum) / share.weight)
        gained = round(queue.age_weight * 1000) * (now - told.first_joined_ms)
        return (*level, -told.priority * POINT - gained, told.first_joined_ms, caller.number)

    def order(self, caller: Caller, agent: AgentSettings) -> Rank:
        """Where an agent stands among those who may take a caller."""
        names, person, strategy = list(self.plan.agents), self.people[agent.id], self.strategy(caller)
        at = names.index(agent.id)
        match strategy:
            case Strategy.FEWEST_CALLS:
                measure = person.calls
            case Strategy.LEAST_TALK:
                measure = person.talk
            case Strategy.LINEAR:
                measure = at
            case Strategy.ROUND_ROBIN:
                last = self.last.get(caller.told.queue, "")
                measure = (at - names.index(last) - 1) % len(names) if last in names else at
            case _:
                measure = 0
        skilled = strategy is Strategy.BEST_SKILL and not caller.told.agent
        match = points(agent.skills, caller.asked) or 0 if skilled else 0
        return (-match, 0 if caller.told.prefer == agent.id else 1, measure, person.idle_since, at)

    # Checking

    def check(self, made: OfferMade, now: int) -> None:
        """The offer is the one that had to be made, and its explanation tells how it stood."""
        agents = self.agents()
        caller = self.callers[made.visit]
        strategy = self.strategy(caller)
        why: dict[str, Any] = json.loads(made.explanation)
        rung_before = [self.given[offer].agent for offer in caller.offers]
        assert not self.obstacle(caller, agents[made.agent]), f"{made.agent} could not take {made.visit}"
        assert why["agent"] == made.agent
        assert why["now"] == now
        assert why["strategy"] == strategy
        assert why.get("step", 0) == caller.step
        assert why.get("only", "") == caller.told.agent
        assert why.get("preferred", "") == caller.told.prefer
        assert why.get("revision", "") == self.plan.revision
        if rung_before:
            assert strategy is Strategy.RING_ALL, f"{made.visit} is offered to two"
            assert caller.to_ring, f"{made.visit} rings for more than were to be rung"
            assert caller.to_ring.pop(0) == made.agent, f"{made.agent} was not the next to be rung for {made.visit}"
            return
        candidates = [each for each in agents.values() if not self.obstacle(caller, each)]
        waiting = [
            each
            for each in self.callers.values()
            if not each.offers
            and self.settings(each) is not None
            and any(not self.obstacle(each, agent) for agent in agents.values())
        ]
        first = min(waiting, key=lambda each: self.turn(each, now))
        assert first is caller, f"{first.told.visit} was before {made.visit}"
        assert tuple(why["ticket_rank"]) == self.turn(caller, now)
        assert tuple(why["agent_rank"]) == self.order(caller, agents[made.agent])
        ranked = sorted(candidates, key=lambda each: self.order(caller, each))
        if strategy in (Strategy.RANDOM, Strategy.WEIGHTED_RANDOM):
            best = self.order(caller, ranked[0])[:2]
            assert self.order(caller, agents[made.agent])[:2] == best, "the lot was drawn among others than the first"
            preferred = caller.told.prefer == made.agent
            assert why.get("drawn", 0) == (0 if caller.told.agent or preferred else len(candidates))
        else:
            assert ranked[0].id == made.agent, f"{ranked[0].id} was before {made.agent} for {made.visit}"
            rung = min(RING_ALL_MOST, len(ranked)) if strategy is Strategy.RING_ALL else 1
            assert why.get("together", 1) == rung, f"{rung} were to be rung at once for {made.visit}"
            caller.to_ring = [each.id for each in ranked[1:rung]]
            following = [[each.id, list(self.order(caller, each))] for each in ranked[rung : rung + 2]]
            assert why.get("next", []) == following
            assert why.get("more", 0) == len(ranked) - rung - len(following)
        causes = Counter(cause for each in agents.values() if (cause := self.obstacle(caller, each)))
        assert why.get("excluded", {}) == dict(causes)
        self.check_ahead(caller, why)
        self.check_share(caller, why)
        self.checked += 1

    def check_rest(self, now: int) -> None:
        """After a decision: nobody free may take anybody who waits, and what was due has happened."""
        agents = self.agents()
        for caller in self.callers.values():
            name, queue = caller.told.visit, self.settings(caller)
            assert not (caller.offers and caller.to_ring), f"{caller.to_ring} were to be rung for {name} too"
            if queue is None:
                continue
            self.check_asked(caller, queue, agents, now)
            assert not caller.only_preferred or now < caller.joined + caller.told.prefer_ms, f"{name} insists for ever"
            if not caller.offers:
                free = next((agent.id for agent in agents.values() if not self.obstacle(caller, agent)), None)
                assert free is None, f"{free} is free and {name} waits"
                waits_on = queue.max_wait is None or caller.told.callback or now < caller.joined + 1000 * queue.max_wait
                assert waits_on, f"{name} waits longer than the longest wait"

    def check_asked(self, caller: Caller, queue: QueueSettings, agents: Agents, now: int) -> None:
        """A caller asks what queue and ticket ask together, at the routing step that the wait has come to."""
        name = caller.told.visit
        if caller.told.agent:
            assert not caller.asked
            return
        following = queue.steps[caller.step :]
        assert not following or now < caller.joined + 1000 * following[0].after, f"{name} asks what was to be relaxed"
        needs = queue.requirements
        if caller.step:
            relaxed = queue.steps[caller.step - 1].needs
            needs = () if relaxed is None else (relaxed,)
        nobody = bool(following) and not self.signed_in_for(caller, caller.asked, agents)
        for step in () if caller.offers or not nobody else following:
            needed = (() if step.needs is None else (step.needs,)) + parse(caller.told.own)
            assert not self.signed_in_for(caller, needed, agents), (
                f"{name} waits for a step that nobody is signed in for"
            )
        for agent in agents.values():
            together = points(agent.skills, (*needs, *parse(caller.told.own)))
            assert (points(agent.skills, caller.asked) is None) is (together is None), f"{name} asks something else"

    def signed_in_for(self, caller: Caller, asked: tuple[Need, ...], agents: Agents) -> bool:
        """Whether anybody is signed in who may take a caller, did they ask this."""
        could = replace(caller, asked=asked, only_preferred=False)
        return any(
            self.obstacle(could, agent) not in ("other_client", "other_queue", "skill", "signed_out")
            for agent in agents.values()
        )

    def check_ahead(self, caller: Caller, why: Mapping[str, Any]) -> None:
        line = [each for each in self.callers.values() if each.told.queue == caller.told.queue]

        def place(each: Caller) -> Rank:
            return self.turn(each, 0)[2:]

        ahead = sorted((each for each in line if place(each) < place(caller)), key=place)
        told = []
        for each in ahead[:2]:
            named = each.told.agent or each.only_preferred
            told.append([each.told.visit, "offered" if each.offers else "named" if named else "asks_more"])
        assert why.get("ahead", []) == told
        assert why.get("ahead_more", 0) == len(ahead) - len(told)

    def check_share(self, caller: Caller, why: Mapping[str, Any]) -> None:
        """No client that has its minimum gets an agent whom one below its minimum has a caller for."""
        told = caller.told
        if not self.plan.shares:
            assert "share" not in why
            return
        share = self.plan.shares.get(told.client, Share())
        assert tuple(why["share"]) == (share.minimum, share.weight, self.busy(told.client))
        if told.agent or self.busy(told.client) < share.minimum:
            return
        agent = self.agents()[why["agent"]]
        for other in self.callers.values():
            if not other.offers and not other.told.agent and self.settings(other) is not None:
                minimum = self.plan.shares.get(other.told.client, Share()).minimum
                below = self.busy(other.told.client) < minimum
                assert not below or self.obstacle(other, agent), (
                    f"{other.told.client} is below its minimum, and {agent.id} was given to {told.client}"
                )


def points(skills: Mapping[str, int], asked: tuple[Need, ...]) -> int | None:
    """The sum of the levels in what is asked, of alternatives the best; None when something is lacking."""
    total = 0
    for need in asked:
        if isinstance(need, Requirement):
            level = skills.get(need.skill, 0)
            met = level if level >= need.minimum else None
        elif isinstance(need, AllOf):
            met = points(skills, need.needs)
        else:
            met = max((each for one in need.needs if (each := points(skills, (one,))) is not None), default=None)
        if met is None:
            return None
        total += met
    return total
