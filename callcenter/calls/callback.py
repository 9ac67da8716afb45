"""Callbacks: who is to be called back, when that is, and that nobody is dialled twice for it."""

from __future__ import annotations

import asyncio
import functools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from callcenter.acd.events import Ticket
from callcenter.calls.call import Call, Captured
from callcenter.calls.callback_drafts import CallbackDrafts, merged, requested
from callcenter.calls.callback_history import attempt_over, noted
from callcenter.calls.callback_limits import DAY, CallbackLimits
from callcenter.calls.callback_numbers import own_number, shown_number
from callcenter.calls.callback_pending import NotDialled, Pending
from callcenter.calls.callback_plans import NotPlanned, Obstacle, Wanted
from callcenter.calls.callback_previews import CallbackPreviews
from callcenter.calls.callback_times import CallbackTimes
from callcenter.calls.line import Line
from callcenter.calls.settings import Missed, Number, RingsIn
from callcenter.calls.windows import Wish
from callcenter.model.callback import MAX_REASON, Attempt, Callback, Lease, Source
from callcenter.model.facts import (
    CallArrived,
    CallbackAttempted,
    CallbackChanged,
    CallbackDeferred,
    CallbackEnded,
    CallbackFailed,
    CallConnected,
    CallEnded,
    Fact,
    OutsideConnected,
    reads,
    utc,
)
from callcenter.model.interaction import Ending
from callcenter.model.states import CallbackOutcome, Direction, EndCause, Side, VisitOutcome
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.acd.events import Offer
    from callcenter.calls.services import Services
    from callcenter.calls.supervisor import Supervisor
    from callcenter.storage.callbacks import Callbacks as Store

# So many are looked after at once; who asks when there are more keeps waiting on the phone.
MOST_PENDING = 5_000
# Nothing is promised, and nobody is dialled, before it is in the database; one that takes longer is taken to be away.
WRITTEN_WITHIN = 1.0
# Why one has ended that was refused for it: asked for again it is as if it had never been.
NOT_WRITTEN = "not_written"
# The wall's clock may be set meanwhile: so often it is looked at, for who waits until they may be dialled.
LOOKS_EVERY = 60.0
# What an attempt has dialled may ring on for so long when nobody is there any more to take it back (seconds).
LINGERS = 15.0
# Those that have ended are looked through so often for what is too old.
TIDIES_EVERY = timedelta(hours=6)
# A turn that ended before anybody was dialled, by a mistake of ours or for want of a queue, is not begun anew at once.
PAUSE = 30.0

AT_ONCE = Wish()

log = structlog.get_logger()


Turn = Callable[[Call, Pending], Awaitable[Ending]]


class Callbacks:
    """All who are to be called back. Each stands in line by a call of its own, which ``turn`` carries out.

    Before it is due, and between the attempts, nothing stands in line, and no task runs: there is a timer. A number is
    dialled once at a time, whatever asks for it.
    """

    def __init__(self, services: Services, supervisor: Supervisor, store: Store, turn: Turn) -> None:
        self.times = CallbackTimes(lambda: services.settings)
        self.previews = CallbackPreviews(services, store, self)
        self._drafts = CallbackDrafts(services, self.times)
        self._limits = CallbackLimits(services, self)
        self._services = services
        self._supervisor = supervisor
        self._store = store
        self._turn = turn
        self._pending: dict[str, Pending] = {}
        # By client and number, then by queue.
        self._of_number: dict[tuple[str, str], dict[str, Pending]] = {}
        self._held: dict[str, list[Pending]] = {}
        self._dialled: set[str] = set()
        # Calls that customers have made to us, while they are up; and who is on the phone with us, by the call.
        self._here: dict[str, Call] = {}
        self._on_phone: dict[str, tuple[str, str]] = {}
        # Those that are due in a while: one timer looks at all of them.
        self._later: set[Pending] = set()
        self._looks: asyncio.TimerHandle | None = None
        self._tidied: datetime | None = None
        # How many there are by queue that do not stand in line; None: they are to be counted anew.
        self._planned_of: Counter[str] | None = None
        self._suspended = False

    def __iter__(self) -> Iterator[Pending]:
        return iter(list(self._pending.values()))

    def __len__(self) -> int:
        return len(self._pending)

    async def open(self) -> None:
        """Take up what the last run has left; of an attempt that it was in nobody knows more. Raises StorageError."""
        now = self._services.clock.now()
        for client, number, at in await self._store.asked_since(now - DAY):
            self._limits.count(client, number, at)
        for value in await self._store.load_all():
            if self._find(value.client, value.queue, value.number) is None:
                self._add(Pending(value))
        # When all are known: of two for one number whose queues are one now, one ends, and that is told.
        for each in self:
            self._take_new_name(each)
            value = each.value
            if value.lease is not None:
                self.failed(each, value.requested_in or None, "interrupted", "by a restart")
                each.value = replace(each.value, due_at=max(each.value.due_at, value.lease.until))
                self._store.keep(each.value)
            self._arm(each)

    def find(self, callback_id: str) -> Pending | None:
        """One that has not ended."""
        return self._pending.get(callback_id)

    async def look_up(self, callback_id: str) -> Callback | None:
        """One of them, ended or not. Raises StorageError."""
        each = self._pending.get(callback_id)
        return each.value if each is not None else await self._store.find(callback_id)

    def planned(self, queue: str) -> int:
        """How many of a queue do not stand in line: they are due later, or not to be dialled just now."""
        if self._planned_of is None:
            self._planned_of = Counter(each.value.queue for each in self._pending.values() if each.call is None)
        return self._planned_of[queue]

    def of_person(self, client: str, customer: str, numbers: Collection[str]) -> list[Pending]:
        """Those of one person that have not ended, also those that they have asked for at another number."""
        return [
            each
            for each in self
            if each.value.client == client
            and (
                each.value.number in numbers
                or each.value.asked_by in numbers
                or (customer and each.value.customer == customer)
            )
        ]

    def belong_to(self, client: str, former: str, customer: str) -> None:
        """Who was ``former`` is this ``customer`` from now on. Never waits."""
        for each in self:
            if each.value.client == client and each.value.customer == former:
                each.value = replace(each.value, customer=customer)
                self._store.keep(each.value)

    def possible(self, call: Call, queue: str) -> bool:
        """Whether callers of this call can be called back at all now."""
        client, settings = call.client, self._services.settings
        if client.outbound is None or client.callbacks is None or client.id not in settings.clients:
            return False
        there = self._services.dispatcher.acd.plan.queues.get(queue)
        return there is not None and there.client == client.id and len(self._pending) < MOST_PENDING

    # Who asks

    async def request(self, call: Call, queue: str, number: str, wish: Wish = AT_ONCE) -> bool:
        """Have the caller called back; True when that is written, and may be promised.

        Who has asked before keeps the place that they have, and the latest ``wish`` counts. Nobody is dialled before
        this call is over. Who asks at a number that is not their own may be anybody: what was promised there stands.
        """
        clock, ticket = self._services.clock, call.ticket
        now, here = clock.now(), call.line if call.line is not None else Line(clock.monotonic())
        joined = ticket if ticket is not None and ticket.queue == queue else None
        known = self._find(call.client.id, queue, number)
        asker = self._limits.asker(call, number)
        if known is None and (why := self._limits.too_many(call.client, number, asker)):
            log.warning("no callback was promised", queue=queue, why=why)
            return False
        value = self._drafts.of_call(call, queue, number, Source.CALLER, asker)
        not_before, not_after = wish.window(now, self.times.zone(value))
        value = replace(value, scheduled=not wish.at_once, not_before=not_before, not_after=not_after)
        if self.times.next(value, now) is None:
            log.warning("no callback was promised: nobody may be called in that time", queue=queue)
            return False
        if known is not None and asker and known.value.asked_by != asker:
            each, value = known, known.value
        elif known is not None:
            self._hold(known, call.id)
            self._recall(known, "asked_again")
            before = known.value
            kept = not (before.scheduled or value.scheduled)
            value = replace(
                before,
                first_joined_at=min(before.first_joined_at, value.first_joined_at) if kept else value.first_joined_at,
                language=value.language,
                beside=True,
                scheduled=value.scheduled,
                not_before=not_before,
                not_after=not_after,
            )
            each = known
            each.value = value
        else:
            each = Pending(value)
            self._hold(each, call.id)
            self._add(each)
        visit, first_joined_ms = joined.id if joined is not None else "", round(here.first_joined * 1000)
        call.add(requested(value, visit, first_joined_ms, number))
        if not await self._written(each, value, new=known is None, call_id=call.id):
            log.warning("no callback was promised: the database is away", queue=queue)
            return False
        return True

    async def plan(self, wanted: Wanted) -> tuple[Callback, bool]:
        """Have a customer called back at a time; what is planned, and whether it is one with what was planned before.

        Returns when it is written. Asked for the same number and queue again, there is still one: the latest window
        counts, and both reasons do. Raises NotPlanned, StorageError.
        """
        if wanted.id and (before := await self._planned_before(wanted.id)) is not None:
            return before, before.id != wanted.id
        value = self._drafts.planned(wanted)
        known = self._find(value.client, value.queue, value.number)
        client = self._services.settings.clients[value.client]
        if known is None and (why := self._limits.too_many(client, value.number, "")):
            raise NotPlanned(f"this number was asked for too often: {why}", Obstacle.TOO_MANY, "number")
        if known is not None and not wanted.may_join(known.value):
            sentence = "this queue is to call this number already, and that is not yours to change: ask a supervisor"
            raise NotPlanned(sentence, Obstacle.CONFLICT, "number")
        if known is None and len(self._pending) >= MOST_PENDING:
            raise NotPlanned(f"{MOST_PENDING} callbacks are planned, and no more are taken", Obstacle.TOO_MANY)
        if known is not None and known.dialling:
            raise NotPlanned("the customer is being dialled at this moment", Obstacle.CONFLICT)
        if known is not None:
            value = merged(known.value, value)
            self._recall(known, "asked_again")
            known.value, each = value, known
            changed = CallbackChanged(value.id, value.client, wanted.by, ("merged",))
            self._services.stream.append(changed, wanted.call or None)
        else:
            each = Pending(value)
            self._add(each)
            number = value.number if wanted.call else ""
            place = round(self._services.clock.monotonic() * 1000)
            self._services.stream.append(requested(value, "", place, number), wanted.call or None)
        asked_as = wanted.id if known is not None else ""
        if not await self._written(each, value, new=known is None, call_id=wanted.call or None, asked_as=asked_as):
            raise NotPlanned("the database is away: nothing was planned", Obstacle.UNAVAILABLE)
        self._arm(each)
        return each.value, known is not None

    async def _planned_before(self, callback_id: str) -> Callback | None:
        """What was planned under an id, or became one with what was; ended or not. Raises StorageError."""
        found = await self.look_up(callback_id)
        if found is None and (joined := await self._store.joined(callback_id)):
            found = await self.look_up(joined)
        return None if found is None or found.ended_why == NOT_WRITTEN else found

    async def change(self, callback_id: str, by: str, changes: Mapping[str, Any]) -> Callback:
        """Have a callback carried out otherwise: its window, queue, mode, agent, reason; times by name of the field.

        Raises NotPlanned, StorageError.
        """
        each = self._changeable(callback_id)
        before, now = each.value, self._services.clock.now()
        value = replace(before, **changes)
        if {"not_before", "not_after"} & changes.keys():
            value = replace(value, scheduled=True, first_joined_at=now)
        self._drafts.check(value, now)
        there = self._find(value.client, value.queue, value.number)
        if there is not None and there is not each:
            raise NotPlanned(f"{value.queue} calls this number back already", Obstacle.CONFLICT, "queue")
        if value == before:
            return before
        self._recall(each, "changed")
        del self._of_number[before.client, before.number][before.queue]
        each.value = value
        self._of_number[value.client, value.number][value.queue] = each
        each.paused_until, self._planned_of = None, None
        what = tuple(sorted(changes))
        self._services.stream.append(CallbackChanged(value.id, value.client, by, what), self._told_in(value))
        self._store.keep(value)
        self._arm(each)
        await self._kept()
        return value

    async def call_off(self, callback_id: str, by: str, why: str = "") -> Callback:
        """Call nobody back, also while they are being dialled; what it has come to. Raises NotPlanned, StorageError."""
        each = self._pending.get(callback_id)
        if each is None:
            ended = await self._store.find(callback_id)
            if ended is None:
                raise NotPlanned("there is no such callback", Obstacle.NOT_FOUND)
            if ended.outcome == CallbackOutcome.CANCELLED:
                return ended
            raise NotPlanned(f"it has ended: {ended.outcome.replace('_', ' ')}", Obstacle.CONFLICT)
        value = self._end(each, CallbackOutcome.CANCELLED, "called_off", self._told_in(each.value), why or f"by {by}")
        await self._kept()
        return value

    def rings_in(self, call: Call, queue: str) -> Line | None:
        """The caller joins a queue in which they were to be called back: they have that place now.

        One that kept their place has ended by it, also while an agent dials. One that was planned ends when they talk
        (see :meth:`take`): whoever hangs up again is called as planned. None when there is no place for them.
        """
        if call.direction is not Direction.INBOUND or (number := shown_number(call)) is None:
            return None
        each = self._find(call.client.id, queue, number)
        if each is None:
            return None
        if each.value.scheduled:
            rules = call.client.callbacks
            if rules is None or rules.rings_in is RingsIn.MERGE:
                call.promised = each.value
            in_line = each.value.first_joined_at <= self._services.clock.now()
            return self._line(each.value) if in_line and call.promised is not None else None
        line = self._line(each.value)
        self._end(each, CallbackOutcome.CANCELLED, "rang_in", call.id)
        return line

    @contextmanager
    def caller_is_here(self, call: Call) -> Iterator[None]:
        """While the block lasts the caller is on the phone with us, and is not called back."""
        number = shown_number(call)
        self._here[call.id] = call
        self._is_on_phone(call, number or "")
        try:
            yield
        finally:
            self._release(call.id)

    @contextmanager
    def abandoning(self, call: Call, ticket: Ticket) -> Iterator[None]:
        """A visit that may be abandoned while the block lasts: then the caller is called back, where a queue does so.

        To be left behind the visit, and before it is told: one that was answered stands in no line any more.
        """
        try:
            yield
        finally:
            treatment = call.settings.treatments.get(ticket.queue)
            after = treatment.call_back_after if treatment is not None else None
            left = call.how_left().outcome
            in_line = self._services.dispatcher.acd.position(ticket.id) is not None
            if after is not None and left is VisitOutcome.ABANDONED and in_line and not ticket.agent:
                self._abandoned(call, ticket, after)

    def _abandoned(self, call: Call, ticket: Ticket, after: float) -> None:
        number, monotonic = own_number(call), self._services.clock.monotonic()
        here = call.line if call.line is not None else Line(monotonic)
        if call.direction is not Direction.INBOUND or number is None or monotonic - here.first_joined < after:
            return
        # What was planned or asked for is as good, and says more.
        if self._find(call.client.id, ticket.queue, number) is not None or not self.possible(call, ticket.queue):
            return
        if self._limits.too_many(call.client, number, ""):
            return
        value = self._drafts.of_call(call, ticket.queue, number, Source.ABANDONED, "")
        if self.times.next(value, self._services.clock.now()) is None:
            return
        each = Pending(value)
        self._hold(each, call.id)
        self._add(each)
        self._limits.count(value.client, number, value.requested_at)
        call.add(requested(value, ticket.id, round(here.first_joined * 1000), number))
        self._store.keep(value)

    @reads(CallArrived, CallConnected, CallEnded, OutsideConnected)
    def take(self, fact: Fact) -> None:
        """Read one fact: who has talked to us meanwhile need not be called any more."""
        match fact.body:
            case CallConnected() if call := self._here.get(fact.call_id or ""):
                # After this fact, for every reader.
                asyncio.get_running_loop().call_soon(self._talked, call)
            case CallArrived(direction=Direction.OUTBOUND, agent=agent, to_number=number) if agent:
                # The number is dialled once at a time: also while an agent tries it by hand nobody else does.
                asyncio.get_running_loop().call_soon(self._dialled_by_hand, fact.call_id or "", number)
            case OutsideConnected(number=number) if call := self._supervisor.calls.get(fact.call_id or ""):
                if call.agent:  # an agent has called them by hand
                    asyncio.get_running_loop().call_soon(self._called_by_hand, call, number)
            case CallEnded():
                self._here.pop(fact.call_id or "", None)
                if fact.call_id in self._on_phone:
                    asyncio.get_running_loop().call_soon(self._release, fact.call_id)
            case _:
                pass

    def _is_on_phone(self, call: Call, number: str) -> None:
        """Somebody is on the phone with us, and is not called back meanwhile."""
        self._on_phone[call.id] = call.client.id, number
        for each in list(self._of_number.get((call.client.id, number), {}).values()):
            self._hold(each, call.id)
            if not each.dialling:
                self._recall(each, "caller_here")

    def _dialled_by_hand(self, call_id: str, number: str) -> None:
        if (call := self._supervisor.calls.get(call_id)) is not None:
            self._is_on_phone(call, number)

    def _called_by_hand(self, call: Call, number: str) -> None:
        if call.id not in self._supervisor.calls:
            return  # it was over in the same moment
        self._is_on_phone(call, number)
        for each in list(self._of_number.get((call.client.id, number), {}).values()):
            if each.value.source is Source.ABANDONED and not each.dialling:
                self._end(each, CallbackOutcome.CANCELLED, "talked_meanwhile", call.id)

    def _talked(self, call: Call) -> None:
        number = shown_number(call)
        for each in list(self._of_number.get((call.client.id, number or ""), {}).values()):
            if each.dialling:
                continue
            if each.value.source is Source.ABANDONED:
                self._end(each, CallbackOutcome.CANCELLED, "talked_meanwhile", call.id)
            elif call.promised is not None and call.promised.id == each.value.id:
                self._end(each, CallbackOutcome.CANCELLED, "rang_in", call.id)

    def suspend(self, on: bool) -> None:
        """Whether nobody is called back for now: no new calls are taken, or the switch goes down. Never waits.

        All keep their places, and who is being dialled still is.
        """
        self._suspended = on
        for each in self:
            if not on:
                self._arm(each)
            elif not each.dialling:
                self._recall(each, "suspended")
            if on and each.timer is not None:
                each.timer.cancel()
        if on:
            self._later.clear()
            self._look_later()

    def reconfigured(self) -> None:
        """Another configuration is in force: callbacks of queues and companies that are gone end, and that is told.

        One that is being dialled is left to be reached, or not. Those of a queue that has another name now stand there,
        and other hours hold at once.
        """
        for each in self:
            self._take_new_name(each)
            if each.dialling:
                continue
            if why := self._drafts.gone(each.value):
                self._end(each, CallbackOutcome.REMOVED, why, self._told_in(each.value))
            elif each.call is None:
                self._arm(each)
            else:
                self._watch_window(each)

    def forbid(self, client: str, number: str) -> None:
        """A number is not to be called any more: its callbacks end, but for one that is being dialled just now."""
        for each in list(self._of_number.get((client, number), {}).values()):
            if not each.dialling:
                self._end(each, CallbackOutcome.REMOVED, "do_not_call", self._told_in(each.value))

    def _take_new_name(self, each: Pending) -> None:
        """Let a callback stand in the queue that has another name now; where there is one already, that one counts."""
        value, renamed = each.value, self._services.dispatcher.acd.plan.renamed
        queue = renamed.get(value.queue, value.queue)
        if queue != value.queue and self._find(value.client, queue, value.number) is None:
            del self._of_number[value.client, value.number][value.queue]
            each.value = replace(value, queue=queue)
            self._of_number[value.client, value.number][queue] = each
            self._planned_of = None
            self._store.keep(each.value)

    # What a turn tells

    async def attempt(self, each: Pending, call: Call, offer: Offer) -> bool:
        """The customer is going to be dialled: True when that is written, and nobody dials the number.

        Not outside of the window and the hours, nor whom the company must not call: this is the last look at it. From
        here on the attempt counts, whatever happens to us.
        """
        rules, value, now = call.client.callbacks, each.value, self._services.clock.now()
        if rules is None or value.number in self._dialled or value.id not in self._pending or each.dialling:
            return False
        if self._services.do_not_call.forbids(value.client, value.number):
            self._end(each, CallbackOutcome.REMOVED, "do_not_call", call.id)
            return False
        if not self.times.allowed(value, now):
            each.why = each.why or "closed"
            return False
        self._dialled.add(value.number)
        each.attempted = True
        for other in list(self._of_number[value.client, value.number].values()):
            if other is not each:  # what they want of another queue comes when this is over
                self._hold(other, call.id)
                self._recall(other, "number_dialled")
        number = value.attempts + 1
        lease = Lease(f"{value.id}-{number}", self._store.epoch, now + timedelta(seconds=rules.ring_for + LINGERS))
        each.value = replace(value, attempts=number, due_at=now + timedelta(seconds=rules.least_spacing), lease=lease)
        each.value = noted(each.value, Attempt(number, now, offer.agent_id, call.id))
        spacing_ms = round(rules.least_spacing * 1000)
        call.add(CallbackAttempted(value.id, number, offer.agent_id, offer.id, value.number, spacing_ms))
        self._store.keep(each.value)
        try:
            await self._store.kept(WRITTEN_WITHIN)
        except (TimeoutError, StorageError) as error:
            self.failed(each, call.id, "interrupted", f"the database is away: {error}".rstrip(": "))
            return False
        return value.id in self._pending

    def reached(self, each: Pending, call: Call) -> None:
        """The customer picked up: the callback has ended well."""
        self._dialled.discard(each.value.number)
        self._supervisor.aside.discard(call.id)
        self._on_phone[call.id] = each.value.client, each.value.number
        each.value = attempt_over(each.value, "reached", "", self._services.clock.now())
        self._end(each, CallbackOutcome.REACHED, "", call.id)

    def failed(self, each: Pending, call_id: str | None, cause: str, detail: str) -> None:
        """The attempt came to nothing; the next one is so far away as this cause asks."""
        self._dialled.discard(each.value.number)
        client = self._services.settings.clients.get(each.value.client)
        rules = client.callbacks if client is not None else None
        began = next((tried.at for tried in reversed(each.value.history) if tried.number), self._services.clock.now())
        due_at = each.value.due_at if rules is None else began + timedelta(seconds=rules.spaced(cause))
        each.value = replace(each.value, lease=None, due_at=due_at)
        if each.value.scheduled:
            each.value = replace(each.value, first_joined_at=due_at)
        each.value = attempt_over(each.value, cause, detail, self._services.clock.now())
        failed = CallbackFailed(each.value.id, each.value.attempts, cause, detail)
        self._services.stream.append(failed, call_id)
        self._store.keep(each.value)

    # How it goes on

    def _arm(self, each: Pending) -> None:
        """Begin the turn of a callback, or wait until it may begin."""
        if each.call is not None:
            return  # it is at it, and the timer is that of its window
        if each.timer is not None:
            each.timer.cancel()
            each.timer = None
        self._later.discard(each)
        if each.holders or self._suspended or each.value.id not in self._pending:
            return
        if why := self._drafts.gone(each.value):
            self._end(each, CallbackOutcome.REMOVED, why, self._told_in(each.value))
            return
        if self._exhausted(each.value):
            self._end(each, CallbackOutcome.GIVEN_UP, "tries", self._told_in(each.value))
            return
        now = self._services.clock.now()
        at = self._opens(each, now)
        if at is None:
            return
        each.opens = at
        if each.paused_until is not None:  # the wall's clock may have been set back since
            each.paused_until = min(each.paused_until, now + timedelta(seconds=PAUSE))
        paused = each.paused_until is not None and each.paused_until > at
        wait = ((each.paused_until if paused and each.paused_until else at) - now).total_seconds()
        if wait > 2 * LOOKS_EVERY:
            self._later.add(each)
            self._look_later()
        elif wait > 0:
            each.timer = asyncio.get_running_loop().call_later(min(wait, LOOKS_EVERY), self._arm, each)
        else:
            self._begin(each)

    def _opens(self, each: Pending, now: datetime) -> datetime | None:
        """When the customer may be called next; None when that is never, and it has ended by it."""
        value = each.value
        at, reason = self.times.next(value, now), "hours"
        if at is None and value.not_after is not None:
            client = self._services.settings.clients[value.client]
            if client.callbacks is None or client.callbacks.missed is Missed.EXPIRE:
                self._end(each, CallbackOutcome.EXPIRED, "window_missed", self._told_in(value))
                return None
            value = each.value = replace(value, not_after=None)
            self._store.keep(value)
            at, reason = self.times.next(value, now), "window_missed"
        if at is None:
            self._end(each, CallbackOutcome.EXPIRED, "never_open", self._told_in(value))
            return None
        if value.scheduled and at > now and value.first_joined_at != at:
            each.value = value = replace(value, first_joined_at=at)
            self._store.keep(value)
        wanted = max(now, value.due_at, value.not_before or value.due_at)
        if (at > wanted or reason == "window_missed") and each.deferred_to != at:
            each.deferred_to = at
            deferred = CallbackDeferred(value.id, value.client, utc(at), reason)
            self._services.stream.append(deferred, self._told_in(value))
        return at

    def _look_later(self) -> None:
        """Look from time to time at those that are due in a while, as long as there are any."""
        if not self._later:
            if self._looks is not None:
                self._looks.cancel()
                self._looks = None
        elif self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LOOKS_EVERY, self._look_at_all)

    def _look_at_all(self) -> None:
        self._looks = None
        soon = self._services.clock.now() + timedelta(seconds=2 * LOOKS_EVERY)
        for each in [each for each in self._later if each.opens is None or each.opens <= soon]:
            self._arm(each)
        self._look_later()

    def _watch_window(self, each: Pending) -> None:
        """Let a callback that stands in line leave it when nobody may be called any more."""
        if each.timer is not None:
            each.timer.cancel()
            each.timer = None
        if each.call is None or each.attempted or each.value.id not in self._pending:
            return
        now = self._services.clock.now()
        if not self.times.allowed(each.value, now):
            self._recall(each, "closed")
            return
        until = self.times.until(each.value, now)
        wait = LOOKS_EVERY if until is None else min(LOOKS_EVERY, (until - now).total_seconds())
        each.timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._watch_window, each)

    def _begin(self, each: Pending) -> None:
        services, value = self._services, each.value
        client = services.settings.clients[value.client]
        leg = NotDialled(value, services.user_agent)
        shown = client.outbound.caller_id if client.outbound is not None else ""
        number = Number(value.dialled or shown, client.id, "")
        call = Call(services.ids.call(), client, number, leg, services, direction=Direction.OUTBOUND, callback=value)
        call.captured = Captured(
            client.speaks(value.language) or client.language,
            value.intent,
            list(value.menus),
            dict(value.entered),
            dict(value.attributes),
            dict(value.attributes),
        )
        call.line = self._line(value)
        each.call, each.why, each.attempted, each.paused_until = call, "", False, None
        self._planned_of = None
        call.add(
            CallArrived(
                client=client.id,
                flow="",
                from_number=shown,
                from_name=client.name,
                to_number=value.number,
                transport="",
                source="",
                sip_call_id="",
                direction=Direction.OUTBOUND,
                callback=value.id,
            )
        )
        self._supervisor.aside.add(call.id)
        self._supervisor.start(call, functools.partial(self._take_turn, each))
        self._watch_window(each)

    async def _take_turn(self, each: Pending, call: Call) -> Ending:
        nobody = call.caller
        try:
            return await self._turn(call, each)
        finally:
            if call.caller is not nobody:
                nobody.close()  # or it would stay in a ring; not before: the script ends with it
            self._turn_over(each, call)

    def _turn_over(self, each: Pending, call: Call) -> None:
        if each.dialling and each.value.id in self._pending:
            self.failed(each, call.id, "interrupted", each.why or "the call ended")
        each.call = self._planned_of = None
        self.previews.shown(each)
        self._release(call.id)
        if not each.attempted and not each.why:
            each.paused_until = self._services.clock.now() + timedelta(seconds=PAUSE)
        # Not before this call has ended: one callback is one call at a time.
        asyncio.get_running_loop().call_soon(self._arm, each)

    def _recall(self, each: Pending, why: str) -> None:
        """Cut the turn short, whatever it is at."""
        if each.call is not None and not each.why:
            each.why = why
            each.call.end(Ending(Side.SYSTEM, EndCause.CANCELLED, 487, why.replace("_", " ")))
            each.call.caller.leg.hangup()

    def _end(
        self, each: Pending, outcome: CallbackOutcome, detail: str, call_id: str | None, words: str = ""
    ) -> Callback:
        value = each.value
        if self._pending.pop(value.id, None) is None:
            return value
        self._planned_of = None
        of_number = self._of_number[value.client, value.number]
        del of_number[value.queue]
        if not of_number:
            del self._of_number[value.client, value.number]
        if each.timer is not None:
            each.timer.cancel()
            each.timer = None
        self._later.discard(each)
        if value.dialling:
            self._dialled.discard(value.number)
            each.value = attempt_over(each.value, str(outcome), detail, self._services.clock.now())
        if outcome is not CallbackOutcome.REACHED:
            self._recall(each, str(outcome))
        ended = CallbackEnded(value.id, value.client, value.queue, outcome, value.attempts, detail)
        self._services.stream.append(ended, call_id)
        now = self._services.clock.now()
        why = f"{detail}: {words}" if words else detail
        each.value = replace(each.value, lease=None, outcome=str(outcome), ended_why=why[:MAX_REASON], ended_at=now)
        self._store.keep(each.value)
        self._tidy(now)
        return each.value

    def _tidy(self, now: datetime) -> None:
        """Forget those that ended so long ago that nobody wants to know."""
        if self._tidied is not None and now - self._tidied < TIDIES_EVERY:
            return
        self._tidied = now
        for name, client in self._services.settings.clients.items():
            if client.callbacks is not None and not math.isinf(client.callbacks.keep_for):
                self._store.forget_ended(name, now - timedelta(seconds=client.callbacks.keep_for))

    def _exhausted(self, value: Callback) -> bool:
        rules = self._services.settings.clients[value.client].callbacks
        return rules is None or value.attempts >= rules.tries

    def _changeable(self, callback_id: str) -> Pending:
        each = self._pending.get(callback_id)
        if each is None:
            raise NotPlanned("there is no such callback, or it has ended", Obstacle.NOT_FOUND)
        if each.dialling:
            raise NotPlanned("the customer is being dialled at this moment", Obstacle.CONFLICT)
        return each

    async def _written(
        self, each: Pending, value: Callback, *, new: bool, call_id: str | None, asked_as: str = ""
    ) -> bool:
        """Whether it is in the database; what is new and is not there has never been."""
        self._store.keep(value, asked_as)
        try:
            await self._store.kept(WRITTEN_WITHIN)
        except (TimeoutError, StorageError) as error:
            log.warning("a callback is not written", callback=value.id, why=str(error) or "it is slow")
            if new and value.id in self._pending:
                self._end(each, CallbackOutcome.REMOVED, NOT_WRITTEN, call_id)
            return False
        if new:
            self._limits.count(value.client, value.number, value.requested_at)
        return True

    async def _kept(self) -> None:
        try:
            await self._store.kept(WRITTEN_WITHIN)
        except (TimeoutError, StorageError) as error:
            sentence = f"the database is away, and it may not last: {error}".rstrip(": ")
            raise NotPlanned(sentence, Obstacle.UNAVAILABLE) from error

    def _told_in(self, value: Callback) -> str | None:
        """The call in which what becomes of it is told."""
        return value.requested_in or None

    def _find(self, client: str, queue: str, number: str) -> Pending | None:
        return self._of_number.get((client, number), {}).get(queue)

    def _hold(self, each: Pending, call_id: str) -> None:
        if call_id in each.holders:
            return
        each.holders.add(call_id)
        self._held.setdefault(call_id, []).append(each)

    def _release(self, call_id: str) -> None:
        self._on_phone.pop(call_id, None)
        for each in self._held.pop(call_id, ()):
            each.holders.discard(call_id)
            self._arm(each)

    def _add(self, each: Pending) -> None:
        value, self._planned_of = each.value, None
        self._pending[value.id] = each
        self._of_number.setdefault((value.client, value.number), {})[value.queue] = each
        for call_id, who in self._on_phone.items():
            if who == (value.client, value.number):
                self._hold(each, call_id)

    def _line(self, value: Callback) -> Line:
        """The place in line that the callback has."""
        return Line(self._monotonic(value), value.told, value.place_of)

    def _monotonic(self, value: Callback) -> float:
        """The place in line on this boot's clock."""
        clock = self._services.clock
        return clock.monotonic() - max(0.0, (clock.now() - value.first_joined_at).total_seconds())
