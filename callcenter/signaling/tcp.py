"""TcpTransport: SIP over TCP: connections that are reused, bounded, kept alive, and given up when idle."""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
from collections.abc import Callable
from typing import cast

from callcenter.runtime.clock import Clock
from callcenter.runtime.scopes import Background
from callcenter.signaling.settings import Listen
from callcenter.signaling.sockets import WILDCARDS, bind, family_of, true_address
from callcenter.signaling.transport import Receiver
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.parser import KeepAlive, StreamParser

# Agents behind one NAT share an address, so the bound is on all connections together. Of the files that the process
# may open they take half at most.
MAX_CONNECTIONS = 4096
# A phone that registers for an hour and says nothing in between must find its connection open.
IDLE_LIMIT = 3900.0
# Who connects means to say something.
FIRST_WORD_LIMIT = 30.0
LOOK_EVERY = 10.0
# The whole of an INVITE takes milliseconds; a connection that is not there by then would come too late.
CONNECT_LIMIT = 5.0
MAX_CONNECTING = 256
# Messages that wait for one connection to come up.
MAX_WAITING = 64
# A peer that does not read: what waits for it is worth nothing any more.
MAX_UNSENT = 1 << 20
# The kernel notices a peer that vanished: after 60 s of silence it asks four times, 15 s apart.
PROBE_AFTER, PROBE_EVERY, PROBES = 60, 15, 4


class TcpTransport:
    """The TCP sockets and connections. Connections are numbered from 1; the number stands in the flow."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._ports: dict[tuple[str, int], Address] = {}
        self._numbers = itertools.count(1)
        self._connections: dict[int, _Connection] = {}
        self._by_remote: dict[Address, _Connection] = {}
        self._connecting: dict[Address, list[tuple[bytes, str]]] = {}
        self._background = Background(MAX_CONNECTING)
        self._look: asyncio.TimerHandle | None = None
        self._closed = False
        self._most = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

    async def open(self, listen: Listen) -> Listen:
        """Listen. Returns where it listens in truth. Raises TransportError."""
        bound = bind(listen, socket.SOCK_STREAM)
        address = true_address(bound)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._accept, sock=bound))
        self._ports[address.host, bound.family] = address
        if self._look is None:
            self._look = loop.call_later(LOOK_EVERY, self._look_around)
        return Listen(listen.transport, address.host, address.port)

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send over the flow's connection; with number 0 over one to ``flow.remote``, opened if there is none."""
        if flow.connection:
            connection = self._connections.get(flow.connection)
        else:
            connection = self._by_remote.get(flow.remote)
            if connection is None:
                self._connect(flow, data, key)
                return
        if connection is None or not connection.send(data):
            self._receiver.send_failed(key)

    def close(self) -> None:
        """Close everything; what was written already still goes out."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
        self._background.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()
        self._connections.clear()
        self._by_remote.clear()
        self._connecting.clear()

    def _accept(self) -> asyncio.Protocol:
        return _Connection(self._opened, self._lost, self._receiver, self._clock, self._listening)

    def _opened(self, connection: _Connection) -> int:
        """Take a connection into the tables; 0: there are too many."""
        if self._closed or len(self._connections) >= self._most:
            return 0
        number = next(self._numbers)
        self._connections[number] = connection
        self._by_remote[connection.remote] = connection
        return number

    def _lost(self, connection: _Connection) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        if self._by_remote.get(connection.remote) is connection:
            del self._by_remote[connection.remote]
        self._receiver.connection_lost(connection.number)

    def _listening(self, local: Address) -> Address:
        """The address to be called back at: our host as the peer sees it, with the port that we listen on."""
        family = family_of(local.host) or socket.AF_INET
        for host in (local.host, WILDCARDS[family]):
            listening = self._ports.get((host, family))
            if listening is not None:
                return Address(local.host, listening.port)
        return local

    def _connect(self, flow: Flow, data: bytes, key: str) -> None:
        waiting = self._connecting.get(flow.remote)
        if waiting is not None:
            if len(waiting) < MAX_WAITING:
                waiting.append((data, key))
            else:
                self._receiver.send_failed(key)
            return
        if family_of(flow.remote.host) is None or self._closed:
            self._receiver.send_failed(key)
            return
        self._connecting[flow.remote] = [(data, key)]
        if not self._background.start(self._reach(flow), name=f"connect to {flow.remote}"):
            del self._connecting[flow.remote]
            self._receiver.send_failed(key)

    async def _reach(self, flow: Flow) -> None:
        remote, local = flow.remote, flow.local.host
        source = (local, 0) if family_of(local) == family_of(remote.host) else None
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                loop = asyncio.get_running_loop()
                _, protocol = await loop.create_connection(self._accept, remote.host, remote.port, local_addr=source)
                assert isinstance(protocol, _Connection)
                connection = protocol
        except (OSError, OverflowError):
            pass  # refused, no way, or too slow (TimeoutError is an OSError): told below
        for data, key in self._connecting.pop(remote, ()):
            if connection is None or not connection.send(data):
                self._receiver.send_failed(key)

    def _look_around(self) -> None:
        """Give up who is silent for too long."""
        now = self._clock.monotonic()
        for connection in list(self._connections.values()):
            limit = IDLE_LIMIT if connection.spoke else FIRST_WORD_LIMIT
            if now - connection.heard_at > limit:
                connection.close()
        self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_around)


class _Connection(asyncio.Protocol):
    """One connection, whoever opened it."""

    def __init__(
        self,
        opened: Callable[[_Connection], int],
        lost: Callable[[_Connection], None],
        receiver: Receiver,
        clock: Clock,
        listening: Callable[[Address], Address],
    ) -> None:
        self.number = 0
        self.spoke = False
        self.heard_at = clock.monotonic()
        self.remote = Address("", 0)
        self._opened = opened
        self._lost = lost
        self._receiver = receiver
        self._clock = clock
        self._listening = listening
        self._parser = StreamParser()
        self._transport: asyncio.Transport | None = None
        self._flow: Flow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection up."""
        # A transport of uvloop is one in all but its class.
        transport = cast("asyncio.Transport", transport)
        peer, name = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not name:
            transport.abort()  # gone again
            return
        self.remote = Address(peer[0], peer[1])
        self.number = self._opened(self)
        if not self.number:
            transport.abort()
            return
        self._transport = transport
        self._flow = Flow(Transport.TCP, self._listening(Address(name[0], name[1])), self.remote, self.number)
        _probe(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Cut octets into messages and hand them on."""
        if self._flow is None or self._transport is None:
            return
        self.heard_at = self._clock.monotonic()
        for item in self._parser.feed(data):
            if isinstance(item, KeepAlive):
                self.send(b"\r\n")
            elif isinstance(item, SipParseError):
                self._receiver.unreadable(item, self._flow)
            else:
                self.spoke = True
                self._receiver.message(item, self._flow)
        if self._parser.fatal:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self._lost(self)

    def send(self, data: bytes) -> bool:
        """Write; False when that is useless."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()
            return False
        transport.write(data)
        return True

    def close(self) -> None:
        """Close when what was written is out; at the second word at once."""
        if self._transport is None:
            return
        if self._transport.is_closing():
            self._transport.abort()
        else:
            self._transport.close()


def _probe(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
