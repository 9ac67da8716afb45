"""A trunk over TLS on loopback: the carrier proves its name to us, and by its name it is known when it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from callcenter.runtime.clock import SystemClock
from callcenter.signaling.certificates import Keyring
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.reply import Reply
from callcenter.signaling.settings import Listen, TlsPeer, TlsSettings
from callcenter.signaling.trunks.board import TrunkBoard
from callcenter.signaling.trunks.settings import Accept, Peer, TrunkSettings
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.resolver import SimResolver
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.flow import Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri
from tests.unit.signaling.authority import Authority
from tests.unit.signaling.test_network import until_true

NAME = "sip.carrier.example"


@asynccontextmanager
async def speaking_tls(folder: Path, settings: TlsSettings, heard: list[Flow]) -> AsyncIterator[UserAgent]:
    """A user agent that listens for TLS on loopback, and notes by which flow each message came."""
    keyring = Keyring(folder, ("cc1",), SystemClock())
    keyring.use(keyring.load(settings))
    network = SipNetwork((Listen("tls", "127.0.0.1", 0),), SystemClock(), keyring)
    endpoint = Endpoint(random=Random(1))
    agent = UserAgent(network, endpoint, SystemClock(), lambda leg: leg.reject(404), lambda _: Reply(405))
    agent.trace = lambda sent, flow, data: None if sent else heard.append(flow)
    await agent.open()
    try:
        yield agent
    finally:
        await agent.close()
        await asyncio.sleep(0.01)


async def test_a_carrier_proves_its_name_to_us_and_is_known_by_it_when_it_calls(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    theirs = TlsSettings(certificates=(authority.sign(NAME),), ca_file=authority.file)
    ours = TlsSettings(client_ca=authority.file)
    heard: list[Flow] = []
    async with (
        speaking_tls(tmp_path / "carrier", theirs, []) as carrier,
        speaking_tls(tmp_path / "switch", ours, heard) as switch,
    ):
        (listening,), (us,) = carrier.network.listeners, switch.network.listeners
        resolver = SimResolver(hosts={NAME: ("127.0.0.1",), "other.example": ("127.0.0.1",)})
        changes: list[tuple[str, bool | None]] = []
        board = TrunkBoard(
            switch, resolver, SystemClock(), Random(1), lambda trunk: changes.append((trunk.id, trunk.up))
        )

        def trunk(name: str, host: str, *certificates: str) -> TrunkSettings:
            peer = Peer(host, listening.port, Transport.TLS, authority.file)
            return TrunkSettings(name, (peer,), Accept(certificates=frozenset(certificates)), qualify=0.1)

        board.open()
        board.reconfigure({"carrier": trunk("carrier", NAME, NAME)}, {})
        await until_true(lambda: changes == [("carrier", True)])
        # Another name at the same address is not believed.
        board.reconfigure({"other": trunk("other", "other.example")}, {})
        await until_true(lambda: ("other", False) in changes)
        await board.close()
        board.reconfigure({"carrier": trunk("carrier", NAME, NAME)}, {})

        # Now it calls us, and shows its certificate; of us it knows nothing, as our own is a self-made one.
        heard.clear()
        remote = switch.network.address_towards(Transport.TLS, "127.0.0.1")
        carrier.network.expect(remote, TlsPeer(verify=False))
        answer = await carrier.request(
            "OPTIONS",
            Uri(host="127.0.0.1", port=us.port),
            Flow(Transport.TLS, carrier.network.address_towards(Transport.TLS, "127.0.0.1"), remote),
            from_=NameAddr(Uri(host=NAME)),
            to=NameAddr(Uri(host="127.0.0.1")),
        )
        assert answer is not None
        assert answer.status == 200
        found = board.by_flow(heard[-1])
        assert found is not None
        assert found.id == "carrier"
