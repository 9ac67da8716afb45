"""Advertised: what we call ourselves towards a peer: the address it reached us by, or the one outside of a NAT."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from callcenter.sip.flow import Address, Flow, Transport

# Peers come again and again.
REMEMBERED = 4096


class Advertised:
    """Written into Via, Contact and session descriptions.

    ``hosts`` are addresses or names; a peer is told the first that it can reach by the family it uses, a name by
    either. ``listeners`` replaces them, and the port, for what came by one listener: where the NAT maps it to another
    port. Peers in ``local_networks`` stand on our side of the NAT: they are told the address that they know.

    ``listening`` are the ports of each transport, once they are known: a flow that was turned from UDP to TLS, because
    a peer's Contact wants that, still carries the port of UDP.
    """

    def __init__(
        self,
        hosts: tuple[str, ...] = (),
        local_networks: tuple[str, ...] = (),
        listeners: Mapping[tuple[Transport, int], Address] = {},
    ) -> None:
        self._hosts = hosts
        self._listeners = dict(listeners)
        networks = tuple(ip_network(each) for each in local_networks)

        def inside(remote: str) -> bool:
            """Whether a peer is on our side."""
            address = _literal(remote)
            return address is not None and any(address in network for network in networks)

        self._inside = lru_cache(REMEMBERED)(inside)
        self.listening: Mapping[Transport, tuple[int, ...]] = {}

    def host(self, local: str, remote: str) -> str:
        """Our host towards a peer at ``remote`` that reaches us at ``local``."""
        if not self._hosts or self._inside(remote):
            return local
        return next((host for host in self._hosts if _fits(host, local)), local)

    def address(self, flow: Flow) -> Address:
        """Our host and port towards the peer of a flow."""
        local, transport = flow.local, flow.transport
        ports = self.listening.get(transport)
        if ports and local.port not in ports:
            local = Address(local.host, ports[0])
        if not self._hosts and not self._listeners:
            return local
        ours = self._listeners.get((transport, local.port)) or self._listeners.get((transport, 0))
        if ours is not None and _fits(ours.host, local.host) and not self._inside(flow.remote.host):
            return Address(ours.host, ours.port or local.port)
        return Address(self.host(local.host, flow.remote.host), local.port)


def _fits(host: str, local: str) -> bool:
    """Whether who uses the family of ``local`` can reach ``host``: an address of the same one, or a name."""
    return _literal(host) is None or (":" in host) == (":" in local)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
