"""Eraser: takes one person out of everything that is kept, on request or when it was kept as long as it may be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from callcenter.acd.agents import ON_THE_PHONE
from callcenter.calls.call import Call
from callcenter.calls.callback_plans import NotPlanned
from callcenter.calls.recordings import NotDone, Recordings
from callcenter.calls.services import Services
from callcenter.model.customer import Match, Rules, caller_number
from callcenter.model.erasure import MARK
from callcenter.model.facts import CustomerErased
from callcenter.model.followup import Followup, FollowupState
from callcenter.model.states import Work
from callcenter.storage.callbacks import Callbacks as KeptCallbacks
from callcenter.storage.database import StorageError
from callcenter.storage.erasure import PAGE, Erasure, Person, is_derived
from callcenter.storage.recordings import DELETED
from callcenter.storage.recordings import Recordings as RecordingIndex

if TYPE_CHECKING:
    from random import Random

    from callcenter.calls.books import Books

# When what is older than it may be is looked for, in seconds; and how long the switch has the database to itself after
# each call that was erased.
SWEEP_EVERY = 86_400.0
FIRST_SWEEP = 900.0
REST = 0.05
# Customers who are looked at in one question.
LOOKED_AT = 200
# Between two tries to clear the write-ahead log, while somebody reads.
SCRUB_TRIES, SCRUB_REST = 5, 0.2
# What is to be written waits no longer than this for the database.
KEPT_WITHIN = 10.0
# Reasons that are told, at most: one for each kind, and some recordings by name.
MOST_KEPT = 20

# What is out of reach here, in a sentence of everybody's.
ELSEWHERE = (
    "backups, logs, SIP messages that are kept for traces, a request on a website that was not confirmed, for a quarter"
    " of an hour, and what other programs were sent before"
)
AT_WORK = ON_THE_PHONE | {Work.WRAP_UP}

log = structlog.get_logger()


@dataclass(slots=True)
class Erased:
    """What was erased of a person, or with ``dry`` would be, and what was not: why, in words.

    ``found``: whether there was anything. ``kinds`` are the reasons in a word, for programs.
    """

    client: str
    ids: tuple[str, ...] = ()
    found: bool = False
    dry: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def count(self, what: str, so_many: int = 1) -> None:
        """Count what was erased."""
        if so_many:
            self.counts[what] = self.counts.get(what, 0) + so_many
            self.found = True

    def keep(self, kind: str, why: str) -> None:
        """Note what was not erased."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        if why not in self.kept and len(self.kept) < MOST_KEPT:
            self.kept.append(why)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        told = {"client": self.client, "customers": list(self.ids), "found": self.found, "dry": self.dry}
        return {**told, "erased": dict(self.counts), "kept": list(self.kept)}


class SeveralHaveIt(Exception):
    """A number that is not one person's: who is meant must be said by the id."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__(f"{len(ids)} customers have this number: {', '.join(ids)}; erase each by the id")
        self.ids = ids


class Eraser:
    """One for the switch. What is erased stays erased; the same again finds nothing and says so."""

    def __init__(
        self,
        services: Services,
        tables: Erasure,
        recordings: Recordings,
        index: RecordingIndex,
        callbacks: KeptCallbacks,
        books: Books,
        calls: Callable[[], Iterable[Call]],
        random: Random,
    ) -> None:
        """``books`` have the facts of calls of which more is expected; ``calls`` are those that are up."""
        self._services = services
        self._tables = tables
        self._recordings = recordings
        self._index = index
        self._kept_callbacks = callbacks
        self._books = books
        self._up = calls
        self._random = random
        self._at_work = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Eraser {'at work' if self._at_work.locked() else 'idle'}>"

    async def erase(
        self, client: str, *, customer: str = "", number: str = "", by: str, dry: bool = False, reason: str = "request"
    ) -> Erased:
        """Erase the person of an id, or of a number. Raises SeveralHaveIt, StorageError.

        Their record in the customer base, whatever names them in calls that have ended, and those calls' recordings.
        With ``dry`` nothing is done, and it is told what would be.
        """
        try:
            async with self._at_work:
                return await self._erase(client, customer, number, by, reason, dry=dry)
        except TimeoutError as error:
            raise StorageError("the database does not take what is to be erased: ask again") from error

    async def _erase(self, client: str, customer: str, number: str, by: str, reason: str, *, dry: bool) -> Erased:
        person = await self._person(client, customer, number)
        erased = Erased(client, person.ids, dry=dry)
        await self._callbacks(person, erased, by)
        promised = await self._tables.followups_of(person)
        await self._followups(promised, erased, by)
        await self._calls(person, promised, erased, by, reason)
        there = await self._base(person, erased)
        self._tell_what_stays(person, erased)
        if not dry and erased.found:
            ids = tuple(each for each in person.ids if not is_derived(each))
            counts = (erased.counts.get("calls", 0), erased.counts.get("recordings", 0))
            stream = self._services.stream
            stream.append(CustomerErased(client, ids, by, reason, *counts, tuple(erased.kinds)))
            if there:
                # Last, and behind the fact: where a crash comes in between there is somebody to be asked for again.
                await self._tables.told(stream.seq, KEPT_WITHIN)
                await self._tables.erase_customer(person, self._services.clock.now())
            if not await self._scrub():
                erased.keep("log", "older pages in the database's write-ahead log, until its next checkpoint")
        return erased

    async def watch(self) -> None:
        """Erase for ever what has been kept as long as it may be; cancelled at the end of the switch."""
        await asyncio.sleep(FIRST_SWEEP)
        while True:
            with contextlib.suppress(StorageError):  # it is there again some day, and this is not urgent
                await self.sweep()
            await asyncio.sleep(SWEEP_EVERY)

    async def sweep(self) -> None:
        """Look once through all clients that do not keep everything for ever. Raises StorageError."""
        for name, client in list(self._services.settings.clients.items()):
            rules = client.customers
            if rules.calls_retention is not None:
                await self._old_calls(name, rules.calls_retention)
            if rules.retention is not None:
                await self._idle_customers(name, rules.retention)

    async def _old_calls(self, client: str, days: int) -> None:
        before, passed = self._services.clock.now() - timedelta(days=days), 0
        while calls := (await self._tables.calls_before(client, before, PAGE + passed))[passed:]:
            for call_id in calls:
                if self._under_way(call_id):
                    passed += 1
                    continue
                async with self._at_work:
                    await self._erase_call(call_id, self._mark(), customer=False)
                await asyncio.sleep(REST)
        await self._scrub()

    async def _idle_customers(self, client: str, days: int) -> None:
        before, after = self._services.clock.now() - timedelta(days=days), ""
        while True:
            idle, after = await self._tables.idle_customers(client, before, after, LOOKED_AT)
            for each in idle:
                await self.erase(client, customer=each, by="retention", reason="retention")
                await asyncio.sleep(REST)
            if not after:
                return
            await asyncio.sleep(REST)

    async def _person(self, client: str, customer: str, number: str) -> Person:
        base, rules = self._services.customers, self._rules(client)
        if not customer:
            wanted = rules.number(caller_number(number))
            match, found = await base.find(client, wanted, rules)
            exact = tuple(each.id for each in found if wanted in each.numbers)
            if len(exact) > 1:
                raise SeveralHaveIt(exact)
            if not exact or match is not Match.SURE:
                return Person(client, (), (wanted,), await self._tables.shared(client, (), [wanted]))
            customer = exact[0]
        ids = await base.ids_of(client, customer)
        there = await base.by_ids(client, ids)
        merges = await base.merges_of(client, ids[0])
        numbers = [each for one in there for each in one.numbers]
        numbers += [each for merge in merges for each in merge.record["numbers"]]
        numbers = list(dict.fromkeys(numbers))
        return Person(client, ids, tuple(numbers), await self._tables.shared(client, ids, numbers))

    def _rules(self, client: str) -> Rules:
        found = self._services.settings.clients.get(client)
        return found.customers if found is not None else Rules()

    async def _followups(self, followups: Sequence[str], erased: Erased, by: str) -> None:
        """Nothing is promised to them any more; that something was, and when it was due, stays."""
        erased.count("follow-ups", len(followups))
        if erased.dry:
            return
        for each in followups:
            await self._services.followups.change(each, by, _without_person)

    async def _calls(self, person: Person, promised: Collection[str], erased: Erased, by: str, reason: str) -> None:
        for call in self._up():
            if call.client.id == person.client and _is_theirs(call, person):
                erased.keep("call under way", _not_over(call.id))
        mark, after = self._mark(), ""
        while calls := await self._tables.calls_of(person, after):
            after = calls[-1]
            for call_id in calls:
                if self._under_way(call_id):
                    erased.keep("call under way", _not_over(call_id))
                    continue
                await self._recorded(call_id, erased, by, reason)
                erased.count("calls")
                for what, count in (await self._tables.said_in(call_id)).items():
                    erased.count(what, count)
                of_call = await self._tables.followups_of_call(call_id)
                await self._followups([each for each in of_call if each not in promised], erased, by)
                if not erased.dry:
                    await self._erase_call(call_id, mark)
                    await asyncio.sleep(REST)

    def _under_way(self, call_id: str) -> bool:
        """Whether a call goes on, an agent has still to do with it, or its recording is not whole yet.

        The books may expect more of it: the end of a wrap-up that there never is.
        """
        so_far = self._books.so_far(call_id)
        if so_far is None:
            return False
        if so_far.ended_at is None or so_far.records:
            return True
        views = (self._services.dispatcher.acd.agent(leg.agent) for leg in so_far.legs)
        return any(view is not None and view.call_id == call_id and view.work in AT_WORK for view in views)

    async def _erase_call(self, call_id: str, mark: str, *, customer: bool = True) -> None:
        await self._tables.erase_call(call_id, self._services.clock.now(), mark, customer=customer)
        # What is said of it from now on is of what the database has.
        self._books.forget(call_id)

    async def _recorded(self, call_id: str, erased: Erased, by: str, reason: str) -> None:
        for each in await self._index.find(call=call_id):
            if each.call != call_id or each.state == DELETED:
                continue
            if self._recordings.is_held(each):
                why = f" by {each.held_by}: {each.held_why}" if each.held_by else ""
                held = f"recording {each.recording}: it is held{why}; when it is released, delete it by its id"
                erased.keep("recording held", held)
                continue
            try:
                if not erased.dry:
                    await self._recordings.delete(each.recording, by, f"erased ({reason})")
                erased.count("recordings")
            except NotDone as error:
                erased.keep("recording", f"recording {each.recording}: {error}")

    async def _callbacks(self, person: Person, erased: Erased, by: str) -> None:
        """Nobody calls them back, and nothing says that anybody did."""
        callbacks, numbers = self._services.callbacks, set(person.spellings)
        ids = person.ids or ("",)
        there = {each.value.id: each for one in ids for each in callbacks.of_person(person.client, one, numbers)}
        ended = await self._tables.said_of(person)
        erased.count("callbacks", len(there) + ended["callbacks"])
        erased.count("notes", ended["notes"])
        if erased.dry:
            return
        for callback in there:
            with contextlib.suppress(NotPlanned):  # it has ended meanwhile
                await callbacks.call_off(callback, by, "erased")
        self._kept_callbacks.forget_person(person.client, person.ids, numbers)
        await self._kept_callbacks.kept(KEPT_WITHIN)
        await self._tables.erase_said(person)

    async def _base(self, person: Person, erased: Erased) -> bool:
        """Count what there is of them in the customer base; whether there is anything."""
        if not person.ids:
            return False
        there = await self._services.customers.by_ids(person.client, person.ids)
        erased.count("customers", len(there))
        erased.count("former records", max(0, len(person.ids) - 1))
        return bool(there)

    def _tell_what_stays(self, person: Person, erased: Erased) -> None:
        """What of them this switch cannot reach, or may not."""
        for number in person.shared:
            kept = f"calls of {number} that are not known to be theirs: another customer has this number too"
            erased.keep("shared number", kept)
        for number in person.numbers:
            if self._services.do_not_call.forbids(person.client, number):
                erased.keep("do not call", f"{number} on the list of whom nobody calls: it is kept for their sake")
        if not erased.found:
            return
        if any(is_derived(each) for each in person.ids):
            told = "the id, which is made of the number or account, in facts that say that it was saved or merged"
            erased.keep("derived id", f"{told}; a file of customers that has them brings them back")
        erased.keep("elsewhere", ELSEWHERE)

    async def _scrub(self) -> bool:
        for _ in range(SCRUB_TRIES):
            if await self._tables.scrub():
                return True
            await asyncio.sleep(SCRUB_REST)
        return False

    def _mark(self) -> str:
        return f"{MARK}-{self._random.getrandbits(40):010x}"


def _is_theirs(call: Call, person: Person) -> bool:
    """Whether a call that is up is this person's."""
    customer = call.known.customer
    if customer is not None:
        return customer.id in person.ids
    return call.from_number in person.spellings or call.number.number in person.spellings


def _without_person(followup: Followup) -> Followup:
    """A follow-up about nobody; who still had it to do has it no more."""
    done = followup.state is not FollowupState.OPEN
    return replace(
        followup,
        title=MARK,
        text="",
        customer="",
        number="",
        attempts=tuple(replace(each, outcome=MARK, note="") for each in followup.attempts),
        state=followup.state if done else FollowupState.CANCELLED,
    )


def _not_over(call_id: str) -> str:
    return f"call {call_id}: it is not over; ask again when it is"
