"""A client's customers: what is noted of them beyond what all have, how sure a number makes one, how long they stay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.config.problems import Code
from callcenter.config.shape import Name, Retention, Shape, Slug, either, mistake, some, tell, word_as
from callcenter.model.customer import Match, Rules
from callcenter.model.customer_fields import MAX_TEXT, CustomerFields, FieldKind, FieldRule
from callcenter.model.dial_plan import DialPlan

if TYPE_CHECKING:
    from callcenter.config.clients import Client

# What every customer has, by the names of the columns that say so: no field of a company's own is called so.
CUSTOMER_COLUMNS = (
    *("client", "id", "name", "number", "numbers", "account", "accounts", "tier", "language", "since", "notes"),
    *("agent", "fields", "revision"),
)


def _field_name(value: str) -> str:
    if value in CUSTOMER_COLUMNS:
        raise mistake(Code.TWICE, f"every customer has a `{value}` already", "take another name")
    return value


tell(_field_name, lambda inner: {**inner, "not": {"enum": list(CUSTOMER_COLUMNS)}})


def read_choices(value: Any) -> Any:
    """A list of words stands for choices that are their own labels."""
    if not isinstance(value, list):
        return value
    words = [str(each) for each in value]
    if len(set(words)) < len(words):
        raise mistake(Code.TWICE, "a choice stands there twice", "take one away")
    return {word: word for word in words}


tell(read_choices, lambda inner: either(inner, {"type": "array", "items": {"type": "string"}, "minItems": 1}))


class CustomerField(Shape):
    """What a company notes of its customers beyond what all do; a lone word stands for ``type``."""

    type: FieldKind = FieldKind.TEXT
    label: Name | None = None
    required: bool = False
    max_length: Annotated[int, Field(ge=1, le=MAX_TEXT)] | None = None
    choices: Annotated[dict[Name, Name], some(200), BeforeValidator(read_choices)] | None = None
    show: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> CustomerField:
        if self.type is FieldKind.CHOICE and not self.choices:
            raise mistake(Code.MISSING, "there is nothing to choose from", "add choices: [basic, plus]", at="type")
        if self.choices and self.type is not FieldKind.CHOICE:
            raise mistake(
                Code.FORM, f"a {self.type} has no choices", "write type: choice, or take `choices` away", at="choices"
            )
        if self.max_length is not None and self.type is not FieldKind.TEXT:
            raise mistake(
                Code.FORM,
                f"a {self.type} has no length",
                "write type: text, or take `max_length` away",
                at="max_length",
            )
        return self


class ClientCustomers(Shape):
    """A company's customers: what is noted of them, how sure a number makes one, and how long they are kept."""

    fields: Annotated[
        dict[Annotated[Slug, AfterValidator(_field_name)], Annotated[CustomerField, word_as("type")]], some(50)
    ] = {}
    unattested: Literal["sure", "maybe"] = "sure"
    retention: Retention = math.inf


class ClientCalls(Shape):
    """How long it can be seen who called a company, and what they entered."""

    retention: Retention = math.inf


def customer_rules(client: Client) -> Rules:
    """All that a client's customers go by. Numbers are read as they are dialled in its name."""
    out, written = client.outbound, client.customers
    return Rules(
        plan=None if out is None else DialPlan(out.country, out.national_prefix, out.international_prefix),
        fields=CustomerFields({name: _rule(name, each) for name, each in written.fields.items()}),
        unattested=Match(written.unattested),
        retention=_days(written.retention),
        calls_retention=_days(client.calls.retention),
    )


def _rule(name: str, written: CustomerField) -> FieldRule:
    return FieldRule(
        name=name,
        kind=written.type,
        label=written.label or name,
        required=written.required,
        most=written.max_length or MAX_TEXT,
        choices=dict(written.choices or {}),
        shown=written.show,
    )


def _days(written: float) -> int | None:
    return None if math.isinf(written) else round(written)
