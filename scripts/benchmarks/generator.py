"""RTP by the thousand: ``generator.c``, compiled here and run as a program of its own, on the generators' core.

A program in Python sends and takes what one worker relays, with hardly a core left over; what is to be measured beside
it takes more. The compiler is asked for only by who measures media.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.part import BenchError, Run
from scripts.benchmarks.program import Program

SLOTS = 20
PACKET = 0.02
# Static payload types (RFC 3551).
PCMU, PCMA, G722 = 0, 8, 9
# What a leg sends, when it is no sound that was given: packets that are known again one by one, or nothing.
STAMPED, NOTHING = -1, -2
# A stream shorter than this share of its time has lost more than its numbers tell.
WHOLE = 0.99

_SOURCE = Path(__file__).with_name("generator.c")
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg: to which port it sends, what, and of which payload type that is which comes back from there."""

    port: int
    type: int = PCMU
    sound: int = STAMPED
    expects: int = PCMU


@dataclass(frozen=True, slots=True)
class Times:
    """How often which time was seen, in microseconds, by steps of ten."""

    steps: Sequence[tuple[int, int]]
    worst: float

    def percentile(self, share: float) -> float:
        """So many of them are no longer, in milliseconds; infinite when there are none."""
        wanted = share * sum(count for _, count in self.steps)
        seen = 0
        for time, count in self.steps:
            seen += count
            if seen >= wanted:
                return time / 1000
        return float("inf")


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of the counted packets: ours that came back (``sent`` and so on), and streams of somebody else's."""

    seconds: float
    lasted: float
    """Seconds with the warm-up before."""
    sent: int
    received: int
    doubled: int
    legs_that_lost: int
    strange: int
    """What came from nowhere that we send to."""
    delays: Times
    """Of ours: how long they were under way."""

    streams: int
    """Legs to which a stream came."""
    silent: int
    """Of these, who heard nothing any more at the end."""
    came: int
    numbered: int
    """How many packets the streams should have had by their numbers."""
    twice: int
    blank: int
    """Packets of one octet alone: silence."""
    wrong_type: int
    lateness: Times
    """Of the streams' packets, each by its stream's own clock."""

    behind_ms: float
    """By how much our own slots were late at worst."""
    busy: float
    """Share of the core that the generator used."""

    @property
    def loss(self) -> float:
        """The share of our packets that never came back."""
        return max(0.0, 1 - self.received / self.sent) if self.sent else 1.0

    def stream_loss(self, legs: int) -> float:
        """The share of the streams to ``legs`` that never came, by their numbers or because they stood still."""
        due = legs * self.seconds / PACKET
        at_the_ends = 2 * legs
        if self.streams < legs or self.silent or self.came < WHOLE * due - at_the_ends:
            return max(0.01, 1 - self.came / due)
        return max(0.0, 1 - self.came / self.numbered)


class Generator:
    """The program at work."""

    def __init__(self, program: Program, warm: float) -> None:
        self._program = program
        self._warm = warm
        self.ports: list[int] = program.answer()["ports"]
        """Of each slot: where its legs take their sound."""

    def slot_of(self, leg: int) -> int:
        """Legs are dealt out in turn, the two of a call to different slots."""
        return (leg * 7 + leg // SLOTS) % SLOTS

    def port_of(self, leg: int) -> int:
        """Where a leg takes its sound."""
        return self.ports[self.slot_of(leg)]

    def sound(self, frames: Sequence[bytes]) -> int:
        """Frames of 20 ms that a leg may send round and round; the number of the sound."""
        order = f"sound {len(frames)} {len(frames[0])} {b''.join(frames).hex()}"
        number: int = self._program.order(order.encode())["sound"]
        return number

    def run(self, legs: Sequence[Leg], seconds: float) -> Heard:
        """Send on all legs; what is sent, or comes, after the warm-up is counted."""
        lines = [f"run {round(self._warm * 1000)} {round(seconds * 1000)} {len(legs)}"]
        lines += [f"{self.slot_of(at)} {leg.port} {leg.type} {leg.sound} {leg.expects}" for at, leg in enumerate(legs)]
        told = self._program.order("\n".join(lines).encode())
        return Heard(
            seconds=seconds,
            lasted=self._warm + seconds,
            delays=Times(told.pop("delays"), told.pop("worst_delay_us") / 1000),
            lateness=Times(told.pop("lateness"), told.pop("worst_late_us") / 1000),
            behind_ms=told.pop("behind_us") / 1000,
            **{name: told[name] for name in told if name != "unsent"},
        )


@contextlib.contextmanager
def generator(run: Run) -> Iterator[Generator]:
    """The generator while the block lasts. Raises BenchError without a compiler."""
    with subprocess.Popen([_compiled(run.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        program = Program(process, lambda: f"the generator has ended with {process.wait()}")
        try:
            yield Generator(program, run.pick(1.0, 1.0, 0.2))
        finally:
            program.end()


def _compiled(folder: Path) -> Path:
    program = folder / "generator"
    if not program.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            raise BenchError("media is measured by a program in C: sudo apt-get install gcc libc6-dev")
        done = subprocess.run([compiler, *_FLAGS, "-o", program, _SOURCE], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{_SOURCE.name} cannot be compiled: {done.stderr[-1000:].strip()}")
    return program
