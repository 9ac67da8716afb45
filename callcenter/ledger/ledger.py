"""Ledger: the fold of the facts into figures by the quarter of an hour; live and from the log it is the same one."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from callcenter.ledger.agent_time import part_of
from callcenter.ledger.figures import AgentTime, Callbacks, Figures, Handling, Sums, Visits
from callcenter.ledger.intervals import QUARTER_MS, epoch_ms, instant, spread
from callcenter.model.facts import (
    AgentLegEnded,
    AgentRang,
    AgentStateChanged,
    AgentTookOver,
    CallbackAttempted,
    CallbackEnded,
    CallbackFailed,
    CallbackRequested,
    CallConnected,
    CallEnded,
    CallHeld,
    CallQueued,
    CallResumed,
    CallTransferred,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
    SwitchStarted,
    TransferFailed,
    WaitAnnounced,
)
from callcenter.model.states import TAKEN, CallbackOutcome, OfferResult, VisitOutcome, Work

# A boot's clock stands so far from the wall's; when the wall's was set by more than this (ms), what runs is booked by
# the old one up to that moment. Less is the time that a decision takes to be told.
WALL_WAS_SET = 2_000
# Which fold this is: a state that another one has left is not gone on with, the log is folded anew. 2: who is offered
# to an agent of a supervisor's choice is in the same visit.
FOLD = 2

RESTART = "restart"
# Estimates remembered of one visit, of the many that somebody hears who waits for hours.
MOST_TOLD = 200
# The kinds of cells, as the ledger's attributes and those of figures name them.
CELLS = ("visits", "handling", "time", "callbacks")

# (quarter, client, queue); (quarter, client, queue, agent); (quarter, agent)
VisitKey = tuple[int, str, str]
HandlingKey = tuple[int, str, str, str]
TimeKey = tuple[int, str]


@dataclass(slots=True)
class Visit:
    """A caller in a line, or a callback in the place of one."""

    client: str
    queue: str
    quarter: int
    boot: str
    joined: int
    callback: bool = False
    # Whether a supervisor has chosen the agent to whom they are offered now.
    taken: bool = False
    # Estimates that were announced: when, and from what to what it may still take, in milliseconds.
    told: list[list[int]] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """The visit that a call had last; what follows from it, as an agent who takes over, belongs there."""

    client: str
    queue: str
    quarter: int
    boot: str


@dataclass(slots=True)
class Promise:
    """A callback that has not ended; ``at`` milliseconds since 1970 it was promised."""

    client: str
    queue: str
    at: int


@dataclass(slots=True)
class Offer:
    """An offer that is not over; ``rang`` is when the phone began to ring, -1 as long as it does not."""

    client: str
    queue: str
    quarter: int
    boot: str
    agent: str
    rang: int = -1


@dataclass(slots=True)
class Leg:
    """An agent's part of a call; ``ended`` is -1 as long as it goes on, then it waits for the end of the wrap-up."""

    client: str
    queue: str
    quarter: int
    boot: str
    agent: str
    connected: int
    holders: list[str] = field(default_factory=list)
    held_since: int = 0
    hold: int = 0
    ended: int = -1


@dataclass(slots=True)
class Clock:
    """A signed-in agent's time: the part that runs ``since``, and ``signed_in`` since when nothing was booked of it."""

    part: str
    since: int
    signed_in: int


class Ledger:
    """Facts in, in the order of the log; figures out at any moment.

    It knows no configuration, zone or clock: thresholds and days are for who asks. Whatever becomes of a visit, its
    offers and its legs belongs to the quarter in which it began; an agent's time to those in which it passed. What the
    log of a boot leaves open is lost with the next boot's :class:`SwitchStarted`.

    Whom a supervisor has offered to an agent of her choice has waited all the while, and waits on if that one does not
    take them: to the ACD these are visits of their own, here they are one, or one caller would count as several, and
    the one who was answered as one who had not waited at all. Who is moved to another queue has left the first one.

    Bounded by the visits of the days that were not taken out yet (:meth:`take_out`): two numbers for each.
    """

    def __init__(self) -> None:
        self.visits: dict[VisitKey, Visits] = {}
        self.handling: dict[HandlingKey, Handling] = {}
        self.time: dict[TimeKey, AgentTime] = {}
        self.callbacks: dict[VisitKey, Callbacks] = {}
        self._boot = ""
        # The boot's clock at its last fact, and the wall's when it stood at 0; and where earlier boots have ended.
        self._ms = 0
        self._wall = 0
        self._ends: dict[str, int] = {}
        self._waiting: dict[str, Visit] = {}
        self._lines: dict[tuple[str, str], dict[str, Visit]] = {}
        self._offers: dict[str, Offer] = {}
        self._legs: dict[str, Leg] = {}
        self._clocks: dict[str, Clock] = {}
        self._calls: dict[str, Call] = {}
        self._promises: dict[str, Promise] = {}
        # Of a call the visit that goes on with the next one.
        self._taken: dict[str, str] = {}
        # Of each agent the legs that are over but for the wrap-up.
        self._wrapping: dict[str, list[str]] = {}
        self.takers: dict[type, Callable[[Any, Fact], None]] = {
            CallQueued: self._queued,
            QueueLeft: self._left,
            WaitAnnounced: self._told,
            OfferMade: self._offered,
            AgentRang: self._rang,
            OfferEnded: self._offer_over,
            CallConnected: self._connected,
            AgentTookOver: self._took_over,
            CallHeld: self._held,
            CallResumed: self._resumed,
            AgentLegEnded: self._leg_over,
            CallTransferred: self._transferred,
            TransferFailed: self._not_transferred,
            CallEnded: self._call_over,
            CallbackRequested: self._promised,
            CallbackAttempted: self._attempted,
            CallbackFailed: self._attempt_failed,
            CallbackEnded: self._kept_promise,
            AgentStateChanged: self._agent_changed,
            SwitchStarted: self._started,
        }

    # Facts

    def take(self, fact: Fact) -> None:
        """Read one fact."""
        self.pass_by(fact.boot, fact.ms)
        taker = self.takers.get(type(fact.body))
        if taker is not None:
            self._set_wall(fact)
            taker(fact.body, fact)

    def pass_by(self, boot: str, ms: int) -> None:
        """A fact of a kind that nothing is counted of: the boot lived at ``ms`` of its clock, and that is all."""
        if boot == self._boot:
            self._ms = ms
            return
        self._leave_boot()
        self._boot, self._ms, self._wall = boot, ms, -1

    def _leave_boot(self) -> None:
        """The boot is over, with its last fact: its agents are gone; its callers are when the next one says so."""
        for agent in list(self._clocks):
            self._stop(agent, self._ms)
        for offer, leg in list(self._legs.items()):
            if leg.ended >= 0:
                self._finish(offer, leg, self._ms)
        self._wrapping.clear()
        if self._boot:
            self._ends[self._boot] = self._ms

    def _set_wall(self, fact: Fact) -> None:
        wall = epoch_ms(fact.at) - fact.ms
        if self._wall < 0:
            self._wall = wall
        elif abs(wall - self._wall) > WALL_WAS_SET:
            self._settle(fact.ms)
            self._wall = wall

    def _ms_of(self, boot: str, fact: Fact) -> int:
        """When it is on the clock of ``boot``: of one that is over it is as late as it will ever be."""
        return fact.ms if boot == fact.boot else self._ends.get(boot, 0)

    # Visits

    def _queued(self, body: CallQueued, fact: Fact) -> None:
        if body.visit in self._waiting or self._goes_on(body, fact):
            return
        quarter = epoch_ms(fact.at) // QUARTER_MS
        visit = Visit(body.client, body.queue, quarter, fact.boot, fact.ms, bool(body.callback))
        self._waiting[body.visit] = visit
        if visit.callback:
            self._callbacks_of(quarter, body.client, body.queue).turns += 1
        else:
            self._lines.setdefault((body.client, body.queue), {})[body.visit] = visit
            self._visits_of(quarter, body.client, body.queue).offered += 1
        if fact.call_id is not None:
            self._calls[fact.call_id] = Call(body.client, body.queue, quarter, fact.boot)

    def _goes_on(self, body: CallQueued, fact: Fact) -> bool:
        """Whether this goes on with the visit before, the caller having been offered to an agent by a supervisor."""
        before = self._taken.pop(fact.call_id or "", "")
        visit = self._waiting.get(before)
        if visit is None:
            return False
        where = visit.client, visit.queue
        if where != (body.client, body.queue) or body.callback:
            self._leave(before, VisitOutcome.FLOWED_OUT, TAKEN, fact)
            return False
        self._waiting[body.visit] = self._lines[where][body.visit] = visit
        del self._waiting[before], self._lines[where][before]
        visit.taken = bool(body.agent)
        return True

    def _call_over(self, _: CallEnded, fact: Fact) -> None:
        if fact.call_id is not None:
            self._calls.pop(fact.call_id, None)
            self._leave(self._taken.pop(fact.call_id, ""), VisitOutcome.FLOWED_OUT, TAKEN, fact)

    def _told(self, body: WaitAnnounced, fact: Fact) -> None:
        visit = self._waiting.get(body.visit)
        if visit is not None and len(visit.told) < MOST_TOLD:
            visit.told.append([fact.ms, body.low_ms, body.high_ms])

    def _left(self, body: QueueLeft, fact: Fact) -> None:
        visit = self._waiting.get(body.visit)
        if visit is not None and fact.call_id and not visit.callback:
            not_taken = visit.taken and body.outcome in (VisitOutcome.FLOWED_OUT, VisitOutcome.REFUSED)
            if not_taken or (body.outcome is VisitOutcome.FLOWED_OUT and body.reason == TAKEN):
                self._taken[fact.call_id] = body.visit
                return
        self._leave(body.visit, body.outcome, body.reason, fact)

    def _leave(self, visit_id: str, outcome: VisitOutcome, reason: str, fact: Fact) -> None:
        visit = self._waiting.pop(visit_id, None)
        if visit is None:
            return
        if visit.callback:
            turns = self._callbacks_of(visit.quarter, visit.client, visit.queue).turns_over
            turns[outcome.value] = turns.get(outcome.value, 0) + 1
            return
        del self._lines[visit.client, visit.queue][visit_id]
        wait = max(0, self._ms_of(visit.boot, fact) - visit.joined)
        cell = self._visits_of(visit.quarter, visit.client, visit.queue)
        match outcome:
            case VisitOutcome.ANSWERED:
                cell.answered += 1
                insort(cell.waits, wait)
                for at, low, high in visit.told:
                    _judge(cell, low, high, max(0, visit.joined + wait - at))
            case VisitOutcome.ABANDONED:
                cell.abandoned += 1
                insort(cell.given_up, wait)
            case VisitOutcome.SHORT_ABANDONED:
                cell.short_abandoned += 1
                insort(cell.given_up, wait)
            case VisitOutcome.FLOWED_OUT:
                cell.flowed_out[reason] = cell.flowed_out.get(reason, 0) + 1
                insort(cell.moved_on, wait)
            case VisitOutcome.REFUSED:
                cell.refused[reason] = cell.refused.get(reason, 0) + 1
            case VisitOutcome.LOST:
                cell.lost[reason] = cell.lost.get(reason, 0) + 1

    # Callbacks

    def _promised(self, body: CallbackRequested, fact: Fact) -> None:
        if body.callback not in self._promises:
            at = epoch_ms(fact.at)
            self._promises[body.callback] = Promise(body.client, body.queue, at)
            self._callbacks_of(at // QUARTER_MS, body.client, body.queue).requested += 1

    def _attempted(self, body: CallbackAttempted, fact: Fact) -> None:
        if promise := self._promises.get(body.callback):
            self._callbacks_of(epoch_ms(fact.at) // QUARTER_MS, promise.client, promise.queue).attempted += 1

    def _attempt_failed(self, body: CallbackFailed, fact: Fact) -> None:
        if promise := self._promises.get(body.callback):
            failed = self._callbacks_of(epoch_ms(fact.at) // QUARTER_MS, promise.client, promise.queue).failed
            failed[body.cause] = failed.get(body.cause, 0) + 1

    def _kept_promise(self, body: CallbackEnded, fact: Fact) -> None:
        promise = self._promises.pop(body.callback, None)
        if promise is None:
            return
        at = epoch_ms(fact.at)
        cell = self._callbacks_of(at // QUARTER_MS, promise.client, promise.queue)
        cell.ended[body.outcome.value] = cell.ended.get(body.outcome.value, 0) + 1
        if body.outcome is CallbackOutcome.REACHED:
            insort(cell.waits, max(0, at - promise.at))

    # Offers and legs

    def _offered(self, body: OfferMade, fact: Fact) -> None:
        visit = self._waiting.get(body.visit)
        if visit is None or body.offer in self._offers:
            return
        self._offers[body.offer] = Offer(visit.client, visit.queue, visit.quarter, fact.boot, body.agent)
        self._handling_of(visit.quarter, visit.client, visit.queue, body.agent).offers += 1

    def _rang(self, body: AgentRang, fact: Fact) -> None:
        offer = self._offers.get(body.offer)
        if offer is not None and offer.rang < 0:
            offer.rang = fact.ms
            self._handling_of(offer.quarter, offer.client, offer.queue, offer.agent).rang += 1

    def _offer_over(self, body: OfferEnded, fact: Fact) -> None:
        offer = self._offers.pop(body.offer, None)
        if offer is not None:
            self._end_offer(offer, body.result, self._ms_of(offer.boot, fact))

    def _end_offer(self, offer: Offer, result: OfferResult, ms: int) -> None:
        cell = self._handling_of(offer.quarter, offer.client, offer.queue, offer.agent)
        cell.results[result.value] = cell.results.get(result.value, 0) + 1
        if offer.rang >= 0:
            cell.ring_ms += max(0, ms - offer.rang)

    def _connected(self, body: CallConnected, fact: Fact) -> None:
        visit = self._waiting.get(body.visit)
        if visit is None:
            return
        self._legs[body.offer] = Leg(visit.client, visit.queue, visit.quarter, fact.boot, body.agent, fact.ms)
        self._leave(body.visit, VisitOutcome.ANSWERED, "", fact)

    def _took_over(self, body: AgentTookOver, fact: Fact) -> None:
        """What the agent had before is over without a wrap-up; what they owe is of the talk that begins."""
        before = self._legs.get(body.offer)
        if before is not None:
            if before.ended < 0:
                self._end_leg(before, self._ms_of(before.boot, fact))
            self._finish(body.offer, before, before.ended)
        call = self._call_of(fact)
        self._legs[body.offer] = Leg(call.client, body.queue, call.quarter, fact.boot, body.agent, fact.ms)

    def _call_of(self, fact: Fact) -> Call:
        """The call of a fact; one that stood in no line belongs to the quarter of the fact."""
        return self._calls.get(fact.call_id or "") or Call("", "", epoch_ms(fact.at) // QUARTER_MS, fact.boot)

    def _held(self, body: CallHeld, fact: Fact) -> None:
        leg = self._legs.get(body.offer)
        if leg is None or leg.ended >= 0 or body.by.value in leg.holders:
            return
        if not leg.holders:
            leg.held_since = fact.ms
        leg.holders.append(body.by.value)

    def _resumed(self, body: CallResumed, fact: Fact) -> None:
        leg = self._legs.get(body.offer)
        if leg is None or body.by.value not in leg.holders:
            return
        leg.holders.remove(body.by.value)
        if not leg.holders:
            leg.hold += max(0, self._ms_of(leg.boot, fact) - leg.held_since)

    def _leg_over(self, body: AgentLegEnded, fact: Fact) -> None:
        leg = self._legs.get(body.offer)
        if leg is None or leg.ended >= 0:
            return
        self._end_leg(leg, self._ms_of(leg.boot, fact))
        if leg.boot != fact.boot:
            self._finish(body.offer, leg, leg.ended)
        else:
            self._wrapping.setdefault(leg.agent, []).append(body.offer)

    @staticmethod
    def _end_leg(leg: Leg, ms: int) -> None:
        if leg.holders:
            leg.hold += max(0, ms - leg.held_since)
            leg.holders.clear()
        leg.ended = max(ms, leg.connected)

    def _finish(self, offer: str, leg: Leg, ms: int) -> None:
        """A leg is over, and so is its wrap-up, at ``ms``."""
        self._legs.pop(offer, None)
        cell = self._handling_of(leg.quarter, leg.client, leg.queue, leg.agent)
        cell.handled += 1
        cell.hold_ms += leg.hold
        cell.talk_ms += leg.ended - leg.connected - leg.hold
        cell.wrap_up_ms += max(0, ms - leg.ended)

    def _transferred(self, body: CallTransferred, _: Fact) -> None:
        leg = self._legs.get(body.offer)
        if leg is not None:
            cell = self._handling_of(leg.quarter, leg.client, leg.queue, leg.agent)
            way = f"{body.kind.value} to {body.to.value}"
            cell.transfers[way] = cell.transfers.get(way, 0) + 1

    def _not_transferred(self, body: TransferFailed, fact: Fact) -> None:
        call = self._call_of(fact)
        self._handling_of(call.quarter, call.client, call.queue, body.by).transfers_failed += 1

    # Agents

    def _agent_changed(self, body: AgentStateChanged, fact: Fact) -> None:
        agent = body.agent
        if agent in self._wrapping:
            self._follow_wrap_up(body, fact.ms)
        part, clock = part_of(body), self._clocks.get(agent)
        if clock is None:
            if part:
                self._clocks[agent] = Clock(part, fact.ms, fact.ms)
        elif not part:
            self._stop(agent, fact.ms)
        elif part != clock.part:
            self._book(agent, clock, fact.ms)
            clock.part = part

    def _follow_wrap_up(self, body: AgentStateChanged, ms: int) -> None:
        """Legs that are over are through when the agent's state does not say that he still wraps them up."""
        for offer in list(self._wrapping[body.agent]):
            leg = self._legs.get(offer)
            if leg is None or leg.ended < 0:
                self._wrapping[body.agent].remove(offer)
            elif body.work is not Work.WRAP_UP or body.offer != offer:
                self._wrapping[body.agent].remove(offer)
                self._finish(offer, leg, ms if leg.boot == self._boot else leg.ended)
        if not self._wrapping[body.agent]:
            del self._wrapping[body.agent]

    def _book(self, agent: str, clock: Clock, ms: int) -> None:
        """Book the part that ran, up to ``ms``."""
        for quarter, passed in spread(clock.since + self._wall, ms + self._wall):
            parts = self._time_of(quarter, agent).parts
            parts[clock.part] = parts.get(clock.part, 0) + passed
        clock.since = max(clock.since, ms)

    def _book_signed_in(self, agent: str, clock: Clock, ms: int) -> None:
        for quarter, passed in spread(clock.signed_in + self._wall, ms + self._wall):
            self._time_of(quarter, agent).signed_in += passed
        clock.signed_in = max(clock.signed_in, ms)

    def _stop(self, agent: str, ms: int) -> None:
        clock = self._clocks.pop(agent)
        self._book(agent, clock, ms)
        self._book_signed_in(agent, clock, ms)

    def _settle(self, ms: int) -> None:
        for agent, clock in self._clocks.items():
            self._book(agent, clock, ms)
            self._book_signed_in(agent, clock, ms)

    def _started(self, _: SwitchStarted, fact: Fact) -> None:
        """What earlier boots left open and nobody has closed is lost: its call was closed, or never written."""
        for visit_id, visit in list(self._waiting.items()):
            if visit.boot != fact.boot:
                self._leave(visit_id, VisitOutcome.LOST, RESTART, fact)
        for offer_id, offer in list(self._offers.items()):
            if offer.boot != fact.boot:
                del self._offers[offer_id]
                self._end_offer(offer, OfferResult.LOST_RACE, self._ms_of(offer.boot, fact))
        for offer_id, leg in list(self._legs.items()):
            if leg.boot != fact.boot:
                if leg.ended < 0:
                    self._end_leg(leg, self._ms_of(leg.boot, fact))
                self._finish(offer_id, leg, leg.ended)
        for call_id, call in list(self._calls.items()):
            if call.boot != fact.boot:
                del self._calls[call_id]
        self._taken = {call: visit for call, visit in self._taken.items() if visit in self._waiting}
        self._ends.clear()

    # Cells

    def _visits_of(self, quarter: int, client: str, queue: str) -> Visits:
        key = (quarter, client, queue)
        found = self.visits.get(key)
        if found is None:
            found = self.visits[key] = Visits()
        return found

    def _callbacks_of(self, quarter: int, client: str, queue: str) -> Callbacks:
        key = (quarter, client, queue)
        found = self.callbacks.get(key)
        if found is None:
            found = self.callbacks[key] = Callbacks()
        return found

    def _handling_of(self, quarter: int, client: str, queue: str, agent: str) -> Handling:
        key = (quarter, client, queue, agent)
        found = self.handling.get(key)
        if found is None:
            found = self.handling[key] = Handling()
        return found

    def _time_of(self, quarter: int, agent: str) -> AgentTime:
        key = (quarter, agent)
        found = self.time.get(key)
        if found is None:
            found = self.time[key] = AgentTime()
        return found

    # What others may see

    @property
    def last_ms(self) -> int:
        """The clock of the present boot at its last fact."""
        return self._ms

    @property
    def last_at(self) -> datetime | None:
        """When the last fact was told, by the wall's clock; None when there was none."""
        return instant(self._ms + self._wall) if self._wall >= 0 and self._boot else None

    @property
    def last_quarter(self) -> int:
        """The quarter that the last fact was in; 0 when there was none."""
        return max(0, self._ms + self._wall) // QUARTER_MS

    def settle(self, ms: int) -> None:
        """Book the agents' time up to ``ms`` of the present boot's clock. It changes no figure that is asked later."""
        self._settle(ms)

    def waiting(self, ms: int) -> Iterator[tuple[VisitKey, int]]:
        """Who still waits, and how long so far, at ``ms`` of the present boot's clock."""
        for visit in self._waiting.values():
            if visit.callback:
                continue
            now = ms if visit.boot == self._boot else self._ends.get(visit.boot, visit.joined)
            yield (visit.quarter, visit.client, visit.queue), max(0, now - visit.joined)

    def visits_of(self, client: str, queue: str, first: int, behind: int, ms: int) -> Figures:
        """The visits to a queue that began from a quarter on to before another, at ``ms`` of the boot's clock."""
        keys = ((quarter, client, queue) for quarter in range(first, behind))
        found = Figures(visits=Visits.total(self.visits[key] for key in keys if key in self.visits))
        line = self._lines.get((client, queue), {}).values()
        found.waiting = sorted(max(0, ms - each.joined) for each in line
                               if first <= each.quarter < behind and each.boot == self._boot)  # fmt: skip
        return found

    def figures(self, ms: int) -> Cells:
        """All figures at ``ms`` of the present boot's clock, cell by cell; agents' time is booked up to then."""
        self._settle(ms)
        cells = Cells()
        for visits_key, visits in self.visits.items():
            cells.visits[visits_key] = Figures(visits=visits)
        for handling_key, handling in self.handling.items():
            cells.handling[handling_key] = Figures(handling=handling)
        for time_key, time in self.time.items():
            cells.time[time_key] = Figures(time=time)
        for visits_key, waited in self.waiting(ms):
            insort(cells.visits[visits_key].waiting, waited)
        for callbacks_key, callbacks in self.callbacks.items():
            cells.callbacks[callbacks_key] = Figures(callbacks=callbacks)
        for visit in self._waiting.values():
            if visit.callback:
                cells.callbacks[visit.quarter, visit.client, visit.queue].in_line += 1
        for offer in self._offers.values():
            cells.handling[offer.quarter, offer.client, offer.queue, offer.agent].pending += 1
        return cells

    @property
    def oldest_open(self) -> dict[str, int]:
        """Of each client with a call, visit, offer or leg that is not over the quarter of the oldest."""
        found: dict[str, int] = {}
        every: tuple[Iterable[Call | Visit | Offer | Leg], ...] = (
            self._calls.values(),
            self._waiting.values(),
            self._offers.values(),
            self._legs.values(),
        )
        for each in itertools.chain(*every):
            found[each.client] = min(each.quarter, found.get(each.client, each.quarter))
        return found

    def take_out(self, client: str, first: int, behind: int) -> Cut:
        """The cells of a client from a quarter on to before another; they are forgotten here."""
        cut = Cut()
        for visits_key in [key for key in self.visits if key[1] == client and first <= key[0] < behind]:
            cut.visits[visits_key] = self.visits.pop(visits_key)
        for callbacks_key in [key for key in self.callbacks if key[1] == client and first <= key[0] < behind]:
            cut.callbacks[callbacks_key] = self.callbacks.pop(callbacks_key)
        for handling_key in [key for key in self.handling if key[1] == client and first <= key[0] < behind]:
            cut.handling[handling_key] = self.handling.pop(handling_key)
        return cut

    def take_out_time(self, first: int, behind: int) -> dict[TimeKey, AgentTime]:
        """The agents' time of these quarters, which have passed; it is forgotten here."""
        self._settle(self._ms)
        return {key: self.time.pop(key) for key in [key for key in self.time if first <= key[0] < behind]}

    # Kept over a restart

    def plain(self) -> dict[str, Any]:
        """The whole state as JSON values: a fold that goes on from here gives what one from the start gives."""
        cells: dict[str, list[Any]] = {name: [] for name in CELLS}
        for name, cell in self.plain_cells():
            cells[name].append(cell)
        return {**self.plain_rest(), **cells}

    def plain_cells(self) -> Iterator[tuple[str, list[Any]]]:
        """The cells of :meth:`plain`, one by one, each with the name of the list that it is in."""
        every: dict[str, Mapping[Any, Sums]] = {name: getattr(self, name) for name in CELLS}
        for name, cells in every.items():
            for key in sorted(cells):
                yield name, [*key, cells[key].plain()]

    def plain_rest(self) -> dict[str, Any]:
        """What :meth:`plain` has beside the cells: what is under way."""
        return {
            "boot": self._boot,
            "ms": self._ms,
            "wall": self._wall,
            "ends": dict(self._ends),
            "waiting": {key: asdict(each) for key, each in self._waiting.items()},
            "offers": {key: asdict(each) for key, each in self._offers.items()},
            "legs": {key: asdict(each) for key, each in self._legs.items()},
            "taken": dict(self._taken),
            "promises": {key: asdict(each) for key, each in self._promises.items()},
            "calls": {key: asdict(each) for key, each in self._calls.items()},
            "clocks": {key: asdict(each) for key, each in self._clocks.items()},
            "wrapping": {agent: list(offers) for agent, offers in self._wrapping.items()},
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Ledger:
        """What :meth:`plain` gave."""
        self = cls()
        self._boot, self._ms, self._wall = plain["boot"], plain["ms"], plain["wall"]
        self._ends = dict(plain["ends"])
        self.visits = {(q, client, queue): Visits.of(cell) for q, client, queue, cell in plain["visits"]}
        self.handling = {(q, c, queue, agent): Handling.of(cell) for q, c, queue, agent, cell in plain["handling"]}
        self.time = {(q, agent): AgentTime.of(cell) for q, agent, cell in plain["time"]}
        self.callbacks = {(q, client, queue): Callbacks.of(cell) for q, client, queue, cell in plain["callbacks"]}
        self._promises = {key: Promise(**each) for key, each in plain["promises"].items()}
        self._taken = dict(plain["taken"])
        self._waiting = {key: Visit(**each) for key, each in plain["waiting"].items()}
        for key, visit in self._waiting.items():
            if visit.callback:
                continue
            self._lines.setdefault((visit.client, visit.queue), {})[key] = visit
        self._offers = {key: Offer(**each) for key, each in plain["offers"].items()}
        self._legs = {key: Leg(**each) for key, each in plain["legs"].items()}
        self._calls = {key: Call(**each) for key, each in plain["calls"].items()}
        self._clocks = {key: Clock(**each) for key, each in plain["clocks"].items()}
        self._wrapping = {agent: list(offers) for agent, offers in plain["wrapping"].items()}
        return self

    def __str__(self) -> str:
        return f"<Ledger {len(self.visits)} cells of visits, {len(self._waiting)} waiting, {len(self._legs)} legs>"


def _judge(cell: Visits, low: int, high: int, actual: int) -> None:
    """Count an estimate from ``low`` to ``high``, of a wait that came to ``actual``."""
    off = (low + high) // 2 - actual
    cell.told += 1
    cell.told_off += off
    cell.told_away += abs(off)
    cell.told_well += 10 * abs(off) <= 3 * actual
    cell.told_right += low <= actual <= high


@dataclass(slots=True)
class Cut:
    """Cells that were taken out."""

    visits: dict[VisitKey, Visits] = field(default_factory=dict)
    handling: dict[HandlingKey, Handling] = field(default_factory=dict)
    time: dict[TimeKey, AgentTime] = field(default_factory=dict)
    callbacks: dict[VisitKey, Callbacks] = field(default_factory=dict)


@dataclass(slots=True)
class Cells:
    """Figures at a moment, by the quarter of an hour and whom they are of."""

    visits: dict[VisitKey, Figures] = field(default_factory=dict)
    handling: dict[HandlingKey, Figures] = field(default_factory=dict)
    time: dict[TimeKey, Figures] = field(default_factory=dict)
    callbacks: dict[VisitKey, Figures] = field(default_factory=dict)

    @property
    def every(self) -> Iterator[tuple[Any, Figures]]:
        """All of them."""
        cells: tuple[dict[Any, Figures], ...] = (self.visits, self.handling, self.time, self.callbacks)
        return itertools.chain.from_iterable(each.items() for each in cells)

    def gaps(self) -> list[str]:
        """Cells that do not add up, in words."""
        return [f"{key}: {gap}" for key, figures in self.every for gap in figures.gaps]


def fold(facts: Iterable[Fact], ledger: Ledger | None = None) -> Ledger:
    """The ledger of these facts, from the start or from where another one stands."""
    ledger = ledger if ledger is not None else Ledger()
    for fact in facts:
        ledger.take(fact)
    return ledger


def kinds() -> frozenset[str]:
    """The names of the facts of which something is counted; all others are passed by."""
    return frozenset(kind.__name__ for kind in Ledger().takers)
