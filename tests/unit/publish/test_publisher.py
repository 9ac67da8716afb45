"""The publisher over a broker that is slow, dies and comes back, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.model.facts import SwitchStopped
from callcenter.publish import topics
from callcenter.publish.off import NoPublisher
from callcenter.publish.publisher import CURSOR, MAX_POPS, RECEIVE_MAXIMUM, ListPublisher, Status
from callcenter.simulation.clock import SimClock, run
from tests.unit.publish.support import Log, until

EVENT = topics.call_event("cc1-call")
ANA = topics.agent_state("ana")
BOB = topics.agent_state("bob")


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def wrapped() -> None:
        async def main() -> None:
            await test()

        run(main())

    return wrapped


@contextlib.asynccontextmanager
async def publisher(log: Log, *, delay: float = 0.0, dead: bool = False) -> AsyncIterator[ListPublisher]:
    made = ListPublisher(log, SimClock(asyncio.get_running_loop()), delay=delay, dead=dead)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def told(made: ListPublisher) -> list[tuple[bool, str]]:
    states: list[tuple[bool, str]] = []
    made.on_state = lambda connected, detail: states.append((connected, detail))
    return states


def seqs(made: ListPublisher) -> list[int]:
    return [payload["seq"] for payload in made.of_topic(EVENT)]


def first_time(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


@in_virtual_time
async def test_states_come_first_then_online_then_the_facts_in_order() -> None:
    log = Log()
    log.add(40)
    async with publisher(log, delay=0.003) as made:
        made.set_state(ANA, {"work": "idle"})
        made.set_state(BOB, {"waiting": 0})
        await until(lambda: not made.status().waiting)
        assert [message.topic for message in made.messages[:3]] == [
            ANA,
            BOB,
            topics.STATUS,
        ]
        assert seqs(made) == list(range(1, 41))
        assert log.cursor(CURSOR) == 40
        log.add(3)
        await until(lambda: not made.status().waiting)
        assert seqs(made) == list(range(1, 44))
    assert made.retained == {
        ANA: {"work": "idle"},
        BOB: {"waiting": 0},
        topics.STATUS: "offline",
    }


@in_virtual_time
async def test_facts_that_are_no_part_of_a_call_are_passed_over() -> None:
    log = Log()
    log.add(2, SwitchStopped("x"), call_id=None)
    async with publisher(log) as made:
        await until(lambda: log.cursor(CURSOR) == 2)
        log.add(1)
        log.add(1, call_id="not a slug")
        log.add(1)
        await until(lambda: log.cursor(CURSOR) == 5)
        assert seqs(made) == [3, 5]


@in_virtual_time
async def test_a_pop_is_acknowledged_numbered_for_its_agent_and_expires_with_the_offer() -> None:
    log = Log()
    async with publisher(log, delay=0.02) as made:
        await until(lambda: made.status().connected)
        began = asyncio.get_running_loop().time()
        assert await made.publish_pop("ana", {"id": "p1"}, 60.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.02, abs=0.001)
        await made.publish_pop("bob", {"id": "p2"}, 5.0)
        await made.publish_pop("ana", {"id": "p3"}, 5.0)
        assert made.pops("ana") == [{"id": "p1", "seq": 1}, {"id": "p3", "seq": 2}]
        assert made.pops("bob") == [{"id": "p2", "seq": 1}]
        pops = [message for message in made.messages if message.topic.endswith("/pop")]
        assert [message.expires_s for message in pops] == [60, 5, 5]
        assert not any(message.retain for message in pops)
    assert topics.agent_pop("ana") not in made.retained


@in_virtual_time
async def test_the_numbers_of_pops_go_on_after_a_restart() -> None:
    log = Log()
    for expected in (1, 2):
        async with publisher(log) as made:
            await until(lambda: made.status().connected)
            await made.publish_pop("ana", {}, 60.0)
            assert made.pops("ana") == [{"seq": expected}]


@in_virtual_time
async def test_a_slow_broker_does_not_hold_whoever_gives_up_waiting() -> None:
    log = Log()
    async with publisher(log, delay=2.0) as made:
        await until(lambda: made.status().connected)
        pop = made.publish_pop("ana", {}, 60.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pop, 0.150)
        assert made.pops("ana") == [{"seq": 1}]
        await until(lambda: made.status().pops_sent == 1)


@in_virtual_time
async def test_with_a_dead_broker_from_the_start_a_pop_answers_at_once() -> None:
    log = Log()
    async with publisher(log, dead=True) as made:
        states = told(made)
        began = asyncio.get_running_loop().time()
        assert not await made.publish_pop("ana", {"id": "p1"}, 60.0)
        log.add(5)
        made.set_state(ANA, {"work": "ringing"})
        assert asyncio.get_running_loop().time() == began
        await asyncio.sleep(100)
        assert states == [(False, "the broker is dead")], "told once, not with each attempt"
        assert made.messages == []
        assert made.status().waiting == 5
        made.revive()
        await until(lambda: not made.status().waiting, within=30)
        assert states == [(False, "the broker is dead"), (True, "")]
        assert seqs(made) == [1, 2, 3, 4, 5]
        assert made.retained == {ANA: {"work": "ringing"}, topics.STATUS: "online"}
        assert made.pops("ana") == [], "it had expired"


@in_virtual_time
async def test_a_pop_unheard_is_sent_when_the_broker_is_back_before_it_expires() -> None:
    log = Log()
    async with publisher(log, delay=0.5) as made:
        await until(lambda: made.status().connected)
        pop = made.publish_pop("ana", {"id": "p1"}, 60.0)
        await asyncio.sleep(0.1)
        made.die()
        assert not await pop, "False as soon as the link is lost"
        assert not await made.publish_pop("ana", {"id": "p2"}, 60.0)
        assert not await made.publish_pop("ana", {"id": "p3"}, 0.1)
        made.revive()
        await until(lambda: made.status().pops_sent == 2)
        assert [payload["id"] for payload in made.pops("ana")] == ["p1", "p1", "p2"]
        last = [message for message in made.messages if message.topic == topics.agent_pop("ana")][-1]
        assert last.expires_s in {59, 60}


@in_virtual_time
async def test_the_last_will_says_offline_and_the_way_back_says_online() -> None:
    log = Log()
    async with publisher(log) as made:
        await until(lambda: made.status().connected)
        made.set_status(Status.DRAINING)
        await until(lambda: made.retained[topics.STATUS] == "draining")
        made.die()
        assert made.retained[topics.STATUS] == "offline"
        made.revive()
        await until(lambda: made.retained[topics.STATUS] == "draining")
    assert made.retained[topics.STATUS] == "offline"


@in_virtual_time
async def test_of_a_state_the_latest_wins_and_nothing_is_sent_twice() -> None:
    log = Log()
    async with publisher(log, delay=0.05) as made:
        made.set_state(ANA, {"n": 0})
        await until(lambda: made.retained.get(topics.STATUS) == "online")
        for n in range(1, 50):
            made.set_state(ANA, {"n": n})
        await until(lambda: made.retained[ANA] == {"n": 49})
        made.set_state(ANA, {"n": 49})
        await asyncio.sleep(1)
        assert len(made.of_topic(ANA)) < 10
        made.set_state(ANA, None)
        await until(lambda: ANA not in made.retained)
        assert made.of_topic(ANA)[-1] is None
        made.die()
        made.revive()
        await until(lambda: made.retained[topics.STATUS] == "online")
        assert ANA not in made.retained


@in_virtual_time
async def test_what_a_former_run_retained_can_be_cleared() -> None:
    log = Log()
    async with publisher(log, dead=True) as made:
        made.retained[ANA] = {"work": "of yesterday"}
        made.set_state(ANA, None)
        made.revive()
        await until(lambda: topics.STATUS in made.retained)
        assert ANA not in made.retained


@in_virtual_time
async def test_pops_that_nobody_takes_are_bounded() -> None:
    log = Log()
    async with publisher(log, dead=True) as made:
        for _ in range(MAX_POPS + 10):
            assert not await made.publish_pop("ana", {}, 3600.0)
        assert made.status().pops_waiting == MAX_POPS
        made.revive()
        await until(lambda: made.status().pops_sent == MAX_POPS, within=60)
        assert made.pops("ana")[0] == {"seq": 11}, "the oldest went first"


@in_virtual_time
async def test_a_log_that_cannot_be_read_does_not_stop_pops() -> None:
    log = Log()
    async with publisher(log) as made:
        log.broken = "disk on fire"
        log.add(3)
        await until(lambda: made.status().detail == "the log cannot be read: disk on fire")
        assert await made.publish_pop("ana", {}, 60.0)
        log.broken = ""
        await until(lambda: not made.status().waiting)
        assert (seqs(made), made.status().detail) == ([1, 2, 3], "")


@in_virtual_time
async def test_a_pop_does_not_queue_behind_what_has_gathered() -> None:
    """A thousand facts and a hundred states wait; the broker's window is never overrun, and a pop goes at once."""
    log = Log()
    log.add(1000)
    async with publisher(log, delay=0.1) as made:
        for number in range(100):
            made.set_state(topics.agent_state(f"a{number}"), {"n": 1})
        await asyncio.sleep(0)
        for _ in range(20):
            began = asyncio.get_running_loop().time()
            assert await made.publish_pop("ana", {}, 60.0)
            assert asyncio.get_running_loop().time() - began == pytest.approx(0.1, abs=0.001)
            await asyncio.sleep(0.33)
        await until(lambda: made.status().connected)
        sent = [message.at for message in made.messages]
        for moment in sent:
            assert sum(moment - 0.1 < other <= moment for other in sent) <= RECEIVE_MAXIMUM


@in_virtual_time
async def test_closing_publishes_the_last_facts_and_then_offline() -> None:
    log = Log()
    async with publisher(log, delay=0.01) as made:
        await until(lambda: made.status().connected)
        log.add(30)
    assert seqs(made) == list(range(1, 31))
    assert made.messages[-1].payload == "offline"
    assert log.cursor(CURSOR) == 30
    await made.close()


@in_virtual_time
async def test_closing_does_not_wait_for_a_broker_that_does_not_answer() -> None:
    log = Log()
    async with publisher(log, delay=0.001) as made:
        await until(lambda: made.status().connected)
        made.delay = 3600.0
        log.add(3)
        pop = made.publish_pop("ana", {}, 60.0)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5
    assert pop.result() is False
    assert log.cursor(CURSOR) == 0


@in_virtual_time
async def test_a_mistake_in_one_message_does_not_end_publishing() -> None:
    log = Log()
    async with publisher(log) as made:
        await until(lambda: made.status().connected)
        states = told(made)
        record = made._record

        def fail_once(*args: Any, **kwargs: Any) -> None:
            made._record = record  # type: ignore[method-assign]
            raise RuntimeError("a mistake")

        made._record = fail_once  # type: ignore[method-assign]
        log.add(2)
        await until(lambda: not made.status().waiting)
        assert states == [(False, "publishing failed: RuntimeError('a mistake')"), (True, "")]
        assert seqs(made)[-2:] == [1, 2]


@in_virtual_time
async def test_without_mqtt_nothing_is_sent_and_no_history_waits_for_later() -> None:
    log = Log()
    log.add(7)
    made = NoPublisher(log)
    await made.start()
    assert not await made.publish_pop("ana", {}, 60.0)
    await made.close()
    assert log.cursor(CURSOR) == 7


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("facts"), st.integers(1, 30)),
            st.tuples(st.just("wait"), st.integers(0, 2000)),
            st.tuples(st.sampled_from(["die", "revive", "restart"]), st.just(0)),
        ),
        max_size=25,
    ),
    delay=st.sampled_from([0.0, 0.001, 0.05]),
)
@settings(max_examples=60, deadline=None)
def test_through_any_outages_every_fact_arrives_in_order(steps: list[tuple[str, int]], delay: float) -> None:
    """Facts are repeated only where their acknowledgement was lost, and the first of each come in order."""

    async def main() -> None:
        log = Log()
        seen: list[int] = []
        made = ListPublisher(log, SimClock(asyncio.get_running_loop()), delay=delay)
        await made.start()
        for step, amount in steps:
            match step:
                case "facts":
                    log.add(amount)
                case "wait":
                    await asyncio.sleep(amount / 1000)
                case "die":
                    made.die()
                case "revive":
                    made.revive()
                case _:
                    await made.close()
                    seen += seqs(made)
                    made = ListPublisher(log, SimClock(asyncio.get_running_loop()), delay=delay)
                    await made.start()
            assert log.cursor(CURSOR) <= max([0, *seen, *seqs(made)])
        made.revive()
        await until(lambda: not made.status().waiting, within=60)
        await made.close()
        seen += seqs(made)
        assert first_time(seen) == list(range(1, log.last_seq + 1))
        assert log.cursor(CURSOR) == log.last_seq

    run(main())
