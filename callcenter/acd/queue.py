"""The queue: visits, and the order in which they stand."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TypeAlias

from callcenter.acd.requirements import Needs

# A place in line, which sorts: the higher priority first, then who joined first (ms), then in the order of joining; the
# last is the visit's id. The number makes places unique, so that ids are never compared.
Place: TypeAlias = tuple[int, int, int, str]


@dataclass(slots=True)
class Visit:
    """A caller's visit to a queue, until it is answered or ends otherwise. Times are milliseconds.

    ``offer`` is the one that is out, or empty while the caller waits for one; ``tries`` counts them. ``agent`` is the
    only one whom the visit is for, or empty. ``callback`` is the callback that stands here in line, or empty.
    """

    id: str
    call_id: str
    queue: str
    client: str
    asked: Needs
    priority: int
    joined: int
    first_joined: int
    number: int
    offer: str = ""
    tries: int = 0
    agent: str = ""
    callback: str = ""

    @property
    def place(self) -> Place:
        """Where the visit stands in line."""
        return (-self.priority, self.first_joined, self.number, self.id)

    def __str__(self) -> str:
        return f"<Visit {self.id} {self.queue} {'offered' if self.offer else 'waiting'} tries={self.tries}>"


@dataclass(frozen=True, slots=True)
class TicketView:
    """A visit as others may see it; times are seconds of the monotonic clock.

    ``position`` counts from 1; ``agent`` is whom the caller is being offered to, ``only`` the one agent whom the visit
    is for, ``callback`` the callback that stands there; any may be empty.
    """

    id: str
    call_id: str
    queue: str
    client: str
    priority: int
    asked: Needs
    joined: float
    first_joined: float
    tries: int
    position: int
    agent: str
    only: str = ""
    callback: str = ""


# A line is a sorted list. Adding (bisect.insort) and dropping shift pointers in one block, which up to some 100,000 in
# line is cheaper than a heap with the stale entries that it must keep; and every position can be told at once.


def drop(line: list[Place], place: Place) -> None:
    """Take a place out of its line; it need not stand there."""
    at = bisect_left(line, place)
    if at < len(line) and line[at] == place:
        del line[at]


def position(line: list[Place], place: Place) -> int:
    """How many stand up to ``place``, itself included."""
    return bisect_left(line, place) + 1
