"""Prompts that name a place in line: what they say, once for each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from callcenter.calls.settings import position_of
from callcenter.config import schema

POSITION = "{position}"


def names_position(parts: Sequence[schema.Spoken]) -> bool:
    """Whether a prompt has ``{position}`` in its text or in the name of its recording."""
    return any(POSITION in (part.spoken or part.text or part.file or "") for part in parts)


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
    """A prompt as it is, or once for each of 1 to ``most`` positions: its id, a name for its file, and its parts."""
    if not names_position(parts):
        yield name, name, tuple(parts)
        return
    for position in range(1, most + 1):
        yield position_of(name, position), f"{name}-{position}", tuple(_at(part, position) for part in parts)


def _at(part: schema.Spoken, position: int) -> schema.Spoken:
    told = {key: value.replace(POSITION, str(position)) if isinstance(value := getattr(part, key), str) else None
            for key in ("text", "spoken", "file")}  # fmt: skip
    return part.model_copy(update=told)
