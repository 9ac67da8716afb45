"""What machine this is, which core belongs to whom, and what a process costs: all of it from ``/proc``."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.part import Cores, Detail

TICK = 1 / os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def cores() -> Cores:
    """The first two cores we may use: the switch's and the generators'; one for both where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1] if len(allowed) > 1 else allowed[0])


def facts() -> dict[str, Detail]:
    """The machine in words."""
    found = re.search(r"^model name\s*:\s*(.+)$", _text(PROC / "cpuinfo"), re.MULTILINE)
    return {
        "cpu": found[1] if found else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of the switch's processes since they began: its own, its media workers', its broker's."""

    main: float = 0.0
    workers: float = 0.0
    broker: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.main + self.workers + self.broker

    def since(self, before: Cost) -> Cost:
        """What was added."""
        return Cost(self.main - before.main, self.workers - before.workers, self.broker - before.broker)

    def per(self, count: int) -> dict[str, Detail]:
        """Milliseconds of each of ``count`` calls, as the details of a figure."""
        each = 1000 / max(1, count)
        return {
            "cpu_ms_each": round(self.total * each, 3),
            "cpu_ms_main": round(self.main * each, 3),
            "cpu_ms_workers": round(self.workers * each, 3),
            "cpu_ms_broker": round(self.broker * each, 3),
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the switch and its media workers: resident, and what they have written and nobody else shares."""

    rss: int
    uss: int


def cost(pid: int) -> Cost:
    """The CPU of the switch ``pid`` and of all that it started."""
    sums = {"main": 0.0, "workers": 0.0, "broker": 0.0}
    for each in family(pid):
        fields = _text(PROC / str(each) / "stat").rpartition(")")[2].split()
        if len(fields) > 12:
            sums[_role(each, pid)] += (int(fields[11]) + int(fields[12])) * TICK
    return Cost(**sums)


def memory(pid: int) -> Memory:
    """The memory of the switch and its media workers."""
    each = [alone(one) for one in family(pid) if _role(one, pid) != "broker"]
    return Memory(sum(one.rss for one in each), sum(one.uss for one in each))


def alone(pid: int) -> Memory:
    """The memory of one process."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _text(PROC / str(pid) / "smaps_rollup"), re.MULTILINE))
    rss = int(sizes.get("Rss", 0)) * 1024
    # Not what it has only read of files: that is its own or shared as others come and go who read the same.
    return Memory(rss, int(sizes.get("Private_Dirty", 0)) * 1024)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found, at = [pid], 0
    while at < len(found):
        for task in sorted((PROC / str(found[at]) / "task").glob("*/children")):
            found += [int(child) for child in _text(task).split()]
        at += 1
    return found


def _role(pid: int, main: int) -> str:
    if pid == main:
        return "main"
    return "broker" if "mosquitto" in _text(PROC / str(pid) / "comm") else "workers"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""
