"""Skeleton: what an answer still says when a person is erased who may stand in it: that it was done, to which object.

It has the shape of the answer, so that who reads that reads this: texts are empty, and so are lists and what a company
has fields for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# An id, never a number that somebody dials, and never words.
_ID = re.compile(r"(?!\+?\d{6,}\Z)[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
# An instant, as programs write them: a day alone may be one of birth.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
# Objects that answers are about. Of a customer the id stays alone, which stands in the facts.
_OBJECTS = frozenset({"callback", "call", "entry", "followup", "note", "recording"})
_CUSTOMER = "customer"
# What is one of few words, or an id of something.
_WORDS = _OBJECTS | {
    *("id", "client", "queue", "agent", "customer", "worker", "revision"),
    *("state", "kind", "source", "mode", "outcome", "match", "result"),
}


def is_id(value: object) -> bool:
    """Whether it is a text that may be an id: no number that somebody dials, and no words."""
    return isinstance(value, str) and _ID.match(value) is not None


def skeleton(result: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of an answer."""
    return {key: _rest(key, value) for key, value in result.items()}


def _rest(key: str, value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value if (key in _WORDS and is_id(value)) or _INSTANT.fullmatch(value) else ""
        case Mapping() if key in _OBJECTS:
            return skeleton(value)
        case Mapping() if key == _CUSTOMER:
            return {
                name: each if name in ("id", "client", "revision") else _empty(each) for name, each in value.items()
            }
        case _:
            return _empty(value)


def _empty(value: object) -> object:
    match value:
        case Mapping():
            return {}
        case list() | tuple():
            return []
        case str():
            return ""
        case _:
            return None
