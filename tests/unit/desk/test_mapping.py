"""What a CRM is asked, and what of its answer is taken; whatever it says, the switch can take it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.config.crm import CrmSettings
from callcenter.desk.integrations.mapping import BadAnswer, address, asks_for, customer_of, headers
from callcenter.operate.crm import customer_of as customer_told

CRM = CrmSettings("acme", "https://crm.example.com/{call}?n={number}&a={account}", never=("+1900",))
NESTED = CrmSettings(
    "acme", "https://x/{number}", answer={**CRM.answer, "id": "data.0.no", "name": "data.0.who.name"},
    fields={"plan": "data.0.plan", "vip": "data.0.vip"},
)  # fmt: skip


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("number", ["anonymous", "", "Restricted", "amy", "+19005550100", "0x1"])
def test_it_is_not_asked_for_who_withholds_the_number_or_has_none_nor_where_never_is_said(number: str) -> None:
    assert not asks_for(CRM, number)


def test_a_value_never_changes_the_address() -> None:
    assert asks_for(CRM, "+1 (202) 555-0111") == "+12025550111"
    asked = address(CRM, {"number": "+1202", "account": "../../x?y=1&z#", "call": "cc1-a"})
    assert asked == "https://crm.example.com/cc1-a?n=%2B1202&a=..%2F..%2Fx%3Fy%3D1%26z%23"


def test_the_secret_stands_where_the_configuration_has_it() -> None:
    crm = CrmSettings("acme", "https://x/{number}", headers={"Authorization": "Bearer {secret}"})
    assert headers(crm, "s3") == {"Accept": "application/json", "Authorization": "Bearer s3"}
    keyed = CrmSettings("acme", "https://x/{number}?key={secret}")
    assert address(keyed, {"number": "+1"}, "a&b") == "https://x/%2B1?key=a%26b"


def test_a_customer_is_read_by_paths() -> None:
    answer = {"data": [{"no": 4711, "who": {"name": " Jo Doe "}, "plan": "xl", "vip": True}], "tier": "gold"}
    assert customer_of(NESTED, body(answer)) == {
        "id": "4711",
        "name": "Jo Doe",
        "tier": "gold",
        "fields": {"plan": "xl", "vip": "true"},
    }


@pytest.mark.parametrize("nobody", [b"", b" ", b"null", b"{}", b"[]", b'{"data": []}', b'{"data": [{"no": null}]}'])
def test_a_crm_that_knows_nobody_says_so_in_many_ways(nobody: bytes) -> None:
    assert customer_of(NESTED, nobody) is None


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (b"<html>we are down</html>", "no JSON"),
        (b'"Jo Doe"', "neither an object nor a list"),
        (b"4711", "neither an object nor a list"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (body({"name": "Jo"}), "no id at `id`"),
        (body({"id": {"a": 1}, "name": "Jo"}), "no id at `id`"),
    ],
)
def test_an_answer_that_is_none_is_told_without_its_content(lie: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why) as error:
        customer_of(CRM, lie)
    assert "Jo" not in str(error.value)
    assert "down" not in str(error.value)


def test_what_is_of_another_kind_is_left_out() -> None:
    answer = {
        "id": "c1",
        "name": ["Jo"],
        "language": "English",
        "agent": "Ana B.",
        "tier": None,
        "notes": "a\x00b\x1bc",
    }
    assert customer_of(CRM, body(answer)) == {"id": "c1", "notes": "abc", "fields": {}}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from([*CRM.answer, "plan"]), each),
)


@given(ANYTHING)
def test_whatever_a_crm_answers_the_switch_takes_what_is_told(answer: Any) -> None:
    crm = CrmSettings("acme", "https://x/{number}", fields={"plan": "plan"})
    try:
        told = customer_of(crm, body(answer))
    except BadAnswer:
        return
    assert told is None or customer_told("acme", told).id == told["id"]
