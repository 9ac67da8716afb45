"""Virtual time: hours pass in no time, and always the same way."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from callcenter.simulation.clock import Deadlock, Livelock, SimClock, VirtualLoop, run


def test_hours_pass_in_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(48 * 3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(main()) == 48 * 3600
    assert time.monotonic() - began < 60


def test_time_stands_still_while_something_is_ready() -> None:
    async def main() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 0

    run(main())


def test_timers_fire_at_exactly_their_moment_and_in_order() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[str, float]] = []

        def see(name: str) -> None:
            seen.append((name, loop.time()))

        for name, at in (("c", 0.3), ("a", 0.1), ("b", 0.1 + 0.2 - 0.1)):
            loop.call_at(at, see, name)
        await asyncio.sleep(1)
        return seen

    assert run(main()) == [("a", 0.1), ("b", 0.1 + 0.2 - 0.1), ("c", 0.3)]


def test_the_clock_reads_the_loop() -> None:
    async def main() -> None:
        epoch = datetime(2026, 10, 25, 0, 59, 30, tzinfo=UTC)
        clock = SimClock(asyncio.get_running_loop(), epoch)
        await asyncio.sleep(45.5)
        assert clock.monotonic() == 45.5
        assert clock.now() == datetime(2026, 10, 25, 1, 0, 15, 500_000, tzinfo=UTC)

    run(main())


def test_waiting_for_ever_is_named() -> None:
    async def waiter() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(waiter(), name="the caller of Amy")
        await asyncio.sleep(5)
        await task

    with pytest.raises(Deadlock, match=r"after 5\.000 s") as caught:
        run(main())
    assert "the caller of Amy waits at" in str(caught.value)
    assert "test_clock.py" in str(caught.value)


def test_running_in_a_circle_is_named() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1)

    with pytest.raises(Livelock):
        run(main())


def test_same_seed_same_trace_other_seed_other_trace() -> None:
    def trace(seed: int) -> list[tuple[float, str]]:
        async def main() -> list[tuple[float, str]]:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            seen: list[tuple[float, str]] = []

            async def walker(name: str) -> None:
                for _ in range(20):
                    await asyncio.sleep(loop.random.random())
                    seen.append((loop.time(), name))

            async with asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(walker(f"w{number}"))
            return seen

        return run(main(), seed=seed)

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_tasks_of_a_group_are_cancelled_in_the_same_order_each_time() -> None:
    """Sets of tasks are walked by hash; by address that would differ from run to run."""

    def order() -> list[str]:
        garbage = [object() for _ in range(7)]

        async def main() -> list[str]:
            seen: list[str] = []

            async def waiter(name: str) -> None:
                try:
                    await asyncio.sleep(1000)
                finally:
                    seen.append(name)

            async def fail() -> None:
                await asyncio.sleep(1)
                raise ValueError

            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(40):
                        group.create_task(waiter(f"w{number}"))
                        garbage.append(object())
                    group.create_task(fail())
            except* ValueError:
                pass
            return seen

        return run(main())

    first = order()
    keep = [order() for _ in range(5)]
    assert all(each == first for each in keep)


def test_futures_and_tasks_hash_by_their_number() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()
        task = asyncio.create_task(asyncio.sleep(0))
        assert (hash(second), hash(task)) == (hash(first) + 1, hash(first) + 2)
        assert first != second
        await task

    run(main())


def test_tasks_are_named_by_number_from_the_first_on() -> None:
    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        return task.get_name()

    assert run(main()) == run(main())


def test_what_goes_wrong_in_a_callback_comes_out() -> None:
    def fail() -> None:
        raise ValueError("mine")

    async def main() -> None:
        asyncio.get_running_loop().call_later(1, fail)
        await asyncio.sleep(2)

    with pytest.raises(ValueError, match="mine"):
        run(main())


def test_what_main_raises_comes_out() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(main())


def test_tasks_left_over_are_cancelled_at_the_end() -> None:
    ended = []

    async def left() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append(True)

    async def main() -> None:
        task = asyncio.create_task(left())
        await asyncio.sleep(1)
        assert not task.done()

    run(main())
    assert ended == [True]


def test_work_for_threads_is_done_on_the_spot() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 42)

    assert run(main()) == 42


def test_loop_serves_a_runner() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(asyncio.sleep(100, "later")) == "later"
