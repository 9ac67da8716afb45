"""The parts of recordings that need no plane: taps, runs, the clock that sound is laid on, files, seals."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
import socket
import time
import wave
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.media.embedded.recorder import files, handover, taps
from callcenter.media.embedded.recorder.files import PART, FileFull, SealedFile, WavFile, create, wav_header
from callcenter.media.embedded.recorder.handover import RIGHT, Item, Run, Stop, Tick
from callcenter.media.embedded.recorder.keys import BadKeys, MasterKeys, key_id, keys_of_environment, read_keys
from callcenter.media.embedded.recorder.mending import (
    BadRecording,
    BeingWritten,
    Unfinished,
    decrypt,
    mend,
    verify,
)
from callcenter.media.embedded.recorder.sealing import CHUNK, HEADER_SIZE, TAG, Format
from callcenter.media.embedded.recorder.taps import Tap, Taps
from callcenter.media.embedded.recorder.timeline import Channel, in_order, interleaved
from callcenter.media.plane import RecordingEncoding
from callcenter.rtp.codecs import CODECS
from callcenter.runtime.private_file import NotPrivate

PCM8 = Format(RecordingEncoding.PCM, 8000)
PCM16 = Format(RecordingEncoding.PCM, 16000)
ULAW = Format(RecordingEncoding.ULAW, 8000)
KEY, OTHER = bytes(range(32)), bytes(range(32, 64))

Packet = tuple[str, int, int, bytes, float]
"""Codec, timestamp, sequence, payload, arrival in seconds after the start."""


def level(value: int, samples: int = 160) -> bytes:
    return np.full(samples, value, "<i2").tobytes()


def payload(value: int, codec: str = "PCMU", samples: int = 160) -> bytes:
    return CODECS[codec].encoder().encode(level(value, samples))


def heard(value: int, codec: str = "PCMU") -> int:
    """What a level is after its way through a codec."""
    return int(np.frombuffer(CODECS[codec].decoder().decode(payload(value, codec)), "<i2")[-1])


def laid(packets: Iterable[Packet], rate: int, seconds: float, every: float = 0.2) -> np.ndarray[Any, Any]:
    """What a channel makes of packets of one source, handed over as a worker does."""
    tap, channel = Tap(1, RIGHT, 0), Channel(rate)
    due = every

    def hand_over() -> None:
        runs = [item for run in tap.runs() for item in handover.items(run)]
        for run in in_order([run for run in runs if isinstance(run, Run)]):
            channel.add(run, run.at)

    for codec, timestamp, sequence, octets, arrival in sorted(packets, key=lambda packet: packet[4]):
        while arrival >= due:
            hand_over()
            due += every
        tap.take(codec, timestamp, sequence, octets, arrival)
    hand_over()
    return np.frombuffer(channel.take(round(seconds * rate)), "<i2")


# Runs


@given(st.lists(st.sampled_from(["run", "tick", "stop"]), max_size=6), st.binary(max_size=300), st.floats(0, 1e6))
def test_what_is_handed_over_arrives_as_it_was(kinds: list[str], octets: bytes, at: float) -> None:
    message, expected = b"", list[Item]()
    for number, kind in enumerate(kinds):
        if kind == "run":
            message += handover.sound(number, 1, 7, "G722", 65535, 2**32 - 1, at, octets)
            expected.append(Run(number, 1, 7, "G722", 65535, 2**32 - 1, at, octets))
        else:
            message += (handover.tick if kind == "tick" else handover.stop)(number, at)
            expected.append((Tick if kind == "tick" else Stop)(number, at))
    assert list(handover.items(message)) == expected
    assert list(handover.items(memoryview(message))) == expected


@given(st.binary(min_size=1, max_size=80))
def test_a_message_that_is_none_of_ours_is_refused_not_taken(message: bytes) -> None:
    try:
        items = list(handover.items(message))
    except ValueError:
        return
    assert all(isinstance(item, Run | Tick | Stop) for item in items)


def test_packets_that_follow_each_other_become_one_run() -> None:
    tap = Tap(1, RIGHT, 0)
    for number in range(5):
        tap.take("PCMU", (2**32 - 320 + number * 160) % 2**32, (65534 + number) % 65536, bytes([number]) * 160, 10.02)
    (message,) = tap.runs()
    (run,) = handover.items(message)
    assert isinstance(run, Run)
    assert (run.sequence, run.timestamp) == (65534, 2**32 - 320)
    assert run.payload == b"".join(bytes([number]) * 160 for number in range(5))
    # It was begun to be spoken before the last packet, which was the least delayed.
    assert run.at == pytest.approx(10.02 - 0.1)
    # The next hand-over goes on with it.
    tap.take("PCMU", (2**32 - 320 + 800) % 2**32, 3, bytes(160), 10.04)
    (message,) = tap.runs()
    (run,) = handover.items(message)
    assert isinstance(run, Run)
    assert (run.sequence, run.timestamp) == (3, 480)
    assert run.at == pytest.approx(10.02)
    assert tap.runs() == []


def test_a_packet_that_comes_twice_is_taken_once() -> None:
    tap = Tap(1, RIGHT, 0)
    for sequence in (1, 2, 2, 3):
        tap.take("PCMA", sequence * 160, sequence, bytes([sequence]) * 160, 1.0)
    runs = [item for run in tap.runs() for item in handover.items(run)]
    assert [run.payload for run in runs if isinstance(run, Run)] == [b"\1" * 160 + b"\2" * 160 + b"\3" * 160]


def test_a_run_is_cut_before_it_is_larger_than_a_message() -> None:
    tap = Tap(1, RIGHT, 0)
    for number in range(400):
        tap.take("PCMU", number * 160, number, bytes(160), 0.0)
    runs = tap.runs()
    assert len(runs) > 2
    assert max(map(len, runs)) < handover.MAX_RUN + 1600
    assert sum(len(item.payload) for run in runs for item in handover.items(run) if isinstance(item, Run)) == 64000


# The clock


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    first_timestamp=st.integers(0, 2**32 - 1),
    first_sequence=st.integers(0, 65535),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    jitter=st.sampled_from([0.0, 0.01, 0.06]),
    doubled=st.sampled_from([0.0, 0.2]),
    ptime=st.sampled_from([10, 20, 60]),
    codec=st.sampled_from(["PCMU", "PCMA", "L16"]),
    rate=st.sampled_from([8000, 16000]),
)
def test_every_packet_stands_at_its_time_whatever_the_network_does(
    seed: int,
    first_timestamp: int,
    first_sequence: int,
    loss: float,
    jitter: float,
    doubled: float,
    ptime: int,
    codec: str,
    rate: int,
) -> None:
    """Lost, late, doubled, overtaken: what came stands where it was said, what did not is silence."""
    chance = random.Random(seed)
    count, began = 3000 // ptime, 0.25
    packets, came = [], set()
    for number in range(count):
        said = began + number * ptime / 1000
        arrival = said + ptime / 1000 + (jitter * chance.random() if number % 9 else 0.0)
        timestamp = (first_timestamp + number * CODECS[codec].ticks(ptime)) % 2**32
        octets = payload(500 + 100 * (number % 90), codec, CODECS[codec].sample_rate * ptime // 1000)
        if chance.random() < loss and number:
            continue
        came.add(number)
        for _ in range(1 + (chance.random() < doubled)):
            packets.append((codec, timestamp, (first_sequence + number) % 65536, octets, arrival))
            arrival += 0.03 * chance.random()
    sound = laid(packets, rate, began + count * ptime / 1000 + 0.1)
    step = rate * ptime // 1000
    for number in range(count):
        # The middle of each: its edges may be off by what the network keeps for itself.
        middle = int(began * rate) + number * step + step // 2
        found = sound[middle - step // 8 : middle + step // 8]
        if number in came:
            wanted = heard(500 + 100 * (number % 90), codec)
            assert abs(int(np.median(found)) - wanted) <= max(60, wanted // 16), (number, found, wanted)
        elif number - 1 not in came and number + 1 not in came:
            assert not found.any(), (number, found)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("name", list(CODECS))
def test_every_codec_is_heard_at_its_time_and_as_loud_as_it_was(name: str, rate: int) -> None:
    """A second of a tone, from 0.5 s on, some of whose packets overtake each other."""
    codec = CODECS[name]
    at = np.arange(2 * codec.sample_rate)
    loud = (at >= codec.sample_rate // 2) & (at < codec.sample_rate * 3 // 2)
    pcm = (loud * 8000 * np.sin(2 * np.pi * 440 * at / codec.sample_rate)).astype("<i2")
    encoder, packets = codec.encoder(), []
    for number, part in enumerate(np.split(pcm, 100)):
        arrival = 0.02 + number * 0.02 + (0.025 if number % 7 == 3 else 0.0)
        packets.append(
            (name, 5 + number * codec.ticks(20), 65500 + number & 0xFFFF, encoder.encode(part.tobytes()), arrival)
        )
    sound = laid(packets, rate, 2.0).astype(float)
    middle = sound[rate * 6 // 10 : rate * 14 // 10]
    level = 2 * abs(np.dot(middle, np.exp(-2j * np.pi * 440 * np.arange(len(middle)) / rate))) / len(middle)
    assert level == pytest.approx(8000, rel=0.12)  # 1 dB
    assert abs(sound[: rate * 47 // 100]).max() < 200
    assert abs(sound[rate * 153 // 100 :]).max() < 200
    heard_at = np.flatnonzero(np.abs(sound) > 4000)
    assert heard_at[0] / rate == pytest.approx(0.5, abs=0.015)
    assert heard_at[-1] / rate == pytest.approx(1.5, abs=0.015)


@pytest.mark.parametrize("off", [-100e-6, 100e-6])
def test_both_channels_stay_together_for_an_hour_although_a_phones_clock_is_off(off: float) -> None:
    """A crystal that is off by 100 millionths is off by 0.36 s after an hour: not in the recording."""
    chance, rate, spoken, worst = random.Random(1), 8000, 0.2, 0.0
    channel, taken = Channel(rate), 0
    beep = encode = CODECS["PCMU"].encoder().encode(level(9000, 1600))
    still = CODECS["PCMU"].encoder().encode(level(0, 1600))
    assert encode
    for number in range(18000):
        at = number * spoken * (1 + off)
        marked = number % 50 == 10
        run = Run(1, 0, 0, "PCMU", number * 10 % 65536, number * 1600 % 2**32, at, beep if marked else still)
        channel.add(run, at + 0.008 * chance.random())
        if marked and number > 100:
            start = int((at - 0.1) * rate)
            channel.take(start - taken)
            found = np.frombuffer(channel.take(1600), "<i2")
            taken = start + 1600
            worst = max(worst, abs(int(np.argmax(found > 4000)) - 800) / rate)
    assert worst < 0.012


def test_a_stream_that_begins_anew_is_laid_by_its_arrival() -> None:
    """Another SSRC: a transfer at the far end, or a phone that was started again."""
    before = [("PCMU", 1000 + n * 160, n, payload(4000), 0.02 + n * 0.02) for n in range(50)]
    after = [("PCMU", 3_000_000_000 + n * 160, 40_000 + n, payload(8000), 1.52 + n * 0.02) for n in range(50)]
    sound = laid(before + after, 8000, 2.6)
    assert (sound[:8000] == heard(4000)).all()
    assert not sound[8000:12000].any()
    assert (sound[12000:20000] == heard(8000)).all()
    assert not sound[20000:].any()


def test_a_phone_whose_clock_stands_still_in_a_pause_is_laid_by_its_arrival() -> None:
    before = [("PCMU", n * 160, n, payload(4000), 0.02 + n * 0.02) for n in range(25)]
    after = [("PCMU", n * 160, n, payload(8000), 0.82 + n * 0.02) for n in range(25, 50)]
    sound = laid(before + after, 8000, 2.0)
    assert (sound[:4000] == heard(4000)).all()
    assert not sound[4000:10400].any()
    assert (sound[10400:14400] == heard(8000)).all()


def test_silence_that_is_not_sent_is_silence_of_its_length() -> None:
    """Discontinuous transmission: the numbers go on, the timestamps leap."""
    before = [("PCMU", n * 160, n, payload(4000), 0.02 + n * 0.02) for n in range(25)]
    after = [("PCMU", (n + 60) * 160, n, payload(8000), 1.22 + n * 0.02) for n in range(25, 50)]
    sound = laid(before + after, 8000, 2.4)
    assert (sound[:4000] == heard(4000)).all()
    assert not sound[4000:13600].any()
    assert (sound[13600:17600] == heard(8000)).all()


def test_a_codec_that_changes_in_the_middle_leaves_no_hole() -> None:
    narrow = [("PCMU", n * 160, n, payload(4000), 0.02 + n * 0.02) for n in range(50)]
    wide = [("L16", 77 + n * 320, 900 + n, payload(8000, "L16", 320), 1.02 + n * 0.02) for n in range(50)]
    sound = laid(narrow + wide, 16000, 2.0).astype(int)
    # Where the rate is changed the edges ring.
    assert np.abs(sound[200:15800] - heard(4000)).max() < 150
    assert (sound[16200:31800] == 8000).all()


def test_two_sources_are_added_and_do_not_wrap() -> None:
    channel = Channel(8000)
    for source, value in ((0, 20000), (1, 20000)):
        channel.add(Run(1, 1, source, "PCMU", 0, 0, 0.0, payload(value)), 0.0)
    channel.add(Run(1, 1, 0, "PCMU", 1, 160, 0.02, payload(500)), 0.02)
    sound = np.frombuffer(channel.take(320), "<i2")
    assert (sound[:160] == 32767).all()
    assert (sound[160:] == heard(500)).all()


def test_a_source_that_joins_late_stands_where_it_came() -> None:
    channel = Channel(8000)
    channel.take(8000 * 3600)
    channel.add(Run(1, 1, 5, "PCMU", 0, 0, 3600.5, payload(4000)), 3600.5)
    sound = np.frombuffer(channel.take(8000), "<i2")
    assert not sound[:4000].any()
    assert (sound[4000:4160] == heard(4000)).all()
    assert not sound[4160:].any()


def test_channels_are_interleaved() -> None:
    both = np.frombuffer(interleaved(level(1, 5), level(-2, 5)), "<i2").reshape(-1, 2)
    assert both.tolist() == [[1, -2]] * 5


# The hand-over


class Leg:
    """A leg, as far as taps know one."""

    tap: taps.Take | None = None

    def says(self, number: int, value: int = 1) -> None:
        if self.tap is not None:
            self.tap("PCMU", number * 160, number, bytes([value]) * 160, time.monotonic())


class Recorded:
    """What the recorder gets."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def items(self) -> list[Item]:
        await asyncio.sleep(0)  # it is sent at the end of the turn
        found: list[Item] = []
        while True:
            try:
                message = self.sock.recv(handover.MAX_RECEIVED)
            except BlockingIOError:
                return found
            if not message:
                return found
            found += handover.items(message)

    async def sound(self) -> dict[tuple[int, int], bytes]:
        """By recording and source."""
        found: dict[tuple[int, int], bytes] = {}
        for item in await self.items():
            if isinstance(item, Run):
                found[item.recording, item.source] = found.get((item.recording, item.source), b"") + item.payload
        return found


class Desk:
    """Taps with a recorder that a test plays."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lost: list[tuple[int, str]] = []
        self.taps = Taps(asyncio.get_running_loop(), ours, lambda number, why: self.lost.append((number, why)))
        self.recorder = Recorded(theirs)

    def close(self) -> None:
        self.taps.close()
        self.taps.close()
        self.recorder.sock.close()


@pytest.fixture
async def desk() -> Any:
    made = Desk()
    yield made
    made.close()


async def test_a_leg_is_tapped_by_two_recordings_at_once_and_by_none_in_the_end(desk: Desk) -> None:
    caller, agent, other = Leg(), Leg(), Leg()
    desk.taps.start(1, caller, [agent])
    desk.taps.start(2, agent, [other])
    for number in range(3):
        agent.says(number)
    desk.taps.stop(1)
    agent.says(3)
    desk.taps.stop(2)
    agent.says(4)
    assert {key: len(sound) for key, sound in (await desk.recorder.sound()).items()} == {(1, 1): 480, (2, 0): 640}
    assert caller.tap is agent.tap is other.tap is None
    assert len(desk.taps) == 0


async def test_nothing_that_is_said_in_a_pause_is_handed_over(desk: Desk) -> None:
    """Nor what an agent says who comes in meanwhile; what was said before the pause is."""
    caller, agent, other = Leg(), Leg(), Leg()
    desk.taps.start(1, caller, [agent])
    caller.says(0, 10)
    desk.taps.pause(1)
    desk.taps.hears(1, [agent, other])
    for leg in (caller, agent, other):
        leg.says(1, 20)
    desk.taps.resume(1)
    other.says(2, 30)
    desk.taps.hears(1, [])
    other.says(3, 40)
    desk.taps.stop(1)
    assert await desk.recorder.sound() == {(1, 0): b"\x0a" * 160, (1, 2): b"\x1e" * 160}


async def test_a_leg_that_is_released_leaves_what_it_said(desk: Desk) -> None:
    caller, agent = Leg(), Leg()
    desk.taps.start(1, caller, [agent])
    agent.says(0)
    desk.taps.released(agent)
    assert agent.tap is None
    desk.taps.hears(1, [agent])
    desk.taps.stop(1)
    assert await desk.recorder.sound() == {(1, 1): b"\1" * 160}


async def test_sound_is_handed_over_by_itself_with_a_tick_at_the_start_and_ever_after(desk: Desk) -> None:
    caller = Leg()
    desk.taps.start(1, caller, [])
    caller.says(0)
    items: list[Item] = []
    while sum(isinstance(item, Tick) for item in items) < 3:
        items += await desk.recorder.items()
        await asyncio.sleep(0.01)
    assert isinstance(items[0], Tick)
    assert isinstance(items[1], Run)
    ticks = [item.at for item in items if isinstance(item, Tick)]
    assert 0 < ticks[1] - ticks[0] < 0.4
    assert ticks[2] - ticks[1] == pytest.approx(taps.PERIOD, abs=0.1)


async def test_a_recorder_that_takes_nothing_ends_recordings_and_stops_no_relay(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for, what is kept for it is bounded, and the next recordings are another story."""
    monkeypatch.setattr(taps, "MAX_WAITING", 2 << 20)
    caller, agent = Leg(), Leg()
    desk.taps.start(1, caller, [agent])
    number = 0
    while not desk.lost:
        for _ in range(200):
            caller.says(number)
            number += 1
        desk.taps.hears(1, [agent] if number % 400 else [])
        desk.taps._hand_over(desk.taps._recordings[1])
        await asyncio.sleep(0)
        assert number * 160 < 16 << 20
    assert desk.lost[0][0] == 1
    assert "untaken" in desk.lost[0][1]
    assert caller.tap is None
    assert len(desk.taps) == 0
    await desk.recorder.items()
    desk.taps.start(2, caller, [])
    caller.says(0, 9)
    desk.taps.stop(2)
    assert await desk.recorder.sound() == {(2, 0): b"\x09" * 160}


async def test_what_did_not_fit_is_sent_as_soon_as_it_does(desk: Desk) -> None:
    caller = Leg()
    desk.taps.start(1, caller, [])
    number = 0
    while not desk.taps._waiting:
        for _ in range(200):
            caller.says(number)
            number += 1
        desk.taps._hand_over(desk.taps._recordings[1])
        await asyncio.sleep(0)
    desk.taps.stop(1)
    octets, stopped = 0, False
    while not stopped:
        for item in await desk.recorder.items():
            octets += len(item.payload) if isinstance(item, Run) else 0
            stopped = stopped or isinstance(item, Stop)
        await asyncio.sleep(0)
    assert octets == number * 160
    assert not desk.lost


# Files


def noise(octets: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(octets)


def written(folder: Path, form: Format, key: bytes | None, sound: bytes, pieces: int = 7) -> str:
    """A whole file."""
    file = create(str(folder / "one"), form, key)
    step = max(form.frame, len(sound) // pieces // form.frame * form.frame)
    for at in range(0, len(sound), step):
        file.write(sound[at : at + step])
    octets, digest = file.finish()
    file.name()
    data = Path(file.path).read_bytes()
    assert (octets, digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert file.seconds == pytest.approx(len(sound) / form.frame / form.rate)
    return file.path


def sound_of(path: str, key: bytes | None = None) -> bytes:
    """The samples of a file, read by somebody else's reader where there is one."""
    source: Any = path
    if key is not None:
        source = BytesIO()
        decrypt(path, MasterKeys([key]), source)
        source.seek(0)
    with wave.open(source) as file:
        frames: bytes = file.readframes(file.getnframes())
        return frames


@pytest.mark.parametrize("form", [PCM8, PCM16, ULAW], ids=str)
@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_what_is_written_is_read_again(tmp_path: Path, form: Format, key: bytes | None) -> None:
    sound = noise(3 * CHUNK + 20 * form.frame)
    path = written(tmp_path, form, key, sound)
    assert os.stat(path).st_mode & 0o777 == 0o600
    checked = verify(path, MasterKeys([OTHER, KEY]))
    assert (checked.format, checked.sealed) == (form, key is not None)
    assert checked.seconds == pytest.approx(len(sound) / form.frame / form.rate)
    if form is not ULAW:  # which Python's own reader does not know
        assert sound_of(path, key) == sound
    else:
        assert wav_header(form, len(sound))[20:22] == b"\x07\0"
    if key is not None:
        assert sound[:64] not in Path(path).read_bytes()


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
@pytest.mark.parametrize("octets", [0, 4, CHUNK - 4, CHUNK, CHUNK + 4, 2 * CHUNK])
def test_files_of_any_length_are_whole(tmp_path: Path, key: bytes | None, octets: int) -> None:
    path = written(tmp_path, PCM8, key, noise(octets))
    verify(path, MasterKeys([KEY]))
    assert sound_of(path, key) == noise(octets)


class Crash(Exception):
    """The process is killed here."""


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_a_crash_at_any_write_leaves_a_file_that_is_read_and_mended(
    tmp_path: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, within and after every system call that changes the file."""
    sound = noise(40_000 * 4)
    keys = MasterKeys([KEY])
    moment = 0
    while True:
        folder = tmp_path / str(moment)
        calls = 0

        def killed(call: Callable[..., Any], moment: int = moment) -> Callable[..., Any]:
            def instead(number: int, *arguments: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == moment // 2 + 1:
                    if moment % 2 and len(arguments) == 2:
                        data, offset = arguments
                        call(number, bytes(data[: len(data) // 2]), offset)
                    raise Crash
                return call(number, *arguments)

            return instead

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", killed(os.pwrite))
            patch.setattr(os, "fsync", killed(os.fsync))
            patch.setattr(os, "ftruncate", killed(os.ftruncate))
            patch.setattr(fcntl, "flock", lambda *_: None)  # the dead hold no locks
            file, before = None, 0
            try:
                file = create(str(folder / "one"), PCM8, key)
                for at in range(0, len(sound), 40_000):
                    file.write(sound[at : at + 40_000])
                    before = at + 40_000
                file.finish()
                file.name()
            except Crash:
                if file is not None:
                    file.abandon()
            else:
                break
        part = next(folder.glob("*"), None)
        assert part is not None
        if part.name.endswith(".wav.part") and part.stat().st_size >= 44:
            # Anybody's reader takes it as it is.
            assert sound_of(str(part)) == sound[: len(sound_of(str(part)))]
        mended = mend(part, keys)
        if mended is None:
            assert before < (CHUNK if key else 4)
        else:
            found = sound_of(mended.path, key)
            assert found == sound[: len(found)]
            assert len(found) >= (before // CHUNK * CHUNK if key else before)
            assert mended.sha256 == hashlib.sha256(Path(mended.path).read_bytes()).hexdigest()
            assert verify(mended.path, keys) == mended
        moment += 1
    assert moment > 16


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
@pytest.mark.parametrize("room", [60, 150, 5000, CHUNK + 5000, 3 * CHUNK])
def test_a_full_disk_leaves_a_whole_file_of_what_had_room(
    tmp_path: Path, key: bytes | None, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def pwrite(number: int, data: Any, offset: int) -> int:
        if offset >= room:
            raise OSError(28, "No space left on device")
        return real(number, bytes(data[: room - offset]), offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    sound = noise(5 * CHUNK)
    try:
        file = create(str(tmp_path / "one"), PCM8, key)
    except OSError:
        assert not os.listdir(tmp_path)
        assert key is not None
        assert room < HEADER_SIZE
        return

    def write() -> None:
        for at in range(0, len(sound), 20_000):
            file.write(sound[at : at + 20_000])

    with pytest.raises(OSError, match="No space"):
        write()
    if key is not None and (room - HEADER_SIZE) % (CHUNK + TAG) < TAG:
        return
    file.finish()
    file.name()
    assert verify(file.path, MasterKeys([KEY])).seconds == file.seconds
    found = sound_of(file.path, key)
    assert found == sound[: len(found)]
    assert len(found) > room - HEADER_SIZE - 2 * CHUNK


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_text("stays")
    with pytest.raises(FileExistsError):
        create(str(tmp_path / "one"), PCM8, None)
    assert (tmp_path / "one.wav").read_text() == "stays"
    file = create(str(tmp_path / "two"), PCM8, None)
    with pytest.raises(FileExistsError):
        create(str(tmp_path / "two"), PCM8, None)
    file.abandon()
    file.abandon()
    assert os.listdir(tmp_path).count("two.wav" + PART) == 1


def test_a_file_ends_where_its_format_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_OCTETS", 10_000)
    for made in (WavFile(str(tmp_path / "one"), PCM8), SealedFile(str(tmp_path / "two"), PCM8, KEY)):
        made.write(noise(4000))
        with pytest.raises(FileFull):
            made.write(noise(40_000))
        made.finish()
        made.name()
        assert made.seconds == 4000 / 4 / 8000


def test_a_file_that_is_being_written_is_not_mended(tmp_path: Path) -> None:
    file = create(str(tmp_path / "one"), PCM8, None)
    file.write(noise(400))
    with pytest.raises(BeingWritten, match=r"one\.wav\.part: is being recorded to"):
        mend(file.path)
    file.abandon()
    mended = mend(file.path)
    assert mended is not None
    assert mended.seconds == 100 / 8000
    assert mend(file.path) == mended  # a whole file stays as it is


def test_what_is_no_recording_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "song.wav.part"
    path.write_bytes(b"RIFF" + noise(500))
    with pytest.raises(BadRecording, match="is no recording of ours"):
        mend(path)
    with pytest.raises(BadRecording, match="is no recording of ours"):
        verify(path)
    assert path.read_bytes() == b"RIFF" + noise(500)
    (tmp_path / "song.wav").write_bytes(b"")
    with pytest.raises(BadRecording, match="is there too"):
        mend(path)


def test_a_plain_file_that_was_cut_or_not_finished_is_told(tmp_path: Path) -> None:
    path = Path(written(tmp_path, PCM8, None, noise(4000)))
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(Unfinished, match="is cut: its header counts 4000 octets of sound, and 3990 are there"):
        verify(path)
    path.write_bytes(data + noise(7))
    with pytest.raises(Unfinished, match="was not finished"):
        verify(path)
    mended = mend(path)
    assert mended is not None
    assert sound_of(str(path)) == noise(4000) + noise(7)[:4]


# Seals


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four chunks, the last a short one."""
    return Path(written(tmp_path_factory.mktemp("sealed"), PCM8, KEY, noise(3 * CHUNK + 1000))).read_bytes()


def chunk(data: bytes, number: int) -> bytes:
    start = HEADER_SIZE + number * (CHUNK + TAG)
    return data[start : start + CHUNK + TAG]


def edited(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def rebuilt(data: bytes, *numbers: int) -> bytes:
    return data[:HEADER_SIZE] + b"".join(chunk(data, number) for number in numbers)


@pytest.mark.parametrize(
    ("change", "message", "good"),
    [
        (lambda data: edited(data, 8), "is of a later version", 0),
        (lambda data: edited(data, 9), "edited in its header", 0),
        (lambda data: edited(data, 13), "edited in its header", 0),
        (lambda data: edited(data, 22), "which is not among those given", 0),
        (lambda data: edited(data, 40), "edited in its header", 0),
        (lambda data: edited(data, HEADER_SIZE - 1), "edited in its header", 0),
        (lambda data: edited(data, HEADER_SIZE + 5), "edited in its chunk 0", 0),
        (lambda data: edited(data, HEADER_SIZE + CHUNK + TAG + 5), "edited in its chunk 1", 1),
        (lambda data: edited(data, len(data) - 1), "cut within its chunk 3, or was edited there", 3),
        (lambda data: rebuilt(data, 1, 0, 2, 3), "edited in its chunk 0", 0),
        (lambda data: rebuilt(data, 0, 2, 3), "edited in its chunk 1", 1),
        (lambda data: rebuilt(data, 0, 1, 1, 2, 3), "edited in its chunk 2", 2),
        (lambda data: rebuilt(data, 0, 1, 2), "cut after its chunk 2", 3),
        (lambda data: rebuilt(data, 3), "cut within its chunk 0, or was edited there", 0),
        (lambda data: data[:-1], "cut within its chunk 3", 3),
        (lambda data: data + b"more", "cut within its chunk 3, or was edited there", 3),
        (lambda data: data[:HEADER_SIZE], "cut before its sound", 0),
        (lambda data: data[: HEADER_SIZE - 3], "cut within its header", 0),
    ],
)
def test_a_sealed_file_that_was_changed_is_known_and_good_until_there(
    tmp_path: Path, sealed: bytes, change: Callable[[bytes], bytes], message: str, good: int
) -> None:
    path = tmp_path / "one.wav.sealed"
    path.write_bytes(change(sealed))
    keys = MasterKeys([KEY])
    with pytest.raises(BadRecording, match=message):
        verify(path, keys)
    out = BytesIO()
    with pytest.raises(BadRecording, match=message):
        decrypt(path, keys, out)
    if good:
        out.seek(0)
        with wave.open(out) as file:
            assert file.readframes(file.getnframes()) == noise(3 * CHUNK + 1000)[: good * CHUNK]
    else:
        assert not out.getvalue()


def test_a_chunk_of_another_file_under_the_same_key_does_not_open(tmp_path: Path, sealed: bytes) -> None:
    other = Path(written(tmp_path, PCM8, KEY, noise(3 * CHUNK + 1000))).read_bytes()
    assert other[:20] == sealed[:20]
    assert chunk(other, 1) != chunk(sealed, 1)
    mixed = tmp_path / "mixed"
    mixed.write_bytes(rebuilt(sealed, 0) + chunk(other, 1) + chunk(sealed, 2) + chunk(sealed, 3))
    with pytest.raises(BadRecording, match="edited in its chunk 1"):
        verify(mixed, MasterKeys([KEY]))


def test_a_sealed_file_that_was_edited_in_the_middle_is_not_mended_away(tmp_path: Path, sealed: bytes) -> None:
    path = tmp_path / "one.wav.sealed.part"
    path.write_bytes(edited(sealed, HEADER_SIZE + 5)[:-100])
    before = path.read_bytes()
    with pytest.raises(BadRecording, match="edited in its chunk 0"):
        mend(path, MasterKeys([KEY]))
    with pytest.raises(BadRecording, match=f"key {key_id(KEY).hex()}, which is not among those given"):
        mend(path, MasterKeys([OTHER]))
    assert path.read_bytes() == before


# Keys


def test_keys_are_read_from_a_private_file_and_the_first_is_for_new_files(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# of this year\n{OTHER.hex()}\n\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=  # and before\n")
    path.chmod(0o600)
    keys = read_keys(path)
    assert keys.current == OTHER
    assert keys.find(key_id(KEY)) == KEY
    assert keys.find(bytes(8)) is None
    assert len(keys) == 2
    path.chmod(0o640)
    with pytest.raises(NotPrivate):
        read_keys(path)


def test_a_key_that_cannot_be_read_is_told_without_telling_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for text, where in ((f"{KEY.hex()}\nhunter22hunter22", ":2"), (KEY.hex()[:-2], ":1"), ("x" * 64, ":1")):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(BadKeys) as raised:
            read_keys(path)
        assert f"{path}{where}: write a key of 32 octets" in str(raised.value)
        assert not any(word in str(raised.value) for word in text.split())
    path.write_text("# nothing\n")
    with pytest.raises(BadKeys, match="holds no key"):
        read_keys(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadKeys, match="is no text"):
        read_keys(path)


def test_keys_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLCENTER_RECORDING_KEY", raising=False)
    assert keys_of_environment() is None
    monkeypatch.setenv("CALLCENTER_RECORDING_KEY", f"{OTHER.hex()}, {KEY.hex()}")
    keys = keys_of_environment()
    assert keys is not None
    assert keys.current == OTHER
    assert keys.find(key_id(KEY)) == KEY
    monkeypatch.setenv("CALLCENTER_RECORDING_KEY", "none")
    with pytest.raises(BadKeys, match="CALLCENTER_RECORDING_KEY: write a key"):
        keys_of_environment()


def test_keys_are_shown_by_their_ids_alone() -> None:
    keys = MasterKeys([KEY])
    assert key_id(KEY).hex() in repr(keys)
    assert KEY.hex() not in repr(keys) + str(keys)
    assert repr(KEY) not in repr(keys)
