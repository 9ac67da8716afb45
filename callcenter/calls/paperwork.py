"""Paperwork: what people write of talks while they go on and afterwards: notes, dispositions, wrap-up fields.

Each is said by a fact when it is in the database or on its way there behind it; the texts and values are in tables,
where one person's can be erased. What was said once is not lost when it is corrected.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from callcenter.acd.agents import ON_THE_PHONE, AgentView
from callcenter.acd.events import DispositionGiven
from callcenter.acd.settings import ANY_WORD, MAX_DISPOSITION, Dispositions
from callcenter.calls.order_reading import near
from callcenter.calls.settings import FollowUpDemand
from callcenter.calls.wrap_up_fields import BadValue, WrapUpField
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role
from callcenter.model.facts import (
    AgentStateChanged,
    CustomerErased,
    CustomerFound,
    DispositionChosen,
    DispositionCorrected,
    Fact,
    FieldsWritten,
    NoteWritten,
    reads,
    utc,
)
from callcenter.model.ids import derived_id
from callcenter.model.note import MAX_NOTE, Note
from callcenter.model.states import Work
from callcenter.runtime.scopes import Background
from callcenter.storage.database import StorageError
from callcenter.storage.wrap_up_fields import FieldValue, in_force

if TYPE_CHECKING:
    from callcenter.calls.books import Books
    from callcenter.calls.services import Services
    from callcenter.storage.store import Storage

# How long what is said may take to be in the database before the answer is that nobody knows.
WRITTEN_WITHIN = 5.0
# Notes whose last text is at hand while they are typed: a floor of a thousand agents, with some beside.
NOTES_AT_HAND = 2_000
# Facts of one call that are read to correct what was said of it, as many as a restart reads.
MOST_FACTS = 10_000
# Agents who are through with their calls at the same moment.
AGENTS_AT_ONCE = 1_000
# What one person may write of one call.
MOST_NOTES = 50

AT_WORK = ON_THE_PHONE | {Work.WRAP_UP}


@dataclass(frozen=True, slots=True)
class Talk:
    """Whose talk something is said of.

    ``offer`` is empty of a call that the agent dialled; ``at_work``: the talk or its wrap-up goes on.
    ``disposition`` is the one in force; ``fields`` have values.
    """

    call: str
    client: str
    agent: str
    offer: str
    queue: str
    at_work: bool
    disposition: str
    fields: tuple[str, ...]


class Paperwork:
    """Takes what people say of talks. A reader of facts, too: what was being typed is kept when its agent is done."""

    def __init__(self, services: Services, storage: Storage, books: Books) -> None:
        self.on_owed: Callable[[Talk, str], Coroutine[Any, Any, None]] | None = None
        """Who makes the follow-up that a disposition has to have, where the agent said nothing of one."""
        self._services = services
        self._storage = storage
        self._books = books
        # One thing is written at a time: what it stands on is read first.
        self._writing = asyncio.Lock()
        self._notes: OrderedDict[str, Note] = OrderedDict()
        self._settling = Background(limit=AGENTS_AT_ONCE)
        # Notes that are being typed, by their agents.
        self._drafts: dict[str, dict[str, None]] = {}
        # By agent, of the talk that goes on or is wrapped up: the fields that have values.
        self._filled: dict[str, tuple[str, frozenset[str]]] = {}

    # A reader of facts.

    @reads(AgentStateChanged, CustomerErased, CustomerFound, FieldsWritten)
    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        match fact.body:
            case AgentStateChanged(agent=agent, offer=""):
                self._filled.pop(agent, None)
                if drafts := self._drafts.pop(agent, None):
                    self._settling.start(self._settle_all(tuple(drafts)), name=f"keep what {agent} was typing")
            case FieldsWritten(agent=agent, offer=offer, fields=fields, cleared=cleared):
                view = self._services.dispatcher.acd.agent(agent)
                if view is not None and view.offer == offer and offer:
                    of, before = self._filled.get(agent, (offer, frozenset()))
                    filled = (before if of == offer else frozenset()) | set(fields)
                    self._filled[agent] = offer, frozenset(filled) - set(cleared)
            case CustomerFound(customer=customer) if customer and fact.call_id:
                for note in [each for each in self._notes.values() if each.call == fact.call_id]:
                    self._notes[note.id] = replace(note, customer=customer)
                    self._storage.notes.belongs_to(fact.call_id, customer)
            case CustomerErased(client=client, ids=ids):
                # What is typed next must not bring back what was written before.
                for note in [each for each in self._notes.values() if each.client == client and each.customer in ids]:
                    del self._notes[note.id]
            case _:
                pass

    async def open(self) -> None:
        """Keep what a crash has left half typed: nobody is at it any more. Raises StorageError."""
        for note in await self._storage.notes.drafts():
            await self._settle(note)

    def close(self) -> None:
        """Keep nothing more. What is half typed is kept at the next start."""
        self._settling.cancel()

    def missing(self, agent: str) -> tuple[WrapUpField, ...]:
        """The fields that the agent's present talk still has to have before its wrap-up ends by the agent's word."""
        view = self._services.dispatcher.acd.agent(agent)
        if view is None or not view.offer:
            return ()
        offer, filled = self._filled.get(agent, ("", frozenset()))
        filled = filled if offer == view.offer else frozenset()
        asked = self.fields_of(self._client_of(view.queue), view.queue)
        return tuple(each for each in asked.values() if each.required and each.name not in filled)

    def fields_of(self, client: str, queue: str) -> Mapping[str, WrapUpField]:
        """What is asked for after a talk of a client, by this queue."""
        settings = self._services.settings
        found = settings.clients.get(client)
        return {**(found.wrap_up_fields if found is not None else {}), **settings.queue_fields.get(queue, {})}

    def demand(self, client: str, disposition: str) -> FollowUpDemand | None:
        """What a disposition wants of a follow-up; None: nothing."""
        found = self._services.settings.clients.get(client)
        return found.follow_ups.get(disposition) if found is not None else None

    def owe(self, view: AgentView, client: str, disposition: str) -> None:
        """A wrap-up ends with a disposition that is followed up by itself. Never waits."""
        demand = self.demand(client, disposition)
        owed = demand is not None and demand.required and demand.due is not None and view.disposition != disposition
        if owed and self.on_owed is not None:
            talk = Talk(view.call_id, client, view.id, view.offer, view.queue, True, view.disposition, ())
            self._settling.start(self.on_owed(talk, disposition), name=f"follow {disposition} up")

    # Notes.

    async def note(
        self,
        actor: Actor,
        text: str,
        *,
        by: str,
        command: str,
        call: str = "",
        client: str = "",
        customer: str = "",
        agent: str = "",
        note: str = "",
        more: bool = False,
        draft: bool = False,
        revision: int | None = None,
        why: str = "",
    ) -> Note:
        """Write a note of a call, or of a customer; the first of its writer there, another one (``more``), or the one
        named. Raises CommandError.

        A ``draft`` is one as long as the writer's talk or its wrap-up goes on: it is replaced by the next.
        ``revision``: the one that the text stands on (0: none yet); another one is a conflict, and nothing is written.
        """
        if len(text) > MAX_NOTE or not text.replace("\n", "").replace("\t", "").isprintable():
            raise CommandError(f"`text` is a text of up to {MAX_NOTE} characters", field="text")
        async with self._writing:
            writer = agent or actor.agent
            before = await self._stored(note) if note else None
            if note and (before is None or not actor.sees(before.client)):
                raise CommandError("there is no such note", Reason.NOT_FOUND, field="note")
            if before is not None:
                call, client, customer = before.call, before.client, before.customer
                writer = before.agent
                if before.author != actor.user and (actor.role is Role.AGENT or not why):
                    raise self._not_theirs(actor, "that note is somebody else's: write one of your own")
            elif call and not more and (at_hand := self._at_hand(actor, call)) is not None:
                # An autosave, many times a minute for each agent: the call was looked at with the first of them.
                client, customer, writer = at_hand.client, at_hand.customer, at_hand.agent
            elif call:
                record = await self._record(actor, call)
                client, customer = record["client"], record["customer"]
                if actor.role is Role.AGENT:
                    writer = self._talk(actor, record, actor.agent, "").agent
                elif not agent:
                    writer = ""
            else:
                customer = (await self._customer(actor, client, customer))[0]
                writer = actor.agent
            at = call or f"{client}/{customer}"
            if before is None:
                identity = derived_id(actor.user, command if more else f"note of {at}")
                before = await self._stored(identity)
                if before is None and more and len(await self._of(call, client, customer, actor.user)) >= MOST_NOTES:
                    raise CommandError(f"you have written {MOST_NOTES} notes here: add to one of them", Reason.TOO_MANY)
            else:
                identity = before.id
            there = before.revision if before is not None else 0
            at_work = bool(call and writer) and self._at_work(writer, call)
            draft = draft and at_work
            if before is not None and before.text == text and before.draft == draft:
                return before
            if revision is not None and revision != there:
                known = {"text": before.text, "revision": there} if before is not None else {"revision": 0}
                raise CommandError(
                    "the note has changed since: look at it, and write it again", Reason.CONFLICT, field="revision",
                    **known,
                )  # fmt: skip
            now = utc(self._services.clock.now())
            begun = before or Note(identity, client, call, customer, writer, actor.user, now, now, by, 0, False, "")
            written = replace(begun, changed_at=now, changed_by=by, revision=there + 1, draft=draft, text=text)
            if draft:
                self._keep_at_hand(written)
                self._drafts.setdefault(writer, {})[written.id] = None
                self._storage.notes.keep(written)
            else:
                if call and not at_work:
                    await self._reopen(call)
                self._tell(written, why, corrects=before is not None and not before.draft)
        await self._written(draft=draft)
        return written

    async def notes(self, actor: Actor, *, call: str = "", client: str = "", customer: str = "") -> list[Note]:
        """The notes of a call, or of a customer and their calls. Raises CommandError."""
        if call:
            await self._record(actor, call)
            return await self._storage.notes.of_call(call)
        ids = await self._customer(actor, client, customer)
        return await self._storage.notes.of_customer(client, ids)

    # Dispositions.

    async def dispose(
        self,
        actor: Actor,
        disposition: str,
        *,
        by: str,
        call: str = "",
        agent: str = "",
        offer: str = "",
        why: str = "",
    ) -> tuple[Talk, str]:
        """Say what a talk came to; the talk as it was before, and the disposition in full. Raises CommandError.

        Before the end of its wrap-up it is kept for that; afterwards it corrects what was said.
        """
        if not disposition or len(disposition) > MAX_DISPOSITION or not disposition.isprintable():
            raise CommandError(
                f"`disposition` is a word or two, of {MAX_DISPOSITION} characters at most", field="disposition"
            )
        async with self._writing:
            talk = await self.find(actor, call, agent, offer)
            self._wants_reason(actor, talk, why)
            found = self.known(talk).find(disposition)
            if not found:
                codes = self.known(talk).codes
                raise CommandError(
                    f"no disposition is named `{disposition}`{near(disposition, codes)}; there are {', '.join(codes)}",
                    field="disposition",
                )
            if found == talk.disposition:
                pass  # it is so already: nothing is said twice
            elif talk.at_work and talk.offer:
                dispatcher = self._services.dispatcher
                dispatcher.tell(DispositionGiven(talk.agent, talk.offer, found, by, why))
                dispatcher.decide()
            elif talk.at_work:
                self._append(DispositionChosen(talk.client, talk.agent, "", found, by, why), talk.call)
            else:
                await self._reopen(talk.call)
                told = DispositionCorrected(talk.client, talk.agent, talk.offer, talk.disposition, found, by, why)
                self._append(told, talk.call)
        await self._written()
        return talk, found

    def known(self, talk: Talk) -> Dispositions:
        """What a talk may come to."""
        plan = self._services.dispatcher.acd.plan
        if plan.queue(plan.renamed.get(talk.queue, talk.queue)) is not None and (talk.queue or talk.offer):
            return plan.dispositions_of(talk.queue)
        return plan.dispositions.get(talk.client, ANY_WORD)

    # Fields.

    async def fill(
        self,
        actor: Actor,
        values: Mapping[str, object],
        *,
        by: str,
        call: str = "",
        agent: str = "",
        offer: str = "",
        why: str = "",
    ) -> Talk:
        """Give fields of a talk values; None takes one away. The talk as it was before. Raises CommandError."""
        async with self._writing:
            talk = await self.find(actor, call, agent, offer)
            self._wants_reason(actor, talk, why)
            asked = self.fields_of(talk.client, talk.queue)
            kept: dict[str, str | None] = {}
            for name, value in values.items():
                if name not in asked:
                    there = f"there are {', '.join(asked)}" if asked else "none is asked for after this talk"
                    raise CommandError(f"no field is named `{name}`{near(name, asked)}; {there}", field=name)
                try:
                    kept[name] = asked[name].kept(value)
                except BadValue as error:
                    raise CommandError(str(error), field=name) from None
            before = in_force(await self._read(self._storage.wrap_up_fields.of_call(talk.call)))
            now = utc(self._services.clock.now())
            changed = []
            for name, text in kept.items():
                known = before.get((talk.offer, name))
                if (known.value if known is not None else None) != text:
                    number = known.revision + 1 if known is not None else 1
                    whose = (talk.call, talk.offer, name, number, talk.client, talk.agent)
                    changed.append(FieldValue(*whose, text, now, by, why))
            if changed:
                if not talk.at_work:
                    await self._reopen(talk.call)
                self._storage.wrap_up_fields.keep(*changed)
                told = FieldsWritten(
                    talk.client,
                    talk.agent,
                    talk.offer,
                    tuple(each.field for each in changed if each.value is not None),
                    by,
                    tuple(each.field for each in changed if each.value is None),
                    corrects=not talk.at_work,
                    why=why,
                )
                self._append(told, talk.call)
        await self._written()
        return talk

    async def values(self, call: str) -> list[FieldValue]:
        """Every value of a call's fields, those before too. Raises CommandError."""
        found: list[FieldValue] = await self._read(self._storage.wrap_up_fields.of_call(call))
        return found

    # Whose talk.

    async def find(self, actor: Actor, call: str = "", agent: str = "", offer: str = "") -> Talk:
        """The talk that is meant: of this call, or the present one of the agent. Raises CommandError."""
        whose = actor.agent if actor.role is Role.AGENT else agent
        if actor.role is Role.AGENT and agent not in ("", actor.agent):
            raise CommandError("that was not your talk", Reason.FORBIDDEN, field="agent")
        if not call:
            view = self._services.dispatcher.acd.agent(whose) if whose else None
            if view is None or not view.call_id:
                raise CommandError("no talk goes on, nor a wrap-up: say of which `call`", Reason.CONFLICT, field="call")
            call = view.call_id
        return self._talk(actor, await self._record(actor, call), whose, offer)

    def _talk(self, actor: Actor, record: Mapping[str, Any], agent: str, offer: str) -> Talk:
        call, client = record["call_id"], record["client"]
        legs: Sequence[Mapping[str, Any]] = record["legs"]
        theirs = [
            each for each in legs if (not agent or each["agent"] == agent) and (not offer or each["offer"] == offer)
        ]
        if theirs:
            leg = theirs[-1]
            at_work = self._at_work(leg["agent"], call, leg["offer"])
            queue, filled = leg.get("queue") or record["queue"], tuple(leg.get("fields", ()))
            return Talk(call, client, leg["agent"], leg["offer"], queue, at_work, leg["disposition"], filled)
        dialled_by = record.get("dialled_by", "")
        if dialled_by and agent in ("", dialled_by) and not offer:
            at_work = record["ended_at"] is None
            said, filled = record.get("disposition", ""), tuple(record.get("fields", ()))
            return Talk(call, client, dialled_by, "", "", at_work, said, filled)
        if actor.role is Role.AGENT:
            raise CommandError("that was not your talk", Reason.FORBIDDEN, field="call")
        raise CommandError("nobody has talked in that call" if not agent else f"{agent} has not talked in that call",
                           Reason.CONFLICT, field="agent" if agent else "call")  # fmt: skip

    def _at_work(self, agent: str, call: str, offer: str = "") -> bool:
        view = self._services.dispatcher.acd.agent(agent)
        if view is None:
            return False
        if view.work in AT_WORK and view.offer and view.call_id == call:
            return offer in ("", view.offer)
        return not offer and call in view.own_calls

    def _client_of(self, queue: str) -> str:
        plan = self._services.dispatcher.acd.plan
        found = plan.queue(plan.renamed.get(queue, queue))
        return found.client if found is not None else ""

    async def _record(self, actor: Actor, call: str) -> Mapping[str, Any]:
        """The call as it stands, if whoever asks may see it. Raises CommandError."""
        so_far = self._books.so_far(call)
        record = so_far.plain() if so_far is not None else await self._read(self._storage.interactions.by_call(call))
        if record is None or not actor.sees(record["client"]):
            raise CommandError("there is no such call", Reason.NOT_FOUND, field="call")
        return record

    async def _customer(self, actor: Actor, client: str, customer: str) -> tuple[str, ...]:
        """All ids that mean this customer, the one of today first. Raises CommandError."""
        customers = self._storage.customers
        found = await self._read(customers.get(client, customer)) if actor.sees(client) else None
        if found is None:
            raise CommandError("there is no such customer", Reason.NOT_FOUND, field="customer")
        ids = await self._read(customers.ids_of(client, found.id))
        return tuple(dict.fromkeys((found.id, *ids)))

    def _wants_reason(self, actor: Actor, talk: Talk, why: str) -> None:
        own = actor.agent == talk.agent and actor.agent != ""
        if not own and not why:
            raise CommandError(f"this is {talk.agent}'s talk: say in `why` what for", field="why")

    def _not_theirs(self, actor: Actor, sentence: str) -> CommandError:
        if actor.role is Role.AGENT:
            return CommandError(sentence, Reason.FORBIDDEN, field="note")
        return CommandError("somebody else has written that note: say in `why` what for", field="why")

    # Writing.

    async def _of(self, call: str, client: str, customer: str, author: str) -> list[Note]:
        notes = self._storage.notes
        found = await self._read(notes.of_call(call) if call else notes.of_customer(client, (customer,)))
        return [each for each in found if each.author == author]

    async def _stored(self, note: str) -> Note | None:
        if (at_hand := self._notes.get(note)) is not None:
            return at_hand
        found: Note | None = await self._read(self._storage.notes.by_id(note))
        return found

    def _at_hand(self, actor: Actor, call: str) -> Note | None:
        """The note that an agent is writing of the own talk, while it is at hand."""
        note = self._notes.get(derived_id(actor.user, f"note of {call}"))
        own = note is not None and note.agent == actor.agent != "" and actor.sees(note.client)
        return note if own else None

    def _keep_at_hand(self, note: Note) -> None:
        self._notes[note.id] = note
        self._notes.move_to_end(note.id)
        if len(self._notes) > NOTES_AT_HAND:
            # What is being typed stays, until its agent is through with the call.
            oldest = next((each.id for each in self._notes.values() if not each.draft), None)
            if oldest is not None:
                del self._notes[oldest]

    def _tell(self, note: Note, why: str, *, corrects: bool) -> None:
        """Keep a text that is no draft, and say so."""
        self._keep_at_hand(note)
        if (drafts := self._drafts.get(note.agent)) is not None:
            drafts.pop(note.id, None)
        self._storage.notes.keep(note, why=why)
        customer = "" if note.call else note.customer
        told = NoteWritten(note.client, note.id, note.changed_by, note.revision, note.agent, customer, corrects)
        self._append(told, note.call or None)

    async def _settle_all(self, notes: Sequence[str]) -> None:
        for each in notes:
            async with self._writing:
                if (note := self._notes.get(each)) is not None and note.draft:
                    await self._settle(note)

    async def _settle(self, note: Note) -> None:
        """What was being typed is the note. A database that fails meanwhile leaves that to the next start."""
        with contextlib.suppress(CommandError):
            await self._reopen(note.call)
            self._tell(replace(note, draft=False, revision=note.revision + 1), "", corrects=False)

    async def _reopen(self, call: str) -> None:
        """Have the books of a call that has ended take in what is said of it now."""
        if self._books.knows(call):
            return
        log = self._storage.log
        self._books.reopen(await self._read(log.read(0, MOST_FACTS, call)))

    def _append(
        self, body: NoteWritten | DispositionChosen | DispositionCorrected | FieldsWritten, call: str | None
    ) -> None:
        self._services.stream.append(body, call)

    async def _written(self, *, draft: bool = False) -> None:
        """Until what was said is in the database: what is answered is not lost."""
        await self._within(
            self._storage.log.drained() if draft else self._storage.log.flushed(self._services.stream.seq)
        )

    async def _within(self, wait: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(WRITTEN_WITHIN):
                await wait
        except TimeoutError:
            sentence = "the database does not answer: what you said is kept, and written when it does"
            raise CommandError(sentence, Reason.UNAVAILABLE) from None
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error

    async def _read(self, wait: Coroutine[Any, Any, Any]) -> Any:
        """What the database says when all that was said so far is in it: what is on its way there counts."""
        try:
            await self._within(self._storage.log.drained())
        except CommandError:
            wait.close()
            raise
        try:
            return await wait
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
