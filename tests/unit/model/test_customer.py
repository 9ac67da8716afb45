"""Customers as values: fields of a client's own, how what is written is read, and two records that become one."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.model.customer import Customer, Rules, merged
from callcenter.model.customer_fields import BadField, CustomerFields, FieldKind, FieldRule, Value, text_of
from callcenter.model.customer_form import read_customer
from callcenter.model.dial_plan import DialPlan

FIELDS = CustomerFields(
    {
        rule.name: rule
        for rule in (
            FieldRule("contract", FieldKind.CHOICE, choices={"basic": "Basic", "plus": "Plus"}, required=True),
            FieldRule("seats", FieldKind.NUMBER, shown=True),
            FieldRule("born", FieldKind.DATE),
            FieldRule("vip", FieldKind.YES_NO, shown=True),
            FieldRule("motto", FieldKind.TEXT, most=10),
        )
    }
)
CZECH = Rules(plan=DialPlan("420", "", "00"), fields=FIELDS)


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("contract", "plus", "plus"),
        ("seats", "12", 12),
        ("seats", "12.50", 12.5),
        ("seats", -3.0, -3),
        ("seats", "+7", 7),
        ("born", " 1984-02-29 ", "1984-02-29"),
        ("vip", "Yes", True),
        ("vip", False, False),
        ("vip", "0", False),
        ("motto", "a\r\nb ", "a\nb"),
        ("motto", "   ", None),
        ("seats", None, None),
    ],
)
def test_a_field_is_read_as_a_program_or_a_file_writes_it(name: str, written: object, read: Value | None) -> None:
    rule = FIELDS.rules[name]
    assert rule.read(written) == read
    if read is not None:
        assert rule.read(text_of(read)) == read, "what a file is given comes back"


@pytest.mark.parametrize(
    ("name", "written", "why"),
    [
        ("contract", "gold", "contract: 'gold' is none of basic, plus"),
        ("seats", "a dozen", "seats: 'a dozen' is no number; write 12 or -3.5"),
        ("seats", "1e99", "seats: '1e99' is no number"),
        ("seats", float("nan"), "seats: nan is too large a number"),
        ("seats", True, "seats: True is no number"),
        ("born", "29.2.1984", "born: '29.2.1984' is no date; write it as 2026-11-30"),
        ("born", "1983-02-29", "is no date"),
        ("vip", "perhaps", "vip: 'perhaps': write yes or no"),
        ("motto", "longer than ten", "motto: longer than 10 characters"),
        ("motto", 7, "motto: 7 is no text"),
    ],
)
def test_what_does_not_fit_a_field_is_refused_with_what_to_write(name: str, written: object, why: str) -> None:
    with pytest.raises(BadField) as caught:
        FIELDS.rules[name].read(written)
    assert why in str(caught.value)
    assert caught.value.field == name


def test_fields_that_are_declared_no_more_stay_and_a_required_one_may_not_go() -> None:
    before: dict[str, Value] = {"contract": "plus", "old": "kept"}
    assert FIELDS.read({"seats": "2"}, before=before) == {"contract": "plus", "old": "kept", "seats": 2}
    with pytest.raises(BadField, match="contract: is missing"):
        FIELDS.read({"contract": ""}, before=before)
    with pytest.raises(BadField, match="no such field is declared; there are: contract, seats"):
        FIELDS.read({"old": "changed"}, before=before)


def test_the_screen_is_told_what_is_declared_to_be_shown_in_the_order_of_the_declaration() -> None:
    values: dict[str, Value] = {"vip": True, "motto": "hush", "seats": 3}
    assert [(rule.name, value) for rule, value in FIELDS.shown(values)] == [("seats", 3), ("vip", True)]


def test_numbers_are_kept_as_the_clients_dial_plan_reads_them() -> None:
    written = {"name": " Jana  Nová ", "numbers": ["777 123 456", "00420777123456", "+1 415 555 0100"]}
    jana = read_customer("acme", "c-1", {**written, "fields": {"contract": "basic"}}, CZECH)
    assert (jana.name, jana.numbers) == ("Jana Nová", ("+420777123456", "+14155550100"))


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"numbers": ["+420777123456"]}, "name: is empty"),
        ({"name": "Jana"}, "numbers: is empty"),
        ({"name": "Jana", "numbers": "+420777123456"}, "numbers: is a list of texts"),
        ({"name": "Jana", "numbers": ["call me"]}, "numbers: 'call me' is no telephone number"),
        ({"name": "Jana", "numbers": [f"+42077712{n:04d}" for n in range(21)]}, "numbers: 21, at most 20"),
        ({"name": "Jana", "accounts": ["A;B"]}, "accounts: 'A;B': write several as a list"),
        ({"name": 7, "accounts": ["A"]}, "name: is a text"),
        ({"name": "Jana", "accounts": ["A"], "agent": "Ana P"}, "agent: 'Ana P': write the agent's id"),
        ({"name": "Jana", "accounts": ["A"], "notes": "n" * 2001}, "notes: longer than 2000 characters"),
        ({"name": "Jana", "accounts": ["A"], "fields": [1]}, "fields: is an object"),
        ({"nmae": "Jana"}, "nmae: a customer has none; there are: name, numbers"),
    ],
)
def test_what_is_no_customer_is_refused_in_words(written: dict[str, Any], why: str) -> None:
    with pytest.raises(BadField) as caught:
        read_customer("acme", "c-1", written, Rules())
    assert why in str(caught.value)


def test_two_records_become_one_and_what_they_contradict_each_other_in_is_told() -> None:
    one = Customer("c-1", "acme", "Jana", ("+1", "+2"), "A", tier="gold", notes="likes tea", fields={"seats": 2})
    two = Customer(
        *("c-2", "acme", "Jana Nová", ("+2", "+3")),
        notes="likes coffee",
        language="cs",
        further_accounts=("B",),
        fields={"seats": 3, "vip": True},
    )
    whole, conflicts = merged(one, two, 1000)
    assert (whole.id, whole.name, whole.numbers, whole.accounts) == ("c-1", "Jana", ("+1", "+2", "+3"), ("A", "B"))
    assert (whole.tier, whole.language, whole.notes) == ("gold", "cs", "likes tea\nlikes coffee")
    assert whole.fields == {"seats": 2, "vip": True}
    assert conflicts == {"name": ("Jana", "Jana Nová"), "seats": (2, 3)}
    _, cramped = merged(one, two, 10)
    assert cramped["notes"] == ("likes tea", "likes coffee"), "where there is no room, it is told, and not cut"
