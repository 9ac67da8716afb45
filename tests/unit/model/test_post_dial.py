"""Keys behind a number: what is pressed when somebody has answered."""

from __future__ import annotations

import pytest

from callcenter.model.post_dial import MOST_KEYS, split_post_dial, with_post_dial


@pytest.mark.parametrize(
    ("written", "number", "keys"),
    [
        ("+493012345,,4711#", "+493012345", ",,4711#"),
        ("+49(30)123-45,1", "+49(30)123-45", ",1"),
        ("030123p12w3", "030123", ",12,3"),
        ("+493012345,a*", "+493012345", ",A*"),
        ("+493012345", "+493012345", ""),
        ("bob", "bob", ""),
        ("pwood", "pwood", ""),
        ("+493012345,12;x", "+493012345,12;x", ""),
        ("+493012345," + "1" * MOST_KEYS, "+493012345," + "1" * MOST_KEYS, ""),
        (",12", ",12", ""),
        ("", "", ""),
    ],
)
def test_a_number_is_told_from_the_keys_behind_it(written: str, number: str, keys: str) -> None:
    assert split_post_dial(written) == (number, keys)


def test_a_parameter_of_the_user_says_the_same() -> None:
    assert with_post_dial("+493012345;postd=p4711", "+493012345") == "+493012345,p4711"
    assert with_post_dial("+493012345;postd=12;isub=1", "+493012345") == "+493012345,12"
    assert with_post_dial("+493012345;postd=12!", "+493012345") == "+493012345"
    assert with_post_dial("bob", "bob") == "bob"
    assert split_post_dial(with_post_dial("+493012345;postd=p4711", "+493012345")) == ("+493012345", ",,4711")
