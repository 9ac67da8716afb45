"""The relay: bridged calls of one media worker on one core, and how punctually it plays prompts."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.benchmarks.machine import PROC, TICK
from scripts.benchmarks.packets import HOST, Generator, Measured
from scripts.benchmarks.part import BenchError, Detail, Figure, Run, at_least, at_most

AIM = 800
MOST = 1400
LOSS = 0.001
DELAY = 0.005
PROMPTS = 1000
LATENESS = 3.0  # ms
# Every call has two pairs of ports.
PORTS_OF_A_CALL = 4

Progress = Callable[[str], None]


def measure(run: Run) -> list[Figure]:
    """One round: the highest number of calls that goes clean, then the prompts."""
    with plane(run) as orders:
        return [_climb(run, orders), _prompts(run, orders)]


def relay(calls: int, seconds: float, progress: Progress, orders: Orders) -> dict[str, Detail]:
    """So many bridged calls for so long: loss, delay one way in ms, CPU of the worker."""
    generator = Generator()
    try:
        offers = [
            [_offer(generator.slots[generator.slot_of(leg)].port) for leg in (2 * call, 2 * call + 1)]
            for call in range(calls)
        ]
        answer = orders.give({"relay": offers})
        generator.aim(answer["ports"])
        before = _cpu(answer["worker"])
        measured = generator.relay(2 * calls, seconds)
        found = _details(measured, _cpu(answer["worker"]) - before, seconds + 1.0)
        progress(f"{calls} calls: {_told(found)}")
        return {"calls": calls, **found}
    finally:
        orders.give({"close": True})
        generator.close()


def playout(prompts: int, seconds: float, progress: Progress, orders: Orders, clip: Path) -> dict[str, Detail]:
    """So many prompts played at once: how late the frames are, in ms, and what is missing."""
    generator = Generator()
    try:
        offers = [_offer(generator.slots[generator.slot_of(leg)].port) for leg in range(prompts)]
        answer = orders.give({"play": offers, "clip": str(clip)})
        before = _cpu(answer["worker"])
        measured = generator.listen(seconds)
        found = _details(measured, _cpu(answer["worker"]) - before, seconds + 1.0)
        progress(f"{prompts} prompts: {_told(found)}")
        return {"prompts": prompts, **found}
    finally:
        orders.give({"close": True})
        generator.close()


def _climb(run: Run, orders: Orders) -> Figure:
    """Up by a fifth until it is not clean, then halves; what was not clean is tried once more before it counts."""
    seconds = run.pick(5.0, 2.0, 0.3)
    most = round(run.pick(MOST, MOST, 8))

    def clean(calls: int) -> dict[str, Detail] | None:
        for _ in range(2):
            found = relay(calls, seconds, run.say, orders)
            if float(found["loss"]) <= LOSS and float(found["p99"]) <= 1000 * DELAY:
                return found
        return None

    calls = round(run.pick(500, 600, 4))
    best, high = clean(calls), most + 1
    while best is None and calls > 20:
        high, calls = calls, calls * 2 // 3
        best = clean(calls)
    if best is None:
        raise BenchError("not even a few calls go through clean")
    while calls < most and high - calls > max(10, calls // 20):
        higher = min(calls * 6 // 5, most) if high > most else (calls + high) // 2
        found = clean(higher)
        if found is None:
            high = higher
        else:
            best, calls = found, higher
    return Figure("bridged calls of one worker core", "calls", calls, at_least(AIM), best)


def _prompts(run: Run, orders: Orders) -> Figure:
    clip = run.folder / "prompt.wav"
    with wave.open(str(clip), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * 8000 * 10))
    prompts = round(run.pick(PROMPTS, PROMPTS, 8))
    found = playout(prompts, run.pick(5.0, 2.0, 0.3), run.say, orders, clip)
    return Figure(f"lateness (p99) of {prompts} prompts at once", "ms", float(found["p99"]), at_most(LATENESS), found)


def _details(measured: Measured, cpu: float, seconds: float) -> dict[str, Detail]:
    packets = max(1, round(measured.received * seconds / (seconds - 1.0)))
    return {
        "loss": round(measured.loss, 6),
        "p50": round(1000 * measured.percentile(0.5), 3),
        "p99": round(1000 * measured.percentile(0.99), 3),
        "max": round(1000 * measured.percentile(1.0), 3),
        "packets": measured.received,
        "worker_percent": round(100 * cpu / seconds, 1),
        "us_per_packet": round(1e6 * cpu / packets, 2),
        "generator_percent": round(100 * measured.busy),
        "generator_behind_ms": round(1000 * measured.behind, 2),
    }


def _told(found: dict[str, Detail]) -> str:
    return (
        f"loss {100 * float(found['loss']):.3f} %, delay p50 {found['p50']} p99 {found['p99']} max {found['max']} ms, "
        f"worker {found['worker_percent']} % ({found['us_per_packet']} us a packet), "
        f"generator {found['generator_percent']} %, at worst {found['generator_behind_ms']} ms behind"
    )


def _cpu(pid: int) -> float:
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def _offer(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )


class Orders:
    """The plane as a program: an order, an answer."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def give(self, order: dict[str, Any]) -> dict[str, Any]:
        """Order something and wait for the answer. Raises BenchError when the plane has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the media plane has ended: {self._log.read_text(errors='replace')[-1500:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def plane(run: Run) -> Iterator[Orders]:
    """The media plane with one worker, on the switch's core, while the block lasts."""
    low = _free_ports(max(PROMPTS * 2, MOST * PORTS_OF_A_CALL) + 200)
    log = run.folder / "plane.log"
    last = low + max(PROMPTS * 2, MOST * PORTS_OF_A_CALL) + 199
    with log.open("ab") as errors:
        process = run.start_on_switch_core(
            [sys.executable, "-m", "scripts.benchmarks.plane", str(low), str(last)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    orders = Orders(process, log)
    try:
        orders.answer()
        yield orders
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)


def _free_ports(count: int) -> int:
    """The first of a run of ports, below those that the kernel gives out by itself."""
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    low = 10_000 if first - count > 10_000 else 40_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
    return low + 2 * (os.getpid() % 500)
