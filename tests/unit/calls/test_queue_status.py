"""What the floor sees of its queues: told when it changes, at most once a second, and always what the facts say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings
from callcenter.calls.facts import FactStream
from callcenter.calls.queue_status import QueueBoard, QueueCounts, QueueStatus
from callcenter.ledger.ledger import Ledger
from callcenter.model.facts import (
    AgentLegEnded,
    AgentStateChanged,
    Body,
    CallConnected,
    CallQueued,
    Fact,
    QueueLeft,
)
from callcenter.model.states import Device, EndCause, Intent, Side, VisitOutcome, Work
from callcenter.simulation.checks import queue_from_facts
from callcenter.simulation.clock import EPOCH, SimClock, run

SALES = QueueSettings("sales", "tech", (Requirement("english", 2),))
HELP = QueueSettings("help", "tech", (Requirement("english", 3), Requirement("support", 1)))
ALMA = QueueSettings("alma", "alma")
AMY = AgentSettings("amy", "Amy", {"english": 5}, frozenset({"tech"}))
BOB = AgentSettings("bob", "Bob", {"english": 3, "support": 2}, frozenset({"tech", "alma"}))
CAT = AgentSettings("cat", "Cat", {"support": 5}, frozenset({"alma"}))
PLAN = Plan({each.id: each for each in (SALES, HELP, ALMA)}, {each.id: each for each in (AMY, BOB, CAT)})


def in_utc(_client: str) -> tzinfo:
    return UTC


def queued(visit: str, queue: str = "sales", client: str = "tech", *, first_joined_ms: int = 0) -> CallQueued:
    return CallQueued(visit, queue, client, 0, (), first_joined_ms)


def state(
    agent: str,
    intent: Intent = Intent.READY,
    work: Work = Work.IDLE,
    device: Device = Device.REGISTERED,
    remaining_ms: int = 0,
) -> AgentStateChanged:
    return AgentStateChanged(agent, intent, "", work, device, "test", remaining_ms=remaining_ms)


class Floor:
    """A board on a stream of facts in virtual time; ``told`` is what it told, and when."""

    def __init__(self, zone_of: Callable[[str], tzinfo] = in_utc, plan: Plan = PLAN) -> None:
        self.clock = SimClock(asyncio.get_running_loop())
        self.plan = plan
        self.told: list[tuple[float, str, QueueStatus | None]] = []
        self.facts: list[Fact] = []
        self.stream = FactStream(self.clock, boot="b1", last_seq=0, write=self.facts.append)
        self.ledger = Ledger()
        self.clients: list[tuple[str, QueueStatus | None]] = []
        self.stream.subscribe(self.ledger.take)
        self.board = QueueBoard(
            lambda: self.plan,
            zone_of,
            self.clock,
            lambda: self.ledger,
            self._show,
            lambda client, status: self.clients.append((client, status)),
        )
        self.stream.subscribe(self.board.take)
        self.board.refresh()

    def _show(self, queue: QueueSettings, status: QueueStatus | None) -> None:
        self.told.append((self.clock.monotonic(), queue.id, status))

    def tell(self, *bodies: Body) -> None:
        for body in bodies:
            self.stream.append(body)

    def joins(self, visit: str, queue: str = "sales", client: str = "tech", *, before: float = 0.0) -> None:
        first = round((self.clock.monotonic() - before) * 1000)
        self.tell(queued(visit, queue, client, first_joined_ms=first))

    def leaves(self, visit: str, outcome: VisitOutcome, reason: str = "", queue: str = "sales") -> None:
        self.tell(QueueLeft(visit, queue, outcome, reason))

    def last(self, queue: str = "sales") -> QueueStatus:
        status = next(status for _, name, status in reversed(self.told) if name == queue)
        assert status is not None
        return status

    def true(self, queue: str = "sales") -> QueueStatus:
        clock = self.clock
        return queue_from_facts(queue, self.facts, self.plan, round(clock.monotonic() * 1000), clock.now())


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        run(story())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


@told
async def test_every_queue_is_told_at_the_start() -> None:
    floor = Floor()
    assert [name for _, name, _ in floor.told] == ["sales", "help", "alma"]
    assert floor.last() == QueueStatus()
    assert floor.board.quiet


@told
async def test_a_caller_who_joins_is_told_at_once_when_nothing_was_told_lately() -> None:
    floor = Floor()
    await asyncio.sleep(10)
    floor.joins("v1")
    await asyncio.sleep(0.001)
    assert floor.last().waiting == 1
    assert floor.last().longest_since == EPOCH + timedelta(seconds=10)
    assert {name for at, name, _ in floor.told if at > 0} == {"sales"}


@told
async def test_changes_of_one_second_are_told_together() -> None:
    floor = Floor()
    await asyncio.sleep(10)
    for number in range(100):
        floor.joins(f"v{number}")
        await asyncio.sleep(0.05)
    floor.leaves("v0", VisitOutcome.ABANDONED)
    await asyncio.sleep(2)
    at = [at for at, name, _ in floor.told if name == "sales"]
    assert len(at) <= 8
    assert all(after - before >= 0.999 for before, after in itertools.pairwise(at))
    assert floor.last() == floor.true()


@told
async def test_nothing_wakes_up_while_nothing_happens() -> None:
    """Ten quiet hours: no timer is armed, nothing is told again."""
    floor = Floor()
    floor.tell(state("amy"), state("bob"))
    await asyncio.sleep(2)
    assert floor.board.quiet
    before = len(floor.told)
    floor.tell(state("amy"))  # said again, nothing new
    await asyncio.sleep(36_000)
    assert floor.board.quiet
    assert len(floor.told) == before


@told
async def test_agents_count_for_the_queues_that_they_may_serve() -> None:
    floor = Floor()
    floor.tell(state("amy"), state("bob"), state("cat", Intent.NOT_READY))
    await asyncio.sleep(2)
    assert [(floor.last(queue).ready, floor.last(queue).signed_in) for queue in PLAN.queues] == [(2, 2), (1, 1), (1, 2)]
    floor.tell(state("bob", work=Work.RESERVED), state("amy", remaining_ms=5000), state("cat", Intent.SIGNED_OUT))
    await asyncio.sleep(2)
    assert [(floor.last(queue).ready, floor.last(queue).signed_in) for queue in PLAN.queues] == [(0, 2), (0, 1), (0, 1)]
    floor.tell(state("amy", device=Device.UNREACHABLE))
    await asyncio.sleep(2)
    assert (floor.last().ready, floor.last().signed_in) == (0, 2)


@told
async def test_a_talk_counts_until_the_agent_leaves_it() -> None:
    floor = Floor()
    floor.joins("v1")
    floor.tell(CallConnected("v1", "o1", "amy"))
    floor.leaves("v1", VisitOutcome.ANSWERED)
    await asyncio.sleep(2)
    assert (floor.last().waiting, floor.last().talking) == (0, 1)
    floor.tell(AgentLegEnded("o1", "amy", Side.CALLER, EndCause.HANGUP))
    await asyncio.sleep(2)
    assert floor.last().talking == 0


@told
async def test_the_longest_wait_is_by_the_place_in_line_not_by_who_came_last() -> None:
    """A caller who kept the place of a queue before has waited longer than those who came first to this one."""
    floor = Floor()
    await asyncio.sleep(100)
    floor.joins("v1")
    await asyncio.sleep(5)
    floor.joins("v2", before=60)
    await asyncio.sleep(2)
    assert floor.last().longest_since == EPOCH + timedelta(seconds=45)
    floor.leaves("v2", VisitOutcome.ABANDONED)
    await asyncio.sleep(2)
    assert floor.last().longest_since == EPOCH + timedelta(seconds=100)


@told
async def test_the_service_level_is_by_the_definition() -> None:
    """Answered in time, of all but short abandons, callers of a closed queue, and those who have not waited 20 s."""
    floor = Floor()
    for number in range(8):
        floor.joins(f"v{number}")
    await asyncio.sleep(1.5)
    assert floor.last().today.service_level is None
    floor.leaves("v0", VisitOutcome.SHORT_ABANDONED)
    floor.leaves("v1", VisitOutcome.REFUSED, "closed")
    await asyncio.sleep(2)
    assert floor.last().today.service_level is None
    floor.leaves("v2", VisitOutcome.ANSWERED)
    await asyncio.sleep(2)
    assert floor.last().today.service_level == 1.0
    floor.leaves("v3", VisitOutcome.REFUSED, "full")
    await asyncio.sleep(2)
    assert floor.last().today.service_level == 0.5
    await asyncio.sleep(30)  # the four who wait still have waited more than 20 s now, and count
    assert floor.last().today.service_level == pytest.approx(1 / 6, abs=1e-4)
    floor.leaves("v4", VisitOutcome.ANSWERED)  # too late to be in time
    await asyncio.sleep(2)
    assert floor.last().today.service_level == pytest.approx(1 / 6, abs=1e-4)
    assert floor.last() == floor.true()


@told
async def test_a_caller_who_has_waited_20_s_lowers_the_level_though_nothing_else_happens() -> None:
    floor = Floor()
    floor.joins("v1")
    floor.leaves("v1", VisitOutcome.ANSWERED)
    floor.joins("v2")
    await asyncio.sleep(19.9)
    assert floor.last().today.service_level == 1.0
    await asyncio.sleep(0.2)
    assert floor.last().today.service_level == 0.5


def test_a_day_ends_at_midnight_of_the_client_also_when_the_clocks_change() -> None:
    """São Paulo is three hours behind; nobody calls at night, and the figure of yesterday goes away by itself."""
    zones = {"tech": ZoneInfo("America/Sao_Paulo"), "alma": ZoneInfo("UTC")}

    async def story() -> None:
        floor = Floor(zones.__getitem__)
        for visit, queue, client in (("v1", "sales", "tech"), ("v2", "alma", "alma")):
            floor.joins(visit, queue, client)
            floor.leaves(visit, VisitOutcome.ANSWERED, queue=queue)
        to_midnight = (datetime(2026, 3, 3, tzinfo=UTC) - EPOCH).total_seconds()
        await asyncio.sleep(to_midnight - 1)
        assert (floor.last("sales").today.service_level, floor.last("alma").today.service_level) == (1.0, 1.0)
        await asyncio.sleep(2)
        assert (floor.last("sales").today.service_level, floor.last("alma").today.service_level) == (1.0, None)
        await asyncio.sleep(3 * 3600)
        assert floor.last("sales").today.service_level is None
        assert floor.board.quiet

    run(story())


@told
async def test_a_visit_over_midnight_belongs_to_the_day_of_its_arrival() -> None:
    floor = Floor()
    await asyncio.sleep((datetime(2026, 3, 3, tzinfo=UTC) - EPOCH).total_seconds() - 5)
    floor.joins("v1")
    await asyncio.sleep(10)
    floor.leaves("v1", VisitOutcome.ANSWERED)
    await asyncio.sleep(2)
    assert floor.last().today.service_level is None
    assert floor.last() == floor.true()


@told
async def test_a_queue_that_is_gone_from_the_plan_is_cleared_and_a_new_one_told() -> None:
    floor = Floor()
    floor.tell(state("amy"))
    await asyncio.sleep(2)
    late = replace(SALES, id="late")
    floor.plan = Plan({"sales": SALES, "late": late}, PLAN.agents)
    floor.board.refresh()
    assert {name for at, name, status in floor.told if at > 1 and status is None} == {"help", "alma"}
    assert (floor.last("late").ready, floor.last("late").signed_in) == (1, 1)


@told
async def test_an_agent_who_joins_with_a_reload_is_counted_from_the_first_fact_on() -> None:
    floor = Floor()
    dan = replace(AMY, id="dan")
    floor.plan = replace(PLAN, agents={**PLAN.agents, "dan": dan})
    floor.tell(state("dan"))
    await asyncio.sleep(2)
    assert (floor.last().ready, floor.last().signed_in) == (1, 1)
    floor.plan = PLAN
    floor.board.refresh()
    assert (floor.last().ready, floor.last().signed_in) == (0, 0)


@told
async def test_an_agent_who_is_back_in_the_plan_before_the_talk_is_over_never_counted_as_signed_out() -> None:
    """Taken out by mistake and put back by the next reload, while they talked on."""
    floor = Floor()
    floor.tell(state("amy", work=Work.TALKING), state("bob"))
    for plan in (replace(PLAN, agents={"bob": BOB, "cat": CAT}), PLAN):
        floor.plan = plan
        floor.board.refresh()
    assert (floor.last().ready, floor.last().signed_in) == (1, 2)
    assert floor.last() == floor.true()
    floor.plan = replace(PLAN, agents={"amy": AMY, "cat": CAT})
    floor.tell(state("bob", Intent.SIGNED_OUT, device=Device.UNREACHABLE))
    floor.plan = PLAN
    await asyncio.sleep(2)
    assert (floor.last().ready, floor.last().signed_in) == (0, 1)


@told
async def test_the_facts_of_an_earlier_boot_change_nothing() -> None:
    """A restart tells the end of visits, offers and talks that this boot never saw begin."""
    floor = Floor()
    floor.leaves("old", VisitOutcome.LOST, "restart")
    floor.tell(AgentLegEnded("old-1", "amy", Side.SYSTEM, EndCause.RESTART))
    await asyncio.sleep(2)
    assert floor.last() == QueueStatus()


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["join", "kept", "answer", "abandon", "short", "refuse", "closed", "hang up", "agent", "plan"]),
        st.integers(0, 5),
        st.sampled_from([0, 1, 400, 7_000, 20_000, 4 * 3_600_000]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(MOVES)
def test_what_is_told_is_what_all_facts_together_say(moves: list[tuple[str, int, int]]) -> None:
    """Whatever happens in whatever order: a second later each queue was told as the long way round has it."""

    async def story() -> None:
        floor = Floor()
        waiting: list[tuple[str, str]] = []
        talks: list[str] = []
        chance = Random(len(moves))
        for number, (move, which, ms) in enumerate(moves):
            queue = list(PLAN.queues.values())[which % 3]
            match move:
                case "join" | "kept":
                    before = min(30.0, floor.clock.monotonic()) if move == "kept" else 0.0
                    floor.joins(f"v{number}", queue.id, queue.client, before=before)
                    waiting.append((f"v{number}", queue.id))
                case "hang up" if talks:
                    offer = talks.pop(which % len(talks))
                    floor.tell(AgentLegEnded(offer, "amy", Side.AGENT, EndCause.AGENT_HANGUP))
                case "agent":
                    agent = chance.choice(list(PLAN.agents))
                    intent, work = chance.choice(list(Intent)), chance.choice(list(Work))
                    floor.tell(state(agent, intent, work, chance.choice(list(Device)), chance.choice([0, 9])))
                case "plan":
                    floor.plan = replace(floor.plan, queues=dict(floor.plan.queues))
                case _ if waiting:
                    visit, where = waiting.pop(which % len(waiting))
                    outcome, reason = {
                        "answer": (VisitOutcome.ANSWERED, ""),
                        "abandon": (VisitOutcome.ABANDONED, ""),
                        "short": (VisitOutcome.SHORT_ABANDONED, ""),
                        "refuse": (VisitOutcome.REFUSED, "full"),
                        "closed": (VisitOutcome.REFUSED, "closed"),
                    }.get(move, (VisitOutcome.LOST, ""))
                    if outcome is VisitOutcome.ANSWERED:
                        floor.tell(CallConnected(visit, f"o{number}", "amy"))
                        talks.append(f"o{number}")
                    floor.leaves(visit, outcome, reason, where)
            await asyncio.sleep(ms / 1000)
            if ms >= 1000:
                await asyncio.sleep(1.1)
                for each in PLAN.queues:
                    assert floor.board.shown(each) == floor.true(each), (each, moves[: number + 1])
        await asyncio.sleep(2)
        for each in PLAN.queues:
            assert floor.board.shown(each) == floor.true(each)
        floor.board.close()

    run(story())


def test_who_may_serve_a_queue_is_what_the_matching_says() -> None:
    """The bits are put together from clients and levels; the ACD asks each agent for himself."""
    counts = QueueCounts(PLAN, in_utc, Ledger)
    for agent in PLAN.agents:
        counts.take(Fact(1, EPOCH, "b1", 0, None, state(agent)))
    facts = [Fact(1, EPOCH, "b1", 0, None, state(agent)) for agent in PLAN.agents]
    for queue in PLAN.queues:
        assert counts.status(queue, 0, EPOCH) == queue_from_facts(queue, facts, PLAN, 0, EPOCH)
