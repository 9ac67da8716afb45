"""TrunkBoard: all trunks: who calls by which, which is up, and what keeps each registered and looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.runtime.scopes import Background
from callcenter.signaling.trunks.qualify import Qualify
from callcenter.signaling.trunks.registration import Registration
from callcenter.signaling.trunks.resolver import RememberingResolver, Resolver
from callcenter.signaling.trunks.settings import TrunkSecrets, TrunkSettings
from callcenter.signaling.trunks.trunk import Trunk
from callcenter.signaling.trunks.ways import Ways
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.dialog import literal
from callcenter.sip.digest_client import DigestClient

if TYPE_CHECKING:
    from callcenter.signaling.leg import Leg
    from callcenter.sip.digest import Credentials
    from callcenter.sip.flow import Flow

# Registrations that are taken back at the same time, when a reload takes their trunks away.
MAX_LEAVING = 200
NO_SECRETS = TrunkSecrets()

log = structlog.get_logger()


class TrunkBoard:
    """Every trunk of the configuration, by its name. ``on_change(trunk)`` is told when one goes up or down."""

    def __init__(
        self,
        user_agent: UserAgent,
        resolver: Resolver,
        clock: Clock,
        random: Random,
        on_change: Callable[[Trunk], None],
    ) -> None:
        self.ways = Ways(RememberingResolver(resolver, clock), user_agent.network, random)
        self.random = random
        self._user_agent = user_agent
        self._clock = clock
        self._on_change = on_change
        self._trunks: dict[str, Trunk] = {}
        self._work: dict[str, Background] = {}
        self._registrations: dict[str, Registration] = {}
        self._leaving = Background(MAX_LEAVING)
        self._opened = False

    def __iter__(self) -> Iterator[Trunk]:
        return iter(self._trunks.values())

    def __len__(self) -> int:
        return len(self._trunks)

    def get(self, name: str) -> Trunk | None:
        """The trunk of this name."""
        return self._trunks.get(name)

    def open(self) -> None:
        """Begin to register and to look after them. Never waits."""
        self._opened = True
        for trunk in self._trunks.values():
            self._begin(trunk)

    def reconfigure(self, settings: Mapping[str, TrunkSettings], secrets: Mapping[str, TrunkSecrets]) -> None:
        """These are the trunks from now on. Calls go on, also by one that is gone; one that is as it was stays so."""
        for name in [name for name in self._trunks if name not in settings]:
            self._leave(name)
            del self._trunks[name]
        for name, wanted in settings.items():
            secret = secrets.get(name, NO_SECRETS)
            trunk = self._trunks.get(name)
            if trunk is None:
                trunk = self._trunks[name] = Trunk(wanted, secret, self._clock, self._on_change)
            elif (trunk.settings, trunk.secrets) == (wanted, secret):
                continue
            else:
                self._leave(name)
                trunk.settings, trunk.secrets = wanted, secret
                trunk.forget_opinions()
            if wanted.register_here:
                trunk.registered(())
            if self._opened:
                self._begin(trunk)

    async def close(self) -> None:
        """Look after nothing any more, and take the registrations back: a second at most. May be called twice."""
        self._opened = False
        registrations = [found for name in self._trunks if (found := self._stop(name)) is not None]
        await asyncio.gather(*(registration.leave() for registration in registrations))

    # -- who calls ---------------------------------------------------------------------------------------------------

    def by_flow(self, flow: Flow) -> Trunk | None:
        """The trunk whose calls come by this way: from one of its addresses, or with one of its certificates."""
        if not self._trunks:
            return None
        address = _address(flow.remote.host)
        names = self._user_agent.network.peer_names(flow.connection) if flow.connection else ()
        for trunk in self._trunks.values():
            accept = trunk.settings.accept
            if accept.certificates and any(name.lower() in accept.certificates for name in names):
                return trunk
            if address is not None and any(address in network for network in accept.networks):
                return trunk
            if any(_is_by(flow, binding.flow) for binding in trunk.bindings):
                return trunk
        return None

    def registering(self, user: str) -> Trunk | None:
        """The trunk that registers here as this user."""
        trunk = self.by_user(user)
        return trunk if trunk is not None and trunk.settings.register_here else None

    def may_register(self, user: str, flow: Flow) -> bool:
        """Whether it may do so from there: one that has networks comes from one of them."""
        trunk, address = self.registering(user), _address(flow.remote.host)
        networks = trunk.settings.accept.networks if trunk is not None else ()
        return not networks or (address is not None and any(address in network for network in networks))

    def by_user(self, user: str) -> Trunk | None:
        """The trunk that proves to be this user."""
        return next((trunk for trunk in self._trunks.values() if _user_of(trunk) == user), None) if user else None

    def credentials(self, user: str) -> Credentials | None:
        """What is known of a trunk's user."""
        trunk = self.by_user(user)
        return trunk.secrets.account if trunk is not None else None

    def login_of(self, trunk: Trunk) -> DigestClient | None:
        """What a trunk's challenges are answered with in one call; None where no login at it is configured."""
        login = trunk.settings.login
        return None if login is None else DigestClient(login.user, trunk.secrets.password, self.random)

    def trusted(self, flow: Flow, trunk: str = "") -> bool:
        """Whether what comes by this way may say who calls (P-Asserted-Identity, RFC 3325).

        ``trunk``: the one that the caller has proved to be, where only a password tells.
        """
        found = self.by_flow(flow) or self._trunks.get(trunk)
        return found is not None and found.settings.trusted

    def take(self, leg: Leg) -> bool:
        """A call came by ``leg.trunk``: it takes a line for as long as it lasts, and its numbers are read as the trunk
        writes them. False, and it is refused: no line is free (503), or it may not reach that number (404).
        """
        trunk = self._trunks.get(leg.trunk)
        if trunk is None:
            leg.reject(403)  # a reload took the trunk away this moment
            return False
        settings = trunk.settings
        if settings.register is not None and leg.dialled == settings.register.user and leg.request is not None:
            # Called at the Contact that we registered: the number that was dialled stands in To alone.
            leg.dialled = leg.request.to.uri.number_or_user
        leg.dialled = settings.plan.to_e164(leg.dialled) or leg.dialled
        leg.remote_number = settings.plan.to_e164(leg.remote_number) or leg.remote_number
        trunk.counts.received += 1
        if settings.numbers and leg.dialled not in settings.numbers:
            trunk.counts.refused += 1
            log.info("a trunk dialled a number that it may not reach", trunk=trunk.id, number=leg.dialled)
            leg.reject(404)
            return False
        line = trunk.take_line()
        if line is None:
            trunk.counts.refused += 1
            log.warning("a trunk is full", trunk=trunk.id, max_calls=settings.max_calls)
            leg.reject(503)
            return False
        leg.ended.add_done_callback(lambda _: line.release())
        if (login := self.login_of(trunk)) is not None:
            leg.prove_by(login)
        return True

    def __repr__(self) -> str:
        up = sum(trunk.up is not False for trunk in self._trunks.values())
        return f"<TrunkBoard {up} of {len(self._trunks)} trunks up>"

    # -- what runs for each ------------------------------------------------------------------------------------------

    def _begin(self, trunk: Trunk) -> None:
        settings, work = trunk.settings, Background(limit=2)
        self._work[trunk.id] = work
        if settings.register is not None:
            registration = Registration(trunk, settings.register, self._user_agent, self.ways, self.random)
            self._registrations[trunk.id] = registration
            work.start(registration.run(), name=f"registration at {trunk.id}")
        if settings.qualify is not None:
            qualify = Qualify(trunk, settings.qualify, self._user_agent, self.ways, self.random)
            work.start(qualify.run(), name=f"qualify {trunk.id}")

    def _stop(self, name: str) -> Registration | None:
        """Look after it no more; the registration that is to be taken back, if there is one."""
        work = self._work.pop(name, None)
        if work is not None:
            work.cancel()
        return self._registrations.pop(name, None)

    def _leave(self, name: str) -> None:
        registration = self._stop(name)
        if registration is not None:
            self._leaving.start(registration.leave(), name=f"unregister at {name}")


def _is_by(flow: Flow, other: Flow) -> bool:
    """Whether both are the same peer's: the same connection, or the same address and port."""
    if flow.connection or other.connection:
        return flow.connection == other.connection
    return flow.remote == other.remote


def _user_of(trunk: Trunk) -> str:
    account = trunk.settings.accept.account
    return account.user if account is not None else ""


# A trunk's addresses come again and again.
@lru_cache(1024)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    return literal(host)
