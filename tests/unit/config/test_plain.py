"""Plain YAML read line by line: the same tree as the parser's, to the column, or none at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.config import plain, source
from callcenter.config.problems import Problems, Source
from callcenter.config.shipped import DEFAULT_FOLDER
from callcenter.config.tree import Node
from scripts.benchmarks import floor


def parsed(text: str) -> Node | None:
    """What the parser makes of it; None when it finds a mistake."""
    problems = Problems()
    node = source._compose(text, Source("x.yaml", tuple(text.splitlines())), problems)
    return None if problems.all() else node


def quick(text: str) -> Node | None:
    return plain.read(text, Source("x.yaml", tuple(text.splitlines())))


AGENTS = """\
# Who answers.

agents:
  ana:
    name: Ana Pérez   # the first
    skills: {english: 4, spanish: 5}
    clients: [the-tech-giant, casa-lumina]
    pause: 30s
    greeting: "Hello: this is {agent} # 1"

  bob: {name: O'Brien, level: 0}
queues:
    sales:
        client: a
"""


def test_a_list_of_agents_is_read_as_the_parser_reads_it() -> None:
    found = quick(AGENTS)
    assert found is not None
    assert found == parsed(AGENTS)
    assert found.plain()["agents"]["ana"]["skills"] == {"english": 4, "spanish": 5}  # type: ignore[index, call-overload]


def test_a_floor_of_many_agents_needs_no_parser(tmp_path: Path) -> None:
    written = floor.write(tmp_path, 50)
    text = (written.config / "agents.yaml").read_text()
    assert quick(text) is not None
    assert quick(text) == parsed(text)


@pytest.mark.parametrize("path", sorted(DEFAULT_FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_what_is_shipped_is_the_same_either_way(path: Path) -> None:
    text = path.read_text()
    found = quick(text)
    assert found is None or found == parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: ~\n", "a: yes\n", "a: True\n", "a: 0x1f\n", "a: 1e3\n", "a: 010\n", "a: 2026-01-01\n", "a: 1.5\n",
        "a: &x 1\n", "a: *x\n", "a: !t b\n", "a: |\n  b\n", "a: >\n  b\n", "a: 'b'\n", 'a: "b\\n"\n', "a: b: c\n",
        "a:b\n", "a: b\n c\n", "a:\n", "a:\nb: c\n", "a:\n  b: c\n d: e\n", " a: b\nc: d\n", "a: b\na: c\n",
        "a: {b: c, b: d}\n", "a: {b: {c: d}}\n", "a: {b}\n", "a: {b:c}\n", "a: [b, [c]]\n", "a: [b\n  ,c]\n",
        "- a\n", "a:\n  - b\n", "a:\n- b\n", "---\na: b\n", "a: b\n---\nc: d\n", "a: b\n...\n",
        "%YAML 1.1\n---\na: b\n", "\ufeffa: b\n",
        "a:\tb\n", "\ta: b\n", "a: b#c\n", "a: b\r\n", "a: b", "", "\n", "# c\n", "a: \x07\n", "a: b\u2028c\n",
        "<<: {a: b}\n", "? a\n: b\n", "no: b\n", "a: {no: b}\n", "a: null\n", "a: [null]\n", "a: b\x85\n",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_parser(text: str) -> None:
    assert quick(text) is None


PIECES = st.sampled_from(
    [
        "a", "b-c", "Ana Pérez", "O'Brien", "1", "0", "20s", "1m", "{", "}", "[", "]", ", ", ": ", ":", "#", " # x",
        '"', "'", "\n", "\n", "\n  ", "\n  ", "\n    ", "\n\n", "true", "no", "null", "~", "- ", "a: b",
        "k: {a: 1, b: c}", "l: [x, y]", "x:\n  ", "&a ", "*a", "!t ", "|\n", "?", "@", "%", "`", "\t", "é",
        '"q: #"', "1.5", "0x1", "<<: ", "7k", "e5", "0b1", "1e", "f" * 64,
    ]
)  # fmt: skip
# Mostly right, so that much of it is read: lines of a mapping, indented anyhow.
LINES = st.builds(
    lambda depth, key, value, end: f"{'  ' * depth}{key}:{value}{end}\n",
    st.integers(0, 3),
    st.sampled_from(["a", "b", "c-1", "D_2", "no", "x"]),
    st.sampled_from(
        [
            "",
            "",
            " b",
            " Ana Pérez",
            " {a: b}",
            " { a: 1 , b: 20s }",
            " [a, 2]",
            ' "q: #"',
            " 0",
            " 12",
            " 1h",
            " 1 2",
            " a - b",
            " 2x",
            " -1",
            " +1",
            " a'b",
            " {a: no}",
            " [ a,b ]",
            " {a: b,c: d}",
            " a:b",
            " [a b, c]",
            " /x",
            " a  b",
            ' "a" b',
            ' {a: "b, c"}',
            ' ["a]"]',
            " 0s",
            " 2x3",
            " 12e3",
            " 1e3x",
            " 0x12",
            " k7wq2",
            " " + "5a" * 32,
            " " + "0b" + "01" * 31,
            " 12e" + "5" * 61,
            " 12e" + "5" * 60 + "c",
        ]
    ),
    st.sampled_from(["", "", "", " ", " # c", "  #", "#"]),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_whatever_is_read_without_the_parser_is_what_the_parser_reads(text: str) -> None:
    for each in (text, text + "\n"):
        found = quick(each)
        assert found is None or found == parsed(each)


@settings(max_examples=600, deadline=None)
@given(st.lists(LINES, max_size=7).map("".join))
def test_nearly_every_mapping_is_read_as_the_parser_reads_it(text: str) -> None:
    found = quick(text)
    assert found is None or found == parsed(text)
