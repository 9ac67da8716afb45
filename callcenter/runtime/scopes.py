"""Scopes: blocks that are left when something ends, and tasks that have an owner."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any


class until:  # noqa: N801  it is read as a word: async with until(leg.ended)
    """Leave the block when ``future`` is done: ``async with until(leg.ended): ...``.

    The body is cancelled where it waits, and that cancellation, and no other, ends at the block, as with
    ``asyncio.timeout``. A future that is done already ends the block at the first await that really waits. Afterwards
    ``fired`` tells whether the future ended the block.

    Do not use ``asyncio.wait_for`` in the body: before Python 3.12 it may swallow a cancellation that comes together
    with its result. ``asyncio.timeout`` does not.
    """

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.fired = False
        self._future = future
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0

    async def __aenter__(self) -> until:
        """Begin to watch the future."""
        assert self._task is None, "a scope is entered once"
        task = asyncio.current_task()
        assert task is not None, "until() needs a task"
        self._task = task
        self._cancelling = task.cancelling()
        # The callback comes from the loop also when the future is done: a task that cancelled itself here would carry
        # the cancellation out of a body that never waits.
        self._future.add_done_callback(self._leave)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End the watch; swallow our own cancellation."""
        assert self._task is not None
        task, self._task = self._task, None
        self._future.remove_done_callback(self._leave)
        if not self.fired:
            return False
        # Counted, as asyncio.timeout does: if somebody else cancelled too, theirs goes on.
        others = task.uncancel() > self._cancelling
        return kind is not None and issubclass(kind, asyncio.CancelledError) and not others

    def _leave(self, _: asyncio.Future[Any]) -> None:
        # A callback of a future that was done before cannot be taken back: it may come when the block is left.
        if self._task is not None:
            self.fired = True
            self._task.cancel()


class Background:
    """Tasks that run beside their owner and end with it. ``limit`` bounds how many there are at once."""

    __slots__ = ("_limit", "_tasks")

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        # Most have none, and an empty set is 0.2 kB.
        self._tasks: set[asyncio.Task[None]] | None = None

    def __len__(self) -> int:
        return len(self._tasks or ())

    def start(self, work: Coroutine[Any, Any, None], name: str) -> bool:
        """Run ``work``; False (and it never runs) when there are too many. Its exception goes to the loop's handler."""
        if len(self) >= self._limit:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work, name=name)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return True

    def cancel(self) -> None:
        """Cancel what runs. Never waits; may be called twice."""
        for task in list(self._tasks or ()):
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
            if not self._tasks:
                self._tasks = None
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": error, "task": task}
            )
