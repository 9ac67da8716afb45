"""Every interleaving on floors small enough to walk, to a depth; each event told twice, and late ones too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from callcenter.acd.events import (
    AcdEvent,
    Connected,
    DeviceChanged,
    Held,
    IntentChosen,
    Join,
    Leave,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    OwnCallBegan,
    OwnCallEnded,
    Reconfigured,
    Resumed,
    RosterChanged,
    TalkEnded,
    TalkMoved,
    Ticket,
    WrapUpAsked,
    WrapUpDone,
    WrapUpExtended,
)
from callcenter.acd.queue import TicketView
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import Plan, RnaRule, RnaSettings, RoutingStep, Strategy, WrapUpSettings
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work, WrapUpMode
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, plan

# Everything can fall due: the wait before a second ring time, the wrap-up, a pause; the second refusal is one too many.
RNA = RnaSettings(*(RnaRule(delay=7.0, limit=2),) * 4, RnaRule(delay=1.0))
QUEUE = replace(SALES, max_wait=30.0, wrap_up=WrapUpSettings(seconds=9.0, extend_once=4.0))
FLOOR = replace(plan(QUEUE, AMY, BOB), rna=RNA)
AMY_ALONE = replace(plan(QUEUE, AMY), rna=RNA)
NO_QUEUE = replace(plan(replace(QUEUE, id="support"), AMY, BOB), rna=RNA)


@dataclass(frozen=True)
class Tick:
    """Time passes until the next thing is due."""


Action = AcdEvent | Tick


def actions(
    floor: Floor,
    agents: tuple[str, ...],
    visits: tuple[str, ...],
    plans: tuple[Plan, ...],
    own: tuple[str, ...],
    more: tuple[AcdEvent, ...] = (),
) -> Iterator[Action]:
    """All that can happen now: whatever people, phones and scripts may do at any time."""
    yield from more
    for visit in visits:
        direct = visit.startswith("d")
        prefer = "amy" if visit.startswith("p") else ""
        only, queue = ("amy", "") if direct else ("", "sales")
        ticket = Ticket(visit, f"call-{visit}", queue, "acme", agent=only, prefer=prefer, prefer_for=6.0)
        yield Join(ticket)
        yield Leave(visit, VisitOutcome.ABANDONED)
    for call in own:
        for view in floor.acd.agents():
            if view.offer:
                yield TalkMoved(view.offer, call, "sales")
        yield OwnCallBegan("amy", call)
        yield OwnCallEnded("amy", call)
    for view in floor.acd.agents():
        if view.offer:
            yield OfferRinging(view.offer)
            yield OfferAccepted(view.offer)
            yield Connected(view.offer)
            yield OfferFailed(view.offer, OfferResult.DECLINED)
            yield Held(view.offer, Side.AGENT)
            yield Resumed(view.offer, Side.AGENT)
            for by in Side:
                yield TalkEnded(view.offer, by, EndCause.HANGUP)
    for agent in agents:
        yield WrapUpDone(agent, "solved")
        yield WrapUpExtended(agent)
        for device in (Device.REGISTERED, Device.UNREACHABLE):
            yield DeviceChanged(agent, device)
        for intent in Intent:
            yield IntentChosen(agent, intent, "lunch")
    for each in plans:
        yield Reconfigured(each)
    yield Tick()


def look(floor: Floor) -> object:
    """The state, with times as seen from now: equal states have equal futures."""
    now = floor.now
    order = sorted(floor.acd._floor.agents.values(), key=lambda agent: (agent.idle_since, agent.id))
    return (
        id(floor.acd.plan),
        tuple(agent.id for agent in order),
        tuple(
            (
                *(agent.id, agent.intent, agent.reason, agent.forced, agent.next, agent.work, agent.device),
                *(agent.until and agent.until - round(now * 1000), agent.extension, *sorted(agent.misses.items())),
                agent.own_calls,
                *(agent.wrap_up, agent.overrun, agent.next_break),
                agent.break_until and agent.break_until - round(now * 1000),
                floor.acd.change(agent.id),
            )
            for agent in floor.acd._floor.agents.values()
        ),
        tuple(
            (ticket.id, ticket.ringing, ticket.step, ticket.preferred, round(now - ticket.joined, 3))
            for ticket in waiting(floor)
        ),
        tuple(
            (
                each.agent.id,
                each.visit,
                each.call_id,
                each.queue,
                each.connected,
                *sorted(each.held_by),
                each.due - round(now * 1000),
            )
            for each in floor.acd._floor.engagements.values()
        ),
        tuple(floor.acd._floor.ended),
    )


def waiting(floor: Floor) -> tuple[TicketView, ...]:
    return (*floor.acd.waiting("sales"), *floor.acd.waiting(""))


def tell(floor: Floor, action: Action) -> None:
    if isinstance(action, Tick):
        if (deadline := floor.acd.deadline) is not None:
            floor.sleep(round(deadline - floor.now, 3))
        return
    floor.tell(action)
    again = floor.acd.handle(action, floor.now)
    assert (again.facts, again.effects) == ((), ()), f"told twice, {action} did more than told once"


def twin(floor: Floor) -> Floor:
    """The same floor once more, from its log alone."""
    copy = Floor(floor.acd.plan)
    copy.acd, copy.now, copy.facts, copy.made = floor.refolded(), floor.now, list(floor.facts), dict(floor.made)
    for fact in copy.facts:
        copy.checker.take(fact, checking=False)
    return copy


def check_late_events(floor: Floor) -> None:
    """What is told about offers that are over says nothing any more."""
    live = {view.offer for view in floor.acd.agents()}
    for offer in floor.made.keys() - live:
        for late in (
            OfferRinging(offer),
            OfferAccepted(offer),
            Connected(offer),
            OfferFailed(offer, OfferResult.NO_ANSWER),
            Held(offer, Side.CALLER),
            Resumed(offer, Side.CALLER),
            TalkMoved(offer, "another"),
            TalkEnded(offer, Side.SYSTEM, EndCause.ERROR),
        ):
            decision = floor.acd.handle(late, floor.now)
            assert (decision.facts, decision.effects) == ((), ()), late


def check_the_way_home(floor: Floor) -> None:
    """When all scripts end, a time later everybody is idle and nobody waits."""
    for ticket in waiting(floor):
        floor.tell(Leave(ticket.id, VisitOutcome.LOST))
    for agent in floor.acd.agents():
        for call in agent.own_calls:
            floor.tell(OwnCallEnded(agent.id, call))
    for offer in floor.made:
        floor.tell(TalkEnded(offer, Side.SYSTEM, EndCause.ERROR))
    floor.sleep(60)
    assert all(view.work is Work.IDLE for view in floor.acd.agents())
    assert waiting(floor) == ()
    assert floor.acd.deadline is None


def explore(
    start: Floor,
    agents: tuple[str, ...],
    visits: tuple[str, ...],
    *,
    plans: tuple[Plan, ...] = (),
    own: tuple[str, ...] = (),
    more: tuple[AcdEvent, ...] = (),
    depth: int | None = None,
) -> Counter[Work]:
    """Walk all that can happen, breadth first, to a depth or (None) to the end; what agents did, over all states."""
    seen = {look(start)}
    edge, works = [start], Counter[Work]()
    while edge and depth != 0:
        further = []
        for floor in edge:
            child = twin(floor)
            for action in list(actions(floor, agents, visits, plans, own, more)):
                tell(child, action)
                if len(child.facts) == len(floor.facts) and child.acd.plan is floor.acd.plan:
                    continue  # ignored: the twin is as it was, and serves the next
                state = look(child)
                if state not in seen:
                    seen.add(state)
                    works.update(view.work for view in child.acd.agents())
                    check_late_events(child)
                    check_refold(child)
                    check_the_way_home(twin(child))
                    further.append(child)
                child = twin(floor)
        edge = further
        depth = None if depth is None else depth - 1
    return works


# All phones at once; what is asked relaxed with time, and at once where nobody is signed in who has it.
RING_ALL = replace(plan(replace(QUEUE, strategy=Strategy.RING_ALL), AMY, BOB), rna=RNA)
RELAXING = replace(
    plan(replace(QUEUE, requirements=(Requirement("english", 5),), steps=(RoutingStep(12.0),)), AMY, BOB), rna=RNA
)

ALL_WORKS = {Work.IDLE, Work.RESERVED, Work.RINGING, Work.TALKING, Work.HELD, Work.WRAP_UP}


def test_one_agent_and_one_caller_through_every_six_events() -> None:
    works = explore(Floor(AMY_ALONE, ready=("amy",)), ("amy",), ("v1",), depth=6)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_one_agent_and_one_caller_through_all_that_can_ever_happen() -> None:
    """No depth: the walk ends because no state is left that was not seen (some 1,600)."""
    works = explore(Floor(AMY_ALONE, ready=("amy",)), ("amy",), ("v1",))
    assert set(works) == ALL_WORKS
    assert works.total() > 1000


@pytest.mark.long
def test_two_callers_for_one_agent_through_every_five_events() -> None:
    works = explore(Floor(AMY_ALONE, ready=("amy",)), ("amy",), ("v1", "v2"), depth=5)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_two_callers_for_two_agents_through_every_four_events() -> None:
    works = explore(Floor(FLOOR, ready=("amy", "bob")), ("amy", "bob"), ("v1", "v2"), depth=4)
    assert set(works) == ALL_WORKS


def test_reloads_between_any_five_events() -> None:
    plans = (FLOOR, NO_QUEUE, AMY_ALONE)
    works = explore(Floor(FLOOR, ready=("amy",)), ("amy",), ("v1",), plans=plans, depth=5)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_an_agent_who_dials_at_any_moment_through_every_five_events() -> None:
    works = explore(Floor(AMY_ALONE, ready=("amy",)), ("amy",), ("v1",), own=("c1", "c2"), depth=5)
    assert set(works) == ALL_WORKS | {Work.OUTBOUND, Work.CONSULTING}


@pytest.mark.long
def test_an_agent_who_is_asked_for_by_name_and_dials_through_every_five_events() -> None:
    works = explore(Floor(AMY_ALONE, ready=("amy",)), ("amy",), ("v1", "d1"), own=("c1",), depth=5)
    assert set(works) == ALL_WORKS | {Work.OUTBOUND, Work.CONSULTING}


def test_an_agent_who_dials_or_is_asked_for_while_the_configuration_changes() -> None:
    plans = (FLOOR, replace(FLOOR, agents={"bob": BOB}))
    works = explore(Floor(FLOOR, ready=("amy",)), ("amy",), ("d1",), plans=plans, own=("c1",), depth=5)
    assert set(works) >= {Work.OUTBOUND, Work.CONSULTING, Work.RINGING}


# An optional wrap-up, and what supervisors do at any moment: other skills, none, the configured ones; states, among
# them a break that is over before it has begun.
OPTIONAL = replace(QUEUE, wrap_up=WrapUpSettings(WrapUpMode.OPTIONAL, seconds=9.0, extend_once=4.0, choice=2.0))
CHOICE = replace(plan(OPTIONAL, AMY), rna=RNA)
NOBODY = frozenset[str]()


def supervised(*agents: str) -> tuple[AcdEvent, ...]:
    """What can come from the side, for each of these agents."""
    return tuple(
        event
        for agent in agents
        for event in (
            WrapUpAsked(agent),
            WrapUpDone(agent, ""),
            RosterChanged(agent, {}, None, None, "eva"),
            RosterChanged(agent, {"english": 2}, None, frozenset({"sales"}), "eva"),
            RosterChanged(agent, None, NOBODY, None, "eva"),
            RosterChanged(agent, None, None, None, "eva"),
            IntentChosen(agent, Intent.NOT_READY, "coffee", by="eva", lasts=0.0),
            IntentChosen(agent, Intent.NOT_READY, "training", by="eva", lasts=11.0),
        )
    )


@pytest.mark.long
def test_wrap_up_by_choice_other_skills_and_states_by_a_supervisor_through_every_five_events() -> None:
    """One agent and one caller, to a depth of five; the state behind each is folded again and led home."""
    works = explore(Floor(CHOICE, ready=("amy",)), ("amy",), ("v1",), more=supervised("amy"), depth=5)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_supervisors_reloads_and_own_calls_between_any_four_events() -> None:
    plans = (CHOICE, replace(CHOICE, agents={"bob": BOB}), replace(plan(QUEUE, AMY, BOB), rna=RNA))
    start = Floor(CHOICE, ready=("amy",))
    works = explore(start, ("amy",), ("v1",), plans=plans, own=("c1",), more=supervised("amy"), depth=4)
    assert set(works) >= {Work.OUTBOUND, Work.CONSULTING, Work.WRAP_UP}


@pytest.mark.long
def test_all_phones_at_once_through_every_four_events() -> None:
    works = explore(Floor(RING_ALL, ready=("amy", "bob")), ("amy", "bob"), ("v1",), depth=4)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_all_phones_at_once_for_two_callers_through_every_four_events() -> None:
    works = explore(Floor(RING_ALL, ready=("amy", "bob")), ("amy", "bob"), ("v1", "v2"), depth=4)
    assert set(works) == ALL_WORKS


def test_steps_that_relax_and_an_agent_who_is_preferred_through_every_four_events() -> None:
    works = explore(Floor(RELAXING, ready=("amy", "bob")), ("amy", "bob"), ("p1",), depth=4)
    assert set(works) == ALL_WORKS


@pytest.mark.long
def test_steps_and_preferences_of_two_callers_while_the_configuration_changes_through_every_four_events() -> None:
    plans = (RELAXING, RING_ALL)
    works = explore(Floor(RELAXING, ready=("amy", "bob")), ("amy", "bob"), ("p1", "v2"), plans=plans, depth=4)
    assert set(works) == ALL_WORKS
