"""Events are signed as Standard Webhooks has it; the vectors are those of its own library."""

from __future__ import annotations

import base64

import pytest

from callcenter.desk.integrations.signature import BadSecret, key_of, new_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_the_specification() -> None:
    assert sign([key_of(SECRET)], MESSAGE, AT, BODY) == SIGNATURE


def test_while_a_secret_changes_both_sign() -> None:
    other = new_secret(b"x" * 32)
    assert other == "whsec_" + base64.b64encode(b"x" * 32).decode()
    first, second = sign([key_of(other), key_of(SECRET)], MESSAGE, AT, BODY).split(" ")
    assert (first != second, second) == (True, SIGNATURE)


def test_a_text_of_ones_own_is_a_key_when_it_is_long_enough() -> None:
    assert key_of("  a text of our own\n") == b"a text of our own"
    for bad, why in (
        ("short", "16 to 512 bytes, this one 5"),
        ("whsec_%%%", "no base64"),
        ("whsec_YQ==", "this one 1"),
    ):
        with pytest.raises(BadSecret, match=why):
            key_of(bad)
