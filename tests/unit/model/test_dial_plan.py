"""Numbers as people and carriers write them, and what they are in E.164."""

from __future__ import annotations

import pytest

from callcenter.model.dial_plan import DialPlan, country_code

AMERICA = DialPlan("1", "1", "011")
BRITAIN = DialPlan("44", "0", "00")
SPAIN = DialPlan("34", "", "00")
WHOLE = DialPlan()


@pytest.mark.parametrize(
    ("plan", "written", "wanted"),
    [
        (AMERICA, "2025550123", "+12025550123"),
        (AMERICA, "12025550123", "+12025550123"),
        (AMERICA, "(202) 555-0123", "+12025550123"),
        (AMERICA, "+1 202.555.0123", "+12025550123"),
        (AMERICA, "011442079460000", "+442079460000"),
        (BRITAIN, "020 7946 0000", "+442079460000"),
        (BRITAIN, "0012025550123", "+12025550123"),
        (BRITAIN, "+442079460000", "+442079460000"),
        (SPAIN, "910000000", "+34910000000"),
        (WHOLE, "442079460000", "+442079460000"),
        (WHOLE, "00442079460000", "+442079460000"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(plan: DialPlan, written: str, wanted: str) -> None:
    assert plan.to_e164(written) == wanted
    assert plan.to_e164(wanted) == wanted


@pytest.mark.parametrize(
    "written", ["", "+", "112", "911", "1000", "*20", "anonymous", "+0123456789", "1" * 17, "٤٤٢٠٧٩"]
)
@pytest.mark.parametrize("plan", [AMERICA, BRITAIN, SPAIN, WHOLE])
def test_what_is_short_or_long_or_a_word_is_no_number(plan: DialPlan, written: str) -> None:
    assert plan.to_e164(written) is None


@pytest.mark.parametrize(
    ("number", "country"),
    [("+12025550123", "1"), ("+79001234567", "7"), ("+442079460000", "44"), ("+34910000000", "34"),
     ("+5511999990000", "55"), ("+351210000000", "351"), ("+97221234567", "972"), ("+88216000000", "882")],
)  # fmt: skip
def test_the_country_of_a_number(number: str, country: str) -> None:
    assert country_code(number) == country
