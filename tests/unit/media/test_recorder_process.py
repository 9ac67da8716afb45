"""The recorder without its process: files that a disk takes slowly, or not at all, and sound that nobody ordered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from callcenter.media.embedded import control
from callcenter.media.embedded.recorder import handover, recorder
from callcenter.media.embedded.recorder.files import WavFile, create
from callcenter.media.embedded.recorder.mending import verify
from tests.unit.media.peers import until


class Disk:
    """A disk that stops when a file is written, or finished, until it goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes = threading.Event()
        self.stopped_at = ""
        for name in ("write", "finish"):
            monkeypatch.setattr(WavFile, name, self._slowly(name, getattr(WavFile, name)))

    def _slowly(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def instead(file: WavFile, *arguments: Any) -> Any:
            if name == self.stopped_at:
                assert self.goes.wait(20)
            return real(file, *arguments)

        return instead


class Desk(asyncio.Protocol):
    """A recorder, with plane and worker played by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[list[Any]] = []
        self._frames = control.Frames()
        self._at = 100.0
        self._sequence = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.worker, sound = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs = socket.socketpair()
        self.recorder = recorder.Recorder(loop, sound)
        await loop.create_unix_connection(lambda: self.recorder, sock=theirs)
        self.transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
        self._sound = sound

    def data_received(self, data: bytes) -> None:
        self.told += self._frames.feed(data)

    def of(self, op: str) -> list[list[Any]]:
        return [message for message in self.told if message[0] == op]

    async def open(self, number: int, path: str | None = None) -> str:
        path = path or str(self.folder / str(number))
        self.transport.write(control.frame([control.RECORD_OPEN, number, number, path, "pcm", 8000, ""]))
        await until(lambda: any(message[1] == number for message in self.of(control.OK)), "the file")
        self.worker.send(handover.tick(number, self._at))
        return next(str(message[2]) for message in self.of(control.OK) if message[1] == number)

    def says(self, seconds: float, *numbers: int) -> None:
        """All of them say something for so long."""
        for _ in range(round(seconds / 0.2)):
            for number in numbers:
                octets = bytes([0x80]) * 1600
                at = self._sequence * 160 % 2**32
                run = handover.sound(number, 0, 0, "PCMU", self._sequence % 65536, at, self._at, octets)
                self.worker.send(run + handover.tick(number, self._at + 0.2))
            self._at += 0.2
            self._sequence += 10

    def stop(self, number: int) -> None:
        self.worker.send(handover.stop(number, self._at))

    async def ended(self, number: int) -> list[Any]:
        """Path, seconds, octets, SHA-256, reason, detail."""
        await until(lambda: any(message[1] == number for message in self.of(control.RECORDED)), "its end")
        (message,) = [message for message in self.of(control.RECORDED) if message[1] == number]
        return message[2:]

    async def close(self) -> None:
        self.worker.close()
        await self.recorder.ended
        self.transport.close()
        await self.recorder.closed.wait()
        self._sound.close()
        self.recorder.finishers.shutdown()


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(recorder, "_SLOW", 0.3)
    monkeypatch.setattr(recorder, "_FINISH_WITHIN", 0.3)
    made = Desk(tmp_path / "recordings")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def say_until_told(desk: Desk, *numbers: int) -> None:
    """As long as it takes, for all of them."""
    while not all(any(message[1] == number for message in desk.of(control.RECORDED)) for number in numbers):
        desk.says(0.2, *numbers)
        await asyncio.sleep(0.02)


async def test_a_recording_is_written_and_told(desk: Desk) -> None:
    path = await desk.open(1)
    desk.says(3.0, 1)
    desk.stop(1)
    assert (await desk.ended(1))[:2] == [path, 3.0]
    assert verify(path).seconds == 3.0
    assert not desk.of(control.RECORDED)[1:]


async def test_a_disk_that_stops_for_long_ends_what_it_does_not_take_and_the_next_recording_is_well(
    desk: Desk, disk: Disk
) -> None:
    """The file that was left is not finished behind our back: whoever mends it may have begun."""
    first = await desk.open(1)
    second = await desk.open(2)
    desk.says(3.0, 1, 2)
    await until(lambda: Path(first + ".part").stat().st_size > 64_000, "two seconds on disk")
    disk.stopped_at = "write"
    await say_until_told(desk, 1, 2)
    for number, path in ((1, first), (2, second)):
        ended = await desk.ended(number)
        assert (ended[0], ended[2:5]) == (path + ".part", [0, "", "slow_disk"])
        assert "the disk has not" in ended[5]
    disk.stopped_at = ""
    disk.goes.set()
    third = await desk.open(3)
    desk.says(2.0, 3)
    desk.stop(3)
    assert (await desk.ended(3))[4] == "stopped"
    assert verify(third).seconds == 2.0
    assert sorted(path.name for path in desk.folder.iterdir()) == ["1.wav.part", "2.wav.part", "3.wav"]
    assert len(desk.of(control.RECORDED)) == 3


async def test_a_disk_that_is_slow_for_a_while_still_gets_the_whole_file_of_what_was_taken(
    desk: Desk, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_FINISH_WITHIN", 20.0)
    path = await desk.open(1)
    disk.stopped_at = "write"
    recording = desk.recorder._recordings[1]
    while recording.ending is None:
        desk.says(0.2, 1)
        await asyncio.sleep(0.01)
    disk.goes.set()
    ended = await desk.ended(1)
    assert (ended[0], ended[4]) == (path, "slow_disk")
    checked = verify(path)
    assert checked.sha256 == ended[3]
    assert checked.seconds == ended[1] > 1


async def test_a_file_that_cannot_be_finished_in_time_is_left_and_told(desk: Desk, disk: Disk) -> None:
    path = await desk.open(1)
    desk.says(2.0, 1)
    disk.stopped_at = "finish"
    desk.stop(1)
    ended = await desk.ended(1)
    assert (ended[0], ended[4]) == (path + ".part", "slow_disk")
    disk.goes.set()
    desk.worker.send(handover.tick(1, 0.0))
    second = await desk.open(2)
    desk.says(1.0, 2)
    desk.stop(2)
    assert (await desk.ended(2))[0] == second
    assert Path(path + ".part").exists()
    assert not Path(path).exists()


async def test_a_recording_of_which_nothing_came_leaves_no_file(desk: Desk, tmp_path: Path) -> None:
    """The worker was gone before it could begin."""
    request = [control.RECORD_OPEN, 1, 1, str(desk.folder / "1"), "pcm", 8000, ""]
    desk.transport.write(control.frame(request))
    await until(lambda: bool(desk.of(control.OK)), "the file")
    desk.transport.write(control.frame([control.RECORD_END, 1, "failed", "nobody"]))
    assert (await desk.ended(1))[2:5] == [0, "", "failed"]
    assert not list(desk.folder.iterdir())


async def test_a_file_that_is_made_too_late_for_whoever_asked_is_not_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes = threading.Event()

    def late(*order: Any) -> Any:
        assert goes.wait(20)
        return create(*order)

    monkeypatch.setattr(recorder, "create", late)
    desk.transport.write(
        control.frame([control.RECORD_OPEN, 1, 1, str(desk.folder / "1"), "pcm", 8000, ""])
        + control.frame([control.RECORD_END, 1, "failed", "it was not waited for"])
    )
    await until(lambda: 1 in desk.recorder._opening, "the order")
    goes.set()
    assert (await desk.ended(1))[4] == "failed"
    assert not list(desk.folder.iterdir())


async def test_a_mistake_about_one_recording_ends_that_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: in decoding, or in writing."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    paths = [await desk.open(number) for number in (1, 2, 3)]

    def broken(*_: Any) -> bytes:
        raise ZeroDivisionError

    desk.recorder._recordings[1].channels[0].add = broken  # type: ignore[method-assign, assignment]
    desk.recorder._recordings[2].file.write = broken  # type: ignore[method-assign, assignment]
    desk.says(2.0, 1, 2, 3)
    for number in (1, 2):
        ended = await desk.ended(number)
        assert ended[4] == "failed"
        assert "ZeroDivisionError" in ended[5]
    desk.stop(3)
    assert (await desk.ended(3))[:2] == [paths[2], 2.0]
    assert len(told) == 1


async def test_sound_of_recordings_that_are_over_or_never_were_is_of_nobody(desk: Desk) -> None:
    """What a recorder that has died has not read is read by the next."""
    desk.says(0.4, 77)
    path = await desk.open(1)
    desk.says(1.0, 1, 77)
    desk.stop(1)
    desk.stop(77)
    desk.says(1.0, 1)
    assert (await desk.ended(1))[:2] == [path, 1.0]


async def test_when_the_worker_is_gone_every_file_is_finished_and_then_the_recorder_ends(desk: Desk) -> None:
    paths = [await desk.open(number) for number in range(5)]
    desk.says(1.4, *range(5))
    desk.worker.close()
    await desk.recorder.ended
    await until(lambda: bool(desk.of(control.RECORDER_ENDS)), "its farewell")
    assert {message[6] for message in desk.of(control.RECORDED)} == {"worker_lost"}
    assert [verify(path).seconds for path in paths] == [1.4] * 5
