"""The queue: visits, and the order in which they stand."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TypeAlias

from callcenter.acd.requirements import Needs, text

# A place in line, which sorts: the more urgent first, then who joined first (ms), then in the order of joining; the
# last is the visit's id. The number makes places unique, so that ids are never compared. Two places of one queue keep
# their order while both age, so that a line stays sorted.
Place: TypeAlias = tuple[int, int, int, str]

# Urgency is counted in whole parts of a point of priority: what a weight of 0.001 points a minute gains in 1 ms.
POINT = 60_000_000


def aging(weight: float) -> int:
    """What a visit gains in urgency each millisecond that it waits, from the points gained each minute."""
    return round(weight * 1000)


@dataclass(slots=True)
class Visit:
    """A caller's visit to a queue, until it is answered or ends otherwise. Times are milliseconds.

    ``offers`` are those that are out, none while the caller waits for one; ``tries`` counts all of them. ``agent`` is
    the only one whom the visit is for, or empty. ``own`` is what the caller's ticket asks beside the queue, ``step``
    how many routing steps are behind it. ``prefer`` comes first among equals, and until ``preferred_until`` (None: no
    more) nobody else is asked. ``aging`` is what the queue says, see :func:`aging`. ``asks`` is ``asked`` as a text.
    ``callback`` is the callback that stands here in line, or empty; an agent is reserved for it ``reserve`` longer,
    and those ``without`` are not asked.
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
    offers: tuple[str, ...] = ()
    tries: int = 0
    agent: str = ""
    own: Needs = ()
    step: int = 0
    prefer: str = ""
    preferred_until: int | None = None
    aging: int = 0
    callback: str = ""
    reserve: int = 0
    without: tuple[str, ...] = ()
    asks: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self.asks = text(self.asked)

    def ask(self, asked: Needs) -> None:
        """Ask this of an agent from now on."""
        self.asked, self.asks = asked, text(asked)

    @property
    def offer(self) -> str:
        """The offer that is out, the oldest where there are several; empty when there is none."""
        return self.offers[0] if self.offers else ""

    @property
    def place(self) -> Place:
        """Where the visit stands in line."""
        return (self.aging * self.first_joined - self.priority * POINT, self.first_joined, self.number, self.id)

    @property
    def one_alone(self) -> str:
        """The only agent who can be asked now; empty when all who may take the caller can."""
        return self.agent or (self.prefer if self.preferred_until is not None else "")

    def __str__(self) -> str:
        return f"<Visit {self.id} {self.queue} {'offered' if self.offers else 'waiting'} tries={self.tries}>"


@dataclass(frozen=True, slots=True)
class TicketView:
    """A visit as others may see it; times are seconds of the monotonic clock.

    ``position`` counts from 1; ``agent`` is whom the caller is being offered to (the first of ``ringing``, where all
    are rung at once), ``only`` the one agent whom the visit is for, ``preferred`` the one who alone is asked for now;
    ``callback`` is the callback that stands there; each may be empty. ``step`` is how many routing steps are behind it.
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
    ringing: tuple[str, ...] = ()
    preferred: str = ""
    step: int = 0
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
