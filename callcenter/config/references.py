"""References: everywhere that one thing of the configuration names another, found by the types that read it."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel

from callcenter.config import shape, skills
from callcenter.config.explain import KeyPath
from callcenter.config.flows import Flow
from callcenter.config.prompts import Prompt

# Fields that hold a whole section's thing and are not written: a flow is its steps.
UNWRITTEN = {(Flow, "steps"), (Prompt, "languages")}


@dataclass(frozen=True, slots=True)
class Reference:
    """``kind`` and ``name`` of what is named, and where. Skills are named too, though they stand in no section."""

    kind: str
    name: str
    path: KeyPath


def references(thing: BaseModel, path: KeyPath) -> Iterator[Reference]:
    """What a thing names, which is configured at ``path``."""
    for name, field in type(thing).model_fields.items():
        here = path if (type(thing), name) in UNWRITTEN else (*path, field.alias or name)
        yield from _within(getattr(thing, name), field.annotation, field.metadata, here)


def _within(value: Any, annotation: Any, metadata: Iterable[Any], path: KeyPath) -> Iterator[Reference]:
    annotation, metadata = _bare(annotation, value, metadata)
    match value:
        case BaseModel():
            yield from references(value, path)
        case str():
            for each in metadata:
                if isinstance(each, AfterValidator) and (kind := shape.KINDS.get(each.func)):
                    yield Reference(kind, value, path)
        case Mapping():
            key_type, value_type = get_args(annotation) if get_origin(annotation) is dict else (Any, Any)
            for key, inner in value.items():
                named = _within(key, key_type, (), (*path, key))
                # A list stands behind no skill: `any` and `all` are words for several.
                yield from (each for each in named if each.kind != "skill" or not isinstance(inner, tuple))
                yield from _within(inner, value_type, (), (*path, key))
        case tuple():
            item = get_args(annotation)[0] if get_origin(annotation) is tuple else Any
            for at, inner in enumerate(value):
                yield from _within(inner, item, (), (*path, at))
        case _:
            pass


def _bare(annotation: Any, value: Any, metadata: Iterable[Any]) -> tuple[Any, list[Any]]:
    """A type without what hangs on it, and all of that; of a choice of types the one that the value is of."""
    found = list(metadata)
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            found += more
        elif get_origin(annotation) in (Union, types.UnionType):
            choices = [each for each in get_args(annotation) if each is not type(None)]
            annotation = next((each for each in choices if _fits(each, value)), Any)
        elif isinstance(annotation, str):  # a type that holds itself
            annotation = getattr(skills, annotation, Any)
        elif hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        else:
            return annotation, found


def _fits(annotation: Any, value: Any) -> bool:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if hasattr(annotation, "__value__"):
        return _fits(annotation.__value__, value)
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and isinstance(value, kind)
