"""Driver: feeds a core, performs its effects in order, and keeps one timer armed for its deadline."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from callcenter.runtime.clock import Clock

Effect = TypeVar("Effect")
Effect_co = TypeVar("Effect_co", covariant=True)


class Core(Protocol[Effect_co]):
    """What a driver drives: input and now in, effects out, one deadline."""

    @property
    def deadline(self) -> float | None:
        """When ``expire`` wants to be called, in seconds of the monotonic clock; None when nothing is due."""
        ...

    def expire(self, now: float) -> Iterable[Effect_co]:
        """Let pass what is due at ``now``."""
        ...


class Driver(Generic[Effect]):
    """Holds one core. Everything that goes into it passes through here, on the loop's thread.

    Effects are performed in the order in which the core gave them. Whoever performs one may feed the core again: what
    comes of that is performed after all that came before. An exception out of ``perform`` is told to the loop's
    exception handler, and the next effect is performed: one call's mistake is not every call's.
    """

    def __init__(
        self,
        core: Core[Effect],
        perform: Callable[[Effect], None],
        clock: Clock,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._core = core
        self._perform = perform
        self._clock = clock
        self._loop = loop or asyncio.get_running_loop()
        self._waiting: deque[Effect] = deque()
        self._performing = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._now = clock.monotonic()
        self._closed = False

    def now(self) -> float:
        """The time for the core: the clock's, and never less than what the core was told before."""
        now = self._clock.monotonic()
        if now > self._now:
            self._now = now
        return self._now

    def feed(self, tell: Callable[[float], Iterable[Effect]]) -> None:
        """Call ``tell`` with the time and perform what it returns: ``feed(lambda now: core.handle(event, now))``."""
        self.run(tell(self.now()))

    def run(self, effects: Iterable[Effect]) -> None:
        """Perform effects that the core gave just now, and look at its deadline again."""
        self._waiting.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while self._waiting:
                effect = self._waiting.popleft()
                try:
                    self._perform(effect)
                except Exception as error:  # noqa: BLE001  the effects behind it belong to other calls
                    # Cut before the keys that a session description may hold.
                    self._loop.call_exception_handler(
                        {"message": f"performing {effect!r:.100} failed", "exception": error}
                    )
        finally:
            self._performing = False
            self._arm()

    def close(self) -> None:
        """Never call the core again by itself. May be called twice."""
        self._closed = True
        self._disarm()

    def _arm(self) -> None:
        deadline = None if self._closed else self._core.deadline
        if deadline is None:
            self._disarm()
        elif self._timer is None or deadline < self._armed_for:
            # A timer that comes too early is left where it is: it finds nothing due and arms again, which is cheaper
            # than a new timer for each message.
            self._disarm()
            self._armed_for = deadline
            self._timer = self._loop.call_at(deadline, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        # uvloop keeps whole milliseconds and may come a little early: the time we armed for has come, whatever it says.
        self._now = max(self._now, self._clock.monotonic(), self._armed_for)
        self.run(self._core.expire(self._now))
