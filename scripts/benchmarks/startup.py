"""Start: from the start of the process to its ready line, with so many agents, whose passwords exist already."""

from __future__ import annotations

from scripts.benchmarks import floor, machine
from scripts.benchmarks.part import Figure, Run, at_most
from scripts.benchmarks.switch import running

AIM = 1.5
AGENTS = 1000


def measure(run: Run) -> list[Figure]:
    """One round: a first start that makes the database, then the one that counts."""
    agents = round(run.pick(AGENTS, AGENTS, 20))
    people = floor.write(run.folder, agents)
    with running(run, people) as first:
        run.say(f"first start with {agents} agents: {first.started_in:.2f} s")
    with running(run, people) as switch:
        run.say(f"second start: {switch.started_in:.2f} s")
        spent = machine.cost(switch.pid)
    details = {"agents": agents, "first_start_s": round(first.started_in, 3), "cpu_s": round(spent.total, 2)}
    return [Figure(f"start with {agents} agents", "s", round(switch.started_in, 3), at_most(AIM), details)]
