"""The section `acd`: what holds for every queue and agent that does not say otherwise."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from callcenter.acd.presence import Absence
from callcenter.acd.settings import RnaRule, Strategy, WrapUpSettings
from callcenter.config.dialling import MayDial
from callcenter.config.problems import Code
from callcenter.config.shape import (
    Duration,
    Limit,
    Name,
    Positive,
    Shape,
    Slug,
    as_list,
    at_most,
    mistake,
    none_for,
    share,
    some,
    word_as,
)
from callcenter.model.states import Intent, WrapUpMode


class Miss(Shape):
    """After an agent did not take a call: a pause, and how many in a row make him not ready."""

    pause: Duration = 0.0
    limit: Annotated[Annotated[int, Field(ge=1)] | None, none_for("never")] = None


def _miss(pause: str, limit: int | None) -> Miss:
    return Miss.model_validate({"pause": pause, "limit": limit})


class WrapUp(Shape):
    """The time after a talk."""

    mode: WrapUpMode = WrapUpMode.TIMED
    time: Duration = 30.0
    extend_once: Duration = 0.0
    choice: Positive | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> WrapUp:
        if self.choice is not None and self.mode is not WrapUpMode.OPTIONAL:
            raise mistake(
                Code.FORM,
                "`choice` is the time to ask for an optional wrap-up",
                "write mode: optional, or take `choice` away",
            )
        return self


WrapUpOrTime = Annotated[WrapUp, word_as("time")]


class Direct(Shape):
    """``acd.direct``: calls for one agent alone."""

    ring_for: Positive | None = None
    max_wait: Positive = 30.0


class Reason(Shape):
    """A reason for being not ready: what it means, and what a break for it may be."""

    label: Name
    longest: Positive | None = None
    a_day: Positive | None = None
    at_once: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Reason:
        if self.longest is not None and self.a_day is not None and self.a_day < self.longest:
            raise mistake(
                Code.FORM,
                "`a_day` is less than `longest`: no break could last so long",
                "write more for `a_day`, or less for `longest`",
            )
        return self


class ServiceLevel(Shape):
    """``service_level``: which share of the callers shall be answered ``within`` which time."""

    within: Positive = 20.0
    target: Annotated[float, BeforeValidator(share)] = 0.8


ServiceLevelOrTime = Annotated[ServiceLevel, word_as("within")]
Absences = Annotated[tuple[Absence, ...], at_most(len(Absence)), BeforeValidator(as_list)]


class Acd(Shape):
    """``acd``: what holds for every queue and agent that does not say otherwise."""

    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_for: Positive = 20.0
    max_wait: Limit = math.inf
    wrap_up: WrapUpOrTime = WrapUp()
    short_abandon: Duration = 5.0
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] = 500
    refuse_when: Absences = ()
    leave_when: Absences = ()
    leave_after: Duration = 30.0
    service_level: ServiceLevelOrTime = ServiceLevel()
    sign_in: Intent = Intent.READY
    no_answer: Miss = Miss(limit=1)
    busy: Miss = _miss("10s", None)
    declined: Miss = _miss("10s", 3)
    unreachable: Miss = _miss("30s", 3)
    offer_grace: Positive = 5.0
    reasons: Annotated[dict[Slug, Annotated[Reason, word_as("label")]], some(50)] = {}
    may_dial: MayDial = MayDial()
    direct: Direct = Direct()


def rna_rule(miss: Miss) -> RnaRule:
    """What the ACD does about a miss."""
    return RnaRule(miss.pause, miss.limit)


def wrap_up_settings(wrap_up: WrapUp) -> WrapUpSettings:
    """The time after a talk, as the ACD goes by it."""
    settings = WrapUpSettings(wrap_up.mode, wrap_up.time, wrap_up.extend_once)
    return settings if wrap_up.choice is None else dataclasses.replace(settings, choice=wrap_up.choice)
