"""The pool finds what a search over everybody would find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd import pool as module
from callcenter.acd.matching import score
from callcenter.acd.pool import Pool
from callcenter.acd.queue import Visit
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Plan, Strategy

SKILLS, CLIENTS = "ab", ("acme", "beta")

agents = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3)),
        st.frozensets(st.sampled_from(CLIENTS), min_size=1),
    ),
    min_size=1,
    max_size=6,
)
tickets = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS),
        st.lists(st.builds(Requirement, st.sampled_from(SKILLS), st.integers(1, 3)), max_size=2).map(tuple),
        st.integers(0, 1),
        st.integers(0, 3),
        st.sampled_from(("", "", "", "a0", "a1", "a7")),
    ),
    max_size=8,
)


def visit(
    number: int, client: str, asked: tuple[Requirement, ...], priority: int = 0, joined: int = 0, agent: str = ""
) -> Visit:
    return Visit(f"v{number}", "call", "sales", client, asked, priority, joined, joined, number, agent=agent)


def empty_pool() -> Pool:
    """A pool with one agent, who is not there yet."""
    people = staff(({}, frozenset({"acme"})))
    return Pool(Plan({}, people), people.values())


def staff(*told: tuple[dict[str, int], frozenset[str]]) -> dict[str, AgentSettings]:
    return {f"a{n}": AgentSettings(f"a{n}", "", skills, clients) for n, (skills, clients) in enumerate(told)}


@given(agents, tickets, st.data())
def test_matches_are_those_of_a_search_over_everybody(
    told: list[tuple[dict[str, int], frozenset[str]]],
    asked: list[tuple[str, tuple[Requirement, ...], int, int, str]],
    data: st.DataObject,
) -> None:
    """Take the first in line whom anybody free may take, give the best agent of the longest idle; and again."""
    people = staff(*told)
    pool = Pool(Plan({}, people), people.values())
    visits = [visit(number, *ticket) for number, ticket in enumerate(asked)]
    free: dict[str, int] = {}
    waiting: dict[str, Visit] = {}
    coming: list[str | Visit] = data.draw(st.permutations([*people, *visits]))
    while coming:
        for _ in range(data.draw(st.integers(1, len(coming)))):
            someone = coming.pop()
            if isinstance(someone, Visit):
                pool.wait(someone, Strategy.BEST_SKILL)
                waiting[someone.id] = someone
            else:
                free[someone] = data.draw(st.integers(0, 3))
                pool.free(someone, free[someone])
        found = []
        for ticket, agent in pool.matches():
            pool.serve(visits[int(ticket[1:])])
            pool.engage(agent)
            found.append((ticket, agent))
        assert found == searched(people, free, waiting)
        for ticket, agent in found:
            del free[agent], waiting[ticket]


def searched(
    people: dict[str, AgentSettings], free: dict[str, int], waiting: dict[str, Visit]
) -> list[tuple[str, str]]:
    left, found = dict(free), []
    for ticket in sorted(waiting.values(), key=lambda each: each.place):
        ranked = [
            (-total, since, agent)
            for agent, since in left.items()
            if (total := match(people[agent], ticket)) is not None
        ]
        if ranked:
            *_, agent = min(ranked)
            del left[agent]
            found.append((ticket.id, agent))
    return found


def match(agent: AgentSettings, ticket: Visit) -> int | None:
    if ticket.agent:
        return 0 if ticket.agent == agent.id else None
    return score(agent, ticket.client, ticket.queue, ticket.asked)


def test_agents_and_tickets_who_left_are_not_found() -> None:
    pool = empty_pool()
    someone = visit(1, "acme", ())
    pool.wait(someone, Strategy.BEST_SKILL)
    pool.free("a0", 5)
    pool.serve(someone)
    pool.serve(someone)
    assert list(pool.matches()) == []
    pool.wait(someone, Strategy.BEST_SKILL)
    pool.free("a0", 6)
    pool.engage("a0")
    pool.engage("a0")
    pool.serve(someone)
    assert not pool._new_agents, "who left before being looked at is not kept"
    assert not pool._new_tickets
    pool.wait(someone, Strategy.BEST_SKILL)
    assert list(pool.matches()) == []


def test_two_agents_who_come_at_once_take_two_callers_who_waited() -> None:
    people = staff(({}, frozenset({"acme"})), ({}, frozenset({"acme"})))
    pool = Pool(Plan({}, people), people.values())
    visits = {each.id: each for each in (visit(1, "acme", ()), visit(2, "acme", ()))}
    for each in visits.values():
        pool.wait(each, Strategy.BEST_SKILL)
    assert list(pool.matches()) == []
    pool.free("a0", 5)
    pool.free("a1", 4)
    found = []
    for ticket, agent in pool.matches():
        pool.serve(visits[ticket])
        pool.engage(agent)
        found.append((ticket, agent))
    assert found == [("v1", "a1"), ("v2", "a0")]


def test_a_match_that_nobody_takes_is_our_mistake() -> None:
    pool = empty_pool()
    pool.wait(visit(1, "acme", ()), Strategy.BEST_SKILL)
    pool.free("a0", 5)
    with pytest.raises(AssertionError, match="a0 did not take v1"):
        list(pool.matches())


def test_what_tickets_ask_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE_DEMANDS", 3)
    people = staff(({"a": 3}, frozenset({"acme"})))
    pool = Pool(Plan({}, people), people.values())
    for number in range(50):
        odd = visit(number, "acme", (Requirement("a", 1), Requirement(f"odd-{number}", 1)))
        pool.wait(odd, Strategy.BEST_SKILL)
        pool.serve(odd)
    assert len(pool._demands) == 3
    plain = visit(99, "acme", (Requirement("a", 1),))
    pool.wait(plain, Strategy.BEST_SKILL)
    pool.free("a0", 1)
    assert list(pool_taken(pool, plain)) == [("v99", "a0")]
    assert len(pool._demands) == 3
    assert len(pool._profiles["a0"].demands) == 0


def pool_taken(pool: Pool, ticket: Visit) -> list[tuple[str, str]]:
    found = []
    for match in pool.matches():
        pool.serve(ticket)
        pool.engage(match[1])
        found.append(match)
    return found
