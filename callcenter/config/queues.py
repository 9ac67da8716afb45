"""Queues, as they are written, and as the ACD goes by them."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.acd.settings import QueueSettings, Strategy
from callcenter.acd.settings import RoutingStep as RoutingStepSettings
from callcenter.calls.overflow import CONTINUE, ToCallback, ToFlow, ToNumber, ToOtherQueue
from callcenter.calls.settings import OnClose
from callcenter.config.acd import Absences, Acd, ServiceLevelOrTime, WrapUpOrTime, wrap_up_settings
from callcenter.config.announcements import AnnounceOrOff
from callcenter.config.callback_shapes import OnAbandon
from callcenter.config.names import ClientName, HoursName, MusicName, QueueName, known
from callcenter.config.numbers import E164, Extension
from callcenter.config.problems import Code
from callcenter.config.prompts import WhisperOrOff
from callcenter.config.recordings import Record
from callcenter.config.shape import (
    ALSO,
    ONE_WORD,
    Duration,
    Limit,
    Positive,
    Shape,
    Slug,
    as_list,
    either,
    mistake,
    some,
)
from callcenter.config.skills import Asked, need_of, needs_of
from callcenter.config.wrap_up_fields import WrapUpFields


class Overflow(Shape):
    """What follows a queue that nobody answered in: a word is ``callback``, ``continue``, or the name of a flow."""

    flow: Annotated[str, known("flow", besides=CONTINUE, words=(CONTINUE, "callback"))] | None = None
    queue: QueueName | None = None
    number: E164 | None = None
    callback: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "callback":
            return {"callback": True}
        if isinstance(value, str):
            return {"flow": value}
        if not isinstance(value, dict) or len(value) != 1:
            hint = "write the name of a flow, or continue, callback, {queue: NAME}, or {number: NUMBER}"
            raise mistake(Code.FORM, "one thing follows", hint)
        return value

    @property
    def word(self) -> str:
        """The same as the word that the ACD carries to the call."""
        if self.queue is not None:
            return ToOtherQueue(self.queue).word
        if self.callback:
            return ToCallback().word
        return ToFlow(self.flow or CONTINUE).word if self.number is None else ToNumber(self.number).word


GO_ON = Overflow(flow=CONTINUE)
OverflowKey = Literal["on_max_wait", "on_full", "on_empty", "on_closed"]
OVERFLOW_KEYS: tuple[OverflowKey, ...] = get_args(OverflowKey)


class RoutingStep(Shape):
    """A step of ``routing``: what is asked of an agent from a time on, in place of the queue's requirements."""

    after: Duration
    requirements: Asked = {}


def _in_order(steps: tuple[RoutingStep, ...]) -> tuple[RoutingStep, ...]:
    for before, step in itertools.pairwise(steps):
        if step.after <= before.after:
            raise mistake(
                Code.FORM,
                f"a step after {step.after:g} s stands behind one after {before.after:g} s",
                "write the steps in the order of their times, each later than the one before",
            )
    return steps


class Queue(Shape):
    """Where callers wait."""

    client: ClientName
    was: Annotated[tuple[Slug, ...], some(20), BeforeValidator(as_list)] = ()
    requirements: Asked = {}
    routing: Annotated[tuple[RoutingStep, ...], some(10), AfterValidator(_in_order)] = ()
    intents: Annotated[dict[Slug, Asked], some(500)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    age_weight: Annotated[float, Field(ge=0, le=100)] = 0.0
    ring_for: Positive | None = None
    max_wait: Limit | None = None
    overflow: Overflow | None = None
    on_max_wait: Overflow | None = None
    on_full: Overflow | None = None
    on_empty: Overflow | None = None
    on_closed: Overflow | None = None
    refuse_when: Absences | None = None
    leave_when: Absences | None = None
    leave_after: Duration | None = None
    on_abandon: OnAbandon | None = None
    hours: HoursName | None = None
    on_close: OnClose = OnClose.SERVE
    service_level: ServiceLevelOrTime | None = None
    wrap_up: WrapUpOrTime | None = None
    strategy: Strategy | None = None
    short_abandon: Duration | None = None
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] | None = None
    music: MusicName | None = None
    announce: AnnounceOrOff | None = None
    whisper: WhisperOrOff | None = None
    extension: Extension | None = None
    record: Record | None = None
    dispositions_required: bool | None = None
    wrap_up_fields: WrapUpFields | None = None

    def follows(self, event: OverflowKey) -> tuple[str, Overflow]:
        """What follows ``on_max_wait`` and its like, and the key that says so."""
        for key in (event, "overflow", "on_max_wait"):
            overflow: Overflow | None = getattr(self, key)
            if overflow is not None:
                return key, overflow
        return "on_max_wait", GO_ON

    @model_validator(mode="after")
    def _needs(self) -> Queue:
        if self.hours is None and (self.on_closed is not None or self.on_close is OnClose.LEAVE):
            key = "on_closed" if self.on_closed is not None else "on_close"
            raise mistake(Code.MISSING, f"`{key}` needs `hours`", "add hours: NAME, the opening hours of this queue")
        return self


ALSO[Overflow] = lambda inner: either({**inner, **ONE_WORD}, {"type": "string"})


def queue_settings(name: str, queue: Queue, acd: Acd) -> QueueSettings:
    """The same as the ACD goes by it; what is not said here is said under `acd`."""
    max_wait = acd.max_wait if queue.max_wait is None else queue.max_wait
    return QueueSettings(
        id=name,
        client=queue.client,
        requirements=needs_of(queue.requirements),
        priority=queue.priority,
        ring_for=queue.ring_for or acd.ring_for,
        max_wait=None if math.isinf(max_wait) else max_wait,
        on_max_wait=queue.follows("on_max_wait")[1].word,
        on_full=queue.follows("on_full")[1].word,
        on_empty=queue.follows("on_empty")[1].word,
        on_closed=queue.follows("on_closed")[1].word,
        join_empty=frozenset(acd.refuse_when if queue.refuse_when is None else queue.refuse_when),
        leave_empty=frozenset(acd.leave_when if queue.leave_when is None else queue.leave_when),
        leave_after=acd.leave_after if queue.leave_after is None else queue.leave_after,
        service_level_ms=round((queue.service_level or acd.service_level).within * 1000),
        service_level_target=(queue.service_level or acd.service_level).target,
        wrap_up=wrap_up_settings(queue.wrap_up or acd.wrap_up),
        strategy=queue.strategy or acd.strategy,
        short_abandon=acd.short_abandon if queue.short_abandon is None else queue.short_abandon,
        max_waiting=queue.max_waiting or acd.max_waiting,
        steps=tuple(RoutingStepSettings(step.after, need_of(step.requirements)) for step in queue.routing),
        age_weight=queue.age_weight,
        dispositions_required=queue.dispositions_required,
    )
