"""Who may take whom, how well, and why not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.matching import score, tier, why, why_not
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Strategy

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


def test_the_better_match_stands_in_an_earlier_tier() -> None:
    assert tier(Strategy.BEST_SKILL, 7) < tier(Strategy.BEST_SKILL, 6)
    assert tier(Strategy.LONGEST_IDLE, 7) == tier(Strategy.LONGEST_IDLE, 6)


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
