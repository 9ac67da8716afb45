"""A value that comes once, for any number of waiters."""

from __future__ import annotations

import asyncio

import pytest

from callcenter.runtime.once import Once


async def test_all_who_wait_get_the_first_value() -> None:
    once: Once[str] = Once()
    waiters = [asyncio.ensure_future(asyncio.wait_for(once.future, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (once.done, once.value) == (False, None)
    once.resolve("first")
    once.resolve("second")
    assert await asyncio.gather(*waiters) == ["first"] * 3
    assert (once.done, once.value, await once.future) == (True, "first", "first")


async def test_waiter_who_is_cancelled_spoils_nothing() -> None:
    once: Once[str] = Once()

    async def wait() -> str:
        return await once.future

    first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    once.resolve("value")
    assert await second == "value"


async def test_future_taken_before_is_done_with_the_value() -> None:
    once: Once[str] = Once()
    early = once.future
    once.resolve("value")
    await asyncio.sleep(0)
    assert early.result() == "value"
