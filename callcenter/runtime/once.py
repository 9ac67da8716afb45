"""Once: a value that comes once, for any number of waiters; Flag: that without a value; Letters: values that queue up.

A call holds a score of these, and nobody ever waits for most of them: until somebody does they cost next to nothing.
(Asyncio's Event takes 0.8 kB, its Queue 3.)
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that comes once. A waiter who is cancelled spoils it for nobody else."""

    __slots__ = ("_done", "_futures", "_value")

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._futures: list[asyncio.Future[T]] | None = None

    @property
    def future(self) -> asyncio.Future[T]:
        """A future of one's own: a task that is cancelled while it awaits a future cancels that future too.

        Each is kept until the value comes: to look again and again there are ``done`` and ``value``.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._done:
            future.set_result(self._value)  # type: ignore[arg-type]  # it was resolved with a T
        elif self._futures is None:
            self._futures = [future]
        else:
            self._futures.append(future)
        return future

    @property
    def done(self) -> bool:
        """Whether the value has come."""
        return self._done

    @property
    def value(self) -> T | None:
        """The value, or None when it has not come."""
        return self._value

    def resolve(self, value: T) -> None:
        """Set the value; the first word counts."""
        if not self._done:
            self._done, self._value = True, value
            futures, self._futures = self._futures, None
            for future in futures or ():
                if not future.done():
                    future.set_result(value)


class Flag:
    """Set once, for any number of waiters."""

    __slots__ = ("_once",)

    def __init__(self) -> None:
        self._once: Once[None] = Once()

    def is_set(self) -> bool:
        """Whether it is."""
        return self._once.done

    def set(self) -> None:
        """Set it. May be called twice."""
        self._once.resolve(None)

    async def wait(self) -> None:
        """Until it is set."""
        if not self._once.done:
            await self._once.future


class Letters(Generic[T]):
    """What came and was not read yet, in order, for one reader."""

    __slots__ = ("_letters", "_reader")

    def __init__(self) -> None:
        self._letters: list[T] = []
        self._reader: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, letter: T) -> None:
        """One more. Never waits."""
        self._letters.append(letter)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def take(self) -> T:
        """The first of those that are here. Raises IndexError when there is none."""
        return self._letters.pop(0)

    async def get(self) -> T:
        """The first; waits for one."""
        while not self._letters:
            assert self._reader is None, "letters have one reader"
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self.take()
