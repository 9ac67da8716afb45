"""Timers of RFC 3261, and the heap that knows which machine is due next."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class SipTimers:
    """The base timers in seconds (RFC 3261 17.1.1.1, table 4) and what is derived from them."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M, the wait for an ACK, and the wait after a CANCEL."""
        return 64 * self.t1

    @property
    def timer_d(self) -> float:
        """How long a repeated final answer to our INVITE is acknowledged again: at least 32 s (unreliable)."""
        return max(32.0, 64 * self.t1)

    @property
    def timer_i(self) -> float:
        """How long repeated ACKs are absorbed (unreliable)."""
        return self.t4

    @property
    def timer_k(self) -> float:
        """How long repeated answers to our request are absorbed (unreliable)."""
        return self.t4


# What RFC 3261 gives them.
RFC_TIMERS = SipTimers()


class Scheduled(Protocol):
    """A machine with a deadline. ``queued`` belongs to the heap: the time of its live entry there."""

    queued: float | None

    @property
    def deadline(self) -> float | None:
        """When to call the machine; None when nothing is due."""
        ...


M = TypeVar("M", bound=Scheduled)

# Below this many entries the heap is not worth tidying.
SMALL = 64


class Deadlines(Generic[M]):
    """Which machine is due next, in O(log n): a heap whose outdated entries are skipped when they come up.

    Outdated entries never outnumber the live ones by more than ``SMALL``, so finished machines are soon let go.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, M]] = []
        self._serial = 0
        self._live = 0

    def watch(self, machine: M) -> None:
        """Note the machine's deadline after it may have changed."""
        at = machine.deadline
        queued = machine.queued
        if at == queued:
            return
        machine.queued = at
        if at is None:
            self._live -= 1
        else:
            if queued is None:
                self._live += 1
            self._serial += 1
            heappush(self._heap, (at, self._serial, machine))
        if len(self._heap) > 2 * self._live + SMALL:
            self._heap = [entry for entry in self._heap if entry[0] == entry[2].queued]
            heapify(self._heap)

    @property
    def earliest(self) -> float | None:
        """The time of the next deadline; None when there is none."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].queued:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> M | None:
        """Take out the machine due next, at ``now`` or before; watch it again once it has moved."""
        earliest = self.earliest
        if earliest is None or earliest > now:
            return None
        machine = heappop(self._heap)[2]
        machine.queued = None
        self._live -= 1
        return machine

    def __len__(self) -> int:
        return self._live
