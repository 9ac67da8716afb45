"""ACD: what a decision takes with 10,000 agents of 20 skills each, 1,000 queues and 100,000 callers waiting.

A decision is what :class:`Acd` does from an event to its facts and effects, the append to the log not counted, in CPU
time of the thread: it waits for nothing, and what else runs on the machine shall not count. Half of them are agents who
become free beside callers who wait, half are callers who join while agents are free.
"""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from random import Random

from callcenter.acd.core import Acd
from callcenter.acd.events import (
    AcdEffect,
    AcdEvent,
    Connected,
    DeviceChanged,
    Join,
    Leave,
    MakeOffer,
    OfferAccepted,
    TalkEnded,
    Ticket,
)
from callcenter.acd.requirements import AnyOf, Need, Requirement
from callcenter.acd.settings import (
    AgentSettings,
    Plan,
    QueueSettings,
    RoutingStep,
    Share,
    Strategy,
    WrapUpSettings,
)
from callcenter.model.states import Device, EndCause, Side, VisitOutcome, WrapUpMode
from callcenter.runtime import memory as collector
from scripts.benchmarks.part import BenchError, Figure, Run, at_most

MEDIAN, P99 = 100.0, 1000.0  # us
RATIO = 2.0
MEMORY = 300.0  # MB
SKILLS, SKILLS_EACH = 60, 20
CLIENTS, CLIENTS_EACH = 20, 4
NO_WRAP_UP = WrapUpSettings(WrapUpMode.NONE)
# Not every event leads to an offer; on a floor where hardly any does nothing can be measured.
MOST_TRIES = 200
STRATEGIES = [each for each in Strategy if each is not Strategy.RING_ALL]


def plan(chance: Random, agents: int, queues: int) -> Plan:
    """A floor of agents who are all different, and of queues with every strategy, steps, ageing and shares."""

    def need(lowest: int) -> Need:
        skills = chance.sample(range(SKILLS), 2)
        return AnyOf(tuple(Requirement(f"skill{each}", lowest) for each in skills))

    clients = [f"client{at}" for at in range(CLIENTS)]
    return Plan(
        queues={
            f"queue{at}": QueueSettings(
                f"queue{at}",
                clients[at % CLIENTS],
                (Requirement(f"skill{chance.randrange(SKILLS)}", 2), need(3)),
                priority=chance.randrange(3),
                wrap_up=NO_WRAP_UP,
                strategy=STRATEGIES[at % len(STRATEGIES)],
                max_waiting=10**6,
                steps=(RoutingStep(3600.0, need(1)),),
                age_weight=chance.choice((0.0, 0.5, 2.0)),
            )
            for at in range(queues)
        },
        agents={
            f"agent{at}": AgentSettings(
                f"agent{at}",
                f"Agent {at}",
                {f"skill{each}": chance.randint(1, 5) for each in chance.sample(range(SKILLS), SKILLS_EACH)},
                frozenset(chance.sample(clients, CLIENTS_EACH)),
                weight=chance.randint(1, 5),
            )
            for at in range(agents)
        },
        shares={client: Share(at % 5, 1.0 + at % 3) for at, client in enumerate(clients)},
        revision="benchmark",
    )


class Floor:
    """An ACD in work, whose decisions are timed."""

    def __init__(self, chance: Random, agents: int, queues: int) -> None:
        self.chance = chance
        self.plan = plan(chance, agents, queues)
        self.acd = Acd(self.plan, random=chance)
        self.now = 1000.0
        self.took: list[int] = []
        self.offers: list[str] = []
        self._visits = 0

    def tell(self, event: AcdEvent, *, timed: bool = False) -> tuple[AcdEffect, ...]:
        """One event; how long it took counts when it is ``timed`` and an offer came of it."""
        self.now += 0.001
        began = time.thread_time_ns()
        decision = self.acd.handle(event, self.now)
        took = time.thread_time_ns() - began
        made = [effect.offer.id for effect in decision.effects if isinstance(effect, MakeOffer)]
        self.offers += made
        if timed and made:
            self.took.append(took)
        return decision.effects

    def join(self, queue: str, *, timed: bool = False) -> str:
        """A caller joins."""
        self._visits += 1
        visit, client = f"v{self._visits}", self.plan.queues[queue].client
        self.tell(Join(Ticket(visit, f"call{self._visits}", queue, client)), timed=timed)
        return visit

    def any_queue(self) -> str:
        """One of the queues."""
        return f"queue{self.chance.randrange(len(self.plan.queues))}"

    def agents_come(self) -> None:
        """All phones register."""
        for agent in self.plan.agents:
            self.tell(DeviceChanged(agent, Device.REGISTERED))

    def talk(self, offer: str) -> None:
        """An offer is taken, and the two talk."""
        self.tell(OfferAccepted(offer))
        self.tell(Connected(offer))

    def fill(self, waiting: int) -> None:
        """Callers join until all agents talk and so many wait."""
        wait = 0
        while wait < waiting:
            self.join(self.any_queue())
            wait += 1
            while self.offers:
                self.talk(self.offers.pop())
                wait -= 1

    def become_free(self, decisions: int) -> None:
        """Talks end, and the agents take who waits; others join, so that the lines stay as long."""
        agents = list(self.plan.agents)
        for _ in range(MOST_TRIES * decisions):
            if len(self.took) >= decisions:
                return
            view = self.acd.agent(self.chance.choice(agents))
            assert view is not None
            if view.offer:
                self.tell(TalkEnded(view.offer, Side.CALLER, EndCause.HANGUP), timed=True)
            while self.offers:
                self.talk(self.offers.pop())
            self.join(self.any_queue())
            while self.offers:
                self.talk(self.offers.pop())

    def callers_join(self, decisions: int) -> None:
        """Callers join while many agents are free, who talk and are free again."""
        talking: list[str] = []
        many = max(1, len(self.plan.agents) // 2)
        for _ in range(MOST_TRIES * decisions):
            if len(self.took) >= decisions:
                return
            visit = self.join(self.any_queue(), timed=True)
            taken = bool(self.offers)
            if not taken:
                self.tell(Leave(visit, VisitOutcome.ABANDONED))
            while self.offers:
                offer = self.offers.pop()
                self.talk(offer)
                talking.append(offer)
            # Half of the agents stay free, and somebody comes free where nobody was.
            if talking and (len(talking) > many or not taken):
                offer = talking.pop(self.chance.randrange(len(talking)))
                self.tell(TalkEnded(offer, Side.CALLER, EndCause.HANGUP))


def measure(run: Run) -> list[Figure]:
    """One round, pinned to the switch's core."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {run.cores.switch})
    try:
        return _measure(run)
    finally:
        os.sched_setaffinity(0, own)


def _measure(run: Run) -> list[Figure]:
    agents, queues = round(run.pick(10_000, 2_000, 600)), round(run.pick(1_000, 200, 10))
    waiting, decisions = round(run.pick(100_000, 10_000, 100)), round(run.pick(10_000, 2_000, 600))
    big = decide(run, agents, queues, waiting, decisions)
    small = decide(run, agents // 10, queues, waiting, decisions)
    medians = percentile(big, 50), percentile(small, 50)
    details = {
        "agents": agents,
        "queues": queues,
        "waiting": waiting,
        "decisions": len(big),
        "mean_us": round(sum(big) / len(big) / 1000, 1),
        "p90_us": percentile(big, 90),
    }
    return [
        Figure("a decision, median", "us", medians[0], at_most(MEDIAN), details),
        Figure("a decision, p99", "us", percentile(big, 99), at_most(P99), {"p99.9_us": percentile(big, 99.9)}),
        Figure(
            f"median with {agents} agents to that with {agents // 10}",
            "times",
            round(medians[0] / medians[1], 2),
            at_most(RATIO),
            {"median_us": medians[1], "p99_us": percentile(small, 99)},
        ),
        Figure("memory of that floor", "MB", memory(agents, queues, waiting), at_most(MEMORY), {}),
    ]


def decide(run: Run, agents: int, queues: int, waiting: int, decisions: int) -> list[int]:
    """How long each decision took (ns): one half of them with a line of callers, one half with free agents."""
    full = Floor(Random(5), agents, queues)
    full.agents_come()
    full.fill(waiting)
    # The collector looks as seldom, and at as little, as it does in the switch.
    gc.collect()
    collector.settle()
    full.become_free(decisions // 2)
    free = Floor(Random(6), agents, queues)
    free.agents_come()
    free.callers_join(decisions - decisions // 2)
    gc.unfreeze()
    halves = [(percentile(each.took, 50), percentile(each.took, 99)) for each in (full, free)]
    run.say(f"{agents} agents: freed beside {waiting} waiting {halves[0]} us, joined beside free {halves[1]} us")
    if len(full.took) + len(free.took) < decisions:
        raise BenchError("too few decisions were made")
    return full.took + free.took


def memory(agents: int, queues: int, waiting: int) -> float:
    """What the floor holds (MB), its plan included."""
    tracemalloc.start()
    floor = Floor(Random(5), agents, queues)
    floor.agents_come()
    floor.fill(waiting)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert floor.acd is not None
    return round(held / 1e6, 1)


def percentile(took: list[int], which: float) -> float:
    """A percentile (us)."""
    line = sorted(took)
    return round(line[min(len(line) - 1, int(len(line) * which / 100))] / 1000, 1)
