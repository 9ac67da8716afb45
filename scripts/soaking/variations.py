"""Variations: the configuration of one floor in ever other words, drawn from a seed; and wrong ones in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scripts.benchmarks.floor import NUMBER

# Most agents can do what is asked, however it is varied: callers must not wait for want of agents.
MOST_ASKED = 2
GUESTS = ("guest-one", "guest-two", "guest-three")
# What it does to a file that an operator is not through with, or mistyped.
MISTAKES = (
    ("client: bench", "client: bnech"),
    ("english: ", "english: 9"),
    ("prompt: menu", "prompt: menu\n        chioces: {}"),
    ("queues:\n", "queues: [\n"),
    ("ring_for: ", "ring_for: soon"),
)


@dataclass(slots=True)
class Variation:
    """What varies. ``queue`` is the name of the queue that calls wait in, ``was`` the one it had before.

    The old name stands there on: calls that are older than the new one still come by it.
    """

    random: Random
    agents: Sequence[str]
    queue: str = "sales"
    was: str = ""
    asked: int = 1
    either: bool = False
    ring_for: int = 20
    max_wait: int = 300
    priority: int = 0
    alias: bool = True
    spare: bool = False
    trunk: bool = False
    hours: bool = False
    guests: frozenset[str] = frozenset()
    levels: dict[str, int] = field(default_factory=dict)
    serial: int = 0

    def step(self) -> str:
        """Vary one thing, or some; what, in words."""
        draw = self.random
        self.serial += 1
        told = []
        for _ in range(draw.choice((1, 1, 2, 4))):
            match draw.randrange(11):
                case 0:
                    self.was, self.queue = self.queue, "sold" if self.queue == "sales" else "sales"
                    told.append(f"{self.was} is {self.queue}")
                    break
                case 1:
                    self.asked = draw.randint(1, MOST_ASKED)
                    told.append(f"english {self.asked}")
                case 2:
                    self.either = not self.either
                    told.append("one of two skills" if self.either else "one skill")
                case 3:
                    self.ring_for, self.max_wait = draw.randint(10, 40), draw.randint(120, 600)
                    told.append("other times")
                case 4:
                    self.priority = draw.randint(-5, 5)
                    told.append("another priority")
                case 5:
                    self.alias, self.spare = draw.random() < 0.5, draw.random() < 0.5
                    told.append("a number, a queue")
                case 6:
                    self.trunk = not self.trunk
                    told.append("a trunk comes" if self.trunk else "a trunk goes")
                case 7:
                    self.hours = not self.hours
                    told.append("hours come" if self.hours else "hours go")
                case 8:
                    self.guests = frozenset(name for name in GUESTS if draw.random() < 0.5)
                    told.append(f"{len(self.guests)} guests")
                case 9:
                    for agent in draw.sample(list(self.agents), k=min(3, len(self.agents))):
                        self.levels[agent] = draw.randint(MOST_ASKED, 5)
                    told.append("other skills")
                case _:
                    told.append("a comment")
        return ", ".join(told)

    def write(self, folder: Path) -> None:
        """Write the files, each in one go."""
        for name, text in self.files().items():
            beside = folder / f".{name}"
            beside.write_text(text)
            beside.replace(folder / name)

    def spoil(self, folder: Path) -> None:
        """Write files with a mistake in one of them."""
        old, new = self.random.choice(MISTAKES)
        texts = self.files()
        name = next(name for name, text in texts.items() if old in text)
        (folder / name).write_text(texts[name].replace(old, new, 1))

    def files(self) -> dict[str, str]:
        """The files by their names."""
        needs = f"any: [{{english: {self.asked}}}, {{sales: 3}}]" if self.either else f"english: {self.asked}"
        was = f"\n    was: {self.was}" if self.was else ""
        aliases = ', aliases: ["1000"]' if self.alias else ""
        door = "    - hours: {name: always, closed: [hangup]}\n" if self.hours else ""
        flows = f"""\
# The {self.serial}. of them.
clients:
  bench: {{name: Bench, languages: [en], time_zone: Europe/Madrid}}
numbers:
  "{NUMBER}": {{client: bench, flow: welcome{aliases}}}
prompts:
  menu: {{en: {{file: menu.wav}}}}
music:
  waiting: waiting.wav
calls: {{timeout: 20s, music: waiting}}
queues:
  {self.queue}:
    client: bench
    requirements: {{{needs}}}
    priority: {self.priority}
    ring_for: {self.ring_for}s
    max_wait: {self.max_wait}s{was}
flows:
  welcome:
{door}    - menu:
        id: main
        prompt: menu
        choices:
          "1": {{intent: sales, then: [{{queue: {self.queue}}}]}}
"""
        if self.spare:
            flows = flows.replace("flows:\n", '  spare: {client: bench, extension: "77"}\nflows:\n')
        if self.hours:
            flows += "hours:\n  always: {open: {daily: 00:00-24:00}}\n"
        people = [_agent(name, self.levels.get(name, 1 + at % 5)) for at, name in enumerate(self.agents)]
        people += [_agent(name, 3) for name in sorted(self.guests)]
        carrier = "{peers: 192.0.2.1, qualify: never, accept: {networks: 192.0.2.0/24}}"
        return {
            "flows.yaml": flows,
            "agents.yaml": "acd: {reasons: {lunch: Lunch}}\nagents:\n" + "".join(people),
            "trunks.yaml": f"trunks:\n  carrier: {carrier}\n" if self.trunk else "# none\n",
        }


def _agent(name: str, level: int) -> str:
    return f"  {name}: {{name: {name.title()}, skills: {{english: {level}, sales: 3}}, clients: [bench]}}\n"
