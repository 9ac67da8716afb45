"""The pool finds what a search over everybody would find."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd import pool as module
from callcenter.acd.agents import Agent
from callcenter.acd.matching import ONE_ALONE, TicketRank, agent_rank, score, standing, ticket_rank
from callcenter.acd.pool import Pool, lowest, members, nth
from callcenter.acd.queue import Visit, aging
from callcenter.acd.requirements import AnyOf, Need, Requirement
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, Share, Strategy
from callcenter.model.states import Device, Intent, Work

SKILLS, CLIENTS, QUEUES = "ab", ("acme", "beta"), ("sales", "support")
BY_RANK = [each for each in Strategy if each not in (Strategy.RANDOM, Strategy.WEIGHTED_RANDOM, Strategy.RING_ALL)]

skilled = st.builds(Requirement, st.sampled_from(SKILLS), st.integers(1, 3))
needs: st.SearchStrategy[tuple[Need, ...]] = st.lists(
    st.one_of(skilled, st.lists(skilled, min_size=1, max_size=2).map(lambda each: AnyOf(tuple(each)))), max_size=2
).map(tuple)
agents = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3)),
        st.frozensets(st.sampled_from(CLIENTS), min_size=1),
        st.sampled_from((None, frozenset({"sales"}), frozenset[str]())),
    ),
    min_size=1,
    max_size=6,
)
names = st.sampled_from(("", "", "", "a0", "a1", "a7"))
tickets = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS), st.sampled_from(QUEUES), needs, st.integers(0, 1), st.integers(0, 3), names, names
    ),
    max_size=8,
)
shares = st.dictionaries(
    st.sampled_from(CLIENTS), st.builds(Share, st.integers(0, 2), st.sampled_from((1.0, 0.5, 3.0)))
)


def visit(
    number: int, client: str, asked: tuple[Need, ...], priority: int = 0, joined: int = 0, agent: str = ""
) -> Visit:
    return Visit(f"v{number}", "call", "sales", client, asked, priority, joined, joined, number, agent=agent)


def someone(name: str, idle_since: int = 0, *, calls: int = 0, talk: int = 0) -> Agent:
    """An agent who is free."""
    free = Agent(name, Intent.READY, device=Device.REGISTERED)
    free.idle_since, free.calls, free.talk = idle_since, calls, talk
    return free


def away(name: str) -> Agent:
    """An agent who is at work."""
    return Agent(name, Intent.READY, device=Device.REGISTERED, work=Work.TALKING)


def staff(*told: tuple[dict[str, int], frozenset[str], frozenset[str] | None]) -> dict[str, AgentSettings]:
    return {
        f"a{n}": AgentSettings(f"a{n}", "", skills, clients, queues=queues, weight=n + 1)
        for n, (skills, clients, queues) in enumerate(told)
    }


def one_agent() -> dict[str, AgentSettings]:
    return staff(({"a": 3}, frozenset({"acme"}), None))


def pool_of(people: dict[str, AgentSettings], plan: Plan | None = None, random: Random | None = None) -> Pool:
    return Pool(plan or Plan({}, people), people.values(), random)


def plan_of(strategy: Strategy, people: dict[str, AgentSettings], shares: dict[str, Share]) -> Plan:
    queues = {name: QueueSettings(name, "acme", strategy=strategy) for name in QUEUES}
    return Plan(queues, people, shares=shares)


@given(agents, tickets, st.sampled_from(BY_RANK), shares, st.data())
def test_matches_are_those_of_a_search_over_everybody(
    told: list[tuple[dict[str, int], frozenset[str], frozenset[str] | None]],
    asked: list[tuple[str, str, tuple[Need, ...], int, int, str, str]],
    strategy: Strategy,
    shares: dict[str, Share],
    data: st.DataObject,
) -> None:
    """Take the pair of all that ranks first, and again; agents change what they can in between."""
    people = staff(*told)
    plan = plan_of(strategy, people, shares)
    pool = pool_of(people, plan)
    pool.turns = {queue: turn for queue in QUEUES if (turn := data.draw(names))}
    weights = {queue: aging(data.draw(st.sampled_from((0.0, 0.0, 1.0, 40.0)))) for queue in QUEUES}
    visits = [
        Visit(f"v{n}", "call", queue, client, needs, priority, joined, joined, n, agent=agent, aging=weights[queue])
        for n, (client, queue, needs, priority, joined, agent, _) in enumerate(asked)
    ]
    for each, (*_, prefer) in zip(visits, asked, strict=True):
        if prefer and not each.agent:
            each.prefer, each.preferred_until = prefer, data.draw(st.sampled_from((None, 99)))
    free: dict[str, Agent] = {}
    waiting: dict[str, Visit] = {}
    busy: Counter[str] = Counter()
    coming: list[str | Visit] = data.draw(st.permutations([*people, *visits]))
    now = 10
    while coming:
        for _ in range(data.draw(st.integers(1, len(coming)))):
            here = coming.pop()
            if isinstance(here, Visit):
                pool.wait(here, strategy)
                waiting[here.id] = here
            else:
                few = st.integers(0, 2)
                free[here] = someone(here, data.draw(few), calls=data.draw(few), talk=data.draw(few))
                pool.follow(free[here])
        if data.draw(st.booleans()):
            changed = data.draw(st.sampled_from(sorted(people)))
            skills = data.draw(st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3)))
            people[changed] = replace(people[changed], skills=skills)
            pool.change_agent(people[changed])
        found = []
        expected = searched(people, free, waiting, busy, plan, pool.turns, now, strategy)
        for match in pool.matches(now):
            assert len(match.agents) == 1
            ticket, agent = match.ticket, match.agents[0]
            assert match.rank == rank_of(waiting[ticket], busy, plan, now)
            if free[agent]:
                number = pool.roster.number[agent]
                assert pool.rank(match.demand, ticket, number) == rank_in(
                    people, free[agent], waiting[ticket], pool.turns, strategy
                )
            pool.serve(waiting[ticket])
            pool.follow(away(agent))
            pool.turns[waiting[ticket].queue] = agent
            pool.share(waiting[ticket].client, 1)
            busy[waiting[ticket].client] += 1
            del free[agent], waiting[ticket]
            found.append((ticket, agent))
        assert found == expected
        now += data.draw(st.sampled_from((0, 1000, 60_000)))


def searched(
    people: dict[str, AgentSettings],
    free: dict[str, Agent],
    waiting: dict[str, Visit],
    busy: Counter[str],
    plan: Plan,
    turns: dict[str, str],
    now: int,
    strategy: Strategy,
) -> list[tuple[str, str]]:
    agents, tickets, found = dict(free), dict(waiting), []
    counted, last = Counter(busy), dict(turns)
    while pairs := [
        (rank_of(ticket, counted, plan, now), rank_in(people, agent, ticket, last, strategy), ticket.id, agent.id)
        for ticket in tickets.values()
        for agent in agents.values()
        if may_take(people[agent.id], ticket)
    ]:
        *_, ticket_id, agent_id = min(pairs)
        counted[tickets[ticket_id].client] += 1
        last[tickets[ticket_id].queue] = agent_id
        del agents[agent_id], tickets[ticket_id]
        found.append((ticket_id, agent_id))
    return found


def may_take(agent: AgentSettings, ticket: Visit) -> bool:
    if ticket.agent:
        return ticket.agent == agent.id
    if ticket.preferred_until is not None and ticket.prefer != agent.id:
        return False
    return score(agent, ticket.client, ticket.queue, ticket.asked) is not None


def rank_of(ticket: Visit, busy: Counter[str], plan: Plan, now: int) -> TicketRank:
    if ticket.agent:
        share = ONE_ALONE
    else:
        share = standing(plan.shares.get(ticket.client, Share()), busy[ticket.client]) if plan.shares else (0, 0.0)
    return ticket_rank(share, ticket.place, ticket.aging, now)


def rank_in(
    people: dict[str, AgentSettings], agent: Agent, ticket: Visit, turns: dict[str, str], strategy: Strategy
) -> tuple[int, ...]:
    order = list(people)
    last = turns.get(ticket.queue, "")
    return agent_rank(
        strategy,
        number=order.index(agent.id),
        idle_since=agent.idle_since,
        score=0 if ticket.agent else score(people[agent.id], ticket.client, ticket.queue, ticket.asked) or 0,
        preferred=ticket.prefer == agent.id,
        calls=agent.calls,
        talk=agent.talk,
        last=order.index(last) if last in order else None,
        among=len(order),
    )


def test_agents_and_tickets_who_left_are_not_found() -> None:
    pool = pool_of(one_agent())
    caller = visit(1, "acme", ())
    pool.wait(caller, Strategy.BEST_SKILL)
    pool.follow(someone("a0", 5))
    pool.serve(caller)
    pool.serve(caller)
    assert list(pool.matches(0)) == []
    pool.wait(caller, Strategy.BEST_SKILL)
    pool.follow(someone("a0", 6))
    pool.follow(away("a0"))
    pool.follow(away("a0"))
    pool.serve(caller)
    assert not pool._new_agents, "who left before being looked at is not kept"
    assert not pool._new_demands
    pool.wait(caller, Strategy.BEST_SKILL)
    assert list(pool.matches(0)) == []


def test_a_match_that_nobody_takes_is_our_mistake() -> None:
    pool = pool_of(one_agent())
    pool.wait(visit(1, "acme", ()), Strategy.BEST_SKILL)
    pool.follow(someone("a0", 5))
    with pytest.raises(AssertionError, match="a0 did not take v1"):
        list(pool.matches(0))


def test_what_tickets_ask_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE_DEMANDS", 3)
    pool = pool_of(one_agent())
    for number in range(50):
        odd = visit(number, "acme", (Requirement("a", 1), Requirement(f"odd-{number}", 1)))
        pool.wait(odd, Strategy.BEST_SKILL)
        pool.serve(odd)
    assert len(pool._demands) == 3
    plain = visit(99, "acme", (Requirement("a", 1),))
    pool.wait(plain, Strategy.BEST_SKILL)
    pool.follow(someone("a0", 1))
    for match in pool.matches(0):
        assert (match.ticket, match.agents) == ("v99", ("a0",))
        pool.serve(plain)
        pool.follow(away("a0"))
    assert len(pool._demands) == 3
    assert len(pool._created) <= 7


def test_the_lot_falls_on_each_alike_or_by_weight() -> None:
    people = staff(*[({}, frozenset({"acme"}), None)] * 4)
    for strategy, shares in (
        (Strategy.RANDOM, (1, 1, 1, 1)),
        (Strategy.WEIGHTED_RANDOM, (1, 2, 3, 4)),
    ):
        pool = pool_of(people, random=Random(7))
        for name in people:
            pool.follow(someone(name))
        caller = visit(1, "acme", ())
        drawn: Counter[int] = Counter()
        pool.wait(caller, strategy)
        demand = pool.demand_of("v1")
        assert demand is not None
        for _ in range(4000):
            drawn[pool.first(demand, "v1", pool.free)] += 1
        for number, share in enumerate(shares):
            assert drawn[number] == pytest.approx(4000 * share / sum(shares), rel=0.12)


def test_where_a_lot_is_drawn_the_preferred_agent_needs_no_luck() -> None:
    people = staff(*[({}, frozenset({"acme"}), None)] * 4)
    pool = pool_of(people)
    for name in people:
        pool.follow(someone(name))
    caller = visit(1, "acme", ())
    caller.prefer = "a2"
    pool.wait(caller, Strategy.RANDOM)
    assert next(pool.matches(0)).agents == ("a2",)


def test_all_who_are_free_are_rung_at_once_up_to_a_bound() -> None:
    people = staff(*[({}, frozenset({"acme"}), None)] * 30)
    pool = pool_of(people)
    for at, name in enumerate(people):
        pool.follow(someone(name, -at))
    pool.wait(visit(1, "acme", ()), Strategy.RING_ALL)
    agents = next(pool.matches(0)).agents
    assert agents == tuple(f"a{at}" for at in range(29, 9, -1))


@given(st.integers(1, 2**80), st.data())
def test_members_of_a_set_are_found_by_number(agents: int, data: st.DataObject) -> None:
    inside = [at for at in range(80) if agents >> at & 1]
    assert list(members(agents)) == inside or agents >> 80
    which = data.draw(st.integers(0, agents.bit_count() - 1))
    assert nth(agents, which) == list(members(agents))[which]
    assert lowest(agents) == nth(agents, 0)
