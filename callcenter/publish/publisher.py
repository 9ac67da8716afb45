"""Publisher: pops at once, states latest-wins, facts in order; nobody who publishes ever waits for the broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from callcenter.model.facts import Fact
from callcenter.publish import payloads, topics
from callcenter.publish.commands import Commands, OnCommand
from callcenter.runtime.clock import Clock
from callcenter.runtime.errors import first_error

OnState = Callable[[bool, str], None]

# The reader of the log that we are: facts up to this cursor were acknowledged by the broker.
CURSOR = "mqtt"
# Facts taken from the log at once.
READ = 100
# Pops that wait for the broker, or for its word; a floor makes one a call.
MAX_POPS = 1_000
# Topics with a retained state: agents and queues of the configuration.
MAX_STATES = 20_000
FIRST_RETRY = 0.2
LAST_RETRY = 10.0
# A link that held this long was a good one: the next failure is met with the shortest wait again.
HELD_WELL = 1.0
# The log is asked again after this when it could not be read.
LOG_RETRY = 1.0
# What close() waits for the last facts to be acknowledged.
CLOSE_PATIENCE = 2.0
# MQTT 5 brokers may allow as few unacknowledged messages as this (Receive Maximum; ten is the least one meets).
RECEIVE_MAXIMUM = 10


class Status(StrEnum):
    """What ``callcenter/v1/status`` says."""

    ONLINE = "online"
    OFFLINE = "offline"
    DRAINING = "draining"


class LinkLost(Exception):
    """The connection to the broker is gone, or never came up; the text says why in one line."""


class Outbox(Protocol):
    """The log of facts as the publisher reads it."""

    @property
    def last_seq(self) -> int:
        """The last committed fact."""
        ...

    def cursor(self, name: str) -> int:
        """How far the reader ``name`` has come."""
        ...

    def move_cursor(self, name: str, seq: int) -> None:
        """Remember how far the reader ``name`` has come. Never waits."""
        ...

    async def read(self, after: int, limit: int) -> list[Fact]:
        """The next committed facts."""
        ...

    async def beyond(self, seq: int) -> int:
        """Until a fact after ``seq`` is committed; returns the last one."""
        ...


class Link(Protocol):
    """One connection to a broker, which takes ``receive_maximum`` messages before it has acknowledged any."""

    @property
    def receive_maximum(self) -> int:
        """How many messages may be unacknowledged (MQTT 5, 3.2.2.3.3)."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, expires_s: int | None = None) -> None:
        """Send with QoS 1 and wait for the acknowledgement; what is called first is sent first. Raises LinkLost."""
        ...

    async def lost(self) -> str:
        """Until the connection is gone; returns why."""
        ...


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """How publishing goes: ``waiting`` counts facts that the broker has not acknowledged."""

    connected: bool
    detail: str
    waiting: int
    pops_sent: int
    pops_waiting: int

    def __str__(self) -> str:
        state = "connected" if self.connected else f"not connected: {self.detail}"
        return f"mqtt {state}, {self.waiting} facts waiting, {self.pops_sent} pops sent"


class Publisher(Protocol):
    """What the switch publishes through, and where agents' commands come in.

    ``on_state(connected, detail)``, when set, is told of the broker. ``on_command(agent, command)``, when set, obeys
    and gives the answer, which is published at the agent's reply topic.
    """

    on_state: OnState | None
    on_command: OnCommand | None

    async def start(self) -> None:
        """Begin to connect; returns at once, whatever the broker does."""
        ...

    def publish_pop(self, agent: str, payload: Mapping[str, Any], expires_s: float) -> asyncio.Future[bool]:
        """Send a pop. The future is True with the broker's acknowledgement, False at once when there is no broker."""
        ...

    def set_state(self, topic: str, payload: Mapping[str, Any] | None) -> None:
        """What ``topic`` retains from now on; None clears it. Never customer data."""
        ...

    def set_status(self, status: Status) -> None:
        """What the switch's own status says: online or draining; offline comes by itself."""
        ...

    def status(self) -> PublisherStatus:
        """How publishing goes."""
        ...

    async def close(self) -> None:
        """Publish the last facts for two seconds at most, say offline, and disconnect. May be called twice."""
        ...


@dataclass(eq=False, slots=True)
class _Pop:
    topic: str
    payload: bytes
    expires_at: float
    acknowledged: asyncio.Future[bool] = field(repr=False)


class _Closed(Exception):
    """The session ended in good order."""


class LinkedPublisher:
    """A publisher over links that come and go. After each new link: states, status, waiting pops, then the facts.

    ``connect`` gives a link or raises LinkLost. ``on_state(connected, detail)`` is told of each change.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Link]],
        outbox: Outbox,
        clock: Clock,
        random: Random,
        *,
        on_state: OnState | None = None,
    ) -> None:
        self.on_state = on_state
        self._commands = Commands(clock)
        self._connect = connect
        self._outbox = outbox
        self._clock = clock
        self._random = random
        self._connected = False
        self._detail = "not started"
        self._status = Status.ONLINE
        self._states: dict[str, bytes] = {}
        self._dirty: dict[str, None] = {}
        self._cleared: set[str] = set()
        self._changed = asyncio.Event()
        self._pops: dict[_Pop, None] = {}
        self._new_pops: deque[_Pop] = deque()
        self._popped = asyncio.Event()
        self._pops_sent = 0
        self._progress = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status()}>"

    @property
    def on_command(self) -> OnCommand | None:
        """Who obeys the agents' commands."""
        return self._commands.on_command

    @on_command.setter
    def on_command(self, obey: OnCommand | None) -> None:
        self._commands.on_command = obey

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        assert self._task is None, "started twice"
        # The publisher outlives the calls' task group: it publishes their last facts in close().
        self._task = asyncio.get_running_loop().create_task(self._run(), name="publisher")

    def publish_pop(self, agent: str, payload: Mapping[str, Any], expires_s: float) -> asyncio.Future[bool]:
        """Send a pop to ``agent``, numbered within the agent's topic. Never waits.

        The future is True with the broker's acknowledgement, and False at once when there is no broker or it is lost;
        it may be cancelled. A pop that was not acknowledged is sent again when the broker is back before it expires.
        """
        topic, name = topics.agent_pop(agent), f"pop/{agent}"
        seq = self._outbox.cursor(name) + 1
        self._outbox.move_cursor(name, seq)
        acknowledged: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        data = payloads.encode({**payload, "seq": seq})
        pop = _Pop(topic, data, self._clock.monotonic() + expires_s, acknowledged)
        while len(self._pops) >= MAX_POPS:
            self._forget(next(iter(self._pops)))
        self._pops[pop] = None
        if self._connected:
            self._new_pops.append(pop)
            self._popped.set()
        else:
            acknowledged.set_result(False)
        return acknowledged

    def set_state(self, topic: str, payload: Mapping[str, Any] | None) -> None:
        """What ``topic`` retains from now on: the latest wins; None clears it. Never waits."""
        if payload is None:
            self._states.pop(topic, None)
            self._cleared.add(topic)
        else:
            data = payloads.encode(payload)
            if self._states.get(topic) == data:
                return
            assert len(self._states) < MAX_STATES, "topics come from the configuration, not from calls"
            self._states[topic] = data
            self._cleared.discard(topic)
        self._dirty[topic] = None
        self._changed.set()

    def set_status(self, status: Status) -> None:
        """What the switch's own status says from now on: online or draining."""
        self._status = status
        self._dirty[topics.STATUS] = None
        self._changed.set()

    def status(self) -> PublisherStatus:
        """How publishing goes."""
        return PublisherStatus(
            connected=self._connected,
            detail=self._detail,
            waiting=max(0, self._outbox.last_seq - self._outbox.cursor(CURSOR)),
            pops_sent=self._pops_sent,
            pops_waiting=len(self._pops),
        )

    async def close(self) -> None:
        """Publish the last facts for two seconds at most, say offline, and disconnect. May be called twice."""
        if self._task is None:
            return
        self._closing.set()
        if self._connected:
            await asyncio.wait({self._task}, timeout=CLOSE_PATIENCE * 2)
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        for pop in list(self._pops):
            self._forget(pop)

    async def _run(self) -> None:
        retry = FIRST_RETRY
        while not self._closing.is_set():
            up_at = math.inf
            try:
                async with self._connect() as link:
                    up_at = self._clock.monotonic()
                    await self._serve(link)
            except* _Closed:
                self._detail = "closed"
            except* LinkLost as lost:
                self._down(str(first_error(lost)))
            except* Exception as broken:  # noqa: BLE001 - a mistake of ours in one message must not end publishing
                self._down(f"publishing failed: {first_error(broken)!r}")
            if self._closing.is_set():
                return
            if self._clock.monotonic() - up_at > HELD_WELL:
                retry = FIRST_RETRY
            # Half of it is chance, so that many clients of one broker do not come back at one moment.
            await asyncio.sleep(retry * (0.5 + self._random.random() / 2))
            retry = min(retry * 2, LAST_RETRY)

    async def _serve(self, link: Link) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._connected = True
                tasks.create_task(self._watch(link))
                tasks.create_task(self._send_pops(link, tasks))
                # Facts and states leave room in the broker's window, so that a pop never queues behind them.
                window = asyncio.Semaphore(max(1, link.receive_maximum // 5))
                await self._publish_states(link, tasks, window)
                self._up()
                tasks.create_task(self._keep_states(link, tasks, window))
                tasks.create_task(self._send_facts(link, tasks, max(1, link.receive_maximum // 2)))
                tasks.create_task(self._finish(link))
        finally:
            self._connected = False
            self._new_pops.clear()
            for pop in self._pops:
                if not pop.acknowledged.done():
                    pop.acknowledged.set_result(False)

    async def _watch(self, link: Link) -> None:
        raise LinkLost(await link.lost())

    async def _publish_states(self, link: Link, tasks: asyncio.TaskGroup, window: asyncio.Semaphore) -> None:
        """Everything that is retained, then our own status: who reads ``online`` may trust the states."""
        self._dirty.clear()
        self._changed.clear()
        sent = []
        for topic in [*self._cleared, *self._states]:
            await window.acquire()
            sent.append(tasks.create_task(self._send_state(link, topic, window)))
        for task in sent:
            await task
        await link.publish(topics.STATUS, self._status.value.encode(), retain=True)

    async def _keep_states(self, link: Link, tasks: asyncio.TaskGroup, window: asyncio.Semaphore) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty:
                await window.acquire()
                topic = next(iter(self._dirty))
                del self._dirty[topic]
                tasks.create_task(self._send_state(link, topic, window))
            self._progress.set()

    async def _send_state(self, link: Link, topic: str, window: asyncio.Semaphore) -> None:
        try:
            if topic == topics.STATUS:
                data = self._status.value.encode()
            else:
                data = self._states.get(topic, b"")
            await link.publish(topic, data, retain=True)
            if not data and topic not in self._states:
                self._cleared.discard(topic)
        finally:
            window.release()

    async def _send_pops(self, link: Link, tasks: asyncio.TaskGroup) -> None:
        for pop in list(self._pops):
            if pop not in self._new_pops:
                tasks.create_task(self._send_pop(link, pop))
        while True:
            while self._new_pops:
                tasks.create_task(self._send_pop(link, self._new_pops.popleft()))
            self._popped.clear()
            await self._popped.wait()

    async def _send_pop(self, link: Link, pop: _Pop) -> None:
        left = pop.expires_at - self._clock.monotonic()
        if left > 0:
            await link.publish(pop.topic, pop.payload, expires_s=max(1, round(left)))
            self._pops_sent += 1
            if not pop.acknowledged.done():
                pop.acknowledged.set_result(True)
        self._forget(pop)

    async def _send_facts(self, link: Link, tasks: asyncio.TaskGroup, window: int) -> None:
        """Facts in order from the cursor on; the cursor moves over what is acknowledged, and never over a gap."""
        sent: deque[tuple[int, asyncio.Task[None] | None]] = deque()
        position = self._outbox.cursor(CURSOR)
        while True:
            try:
                last = await self._outbox.beyond(position)
                began = self._clock.monotonic()
                facts = await self._outbox.read(position, READ)
                self._detail = ""
            except Exception as error:  # noqa: BLE001 - the log is another layer's: whatever it raises, pops go on
                self._detail = f"the log cannot be read: {error}"
                await asyncio.sleep(LOG_RETRY)
                continue
            if not facts:  # Kinds that this program does not know.
                position = last
                self._outbox.move_cursor(CURSOR, last)
                self._progress.set()
            for fact in facts:
                position = fact.seq
                message = _message(fact)
                task = None if message is None else tasks.create_task(link.publish(*message))
                sent.append((fact.seq, task))
                while len(sent) >= window:
                    await self._settle(sent)
            while sent:
                await self._settle(sent)
            if position < self._outbox.last_seq:
                # Much has gathered: catching up takes half of the loop's time at most, calls have the rest.
                await asyncio.sleep(min(self._clock.monotonic() - began, LOG_RETRY))

    async def _settle(self, sent: deque[tuple[int, asyncio.Task[None] | None]]) -> None:
        seq, task = sent.popleft()
        if task is not None:
            await task
        self._outbox.move_cursor(CURSOR, seq)
        self._progress.set()

    async def _finish(self, link: Link) -> None:
        """When closing: the last facts and states, then offline, and the session is over."""
        await self._closing.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                while self._dirty or self._outbox.cursor(CURSOR) < self._outbox.last_seq:
                    self._progress.clear()
                    await self._progress.wait()
        await link.publish(topics.STATUS, Status.OFFLINE.value.encode(), retain=True)
        raise _Closed

    def _up(self) -> None:
        self._detail = ""
        if self.on_state is not None:
            self.on_state(True, "")

    def _down(self, detail: str) -> None:
        if detail != self._detail:
            self._detail = detail
            if self.on_state is not None:
                self.on_state(False, detail)

    def _forget(self, pop: _Pop) -> None:
        self._pops.pop(pop, None)
        if not pop.acknowledged.done():
            pop.acknowledged.set_result(False)


@dataclass(frozen=True, slots=True)
class Published:
    """One message as a broker got it; ``payload`` is read back from its JSON, or the text of a status."""

    at: float
    topic: str
    payload: Any
    retain: bool
    expires_s: int | None


class ListPublisher(LinkedPublisher):
    """A publisher to a list, in virtual time: its broker can be slow, die, and come back."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        delay: float = 0.0,
        dead: bool = False,
        random: Random | None = None,
        on_state: OnState | None = None,
    ) -> None:
        super().__init__(self._link, outbox, clock, random or Random(0), on_state=on_state)
        self.messages: list[Published] = []
        self.retained: dict[str, Any] = {}
        self.delay = delay
        self._why_dead = "the broker is dead" if dead else ""
        self._died = asyncio.Event()

    def die(self, why: str = "the broker died") -> None:
        """The broker is gone: what is unacknowledged is lost with the link, and the last will is published."""
        if not self._why_dead:
            self._why_dead = why
            self._died.set()
            if topics.STATUS in self.retained:
                self._record(topics.STATUS, Status.OFFLINE.value.encode(), retain=True, expires_s=None)

    def revive(self) -> None:
        """The broker is back, with what it retained; the publisher finds out when it next tries."""
        self._why_dead = ""
        self._died = asyncio.Event()

    @property
    def is_dead(self) -> bool:
        """Whether the broker is gone."""
        return bool(self._why_dead)

    def take_over(self, before: ListPublisher) -> None:
        """Be a new client of the broker that another publisher had: with what was published there, and is retained."""
        self.messages, self.retained, self.delay = before.messages, before.retained, before.delay

    def command(self, agent: str, command: Mapping[str, Any] | bytes) -> Any:
        """What the program of ``agent`` reads as the answer to its command; None when the broker is dead, or silent."""
        if self._why_dead:
            return None
        payload = command if isinstance(command, bytes) else payloads.encode(command)
        reply = self._commands.answer(agent, payload)
        if reply is None:
            return None
        self._record(topics.agent_reply(agent), reply, retain=False, expires_s=None)
        return self.messages[-1].payload

    def of_topic(self, topic: str) -> list[Any]:
        """The payloads that were published to ``topic``, in order."""
        return [message.payload for message in self.messages if message.topic == topic]

    def pops(self, agent: str) -> list[Any]:
        """The pops that ``agent`` got, in order."""
        return self.of_topic(topics.agent_pop(agent))

    @contextlib.asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        if self._why_dead:
            raise LinkLost(self._why_dead)
        yield _ListLink(self, self._died)

    def _record(self, topic: str, payload: bytes, *, retain: bool, expires_s: int | None) -> None:
        value = payload.decode() if topic == topics.STATUS else json.loads(payload or b"null")
        self.messages.append(Published(self._clock.monotonic(), topic, value, retain, expires_s))
        if retain:
            self.retained[topic] = value
            if not payload:
                del self.retained[topic]


class _ListLink:
    receive_maximum = RECEIVE_MAXIMUM

    def __init__(self, publisher: ListPublisher, died: asyncio.Event) -> None:
        self._publisher = publisher
        self._died = died

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, expires_s: int | None = None) -> None:
        if self._died.is_set():
            raise LinkLost("the broker died")
        self._publisher._record(topic, payload, retain=retain, expires_s=expires_s)  # noqa: SLF001 - its other half
        if self._publisher.delay > 0:
            await asyncio.sleep(self._publisher.delay)
            if self._died.is_set():
                raise LinkLost("the broker died")

    async def lost(self) -> str:
        await self._died.wait()
        return "the broker died"


def _message(fact: Fact) -> tuple[str, bytes] | None:
    event = payloads.call_event(fact)
    if event is None:
        return None
    try:
        return topics.call_event(event["call"]), payloads.encode(event)
    except ValueError:
        return None  # A call id that may not stand in a topic is not ours.
