"""What a queue does with its callers, heard by phones that are not ours: whisper, overflow, the expected wait."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from callcenter.acd.estimate import RANGES
from tests.wire import tone
from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

WHISPER_HZ, WAIT_HZ, SECOND_HZ = 1040.0, 1500.0, 1320.0
SUPPORT = "tech-giant-support-en"
# Diego has no skill for sales.
DIEGO = replace(TECH, agent="diego")


def said(folder: Path, name: str, hz: float, seconds: float = 1.5) -> Path:
    """A recording that is a tone."""
    folder.mkdir(exist_ok=True)
    return tone.write_wav(folder / f"{name}.wav", tone.tone(hz, seconds))


def whispering(folder: Path) -> tuple[str, ...]:
    """Agents of the Tech Giant hear a tone first, in whichever language."""
    file = said(folder / "said", "whisper", WHISPER_HZ, 3.0)
    return ("--set", f"clients.the-tech-giant.whisper={{en: {{file: {file}}}, pt-BR: {{file: {file}}}}}")


async def happened(switch: Switch, kind: str, times: int) -> None:
    """So many facts of this kind are there."""
    asked = f"SELECT 1 FROM facts WHERE kind = '{kind}'"
    await until(lambda: len(switch.query(asked)) == times, f"{kind}, {times} times")


async def test_an_agent_hears_the_whisper_and_then_the_caller(tmp_path: Path) -> None:
    """The caller hears neither the whisper nor the agent meanwhile; the call is answered when both talk."""
    async with (
        Switch(tmp_path / "switch", whispering(tmp_path)) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await agent.heard(WHISPER_HZ)
        assert not caller.hears(agent.hz)
        assert not caller.hears(WHISPER_HZ)
        assert not switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'")
        await caller.heard(agent.hz)
        await agent.heard(caller.hz)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["agent"]) == ("handled", TECH.agent)
        assert saved["wait_ms"] > 2_500, "the whisper is part of the wait"


async def test_an_agent_who_hangs_up_in_the_whisper_leaves_the_caller_in_line(tmp_path: Path) -> None:
    """The next agent, who is the lesser match, takes the caller, who has heard nothing but music."""
    async with (
        Switch(tmp_path / "switch", whispering(tmp_path)) as switch,
        agent_phone(switch, tmp_path, TECH) as first,
        agent_phone(switch, tmp_path, replace(TECH, agent="emma"), hz=SECOND_HZ) as second,
        caller_phone(switch, tmp_path) as caller,
    ):
        await first.registered()
        await second.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await first.event("CALL_INCOMING")
        await first.accept()
        await first.heard(WHISPER_HZ)
        await first.hangup()
        await first.event("CALL_CLOSED")
        await second.event("CALL_INCOMING")
        await second.accept()
        await second.heard(WHISPER_HZ)
        await caller.heard(SECOND_HZ)
        await caller.hangup()
        await second.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["agent"]) == ("handled", "emma")
        assert len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'")) == 1


async def test_callers_whom_nobody_of_one_queue_is_there_for_are_answered_in_another(tmp_path: Path) -> None:
    """Nobody of sales is signed in: the caller is refused there, and rings at support, with the place kept."""
    options = (
        *("--set", f"queues.{TECH.queue}.refuse_when=nobody_signed_in"),
        *("--set", f"queues.{TECH.queue}.on_empty={{queue: {SUPPORT}}}"),
    )
    async with (
        Switch(tmp_path / "switch", options) as switch,
        agent_phone(switch, tmp_path, DIEGO) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await caller.heard(agent.hz)
        await agent.heard(caller.hz)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["agent"], saved["queue"]) == ("handled", DIEGO.agent, SUPPORT)


async def test_a_caller_who_has_waited_too_long_overflows_into_another_queue(tmp_path: Path) -> None:
    options = (
        *("--set", f"queues.{TECH.queue}.max_wait=1s"),
        *("--set", f"queues.{TECH.queue}.on_max_wait={{queue: {SUPPORT}}}"),
    )
    async with (
        Switch(tmp_path / "switch", options) as switch,
        agent_phone(switch, tmp_path, DIEGO) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await caller.heard(agent.hz)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        await switch.interaction()
        left = switch.query("SELECT body FROM facts WHERE kind = 'QueueLeft' ORDER BY seq")
        assert ["timeout" in row["body"] for row in left] == [True, False]


async def test_the_expected_wait_is_heard_when_ten_talks_have_been_seen(tmp_path: Path) -> None:
    """The next caller in line hears that it is less than two minutes, by a tone of its own."""
    folder = tmp_path / "said"
    for low, high in RANGES:
        said(folder, f"wait-{low}-{high}", WAIT_HZ if (low, high) == (0, 2) else 2 * WAIT_HZ)
    files = {
        "soon": f"{{file: '{folder}/wait-0-{{high}}.wav'}}",
        "later": f"{{file: '{folder}/wait-{{low}}-{{high}}.wav'}}",
    }
    announce = "{wait: {under: soon, between: later}, first: 1s, every: 5s}"
    options = (
        *(word for name, file in files.items() for word in ("--set", f"prompts.{name}={{en: {file}, es: {file}}}")),
        *("--set", f"queues.{TECH.queue}.announce={announce}", "--set", f"queues.{TECH.queue}.wrap_up=0s"),
    )
    async with (
        Switch(tmp_path / "switch", options) as switch,
        Stub(switch.where) as talker,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        for number in range(11):
            before = len(agent.events)
            answer = await talker.final(talker.invite(TECH.alias, user=f"+1415555{number:04d}"))
            talker.press(answer, TECH.keys)
            await agent.event("CALL_INCOMING", after=before)
            await agent.accept()
            await happened(switch, "CallConnected", number + 1)
            if number < 10:
                await asyncio.sleep(0.1 * (number % 3))
                await agent.hangup()
                await happened(switch, "AgentLegEnded", number + 1)
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await caller.heard(WAIT_HZ)
        told = json.loads(switch.query("SELECT body FROM facts WHERE kind = 'WaitAnnounced'")[0]["body"])
        assert (told["low_ms"], told["high_ms"]) == (0, 120_000)
        await caller.hangup()
        await agent.hangup()
