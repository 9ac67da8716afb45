"""How a value of a wrap-up field has to look, and what of it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.calls.wrap_up_fields import BadValue, WrapUpField, without_cards
from callcenter.model.customer_fields import FieldKind

TEXT = WrapUpField("order", "Order")
PIN = WrapUpField("pin", "PIN", mask=True)
NUMBER = WrapUpField("amount", "Amount", FieldKind.NUMBER)
DATE = WrapUpField("by", "Promised by", FieldKind.DATE)
CHOICE = WrapUpField("plan", "Plan", FieldKind.CHOICE, choices={"basic": "Basic", "gold": "Gold"})
YES_NO = WrapUpField("again", "Calls again", FieldKind.YES_NO)


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        (TEXT, "  A-1881 ", "A-1881"),
        (PIN, "4711", "****"),
        (TEXT, " ", None),
        (NUMBER, 12, "12"),
        (NUMBER, "-3.50", "-3.5"),
        (NUMBER, 4222222222222, "*********2222"),
        (DATE, "2026-11-30", "2026-11-30"),
        (CHOICE, "gold", "gold"),
        (YES_NO, True, "yes"),
        (YES_NO, "no", "no"),
    ],
)
def test_a_value_is_kept_as_its_kind_is_written(field: WrapUpField, given: object, kept: str | None) -> None:
    assert field.kept(given) == kept


@pytest.mark.parametrize(
    ("field", "given", "sentence"),
    [
        (TEXT, ["A"], "order: ['A'] is no text"),
        (TEXT, "A" * 501, "order: longer than 500 characters"),
        (PIN, ["4711"], "pin: no text that can be kept"),
        (NUMBER, "much", "amount: 'much' is no number; write 12 or -3.5"),
        (DATE, "30.11.2026", "by: '30.11.2026' is no date; write it as 2026-11-30"),
        (CHOICE, "silver", "plan: 'silver' is none of basic, gold"),
        (YES_NO, "perhaps", "again: 'perhaps': write yes or no"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_to_write(
    field: WrapUpField, given: object, sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        field.kept(given)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("paid by 4111 1111 1111 1111, thanks", "paid by ************1111, thanks"),
        ("378282246310005", "***********0005"),
        ("5555-5555-5555-4444", "************4444"),
        ("order 4111111111111112", "order 4111111111111112"),
        ("+420777123456", "+420777123456"),
    ],
)
def test_the_number_of_a_card_is_never_kept(said: str, kept: str) -> None:
    assert without_cards(said) == kept


@given(st.text(alphabet="0123456789 -x", max_size=60))
def test_nothing_but_cards_is_starred_and_four_digits_of_each_stay(said: str) -> None:
    kept = without_cards(said)
    if "*" not in kept:
        assert kept == said
    else:
        assert sum(character.isdigit() for character in said) >= 12
        assert without_cards(kept) == kept
