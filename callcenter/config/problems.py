"""Problem: one mistake in the configuration, with its place, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """What kind of mistake it is; stable, so that a reader may search for it."""

    SYNTAX = "CFG001"
    CHOICE = "CFG002"
    FORM = "CFG003"
    UNKNOWN_KEY = "CFG004"
    MISSING = "CFG005"
    TWICE = "CFG006"
    TYPE = "CFG007"
    DURATION = "CFG008"
    FILE = "CFG009"
    OVERRIDE = "CFG010"
    UNSET = "CFG011"
    NAMES_NOTHING = "REF101"
    SAME_NUMBER = "REF102"
    NO_TRANSLATION = "REF103"
    NOBODY_SERVES = "REF104"
    ENDLESS = "REF105"
    UNUSED = "REF106"
    OTHER_CLIENT = "REF107"
    SAME_STEP = "REF108"
    UNREACHED = "REF109"
    HOURS = "REF110"
    SAME_SOURCE = "REF111"
    SKILL = "REF112"
    CODEC = "REF113"
    NO_RECORDING = "PRM201"
    UNREADABLE = "PRM202"
    NO_VOICE = "PRM203"
    POSITION = "PRM204"


@dataclass(frozen=True, slots=True)
class Source:
    """A text that configures: a file, or a ``--set`` argument."""

    name: str
    lines: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a source, counted from 1; line 0 means the source as a whole. ``end`` is the column behind it."""

    source: Source
    line: int = 0
    column: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}" if self.line else self.source.name


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. A ``warning`` does not keep the switch from starting."""

    code: Code
    place: Place
    path: str
    message: str
    hint: str = ""
    warning: bool = False

    def __str__(self) -> str:
        """One line: place, code, path and message."""
        kind = "warning: " if self.warning else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.place}: {self.code} {kind}{path}{self.message}"

    def excerpt(self) -> str:
        """The line above, then the line of the source with a caret and the hint under it."""
        place = self.place
        if not 1 <= place.line <= len(place.source.lines):
            return f"{self}\n   = {self.hint}\n" if self.hint else f"{self}\n"
        text = place.source.lines[place.line - 1].replace("\t", " ")
        margin = max(3, len(str(place.line)) + 2)
        bar = " " * margin + "|"
        carets = "^" * max(1, min(place.end, len(text) + 1) - place.column)
        pointer = f"{bar} {' ' * (place.column - 1)}{carets} {self.hint}".rstrip()
        return f"{self}\n{bar}\n{place.line:>{margin - 1}} | {text}\n{pointer}\n"


class ConfigError(Exception):
    """The configuration cannot be used: every mistake in it, in the order of files and lines, warnings too."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems if not problem.warning))


class Problems:
    """Gathers what is found; more than ``MOST`` helps nobody."""

    MOST = 200

    def __init__(self) -> None:
        self._found: dict[tuple[Place, Code, str], Problem] = {}

    def add(self, code: Code, place: Place, path: str, message: str, hint: str = "", *, warning: bool = False) -> None:
        """Note a mistake. The same one at the same place is noted once."""
        if len(self._found) < self.MOST:
            self._found.setdefault((place, code, message), Problem(code, place, path, message, hint, warning))

    def all(self) -> tuple[Problem, ...]:
        """Everything found, by file and line, arguments last."""
        return tuple(
            sorted(
                self._found.values(),
                key=lambda p: (p.place.source.name.startswith("--"), p.place.source.name, p.place.line, p.place.column),
            )
        )

    def has(self, *codes: Code) -> bool:
        """Whether one of these kinds was found."""
        return any(problem.code in codes for problem in self._found.values())

    @property
    def fatal(self) -> bool:
        """Whether the switch must not start."""
        return any(not problem.warning for problem in self._found.values())


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint with the nearest known word; else the known ones, when they are few; else ``otherwise``."""
    words = sorted(known)
    near = difflib.get_close_matches(word.lower(), [w.lower() for w in words], n=1, cutoff=0.6)
    if near:
        return f"did you mean `{next(w for w in words if w.lower() == near[0])}`?"
    if otherwise:
        return otherwise
    return f"known here: {', '.join(words)}" if 0 < len(words) <= 12 else ""


def count(problems: Sequence[Problem]) -> str:
    """``3 problems in 2 files, 1 warning``."""
    errors = [problem for problem in problems if not problem.warning]
    names = {problem.place.source.name for problem in errors}
    files = sum(not name.startswith("--set") for name in names)
    words = [many(len(errors), "problem") if errors else "no problem"]
    words[0] += f" in {many(files, 'file')}" if files else ""
    warnings = len(problems) - len(errors)
    return ", ".join([*words, many(warnings, "warning")] if warnings else words)


def many(number: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
