"""A broker of somebody else's: TLS and logins, what it refuses and how that is told, how it goes and comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from callcenter.model.facts import DigitsEntered, Fact
from callcenter.publish import mqtt, publisher, topics
from callcenter.publish.mqtt import BrokerAddress, MqttPublisher
from callcenter.publish.publisher import CURSOR, LinkLost, Outbox
from callcenter.runtime.clock import SystemClock
from callcenter.storage.store import Storage
from tests.unit.publish import external
from tests.unit.publish.external import PASSWORD, USER, Authority, External
from tests.unit.publish.mosquitto_clients import reader
from tests.unit.publish.support import Log, fact, until

CLOCK = SystemClock()
EVENTS = "callcenter/v1/calls/#"
ALL = f"user {USER}\ntopic readwrite callcenter/v1/#\nuser wall\ntopic read #\n"
WALL = {USER: PASSWORD, "wall": "wall"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Told:
    """A publisher that runs, and what it told of its broker."""

    def __init__(self, address: BrokerAddress | Callable[[], BrokerAddress], log: Outbox | None = None) -> None:
        self.states: list[tuple[bool, str]] = []
        self.publisher = MqttPublisher(address, log or Log(), CLOCK)
        self.publisher.on_state = lambda connected, detail: self.states.append((connected, detail))

    async def __aenter__(self) -> Told:
        await self.publisher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.publisher.close()

    async def first(self) -> tuple[bool, str]:
        await until(lambda: self.states, within=15)
        return self.states[0]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("authority") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("authority") / "theirs")


def address(port: int, **values: Any) -> BrokerAddress:
    return dataclasses.replace(BrokerAddress("localhost", port, user=USER, password=PASSWORD), **values)


async def test_what_is_wrong_with_tls_or_login_is_one_line_that_says_what_to_do(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    good, expired = authority.issue("good"), authority.issue("expired", days=-1)
    other, port = authority.issue("other", of="DNS:mq.example.org"), free_port()
    ca = {"tls": True, "ca_file": authority.certificate}
    cases: list[tuple[tuple[Path, Path] | None, dict[str, Any], str]] = [
        (good, ca, ""),
        (good, {**ca, "password": "falsch"}, "the broker refuses our login (Not authorized): look at mqtt.user"),
        (good, {**ca, "user": "nobody"}, "the broker refuses our login (Not authorized): look at mqtt.user"),
        (good, {**ca, "ca_file": stranger.certificate}, "is signed not by an authority of mqtt.ca_file"),
        (good, {**ca, "ca_file": None}, "is signed by nobody we know"),
        (good, {**ca, "ca_file": tmp_path / "none"}, "cannot be read"),
        (good, {**ca, "cert_file": tmp_path / "none"}, "cannot be used"),
        (expired, ca, "the broker's certificate has expired"),
        (other, ca, "the broker's certificate is for another name: "),
        (None, ca, "speak TLS"),
        (good, {}, "does this port want TLS? Then write mqtts://"),
        (None, {"host": "no-such-host.invalid"}, "the host is not known"),
    ]
    gc.collect()
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for number, (certificate, values, words) in enumerate(cases):
        async with External(tmp_path / str(number), port, certificate), Told(address(port, **values)) as made:
            connected, detail = await made.first()
            assert (connected, words in detail) == (not words, True), (number, detail)
            assert PASSWORD not in detail
            assert "falsch" not in detail
            assert "\n" not in detail
            if not connected:
                assert detail.startswith(
                    ("mqtts://" if values.get("tls") else "mqtt://") + values.get("host", "localhost")
                )
                assert made.publisher.status().detail == detail
                assert not await made.publisher.publish_pop("ana", {}, 60.0), "and calls go on"
                assert len(list(Path("/proc/self/fd").iterdir())) <= open_before + 3, "no attempt leaves a socket"


async def test_a_broker_that_was_told_to_end_before_it_could_hear_it_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found as a test that hung: Mosquitto 2.0 loses a SIGTERM that comes just when it says that it runs."""
    program = tmp_path / "broker.sh"
    program.write_text(
        "#!/bin/sh\ntrap '' TERM\necho it is running\nsleep 0.2\ntrap 'exit 0' TERM\nwhile :; do sleep 0.05; done\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(external, "find_program", lambda: str(program))
    async with asyncio.timeout(20), External(tmp_path / "deaf", free_port()) as deaf:
        await deaf.stop(signal.SIGTERM)
        assert not Path(f"/proc/{deaf.pid}").exists()


async def test_a_broker_that_wants_our_certificate_gets_it(tmp_path: Path, authority: Authority) -> None:
    server, ours, port = authority.issue("server"), authority.issue("switch"), free_port()
    both = tmp_path / "both.pem"
    both.write_text(ours[0].read_text() + ours[1].read_text())
    tls = {"tls": True, "ca_file": authority.certificate}
    async with External(tmp_path / "broker", port, server, clients_of=authority.certificate):
        async with Told(address(port, **tls)) as made:
            connected, detail = await made.first()
            assert not connected
            assert "mqtt.cert_file" in detail
        for certificate, key in (ours, (both, None)):
            async with Told(address(port, **tls, cert_file=certificate, key_file=key)) as made:
                assert await made.first() == (True, "")
                assert await made.publisher.publish_pop("ana", {}, 60.0)


@pytest.mark.parametrize("tls", [False, True])
async def test_much_at_once_gets_through(tmp_path: Path, authority: Authority, tls: bool) -> None:
    """More than a socket takes, in both directions: the broker's answers come in crowds."""
    port, log = free_port(), Log()
    log.add(3000)
    certificate = authority.issue("much") if tls else None
    values = {"tls": True, "ca_file": authority.certificate} if tls else {}
    async with External(tmp_path / "broker", port, certificate), Told(address(port, **values), log) as made:
        assert await made.publisher.ready(10)
        pops = [made.publisher.publish_pop("ana", {"note": "x" * 50_000}, 60.0) for _ in range(300)]
        assert all(await asyncio.gather(*pops))
        await until(lambda: log.cursor(CURSOR) == 3000)
        assert made.states == [(True, "")]


async def test_a_certificate_that_is_renewed_is_taken_up_without_a_restart(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    """The broker moved to another authority: the file is replaced, and the next attempt reads it."""
    ca, port = tmp_path / "ca.pem", free_port()
    ca.write_bytes(stranger.certificate.read_bytes())
    async with (
        External(tmp_path / "broker", port, authority.issue("renewed")),
        Told(address(port, tls=True, ca_file=ca)) as made,
    ):
        assert not (await made.first())[0]
        ca.write_bytes(authority.certificate.read_bytes())
        assert await made.publisher.ready(15)


async def stub(reply: bytes) -> tuple[asyncio.Server, int]:
    """A broker that has but one thing to say."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(reply)
        await writer.drain()
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("connack", "words"),
    [
        (b"\x20\x02\x00\x01", "speaks no MQTT 5"),  # as a broker of 3.1.1 says it
        (b"\x20\x03\x00\x84\x00", "speaks no MQTT 5"),
        (b"\x20\x03\x00\x88\x00", "Server unavailable"),
        (b"\x20\x05\x00\x00\x02\x24\x00", "takes no messages of QoS 1"),
    ],
)
async def test_a_broker_that_cannot_do_what_we_need_is_told_of_in_words(connack: bytes, words: str) -> None:
    server, port = await stub(connack)
    async with Told(BrokerAddress("127.0.0.1", port)) as made:
        connected, detail = await made.first()
        assert not connected
        assert words in detail
    server.close()


async def test_the_window_is_the_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much it takes unacknowledged, and how large: never more is sent, and a pop is no exception."""
    got = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x0b\x00\x00\x08\x21\x00\x04\x27\x00\x00\x08\x00")  # 4 messages, 2,048 bytes
        while data := await reader.read(65536):
            got.extend(data)
            if data[0] == 0x82:
                writer.write(b"\x90\x04" + data[2:4] + b"\x00\x01")
            elif data.startswith(b"\x31") or b"/status" in data:
                where = data.index(b"/status") + len(b"/status")
                writer.write(b"\x40\x02" + data[where : where + 2])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    log = Log()
    log.add(30)
    async with Told(BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1]), log) as made:
        assert (await made.first())[0]
        await until(lambda: got.count(b"/event") == 2)
        pops = [made.publisher.publish_pop("ana", {"id": f"p{n}"}, 60.0) for n in range(6)]
        await until(lambda: b'"p1"' in got)
        assert not await made.publisher.publish_pop("ana", {"note": "x" * 3000}, 60.0)
        assert "it has 3" in made.publisher.status().detail
        await asyncio.sleep(0.1)
        assert (got.count(b"/event"), got.count(b'"id":"p')) == (2, 2)
        assert not any(pop.done() for pop in pops)
    server.close()


# ------------------------------------------------------------------------------------------------ what it refuses


async def test_events_that_the_broker_refuses_are_kept_and_follow_when_it_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once; pops and states go on; nothing is passed over in silence."""
    monkeypatch.setattr(publisher, "REFUSED_RETRY", 0.1)
    log, port = Log(), free_port()
    log.add(3)
    acl = f"user {USER}\ntopic readwrite callcenter/v1/agents/#\ntopic readwrite callcenter/v1/status\n"
    async with External(tmp_path / "broker", port, acl=acl) as broker, Told(address(port), log) as made:
        await until(lambda: len(made.states) == 2)
        assert made.states[0] == (True, "")
        refused = "the broker refuses events: Not authorized: the login of mqtt.user may not write there"
        assert made.states[1] == (True, refused)
        assert await made.publisher.publish_pop("ana", {}, 60.0)
        log.add(100)
        await asyncio.sleep(0.5)
        assert (made.states[2:], made.publisher.status().detail) == ([], refused)
        assert log.cursor(CURSOR) == 0
        (broker.folder / "acl").write_text(ALL)
        os.kill(broker.pid, signal.SIGHUP)
        await until(lambda: log.cursor(CURSOR) == 103)
        assert made.states[2:] == [(True, "")]


async def test_a_pop_that_the_broker_refuses_is_not_acknowledged_and_told(tmp_path: Path) -> None:
    port = free_port()
    acl = f"user {USER}\ntopic readwrite callcenter/v1/calls/#\ntopic readwrite callcenter/v1/status\n"
    async with External(tmp_path / "broker", port, acl=acl), Told(address(port)) as made:
        assert await made.publisher.ready(10)
        for _ in range(3):
            assert not await made.publisher.publish_pop("ana", {}, 60.0)
        assert made.publisher.status().connected, "it was refused, not given up"
        assert [detail.split(":")[0] for _, detail in made.states] == ["", "the broker refuses pops"]
        assert made.publisher.status().pops_waiting == 0
        assert made.publisher.status().pops_sent == 0


# --------------------------------------------------------------------------------- gone, hung, away and back again


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    made = await Storage.open(tmp_path / "switch.db", clock=CLOCK)
    yield made
    await made.close()


async def flow(storage: Storage, first: int, stop: Callable[[], bool]) -> int:
    """Facts of a busy floor until ``stop``; the number of the last one."""
    seq = first - 1
    while not stop():
        for _ in range(5):
            seq += 1
            storage.log.write(fact(seq))
        await asyncio.sleep(0.06)
    return seq


def numbers(got: list[tuple[bool, str, str]]) -> list[int]:
    return [json.loads(payload)["seq"] for _, topic, payload in got if topic.endswith("/event")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_broker_that_restarts_under_a_session_of_a_subscriber_loses_and_disorders_nothing(
    tmp_path: Path, storage: Storage, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscriber has a session that lasts. A fact may come twice where a word on it was lost: its number tells."""
    port, away, sent = free_port(), asyncio.Event(), 0
    message = publisher._message

    def counted(fact: Fact) -> tuple[str, bytes] | None:
        nonlocal sent
        sent += 1
        return message(fact)

    monkeypatch.setattr(publisher, "_message", counted)
    # A reader that lags behind its window loses what the broker holds for it in memory alone: that is between them.
    more = f"persistence true\npersistence_location {tmp_path}/\nautosave_interval 1\nmax_inflight_messages 0"
    async with (
        External(tmp_path / "broker", port, acl=ALL, users=WALL, more=more) as broker,
        Told(address(port), storage.log) as made,
    ):
        assert await made.publisher.ready(10)
        made.publisher.set_state(topics.agent_state("ana"), {"work": "talking"})
        keeps = ("-i", "wall", "-c", "-x", "3600", "-D", "connect", "receive-maximum", "1000")
        async with reader(port, "wall", "wall", EVENTS, "callcenter/v1/agents/+/state", options=keeps) as wall:
            began, saved = time.time(), tmp_path / "mosquitto.db"
            writing = asyncio.create_task(flow(storage, 1, away.is_set))
            # What it has of a session only in its memory, it may forget.
            await until(lambda: saved.exists() and saved.stat().st_mtime > began)
            for _ in range(3):
                # What a killed broker had acknowledged and not yet delivered is lost, and no publisher's to keep.
                before = len(wall.got) + 50
                await until(
                    lambda: (
                        len(wall.got) > before  # noqa: B023
                        and not made.publisher.status().waiting
                        and numbers(wall.got)[-1] == storage.log.cursor(CURSOR)
                    )
                )
                await broker.stop(how)
                await asyncio.sleep(0.3)
                await broker.start()
                await until(lambda: made.publisher.status().connected)
            away.set()
            last = await writing
            await until(lambda: not made.publisher.status().waiting, within=30)
            await until(lambda: numbers(wall.got)[-1] == last)
            seen = numbers(wall.got)
            assert list(dict.fromkeys(seen)) == list(range(1, last + 1)), "each, and the first of each in order"
            # Beside those the broker repeats to the session what it did not hear of in time.
            assert sent - last <= 3 * mqtt.MAX_WINDOW // 2, "sent twice is no more than was on its way"
        async with reader(port, "wall", "wall", topics.agent_state("ana"), topics.STATUS) as late:
            await until(lambda: len(late.got) == 2)
            assert late.of(topics.STATUS) == ["online"]
            assert all(retained for retained, _, _ in late.got)
    assert [up for up, _ in groupby(connected for connected, _ in made.states)] == [True, False] * 3 + [True]


async def test_after_an_outage_everything_follows_in_order_and_no_pop_twice(tmp_path: Path, storage: Storage) -> None:
    """Hundreds of facts, and two pops of which one has expired when the broker is back."""
    port = free_port()
    more = f"persistence true\npersistence_location {tmp_path}/"
    nobody_listens = False

    def where() -> BrokerAddress:
        if nobody_listens:
            raise LinkLost("what is sent before somebody listens is seen by nobody")
        return address(port)

    async with (
        External(tmp_path / "broker", port, acl=ALL, users=WALL, more=more) as broker,
        Told(where, storage.log) as made,
    ):
        assert await made.publisher.ready(10)
        for seq in range(1, 101):
            storage.log.write(fact(seq))
        await until(lambda: storage.log.cursor(CURSOR) == 100)
        nobody_listens = True
        await broker.stop(signal.SIGTERM)
        await until(lambda: not made.publisher.status().connected)
        for seq in range(101, 1501):
            storage.log.write(fact(seq))
        assert not await made.publisher.publish_pop("ana", {"id": "old"}, 0.5)
        assert not await made.publisher.publish_pop("ana", {"id": "new"}, 60.0)
        await asyncio.sleep(1)
        await broker.start()
        async with reader(port, "wall", "wall", "callcenter/v1/#") as wall:
            nobody_listens = False
            await until(lambda: not made.publisher.status().waiting and len(numbers(wall.got)) >= 1400, within=30)
            await asyncio.sleep(0.1)
            assert numbers(wall.got) == list(range(101, 1501)), "once each: nothing was on its way when it went"
            assert [json.loads(payload)["id"] for payload in wall.of(topics.agent_pop("ana"))] == ["new"]


async def test_a_broker_that_hangs_is_left_within_a_known_time_and_every_pop_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With something to say: after the longest wait for an acknowledgement. In silence: after two keep-alives."""
    monkeypatch.setattr(mqtt, "ACKNOWLEDGED_WITHIN", 0.5)
    monkeypatch.setattr(mqtt, "CONNECTED_WITHIN", 0.5)
    monkeypatch.setattr(mqtt, "KEEPALIVE_S", 1)
    port = free_port()
    async with External(tmp_path / "broker", port) as broker, Told(address(port)) as made:
        for speak in (True, False):
            assert await made.publisher.ready(10)
            broker.hang()
            before = len(made.states)
            if speak:
                assert not await made.publisher.publish_pop("ana", {"id": "p"}, 60.0)
            await until(lambda: len(made.states) > before)  # noqa: B023
            connected, detail = made.states[before]
            assert (connected, "no acknowledgement within 0.5 s" in detail) == (False, speak)
            assert not await made.publisher.publish_pop("ana", {"id": "q"}, 60.0), "at once"
            broker.go_on()
            await until(lambda: made.publisher.status().connected)
        await until(lambda: made.publisher.status().pops_waiting == 0)
    assert [connected for connected, _ in made.states] == [True, False, True, False, True]
    assert "no acknowledgement within 0.5 s" in made.states[1][1]


async def test_an_event_that_is_too_large_for_the_broker_is_passed_over_and_told(tmp_path: Path) -> None:
    """Sent, it would cost the connection, again and again."""
    log, port = Log(), free_port()
    log.add(2)
    log.facts.append(fact(3, DigitsEntered("main", "x" * 5000, True)))
    log.add(2)
    async with External(tmp_path / "broker", port, more="max_packet_size 2000"), Told(address(port), log) as made:
        await until(lambda: log.cursor(CURSOR) == 5)
        assert made.publisher.status().detail.startswith("an event was passed over: it has 5")
        assert [connected for connected, _ in made.states] == [True, True]
