"""Blocks that are left when something ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callcenter.runtime.scopes import Background, until


def done(result: object = None) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


def pending() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_block_is_left_where_it_waits_when_the_future_is_done() -> None:
    future, seen = pending(), []
    asyncio.get_running_loop().call_soon(future.set_result, None)
    async with until(future) as scope:
        seen.append("in")
        await for_ever()
        seen.append("never")
    assert seen == ["in"]
    assert scope.fired
    await settle()


async def test_body_that_ends_first_is_left_alone() -> None:
    future = pending()
    async with until(future) as scope:
        await asyncio.sleep(0)
    assert not scope.fired
    future.set_result(None)
    await settle()  # nobody is cancelled by the future of a scope that is over


async def test_future_done_before_entry_ends_the_block_at_its_first_wait() -> None:
    seen = []
    async with until(done()) as scope:
        seen.append("in")
        await asyncio.sleep(0)
        seen.append("never")
    assert (seen, scope.fired) == (["in"], True)


async def test_future_done_before_entry_and_a_body_that_never_waits_harms_nobody() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with until(done()) as scope:
        pass
    assert not scope.fired
    await settle()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert told == []


async def test_future_that_failed_or_was_cancelled_ends_the_block_too() -> None:
    failed, cancelled = pending(), pending()
    failed.set_exception(ValueError("seen here only"))
    cancelled.cancel()
    for future in (failed, cancelled):
        async with until(future) as scope:
            await for_ever()
        assert scope.fired
    assert failed.exception() is not None


async def test_exception_of_the_body_goes_through() -> None:
    future = pending()
    with pytest.raises(ValueError, match="mine"):
        async with until(future):
            raise ValueError("mine")
    future.set_result(None)
    await settle()


async def test_exception_raised_while_being_left_goes_through_and_leaves_no_cancellation() -> None:
    future = pending()
    asyncio.get_running_loop().call_soon(future.set_result, None)

    async def body() -> None:
        try:
            await for_ever()
        finally:
            raise ValueError("in cleanup")

    with pytest.raises(ValueError, match="in cleanup"):
        async with until(future):
            await body()
    await settle()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cleanup_of_the_body_runs_and_may_wait() -> None:
    future, seen = pending(), []
    asyncio.get_running_loop().call_soon(future.set_result, None)
    async with until(future):
        try:
            await for_ever()
        finally:
            await settle()
            seen.append("cleaned")
    assert seen == ["cleaned"]


async def test_body_that_swallows_the_cancellation_still_ends_clean() -> None:
    future = pending()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    async with until(future) as scope:
        try:
            await for_ever()
        except asyncio.CancelledError:
            pass
    assert scope.fired
    await settle()


async def test_cancellation_from_outside_is_never_swallowed() -> None:
    after = []

    async def work() -> None:
        async with until(pending()):
            await for_ever()
        after.append("the block was left as if nothing was")

    task = asyncio.create_task(work())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == []


@pytest.mark.parametrize("order", ["future first", "cancel first"])
@pytest.mark.parametrize("apart", [0, 1, 2])
async def test_cancellation_from_outside_together_with_the_future_is_not_swallowed(order: str, apart: int) -> None:
    future, after = pending(), []

    async def work() -> None:
        async with until(future):
            try:
                await for_ever()
            finally:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        after.append("went on")

    task = asyncio.create_task(work())
    await settle()
    first, second = (
        (lambda: future.set_result(None), task.cancel)
        if order == "future first"
        else (task.cancel, lambda: future.set_result(None))
    )
    first()
    for _ in range(apart):
        await asyncio.sleep(0)
    second()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == []


async def test_cancellation_pending_at_entry_is_not_ours() -> None:
    future = pending()

    async def work() -> str:
        try:
            await for_ever()
        except asyncio.CancelledError:
            # In the cleanup of a cancelled task a scope works all the same: it counts from where it began.
            asyncio.get_running_loop().call_soon(future.set_result, None)
            async with until(future):
                await for_ever()
            return "cleaned"
        return "never"

    task = asyncio.create_task(work())
    await settle()
    task.cancel()
    assert await task == "cleaned"


async def test_task_cancelled_before_it_runs_never_enters() -> None:
    async def work() -> None:
        async with until(done()):
            await for_ever()

    task = asyncio.create_task(work())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_inner_future_leaves_only_the_inner_block() -> None:
    outer, inner, seen = pending(), pending(), []
    asyncio.get_running_loop().call_soon(inner.set_result, None)
    async with until(outer) as outside:
        async with until(inner) as inside:
            await for_ever()
        seen.append("between")
        await asyncio.sleep(0)
        seen.append("goes on")
    assert seen == ["between", "goes on"]
    assert (outside.fired, inside.fired) == (False, True)


async def test_outer_future_leaves_both_blocks() -> None:
    outer, inner, seen = pending(), pending(), []
    asyncio.get_running_loop().call_soon(outer.set_result, None)
    async with until(outer) as outside:
        async with until(inner) as inside:
            await for_ever()
        seen.append("between")
    assert seen == []
    assert (outside.fired, inside.fired) == (True, False)
    inner.set_result(None)
    await settle()


@pytest.mark.parametrize("first", ["outer", "inner"])
async def test_both_futures_at_once_leave_both_blocks(first: str) -> None:
    outer, inner, seen = pending(), pending(), []

    def both() -> None:
        for future in (outer, inner) if first == "outer" else (inner, outer):
            future.set_result(None)

    asyncio.get_running_loop().call_soon(both)
    async with until(outer):
        async with until(inner):
            await for_ever()
        seen.append("between")
    assert seen == []
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await settle()


async def test_same_future_nested_leaves_both_blocks() -> None:
    future = pending()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    async with until(future), until(future):
        await for_ever()
    await settle()


async def test_future_and_what_the_body_waits_for_at_once_leaves_the_block() -> None:
    """The body's own future came in the same turn: the block is left, not the body's next step taken."""
    future, wanted, seen = pending(), pending(), []

    def both() -> None:
        wanted.set_result("news")
        future.set_result(None)

    asyncio.get_running_loop().call_soon(both)
    async with until(future) as scope:
        seen.append(await wanted)
        await for_ever()
    assert scope.fired
    assert seen in ([], ["news"])
    await settle()


async def test_timeout_and_until_live_together() -> None:
    future = pending()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001), until(future):
            await for_ever()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    async with asyncio.timeout(5), until(future) as scope:
        await for_ever()
    assert scope.fired
    future = pending()
    with pytest.raises(TimeoutError):
        async with until(future), asyncio.timeout(0.001):
            await for_ever()


async def test_task_group_in_the_body_is_left_with_all_its_tasks() -> None:
    future, ended = pending(), []

    async def child() -> None:
        try:
            await for_ever()
        finally:
            ended.append("child")

    async with until(future) as scope:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())
            asyncio.get_running_loop().call_later(0, future.set_result, None)
        ended.append("never")
    assert ended == ["child", "child"]
    assert scope.fired


async def test_failing_child_of_a_task_group_comes_out() -> None:
    async def child() -> None:
        raise ValueError("child")

    async def work() -> None:
        async with until(pending()), asyncio.TaskGroup() as group:
            group.create_task(child())
            await for_ever()

    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert caught.group_contains(ValueError)


async def test_watching_leaves_nothing_on_the_future() -> None:
    future = pending()
    for _ in range(3):
        async with until(future):
            await asyncio.sleep(0)
    assert not future._callbacks


async def test_background_keeps_its_tasks_and_cancels_them() -> None:
    ended = []

    async def work(name: str) -> None:
        try:
            await for_ever()
        finally:
            ended.append(name)

    background = Background(limit=2)
    assert background.start(work("a"), "a")
    assert background.start(work("b"), "b")
    assert not background.start(work("c"), "c")
    await settle()
    background.cancel()
    background.cancel()
    await settle()
    assert sorted(ended) == ["a", "b"]
    assert len(background) == 0


async def test_failure_in_the_background_is_told() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def work() -> None:
        raise ValueError("broken")

    background = Background()
    background.start(work(), "the work")
    await settle()
    assert told[0]["message"] == "the work failed"
    assert len(background) == 0
