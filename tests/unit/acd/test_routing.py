"""Who gets whom as time goes by: steps that relax, agents who are preferred, priorities that age, shares of a floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.acd.events import Connected, DeviceChanged, Join, OfferFailed, RosterChanged, TalkEnded, Ticket
from callcenter.acd.requirements import AnyOf, Needs, Requirement
from callcenter.acd.rosters import Agents, Roster
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, RoutingStep, Share, Strategy
from callcenter.model.facts import OfferMade, PreferenceEnded, RoutingRelaxed
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, plan

EXPERTS = replace(
    SALES,
    requirements=(Requirement("english", 5),),
    steps=(RoutingStep(10.0, Requirement("english", 4)), RoutingStep(30.0, None)),
    wrap_up=None,
)
CAS = AgentSettings("cas", "Cas", {"english": 4}, frozenset({"acme"}))


def strategies(strategy: Strategy, *agents: AgentSettings) -> Plan:
    return plan(replace(SALES, strategy=strategy, wrap_up=None), *agents)


def taken_by(floor: Floor, visit: str, *, talk: float = 1.0) -> str:
    """Who is offered a caller; the two talk, and part."""
    floor.join(visit)
    agent = floor.offered(visit)
    offer = floor.answer(visit)
    floor.sleep(talk)
    floor.part(offer)
    return agent


# Strategies


def test_round_robin_goes_round_in_the_order_of_the_configuration() -> None:
    floor = Floor(strategies(Strategy.ROUND_ROBIN, BOB, AMY, CAS), ready=("cas", "amy", "bob"))
    assert [taken_by(floor, f"v{at}") for at in range(6)] == ["bob", "amy", "cas", "bob", "amy", "cas"]
    check_refold(floor)


def test_linear_takes_the_first_of_the_configuration_again_and_again() -> None:
    floor = Floor(strategies(Strategy.LINEAR, BOB, AMY), ready=("amy", "bob"))
    assert [taken_by(floor, f"v{at}") for at in range(3)] == ["bob", "bob", "bob"]


def test_fewest_calls_and_least_talk_begin_anew_with_each_shift() -> None:
    floor = Floor(strategies(Strategy.FEWEST_CALLS, AMY, BOB), ready=("amy", "bob"))
    assert [taken_by(floor, f"v{at}") for at in range(4)] == ["amy", "bob", "amy", "bob"]
    assert taken_by(floor, "v4") == "amy"
    floor.choose("amy", Intent.SIGNED_OUT)
    floor.choose("amy", Intent.READY)
    assert [taken_by(floor, f"v{at}") for at in range(5, 7)] == ["amy", "amy"], "a new shift, none so far"
    check_refold(floor)

    floor = Floor(strategies(Strategy.LEAST_TALK, AMY, BOB), ready=("amy", "bob"))
    assert taken_by(floor, "v0", talk=60.0) == "amy"
    assert [taken_by(floor, f"v{at}", talk=25.0) for at in range(1, 4)] == ["bob", "bob", "bob"]
    assert taken_by(floor, "v4") == "amy", "bob has talked for 75 s by now, amy for 60"
    check_refold(floor)


def test_the_one_idle_longest_comes_before_the_better_match_where_nobody_asks_for_that() -> None:
    floor = Floor(strategies(Strategy.LONGEST_IDLE, AMY, BOB), ready=("bob",))
    floor.sleep(1)
    floor.phone("amy", Device.REGISTERED)
    assert taken_by(floor, "v1") == "bob"


# Steps


def test_a_caller_waits_for_an_expert_and_then_takes_whoever_is_there() -> None:
    floor = Floor(plan(EXPERTS, AMY, CAS, BOB), ready=("amy", "cas", "bob"))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.choose("cas", Intent.NOT_READY, "lunch")
    floor.join("v1")
    floor.sleep(29.999)
    assert floor.offered("v1") == ""
    floor.sleep(0.001)
    assert floor.offered("v1") == "bob"
    assert [(body.step, body.reason) for body in floor.bodies(RoutingRelaxed)] == [(1, "time"), (2, "time")]
    check_refold(floor)


def test_a_step_for_which_nobody_is_signed_in_is_gone_over_at_once() -> None:
    floor = Floor(plan(EXPERTS, AMY, CAS, BOB), ready=("bob",))
    floor.join("v1")
    assert floor.offered("v1") == "bob"
    assert [(body.step, body.reason) for body in floor.bodies(RoutingRelaxed)] == [(2, "nobody_signed_in")]


def test_the_last_expert_who_signs_out_lets_those_who_wait_go_on_to_the_next_step() -> None:
    floor = Floor(plan(EXPERTS, AMY, CAS), ready=("amy", "cas"))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.join("v1")
    floor.join("v2")
    assert floor.offered("v1") == ""
    floor.choose("amy", Intent.SIGNED_OUT)
    assert [floor.offered(visit) for visit in ("v1", "v2")] == ["cas", ""]
    check_refold(floor)


def test_a_sign_in_works_out_for_nobody_who_waits_what_it_was_worked_out_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With callers in a thousand queues it would take milliseconds, and in the morning everybody signs in."""
    floor = Floor(plan(replace(EXPERTS, steps=EXPERTS.steps[:1]), AMY, BOB, CAS))
    floor.join("v1")
    worked_out: list[str] = []
    able = Roster.able

    def counting(self: Roster, client: str, queue: str, asked: Needs) -> Agents:
        worked_out.append(queue)
        return able(self, client, queue, asked)

    monkeypatch.setattr(Roster, "able", counting)
    for _ in range(3):
        floor.phone("bob", Device.REGISTERED)
        floor.choose("bob", Intent.SIGNED_OUT)
        floor.choose("bob", Intent.READY)
    assert not worked_out
    # It is worked out anew when somebody is given another skill.
    floor.tell(RosterChanged("bob", {"english": 4}, None, None, "dora"))
    assert worked_out
    assert floor.offered("v1") == "bob"


def test_what_is_kept_of_who_may_take_whom_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.acd.stepping.KEPT_KINDS", 5)
    floor = Floor(plan(EXPERTS, AMY, BOB, CAS))
    floor.join("stays", asked=(Requirement("french", 1),))
    for at in range(20):
        floor.join(f"v{at}", asked=(Requirement(f"skill{at}", 1),))
        floor.hang_up(f"v{at}")
        assert len(floor.acd._floor.stepping._meeting) <= 7
    floor.tell(RosterChanged("cas", {"english": 5, "french": 2}, None, None, "dora"))
    floor.phone("cas", Device.REGISTERED)
    assert floor.offered("stays") == "cas"


def test_with_nobody_signed_in_at_all_nobody_asks_for_less_until_their_time() -> None:
    floor = Floor(plan(replace(EXPERTS, max_wait=None), AMY, BOB))
    floor.join("v1")
    assert floor.bodies(RoutingRelaxed) == []
    floor.phone("bob", Device.REGISTERED)
    assert floor.offered("v1") == "bob", "who comes first decides, and the expert is not there"


def test_what_a_caller_asks_of_its_own_stays_asked_at_every_step() -> None:
    french = AgentSettings("fay", "Fay", {"french": 2}, frozenset({"acme"}))
    floor = Floor(plan(EXPERTS, BOB, french), ready=("bob", "fay"))
    floor.join("v1", asked=(AnyOf((Requirement("french"), Requirement("german"))),))
    assert floor.offered("v1") == "fay"
    assert floor.bodies(RoutingRelaxed)[0].needs == "french>=1 or german>=1"
    check_refold(floor)


# Preference


def test_the_preferred_agent_is_waited_for_while_he_talks_and_not_for_ever() -> None:
    floor = Floor(plan(SALES, AMY, BOB), ready=("bob",))
    floor.join("v1")
    offer = floor.answer("v1")
    floor.phone("amy", Device.REGISTERED)
    floor.join("v2", prefer="bob", prefer_for=20.0)
    assert floor.offered("v2") == "", "amy is free and not asked"
    floor.sleep(20)
    assert floor.offered("v2") == "amy"
    assert floor.bodies(PreferenceEnded)[0].reason == "time"
    floor.part(offer)
    check_refold(floor)


def test_a_preferred_agent_who_does_not_come_is_not_waited_for() -> None:
    ways: tuple[tuple[Callable[[Floor], None], str], ...] = (
        (lambda floor: floor.choose("bob", Intent.SIGNED_OUT), "signed_out"),
        (lambda floor: floor.choose("bob", Intent.NOT_READY, "lunch"), "not_ready"),
        (lambda floor: floor.phone("bob", Device.UNREACHABLE), "unreachable"),
    )
    for away, reason in ways:
        floor = Floor(plan(SALES, AMY, BOB), ready=("amy", "bob"))
        away(floor)
        floor.join("v1", prefer="bob", prefer_for=60.0)
        assert floor.offered("v1") == "amy"
        assert floor.bodies(PreferenceEnded)[0].reason == reason

    floor = Floor(plan(SALES, AMY, BOB), ready=("amy", "bob"))
    floor.join("v1", prefer="nobody", prefer_for=60.0)
    assert floor.offered("v1") == "amy"
    floor = Floor(plan(replace(SALES, requirements=(Requirement("english", 4),)), AMY, BOB), ready=("amy", "bob"))
    floor.join("v1", prefer="bob", prefer_for=60.0)
    assert floor.offered("v1") == "amy", "bob may not take the caller"


def test_a_preferred_agent_who_goes_to_lunch_after_the_talk_lets_the_caller_go_on_now() -> None:
    floor = Floor(plan(SALES, AMY, BOB), ready=("bob",))
    floor.join("v1")
    floor.answer("v1")
    floor.phone("amy", Device.REGISTERED)
    floor.join("v2", prefer="bob", prefer_for=60.0)
    assert floor.offered("v2") == ""
    floor.choose("bob", Intent.NOT_READY, "lunch")
    assert floor.offered("v2") == "amy"


def test_a_preferred_agent_who_declines_is_not_asked_alone_again() -> None:
    floor = Floor(plan(SALES, AMY, BOB), ready=("amy", "bob"))
    floor.join("v1", prefer="bob", prefer_for=60.0)
    floor.tell(OfferFailed(floor.offer_of("v1"), OfferResult.DECLINED))
    assert floor.offered("v1") == "amy"


def test_after_the_time_a_preferred_agent_is_the_first_among_equals() -> None:
    other = replace(BOB, id="ben", name="Ben")
    floor = Floor(plan(SALES, BOB, other), ready=("bob", "ben"))
    floor.join("v1", prefer="ben")
    assert floor.offered("v1") == "ben"
    floor = Floor(plan(SALES, AMY, other), ready=("amy", "ben"))
    floor.join("v1", prefer="ben")
    assert floor.offered("v1") == "amy", "the better match is no equal"


# Ageing


def test_who_waits_gains_priority_until_even_the_important_ones_wait_behind() -> None:
    patient = QueueSettings("patient", "acme", age_weight=1.0)
    urgent = QueueSettings("urgent", "acme", priority=5)
    floor = Floor(plan(patient, urgent, AMY))
    floor.join("v1", "patient")
    floor.sleep(299)
    floor.join("v2", "urgent")
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v2") == "amy", "4.98 points are less than 5"
    floor.hang_up("v2")
    floor.tell(TalkEnded(floor.offer_of("v1"), Side.AGENT, EndCause.HANGUP))

    floor = Floor(plan(patient, urgent, AMY))
    floor.join("v1", "patient")
    floor.sleep(301)
    floor.join("v2", "urgent")
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v1") == "amy"
    check_refold(floor)


# Shares


def shared_floor(agents: int, shares: dict[str, Share]) -> Floor:
    both = frozenset({"acme", "beta"})
    people = [AgentSettings(f"a{at}", f"A {at}", {}, both) for at in range(agents)]
    queues = [QueueSettings(client, client) for client in ("acme", "beta")]
    return Floor(replace(plan(*queues, *people), shares=shares))


def test_a_noisy_client_with_a_thousand_callers_does_not_break_the_minimum_of_another() -> None:
    """Every agent who comes free goes where the minimum is not met; then the rest goes by weight."""
    floor = shared_floor(8, {"acme": Share(2, 1.0), "beta": Share(1, 3.0)})
    floor.acd.offering = False
    for at in range(1000):
        floor.acd.handle(  # without the checks of the floor, which look at everybody each time
            join(f"n{at}", "beta", priority=50), floor.now
        )
    for at in range(5):
        floor.acd.handle(join(f"q{at}", "acme"), floor.now)
    floor.acd.offering = True
    counts = []
    for at in range(8):
        decision = floor.acd.handle(device(f"a{at}"), floor.now)
        counts += [draft.body.queue for draft in decision.facts if isinstance(draft.body, OfferMade)]
    assert Counter(counts[:3]) == {"acme": 2, "beta": 1}, counts
    assert Counter(counts[3:]) == {"acme": 1, "beta": 4}, counts


def join(visit: str, client: str, *, priority: int = 0) -> Join:
    return Join(Ticket(visit, f"call-{visit}", client, client, priority=priority))


def device(agent: str) -> DeviceChanged:
    return DeviceChanged(agent, Device.REGISTERED)


@given(
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.sampled_from(("acme", "beta", "beta", "beta", "over", "agent")), min_size=5, max_size=40),
    st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_whoever_is_below_the_minimum_and_waits_gets_the_next_agent(
    agents: int, mine: int, theirs: int, events: list[str], seed: int
) -> None:
    """The checker of the floor looks at every offer for a client below its minimum that was passed over."""
    chance = Random(seed)
    floor = shared_floor(agents, {"acme": Share(mine, 1.0), "beta": Share(theirs, 2.0)})
    floor.phone("a0", Device.REGISTERED)
    for number, event in enumerate(events):
        if event == "agent":
            floor.phone(f"a{chance.randrange(agents)}", Device.REGISTERED)
        elif event == "over" and floor.made:
            offer = chance.choice(list(floor.made))
            floor.tell(Connected(offer))
            floor.tell(TalkEnded(offer, Side.CALLER, EndCause.HANGUP))
        elif event != "over":
            floor.join(f"v{number}", event, client=event, priority=chance.randint(0, 9))
    check_refold(floor)


# All at once


def test_all_who_are_rung_keep_their_places_among_the_idle_but_the_one_who_picks_up() -> None:
    floor = Floor(strategies(Strategy.RING_ALL, AMY, BOB, CAS), ready=("amy", "bob", "cas"))
    floor.sleep(5)
    floor.join("v1")
    view = floor.ticket("v1")
    assert view is not None
    assert view.ringing == ("amy", "bob", "cas")
    floor.tell(Connected(floor.agent("bob").offer))
    assert floor.outcome("v1") == (VisitOutcome.ANSWERED, "")
    assert floor.withdrawn() == [("amy", OfferResult.LOST_RACE), ("cas", OfferResult.LOST_RACE)]
    assert floor.agent("amy").available
    assert floor.agent("cas").available
    check_refold(floor)


def test_a_caller_who_hangs_up_frees_all_who_are_rung() -> None:
    floor = Floor(strategies(Strategy.RING_ALL, AMY, BOB), ready=("amy", "bob"))
    floor.join("v1")
    floor.tell(OfferFailed(floor.agent("bob").offer, OfferResult.CALLER_GONE))
    assert floor.results() == [("bob", OfferResult.CALLER_GONE), ("amy", OfferResult.CALLER_GONE)]
    assert all(floor.agent(each).available for each in ("amy", "bob"))


def test_a_lease_of_each_who_is_rung_frees_them_though_nobody_tells_how_it_went() -> None:
    floor = Floor(strategies(Strategy.RING_ALL, AMY, BOB), ready=("amy", "bob"))
    floor.join("v1")
    floor.sleep(26)
    assert all(floor.agent(each).offer == "" for each in ("amy", "bob"))
    assert {result for _, result in floor.results()} == {OfferResult.UNREACHABLE}
    check_refold(floor)
