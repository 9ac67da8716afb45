"""Facts travel through JSON and come back the same."""

from __future__ import annotations

import dataclasses
import typing
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.facts import BODIES, body_from_dict, body_to_dict


def values_for(hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return st.lists(values_for(inner[0]), max_size=3).map(tuple)
        return st.tuples(*(values_for(each) for each in inner))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return {str: st.text(max_size=20), int: st.integers(), float: st.floats(0, 1e6), bool: st.booleans()}[hint]


def bodies() -> st.SearchStrategy[Any]:
    return st.one_of(
        [
            st.builds(kind, **{name: values_for(hint) for name, hint in typing.get_type_hints(kind).items()})
            for kind in BODIES.values()
        ]
    )


@given(bodies())
def test_every_body_survives_json(body: Any) -> None:
    import json

    there = json.loads(json.dumps(body_to_dict(body)))
    assert body_from_dict(type(body).__name__, there) == body


def test_fields_of_a_newer_switch_are_passed_over() -> None:
    assert dataclasses.asdict(body_from_dict("CallAnswered", {"novelty": 1})) == {}


def test_an_unknown_kind_is_told_by_name() -> None:
    with pytest.raises(KeyError, match="CallTeleported"):
        body_from_dict("CallTeleported", {})
