"""The signalling alone: how many legs a second the SIP layers answer, and what the CPU of one is.

What is measured is ``answerer``: the endpoint and its real sockets, without calls, media, database and broker.
"""

from __future__ import annotations

import sys

import uvloop

from scripts.benchmarks import machine
from scripts.benchmarks.answered import best_rate
from scripts.benchmarks.part import Figure, Run, at_least, at_most
from scripts.benchmarks.switch import started

AIM = 1000
CPU_AIM = 0.8  # ms


def measure(run: Run) -> list[Figure]:
    """One round."""
    with started(run, [sys.executable, "-m", "scripts.benchmarks.answerer"]) as answerer:
        best = uvloop.run(best_rate(run, answerer))
    # What is less than a tick of the clock in /proc cannot be told from nothing.
    least = 1000 * machine.TICK / (best.rate * float(best.details["seconds"]))
    cpu = max(float(best.details["cpu_ms_each"]), round(least, 3))
    return [
        Figure("legs answered, signalling alone", "1/s", best.rate if best.clean else 0.0, at_least(AIM), best.details),
        Figure("signalling of a leg", "ms", cpu, at_most(CPU_AIM), best.details),
    ]
