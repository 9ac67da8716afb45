"""The sound of the whole program: workers that die alone, and phones from which nothing is heard."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.test_load import floor_with
from tests.wire.voice import Voice
from tests.wire.wait import until

CALLS = 6


@dataclass(frozen=True, slots=True)
class Worker:
    """A media worker as the process table shows it."""

    index: int
    pid: int
    ports: range


@dataclass(slots=True)
class Talk:
    """A call that is up: both phones and what they say."""

    caller: Stub
    invite: str
    answer: Message
    caller_voice: Voice
    agent: Stub
    agent_voice: Voice
    agent_id: str

    async def hear_each_other(self) -> None:
        """Both tones come through, now."""
        await self.caller_voice.hears(self.agent_voice.hz)
        await self.agent_voice.hears(self.caller_voice.hz)

    def fall_silent(self) -> None:
        self.caller_voice.close()
        self.agent_voice.close()

    async def hang_up(self) -> None:
        assert (await self.caller.final(self.caller.in_dialog("BYE", self.invite, self.answer))).status == 200
        self.fall_silent()


class Floor:
    """Six agents and their callers, each with a phone and a tone of their own."""

    def __init__(self, switch: Switch, stack: contextlib.AsyncExitStack) -> None:
        self.switch = switch
        self.stack = stack
        self.agents: dict[str, Stub] = {}
        self._tones = iter(range(400, 3000, 70))

    async def sign_in(self) -> None:
        for number in range(CALLS):
            line = self.switch.agent(f"load-{number}")
            phone = await self.stack.enter_async_context(Stub(self.switch.where))
            assert (await phone.register(line["user"], line["password"])).status == 200
            self.agents[line["user"]] = phone

    async def talk(self) -> Talk:
        """A caller presses the key of sales and talks to whoever it is that is rung."""
        caller = await self.stack.enter_async_context(Stub(self.switch.where))
        had = {name: _invites(phone) for name, phone in self.agents.items()}
        invite = caller.invite(TECH.alias)
        answer = await caller.final(invite)
        assert answer.status == 200, answer.text
        voice = Voice(caller, next(self._tones), answer)
        self.stack.callback(voice.close)
        caller.press(answer, TECH.key)
        name = await until(
            lambda: next((name for name, phone in self.agents.items() if _invites(phone) > had[name]), None),
            lambda: f"an agent is rung; {self.switch.log()[-1500:]}",
        )
        agent = self.agents[name]
        offer = [message for message in agent.received if message.method == "INVITE"][-1]
        agents_voice = Voice(agent, next(self._tones), offer)
        self.stack.callback(agents_voice.close)
        talk = Talk(caller, invite, answer, voice, agent, agents_voice, name)
        await talk.hear_each_other()
        return talk


def _invites(phone: Stub) -> int:
    return len({message.call_id for message in phone.received if message.method == "INVITE"})


def workers(switch: Switch) -> list[Worker]:
    """The media workers that run now."""
    found = []
    for pid in switch.processes():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "callcenter.media.embedded.worker" in words:
                settings = json.loads(words[words.index("callcenter.media.embedded.worker") + 1])
                first = settings["first_port"]
                found.append((first, pid, range(first, first + 2 * settings["pairs"])))
    return [Worker(index, pid, ports) for index, (_, pid, ports) in enumerate(sorted(found, key=lambda each: each[0]))]


def facts(switch: Switch, kind: str) -> list[dict[str, Any]]:
    """The bodies of the facts of a kind, in order."""
    rows = switch.query("SELECT body FROM facts WHERE kind = ? ORDER BY seq", kind)
    return [json.loads(row["body"]) for row in rows]


async def test_a_killed_media_worker_ends_its_own_calls_only_and_is_replaced(tmp_path: Path) -> None:
    low, high = process.free_range(96)
    options = (
        *("--config", str(floor_with(CALLS, tmp_path / "config"))),
        *("--set", "media.workers=2", "--set", f"media.ports={low}-{high}"),
        *("--set", "acd.wrap_up={mode: timed, time: 2s}"),
    )
    running = Switch(tmp_path / "switch", options=options, may_complain=("media worker lost",))
    async with running as switch, contextlib.AsyncExitStack() as stack:
        floor = Floor(switch, stack)
        await floor.sign_in()
        before = workers(switch)
        assert len(before) == 2
        assert not set(before[0].ports) & set(before[1].ports), "no port is two workers'"
        talks: list[Talk] = []
        for _ in range(CALLS):
            talks.append(await floor.talk())
            shares = Counter(worker_of(talk, before).index for talk in talks)
            assert abs(shares[0] - shares[1]) <= 1, f"the calls are spread evenly: {shares}"
        for talk in talks:
            ours, theirs = talk.caller_voice.port, talk.agent_voice.port
            assert ours in worker_of(talk, before).ports
            assert theirs in worker_of(talk, before).ports, "both legs of a call are on one worker"

        victim = before[1]
        lost = [talk for talk in talks if worker_of(talk, before) == victim]
        others = [talk for talk in talks if worker_of(talk, before) != victim]
        switch.kill_child(victim.pid)
        for talk in lost:
            await talk.caller.request("BYE")
            await talk.agent.request("BYE")
            talk.fall_silent()
        saved = await switch.interactions(len(lost))
        assert {(row["outcome"], row["ended_by"], row["cause"]) for row in saved} == {
            ("handled", "system", "media_failed")
        }
        assert {row["agent"] for row in saved} == {talk.agent_id for talk in lost}
        for row in saved:
            detail = json.loads(row["record"])["ending"]["detail"]
            assert detail == f"media worker 1 (pid {victim.pid}) died, and with it the sound of this call"
        assert {leg["cause"] for leg in facts(switch, "AgentLegEnded")} == {"media_failed"}

        # The others have noticed nothing.
        for talk in others:
            await talk.hear_each_other()
            assert talk.caller.find(method="BYE") is None
            assert talk.agent.find(method="BYE") is None

        # The agents write their notes and are there again; a new worker stands in the place of the dead one.
        after = await until(
            lambda: now if len(now := workers(switch)) == 2 else None, "a new worker in the place of the dead one"
        )
        assert after[0] == before[0]
        assert after[1].pid != victim.pid
        assert after[1].ports == victim.ports
        for talk in lost:
            await is_idle_after_notes(switch, talk.agent_id)
            assert all(state["device"] == "registered" for state in states_of(switch, talk.agent_id)[1:])
        again = [await floor.talk() for _ in lost]
        assert {talk.agent_id for talk in again} == {talk.agent_id for talk in lost}
        assert {worker_of(talk, after).index for talk in again} == {1}, "the new calls come to the new worker"
        for talk in again + others:
            await talk.hang_up()
        assert len(await switch.interactions(2 * CALLS - len(others))) == 2 * CALLS - len(others)


def worker_of(talk: Talk, those: list[Worker]) -> Worker:
    """Who carries the sound of a call."""
    return next(worker for worker in those if talk.caller_voice.port in worker.ports)


def states_of(switch: Switch, agent: str) -> list[dict[str, Any]]:
    """What an agent has been, in order."""
    return [state for state in facts(switch, "AgentStateChanged") if state["agent"] == agent]


async def is_idle_after_notes(switch: Switch, agent: str) -> None:
    """Wait until the agent's wrap-up is over."""

    def works() -> list[str]:
        return [str(state["work"]) for state in states_of(switch, agent)]

    await until(lambda: works()[-2:] == ["wrap_up", "idle"], lambda: f"{agent} is idle again: {works()}")


async def test_phones_that_send_no_sound_are_told_of_in_words(tmp_path: Path) -> None:
    """First the caller at the menu; then an agent who answers and stays mute."""
    options = (
        *("--config", str(floor_with(1, tmp_path / "config"))),
        *("--set", "media.missing_after=1s", "--set", "media.workers=1"),
    )
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        Stub(switch.where) as caller,
        Stub(switch.where) as agent,
    ):
        invite = caller.invite(TECH.alias)
        answer = await caller.final(invite)
        missing = (await until(lambda: facts(switch, "MediaMissing"), "the caller is missed"))[0]
        assert (missing["side"], missing["offer"]) == ("caller", "")
        assert re.fullmatch(
            rf"nothing is heard from the caller: no sound came in \d s at 127\.0\.0\.1:{_port_in(answer)}; "
            rf"the phone said it sends from 127\.0\.0\.1:{caller.media_port}: "
            r"a firewall or NAT between, or a phone that sends nothing\?",
            missing["detail"],
        )
        assert not facts(switch, "CallerMediaStarted")
        assert "nothing is heard from the caller" in switch.log(), "the operator reads it in the log"

        line = switch.agent("load-0")
        assert (await agent.register(line["user"], line["password"])).status == 200
        voice = Voice(caller, 440.0, answer)
        caller.press(answer, TECH.key)
        offer = await agent.request("INVITE")
        missing = (await until(lambda: facts(switch, "MediaMissing")[1:], "the agent is missed"))[0]
        (started,) = facts(switch, "CallerMediaStarted")
        assert started["source"] == f"127.0.0.1:{caller.media_port}"
        assert (missing["side"], missing["agent"]) == ("agent", line["user"])
        assert missing["detail"].startswith("one-way: the caller sends, the agent does not; nothing is heard from the ")
        assert f"at 127.0.0.1:{_port_in(offer)}; the phone said it sends from 127.0.0.1:" in missing["detail"]
        assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200
        voice.close()


def _port_in(message: Message) -> int:
    return int(message.body.split("m=audio ", 1)[1].split(" ", 1)[0])
