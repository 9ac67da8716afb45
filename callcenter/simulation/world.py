"""World: the real switch on simulated edges, in virtual time, with phones to tell stories on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from callcenter.acd.events import Reconfigured
from callcenter.app.edges import Edges
from callcenter.app.house import House, open_house
from callcenter.calls.settings import DialRules
from callcenter.config.secrets import Secrets
from callcenter.media.plane import MediaPlane
from callcenter.media.settings import MediaSettings
from callcenter.model.facts import CallArrived, Fact, StateRepaired
from callcenter.model.interaction import Interaction
from callcenter.publish.publisher import ListPublisher
from callcenter.signaling.trunks.settings import TrunkSecrets, TrunkSettings
from callcenter.simulation import floor
from callcenter.simulation.checks import (
    Leftovers,
    look_at_callers,
    look_at_events,
    look_at_payloads,
    look_for_leftovers,
)
from callcenter.simulation.clock import EPOCH, SimClock, run
from callcenter.simulation.database import SimDatabase
from callcenter.simulation.media import (
    ClipSound,
    MixSound,
    SimEndpointMedia,
    SimMediaPlane,
    SimMediaWorld,
    VoiceSound,
)
from callcenter.simulation.network import SimHost, SimNetwork, Weather
from callcenter.simulation.phone import Phone, PhoneCall
from callcenter.simulation.recording_files import SimRecordingFiles
from callcenter.simulation.resolver import SimResolver
from callcenter.simulation.trunk import SimTrunk
from callcenter.sip.crypto import Security
from callcenter.sip.digest import Credentials
from callcenter.sip.flow import Address, Transport
from callcenter.sip.session_timer import EVERY_HALF_HOUR, SessionTimer
from callcenter.storage.database import StorageError
from callcenter.storage.store import Storage

SWITCH = "10.0.0.1"
PORT = 5060
# Transactions of RFC 3261 live for 32 s and more after the last message.
AFTERLIFE = 60.0

P = TypeVar("P", bound=Phone)


class Voice:
    """A phone's sound in one call: the simulated media under the names that Phone uses."""

    def __init__(self, media: SimEndpointMedia, names: dict[tuple[str, int], str], name: str) -> None:
        self.media = media
        self._names = names
        names[media.address] = name

    def offer(self) -> bytes:
        """Our description as an offer."""
        return self.media.offer()

    def answer(self, offer: bytes) -> bytes:
        """Take an offer; our answer."""
        return self.media.answer(offer)

    def take_answer(self, sdp: bytes) -> None:
        """Take the answer to our offer."""
        self.media.take_answer(sdp)

    def hold(self) -> bytes:
        """The offer that puts the other side on hold."""
        return self.media.hold()

    def resume(self) -> bytes:
        """The offer that takes the other side back."""
        return self.media.resume()

    def press(self, key: str) -> None:
        """Press a key."""
        self.media.press(key)

    def heard(self) -> tuple[str, ...]:
        """What is heard now: paths of clips, and names of those whose voices are heard."""
        match self.media.hears:
            case None:
                return ()
            case MixSound(parts):
                return tuple(sorted(self._told(part) for part in parts))
            case sound:
                return (self._told(sound),)

    def release(self) -> None:
        """The call is over."""
        self.media.close()

    def _told(self, sound: ClipSound | VoiceSound) -> str:
        return sound.now if isinstance(sound, ClipSound) else self._names.get(sound.address, str(sound.address))


class AgentPhone(Phone):
    """An agent's softphone and screen."""

    pops: Callable[[], list[dict[str, Any]]]

    async def screen_pop(self) -> dict[str, Any]:
        """The last pop on this agent's screen. Fails when there is none."""
        pops = self.pops()
        assert pops, f"no screen pop came to {self.name}"
        return pops[-1]


class World:
    """One simulated floor. ``house`` is the switch; it can be restarted over the same database."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        *,
        weather: Weather | None = None,
        max_calls: int = 400,
        max_sessions: int | None = None,
        barge_in: bool = True,
        broker_dead: bool = False,
        transport: Transport = Transport.UDP,
        session_timer: SessionTimer | None = EVERY_HALF_HOUR,
        silence_timeout: float = 60.0,
        media_workers: int = 1,
        begins: datetime = EPOCH,
        zone: ZoneInfo | None = None,
    ) -> None:
        self.loop = loop
        self.random = random
        self.clock = SimClock(loop, begins)
        self.network = SimNetwork(loop, random, weather)
        self.sound = SimMediaWorld()
        self.transport = transport
        self.settings = floor.settings(max_calls, barge_in=barge_in, session_timer=session_timer)
        if zone is not None:
            clients = {name: replace(client, zone=zone) for name, client in self.settings.calls.clients.items()}
            self.settings = replace(self.settings, calls=replace(self.settings.calls, clients=clients))
        self.plan = self.settings.plan
        self.credentials: dict[str, Credentials] = {}
        self.secrets = Secrets(self.credentials, (), b"simulated key of the nonces")
        media = MediaSettings(workers=media_workers, max_sessions=max_sessions, silence_timeout=silence_timeout)
        self.plane = SimMediaPlane(self.sound, media, random)
        self.recording_files = SimRecordingFiles(self.plane.made)
        self.facts: list[Fact] = []
        self.published: list[tuple[str, str]] = []
        """Clients and their days whose figures were published by the end."""
        self.phones: list[Phone] = []
        self.hosts: dict[str, SimHost] = {}
        self.mute_phones: set[str] = set()
        """Names of phones from which no sound comes, in the calls that begin from now on."""
        self.tone_phones: set[str] = set()
        """Names of phones whose keys are tones in the voice, in the calls that begin from now on."""
        self.private_phones: dict[str, Security] = {}
        """Names of phones that speak SRTP in the calls that begin from now on, and whether they insist on it."""
        self.sound_hosts: dict[str, str] = {}
        """By name of the phone: the host that its sound is on, where it is not the phone's own."""
        self.house: House
        self.database: SimDatabase
        self.storage: Storage
        self.publisher: ListPublisher
        self.up = False
        self.crashed_at: list[float] = []
        self.repairs = 0
        """How many times the watchdog is to let somebody go; it has nothing to do on a floor that works."""
        self.carriers: list[SimTrunk] = []
        self.resolver = SimResolver()
        self._broker_dead = broker_dead
        self._before: ListPublisher | None = None
        self._group: asyncio.TaskGroup
        self._served: asyncio.Task[None]
        self._stop: asyncio.Event
        self._names: dict[tuple[str, int], str] = {}
        self._addresses = (f"10.0.1.{number}" for number in itertools.count(1))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        """A floor that runs while the block lasts."""
        self.database = SimDatabase()
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._start()
                yield self
                self._stop.set()
        finally:
            for phone in self.phones:
                await phone.close()
            for carrier in self.carriers:
                await carrier.close()
            await self.plane.close()
            self.database.destroy()

    async def restart(self, *, down: float = 1.0, crash: bool = False) -> None:
        """The switch goes down in good order, or with ``crash`` as if its power failed; it is back after ``down``.

        The database stays, and what the broker has; a crash loses what was not written.
        """
        away, self._before, self._broker_dead = self.database.away, self.publisher, self.publisher.is_dead
        if crash:
            self.hosts[SWITCH].vanish()
            self.database.away = "the power failed"
            self.publisher.die("the power failed")
            self.crashed_at.append(self.clock.monotonic())
        self.up = False
        self._stop.set()
        await self._served
        self.database.away = away
        await asyncio.sleep(down)
        await self._start()

    async def _start(self) -> None:
        """Have a switch that runs, in a task of its own."""
        self._stop = asyncio.Event()
        ready: asyncio.Future[None] = self.loop.create_future()
        self._served = self._group.create_task(self._serve(ready, self._stop), name="the switch")
        await asyncio.wait((ready, self._served), return_when=asyncio.FIRST_COMPLETED)

    async def _serve(self, ready: asyncio.Future[None], stop: asyncio.Event) -> None:
        """Be the switch's process."""
        async with contextlib.AsyncExitStack() as process:
            self.storage = await Storage.over(self.database, clock=self.clock)
            process.push_async_callback(self._close_storage, self.storage)
            self.publisher = ListPublisher(self.storage.log, self.clock, dead=self._broker_dead, random=self.random)
            if self._before is not None:
                self.publisher.take_over(self._before)
            process.push_async_callback(self.publisher.close)
            await self.publisher.start()
            network = self.hosts[SWITCH] = self.network.host(SWITCH, PORT)
            plane, publisher = self.as_plane(), self.publisher
            edges = Edges(
                self.clock,
                self.random,
                network,
                plane,
                self.storage,
                publisher,
                self.recording_files,
                resolver=self.resolver,
            )
            settings = replace(self.settings, plan=self.plan)
            self.house = await process.enter_async_context(open_house(settings, self.secrets, edges))
            self.house.stream.subscribe(self.facts.append)
            self.up = True
            ready.set_result(None)
            await stop.wait()

    async def _close_storage(self, storage: Storage) -> None:
        """What a crash leaves unwritten is lost; nothing else may be."""
        try:
            await storage.close()
        except StorageError:
            if not self.database.away:
                raise

    def as_plane(self) -> MediaPlane:
        """The simulated plane, as the switch knows it."""
        return self.plane

    async def phone(self, number: str, display: str = "", *, transport: Transport | None = None) -> Phone:
        """A caller's phone."""
        return await self._phone(Phone, number, number, display, transport)

    async def agent(self, name: str, **skills: int) -> AgentPhone:
        """An agent who joins the floor, with a registered phone, ready for calls."""
        phone = await self.hire(name, skills)
        await phone.register(name, f"secret of {name}")
        await self.settled()
        return phone

    async def hire(self, name: str, skills: Mapping[str, int], *, transport: Transport | None = None) -> AgentPhone:
        """An agent in the configuration, with a phone that is not registered yet."""
        house = self.house
        self.credentials[name] = Credentials.of(name, house.settings.sip.realm, f"secret of {name}")
        self.plan = floor.with_agent(self.plan, floor.agent(name, skills))
        house.dispatcher.tell(Reconfigured(self.plan))
        languages = {**self.settings.calls.agent_languages, name: "en"}
        self.settings = replace(self.settings, calls=replace(self.settings.calls, agent_languages=languages))
        house.services.settings = replace(house.services.settings, agent_languages=languages)
        phone = await self._phone(AgentPhone, name, name, "", transport)
        phone.pops = functools.partial(self.pops_of, name)
        return phone

    async def carrier(self, name: str, account: tuple[str, str] = ("", ""), *, address: str = "") -> SimTrunk:
        """A carrier's server; it becomes a trunk by :meth:`trunks`."""
        host = self.hosts[name] = self.network.host(address or next(self._addresses), PORT)
        carrier = SimTrunk(
            name,
            host,
            Address(SWITCH, PORT),
            clock=self.clock,
            random=self.random,
            sounds=self._voice,
            account=account,
        )
        self.carriers.append(carrier)
        return await carrier.open()

    def trunks(self, *trunks: TrunkSettings, secrets: Mapping[str, TrunkSecrets] | None = None) -> None:
        """These are the trunks from now on, and the company's calls go out by them, in this order."""
        house = self.house
        by_name = {trunk.id: trunk for trunk in trunks}
        house.trunks.reconfigure(by_name, secrets or {})
        company = floor.calling_out(self.settings.calls.clients[floor.TECH.id], list(by_name))
        clients = {**self.settings.calls.clients, company.id: company}
        house.services.settings = replace(house.services.settings, clients=clients)
        # So does the next run of the switch.
        self.secrets = replace(self.secrets, trunks=secrets or {})
        self.settings = replace(self.settings, calls=replace(self.settings.calls, clients=clients), trunks=by_name)

    def furnish(self, **settings: Any) -> None:
        """Let these settings of calls hold from now on, after a restart too."""
        self.house.services.settings = replace(self.house.services.settings, **settings)
        self.settings = replace(self.settings, calls=replace(self.settings.calls, **settings))

    def permit(self, **rules: DialRules) -> None:
        """These agents may dial by these rules from now on."""
        services = self.house.services
        services.settings = replace(services.settings, may_dial={**services.settings.may_dial, **rules})
        calls = replace(self.settings.calls, may_dial={**self.settings.calls.may_dial, **rules})
        self.settings = replace(self.settings, calls=calls)

    async def connect(self, caller: Phone, agent: Phone) -> PhoneCall:
        """The good call in a word: the caller presses 1, the agent's phone rings, both talk."""
        call = await caller.dial("1000")
        await caller.press("1")
        await agent.rings()
        await agent.answers()
        await caller.hears(agent)
        return call

    def hear_each_other(self, one: Phone, other: Phone) -> bool:
        """Whether both hear the other's voice now."""
        return other.name in one.heard_now() and one.name in other.heard_now()

    def unplug(self, phone: Phone) -> None:
        """The phone is gone from the network and from the sound, without a word."""
        phone.vanish()
        if phone.call is not None and isinstance(phone.call.sound, Voice):
            phone.call.sound.media.vanish()

    def pops_of(self, agent: str) -> list[dict[str, Any]]:
        """The pops that reached an agent's topic, in order."""
        topic = f"callcenter/v1/agents/{agent}/pop"
        return [message.payload for message in self.publisher.messages if message.topic == topic]

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def settled(self) -> None:
        """Let what is under way arrive: a few round trips."""
        await asyncio.sleep(0.25)

    def call_id(self, call: PhoneCall) -> str:
        """The switch's id of a phone's call."""
        for fact in self.facts:
            if isinstance(fact.body, CallArrived) and fact.body.sip_call_id == call.sip_call_id:
                assert fact.call_id is not None
                return fact.call_id
        raise AssertionError(f"{call!r} never arrived at the switch")

    async def interaction(self, call: PhoneCall) -> Interaction:
        """The saved record of a call, which is also what its logged facts fold to."""
        await self.settled()
        call_id = self.call_id(call)
        record = await self.storage.interactions.by_call(call_id)
        assert record is not None, f"{call!r} was not saved"
        told = Interaction.from_facts(await self.storage.log.read(0, 10_000, call_id))
        assert told.plain() == record, "the saved record is not what the facts say"
        return told

    async def leftovers(self) -> Leftovers:
        """What is left over when every call is over and every transaction has had its time."""
        for phone in self.phones:
            phone.registers_no_more()
        await self.house.trunks.close()
        await asyncio.sleep(AFTERLIFE)
        # A phone that was unplugged cannot know that its call is over.
        plugged = [phone.endpoint for phone in self.phones if not self.hosts[phone.name].gone]
        plugged += [carrier.endpoint for carrier in self.carriers if not carrier.host.gone]
        facts = await self.logged()
        days = "SELECT client, day FROM metric_days ORDER BY day, client"
        self.published = [(client, day) for client, day in await self.database.fetch_all(days)]
        found = await look_for_leftovers(self.house, facts, plugged)
        look_at_callers(self.phones, facts, self.crashed_at, found)
        repaired = [str(fact.body) for fact in facts if isinstance(fact.body, StateRepaired)]
        found.expect(len(repaired) == self.repairs, f"the watchdog let go {repaired}")
        look_at_payloads(self.publisher.messages, found)
        if self.publisher.status().connected:
            # What the broker had not acknowledged when the link was lost or the switch stopped is sent again.
            repeats = self._before is not None or self.publisher.deaths > 0
            look_at_events(self.publisher.messages, facts, found, repeats=repeats)
        return found

    async def logged(self) -> list[Fact]:
        """All facts that are in the database, in order: what is true, also of a switch that crashed."""
        facts: list[Fact] = []
        while more := await self.storage.log.read(facts[-1].seq if facts else 0, 10_000):
            facts += more
        return facts

    async def _phone(self, kind: type[P], name: str, number: str, display: str, transport: Transport | None) -> P:
        address = next(self._addresses)
        host = self.hosts[name] = self.network.host(address, PORT)
        phone = kind(
            name,
            host,
            Address(SWITCH, PORT),
            clock=self.clock,
            random=self.random,
            sounds=self._voice,
            number=number,
            display=display,
            transport=transport or self.transport,
        )
        self.phones.append(phone)
        await phone.open()
        return phone

    def _voice(self, name: str, host: str) -> Voice:
        security, here = self.private_phones.get(name), self.sound_hosts.get(name, host)
        media = SimEndpointMedia(self.sound, here, events=name not in self.tone_phones, security=security)
        media.mute = name in self.mute_phones
        return Voice(media, self._names, name)


Story = Callable[[World], Awaitable[None]]


def tell(story: Story, *, seed: int = 0, **floor_plan: Any) -> World:
    """Tell a story on a new floor, in virtual time; afterwards nothing may be left over. Returns the floor.

    ``floor_plan``: what :class:`World` takes.
    """

    async def told() -> World:
        loop = asyncio.get_running_loop()
        async with World(loop, Random(seed), **floor_plan).open() as world:
            await story(world)
            (await world.leftovers()).none_or_fail()
        return world

    return run(told(), seed=seed)


def story(**floor_plan: Any) -> Callable[[Story], Callable[[], None]]:
    """Make a story a plain function that tells it: what a test runner calls."""

    def as_test(told: Story) -> Callable[[], None]:
        def test() -> None:
            tell(told, **floor_plan)

        test.__name__, test.__doc__, test.__module__ = told.__name__, told.__doc__, told.__module__
        return test

    return as_test
