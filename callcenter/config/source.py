"""The YAML files as one tree in which every value knows its place, and ``--set`` arguments put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from callcenter.config import plain
from callcenter.config.problems import Code, Place, Problems, Source
from callcenter.config.tree import Entry, Node

MAX_FILE = 1 << 20
"""Bytes of one file; a floor of a thousand agents takes a tenth of it."""

MAX_VALUES = 200_000
"""Values of one file with its aliases written out: aliases of aliases grow without end."""

MAX_DEPTH = 40


def is_configuration(path: Path) -> bool:
    """Whether a file of a folder is read, by its name."""
    return path.suffix in (".yaml", ".yml")


def read_folder(folder: Path, problems: Problems) -> Node:
    """Every ``*.yaml`` of a folder as one mapping of sections; a section may be spread over files."""
    whole = Source(str(folder), ())
    root = Node(Place(whole), {})
    try:
        files = sorted(path for path in folder.iterdir() if is_configuration(path) and path.is_file())
    except OSError as error:
        problems.add(
            Code.FILE,
            root.place,
            "",
            f"the folder cannot be read: {error.strerror}",
            "name a folder with YAML files: --config DIR",
        )
        return root
    if not files:
        problems.add(
            Code.FILE,
            root.place,
            "",
            "there is no *.yaml file in this folder",
            "leave --config out to run what is shipped, or copy that folder",
        )
    for path in files:
        _read_file(path, root, problems)
    return root


def override(root: Node, argument: str, problems: Problems) -> None:
    """Put one ``--set path=value`` into the tree. The value is YAML; a number in the path counts in a list."""
    source = Source(f"--set {argument}", (argument,))
    path, equals, text = argument.partition("=")
    steps, at = _steps(path), 1
    place = Place(source, 1, 1, max(2, len(path) + 1))
    if not equals or not steps or not all(step for step, _ in steps):
        problems.add(Code.OVERRIDE, place, "", "this is not path=value", "write it as sip.realm=example.org")
        return
    value = _compose(" " * (len(path) + 1) + text, source, problems) or Node(Place(source, 1, len(path) + 2), None)
    node = root
    for number, (step, at) in enumerate(steps):
        here = Place(source, 1, at, at + len(step))
        last = number == len(steps) - 1
        if isinstance(node.value, list):
            index = int(step) if step.isdecimal() else -1
            if not 0 <= index <= len(node.value):
                problems.add(
                    Code.OVERRIDE,
                    here,
                    path,
                    f"`{step}` does not count in this list",
                    f"write a number from 0 to {len(node.value)}",
                )
                return
            if index == len(node.value):
                node.value.append(Node(here, {}))
            if last:
                node.value[index] = value
            node = node.value[index]
            continue
        if node.value is None:
            node.value = {}
        if not isinstance(node.value, dict):
            problems.add(
                Code.OVERRIDE,
                here,
                path,
                f"there is nothing under a value: `{step}`",
                "set what stands before it, or look at its place in the file",
            )
            return
        entry = node.value.get(step)
        if entry is None or last:
            entry = node.value[step] = Entry(here, value if last else Node(here, {}))
        node = entry.node


def _steps(path: str) -> list[tuple[str, int]]:
    """The steps of a dotted path with their columns; ``"a.b"`` in quotes is one step."""
    steps: list[tuple[str, int]] = []
    word, quote, start = "", "", 1
    for column, letter in enumerate(path.rstrip(), 1):
        if quote or letter in "\"'":
            if not quote:
                quote = letter
            elif letter == quote:
                quote = ""
            else:
                word += letter
        elif letter == ".":
            steps.append((word, start))
            word, start = "", column + 1
        else:
            word += letter
    return [*steps, (word, start)]


def _read_file(path: Path, root: Node, problems: Problems) -> None:
    whole = Place(Source(path.name, ()))
    try:
        raw = path.read_bytes()
    except OSError as error:
        problems.add(Code.FILE, whole, "", f"the file cannot be read: {error.strerror}")
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problems.add(Code.SYNTAX, whole, "", f"line {line} is not UTF-8", "save the file as UTF-8")
        return
    if len(raw) > MAX_FILE:
        problems.add(Code.FILE, whole, "", f"the file is larger than {MAX_FILE >> 10} kB", "spread it over files")
        return
    source = Source(path.name, tuple(text.splitlines()))
    node = read_text(text, source, problems)
    if node is None or node.value is None:
        return
    if not isinstance(node.value, dict):
        problems.add(Code.TYPE, node.place, "", "a configuration file holds sections", "begin as in `sip:`")
        return
    for name, entry in node.value.items():
        _merge(root, name, entry, problems)


def read_text(text: str, source: Source, problems: Problems) -> Node | None:
    """The tree of one text; None for one that says nothing, or cannot be read."""
    return plain.read(text, source) or _compose(text, source, problems)


def _merge(root: Node, name: str, entry: Entry, problems: Problems) -> None:
    assert isinstance(root.value, dict)
    there = root.value.get(name)
    if there is None or there.node.value is None:
        root.value[name] = entry
        return
    if entry.node.value is None:
        return
    if not isinstance(there.node.value, dict) or not isinstance(entry.node.value, dict):
        problems.add(Code.TWICE, entry.place, name, f"`{name}` was given before, at {there.place}", "take one away")
        return
    for key, inner in entry.node.value.items():
        before = there.node.value.setdefault(key, inner)
        if before is not inner:
            problems.add(
                Code.TWICE,
                inner.place,
                f"{name}.{key}",
                f"`{key}` was given before, at {before.place}",
                "take one away",
            )


def _compose(text: str, source: Source, problems: Problems) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    try:
        documents = list(yaml.compose_all(text))
        if len(documents) > 1:
            first = documents[1].start_mark.line if documents[1] else len(source.lines)
            line = next((n for n in range(first, 0, -1) if source.lines[n - 1].startswith("---")), first)
            problems.add(
                Code.SYNTAX,
                Place(source, line, 1, 4),
                "",
                "a second document begins here",
                "take the `---` away",
            )
            return None
        return _Builder(source, problems).build(documents[0], "", 0) if documents and documents[0] else None
    except _TooMuchError as error:
        problems.add(Code.SYNTAX, Place(source), "", str(error), "write it without so many aliases")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1, mark.column + 2) if mark else Place(source)
        words = [error.problem or "", error.context or ""]
        problems.add(Code.SYNTAX, place, "", " ".join(word for word in words if word), _syntax_hint(source, place))
    except (YAMLError, RecursionError) as error:
        problems.add(Code.SYNTAX, Place(source), "", str(error).splitlines()[0] if str(error) else "nested too deep")
    return None


class _TooMuchError(Exception):
    pass


class _Builder:
    """Nodes of ours from ruamel's: scalars resolved by YAML 1.2, aliases written out, keys given twice told."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._count = 0

    def build(self, node: Any, path: str, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            raise _TooMuchError("the aliases of this file make it too large")
        place = self._place(node)
        match node:
            case ScalarNode():
                return Node(place, _scalar(node))
            case SequenceNode():
                items = [self.build(item, f"{path}.{at}", depth + 1) for at, item in enumerate(node.value)]
                return Node(place, items)
            case _:
                return Node(place, dict(self._entries(node, path, depth)))

    def _entries(self, mapping: MappingNode, path: str, depth: int) -> Iterator[tuple[str, Entry]]:
        seen: dict[str, Entry] = {}
        merged: list[Any] = []
        for key, value in mapping.value:
            place = self._place(key)
            if not isinstance(key, ScalarNode):
                self._problems.add(Code.TYPE, place, path.lstrip("."), "a key is one word", "write `key: value`")
                continue
            if key.tag == "tag:yaml.org,2002:merge" or key.value == "<<":
                merged += value.value if isinstance(value, SequenceNode) else [value]
                continue
            name = _text(key)
            inner = f"{path}.{name}"
            if name in seen:
                self._problems.add(
                    Code.TWICE,
                    place,
                    inner.lstrip("."),
                    f"`{name}` was given before, at {seen[name].place}",
                    "take one away",
                )
                continue
            seen[name] = Entry(place, self.build(value, inner, depth + 1))
        for each in merged:
            if isinstance(each, MappingNode):
                for name, entry in self._entries(each, path, depth + 1):
                    seen.setdefault(name, entry)
        yield from seen.items()

    def _place(self, node: Any) -> Place:
        start, end = node.start_mark, node.end_mark
        stop = end.column if end.line == start.line else start.column + 1
        return Place(self._source, start.line + 1, start.column + 1, max(stop, start.column + 1) + 1)


def _scalar(node: ScalarNode) -> bool | int | float | str | None:
    text = _text(node)
    match str(node.tag).rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" if text.lstrip("-").isdecimal() and str(int(text)) == text:
            # `+18005550100` and `0800` are numbers to YAML; as telephone numbers they must stay as they are written.
            return int(text)
        case "float":
            return float(text) if str(float(text.replace("_", ""))) == text else text
        case _:
            return text


def _text(node: ScalarNode) -> str:
    """The text of a scalar; pairs of surrogates that were written as escapes (as JSON does) made one letter."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _syntax_hint(source: Source, place: Place) -> str:
    line = source.lines[place.line - 1] if 1 <= place.line <= len(source.lines) else ""
    if "\t" in line[: max(1, place.column)]:
        return "indent by spaces, YAML knows no tabs"
    if line.count(": ") > 1 and not line.count('"'):
        return "put a text that holds `: ` into quotes"
    return "look at the quotes, colons and the indentation here and on the line before"
