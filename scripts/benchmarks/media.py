"""Media: what one worker on one core carries, by the thousand calls of the generator on the other.

Clean is what loses less than one packet in a thousand and delays (or, where we are who sends, is late with) fewer than
one in a hundred by 5 ms; of prompts by 3 ms. A recorder belongs to its worker: it runs on the same core. Beside the
relay rtpengine in userspace, when Debian's ``rtpengine-daemon`` is installed: the same core, generator, and run.
"""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks import tones
from scripts.benchmarks.generator import G722, PACKET, PCMU, Generator, Heard, Leg, Times, generator
from scripts.benchmarks.part import Aim, BenchError, Detail, Figure, Run, at_least, at_most
from scripts.benchmarks.relays import Plane, Relay, description, plane, rtpengine, rtpengine_is_here

BRIDGED, RECORDED, PROMPTS = 900, 400, 600
LOSS = 0.001
DELAY, LATENESS = 5.0, 3.0  # ms, of 99 packets in a hundred
# A minute of so many calls, in which not one frame is lost.
STEADY_CALLS, STEADY_SECONDS = 500, 60.0
CLIP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """So many at once, tried."""

    count: int
    clean: bool
    details: dict[str, Detail]


Try = Callable[[int], Attempt]


def measure(run: Run) -> list[Figure]:
    """One round."""
    with generator(run) as sounds:
        with plane(run) as ours:
            stage = Stage(run, sounds, ours)
            figures = [*stage.steady(), stage.bridged()]
            rest = [stage.recorded(), stage.prompts(), stage.transcoded(), stage.conferences()]
        return [*figures, *_beside(run, sounds, figures), *rest]


class Stage:
    """The generator and our plane."""

    def __init__(self, run: Run, sounds: Generator, ours: Plane) -> None:
        self._run = run
        self._sounds = sounds
        self._plane = ours
        self._tone = {PCMU: sounds.sound(tones.pcmu(440)), G722: sounds.sound(tones.g722(440))}
        self._seconds = run.pick(5.0, 2.0, 0.3)

    def steady(self) -> list[Figure]:
        """Not one frame may be lost or doubled in a minute. The first thing that the worker does: what it grows by
        is the memory of these calls.
        """
        calls = round(self._run.pick(STEADY_CALLS, STEADY_CALLS, 4))
        seconds = self._run.pick(STEADY_SECONDS, 4.0, 0.3)
        before = self._plane.memory
        found, memory = relayed(self._sounds, self._plane, calls, seconds, lambda: self._plane.memory)
        self._run.say(f"{calls} calls for {seconds:.0f} s: {told(found)}")
        wrong = int(found["lost"]) + int(found["doubled"])
        return [
            Figure(f"frames lost or doubled, {calls} calls for {seconds:g} s", "frames", wrong, at_most(0), found),
            Figure("relay of a packet", "us", float(found["us_per_packet"]), None, {"calls": calls}),
            Figure("memory of a bridged call in the worker", "kB", round((memory - before) / calls / 1000, 1)),
        ]

    def bridged(self) -> Figure:
        """The highest number of bridged calls."""
        return _bridged(self._run, self._sounds, self._plane, "bridged calls of one worker core", at_least(BRIDGED))

    def recorded(self) -> Figure:
        """The highest number of bridged calls of which each is recorded, whole, in two channels."""
        folder = self._run.folder / "recordings"

        def attempt(calls: int) -> Attempt:
            legs = range(2 * calls)
            offers = _pairs([description(self._sounds.port_of(leg)) for leg in legs])
            ports = self._plane.recorded(offers, folder)
            before = self._plane.spent
            heard = self._sounds.run([Leg(port) for port in ports], self._seconds)
            spent = self._plane.spent - before
            shortest, broken = self._plane.end()
            shutil.rmtree(folder)
            found = _relayed(heard) | _cost(spent, heard, len(legs)) | {"shortest_s": shortest, "broken": broken}
            whole = not broken and shortest >= heard.lasted
            return Attempt(calls, whole and clean(self._run, found, DELAY), found)

        best = highest(self._run, attempt, "calls recorded", start=RECORDED, most=1000)
        return Figure(
            "bridged calls, all recorded in two channels", "calls", best.count, at_least(RECORDED), best.details
        )

    def prompts(self) -> Figure:
        """How many hear a prompt at once while they send."""
        clip = self._run.folder / "prompt.wav"
        _write_clip(clip)

        def attempt(prompts: int) -> Attempt:
            offers = [description(self._sounds.port_of(leg)) for leg in range(prompts)]
            ports = self._plane.prompts(offers, clip, CLIP_SECONDS)
            found = self._streams([Leg(port) for port in ports])
            found["taken_percent"] = round(100 * self._plane.taken() / int(found["packets_to_it"]), 3)
            self._plane.close()
            all_taken = float(found["taken_percent"]) >= 100 * (1 - LOSS)
            return Attempt(prompts, all_taken and self._clean(found, LATENESS), found)

        best = highest(self._run, attempt, "prompts", start=PROMPTS, most=1500)
        return Figure("prompts played while receiving", "prompts", best.count, at_least(PROMPTS), best.details)

    def transcoded(self) -> Figure:
        """The highest number of calls between G.722 and PCMU."""

        def attempt(calls: int) -> Attempt:
            types = (G722, PCMU) * calls
            offers = _pairs([description(self._sounds.port_of(leg), own) for leg, own in enumerate(types)])
            ports = self._plane.calls(offers)
            legs = [Leg(port, own, self._tone[own], own) for port, own in zip(ports, types, strict=True)]
            found = self._streams(legs)
            self._plane.close()
            return Attempt(calls, self._clean(found, DELAY), found)

        best = highest(self._run, attempt, "calls between G.722 and PCMU", start=100, most=800)
        return Figure("calls transcoded from G.722 to PCMU and back", "calls", best.count, None, best.details)

    def conferences(self) -> Figure:
        """The highest number of conferences of three."""

        def attempt(conferences: int) -> Attempt:
            offers = [description(self._sounds.port_of(leg)) for leg in range(3 * conferences)]
            ports = self._plane.conferences([offers[at : at + 3] for at in range(0, len(offers), 3)])
            found = self._streams([Leg(port, sound=self._tone[PCMU]) for port in ports])
            self._plane.close()
            return Attempt(conferences, self._clean(found, DELAY), found)

        best = highest(self._run, attempt, "conferences of three", start=100, most=800)
        return Figure("conferences of three", "conferences", best.count, None, best.details)

    def _streams(self, legs: Sequence[Leg]) -> dict[str, Detail]:
        """Send, and take the streams that the plane makes."""
        before = self._plane.spent
        heard = self._sounds.run(legs, self._seconds)
        found = _details(heard, heard.lateness, heard.stream_loss(len(legs)), heard.came)
        wrong = {"blank": heard.blank, "wrong_type": heard.wrong_type, "twice": heard.twice}
        found.update({name: count for name, count in wrong.items() if count})
        return found | _cost(self._plane.spent - before, heard, len(legs))

    def _clean(self, found: dict[str, Detail], late: float) -> bool:
        wrong = any(name in found for name in ("blank", "wrong_type"))
        return not wrong and clean(self._run, found, late)


def relayed(
    sounds: Generator, relay: Relay, calls: int, seconds: float, at_end: Callable[[], int] = lambda: 0
) -> tuple[dict[str, Detail], int]:
    """So many bridged calls for so long; ``at_end`` is asked while they are still up."""
    legs = range(2 * calls)
    ports = relay.calls(_pairs([description(sounds.port_of(leg)) for leg in legs]))
    before = relay.spent
    heard = sounds.run([Leg(port) for port in ports], seconds)
    spent, asked = relay.spent - before, at_end()
    relay.close()
    return _relayed(heard) | _cost(spent, heard, len(legs)), asked


def clean(run: Run, found: dict[str, Detail], late: float) -> bool:
    """Whether hardly anything was lost, and late; in the tests nothing is judged by time."""
    return float(found["loss_percent"]) <= 100 * LOSS and (run.tiny or float(found["p99"]) <= late)


def highest(run: Run, attempt: Try, what: str, *, start: int, most: int) -> Attempt:
    """Up by a fifth until it is not clean, then halves; what was not clean is tried once more before it counts, but in
    a quick run.
    """
    if run.tiny:
        start = most = 4

    def tried(count: int) -> Attempt | None:
        for _ in range(1 if run.quick and not run.tiny else 2):
            found = attempt(count)
            run.say(f"{count} {what}: {told(found.details)}")
            if found.clean:
                return found
        return None

    count = start
    best, high = tried(count), most + 1
    while best is None and count > 4:
        high, count = count, count * 2 // 3
        best = tried(count)
    if best is None:
        raise BenchError(f"not even a few {what} go through clean")
    while best.count < most and high - best.count > max(10, best.count // 20):
        higher = min(best.count * 6 // 5, most) if high > most else (best.count + high) // 2
        found = tried(higher)
        if found is None:
            high = higher
        else:
            best = found
    return best


def told(found: dict[str, Detail]) -> str:
    """An attempt in words."""
    words = [
        f"loss {found['loss_percent']} %, p50 {found['p50']} p99 {found['p99']} max {found['max']} ms",
        f"relay {found['core_percent']} % of its core ({found['us_per_packet']} us a packet)",
        f"generator {found['generator_percent']} %, at worst {found['generator_behind_ms']} ms behind",
    ]
    return ", ".join(words)


def _bridged(run: Run, sounds: Generator, relay: Relay, name: str, aim: Aim | None) -> Figure:
    def attempt(calls: int) -> Attempt:
        found, _ = relayed(sounds, relay, calls, run.pick(5.0, 2.0, 0.3))
        return Attempt(calls, clean(run, found, DELAY), found)

    best = highest(run, attempt, "bridged calls", start=600, most=1500)
    return Figure(name, "calls", best.count, aim, best.details)


def _beside(run: Run, sounds: Generator, ours: Sequence[Figure]) -> list[Figure]:
    """The relay that others use, on the same core; nothing when it is not installed."""
    if not rtpengine_is_here():
        run.say("no rtpengine beside it: sudo apt-get install rtpengine-daemon, and stop its service")
        return []
    cost, bridged = ours[1], ours[3]
    with rtpengine(run) as engine:
        found, _ = relayed(sounds, engine, int(cost.details["calls"]), run.pick(10.0, 4.0, 0.3))
        run.say(f"{cost.details['calls']} calls through rtpengine: {told(found)}")
        theirs = _bridged(run, sounds, engine, "bridged calls of rtpengine in userspace", None)
    their_cost = float(found["us_per_packet"])
    told_beside = [
        theirs,
        Figure("our bridged calls to those of rtpengine", "times", round(bridged.value / theirs.value, 3), at_least(1)),
    ]
    if their_cost:  # less than a tick of the clock, in the shortest of runs, says nothing
        details = {"rtpengine_us_per_packet": their_cost, "calls": cost.details["calls"]}
        ratio = round(cost.value / their_cost, 3)
        told_beside.append(Figure("our CPU of a packet to that of rtpengine", "times", ratio, None, details))
    return told_beside


def _relayed(heard: Heard) -> dict[str, Detail]:
    found = _details(heard, heard.delays, heard.loss, heard.received)
    return found | {
        "lost": heard.sent - heard.received,
        "doubled": heard.doubled,
        "legs_that_lost": heard.legs_that_lost,
    }


def _details(heard: Heard, times: Times, loss: float, packets: int) -> dict[str, Detail]:
    return {
        "loss_percent": round(100 * loss, 4),
        "p50": round(times.percentile(0.5), 2),
        "p99": round(times.percentile(0.99), 2),
        "p999": round(times.percentile(0.999), 2),
        "max": round(times.worst, 2),
        "packets": packets,
        "generator_percent": round(100 * heard.busy),
        "generator_behind_ms": round(heard.behind_ms, 2),
    }


def _cost(cpu: float, heard: Heard, legs: int) -> dict[str, Detail]:
    """What carrying so many legs through warm-up and measurement has cost, for each packet that they sent."""
    packets = legs * round(heard.lasted / PACKET)
    return {
        "core_percent": round(100 * cpu / heard.lasted, 1),
        "us_per_packet": round(1e6 * cpu / packets, 2),
        "packets_to_it": packets,
    }


def _pairs(offers: Sequence[str]) -> list[Sequence[str]]:
    return [offers[at : at + 2] for at in range(0, len(offers), 2)]


def _write_clip(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tones.samples(440, CLIP_SECONDS, 8000).tobytes())
