"""pydantic's errors in our words: code, place, what is wrong, what to write instead."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from callcenter.config.problems import Code, Place, Problems, did_you_mean
from callcenter.config.shape import shown
from callcenter.config.tree import Node

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]
Names = Mapping[str, set[str]]

# What is written in the hope that it turns a thing off.
OFF = ("off", "none", "never", "no")
# What nobody should write into a file that others read.
CLEAR = ("password", "secret", "token")


def validate(
    model: type[Model], root: Node, path: KeyPath, names: Names, problems: Problems, *, within: str | None = None
) -> Model | None:
    """The value at ``path`` as ``model``; None when it has mistakes, which are noted.

    With ``within`` the value is the model's one field of that name. A value whose only mistakes are names of things
    that there are not is given all the same, so that what else is wrong about it is found too.
    """
    node = root
    for step in path:
        entry = node.child(step)
        assert entry is not None, path
        node = entry.node
    plain = node.plain()
    value = plain if within is None else {within: plain}
    try:
        return model.model_validate(value, context=names)
    except ValidationError as error:
        details = error.errors(include_url=False)
    for detail in details:
        _note(detail, model, root, path, within, problems)
    if all(detail["type"] == Code.NAMES_NOTHING for detail in details):
        return model.model_validate(value, context={})
    return None


def check_key(adapter: TypeAdapter[str], name: str, place: Place, section: str, problems: Problems) -> None:
    """Note a name that its section does not allow."""
    try:
        adapter.validate_python(name)
    except ValidationError as error:
        code, message, hint = _words(error.errors(include_url=False)[0], set(), set())
        problems.add(code, place, dotted((section, name)), message, hint)


def _note(
    detail: ErrorDetails, model: type[BaseModel], root: Node, path: KeyPath, within: str | None, problems: Problems
) -> None:
    # What tells two shapes of one value apart stands in no file.
    loc = tuple(step for step in detail["loc"] if not str(step).startswith("<"))
    key = bool(loc) and loc[-1] == "[key]"
    loc = loc[:-1] if key else loc
    siblings = known_keys(model, loc[:-1])
    full = path + (loc[1:] if within is not None else loc)
    code, message, hint = _words(detail, siblings, known_keys(model, loc))
    missing = full[-1:] if detail["type"] == "missing" else ()
    # A key that only a short form stands for is pointed at where its word is written: at the value.
    key = key and root.existing(full)[-1:] == full[-1:]
    at = str(detail.get("ctx", {}).get("at", "")) if detail["type"] in set(Code) else ""
    if at and root.existing((*full, at)) == (*root.existing(full), at):
        full, key = (*full, at), True
    place = root.place_of(full, key=key or code is Code.UNKNOWN_KEY or bool(missing))
    problems.add(code, place, dotted(root.existing(full) + missing), message, hint)


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written in ``--set``."""
    return ".".join(f'"{step}"' if "." in str(step) else str(step) for step in path)


def _words(detail: ErrorDetails, siblings: set[str], inner: set[str]) -> tuple[Code, str, str]:
    """What to say of an error: ``siblings`` are the keys known beside its place, ``inner`` those known within."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    written = shown(value)
    match kind:
        case _ if kind in set(Code):
            return Code(kind), str(context["message"]), str(context["hint"])
        case "missing":
            name = detail["loc"][-1]
            return Code.MISSING, f"`{name}` is missing", f"add `{name}: ...`"
        case "extra_forbidden":
            name = str(detail["loc"][-1])
            if name in CLEAR and siblings & {"mqtt", "desk"}:
                return Code.UNKNOWN_KEY, f"no {name} stands here", "write hashes: callcenter password USER makes them"
            every = f"known here: {', '.join(sorted(siblings))}" if siblings else ""
            return Code.UNKNOWN_KEY, f"`{name}` is not known here", did_you_mean(name, siblings, otherwise=every)
        case "literal_error" | "enum":
            known = re.findall(r"'([^']+)'", str(context.get("expected", "")))
            hint = did_you_mean(str(value), known, otherwise=f"write one of: {', '.join(known)}")
            return Code.CHOICE, f"{written} is not known here", hint
        case "int_parsing" | "int_type" | "int_from_float":
            return Code.TYPE, f"{written} is not a whole number", "write digits alone"
        case "float_parsing" | "float_type":
            return Code.TYPE, f"{written} is not a number", "write e.g. 0.7"
        case "bool_parsing" | "bool_type":
            return Code.TYPE, f"{written} is neither true nor false", "write true or false"
        case "string_type":
            if isinstance(value, list):
                return Code.TYPE, "one belongs here, and no list", "write it without brackets or dash"
            return Code.TYPE, "a text belongs here", "put it into quotes when it holds `: ` or begins with a sign"
        case "dict_type" | "model_type" | "model_attributes_type":
            return Code.TYPE, f"{written} stands where `key: value` pairs belong", _pairs_hint(value, inner)
        case "tuple_type" | "list_type":
            return (
                Code.TYPE,
                f"{written} stands where a list belongs",
                "write [one, two], or begin each line with a dash",
            )
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            sign, bound = next(iter(context.items()))
            bound = int(bound) if float(bound).is_integer() else bound
            word = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}[str(sign)]
            return Code.FORM, f"{written} is out of range", f"write {word} {bound}"
        case "string_too_short":
            return Code.FORM, "it is empty", "write something"
        case "string_too_long":
            return Code.FORM, "it is too long", f"write at most {context['max_length']} characters"
        case _:
            return Code.TYPE, str(detail["msg"]), ""


def _pairs_hint(value: Any, keys: set[str]) -> str:
    if value is False or value in OFF:
        return "write {enabled: false}" if "enabled" in keys else "take it away: what is not there is off"
    known = f"; known here: {', '.join(sorted(keys))}" if keys else ""
    return f"write {{key: value, ...}}, or each on a line of its own beneath{known}"


def known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> set[str]:
    """The keys that a model knows at a place inside it; empty where keys are free."""
    found: Any = model
    for step in (*loc, None):
        found = _unwrapped(found)
        if isinstance(found, type) and issubclass(found, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in found.model_fields.items()}
            if step is None:
                return set(fields)
            found = fields.get(str(step))
        elif step is not None and get_origin(found) in (dict, tuple):
            found = get_args(found)[1 if get_origin(found) is dict else 0]
        else:
            return set()
    return set()


def _unwrapped(annotation: Any) -> Any:
    """Without what pydantic hangs on a type, and without ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(each for each in get_args(annotation) if each is not type(None))
        else:
            return annotation
