"""UdpTransport: SIP over UDP, each answer from the address by which the peer reached us."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct

from callcenter.signaling.settings import Listen
from callcenter.signaling.sockets import WILDCARDS, bind, family_of, true_address
from callcenter.signaling.transport import Receiver
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.stun import answer, is_stun

# So many datagrams are taken before the loop sees to others; a burst does not starve the timers.
DRAIN = 64
MAX_DATAGRAM = 65_535
# A burst of INVITEs must fit while the loop is busy; the kernel may grant less.
RECEIVE_BUFFER = 1 << 20
# Peers remembered with what belongs to sending to them; past this all are forgotten and learnt anew.
MAX_PEERS = 4096
# Kept alive by some bytes that are no message (RFC 5626 3.5.1 for streams; many phones do it over UDP too).
KEEP_ALIVE_OCTETS = b"\r\n\0 "
MAX_KEEP_ALIVE = 8
# No SIP message begins below this; STUN does.
MIN_LETTER = 0x20

# Missing in Python's socket module before 3.12; the same on every Linux.
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
# struct in_pktinfo: interface, our address, address in the header. struct in6_pktinfo: our address, interface.
PKTINFO4 = struct.Struct("=i4s4s")
PKTINFO6 = struct.Struct("=16sI")
ANCILLARY = socket.CMSG_SPACE(PKTINFO6.size) * 2

# Full buffers: lost like any datagram on the way, and repeated like one.
LOST = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM, errno.EINTR}

Ancillary = list[tuple[int, int, bytes]]


class UdpTransport:
    """The UDP sockets. ``open`` each; what comes is given to ``receiver`` with its flow."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._sockets: dict[tuple[str, int], _UdpSocket] = {}

    def open(self, listen: Listen) -> Listen:
        """Bind and read. Returns where it listens in truth. Raises TransportError."""
        bound = bind(listen, socket.SOCK_DGRAM)
        udp = _UdpSocket(bound, self._receiver)
        self._sockets[udp.address.host, udp.address.port] = udp
        return Listen(listen.transport, udp.address.host, udp.address.port)

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send from ``flow.local`` to ``flow.remote``; a failure is told to the receiver."""
        local = flow.local
        udp = self._sockets.get((local.host, local.port))
        if udp is None:
            family = family_of(flow.remote.host)
            udp = self._sockets.get((WILDCARDS[family], local.port)) if family is not None else None
        if udp is None or not udp.send(flow, data):
            self._receiver.send_failed(key)

    def close(self) -> None:
        """Close all sockets."""
        for udp in self._sockets.values():
            udp.close()
        self._sockets.clear()


class _UdpSocket:
    def __init__(self, bound: socket.socket, receiver: Receiver) -> None:
        self.address = true_address(bound)
        self._socket = bound
        self._receiver = receiver
        self._family = bound.family
        self._anywhere = self.address.host == WILDCARDS[bound.family]
        self._buffer = bytearray(MAX_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._ways: dict[tuple[str, Address], tuple[tuple[str | int, ...], Ancillary]] = {}
        # Link-local IPv6 addresses are told apart by their interface.
        self._scopes: dict[str, int] = {}
        if self._anywhere:
            if bound.family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(bound.fileno(), self._readable)

    def send(self, flow: Flow, data: bytes) -> bool:
        """Whether it was sent, or lost as datagrams are."""
        way = self._ways.get((flow.local.host, flow.remote)) or self._way(flow)
        if way is None:
            return False
        try:
            if way[1]:
                self._socket.sendmsg((data,), way[1], 0, way[0])
            else:
                self._socket.sendto(data, way[0])
        except OSError as error:
            return error.errno in LOST
        return True

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(DRAIN):
            if self._socket.fileno() < 0:
                return  # closed by what came
            try:
                size, ancillary, _, peer = self._socket.recvmsg_into((self._buffer,), ANCILLARY)
            except OSError:
                return  # nothing more, or an error of an earlier datagram that concerns nobody now
            data = bytes(self._view[:size])
            if size > MAX_KEEP_ALIVE or data.strip(KEEP_ALIVE_OCTETS):
                ours = ancillary[0][2] if ancillary else b""
                flow = self._flows.get((ours, *peer)) or self._flow(ours, peer)
                if data[0] < MIN_LETTER and is_stun(data):
                    # RFC 5626 3.5.2: it is no message, and the core has no part in it.
                    if (told := answer(data, flow.remote)) is not None:
                        self.send(flow, told)
                else:
                    self._receiver.datagram(data, flow)

    def _flow(self, ours: bytes, peer: tuple[str | int, ...]) -> Flow:
        host, port = str(peer[0]), int(peer[1])
        local = self.address
        if ours and self._family == socket.AF_INET6:
            local = Address(socket.inet_ntop(socket.AF_INET6, PKTINFO6.unpack(ours)[0]), local.port)
        elif ours:
            local = Address(socket.inet_ntop(socket.AF_INET, PKTINFO4.unpack(ours)[1]), local.port)
        flow = Flow(Transport.UDP, local, Address(host, port))
        if len(self._flows) >= MAX_PEERS:
            self._flows.clear()
            self._scopes.clear()
        if len(peer) > 3 and peer[3]:
            self._scopes[host] = int(peer[3])
        self._flows[ours, *peer] = flow
        return flow

    def _way(self, flow: Flow) -> tuple[tuple[str | int, ...], Ancillary] | None:
        """The peer's socket address, and the word to the kernel which address of ours to send from."""
        remote, local = flow.remote, flow.local.host
        # A name would make sendmsg ask the DNS, and everybody wait for it.
        if family_of(remote.host) != self._family or not 0 < remote.port < 65536:
            return None
        peer: tuple[str | int, ...] = (remote.host, remote.port)
        ancillary: Ancillary = []
        scope = self._scopes.get(remote.host, 0)
        if self._family == socket.AF_INET6:
            peer = (remote.host, remote.port, 0, scope)
        # An address that is not an IP address (an advertised name) says nothing: then the kernel chooses.
        if self._anywhere and family_of(local) == self._family and local != self.address.host:
            if self._family == socket.AF_INET6:
                info = PKTINFO6.pack(socket.inet_pton(socket.AF_INET6, local), scope)
                ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
            else:
                info = PKTINFO4.pack(0, socket.inet_aton(local), bytes(4))
                ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
        if len(self._ways) >= MAX_PEERS:
            self._ways.clear()
        way = self._ways[local, remote] = (peer, ancillary)
        return way
