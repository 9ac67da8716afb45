"""Flows: what callers hear and press, and where that leads, as it is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from callcenter.calls.hours import Door
from callcenter.config.callback_shapes import WrittenWish
from callcenter.config.calls import Points, Preferred
from callcenter.config.languages import Language, SpeakWord
from callcenter.config.names import FlowName, HoursName, PromptName, QueueName
from callcenter.config.numbers import Digits, Key
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import (
    ALSO,
    ONE_WORD,
    Name,
    Positive,
    Shape,
    Slug,
    as_list,
    either,
    form,
    mistake,
    none_for,
    some,
    tell,
    word_as,
)
from callcenter.config.skills import Asked
from callcenter.model.customer import Match


def _text_of(value: Any) -> Any:
    """Words, numbers and truth as one text: an attribute is text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


tell(_text_of, lambda inner: {**inner, "type": ["string", "number", "boolean"]})

Value = Annotated[str, Field(max_length=200), BeforeValidator(_text_of)]


class SayStep(Shape):
    """``say``."""

    prompt: PromptName
    barge_in: bool = True


class DoNotCallStep(Shape):
    """``do_not_call``: the caller is not to be called any more."""

    prompt: PromptName | None = None
    reason: Annotated[str, Field(max_length=200)] = ""


class QueueStep(Shape):
    """``queue`` and ``transfer``."""

    to: QueueName
    requirements: Asked = {}
    priority: Points | None = None
    prefer: Preferred | None = None
    prefer_for: Positive | None = None
    on_timeout: tuple[Step, ...] = ()
    keys: Annotated[dict[Key, tuple[Step, ...]], some(12)] | None = None


class HangupStep(Shape):
    """``hangup``."""

    prompt: PromptName | None = None


class MenuChoice(Shape):
    """What a key means; ``repeat`` alone: the menu once more."""

    intent: Slug | None = None
    language: Language | None = None
    then: tuple[Step, ...] = ()
    repeat: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "repeat":
            return {"repeat": True}
        if isinstance(value, str):
            hint = "write repeat, or {intent: NAME, then: [STEPS]}"
            raise mistake(Code.CHOICE, f"`{value}` is not what a key means", hint)
        return value

    @model_validator(mode="after")
    def _means_something(self) -> MenuChoice:
        if not (self.intent or self.language or self.then or self.repeat):
            raise mistake(Code.MISSING, "this key does nothing", "add `intent: NAME` or `then: [STEPS]`")
        if self.repeat and (self.intent or self.language or self.then):
            raise mistake(Code.FORM, "a key that repeats the menu does nothing else", "write `repeat` alone")
        return self


class MenuStep(Shape):
    """``menu``."""

    id: Slug | None = None
    prompt: PromptName
    timeout: Positive | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    choices: Annotated[dict[Key, MenuChoice], some(12)]
    otherwise: tuple[Step, ...] = ()
    barge_in: bool = True


def _longest(value: int, info: ValidationInfo) -> int:
    shortest = info.data.get("min", 0)
    if value < shortest:
        raise mistake(Code.FORM, f"at most {value} digits are less than the {shortest} of `min`", "write max >= min")
    return value


def _continue(value: Any) -> Any:
    return [] if value == "continue" else value


tell(_continue, lambda inner: either(inner, {"const": "continue"}))

StepsOrContinue = Annotated["tuple[Step, ...]", BeforeValidator(_continue)]


class CollectStep(Shape):
    """``collect``."""

    id: Slug | None = None
    into: Slug
    prompt: PromptName
    min: Annotated[int, Field(ge=0, le=32)] = 1
    max: Annotated[int, Field(ge=1, le=32), AfterValidator(_longest)]
    terminator: Annotated[
        Annotated[str, form(r"[*#]", "a key that ends an entry", 'write "#", "*" or none')] | None, none_for("none")
    ] = "#"
    first_digit: Positive | None = None
    between: Positive = 3.0
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    mask: bool = False
    look_up: Literal["customer"] | None = None
    not_found: tuple[Step, ...] = ()
    otherwise: StepsOrContinue | None = None
    barge_in: bool = True

    @model_validator(mode="after")
    def _belongs_together(self) -> CollectStep:
        if self.not_found and self.look_up is None:
            raise mistake(Code.MISSING, "`not_found` needs a `look_up`", "add look_up: customer")
        return self


class AttributeTest(Shape):
    """What an attribute must be; a lone value, or a list of which it must be one, stands for ``is``."""

    is_: Annotated[tuple[Value, ...], some(100), BeforeValidator(as_list)] = Field(default=(), alias="is")
    prefix: Annotated[tuple[Value, ...], some(100), BeforeValidator(as_list)] = ()
    set: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"is": value} if isinstance(value, str | int | float | list) else value


class CallerTest(Shape):
    """What the caller's number must be."""

    number: Annotated[tuple[Digits, ...], some(100), BeforeValidator(as_list)] = ()
    prefix: Annotated[tuple[Digits, ...], some(100), BeforeValidator(as_list)] = ()
    anonymous: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"anonymous": True} if value == "anonymous" else value


class CustomerTest(Shape):
    """What the customer must be; a lone word stands for ``match``."""

    match: Annotated[tuple[Match, ...], some(3), BeforeValidator(as_list)] = ()
    tier: Annotated[tuple[Name, ...], some(100), BeforeValidator(as_list)] = ()
    language: Annotated[tuple[Language, ...], some(100), BeforeValidator(as_list)] = ()


def _open(value: Any) -> Any:
    return {value: "open"} if isinstance(value, str) else value


tell(_open, lambda inner: either(inner, {"type": "string"}))


class When(Shape):
    """Conditions; all must hold. A list is true when one of it is."""

    attribute: Annotated[dict[Slug, AttributeTest], some(20)] = {}
    caller: CallerTest | None = None
    customer: Annotated[CustomerTest, word_as("match")] | None = None
    language: Annotated[tuple[Language, ...], some(20), BeforeValidator(as_list)] = ()
    intent: Annotated[tuple[Slug, ...], some(100), BeforeValidator(as_list)] = ()
    hours: Annotated[
        dict[HoursName, Annotated[tuple[Door, ...], some(3), BeforeValidator(as_list)]],
        some(10),
        BeforeValidator(_open),
    ] = {}

    @model_validator(mode="after")
    def _asks_something(self) -> When:
        if not (self.attribute or self.caller or self.customer or self.language or self.intent or self.hours):
            hint = "write one of: attribute, caller, customer, language, intent, hours"
            raise mistake(Code.MISSING, "it asks nothing, and would always hold", hint)
        return self


class CaseShape(Shape):
    """One case of a branch: ``when`` and ``then``; or, as the last one, ``otherwise``."""

    when: When | None = None
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> CaseShape:
        if (self.when is None) == (self.otherwise is None) or (self.otherwise is not None and self.then):
            raise mistake(
                Code.FORM, "a case is `when` with `then`, or `otherwise`", "begin each case with its own dash"
            )
        return self


def _otherwise_last(cases: tuple[CaseShape, ...]) -> tuple[CaseShape, ...]:
    if any(case.otherwise is not None for case in cases[:-1]):
        raise mistake(Code.FORM, "what stands behind `otherwise` is never reached", "write `otherwise` last, and once")
    return cases


class BranchStep(Shape):
    """``branch``; a list alone is its cases."""

    id: Slug | None = None
    cases: Annotated[tuple[CaseShape, ...], some(100), AfterValidator(_otherwise_last)]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"cases": value} if isinstance(value, list) else value


class HoursStep(Shape):
    """``hours``. On a holiday, the steps of ``closed`` where there are none of its own."""

    name: HoursName
    open: tuple[Step, ...] = ()
    closed: tuple[Step, ...] = ()
    holiday: tuple[Step, ...] | None = None

    @model_validator(mode="after")
    def _leads_somewhere(self) -> HoursStep:
        if not (self.open or self.closed or self.holiday):
            hint = "add `open: [STEPS]`, `closed: [STEPS]` or `holiday: [STEPS]`"
            raise mistake(Code.MISSING, "it leads nowhere", hint)
        return self


class CallbackWhen(Shape):
    """When a caller wants to be called back: what is asked, and what each key means."""

    prompt: PromptName
    keys: Annotated[dict[Key, WrittenWish], some(12)]


class CallbackStep(Shape):
    """``callback``: the caller is called back at their turn in ``queue``, or at a time that they choose."""

    queue: QueueName
    at: CallbackWhen | None = None
    confirm: PromptName | None = None
    accepted: PromptName | None = None
    timeout: Positive | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    otherwise: StepsOrContinue | None = None


STEPS = (
    "say", "menu", "collect", "set", "branch", "hours", "language", "flow", "goto", "queue", "transfer", "callback",
    "do_not_call", "hangup",
)  # fmt: skip


class Step(BaseModel):
    """One step of a flow: a mapping with the step's one word, or the word ``hangup`` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: Annotated[SayStep, word_as("prompt")] | None = None
    menu: MenuStep | None = None
    collect: CollectStep | None = None
    set: Annotated[dict[Slug, Value], some(20)] | None = None
    branch: BranchStep | None = None
    hours: HoursStep | None = None
    language: SpeakWord | None = None
    flow: FlowName | None = None
    goto: FlowName | None = None
    queue: Annotated[QueueStep, word_as("to")] | None = None
    transfer: Annotated[QueueStep, word_as("to")] | None = None
    callback: Annotated[CallbackStep, word_as("queue")] | None = None
    do_not_call: Annotated[DoNotCallStep, word_as("prompt")] | None = None
    hangup: Annotated[HangupStep, word_as("prompt")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value in ("hangup", "do_not_call"):
            return {value: {}}
        if isinstance(value, str):
            hint = f"write `{value}: NAME`" if value in STEPS else did_you_mean(value, STEPS)
            raise mistake(Code.CHOICE, f"`{value}` is not a whole step", hint)
        if isinstance(value, dict):
            words = [key for key in value if key in STEPS]
            if len(value) != 1 and len(words) != 1:
                raise mistake(
                    Code.FORM, "a step has one word: say, menu, queue, hangup ...", "begin each with its own dash"
                )
            if words and value[words[0]] is None:
                return {**value, words[0]: "" if words[0] in ("language", "flow", "goto") else {}}
        return value

    @property
    def waiting(self) -> tuple[str, QueueStep] | None:
        """The word and what stands behind it, where the step leads to a queue."""
        if self.queue is not None:
            return "queue", self.queue
        return None if self.transfer is None else ("transfer", self.transfer)


class Flow(BaseModel):
    """A flow: its steps."""

    model_config = ConfigDict(frozen=True)

    steps: Annotated[tuple[Step, ...], some(200)]


_ANY_VALUE = {"type": ["string", "number", "boolean"]}
ALSO.update(
    {
        When: lambda inner: {**inner, "minProperties": 1},
        MenuChoice: lambda inner: either(inner, {"const": "repeat"}),
        AttributeTest: lambda inner: either(inner, _ANY_VALUE, {"type": "array", "items": _ANY_VALUE}),
        CallerTest: lambda inner: either(inner, {"const": "anonymous"}),
        BranchStep: lambda inner: either(inner, inner["properties"]["cases"]),
        Step: lambda inner: either({**inner, **ONE_WORD}, {"enum": ["hangup", "do_not_call"]}),
    }
)
