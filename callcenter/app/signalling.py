"""Signalling: everything of SIP, who may speak to us, and where whoever calls is led."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from callcenter.acd.events import DeviceChanged
from callcenter.app.edges import Edges
from callcenter.calls.busy_lines import BusyLines
from callcenter.calls.dialled import guarded
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.feature_codes import FeatureCodes
from callcenter.calls.inbound import FrontDoor
from callcenter.calls.own_call import OwnCalls
from callcenter.calls.services import Services
from callcenter.config.secrets import Secrets
from callcenter.config.settings import Settings
from callcenter.model.states import Device
from callcenter.operate.trace import KnownCalls
from callcenter.signaling.doorkeeper import Doorkeeper
from callcenter.signaling.gate import Gate
from callcenter.signaling.leg import Leg
from callcenter.signaling.registrar_shell import RegistrarShell
from callcenter.signaling.settings import Listen, SipSettings
from callcenter.signaling.tracer import Tracer
from callcenter.signaling.trunks.board import TrunkBoard
from callcenter.signaling.trunks.gate import TrunkGate
from callcenter.signaling.trunks.trunk import Trunk
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.advertised import Advertised
from callcenter.sip.digest import Credentials, DigestServer
from callcenter.sip.endpoint import Endpoint, Refusal
from callcenter.sip.flow import Flow, Transport
from callcenter.sip.guard import Guard
from callcenter.sip.message import Request
from callcenter.sip.registrar import Binding, Registrar


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a call from outside or from one of our phones is led; ``busy_lines`` knows who talks on a phone of ours."""

    services: Services
    front_door: FrontDoor
    feature_codes: FeatureCodes
    own_calls: OwnCalls
    busy_lines: BusyLines


class Signalling:
    """The transports with all that is between them and the calls. ``on_trunk`` is told of trunks that come and go.

    Nobody is let in before ``lead_to``.
    """

    _doors: Doors

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        edges: Edges,
        dispatcher: Dispatcher,
        on_trunk: Callable[[Trunk], None],
    ) -> None:
        sip, clock, random = settings.sip, edges.clock, edges.random
        self._secrets = secrets
        self._network = edges.network
        self._dispatcher = dispatcher
        self._clock = clock
        self._digest = DigestServer(sip.realm, secrets.nonce_key, algorithms=sip.digest)
        self.advertised = advertised(sip)
        self.endpoint = Endpoint(
            random=random,
            agent_name=sip.agent_name,
            advertised=self.advertised.address,
            session_timer=sip.session_timer,
        )
        self.guard = Guard(sip.guard)
        self.gate = Gate(self.guard, clock)
        self.endpoint.stranger, self.endpoint.on_unreadable = self.guard.stranger, self.gate.unreadable
        self.registrar = RegistrarShell(
            Registrar(
                min_expires=round(sip.register_min),
                max_expires=round(sip.register_max),
                default_expires=round(sip.register_default),
            ),
            self._digest,
            self._registering,
            edges.storage.locations,
            clock,
            self.phone_changed,
            self.gate,
            self._may_register,
        )
        self.user_agent = UserAgent(edges.network, self.endpoint, clock, self._invited, self.registrar.answer)
        self.endpoint.ask_first = self.registrar.ask_first
        self.user_agent.on_connection_lost = self.registrar.connection_lost
        self.user_agent.gate = self.gate
        self.trunks = TrunkBoard(self.user_agent, edges.resolver, clock, random, on_trunk)
        self._registered_trunks: frozenset[str] = frozenset()
        self.reconfigure((), settings, secrets)
        self.user_agent.trusted = self.trunks.trusted
        self.tracer = Tracer(clock, sip.trace_messages) if sip.trace_messages else None
        if self.tracer is not None:
            self.user_agent.trace = self.tracer.take
        self.known_calls = KnownCalls()
        self.user_agent.on_dial = self.known_calls.dialled

    def lead_to(self, doors: Doors) -> None:
        """Whoever calls from now on is led there, or has to prove first who they are."""
        self._doors = doors
        self._doorkeeper = Doorkeeper(self._digest, self._credentials_of, self._clock, self._is_for_ours, self.gate)
        self.endpoint.screen = TrunkGate(self.trunks, self._digest, self._clock, self._screen, self.gate).screen

    async def open(self) -> None:
        """Listen, and take up the registrations of before. Raises TransportError, StorageError."""
        await self.user_agent.open()
        self.advertised.listening = ports_by_transport(self._network.listeners)
        await self.registrar.open()
        self.trunks.open()

    async def close(self) -> None:
        """Nobody is heard any more."""
        self.registrar.close()
        self.gate.close()
        await self.trunks.close()
        await self.user_agent.close()

    def reconfigure(self, before: Iterable[str], settings: Settings, secrets: Secrets) -> None:
        """Put the trunks in force; who is named there as one is no stranger to the guard. ``before``: their names."""
        self._secrets = secrets
        self.trunks.reconfigure(settings.trunks, secrets.trunks)
        for name in before:
            self.guard.trust(name, ())
        for user in self._registered_trunks - users_here(settings):
            self.registrar.forget(user)
        self._registered_trunks = users_here(settings)
        for user in self._registered_trunks:
            if bindings := self.registrar.bindings(user):
                self.phone_changed(user, bindings)
        for name, trunk in settings.trunks.items():
            self.guard.trust(name, tuple(trunk.accept.networks))

    def phone_changed(self, agent: str, bindings: tuple[Binding, ...]) -> None:
        """A phone has registered, or is gone: an agent's, or that of a trunk which registers here."""
        self.guard.know(agent, [binding.flow.remote for binding in bindings])
        if (trunk := self.trunks.registering(agent)) is not None:
            trunk.registered(bindings)
            return
        if bindings:
            device = Device.BUSY_ELSEWHERE if self._doors.busy_lines.occupied(agent) else Device.REGISTERED
            self._dispatcher.tell(DeviceChanged(agent, device, "phone registered"))
        else:
            self._dispatcher.tell(DeviceChanged(agent, Device.UNREACHABLE, "no phone registered any more"))

    def _screen(self, request: Request, flow: Flow) -> str | Refusal:
        """Who calls. What a stranger cannot reach is refused before anything of it is kept: nothing is repeated.

        Replaces (RFC 3891) names a dialog, and not by the number.
        """
        user = self._doorkeeper.screen(request, flow)
        if not user and self.guard.stranger(flow) and "Replaces" not in request.headers:
            return self._doors.front_door.refusal(request.uri.number_or_user, flow.remote.host) or user
        return user

    def _invited(self, leg: Leg) -> None:
        if not leg.max_forwards:
            # A phone that refused it for that would look broken, and whoever calls could have all agents look so.
            leg.reject(483)
        elif leg.trunk:
            # Whoever comes by a trunk reaches the numbers that are dialled in, and nothing that only agents may.
            if self.trunks.take(leg):
                self._doors.front_door.take(leg)
        elif not self._doors.feature_codes.take(leg) and not self._doors.own_calls.take(leg):
            self._doors.front_door.take(leg)

    def _is_for_ours(self, dialled: str) -> bool:
        """Whether only agents may dial this, and prove it."""
        return self._doors.feature_codes.known(dialled) or guarded(self._doors.services.settings, dialled)

    def _credentials_of(self, user: str) -> Credentials | None:
        return self._secrets.credentials.get(user)

    def _may_register(self, user: str, flow: Flow) -> bool:
        return self.trunks.may_register(user, flow)

    def _registering(self, user: str) -> Credentials | None:
        """What is known of who registers: an agent's phone, or a trunk that may."""
        trunk = self.trunks.registering(user)
        return trunk.secrets.account if trunk is not None else self._credentials_of(user)


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
