"""Wrap-up fields: what agents are asked to fill in after a talk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from callcenter.calls.wrap_up_fields import WrapUpField as WrapUpFieldSettings
from callcenter.config.customers import read_choices
from callcenter.config.problems import Code
from callcenter.config.shape import Name, Shape, Slug, mistake, some, word_as
from callcenter.model.customer_fields import FieldKind


class WrapUpField(Shape):
    """What an agent is asked to fill in after a talk; a lone word stands for ``label``."""

    label: Name
    type: FieldKind = FieldKind.TEXT
    required: bool = False
    mask: bool = False
    choices: Annotated[dict[Slug, Name], some(200), BeforeValidator(read_choices)] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> WrapUpField:
        chosen = self.type is FieldKind.CHOICE
        if chosen and not self.choices:
            raise mistake(
                Code.MISSING, "there is nothing to choose from", "add choices: {basic: Basic, gold: Gold}", at="type"
            )
        if self.choices and not chosen:
            raise mistake(
                Code.FORM, f"a {self.type} has no choices", "write type: choice, or take `choices` away", at="choices"
            )
        if self.mask and self.type is not FieldKind.TEXT:
            raise mistake(
                Code.FORM, f"of a {self.type} nothing is masked", "write type: text, or take `mask` away", at="mask"
            )
        return self


WrapUpFields = Annotated[dict[Slug, Annotated[WrapUpField, word_as("label")]], some(50)]


def wrap_up_fields(written: Mapping[str, WrapUpField] | None) -> dict[str, WrapUpFieldSettings]:
    """The same as calls go by it."""
    return {
        name: WrapUpFieldSettings(name, each.label, each.type, each.required, each.mask, dict(each.choices or {}))
        for name, each in (written or {}).items()
    }
