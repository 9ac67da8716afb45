"""Why this agent, why not that one: what is kept of a decision, and what the floor answers when it is asked."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.events import Join, Ticket
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, RoutingStep, Share, Strategy
from callcenter.acd.why import Cause, Explanation, Passed, as_json
from callcenter.model.facts import OfferMade
from callcenter.model.states import Device, Intent
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, plan

CAS = AgentSettings("cas", "Cas", {"english": 4}, frozenset({"acme"}))
DAN = AgentSettings("dan", "Dan", {}, frozenset({"acme"}))
EVE = AgentSettings("eve", "Eve", {"english": 5}, frozenset({"beta"}))


def why_of(floor: Floor, offer: str) -> Explanation:
    made = next(body for body in floor.bodies(OfferMade) if body.offer == offer)
    return Explanation.parse(made.explanation)


def test_an_offer_tells_who_came_next_and_what_kept_the_others() -> None:
    gus = AgentSettings("gus", "Gus", {"english": 5}, frozenset({"acme"}), queues=frozenset({"support"}))
    floor = Floor(replace(plan(SALES, AMY, BOB, CAS, DAN, EVE, gus), revision="abc"), ready=("bob", "cas", "dan"))
    floor.phone("amy", Device.REGISTERED)
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v1")
    why = why_of(floor, "v1-1")
    assert (why.agent, why.strategy, why.asked, why.revision) == ("cas", Strategy.BEST_SKILL, "english>=2", "abc")
    assert [agent for agent, _ in why.next] == ["bob"]
    assert why.more == 0
    assert why.excluded == {Cause.OTHER_CLIENT: 1, Cause.OTHER_QUEUE: 1, Cause.SKILL: 1, Cause.NOT_READY: 1}
    assert why.words() == (
        "cas was first of 2 (best_skill): skills 4, idle for 0 s",
        "asked for english>=2",
        "next would have been bob: skills 3, idle for 0 s",
        "1 does not serve the client",
        "1 was not in the queue",
        "1 lacks a skill",
        "1 was not ready",
        "the caller's turn: priority 0, waits for 0 s",
        "configuration abc",
    )


def test_who_stood_before_is_told_with_what_held_them() -> None:
    floor = Floor(plan(replace(SALES, strategy=Strategy.LONGEST_IDLE), AMY, BOB))
    floor.join("v1", asked=(Requirement("french", 1),))
    floor.join("v2")
    floor.phone("bob", Device.REGISTERED)
    assert why_of(floor, "v2-1").ahead == (("v1", Passed.ASKS_MORE),)
    floor.join("v3")
    floor.phone("amy", Device.REGISTERED)
    why = why_of(floor, "v3-1")
    assert why.ahead == (("v1", Passed.ASKS_MORE), ("v2", Passed.OFFERED))
    assert "v2 stood before and was being offered already" in why.words()


def test_a_step_a_preference_and_a_share_are_told() -> None:
    queue = replace(
        SALES, requirements=(Requirement("english", 5),), steps=(RoutingStep(10.0, Requirement("english")),)
    )
    floor = Floor(replace(plan(queue, AMY, BOB), shares={"acme": Share(2, 3.0)}), ready=("bob", "amy"))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v1", prefer="bob", prefer_for=5.0)
    assert floor.offered("v1") == ""
    floor.sleep(10)
    why = why_of(floor, "v1-1")
    assert (why.agent, why.step, why.preferred, why.share) == ("bob", 1, "bob", (2, 3.0, 0))
    assert "asked for english>=1, by routing step 1" in why.words()
    assert "share of the client: 0 agents at work for it, of at least 2; weight 3" in why.words()
    assert any("preferred" in line for line in why.words())


def test_where_the_lot_decides_it_is_told_among_how_many() -> None:
    floor = Floor(plan(replace(SALES, strategy=Strategy.RANDOM), AMY, BOB), ready=("amy", "bob"))
    floor.join("v1")
    why = why_of(floor, "v1-1")
    assert (why.drawn, why.next, why.more) == (2, (), 1)
    assert why.words()[0] == f"the lot fell on {why.agent}, of 2 (random)"


def test_who_is_rung_at_once_with_others_is_told_so() -> None:
    floor = Floor(plan(replace(SALES, strategy=Strategy.RING_ALL), AMY, BOB), ready=("amy", "bob"))
    floor.join("v1")
    assert [why_of(floor, f"v1-{number}").words()[0] for number in (1, 2)] == [
        "amy and 1 more were rung at once (ring_all)",
        "bob and 1 more were rung at once (ring_all)",
    ]


def test_why_amy_is_idle_while_callers_wait() -> None:
    french = QueueSettings("french", "acme", (Requirement("french", 3),))
    floor = Floor(plan(SALES, french, AMY), ready=("amy",))
    for visit in ("v1", "v2", "v3"):
        floor.join(visit, "french")
    why = floor.acd.explain_agent("amy")
    assert why is not None
    assert why.words() == ("amy is ready for a call", "3 in french wait for french>=3: french 0 of 3 needed")
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v4")
    why = floor.acd.explain_agent("amy")
    assert why is not None
    assert why.words() == (
        "amy takes no calls now: not ready: lunch",
        "3 in french wait for french>=3: french 0 of 3 needed",
        "1 in sales waits for english>=2: could be taken, but for the state of the agent",
    )
    assert floor.acd.explain_agent("nobody") is None


def test_why_a_caller_waits_and_what_will_change() -> None:
    queue = replace(SALES, requirements=(Requirement("english", 5),), steps=(RoutingStep(30.0, None),))
    floor = Floor(plan(queue, AMY, BOB), ready=("amy", "bob"))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v1")
    floor.sleep(10)
    why = floor.acd.explain_ticket("v1", floor.now)
    assert why is not None
    assert why.words() == (
        "call all-v1, number 1 in sales: priority 0, waits for 10 s",
        "asks for english>=5",
        "asks for less in 20 s",
        "1 lacks a skill",
        "1 is not ready",
        "amy may take the caller, but is not ready: lunch",
    )
    whole = floor.acd.explain_queue("sales", floor.now)
    assert whole is not None
    assert whole.first == why
    assert whole.words() == (
        "sales: 1 waiting, 0 of them being offered (best_skill)",
        "1 asks for english>=5: 1 agent lacks a skill; 1 agent is not ready",
        "the first: call all-v1, number 1 in sales: priority 0, waits for 10 s",
        "the first: asks for english>=5",
        "the first: asks for less in 20 s",
        "the first: amy may take the caller, but is not ready: lunch",
    )
    assert as_json(whole)["first"]["excluded"] == {"skill": 1, "not_ready": 1}
    assert floor.acd.explain_queue("nowhere") is None
    assert floor.acd.explain_ticket("v9") is None


def test_a_floor_that_may_offer_nobody_is_not_taken_for_an_idle_agent_s_fault() -> None:
    floor = Floor(plan(SALES, AMY), ready=("amy",))
    floor.acd.offering = False
    floor.acd.handle(Join(Ticket("v1", "call-v1", "sales", "acme")), floor.now)
    why, waits = floor.acd.explain_agent("amy"), floor.acd.explain_ticket("v1")
    assert why is not None
    assert waits is not None
    held = "held back: nobody is offered a caller while the log cannot be written"
    assert why.words()[0] == f"amy takes no calls now: {held}"
    assert waits.words()[-1] == f"amy may take the caller, but is {held}"


def test_nobody_is_said_to_be_drawn_by_lot_who_was_preferred() -> None:
    floor = Floor(plan(replace(SALES, strategy=Strategy.RANDOM), AMY, BOB), ready=("amy", "bob"))
    floor.join("v1", prefer="bob")
    assert why_of(floor, "v1-1").words()[0] == "bob was first of 2 (random): preferred, idle for 0 s"


numbers = st.integers(-5, 10**9)
ranks = st.tuples(numbers, numbers, numbers, numbers, numbers)


@given(
    st.builds(
        Explanation,
        agent=st.text(max_size=5),
        now=numbers,
        ticket_rank=st.tuples(numbers, st.floats(0, 9), numbers, numbers, numbers),
        agent_rank=ranks,
        strategy=st.sampled_from(Strategy),
        asked=st.text(max_size=5),
        next=st.lists(st.tuples(st.text(max_size=3), ranks), max_size=2).map(tuple),
        more=st.integers(0, 3),
        drawn=st.integers(0, 3),
        together=st.integers(1, 3),
        excluded=st.dictionaries(st.sampled_from(Cause), st.integers(1, 9)),
        ahead=st.lists(st.tuples(st.text(max_size=3), st.sampled_from(Passed)), max_size=2).map(tuple),
        ahead_more=st.integers(0, 3),
        step=st.integers(0, 3),
        only=st.text(max_size=3),
        preferred=st.text(max_size=3),
        share=st.one_of(st.none(), st.tuples(st.integers(0, 3), st.floats(0.1, 9), st.integers(0, 9))),
        revision=st.text(max_size=3),
    )
)
def test_an_explanation_comes_back_from_its_text(explanation: Explanation) -> None:
    assert Explanation.parse(explanation.text()) == explanation
    assert all(explanation.words())


def test_an_empty_plan_has_nothing_to_explain() -> None:
    floor = Floor(Plan({}, {}))
    assert floor.acd.explain_agent("amy") is None
