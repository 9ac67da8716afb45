"""A value that comes once, for any number of waiters."""

from __future__ import annotations

import asyncio

import pytest

from callcenter.runtime.once import Flag, Letters, Once


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


async def test_who_asks_only_when_the_value_is_there_gets_it_too() -> None:
    once: Once[str] = Once()
    once.resolve("value")
    assert await once.future == "value"


async def test_all_who_wait_for_a_flag_go_on_when_it_is_set() -> None:
    flag = Flag()
    waiters = [asyncio.ensure_future(flag.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not flag.is_set()
    flag.set()
    flag.set()
    await asyncio.gather(*waiters, flag.wait())
    assert flag.is_set()


async def test_letters_are_read_in_order_whoever_came_first() -> None:
    letters: Letters[int] = Letters()
    reading = asyncio.ensure_future(letters.get())
    await asyncio.sleep(0)
    for letter in range(4):
        letters.put(letter)
    assert await reading == 0
    assert (len(letters), letters.take(), await letters.get(), len(letters)) == (3, 1, 2, 1)


async def test_a_reader_who_is_cancelled_loses_no_letter() -> None:
    letters: Letters[int] = Letters()
    reading = asyncio.ensure_future(letters.get())
    await asyncio.sleep(0)
    letters.put(7)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await letters.get() == 7
