"""A card that is entered while two phones that are not ours talk: what the agent hears of it, and the recording."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy

from tests.wire import process, tone
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import until

CARD = "41114242"
STEP = "{collect: {into: card, prompt: tech-giant-welcome, min: 4, max: 12, mask: true}}"
OPTIONS = (
    *("--set", f"clients.{TECH.id}.record=always", "--set", f"clients.{TECH.id}.in_talk=[take-card]"),
    *("--set", f"flows.take-card=[{STEP}]"),
)
KEY = "CALL_DTMF_START"


def facts(switch: Switch, kind: str) -> list[dict[str, Any]]:
    """All facts of a kind."""
    rows = switch.query("SELECT body FROM facts WHERE kind = ? ORDER BY seq", kind)
    return [json.loads(row["body"]) for row in rows]


async def test_the_agents_phone_gets_neither_event_nor_tone_of_a_card_and_the_recording_is_silent(
    tmp_path: Path,
) -> None:
    data, port = tmp_path / "data", process.free_port()
    listen = f"sip.listen=[{{transport: udp, host: 127.0.0.1, port: {port}}}]"
    options = (*OPTIONS, "--set", listen, "--set", "mqtt.broker=off")
    async with (
        Switch(tmp_path / "switch", options=options, data=data) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, agent, TECH)
        await until(lambda: facts(switch, "RecordingStarted"), "it is recorded")
        await agent.heard(caller.hz)
        await caller.press("5")
        await until(lambda: agent.seen(KEY), "a key that is no secret reaches the agent's phone")
        before = len(agent.events)
        assert await ask(switch, "entry_start", agent=TECH.agent, entry="take-card") == {}
        await until(lambda: agent.hearing() is None, "the agent hears the caller no more")
        assert agent.recording is not None
        begun = tone.seconds_of_wav(agent.recording)
        await caller.press(CARD + "#")
        (ended,) = await until(lambda: facts(switch, "EntryEnded"), "it is entered")
        during = tone.tail_of_wav(agent.recording, tone.seconds_of_wav(agent.recording) - begun)
        assert ended["result"] == "entered"
        assert len(during) > tone.RATE
        assert tone.loudness(during) < tone.SILENT_BELOW, "no tone of a key, nor the caller's voice"
        await agent.heard(caller.hz)
        assert agent.seen(KEY, after=before) is None, "no event of a key"
        await caller.press("6")
        await until(lambda: agent.seen(KEY, after=before), "the next key reaches the agent again")
        entered = facts(switch, "DigitsEntered")[-1]
        assert (entered["digits"], entered["masked"]) == ("*" * len(CARD), True)
        await caller.hangup()
        (row,) = await until(lambda: switch.query("SELECT * FROM recordings WHERE state = 'kept'"), "the file is whole")
        assert CARD not in json.dumps([list(each) for each in switch.query("SELECT body FROM facts")])
    with wave.open(str(data / "recordings" / row["path"])) as file:
        both = numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    left = both[:, 0].astype(float)
    windows = [left[at : at + 800] for at in range(0, len(left) - 799, 800)]
    silent = [float(numpy.sqrt(numpy.mean(window**2))) < tone.SILENT_BELOW for window in windows]
    assert sum(silent) >= 10, "a second or more is missing of the caller"
    assert not all(silent)
