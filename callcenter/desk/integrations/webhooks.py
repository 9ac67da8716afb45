"""Webhooks: receivers of a company are told what became of its calls: in order, at least once, each at its own pace.

The log of facts is what is told from: one reader makes deliveries of facts and remembers in the same transaction how
far it came, and one task a receiver sends them, one after the other. Whatever is killed in between goes on where it
was: a delivery may be sent twice then, under the same id, and none is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

import structlog

from callcenter.config.crm import WebhookSettings, wants
from callcenter.config.secrets import SecretsError, read_password
from callcenter.config.settings import Settings
from callcenter.control.protocol import CommandError
from callcenter.desk.integrations.events import (
    CHANGES,
    body_of,
    delivery_id,
    fact_event,
    interaction_event,
    kinds_for,
    version_of,
)
from callcenter.desk.integrations.lane import Attempt, Lane, Policy, Verdict, retry_after
from callcenter.desk.integrations.signature import BadSecret, key_of, sign
from callcenter.desk.integrations.store import ERASURES, KEPT_FOR, Delivery, Event, Hook, LaneRow, Store
from callcenter.desk.integrations.web import Server, Web, WebError
from callcenter.model.facts import CallEnded, CustomerErased, Fact
from callcenter.publish.event_names import names_of
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database
from callcenter.storage.log import fact_of

# Of what a receiver says beside its status nothing is wanted.
LONGEST_ANSWER = 64 * 1024
# How long the cursor may lag behind facts of which nobody is told: so many are read again after a crash.
LAG = 500
# How often is looked whether the configuration names other receivers, and tidied up. Seconds.
LOOK_EVERY = 2.0
REFRESH_EVERY = 60.0
TIDY_EVERY = 3_600.0
# A receiver that was just made is sent to within this time of an event that was queued by another process.
IDLE = 30.0
# Calls whose company is remembered, so that not each of their facts asks the database.
REMEMBERED = 5_000

log = structlog.get_logger()


class Facts(Protocol):
    """The facts of the switch, as the desk follows them."""

    def facts(self, after: int | None = None, kinds: Collection[str] | None = None) -> AsyncIterator[Fact]:
        """Those behind number ``after``, of these kinds."""
        ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who is told of events. ``keys`` are empty when ``trouble`` says why nothing can be signed."""

    id: str
    client: str
    url: str
    events: tuple[str, ...]
    keys: tuple[bytes, ...]
    private: bool = False
    timeout: float = 10.0
    policy: Policy = field(default_factory=Policy)
    trouble: str = ""
    configured: bool = False

    def __repr__(self) -> str:
        return f"<Receiver {self.id}>"


def of_settings(settings: WebhookSettings) -> Receiver:
    """A receiver as the configuration has it, its secrets read. Blocks as long as their files are read."""
    keys, trouble = [], ""
    for source in settings.secrets:
        try:
            keys.append(key_of(read_password(f"clients.{settings.client}.webhooks.{settings.name}", source)))
        except (SecretsError, BadSecret) as error:
            trouble = trouble or str(error)
    return Receiver(
        f"{settings.client}.{settings.name}",
        settings.client,
        settings.url,
        settings.events,
        # With the former secret alone the receiver would take what it should not any more.
        () if trouble else tuple(keys),
        settings.private,
        settings.timeout,
        Policy(settings.give_up_after, settings.disable_after),
        trouble,
        configured=True,
    )


def of_hook(hook: Hook, now: float) -> Receiver:
    """A receiver that was made by the API: never within, and always by TLS."""
    secrets = [hook.secret, *(hook.former.split() if now < hook.former_until else [])]
    return Receiver(hook.id, hook.client, hook.url, hook.events, tuple(map(key_of, secrets)))


class _Sender:
    """The way to one receiver."""

    def __init__(self, receiver: Receiver, server: Server, task: asyncio.Task[None] | None = None) -> None:
        self.receiver = receiver
        self.server = server
        self.task = task
        self.wake = asyncio.Event()


class Webhooks:
    """All receivers of a desk. :meth:`run` tells them, for as long as it runs."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        switch: Facts,
        reader: Database,
        store: Store,
        clock: Clock,
        web: Web,
        random: Random,
    ) -> None:
        self._settings = settings
        self._switch = switch
        self._reader = reader
        self._store = store
        self._clock = clock
        self._web = web
        self._random = random
        self._receivers: dict[str, Receiver] = {}
        self._lanes: dict[str, LaneRow] = {}
        self._removed: dict[str, LaneRow] = {}
        self._senders: dict[str, _Sender] = {}
        self._clients: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._looked_at: object = None
        self.read = 0
        """The last fact of which deliveries were made."""
        self.sent = 0
        self.failed = 0

    # Who is told

    @property
    def receivers(self) -> Mapping[str, Receiver]:
        """Those there are now, by id."""
        return self._receivers

    @property
    def lanes(self) -> Mapping[str, LaneRow]:
        """How it goes with each of them."""
        return self._lanes

    @property
    def removed(self) -> Mapping[str, LaneRow]:
        """Those that stand in the configuration no more, by id. What they were still to be told is kept for
        ``KEPT_FOR``: whoever stands there again by that time, under the same name, is told it.
        """
        return self._removed

    async def refresh(self) -> None:
        """Look who is to be told now: the configuration, and what was made by the API. Raises StorageError."""
        settings = self._settings()
        written: list[Receiver] = []
        if settings.webhooks:
            written = await asyncio.to_thread(lambda: [of_settings(each) for each in settings.webhooks])
        now = self._clock.now().timestamp()
        found = {each.id: each for each in written}
        found |= {hook.id: of_hook(hook, now) for hook in await self._store.hooks()}
        known = await self._store.lanes()
        if new := found.keys() - known.keys():
            head = await self._head()
            for name in sorted(new):
                await self._store.begin_lane(name, head)
            known = await self._store.lanes()
        if await self._note_removed(known, found.keys()):
            known = await self._store.lanes()
        self._removed = {name: row for name, row in known.items() if name not in found}
        # How it goes with each is known here first, and written behind.
        known = {
            name: replace(row, lane=self._lanes[name].lane) if name in self._lanes else row
            for name, row in known.items()
        }
        for receiver in found.values():
            was = self._receivers.get(receiver.id)
            if receiver.trouble and (was is None or was.trouble != receiver.trouble):
                log.error("a webhook cannot be signed, and is not sent", webhook=receiver.id, reason=receiver.trouble)
        before, self._receivers, self._lanes, self._looked_at = self._receivers, found, known, settings
        if found != before:
            self._changed.set()
        if {name: each.events for name, each in found.items()} != {name: each.events for name, each in before.items()}:
            self._wanted.set()
        for sender in self._senders.values():
            sender.wake.set()

    async def _note_removed(self, known: Mapping[str, LaneRow], there: Collection[str]) -> bool:
        """Write down who is gone from the configuration, and who is back; whether anybody is."""
        changed = False
        for name, row in known.items():
            if (name in there) is (row.removed_at is None):
                continue
            changed = True
            if name not in there:
                await self._store.mark_removed(name, self._clock.now().timestamp())
                waits = (await self._store.counts()).get(name, {}).get("pending", 0)
                log.warning("a webhook is removed", webhook=name, pending=waits, kept_for_days=KEPT_FOR / 86_400)
            else:
                # What happened meanwhile is not told: it would be all since the first day.
                await self._store.bring_back(name, await self._head())
                log.info("a webhook is back", webhook=name)
        return changed

    async def enable(self, webhook: str, *, enabled: bool) -> None:
        """Turn a receiver on, as if nothing had failed, or off. Raises StorageError."""
        self._lanes[webhook] = replace(self._lanes[webhook], lane=Lane(), enabled=enabled)
        await self._store.set_lane(webhook, Lane(), enabled=enabled)
        self.wake(webhook)

    def wake(self, webhook: str) -> None:
        """Something was queued for a receiver."""
        if (sender := self._senders.get(webhook)) is not None:
            sender.wake.set()

    # Running

    async def run(self) -> None:
        """Tell all receivers, until cancelled. Raises StorageError."""
        await self.refresh()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look(), name="webhooks: look for changes")
                group.create_task(self._read_all(), name="webhooks: read the facts")
                group.create_task(self._forget_all(), name="webhooks: forget who was erased")
                while True:
                    self._changed.clear()
                    await self._hire(group)
                    await self._changed.wait()
        finally:
            # Their tasks are gone: what was under way is sent again, under its id.
            for sender in self._senders.values():
                await sender.server.close()
            self._senders.clear()

    async def _look(self) -> None:
        tidied = looked = -TIDY_EVERY
        while True:
            now = self._clock.monotonic()
            # From time to time anyway: a former secret serves no more.
            if self._settings() is not self._looked_at or now - looked >= REFRESH_EVERY:
                looked = now
                await self.refresh()
            if now - tidied >= TIDY_EVERY:
                tidied = now
                await self._store.tidy(self._clock.now().timestamp())
                # Also of calls that were emptied by their age, of which no fact tells.
                for client in self._settings().calls.clients:
                    if await self._erased_calls(client):
                        await self._erase(client, ())
            await asyncio.sleep(LOOK_EVERY)

    async def _hire(self, group: asyncio.TaskGroup) -> None:
        """A task for each receiver, and none for those that are gone or are another now."""
        for name, sender in list(self._senders.items()):
            if self._receivers.get(name) != sender.receiver:
                del self._senders[name]
                if sender.task is not None:
                    sender.task.cancel()
                    await asyncio.wait({sender.task})
                await sender.server.close()
        for name, receiver in self._receivers.items():
            if name not in self._senders:
                made = _Sender(receiver, self._web.server(private=receiver.private))
                made.task = group.create_task(self._send_all(made), name=f"webhook {name}")
                self._senders[name] = made

    # Facts become deliveries

    async def _read_all(self) -> None:
        """Read the facts, and begin anew whenever other ones are wanted."""
        before: Mapping[str, Receiver] = self._receivers
        while True:
            receivers = self._receivers
            self._wanted.clear()
            reading = asyncio.create_task(self._read_for(receivers, receivers.keys() - before.keys()))
            wanted = asyncio.create_task(self._wanted.wait())
            try:
                await asyncio.wait({reading, wanted}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                for task in (reading, wanted):
                    task.cancel()
                await asyncio.wait({reading, wanted})
            before = receivers

    async def _read_for(self, receivers: Mapping[str, Receiver], new: Collection[str]) -> None:
        if not receivers:
            await asyncio.Event().wait()
        since = {name: self._lanes[name].since for name in receivers}
        # Before the first of them was there nobody is told of anything.
        after = max(await self._store.cursor() or 0, min(since.values()))
        # What has happened since a new one was made may have been passed over, as nobody wanted it.
        after = min([after, *(since[name] for name in new)])
        self.read = written = after
        try:
            async for fact in self._switch.facts(after, kinds=kinds_for(each.events for each in receivers.values())):
                events = await self._events(fact)
                if events or fact.seq - written >= LAG:
                    await self._store.take(events, fact.seq, self._clock.now().timestamp())
                    written = fact.seq
                self.read = fact.seq
                for webhook in {each.webhook for each in events}:
                    self.wake(webhook)
        except CommandError as error:
            # Its database was put back to an earlier day, or is another one.
            log.error("webhooks go on from now: the switch has not got so far yet", after=after, reason=str(error))
            await self._store.begin_anew(await self._head())
            await self.refresh()
            await asyncio.sleep(LOOK_EVERY)

    async def _head(self) -> int:
        return int((await self._reader.fetch_all("SELECT COALESCE(MAX(seq), 0) FROM facts"))[0][0])

    async def _events(self, fact: Fact) -> list[Event]:
        """What is told of a fact, to whom."""
        if isinstance(fact.body, CustomerErased):
            # Here too: what was made of facts from before they were emptied is behind us now.
            await self._erase(fact.body.client, fact.body.ids)
        client = await self._client_of(fact)
        wanted = [
            each
            for each in self._receivers.values()
            if each.client == client and each.id in self._lanes and self._lanes[each.id].since < fact.seq
        ]
        if not wanted:
            return []
        told = {name: fact_event(fact, client) for name in names_of(fact.kind)}
        customer = str(getattr(fact.body, "customer", ""))
        if fact.call_id is not None and (isinstance(fact.body, CallEnded) or fact.kind in CHANGES):
            facts = await self._facts_of(fact.call_id, fact.seq)
            if version := version_of(facts):
                try:
                    name, data = interaction_event(facts, version, *await self._written(fact.call_id))
                except ValueError as error:
                    log.error("the record of a call cannot be told", call=fact.call_id, reason=str(error))
                else:
                    told[name] = data
                    customer = str(data["interaction"]["customer"])
        return [
            self._event(receiver, fact, name, data, client, customer)
            for receiver in wanted
            for name, data in told.items()
            if wants(receiver.events, name)
        ]

    def _event(
        self, receiver: Receiver, fact: Fact, name: str, data: Mapping[str, Any], client: str, customer: str
    ) -> Event:
        event = Event(
            delivery_id(receiver.id, fact, name),
            receiver.id,
            client,
            fact.seq,
            name,
            fact.call_id or "",
            customer,
            body_of(name, fact.at, data),
        )
        lane = self._lanes[receiver.id]
        if lane.enabled and not lane.lane.disabled:
            return event
        return replace(event, state=Verdict.GIVEN_UP, error="the webhook is off")

    # Who is erased

    async def _forget_all(self) -> None:
        """Keep nothing of who is erased, whether anybody is told of anything or not, and of who was while no desk was.

        It is read from the table: this is nobody's hurry, and no receiver need be there.
        """
        while True:
            after, head = await self._store.cursor(ERASURES), await self._head()
            if after is None or after > head:
                # The first time, or the database was put back to an earlier day.
                for client in self._settings().calls.clients:
                    await self._erase(client, ())
                after = head
            for client, ids in await self._reader.fetch_all(_ERASED, (after, head)):
                await self._erase(client, json.loads(ids))
            if await self._store.cursor(ERASURES) != head:
                await self._store.set_cursor(ERASURES, head)
            await asyncio.sleep(LOOK_EVERY)

    async def _erase(self, client: str, customers: Collection[str]) -> None:
        """Empty what there is of these customers, and of every call that names nobody any more."""
        emptied = await self._store.erase(client, customers, await self._erased_calls(client))
        if emptied:
            log.info("what is kept of who was erased is emptied", client=client, rows=emptied)

    async def _erased_calls(self, client: str) -> list[str]:
        """Calls of which something is kept here, and that name nobody any more."""
        told = await self._store.told_of(client)
        return [row[0] for row in await self._reader.fetch_all(_ERASED_CALLS, (json.dumps(told),))]

    async def _client_of(self, fact: Fact) -> str:
        client = getattr(fact.body, "client", "")
        if fact.call_id is None or client:
            return str(client)
        if fact.call_id not in self._clients:
            rows = await self._reader.fetch_all(
                "SELECT json_extract(body, '$.client') FROM facts WHERE call_id = ? AND kind = 'CallArrived' LIMIT 1",
                (fact.call_id,),
            )
            while len(self._clients) >= REMEMBERED:
                del self._clients[next(iter(self._clients))]
            self._clients[fact.call_id] = str(rows[0][0]) if rows else ""
        return self._clients[fact.call_id]

    async def _facts_of(self, call: str, until: int) -> list[Fact]:
        rows = await self._reader.fetch_all(
            "SELECT seq, at, boot, ms, call_id, kind, body FROM facts WHERE call_id = ? AND seq <= ? ORDER BY seq",
            (call, until),
        )
        found = []
        for row in rows:
            with contextlib.suppress(KeyError):  # of a newer program
                found.append(fact_of(row))
        return found

    async def _written(self, call: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The notes of a call and the fields of its wrap-ups, as they are now; no drafts."""
        notes = await self._reader.fetch_all(
            "SELECT id, agent, author, changed_at, revision, text FROM notes WHERE call_id = ? AND draft = 0"
            " ORDER BY created_at, id",
            (call,),
        )
        fields = await self._reader.fetch_all(
            "SELECT offer, agent, field, value, MAX(revision) FROM wrap_up_fields WHERE call_id = ?"
            " GROUP BY offer, field ORDER BY offer, field",
            (call,),
        )
        return (
            [dict(zip(("note", "agent", "author", "at", "revision", "text"), row, strict=True)) for row in notes],
            [dict(zip(("offer", "agent", "field", "value"), row[:4], strict=True)) for row in fields],
        )

    # Deliveries are sent

    async def _send_all(self, sender: _Sender) -> None:
        """Send what waits for one receiver, in order, for as long as it is one."""
        name = sender.receiver.id
        while True:
            sender.wake.clear()
            row = self._lanes.get(name)
            waits = await self._store.first(name)
            if row is None or waits is None or not row.enabled or row.lane.disabled or not sender.receiver.keys:
                await self._rest(sender, IDLE)
                continue
            pause = row.lane.retry_at - self._clock.now().timestamp()
            if pause > 0:
                await self._rest(sender, pause)
                continue
            await self._send(sender, row, *waits)

    async def _rest(self, sender: _Sender, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await sender.wake.wait()

    async def _send(self, sender: _Sender, row: LaneRow, delivery: Delivery, body: bytes) -> None:
        receiver = sender.receiver
        began = self._clock.monotonic()
        attempt = await self.attempt(sender.server, receiver, delivery.id, body)
        took = round((self._clock.monotonic() - began) * 1000)
        now = self._clock.now().timestamp()
        lane, verdict = row.lane.after(
            attempt,
            attempts=delivery.attempts + 1,
            queued_at=delivery.queued_at,
            now=now,
            policy=receiver.policy,
            random=self._random,
        )
        # Somebody may have turned it off meanwhile: that stays so.
        current = self._lanes.get(receiver.id, row)
        if current.lane == row.lane:
            self._lanes[receiver.id] = replace(current, lane=lane)
        await self._store.settle(delivery, attempt, verdict, self._lanes.get(receiver.id, row).lane, now, took)
        self.sent += attempt.delivered
        self.failed += not attempt.delivered
        about = {"webhook": receiver.id, "delivery": delivery.id}
        if lane.disabled:
            log.error("a webhook is off from now on", **about, reason=lane.disabled)
        elif verdict is Verdict.GIVEN_UP:
            log.error("a webhook delivery is given up", **about, attempts=delivery.attempts + 1, reason=attempt.why)
        elif not attempt.delivered and lane.failures == 1:
            log.warning("a webhook fails", **about, reason=attempt.why)
        elif attempt.delivered and row.lane.failures:
            log.info("a webhook works again", **about, failures=row.lane.failures)

    async def attempt(self, server: Server, receiver: Receiver, message: str, body: bytes) -> Attempt:
        """Send one body once, signed as of now."""
        now = self._clock.now().timestamp()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": sign(receiver.keys, message, int(now), body),
        }
        try:
            answer = await server.ask(
                "POST", receiver.url, headers=headers, content=body, within=receiver.timeout, most=LONGEST_ANSWER
            )
        except WebError as error:
            return Attempt(0, str(error))
        why = "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
        if 300 <= answer.status < 400:
            why += ": no redirect is followed"
        return Attempt(answer.status, why, retry_after(answer.headers.get("retry-after", ""), now))

    async def test(self, webhook: str, message: str, body: bytes) -> tuple[Attempt, int]:
        """Send one body once, beside all that waits: what came of it, and how many milliseconds it took."""
        receiver = self._receivers[webhook]
        if not receiver.keys:
            return Attempt(0, receiver.trouble), 0
        server, began = self._web.server(private=receiver.private), self._clock.monotonic()
        try:
            attempt = await self.attempt(server, receiver, message, body)
        finally:
            await server.close()
        return attempt, round((self._clock.monotonic() - began) * 1000)


_ERASED = (
    "SELECT json_extract(body, '$.client'), json_extract(body, '$.ids') FROM facts"
    " WHERE seq > ? AND seq <= ? AND kind = 'CustomerErased' ORDER BY seq"
)
_ERASED_CALLS = (
    "SELECT i.call_id FROM json_each(?) AS told JOIN interactions AS i ON i.call_id = told.value"
    " WHERE i.erased_at IS NOT NULL"
)
