"""The real network on loopback: who is reached from where, ports in use, connections that come and go."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from callcenter.runtime.clock import SystemClock
from callcenter.signaling import stream, udp
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.settings import Listen
from callcenter.signaling.transport import TransportError
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request, Response

OPTIONS = (
    b"OPTIONS sip:amy@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bKabc\r\n"
    b"From: <sip:bob@127.0.0.1>;tag=1\r\n"
    b"To: <sip:amy@127.0.0.1>\r\n"
    b"Call-ID: one\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Ear:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Flow]] = []
        self.messages: list[tuple[Request | Response, Flow]] = []
        self.errors: list[SipParseError] = []
        self.failed: list[str] = []
        self.lost: list[int] = []
        self.on_message: Callable[[Flow], None] | None = None

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.datagrams.append((data, flow))

    def message(self, message: Request | Response, flow: Flow) -> None:
        self.messages.append((message, flow))
        if self.on_message is not None:
            self.on_message(flow)

    def unreadable(self, error: SipParseError, flow: Flow) -> None:
        self.errors.append(error)

    def send_failed(self, key: str) -> None:
        self.failed.append(key)

    def connection_lost(self, connection: int) -> None:
        self.lost.append(connection)


class Side:
    """A network and its ear."""

    def __init__(self, *listen: Listen) -> None:
        self.ear = Ear()
        self.network = SipNetwork(listen, SystemClock())

    def flow(self, transport: Transport, to: Side | Address, host: str = "127.0.0.1", local: str = "") -> Flow:
        remote = to if isinstance(to, Address) else to.address(transport, host)
        ours = Address(local or host, self.address(transport, host).port)
        return Flow(transport, ours, remote)

    def connections(self) -> int:
        assert self.network._streams is not None
        return len(self.network._streams)

    def address(self, transport: Transport, host: str = "127.0.0.1") -> Address:
        return self.network.address_towards(transport, host)


OpenSide = Callable[..., Awaitable[Side]]

EVERYWHERE = tuple(Listen(transport, host, 0) for transport in ("udp", "tcp") for host in ("0.0.0.0", "::"))


async def until_true(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not come true within 5 s")


async def receive(peer: socket.socket) -> tuple[bytes, tuple[str, int]]:
    """As ``loop.sock_recvfrom``, which uvloop lacks."""
    got: list[tuple[bytes, tuple[str, int]]] = []

    def came() -> bool:
        try:
            got.append(peer.recvfrom(100))
        except BlockingIOError:
            return False
        return True

    await until_true(came)
    return got[0]


@asynccontextmanager
async def sides() -> AsyncIterator[OpenSide]:
    opened: list[Side] = []

    async def make(*listen: Listen) -> Side:
        side = Side(*(listen or EVERYWHERE))
        await side.network.open(side.ear)
        opened.append(side)
        return side

    try:
        yield make
    finally:
        for side in opened:
            side.network.close()
            side.network.close()
        await asyncio.sleep(0.01)


@pytest.fixture
async def open_side() -> AsyncIterator[OpenSide]:
    async with sides() as make:
        yield make


async def test_all_listeners_without_a_port_share_one(open_side: OpenSide) -> None:
    side = await open_side()
    ports = {listen.port for listen in side.network.listeners}
    assert len(ports) == 1
    assert ports != {0}
    assert [(listen.transport, listen.host) for listen in side.network.listeners] == [
        ("udp", "0.0.0.0"),
        ("udp", "::"),
        ("tcp", "0.0.0.0"),
        ("tcp", "::"),
    ]


@pytest.mark.parametrize("ours", ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"])
async def test_udp_tells_the_address_by_which_the_peer_reached_us_and_answers_from_it(
    open_side: OpenSide, ours: str
) -> None:
    side = await open_side()
    family = socket.AF_INET6 if ":" in ours else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.bind(("::1" if ":" in ours else "127.0.0.1", 0))
        peer.setblocking(False)
        port = side.network.listeners[0].port
        peer.sendto(b"hello from a peer", (ours, port))
        await until_true(lambda: side.ear.datagrams)
        data, flow = side.ear.datagrams[0]
        assert data == b"hello from a peer"
        assert flow.local == Address(ours, port)
        assert flow.remote == Address(*peer.getsockname()[:2])
        side.network.send(flow, b"answer", "k")
        answer, source = await receive(peer)
    assert answer == b"answer"
    assert source[:2] == (ours, port)
    assert side.ear.failed == []


async def test_socket_on_one_address_answers_from_it(open_side: OpenSide) -> None:
    side = await open_side(Listen("udp", "127.0.0.3", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        peer.sendto(b"hello from a peer", ("127.0.0.3", side.network.listeners[0].port))
        await until_true(lambda: side.ear.datagrams)
        flow = side.ear.datagrams[0][1]
        assert flow.local.host == "127.0.0.3"
        side.network.send(flow, b"answer", "k")
        _, source = await receive(peer)
    assert source[0] == "127.0.0.3"


async def test_keep_alives_over_udp_are_no_messages(open_side: OpenSide) -> None:
    side, other = await open_side(), await open_side()
    flow = other.flow(Transport.UDP, side)
    for data in (b"\r\n\r\n", b"\0\0\0\0", b"\r\n", b"", b"jaK", OPTIONS):
        other.network.send(flow, data, "k")
    await until_true(lambda: len(side.ear.datagrams) == 2)
    assert [data for data, _ in side.ear.datagrams] == [b"jaK", OPTIONS]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_phone_that_asks_by_stun_is_told_where_it_is_seen_and_sip_hears_nothing(
    open_side: OpenSide, host: str
) -> None:
    side = await open_side()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.setblocking(False)
        asked = bytes.fromhex("000100002112a442") + b"twelve octet"
        for data in (asked[:-1], asked, OPTIONS):
            peer.sendto(data, (host, side.network.listeners[0].port))
        told, source = await receive(peer)
        assert source[1] == side.network.listeners[0].port
        assert told[:20] == bytes.fromhex("0101") + struct.pack("!H", len(told) - 20) + asked[4:]
        assert struct.unpack("!H", told[26:28])[0] ^ 0x2112 == peer.getsockname()[1]
        await until_true(lambda: side.ear.datagrams)
    # What is not quite STUN is for the parser to refuse.
    assert [data for data, _ in side.ear.datagrams] == [asked[:-1], OPTIONS]


async def test_burst_of_datagrams_is_taken_in_order(open_side: OpenSide) -> None:
    side, other = await open_side(), await open_side()
    flow = other.flow(Transport.UDP, side)
    wanted = [b"message %03d of a burst" % number for number in range(udp.DRAIN * 3)]
    for data in wanted:
        other.network.send(flow, data, "k")
    await until_true(lambda: len(side.ear.datagrams) == len(wanted))
    assert [data for data, _ in side.ear.datagrams] == wanted


@pytest.mark.parametrize(
    "remote",
    [
        Address("phone.example.invalid", 5060),
        Address("127.0.0.1", 0),
        Address("127.0.0.1", 70_000),
        Address("255.255.255.255", 5060),
        Address("", 5060),
    ],
)
async def test_udp_to_where_nothing_can_be_sent_is_told_and_asks_no_dns(open_side: OpenSide, remote: Address) -> None:
    side = await open_side()
    side.network.send(side.flow(Transport.UDP, remote), OPTIONS, "the key")
    assert side.ear.failed == ["the key"]


async def test_udp_too_large_for_a_datagram_is_told(open_side: OpenSide) -> None:
    side, other = await open_side(), await open_side()
    side.network.send(side.flow(Transport.UDP, other), b"x" * 70_000, "the key")
    assert side.ear.failed == ["the key"]


async def test_peers_remembered_are_bounded(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_PEERS", 10)
    side = await open_side()
    for number in range(50):
        side.network.send(side.flow(Transport.UDP, Address("127.0.0.1", 20_000 + number)), OPTIONS, "k")
    assert side.network._udp is not None
    (socket4,) = [each for each in side.network._udp._sockets.values() if each._family == socket.AF_INET]
    assert 0 < len(socket4._ways) <= 10


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_port_in_use_is_one_clear_line_and_leaves_nothing_open(
    open_side: OpenSide, transport: str, host: str
) -> None:
    first = await open_side(Listen(transport, host, 0))
    port = first.network.listeners[0].port
    second = Side(Listen("udp", "127.0.0.1", 0), Listen(transport, host, port))
    with pytest.raises(TransportError) as caught:
        await second.network.open(second.ear)
    line = str(caught.value)
    shown = f"[{host}]" if ":" in host else host
    assert line.startswith(f"cannot listen on {transport} {shown}:{port}: the port is in use. Stop the other program")
    assert "\n" not in line
    assert second.network.listeners == ()


async def test_address_that_is_not_ours_is_one_clear_line() -> None:
    side = Side(Listen("udp", "192.0.2.1", 0))
    with pytest.raises(TransportError, match=r"192\.0\.2\.1:0: this machine does not have that address"):
        await side.network.open(side.ear)
    side = Side(Listen("tcp", "localhost", 0))
    with pytest.raises(TransportError, match="'localhost' is not an IP address"):
        await side.network.open(side.ear)
    side = Side()
    with pytest.raises(TransportError, match="nothing to listen on"):
        await side.network.open(side.ear)


async def test_machine_without_ipv6_listens_on_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def without_ipv6(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return made(family, *rest)

    monkeypatch.setattr("callcenter.signaling.sockets.socket.socket", without_ipv6)
    side = Side(*EVERYWHERE)
    await side.network.open(side.ear)
    assert {listen.host for listen in side.network.listeners} == {"0.0.0.0"}
    side.network.close()
    only6 = Side(Listen("udp", "::", 0))
    with pytest.raises(TransportError, match="Address family not supported"):
        await only6.network.open(only6.ear)


async def test_our_address_towards_a_peer(open_side: OpenSide) -> None:
    side = await open_side()
    port = side.network.listeners[0].port
    assert side.network.address_towards(Transport.UDP, "127.0.0.9") == Address("127.0.0.1", port)
    assert side.network.address_towards(Transport.TCP, "::1") == Address("::1", port)
    with pytest.raises(TransportError, match="is not an IP address"):
        side.network.address_towards(Transport.UDP, "phone.example")
    only4 = await open_side(Listen("udp", "127.0.0.1", 0))
    with pytest.raises(TransportError, match="nothing listens for TCP"):
        only4.network.address_towards(Transport.TCP, "127.0.0.1")
    with pytest.raises(TransportError, match="nothing listens for UDP where ::1"):
        only4.network.address_towards(Transport.UDP, "::1")
    assert only4.network.address_towards(Transport.UDP, "127.0.0.9").host == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_tcp_opens_one_connection_and_uses_it_both_ways(open_side: OpenSide, host: str) -> None:
    side, other = await open_side(), await open_side()
    out = Flow(
        Transport.TCP,
        Address(host, other.network.listeners[0].port),
        Address(host, side.network.listeners[0].port),
    )
    other.network.send(out, OPTIONS, "a")
    other.network.send(out, OPTIONS, "b")
    await until_true(lambda: len(side.ear.messages) == 2)
    other.network.send(out, OPTIONS, "c")
    await until_true(lambda: len(side.ear.messages) == 3)
    flows = {flow for _, flow in side.ear.messages}
    assert len(flows) == 1
    (flow,) = flows
    # What we write into Contact is the port we listen on, not that of the connection.
    assert flow.local == Address(host, side.network.listeners[0].port)
    assert flow.connection > 0
    side.network.send(flow, OPTIONS, "d")
    await until_true(lambda: other.ear.messages)
    back = other.ear.messages[0][1]
    assert back.local == Address(host, other.network.listeners[0].port)
    assert back.remote == out.remote
    assert side.connections() == other.connections() == 1
    assert side.ear.failed == other.ear.failed == []


async def test_tcp_to_where_nobody_listens_is_told(open_side: OpenSide) -> None:
    side = await open_side()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = Address(*closed.getsockname())
        side.network.send(side.flow(Transport.TCP, nobody), OPTIONS, "a")
        side.network.send(side.flow(Transport.TCP, nobody), OPTIONS, "b")
        await until_true(lambda: len(side.ear.failed) == 2)
    side.network.send(side.flow(Transport.TCP, Address("phone.example.invalid", 5060)), OPTIONS, "c")
    assert side.ear.failed == ["a", "b", "c"]
    assert side.network._streams is not None
    assert side.network._streams._connecting == {}


async def test_what_waits_for_a_connection_is_bounded(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_WAITING", 2)
    side, other = await open_side(), await open_side()
    flow = side.flow(Transport.TCP, other)
    for key in ("a", "b", "c"):
        side.network.send(flow, OPTIONS, key)
    assert side.ear.failed == ["c"]
    await until_true(lambda: len(other.ear.messages) == 2)


async def test_connection_that_is_gone_is_told_and_a_new_one_opened_where_it_may(open_side: OpenSide) -> None:
    side, other = await open_side(), await open_side()
    flow = side.flow(Transport.TCP, other)
    side.network.send(flow, OPTIONS, "a")
    await until_true(lambda: other.ear.messages)
    gone = other.ear.messages[0][1]
    assert side.network._streams is not None
    side.network._streams._connections[1].close()
    await until_true(lambda: side.ear.lost and other.ear.lost)
    assert (side.ear.lost, other.ear.lost) == ([1], [gone.connection])
    other.network.send(gone, OPTIONS, "answer")
    assert other.ear.failed == ["answer"]
    side.network.send(flow, OPTIONS, "b")
    await until_true(lambda: len(other.ear.messages) == 2)
    assert other.ear.messages[1][1].connection != gone.connection


async def test_pieces_keep_alives_and_rubbish_on_a_connection(open_side: OpenSide) -> None:
    side = await open_side()
    reader, writer = await asyncio.open_connection("127.0.0.1", side.network.listeners[0].port)
    for octet in OPTIONS:
        writer.write(bytes((octet,)))
        await writer.drain()
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    await until_true(lambda: len(side.ear.messages) == 1)
    writer.write(b"no sip at all\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""  # framing is lost: closed
    assert len(side.ear.errors) == 1
    await until_true(lambda: side.ear.lost)
    writer.close()


async def test_answer_to_the_last_message_goes_out_before_the_connection_closes(open_side: OpenSide) -> None:
    side = await open_side()
    side.ear.on_message = lambda flow: side.network.send(flow, b"the answer", "k")
    reader, writer = await asyncio.open_connection("127.0.0.1", side.network.listeners[0].port)
    writer.write(OPTIONS + b"rubbish\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b"the answer"
    writer.close()


async def test_peer_that_does_not_read_is_dropped(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_UNSENT", 1000)
    side = await open_side()
    reader, writer = await asyncio.open_connection("127.0.0.1", side.network.listeners[0].port, limit=1)
    writer.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    flow = side.ear.messages[0][1]
    for number in range(200):
        side.network.send(flow, b"x" * 100_000, str(number))
    assert side.ear.failed
    await until_true(lambda: side.ear.lost)
    assert side.connections() == 0
    writer.transport.abort()
    del reader


async def test_who_does_not_read_piles_up_no_answers_to_keep_alives(
    open_side: OpenSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_UNSENT", 1 << 30)
    side = await open_side()
    reader, writer = await asyncio.open_connection("127.0.0.1", side.network.listeners[0].port)
    writer.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    more = b"x" * 100_000  # 40 MB: more than the kernel and the reader hold
    for number in range(400):
        side.network.send(side.ear.messages[0][1], more, str(number))
    writer.write(b"\r\n\r\n" * 1000 + OPTIONS)
    await until_true(lambda: len(side.ear.messages) == 2)
    side.network.send(side.ear.messages[0][1], b"the last", "")
    told = b""
    while not told.endswith(b"the last"):
        told = told[-8:] + await asyncio.wait_for(reader.read(1 << 20), 20)
        assert b"\r\n" not in told
    writer.close()


async def test_too_many_connections_are_refused(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_CONNECTIONS", 2)
    side = await open_side()
    port = side.network.listeners[0].port
    writers = []
    for source in ("127.0.0.1", "127.0.0.2"):
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writers.append(writer)
    await until_true(lambda: side.connections() == 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.3", 0))
    with pytest.raises(ConnectionError):  # noqa: PT012  either end of the race
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    for each in (writer, *writers):
        each.close()


async def test_one_source_may_not_have_every_connection(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_CONNECTIONS", 4)
    side = await open_side()
    port = side.network.listeners[0].port
    writers = []
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writers.append(writer)
    await until_true(lambda: side.connections() == 3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    with pytest.raises(ConnectionError):  # noqa: PT012  either end of the race
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    writers.append(writer)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writers.append(writer)
    await until_true(lambda: side.connections() == 4)
    for each in writers:
        each.close()
    await until_true(lambda: side.connections() == 0)


async def test_silent_connections_are_given_up(open_side: OpenSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(stream, "FIRST_WORD_LIMIT", 0.05)
    side = await open_side()
    port = side.network.listeners[0].port
    silent, silent_writer = await asyncio.open_connection("127.0.0.1", port)
    _, spoken_writer = await asyncio.open_connection("127.0.0.1", port)
    spoken_writer.write(OPTIONS)
    assert await asyncio.wait_for(silent.read(), 5) == b""
    assert side.connections() == 1  # who said something stays
    monkeypatch.setattr(stream, "IDLE_LIMIT", 0.05)
    await until_true(lambda: side.connections() == 0)
    silent_writer.close()
    spoken_writer.close()


async def test_nothing_is_received_after_close(open_side: OpenSide) -> None:
    side, other = await open_side(), await open_side()
    out = other.flow(Transport.TCP, side)
    other.network.send(out, OPTIONS, "a")
    await until_true(lambda: side.ear.messages)
    flow = other.flow(Transport.UDP, side)
    side.network.close()
    other.network.send(flow, OPTIONS, "u")
    await until_true(lambda: other.ear.lost)
    side.network.send(side.ear.messages[0][1], OPTIONS, "late")
    await asyncio.sleep(0.02)
    assert side.ear.datagrams == []
    assert (side.ear.lost, side.ear.failed) == ([], [])


@pytest.mark.parametrize(
    ("story", "more"),
    [
        (test_udp_tells_the_address_by_which_the_peer_reached_us_and_answers_from_it, ["127.0.0.2"]),
        (test_udp_tells_the_address_by_which_the_peer_reached_us_and_answers_from_it, ["::1"]),
        (test_burst_of_datagrams_is_taken_in_order, []),
        (test_tcp_opens_one_connection_and_uses_it_both_ways, ["127.0.0.2"]),
        (test_tcp_to_where_nobody_listens_is_told, []),
        (test_connection_that_is_gone_is_told_and_a_new_one_opened_where_it_may, []),
        (test_answer_to_the_last_message_goes_out_before_the_connection_closes, []),
        (test_pieces_keep_alives_and_rubbish_on_a_connection, []),
        (test_nothing_is_received_after_close, []),
    ],
)
def test_the_same_holds_on_uvloop(story: Callable[..., Awaitable[None]], more: list[Any]) -> None:
    async def main() -> None:
        async with sides() as make:
            await story(make, *more)

    uvloop.run(main())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_port_in_use_is_told_on_uvloop_too(transport: str) -> None:
    async def main() -> None:
        async with sides() as make:
            await test_port_in_use_is_one_clear_line_and_leaves_nothing_open(make, transport, "127.0.0.1")

    uvloop.run(main())
