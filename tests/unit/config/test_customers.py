"""A client's customers as they are written in YAML: fields of its own, how sure a number is, how long they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import Code
from callcenter.model.customer import Match, Rules
from callcenter.model.customer_fields import FieldKind, FieldRule
from callcenter.model.dial_plan import DialPlan
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

ACME = "languages: [en]}"


def acme(text: str) -> str:
    return GOOD.replace(ACME, f"languages: [en], {text}}}")


def test_where_nothing_is_said_a_number_is_sure_and_nobody_is_ever_erased(tmp_path: Path) -> None:
    assert load_text(tmp_path).calls.clients["acme"].customers == Rules()


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    text = acme(
        "outbound: {country: '44', national_prefix: '0', caller_id: '+442071838750', trunks: [out]},"
        "customers: {fields: {"
        "contract: {type: choice, choices: [basic, plus], label: Contract, required: true, show: true},"
        "plan: {type: choice, choices: {a: Plan A}}, seats: number, born: date, vip: yes_no,"
        "motto: {max_length: 30}}, unattested: maybe, retention: 730d}, calls: {retention: 90d}"
    )
    text += "trunks: {out: {peers: [192.0.2.9]}}\n"
    rules = load_text(tmp_path, text).calls.clients["acme"].customers
    assert (rules.unattested, rules.retention, rules.calls_retention) == (Match.MAYBE, 730, 90)
    assert rules.plan == DialPlan("44", "0", "00")
    assert list(rules.fields.rules.values()) == [
        FieldRule(
            "contract",
            FieldKind.CHOICE,
            "Contract",
            required=True,
            choices={"basic": "basic", "plus": "plus"},
            shown=True,
        ),
        FieldRule("plan", FieldKind.CHOICE, "plan", choices={"a": "Plan A"}),
        FieldRule("seats", FieldKind.NUMBER, "seats"),
        FieldRule("born", FieldKind.DATE, "born"),
        FieldRule("vip", FieldKind.YES_NO, "vip"),
        FieldRule("motto", FieldKind.TEXT, "motto", most=30),
    ]


@pytest.mark.parametrize(
    ("written", "code", "message", "hint"),
    [
        ("customers: {fields: {seats: «nummber»}}", Code.CHOICE, "`nummber` is not known", "did you mean `number`?"),
        ("customers: {fields: {«Seats»: number}}", Code.FORM, "`Seats` cannot be a name", "write it as `seats`"),
        ("customers: {fields: {«tier»: text}}", Code.TWICE, "every customer has a `tier` already", "take another name"),
        ("customers: {fields: {a: {«type»: choice}}}", Code.MISSING, "nothing to choose from", "add choices:"),
        ("customers: {fields: {a: {«choices»: [b]}}}", Code.FORM, "a text has no choices", "write type: choice"),
        ("customers: {fields: {a: {type: date, «max_length»: 3}}}", Code.FORM, "a date has no length", "type: text"),
        ("customers: {fields: {a: {type: choice, choices: «[b, b]»}}}", Code.TWICE, "stands there twice", "one away"),
        ("customers: {fields: {a: {max_length: «0»}}}", Code.FORM, "`0` is out of range", "write at least 1"),
        ("customers: {«field»: {a: text}}", Code.UNKNOWN_KEY, "`field` is not known here", "did you mean `fields`?"),
        ("customers: {unattested: «none»}", Code.CHOICE, "`none` is not known", "write one of: sure, maybe"),
        ("customers: {retention: «2y»}", Code.DURATION, "`2y` is no number of days", "write e.g. 90d, or forever"),
        ("calls: {retention: «0d»}", Code.DURATION, "`0d` is no number of days", "write e.g. 90d, or forever"),
    ],
)
def test_what_is_written_wrongly_is_told_with_its_place_and_what_to_write(
    written: str, code: Code, message: str, hint: str, tmp_path: Path
) -> None:
    text = marked(acme(written))
    [problem] = problems_of(tmp_path, text.text)
    assert (problem.code, span(problem)) == (code, text.spans[0])
    assert message in problem.message
    assert hint in problem.hint
