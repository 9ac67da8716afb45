"""The simulated network: weather, plugs pulled, connections, and the same from the same seed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callcenter.signaling.transport import TransportError
from callcenter.simulation.clock import VirtualLoop, run
from callcenter.simulation.network import TCP_PATIENCE, SimHost, SimNetwork, Weather
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request, Response

MESSAGE = (
    b"OPTIONS sip:b@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
    b"To: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Ear:
    """A receiver that remembers, with the time."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes, Flow]] = []
        self.failed: list[tuple[float, str]] = []
        self.lost: list[tuple[float, int]] = []
        self.errors = 0

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.heard.append((now(), data, flow))

    def message(self, message: Request | Response, flow: Flow) -> None:
        self.heard.append((now(), message.to_bytes(), flow))

    def unreadable(self, error: SipParseError, flow: Flow) -> None:
        self.errors += 1

    def send_failed(self, key: str) -> None:
        self.failed.append((now(), key))

    def connection_lost(self, connection: int) -> None:
        self.lost.append((now(), connection))


def now() -> float:
    return asyncio.get_running_loop().time()


class Two:
    """Two hosts and their ears."""

    def __init__(self, weather: Weather) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.network = SimNetwork(loop, loop.random, weather)
        self.a = self.network.host("10.0.0.1")
        self.b = self.network.host("10.0.0.2")
        self.ear_a, self.ear_b = Ear(), Ear()

    def send(self, data: bytes, transport: Transport = Transport.UDP, key: str = "k", connection: int = 0) -> None:
        self.a.send(Flow(transport, Address("10.0.0.1", 5060), Address("10.0.0.2", 5060), connection), data, key)


def tell(story: Callable[[Two], Awaitable[None]], weather: Weather | None = None, seed: int = 0) -> Two:
    async def main() -> Two:
        two = Two(weather or Weather(delay=0.01))
        await two.a.open(two.ear_a)
        await two.b.open(two.ear_b)
        await story(two)
        await asyncio.sleep(100)
        return two

    return run(main(), seed=seed)


def test_datagram_comes_after_its_delay_from_whom_it_was_sent() -> None:
    async def story(two: Two) -> None:
        two.send(b"hello")

    two = tell(story)
    flow = Flow(Transport.UDP, Address("10.0.0.2", 5060), Address("10.0.0.1", 5060))
    assert two.ear_b.heard == [(0.01, b"hello", flow)]


def test_weather_loses_doubles_and_shuffles() -> None:
    async def story(two: Two) -> None:
        for number in range(1000):
            two.send(b"%d" % number)

    two = tell(story, Weather(delay=0.01, jitter=0.01, loss=0.2, duplicate=0.1, late=0.1))
    came = [int(data) for _, data, _ in two.ear_b.heard]
    assert 750 < len(set(came)) < 850
    assert 50 < len(came) - len(set(came)) < 120
    assert came != sorted(came)


def test_same_seed_same_trace() -> None:
    async def story(two: Two) -> None:
        for number in range(200):
            two.send(b"%d" % number)

    weather = Weather(jitter=0.05, loss=0.3, duplicate=0.2, late=0.2)
    traces = [list(tell(story, weather, seed).network.trace) for seed in (1, 1, 2)]
    assert traces[0] == traces[1] != traces[2]
    assert any("lost" in line for line in traces[0])


def test_weather_may_change() -> None:
    async def story(two: Two) -> None:
        two.send(b"before")
        two.network.weather.loss = 1.0
        two.send(b"lost")
        two.network.weather.loss = 0.0
        two.send(b"after")

    assert [data for _, data, _ in tell(story).ear_b.heard] == [b"before", b"after"]


@pytest.mark.parametrize("who", ["a", "b"])
def test_plug_that_is_pulled_lets_nothing_through_until_it_is_in_again(who: str) -> None:
    async def story(two: Two) -> None:
        host: SimHost = getattr(two, who)
        host.vanish()
        two.send(b"lost")
        await asyncio.sleep(1)
        host.come_back()
        two.send(b"back")

    assert [data for _, data, _ in tell(story).ear_b.heard] == [b"back"]


def test_closed_host_hears_nothing_and_its_address_is_free() -> None:
    async def story(two: Two) -> None:
        two.send(b"under way")
        two.b.close()
        two.b.close()
        await asyncio.sleep(1)
        again = two.network.host("10.0.0.2")
        await again.open(two.ear_b)
        two.send(b"again")
        with pytest.raises(TransportError):
            two.b.address_towards(Transport.UDP, "10.0.0.1")
        assert again.address_towards(Transport.UDP, "10.0.0.1") == Address("10.0.0.2", 5060)

    assert [data for _, data, _ in tell(story).ear_b.heard] == [b"again"]


def test_connection_is_reused_both_ways_and_keeps_the_order() -> None:
    async def story(two: Two) -> None:
        for number in range(50):
            two.send(MESSAGE.replace(b"Call-ID: 1", b"Call-ID: %d" % number), Transport.TCP)
        await asyncio.sleep(1)
        back = two.ear_b.heard[0][2]
        assert back.local == Address("10.0.0.2", 5060)
        assert back.connection == 1
        two.b.send(back, MESSAGE, "k")

    two = tell(story, Weather(delay=0.01, jitter=0.02, loss=0.5))
    order = [data.split(b"Call-ID: ")[1].split(b"\r")[0] for _, data, _ in two.ear_b.heard]
    assert order == [b"%d" % number for number in range(50)]
    assert len({flow for _, _, flow in two.ear_b.heard}) == 1
    assert [data for _, data, _ in two.ear_a.heard] == [MESSAGE]


def test_closed_port_refuses_at_once_and_a_silent_host_is_given_up() -> None:
    async def story(two: Two) -> None:
        two.b.port = 5999
        two.send(MESSAGE, Transport.TCP, "refused")
        await asyncio.sleep(1)
        two.b.vanish()
        two.send(MESSAGE, Transport.TCP, "silent")

    two = tell(story)
    assert [key for _, key in two.ear_a.failed] == ["refused", "silent"]
    assert [at for at, _ in two.ear_a.failed] == pytest.approx([0.02, 1 + TCP_PATIENCE])


def test_connection_to_a_host_that_vanishes_is_lost_in_time() -> None:
    async def story(two: Two) -> None:
        two.send(MESSAGE, Transport.TCP)
        await asyncio.sleep(1)
        two.b.vanish()
        two.send(MESSAGE, Transport.TCP)

    two = tell(story)
    assert len(two.ear_b.heard) == 1
    ((at, number),) = two.ear_a.lost
    assert number == 1
    assert at == pytest.approx(1 + TCP_PATIENCE)


def test_both_ends_are_told_when_connections_drop() -> None:
    async def story(two: Two) -> None:
        two.send(MESSAGE, Transport.TCP)
        await asyncio.sleep(1)
        two.b.drop_connections()
        await asyncio.sleep(1)
        two.send(MESSAGE, Transport.TCP, "gone", connection=1)
        two.send(MESSAGE, Transport.TCP)

    two = tell(story)
    assert [number for _, number in two.ear_a.lost] == [number for _, number in two.ear_b.lost] == [1]
    assert [key for _, key in two.ear_a.failed] == ["gone"]
    assert [flow.connection for _, _, flow in two.ear_b.heard] == [1, 2]


def test_rubbish_on_a_connection_is_told_and_cuts_it() -> None:
    async def story(two: Two) -> None:
        two.send(MESSAGE + b"\r\n\r\n" + b"rubbish\r\n\r\n", Transport.TCP)

    two = tell(story)
    assert (len(two.ear_b.heard), two.ear_b.errors, len(two.ear_a.lost)) == (1, 1, 1)
