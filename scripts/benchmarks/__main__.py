"""``scripts/bench``: measures the parts that are named, all without a name; a table at the end, JSON if wanted."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.benchmarks import machine
from scripts.benchmarks.part import PARTS, BenchError, Cores, Figure, Measure, Part, Run

SCHEMA = "callcenter-bench.v1"


@dataclass(slots=True)
class Measured:
    """What became of a part: its figures of each round, or why there are none."""

    part: Part
    rounds: list[list[Figure]] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0

    def figures(self) -> list[tuple[Figure, list[float]]]:
        """Each figure of the median round, with the values of all rounds."""
        found = []
        for at in range(min((len(figures) for figures in self.rounds), default=0)):
            same = sorted((figures[at] for figures in self.rounds), key=lambda figure: figure.value)
            found.append((same[(len(same) - 1) // 2], [figures[at].value for figures in self.rounds]))
        return found


def main() -> int:
    """Measure, tell, and write."""
    options = _options()
    chosen = [part for part in PARTS if not options.parts or part.name in options.parts]
    cores = machine.cores()
    facts = machine.facts()
    _say(" ".join(f"{name.replace('_', ' ')}: {value};" for name, value in facts.items()).rstrip(";"))
    if cores.shared:
        _say("this machine has one core: switch and generators share it, and the figures say less than half")
    else:
        _say(f"the switch and all that it starts on core {cores.switch}, the generators on core {cores.generator}")
    os.sched_setaffinity(0, {cores.generator})
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the switch that runs is stopped, the folder removed
    began = time.monotonic()
    measured: list[Measured] = []
    try:
        for at, part in enumerate(chosen, 1):
            _say(f"[{at}/{len(chosen)}] {part.name}: {part.title}")
            measured.append(measure(part, cores, options))
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    print(table(measured, facts, quick=options.quick or options.tiny))
    _say(f"{time.monotonic() - began:.0f} s in all")
    if options.json is not None:
        options.json.write_text(json.dumps(report(measured, facts, cores, options), indent=1) + "\n")
    return 1 if any(each.error for each in measured) else 0


def measure(part: Part, cores: Cores, options: argparse.Namespace) -> Measured:
    """All rounds of a part; a part that fails ends with its reason, and the others go on."""
    result = Measured(part)
    rounds = options.rounds or (1 if options.quick or options.tiny else part.rounds)
    run_part: Measure = importlib.import_module(f"scripts.benchmarks.{part.module}").measure
    began = time.monotonic()
    for at in range(rounds):
        if rounds > 1:
            _say(f"   round {at + 1} of {rounds}")
        try:
            with tempfile.TemporaryDirectory(prefix="callcenter-bench-") as folder:
                result.rounds.append(run_part(Run(options.quick or options.tiny, Path(folder), cores, options.tiny)))
        except BenchError as error:
            result.error = str(error)
            _say(f"   {part.name} could not be measured: {error}")
            break
    result.seconds = round(time.monotonic() - began, 1)
    return result


def table(measured: Sequence[Measured], facts: dict[str, Any], *, quick: bool) -> str:
    """The figures beside the aims."""
    rows = [("", "measured", "aim", "", "")]
    for each in measured:
        for figure, _ in each.figures():
            aim = figure.aim
            goal = f"{aim.better.value} {aim.value:g} {figure.unit}" if aim is not None else ""
            met = "" if aim is None else "met" if aim.met(figure.value) else "not met"
            notes = [f"{figure.details[key]} {words}" for key, words in NOTES.items() if key in figure.details]
            rows.append((figure.name, f"{figure.value:g} {figure.unit}", goal, met, "; ".join(notes)))
        if each.error:
            rows.append((each.part.name, "-", "", "failed", each.error.splitlines()[-1][:80]))
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
             for row in rows]  # fmt: skip
    kind = "one short round" if quick else "medians"
    where = f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, load {facts['load_at_start']} at start"
    return "\n".join(["", *lines, "", f"{kind}; {where}"])


NOTES = {
    "cpu_ms_each": "ms CPU each",
    "p50": "p50",
    "p99": "p99",
    "max": "max",
    "rss_kb_each": "kB resident",
    "cpu_s": "s CPU",
    "us_per_packet": "us CPU a packet",
}
"""The details that stand in the table too, and in which words."""


def report(
    measured: Sequence[Measured], facts: dict[str, Any], cores: Cores, options: argparse.Namespace
) -> dict[str, Any]:
    """All of it, for machines."""
    return {
        "schema": SCHEMA,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick or options.tiny,
        "machine": {**facts, "switch_core": cores.switch, "generator_core": cores.generator},
        "parts": [
            {
                "name": each.part.name,
                "title": each.part.title,
                "seconds": each.seconds,
                "error": each.error or None,
                "figures": [_figure(figure, values) for figure, values in each.figures()],
            }
            for each in measured
        ],
    }


def _figure(figure: Figure, values: list[float]) -> dict[str, Any]:
    aim = figure.aim
    return {
        "name": figure.name,
        "unit": figure.unit,
        "value": figure.value,
        "aim": None if aim is None else {"better": aim.better.value, "value": aim.value, "met": aim.met(figure.value)},
        "rounds": values,
        "details": dict(figure.details),
    }


def _options() -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures the switch on one core, with the generators on another.",
        epilog="parts: " + "; ".join(f"{part.name} ({part.title})" for part in PARTS),
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure (default: all): {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one short round of each: all parts in five minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds of each part (default: 3, quick: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in names]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(names)}")
    if options.rounds is not None and not 1 <= options.rounds <= 99:
        parser.error("--rounds: write a number from 1 to 99")
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
