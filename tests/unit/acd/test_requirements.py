"""What callers ask: AND, OR and levels, in words and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.requirements import (
    AllOf,
    AnyOf,
    Need,
    NotANeed,
    Requirement,
    lacking,
    match,
    match_all,
    merged,
    parse,
    text,
)
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import AgentSettings

SKILLS = ("and", "english", "or", "sales-2")

needs = st.recursive(
    st.builds(Requirement, st.sampled_from(SKILLS), st.integers(1, 5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple).map(AllOf), st.lists(inner, min_size=1, max_size=3).map(tuple).map(AnyOf)
    ),
    max_leaves=6,
)
skills = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5))


def simply(need: Need, has: dict[str, int]) -> int | None:
    """How well skills meet a need, told once more from the definition."""
    if isinstance(need, Requirement):
        return has[need.skill] if has.get(need.skill, 0) >= need.minimum else None
    each = [simply(one, has) for one in need.needs]
    met = [one for one in each if one is not None]
    if isinstance(need, AllOf):
        return sum(met) if len(met) == len(each) else None
    return max(met, default=None)


def test_text_is_as_the_manual_shows_it() -> None:
    asked = (Requirement("english", 3), AnyOf((Requirement("sales", 2), Requirement("support", 3))))
    assert text(asked) == "english>=3 and (sales>=2 or support>=3)"
    assert parse(text(asked)) == asked
    assert parse("english>=3 and (sales >= 2 or support>=3)") == asked
    assert parse("") == ()
    assert parse("spanish") == (Requirement("spanish"),)
    assert parse("a or b>=2 and c>=3") == (
        AnyOf((Requirement("a"), AllOf((Requirement("b", 2), Requirement("c", 3))))),
    )


@given(st.lists(needs, max_size=3), skills)
def test_what_is_written_asks_the_same_when_it_is_read(asked: list[Need], has: dict[str, int]) -> None:
    together = merged(asked)
    assert match_all(parse(text(together)), has) == match_all(together, has)


@given(needs, skills)
def test_a_need_is_met_as_it_is_defined(need: Need, has: dict[str, int]) -> None:
    assert match(need, has) == simply(need, has)
    assert (lacking((need,), has) == ()) == (match(need, has) is not None)


@given(st.lists(needs, max_size=3), skills)
def test_merged_asks_the_same_of_everybody(asked: list[Need], has: dict[str, int]) -> None:
    assert (match_all(merged(asked), has) is None) == (match_all(asked, has) is None)


@given(st.lists(skills, max_size=8), st.lists(needs, max_size=3))
def test_a_roster_finds_whom_a_search_finds_and_how_well_they_match(
    people: list[dict[str, int]], asked: list[Need]
) -> None:
    roster = Roster(AgentSettings(f"a{at}", "", has, frozenset({"acme"})) for at, has in enumerate(people))
    able = roster.able("acme", "sales", asked)
    assert [bool(able >> at & 1) for at in range(len(people))] == [match_all(asked, has) is not None for has in people]
    found = {at: total for total, who in roster.by_match(asked, able) for at in range(len(people)) if who >> at & 1}
    assert found == {at: total for at, has in enumerate(people) if (total := match_all(asked, has)) is not None}


@pytest.mark.parametrize(
    ("written", "at"),
    [("english>=3 and", 14), ("(english", 8), ("english sales", 8), ("english)", 7), ("and", 0), ("a & b", 2)],
)
def test_a_text_that_is_none_is_refused_with_its_place(written: str, at: int) -> None:
    with pytest.raises(NotANeed) as raised:
        parse(written)
    assert raised.value.at == at


def test_brackets_are_not_followed_for_ever() -> None:
    with pytest.raises(NotANeed, match="nested deeper"):
        parse("(" * 50 + "a" + ")" * 50)
