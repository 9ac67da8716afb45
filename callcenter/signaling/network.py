"""SipNetwork: the real network: UDP, TCP and TLS, IPv4 and IPv6, each listener its own socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from callcenter.runtime.clock import Clock
from callcenter.signaling.certificates import Keyring
from callcenter.signaling.settings import Listen, TlsPeer
from callcenter.signaling.sockets import WILDCARDS, NoSuchFamily, PortInUse, family_of, local_address
from callcenter.signaling.stream import StreamTransport
from callcenter.signaling.transport import Receiver, TransportError
from callcenter.signaling.udp import UdpTransport
from callcenter.sip.flow import Address, Flow, Transport

# A port that is free for UDP may be taken for TCP: then another one is tried, and so on.
TRIES_FOR_ONE_PORT = 20

log = structlog.get_logger()


class SipNetwork:
    """Listens as configured and carries messages. Listeners with port 0 all get one and the same free port, those for
    TLS another. TLS needs a ``keyring`` that something was loaded into.

    A wildcard address of a family that the machine does not have (``::`` without IPv6) is left out, with a warning.
    """

    def __init__(self, listen: Sequence[Listen], clock: Clock, keyring: Keyring | None = None) -> None:
        self._listen = tuple(listen)
        self._keyring = keyring
        self._clock = clock
        self._listeners: tuple[Listen, ...] = ()
        self._udp: UdpTransport | None = None
        self._streams: StreamTransport | None = None

    @property
    def listeners(self) -> tuple[Listen, ...]:
        """What is listened on, with the true ports."""
        return self._listeners

    async def open(self, receiver: Receiver) -> None:
        """Listen on everything configured, or on nothing. Raises TransportError with one clear line."""
        assert self._udp is None, "opened already"
        for tries_left in reversed(range(TRIES_FOR_ONE_PORT)):
            self._udp = UdpTransport(receiver)
            self._streams = StreamTransport(receiver, self._clock, self._keyring)
            try:
                self._listeners = await self._open_all(self._udp, self._streams)
            except PortInUse:
                self.close()
                if not tries_left or all(listen.port for listen in self._listen):
                    raise
            except BaseException:
                self.close()
                raise
            else:
                return

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send; a failure is told to the receiver. Does nothing when closed."""
        if flow.transport is Transport.UDP:
            if self._udp is not None:
                self._udp.send(flow, data, key)
        elif self._streams is not None:
            self._streams.send(flow, data, key)

    def address_towards(self, transport: Transport, host: str) -> Address:
        """Our address as ``host`` reaches it. Raises TransportError."""
        family = family_of(host)
        if family is None:
            raise TransportError(f"{host!r} is not an IP address")
        ours = [listen for listen in self._listeners if listen.transport == transport.value.lower()]
        fitting = {listen.host: listen.port for listen in ours if family_of(listen.host) == family}
        if not fitting:
            raise TransportError(f"nothing listens for {transport.value} where {host} could reach it")
        local = local_address(family, host)
        if local not in fitting and WILDCARDS[family] not in fitting:
            local = next(iter(fitting))
        return Address(local, fitting.get(local) or fitting[WILDCARDS[family]])

    def expect(self, remote: Address, peer: TlsPeer) -> None:
        """Who must be at ``remote`` when it is called by TLS; else its address must stand in its certificate."""
        if self._streams is not None:
            self._streams.expect(remote, peer)

    def peer_names(self, connection: int) -> tuple[str, ...]:
        """Whom the certificate of the connection's peer names, that was verified; nobody where there is none."""
        return self._streams.peer_names(connection) if self._streams is not None else ()

    def close(self) -> None:
        """Close everything. May be called twice."""
        for transport in (self._udp, self._streams):
            if transport is not None:
                transport.close()
        self._udp = self._streams = None
        self._listeners = ()

    async def _open_all(self, udp: UdpTransport, streams: StreamTransport) -> tuple[Listen, ...]:
        opened: list[Listen] = []
        missing: NoSuchFamily | None = None
        # UDP and TCP share a number; TLS is TCP too, and needs another.
        free_ports = {True: 0, False: 0}
        for listen in self._listen:
            private = Transport[listen.transport.upper()].private
            try:
                wanted = listen if listen.port else replace(listen, port=free_ports[private])
                true = udp.open(wanted) if listen.transport == "udp" else await streams.open(wanted)
            except NoSuchFamily as error:
                missing = error
                log.warning("sip.listen.left_out", reason=str(error))
                continue
            if not listen.port:
                free_ports[private] = true.port
            opened.append(true)
        if not opened:
            raise missing or TransportError("nothing to listen on: sip: listen is empty")
        return tuple(opened)
