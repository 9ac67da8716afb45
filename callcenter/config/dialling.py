"""Dialling: how numbers outside are written, how calls leave the house, and what agents may dial."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, model_validator

from callcenter.calls import settings
from callcenter.calls.settings import DoNotCallRule
from callcenter.config.names import TrunkName
from callcenter.config.numbers import E164, Beginning, Country, Prefix
from callcenter.config.problems import Code
from callcenter.config.shape import Shape, as_list, mistake, some
from callcenter.model.dial_plan import DialPlan as DialPlanSettings


class MayDial(Shape):
    """``may_dial``: what agents may dial beside our own numbers. Of two beginnings that fit the longer one counts."""

    agents: bool = True
    queues: bool = True
    outside: Annotated[tuple[Beginning, ...], BeforeValidator(as_list)] = ()
    never: Annotated[tuple[Beginning, ...], BeforeValidator(as_list)] = ()

    @model_validator(mode="after")
    def _make_sense(self) -> MayDial:
        for number in self.never:
            if number in self.outside:
                raise mistake(Code.FORM, f"`{number}` stands in `outside` and in `never`", "take one away")
            if not any(number.startswith(wider) for wider in self.outside):
                raise mistake(
                    Code.FORM,
                    f"nothing in `outside` lets anybody dial `{number}`, so there is nothing to except",
                    "take it from `never`, or add to `outside` what it is an exception to",
                )
        return self


class DialPlan(Shape):
    """How numbers are written: the country's code, and what stands before its own and before foreign numbers."""

    country: Country
    national_prefix: Prefix = ""
    international_prefix: Prefix = "00"


class Outbound(DialPlan):
    """How calls leave the house in a company's name."""

    caller_id: E164
    trunks: Annotated[tuple[TrunkName, ...], some(20), BeforeValidator(as_list)]
    hide_caller_id: bool = False
    do_not_call: DoNotCallRule = DoNotCallRule.REFUSE


def dial_plan(plan: DialPlan) -> DialPlanSettings:
    """The same as calls and trunks go by it."""
    return DialPlanSettings(plan.country, plan.national_prefix, plan.international_prefix)


def outbound_settings(outbound: Outbound) -> settings.Outbound:
    """The same as calls go by it."""
    return settings.Outbound(dial_plan(outbound), outbound.caller_id, outbound.trunks, outbound.hide_caller_id,
                          outbound.do_not_call)  # fmt: skip


def dial_rules(may_dial: MayDial) -> settings.DialRules:
    """The same as calls go by it."""
    return settings.DialRules(may_dial.agents, may_dial.queues, may_dial.outside, may_dial.never)
