"""A small floor to break in tests: YAML in which « and » mark where a mistake must be pointed at."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import pytest

from callcenter.config import Code, ConfigError, Problem, Settings, load
from callcenter.speech.wav import RATE, Sound, write

GOOD = """\
# A floor that is well configured.
clients:
  acme: {name: Acme, languages: [en]}
numbers:
  "+15555550100": {client: acme, flow: welcome, aliases: ["1000"]}
flows:
  welcome:
    - say: hello
    - menu:
        prompt: hello
        choices:
          "1": {intent: sales, then: [{queue: sales}]}
    - hangup
queues:
  sales: {client: acme, requirements: {english: 3}}
agents:
  ana: {name: Ana, skills: {english: 4}, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
"""


@dataclass(frozen=True)
class Marked:
    """YAML without its marks, and where they stood: line, column and the column behind, from 1."""

    text: str
    spans: tuple[tuple[int, int, int], ...]


def marked(text: str) -> Marked:
    """Take the marks out of a text."""
    lines, spans = [], []
    for number, line in enumerate(text.splitlines(), 1):
        while "«" in line:
            start = line.index("«")
            end = line.index("»") - 1
            line = line.replace("«", "", 1).replace("»", "", 1)
            spans.append((number, start + 1, end + 1))
        lines.append(line)
    return Marked("\n".join(lines) + "\n", tuple(spans))


def write_floor(folder: Path, text: str = GOOD, **more: str) -> Path:
    """A configuration folder: ``floor.yaml``, further files by their stems, and a recording."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "floor.yaml").write_text(text, "utf-8")
    for name, other in more.items():
        (folder / f"{name}.yaml").write_text(other, "utf-8")
    write(folder / "hello.wav", Sound(RATE, array("h", [0, 900, 0, -900] * 400)))
    return folder


def load_text(folder: Path, text: str = GOOD, *overrides: str) -> Settings:
    """The settings of a text, with a data folder beside it."""
    return load(write_floor(folder / "config", text), overrides, data=folder / "data")


def problems_of(folder: Path, text: str, *overrides: str) -> tuple[Problem, ...]:
    """The problems of a text, which must have some."""
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, *overrides)
    return caught.value.problems


def span(problem: Problem) -> tuple[int, int, int]:
    """Where a problem points."""
    place = problem.place
    return place.line, place.column, place.end


def is_pointed_at(folder: Path, text: str, code: Code, message: str = "", hint: str = "") -> None:
    """What is marked in the text is what is told of it under this code, in these words, and with what to write."""
    yaml = marked(text)
    found = [problem for problem in problems_of(folder, yaml.text) if problem.code is code]
    assert [span(problem) for problem in found] == list(yaml.spans), [str(problem) for problem in found]
    assert message in found[0].message
    assert hint in found[0].hint
