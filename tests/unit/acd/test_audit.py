"""The watchdog sees what nobody works on, and nothing else; what it says lets everybody go."""

from __future__ import annotations

import pytest

from callcenter.acd.audit import OVERDUE, Audit, Stuck, stuck
from callcenter.acd.events import Leave, OfferAccepted, OfferFailed, OwnCallEnded, TalkEnded
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome, Work
from tests.unit.acd.floor import AMY, SALES, Floor, check_refold, plan


@pytest.fixture
def floor() -> Floor:
    return Floor(plan(SALES, AMY), ready=("amy",))


def found(floor: Floor, *calls: str) -> tuple[Stuck, ...]:
    return floor.acd.stuck(calls, floor.now)


def test_a_floor_whose_calls_are_all_up_has_nothing_stuck(floor: Floor) -> None:
    floor.join("v1")
    floor.join("v2")
    assert found(floor, "call-v1", "call-v2") == ()
    floor.answer("v1")
    floor.dial("amy", "own")
    assert found(floor, "call-v1", "call-v2", "own") == ()
    floor.part(floor.agent("amy").offer)
    floor.leave_off("amy", "own")
    assert floor.agent("amy").work is Work.WRAP_UP
    assert found(floor, "call-v2") == (), "a wrap-up is of no call"


def test_an_agent_in_a_talk_whose_call_is_gone_is_let_go(floor: Floor) -> None:
    floor.join("v1")
    offer = floor.answer("v1")
    (stuck,) = found(floor)
    assert stuck == Stuck(
        "talking in a call that is over", TalkEnded(offer, Side.SYSTEM, EndCause.ERROR), "amy", offer, "v1"
    )
    floor.tell(stuck.remedy)
    floor.sleep(30)
    assert floor.agent("amy").available
    assert found(floor) == ()
    check_refold(floor)


def test_a_caller_who_is_gone_without_a_word_takes_the_offer_along(floor: Floor) -> None:
    floor.join("v1")
    (stuck,) = found(floor)
    assert stuck.remedy == Leave("v1", VisitOutcome.LOST, "watchdog")
    floor.tell(stuck.remedy)
    assert floor.outcome("v1") == (VisitOutcome.LOST, "watchdog")
    assert floor.agent("amy").available


def test_a_caller_gone_before_the_bridge_and_the_agent_who_had_picked_up_are_both_let_go(floor: Floor) -> None:
    floor.join("v1")
    offer = floor.offer_of("v1")
    floor.tell(OfferAccepted(offer))
    visit, talk = found(floor)
    floor.tell(visit.remedy)
    assert floor.agent("amy").work is Work.TALKING
    floor.tell(talk.remedy)
    assert floor.agent("amy").work is Work.IDLE
    check_refold(floor)


def test_an_own_call_that_is_gone_holds_nobody(floor: Floor) -> None:
    floor.dial("amy", "own")
    (stuck,) = found(floor)
    assert stuck.remedy == OwnCallEnded("amy", "own")
    floor.tell(stuck.remedy)
    assert floor.agent("amy").available


def test_an_offer_whose_end_was_missed_is_taken_back(floor: Floor) -> None:
    """Nobody called :meth:`expire`: the clock of the shell stands."""
    floor.join("v1")
    offer = floor.offer_of("v1")
    lease = floor.made[offer].expires_at
    late = lease + OVERDUE / 1000
    assert floor.acd.stuck(("call-v1",), late) == ()
    (stuck,) = floor.acd.stuck(("call-v1",), late + 0.001)
    assert stuck.remedy == OfferFailed(offer, OfferResult.UNREACHABLE, "watchdog")


def test_what_is_seen_once_may_be_on_its_way_and_is_left_alone(floor: Floor) -> None:
    audit = Audit()
    floor.dial("amy", "own")
    assert audit.look(found(floor)) == ()
    assert audit.look(found(floor, "own")) == ()
    assert audit.look(found(floor)) == (), "seen anew"
    assert audit.look(found(floor)) == found(floor)


def test_nothing_is_found_where_nothing_is() -> None:
    assert list(stuck((), (), {}, (), 0)) == []
