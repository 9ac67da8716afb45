"""What every media plane must do about recordings; what is in their files, of the planes that make any."""

from __future__ import annotations

import asyncio
import os
import stat
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcenter.media.plane import (
    MediaError,
    MediaGone,
    MediaRecording,
    MediaSession,
    RecordingEnded,
    RecordingOrder,
    RecordingReason,
)
from callcenter.rtp.g711 import encode_alaw, encode_ulaw
from callcenter.simulation.media import SimMediaPlane
from callcenter.sip.sdp import PCMA, PCMU, Codec
from tests.unit.media.peers import Call, House, RealHouse, RealPeer, until

AMY, BOB, CAROL = 440.0, 1000.0, 1700.0
"""Hertz."""
LEVEL = 6000


class Recorded:
    """A recording of a test, with its end when it came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ends: list[RecordingEnded] = []
        self.recording: MediaRecording | None = None

    async def start(
        self, house: House, left: MediaSession, *right: MediaSession, name: str = "one", **order: Any
    ) -> MediaRecording:
        made = RecordingOrder(name, str(self.folder / "of the day" / name), **order)
        self.recording = await house.plane.record(made, left, right, self.ends.append)
        return self.recording

    async def end(self) -> RecordingEnded:
        await until(lambda: bool(self.ends), "the end of the recording")
        return self.ends[0]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "recordings")


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealHouse]:
    house = RealHouse(tmp_path, workers=1)
    await house.plane.start()
    yield house
    await house.close()


def sings(peer: RealPeer, hertz: float, level: int = LEVEL) -> None:
    """The phone says a tone from now on, whatever its codec."""
    at = 0

    def frame(codec: Codec) -> bytes:
        nonlocal at
        samples = np.arange(at, at + 160)
        at += 160
        pcm = (level * np.sin(2 * np.pi * hertz * samples / 8000)).astype("<i2").tobytes()
        return encode_ulaw(pcm) if codec.name == "PCMU" else encode_alaw(pcm)

    peer.frame = frame  # type: ignore[method-assign]


class Sound:
    """What is in a file."""

    def __init__(self, path: str) -> None:
        with wave.open(path) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
            self.rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        self.left, self.right = samples[:, 0].astype(float), samples[:, 1].astype(float)
        self.seconds = len(samples) / self.rate

    def level(self, channel: np.ndarray[Any, Any], hertz: float, start: float, end: float) -> float:
        """Amplitude of a tone between two moments."""
        part = channel[int(start * self.rate) : int(end * self.rate)]
        wave = np.exp(-2j * np.pi * hertz * np.arange(len(part)) / self.rate)
        return float(2 * abs(np.dot(part, wave)) / len(part))

    def silent(self, channel: np.ndarray[Any, Any], start: float, end: float) -> bool:
        return not channel[int(start * self.rate) : int(end * self.rate)].any()


async def talk(house: House, one: Any, other: Any) -> tuple[MediaSession, MediaSession]:
    call = Call(house)
    first = await call.incoming(one)
    second = await call.outgoing(other, beside=first)
    await first.bridge(second)
    return first, second


# Every plane


async def test_a_recording_ends_once_however_often_it_is_stopped(house: House, recorded: Recorded) -> None:
    first, second = await talk(house, house.peer("amy"), house.peer("bob"))
    recording = await recorded.start(house, first, second)
    assert recording.id == "one"
    recording.pause()
    recording.pause()
    recording.resume()
    recording.resume()
    recording.hears([])
    recording.hears([second])
    recording.stop()
    recording.stop()
    ended = await recorded.end()
    assert (ended.recording, ended.path, ended.reason, ended.detail) == ("one", recording.path, "stopped", "")
    assert ended.octets > 0
    assert len(ended.sha256) == 64
    recording.stop()
    recording.pause()
    first.release()
    await asyncio.sleep(0.02)
    assert len(recorded.ends) == 1


async def test_a_recording_ends_when_the_caller_is_gone_not_when_the_agent_is(house: House, recorded: Recorded) -> None:
    first, second = await talk(house, house.peer("amy"), house.peer("bob"))
    await recorded.start(house, first, second)
    second.release()
    await first.stats()
    assert not recorded.ends
    first.release()
    assert (await recorded.end()).reason is RecordingReason.STOPPED


async def test_a_recording_of_a_worker_that_dies_ends_with_it(house: House, recorded: Recorded) -> None:
    first, second = await talk(house, house.peer("amy"), house.peer("bob"))
    recording = await recorded.start(house, first, second)
    house.kill_worker_of(first)
    ended = await recorded.end()
    assert ended.reason is RecordingReason.WORKER_LOST
    assert ended.path == recording.path
    assert ended.detail


async def test_a_session_that_is_gone_is_not_recorded(house: House, recorded: Recorded) -> None:
    first, second = await talk(house, house.peer("amy"), house.peer("bob"))
    first.release()
    with pytest.raises(MediaGone):
        await recorded.start(house, first, second)
    assert not list(recorded.folder.glob("**/*.*"))


async def test_a_file_that_cannot_be_made_is_told_before_anything_is_recorded(house: House, recorded: Recorded) -> None:
    first, second = await talk(house, house.peer("amy"), house.peer("bob"))
    recorded.folder.write_text("stands in the way")
    if isinstance(house.plane, SimMediaPlane):
        house.plane.unwritable.add(str(recorded.folder / "of the day" / "one"))
    with pytest.raises(MediaError, match=r"cannot be made: (Not a directory|Permission denied)"):
        await recorded.start(house, first, second)


# What is in the files


async def test_the_caller_is_left_and_the_agent_right_each_with_its_level(real: RealHouse, recorded: Recorded) -> None:
    amy, bob = real.peer("amy", codecs=[PCMU]), real.peer("bob", codecs=[PCMA])
    sings(amy, AMY)
    sings(bob, BOB, LEVEL // 2)
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    await asyncio.sleep(0.6)
    recording.pause()
    await asyncio.sleep(0.3)
    recording.resume()
    await asyncio.sleep(0.4)
    recording.stop()
    ended = await recorded.end()
    sound = Sound(ended.path)
    assert sound.rate == 8000
    assert sound.seconds == pytest.approx(ended.seconds, abs=0.001)
    assert sound.seconds == pytest.approx(1.3, abs=0.15)
    for channel, own, other, level in ((sound.left, AMY, BOB, LEVEL), (sound.right, BOB, AMY, LEVEL // 2)):
        assert sound.level(channel, own, 0.1, 0.5) == pytest.approx(level, rel=0.02)
        assert sound.level(channel, other, 0.1, 0.5) < level / 100
        # The pause keeps its length, and nothing of its sound.
        assert sound.silent(channel, 0.65, 0.85)
        assert sound.level(channel, own, 1.0, 1.2) == pytest.approx(level, rel=0.05)
    assert stat.S_IMODE(os.stat(ended.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(recorded.folder).st_mode) == 0o700
    assert os.listdir(os.path.dirname(ended.path)) == ["one.wav"]
    assert ended.octets == os.path.getsize(ended.path)


async def test_two_agents_are_mixed_on_the_right_and_one_who_joins_later_is_heard_from_then_on(
    real: RealHouse, recorded: Recorded
) -> None:
    amy, bob, carol = (real.peer(name) for name in ("amy", "bob", "carol"))
    for peer, hertz in ((amy, AMY), (bob, BOB), (carol, CAROL)):
        sings(peer, hertz)
    first, second = await talk(real, amy, bob)
    third = await Call(real).outgoing(carol, beside=first)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    await asyncio.sleep(0.4)
    recording.hears([second, third])
    await asyncio.sleep(0.4)
    recording.hears([third])
    await asyncio.sleep(0.4)
    recording.stop()
    sound = Sound((await recorded.end()).path)
    for hertz, levels in ((BOB, (1, 1, 0)), (CAROL, (0, 1, 1))):
        for level, start in zip(levels, (0.1, 0.5, 0.9), strict=True):
            assert sound.level(sound.right, hertz, start, start + 0.2) == pytest.approx(level * LEVEL, abs=LEVEL * 0.05)
    assert sound.level(sound.left, AMY, 0.1, 1.1) == pytest.approx(LEVEL, rel=0.05)
