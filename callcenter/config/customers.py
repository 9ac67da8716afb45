"""How a client keeps its customers: composed of what its section says."""

from __future__ import annotations

import math

from callcenter.config import schema
from callcenter.model.customer import Match, Rules
from callcenter.model.customer_fields import MAX_TEXT, CustomerFields, FieldRule
from callcenter.model.dial_plan import DialPlan


def customer_rules(client: schema.Client) -> Rules:
    """All that a client's customers go by. Numbers are read as they are dialled in its name."""
    out, written = client.outbound, client.customers
    return Rules(
        plan=None if out is None else DialPlan(out.country, out.national_prefix, out.international_prefix),
        fields=CustomerFields({name: _rule(name, each) for name, each in written.fields.items()}),
        unattested=Match(written.unattested),
        retention=_days(written.retention),
        calls_retention=_days(client.calls.retention),
    )


def _rule(name: str, written: schema.CustomerField) -> FieldRule:
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
