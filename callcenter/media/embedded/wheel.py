"""The wheel: one timer turns for many, each in its own slot, with deadlines that do not drift.

Work that every call needs each 20 ms is spread over 20 slots of 1 ms: a burst of all calls at once would make the last
of a thousand 10 ms late, a task a call 45 ms (measured); so it is 1 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

SLOTS: Final = 20

MILLISECOND: Final = 0.001

# After a stall of this many turns what was missed is left out: sent late in a burst it would be of no use.
_GIVE_UP: Final = 3


class Wheel(Generic[T]):
    """Calls ``turn(item, at)`` once a turn for every item; ``at`` is the deadline that is kept, not the time it is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slot: float, turn: Callable[[T, float], None]) -> None:
        self.worst = 0.0
        """Worst lateness in seconds; whoever reads it sets it back."""
        self._loop = loop
        self._slot = slot
        self._turn = turn
        self._slots: list[dict[T, None]] = [{} for _ in range(SLOTS)]
        self._where: dict[T, int] = {}
        self._began = time.monotonic()
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._where)

    def add(self, item: T) -> None:
        """Turn for ``item`` too, in the emptiest slot. Does nothing when it is in already."""
        if item in self._where:
            return
        if not self._where:
            self._next = int((time.monotonic() - self._began) / self._slot) + 1
        sizes = [len(slot) for slot in self._slots]
        # The emptiest slot; among equals the one that comes first, so that nobody waits long to begin.
        where = min(range(SLOTS), key=lambda slot: (sizes[slot], (slot - self._next) % SLOTS))
        self._slots[where][item] = None
        self._where[item] = where
        self._arm()

    def remove(self, item: T) -> None:
        """No more for ``item``. Does nothing when it is not in."""
        where = self._where.pop(item, None)
        if where is not None:
            del self._slots[where][item]
        if not self._where and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        """Wake at the next slot that holds something."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._where:
            return
        ahead = next(step for step in range(SLOTS) if self._slots[(self._next + step) % SLOTS])
        delay = self._began + (self._next + ahead) * self._slot - time.monotonic()
        self._timer = self._loop.call_later(max(delay, 0.0005), self._wake)

    def _wake(self) -> None:
        self._timer = None
        # uvloop's timers count whole milliseconds: half of one early is on time.
        now = time.monotonic() + 0.0005
        late = int((now - self._began) / self._slot) - self._next
        if late >= _GIVE_UP * SLOTS:
            self._next += late - late % SLOTS
        while (at := self._began + self._next * self._slot) <= now:
            slot = self._slots[self._next % SLOTS]
            self._next += 1
            if slot:
                self.worst = max(self.worst, time.monotonic() - at)
                for item in tuple(slot):
                    if item in slot:  # else an earlier one's turn has removed it
                        try:
                            self._turn(item, at)
                        except Exception as error:  # noqa: BLE001 - a mistake about one is not everybody's
                            self._loop.call_exception_handler(
                                {"message": f"{item!r} missed its turn", "exception": error}
                            )
        self._arm()


class Turning(Protocol):
    """What has its turn every so many milliseconds."""

    def turn(self, at: float) -> None:
        """It is its turn; ``at`` is the deadline."""
        ...


class Wheels:
    """A wheel for every pace: most peers want a packet each 20 ms, some each 10, 30, 40, 50 or 60."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wheels: dict[int, Wheel[Turning]] = {}

    def every(self, ms: int) -> Wheel[Turning]:
        """The wheel that turns once in so many milliseconds."""
        wheel = self._wheels.get(ms)
        if wheel is None:
            slot = ms * MILLISECOND / SLOTS
            wheel = self._wheels[ms] = Wheel(self._loop, slot, lambda item, at: item.turn(at))
        return wheel

    def take_worst(self) -> float:
        """The worst lateness of all since it was asked for last, in seconds."""
        worst = max((wheel.worst for wheel in self._wheels.values()), default=0.0)
        for wheel in self._wheels.values():
            wheel.worst = 0.0
        return worst
