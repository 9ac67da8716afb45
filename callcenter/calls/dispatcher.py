"""Dispatcher: the shell of the ACD: feeds it events, logs its facts, and hands out its offers when they are logged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from callcenter.acd.core import Acd
from callcenter.acd.events import (
    AcdEffect,
    AcdEvent,
    Connected,
    Held,
    Join,
    Leave,
    MakeOffer,
    Offer,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    OwnCallBegan,
    OwnCallEnded,
    Resumed,
    TalkEnded,
    TalkMoved,
    Ticket,
    TicketExpired,
    TicketRefused,
    WithdrawOffer,
)
from callcenter.calls.facts import FactStream
from callcenter.model.facts import Body, Decision, Draft
from callcenter.model.states import MOVED, TAKEN, EndCause, OfferResult, Side, VisitOutcome
from callcenter.runtime.clock import Clock
from callcenter.runtime.once import Letters
from callcenter.storage.database import StaleWriter, StorageError

# An offer that takes longer to be logged is taken back, and no other is made until the database is there again.
LOG_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class HowLeft:
    """Who left a queue or a talk in the middle, why, and what that is for the visit."""

    by: Side
    cause: EndCause
    outcome: VisitOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeftByKey:
    """The caller pressed a key that leads out of the queue; the place is given up."""

    key: str


@dataclass(frozen=True, slots=True)
class SentOn:
    """A supervisor has sent the caller elsewhere: to a ``queue``, or (in the same one) to one ``agent`` first. The
    place is given up; the one that follows is as old as it was.
    """

    queue: str
    agent: str = ""


class OfferInHand:
    """An offer that a call script works on. ``withdrawn`` is done when the ACD takes it back."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.withdrawn: asyncio.Future[OfferResult] = asyncio.get_running_loop().create_future()

    def withdraw(self, result: OfferResult) -> None:
        """Take the offer back. May be called twice."""
        if not self.withdrawn.done():
            self.withdrawn.set_result(result)


class Waiting:
    """A call's place in a queue, as its script sees it."""

    def __init__(self, ticket: Ticket, tell: Callable[[AcdEvent], None]) -> None:
        self.ticket = ticket
        self._tell = tell
        self._news: Letters[News] = Letters()
        # Whether another call goes on with the agent who took the offer.
        self.handed_on = False
        self._in_hand: dict[str, OfferInHand] = {}
        self._taken: Offer | None = None

    async def next(self) -> News:
        """The next thing that happens to the place: an offer, or its end."""
        return await self._news.get()

    def rung_with(self, in_hand: OfferInHand) -> list[OfferInHand]:
        """This offer, and those made at once with it, which are here by now; without any that was taken back."""
        others = [self._news.take() for _ in range(len(self._news) if in_hand.offer.together > 1 else 0)]
        for each in others:
            if not isinstance(each, OfferInHand):
                self._news.put(each)
        rung = [in_hand, *(each for each in others if isinstance(each, OfferInHand))]
        return [each for each in rung if not each.withdrawn.done()]

    def rang(self, offer: Offer) -> None:
        """The agent's phone rings."""
        self._tell(OfferRinging(offer.id))

    def give_back(self, offer: Offer, result: OfferResult, detail: str = "") -> None:
        """The offer failed before the agent picked up; the caller keeps the place."""
        self._tell(OfferFailed(offer.id, result, detail))

    def picked_up(self, offer: Offer) -> None:
        """The agent took the call; from here on :meth:`talk_ended` follows, at the latest when the place is left."""
        self._taken = offer
        self._tell(OfferAccepted(offer.id))

    def connected(self, offer: Offer) -> None:
        """Caller and agent hear each other: the visit is answered."""
        self._tell(Connected(offer.id))

    def hold_changed(self, offer: Offer, by: Side, *, holds: bool) -> None:
        """One side put the other on hold, or took it back."""
        self._tell(Held(offer.id, by) if holds else Resumed(offer.id, by))

    def talk_ended(self, by: Side, cause: EndCause) -> None:
        """Tell the end of the talk, once. Does nothing when none was begun."""
        if self._taken is not None:
            offer, self._taken = self._taken, None
            self._tell(TalkEnded(offer.id, by, cause))

    def too_late(self) -> None:
        """The ACD took the offer back in the moment of the pick-up: its word counts, the caller keeps the place."""
        self.talk_ended(Side.SYSTEM, EndCause.CANCELLED)

    def hand_on(self) -> Waiting:
        """The talk as another call has it from now on: this one tells nothing of it any more."""
        other = Waiting(self.ticket, self._tell)
        other._taken, self._taken = self._taken, None
        self.handed_on = True
        return other

    def leave_by_key(self, key: str, reason: str = "key") -> None:
        """The caller would rather have what a key stands for. An agent's phone that rings for them stops."""
        self.leave(VisitOutcome.FLOWED_OUT, reason)
        self._news.put(LeftByKey(key))

    def send_on(self, queue: str, agent: str = "") -> None:
        """Somebody else says where the caller waits from now on. An agent's phone that rings for them stops."""
        self.leave(VisitOutcome.FLOWED_OUT, TAKEN if agent else MOVED)
        self._news.put(SentOn(queue, agent))

    def leave(self, outcome: VisitOutcome, reason: str = "") -> None:
        """Give the place up. Never waits; may be called twice.

        Told also when the visit should be over: the ACD, who knows, may have taken back the offer it was answered by.
        """
        self._tell(Leave(self.ticket.id, outcome, reason))

    def perform(self, effect: AcdEffect) -> None:
        """Take what the ACD decided for this place."""
        match effect:
            case MakeOffer(offer=offer):
                if offer.together == 1:
                    self._in_hand.clear()
                in_hand = self._in_hand[offer.id] = OfferInHand(offer)
                self._news.put(in_hand)
            case WithdrawOffer(offer_id=offer_id, result=result):
                if (over := self._in_hand.pop(offer_id, None)) is not None:
                    over.withdraw(result)
            case TicketExpired() | TicketRefused():
                self._news.put(effect)


News: TypeAlias = OfferInHand | TicketExpired | TicketRefused | LeftByKey | SentOn
"""What may happen to a place in a queue."""


class Dispatcher:
    """One loop: events in, facts to the log, effects out, in that order.

    An offer waits until its facts are in the database. While that is away there are no new ones, and nothing else
    changes: phones stop ringing in time, callers who have waited too long go on.
    """

    def __init__(self, acd: Acd, stream: FactStream, clock: Clock, flushed: Callable[[int], Awaitable[None]]) -> None:
        self.acd = acd
        self.closed = False
        self._stream = stream
        self._clock = clock
        self._flushed = flushed
        self._inbox: deque[tuple[AcdEvent | Draft, float]] = deque()
        self._wake = asyncio.Event()
        self._waiting: dict[str, Waiting] = {}
        # Offers that are not in the database yet, and the fact up to which it must be written for each.
        self._unlogged: dict[str, tuple[MakeOffer, int]] = {}
        self._made = asyncio.Event()

    def tell(self, event: AcdEvent) -> None:
        """Give the ACD an event. Never waits. Nothing is taken in any more once all is :attr:`closed`."""
        if self.closed:
            return
        self._inbox.append((event, self._clock.monotonic()))
        self._wake.set()

    def note(self, body: Body, call_id: str | None = None) -> None:
        """Tell a fact that must stand behind everything told to the ACD so far. Never waits."""
        if self.closed:
            return
        self._inbox.append((Draft(body, call_id), self._clock.monotonic()))
        self._wake.set()

    def place(self, ticket_id: str) -> Waiting | None:
        """The place of a caller, until the visit is left; None when there is none."""
        return self._waiting.get(ticket_id)

    @contextmanager
    def queued(self, ticket: Ticket, how_left: Callable[[], HowLeft]) -> Iterator[Waiting]:
        """A place in a queue, held while the block lasts.

        However the block is left, the talk and the visit end: as the script told, else as ``how_left()`` says.
        """
        waiting = Waiting(ticket, self.tell)
        self._waiting[ticket.id] = waiting
        self.tell(Join(ticket))
        try:
            yield waiting
        finally:
            left = how_left()
            # The place first: a talk that ends before it was bridged gives the caller back to a place still held.
            waiting.leave(left.outcome, left.reason)
            waiting.talk_ended(left.by, left.cause)
            del self._waiting[ticket.id]

    @contextmanager
    def taken_over(
        self, waiting: Waiting, offer: Offer, queue: str, how_left: Callable[[], HowLeft]
    ) -> Iterator[Waiting]:
        """A talk that was begun in another call, held while the block lasts; ``offer`` is as this call has it.

        The agent owes what ``queue`` asks. However the block is left, the talk ends.
        """
        self.tell(TalkMoved(offer.id, offer.call_id, queue))
        try:
            yield waiting
        finally:
            left = how_left()
            waiting.talk_ended(left.by, left.cause)

    @contextmanager
    def own_call(self, agent_id: str, call_id: str) -> Iterator[None]:
        """A call that an agent dialled: while the block lasts nobody is offered to him."""
        self.tell(OwnCallBegan(agent_id, call_id))
        try:
            yield
        finally:
            self.tell(OwnCallEnded(agent_id, call_id))

    async def run(self) -> None:
        """Dispatch for ever; cancelled at the end of the switch."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._dispatch(), name="dispatcher: decisions")
            both.create_task(self._hand_out(), name="dispatcher: offers")

    def decide(self) -> None:
        """Decide what was told, and perform it, here and now: for whoever must answer with what came of it."""
        self._perform_all(self._decide())

    def close(self) -> None:
        """Decide what was told and is not decided yet, without performing: the last facts of a switch going down."""
        self._decide()
        self.closed = True

    async def _dispatch(self) -> None:
        while not self.closed:
            effects = self._decide()
            self._perform_all(effects)
            if not effects and not self._inbox:
                await self._sleep()

    async def _hand_out(self) -> None:
        """Hand out each offer when its facts are in the database: what was not logged was not decided."""
        while True:
            while not self._unlogged:
                self._made.clear()
                await self._made.wait()
            _, seq = next(reversed(self._unlogged.values()))
            try:
                async with asyncio.timeout(LOG_PATIENCE):
                    await self._flushed(seq)
            except TimeoutError:
                self._recall("the database is away")
                await self._log_is_back(seq)
            except StaleWriter:
                raise
            except StorageError as error:
                self._recall(str(error))
                self._offer_again()
            else:
                for offer_id, (effect, needs) in list(self._unlogged.items()):
                    if needs <= seq:
                        del self._unlogged[offer_id]
                        self._perform_offer(effect)

    def _recall(self, detail: str) -> None:
        """Make no offers for now; those that nobody has seen yet are nobody's fault."""
        self.acd.offering = False
        unlogged, self._unlogged = self._unlogged, {}
        for offer_id in unlogged:
            self.tell(OfferFailed(offer_id, OfferResult.LOST_RACE, detail))

    async def _log_is_back(self, seq: int) -> None:
        try:
            await self._flushed(seq)
        except StaleWriter:
            raise
        except StorageError:
            pass  # that fact had to be let go: the next offer shows whether the log works again
        self._offer_again()

    def _offer_again(self) -> None:
        if self.closed:
            return
        self.acd.offering = True
        effects = self._decide()  # what was told before comes before
        now = self._clock.monotonic()
        self._take(self.acd.expire(now), now, effects)
        self._perform_all(effects)

    def _decide(self) -> list[AcdEffect]:
        effects: list[AcdEffect] = []
        if self.closed:
            return effects
        while self._inbox:
            entry, at = self._inbox.popleft()
            if isinstance(entry, Draft):
                self._stream.append_draft(entry, at=at)
            else:
                self._take(self.acd.handle(entry, at), at, effects)
        now = self._clock.monotonic()
        deadline = self.acd.deadline
        if deadline is not None and deadline <= now:
            self._take(self.acd.expire(now), now, effects)
        return effects

    def _take(self, decision: Decision[AcdEffect], at: float, effects: list[AcdEffect]) -> None:
        for draft in decision.facts:
            self._stream.append_draft(draft, at=at)
        effects.extend(decision.effects)

    def _perform_all(self, effects: list[AcdEffect]) -> None:
        for effect in effects:
            match effect:
                case MakeOffer(offer=offer):
                    self._unlogged[offer.id] = (effect, self._stream.seq)
                    self._made.set()
                case WithdrawOffer(offer_id=offer_id) if offer_id in self._unlogged:
                    del self._unlogged[offer_id]
                case _:
                    if (waiting := self._waiting.get(effect.ticket_id)) is not None:
                        waiting.perform(effect)

    def _perform_offer(self, effect: MakeOffer) -> None:
        waiting = self._waiting.get(effect.offer.ticket_id)
        if waiting is not None:
            waiting.perform(effect)
        else:
            # The caller left while the decision was being logged; Leave is in the inbox already.
            self.tell(OfferFailed(effect.offer.id, OfferResult.CALLER_GONE, "left while being offered"))

    async def _sleep(self) -> None:
        """Until something is told or something is due."""
        self._wake.clear()
        deadline = self.acd.deadline
        if deadline is None:
            await self._wake.wait()
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, deadline - self._clock.monotonic()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
