"""VirtualLoop and SimClock: an event loop whose time jumps, so that hours pass in no time, and always the same way."""

from __future__ import annotations

import asyncio
import random
from asyncio import base_events
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""When simulated days begin, if nothing else is said: a Monday morning."""

# So many turns of the loop without the clock moving are no work but a circle.
MAX_TURNS_AT_ONE_MOMENT = 100_000


class Deadlock(Exception):
    """Nothing can ever happen again: every task waits for something that nobody will do."""


class Livelock(Exception):
    """The same moment goes on for ever: something calls itself again and again."""


class VirtualLoop(base_events.BaseEventLoop):
    """An asyncio event loop with no outside: ``time()`` starts at 0 and jumps to the next timer when all is quiet.

    No sockets, no threads; ``run_in_executor`` calls on the spot. Deterministic: tasks and futures hash by their
    number, not by their address, so that sets of them are walked in the same order each time. ``random`` is the one
    source of chance, made from ``seed``.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.random = random.Random(seed)
        self.unhandled: list[BaseException] = []
        self._virtual_now = 0.0
        self._turns = 0
        self._made = 0
        self._selector = _NoSelector(self._quiet)
        self._clock_resolution = 1e-9
        self.set_task_factory(_make_task)
        self.set_exception_handler(_keep)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def number(self) -> int:
        """The next number for a task or future."""
        self._made += 1
        return self._made

    def create_future(self) -> asyncio.Future[Any]:
        """A future whose place in a set does not depend on its address."""
        return _Future(self)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Call ``func`` now: a thread would finish at a moment that no seed decides."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  it belongs to whoever awaits
            future.set_exception(error)
        return future

    def _quiet(self, timeout: float | None) -> None:
        """Nothing is ready (or ``timeout`` is 0): let the time jump."""
        if timeout == 0:
            self._turns += 1
            if self._turns > MAX_TURNS_AT_ONE_MOMENT:
                raise Livelock(f"the clock stands at {self._virtual_now:.3f} s\n{self._who_waits()}")
            return
        if timeout is None:
            raise Deadlock(f"nothing is due after {self._virtual_now:.3f} s\n{self._who_waits()}")
        self._turns = 0
        # Exactly the moment the timer asked for; adding a difference would miss it by a rounding.
        self._virtual_now = max(self._virtual_now, self._scheduled[0].when())  # type: ignore[attr-defined]

    def _who_waits(self) -> str:
        lines = []
        for task in sorted(asyncio.all_tasks(self), key=hash):
            frames = task.get_stack()
            where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "?"
            lines.append(f"  {task.get_name()} waits at {where}")
        return "\n".join(lines)

    def _process_events(self, events: list[Any]) -> None:
        assert not events

    def _write_to_self(self) -> None:
        pass


class SimClock:
    """A Clock that reads a loop: ``epoch`` plus the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: datetime = EPOCH) -> None:
        self._loop = loop
        self._epoch = epoch

    def monotonic(self) -> float:
        """The loop's time in seconds."""
        return self._loop.time()

    def now(self) -> datetime:
        """The simulated time of day, in UTC."""
        return self._epoch + timedelta(seconds=self._loop.time())

    def set_wall(self, by: timedelta) -> None:
        """Somebody sets the clock on the wall, forward or back; what has elapsed is as before."""
        self._epoch += by


def run(main: Coroutine[Any, Any, T], *, seed: int = 0) -> T:
    """Run ``main`` to its end in virtual time, and return what it returns.

    Raises what it raises, Deadlock, Livelock, and what went wrong in a callback or in a task that nobody awaited.
    """
    loop = VirtualLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
    if loop.unhandled:
        raise loop.unhandled[0]
    return result


class _NoSelector:
    """Stands where a selector waits for sockets."""

    def __init__(self, select: Callable[[float | None], None]) -> None:
        self._select = select

    def select(self, timeout: float | None) -> list[Any]:
        self._select(timeout)
        return []


class _Future(asyncio.Future[Any]):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop=loop)
        self._made_as = loop.number()

    def __hash__(self) -> int:
        return self._made_as


class _Task(asyncio.Task[Any]):
    def __init__(self, work: Any, loop: VirtualLoop, context: Context | None) -> None:
        self._made_as = loop.number()
        # The number from asyncio's own counter would differ from run to run.
        super().__init__(work, loop=loop, name=f"task-{self._made_as}", context=context)

    def __hash__(self) -> int:
        return self._made_as


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
    **_: Any,
) -> asyncio.Future[Any]:
    assert isinstance(loop, VirtualLoop)
    return _Task(work, loop, context)


def _keep(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, VirtualLoop)
    loop.unhandled.append(context.get("exception") or RuntimeError(context["message"]))
