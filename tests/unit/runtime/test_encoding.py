"""JSON by two encoders must be the same JSON, whichever of them has written it."""

from __future__ import annotations

import json
import typing
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.facts import BODIES, Body, body_to_dict
from callcenter.runtime.encoding import from_json, json_bytes, json_text

TEXT = st.text(st.characters())  # half characters too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_encoded_is_read_back_half_characters_too(value: Any) -> None:
    assert from_json(json_text(value)) == json.loads(json_text(value)) == value


@given(TEXT)
def test_text_is_ascii_and_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    said = json_text({"said": text})
    assert said.isascii()
    assert said.isprintable() or "\x7f" in text


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_a_fact_is_written_as_its_fields(kind: str) -> None:
    shape = BODIES[kind]
    body: Body = shape(**{name: _example(hint) for name, hint in typing.get_type_hints(shape).items()})
    assert json.loads(json_text(body)) == json.loads(json.dumps(body_to_dict(body)))


def test_a_value_without_a_word_in_json_is_told_by_its_repr() -> None:
    assert from_json(json_text({"at": complex(1, 2)})) == {"at": "(1+2j)"}
    assert from_json(json_text({"at": complex(1, 2), "said": "\ud800"})) == {"at": "(1+2j)", "said": "\ud800"}


def test_half_characters_are_refused_where_only_utf_8_will_do() -> None:
    with pytest.raises(UnicodeEncodeError):
        json_bytes({"said": "\ud800"})


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        from_json(b"{")


def _example(hint: Any) -> Any:
    """A value of a field's type."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return tuple(_example(each) for each in arguments if each is not Ellipsis)
    if arguments:
        return _example(arguments[0])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    return {str: "a", int: 7, float: 0.5, bool: True}[hint]
