"""TLS on loopback: who may speak, by which certificate, and what the operator is told of those who may not."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from callcenter.runtime.clock import SystemClock
from callcenter.signaling import stream, tls
from callcenter.signaling.certificates import Keyring
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.settings import ClientCertificate, Listen, TlsPeer, TlsSettings
from callcenter.signaling.transport import TransportError
from callcenter.sip.flow import Address, Flow, Transport
from tests.unit.signaling.authority import NOW, Authority
from tests.unit.signaling.test_network import OPTIONS, Ear, until_true

SELF_MADE = TlsSettings()
HOSTS = ("127.0.0.1", "::1")


class Side:
    """A network with TLS on loopback, and its ear."""

    def __init__(self, folder: Path, settings: TlsSettings = SELF_MADE, listen: tuple[Listen, ...] = ()) -> None:
        self.ear = Ear()
        self.keyring = Keyring(folder / "tls", ("cc1",), SystemClock())
        self.reload(settings)
        every = tuple(Listen(transport, host, 0) for transport in ("udp", "tcp", "tls") for host in HOSTS)
        self.network = SipNetwork(listen or every, SystemClock(), self.keyring)

    def reload(self, settings: TlsSettings) -> None:
        self.keyring.use(self.keyring.load(settings))

    def address(self, host: str = "127.0.0.1", transport: Transport = Transport.TLS) -> Address:
        return self.network.address_towards(transport, host)

    def towards(self, other: Side | Address, host: str = "127.0.0.1") -> Flow:
        remote = other if isinstance(other, Address) else other.address(host)
        return Flow(Transport.TLS, self.address(host), remote)

    def client(self, *, name: str | None = None, trust: Path | None = None, **fields: Any) -> ssl.SSLContext:
        """A context of Python's own for a peer that is not ours."""
        context = ssl.create_default_context(cafile=trust or self.keyring.current.shown[0].file)
        for field, value in fields.items():
            setattr(context, field, value)
        return context


OpenSide = Callable[..., Awaitable[Side]]


@asynccontextmanager
async def sides(folder: Path) -> AsyncIterator[OpenSide]:
    opened: list[Side] = []

    async def make(settings: TlsSettings = SELF_MADE, *listen: Listen) -> Side:
        side = Side(folder / str(len(opened)), settings, listen)
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
async def open_side(tmp_path: Path) -> AsyncIterator[OpenSide]:
    async with sides(tmp_path) as make:
        yield make


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """The log."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def reasons(said: list[Any]) -> list[str]:
    return [line["why"] for line in said if "why" in line]


# -- speaking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", HOSTS)
async def test_phone_that_trusts_our_own_certificate_is_heard_and_answered(open_side: OpenSide, host: str) -> None:
    side = await open_side()
    reader, writer = await asyncio.open_connection(host, side.address(host).port, ssl=side.client())
    writer.write(OPTIONS[:50])
    await writer.drain()
    writer.write(OPTIONS[50:] + OPTIONS)
    await until_true(lambda: len(side.ear.messages) == 2)
    flow = side.ear.messages[0][1]
    assert (flow.transport, flow.local) == (Transport.TLS, side.address(host))
    assert flow.connection > 0
    side.network.send(flow, b"the answer", "k")
    assert await asyncio.wait_for(reader.readexactly(10), 5) == b"the answer"
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    writer.close()
    await until_true(lambda: side.ear.lost == [flow.connection])


async def test_server_that_we_call_proves_who_it_is_and_is_called_once(open_side: OpenSide, tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    carrier = await open_side(TlsSettings(certificates=(authority.sign("sip.carrier.example"),)))
    side = await open_side(TlsSettings(ca_file=authority.file))
    side.network.expect(carrier.address(), TlsPeer("sip.carrier.example"))
    for key in ("a", "b", "c"):
        side.network.send(side.towards(carrier), OPTIONS, key)
    await until_true(lambda: len(carrier.ear.messages) == 3)
    side.network.send(side.towards(carrier), OPTIONS, "d")
    await until_true(lambda: len(carrier.ear.messages) == 4)
    (flow,) = {flow for _, flow in carrier.ear.messages}
    carrier.network.send(flow, OPTIONS, "back")
    await until_true(lambda: side.ear.messages)
    back = side.ear.messages[0][1]
    assert side.network.peer_names(back.connection) == ("someone", "sip.carrier.example")
    assert carrier.network.peer_names(flow.connection) == ()
    assert side.ear.failed == carrier.ear.failed == []


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        (
            TlsPeer("sip.other.example"),
            "their certificate is for someone, sip.carrier.example, not for sip.other.example",
        ),
        (TlsPeer(), "not for 127.0.0.1"),
        (TlsPeer("sip.carrier.example", ca_file=Path("stranger.pem")), "authority of its certificate is not trusted"),
        (TlsPeer("sip.carrier.example", ca_file=Path("nothing.pem")), "nothing.pem is not there"),
    ],
)
async def test_server_that_does_not_prove_who_it_is_gets_nothing(
    open_side: OpenSide, tmp_path: Path, said: list[Any], peer: TlsPeer, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    authority = Authority.made(tmp_path)
    Authority.made(tmp_path, "stranger")
    carrier = await open_side(TlsSettings(certificates=(authority.sign("sip.carrier.example"),)))
    side = await open_side(TlsSettings(ca_file=authority.file))
    side.network.expect(carrier.address(), peer)
    side.network.send(side.towards(carrier), OPTIONS, "a")
    await until_true(lambda: side.ear.failed)
    assert side.ear.failed == ["a"]
    assert carrier.ear.messages == []
    assert any(why in reason for reason in reasons(said)), said


async def test_server_is_not_asked_who_it_is_where_the_operator_says_so(open_side: OpenSide) -> None:
    carrier, side = await open_side(), await open_side()
    side.network.expect(carrier.address(), TlsPeer(verify=False))
    side.network.send(side.towards(carrier), OPTIONS, "a")
    await until_true(lambda: carrier.ear.messages)


async def test_who_calls_from_a_servers_address_is_not_taken_for_the_server(
    open_side: OpenSide, tmp_path: Path
) -> None:
    """Requests for the server go over a connection that we opened, on which it proved who it is."""
    authority = Authority.made(tmp_path)
    side = await open_side(TlsSettings(ca_file=authority.file))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        remote = Address(*taken.getsockname())
    side.network.expect(remote, TlsPeer("sip.carrier.example"))
    _, writer = await asyncio.open_connection(
        "127.0.0.1", side.address().port, ssl=side.client(), local_addr=("127.0.0.1", remote.port)
    )
    writer.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    assert side.ear.messages[0][1].remote == remote
    side.network.send(side.towards(remote), OPTIONS, "secret")
    await until_true(lambda: side.ear.failed == ["secret"])
    writer.close()


# -- those who may not -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (OPTIONS, "plain text on the TLS port"),
        (b"\x16\x03\x01\x00\x05hello", ""),
        (b"\x16" + bytes(40), ""),
    ],
)
async def test_what_is_no_tls_is_hung_up_on_with_one_line_and_no_trace(
    open_side: OpenSide, said: list[Any], data: bytes, why: str
) -> None:
    side = await open_side()
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", side.address().port)
        writer.write(data)
        try:
            await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            pass
        writer.close()
    assert len(reasons(said)) == 1, said
    assert why in reasons(said)[0]
    assert side.ear.messages == []
    assert (side.ear.errors, side.ear.lost) == ([], [])


async def test_who_only_looks_whether_somebody_listens_fills_no_log(open_side: OpenSide, said: list[Any]) -> None:
    side = await open_side()
    _, writer = await asyncio.open_connection("127.0.0.1", side.address().port)
    streams = side.network._streams
    assert streams is not None
    await until_true(lambda: streams._half_open)
    writer.close()
    await until_true(lambda: not streams._half_open)
    assert reasons(said) == []


async def test_tls_on_the_port_for_tcp_is_told(open_side: OpenSide, said: list[Any]) -> None:
    side = await open_side()
    port = side.address(transport=Transport.TCP).port
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=side.client())
    assert any("TLS on the port for TCP" in why for why in reasons(said))


async def test_peer_that_speaks_only_old_tls_is_told_of(open_side: OpenSide, said: list[Any]) -> None:
    side = await open_side(TlsSettings(min_version="1.3"))
    context = side.client(maximum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", side.address().port, ssl=context)
    await until_true(lambda: reasons(said))
    assert "older than sip.tls.min_version" in reasons(said)[0]


async def test_slow_handshake_is_given_up(
    open_side: OpenSide, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HANDSHAKE_LIMIT", 0.05)
    side = await open_side()
    reader, writer = await asyncio.open_connection("127.0.0.1", side.address().port)
    writer.write(b"\x16")
    with pytest.raises(ConnectionError):  # noqa: PT012  either end of the race
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    writer.close()
    assert "no handshake within" in reasons(said)[0]


async def test_half_open_connections_of_one_source_are_bounded(
    open_side: OpenSide, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_HALF_OPEN_FROM_ONE", 2)
    side = await open_side()
    port = side.address().port
    idle = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(2)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    with pytest.raises(ConnectionError):  # noqa: PT012  either end of the race
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    assert "too many of this source" in reasons(said)[0]
    # Others come in meanwhile, and who gives up makes room.
    _, other = await asyncio.open_connection("127.0.0.1", port, ssl=side.client())
    other.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    for _, each in idle:
        each.close()
    await until_true(lambda: side.network._streams is not None and not side.network._streams._half_open)
    _, again = await asyncio.open_connection("127.0.0.1", port, ssl=side.client(), local_addr=("127.0.0.2", 0))
    for each in (writer, other, again):
        each.close()


async def test_server_that_never_answers_the_handshake_is_given_up(
    open_side: OpenSide, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CONNECT_LIMIT", 0.1)
    side = await open_side()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        side.network.send(side.towards(Address(*deaf.getsockname())), OPTIONS, "a")
        await until_true(lambda: side.ear.failed)
    assert "no answer within" in reasons(said)[-1]


# -- certificates of peers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_peer_is_known_by_the_names_of_its_certificate(
    open_side: OpenSide, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    authority = Authority.made(tmp_path)
    side = await open_side(TlsSettings(client_ca=authority.file, client_certificate=ClientCertificate.REQUIRED))
    files = authority.sign("sip:carrier.example", "Edge.Carrier.example", "192.0.2.7", name="Carrier")
    context = side.client(maximum_version=version)
    context.load_cert_chain(files.cert, files.key)
    _, writer = await asyncio.open_connection("127.0.0.1", side.address().port, ssl=context)
    writer.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    connection = side.ear.messages[0][1].connection
    names = ("carrier", "sip:carrier.example", "edge.carrier.example", "192.0.2.7")
    assert side.network.peer_names(connection) == names
    writer.close()
    await until_true(lambda: side.ear.lost)
    assert side.network.peer_names(connection) == ()


@pytest.mark.parametrize("required", [False, True])
async def test_peer_without_a_certificate_comes_in_only_where_none_is_required(
    open_side: OpenSide, tmp_path: Path, said: list[Any], required: bool
) -> None:
    authority = Authority.made(tmp_path)
    wanted = ClientCertificate.REQUIRED if required else ClientCertificate.OPTIONAL
    side = await open_side(TlsSettings(client_ca=authority.file, client_certificate=wanted))
    _, writer = await asyncio.open_connection("127.0.0.1", side.address().port, ssl=side.client())
    writer.write(OPTIONS)
    if required:
        await until_true(lambda: reasons(said))
        assert "they showed no certificate" in reasons(said)[0]
        assert side.ear.messages == []
    else:
        await until_true(lambda: side.ear.messages)
        assert side.network.peer_names(side.ear.messages[0][1].connection) == ()
    writer.close()


async def test_certificate_of_a_strangers_authority_is_refused_also_where_none_is_required(
    open_side: OpenSide, tmp_path: Path, said: list[Any]
) -> None:
    side = await open_side(TlsSettings(client_ca=Authority.made(tmp_path).file))
    files = Authority.made(tmp_path, "stranger").sign("sip:carrier.example")
    context = side.client()
    context.load_cert_chain(files.cert, files.key)
    _, writer = await asyncio.open_connection("127.0.0.1", side.address().port, ssl=context)
    writer.write(OPTIONS)
    await until_true(lambda: reasons(said))
    assert "the authority of its certificate is not trusted" in reasons(said)[0]
    assert side.ear.messages == []
    writer.close()


# -- our certificates --------------------------------------------------------------------------------------------------


def shown_to(side: Side, name: str | None, trust: Path) -> Awaitable[str]:
    async def ask() -> str:
        context = ssl.create_default_context(cafile=trust)
        context.check_hostname = False
        _, writer = await asyncio.open_connection(
            "127.0.0.1", side.address().port, ssl=context, server_hostname=name or ""
        )
        octets = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(octets).subject.rfc4514_string()

    return ask()


async def test_certificate_is_chosen_by_the_server_name_that_the_phone_wants(
    open_side: OpenSide, tmp_path: Path
) -> None:
    authority = Authority.made(tmp_path)
    side = await open_side(
        TlsSettings(
            certificates=(
                authority.sign("sip.tech.example", name="tech"),
                authority.sign("sip.lumina.example", "*.lumina.example", name="lumina"),
            )
        )
    )
    for wanted, held in (
        ("sip.tech.example", "tech"),
        ("SIP.Lumina.example", "lumina"),
        ("a.lumina.example", "lumina"),
        ("a.b.lumina.example", "tech"),
        ("elsewhere.example", "tech"),
        (None, "tech"),
    ):
        assert await shown_to(side, wanted, authority.file) == f"CN={held}", wanted


async def test_reload_shows_the_new_certificate_and_lets_old_connections_go_on(
    open_side: OpenSide, tmp_path: Path, said: list[Any]
) -> None:
    authority = Authority.made(tmp_path)
    settings = TlsSettings(certificates=(authority.sign("localhost", name="old"),))
    side = await open_side(settings)
    context = side.client(trust=authority.file, check_hostname=False)
    _, old = await asyncio.open_connection("127.0.0.1", side.address().port, ssl=context)
    old.write(OPTIONS)
    await until_true(lambda: side.ear.messages)
    (kept,), fresh = settings.certificates, authority.sign("localhost", name="new")
    fresh.cert.replace(kept.cert)  # as renewing machines do: the name stays
    assert fresh.key is not None
    assert kept.key is not None
    fresh.key.replace(kept.key)
    side.reload(settings)
    assert await shown_to(side, "localhost", authority.file) == "CN=new"
    old.write(OPTIONS)
    await until_true(lambda: len(side.ear.messages) == 2)
    assert side.ear.messages[0][1] == side.ear.messages[1][1]
    assert sum(line["event"] == "tls certificate in force" for line in said) == 2
    side.reload(settings)
    assert sum(line["event"] == "tls certificate in force" for line in said) == 2
    old.close()


def test_self_made_certificate_is_kept_for_us_alone_and_names_this_machine(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "tls", ("cc1", "192.0.2.9"), SystemClock())
    (shown,) = keyring.load(TlsSettings()).shown
    assert {"cc1", "192.0.2.9", "localhost", "127.0.0.1", "::1"} <= set(shown.names)
    assert shown.self_made
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "tls").iterdir()} == {0o600}
    assert len(list((tmp_path / "tls").iterdir())) == 2
    der = x509.load_pem_x509_certificate(shown.file.read_bytes()).public_bytes(serialization.Encoding.DER)
    assert shown.sha256.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert keyring.load(TlsSettings()).shown == (shown,), "the next start shows the same"
    assert shown.subject == "CN=cc1"
    assert shown.days_left(shown.ends_at - timedelta(days=14, hours=1)) == 14
    assert not shown.is_due(shown.ends_at - timedelta(days=14, hours=1))
    assert shown.is_due(shown.ends_at - timedelta(days=13))
    assert shown.days_left(shown.ends_at + timedelta(hours=1)) == -1


def test_mistake_in_a_certificate_is_one_clear_line(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    one, other = authority.sign("a.example", name="one"), authority.sign("b.example", name="other")
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    keyring = Keyring(tmp_path / "tls", ("cc1",), SystemClock())
    assert one.key is not None
    for files, words in (
        (one.__class__(tmp_path / "none.pem", one.key), r"none\.pem is not there: write where it is"),
        (one.__class__(one.cert, tmp_path / "none.key"), r"the key .*none\.key is not there"),
        (one.__class__(one.cert, other.key), r"other\.key is not that of the certificate .*one\.pem"),
        (one.__class__(empty, one.key), "holds no certificate in PEM"),
        (one.__class__(one.cert, empty), "holds no private key in PEM"),
        (one.__class__(one.cert), r"one\.pem holds no private key"),
    ):
        with pytest.raises(TransportError, match=words) as caught:
            keyring.load(TlsSettings(certificates=(files,)))
        assert "\n" not in str(caught.value)
    both = tmp_path / "both.pem"
    both.write_bytes(one.cert.read_bytes() + one.key.read_bytes())
    assert keyring.load(TlsSettings(certificates=(one.__class__(both),))).shown[0].names == ("a.example",)
    for name in ("client_ca", "ca_file"):
        certificates = TlsSettings(**{name: empty})  # type: ignore[arg-type]
        with pytest.raises(TransportError, match=f"the {name} .*empty.pem holds no certificate"):
            keyring.load(certificates).client(TlsPeer())


@pytest.mark.parametrize(
    ("left", "words"),
    [(timedelta(days=-1), "has expired on"), (timedelta(days=3), "expires on"), (timedelta(days=60), "")],
)
def test_certificate_near_its_end_is_warned_of(tmp_path: Path, left: timedelta, words: str) -> None:
    files = Authority.made(tmp_path).sign("a.example", expires_at=NOW + left)
    warnings = Keyring(tmp_path / "tls", (), SystemClock()).load(TlsSettings(certificates=(files,))).warnings
    assert len(warnings) == bool(words)
    assert all(words in warning for warning in warnings)


@pytest.mark.parametrize(
    ("wanted", "names", "good"),
    [
        ("sip.carrier.example", ["DNS:sip.carrier.example"], True),
        ("SIP.carrier.example.", ["DNS:sip.Carrier.example"], True),
        ("carrier.example", ["URI:sip:carrier.example"], True),
        ("carrier.example", ["URI:sip:alice@carrier.example"], False),
        ("carrier.example", ["URI:https://carrier.example"], False),
        ("carrier.example", ["DNS:sip.carrier.example"], False),
        ("sip.carrier.example", ["DNS:*.carrier.example"], True),
        ("a.sip.carrier.example", ["DNS:*.carrier.example"], False),
        ("carrier.example", ["DNS:*.example", "DNS:*"], False),
        ("192.0.2.1", ["IP Address:192.0.2.1"], True),
        ("2001:db8::1", ["IP Address:2001:DB8:0:0:0:0:0:1\n"], True),
        ("192.0.2.1", ["DNS:192.0.2.1"], False),
        ("subject.example", [], True),
        ("subject.example", ["DNS:other.example"], False),
        ("subject.example", ["IP Address:192.0.2.1"], True),
    ],
)
def test_certificate_is_for_whom_it_names(wanted: str, names: list[str], good: bool) -> None:
    alternatives = tuple(tuple(name.split(":", 1)) for name in names)
    certificate = {"subject": ((("commonName", "subject.example"),),), "subjectAltName": alternatives}
    assert tls.names(certificate, wanted) is good


@pytest.mark.parametrize(
    "story",
    [
        test_server_that_we_call_proves_who_it_is_and_is_called_once,
        test_certificate_is_chosen_by_the_server_name_that_the_phone_wants,
    ],
)
def test_the_same_holds_on_uvloop(story: Callable[..., Awaitable[None]], tmp_path: Path) -> None:
    async def main() -> None:
        async with sides(tmp_path) as make:
            await story(make, tmp_path)

    uvloop.run(main())


def test_phones_are_answered_on_uvloop_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with sides(tmp_path) as make:
            await test_phone_that_trusts_our_own_certificate_is_heard_and_answered(make, "127.0.0.1")

    uvloop.run(main())
