"""The section `calls`: what holds for every flow, client and queue that does not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from callcenter.calls import settings
from callcenter.calls.line import LONGEST_KEPT
from callcenter.calls.settings import CUSTOMERS_AGENT, LAST_AGENT, PROMISE, CallbackPrompts
from callcenter.config.announcements import AnnounceOrOff
from callcenter.config.languages import Language
from callcenter.config.names import MusicName, PromptName
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.prompts import WhisperOrOff
from callcenter.config.shape import (
    DURATION,
    Name,
    Positive,
    Shape,
    as_list,
    at_most,
    each_once,
    mistake,
    seconds,
    some,
    tell,
)

PREFERRED_WORDS = (LAST_AGENT, PROMISE, CUSTOMERS_AGENT)


def _preferred(value: str, info: ValidationInfo) -> str:
    names: Mapping[str, set[str]] = info.context or {}
    if value in PREFERRED_WORDS or "agent" not in names or value in names["agent"]:
        return value
    hint = did_you_mean(
        value, (*PREFERRED_WORDS, *sorted(names["agent"])), otherwise="write last_agent, promise, customer or an agent"
    )
    raise mistake(Code.NAMES_NOTHING, f"no agent is named `{value}`", hint)


def _kept(value: Any) -> float:
    kept = 0.0 if value == "off" else seconds(value)
    if kept > LONGEST_KEPT:
        raise mistake(Code.DURATION, "nobody is waited for that long", "write at most 1h, e.g. 2m, or off")
    return kept


tell(_kept, lambda _: {"anyOf": [DURATION, {"const": "off"}]})

# Who is asked first: the agent who answered the caller last, the customer's own, or an agent by name.
Preferred = Annotated[
    tuple[Annotated[str, AfterValidator(_preferred)], ...],
    at_most(10),
    BeforeValidator(as_list),
    AfterValidator(each_once),
]
Kept = Annotated[float, BeforeValidator(_kept)]
Points = Annotated[int, Field(ge=-100, le=100)]

_SHIPPED = CallbackPrompts()


class CallbackWords(Shape):
    """``calls.callback``: what is said to a caller who is to be called back, by the names that we ship them under."""

    confirm: PromptName = _SHIPPED.confirm
    digit: PromptName = _SHIPPED.digit
    choose: PromptName = _SHIPPED.choose
    enter: PromptName = _SHIPPED.enter
    invalid: PromptName = _SHIPPED.invalid
    accepted: PromptName = _SHIPPED.accepted
    unavailable: PromptName = _SHIPPED.unavailable
    connecting: PromptName = _SHIPPED.connecting
    preview: PromptName = _SHIPPED.preview


class Calls(Shape):
    """``calls``: what holds for every flow that does not say otherwise."""

    keep_place_for: Kept = 120.0
    prefer_for: Positive = 20.0
    last_agent_within: Positive = 86_400.0
    goodbye: PromptName | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    timeout: Positive = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    music: MusicName | None = None
    announce: AnnounceOrOff | None = None
    callback: CallbackWords = CallbackWords()
    whisper: WhisperOrOff = {}
    words: Annotated[dict[str, Annotated[dict[Language, Name], some(20)]], at_most(2000)] = {}


def callback_prompts(common: Calls) -> settings.CallbackPrompts:
    """The same as calls go by it."""
    return settings.CallbackPrompts(**common.callback.model_dump())
