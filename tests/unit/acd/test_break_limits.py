"""Breaks that last as long as they may: told, and nobody is forced back."""

from __future__ import annotations

import pytest

from callcenter.acd.events import IntentChosen, OfferRinging, OwnCallBegan, OwnCallEnded
from callcenter.model.facts import AgentStateChanged, BreakOverran
from callcenter.model.states import Device, Intent, Work
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, plan


@pytest.fixture
def floor() -> Floor:
    return Floor(plan(SALES, AMY, BOB), ready=("amy", "bob"))


def goes(floor: Floor, agent: str = "amy", lasts: float | None = 600.0, reason: str = "lunch") -> None:
    floor.tell(IntentChosen(agent, Intent.NOT_READY, reason, by=f"{agent}'s phone", lasts=lasts))


def over(floor: Floor) -> list[tuple[str, str]]:
    return [(body.agent, body.reason) for body in floor.bodies(BreakOverran)]


def test_a_break_that_lasts_too_long_is_told_once_and_goes_on(floor: Floor) -> None:
    goes(floor)
    assert floor.agent("amy").break_until == floor.now + 600
    check_refold(floor)
    floor.sleep(599)
    assert over(floor) == []
    floor.sleep(3600)
    view = floor.agent("amy")
    assert over(floor) == [("amy", "lunch")]
    assert (view.intent, view.reason, view.overrun, view.break_until) == (Intent.NOT_READY, "lunch", True, None)
    assert floor.bodies(AgentStateChanged)[-1].cause == "lunch: as long as it may be"
    check_refold(floor)
    floor.choose("amy", Intent.READY)
    assert not floor.agent("amy").overrun
    assert floor.agent("amy").available


def test_choosing_the_same_break_again_does_not_begin_it_anew(floor: Floor) -> None:
    goes(floor)
    floor.sleep(500)
    goes(floor)
    floor.sleep(100)
    assert over(floor) == [("amy", "lunch")]
    goes(floor)
    assert floor.agent("amy").overrun, "nor does it take back that it was too long"


def test_another_break_has_its_own_time(floor: Floor) -> None:
    goes(floor)
    floor.sleep(500)
    goes(floor, reason="coffee", lasts=300.0)
    floor.sleep(299)
    assert over(floor) == []
    floor.sleep(1)
    assert over(floor) == [("amy", "coffee")]


def test_a_break_without_limit_is_never_over(floor: Floor) -> None:
    goes(floor, lasts=None)
    floor.sleep(7 * 86400)
    assert over(floor) == []
    assert floor.acd.deadline is None


def test_a_break_chosen_in_a_talk_counts_from_its_end(floor: Floor) -> None:
    floor.join("v1")
    offer = floor.answer("v1")
    goes(floor)
    floor.sleep(1000)
    floor.part(offer)
    floor.sleep(30)
    view = floor.agent("amy")
    assert (view.intent, view.break_until) == (Intent.NOT_READY, floor.now + 600)
    check_refold(floor)


def test_a_break_put_off_and_chosen_again_in_the_talk_is_the_later_one(floor: Floor) -> None:
    floor.join("v1")
    offer = floor.answer("v1")
    goes(floor, lasts=100.0)
    floor.choose("amy", Intent.READY)
    goes(floor, reason="coffee", lasts=50.0)
    floor.part(offer)
    floor.sleep(30)
    assert floor.agent("amy").break_until == floor.now + 50


def test_an_own_call_in_a_break_does_not_stop_its_clock(floor: Floor) -> None:
    goes(floor)
    floor.sleep(100)
    floor.tell(OwnCallBegan("amy", "c1"))
    floor.sleep(500)
    assert over(floor) == [("amy", "lunch")]
    floor.tell(OwnCallEnded("amy", "c1"))
    view = floor.agent("amy")
    assert (view.work, view.intent, view.overrun) == (Work.IDLE, Intent.NOT_READY, True)
    check_refold(floor)


def test_a_phone_that_is_lost_and_found_in_a_break_does_not_stop_its_clock(floor: Floor) -> None:
    goes(floor)
    floor.sleep(300)
    floor.phone("amy", Device.UNREACHABLE)
    floor.sleep(100)
    floor.phone("amy", Device.REGISTERED)
    floor.sleep(200)
    assert over(floor) == [("amy", "lunch")]


def test_nothing_left_of_the_day_is_over_at_once(floor: Floor) -> None:
    goes(floor, lasts=0.0)
    floor.sleep(0.001)
    assert over(floor) == [("amy", "lunch")]
    assert floor.agent("amy").intent is Intent.NOT_READY


def test_who_is_out_counts_those_too_who_go_when_their_work_ends(floor: Floor) -> None:
    floor.join("v1")
    floor.answer("v1")
    goes(floor)
    goes(floor, "bob", reason="coffee")
    assert floor.acd.out("lunch") == {"amy"}
    assert floor.acd.out("coffee") == {"bob"}
    floor.choose("amy", Intent.READY)
    assert floor.acd.out("lunch") == set()


def test_the_state_says_who_chose_it_and_nobody_when_the_system_did(floor: Floor) -> None:
    floor.tell(IntentChosen("amy", Intent.NOT_READY, "training", by="supervisor eva"))
    assert floor.agent("amy").by == "supervisor eva"
    floor.phone("amy", Device.UNREACHABLE)
    assert floor.bodies(AgentStateChanged)[-1].by == "supervisor eva", "it is told with whatever changes"
    floor.phone("bob", Device.UNREACHABLE)
    assert floor.agent("bob").by == ""
    check_refold(floor)


def test_an_offer_that_rang_in_vain_takes_the_agent_off_by_the_system_alone(floor: Floor) -> None:
    floor.tell(IntentChosen("amy", Intent.NOT_READY, "", by="eva"))
    floor.tell(IntentChosen("amy", Intent.READY, by="eva"))
    floor.phone("bob", Device.UNREACHABLE)
    floor.join("v1")
    floor.tell(OfferRinging(floor.offer_of("v1")))
    floor.sleep(20)
    view = floor.agent("amy")
    assert (view.intent, view.reason, view.forced, view.by) == (Intent.NOT_READY, "no_answer", True, "")
