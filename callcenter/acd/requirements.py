"""Requirements: what a caller asks of an agent, as skills at a level or better, joined by AND and OR.

The text form, for facts and for people, is ``english>=3 and (sales>=2 or support>=3)``: AND binds before OR, and a
skill without a level asks the lowest one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

LOWEST_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Requirement:
    """A skill that the agent must have, at ``minimum`` (levels 1 to 5) or better."""

    skill: str
    minimum: int = LOWEST_LEVEL


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of these must be met; of none, everybody meets it."""

    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these must be met."""

    needs: tuple[Need, ...]

    def __post_init__(self) -> None:
        assert self.needs, "one of none"


Need: TypeAlias = Requirement | AllOf | AnyOf

# What is asked in all: each of these. The empty one asks nothing.
Needs: TypeAlias = tuple[Need, ...]


def match(need: Need, skills: Mapping[str, int]) -> int | None:
    """How well skills meet a need: the sum of the levels in the skills asked; None when they do not.

    Of several alternatives that are met the best one counts.
    """
    if isinstance(need, Requirement):
        level = skills.get(need.skill, 0)
        return level if level >= need.minimum else None
    if isinstance(need, AllOf):
        return match_all(need.needs, skills)
    return max((met for each in need.needs if (met := match(each, skills)) is not None), default=None)


def match_all(needs: Iterable[Need], skills: Mapping[str, int]) -> int | None:
    """How well skills meet all of these; None when one is not met."""
    total = 0
    for need in needs:
        met = match(need, skills)
        if met is None:
            return None
        total += met
    return total


def lacking(needs: Iterable[Need], skills: Mapping[str, int]) -> tuple[str, ...]:
    """What skills lack of these needs, in words: ``english 2 of 3 needed``; empty when nothing."""
    words: list[str] = []
    for need in needs:
        if match(need, skills) is not None:
            continue
        if isinstance(need, Requirement):
            words.append(f"{need.skill} {skills.get(need.skill, 0)} of {need.minimum} needed")
        elif isinstance(need, AllOf):
            words.extend(lacking(need.needs, skills))
        else:
            words.append(f"{text((need,))} needed")
    return tuple(words)


def requirements(needs: Iterable[Need]) -> Iterator[Requirement]:
    """Every skill that is asked somewhere in these needs, with its level, as written."""
    for need in needs:
        if isinstance(need, Requirement):
            yield need
        else:
            yield from requirements(need.needs)


def plain(needs: Iterable[Need]) -> tuple[Requirement, ...]:
    """Those of the needs that are a lone skill at a level."""
    return tuple(need for need in needs if isinstance(need, Requirement))


def flat(needs: Iterable[Need]) -> Iterator[Need]:
    """The same needs without an AND inside the AND that they are."""
    for need in needs:
        if isinstance(need, AllOf) or (isinstance(need, AnyOf) and len(need.needs) == 1):
            yield from flat(need.needs)
        else:
            yield need


def merged(*asked: Iterable[Need]) -> Needs:
    """What several ask together: of two minimums for one skill the higher one, in the order of the skills.

    Alternatives follow behind them, each once.
    """
    least: dict[str, int] = {}
    others: dict[str, Need] = {}
    for need in flat(each for needs in asked for each in needs):
        if isinstance(need, Requirement):
            least[need.skill] = max(need.minimum, least.get(need.skill, need.minimum))
        else:
            others[text((need,))] = need
    return (*(Requirement(skill, least[skill]) for skill in sorted(least)), *(others[each] for each in sorted(others)))


@functools.lru_cache(maxsize=1024)
def text(needs: Needs) -> str:
    """The needs in their text form; empty for none."""
    alone = len(needs) == 1
    return " and ".join(_text(need, alone=alone) for need in needs)


def _text(need: Need, *, alone: bool) -> str:
    match need:
        case Requirement():
            return f"{need.skill}>={need.minimum}"
        case AllOf():
            inner = " and ".join(_text(each, alone=False) for each in need.needs)
            return f"({inner})"
        case AnyOf():
            inner = " or ".join(_text(each, alone=False) for each in need.needs)
            return inner if alone and len(need.needs) > 1 else f"({inner})"
        case _:
            assert_never(need)


class NotANeed(ValueError):
    """A text is not the text form of what is asked; ``at`` counts characters from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


# How deep brackets may be nested: what is read comes from files and facts, and no floor needs more.
DEEPEST = 16

TOKEN = re.compile(r"\s*(?:(?P<skill>[a-z0-9][a-z0-9_-]*)(?:\s*>=\s*(?P<level>\d+))?|(?P<bracket>[()]))")


@functools.lru_cache(maxsize=1024)
def parse(written: str) -> Needs:
    """The needs that a text form tells; none for an empty text. Raises NotANeed."""
    if not written.strip():
        return ()
    reader = _Reader(written)
    need = reader.alternatives(0)
    if reader.token is not None:
        raise NotANeed("`and` or `or` is missing here", reader.at)
    return tuple(flat((need,)))


class _Reader:
    """Reads a text form token by token; a token is an operator, a bracket, or a requirement."""

    def __init__(self, written: str) -> None:
        self._written = written
        self.at = 0
        self._next = 0
        self.token: str | Requirement | None = None
        self._advance()

    def _advance(self) -> None:
        rest = self._written[self._next :]
        self.at = self._next + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.token = None
            return
        found = TOKEN.match(self._written, self._next)
        if found is None:
            raise NotANeed("a skill, `(` or `)` belongs here", self.at)
        self._next = found.end()
        if found["bracket"]:
            self.token = found["bracket"]
        elif found["level"] is None and found["skill"] in ("and", "or"):
            self.token = found["skill"]
        else:
            level = LOWEST_LEVEL if found["level"] is None else int(found["level"])
            self.token = Requirement(found["skill"], level)

    def alternatives(self, depth: int) -> Need:
        if depth > DEEPEST:
            raise NotANeed(f"brackets are nested deeper than {DEEPEST}", self.at)
        found = [self._together(depth)]
        while self.token == "or":
            self._advance()
            found.append(self._together(depth))
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _together(self, depth: int) -> Need:
        found = [self._one(depth)]
        while self.token == "and":
            self._advance()
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else AllOf(tuple(flat(found)))

    def _one(self, depth: int) -> Need:
        token = self.token
        if isinstance(token, Requirement):
            self._advance()
            return token
        if token != "(":
            raise NotANeed("a skill belongs here, as in english>=3", self.at)
        self._advance()
        need = AllOf(()) if self.token == ")" else self.alternatives(depth + 1)
        if self.token != ")":
            raise NotANeed("`)` is missing here", self.at)
        self._advance()
        return need
