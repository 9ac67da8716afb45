"""Prompts that name a place in line, or read out a digit: what they say, once for each place or digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from callcenter.calls.settings import position_of
from callcenter.config import schema

POSITION = "{position}"
DIGIT = "{digit}"


def names_position(parts: Sequence[schema.Spoken]) -> bool:
    """Whether a prompt has ``{position}`` in its text or in the name of its recording."""
    return any(POSITION in (part.spoken or part.text or part.file or "") for part in parts)


def names_digit(parts: Sequence[schema.Spoken]) -> bool:
    """Whether a prompt has ``{digit}`` in its text or in the name of its recording."""
    return any(DIGIT in (part.spoken or part.text or part.file or "") for part in parts)


def positions_asked(common: schema.Calls, queues: Mapping[str, schema.Queue]) -> dict[str, int]:
    """The prompts that queues announce positions by, and how many positions each is asked for."""
    asked: dict[str, int] = {}
    for queue in queues.values():
        announce = queue.announce or common.announce
        if announce is not None and announce.position is not None:
            asked[announce.position] = max(announce.most, asked.get(announce.position, 0))
    return asked


def spelled_out(
    name: str, parts: Sequence[schema.Spoken], most: int
) -> Iterator[tuple[str, str, tuple[schema.Spoken, ...]]]:
    """A prompt as it is, or once for each of 1 to ``most`` positions, or for each digit.

    Each as its id, a name for its file, and its parts.
    """
    if names_digit(parts):
        for digit in range(10):
            yield position_of(name, digit), f"{name}-{digit}", tuple(_at(part, DIGIT, digit) for part in parts)
        return
    if not names_position(parts):
        yield name, name, tuple(parts)
        return
    for position in range(1, most + 1):
        yield position_of(name, position), f"{name}-{position}", tuple(_at(part, POSITION, position) for part in parts)


def _at(part: schema.Spoken, what: str, number: int) -> schema.Spoken:
    told = {key: value.replace(what, str(number)) if isinstance(value := getattr(part, key), str) else None
            for key in ("text", "spoken", "file")}  # fmt: skip
    return part.model_copy(update=told)
