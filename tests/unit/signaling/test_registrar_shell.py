"""Registration over real UDP sockets, with digest, a store, and what the agents' state is told."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from callcenter.runtime.clock import SystemClock
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.registrar_shell import UNKNOWN, RegistrarShell
from callcenter.signaling.seldom import MOST_TOLD, TOLD_WITHIN
from callcenter.signaling.settings import Listen
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.clock import SimClock, run
from callcenter.sip.digest import Algorithm, Credentials, DigestServer, authorize
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.events import RequestReceived
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.registrar import Binding, Registrar
from callcenter.sip.uri import Uri

REALM = "callcenter"
ACCOUNTS = {name: Credentials.of(name, REALM, f"secret of {name}") for name in ("ana", "bea")}


class Store:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Binding, ...]] = {}
        self.saves = 0

    def save(self, aor: str, bindings: Sequence[Binding]) -> None:
        self.saves += 1
        self.kept[aor] = tuple(bindings)

    async def load_all(self) -> Mapping[str, Sequence[Binding]]:
        return self.kept


class Clock(SystemClock):
    """Time of day that a test may move."""

    ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


@dataclass
class Switch:
    """A registrar behind real sockets."""

    shell: RegistrarShell
    agent: UserAgent
    store: Store
    clock: Clock
    address: tuple[str, int]
    changes: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    clock, store, changes = Clock(), Store(), []
    shell = RegistrarShell(
        Registrar(),
        DigestServer(REALM, b"a key of the nonces"),
        ACCOUNTS.get,
        store,
        clock,
        lambda user, bindings: changes.append((user, len(bindings))),
    )
    network = SipNetwork([Listen("udp", "127.0.0.1", 0)], clock)
    endpoint = Endpoint(random=random.Random(1))
    endpoint.ask_first = shell.ask_first
    agent = UserAgent(network, endpoint, clock, lambda leg: leg.reject(404), shell.answer)
    await shell.open()
    await agent.open()
    address = (network.listeners[0].host, network.listeners[0].port)
    yield Switch(shell, agent, store, clock, address, changes)
    await agent.close(within=0.1)
    shell.close()
    shell.close()


class Softphone:
    """A phone that writes REGISTERs by hand, on a real socket."""

    def __init__(self, switch: Switch, user: str, password: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.user = user
        self.password = password
        self.switch = switch
        self.cseq = 0

    def __enter__(self) -> Softphone:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    async def ask(self, *more: str, to: str = "", method: str = "REGISTER", contact: str | None = "") -> Response:
        self.cseq += 1
        host, port = self.switch.address
        if contact == "":
            contact = f"<sip:{self.user}@{self.host}:{self.port}>"
        lines = [
            f"{method} sip:{host}:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.port}{self.cseq};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{host}>;tag={self.port}",
            f"To: <sip:{to or self.user}@whatever.example>",
            f"Call-ID: {self.port}",
            f"CSeq: {self.cseq} {method}",
            *([f"Contact: {contact}"] if contact else []),
            *more,
            "Content-Length: 0",
            "",
            "",
        ]
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self.socket, "\r\n".join(lines).encode(), self.switch.address)
        async with asyncio.timeout(5):
            answer = parse(await loop.sock_recv(self.socket, 65_535))
        assert isinstance(answer, Response)
        return answer

    def credentials(self, challenges: Sequence[str]) -> str:
        host, port = self.switch.address
        answer = authorize(
            challenges,
            method="REGISTER",
            uri=f"sip:{host}:{port}",
            user=self.user,
            password=self.password,
            cnonce="abc",
        )
        assert answer is not None
        return answer

    async def register(self, *more: str, to: str = "", contact: str | None = "") -> Response:
        challenge = await self.ask(*more, to=to, contact=contact)
        assert challenge.status == 401
        answer = self.credentials(challenge.headers.all("WWW-Authenticate"))
        return await self.ask(f"Authorization: {answer}", *more, to=to, contact=contact)


def test_only_a_register_with_credentials_is_looked_at(switch: Switch) -> None:
    flow = Flow(Transport.UDP, Address("127.0.0.1", 5060), Address("192.0.2.1", 5060))
    plain = Request("REGISTER", Uri.parse("sip:example.com"), Headers())
    refusal = switch.shell.ask_first(plain, flow)
    assert refusal is not None
    assert refusal.status == 401
    assert [name for name, _ in refusal.headers] == ["WWW-Authenticate"] * len(Algorithm)
    signed = Request("REGISTER", Uri.parse("sip:example.com"), Headers([("Authorization", "Digest of some kind")]))
    assert switch.shell.ask_first(signed, flow) is None


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_phone_registers_is_known_and_is_saved(switch: Switch, algorithm: Algorithm) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        challenge = await phone.ask("Expires: 300")
        challenges = challenge.headers.all("WWW-Authenticate")
        assert len(challenges) == len(Algorithm)
        chosen = [each for each in challenges if f"algorithm={algorithm.value}," in each]
        answer = await phone.ask(f"Authorization: {phone.credentials(chosen)}", "Expires: 300")
        assert answer.status == 200
        assert answer.headers.get("Contact") == f"<sip:ana@{phone.host}:{phone.port}>;expires=300"
        (binding,) = switch.shell.bindings("ana")
        assert binding.flow == Flow(Transport.UDP, Address(*switch.address), Address(phone.host, phone.port))
        assert switch.changes == [("ana", 1)]
        assert [str(each.contact) for each in switch.store.kept["ana"]] == [str(binding.contact)]


async def test_refreshing_is_saved_and_told_as_a_sign_of_life(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        await phone.register("Expires: 300")
        until, saves = switch.store.kept["ana"][0].expires_at, switch.store.saves
        assert (await phone.register("Expires: 900")).status == 200
        assert switch.store.kept["ana"][0].expires_at > until + 500
        assert switch.store.saves == saves + 1
        assert switch.changes == [("ana", 1), ("ana", 1)]
        # Asking what is registered is no change, and is not saved.
        assert (await phone.register(contact=None)).headers.get("Contact") is not None
        assert switch.store.saves == saves + 1


async def test_unregistering_takes_the_phone_away(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        await phone.register()
        assert (await phone.register("Expires: 0", contact="*")).status == 200
        assert switch.shell.bindings("ana") == ()
        assert switch.changes == [("ana", 1), ("ana", 0)]
        assert switch.store.kept["ana"] == ()


async def test_unknown_user_and_wrong_password_get_the_same_answer(switch: Switch) -> None:
    def same(response: Response) -> list[tuple[str, str]]:
        own = {"via", "from", "to", "call-id", "cseq"}
        return [(name, value) for name, value in response.headers if name.lower() not in own]

    with Softphone(switch, "ana", "wrong") as wrong, Softphone(switch, "eve", "wrong") as unknown:
        first, second = await wrong.register(), await unknown.register()
    assert (first.status, first.reason, same(first)) == (second.status, second.reason, same(second))
    assert len(first.to_bytes()) == len(second.to_bytes())
    assert first.status == 403
    assert switch.changes == []
    assert switch.shell.bindings("ana") == switch.shell.bindings("eve") == ()


async def test_the_log_says_why_a_phone_was_refused_and_says_it_once_a_minute(switch: Switch) -> None:
    with (
        capture_logs() as logged,
        Softphone(switch, "ana", "wrong") as wrong,
        Softphone(switch, "nobody", "wrong") as unknown,
        Softphone(switch, "ana", "secret of ana") as another,
    ):
        for _ in range(3):
            await wrong.register()
        await unknown.register()
        await another.register(to="bea")
    assert [(each["event"], each["user"], each["source"], each["why"]) for each in logged] == [
        ("registration refused", "ana", "127.0.0.1", "wrong password, or wrong user for it"),
        ("registration refused", "nobody", "127.0.0.1", UNKNOWN),
        ("registration refused", "bea", "127.0.0.1", "the password is that of ana"),
    ]


def test_who_guesses_does_not_fill_the_log() -> None:
    async def main() -> None:
        clock = SimClock(asyncio.get_running_loop())
        digest = DigestServer(REALM, b"a key of the nonces")
        shell = RegistrarShell(Registrar(), digest, ACCOUNTS.get, Store(), clock, lambda *_: None)

        def guess(user: str, host: str) -> None:
            challenge = digest.challenges(clock.now().timestamp(), source=host)
            answer = authorize(challenge, method="REGISTER", uri="sip:x", user=user, password="wrong", cnonce="c")
            text = (
                f"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK1\r\n"
                f"From: <sip:{user}@x>;tag=1\r\nTo: <sip:{user}@x>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
                f"Authorization: {answer}\r\nContent-Length: 0\r\n\r\n"
            )
            request = parse(text.encode())
            assert isinstance(request, Request)
            assert shell.answer(RequestReceived("t", request, Flow(Transport.UDP, Address("1", 1), Address(host, 2))))

        with capture_logs() as logged:
            for number in range(MOST_TOLD * 2):
                guess(f"user{number}", f"192.0.2.{number}")
            assert len(logged) == MOST_TOLD
            await asyncio.sleep(TOLD_WITHIN + 1)
            guess("a" * 100, "192.0.2.1")
            assert len(logged) == MOST_TOLD + 1
            assert logged[-1]["user"] == "a" * 64
        shell.close()

    run(main())


async def test_nobody_registers_for_another(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        assert (await phone.register(to="bea")).status == 403
        assert (await phone.register(to="nobody")).status == 403
    assert switch.shell.bindings("bea") == switch.shell.bindings("ana") == ()


async def test_used_nonce_is_stale_and_the_new_one_works(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        challenge = await phone.ask()
        answer = phone.credentials(challenge.headers.all("WWW-Authenticate"))
        assert (await phone.ask(f"Authorization: {answer}")).status == 200
        again = await phone.ask(f"Authorization: {answer}")
        assert again.status == 401
        assert "stale=true" in (again.headers.get("WWW-Authenticate") or "")
        answer = phone.credentials(again.headers.all("WWW-Authenticate"))
        assert (await phone.ask(f"Authorization: {answer}")).status == 200


async def test_old_nonce_is_stale(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        challenge = await phone.ask()
        switch.clock.ahead = 3600
        answer = phone.credentials(challenge.headers.all("WWW-Authenticate"))
        assert (await phone.ask(f"Authorization: {answer}")).status == 401


async def test_mistakes_of_phones_get_their_status(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as phone:
        brief = await phone.register("Expires: 5")
        assert (brief.status, brief.headers.get("Min-Expires")) == (423, "60")
        assert (await phone.register(contact="<tel:+1>")).status == 400
        assert (await phone.register("Expires: 60", contact="*")).status == 400
        assert (await phone.ask(method="PUBLISH")).status == 405
        assert (await phone.ask("Authorization: Digest rubbish")).status == 401
    assert switch.changes == []


async def test_two_phones_of_one_user_are_both_known(switch: Switch) -> None:
    with Softphone(switch, "ana", "secret of ana") as one, Softphone(switch, "ana", "secret of ana") as other:
        await one.register()
        await other.register()
        assert [each.flow.remote.port for each in switch.shell.bindings("ana")] == [other.port, one.port]
    assert switch.changes == [("ana", 1), ("ana", 2)]


def binding(expires_at: float, transport: Transport = Transport.UDP, contact: str = "sip:ana@10.0.0.7:5060") -> Binding:
    flow = Flow(transport, Address("10.0.0.1", 5060), Address("10.0.0.7", 41_000), 0)
    return Binding(Uri.parse(contact), flow, 1.0, expires_at, "call", 1)


def test_registrations_outlive_a_restart_and_run_out_in_their_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        store, told = Store(), []
        # A phone that listens for TCP is called there; one behind a NAT must come back by itself.
        store.kept = {
            "ana": (binding(30.0),),
            "bea": (binding(60.0, Transport.TCP), binding(50.0, Transport.TCP, "sip:bea@192.168.1.9:5060")),
            "gone": (binding(60.0),),
        }
        shell = RegistrarShell(
            Registrar(),
            DigestServer(REALM, b"a key of the nonces"),
            ACCOUNTS.get,
            store,
            SimClock(loop),
            lambda user, bindings: told.append((loop.time(), user, len(bindings))),
        )
        await shell.open()
        assert told == [(0.0, "ana", 1), (0.0, "bea", 1)]
        (ana,), (bea,) = shell.bindings("ana"), shell.bindings("bea")
        assert ana.flow == binding(0).flow
        assert bea.flow == replace(ana.flow, transport=Transport.TCP, remote=Address("10.0.0.7", 5060))
        assert shell.bindings("gone") == ()
        await asyncio.sleep(100)
        assert told[2:] == [(30.0, "ana", 0), (60.0, "bea", 0)]
        assert (store.kept["ana"], store.kept["bea"]) == ((), ())
        shell.close()

    run(main())


def test_phone_whose_connection_is_gone_is_gone() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        store, told = Store(), []
        registrar = Registrar()
        shell = RegistrarShell(
            registrar,
            DigestServer(REALM, b"a key of the nonces"),
            ACCOUNTS.get,
            store,
            SimClock(loop),
            lambda user, bindings: told.append((user, len(bindings))),
        )
        await shell.open()
        over = binding(600.0, Transport.TCP, "sip:ana@10.0.0.7:41000")
        registrar.load("ana", (replace(over, flow=replace(over.flow, connection=7)),))
        shell.connection_lost(8)
        assert told == []
        shell.connection_lost(7)
        assert told == [("ana", 0)]
        assert store.kept["ana"] == ()
        shell.close()

    run(main())
