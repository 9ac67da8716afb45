"""The gate before the switch: what it lets in, what it answers, and what the log says of it."""

from __future__ import annotations

import asyncio
from random import Random

from structlog.testing import capture_logs

from callcenter.signaling import gate as gates
from callcenter.signaling.gate import Gate
from callcenter.signaling.reply import Reply
from callcenter.signaling.settings import TlsPeer
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.clock import SimClock, run
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.guard import Guard, GuardRules
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.unit.sip.test_endpoint import text

HERE = Address("10.0.0.1", 5060)
RULES = GuardRules(requests_per_second=1, burst=3, failures=2, ban=60.0, exempt=())


class Sent:
    """A network that keeps what is sent."""

    listeners = ()

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def open(self, receiver: object) -> None: ...

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        self.sent.append(data)

    def address_towards(self, transport: Transport, host: str) -> Address:
        return HERE

    def expect(self, remote: Address, peer: TlsPeer) -> None: ...

    def peer_names(self, connection: int) -> tuple[str, ...]:
        return ()

    def close(self) -> None: ...


def switch() -> tuple[UserAgent, Sent, Gate]:
    clock, network = SimClock(asyncio.get_running_loop()), Sent()
    agent = UserAgent(network, Endpoint(random=Random(1)), clock, lambda leg: leg.reject(404), lambda _: Reply(403))
    agent.gate = Gate(Guard(RULES), clock)
    return agent, network, agent.gate


def options(number: int) -> bytes:
    return text("OPTIONS", via=f"SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{number};rport", call_id=str(number))


def test_too_many_datagrams_are_not_answered_and_too_many_messages_of_a_connection_are_told_when_to_come() -> None:
    async def main() -> None:
        agent, network, _ = switch()
        traced: list[bytes] = []
        agent.trace = lambda sent, flow, data: traced.append(data)
        for number in range(10):
            agent.datagram(options(number), Flow(Transport.UDP, HERE, Address("10.0.0.2", 5060)))
        assert [data[:11] for data in network.sent] == [b"SIP/2.0 200"] * 3
        assert len(traced) == 6, "what is not let in is not kept either"
        network.sent.clear()
        for number in range(10):
            message = parse(options(number))
            assert isinstance(message, Request)
            agent.message(message, Flow(Transport.TCP, HERE, Address("10.0.0.3", 40_000), 1))
        assert [data[:11] for data in network.sent] == [b"SIP/2.0 200"] * 3 + [b"SIP/2.0 503"] * 3
        assert b"\r\nRetry-After: 5\r\n" in network.sent[-1]
        assert agent.connections == {1}
        agent.connection_lost(1)
        assert agent.connections == set()

    run(main())


def test_a_phone_that_is_known_is_told_when_it_asks_too_much_and_its_repetitions_are_not() -> None:
    async def main() -> None:
        agent, network, gate = switch()
        gate.guard.know("amy", [Address("10.0.0.2", 5060)])
        flow = Flow(Transport.UDP, HERE, Address("10.0.0.2", 5060))
        for number in (1, 2, 3, 4):
            agent.datagram(options(number), flow)
        assert network.sent[-1].startswith(b"SIP/2.0 503")
        await asyncio.sleep(1)
        register = text("REGISTER", via="SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKr;rport")
        network.sent.clear()
        agent.datagram(register, flow)
        agent.datagram(register, flow)
        assert [data[:11] for data in network.sent] == [b"SIP/2.0 403"], "no 503 to what is answered already"

    run(main())


def test_a_ban_is_told_when_it_begins_and_when_it_ends() -> None:
    async def main() -> None:
        _, _, gate = switch()
        flow = Flow(Transport.UDP, HERE, Address("10.0.0.2", 5060))
        with capture_logs() as logged:
            for _ in range(5):
                gate.failed(flow)
            await asyncio.sleep(61)
        assert [(each["event"], each["source"]) for each in logged] == [
            ("source banned", "10.0.0.2"),
            ("ban over", "10.0.0.2"),
        ]
        gate.close()

    run(main())


def test_who_comes_from_everywhere_does_not_fill_the_log() -> None:
    async def main() -> None:
        _, _, gate = switch()
        with capture_logs() as logged:
            for number in range(200):
                for _ in range(2):
                    gate.failed(Flow(Transport.UDP, HERE, Address(f"10.0.1.{number}", 5060)))
            await asyncio.sleep(61)
        assert len(logged) == 2 * gates.MOST_TOLD
        assert len(gate.guard.bans) == 0
        gate.close()

    run(main())


def test_rubbish_over_a_connection_ends_in_a_ban() -> None:
    async def main() -> None:
        agent, _, gate = switch()
        agent._endpoint.on_unreadable = gate.unreadable
        flow = Flow(Transport.TCP, HERE, Address("10.0.0.2", 40_000), 1)
        for number in range(3):
            message = parse(options(number).replace(b"Max-Forwards: 70", b"Max-Forwards: x"))
            assert isinstance(message, Request)
            agent.message(message, flow)
        assert gate.guard.bans == ("10.0.0.2",)
        gate.close()

    run(main())
