"""Recordings of real calls: who is heard on which side, what is not, what a crash leaves, and a disk without room."""

from __future__ import annotations

import hashlib
import json
import wave
from pathlib import Path
from typing import Any

import numpy

from tests.wire import process, tone
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.tone import Samples
from tests.wire.wait import stays, until

RECORDED = ("--set", f"clients.{TECH.id}.record=always")
WINDOW = 0.1  # s; in which it is looked who is heard


def facts(switch: Switch, kind: str) -> list[dict[str, Any]]:
    """All facts of a kind."""
    rows = switch.query("SELECT body FROM facts WHERE kind = ? ORDER BY seq", kind)
    return [json.loads(row["body"]) for row in rows]


def channels(path: Path) -> tuple[Samples, Samples]:
    """Left and right of a recording at 8 kHz."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, tone.RATE)
        both = numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def heard(samples: Samples, hz: float) -> list[bool | None]:
    """For each window: whether this tone is heard; None where nothing is."""
    size = int(WINDOW * tone.RATE)
    found: list[bool | None] = []
    for window in (samples[at : at + size] for at in range(0, len(samples) - size + 1, size)):
        wide = window.astype(float)
        if numpy.sqrt(numpy.mean(wide**2)) < tone.SILENT_BELOW:
            found.append(None)
        else:
            spectrum = numpy.abs(numpy.fft.rfft(wide * numpy.hanning(size)))
            found.append(bool(abs(numpy.argmax(spectrum) / WINDOW - hz) <= 1 / WINDOW))
    return found


async def test_a_call_is_there_on_two_sides_without_what_was_paused_and_up_to_the_crash(tmp_path: Path) -> None:
    """What an auditor gets: one call that ended well and has a pause in it, and one that the power failure cut."""
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}]"
    options = (*RECORDED, "--set", f"sip.listen={listen}", "--set", "mqtt.broker=off")
    data = tmp_path / "data"
    async with Switch(tmp_path / "switch", options=options, data=data) as switch:
        async with (
            agent_phone(switch, tmp_path, TECH) as agent,
            caller_phone(switch, tmp_path) as caller,
        ):
            await talk(caller, agent, TECH)
            (started,) = await until(lambda: facts(switch, "RecordingStarted"), "it is recorded")
            assert (started["left"], started["right"], started["noticed"]) == ("caller", TECH.agent, True)
            path = data / "recordings" / (started["path"] + ".part")
            await until(lambda: path.stat().st_size > 44 + 32_000, "a second is recorded")
            assert await ask(switch, "record_pause", agent=TECH.agent) == {}
            before = path.stat().st_size
            await until(lambda: path.stat().st_size > before + 32_000, "a second of silence follows")
            assert await ask(switch, "record_resume", agent=TECH.agent) == {}
            before = path.stat().st_size
            await until(lambda: path.stat().st_size > before + 32_000, "a second more is recorded")
            await caller.hangup()
            (row,) = await until(
                lambda: switch.query("SELECT * FROM recordings WHERE state = 'kept'"), "the file is whole"
            )
            whole = data / "recordings" / row["path"]
            assert hashlib.sha256(whole.read_bytes()).hexdigest() == row["sha256"]
            assert whole.stat().st_size == row["octets"]
            record = json.loads((await switch.interaction())["record"])
            assert [told["id"] for told in record["recordings"]] == [row["recording"]]
            left, right = channels(whole)
            for samples, hz in ((left, caller.hz), (right, agent.hz)):
                windows = heard(samples, hz)
                assert windows.count(False) <= 2, "nobody else is heard on this side"
                assert windows.count(None) >= 8, "a pause of a second is silence of a second"
                silent = [at for at, window in enumerate(windows) if window is None]
                assert windows[: silent[0]].count(True) >= 8
                assert windows[silent[-1] + 1 :].count(True) >= 8
            (listed,) = (await ask(switch, "recordings", state="kept"))["recordings"]
            assert listed["recording"] == row["recording"]

            assert await ask(switch, "wrap_up_done", agent=TECH.agent) == {}
            told = len(agent.events)
            await caller.dial(TECH.alias)
            await caller.event("CALL_ESTABLISHED")
            await caller.press(TECH.keys)
            await agent.event("CALL_INCOMING", after=told)
            await agent.accept()
            cut = await until(
                lambda: next(iter(data.glob("recordings/*/*/*/*/*.part")), None), "the second call is recorded"
            )
            await until(lambda: cut.stat().st_size > 44 + 32_000, "a second is recorded")
            await switch.kill()
            # Within the phones' block: they say goodbye to somebody.
            await switch.start()
        (row,) = await until(lambda: switch.query("SELECT * FROM recordings WHERE state = 'cut'"), "it is mended")
        assert (row["reason"], row["detail"]) == ("restart", "the switch was restarted")
        whole = data / "recordings" / row["path"]
        assert hashlib.sha256(whole.read_bytes()).hexdigest() == row["sha256"]
        assert not cut.exists()
        left, right = channels(whole)
        assert heard(left, caller.hz).count(True) >= 7
        assert heard(right, agent.hz).count(True) >= 7


async def test_without_room_on_the_disk_the_call_goes_on_and_the_operator_is_told(tmp_path: Path) -> None:
    options = (*RECORDED, "--set", "recordings.least_free=99.99%")
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, agent, TECH)
        (failed,) = await until(lambda: facts(switch, "RecordingFailed"), "it is told that it is not recorded")
        assert failed["reason"] == "no_space"
        assert [body["enough"] for body in facts(switch, "RecordingSpaceChanged")] == [False]
        await stays(lambda: caller.seen("CALL_CLOSED") is None, "the call stays", 0.3)
        state = (await ask(switch, "status"))["recordings"]
        assert (state["recording"], state["enough"], state["failures"]) == (0, False, 1)
        assert state["free"] < state["wanted"]
        await caller.hangup()
        await switch.interaction()
    assert '"level":"warning"' in switch.log().replace(" ", "")
