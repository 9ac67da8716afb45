"""Builds the house: the only file that knows every concrete class."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import structlog
import uvloop

from callcenter import __version__
from callcenter.acd.core import Acd
from callcenter.acd.estimate import Pace
from callcenter.acd.events import DeviceChanged, IntentChosen, OwnCallEnded, Reconfigured
from callcenter.acd.roster import roster_changed
from callcenter.acd.settings import QueueSettings
from callcenter.calls.books import Books, closing_facts
from callcenter.calls.breaks import BreakRules
from callcenter.calls.busy_lines import BusyLines
from callcenter.calls.callback import Callbacks
from callcenter.calls.calling_back import call_back
from callcenter.calls.commands import DISPOSITIONS, FIELDS, CommandDesk, is_for_the_desk
from callcenter.calls.dialled import guarded
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.do_not_call import DoNotCall
from callcenter.calls.entry import Entries
from callcenter.calls.erasure import Eraser
from callcenter.calls.facts import FactStream
from callcenter.calls.feature_codes import FeatureCodes
from callcenter.calls.floor_control import CallsControl
from callcenter.calls.followups import Counts, Followups
from callcenter.calls.inbound import FrontDoor
from callcenter.calls.line import LONGEST_KEPT, Places, came_to_nothing
from callcenter.calls.live_ledger import LiveLedger, threshold_ms
from callcenter.calls.own_call import OwnCalls
from callcenter.calls.paperwork import Paperwork
from callcenter.calls.queue_status import QueueBoard, QueueStatus
from callcenter.calls.recordings import RecordingKey, Recordings
from callcenter.calls.services import Services
from callcenter.calls.settings import Supervisor as Superior
from callcenter.calls.supervision import Supervisions
from callcenter.calls.supervisor import Supervisor
from callcenter.calls.watchdog import Watchdog
from callcenter.config.secrets import Secrets
from callcenter.config.settings import Settings
from callcenter.control import SOCKET
from callcenter.control.protocol import MAX_ID, Asked, Reason
from callcenter.control.server import ControlServer
from callcenter.control.sockets import SocketError
from callcenter.control.systemd import Notifier
from callcenter.ledger.quality import QualityLedger
from callcenter.media.embedded.plane import EmbeddedPlane
from callcenter.media.embedded.recorder import mending
from callcenter.media.embedded.recorder.keys import MasterKeys, key_id
from callcenter.media.plane import MediaError, MediaPlane
from callcenter.model.access import Actor, Role
from callcenter.model.facts import (
    AgentStateChanged,
    BrokerStateChanged,
    CallEnded,
    ConfigReloaded,
    Fact,
    QueueLeft,
    SwitchStarted,
    SwitchStopped,
    TrunkStateChanged,
)
from callcenter.model.ids import Ids
from callcenter.model.interaction import Ending
from callcenter.model.states import Device, EndCause, Intent, Side
from callcenter.observe import FactLogger
from callcenter.operate.audit import CommandBooks
from callcenter.operate.commands import Commands
from callcenter.operate.desk_process import DeskProcess
from callcenter.operate.life import Life
from callcenter.operate.paperwork import promises
from callcenter.operate.reload import Reloader
from callcenter.operate.signals import Signals
from callcenter.operate.trace import KnownCalls
from callcenter.operate.watch import Watch
from callcenter.publish import payloads, topics
from callcenter.publish.agent_states import AgentStates
from callcenter.publish.mosquitto import MosquittoBroker
from callcenter.publish.mqtt import BrokerError, MqttPublisher, broker_address
from callcenter.publish.off import NoPublisher
from callcenter.publish.publisher import Publisher, Status
from callcenter.publish.settings import Broker, MqttSettings
from callcenter.runtime import memory
from callcenter.runtime.clock import Clock, SystemClock
from callcenter.runtime.errors import first_error
from callcenter.runtime.lag import LoopLag
from callcenter.signaling.certificates import Keyring, Shown
from callcenter.signaling.doorkeeper import Doorkeeper
from callcenter.signaling.gate import Gate
from callcenter.signaling.leg import Leg
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.registrar_shell import RegistrarShell
from callcenter.signaling.settings import Listen, SipSettings, TlsSettings
from callcenter.signaling.tracer import Tracer
from callcenter.signaling.transport import Network, TransportError
from callcenter.signaling.trunks.board import TrunkBoard
from callcenter.signaling.trunks.gate import TrunkGate
from callcenter.signaling.trunks.resolver import DnsResolver, Resolver
from callcenter.signaling.trunks.trunk import Trunk
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.advertised import Advertised
from callcenter.sip.digest import Credentials, DigestServer
from callcenter.sip.endpoint import Endpoint, Refusal
from callcenter.sip.flow import Flow, Transport
from callcenter.sip.guard import Guard
from callcenter.sip.message import Request
from callcenter.sip.registrar import Binding, Registrar
from callcenter.storage.customer_csv import CustomerFiles
from callcenter.storage.database import StorageError
from callcenter.storage.recording_files import DiskFiles, Mend, Mended, RecordingFiles
from callcenter.storage.recordings import Recording
from callcenter.storage.store import Storage

# Facts of one call: a caller who presses keys all day makes no more than this before a restart closes the books.
MAX_FACTS_OF_A_CALL = 10_000
# What is read at the start, of the last minutes before, to find whose place in line is kept: some tenths of a second.
MAX_FACTS_BEFORE_THE_END = 10_000
MAX_CALLS_BEFORE_THE_END = 500
# How long calls may take to hang up when the switch goes down; what is left is cut.
GO_DOWN_PATIENCE = 5.0
LAST_FACTS_PATIENCE = 1.0
# How long the first callers wait for our own broker to take the states: milliseconds, unless something is wrong.
FIRST_LINK_PATIENCE = 1.0

log = structlog.get_logger()


Told = Mapping[str, Any] | Coroutine[Any, Any, Mapping[str, Any]]


class StartError(Exception):
    """The switch cannot start; one line for the operator."""


@dataclass(frozen=True, slots=True)
class Edges:
    """What touches the world, and what a simulation puts in its place. ``keyring``: where TLS is listened for."""

    clock: Clock
    random: Random
    network: Network
    plane: MediaPlane
    storage: Storage
    publisher: Publisher
    recording_files: RecordingFiles
    keyring: Keyring | None = None
    resolver: Resolver = field(default_factory=DnsResolver)


class House:
    """A running switch."""

    def __init__(self, settings: Settings, secrets: Secrets, edges: Edges, group: asyncio.TaskGroup) -> None:
        self.settings = settings
        self.secrets = secrets
        self.edges = edges
        clock, random, storage = edges.clock, edges.random, edges.storage
        self.started_at = self.loaded_at = clock.now()
        self.loaded_by = "start"
        # Begun where time is real.
        self.lag = LoopLag()
        self.desk_process: DeskProcess | None = None
        self.command_books: CommandBooks | None = None
        # Paths of what was written differently since, and is not in force before the next start.
        self.at_next_start: tuple[str, ...] = ()
        self.ids = Ids(settings.switch.node, clock.now, random)
        self.stream = FactStream(clock, boot=self.ids.new(), last_seq=storage.log.last_seq, write=storage.log.write)
        self.books = Books(storage.interactions.save)
        self.places = Places(clock, self.stream.boot)
        self.acd = Acd(settings.plan, epoch=storage.log.epoch, random=random)
        self.pace = Pace()
        self.answer: Callable[[Asked], Coroutine[Any, Any, Mapping[str, Any]]] | None = None
        """Answers the commands of the control socket, whatever way they came: each once for its id."""
        self.for_programs: frozenset[str] = frozenset()
        """Those that programs may ask for in somebody's name."""
        self.dispatcher = Dispatcher(self.acd, self.stream, clock, storage.log.flushed)
        self.advertised = advertised(settings.sip)
        self.endpoint = Endpoint(
            random=random,
            agent_name=settings.sip.agent_name,
            advertised=self.advertised.address,
            session_timer=settings.sip.session_timer,
        )
        self.supervisor = Supervisor(group)
        sip = settings.sip
        digest = DigestServer(sip.realm, secrets.nonce_key, algorithms=sip.digest)
        self.guard = Guard(sip.guard)
        gate = self.gate = Gate(self.guard, clock)
        self.endpoint.stranger, self.endpoint.on_unreadable = self.guard.stranger, gate.unreadable
        self.registrar = RegistrarShell(
            Registrar(
                min_expires=round(sip.register_min),
                max_expires=round(sip.register_max),
                default_expires=round(sip.register_default),
            ),
            digest,
            self._registering,
            storage.locations,
            clock,
            self._phone_changed,
            gate,
            self._may_register,
        )
        self.user_agent = UserAgent(edges.network, self.endpoint, clock, self._invited, self.registrar.answer)
        self.endpoint.ask_first = self.registrar.ask_first
        self.user_agent.on_connection_lost = self.registrar.connection_lost
        self.user_agent.gate = gate
        self.trunks = TrunkBoard(self.user_agent, edges.resolver, clock, random, self._trunk_changed)
        self._registered_trunks: frozenset[str] = frozenset()
        self._reconfigure_trunks((), settings, secrets)
        self.user_agent.trusted = self.trunks.trusted
        self.tracer = Tracer(clock, sip.trace_messages) if sip.trace_messages else None
        if self.tracer is not None:
            self.user_agent.trace = self.tracer.take
        self.known_calls = KnownCalls()
        self.user_agent.on_dial = self.known_calls.dialled
        self.services = Services(
            clock=clock,
            ids=self.ids,
            stream=self.stream,
            settings=settings.calls,
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
        self.stream.subscribe(self.callbacks.take)
        self.do_not_call = DoNotCall(self.services, storage.do_not_call)
        self.do_not_call.on_added = self.callbacks.forbid
        self.services.do_not_call = self.do_not_call
        self.followups = Followups(self.services, storage.followups)
        self.followups.on_counts = self._publish_followups
        self.services.followups = self.followups
        self.recordings = Recordings(
            self.services, storage.recordings, edges.recording_files, recording_key(secrets), random
        )
        self.recordings.on_state = self._publish_recordings
        self._recordings_told: dict[str, object] = {}
        self.services.recordings = self.recordings
        self.eraser = Eraser(
            self.services,
            storage.erasure,
            self.recordings,
            storage.recordings,
            storage.callbacks,
            self.books,
            self.supervisor.calls.values,
            random,
        )
        self.front_door = FrontDoor(self.services, self.supervisor)
        self.breaks = BreakRules(lambda: self.services.settings, self.acd, storage.breaks, clock)
        self.desk = CommandDesk(
            self.dispatcher, lambda: self.services.settings.reasons, self.breaks, self.recordings.command
        )
        self.watchdog = Watchdog(self.dispatcher, lambda: self.supervisor.calls, clock)
        self.busy_lines = BusyLines(self.services)
        self.supervisions = Supervisions(self.services, self.busy_lines)
        self.desk.supervise = self.supervisions.order
        self.feature_codes = FeatureCodes(self.services, self.desk, self.busy_lines, self.supervisions)
        self.own_calls = OwnCalls(self.services, self.supervisor)
        self.desk.consult = self.services.consults.order
        self.desk.floor = CallsControl(self.services, self.supervisor, self.own_calls)
        self.entries = Entries(self.supervisor.calls.values, edges.publisher, topics.agent_entry)
        self.desk.in_talk = self.entries.order
        self.desk.preview = self.callbacks.decide
        self.services.dial_own, self.services.obey_code = self.own_calls.take, self.feature_codes.pressed
        self.doorkeeper = Doorkeeper(digest, self._credentials_of, clock, self._is_for_ours, gate)
        self.endpoint.screen = TrunkGate(self.trunks, digest, clock, self._screen, gate).screen
        self.paperwork = Paperwork(self.services, storage, self.books)
        self.desk.paperwork = self.paperwork
        self.stream.subscribe(self.books.take)
        self.stream.subscribe(self.paperwork.take)
        self.stream.subscribe(self.places.take)
        self.stream.subscribe(FactLogger().take)
        self.stream.subscribe(self.known_calls.take)
        self.agent_states = AgentStates(edges.publisher.set_state)
        self.stream.subscribe(self._publish_state)
        self.stream.subscribe(self._own_call_over)
        self.stream.subscribe(storage.intents.take)
        self.stream.subscribe(storage.breaks.take)
        self.stream.subscribe(storage.roster.take)
        self.stream.subscribe(storage.recordings.take)
        self.stream.subscribe(self.followups.take)
        self.live_ledger = LiveLedger(storage.metrics, lambda: self.acd.plan, self._zone_of, group)
        self.stream.subscribe(self.live_ledger.take)
        self.quality = QualityLedger()
        self.quality.alarm = settings.media.quality_alarm
        self.stream.subscribe(self._hear_how_it_sounded)
        self.queue_board = QueueBoard(
            lambda: self.acd.plan,
            self._zone_of,
            clock,
            lambda: self.live_ledger.ledger if self.live_ledger.ready else None,
            self._publish_queue,
            self._publish_client,
        )
        self.live_ledger.on_ready = self.queue_board.recount
        self._group = group
        # The start is the first fact of all; a broker may be there earlier.
        self._started = False
        self._broker_before: BrokerStateChanged | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self.stream.subscribe(self.queue_board.take)
        self.stream.subscribe(self.pace.take)
        edges.publisher.on_state = self._broker_changed
        edges.publisher.on_command = self._commanded
        edges.publisher.on_supervisor = self._supervisor_commanded
        edges.publisher.supervised = are_supervised(settings)
        edges.publisher.on_cleared = storage.retained.forget

    async def start(self) -> None:
        """Close the last run's books, take its registrations up, and listen. Raises TransportError, StorageError."""
        before = self.stream.seq
        await self._close_books()
        # Beside the start: the figures of today are there when the log is read.
        self._catching_up = self._group.create_task(self.live_ledger.catch_up(before), name="read today's figures")
        agents = self.settings.plan.agents
        retained = self._retained()
        for topic in await self.edges.storage.retained.others(retained):
            self.edges.publisher.set_state(topic, None)
        self.edges.storage.retained.put(retained)
        self._publish_newcomers(agents)
        self.queue_board.refresh()
        self._publish_trunks()
        self._publish_config()
        self.stream.append(SwitchStarted(self.settings.switch.node, __version__, self.settings.revision))
        self._started = True
        if self._broker_before is not None:
            self.stream.append(self._broker_before)
        await self.paperwork.open()
        left = await self.recordings.open()
        self._publish_recordings()
        # Before any phone is back: it would sign its agent in.
        storage, now = self.edges.storage, self.edges.clock.now()
        await storage.breaks.load_all(agents, now)
        for change in await storage.roster.load_all(agents):
            self.dispatcher.tell(roster_changed(change))
        for agent, (intent, reason) in (await storage.intents.load_all(agents)).items():
            lasts = self.breaks.lasts(agent, reason) if intent is Intent.NOT_READY else None
            self.dispatcher.tell(IntentChosen(agent, intent, reason, "the agent before the restart", lasts))
        await self.user_agent.open()
        self.advertised.listening = ports_by_transport(self.edges.network.listeners)
        await self.registrar.open()
        self.trunks.open()
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
        self._publish_newcomers(agent for agent in settings.plan.agents if agent not in before)
        for agent in settings.plan.agents:
            if agent not in before and (bindings := self.registrar.bindings(agent)):
                self._phone_changed(agent, bindings)
        self.queue_board.refresh()
        self._reconfigure_trunks(trunks_before, settings, secrets)
        self.quality.forget(set(settings.trunks))
        for gone in trunks_before:
            if gone not in settings.trunks:
                self.edges.publisher.set_state(topics.trunk_state(gone), None)
        self._publish_trunks()
        self.edges.storage.retained.put(self._retained())
        self._publish_config()
        self._publish_recordings()
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
        self.registrar.close()
        self.gate.close()
        await self.trunks.close()
        await self.user_agent.close()

    async def _close_books(self) -> None:
        storage = self.edges.storage
        unfinished = await storage.interactions.unfinished()
        down_for = await self._keep_places(unfinished)
        for call_id in unfinished:
            facts = await storage.log.read(0, MAX_FACTS_OF_A_CALL, call_id)
            self.books.take_up(facts)
            if down_for <= LONGEST_KEPT:
                self.places.take_up(facts, down_for)
            alive = await storage.log.last_ms(facts[0].boot)
            for draft in closing_facts(facts, alive):
                self.stream.append(draft.body, draft.call_id)

    async def _keep_places(self, unfinished: Collection[str]) -> float:
        """Let who hung up or was cut off just before the end of the last run come back to the place in line.

        Returns how long that end is ago, in seconds.
        """
        log, end = self.edges.storage.log, await self.edges.storage.log.last_at()
        if end is None:
            return 0.0
        down_for = max(0.0, (self.edges.clock.now() - end).total_seconds())
        keep_for = max((each.routing.keep_place_for for each in self.settings.calls.clients.values()), default=0.0)
        if not keep_for or down_for > LONGEST_KEPT:
            return down_for
        left = await log.since(end - timedelta(seconds=keep_for), QueueLeft, MAX_FACTS_BEFORE_THE_END)
        gone = dict.fromkeys(fact.call_id for fact in left if came_to_nothing(fact) and fact.call_id not in unfinished)
        for call_id in list(filter(None, gone))[-MAX_CALLS_BEFORE_THE_END:]:
            self.places.take_up(await log.read(0, MAX_FACTS_OF_A_CALL, call_id), down_for)
        return down_for

    def _screen(self, request: Request, flow: Flow) -> str | Refusal:
        """Who calls. What a stranger cannot reach is refused before anything of it is kept: nothing is repeated.

        Replaces (RFC 3891) names a dialog, and not by the number.
        """
        user = self.doorkeeper.screen(request, flow)
        if not user and self.guard.stranger(flow) and "Replaces" not in request.headers:
            return self.front_door.refusal(request.uri.number_or_user, flow.remote.host) or user
        return user

    def _invited(self, leg: Leg) -> None:
        if not leg.max_forwards:
            # A phone that refused it for that would look broken, and whoever calls could have all agents look so.
            leg.reject(483)
        elif leg.trunk:
            # Whoever comes by a trunk reaches the numbers that are dialled in, and nothing that only agents may.
            if self.trunks.take(leg):
                self.front_door.take(leg)
        elif not self.feature_codes.take(leg) and not self.own_calls.take(leg):
            self.front_door.take(leg)

    def _is_for_ours(self, dialled: str) -> bool:
        """Whether only agents may dial this, and prove it."""
        return self.feature_codes.known(dialled) or guarded(self.services.settings, dialled)

    def _hear_how_it_sounded(self, fact: Fact) -> None:
        changed = self.quality.take(fact.body)
        if changed is not None:
            # After this fact, for every reader.
            asyncio.get_running_loop().call_soon(self.stream.append, changed)

    def _own_call_over(self, fact: Fact) -> None:
        """No agent is held by a call that is gone, whatever became of its script."""
        if isinstance(fact.body, CallEnded) and fact.call_id and (agent := self.acd.dialled_by(fact.call_id)):
            self.dispatcher.tell(OwnCallEnded(agent, fact.call_id))

    def _phone_changed(self, agent: str, bindings: tuple[Binding, ...]) -> None:
        self.guard.know(agent, [binding.flow.remote for binding in bindings])
        if (trunk := self.trunks.registering(agent)) is not None:
            trunk.registered(bindings)
            return
        if bindings:
            device = Device.BUSY_ELSEWHERE if self.busy_lines.occupied(agent) else Device.REGISTERED
            self.dispatcher.tell(DeviceChanged(agent, device, "phone registered"))
        else:
            self.dispatcher.tell(DeviceChanged(agent, Device.UNREACHABLE, "no phone registered any more"))

    def _commanded(self, agent: str, command: Mapping[str, Any]) -> Told:
        if is_for_the_desk(command) or agent not in self.acd.plan.agents:
            told = self.desk.take(command, by="agent over MQTT", agent=agent)
            self._ordered(command, Actor(agent, Role.AGENT, agent=agent), told)
            return told
        clients = self.acd.who(agent).clients
        return self._business(command, Actor(agent, Role.AGENT, clients, agent=agent))

    def _supervisor_commanded(self, login: str, command: Mapping[str, Any]) -> Told:
        """Who may write to a supervisor's topic is the broker's to prove; whom she may command for is ours."""
        supervisor, role = self.services.settings.supervisors.get(login), Role.SUPERVISOR
        user = self.settings.desk.users.get(login)
        if supervisor is None and user is not None and user.role is Role.ADMIN:
            supervisor, role = Superior(login, user.name, user.clients), Role.ADMIN
        if supervisor is None:
            error = f"no supervisor is named `{login}`"
            return {"id": command.get("id"), "ok": False, "error": error, "reason": Reason.FORBIDDEN.value}
        if is_for_the_desk(command):
            told = self.desk.take(command, by=f"{role} {supervisor.id} over MQTT", supervisor=supervisor)
            self._ordered(command, Actor(login, role, supervisor.clients), told)
            return told
        return self._business(command, Actor(login, role, supervisor.clients, agent=supervisor.agent))

    def _ordered(self, command: Mapping[str, Any], actor: Actor, told: Mapping[str, Any]) -> None:
        """An order of the moment goes into the books as one that came by the socket does."""
        do, name = command.get("do"), command.get("id")
        if self.command_books is None or not isinstance(do, str) or do not in FIELDS or do == DISPOSITIONS:
            return
        fields = {key: value for key, value in command.items() if key not in ("id", "do")}
        asked = Asked(do, f"{actor.role} {actor.user}", str(name), fields, actor, via="mqtt")
        self.command_books.ordered(asked, told)

    def _business(self, command: Mapping[str, Any], actor: Actor) -> Told:
        """What is no order of the moment, but said of what is kept: it goes where the desk's requests go too."""
        fields = {name: value for name, value in command.items() if name not in ("id", "do", "as")}
        do, name = command.get("do"), command.get("id")
        named = isinstance(name, str) and 0 < len(name) <= MAX_ID
        if self.answer is None or not isinstance(do, str) or do not in self.for_programs or not named:
            # The desk has the words for it.
            return self.desk.take(command, by=str(actor.role))
        return self.answer(Asked(do, f"{actor.role} {actor.user}", str(name), fields, actor, via="mqtt"))

    def _broker_changed(self, connected: bool, detail: str) -> None:
        state = BrokerStateChanged(connected, detail)
        if self._started:
            self.stream.append(state)
        else:
            self._broker_before = state

    def _reconfigure_trunks(self, before: Iterable[str], settings: Settings, secrets: Secrets) -> None:
        """Put the trunks in force; who is named there as one is no stranger to the guard."""
        self.trunks.reconfigure(settings.trunks, secrets.trunks)
        for name in before:
            self.guard.trust(name, ())
        for user in self._registered_trunks - users_here(settings):
            self.registrar.forget(user)
        self._registered_trunks = users_here(settings)
        for user in self._registered_trunks:
            if bindings := self.registrar.bindings(user):
                self._phone_changed(user, bindings)
        for name, trunk in settings.trunks.items():
            self.guard.trust(name, tuple(trunk.accept.networks))

    def _trunk_changed(self, trunk: Trunk) -> None:
        if trunk.up is not None:
            self.stream.append(TrunkStateChanged(trunk.id, trunk.up, trunk.detail))
        self._publish_trunk(trunk)

    def _credentials_of(self, user: str) -> Credentials | None:
        return self.secrets.credentials.get(user)

    def _may_register(self, user: str, flow: Flow) -> bool:
        return self.trunks.may_register(user, flow)

    def _registering(self, user: str) -> Credentials | None:
        """What is known of who registers: an agent's phone, or a trunk that may."""
        trunk = self.trunks.registering(user)
        return trunk.secrets.account if trunk is not None else self._credentials_of(user)

    def _let_go(self, agent: str) -> bool:
        """Forget the phone and the state of an agent who is gone from the configuration, when their work is done."""
        if agent in self.acd.plan.agents or self.acd.agent(agent) is not None:
            return False
        self.registrar.forget(agent)
        self.agent_states.forget(agent)
        return True

    def _retained(self) -> tuple[str, ...]:
        """The topics that hold a state of ours."""
        return (
            *map(topics.agent_state, self.acd.plan.agents),
            *map(topics.queue_state, self.acd.plan.queues),
            *map(topics.client_state, {queue.client: None for queue in self.acd.plan.queues.values()}),
            *map(topics.trunk_state, self.settings.trunks),
            topics.CONFIG,
            topics.RECORDINGS,
            *map(topics.agent_entry, self.acd.plan.agents),
            *map(topics.agent_followups, self.acd.plan.agents),
        )

    def _publish_newcomers(self, agents: Iterable[str]) -> None:
        agents = tuple(agents)
        for agent in agents:
            # What a crash has left there is asked no more.
            self.edges.publisher.set_state(topics.agent_entry(agent), None)
            self._publish_followups(agent, self.followups.counts(agent))
        self.agent_states.begin(agents, self.edges.clock.now())

    def _publish_followups(self, agent: str, counts: Counts) -> None:
        there = agent in self.acd.plan.agents and counts != Counts()
        told = payloads.agent_followups(agent, counts.open, counts.due, counts.overdue, at=self.edges.clock.now())
        self.edges.publisher.set_state(topics.agent_followups(agent), told if there else None)

    def _publish_trunks(self) -> None:
        for trunk in self.trunks:
            self._publish_trunk(trunk)

    def _publish_trunk(self, trunk: Trunk) -> None:
        state = payloads.trunk_state(trunk.id, up=trunk.up, detail=trunk.detail, at=trunk.since)
        self.edges.publisher.set_state(topics.trunk_state(trunk.id), state)

    def _publish_config(self) -> None:
        config = payloads.config_state(self.settings.revision, loaded_at=self.loaded_at, by=self.loaded_by)
        self.edges.publisher.set_state(topics.CONFIG, config)

    def _publish_recordings(self) -> None:
        state = self.recordings.status
        failure, told_failure = state.last_failure, None
        if failure is not None:
            told_failure = payloads.failure_told(failure.at, failure.call, failure.reason, failure.detail)
        told = payloads.recordings_state(
            on=state.on,
            enough=state.enough,
            free=state.space.free if state.space is not None else None,
            wanted=state.wanted,
            detail=state.detail,
            failures=state.failures,
            last_failure=told_failure,
            at=self.edges.clock.now(),
        )
        # Since when it is so: a reload that changes nothing of it is no news.
        if told | {"at": ""} != self._recordings_told:
            self._recordings_told = told | {"at": ""}
            self.edges.publisher.set_state(topics.RECORDINGS, told)

    async def _finish_recordings(self, left: Sequence[Recording]) -> None:
        """What was cut is told in the calls' own records too."""
        for call_id in dict.fromkeys(each.call for each in left):
            if not self.books.knows(call_id):
                self.books.take_up(await self.edges.storage.log.read(0, MAX_FACTS_OF_A_CALL, call_id))
        await self.recordings.finish(left)

    def _publish_state(self, fact: Fact) -> None:
        if not (isinstance(fact.body, AgentStateChanged) and self._let_go(fact.body.agent)):
            self.agent_states.take(fact)

    def _publish_queue(self, queue: QueueSettings, status: QueueStatus | None) -> None:
        topic = topics.queue_state(queue.id)
        if status is None:
            self.edges.publisher.set_state(topic, None)
            return
        state = payloads.queue_state(
            queue.id,
            line_state(status),
            client=queue.client,
            threshold_ms=threshold_ms(queue),
            at=self.edges.clock.now(),
        )
        self.edges.publisher.set_state(topic, state)

    def _publish_client(self, client: str, status: QueueStatus | None) -> None:
        state = payloads.client_state(client, line_state(status), at=self.edges.clock.now()) if status else None
        self.edges.publisher.set_state(topics.client_state(client), state)

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


def are_supervised(settings: Settings) -> bool:
    """Whether anybody may command for agents over MQTT."""
    return bool(settings.calls.supervisors) or any(user.mqtt for user in settings.desk.users.values())


def line_state(status: QueueStatus) -> payloads.LineState:
    """What is published of a queue's status."""
    today = status.today
    return payloads.LineState(
        waiting=status.waiting,
        callbacks=status.callbacks,
        planned=status.planned,
        longest_since=status.longest_since,
        ready=status.ready,
        signed_in=status.signed_in,
        talking=status.talking,
        agents=dict(status.agents),
        offered=today.offered,
        answered=today.answered,
        abandoned=today.abandoned,
        asa_ms=today.asa_ms,
        service_level=today.service_level,
        service_level_20s=today.service_level_20s,
    )


def recording_key(secrets: Secrets) -> RecordingKey | None:
    """The key that recordings are encrypted under; None: they are plain."""
    key = secrets.recording_keys.current if secrets.recording_keys is not None else None
    return RecordingKey(key_id(key).hex(), key) if key is not None else None


def mender(keys: MasterKeys | None) -> Mend:
    """How a file of the embedded plane is finished that a crash has cut."""

    def mend(path: Path) -> Mended | None:
        try:
            whole = mending.mend(path, keys)
        except FileNotFoundError:
            return None
        except mending.BadRecording as error:
            raise OSError(str(error)) from error
        return None if whole is None else Mended(Path(whole.path), whole.seconds, whole.octets, whole.sha256)

    return mend


def users_here(settings: Settings) -> frozenset[str]:
    """As whom trunks register here."""
    accounts = (trunk.accept.account for trunk in settings.trunks.values() if trunk.register_here)
    return frozenset(account.user for account in accounts if account is not None)


def advertised(sip: SipSettings) -> Advertised:
    """What we call ourselves towards peers."""
    listeners = {(Transport[each.transport.upper()], each.port): each.advertised for each in sip.listen}
    mapped = {at: outside for at, outside in listeners.items() if outside is not None}
    return Advertised(sip.advertised, sip.local_networks, mapped)


def ports_by_transport(listeners: Iterable[Listen]) -> dict[Transport, tuple[int, ...]]:
    """Where each transport is listened on."""
    ports: dict[Transport, tuple[int, ...]] = {}
    for each in listeners:
        transport = Transport[each.transport.upper()]
        ports[transport] = (*ports.get(transport, ()), each.port)
    return ports


@dataclass(frozen=True, slots=True)
class Ready:
    """The switch takes calls: where it listens (with the true ports), its broker, if it runs one, and its socket.

    ``certificate``: the one that it shows by TLS to who names no server, where it listens for TLS. ``desk``: where the
    desk is asked on this machine; empty: there is none.
    """

    listeners: tuple[Listen, ...]
    broker: tuple[str, int] | None
    control: Path
    certificate: Shown | None = None
    desk: str = ""


def run(
    settings: Settings,
    secrets: Secrets,
    *,
    on_ready: Callable[[Ready], None],
    load: Callable[[], Settings],
    hangup_reloads: bool = False,
    desk: Sequence[str] = (),
) -> None:
    """Run a switch until it is told to end. Raises StartError when it cannot start.

    ``load`` reads the configuration again, for a reload. SIGINT and SIGTERM drain, and the second one ends. SIGHUP ends
    (the terminal was closed), or with ``hangup_reloads`` reloads. ``desk`` is how the desk is started beside it.
    """
    uvloop.run(serve(settings, secrets, on_ready, load, hangup_reloads=hangup_reloads, desk=desk))


async def serve(
    settings: Settings,
    secrets: Secrets,
    on_ready: Callable[[Ready], None],
    load: Callable[[], Settings],
    *,
    hangup_reloads: bool = False,
    desk: Sequence[str] = (),
) -> None:
    """Open the real edges, the house within them, the control socket, and live until the end is asked for."""
    life = Life(Notifier.from_environment())
    signals = Signals(life)
    refused: BaseException | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(life.close)
            edges, broker = await open_edges(settings, secrets, stack)
            house = await stack.enter_async_context(open_house(settings, secrets, edges))
            reloader = Reloader(house, life, load, broker)
            if hangup_reloads:
                signals.hangup_reloads(reloader)
            commands = Commands(house, life, reloader)
            house.paperwork.on_owed = promises(house, commands.all)
            control = ControlServer(settings.switch.data / SOCKET, commands.all(), edges.storage.log)
            control.books = house.command_books = CommandBooks(house)
            house.answer, house.for_programs = control.answer, commands.for_programs()
            await control.open()
            stack.push_async_callback(control.close)
            if desk and settings.desk.enabled:
                house.desk_process = DeskProcess(desk, settings.desk.host, settings.desk.port)
                stack.push_async_callback(house.desk_process.close)
                house.desk_process.start()
            if broker is not None and broker.running:
                # So that the first caller has a screen pop; a broker that is slow keeps nobody from calling.
                await edges.publisher.ready(FIRST_LINK_PATIENCE)
            house.lag.begin()
            stack.callback(house.lag.close)
            watch = Watch(reloader, lambda: house.settings)
            stack.callback(watch.close)
            watch.begin()
            life.begin(house)
            address = (broker.host, broker.port) if broker is not None and broker.running else None
            memory.settle()
            shown = edges.keyring.current.shown[0] if edges.keyring is not None else None
            url = house.desk_process.url if house.desk_process is not None else ""
            on_ready(Ready(house.user_agent.network.listeners, address, control.path, shown, url))
            reason = await life.over()
            log.info("going down", reason=reason, calls=len(house.supervisor.calls))
            await house.go_down(reason)
            # Whoever follows the events hears the last ones too.
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(LAST_FACTS_PATIENCE):
                    await edges.storage.log.flushed(house.stream.seq)
    except* (StorageError, MediaError, TransportError, BrokerError, SocketError) as errors:
        # Not raised from here: what an except* raises is a group again, in some versions of Python 3.11.
        refused = first_error(errors)
    if refused is not None:
        raise StartError(str(refused)) from refused


async def open_edges(
    settings: Settings, secrets: Secrets, stack: contextlib.AsyncExitStack
) -> tuple[Edges, MosquittoBroker | None]:
    """The real world: database, broker, media workers and sockets, each closed by ``stack``."""
    clock, random = SystemClock(), SystemRandom()
    storage = await Storage.open(settings.storage.path, clock=clock, on_state=storage_changed)
    stack.push_async_callback(close_storage, storage)
    if settings.customers is not None:
        rules = {name: each.customers for name, each in settings.calls.clients.items()}
        report = await CustomerFiles(storage.database, rules).import_changed(settings.customers, clock.now())
        for row in report.rejected if report is not None else ():
            log.warning("customer left out", row=str(row))
    plane = EmbeddedPlane(settings.media)
    stack.push_async_callback(plane.close)
    broker = None
    if settings.mqtt.broker is Broker.EMBEDDED:
        broker = MosquittoBroker(
            settings.switch.data / "mosquitto",
            secrets.logins,
            host=settings.mqtt.host,
            port=settings.mqtt.port,
            on_state=broker_changed,
        )
        stack.push_async_callback(broker.close)
    keyring = keyring_for(settings, clock)
    # They start programs, and wait for them: together, and what reads files beside them.
    async with asyncio.TaskGroup() as starting:
        starting.create_task(plane.start(), name="start media workers")
        if broker is not None:
            starting.create_task(broker.start(), name="start the broker")
        if keyring is not None:
            starting.create_task(open_keyring(keyring, settings.sip.tls), name="read the certificates")
    await plane.prepare(settings.calls.prompts.clips())
    publisher = make_publisher(settings.mqtt, broker, storage, clock)
    stack.push_async_callback(publisher.close)
    await publisher.start()
    network = SipNetwork(settings.sip.listen, clock, keyring)
    files = DiskFiles(mender(secrets.recording_keys))
    return Edges(clock, random, network, plane, storage, publisher, files, keyring), broker


def keyring_for(settings: Settings, clock: Clock) -> Keyring | None:
    """A keyring with nothing in it, where TLS is listened for."""
    listen = [each for each in settings.sip.listen if each.transport == "tls"]
    if not listen:
        return None
    hosts = [settings.switch.node, *settings.sip.advertised, *(each.host for each in listen)]
    return Keyring(settings.switch.data / "tls", [host for host in hosts if host not in ("0.0.0.0", "::")], clock)


async def open_keyring(keyring: Keyring, settings: TlsSettings) -> None:
    """Read the certificates, or make one. Raises TransportError."""
    keyring.use(await asyncio.to_thread(keyring.load, settings))


def make_publisher(settings: MqttSettings, broker: MosquittoBroker | None, storage: Storage, clock: Clock) -> Publisher:
    """The publisher that the configuration asks for. Raises BrokerError."""
    if broker is None and settings.broker is Broker.OFF:
        return NoPublisher(storage.log)
    address = broker.address if broker is not None else broker_address(settings)
    return MqttPublisher(address, storage.log, clock, client_id=settings.client_id)


def storage_changed(healthy: bool, detail: str) -> None:
    """Say that the database fails, or works again."""
    if healthy:
        log.info("database works again")
    else:
        log.error("database fails: no new offers until it works; calls go on", detail=detail)


async def close_storage(storage: Storage) -> None:
    """Write the last word; what could not be written is said, and does not keep the switch from going down."""
    try:
        await storage.close()
    except StorageError as error:
        log.error("not everything was written", detail=str(error))


def broker_changed(running: bool, detail: str) -> None:
    """Say that our own broker runs, or why it does not."""
    if not running:
        log.warning("the MQTT broker does not run: calls go on without screen pops", detail=detail)
    elif detail:
        log.info("the MQTT broker runs", detail=detail)
