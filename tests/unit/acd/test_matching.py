"""Who may take whom, how well, and why not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.matching import agent_rank, score, standing, ticket_rank, why, why_not
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Share, Strategy

ASKED = (Requirement("english", 3), Requirement("sales", 1))


def agent(clients: frozenset[str] = frozenset({"acme"}), **skills: int) -> AgentSettings:
    return AgentSettings("amy", "Amy", skills, clients)


def test_the_score_is_the_sum_of_the_levels_asked_and_of_no_others() -> None:
    assert score(agent(english=4, sales=2, french=5), "acme", "sales", ASKED) == 6


def test_a_level_too_low_a_skill_missing_or_another_client_excludes() -> None:
    assert score(agent(english=2, sales=2), "acme", "sales", ASKED) is None
    assert score(agent(english=5), "acme", "sales", ASKED) is None
    assert score(agent(english=5, sales=5), "other", "sales", ASKED) is None
    assert score(agent(frozenset(), english=5, sales=5), "acme", "sales", ASKED) is None


def test_whoever_asks_nothing_is_taken_by_anyone_who_serves_the_client() -> None:
    assert score(agent(), "acme", "sales", ()) == 0


def test_each_strategy_counts_what_its_name_says() -> None:
    def first(strategy: Strategy, last: int | None = None) -> int:
        """Of two agents, the number of the one who comes first."""
        ranks = [
            agent_rank(strategy, number=0, idle_since=2, score=4, calls=5, talk=100, among=2, last=last),
            agent_rank(strategy, number=1, idle_since=1, score=3, calls=4, talk=200, among=2, last=last),
        ]
        return ranks.index(min(ranks))

    assert first(Strategy.LONGEST_IDLE) == 1
    assert first(Strategy.BEST_SKILL) == 0
    assert first(Strategy.FEWEST_CALLS) == 1
    assert first(Strategy.LEAST_TALK) == 0
    assert first(Strategy.LINEAR) == 0
    assert first(Strategy.ROUND_ROBIN) == 0
    assert first(Strategy.ROUND_ROBIN, last=0) == 1
    assert first(Strategy.ROUND_ROBIN, last=1) == 0


def test_a_preferred_agent_comes_first_among_equals_and_not_before_a_better_match() -> None:
    equal = agent_rank(Strategy.BEST_SKILL, number=1, idle_since=9, score=4, preferred=True)
    better = agent_rank(Strategy.BEST_SKILL, number=2, idle_since=9, score=5)
    other = agent_rank(Strategy.BEST_SKILL, number=0, idle_since=1, score=4)
    assert better < equal < other


def test_a_client_below_its_minimum_comes_before_one_above_it_whoever_waits_longer() -> None:
    noisy, quiet = Share(minimum=1, weight=9.0), Share(minimum=2, weight=1.0)
    assert standing(quiet, 1) < standing(noisy, 1)
    assert standing(quiet, 3) > standing(noisy, 9), "beyond the minimums weights count"
    urgent = ticket_rank(standing(noisy, 50), (-10, 0, 1, "v1"), 0, 99)
    patient = ticket_rank(standing(quiet, 0), (0, 5, 2, "v2"), 0, 99)
    assert patient < urgent


def test_why_and_why_not_are_told_in_words() -> None:
    assert why(agent(english=4, sales=2), ASKED, 61_500) == (
        "english 4 of 3 needed",
        "sales 2 of 1 needed",
        "idle for 61 s",
    )
    assert why_not(agent(english=2), "beta", ASKED) == (
        "does not serve beta",
        "english 2 of 3 needed",
        "sales 0 of 1 needed",
    )


def test_whoever_is_asked_for_by_name_is_the_only_candidate() -> None:
    assert why_not(agent(), "beta", ASKED, "amy") == ()
    assert why_not(agent(english=5, sales=5), "acme", ASKED, "bob") == ("the call is for bob alone",)
    assert why(agent(), (), 2000, "amy") == ("asked for by name", "idle for 2 s")


skills = st.dictionaries(st.sampled_from("abc"), st.integers(1, 5))
requirements = st.lists(st.builds(Requirement, st.sampled_from("abc"), st.integers(1, 5)), max_size=3).map(tuple)


@given(skills, requirements, st.sampled_from(("acme", "beta")))
def test_why_not_is_silent_exactly_when_there_is_a_score(
    has: dict[str, int], asked: tuple[Requirement, ...], client: str
) -> None:
    someone = AgentSettings("amy", "Amy", has, frozenset({"acme"}))
    assert (why_not(someone, client, asked) == ()) == (score(someone, client, "sales", asked) is not None)
