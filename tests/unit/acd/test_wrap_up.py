"""What an agent owes after a talk: nothing, time for who asks, time, or a word; and which words there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.events import Reconfigured, WrapUpAsked, WrapUpDone, WrapUpExtended
from callcenter.acd.settings import Dispositions, Plan, WrapUpSettings
from callcenter.model.facts import AgentStateChanged, WrapUpEnded
from callcenter.model.states import Work, WrapUpMode
from tests.unit.acd.floor import AMY, SALES, Floor, check_refold, plan

OPTIONAL = WrapUpSettings(WrapUpMode.OPTIONAL, seconds=60.0, extend_once=15.0, choice=5.0)
TREE = Dispositions({"sold": "Sold", "not-sold/too-dear": "Not sold: Too dear", "not-sold/later": "Not sold: Later"})


def after_a_talk(wrap_up: WrapUpSettings, known: Dispositions | None = None) -> Floor:
    """Amy has just talked."""
    settings: Plan = plan(replace(SALES, wrap_up=wrap_up), AMY)
    floor = Floor(replace(settings, dispositions={"acme": known} if known else {}), ready=("amy",))
    floor.join("v1")
    floor.part(floor.answer("v1"))
    return floor


def ended(floor: Floor) -> list[str]:
    return [body.disposition for body in floor.bodies(WrapUpEnded)]


def test_who_asks_for_no_time_is_free_after_the_choice_and_owes_no_word() -> None:
    floor = after_a_talk(OPTIONAL, replace(TREE, required=True))
    view = floor.agent("amy")
    assert (view.work, view.wrap_up, view.until, view.extension) == (
        Work.WRAP_UP, WrapUpMode.OPTIONAL, floor.now + 5, 60,
    )  # fmt: skip
    floor.join("v2")
    assert floor.offered("v2") == "", "nobody is offered while the choice lasts"
    floor.sleep(5)
    assert floor.offered("v2") == "amy"
    assert ended(floor) == [""]
    assert floor.bodies(AgentStateChanged)[-1].wrap_up is WrapUpMode.NONE
    check_refold(floor)


def test_who_asks_in_time_has_the_time_of_the_wrap_up_and_may_extend_it_once() -> None:
    floor = after_a_talk(OPTIONAL)
    floor.tell(WrapUpExtended("amy"))
    assert floor.agent("amy").wrap_up is WrapUpMode.OPTIONAL, "there is nothing to extend yet"
    floor.sleep(4)
    floor.tell(WrapUpAsked("amy", by="agent's phone"))
    view = floor.agent("amy")
    assert (view.wrap_up, view.until, view.extension) == (WrapUpMode.TIMED, floor.now + 60, 15)
    assert floor.bodies(AgentStateChanged)[-1].cause == "wrap-up asked for by agent's phone"
    floor.tell(WrapUpAsked("amy"))
    assert floor.agent("amy").until == view.until, "asking again gives no more"
    floor.tell(WrapUpExtended("amy"))
    floor.tell(WrapUpExtended("amy"))
    assert floor.agent("amy").until == floor.now + 75
    check_refold(floor)
    floor.sleep(75)
    assert ended(floor) == ["WRAPUP_TIMEOUT"], "who asked for time and let it pass has given no word"
    assert floor.agent("amy").available


def test_an_optional_wrap_up_ends_at_once_for_who_says_so() -> None:
    floor = after_a_talk(OPTIONAL)
    floor.tell(WrapUpDone("amy"))
    assert floor.agent("amy").available


@pytest.mark.parametrize("settings", [replace(OPTIONAL, seconds=0.0), replace(OPTIONAL, choice=0.0)])
def test_an_optional_wrap_up_of_no_time_is_none(settings: WrapUpSettings) -> None:
    floor = after_a_talk(settings)
    assert floor.agent("amy").available
    assert ended(floor) == []


def test_time_that_was_asked_for_outlives_a_reload_that_takes_the_wrap_up_away() -> None:
    floor = after_a_talk(OPTIONAL)
    floor.tell(Reconfigured(plan(replace(SALES, wrap_up=None), AMY)))
    floor.tell(WrapUpAsked("amy"))
    view = floor.agent("amy")
    assert (view.until, view.extension) == (floor.now + 60, 0)
    check_refold(floor)


@pytest.mark.parametrize("mode", [WrapUpMode.TIMED, WrapUpMode.MANDATORY])
def test_a_word_that_is_not_in_the_tree_does_not_end_a_wrap_up(mode: WrapUpMode) -> None:
    floor = after_a_talk(WrapUpSettings(mode), TREE)
    floor.tell(WrapUpDone("amy", "sould"))
    assert floor.agent("amy").work is Work.WRAP_UP
    floor.tell(WrapUpDone("amy", "too-dear"))
    assert ended(floor) == ["not-sold/too-dear"], "a code is kept by its whole path, however it was given"


def test_a_code_that_ends_as_another_must_be_given_whole() -> None:
    known = Dispositions({"sales/other": "Sales: Other", "support/other": "Support: Other"})
    floor = after_a_talk(WrapUpSettings(), known)
    floor.tell(WrapUpDone("amy", "other"))
    assert ended(floor) == []
    floor.tell(WrapUpDone("amy", "support/other"))
    assert ended(floor) == ["support/other"]


def test_where_a_disposition_is_required_no_word_is_not_enough_and_time_still_ends_it() -> None:
    floor = after_a_talk(WrapUpSettings(), replace(TREE, required=True))
    floor.tell(WrapUpDone("amy"))
    assert floor.agent("amy").work is Work.WRAP_UP
    floor.sleep(30)
    assert ended(floor) == ["WRAPUP_TIMEOUT"]
    check_refold(floor)


def test_a_family_of_dispositions_is_none_itself() -> None:
    floor = after_a_talk(WrapUpSettings(), TREE)
    floor.tell(WrapUpDone("amy", "not-sold"))
    assert ended(floor) == []


def test_without_a_tree_any_word_is_taken() -> None:
    floor = after_a_talk(WrapUpSettings())
    floor.tell(WrapUpDone("amy", "whatever it was"))
    assert ended(floor) == ["whatever it was"]
