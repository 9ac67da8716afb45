"""Publisher: pops at once, states latest-wins, facts in order; nobody who publishes ever waits for the broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
OnCleared = Callable[[str], None]

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
# A broker that refuses events is asked again with the first of them after this.
REFUSED_RETRY = 10.0
# How long a committed fact waits for others: on a busy floor some thirty then share a write and its acknowledgement.
GATHER = 0.02
# How long commands are not heard after a flood of them, doubled while it goes on.
FIRST_PAUSE = 5.0
LAST_PAUSE = 60.0
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


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker did not take a message, and why; ``for_ever``: this very one it will never take."""

    reason: str
    for_ever: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that came to us; ``retained``: its sender wants every later subscriber to get it too. ``response`` is
    where they want the answer, and ``id`` the command's, where the message says them beside it (MQTT 5).
    """

    topic: str
    payload: bytes
    retained: bool = False
    correlation: bytes | None = None
    response: str | None = None
    id: str = ""


class Link(Protocol):
    """One connection to a broker, which takes ``receive_maximum`` messages before it has acknowledged any."""

    @property
    def receive_maximum(self) -> int:
        """How many messages may be unacknowledged (MQTT 5, 3.2.2.3.3)."""
        ...

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expires_s: int | None = None,
        correlation: bytes | None = None,
    ) -> asyncio.Future[Refused | None]:
        """Send with QoS 1; what is called first is sent first. Never waits.

        The future is the broker's word: None when it took the message. When the link is lost it has none: ``lost``
        tells, and who waits for the future is to be cancelled.
        """
        ...

    async def subscribe(self, topic: str, heard: Callable[[Heard], None]) -> str:
        """Hear what is published to ``topic`` from now on, nothing retained before; returns why not, or nothing."""
        ...

    def unsubscribe(self, topic: str) -> None:
        """Hear no more of it."""
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
        state = "connected" if self.connected else "not connected"
        if self.detail:
            state += f": {self.detail}"
        return f"mqtt {state}, {self.waiting} facts waiting, {self.pops_sent} pops sent"


class Publisher(Protocol):
    """What the switch publishes through, and where agents' commands come in.

    ``on_state(connected, detail)``, when set, is told of the broker. ``on_command(agent, command)``, when set, obeys
    and gives the answer, which is published at the agent's reply topic; ``on_supervisor(supervisor, command)`` the same
    for supervisors; ``supervised``: whether there are any. ``on_cleared(topic)``, when set, is told that
    the broker retains nothing there any more.
    """

    on_state: OnState | None
    on_command: OnCommand | None
    on_supervisor: OnCommand | None
    supervised: bool
    on_cleared: OnCleared | None

    async def start(self) -> None:
        """Begin to connect; returns at once, whatever the broker does."""
        ...

    async def ready(self, within: float) -> bool:
        """Until the broker has our states and our status, ``within`` seconds at most; whether it has."""
        ...

    def publish_pop(self, agent: str, payload: Mapping[str, Any], expires_s: float) -> asyncio.Future[bool]:
        """Send a pop. The future is True with the broker's acknowledgement, False at once when there is no broker."""
        ...

    def set_state(self, topic: str, payload: Mapping[str, Any] | None) -> None:
        """What ``topic`` retains from now on; None clears it. Never customer data."""
        ...

    def states(self) -> Mapping[str, bytes]:
        """What each topic retains, as it is published; none of it is changed later. Cheap: nothing is encoded anew."""
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
    """A publisher over links that come and go. After each new link: pops, states, status, then the facts.

    ``connect`` gives a link or raises LinkLost. ``on_state(connected, detail)`` is told of each change: of the link,
    and of what the broker refuses while the link is well.
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
        self.on_cleared: OnCleared | None = None
        self.supervised = False
        self._commands = Commands(clock)
        self._supervisors = Commands(clock)
        self._supervisors.flooded = self._commands.flooded
        self._connect = connect
        self._outbox = outbox
        self._clock = clock
        self._random = random
        self._live: Link | None = None
        self._online = asyncio.Event()
        self._why_down = "not started"
        self._troubles: dict[str, str] = {}
        self._told_troubles = ""
        self._status = Status.ONLINE
        self._states: dict[str, bytes] = {}
        self._dirty: dict[str, None] = {}
        self._cleared: set[str] = set()
        self._changed = asyncio.Event()
        self._pops: dict[_Pop, None] = {}
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

    @property
    def on_supervisor(self) -> OnCommand | None:
        """Who obeys supervisors."""
        return self._supervisors.on_command

    @on_supervisor.setter
    def on_supervisor(self, obey: OnCommand | None) -> None:
        self._supervisors.on_command = obey

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        assert self._task is None, "started twice"
        # The publisher outlives the calls' task group: it publishes their last facts in close().
        self._task = asyncio.get_running_loop().create_task(self._run(), name="publisher")

    async def ready(self, within: float) -> bool:
        """Until the broker has our states and our status, ``within`` seconds at most; whether it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._online.wait()
        return self._online.is_set()

    def publish_pop(self, agent: str, payload: Mapping[str, Any], expires_s: float) -> asyncio.Future[bool]:
        """Send a pop to ``agent``, numbered within the agent's topic. Never waits.

        The future is True with the broker's acknowledgement, and False at once when there is no broker, it is lost, or
        it refuses; it may be cancelled. A pop that was not acknowledged is sent again when the broker is back before it
        expires.
        """
        topic, name = topics.agent_pop(agent), f"pop/{agent}"
        seq = self._outbox.cursor(name) + 1
        self._outbox.move_cursor(name, seq)
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[bool] = loop.create_future()
        data = payloads.encode({**payload, "seq": seq})
        pop = _Pop(topic, data, self._clock.monotonic() + expires_s, acknowledged)
        while len(self._pops) >= MAX_POPS:
            self._forget(next(iter(self._pops)))
        self._pops[pop] = None
        if self._live is None:
            acknowledged.set_result(False)
        else:
            # Not from here: a mistake in a message is the publisher's and must not end a call.
            loop.call_soon(self._send_pop, self._live, pop)
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

    def states(self) -> Mapping[str, bytes]:
        """What each topic retains, as it is published, also while there is no broker."""
        return self._states.copy()

    def set_status(self, status: Status) -> None:
        """What the switch's own status says from now on: online or draining."""
        self._status = status
        self._dirty[topics.STATUS] = None
        self._changed.set()

    def status(self) -> PublisherStatus:
        """How publishing goes."""
        return PublisherStatus(
            connected=self._live is not None,
            detail=self._why_down if self._live is None else "; ".join(self._troubles.values()),
            waiting=max(0, self._outbox.last_seq - self._outbox.cursor(CURSOR)),
            pops_sent=self._pops_sent,
            pops_waiting=len(self._pops),
        )

    async def close(self) -> None:
        """Publish the last facts for two seconds at most, say offline, and disconnect. May be called twice."""
        if self._task is None:
            return
        self._closing.set()
        if self._live is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_PATIENCE * 2)
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._commands.close()
        self._supervisors.close()
        for pop in list(self._pops):
            self._forget(pop)

    # The link.

    async def _run(self) -> None:
        retry = FIRST_RETRY
        while not self._closing.is_set():
            up_at = math.inf
            try:
                async with self._connect() as link:
                    up_at = self._clock.monotonic()
                    await self._serve(link)
            except* _Closed:
                self._why_down = "closed"
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
                self._troubles.clear()
                self._live = link
                tasks.create_task(self._watch(link))
                for pop in list(self._pops):
                    self._send_pop(link, pop)
                await self._listen(link)
                # Facts and states leave room in the broker's window, so that a pop never queues behind them.
                window = asyncio.Semaphore(max(1, link.receive_maximum // 5))
                await self._publish_states(link, window)
                self._up()
                tasks.create_task(self._look_away(link))
                tasks.create_task(self._keep_states(link, window))
                tasks.create_task(self._send_facts(link, max(1, link.receive_maximum // 2)))
                tasks.create_task(self._finish(link))
        finally:
            self._live = None
            self._online.clear()
            for pop in self._pops:
                if not pop.acknowledged.done():
                    pop.acknowledged.set_result(False)

    async def _watch(self, link: Link) -> None:
        raise LinkLost(await link.lost())

    def _up(self) -> None:
        self._online.set()
        self._why_down = ""
        self._told_troubles = "; ".join(self._troubles.values())
        if self.on_state is not None:
            self.on_state(True, self._told_troubles)

    def _down(self, why: str) -> None:
        if why != self._why_down:
            self._why_down = why
            if self.on_state is not None:
                self.on_state(False, why)

    def _trouble(self, about: str, words: str) -> None:
        """What is not well over a link that holds, by what it is about; told when it changes. No words: it is over."""
        if words:
            self._troubles[about] = words
        else:
            self._troubles.pop(about, None)
        told = "; ".join(self._troubles.values())
        if self._online.is_set() and told != self._told_troubles:
            self._told_troubles = told
            if self.on_state is not None:
                self.on_state(True, told)

    def _accepted(self, about: str, answer: asyncio.Future[Refused | None]) -> bool:
        """Whether the broker took what it answers to; a refusal is told once."""
        refused = answer.result()
        if refused is not None:
            self._trouble(about, f"the broker refuses {about}: {refused.reason}")
        elif self._troubles:
            self._trouble(about, "")
        return refused is None

    # States: the latest of each, retained.

    async def _publish_states(self, link: Link, window: asyncio.Semaphore) -> None:
        """Everything that is retained, then our own status: who reads ``online`` may trust the states."""
        self._dirty.clear()
        self._changed.clear()
        sent = []
        for topic in [*self._cleared, *self._states]:
            await window.acquire()
            sent.append(self._send_state(link, topic, window))
        for answer in sent:
            await answer
        await window.acquire()
        await self._send_state(link, topics.STATUS, window)

    async def _keep_states(self, link: Link, window: asyncio.Semaphore) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty:
                await window.acquire()
                topic = next(iter(self._dirty))
                del self._dirty[topic]
                _ = self._send_state(link, topic, window)
            self._progress.set()

    def _send_state(self, link: Link, topic: str, window: asyncio.Semaphore) -> asyncio.Future[Refused | None]:
        data = self._status.value.encode() if topic == topics.STATUS else self._states.get(topic, b"")

        def answered(answer: asyncio.Future[Refused | None]) -> None:
            window.release()
            if answer.cancelled() or not self._accepted("states", answer):
                return
            if not data and topic in self._cleared:
                self._cleared.discard(topic)
                if self.on_cleared is not None:
                    self.on_cleared(topic)

        answer = link.publish(topic, data, retain=True)
        answer.add_done_callback(answered)
        return answer

    # Pops: at once, and before everything else.

    def _send_pop(self, link: Link, pop: _Pop) -> None:
        left = pop.expires_at - self._clock.monotonic()
        if left <= 0:
            self._forget(pop)
        elif pop in self._pops and link is self._live:

            def answered(answer: asyncio.Future[Refused | None]) -> None:
                if answer.cancelled():
                    return
                if self._accepted("pops", answer):
                    self._pops_sent += 1
                    if not pop.acknowledged.done():
                        pop.acknowledged.set_result(True)
                self._forget(pop)

            link.publish(pop.topic, pop.payload, expires_s=max(1, round(left))).add_done_callback(answered)

    def _forget(self, pop: _Pop) -> None:
        self._pops.pop(pop, None)
        if not pop.acknowledged.done():
            pop.acknowledged.set_result(False)

    # Facts: in order, none left out.

    async def _send_facts(self, link: Link, window: int) -> None:
        """Facts in order from the cursor on; the cursor moves over what is acknowledged, and never over a gap."""
        position = self._outbox.cursor(CURSOR)
        probing = False
        while True:
            try:
                last = await self._outbox.beyond(position)
                if last - position < window:
                    # Facts come in twos and threes, of many calls: sent together they cost a fraction.
                    await asyncio.sleep(GATHER)
                began = self._clock.monotonic()
                facts = await self._outbox.read(position, READ)
                self._troubles.pop("log", None)
            except Exception as error:  # noqa: BLE001 - the log is another layer's: whatever it raises, pops go on
                self._troubles["log"] = f"the log cannot be read: {error}"
                await asyncio.sleep(LOG_RETRY)
                continue
            if not facts:  # Kinds that this program does not know.
                position = last
                self._outbox.move_cursor(CURSOR, last)
                self._progress.set()
                continue
            probing = not await self._send(link, facts, 1 if probing else window)
            if probing:
                # What is refused today may be allowed tomorrow: nothing is passed over in silence.
                position = self._outbox.cursor(CURSOR)
                await asyncio.sleep(REFUSED_RETRY)
                continue
            position = facts[-1].seq
            if position < self._outbox.last_seq:
                # Much has gathered: catching up takes half of the loop's time at most, calls have the rest.
                await asyncio.sleep(min(self._clock.monotonic() - began, LOG_RETRY))

    async def _send(self, link: Link, facts: Sequence[Fact], window: int) -> bool:
        """Send these and wait for the answers; False as soon as the broker refuses one of them."""
        sent: deque[tuple[int, asyncio.Future[Refused | None] | None]] = deque()
        for fact in facts:
            message = _message(fact)
            sent.append((fact.seq, None if message is None else link.publish(*message)))
            while len(sent) >= window:
                if not await self._settle(sent):
                    return False
        while sent:
            if not await self._settle(sent):
                return False
        return True

    async def _settle(self, sent: deque[tuple[int, asyncio.Future[Refused | None] | None]]) -> bool:
        """Wait for the first answer, and move the cursor over all that are there; False when one is a refusal."""
        first = sent[0][1]
        if first is not None and not first.done():
            await first
        seq = self._outbox.cursor(CURSOR)
        well = True
        while sent and well:
            number, answer = sent[0]
            if answer is not None:
                if not answer.done():
                    break
                refused = answer.result()
                if refused is not None and refused.for_ever:
                    self._trouble("an event", f"an event was passed over: {refused.reason}")
                else:
                    well = self._accepted("events", answer)
            if well:
                seq = number
                sent.popleft()
        if seq > self._outbox.cursor(CURSOR):
            self._outbox.move_cursor(CURSOR, seq)
        self._progress.set()
        return well

    # Commands of agents and supervisors.

    async def _listen(self, link: Link) -> None:
        """Hear the commands. What came while we were away is lost: an old ``ready`` is nobody's wish."""
        self._commands.flooded.clear()
        for topic, whose in ((topics.COMMANDS, "agents'"), (topics.SUPERVISORS_COMMANDS, "supervisors'")):
            refused = await link.subscribe(topic, lambda heard: self._heard(link, heard))
            # Of supervisors who are not there nobody need hear: an older broker's rules know nothing of them.
            matters = refused and (self.supervised or topic == topics.COMMANDS)
            said = f"the broker does not let us hear {whose} commands: {refused}" if matters else ""
            self._trouble("commands" if topic == topics.COMMANDS else "supervisors", said)

    async def _look_away(self, link: Link) -> None:
        """While commands flood in, hear none for a while: the calls' time is not theirs to take."""
        pause = FIRST_PAUSE
        while True:
            since = self._clock.monotonic()
            await self._commands.flooded.wait()
            if self._clock.monotonic() - since > LAST_PAUSE:
                pause = FIRST_PAUSE
            link.unsubscribe(topics.COMMANDS)
            link.unsubscribe(topics.SUPERVISORS_COMMANDS)
            self._trouble("commands", "agents' commands are not heard for a while: far too many came")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)
            await self._listen(link)

    def _heard(self, link: Link, heard: Heard) -> None:
        if agent := topics.agent_of_command(heard.topic):
            door, asks, usual = self._commands, agent, topics.agent_reply(agent)
        elif supervisor := topics.supervisor_of_command(heard.topic):
            door, asks, usual = self._supervisors, supervisor, topics.supervisor_reply(supervisor)
        else:
            return

        def reply(answer: bytes) -> None:
            # An answer that comes when the link is gone is lost: who sends the command again gets the same.
            if self._live is link:
                topic = topics.reply_topic(usual, heard.response)
                link.publish(
                    topic, answer, expires_s=topics.REPLY_EXPIRES_S, correlation=heard.correlation
                ).add_done_callback(lambda answer: answer.cancelled() or self._accepted("replies", answer))

        door.take(asks, heard.payload, reply, retained=heard.retained, name=heard.id)

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


@dataclass(frozen=True, slots=True)
class Published:
    """One message as a broker got it; ``payload`` is read back from its JSON, or the text of a status."""

    at: float
    topic: str
    payload: Any
    retain: bool
    expires_s: int | None


class ListPublisher(LinkedPublisher):
    """A publisher to a list, in virtual time: its broker can be slow, die, and come back.

    A message is ``transit`` under way to the broker, and acknowledged after ``delay``, all told.
    """

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
        self.transit = 0.0
        self.deaths = 0
        self._why_dead = "the broker is dead" if dead else ""
        self._died = asyncio.Event()
        self._refuses: dict[str, Refused] = {}
        self._hears: Callable[[Heard], None] | None = None

    def refuse(self, ending: str, reason: str = "Not authorized", *, for_ever: bool = False) -> None:
        """From now on the broker takes nothing whose topic ends so; without a reason it takes it again."""
        self._refuses.pop(ending, None)
        if reason:
            self._refuses[ending] = Refused(reason, for_ever)

    def die(self, why: str = "the broker died") -> None:
        """The broker is gone: what is unacknowledged is lost with the link, and the last will is published."""
        if not self._why_dead:
            self._why_dead = why
            self.deaths += 1
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
        self.messages, self.retained = before.messages, before.retained
        self.delay, self.transit, self.deaths = before.delay, before.transit, before.deaths
        self._refuses = before._refuses

    def send(self, heard: Heard) -> None:
        """A message comes to the switch; while the broker is dead it is lost."""
        if self._hears is not None:
            self._hears(heard)

    def command(self, agent: str, command: Mapping[str, Any] | bytes, *, retained: bool = False) -> Any:
        """What the program of ``agent`` reads as the answer to its command; None when there is none.

        So it is while the broker is dead: what is sent then is lost.
        """
        return self._said(topics.agent_command(agent), topics.agent_reply(agent), command, retained)

    def supervise(self, supervisor: str, command: Mapping[str, Any] | bytes, *, retained: bool = False) -> Any:
        """What ``supervisor`` reads as the answer to a command; None when there is none."""
        return self._said(topics.supervisor_command(supervisor), topics.supervisor_reply(supervisor), command, retained)

    def _said(self, topic: str, reply: str, command: Mapping[str, Any] | bytes, retained: bool) -> Any:
        if self._hears is None:
            return None
        payload = command if isinstance(command, bytes) else payloads.encode(command)
        before = len(self.messages)
        self._hears(Heard(topic, payload, retained))
        replies = [each for each in self.messages[before:] if each.topic == reply]
        return replies[-1].payload if replies else None

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
        try:
            yield _ListLink(self, self._died)
        finally:
            self._hears = None

    def _answer(self, topic: str) -> Refused | None:
        return next((refused for ending, refused in self._refuses.items() if topic.endswith(ending)), None)

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
        self._on_the_way: deque[tuple[str, bytes, bool, int | None]] = deque()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expires_s: int | None = None,
        correlation: bytes | None = None,
    ) -> asyncio.Future[Refused | None]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Refused | None] = loop.create_future()
        if not self._died.is_set():
            refused = self._publisher._answer(topic)  # noqa: SLF001 - its other half
            if refused is None:
                self._on_the_way.append((topic, payload, retain, expires_s))
                if self._publisher.transit > 0:
                    loop.call_later(self._publisher.transit, self._arrive)
                else:
                    self._arrive()
            loop.call_later(self._publisher.delay, self._acknowledge, answer, refused)
        return answer

    async def subscribe(self, topic: str, heard: Callable[[Heard], None]) -> str:
        refused = self._publisher._answer(topic)  # noqa: SLF001
        self._publisher._hears = None if refused else heard  # noqa: SLF001
        return refused.reason if refused else ""

    def unsubscribe(self, topic: str) -> None:
        self._publisher._hears = None  # noqa: SLF001

    async def lost(self) -> str:
        await self._died.wait()
        return "the broker died"

    def _arrive(self) -> None:
        topic, payload, retain, expires_s = self._on_the_way.popleft()
        if not self._died.is_set():
            self._publisher._record(topic, payload, retain=retain, expires_s=expires_s)  # noqa: SLF001

    def _acknowledge(self, answer: asyncio.Future[Refused | None], refused: Refused | None) -> None:
        if not self._died.is_set() and not answer.done():
            answer.set_result(refused)


def _message(fact: Fact) -> tuple[str, bytes] | None:
    try:
        if (event := payloads.call_event(fact)) is not None:
            return topics.call_event(event["call"]), payloads.encode(event)
        if (event := payloads.followup_event(fact)) is not None:
            return topics.followup_event(event["client"]), payloads.encode(event)
    except ValueError:
        pass  # An id that may not stand in a topic is not ours.
    return None
