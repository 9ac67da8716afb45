"""Once: a value that comes once, for any number of waiters."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that comes once. A waiter who is cancelled spoils it for nobody else."""

    def __init__(self) -> None:
        self._inner: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @property
    def future(self) -> asyncio.Future[T]:
        """A future of one's own: a task that is cancelled while it awaits a future cancels that future too.

        Each is kept until the value comes: to look again and again there are ``done`` and ``value``.
        """
        return self._inner if self._inner.done() else asyncio.shield(self._inner)

    @property
    def done(self) -> bool:
        """Whether the value has come."""
        return self._inner.done()

    @property
    def value(self) -> T | None:
        """The value, or None when it has not come."""
        return self._inner.result() if self._inner.done() else None

    def resolve(self, value: T) -> None:
        """Set the value; the first word counts."""
        if not self._inner.done():
            self._inner.set_result(value)
