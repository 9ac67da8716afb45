"""Callbacks as they are written: how far attempts are apart, when they are asked for, and who is asked before."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.calls.settings import Missed, RingsIn
from callcenter.calls.windows import Wish
from callcenter.config import calendar
from callcenter.config.calendar import NotWrittenSo
from callcenter.config.names import HoursName
from callcenter.config.numbers import Beginning
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import (
    ALSO,
    DURATION,
    Duration,
    Positive,
    Retention,
    Shape,
    as_list,
    either,
    mistake,
    none_for,
    seconds,
    shown,
    some,
    tell,
)
from callcenter.model.callback import Mode

# A customer who was not there a moment ago is not there yet; and whoever is dialled all the time feels hunted.
SHORTEST_SPACING = 30.0
LONGEST_SPACING = 7 * 86_400.0
USUAL_SPACING = 300.0
# How long somebody has waited, who is called back when they hang up, where nobody says otherwise.
USUALLY_ABANDONED = 30.0
LONGEST_PREVIEW = 300.0

Cause = Literal["busy", "no_answer", "declined", "rejected", "unreachable", "agent_gone", "interrupted"]
OTHERWISE = "otherwise"
CAUSES = (*get_args(Cause), OTHERWISE)


def _with_days(value: Any) -> Any:
    """``1d`` is a day; all else is a duration."""
    found = re.fullmatch(r"(\d+)\s*d", str(value).strip())
    return float(found[1]) * 86_400 if found is not None else seconds(value)


tell(_with_days, lambda _: {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$"})


def _spaced(value: float) -> float:
    if not SHORTEST_SPACING <= value <= LONGEST_SPACING:
        raise mistake(Code.DURATION, "attempts are 30 seconds to a week apart", "write e.g. 5m")
    return value


def _by_cause(value: Any) -> Any:
    """One spacing is that of every cause."""
    if not isinstance(value, dict):
        return {OTHERWISE: value}
    for cause in value:
        if cause not in CAUSES:
            raise mistake(Code.CHOICE, f"no attempt fails by `{cause}`", did_you_mean(str(cause), CAUSES))
    return value


tell(_by_cause, lambda inner: either({**inner, "propertyNames": {"enum": list(CAUSES)}}, DURATION))

OneSpacing = Annotated[float, BeforeValidator(_with_days), AfterValidator(_spaced)]
Spacing = Annotated[dict[str, OneSpacing], BeforeValidator(_by_cause)]


def _shown(value: float) -> float:
    if not 5.0 <= value <= LONGEST_PREVIEW:
        raise mistake(Code.DURATION, "an agent has 5 seconds to 5 minutes to say", "write e.g. 30s")
    return value


class Preview(Shape):
    """Agents see whom they call, and accept or decline, within ``time``; who declined is not asked ``again`` before."""

    time: Annotated[Positive, AfterValidator(_shown)] = 30.0
    again: Positive = 600.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {} if value in ("on", True) else {"time": value} if isinstance(value, str) else value


ALSO[Preview] = lambda inner: either(inner, DURATION, {"const": "on"}, {"const": True})


class OnAbandon(Shape):
    """``on_abandon`` of a queue: who hangs up having waited so long is called back."""

    callback: Duration = USUALLY_ABANDONED

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "callback":
            return {}
        if not isinstance(value, dict) or set(value) != {"callback"}:
            hint = "write callback, or {callback: 30s} for who has waited so long"
            raise mistake(Code.FORM, f"{shown(value)} does not follow from a hang-up", hint)
        return value


ALSO[OnAbandon] = lambda inner: either(inner, {"const": "callback"})

_DAYS = {"today": 0, "tomorrow": 1}
_WISH = "write now, in 2h, today 14:00-17:00, tomorrow 09:00-12:00, or mon 09:00-12:00"


def wish(value: Any) -> Wish:
    """A time that a caller may choose. Raises a mistake."""
    if isinstance(value, Wish):
        return value
    words = str(value).split()
    match words:
        case ["now"]:
            return Wish()
        case ["in", *rest] if rest:
            return Wish(after=seconds(" ".join(rest)))
        case [day, *rest] if rest:
            try:
                span = calendar.interval(" ".join(rest))
                if day in _DAYS:
                    return Wish(span.start, span.end, day=_DAYS[day])
                (weekday,) = calendar.days(day)
                return Wish(span.start, span.end, weekday=weekday)
            except (NotWrittenSo, ValueError) as error:
                raise mistake(Code.FORM, f"`{value}` is no time to be called: {error}", _WISH) from None
    raise mistake(Code.FORM, f"`{value}` is no time to be called", _WISH)


tell(wish, lambda _: {"type": "string", "pattern": r"^\s*(now|in\s.+|\S+\s+\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2})\s*$"})

WrittenWish = Annotated[Wish, BeforeValidator(wish)]


def _let_ring(value: float) -> float:
    if not 5.0 <= value <= 120.0:
        raise mistake(Code.DURATION, "a phone is let ring for 5 seconds to 2 minutes", "write e.g. 40s")
    return value


class ClientCallbacks(Shape):
    """Which numbers a company calls back, when, and how often it tries."""

    enabled: bool = True
    outside: Annotated[tuple[Beginning, ...], some(1000), BeforeValidator(as_list)] | None = None
    never: Annotated[tuple[Beginning, ...], BeforeValidator(as_list)] = ()
    tries: Annotated[int, Field(ge=1, le=20)] = 3
    tries_per_day: Annotated[int, Field(ge=1, le=20)] | None = None
    spacing: Spacing = {}
    ring_for: Annotated[Positive, AfterValidator(_let_ring)] = 40.0
    per_caller: Annotated[int, Field(ge=0, le=100)] = 3
    per_day: Annotated[int, Field(ge=1, le=100)] = 5
    hours: HoursName | None = None
    missed: Missed = Missed.NEXT
    rings_in: RingsIn = RingsIn.MERGE
    mode: Mode = Mode.AGENT_FIRST
    preview: Annotated[Preview | None, none_for("off")] = None
    keep_for: Retention = 365.0

    @model_validator(mode="after")
    def _make_sense(self) -> ClientCallbacks:
        for number in self.never:
            if number in (self.outside or ()):
                raise mistake(Code.FORM, f"`{number}` stands in `outside` and in `never`", "take one away", at="never")
        return self
