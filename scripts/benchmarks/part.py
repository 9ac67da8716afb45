"""The shape of a part: what it is given, what it returns, and what we aim at."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Detail = float | int | str


class Better(StrEnum):
    """Which way is the better one."""

    MORE = "at least"
    LESS = "at most"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should come to on one core."""

    value: float
    better: Better

    def met(self, value: float) -> bool:
        """Whether a figure comes up to it."""
        return value >= self.value if self.better is Better.MORE else value <= self.value


def at_least(value: float) -> Aim:
    """An aim of which more is better."""
    return Aim(value, Better.MORE)


def at_most(value: float) -> Aim:
    """An aim of which less is better."""
    return Aim(value, Better.LESS)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``details`` stand beside it: the percentiles, the CPU of each call, what was lost."""

    name: str
    unit: str
    value: float
    aim: Aim | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


class BenchError(Exception):
    """A part could not be measured; one line says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. They are the same core where there is only one."""

    switch: int
    generator: int

    @property
    def shared(self) -> bool:
        """Whether generator and switch take each other's time."""
        return self.switch == self.generator


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one part. ``folder`` is its own, and gone afterwards."""

    quick: bool
    folder: Path
    cores: Cores
    tiny: bool = False  # the shortest form that still runs through every line, for the tests

    def say(self, text: str) -> None:
        """Tell whoever watches how far it is."""
        print(f"   {text}", file=sys.stderr, flush=True)

    def pick(self, full: float, quick: float, tiny: float) -> float:
        """A length of the measurement: seconds, calls, agents."""
        return tiny if self.tiny else quick if self.quick else full

    def start_on_switch_core(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program of the switch: it and all that it starts stay on the switch's core."""
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.cores.switch})  # inherited by the child; we are single-threaded here
        try:
            return subprocess.Popen(command, cwd=ROOT, preexec_fn=_end_with_us, **options)  # noqa: PLW1509  one thread
        finally:
            os.sched_setaffinity(0, own)


def _end_with_us() -> None:
    """In the child: be killed when the measuring process is gone, however that ended (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


Measure = Callable[[Run], list[Figure]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part by its name. ``module`` is imported only when it is asked for."""

    name: str
    title: str
    module: str
    rounds: int = 3


PARTS = (
    Part("signalling", "legs answered a second by the SIP layers alone, and the CPU of one", "signalling"),
    Part("answered", "answered calls a second, sustained clean", "answered"),
    Part("whole", "whole calls a second: dial, prompt, digit, queue, agent, bridge, BYE", "whole"),
    Part("registrations", "registrations a second, with digest", "registrations"),
    Part("media", "what one media worker carries: bridged, played, transcoded, mixed; rtpengine beside it", "media"),
    Part("latency", "digit to the agent's INVITE; agent free to the next offer", "latency"),
    Part("prompt", "answer to the first packet of the prompt; key to its last", "prompt"),
    Part("memory", "memory of a call", "memory"),
    Part("growth", "growth of memory over 100,000 answered calls", "growth", rounds=1),
    Part("acd", "a decision of the ACD with 10,000 agents, 1,000 queues and 100,000 waiting", "acd"),
    Part("startup", "start with 1,000 agents", "startup"),
)
