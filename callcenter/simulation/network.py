"""SimNetwork: hosts that exchange SIP over a network with delay, loss, duplicates and reordering, all from one seed."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from callcenter.signaling.settings import Listen, TlsPeer
from callcenter.signaling.transport import Receiver, TransportError
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.parser import KeepAlive, StreamParser

# What a failing test shows is the end of the story.
TRACE_LENGTH = 2000
# How long TCP keeps trying before it says that the other side is gone.
TCP_PATIENCE = 20.0
FIRST_EPHEMERAL_PORT = 40_000


@dataclass(slots=True)
class Weather:
    """How datagrams fare; may be changed at any time. Times are seconds, the others shares from 0 to 1.

    ``late``: the share that comes up to ``late_by`` after its time, behind others.
    """

    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    late_by: float = 0.2


class SimNetwork:
    """The network between simulated hosts. ``trace`` holds the last messages: when, how they fared, and their start."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, weather: Weather | None = None) -> None:
        self.weather = weather or Weather()
        self.trace: deque[str] = deque(maxlen=TRACE_LENGTH)
        self.loop = loop
        self.random = random
        self._hosts: dict[str, SimHost] = {}

    def host(self, address: str, port: int = 5060) -> SimHost:
        """A host with this IP address that listens for UDP and TCP on ``port`` once it is opened."""
        assert address not in self._hosts, f"{address} is there already"
        host = self._hosts[address] = SimHost(self, address, port)
        return host

    def at(self, address: Address) -> SimHost | None:
        """The host that listens on ``address``, if it can be reached."""
        host = self._hosts.get(address.host)
        return host if host is not None and host.listens and not host.gone and host.port == address.port else None

    def silent(self, address: str) -> bool:
        """Whether nothing ever comes back from there: not even that nobody listens."""
        host = self._hosts.get(address)
        return host is None or host.gone

    def forget(self, host: SimHost) -> None:
        """The host is closed: its address is free again."""
        if self._hosts.get(host.address) is host:
            del self._hosts[host.address]

    def carry(self, source: Address, target: Address, data: bytes) -> None:
        """Take one datagram."""
        weather, chance = self.weather, self.random
        if chance.random() < weather.loss:
            self.note("lost", source, target, data)
            return
        copies = 2 if chance.random() < weather.duplicate else 1
        for _ in range(copies):
            late = chance.random() * weather.late_by if chance.random() < weather.late else 0.0
            self.loop.call_later(self.delay() + late, self._deliver, source, target, data)

    def delay(self) -> float:
        """How long the next packet is under way."""
        return self.weather.delay + self.random.random() * self.weather.jitter

    def note(self, fate: str, source: Address, target: Address, data: bytes) -> None:
        """Write a line of the trace."""
        start = data.partition(b"\r\n")[0].decode("latin-1")
        self.trace.append(f"{self.loop.time():10.3f} {source} > {target} {fate}: {start}")

    def _deliver(self, source: Address, target: Address, data: bytes) -> None:
        host = self.at(target)
        if host is None:
            self.note("nobody there", source, target, data)
            return
        self.note("came", source, target, data)
        host.take_datagram(data, Flow(Transport.UDP, target, source))


class SimHost:
    """One host of the network: what a UserAgent takes for its Network."""

    def __init__(self, network: SimNetwork, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.network = network
        self.gone = False
        self._receiver: Receiver | None = None
        self._numbers = itertools.count(1)
        self._ports = itertools.count(FIRST_EPHEMERAL_PORT)
        self._ends: dict[int, _End] = {}
        self._by_remote: dict[Address, _End] = {}
        self._connecting: dict[Address, list[tuple[bytes, str]]] = {}

    @property
    def listens(self) -> bool:
        """Whether it is open."""
        return self._receiver is not None

    @property
    def listeners(self) -> tuple[Listen, ...]:
        """What it listens on."""
        return tuple(Listen(transport, self.address, self.port) for transport in ("udp", "tcp"))

    async def open(self, receiver: Receiver) -> None:
        """Listen."""
        assert self._receiver is None, "opened already"
        self._receiver = receiver

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send as ``flow`` says. A host that is gone sends into the void."""
        if self._receiver is None:
            return
        if flow.transport is Transport.UDP:
            if not self.gone:
                self.network.carry(Address(self.address, flow.local.port), flow.remote, data)
            return
        end = self._ends.get(flow.connection) if flow.connection else self._by_remote.get(flow.remote)
        if end is not None:
            end.send(data)
        elif flow.connection:
            self._receiver.send_failed(key)
        else:
            self._connect(flow.transport, flow.remote, data, key)

    def address_towards(self, transport: Transport, host: str) -> Address:
        """This host's one address."""
        if self._receiver is None:
            raise TransportError(f"nothing listens for {transport.value} where {host} could reach it")
        return Address(self.address, self.port)

    def peer_names(self, connection: int) -> tuple[str, ...]:
        """Nobody: there is no TLS here."""
        return ()

    def expect(self, remote: Address, peer: TlsPeer) -> None:
        """There is no TLS between simulated hosts."""

    def close(self) -> None:
        """Close; whoever has a connection with this host is told. May be called twice."""
        self._receiver = None
        for end in list(self._ends.values()):
            end.close()
        self._ends.clear()
        self._by_remote.clear()
        self._connecting.clear()
        self.network.forget(self)

    def vanish(self) -> None:
        """Fall silent, as with the plug pulled: nothing comes in or goes out until :meth:`come_back`."""
        self.gone = True

    def come_back(self) -> None:
        """The plug is in again."""
        self.gone = False

    def drop_connections(self) -> None:
        """Reset all TCP connections of this host."""
        for end in list(self._ends.values()):
            end.reset()

    def take_datagram(self, data: bytes, flow: Flow) -> None:
        """A datagram came."""
        if self._receiver is not None:
            self._receiver.datagram(data, flow)

    def take_item(self, item: object, flow: Flow) -> None:
        """A message, or something that is none, came over a connection."""
        if self._receiver is None:
            return
        if isinstance(item, SipParseError):
            self._receiver.unreadable(item, flow)
        else:
            self._receiver.message(item, flow)  # type: ignore[arg-type]

    def lost(self, end: _End) -> None:
        """A connection is gone."""
        if self._ends.pop(end.number, None) is None:
            return
        if self._by_remote.get(end.remote) is end:
            del self._by_remote[end.remote]
        if self._receiver is not None:
            self._receiver.connection_lost(end.number)

    def add(self, transport: Transport, local: Address, remote: Address) -> _End:
        """Take up one end of a new connection."""
        end = _End(self, next(self._numbers), transport, local, remote)
        self._ends[end.number] = end
        self._by_remote[remote] = end
        return end

    def __repr__(self) -> str:
        return f"<SimHost {self.address}:{self.port}{' gone' if self.gone else ''}>"

    def _connect(self, transport: Transport, remote: Address, data: bytes, key: str) -> None:
        waiting = self._connecting.setdefault(remote, [])
        waiting.append((data, key))
        if len(waiting) > 1:
            return
        # A closed port refuses at once; a host that is silent is given up.
        wait = TCP_PATIENCE if self.gone or self.network.silent(remote.host) else 2 * self.network.delay()
        self.network.loop.call_later(wait, self._connected, transport, remote)

    def _connected(self, transport: Transport, remote: Address) -> None:
        waiting = self._connecting.pop(remote, [])
        there = self.network.at(remote)
        if there is None or self.gone:
            for _, key in waiting:
                if self._receiver is not None:
                    self._receiver.send_failed(key)
            return
        local = Address(self.address, next(self._ports))
        mine, theirs = self.add(transport, local, remote), there.add(transport, remote, local)
        mine.other, theirs.other = theirs, mine
        for data, _ in waiting:
            mine.send(data)


class _End:
    """One end of a connection, TCP or TLS: octets arrive in order, in pieces of any size; nobody reads along anyway."""

    def __init__(self, host: SimHost, number: int, transport: Transport, local: Address, remote: Address) -> None:
        self.number = number
        self.local = local
        self.remote = remote
        self.other: _End | None = None
        self._host = host
        # What the peer calls back at is the listening port, whoever opened the connection.
        self._flow = Flow(transport, Address(host.address, host.port), remote, number)
        self._parser = StreamParser()
        self._arrives_at = 0.0

    def send(self, data: bytes) -> None:
        """Write octets; what is written to a host that vanished comes to nothing, and the connection with it."""
        network, other = self._host.network, self.other
        assert other is not None
        if self._host.gone or other.host_gone:
            network.note("stuck", self.local, self.remote, data)
            network.loop.call_later(TCP_PATIENCE, self._give_up)
            return
        cut = network.random.randrange(len(data) + 1)
        for piece in (data[:cut], data[cut:]):
            if piece:
                network.loop.call_at(self._arrival(), other.take, piece)

    @property
    def host_gone(self) -> bool:
        """Whether the host is unplugged."""
        return self._host.gone

    def take(self, data: bytes) -> None:
        """Octets arrive."""
        if self._host.gone:
            return
        for item in self._parser.feed(data):
            if isinstance(item, KeepAlive):
                self.send(b"\r\n")
            else:
                self._host.network.note("came", self.remote, self.local, _start(item))
                self._host.take_item(item, self._flow)
        if self._parser.fatal:
            self.reset()

    def close(self) -> None:
        """Our host closes: the other end is told after what was written."""
        if self.other is not None:
            self._host.network.loop.call_at(self._arrival(), self.other.gone)

    def reset(self) -> None:
        """Cut the connection for both."""
        self.close()
        self.gone()

    def gone(self) -> None:
        """The connection is gone."""
        self._host.lost(self)

    def _arrival(self) -> float:
        """When what is sent now arrives: behind everything sent before."""
        network = self._host.network
        self._arrives_at = max(self._arrives_at + 1e-6, network.loop.time() + network.delay())
        return self._arrives_at

    def _give_up(self) -> None:
        other = self.other
        if self._host.gone or (other is not None and other.host_gone):
            self.gone()


def _start(item: object) -> bytes:
    to_bytes: Callable[[], bytes] | None = getattr(item, "to_bytes", None)
    return to_bytes() if to_bytes is not None else str(item).encode()
