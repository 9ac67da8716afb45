"""Callbacks: whoever waits may be called back at their turn: who asks for it, and who is to be called back."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from callcenter.acd.requirements import text
from callcenter.calls.call import Call, Captured
from callcenter.calls.dialled import e164
from callcenter.calls.line import Line
from callcenter.calls.settings import AskCallback, CallsSettings, Client, Collect, Number
from callcenter.calls.steps.collect import DIGITS, take_digits
from callcenter.model.callback import Callback
from callcenter.model.dial_plan import country_code
from callcenter.model.facts import (
    CallArrived,
    CallbackAttempted,
    CallbackEnded,
    CallbackFailed,
    CallbackRequested,
    DigitsEntered,
)
from callcenter.model.interaction import Ending
from callcenter.model.states import CallbackOutcome, Direction, EndCause, Side
from callcenter.signaling.leg import EndedBy, Leg, LegEnded
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.acd.events import Offer
    from callcenter.calls.services import Services
    from callcenter.calls.supervisor import Supervisor
    from callcenter.signaling.user_agent import UserAgent
    from callcenter.storage.callbacks import Callbacks as Store

# So many are looked after at once; who asks when there are more keeps waiting on the phone.
MOST_PENDING = 5_000
# Nothing is promised, and nobody is dialled, before it is in the database; one that takes longer is taken to be away.
WRITTEN_WITHIN = 1.0
# Requests for one number are counted for so long; of so many numbers, those that were asked for last.
DAY = timedelta(hours=24)
MOST_COUNTED = 20_000
# Callers who hide their number are one caller to us, who may ask for so many times as much.
WITHHELD = "withheld"
SHARE_WITHHELD = 10
# The wall's clock may be set meanwhile: so often it is looked at, for who waits until they may be dialled again.
LOOKS_EVERY = 60.0
# A turn that ended before anybody was dialled, by a mistake of ours or for want of a queue, is not begun anew at once.
PAUSE = 30.0
# North American numbers (+1): area code and exchange begin with 2 to 9, and no area code is like 911.
_NORTH_AMERICAN = re.compile(r"\+1(?![2-9]11)[2-9][0-9]{2}[2-9][0-9]{6}")
NUMBER = "callback-number"

NOWHERE = Flow(Transport.UDP, Address("0.0.0.0", 0), Address("0.0.0.0", 0))

log = structlog.get_logger()


# Who asks


async def offer_callback(call: Call, step: AskCallback) -> Ending | None:
    """Ask for the number, promise to call back, and hang up; None when it comes to nothing: the call goes on.

    Only a number that the company calls back is taken. The promise is made when it is written, and not else.
    """
    call.stage = f"asking for a callback from {step.queue}"
    prompts = step.prompts or call.settings.callback_prompts
    callbacks = call.services.callbacks
    if not callbacks.possible(call, step.queue):
        await call.caller.sound.say(call.prompt(prompts.unavailable), barge_in=False)
        return None
    number = await ask_number(call, step)
    if number is None:
        return None
    if not await callbacks.request(call, step.queue, number):
        await call.caller.sound.say(call.prompt(prompts.unavailable), barge_in=False)
        return None
    call.caller.sound.forget_keys()
    await call.caller.sound.say(call.prompt(prompts.accepted), barge_in=False)
    return Ending(Side.SYSTEM, EndCause.FLOW_ENDED, 0, "will be called back")


async def ask_number(call: Call, step: AskCallback) -> str | None:
    """The number that the caller has confirmed, in E.164: the own one, or another; None when they have not."""
    sound, prompts = call.caller.sound, step.prompts or call.settings.callback_prompts
    number = own_number(call)
    sound.forget_keys()
    entries = confirmations = 0
    while True:
        if number is None:
            if entries > step.retries:
                return None
            entries += 1
            number = await enter_number(call, step)
            continue
        if confirmations > step.retries + entries:
            return None
        confirmations += 1
        await sound.say(call.prompt(prompts.confirm), barge_in=True)
        digits = call.settings.prompts.digits(prompts.digit, call.captured.language, number.removeprefix("+"))
        await sound.say(digits, barge_in=True)
        await sound.say(call.prompt(prompts.choose), barge_in=True)
        key = await sound.key(step.timeout)
        if key is not None:
            call.add(DigitsEntered(NUMBER, key, valid=key in "12*"))
        if key == "1":
            return number
        if key == "*":
            return None
        if key == "2":
            number = None


async def enter_number(call: Call, step: AskCallback) -> str | None:
    """One try to enter a number; None when it is none that may be called."""
    sound, prompts = call.caller.sound, step.prompts or call.settings.callback_prompts
    await sound.say(call.prompt(prompts.enter), barge_in=True)
    entry = await take_digits(sound, Collect(NUMBER, "", prompts.enter, longest=20, first_digit=step.timeout))
    number = None if entry.too_long else callable_number(call.settings, call.client, entry.digits)
    if entry.pressed:
        call.add(DigitsEntered(NUMBER, entry.digits, valid=number is not None))
    if number is None and entry.pressed:
        await sound.say(call.prompt(prompts.invalid), barge_in=True)
    return number


def own_number(call: Call) -> str | None:
    """The caller's own number, where it is shown and the company calls it back."""
    if call.caller.leg.withheld or call.agent:
        return None
    return callable_number(call.settings, call.client, call.from_number)


def account_of(call: Call) -> str:
    """The account of the customer in digits, where it is sure who calls: they may be called at another number."""
    customer = call.known.customer
    return "".join(each for each in customer.account if each in DIGITS) if customer is not None else ""


def callable_number(settings: CallsSettings, client: Client, written: str) -> str | None:
    """A number as somebody wrote it, in E.164, when the company calls it back; None for all others.

    Short numbers, as those for emergencies are, never come to be one; and nobody is called back at a number of ours.
    """
    if client.outbound is None or client.callbacks is None:
        return None
    number = client.outbound.plan.to_e164(written)
    if number is None or settings.find_number(number) is not None:
        return None
    if country_code(number) == "1" and not _NORTH_AMERICAN.fullmatch(number):
        return None
    return number if client.callbacks.permits(number) else None


# Who is to be called back


class NotDialled(Leg):
    """The leg of whoever is called back and was not dialled yet: nobody, who can be hung up on all the same."""

    def __init__(self, callback: Callback, user_agent: UserAgent) -> None:
        super().__init__(
            f"callback {callback.id}",
            NOWHERE,
            user_agent.endpoint,
            user_agent.driver,
            remote_number=callback.number,
            remote_name=callback.name,
        )

    def hangup(self, *, status: int | None = None, reason: str | None = None, cause: str = "") -> None:
        """Give up. Never waits; may be called twice."""
        if self.ending is None:
            self._take_end(LegEnded(EndedBy.LOCAL, status or 487, reason or cause))


class Pending:
    """A callback that has not ended, and the ``call`` that carries it out while it stands in line or is dialled.

    ``holders`` are calls of the customer's own that are up: nobody is called back who is on the phone with us.
    ``attempted``: they were dialled in this call; ``why`` it is cut short, in a word.
    """

    def __init__(self, value: Callback) -> None:
        self.value = value
        self.call: Call | None = None
        self.holders: set[str] = set()
        self.attempted = False
        self.why = ""
        self.timer: asyncio.TimerHandle | None = None

    @property
    def dialling(self) -> bool:
        """Whether the customer is being dialled."""
        return self.value.dialling

    @property
    def state(self) -> str:
        """What is done about it now, in words."""
        if self.call is not None:
            return self.call.stage
        return "the customer is on the phone with us" if self.holders else "waiting for the next attempt"

    def __repr__(self) -> str:
        return f"<Pending {self.value.id} {self.value.queue} {self.value.number} {self.state}>"


Turn = Callable[[Call, Pending], Awaitable[Ending]]


class Callbacks:
    """All who are to be called back. Each stands in line by a call of its own, which ``turn`` carries out.

    Between the attempts nothing stands in line, and no task runs: there is a timer. A number is dialled once at a time,
    whatever asks for it.
    """

    def __init__(self, services: Services, supervisor: Supervisor, store: Store, turn: Turn) -> None:
        self._services = services
        self._supervisor = supervisor
        self._store = store
        self._turn = turn
        self._pending: dict[str, Pending] = {}
        # By client and number, then by queue.
        self._of_number: dict[tuple[str, str], dict[str, Pending]] = {}
        self._held: dict[str, list[Pending]] = {}
        self._dialled: set[str] = set()
        # When each number was asked for in the last day, by client and number.
        self._asked: dict[tuple[str, str], list[datetime]] = {}
        self._suspended = False

    def __iter__(self) -> Iterator[Pending]:
        return iter(list(self._pending.values()))

    def __len__(self) -> int:
        return len(self._pending)

    async def open(self) -> None:
        """Take up what the last run has left; of an attempt that it was in nobody knows more. Raises StorageError."""
        for value in await self._store.load_all():
            each = Pending(value)
            if self._find(value.client, value.queue, value.number) is not None:
                continue
            self._add(each)
            self._count(value)
            self._take_new_name(each)
            if value.dialling:
                self.failed(each, value.requested_in, "interrupted", "by a restart")
            self._arm(each)

    def possible(self, call: Call, queue: str) -> bool:
        """Whether callers of this call can be called back at all now."""
        client, settings = call.client, self._services.settings
        if client.outbound is None or client.callbacks is None or client.id not in settings.clients:
            return False
        there = self._services.dispatcher.acd.plan.queues.get(queue)
        return there is not None and there.client == client.id and len(self._pending) < MOST_PENDING

    async def request(self, call: Call, queue: str, number: str) -> bool:
        """Have the caller called back; True when that is written, and may be promised.

        Who has asked before keeps the place that they have. Nobody is dialled before this call is over.
        """
        clock, captured, ticket = self._services.clock, call.captured, call.ticket
        now, here = clock.now(), call.line if call.line is not None else Line(clock.monotonic())
        joined = ticket if ticket is not None and ticket.queue == queue else None
        waited = timedelta(seconds=max(0.0, clock.monotonic() - here.first_joined))
        known = self._find(call.client.id, queue, number)
        if known is None and (why := self._too_many(call, number)):
            log.warning("no callback was promised: it was asked for too often", queue=queue, why=why)
            return False
        if known is not None:
            self._hold(known, call.id)
            self._recall(known, "asked_again")
            earlier = min(known.value.first_joined_at, now - waited)
            value = replace(known.value, first_joined_at=earlier, language=captured.language)
            each = known
            each.value = value
        else:
            value = Callback(
                id=self._services.ids.new(),
                client=call.client.id,
                queue=queue,
                number=number,
                first_joined_at=now - waited,
                requested_at=now,
                due_at=now,
                requested_in=call.id,
                dialled=call.number.number,
                language=captured.language,
                name=call.caller.leg.remote_name if number == own_number(call) else "",
                account=account_of(call),
                intent=captured.intent,
                priority=joined.priority if joined is not None else None,
                needs=text(joined.requirements) if joined is not None else "",
                prefer=joined.prefer if joined is not None else "",
                place_of=here.visit,
                told=here.told,
                asked_by=self._asker(call, number),
                menus=tuple(captured.menus),
                entered=dict(captured.entered),
                attributes=dict(captured.told),
            )
            each = Pending(value)
            self._hold(each, call.id)
            self._add(each)
        visit, first_joined_ms = joined.id if joined is not None else "", round(here.first_joined * 1000)
        call.add(CallbackRequested(value.id, visit, value.client, queue, number, first_joined_ms))
        self._store.keep(value)
        try:
            await self._store.kept(WRITTEN_WITHIN)
        except (TimeoutError, StorageError) as error:
            log.warning("no callback was promised: the database is away", queue=queue, why=str(error) or "it is slow")
            if known is None and value.id in self._pending:
                self._end(each, CallbackOutcome.REMOVED, "not_written", call.id)
            return False
        if known is None:
            self._count(value)
        return True

    def rings_in(self, call: Call, queue: str) -> Line | None:
        """The caller joins a queue in which they were to be called back: they have that place now.

        The callback is cancelled, also while an agent dials; None when there is none.
        """
        if call.direction is not Direction.INBOUND or (number := self._number_of(call)) is None:
            return None
        each = self._find(call.client.id, queue, number)
        if each is None:
            return None
        line = self._line(each.value)
        self._end(each, CallbackOutcome.CANCELLED, "rang_in", call.id)
        return line

    @contextmanager
    def caller_is_here(self, call: Call) -> Iterator[None]:
        """While the block lasts the caller is on the phone with us, and is not called back."""
        number = self._number_of(call)
        for each in list(self._of_number.get((call.client.id, number or ""), {}).values()):
            self._hold(each, call.id)
            if not each.dialling:
                self._recall(each, "caller_here")
        try:
            yield
        finally:
            self._release(call.id)

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

    def reconfigured(self) -> None:
        """Another configuration is in force: callbacks of queues and companies that are gone end, and that is told.

        One that is being dialled is left to be reached, or not. Those of a queue that has another name now stand there.
        """
        for each in self:
            self._take_new_name(each)
            if not each.dialling and (why := self._gone(each.value)):
                self._end(each, CallbackOutcome.REMOVED, why, each.value.requested_in)

    def forbid(self, client: str, number: str) -> None:
        """A number is not to be called any more: its callbacks end, but for one that is being dialled just now."""
        for each in list(self._of_number.get((client, number), {}).values()):
            if not each.dialling:
                self._end(each, CallbackOutcome.REMOVED, "do_not_call", each.value.requested_in)

    def _take_new_name(self, each: Pending) -> None:
        """Let a callback stand in the queue that has another name now; where there is one already, that one counts."""
        value, renamed = each.value, self._services.dispatcher.acd.plan.renamed
        queue = renamed.get(value.queue, value.queue)
        if queue != value.queue and self._find(value.client, queue, value.number) is None:
            del self._of_number[value.client, value.number][value.queue]
            each.value = replace(value, queue=queue)
            self._of_number[value.client, value.number][queue] = each
            self._store.keep(each.value)

    # What a turn tells

    async def attempt(self, each: Pending, call: Call, offer: Offer) -> bool:
        """The customer is going to be dialled: True when that is written, and nobody dials the number.

        From here on the attempt counts, whatever happens to us.
        """
        rules, value = call.client.callbacks, each.value
        if rules is None or value.number in self._dialled or value.id not in self._pending:
            return False
        self._dialled.add(value.number)
        each.attempted = True
        for other in list(self._of_number[value.client, value.number].values()):
            if other is not each:  # what they want of another queue comes when this is over
                self._hold(other, call.id)
                self._recall(other, "number_dialled")
        due_at = self._services.clock.now() + timedelta(seconds=rules.spacing)
        each.value = replace(value, attempts=value.attempts + 1, due_at=due_at, dialling=True)
        call.add(
            CallbackAttempted(
                value.id, each.value.attempts, offer.agent_id, offer.id, value.number, round(rules.spacing * 1000)
            )
        )
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
        self._end(each, CallbackOutcome.REACHED, "", call.id)

    def failed(self, each: Pending, call_id: str, cause: str, detail: str) -> None:
        """The attempt came to nothing."""
        self._dialled.discard(each.value.number)
        each.value = replace(each.value, dialling=False)
        failed = CallbackFailed(each.value.id, each.value.attempts, cause, detail)
        self._services.stream.append(failed, call_id)
        self._store.keep(each.value)

    # How it goes on

    def _arm(self, each: Pending) -> None:
        """Begin the turn of a callback, or wait until it may begin."""
        if each.timer is not None:
            each.timer.cancel()
            each.timer = None
        if each.call is not None or each.holders or self._suspended or each.value.id not in self._pending:
            return
        if why := self._gone(each.value):
            self._end(each, CallbackOutcome.REMOVED, why, each.value.requested_in)
            return
        if self._exhausted(each.value):
            self._end(each, CallbackOutcome.GIVEN_UP, "tries", each.value.requested_in)
            return
        wait = (each.value.due_at - self._services.clock.now()).total_seconds()
        if wait > 0:
            each.timer = asyncio.get_running_loop().call_later(min(wait, LOOKS_EVERY), self._arm, each)
        else:
            self._begin(each)

    def _begin(self, each: Pending) -> None:
        services, value = self._services, each.value
        client = services.settings.clients[value.client]
        leg = NotDialled(value, services.user_agent)
        number = Number(value.dialled, client.id, "")
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
        each.call, each.why, each.attempted = call, "", False
        call.add(
            CallArrived(
                client=client.id,
                flow="",
                from_number=client.outbound.caller_id if client.outbound is not None else "",
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
        each.call = None
        self._release(call.id)
        if not each.attempted and not each.why:
            each.value = replace(each.value, due_at=self._services.clock.now() + timedelta(seconds=PAUSE))
        # Not before this call has ended: one callback is one call at a time.
        asyncio.get_running_loop().call_soon(self._arm, each)

    def _recall(self, each: Pending, why: str) -> None:
        """Cut the turn short, whatever it is at."""
        if each.call is not None and not each.why:
            each.why = why
            each.call.end(Ending(Side.SYSTEM, EndCause.CANCELLED, 487, why.replace("_", " ")))
            each.call.caller.leg.hangup()

    def _end(self, each: Pending, outcome: CallbackOutcome, detail: str, call_id: str) -> None:
        value = each.value
        if self._pending.pop(value.id, None) is None:
            return
        of_number = self._of_number[value.client, value.number]
        del of_number[value.queue]
        if not of_number:
            del self._of_number[value.client, value.number]
        if each.timer is not None:
            each.timer.cancel()
            each.timer = None
        if value.dialling:
            self._dialled.discard(value.number)
        if outcome is not CallbackOutcome.REACHED:
            self._recall(each, str(outcome))
        ended = CallbackEnded(value.id, value.client, value.queue, outcome, value.attempts, detail)
        self._services.stream.append(ended, call_id)
        self._store.forget(value.id)

    def _exhausted(self, value: Callback) -> bool:
        rules = self._services.settings.clients[value.client].callbacks
        return rules is None or value.attempts >= rules.tries

    def _gone(self, value: Callback) -> str:
        """Why a callback cannot be carried out by the configuration in force, in a word; empty when it can."""
        settings, plan = self._services.settings, self._services.dispatcher.acd.plan
        client, queue = settings.clients.get(value.client), plan.queues.get(value.queue)
        if client is None:
            return "client_removed"
        if queue is None or queue.client != client.id or value.queue not in settings.treatments:
            return "queue_removed"
        if client.outbound is None or client.callbacks is None:
            return "no_trunk"
        if self._services.do_not_call.forbids(client.id, value.number):
            return "do_not_call"
        return "" if callable_number(settings, client, value.number) == value.number else "number_forbidden"

    def _asker(self, call: Call, number: str) -> str:
        """Who asks to be called back at a number that is not the own one; empty for all others."""
        if number == own_number(call):
            return ""
        return WITHHELD if call.caller.leg.withheld else self._number_of(call) or call.from_number or WITHHELD

    def _too_many(self, call: Call, number: str) -> str:
        """Why this is one callback too many, in words: nobody has strangers rung, nor runs up a bill; empty if not."""
        rules, client, asker = call.client.callbacks, call.client.id, self._asker(call, number)
        if rules is None:
            return "nobody is called back"
        if self._services.do_not_call.forbids(client, number):
            return "the number is on the do-not-call list"
        if asker:
            most = rules.per_caller * (SHARE_WITHHELD if asker == WITHHELD else 1)
            asked = sum(each.value.asked_by == asker and each.value.client == client for each in self)
            if asked >= most:
                return f"{asked} by one caller at other numbers"
        since = self._services.clock.now() - DAY
        lately = sum(at > since for at in self._asked.get((client, number), ()))
        return f"{lately} for one number in 24 hours" if lately >= rules.per_day else ""

    def _count(self, value: Callback) -> None:
        """Remember when a number was asked for."""
        since = self._services.clock.now() - DAY
        name = (value.client, value.number)
        self._asked[name] = [*(at for at in self._asked.pop(name, ()) if at > since), value.requested_at]
        if len(self._asked) > MOST_COUNTED:
            del self._asked[next(iter(self._asked))]

    def _find(self, client: str, queue: str, number: str) -> Pending | None:
        return self._of_number.get((client, number), {}).get(queue)

    def _hold(self, each: Pending, call_id: str) -> None:
        each.holders.add(call_id)
        self._held.setdefault(call_id, []).append(each)

    def _release(self, call_id: str) -> None:
        for each in self._held.pop(call_id, ()):
            each.holders.discard(call_id)
            self._arm(each)

    def _add(self, each: Pending) -> None:
        value = each.value
        self._pending[value.id] = each
        self._of_number.setdefault((value.client, value.number), {})[value.queue] = each

    def _number_of(self, call: Call) -> str | None:
        if call.caller.leg.withheld:
            return None
        plan = call.client.outbound.plan if call.client.outbound is not None else None
        return e164(call.from_number, plan)

    def _line(self, value: Callback) -> Line:
        """The place in line that the callback has."""
        return Line(self._monotonic(value), value.told, value.place_of)

    def _monotonic(self, value: Callback) -> float:
        """The place in line on this boot's clock."""
        clock = self._services.clock
        return clock.monotonic() - max(0.0, (clock.now() - value.first_joined_at).total_seconds())
