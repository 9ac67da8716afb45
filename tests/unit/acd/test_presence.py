"""Presence: whether anybody is there for a queue's callers, against counting all of them anew."""

from __future__ import annotations

from random import Random
from time import perf_counter

import pytest

from callcenter.acd.agents import Agent
from callcenter.acd.events import Join, Ticket, TicketExpired, TicketRefused
from callcenter.acd.matching import score
from callcenter.acd.presence import Absence, Presence, at_work, counts
from callcenter.acd.requirements import AnyOf, Need, Requirement
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, RoutingStep
from callcenter.model.states import Device, Intent, VisitOutcome, Work
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, may_take, plan

SKILLS = ("english", "spanish", "sales")
CLIENTS = ("acme", "beta")
ALL = frozenset(Absence)


def counted(roster: dict[str, AgentSettings], agents: dict[str, Agent], queue: QueueSettings) -> Absence | None:
    """The absence by going through all agents."""
    asked = [queue.requirements, *((step.needs,) if step.needs is not None else () for step in queue.steps)]
    able = [
        agents[each.id]
        for each in roster.values()
        if any(score(each, queue.client, queue.id, needs) is not None for needs in asked)
    ]
    if not able:
        return Absence.NOBODY_HAS_THE_SKILL
    there = [agent for agent in able if at_work(agent)]
    if not there:
        return Absence.NOBODY_SIGNED_IN
    return None if any(agent.intent is Intent.READY for agent in there) else Absence.NOBODY_READY


def random_agent(random: Random, number: int) -> AgentSettings:
    return AgentSettings(
        f"agent-{number}",
        "",
        {skill: random.randint(1, 5) for skill in SKILLS if random.random() < 0.5},
        frozenset(client for client in CLIENTS if random.random() < 0.6),
        queues=random.choice([None, None, frozenset({"queue-1", "queue-2"})]),
    )


def random_plan(random: Random) -> Plan:
    def need() -> Need:
        lone = Requirement(random.choice(SKILLS), random.randint(1, 5))
        return lone if random.random() < 0.7 else AnyOf((lone, need()))

    queues = [
        QueueSettings(
            f"queue-{number}",
            random.choice(CLIENTS),
            tuple(need() for _ in range(random.randint(0, 2))),
            steps=(RoutingStep(30.0, random.choice([None, need()])),) if random.random() < 0.3 else (),
        )
        for number in range(6)
    ]
    return plan(*queues, *(random_agent(random, number) for number in range(random.randint(0, 12))))


@pytest.mark.parametrize("seed", range(60))
def test_it_agrees_with_counting_everybody_anew(seed: int) -> None:
    """Whatever agents there are, and however they come, go, choose, work, and are given other skills."""
    random = Random(seed)
    settings = random_plan(random)
    presence = Presence(settings, settings.agents.values())
    agents = {name: Agent(name) for name in settings.agents}
    roster = dict(settings.agents)
    seen = set()
    for _ in range(200):
        for queue in settings.queues.values():
            absence = presence.absence(queue.id)
            assert absence is counted(roster, agents, queue), (queue, agents)
            seen.add(absence)
        if agents:
            agent = random.choice(list(agents.values()))
            agent.intent = random.choice(list(Intent))
            agent.device = random.choice(list(Device))
            agent.work = random.choice([Work.IDLE, Work.IDLE, Work.TALKING, Work.WRAP_UP])
            presence.follow(agent)
            if random.random() < 0.1:
                changed = random_agent(random, random.randrange(13))
                agents.setdefault(changed.id, Agent(changed.id))
                roster[changed.id] = changed
                presence.change_agent(changed)
    assert seen


def test_whoever_talks_is_there_whatever_became_of_the_phone_s_registration() -> None:
    agent = Agent("amy", Intent.READY, device=Device.UNREACHABLE, work=Work.TALKING)
    assert at_work(agent)
    agent.work = Work.IDLE
    assert not at_work(agent)


def test_a_harder_absence_counts_where_a_milder_one_is_asked_for() -> None:
    assert counts(Absence.NOBODY_HAS_THE_SKILL, {Absence.NOBODY_READY})
    assert counts(Absence.NOBODY_SIGNED_IN, {Absence.NOBODY_READY})
    assert not counts(Absence.NOBODY_READY, {Absence.NOBODY_SIGNED_IN})
    assert not counts(Absence.NOBODY_READY, ())
    assert not counts("", ALL)


def test_ten_thousand_agents_and_a_thousand_queues_are_cheap_to_follow() -> None:
    """No agent like another: what one of them does costs no walk over agents, nor over queues that nobody asks for."""
    random = Random(1)
    skills = [f"skill-{number}" for number in range(20)]
    agents = [
        AgentSettings(
            f"agent-{number}",
            "",
            {skill: random.randint(1, 5) for skill in random.sample(skills, 6)},
            frozenset(random.sample(CLIENTS, 1)),
        )
        for number in range(10_000)
    ]
    queues = [
        QueueSettings(f"queue-{number}", random.choice(CLIENTS), (Requirement(random.choice(skills), 3),))
        for number in range(1_000)
    ]
    presence = Presence(plan(*queues), agents)
    state = Agent("agent-0")
    began = perf_counter()
    for number in range(10_000):
        state.id, state.intent, state.device = f"agent-{number}", Intent.READY, Device.REGISTERED
        presence.follow(state)
        presence.absence(f"queue-{number % 1_000}")
    # Some 5 us each; a walk over the thousand queues alone takes ten times the bound.
    assert (perf_counter() - began) / 10_000 < 100e-6


def test_a_kind_of_agent_that_is_new_has_no_other_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a floor where all are different that would stand still for as long as it takes to start."""
    agents = [AgentSettings(f"agent-{at}", "", {"english": 1 + at % 5}, frozenset({"acme"})) for at in range(5)]
    presence = Presence(plan(SALES), agents)
    looked_at: list[str] = []
    change = Roster.change

    def counting(self: Roster, agent: AgentSettings) -> int:
        looked_at.append(agent.id)
        return change(self, agent)

    monkeypatch.setattr(Roster, "change", counting)
    presence.change_agent(AgentSettings("agent-0", "", {"french": 1}, frozenset({"acme"})))
    assert len(looked_at) == 1


# What the ACD does by it


def closing(*, join: frozenset[str] = frozenset(), leave: frozenset[str] = frozenset()) -> QueueSettings:
    return QueueSettings(
        "sales",
        "acme",
        SALES.requirements,
        max_wait=120.0,
        on_max_wait="sorry",
        join_empty=join,
        leave_empty=leave,
        leave_after=30.0,
        on_empty="voicemail",
    )


def test_by_default_a_caller_waits_though_nobody_is_there() -> None:
    floor = Floor(plan())
    floor.join("v1")
    floor.sleep(119)
    assert floor.ticket("v1")
    assert floor.acd.absence("sales") is Absence.NOBODY_SIGNED_IN


@pytest.mark.parametrize("reason", Absence)
def test_a_caller_is_refused_with_the_reason_that_nobody_is_there(reason: Absence) -> None:
    agents = [] if reason is Absence.NOBODY_HAS_THE_SKILL else [AMY, BOB]
    floor = Floor(plan(closing(join=frozenset({reason})), *agents), ready=["amy"] if agents else [])
    if agents:
        away = Intent.NOT_READY if reason is Absence.NOBODY_READY else Intent.SIGNED_OUT
        floor.choose("amy", away, "lunch")
    floor.join("v1")
    assert floor.outcome("v1") == (VisitOutcome.REFUSED, reason)
    assert floor.effects[-1] == TicketRefused("v1", "voicemail", reason)
    check_refold(floor)


def test_who_asks_only_for_signed_in_agents_waits_while_they_are_at_lunch() -> None:
    floor = Floor(plan(closing(join=frozenset({"nobody_signed_in"})), AMY), ready=("amy",))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v1")
    assert floor.ticket("v1")
    assert may_take(AMY, floor.acd.waiting("sales")[0])


def test_callers_leave_when_the_last_agent_has_been_away_for_so_long() -> None:
    """And not at once: whoever signs in again within half a minute finds them still there."""
    floor = Floor(plan(closing(leave=ALL), AMY), ready=("amy",))
    floor.join("v1")
    floor.answer("v1")
    floor.join("v2")
    floor.sleep(10)
    floor.part("v1-1")
    assert floor.offered("v2") == "amy"
    floor.choose("amy", Intent.SIGNED_OUT)
    floor.sleep(29)
    floor.choose("amy", Intent.READY)
    assert floor.offered("v2") == "amy"
    floor.choose("amy", Intent.SIGNED_OUT)
    floor.sleep(5)
    floor.join("v3")
    floor.sleep(24.999)
    assert floor.outcome("v2") is None
    floor.sleep(0.001)
    assert floor.outcome("v2") == (VisitOutcome.FLOWED_OUT, "nobody_signed_in")
    assert floor.effects[-1] == TicketExpired("v2", "voicemail", "nobody_signed_in")
    # Who came later has had no half minute yet.
    assert floor.ticket("v3")
    check_refold(floor)
    floor.sleep(5)
    assert floor.outcome("v3") == (VisitOutcome.FLOWED_OUT, "nobody_signed_in")
    check_refold(floor)


def test_a_caller_who_may_join_an_empty_queue_waits_there_for_a_while_all_the_same() -> None:
    floor = Floor(plan(closing(leave=ALL), AMY))
    floor.join("v1")
    floor.sleep(29.999)
    assert floor.ticket("v1")
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v1") == "amy"
    check_refold(floor)


def test_the_longest_wait_counts_when_it_comes_before() -> None:
    floor = Floor(plan(closing(leave=ALL), AMY), ready=("amy",))
    floor.join("v1")
    floor.answer("v1")
    floor.join("v2")
    floor.sleep(110)
    floor.part("v1-1")
    floor.choose("amy", Intent.SIGNED_OUT)
    floor.sleep(10)
    assert floor.outcome("v2") == (VisitOutcome.FLOWED_OUT, "timeout")
    assert floor.effects[-1] == TicketExpired("v2", "sorry", "timeout")
    check_refold(floor)


def test_a_queue_that_is_closed_refuses_and_says_so() -> None:
    floor = Floor(plan(), ready=("amy",))
    floor.tell(Join(Ticket("v1", "call-v1", "sales", "acme", closed=True)))
    assert floor.outcome("v1") == (VisitOutcome.REFUSED, "closed")
    assert floor.effects[-1] == TicketRefused("v1", "sorry", "closed")
    check_refold(floor)
