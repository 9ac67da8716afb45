"""Prompts with numbers in them, as a place in line or a digit: what they say, once for each that may be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from callcenter.acd.estimate import RANGES
from callcenter.calls.settings import position_of, wait_of
from callcenter.config.calls import Calls
from callcenter.config.prompts import Spoken
from callcenter.config.queues import Queue

POSITION = "{position}"
DIGIT = "{digit}"
LOW, HIGH = "{low}", "{high}"


@dataclass(frozen=True, slots=True)
class Asked:
    """The numbers that a prompt is asked for: the places from 1 to ``most``, and these ranges of minutes."""

    most: int = 0
    ranges: tuple[tuple[int, int], ...] = ()


def names(placeholder: str, parts: Sequence[Spoken]) -> bool:
    """Whether a prompt has this in its text or in the name of its recording."""
    return any(placeholder in (part.spoken or part.text or part.file or "") for part in parts)


def names_position(parts: Sequence[Spoken]) -> bool:
    """Whether a prompt names a place in line."""
    return names(POSITION, parts)


def names_digit(parts: Sequence[Spoken]) -> bool:
    """Whether a prompt reads out a digit."""
    return names(DIGIT, parts)


def names_wait(parts: Sequence[Spoken]) -> bool:
    """Whether a prompt names a time to wait."""
    return names(LOW, parts) or names(HIGH, parts)


def numbers_asked(common: Calls, queues: Mapping[str, Queue]) -> dict[str, Asked]:
    """The prompts that queues announce places and times by, and the numbers that each is asked for."""
    asked: dict[str, Asked] = {}
    for queue in queues.values():
        announce = queue.announce or common.announce
        if announce is None:
            continue
        if announce.position is not None:
            so_far = asked.get(announce.position, Asked())
            asked[announce.position] = Asked(max(announce.most, so_far.most), so_far.ranges)
        if announce.wait is not None:
            for prompt, from_nothing in ((announce.wait.under, True), (announce.wait.between, False)):
                so_far = asked.get(prompt, Asked())
                ranges = tuple(each for each in RANGES if (each[0] == 0) is from_nothing)
                asked[prompt] = Asked(so_far.most, tuple(dict.fromkeys((*so_far.ranges, *ranges))))
    return asked


def spelled_out(name: str, parts: Sequence[Spoken], asked: Asked) -> Iterator[tuple[str, str, tuple[Spoken, ...]]]:
    """A prompt as it is, or once for each number in it: its id, a name for its file, and its parts."""
    if names_digit(parts):
        for digit in range(10):
            yield position_of(name, digit), f"{name}-{digit}", tuple(_with(part, {DIGIT: str(digit)}) for part in parts)
    elif names_position(parts):
        for position in range(1, asked.most + 1):
            told = {POSITION: str(position)}
            yield position_of(name, position), f"{name}-{position}", tuple(_with(part, told) for part in parts)
    elif names_wait(parts):
        for low, high in asked.ranges:
            told = {LOW: str(low), HIGH: str(high)}
            yield wait_of(name, low, high), f"{name}-{low}-{high}", tuple(_with(part, told) for part in parts)
    else:
        yield name, name, tuple(parts)


def _with(part: Spoken, told: Mapping[str, str]) -> Spoken:
    filled: dict[str, str | None] = {}
    for key in ("text", "spoken", "file"):
        value = getattr(part, key)
        for placeholder, number in told.items():
            value = value.replace(placeholder, number) if value is not None else None
        filled[key] = value
    return part.model_copy(update=filled)
