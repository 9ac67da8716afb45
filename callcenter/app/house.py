"""The house: a running switch, of all its parts, from the start over reloads to the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, tzinfo

from callcenter import __version__
from callcenter.acd.core import Acd
from callcenter.acd.estimate import Pace
from callcenter.acd.events import IntentChosen, OwnCallEnded, Reconfigured
from callcenter.acd.roster import roster_changed
from callcenter.app.broker import BrokerWord, are_supervised
from callcenter.app.edges import Edges
from callcenter.app.last_run import MAX_FACTS_OF_A_CALL, close_books
from callcenter.app.mqtt_orders import MqttOrders
from callcenter.app.signalling import Doors, Signalling
from callcenter.app.telling import Telling
from callcenter.calls.books import Books
from callcenter.calls.breaks import BreakRules
from callcenter.calls.busy_lines import BusyLines
from callcenter.calls.callback import Callbacks
from callcenter.calls.calling_back import call_back
from callcenter.calls.commands import CommandDesk
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.do_not_call import DoNotCall
from callcenter.calls.entry import Entries
from callcenter.calls.erasure import Eraser
from callcenter.calls.facts import FactStream
from callcenter.calls.feature_codes import FeatureCodes
from callcenter.calls.floor_control import CallsControl
from callcenter.calls.followups import Followups
from callcenter.calls.inbound import FrontDoor
from callcenter.calls.line import Places
from callcenter.calls.live_ledger import LiveLedger
from callcenter.calls.own_call import OwnCalls
from callcenter.calls.paperwork import Paperwork
from callcenter.calls.queue_status import QueueBoard
from callcenter.calls.recordings import RecordingKey, Recordings
from callcenter.calls.services import Services
from callcenter.calls.supervision import Supervisions
from callcenter.calls.supervisor import Supervisor
from callcenter.calls.watchdog import Watchdog
from callcenter.config.secrets import Secrets
from callcenter.config.settings import Settings
from callcenter.ledger.quality import QualityLedger
from callcenter.media.embedded.recorder.keys import key_id
from callcenter.model.facts import (
    AgentStateChanged,
    CallEnded,
    ConfigReloaded,
    Fact,
    SwitchStarted,
    SwitchStopped,
    TrunkStateChanged,
    kinds_of,
    reads,
)
from callcenter.model.ids import Ids
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Intent, Side
from callcenter.observe import FactLogger
from callcenter.operate.desk_process import DeskProcess
from callcenter.publish import topics
from callcenter.publish.agent_states import AgentStates
from callcenter.publish.publisher import Status
from callcenter.runtime.lag import LoopLag
from callcenter.signaling.trunks.trunk import Trunk
from callcenter.storage.recordings import Recording

# How long calls may take to hang up when the switch goes down; what is left is cut.
GO_DOWN_PATIENCE = 5.0


class House:
    """A running switch, room by room: what it goes by, its signalling, its business, its floor, its figures."""

    def __init__(self, settings: Settings, secrets: Secrets, edges: Edges, group: asyncio.TaskGroup) -> None:
        self.settings = settings
        self.secrets = secrets
        self.edges = edges
        self._group = group
        self.started_at = self.loaded_at = edges.clock.now()
        self.loaded_by = "start"
        # Paths of what was written differently since, and is not in force before the next start.
        self.at_next_start: tuple[str, ...] = ()
        # Begun where time is real.
        self.lag = LoopLag()
        self.desk_process: DeskProcess | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self._lay_foundation()
        self._add_signalling()
        self._add_business()
        self._add_floor()
        self._add_figures()
        self._subscribe()
        self._listen_to_broker()

    def _lay_foundation(self) -> None:
        """What all else stands on: facts, books, and who gets which call."""
        clock, storage = self.edges.clock, self.edges.storage
        self.ids = Ids(self.settings.switch.node, clock.now, self.edges.random)
        self.stream = FactStream(clock, boot=self.ids.new(), last_seq=storage.log.last_seq, write=storage.log.write)
        self.books = Books(storage.interactions.save)
        self.places = Places(clock, self.stream.boot)
        self.acd = Acd(self.settings.plan, epoch=storage.log.epoch, random=self.edges.random)
        self.pace = Pace()
        self.dispatcher = Dispatcher(self.acd, self.stream, clock, storage.log.flushed)
        self.supervisor = Supervisor(self._group)
        self.telling = Telling(self.edges.publisher, clock, self.acd)

    def _add_signalling(self) -> None:
        """Phones and trunks, and whom they are; what operators look at by itself has its name here too."""
        self.signalling = Signalling(self.settings, self.secrets, self.edges, self.dispatcher, self._trunk_changed)
        self.endpoint, self.user_agent = self.signalling.endpoint, self.signalling.user_agent
        self.registrar, self.trunks = self.signalling.registrar, self.signalling.trunks
        self.guard, self.tracer = self.signalling.guard, self.signalling.tracer
        self.known_calls = self.signalling.known_calls

    def _add_business(self) -> None:
        """What calls need, and what is kept and done for customers beside them."""
        edges, storage = self.edges, self.edges.storage
        self.services = Services(
            clock=edges.clock,
            ids=self.ids,
            stream=self.stream,
            settings=self.settings.calls,
            plane=edges.plane,
            user_agent=self.user_agent,
            dispatcher=self.dispatcher,
            pace=self.pace,
            phones_of=self.registrar.bindings,
            customers=storage.customers,
            callers=storage.callers,
            publisher=edges.publisher,
            trunks=self.trunks,
            call_of=self.supervisor.call_of,
            places=self.places,
        )
        self.callbacks = Callbacks(self.services, self.supervisor, storage.callbacks, call_back)
        self.services.callbacks = self.callbacks
        self.do_not_call = DoNotCall(self.services, storage.do_not_call)
        self.do_not_call.on_added = self.callbacks.forbid
        self.services.do_not_call = self.do_not_call
        self.followups = Followups(self.services, storage.followups)
        self.followups.on_counts = self.telling.followups
        self.services.followups = self.followups
        self.recordings = Recordings(
            self.services, storage.recordings, edges.recording_files, recording_key(self.secrets), edges.random
        )
        self.recordings.on_state = self._tell_recordings
        self.services.recordings = self.recordings
        self.paperwork = Paperwork(self.services, storage, self.books)
        self.eraser = Eraser(
            self.services,
            storage.erasure,
            self.recordings,
            storage.recordings,
            storage.callbacks,
            self.books,
            self.supervisor.calls.values,
            edges.random,
        )

    def _add_floor(self) -> None:
        """Where calls are led, and what agents and supervisors may order."""
        clock = self.edges.clock
        self.front_door = FrontDoor(self.services, self.supervisor)
        self.breaks = BreakRules(lambda: self.services.settings, self.acd, self.edges.storage.breaks, clock)
        self.watchdog = Watchdog(self.dispatcher, lambda: self.supervisor.calls, clock)
        self.busy_lines = BusyLines(self.services)
        self.supervisions = Supervisions(self.services, self.busy_lines)
        self.desk = CommandDesk(
            self.dispatcher, lambda: self.services.settings.reasons, self.breaks, self.recordings.command
        )
        self.feature_codes = FeatureCodes(self.services, self.desk, self.busy_lines, self.supervisions)
        self.own_calls = OwnCalls(self.services, self.supervisor)
        self.entries = Entries(self.supervisor.calls.values, self.edges.publisher, topics.agent_entry)
        self.desk.supervise = self.supervisions.order
        self.desk.consult = self.services.consults.order
        self.desk.floor = CallsControl(self.services, self.supervisor, self.own_calls)
        self.desk.in_talk = self.entries.order
        self.desk.preview = self.callbacks.previews.decide
        self.desk.paperwork = self.paperwork
        self.services.dial_own, self.services.obey_code = self.own_calls.take, self.feature_codes.pressed
        self.signalling.lead_to(
            Doors(self.services, self.front_door, self.feature_codes, self.own_calls, self.busy_lines)
        )
        self.mqtt_orders = MqttOrders(self.acd, self.desk, self.services, lambda: self.settings.desk.users)

    def _add_figures(self) -> None:
        """What is counted, and what the floor sees of its queues."""
        self.live_ledger = LiveLedger(self.edges.storage.metrics, lambda: self.acd.plan, self._zone_of, self._group)
        self.quality = QualityLedger()
        self.quality.alarm = self.settings.media.quality_alarm
        self.queue_board = QueueBoard(
            lambda: self.acd.plan,
            self._zone_of,
            self.edges.clock,
            lambda: self.live_ledger.ledger if self.live_ledger.ready else None,
            self.telling.queue,
            self.telling.client,
        )
        self.live_ledger.on_ready = self.queue_board.recount

    def _subscribe(self) -> None:
        """Who reads the facts; each fact is read in this order."""
        storage = self.edges.storage
        for reader in (
            self.callbacks.take,
            self.books.take,
            self.paperwork.take,
            self.places.take,
            FactLogger().take,
            self.known_calls.take,
            self._tell_agent,
            self._own_call_over,
            storage.intents.take,
            storage.breaks.take,
            storage.roster.take,
            storage.recordings.take,
            self.followups.take,
            self.live_ledger.take,
            self._hear_how_it_sounded,
            self.queue_board.take,
            self.pace.take,
        ):
            self.stream.subscribe(reader)

    def _listen_to_broker(self) -> None:
        publisher = self.edges.publisher
        self._broker = BrokerWord(self.stream)
        publisher.on_state = self._broker.take
        publisher.on_command = self.mqtt_orders.of_agent
        publisher.on_supervisor = self.mqtt_orders.of_supervisor
        publisher.supervised = are_supervised(self.settings)
        publisher.on_cleared = self.edges.storage.retained.forget

    async def start(self) -> None:
        """Close the last run's books, take its registrations up, and listen. Raises TransportError, StorageError."""
        before = self.stream.seq
        clients = self.settings.calls.clients.values()
        keep_for = max((each.routing.keep_place_for for each in clients), default=0.0)
        await close_books(self.edges.storage, self.stream, self.books, self.places, self.edges.clock, keep_for)
        # Beside the start: the figures of today are there when the log is read.
        self._catching_up = self._group.create_task(self.live_ledger.catch_up(before), name="read today's figures")
        agents = self.settings.plan.agents
        retained = self.telling.topics(self.settings)
        for topic in await self.edges.storage.retained.others(retained):
            self.edges.publisher.set_state(topic, None)
        self.edges.storage.retained.put(retained)
        self.telling.newcomers(agents, self.followups.counts)
        self.queue_board.refresh()
        self.telling.trunks(self.trunks)
        self.telling.config(self.settings.revision, self.loaded_at, self.loaded_by)
        self.stream.append(SwitchStarted(self.settings.switch.node, __version__, self.settings.revision))
        self._broker.begin()
        await self.paperwork.open()
        left = await self.recordings.open()
        self._tell_recordings()
        # Before any phone is back: it would sign its agent in.
        storage, now = self.edges.storage, self.edges.clock.now()
        await storage.breaks.load_all(agents, now)
        for change in await storage.roster.load_all(agents):
            self.dispatcher.tell(roster_changed(change))
        for agent, (intent, reason) in (await storage.intents.load_all(agents)).items():
            lasts = self.breaks.lasts(agent, reason) if intent is Intent.NOT_READY else None
            self.dispatcher.tell(IntentChosen(agent, intent, reason, "the agent before the restart", lasts))
        await self.signalling.open()
        await storage.do_not_call.load_all()
        await self.callbacks.open()
        self.queue_board.count_planned(self.callbacks.planned)
        await self.followups.open()
        if left:
            # Beside the calls: files may be long, and disks slow.
            self._mending = self._group.create_task(self._finish_recordings(left), name="mend recordings")

    def reconfigure(self, settings: Settings, secrets: Secrets, by: str, at_next_start: Sequence[str] = ()) -> None:
        """Put another configuration in force, whose sounds are ready to be played. Never waits.

        For agents and queues it holds at once, for calls from the next one on: one under way keeps what it began with.
        """
        before, trunks_before = self.acd.plan.agents, [trunk.id for trunk in self.trunks]
        self.settings, self.secrets = settings, secrets
        self.services.settings = settings.calls
        self.edges.publisher.supervised = are_supervised(settings)
        self.loaded_at, self.loaded_by, self.at_next_start = self.edges.clock.now(), by, tuple(at_next_start)
        self.dispatcher.tell(Reconfigured(settings.plan))
        self.dispatcher.decide()
        self.callbacks.reconfigured()
        self.supervisions.reconfigured()
        self.followups.reconfigured()
        for agent in before:
            self._let_go(agent)
        self.telling.newcomers((agent for agent in settings.plan.agents if agent not in before), self.followups.counts)
        for agent in settings.plan.agents:
            if agent not in before and (bindings := self.registrar.bindings(agent)):
                self.signalling.phone_changed(agent, bindings)
        self.queue_board.refresh()
        self.signalling.reconfigure(trunks_before, settings, secrets)
        self.quality.forget(set(settings.trunks))
        for gone in trunks_before:
            if gone not in settings.trunks:
                self.edges.publisher.set_state(topics.trunk_state(gone), None)
        self.telling.trunks(self.trunks)
        self.edges.storage.retained.put(self.telling.topics(settings))
        self.telling.config(self.settings.revision, self.loaded_at, self.loaded_by)
        self._tell_recordings()
        self.stream.append(ConfigReloaded(settings.revision, by))

    def take_calls(self, on: bool) -> None:
        """Whether new calls are taken; else they hear 503 with Retry-After, and so does who asks how we are (OPTIONS).

        The calls that are go on, and phones register: callers who wait are still served.
        """
        self.front_door.draining = self.own_calls.draining = not on
        self.callbacks.suspend(not on)
        self.endpoint.healthy = on
        self.edges.publisher.set_status(Status.ONLINE if on else Status.DRAINING)

    async def go_down(self, reason: str) -> None:
        """End in good order: no new calls, the calls hung up, the last facts told. Done once, however often asked."""
        if self.user_agent.draining:
            return
        self.front_door.draining = self.own_calls.draining = True
        self.feature_codes.close()
        self.supervisions.close()
        self.callbacks.suspend(True)
        self.user_agent.drain()
        self.edges.publisher.set_status(Status.DRAINING)
        self.supervisor.end_all(Ending(Side.SYSTEM, EndCause.SHUTDOWN, 503))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GO_DOWN_PATIENCE):
                await self.supervisor.empty()
                await self.busy_lines.empty()
                await self.recordings.finished()
        self.dispatcher.close()
        self.recordings.close()
        self.paperwork.close()
        for task in (self._catching_up, self._mending):
            if task is not None:
                task.cancel()
        self.queue_board.close()
        self.followups.close()
        self.stream.append(SwitchStopped(reason))
        await self.signalling.close()

    @reads(*(kinds_of(QualityLedger.take) or ()))
    def _hear_how_it_sounded(self, fact: Fact) -> None:
        changed = self.quality.take(fact.body)
        if changed is not None:
            # After this fact, for every reader.
            asyncio.get_running_loop().call_soon(self.stream.append, changed)

    @reads(CallEnded)
    def _own_call_over(self, fact: Fact) -> None:
        """No agent is held by a call that is gone, whatever became of its script."""
        if isinstance(fact.body, CallEnded) and fact.call_id and (agent := self.acd.dialled_by(fact.call_id)):
            self.dispatcher.tell(OwnCallEnded(agent, fact.call_id))

    def _trunk_changed(self, trunk: Trunk) -> None:
        if trunk.up is not None:
            self.stream.append(TrunkStateChanged(trunk.id, trunk.up, trunk.detail))
        self.telling.trunk(trunk)

    def _let_go(self, agent: str) -> bool:
        """Forget the phone and the state of an agent who is gone from the configuration, when their work is done."""
        if agent in self.acd.plan.agents or self.acd.agent(agent) is not None:
            return False
        self.registrar.forget(agent)
        self.telling.agent_states.forget(agent)
        return True

    async def _finish_recordings(self, left: Sequence[Recording]) -> None:
        """What was cut is told in the calls' own records too."""
        for call_id in dict.fromkeys(each.call for each in left):
            if not self.books.knows(call_id):
                self.books.take_up(await self.edges.storage.log.read(0, MAX_FACTS_OF_A_CALL, call_id))
        await self.recordings.finish(left)

    @reads(*(kinds_of(AgentStates.take) or ()))
    def _tell_agent(self, fact: Fact) -> None:
        if not (isinstance(fact.body, AgentStateChanged) and self._let_go(fact.body.agent)):
            self.telling.agent_states.take(fact)

    def _tell_recordings(self) -> None:
        self.telling.recordings(self.recordings.status)

    def _zone_of(self, client: str) -> tzinfo:
        found = self.services.settings.clients.get(client)
        return (found.zone if found is not None else None) or UTC


@contextlib.asynccontextmanager
async def open_house(settings: Settings, secrets: Secrets, edges: Edges) -> AsyncIterator[House]:
    """A switch that runs while the block lasts. The edges are the caller's to open and close."""
    async with asyncio.TaskGroup() as group:
        house = House(settings, secrets, edges, group)
        dispatching = group.create_task(house.dispatcher.run(), name="dispatcher")
        watching = group.create_task(house.watchdog.run(), name="watchdog")
        recording = group.create_task(house.recordings.watch(), name="watch over recordings")
        erasing = group.create_task(house.eraser.watch(), name="erase what was kept long enough")
        try:
            await house.start()
            yield house
        finally:
            await house.go_down("stopped")
            dispatching.cancel()
            watching.cancel()
            recording.cancel()
            erasing.cancel()


def recording_key(secrets: Secrets) -> RecordingKey | None:
    """The key that recordings are encrypted under; None: they are plain."""
    key = secrets.recording_keys.current if secrets.recording_keys is not None else None
    return RecordingKey(key_id(key).hex(), key) if key is not None else None
