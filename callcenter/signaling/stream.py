"""StreamTransport: SIP over connections, TCP and TLS alike: reused, bounded, kept alive, and given up when idle.

What differs from transport to transport is what lies between the octets of a connection and SIP: nothing for TCP, a
``TlsSession`` for TLS. WebSocket (RFC 7118) would lie there too: its frames below the parser, for wss over a session.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
from collections import Counter
from typing import cast

import structlog

from callcenter.runtime.clock import Clock
from callcenter.runtime.scopes import Background
from callcenter.signaling.certificates import Keyring
from callcenter.signaling.seldom import Seldom
from callcenter.signaling.settings import Listen, TlsPeer
from callcenter.signaling.sockets import WILDCARDS, bind, family_of, true_address
from callcenter.signaling.tls import HANDSHAKE, TlsFailure, TlsSession
from callcenter.signaling.transport import Receiver, TransportError
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.parser import KeepAlive, StreamParser

# Of the files that the process may open, connections take half at most. Agents behind one NAT share an address: it
# may have three quarters of them, so that none shuts out all others.
MAX_CONNECTIONS = 4096
# A handshake takes two round trips and a millisecond of ours; whoever leaves one open has until then, and has not many.
HANDSHAKE_LIMIT = 5.0
MAX_HALF_OPEN, MAX_HALF_OPEN_FROM_ONE = 512, 128
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
# A peer that does not read: what waits for it is worth nothing any more. The kernel holds some megabytes before that;
# with as many such peers as there may be this is 1 GiB.
MAX_UNSENT = 1 << 18
# The kernel notices a peer that vanished: after 60 s of silence it asks four times, 15 s apart.
PROBE_AFTER, PROBE_EVERY, PROBES = 60, 15, 4
# It gives up a peer that is there and takes nothing after as long: milliseconds (tcp(7)).
TAKES_NOTHING_FOR = (PROBE_AFTER + PROBES * PROBE_EVERY) * 1000

log = structlog.get_logger()


class StreamTransport:
    """The sockets and connections of TCP and TLS. Connections are numbered from 1; the number stands in the flow."""

    def __init__(self, receiver: Receiver, clock: Clock, keyring: Keyring | None = None) -> None:
        self._receiver = receiver
        self._clock = clock
        self._keyring = keyring
        self._peers: dict[Address, TlsPeer] = {}
        self._servers: list[asyncio.Server] = []
        self._ports: dict[tuple[Transport, str, int], Address] = {}
        self._numbers = itertools.count(1)
        self._connections: dict[int, _Connection] = {}
        self._half_open: set[_Connection] = set()
        self._from: Counter[str] = Counter()
        self._half_open_from: Counter[str] = Counter()
        self._by_remote: dict[tuple[Transport, Address], _Connection] = {}
        self._connecting: dict[tuple[Transport, Address], list[tuple[bytes, str]]] = {}
        self._background = Background(MAX_CONNECTING)
        self._look: asyncio.TimerHandle | None = None
        self._closed = False
        self._most = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._seldom = Seldom()

    async def open(self, listen: Listen) -> Listen:
        """Listen. Returns where it listens in truth. Raises TransportError."""
        transport = Transport[listen.transport.upper()]
        bound = bind(listen, socket.SOCK_STREAM)
        address = true_address(bound)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: self._accept(transport), sock=bound))
        self._ports[transport, address.host, bound.family] = address
        if self._look is None:
            self._look = loop.call_later(LOOK_EVERY, self._look_around)
        return Listen(listen.transport, address.host, address.port)

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def expect(self, remote: Address, peer: TlsPeer) -> None:
        """Who must be at ``remote`` when it is called by TLS: one name for each address, the one told last.

        A connection to somebody else there is not used again.
        """
        if self._peers.get(remote) != peer:
            self._peers[remote] = peer
            self._by_remote.pop((Transport.TLS, remote), None)

    def peer_names(self, connection: int) -> tuple[str, ...]:
        """Whom the peer's certificate names, that was verified; nobody where there is none."""
        found = self._connections.get(connection)
        return found.peer_names if found is not None else ()

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send over the flow's connection; with number 0 over one to ``flow.remote``, opened if there is none."""
        if flow.connection:
            connection = self._connections.get(flow.connection)
        else:
            connection = self._by_remote.get((flow.transport, flow.remote))
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
        for connection in (*self._connections.values(), *self._half_open):
            connection.close()
        self._connections.clear()
        self._half_open.clear()
        self._by_remote.clear()
        self._connecting.clear()

    # -- what connections tell --------------------------------------------------------------------------------------

    def admit(self, connection: _Connection) -> bool:
        """Whether a connection may be, and come to its first word; it is half open until ``opened``."""
        host, there = connection.remote.host, len(self._connections) + len(self._half_open)
        if self._closed or there >= self._most:
            return False
        if connection.ours:
            self._half_open.add(connection)
            return True
        most = max(self._most * 3 // 4, 1)
        if self._from[host] >= most:
            self._tell("too many connections from one source", host, f"it has {most}")
            return False
        half = self._half_open_from[host]
        crowded = len(self._half_open) >= MAX_HALF_OPEN or half >= MAX_HALF_OPEN_FROM_ONE
        if crowded and connection.transport.private:
            whose = "of this source" if half >= MAX_HALF_OPEN_FROM_ONE else "of all"
            self._tell("too many handshakes at once", host, f"too many {whose} are open")
            return False
        self._half_open.add(connection)
        self._from[host] += 1
        self._half_open_from[host] += 1
        return True

    def opened(self, connection: _Connection) -> Flow:
        """Its handshake is done, where there is one: it gets its number."""
        self._whole(connection)
        connection.number = next(self._numbers)
        self._connections[connection.number] = connection
        remote = connection.remote
        # Who calls us from the address of a server has not proved to be that server.
        if connection.ours or remote not in self._peers:
            self._by_remote[connection.transport, remote] = connection
        local = self._listening(connection.transport, connection.local)
        return Flow(connection.transport, local, remote, connection.number)

    def lost(self, connection: _Connection) -> None:
        """It is gone."""
        self._whole(connection)
        if not connection.ours:
            _less(self._from, connection.remote.host)
        if self._connections.pop(connection.number, None) is None:
            return
        way = connection.transport, connection.remote
        if self._by_remote.get(way) is connection:
            del self._by_remote[way]
        self._receiver.connection_lost(connection.number)

    def failed(self, connection: _Connection, why: str) -> None:
        """It came to nothing, or ended badly: said to the operator, not to SIP."""
        told = "tls connection to a server failed" if connection.ours else "tls connection refused"
        where = str(connection.remote) if connection.ours else connection.remote.host
        self._tell(told, where, why)

    def _whole(self, connection: _Connection) -> None:
        if connection in self._half_open:
            self._half_open.discard(connection)
            if not connection.ours:
                _less(self._half_open_from, connection.remote.host)

    def _tell(self, event: str, peer: str, why: str) -> None:
        if not self._closed and self._seldom.may_tell(self._clock.monotonic(), event, peer, why):
            log.warning(event, peer=peer, why=why)

    # -- connections of peers and of ours -----------------------------------------------------------------------------

    def _accept(self, transport: Transport) -> asyncio.Protocol:
        tls = None
        if transport is Transport.TLS:
            assert self._keyring is not None, "TLS needs certificates"
            tls = TlsSession(self._keyring.current.server, server_side=True)
        return _Connection(self, transport, self._receiver, self._clock, tls)

    def _listening(self, transport: Transport, local: Address) -> Address:
        """The address to be called back at: our host as the peer sees it, with the port that we listen on."""
        family = family_of(local.host) or socket.AF_INET
        for host in (local.host, WILDCARDS[family]):
            listening = self._ports.get((transport, host, family))
            if listening is not None:
                return Address(local.host, listening.port)
        return local

    def _connect(self, flow: Flow, data: bytes, key: str) -> None:
        way = flow.transport, flow.remote
        waiting = self._connecting.get(way)
        if waiting is not None:
            if len(waiting) < MAX_WAITING:
                waiting.append((data, key))
            else:
                self._receiver.send_failed(key)
            return
        unsafe = flow.transport is Transport.TLS and self._keyring is None
        if family_of(flow.remote.host) is None or self._closed or unsafe:
            self._receiver.send_failed(key)
            return
        self._connecting[way] = [(data, key)]
        if not self._background.start(self._reach(flow), name=f"connect to {flow.remote}"):
            del self._connecting[way]
            self._receiver.send_failed(key)

    async def _reach(self, flow: Flow) -> None:
        remote, local = flow.remote, flow.local.host
        source = (local, 0) if family_of(local) == family_of(remote.host) else None
        connection: _Connection | None = None
        up = False
        try:
            tls = await self._session_with(remote) if flow.transport is Transport.TLS else None
            async with asyncio.timeout(CONNECT_LIMIT):
                loop = asyncio.get_running_loop()
                connection = _Connection(self, flow.transport, self._receiver, self._clock, tls, loop.create_future())
                this = connection
                await loop.create_connection(lambda: this, remote.host, remote.port, local_addr=source)
                up = await connection.settled
        except TransportError as error:
            self._tell("tls connection to a server failed", str(remote), str(error))
        except (OSError, OverflowError) as error:
            # Refused, no way, or too slow (TimeoutError is an OSError): told to SIP below.
            if connection is not None:
                connection.abort()
            if flow.transport is Transport.TLS:
                why = getattr(error, "strerror", None) or f"no answer within {CONNECT_LIMIT:g} s"
                self._tell("tls connection to a server failed", str(remote), why)
        for data, key in self._connecting.pop((flow.transport, remote), ()):
            if not up or connection is None or not connection.send(data):
                self._receiver.send_failed(key)

    async def _session_with(self, remote: Address) -> TlsSession:
        """Our side of TLS with the server at ``remote``. Raises TransportError."""
        assert self._keyring is not None
        certificates, peer = self._keyring.current, self._peers.get(remote, TlsPeer())
        if certificates.is_ready_for(peer):
            context = certificates.client(peer)
        else:
            # All whom the system trusts are a long list, and files are read.
            context = await asyncio.to_thread(certificates.client, peer)
        name = peer.name or remote.host
        expected = name if context.verify_mode else None
        return TlsSession(context, server_side=False, server_name=name, expected=expected)

    def _look_around(self) -> None:
        """Give up who is silent for too long."""
        now = self._clock.monotonic()
        for connection in list(self._connections.values()):
            limit = IDLE_LIMIT if connection.spoke else FIRST_WORD_LIMIT
            if now - connection.heard_at > limit:
                connection.close()
        self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_around)


class _Connection(asyncio.Protocol):
    """One connection, whoever opened it: with ``settled``, we did; its result is whether it is up."""

    def __init__(
        self,
        owner: StreamTransport,
        transport: Transport,
        receiver: Receiver,
        clock: Clock,
        tls: TlsSession | None,
        settled: asyncio.Future[bool] | None = None,
    ) -> None:
        self.transport = transport
        self.number = 0
        self.spoke = False
        self.heard_at = clock.monotonic()
        self.local = self.remote = Address("", 0)
        self._settled = settled
        self._owner = owner
        self._receiver = receiver
        self._clock = clock
        self._tls = tls
        self._parser = StreamParser()
        self._wire: asyncio.Transport | None = None
        self._flow: Flow | None = None
        self._admitted = False
        self._late: asyncio.TimerHandle | None = None

    @property
    def ours(self) -> bool:
        """Whether we opened it."""
        return self._settled is not None

    @property
    def settled(self) -> asyncio.Future[bool]:
        """Done when it is up, or known not to come up. Asserts that we opened it."""
        assert self._settled is not None
        return self._settled

    @property
    def peer_names(self) -> tuple[str, ...]:
        """Whom the peer's certificate names."""
        return self._tls.peer_names if self._tls is not None else ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection up, and begin the handshake where there is one."""
        # A transport of uvloop is one in all but its class.
        transport = cast("asyncio.Transport", transport)
        peer, name = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer and name:  # else it is gone again
            self.local, self.remote = Address(name[0], name[1]), Address(peer[0], peer[1])
            self._admitted = self._owner.admit(self)
        if not self._admitted:
            transport.abort()
            return
        self._wire = transport
        _probe(transport.get_extra_info("socket"))
        if self._tls is None:
            self._open()
            return
        self._late = asyncio.get_running_loop().call_later(HANDSHAKE_LIMIT, self._too_late)
        if self.ours:
            try:
                self._tls.begin()
            except TlsFailure as failure:
                self._fail(str(failure))
            else:
                transport.write(self._tls.take_out())

    def data_received(self, data: bytes) -> None:
        """Cut octets into messages and hand them on."""
        if self._wire is None:
            return
        self.heard_at = self._clock.monotonic()
        if self._tls is not None:
            data = self._in_clear(self._tls, data)
        elif not self.spoke and data[:1] == bytes((HANDSHAKE,)):
            self._owner.failed(self, "they speak TLS on the port for TCP: set the phone to the port for TLS")
            self.close()
            return
        if self._flow is None:
            return
        for item in self._parser.feed(data):
            if isinstance(item, KeepAlive):
                self._answer_keep_alive()
            elif isinstance(item, SipParseError):
                self._receiver.unreadable(item, self._flow)
            else:
                self.spoke = True
                self._receiver.message(item, self._flow)
        if self._parser.fatal or (self._tls is not None and self._tls.ended):
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        # Whoever says nothing at all only looks whether somebody listens.
        said_something = self.ours or (self._tls is not None and self._tls.began)
        if self._flow is None and self._wire is not None and said_something:
            self._owner.failed(self, "they hung up in the middle of the handshake")
        self._wire = None
        self._settle(up=False)
        if self._admitted:
            self._owner.lost(self)

    def send(self, data: bytes) -> bool:
        """Write; False when that is useless."""
        wire = self._wire
        if wire is None or wire.is_closing() or self._flow is None:
            return False
        if wire.get_write_buffer_size() > MAX_UNSENT:
            wire.abort()
            return False
        if self._tls is not None:
            self._tls.send(data)
            data = self._tls.take_out()
        wire.write(data)
        return True

    def close(self) -> None:
        """Close when what was written is out; at the second word at once."""
        if self._wire is None:
            return
        if self._wire.is_closing():
            self._wire.abort()
            return
        if self._tls is not None:
            self._tls.end()
            self._wire.write(self._tls.take_out())
        self._wire.close()

    def abort(self) -> None:
        """Be gone, without a word more; nothing is told of it."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()

    def _answer_keep_alive(self) -> None:
        # Who does not read what was sent before does not wait for it, and asking costs nothing.
        wire = self._wire
        if wire is not None and not wire.get_write_buffer_size():
            self.send(b"\r\n")

    def _open(self) -> None:
        """The peer can be spoken to."""
        self._flow = self._owner.opened(self)
        self._settle(up=True)

    def _settle(self, *, up: bool) -> None:
        if self._late is not None:
            self._late.cancel()
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(up)

    def _in_clear(self, tls: TlsSession, data: bytes) -> bytes:
        assert self._wire is not None
        try:
            data = tls.receive(data)
        except TlsFailure as failure:
            self._fail(str(failure))
            return b""
        if answer := tls.take_out():
            self._wire.write(answer)
        if tls.established and self._flow is None:
            self._open()
        return data

    def _fail(self, why: str) -> None:
        """Say why, to the operator in words and to the peer by the alert that TLS has for it; then be gone."""
        self._owner.failed(self, why)
        wire, self._wire = self._wire, None
        if wire is not None and self._tls is not None:
            wire.write(self._tls.take_out())
            wire.close()
        self._settle(up=False)

    def _too_late(self) -> None:
        self._owner.failed(self, f"no handshake within {HANDSHAKE_LIMIT:g} s")
        self.abort()


def _probe(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKES_NOTHING_FOR)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _less(counter: Counter[str], key: str) -> None:
    """One less; what is none is not kept."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
