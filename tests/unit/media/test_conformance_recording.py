"""What every media plane must do about recordings; what is in their files, of the planes that make any."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import resource
import signal
import stat
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcenter.media.embedded.recorder.files import PART
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.mending import BadRecording, decrypt, mend, verify
from callcenter.media.plane import (
    MediaError,
    MediaGone,
    MediaRecording,
    MediaSession,
    RecordingEncoding,
    RecordingEnded,
    RecordingOrder,
    RecordingReason,
)
from callcenter.rtp.g711 import encode_alaw, encode_ulaw
from callcenter.simulation.media import SimMediaPlane
from callcenter.sip.sdp import G722, OPUS, PCMA, PCMU, Codec
from tests.unit.media.peers import Call, House, RealHouse, RealPeer, until
from tests.unit.media.singers import PITCH, Singer, singer

AMY, BOB, CAROL = 450.0, 1000.0, 1700.0
"""Hertz: whole waves in 20 ms."""
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


def sings(peer: RealPeer, hertz: float, level: int = LEVEL) -> list[bytes]:
    """The phone says a tone from now on, whatever its codec; returns the payloads that it has sent."""
    at = 0
    said: list[bytes] = []

    def frame(codec: Codec) -> bytes:
        nonlocal at
        samples = np.arange(at, at + 160)
        at += 160
        pcm = (level * np.sin(2 * np.pi * hertz * samples / 8000)).astype("<i2").tobytes()
        said.append(encode_ulaw(pcm) if codec.name == "PCMU" else encode_alaw(pcm))
        return said[-1]

    peer.frame = frame  # type: ignore[method-assign]
    return said


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
        """Amplitude of a tone between two moments: of most 20 ms there, since a phone of a busy machine may stumble."""
        size = self.rate // 50
        part = channel[int(start * self.rate) :][: int((end - start) * 50) * size].reshape(-1, size)
        return float(np.median(2 * abs(part @ np.exp(-2j * np.pi * hertz * np.arange(size) / self.rate)) / size))

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
    began = time.monotonic()
    await asyncio.sleep(0.5)
    recording.pause()
    paused = time.monotonic() - began
    await asyncio.sleep(0.3)
    recording.resume()
    resumed = time.monotonic() - began
    await asyncio.sleep(0.4)
    recording.stop()
    stopped = time.monotonic() - began
    ended = await recorded.end()
    sound = Sound(ended.path)
    assert sound.rate == 8000
    assert sound.seconds == pytest.approx(ended.seconds, abs=0.001)
    assert sound.seconds == pytest.approx(stopped, abs=0.1)
    for channel, own, other, level in ((sound.left, AMY, BOB, LEVEL), (sound.right, BOB, AMY, LEVEL // 2)):
        assert sound.level(channel, own, 0.1, paused - 0.1) == pytest.approx(level, rel=0.02)
        assert sound.level(channel, other, 0.1, paused - 0.1) < level / 100
        # The pause keeps its length, and nothing of its sound.
        assert sound.silent(channel, paused + 0.06, resumed - 0.06)
        assert sound.level(channel, own, resumed + 0.1, stopped - 0.1) == pytest.approx(level, rel=0.05)
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
    began = time.monotonic()
    moments = [0.0]
    for right in ([second, third], [third], None):
        await asyncio.sleep(0.4)
        moments.append(time.monotonic() - began)
        if right is not None:
            recording.hears(right)
    recording.stop()
    sound = Sound((await recorded.end()).path)
    for hertz, levels in ((BOB, (1, 1, 0)), (CAROL, (0, 1, 1))):
        for level, (start, end) in zip(levels, itertools.pairwise(moments), strict=True):
            found = sound.level(sound.right, hertz, start + 0.1, end - 0.1)
            assert found == pytest.approx(level * LEVEL, abs=LEVEL * 0.05)
    assert sound.level(sound.left, AMY, 0.1, moments[-1] - 0.1) == pytest.approx(LEVEL, rel=0.05)


def clicks(peer: RealPeer, moments: list[float]) -> None:
    """The phone is loud for 20 ms from each of these moments of the steady clock on, to the sample."""

    def frame(codec: Codec) -> bytes:
        # A packet holds what was said in the 20 ms before it is due, however late it goes.
        at = peer._next - 0.04 + np.arange(160) / 8000
        loud = np.logical_or.reduce([(at >= moment) & (at < moment + 0.02) for moment in moments])
        pcm = (LEVEL * loud).astype("<i2").tobytes()
        return encode_ulaw(pcm) if codec.name == "PCMU" else encode_alaw(pcm)

    peer.frame = frame  # type: ignore[method-assign]


async def test_what_both_say_at_once_stands_at_one_place_on_both_channels(real: RealHouse, recorded: Recorded) -> None:
    """The agent's phone comes later, loses packets, has others overtaken, and begins its numbers anew in between."""
    amy, bob = real.peer("amy"), real.peer("bob", codecs=[PCMA])
    for peer in (amy, bob):
        sings(peer, AMY, 0)  # says nothing
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    began = time.monotonic()
    moments = [began + after for after in (0.3, 0.6, 0.9)]
    clicks(amy, moments)
    clicks(bob, moments)
    send = bob.send
    held: list[tuple[bytes, int, int, int]] = []
    count = 0

    def badly(payload: bytes, payload_type: int, **options: Any) -> None:
        nonlocal count
        count += 1
        loud = encode_alaw(bytes(320)) != payload
        if count % 10 == 3 and not loud:
            bob.sequence += 1  # lost
        elif count % 10 == 6:
            held.append((payload, payload_type, bob.sequence, bob.timestamp))
            bob.sequence += 1
        else:
            send(payload, payload_type, **options)
            for late, number, sequence, timestamp in held:
                now = bob.sequence, bob.timestamp
                bob.sequence, bob.timestamp = sequence, timestamp
                send(late, number)
                bob.sequence, bob.timestamp = now
            held.clear()

    bob.send = badly  # type: ignore[method-assign]
    await asyncio.sleep(0.5)
    bob.ssrc, bob.sequence, bob.timestamp = 99, 30_000, 3_000_000_000
    await asyncio.sleep(0.6)
    recording.stop()
    sound = Sound((await recorded.end()).path)
    left, right = (onsets(channel, sound.rate) for channel in (sound.left, sound.right))
    assert len(left) == len(right) == len(moments)
    for one, other, moment in zip(left, right, moments, strict=True):
        assert abs(one - other) < 0.02
        assert abs(one - (moment - began)) < 0.03


def onsets(channel: np.ndarray[Any, Any], rate: int) -> list[float]:
    """When it becomes loud after 100 ms of silence or more."""
    loud = np.flatnonzero(np.abs(channel) > LEVEL / 2)
    return [
        float(at) / rate for at, before in zip(loud, [-(10**6), *loud[:-1]], strict=True) if at - before > rate / 10
    ]


def recorder_of(house: RealHouse) -> int:
    recorder = house.plane.workers[0].recorder
    assert recorder is not None
    return recorder.pid


async def test_a_recorder_that_dies_ends_its_recordings_not_the_talk_and_another_one_takes_the_next(
    real: RealHouse, recorded: Recorded
) -> None:
    amy, bob = real.peer("amy"), real.peer("bob")
    sings(amy, AMY)
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    before = recorder_of(real)
    part = Path(recording.path + PART)
    await until(lambda: part.stat().st_size > 20_000, "sound on disk")
    os.kill(before, signal.SIGKILL)
    ended = await recorded.end()
    assert (ended.reason, ended.path, ended.octets, ended.sha256) == (RecordingReason.FAILED, str(part), 0, "")
    assert "died" in ended.detail
    heard = len(bob.received)
    # Anybody's reader takes the file as it was left, and we finish it.
    assert Sound(str(part)).level(Sound(str(part)).left, AMY, 0.1, 0.6) == pytest.approx(LEVEL, rel=0.05)
    mended = mend(part)
    assert mended is not None
    assert mended.path == recording.path
    again = Recorded(recorded.folder)
    other = await again.start(real, first, second, name="two")
    assert recorder_of(real) not in {before, 0}
    await until(lambda: len(bob.received) > heard + 10, "the talk goes on")
    other.stop()
    assert (await again.end()).reason is RecordingReason.STOPPED


async def test_a_worker_that_dies_leaves_whole_files_up_to_its_end(real: RealHouse, recorded: Recorded) -> None:
    amy, bob = real.peer("amy"), real.peer("bob")
    sings(amy, AMY)
    sings(bob, BOB)
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    key = os.urandom(32)
    await recorded.start(real, first, second, key=key)
    began = time.monotonic()
    await asyncio.sleep(0.7)
    real.kill_worker_of(first)
    lasted = time.monotonic() - began
    ended = await recorded.end()
    assert ended.reason is RecordingReason.WORKER_LOST
    assert lasted - 0.3 < ended.seconds < lasted + 0.1
    keys = MasterKeys([key])
    assert verify(ended.path, keys).sha256 == ended.sha256
    with open(recorded.folder / "open.wav", "wb") as out:
        decrypt(ended.path, keys, out)
    sound = Sound(str(recorded.folder / "open.wav"))
    assert sound.level(sound.left, AMY, 0.1, 0.3) == pytest.approx(LEVEL, rel=0.05)
    assert sound.level(sound.right, BOB, 0.1, 0.3) == pytest.approx(LEVEL, rel=0.05)


async def test_a_full_disk_ends_the_recording_not_the_talk_and_not_other_recordings(
    real: RealHouse, recorded: Recorded
) -> None:
    amy, bob = real.peer("amy"), real.peer("bob")
    sings(amy, AMY)
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    # Here no file may be larger than that: as with a quota.
    resource.prlimit(recorder_of(real), resource.RLIMIT_FSIZE, (20_044, 20_044))
    other = Recorded(recorded.folder)
    await asyncio.sleep(0.7)
    smaller = await other.start(real, first, second, name="two", encoding=RecordingEncoding.ULAW)
    ended = await recorded.end()
    assert ended.reason is RecordingReason.DISK_FULL
    assert "File too large" in ended.detail
    assert (ended.path, ended.octets, ended.seconds) == (recording.path, 20_044, 0.625)
    assert verify(ended.path).sha256 == ended.sha256
    smaller.stop()
    assert (await other.end()).reason is RecordingReason.STOPPED
    assert verify(other.ends[0].path).seconds == pytest.approx(other.ends[0].seconds, abs=0.001)
    heard = len(bob.received)
    await until(lambda: len(bob.received) > heard + 5, "the talk goes on")


async def test_a_key_is_on_no_command_line_and_in_no_environment(
    real: RealHouse, recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = await talk(real, real.peer("amy"), real.peer("bob"))
    key = os.urandom(32)
    recording = await recorded.start(real, first, second, key=key)
    for pid in (recorder_of(real), real.plane.workers[0].pid):
        for name in ("cmdline", "environ"):
            seen = Path(f"/proc/{pid}/{name}").read_bytes()
            assert key.hex().encode() not in seen
            assert key not in seen
    recording.stop()
    assert key.hex() not in repr(await recorded.end()) + repr(recording)
    assert key.hex() not in "".join(capfd.readouterr())
    with pytest.raises(BadRecording, match="not among those given"):
        verify(recording.path)


async def test_what_is_recorded_is_relayed_bit_by_bit_before_and_after_too(real: RealHouse, recorded: Recorded) -> None:
    """No frame is lost, doubled or changed when a tap comes and goes."""
    amy, bob = real.peer("amy"), real.peer("bob")
    chance = random.Random(4)
    said: list[bytes] = []

    def frame(_: Codec) -> bytes:
        said.append(chance.randbytes(160))
        return said[-1]

    amy.frame = frame  # type: ignore[method-assign,assignment]
    first, second = await talk(real, amy, bob)
    await until(lambda: len(bob.received) > 5, "the caller")
    recording = await recorded.start(real, first, second)
    await until(lambda: len(bob.received) > 20, "the caller while they are recorded")
    recording.pause()
    await until(lambda: len(bob.received) > 25, "the caller in a pause")
    recording.resume()
    await until(lambda: len(bob.received) > 35, "the caller after it")
    recording.stop()
    await recorded.end()
    await until(lambda: len(bob.received) > 50, "the caller afterwards")
    heard = [packet.payload for _, packet in bob.received]
    start = said.index(heard[0])
    assert heard == said[start : start + len(heard)]
    numbers = [packet.sequence for _, packet in bob.received]
    assert all((after - before) % 65536 == 1 for before, after in itertools.pairwise(numbers))


async def test_a_wide_band_leg_makes_a_wide_band_recording_and_a_codec_may_change(
    real: RealHouse, recorded: Recorded
) -> None:
    """The agent speaks G.722; the caller changes from mu-law to Opus by a re-INVITE."""
    amy, bob = singer(real, "amy", codecs=[PCMU]), singer(real, "bob", codecs=[G722])
    assert isinstance(amy, Singer)
    assert isinstance(bob, Singer)
    first, second = await talk(real, amy, bob)
    await until(lambda: len(amy.received) > 2 and len(bob.received) > 2, "each other")
    recording = await recorded.start(real, first, second)
    began = time.monotonic()
    await asyncio.sleep(0.4)
    amy.codecs, amy._encoder, amy._decoder = (OPUS,), None, None
    amy.take_answer(await first.reoffer(amy.offer()))
    changed = time.monotonic() - began
    await asyncio.sleep(0.5)
    recording.stop()
    stopped = time.monotonic() - began
    sound = Sound((await recorded.end()).path)
    assert sound.rate == 16000
    for start, end in ((0.1, changed - 0.1), (changed + 0.15, stopped - 0.1)):
        assert sound.level(sound.left, PITCH["amy"], start, end) == pytest.approx(LEVEL, rel=0.12)
        assert sound.level(sound.right, PITCH["bob"], start, end) == pytest.approx(LEVEL, rel=0.12)
        assert sound.level(sound.left, PITCH["bob"], start, end) < LEVEL / 50
        assert sound.level(sound.right, PITCH["amy"], start, end) < LEVEL / 50
