"""Shape: what every part of the YAML has in common: strict models, mistakes with a hint, durations, names, lists."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from callcenter.config.problems import Code
from callcenter.model.ids import SLUG, is_slug


def mistake(code: Code, message: str, hint: str = "", *, at: str = "") -> PydanticCustomError:
    """An error that carries our code and hint through pydantic; braces in the texts stand for themselves.

    ``at`` is the key that is wrong, where a whole mapping was looked at.
    """
    return PydanticCustomError(code.value, "{message}", {"message": message, "hint": hint, "at": at})


def shown(value: Any) -> str:
    """A value as it is quoted in a message: as YAML has it."""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{value}`" if isinstance(value, str | int | float) else "this"


Told: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

TOLD: dict[Any, Told] = {}
"""What an editor is told of a value that one of our validators reads, made of what it would be told without."""

ALSO: dict[type[BaseModel], Told] = {}
"""The same of a whole model, whose validators read short forms of it."""

KINDS: dict[Any, str] = {}
"""Of the validators of names: what kind of thing is named there. ``config.references`` finds the names by it."""

ValidatorT = TypeVar("ValidatorT", bound=Callable[..., Any])


def tell(check: ValidatorT, told: Told) -> ValidatorT:
    """Have editors told of what a validator reads: see ``config.editors``."""
    TOLD[check] = told
    return check


def either(inner: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """What an editor is told: this, or one of the others."""
    return {"anyOf": [inner, *others]}


def besides(inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What an editor is told: this, and more about it. Beside a ``$ref`` older drafts see nothing else."""
    return {"allOf": [inner], **more} if "$ref" in inner else {**inner, **more}


ONE_WORD = {"minProperties": 1, "maxProperties": 1}
"""What an editor is told of a mapping that holds one key."""


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 7 * 86400.0


def seconds(value: Any) -> float:
    """The seconds of ``150ms``, ``20s``, ``2m``, ``1h`` or ``1m30s``. Raises a mistake."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise mistake(Code.DURATION, f"`{value}` has no unit", f"write {value}s for seconds, or {value}ms, {value}m")
    text = str(value).replace(" ", "")
    days = re.fullmatch(r"(\d{1,3})d(?:ays?)?", text)
    if days is not None and 0 < int(days[1]) <= LONGEST / 86400:
        raise mistake(Code.DURATION, f"`{value}` is written in hours here", f"write {int(days[1]) * 24}h")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise mistake(
            Code.DURATION, f"{shown(value)} is not a duration", "write a duration as 20s, 2m, 1m30s, 150ms or 1h"
        )
    result = sum(float(number) * UNITS[unit] for number, unit in parts)
    if result > LONGEST:
        raise mistake(Code.DURATION, f"`{value}` is longer than a week", "write a shorter duration")
    return result


DURATION = {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h)\s*)+$"}
tell(seconds, lambda _: {**DURATION, "description": "a duration: 150ms, 20s, 2m, 1m30s, 1h"})


def positive(value: float) -> float:
    """A duration that is longer than nothing. Raises a mistake."""
    if value <= 0:
        raise mistake(Code.DURATION, "it must be longer than nothing", "write a duration as 20s or 2m")
    return value


tell(positive, lambda inner: {**inner, "allOf": [{"pattern": "[1-9]"}]})


def form(pattern: str, what: str, hint: str | Callable[[str], str]) -> AfterValidator:
    """A text of this ``pattern``; what it is in words, and what to write instead."""
    shape = re.compile(pattern)

    def check(value: str) -> str:
        if not shape.fullmatch(value):
            raise mistake(Code.FORM, f"`{value}` is not {what}", hint if isinstance(hint, str) else hint(value))
        return value

    return AfterValidator(tell(check, lambda inner: besides(inner, pattern=f"^(?:{pattern})$")))


def check_slug(value: str) -> str:
    """The name of a thing. Raises a mistake."""
    if not is_slug(value):
        better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:64].strip("-")
        hint = f"write it as `{better}`" if better else "write lower-case letters, digits and single dashes"
        raise mistake(Code.FORM, f"`{value}` cannot be a name here: it holds more than a-z, 0-9 and dashes", hint)
    return value


tell(check_slug, lambda inner: besides(inner, pattern="^" + SLUG.pattern.replace(r"\Z", "$"), maxLength=64))


def some(most: int) -> BeforeValidator:
    """A list or mapping that holds something, and not too much. pydantic's own bounds count what is well written."""

    def check(value: Any) -> Any:
        if isinstance(value, list | dict) and not value:
            raise mistake(Code.FORM, "it is empty", "write at least one")
        if isinstance(value, list | dict) and len(value) > most:
            raise mistake(Code.FORM, f"it holds {len(value)}, too many", f"write at most {most}")
        return value

    bounds = {"minItems": 1, "maxItems": most, "minProperties": 1, "maxProperties": most}
    return BeforeValidator(tell(check, lambda inner: besides(inner, **bounds)))


def none_for(word: str) -> BeforeValidator:
    """A word that says in YAML what None says here."""

    def read(value: Any) -> Any:
        return None if value == word else value

    return BeforeValidator(tell(read, lambda inner: either(inner, {"const": word})))


def as_list(value: Any) -> Any:
    """The short form: one value stands for a list of it."""
    return value if isinstance(value, list) else [value]


def _list_told(inner: dict[str, Any]) -> dict[str, Any]:
    return either(inner, inner["items"]) if "items" in inner else inner


tell(as_list, _list_told)


def kept_for(value: Any) -> float:
    """Days as ``90d``; ``forever`` is without end."""
    if value == "forever":
        return math.inf
    found = re.fullmatch(r"(\d{1,5})\s*d", str(value).strip())
    if found is None or not int(found[1]):
        raise mistake(Code.DURATION, f"`{value}` is no number of days", "write e.g. 90d, or forever")
    return float(found[1])


tell(kept_for, lambda _: {"anyOf": [{"type": "string", "pattern": r"^\d{1,5}\s*d$"}, {"const": "forever"}]})


def word_as(key: str) -> BeforeValidator:
    """The short form: a lone word or text stands for ``{key: word}``."""

    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str | int) else value

    return BeforeValidator(tell(read, lambda inner: either(inner, {"type": ["string", "integer"]})))


def limit(value: Any) -> float:
    """A duration, or ``never``, which is without end. Raises a mistake."""
    if value in ("off", "none", "no", False):
        raise mistake(Code.DURATION, f"`{value}` is not a duration", "write never, or a duration as 20s or 2m")
    return math.inf if value == "never" else positive(seconds(value))


tell(limit, lambda _: {"anyOf": [DURATION, {"const": "never"}]})


def at_most(most: int) -> BeforeValidator:
    """A list that may be empty, and does not hold too much."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > most:
            raise mistake(Code.FORM, f"it holds {len(value)}, too many", f"write at most {most}")
        return value

    return BeforeValidator(tell(check, lambda inner: besides(inner, maxItems=most)))


def share(value: Any) -> float:
    """A share as a percentage, ``80%``, or as a number up to 1."""
    written = str(value).strip()
    try:
        found = float(written[:-1]) / 100 if written.endswith("%") else float(written)
    except ValueError:
        found = 0.0
    if isinstance(value, bool) or not 0 < found <= 1:
        raise mistake(Code.FORM, f"`{value}` is no share", "write a percentage up to 100%, as in 80%")
    return found


tell(share, lambda _: {"type": ["string", "number"]})


def each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    """A list in which nothing stands twice. Raises a mistake."""
    for at, name in enumerate(value):
        if name in value[:at]:
            raise mistake(Code.FORM, f"`{name}` stands here twice", "take one away")
    return value


tell(each_once, lambda inner: {**inner, "uniqueItems": True})


def off_as(meant: dict[str, Any]) -> BeforeValidator:
    """The short form: the word ``off`` stands for the pairs that turn a thing off."""

    def read(value: Any) -> Any:
        return meant if value == "off" else value

    return BeforeValidator(tell(read, lambda inner: either(inner, {"const": "off"})))


Duration = Annotated[float, BeforeValidator(seconds)]
Positive = Annotated[float, BeforeValidator(seconds), AfterValidator(positive)]
Limit = Annotated[float, BeforeValidator(limit)]
Retention = Annotated[float, BeforeValidator(kept_for)]
Slug = Annotated[str, AfterValidator(check_slug)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class Shape(BaseModel):
    """What all have in common: unknown keys are mistakes, and a key without a value is as if it were not there."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, use_enum_values=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_default(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, dict):
            return {key: inner for key, inner in value.items() if inner is not None}
        return value
