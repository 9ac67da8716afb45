"""Soak: one switch as a program, calls through it all the time, and one reload after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sqlite3
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from callcenter.control import SOCKET
from callcenter.control.client import ControlClient, ControlError
from scripts.benchmarks import floor
from scripts.benchmarks.phones import AGENT_VOICE, CALLER_VOICE, AgentCall, Agents, Caller, Callers, Sound, Tally
from scripts.soaking.variations import GUESTS, Variation

READY_WITHIN = 60.0
SETTLE = 20.0
# A caller listens so long before the key, an agent lets it ring so long, and so long they talk.
LISTEN, RING, TALK = 0.5, 0.1, 1.5
# Of ten reloads one meets files with a mistake.
SPOILED = 0.1
# What the switch may grow by in a reload, when caches and pools are filled. A configuration of this floor is several
# hundred kB in memory: one that stayed would show at once.
MOST_GROWTH = 25_000
# Findings that are kept: past them the same one is most likely met again.
MOST_FOUND = 20


@dataclass(slots=True)
class Soak:
    """One run. ``found`` is what is wrong, in sentences; ``say`` hears how it goes."""

    folder: Path
    seed: int
    reloads: int
    rate: float = 10.0
    agents: int = 40
    pause: float = 0.3
    say: Callable[[str], None] = lambda text: None
    found: list[str] = field(default_factory=list)
    done: int = 0
    refused: int = 0
    took_ms: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    _tally: Tally = field(default_factory=Tally)
    _long: list[Caller] = field(default_factory=list)
    _heard: list[int] = field(default_factory=list)
    _seconds: float = 0.0

    async def run(self) -> None:
        """Start everything, reload, end everything, and read what was saved."""
        people = floor.write(self.folder, self.agents + 2)
        variation = Variation(Random(self.seed), people.agents)
        variation.write(people.config)
        began = time.monotonic()
        async with _switch(people.config, people.data, self.folder / "switch.log") as (process, server):
            with ControlClient(people.data / SOCKET, timeout=30.0) as control:
                await self._soak(process, server, people, variation, control)
        self._seconds = time.monotonic() - began
        self._read_log(self.folder / "switch.log")
        self._read_books(people.data / "callcenter.db")

    def summary(self) -> str:
        """What was done, and what it came to, in figures."""
        took = sorted(self.took_ms) or [0]
        return (
            f"{self.done} reloads and {self.refused} refused ones, seed {self.seed}, in {self._seconds:.0f} s:"
            f" {self._tally}; a reload took {statistics.median(took):.0f} ms, at most {took[-1]} ms;"
            f" memory {_kb(self.memory[:1])} before, {_kb(self.memory[-1:])} after ({self._growth():+.0f} B a reload)"
        )

    async def _soak(
        self,
        process: Process,
        server: tuple[str, int],
        people: floor.Floor,
        variation: Variation,
        control: ControlClient,
    ) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = Sound(CALLER_VOICE, AGENT_VOICE), Sound(AGENT_VOICE, CALLER_VOICE)
        callers = Callers(server, self._tally, sound=ours)
        agents = Agents(server, self._tally, theirs, pick_up_after=RING)
        long: set[str] = set()
        talking: set[str] = set()
        try:
            await agents.sign_in(people.agents, floor.PASSWORD)
            apart = people.agents[-2:]
            await self._ask(control, "state", agent=apart[0], chosen="not_ready", reason="lunch")
            await self._ask(control, "state", agent=apart[1], chosen="signed_out")

            def answered(call: Caller) -> None:
                loop.call_later(LISTEN, callers.press, call, 1)

            def up(talk: AgentCall) -> None:
                talking.add(talk.caller)
                if talk.caller not in long:
                    loop.call_later(TALK, part, talk)

            def part(talk: AgentCall) -> None:
                if (call := callers.by_number.get(talk.caller)) is not None:
                    self._tally.talked += call.voice is not None and call.voice.heard > 0
                    callers.hang_up(call)

            callers.on_answer, agents.on_up = answered, up
            for _ in range(2):
                self._long.append(call := callers.dial())
                long.add(call.number)
            await _until(lambda: talking >= long, SETTLE)
            await asyncio.sleep(LISTEN)
            load = loop.create_task(self._load(callers))
            try:
                await self._reload_all(process.pid, people, variation, control, apart)
            finally:
                load.cancel()
            await _until(lambda: len(callers.calls) <= 2, SETTLE)
            for call in self._long:
                if call.id not in callers.calls:
                    self._note(f"the long call of {call.number} did not last")
                callers.hang_up(call)
            await _until(lambda: not callers.calls and not agents.calls, SETTLE)
            if callers.calls or agents.calls:
                self._note(f"{len(callers.calls)} callers and {len(agents.calls)} agents are still on the phone")
            if self._tally.failed:
                self._note(f"calls failed: {self._tally}")
        finally:
            callers.close()
            agents.close()
            ours.close()
            theirs.close()

    async def _load(self, callers: Callers) -> None:
        while True:
            callers.dial()
            await asyncio.sleep(1 / self.rate)

    async def _reload_all(
        self, pid: int, people: floor.Floor, variation: Variation, control: ControlClient, apart: tuple[str, ...]
    ) -> None:
        before = await self._states(control, apart)
        while self.done < self.reloads and len(self.found) < MOST_FOUND:
            if variation.random.random() < SPOILED:
                await self._refuse(people.config, variation, control)
                continue
            told = variation.step()
            variation.write(people.config)
            answer = await self._ask(control, "reload")
            self.done += 1
            if answer is None:
                self._note(f"reload {self.done} ({told}) was refused")
                continue
            self.took_ms.append(answer["took_ms"])
            status = await self._ask(control, "status") or {}
            if status["config"]["revision"] != answer["revision"]:
                self._note(f"reload {self.done}: {answer['revision']} is not in force")
            self._look(status, variation, before, apart)
            self.memory.append(_memory(pid))
            if self.done % 50 == 0:
                self._listen()
                self.say(f"{self.done} reloads, {self._tally}, memory {_kb(self.memory[-1:])}, now: {told}")
            await asyncio.sleep(self.pause)

    async def _refuse(self, config: Path, variation: Variation, control: ControlClient) -> None:
        """Files with a mistake change nothing."""
        revision = (await self._ask(control, "status") or {})["config"]["revision"]
        variation.spoil(config)
        self.refused += 1
        try:
            await asyncio.to_thread(control.ask, "reload")
            self._note("files with a mistake were loaded")
        except ControlError as error:
            if not any(":" in each for each in error.details.get("problems", [])):
                self._note(f"a mistake was not told with its place: {error}")
        if (await self._ask(control, "status") or {})["config"]["revision"] != revision:
            self._note("files with a mistake changed what is in force")
        variation.write(config)

    def _look(
        self, status: dict[str, Any], variation: Variation, before: dict[str, Any], apart: tuple[str, ...]
    ) -> None:
        """What is there is what is configured; who stands apart does so still; who talks for long, too."""
        agents = {each["agent"]: each for each in status["agents"]}
        gone = set(GUESTS) - variation.guests
        if gone & agents.keys() or not variation.guests <= agents.keys():
            self._note(f"reload {self.done}: of the guests {sorted(variation.guests)} there are {sorted(agents)}")
        queues = {each["queue"] for each in status["queues"]}
        if queues != {variation.queue, *(["spare"] if variation.spare else [])}:
            self._note(f"reload {self.done}: the queues are {sorted(queues)}")
        if bool(status["trunks"]) is not variation.trunk:
            self._note(f"reload {self.done}: the trunks are {status['trunks']}")
        if (states := _chosen(agents, apart)) != before:
            self._note(f"reload {self.done}: {before} were {states}")
        unready = [name for name, each in agents.items() if each["chosen"] != "ready" and name not in (*apart, *GUESTS)]
        if unready:
            self._note(f"reload {self.done}: {', '.join(unready)} did not stay ready")
        talking = sum(each["work"] == "talking" for each in agents.values())
        if talking < len(self._long):
            self._note(f"reload {self.done}: the long calls are not there, {talking} agents talk")

    def _listen(self) -> None:
        """The long calls are heard."""
        heard = [call.voice.heard if call.voice is not None else 0 for call in self._long]
        if self._heard and any(now <= then for now, then in zip(heard, self._heard, strict=True)):
            self._note(f"reload {self.done}: a long call went silent")
        self._heard = heard

    async def _states(self, control: ControlClient, apart: tuple[str, ...]) -> dict[str, Any]:
        status = await self._ask(control, "status") or {}
        return _chosen({each["agent"]: each for each in status["agents"]}, apart)

    async def _ask(self, control: ControlClient, do: str, **fields: Any) -> dict[str, Any] | None:
        try:
            return await asyncio.to_thread(control.ask, do, **fields)
        except ControlError as error:
            self._note(f"{do}: {error} {error.details.get('problems', '')}")
            return None

    def _read_log(self, log: Path) -> None:
        for line in log.read_text(errors="replace").splitlines():
            if " warning: " in line and not line.startswith("{"):
                continue  # of the configuration, at the start
            entry = json.loads(line) if line.startswith("{") else {"level": "error"}
            if entry.get("level") in ("error", "critical"):
                self._note(f"the log says: {line[:300]}")

    def _read_books(self, database: Path) -> None:
        """Every call has its record, and every visit to a queue was answered, or went on under the new name."""
        with contextlib.closing(sqlite3.connect(database)) as books:
            outcomes = dict(books.execute("SELECT outcome, count(*) FROM interactions GROUP BY outcome"))
            facts = books.execute("SELECT body FROM facts WHERE kind = 'QueueLeft'")
            visits = Counter(
                (left["outcome"], left.get("reason", "")) for (body,) in facts if (left := json.loads(body))
            )
            reloaded = books.execute("SELECT count(*) FROM facts WHERE kind = 'ConfigReloaded'").fetchone()[0]
        if outcomes != {"handled": self._tally.started}:
            self._note(f"of {self._tally.started} calls the books say {outcomes}")
        renamed = {("flowed_out", "queue_renamed"), ("refused", "queue_renamed")}
        if set(visits) - renamed != {("answered", "")} or visits["answered", ""] != self._tally.started:
            self._note(f"of {self._tally.started} calls the visits were {dict(visits)}")
        if reloaded != self.done:
            self._note(f"{self.done} reloads were done, {reloaded} told")
        if len(self.memory) >= 200 and self._growth() > MOST_GROWTH:
            self._note(f"the switch grew by {self._growth():.0f} bytes with each reload")

    def _growth(self) -> float:
        """Bytes of a reload, from the second fifth of them to the last: until then pools and caches are filled."""
        part = max(1, len(self.memory) // 5)
        if len(self.memory) < 2 * part:
            return 0.0
        early, late = self.memory[part : 2 * part], self.memory[-part:]
        return (statistics.median(late) - statistics.median(early)) * 1024 / max(1, len(self.memory) - 2 * part)

    def _note(self, finding: str) -> None:
        if len(self.found) < MOST_FOUND:
            self.found.append(finding)
            self.say(f"FOUND: {finding}")


@contextlib.asynccontextmanager
async def _switch(config: Path, data: Path, log: Path) -> AsyncIterator[tuple[Process, tuple[str, int]]]:
    """``callcenter run`` while the block lasts."""
    command = [sys.executable, "-m", "callcenter", "run", "--log", "json", "--config", str(config), "--data", str(data)]
    # What is kept of the calls for a trace grows for the first thousands of them, reloads or not.
    command += ["--set", "sip.trace=off", "--set", "desk.enabled=false"]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=errors, start_new_session=True)
    try:
        async with asyncio.timeout(READY_WITHIN):
            server = await _ready(process, log)
        yield process, server
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(SETTLE):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _ready(process: Process, log: Path) -> tuple[str, int]:
    assert process.stdout is not None
    async for line in process.stdout:
        if found := re.match(rb"ready: SIP udp (\S+?):(\d+)", line):
            return found[1].decode(), int(found[2])
    raise RuntimeError(f"the switch did not start: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]


async def _until(done: Callable[[], bool], within: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not done():  # noqa: ASYNC110 - what happens is at the phones, who tell nobody
                await asyncio.sleep(0.05)


def _chosen(agents: dict[str, dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: (agents[name]["chosen"], agents[name]["reason"], agents[name]["device"]) for name in names}


def _memory(pid: int) -> int:
    """What is in memory of the process that reloads (kB)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0


def _kb(samples: list[int]) -> str:
    return f"{samples[0] / 1024:.1f} MB" if samples else "?"
