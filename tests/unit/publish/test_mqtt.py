"""Publishing to a real broker: outages, order, the last will, what is retained, and who gets hold of a password."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import pytest
import uvloop

from callcenter.model.customer import Customer, Match
from callcenter.model.facts import CallArrived
from callcenter.publish import mqtt, payloads, topics
from callcenter.publish.mosquitto import MosquittoBroker
from callcenter.publish.mqtt import BrokerAddress, BrokerError, MqttPublisher, broker_address
from callcenter.publish.publisher import CURSOR, Outbox
from callcenter.publish.settings import Broker, MqttLogin, MqttSettings, Role
from callcenter.runtime.clock import SystemClock
from callcenter.storage.store import Storage
from tests.unit.publish.mosquitto_clients import VERSIONS, reader
from tests.unit.publish.support import Log, fact, until
from tests.unit.publish.test_payloads import pop

EVENT = topics.call_event("cc1-call")
LOGINS = [MqttLogin("ana", Role.AGENT, password="ana"), MqttLogin("monitor", Role.MONITOR, password="watch")]
CLOCK = SystemClock()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[MosquittoBroker]:
    made = MosquittoBroker(tmp_path / "broker", LOGINS)
    assert await made.start(), made.detail
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def publisher(address: BrokerAddress, log: Outbox) -> AsyncIterator[MqttPublisher]:
    made = MqttPublisher(address, log, CLOCK)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


class Proxy:
    """A wire between publisher and broker that can be cut, closed, or held still."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.open = True
        self.still = False
        self.connections = 0
        self._towards = port
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.open:
                return
            far, away = await asyncio.open_connection("127.0.0.1", self._towards)
            self._writers |= {out, away}
            ways = [asyncio.create_task(self._pump(near, away)), asyncio.create_task(self._pump(far, out))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            away.transport.abort()
        except OSError:
            pass
        finally:
            out.transport.abort()
            self._tasks.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                while self.still:  # noqa: ASYNC110 - a wire without a flow has no event
                    await asyncio.sleep(0.01)
                sink.write(data)
                await sink.drain()


def through(proxy: Proxy, broker: MosquittoBroker) -> BrokerAddress:
    address = broker.address()
    return BrokerAddress(
        "127.0.0.1", proxy.port, user=address.user, password=address.password, receive_maximum=address.receive_maximum
    )


class Watcher:
    """A monitor that subscribes again whenever the broker is back, and remembers the events' numbers."""

    def __init__(self, broker: MosquittoBroker) -> None:
        self.seqs: list[int] = []
        self.subscribed = False
        self._broker = broker
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                # QoS 0: what the broker was acknowledged for, it has handed to our socket before.
                async with aiomqtt.Client(
                    "127.0.0.1", self._broker.port, username="monitor", password="watch", timeout=2
                ) as client:
                    await client.subscribe("callcenter/v1/calls/#", qos=0)
                    self.subscribed = True
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self.seqs.append(json.loads(message.payload)["seq"])
            self.subscribed = False
            await asyncio.sleep(0.02)

    def first_times(self) -> list[int]:
        return list(dict.fromkeys(self.seqs))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


async def write(storage: Storage, first: int, last: int) -> None:
    """Facts as a busy switch makes them: ten now and then."""
    for seq in range(first, last + 1):
        storage.log.write(fact(seq))
        if seq % 10 == 0:
            await asyncio.sleep(0.002)


async def test_a_link_that_is_cut_again_and_again_loses_no_fact(tmp_path: Path, broker: MosquittoBroker) -> None:
    storage = await Storage.open(tmp_path / "switch.db", clock=CLOCK)
    watcher = Watcher(broker)
    async with Proxy(broker.port) as proxy:
        async with publisher(through(proxy, broker), storage.log) as made:
            await until(lambda: made.status().connected and watcher.subscribed)
            for part in range(6):
                await write(storage, part * 300 + 1, part * 300 + 300)
                proxy.cut()
                await until(lambda: made.status().connected)
            await until(lambda: not made.status().waiting, within=30)
            assert storage.log.cursor(CURSOR) == 1800
        await until(lambda: len(watcher.first_times()) == 1800)
    await watcher.close()
    assert watcher.first_times() == list(range(1, 1801))
    repeated = len(watcher.seqs) - 1800
    assert repeated <= 6 * 50, "no more than what was on its way at each cut"
    await storage.close()
    again = await Storage.open(tmp_path / "switch.db", clock=CLOCK)
    assert again.log.cursor(CURSOR) == 1800
    await again.close()


async def test_a_broker_killed_and_restarted_while_facts_flow_gets_them_all_in_order(
    tmp_path: Path, broker: MosquittoBroker
) -> None:
    storage = await Storage.open(tmp_path / "switch.db", clock=CLOCK)
    watcher = Watcher(broker)
    async with Proxy(broker.port) as proxy:
        async with publisher(through(proxy, broker), storage.log) as made:
            told: list[tuple[bool, str]] = []
            made.on_state = lambda connected, detail: told.append((connected, detail))
            made.set_state(topics.agent_state("ana"), {"work": "idle"})
            await until(lambda: told and watcher.subscribed)
            writing = asyncio.create_task(write(storage, 1, 2000))
            for kills in range(2):
                await until(lambda: told.count((True, "")) > kills, within=30)  # noqa: B023
                await asyncio.sleep(0.1)
                proxy.open = False
                pid = broker.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await until(lambda: broker.running and broker.pid != pid and watcher.subscribed, within=30)  # noqa: B023
                proxy.open = True
            await writing
            await until(lambda: told.count((True, "")) == 3, within=30)
            await until(lambda: not made.status().waiting, within=30)
        await until(lambda: watcher.first_times() == list(range(1, 2001)))
    await watcher.close()
    assert storage.log.cursor(CURSOR) == 2000
    assert (told[0], told[-1], told.count((True, ""))) == ((True, ""), (True, ""), 3)
    assert told[1] == (False, f"{through(proxy, broker)}: connection lost")
    await storage.close()


async def test_a_broker_that_was_met_and_closes_without_a_word_is_not_told_to_want_tls(broker: MosquittoBroker) -> None:
    """While it ends it may take a connection and drop it; where nobody was met before, the port may be another's."""
    closed = "the broker closed the connection before it said a word"
    async with Proxy(broker.port) as proxy:
        address = through(proxy, broker)
        async with publisher(address, Log()) as met:
            await until(lambda: met.status().connected)
            proxy.open = False
            proxy.cut()
            await until(lambda: closed in met.status().detail)
            assert met.status().detail == f"{address}: {closed}"
        async with publisher(address, Log()) as stranger:
            await until(lambda: closed in stranger.status().detail)
            assert stranger.status().detail == f"{address}: {closed}: does this port want TLS? Then write mqtts://"


async def test_a_dead_broker_from_the_start_delays_nobody(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    log = Log()
    log.add(50)
    async with publisher(BrokerAddress("127.0.0.1", port, user="switch", password="geheim"), log) as made:
        told: list[tuple[bool, str]] = []
        made.on_state = lambda connected, detail: told.append((connected, detail))
        await until(lambda: told)
        for number in range(100):
            answer = made.publish_pop("ana", {"n": number}, 60.0)
            assert answer.done(), "at once, without waiting for anything"
            assert not answer.result()
            made.set_state(topics.agent_state("ana"), {"n": number})
            log.add(1)
        assert told == [(False, f"mqtt://127.0.0.1:{port}: [Errno 111] Connection refused")]
        broker = MosquittoBroker(tmp_path / "broker", LOGINS, port=port)
        assert await broker.start()
        assert broker.port == port
        made._address = broker.address
        await until(lambda: not made.status().waiting)
        assert (made.status().connected, made.status().pops_sent) == (True, 100)
    await broker.close()


async def test_a_broker_that_takes_the_connection_and_says_nothing_is_left_without_a_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "CONNECTED_WITHIN", 0.1)
    accepted = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    address = BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    async with publisher(address, Log()) as made:
        await until(lambda: accepted == 1)
        await until(lambda: made.status().detail.endswith("no answer in time"))
        before = len(os.listdir("/proc/self/fd"))
        await until(lambda: accepted == 4)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
    server.close()


async def test_a_broker_that_falls_silent_is_left_and_the_facts_follow(
    broker: MosquittoBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ACKNOWLEDGED_WITHIN", 0.2)
    log = Log()
    async with Proxy(broker.port) as proxy, publisher(through(proxy, broker), log) as made:
        await until(lambda: made.status().connected)
        told: list[str] = []
        made.on_state = lambda _connected, detail: told.append(detail)
        proxy.still = True
        log.add(5)
        assert not await made.publish_pop("ana", {"id": "p"}, 60.0)
        await until(lambda: told)
        assert told[0].endswith("no acknowledgement within 0.2 s")
        proxy.still = False
        await until(lambda: made.status().connected and not made.status().waiting)
        assert proxy.connections >= 2
        await until(lambda: made.status().pops_sent == 1)


async def test_a_wrong_password_is_told_in_one_line_without_it(broker: MosquittoBroker) -> None:
    address = BrokerAddress("127.0.0.1", broker.port, user="switch", password="geheim")
    async with publisher(address, Log()) as made:
        await until(lambda: "Not authorized" in made.status().detail)
        for text in (made.status().detail, repr(made), repr(address)):
            assert "geheim" not in text
            assert "\n" not in text


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_agent_that_comes_late_gets_its_state_and_no_customer(broker: MosquittoBroker, version: str) -> None:
    """The pop is heard by who listens; whoever comes after it finds states, and nothing of the caller."""
    log = Log()
    jana = Customer("c-1", "acme", "Jana Nováková", ("+420777123456",))
    async with publisher(broker.address(), log) as made:
        made.set_state(topics.agent_state("ana"), {"schema": "agent.v1", "work": "ringing", "call": "cc1-call"})
        async with reader(broker.port, "ana", "ana", "callcenter/v1/agents/ana/pop", version=version) as listening:
            await until(lambda: made.status().connected)
            payload = pop(Match.SURE, (jana,)).payload()
            assert await made.publish_pop("ana", payload, 60.0)
            log.add(1, CallArrived("acme", "f", "+420777123456", "Jana", "1000", "UDP", "s", "i"))
            await until(lambda: listening.got and not made.status().waiting)
            assert json.loads(listening.got[0][2]) == {**json.loads(payloads.encode(payload)), "seq": 1}
        async with (
            reader(broker.port, "ana", "ana", "#", version=version) as ana,
            reader(broker.port, "monitor", "watch", "#", version=version) as monitor,
            reader(broker.port, "switch", broker.address().password or "", "#", version=version) as switch,
        ):
            await until(lambda: all(each.of(topics.STATUS) for each in (ana, monitor, switch)))
            made.set_state(topics.agent_state("ana"), {"work": "idle"})
            await until(lambda: all(len(each.got) == 3 for each in (ana, monitor, switch)))
            for each in (ana, monitor, switch):
                kept = [(topic, payload) for retained, topic, payload in each.got if retained]
                assert [topic for topic, _ in sorted(kept)] == [topics.agent_state("ana"), topics.STATUS]
                assert not any("420777123456" in payload or "Jana" in payload for _, payload in kept)


async def test_a_pop_has_an_expiry_and_the_socket_no_delay(broker: MosquittoBroker) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, username="ana", password="ana", protocol=aiomqtt.ProtocolVersion.V5
    ) as ana:
        await ana.subscribe(topics.agent_pop("ana"), qos=1)
        async with publisher(broker.address(), Log()) as made:
            await until(lambda: made.status().connected)
            assert await made.publish_pop("ana", {"id": "p"}, 20.0)
            message = await anext(aiter(ana.messages))
            assert vars(message.properties)["MessageExpiryInterval"] in {19, 20}
            assert (message.qos, message.retain) == (1, False)
    address = broker.address()
    async with made._link() as link:
        connection = link._client._wire._sock  # type: ignore[attr-defined]
        assert connection.getpeername()[1] == address.port
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


SWITCH_PROCESS = """
import asyncio, os, sys
from callcenter.publish.mqtt import BrokerAddress, MqttPublisher
from callcenter.runtime.clock import SystemClock
from tests.unit.publish.support import Log, until
async def main():
    address = BrokerAddress("127.0.0.1", int(sys.argv[1]), user="switch", password=os.environ["WORD"])
    made = MqttPublisher(address, Log(), SystemClock())
    made.on_state = lambda connected, _: print(connected, flush=True)
    await made.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_last_will_of_a_killed_switch_says_offline(broker: MosquittoBroker, version: str) -> None:
    async with reader(broker.port, "ana", "ana", topics.STATUS, version=version) as ana:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SWITCH_PROCESS, str(broker.port)),
            env={**os.environ, "WORD": broker.address().password or ""},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"True\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: ana.of(topics.STATUS) == ["online", "offline"])
        async with reader(broker.port, "ana", "ana", topics.STATUS, version=version) as late:
            await until(lambda: late.got == [(True, topics.STATUS, "offline")])


async def test_tls_is_checked_against_the_named_authority(tmp_path: Path, broker: MosquittoBroker) -> None:
    for name in ("ours", "theirs"):
        process = await asyncio.create_subprocess_exec(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            cwd=tmp_path,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "ours.pem", tmp_path / "ours.key")
    word = broker.address().password
    async with Proxy(broker.port, server) as proxy:
        good = BrokerAddress("localhost", proxy.port, True, "switch", word, tmp_path / "ours.pem")
        async with publisher(good, Log()) as made:
            await until(lambda: made.status().connected)
            assert await made.publish_pop("ana", {}, 60.0)
        for authority, why in (
            (tmp_path / "theirs.pem", "signed not by an authority of mqtt.ca_file"),
            (tmp_path / "none", "cannot be read"),
        ):
            bad = BrokerAddress("localhost", proxy.port, True, "switch", word, authority)
            async with publisher(bad, Log()) as made:
                await until(lambda: why in made.status().detail)  # noqa: B023
                assert not made.status().connected
    gc.collect()


async def test_closing_in_the_middle_of_connecting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ABANDONED_WITHIN", 0.1)
    asked = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with publisher(BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1]), Log()):
        await asked.wait()
        began = time.perf_counter()
    assert time.perf_counter() - began < mqtt.CONNECTED_WITHIN
    server.close()


def settings(url: str, **values: object) -> MqttSettings:
    return MqttSettings(broker=Broker.URL, url=url, **values)  # type: ignore[arg-type]


def test_a_broker_is_named_by_url_and_its_password_kept_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("geheim\n")
    file.chmod(0o600)
    assert broker_address(settings("mqtt://mq.example")) == BrokerAddress("mq.example", 1883)
    assert str(broker_address(settings("mqtt://[2001:db8::1]:1884"))) == "mqtt://[2001:db8::1]:1884"
    named = broker_address(settings("mqtts://cc@mq.example", password_file=file, ca_file=Path("/ca.pem")))
    assert named == BrokerAddress("mq.example", 8883, True, "cc", "geheim", Path("/ca.pem"))
    given = broker_address(settings("mqtts://mq.example:1", user="cc", password_env="WORD"), {"WORD": "geheim"})
    assert (given.port, given.user, given.password) == (1, "cc", "geheim")
    assert "geheim" not in f"{named} {named!r} {given}"
    file.chmod(0o640)
    with pytest.raises(BrokerError, match=r"mqtt.password_file: .*word can be read by others \(mode 0640\): chmod 600"):
        broker_address(settings("mqtts://cc@mq.example", password_file=file))


@pytest.mark.parametrize(
    ("url", "values", "why"),
    [
        ("mq.example", {}, "write mqtt://host:1883"),
        ("http://mq.example", {}, "write mqtt://host:1883"),
        ("mqtt://", {}, "write mqtt://host:1883"),
        ("mqtt://mq.example:port", {}, "Port could not be cast"),
        ("mqtt://mq.example/topic", {}, "nothing may follow the port"),
        ("mqtt://cc:geheim@mq.example", {}, "no password in the URL"),
        ("tcp://cc:geheim@mq.example", {}, "write mqtt://host:1883"),
        ("mqtt://mq.example", {"password_env": "WORD"}, "the environment has no variable WORD"),
        ("mqtt://mq.example", {"password_file": Path("/nowhere")}, "cannot read /nowhere"),
    ],
)
def test_a_broker_that_is_named_wrongly_is_one_line(url: str, values: dict[str, object], why: str) -> None:
    with pytest.raises(BrokerError, match=why) as caught:
        broker_address(settings(url, **values), {})
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_switch_that_stops_while_it_connects_stops_without_a_complaint(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """At any moment of the connecting: nothing may be asked of a socket that is closed."""
    complaints: list[str] = []

    async def stop_at_every_moment() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        made = MosquittoBroker(tmp_path / "broker", LOGINS)
        assert await made.start(), made.detail
        for moment in range(60):
            async with publisher(made.address(), Log()):
                await asyncio.sleep(moment * 0.0001)
        await made.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(stop_at_every_moment())
    assert complaints == []
