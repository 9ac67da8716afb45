"""Wrap-up fields and follow-ups of dispositions: what they become, and what is written wrongly, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.settings import FollowUpDemand
from callcenter.calls.wrap_up_fields import WrapUpField
from callcenter.model.customer_fields import FieldKind
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

CLIENT = "acme: {name: Acme, languages: [en]}"
QUEUE = "{client: acme, req"
COMPANY = """acme:
    name: Acme
    languages: [en]
    dispositions:
      refund: {label: Refund, follow_up: 48h}
      complaint: {label: Complaint, follow_up: required}
      lost: {label: Lost, follow_up: {required: false, due: 1h}, codes: {price: Price, time: {label: T, follow_up: 5m}}}
      sold: Sold
    wrap_up_fields:
      order: Order number
      plan: {label: Plan, type: choice, required: true, choices: {basic: Basic}}
"""


def with_client(written: str) -> str:
    return GOOD.replace(CLIENT, f"acme: {{name: Acme, languages: [en], {written}}}")


def test_fields_and_follow_ups_are_taken_as_they_are_written(tmp_path: Path) -> None:
    text = GOOD.replace(CLIENT, COMPANY).replace(
        QUEUE, "{client: acme, dispositions_required: true, wrap_up_fields: {ticket: Ticket}, req"
    )
    settings = load_text(tmp_path, text)
    acme = settings.calls.clients["acme"]
    assert acme.wrap_up_fields == {
        "order": WrapUpField("order", "Order number"),
        "plan": WrapUpField("plan", "Plan", FieldKind.CHOICE, required=True, choices={"basic": "Basic"}),
    }
    assert settings.calls.queue_fields == {"sales": {"ticket": WrapUpField("ticket", "Ticket")}}
    assert acme.follow_ups == {
        "refund": FollowUpDemand(due=172_800.0),
        "complaint": FollowUpDemand(),
        "lost/price": FollowUpDemand(required=False, due=3600.0),
        "lost/time": FollowUpDemand(due=300.0),
    }
    assert settings.plan.dispositions_of("sales").required, "of this queue, in place of the client"
    assert not settings.plan.dispositions["acme"].required


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        (
            CLIENT, "acme: {name: Acme, languages: [en], wrap_up_fields: {plan: {label: Plan, «type»: choice}}}",
            "there is nothing to choose from", "add choices: {basic: Basic, gold: Gold}",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], wrap_up_fields: {plan: {label: Plan, «choices»: {a: A}}}}",
            "a text has no choices", "write type: choice, or take `choices` away",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], wrap_up_fields: {n: {label: N, type: number, «mask»: true}}}",
            "of a number nothing is masked", "write type: text, or take `mask` away",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], wrap_up_fields: {n: {label: N, type: «nunber»}}}",
            "", "`number`",
        ),
        (
            QUEUE, "{client: acme, dispositions_required: «true», req",
            "`acme` has no dispositions: there is nothing to choose from", "add dispositions to the client",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], dispositions: {sold: {label: Sold, follow_up: {due: «2»}}}}",
            "`2` has no unit", "write 2s",
        ),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    text = marked(GOOD.replace(old, new, 1))
    (problem,) = problems_of(tmp_path, text.text)
    assert not text.spans or span(problem) == text.spans[0]
    assert message in problem.message
    assert hint in problem.hint


def test_a_field_that_client_and_queue_both_ask_for_is_told(tmp_path: Path) -> None:
    both = with_client("wrap_up_fields: {order: Order}")
    text = marked(both.replace(QUEUE, "{client: acme, wrap_up_fields: {«order»: Order}, req"))
    (problem,) = problems_of(tmp_path, text.text)
    assert span(problem) == text.spans[0]
    assert problem.message == "`order` is asked for after every talk of `acme` already"
