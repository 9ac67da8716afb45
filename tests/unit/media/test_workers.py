"""Workers that are drained, replaced, late or dead: no call of another suffers, and none is let in that would."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcenter.media.embedded import process
from callcenter.media.embedded.plane import EmbeddedSession
from callcenter.media.plane import MediaError, MediaLost, NoCapacity, WorkerStatus
from tests.unit.media.peers import Call, RealHouse, RealPeer, free_ports, until


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RealHouse]:
    monkeypatch.setattr(process, "_LATE_REPORTS", 1)  # else a second each
    settings = {"workers": 2, **getattr(request, "param", {})}
    if pairs := settings.pop("pairs", None):
        settings["ports"] = free_ports(pairs)
    made = RealHouse(tmp_path, **settings)
    await made.plane.start()
    yield made
    await made.close()


async def talking(house: RealHouse) -> tuple[Call, RealPeer, RealPeer, EmbeddedSession, EmbeddedSession]:
    """A bridged call of two phones."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    assert isinstance(first, EmbeddedSession)
    assert isinstance(second, EmbeddedSession)
    return call, amy, bob, first, second


class Ear:
    """Counts what a phone hears from now on."""

    def __init__(self, peer: RealPeer) -> None:
        self._peer = peer
        self._from = len(peer.received)

    @property
    def numbers(self) -> list[int]:
        """The sequence numbers, from 0 on."""
        packets = [packet for _, packet in list(self._peer.received)[self._from :]]
        return [(packet.sequence - packets[0].sequence) & 0xFFFF for packet in packets]

    def lost_none(self, at_least: int) -> None:
        """So many have come at least, each once and in order."""
        assert len(self.numbers) >= at_least
        assert self.numbers == list(range(len(self.numbers)))


def status(house: RealHouse) -> list[WorkerStatus]:
    return list(house.plane.status().workers)


async def test_no_packet_of_a_call_is_lost_while_its_worker_is_replaced_and_the_worker_ends_with_it(
    house: RealHouse,
) -> None:
    """The new one takes the calls that come; the old one may still get a leg for the call that it has."""
    call, amy, bob, first, second = await talking(house)
    ears = Ear(amy), Ear(bob)
    old = first.worker
    await house.plane.replace_worker(old.index, 60.0)
    new = house.plane.workers[old.index]
    assert new.pid not in (old.pid, 0)
    assert [(each.index, each.retiring, each.sessions) for each in status(house)] == [
        (0, False, 0),
        (1, False, 0),
        (0, True, 2),
    ]
    others = [await Call(house).incoming(house.peer("carol")) for _ in range(2)]
    assert {other.worker for other in others if isinstance(other, EmbeddedSession)} == set(house.plane.workers)
    third = await call.outgoing(house.peer("dave"), beside=first)
    assert isinstance(third, EmbeddedSession)
    assert third.worker is old
    await until(lambda: all(len(ear.numbers) > 60 for ear in ears), "sound")
    for ear in ears:
        ear.lost_none(60)
    assert not call.of(MediaLost)
    for session in (first, second, third):
        session.release()
    await until(lambda: len(status(house)) == 2, "the end of the old worker")
    assert [each.restarts for each in status(house)] == [0, 0]


@pytest.mark.parametrize("house", [{"workers": 1, "pairs": 10, "port_rest": 0.0}], indirect=True)
async def test_ports_never_clash_and_are_all_the_new_ones_in_the_end(house: RealHouse) -> None:
    """Of 10 pairs 2 are in use and 2 kept beside: 3 calls of two legs fit, and 5 when the old worker is gone."""
    _, _, _, first, second = await talking(house)
    await house.plane.replace_worker(0, 60.0)
    some = [await Call(house).incoming(house.peer("carol")) for _ in range(3)]
    with pytest.raises(NoCapacity, match="no media session is free"):
        await Call(house).incoming(house.peer("carol"))
    first.release()
    second.release()
    await until(lambda: len(status(house)) == 1, "the end of the old worker")
    some += [await Call(house).incoming(house.peer("carol")) for _ in range(2)]
    assert len({each.description.port for each in some if isinstance(each, EmbeddedSession)}) == 5


async def test_a_worker_of_another_version_takes_nobodys_place(
    house: RealHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed was exchanged under the switch that runs: the calls stay where they are, and new ones come."""
    _, amy, _, first, _ = await talking(house)
    ear, before = Ear(amy), [worker.pid for worker in house.plane.workers]
    for worker in house.plane.workers:
        monkeypatch.setitem(worker._settings, "version", 1)
    with pytest.raises(MediaError, match="media worker 0 is of another version than the switch: restart the switch"):
        await house.plane.replace_worker(0, 60.0)
    assert [worker.pid for worker in house.plane.workers] == before
    assert not house.plane.leaving
    await until(lambda: len(ear.numbers) > 10, "sound")
    ear.lost_none(10)
    await Call(house).incoming(house.peer("carol"))
    assert first.worker.alive


async def test_calls_that_last_beyond_the_limit_are_told_that_their_sound_is_lost(house: RealHouse) -> None:
    call, _, _, first, _ = await talking(house)
    await house.plane.replace_worker(first.worker.index, 0.0)
    await until(lambda: len(call.of(MediaLost)) == 2, "the end of the limit")
    assert "had to end" in call.of(MediaLost)[0].detail
    await until(lambda: len(status(house)) == 2, "the end of the old worker")


async def test_a_drained_worker_takes_no_new_call_until_it_is_told_to(
    house: RealHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    call, amy, _, first, _ = await talking(house)
    ear = Ear(amy)
    house.plane.drain_worker(first.worker.index)
    sessions = [await Call(house).incoming(house.peer("carol")) for _ in range(3)]
    assert all(each.worker is not first.worker for each in sessions if isinstance(each, EmbeddedSession))
    await call.outgoing(house.peer("dave"), beside=first)
    house.plane.drain_worker(1 - first.worker.index)
    with pytest.raises(NoCapacity, match="no media worker takes calls"):
        await Call(house).incoming(house.peer("carol"))
    assert house.plane.status().alive == 0
    house.plane.drain_worker(first.worker.index, cancel=True)
    another = await Call(house).incoming(house.peer("carol"))
    assert isinstance(another, EmbeddedSession)
    assert another.worker is first.worker
    await until(lambda: len(ear.numbers) > 20, "sound")
    ear.lost_none(20)
    with pytest.raises(MediaError, match="there is no media worker 2: they are 0 to 1"):
        house.plane.drain_worker(2)


async def test_a_worker_that_dies_takes_its_own_calls_alone(
    house: RealHouse, capfd: pytest.CaptureFixture[str]
) -> None:
    """Told to each of its legs, with what they had counted; the other worker's calls lose no packet."""
    dead, _, _, first, _ = await talking(house)
    alive, amy, bob, other, _ = await talking(house)
    assert other.worker is not first.worker
    await until(lambda: first.counted.packets_received > 10, "counters")
    ears = Ear(amy), Ear(bob)
    os.kill(first.worker.pid, signal.SIGKILL)
    await until(lambda: len(dead.of(MediaLost)) == 2, "the loss")
    assert first.counted.packets_received > 10, "what it had noted outlives it"
    await until(lambda: house.plane.status().alive == 2, "the new worker")
    await until(lambda: all(len(ear.numbers) > 20 for ear in ears), "sound")
    for ear in ears:
        ear.lost_none(20)
    assert not alive.of(MediaLost)
    assert [each.restarts for each in status(house)] == [1, 0]


async def test_a_worker_that_dies_while_it_leaves_gives_its_ports_to_who_has_its_place(
    house: RealHouse, capfd: pytest.CaptureFixture[str]
) -> None:
    call, _, _, first, _ = await talking(house)
    await house.plane.replace_worker(first.worker.index, 60.0)
    os.kill(first.worker.pid, signal.SIGKILL)
    await until(lambda: len(call.of(MediaLost)) == 2, "the loss")
    await until(lambda: len(status(house)) == 2, "one worker less")
    assert [each.restarts for each in status(house)] == [0, 0]


@pytest.mark.parametrize("house", [{"workers": 1, "max_late": 0.02}], indirect=True)
async def test_a_worker_whose_core_is_taken_from_it_takes_no_new_call(
    house: RealHouse, capfd: pytest.CaptureFixture[str]
) -> None:
    """It uses a hundredth of a core, and is late all the same: stopped and let go on by turns, as a host steals."""
    worker = house.plane.workers[0]
    await Call(house).incoming(house.peer("amy"))

    async def steal() -> None:
        while True:
            os.kill(worker.pid, signal.SIGSTOP)
            await asyncio.sleep(0.15)
            os.kill(worker.pid, signal.SIGCONT)
            await asyncio.sleep(0.02)

    thief = asyncio.ensure_future(steal())
    try:
        await until(lambda: worker.lateness > 0.02, "lateness")
        assert worker.load < 0.5
        with pytest.raises(NoCapacity, match=r"the media workers are late by .* others take their cores") as refused:
            await Call(house).incoming(house.peer("amy"))
        assert refused.value.retry_after > 0
        assert status(house)[0].late_ms > 20
    finally:
        thief.cancel()
        os.kill(worker.pid, signal.SIGCONT)
    await until(lambda: worker.lateness <= 0.02, "an end of it")
    await Call(house).incoming(house.peer("amy"))


@pytest.mark.parametrize("house", [{"workers": 1, "pairs": 900}], indirect=True)
async def test_calls_that_come_at_once_count_before_they_show_in_the_load(house: RealHouse) -> None:
    worker, count = house.plane.workers[0], 0

    async def one_more() -> None:
        worker.load = 0.65
        await house.plane.open(f"call-{count}", local="127.0.0.1", on_event=lambda _: None)

    while count < 200:
        try:
            await one_more()
        except NoCapacity:
            break
        count += 1
    assert 50 < count < 200
