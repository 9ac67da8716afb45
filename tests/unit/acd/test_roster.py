"""Agents who are somebody else to the routing than the configuration says: at once, over reloads, until a reset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.events import Join, Reconfigured, RosterChanged, Ticket
from callcenter.acd.roster import change_of, effective, roster_changed
from callcenter.model.facts import AgentSkillsChanged, body_from_dict, body_to_dict
from callcenter.model.states import VisitOutcome
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, plan

BETA = replace(SALES, id="beta-sales", client="beta")


@pytest.fixture
def floor() -> Floor:
    """Only Amy, whose English does."""
    return Floor(plan(SALES, BETA, AMY), ready=("amy",))


def change(
    floor: Floor,
    skills: dict[str, int] | None = None,
    clients: set[str] | None = None,
    queues: set[str] | None = None,
    agent: str = "amy",
    by: str = "supervisor eva",
) -> None:
    serves = None if clients is None else frozenset(clients)
    within = None if queues is None else frozenset(queues)
    floor.tell(RosterChanged(agent, skills, serves, within, by))


def changes(floor: Floor) -> list[AgentSkillsChanged]:
    return floor.bodies(AgentSkillsChanged)


def test_a_caller_who_waits_is_offered_in_the_moment_that_an_agent_is_given_the_skill() -> None:
    floor = Floor(plan(SALES, replace(AMY, skills={})), ready=("amy",))
    floor.join("v1")
    assert floor.offered("v1") == ""
    change(floor, {"english": 2})
    assert floor.offered("v1") == "amy"
    assert changes(floor) == [
        AgentSkillsChanged("amy", "supervisor eva", changed=("skills",), skills=(("english", 2),))
    ]
    check_refold(floor)


def test_a_skill_that_is_taken_away_brings_no_further_caller_and_the_offer_that_is_out_stays(floor: Floor) -> None:
    floor.join("v1")
    offer = floor.offer_of("v1")
    change(floor, {"spanish": 5})
    assert floor.agent("amy").offer == offer
    floor.part(floor.answer("v1"))
    floor.sleep(30)
    floor.join("v2")
    assert floor.offered("v2") == ""
    assert "english 0 of 2 needed" in floor.acd.explain("v2")["amy"]
    check_refold(floor)


def test_clients_and_queues_are_changed_too(floor: Floor) -> None:
    floor.tell(RosterChanged("amy", None, frozenset({"beta"}), None, "eva"))
    floor.join("v1")
    assert floor.offered("v1") == ""
    change(floor, queues={"beta-sales"})
    assert floor.offered("v1") == "", "the queues are other ones; the clients are as configured again"
    change(floor, queues={"sales"})
    assert floor.offered("v1") == "amy"


def test_a_reset_brings_back_what_is_configured(floor: Floor) -> None:
    change(floor, {})
    floor.join("v1")
    assert floor.offered("v1") == ""
    change(floor, by="supervisor tom")
    assert floor.offered("v1") == "amy"
    assert floor.acd.change("amy") is None
    assert changes(floor)[-1] == AgentSkillsChanged("amy", "supervisor tom")
    check_refold(floor)


def test_what_changes_nothing_is_not_told(floor: Floor) -> None:
    change(floor)
    assert changes(floor) == []
    change(floor, {"english": 3})
    change(floor, {"english": 3}, by="somebody else")
    change(floor, {"english": 3}, agent="nobody")
    assert len(changes(floor)) == 1


def test_a_reload_leaves_what_was_changed_and_changes_the_rest(floor: Floor) -> None:
    change(floor, {"spanish": 5})
    beta = replace(AMY, skills={"english": 1}, clients=frozenset({"beta"}))
    floor.tell(Reconfigured(plan(SALES, BETA, beta)))
    assert floor.acd.who("amy") == replace(beta, skills={"spanish": 5})
    check_refold(floor)


def test_who_is_gone_from_the_configuration_and_comes_back_is_who_it_says(floor: Floor) -> None:
    change(floor, {"spanish": 5})
    floor.tell(Reconfigured(plan(SALES, BOB)))
    assert changes(floor)[-1] == AgentSkillsChanged("amy", "removed from the configuration")
    check_refold(floor)
    floor.tell(Reconfigured(plan(SALES, AMY, BOB)))
    assert floor.acd.who("amy") == AMY
    check_refold(floor)


def test_whoever_asks_for_an_agent_who_serves_their_company_no_more_goes_on(floor: Floor) -> None:
    floor.join("v1")
    floor.answer("v1")
    floor.ask_for("amy", "d1", "sales")
    assert floor.offered("d1") == ""
    change(floor, clients={"beta"})
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "wrong_client")


def test_a_change_told_again_is_the_change() -> None:
    told = AgentSkillsChanged(
        "amy", "eva", ("skills", "queues"), skills=(("english", 3), ("spanish", 1)), queues=("sales",)
    )
    assert change_of(roster_changed(told)) == told
    assert body_from_dict("AgentSkillsChanged", body_to_dict(told)) == told
    assert effective(AMY, told) == replace(AMY, skills={"english": 3, "spanish": 1}, queues=frozenset({"sales"}))
    assert effective(AMY, AgentSkillsChanged("amy", "eva")) == effective(AMY, None) == AMY


def test_an_agent_of_two_companies_has_one_call_at_a_time_whoever_calls() -> None:
    """Capacity is one voice call: both companies' callers wait while the agent talks, and are taken in turn."""
    amy = replace(AMY, clients=frozenset({"acme", "beta"}))
    floor = Floor(plan(SALES, BETA, amy), ready=("amy",))
    floor.join("v1")
    floor.tell(Join(Ticket("v2", "call-v2", "beta-sales", "beta")))
    floor.join("v3")
    for visit, others in (("v1", ("v2", "v3")), ("v2", ("v3",)), ("v3", ())):
        assert floor.offered(visit) == "amy"
        assert not any(floor.offered(each) for each in others)
        floor.part(floor.answer(visit))
        floor.sleep(30)
    check_refold(floor)


def test_a_queue_that_has_another_name_is_still_the_one_that_an_agent_was_kept_to(floor: Floor) -> None:
    change(floor, queues={"sales"})
    renamed = replace(SALES, id="selling")
    floor.tell(Reconfigured(replace(plan(renamed, BETA, AMY), renamed={"sales": "selling"})))
    assert floor.acd.who("amy").queues == frozenset({"selling"})
    floor.join("v1", "selling")
    assert floor.offered("v1") == "amy"
    check_refold(floor)
