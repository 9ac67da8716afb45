"""Line: a caller's place in line, kept from visit to visit, and for a while for who was cut off while waiting."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from callcenter.acd.estimate import MINUTE, Range
from callcenter.model.customer import caller_number
from callcenter.model.facts import (
    CallArrived,
    CallEnded,
    CallQueued,
    Fact,
    PositionAnnounced,
    QueueLeft,
    WaitAnnounced,
    reads,
)
from callcenter.model.states import Direction, VisitOutcome
from callcenter.runtime.clock import Clock

# The longest that a place can be kept for (seconds): what is older is forgotten.
LONGEST_KEPT = 3600.0
# Places kept at once: a switch whose every caller hangs up has no more within the hour, at 3 a second.
MOST_KEPT = 10_000
# Places of one number: a company may call from behind one; what goes beyond is its own crowd.
MOST_OF_ONE_NUMBER = 8

# How a visit ends whose caller may come back for the place: hung up, or cut off. Who was sent on, or pressed a key that
# leads out, has given it up.
COMES_BACK = frozenset({VisitOutcome.ABANDONED, VisitOutcome.SHORT_ABANDONED, VisitOutcome.LOST})


@dataclass(slots=True)
class Line:
    """The caller's place in line: since when (monotonic), and the last position and wait that they were told.

    Whoever waits anew on an old place is given a Line with its ``first_joined``: in the next queue, after a transfer,
    in a call of their own or ours. ``told`` None: nothing yet. ``visit`` is the visit that held it last, as
    :func:`visit_name` writes it; empty for a place that is new.
    """

    first_joined: float
    told: int | None = None
    visit: str = ""
    told_wait: Range | None = None


def visit_name(call_id: str, number: int) -> str:
    """A visit as records name it: its call, and its number in that call, from 1."""
    return f"{call_id}/{number}"


def came_to_nothing(left: Fact) -> bool:
    """Whether this QueueLeft tells of a caller who may come back for the place."""
    return isinstance(left.body, QueueLeft) and left.body.outcome in COMES_BACK


@dataclass(slots=True)
class _Caller:
    """A call that has come to us by a number, and the place that it has, while it lasts. Times are monotonic."""

    client: str
    number: str
    visit: str = ""
    name: str = ""
    first_joined: float = 0.0
    told: int | None = None
    told_wait: Range | None = None
    queues: frozenset[str] = frozenset()
    came_back: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """A place whose caller is gone since ``left_at``; it led through these queues."""

    left_at: float
    first_joined: float
    told: int | None
    told_wait: Range | None
    visit: str
    queues: frozenset[str]


@dataclass(slots=True)
class Places:
    """A reader of facts: the places of callers who hung up while they waited, or were cut off. Each is claimed once.

    A place is known again by client and number, and counts in the queues that it led through. Who withholds the number
    has none. ``boot`` is ours: facts of an earlier one (:meth:`take_up`) are put on our clock by the time of day.
    """

    clock: Clock
    boot: str
    _callers: dict[str, _Caller] = field(default_factory=dict)
    _kept: dict[tuple[str, str], tuple[_Kept, ...]] = field(default_factory=dict)
    _ahead: float = field(init=False)

    def __post_init__(self) -> None:
        # Once, so that places of an earlier boot keep their order whenever they are read.
        self._ahead = self.clock.now().timestamp() - self.clock.monotonic()

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    @reads(CallArrived, CallEnded, CallQueued, PositionAnnounced, QueueLeft, WaitAnnounced)
    def take(self, fact: Fact, down_for: float = 0.0) -> None:
        """Read one fact."""
        if fact.call_id is None:
            return
        match fact.body:
            case CallArrived(direction=Direction.INBOUND) as body:
                if number := caller_number(body.from_number):
                    self._callers[fact.call_id] = _Caller(body.client, number)
            case CallQueued(agent="") as body if (caller := self._callers.get(fact.call_id)) is not None:
                self._queued(caller, body, fact)
            case PositionAnnounced(visit=visit, position=position) if (caller := self._of(fact, visit)) is not None:
                caller.told = position
            case WaitAnnounced(visit=visit) as body if (caller := self._of(fact, visit)) is not None:
                caller.told_wait = Range(body.low_ms // MINUTE, body.high_ms // MINUTE)
            case QueueLeft(visit=visit, outcome=outcome) if (caller := self._of(fact, visit)) is not None:
                caller.visit = ""
                # A queue that is full must not cost who comes back the place of before.
                if outcome in COMES_BACK or (outcome is VisitOutcome.REFUSED and caller.came_back):
                    self._keep(caller, self._monotonic(fact, fact.ms) + down_for)
            case CallEnded():
                self._callers.pop(fact.call_id, None)
            case _:
                pass

    def take_up(self, facts: Iterable[Fact], down_for: float) -> None:
        """Read facts of an earlier boot: of calls that it left unfinished, or that ended just before it did.

        Nobody could call for ``down_for`` seconds since, which do not count.
        """
        for fact in facts:
            self.take(fact, down_for)

    def claim(self, call_id: str, client: str, number: str, queue: str, keep_for: float) -> Line | None:
        """The place in this queue of who called by this number and was gone less than ``keep_for`` seconds ago.

        It is given away: the next one to ask gets another, or None. Of several the oldest.
        """
        now, key = self.clock.monotonic(), (client, caller_number(number))
        kept = self._kept.get(key, ()) if keep_for > 0 else ()
        fit = [each for each in kept if queue in each.queues and now - each.left_at <= keep_for]
        if not fit:
            return None
        place = min(fit, key=lambda each: each.first_joined)
        self._set(key, tuple(each for each in kept if each is not place))
        if (caller := self._callers.get(call_id)) is not None:
            caller.first_joined, caller.told, caller.queues = place.first_joined, place.told, place.queues
            caller.told_wait, caller.came_back = place.told_wait, True
        return Line(place.first_joined, place.told, place.visit, place.told_wait)

    def _of(self, fact: Fact, visit: str) -> _Caller | None:
        caller = self._callers.get(fact.call_id or "")
        return caller if caller is not None and caller.visit == visit else None

    def _queued(self, caller: _Caller, body: CallQueued, fact: Fact) -> None:
        if body.place_of:
            # It was given away: known already, but for what is read of an earlier boot.
            key = (caller.client, caller.number)
            kept = self._kept.get(key, ())
            if any(each.visit == body.place_of for each in kept):
                self._set(key, tuple(each for each in kept if each.visit != body.place_of))
        first_joined = self._monotonic(fact, body.first_joined_ms)
        if abs(first_joined - caller.first_joined) > 0.002:  # ms of the facts beside the seconds of a claim
            caller.told, caller.told_wait, caller.queues, caller.came_back = None, None, frozenset(), False
        caller.visit, caller.name = body.visit, visit_name(fact.call_id or "", body.visit_no)
        caller.first_joined, caller.queues = first_joined, caller.queues | {body.queue}

    def _keep(self, caller: _Caller, left_at: float) -> None:
        key = (caller.client, caller.number)
        place = _Kept(left_at, caller.first_joined, caller.told, caller.told_wait, caller.name, caller.queues)
        recent = [each for each in self._kept.get(key, ()) if left_at - each.left_at <= LONGEST_KEPT]
        self._set(key, (*recent, place)[-MOST_OF_ONE_NUMBER:])
        # Whoever hung up last stands last, so what is forgotten stands in front.
        for old, places in tuple(itertools.islice(self._kept.items(), 2)):
            if len(self._kept) > MOST_KEPT or left_at - places[-1].left_at > LONGEST_KEPT:
                del self._kept[old]

    def _set(self, key: tuple[str, str], places: tuple[_Kept, ...]) -> None:
        self._kept.pop(key, None)
        if places:
            self._kept[key] = places

    def _monotonic(self, fact: Fact, ms: int) -> float:
        """A moment of a fact's boot, in seconds of our clock."""
        if fact.boot == self.boot:
            return ms / 1000
        return fact.at.timestamp() - self._ahead - (fact.ms - ms) / 1000
