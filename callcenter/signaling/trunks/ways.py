"""Ways: from the host of a trunk to the addresses where it can be reached, in order (RFC 3263)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from callcenter.signaling.settings import TlsPeer
from callcenter.signaling.sockets import family_of
from callcenter.signaling.transport import Network
from callcenter.signaling.trunks.records import SRV_PREFIXES, in_naptr_order, in_srv_order
from callcenter.signaling.trunks.resolver import ResolveError, Resolver
from callcenter.signaling.trunks.settings import Peer
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.uri import Params, Uri

if TYPE_CHECKING:
    from callcenter.signaling.trunks.settings import TrunkSettings
    from callcenter.signaling.trunks.trunk import Trunk
    from callcenter.sip.registrar import Binding

# Addresses of one host that are tried: a caller waits for each that is silent.
MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class Hop:
    """One address of a peer, and how to speak to it."""

    transport: Transport
    address: Address

    def __str__(self) -> str:
        return f"{self.transport.value.lower()} {self.address}"


@dataclass(frozen=True, slots=True)
class Reach:
    """One address of a trunk: of a ``peer`` that is configured, or where it has registered at us (``binding``)."""

    hop: Hop
    peer: Peer | None = None
    binding: Binding | None = None

    def uri(self, settings: TrunkSettings, user: str | None = None, *more: tuple[str, str | None]) -> Uri:
        """The trunk, or somebody at it, as a Request-URI. Of a Contact all stays but the user, who is somebody else."""
        if self.binding is not None:
            contact = self.binding.contact
            if user is None:
                return contact
            params = (*contact.params, *(each for each in more if not contact.has_param(each[0])))
            return replace(contact, user=user, params=params, raw="")
        assert self.peer is not None, "neither configured nor registered"
        return uri_of(self.peer if settings.outbound_proxy is None else settings.peers[0], user, *more)

    def routes(self, settings: TrunkSettings) -> tuple[str, ...]:
        """The Route of a request to there: by the Path of the registration, or the outbound proxy."""
        return routes_by(settings.outbound_proxy) if self.binding is None else self.binding.path


class Ways:
    """Finds hosts, and the flows to them."""

    def __init__(self, resolver: Resolver, network: Network, random: Random) -> None:
        self._resolver = resolver
        self._network = network
        self._random = random

    async def to(self, peer: Peer) -> tuple[Hop, ...]:
        """Where ``peer`` can be reached, the first to be tried in front. Raises ResolveError when that is nowhere."""
        if family_of(peer.host) is not None:
            # 4.1: an address needs no DNS, and without a transport is spoken to by UDP.
            return (_hop(peer.transport or Transport.UDP, peer.host, peer.port),)
        if peer.port is not None:
            # 4.2: who names a port wants no SRV.
            return await self._by_address(peer.transport or Transport.UDP, peer.host, peer.port)
        try:
            found = await self._by_service(peer)
        except ResolveError:
            found = ()  # what fails for these records may still be known by its address
        return found or await self._by_address(peer.transport or Transport.UDP, peer.host, None)

    async def reaches(self, trunk: Trunk) -> tuple[tuple[Reach, ...], str]:
        """Where a trunk can be reached, the first to be tried in front; and what is wrong where it cannot."""
        if trunk.settings.register_here:
            found = [Reach(Hop(each.flow.transport, each.flow.remote), binding=each) for each in trunk.bindings]
            return tuple(found), "" if found else "it has not registered here"
        by_hop: dict[Hop, Reach] = {}
        why = ""
        for peer in trunk.gates:
            try:
                for hop in await self.to(peer):
                    by_hop.setdefault(hop, Reach(hop, peer))
            except ResolveError as error:
                why = str(error)
        return tuple(by_hop.values()), why

    def flow_to(self, reach: Reach) -> Flow:
        """The way to an address of a trunk. Raises TransportError."""
        if reach.binding is not None:
            return reach.binding.flow
        assert reach.peer is not None, "neither configured nor registered"
        return self.flow(reach.hop, reach.peer)

    def flow(self, hop: Hop, peer: Peer) -> Flow:
        """The way to an address of ``peer``, whose name its certificate must hold (RFC 5922). Raises TransportError."""
        if hop.transport is Transport.TLS:
            name = "" if family_of(peer.host) is not None else peer.host
            self._network.expect(hop.address, TlsPeer(name, peer.ca_file, peer.verify))
        return Flow(hop.transport, self._network.address_towards(hop.transport, hop.address.host), hop.address)

    async def _by_service(self, peer: Peer) -> tuple[Hop, ...]:
        hops: list[Hop] = []
        for transport, name in await self._services(peer):
            for record in in_srv_order((await self._resolver.srv(name)).records, self._random):
                try:
                    hops += await self._by_address(transport, record.target.rstrip("."), record.port)
                except ResolveError:
                    continue
                if len(hops) >= MOST_HOPS:
                    return tuple(hops[:MOST_HOPS])
        return tuple(hops)

    async def _services(self, peer: Peer) -> Sequence[tuple[Transport, str]]:
        """The names of the SRV records to ask for, each with the transport that it is for."""
        spoken = self._spoken()
        if peer.transport is None:
            records = (await self._resolver.naptr(peer.host)).records
            if services := in_naptr_order(records, spoken):
                return services
        wanted = spoken if peer.transport is None else (peer.transport,)
        return [(transport, f"{SRV_PREFIXES[transport]}.{peer.host}") for transport in wanted]

    async def _by_address(self, transport: Transport, host: str, port: int | None) -> tuple[Hop, ...]:
        found = (await self._resolver.addresses(host)).records[:MOST_HOPS]
        if not found:
            raise ResolveError(f"the DNS knows no address of {host}")
        return tuple(_hop(transport, address, port) for address in found)

    def _spoken(self) -> tuple[Transport, ...]:
        """The transports that we listen for, the one that everybody has in front."""
        ours = {listener.transport.upper() for listener in self._network.listeners}
        return tuple(transport for transport in Transport if transport.value in ours)


def uri_of(peer: Peer, user: str | None = None, *more: tuple[str, str | None]) -> Uri:
    """How a peer, or somebody at it, is written as a URI: a port and a transport only where they are configured."""
    plain = peer.transport is None or peer.transport is Transport.UDP
    params: Params = () if plain or peer.transport is None else (("transport", peer.transport.value.lower()),)
    return Uri(user=user, host=peer.host, port=peer.port, params=(*params, *more))


def routes_by(proxy: Peer | None) -> tuple[str, ...]:
    """The Route of a request that goes by an outbound proxy: a loose one (RFC 3261 8.1.2); none without a proxy."""
    return () if proxy is None else (f"<{uri_of(proxy, None, ('lr', None))}>",)


def _hop(transport: Transport, host: str, port: int | None) -> Hop:
    return Hop(transport, Address(host, transport.default_port if port is None else port))
