"""Digest authentication: the RFCs' example vectors, challenges, replay, and what strangers can learn."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given

from callcenter.sip import digest
from callcenter.sip.digest import (
    MAX_NONCES,
    Algorithm,
    Challenge,
    Credentials,
    DigestServer,
    Refused,
    Verdict,
    Verified,
    authorize,
    digest_response,
    ha1,
    parse_directives,
)
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request
from callcenter.sip.uri import Uri
from tests.unit.sip.strategies import texts

REALM = "callcenter.example"
KEY = b"0123456789abcdef"
NOW = 1_700_000_000.0
ANA = Credentials.of("ana", REALM, "sesame")
TARGET = "sip:callcenter.example;transport=UDP"


def lookup(user: str) -> Credentials | None:
    return ANA if user == "ana" else None


def server(**more: object) -> DigestServer:
    return DigestServer(REALM, KEY, **more)  # type: ignore[arg-type]


def register(*authorizations: str, method: str = "REGISTER") -> Request:
    return Request(method, Uri(host=REALM), Headers([("Authorization", value) for value in authorizations]))


def answer(
    challenges: list[str], *, user: str = "ana", password: str = "sesame", nc: int = 1, method: str = "REGISTER"
) -> str:
    value = authorize(challenges, method=method, uri=TARGET, user=user, password=password, cnonce="c0", nc=nc)
    assert value is not None
    return value


def old_form(challenge: str, password: str = "sesame") -> str:
    """What a phone answers that knows RFC 2069 only: no algorithm, no qop."""
    return answer([challenge.replace(', qop="auth"', "")], password=password).replace(", algorithm=MD5", "")


def verify(to: DigestServer, *authorizations: str, now: float = NOW, method: str = "REGISTER") -> Verdict:
    return to.verify(register(*authorizations, method=method), lookup, now)


# -- the examples of the RFCs


def test_the_example_of_rfc_2617() -> None:
    secret = ha1("Mufasa", "testrealm@host.com", "Circle Of Life", Algorithm.MD5)
    assert secret == "939e7578ed9e3c518a452acee763bce9"
    assert (
        digest_response(
            Algorithm.MD5,
            secret,
            "GET",
            "/dir/index.html",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            qop="auth",
            nc="00000001",
            cnonce="0a4f113b",
        )
        == "6629fae49393a05397450978507c4ef1"
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: Algorithm, response: str) -> None:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm.value}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    value = authorize(
        [challenge],
        method="GET",
        uri="/dir/index.html",
        user="Mufasa",
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert value is not None
    found = parse_directives(value)
    assert found is not None
    assert found["response"] == response
    assert found["opaque"] == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    assert ", qop=auth, nc=00000001" in value


def test_the_form_of_rfc_2069() -> None:
    secret = ha1("Mufasa", "testrealm@host.com", "CircleOfLife", Algorithm.MD5)
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    # The value of the erratum to RFC 2069: the one printed in the RFC itself is wrong.
    assert digest_response(Algorithm.MD5, secret, "GET", "/dir/index.html", nonce) == "1949323746fe6a43ef61f9606e7febea"


# -- the good way


def test_challenges_carry_one_nonce_for_both_algorithms_md5_first() -> None:
    challenges = server().challenges(NOW)
    first, second = (parse_directives(value) or {} for value in challenges)
    assert (first["algorithm"], second["algorithm"]) == ("MD5", "SHA-256")
    assert first["nonce"] == second["nonce"]
    assert (first["realm"], first["qop"], "stale" in first) == (REALM, "auth", False)
    assert all("stale=true" in value for value in server().challenges(NOW, stale=True))


def test_nonces_are_never_the_same() -> None:
    one = server()
    assert len({tuple(one.challenges(NOW)) for _ in range(100)}) == 100


@pytest.mark.parametrize("which", [0, 1])
def test_the_right_password_is_verified_by_either_algorithm(which: int) -> None:
    one = server()
    assert verify(one, answer([one.challenges(NOW)[which]])) == Verified("ana")


def test_the_first_challenge_that_can_be_answered_is_answered() -> None:
    one = server(algorithms=(Algorithm.SHA256, Algorithm.MD5))
    value = answer(["Basic realm=x", 'Digest realm="x", nonce="n", algorithm=SHA-512-256', *one.challenges(NOW)])
    assert "algorithm=SHA-256" in value
    assert verify(one, value) == Verified("ana")


def test_a_stored_ha1_serves_in_place_of_the_password() -> None:
    one = server()
    only_md5 = Credentials("ana", ANA.ha1_md5)
    value = authorize(
        one.challenges(NOW)[::-1], method="REGISTER", uri=TARGET, user="ana", credentials=only_md5, cnonce="c"
    )
    assert value is not None
    assert "algorithm=MD5" in value
    assert verify(one, value) == Verified("ana")
    assert authorize(one.challenges(NOW), method="X", uri="x", user="ana", cnonce="c") is None


def test_any_node_with_the_key_verifies() -> None:
    challenges = server().challenges(NOW)
    assert verify(server(), answer(challenges)) == Verified("ana")
    assert verify(DigestServer(REALM, KEY[::-1]), answer(challenges)) == Challenge(stale=True)


def test_a_nonce_serves_many_requests_with_growing_counts() -> None:
    one = server()
    challenges = one.challenges(NOW)
    for nc in (1, 2, 3, 10, 200):
        assert verify(one, answer(challenges, nc=nc)) == Verified("ana")


def test_credentials_for_others_stand_beside_ours() -> None:
    one = server()
    other = 'Digest username="x", realm="elsewhere", nonce="n", uri="u", response="r"'
    strange = "NoOneKnowsThisScheme opaque-data=here"
    assert verify(one, strange, other, answer(one.challenges(NOW))) == Verified("ana")
    assert verify(one, strange, other) == Challenge(stale=False)


def test_proxies_have_their_own_header() -> None:
    one = server()
    value = answer(one.challenges(NOW), method="INVITE")
    request = Request("INVITE", Uri(host="h"), Headers([("Proxy-Authorization", value)]))
    assert one.verify(request, lookup, NOW, header="Proxy-Authorization") == Verified("ana")
    assert one.verify(request, lookup, NOW) == Challenge(stale=False)


# -- the bad way


def test_wrong_password_and_unknown_user_are_the_same() -> None:
    one = server()
    challenges = one.challenges(NOW)
    assert verify(one, answer(challenges, password="wrong")) == Refused()
    assert verify(one, answer(challenges, user="nobody")) == Refused()
    assert verify(one, old_form(challenges[0], password="wrong")) == Refused()
    # Also with nonces that are not ours or too old: nothing tells whether there is such a user.
    foreign = ['Digest realm="callcenter.example", nonce="x", qop="auth"']
    for nonces, at in ((foreign, NOW), (foreign, NOW + 10_000), (challenges, NOW + 10_000)):
        assert verify(one, answer(nonces, user="nobody"), now=at) == Challenge(stale=True)
        assert verify(one, answer(nonces, password="wrong"), now=at) == Challenge(stale=True)
        assert verify(one, answer(nonces), now=at) == Challenge(stale=True), "nor whether the password is right"


def test_a_nonce_is_good_for_the_source_that_it_was_sent_to() -> None:
    """Who forges an address sees no nonce that was sent there, and so fails no login in its name."""
    one = server()
    mine = one.challenges(NOW, source="192.0.2.2")

    def verdict(source: str, **named: Any) -> Verdict:
        return one.verify(register(answer(mine, **named)), lookup, NOW, source=source)

    assert verdict("192.0.2.3", password="wrong") == Challenge(stale=True)
    assert verdict("192.0.2.3") == Challenge(stale=True)
    assert verdict("192.0.2.2", password="wrong") == Refused()
    assert verdict("::ffff:192.0.2.2") == Verified("ana")


def test_a_phone_that_changes_its_ipv6_address_within_its_network_keeps_its_nonce() -> None:
    one = server()
    mine = one.challenges(NOW, source="2001:db8::1")
    right = one.verify(register(answer(mine)), lookup, NOW, source="2001:db8::abcd")
    assert right == Verified("ana")
    assert one.verify(register(answer(mine, nc=2)), lookup, NOW, source="2001:db8:0:1::1") == Challenge(stale=True)


def test_an_unknown_user_costs_the_same_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: the same hashes of the same lengths, and no step more."""
    work: list[tuple[str, int]] = []
    hashed, mac = digest.digest_hash, hmac.digest

    def counted(algorithm: Algorithm, text: str) -> str:
        work.append((algorithm, len(text)))
        return hashed(algorithm, text)

    def signed(key: bytes, message: bytes, how: str) -> bytes:
        work.append(("hmac", len(message)))
        return mac(key, message, how)

    one = server()
    answers = [answer(one.challenges(NOW), user=user, password="wrong") for user in ("ana", "eve")]
    monkeypatch.setattr(digest, "digest_hash", counted)
    monkeypatch.setattr(hmac, "digest", signed)
    done = []
    for value in answers:
        work.clear()
        assert verify(one, value) == Refused()
        done.append(list(work))
    assert done[0] == done[1]
    assert len(done[0]) == 4, "the nonce, what stands for nobody's secret, and two hashes of the answer"


def test_nobody_gets_in_without_a_secret() -> None:
    one = server()
    empty = Credentials("ana", "", "")
    for guess in ("", ha1("ana", REALM, "", Algorithm.MD5)):
        value = answer(one.challenges(NOW), password=guess)
        assert one.verify(register(value), lambda _: empty, NOW) == Refused()
        assert one.verify(register(value), lambda _: None, NOW) == Refused()


def test_a_user_without_the_hash_of_the_algorithm_is_refused_by_it() -> None:
    one = server()
    only_md5 = Credentials("ana", ANA.ha1_md5)
    value = answer([one.challenges(NOW)[1]])
    assert one.verify(register(value), lambda _: only_md5, NOW) == Refused()


def test_another_method_is_another_answer() -> None:
    one = server()
    assert verify(one, answer(one.challenges(NOW)), method="INVITE") == Refused()


def test_a_replay_is_stale() -> None:
    one = server()
    challenges = one.challenges(NOW)
    first, third = answer(challenges), answer(challenges, nc=3)
    assert verify(one, first) == Verified("ana")
    assert verify(one, first) == Challenge(stale=True)
    assert verify(one, third) == Verified("ana")
    # Requests may cross each other on the way, each count is still good for one.
    assert verify(one, answer(challenges, nc=2)) == Verified("ana")
    for again in (1, 2, 3):
        assert verify(one, answer(challenges, nc=again)) == Challenge(stale=True)
    assert verify(one, answer(challenges, nc=500)) == Verified("ana")
    assert verify(one, answer(challenges, nc=4)) == Challenge(stale=True)
    assert verify(one, answer(challenges, nc=0)) == Challenge(stale=True)


def test_a_wrong_password_does_not_use_up_a_count() -> None:
    one = server()
    challenges = one.challenges(NOW)
    assert verify(one, answer(challenges, password="wrong")) == Refused()
    assert verify(one, answer(challenges)) == Verified("ana")


def test_a_nonce_grows_old() -> None:
    one = server(nonce_life=60.0)
    challenges = one.challenges(NOW)
    assert verify(one, answer(challenges), now=NOW + 60) == Verified("ana")
    assert verify(one, answer(challenges, nc=2), now=NOW + 60.01) == Challenge(stale=True)
    assert verify(one, answer(one.challenges(NOW + 100)), now=NOW) == Challenge(stale=True)


@pytest.mark.parametrize("nonce", ["", "x", "é", "A" * 36, "%%%", "=" * 36])
def test_a_foreign_nonce_is_stale_for_who_knows_the_password(nonce: str) -> None:
    one = server()
    assert verify(one, answer([f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"'])) == Challenge(stale=True)


def test_a_changed_nonce_is_not_ours() -> None:
    one = server()
    challenge = one.challenges(NOW)[0]
    nonce = (parse_directives(challenge) or {})["nonce"]
    for at in range(len(nonce)):
        changed = nonce[:at] + ("A" if nonce[at] != "A" else "B") + nonce[at + 1 :]
        assert verify(one, answer([challenge.replace(nonce, changed)])) == Challenge(stale=True)


# -- the old form


def test_the_old_form_is_good_once() -> None:
    one = server()
    value = old_form(one.challenges(NOW)[0])
    assert "qop" not in value
    assert "algorithm" not in value
    assert verify(one, value) == Verified("ana")
    assert verify(one, value) == Challenge(stale=True)


def test_the_old_form_and_the_new_do_not_share_a_nonce() -> None:
    one = server()
    challenges = one.challenges(NOW)
    assert verify(one, old_form(challenges[0])) == Verified("ana")
    assert verify(one, answer(challenges)) == Challenge(stale=True)
    challenges = one.challenges(NOW)
    assert verify(one, answer(challenges)) == Verified("ana")
    assert verify(one, old_form(challenges[0])) == Challenge(stale=True)


def test_the_old_form_can_be_switched_off() -> None:
    one = server(allow_rfc2069=False)
    assert verify(one, old_form(one.challenges(NOW)[0])) == Challenge(stale=False)
    assert verify(one, answer(one.challenges(NOW))) == Verified("ana")


# -- bounds and noise


def test_what_is_remembered_is_bounded_and_forgetting_opens_no_door() -> None:
    one = server(max_nonces=3)
    values = [answer(one.challenges(NOW + step)) for step in range(6)]
    assert [verify(one, value, now=NOW + 6) for value in values] == [Verified("ana")] * 6
    assert " 3 nonces" in repr(one)
    assert [verify(one, value, now=NOW + 6) for value in values] == [Challenge(stale=True)] * 6


def test_old_nonces_are_forgotten() -> None:
    one = server(nonce_life=60.0)
    for step in range(10):
        assert verify(one, answer(one.challenges(NOW + step)), now=NOW + step) == Verified("ana")
    assert " 10 nonces" in repr(one)
    assert verify(one, answer(one.challenges(NOW + 300)), now=NOW + 300) == Verified("ana")
    assert " 1 nonces" in repr(one)


def test_strangers_fill_no_memory() -> None:
    one = server()
    for step in range(20):
        assert verify(one, answer(one.challenges(NOW + step), password="wrong"), now=NOW + step) == Refused()
    assert " 0 nonces" in repr(one)
    assert MAX_NONCES >= 10_000


def test_a_short_key_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        DigestServer(REALM, b"short")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        "Digest ",
        "Basic YTpi",
        'Digest username="ana"',
        'Digest username="ana", username="bob"',
        'Digest username="ana',
        "Digest =,=,=",
        "Digest " + "a=b, " * 40,
        "Digest " + "a" * 5000,
        'Digest username="ana", realm="callcenter.example", nonce="n", uri="u", response="r", qop=auth-int, nc=1',
        'Digest username="ana", realm="callcenter.example", nonce="n", uri="u", response="r", qop=auth, nc=z, cnonce=x',
        'Digest username="ana", realm="callcenter.example", nonce="n", uri="u", response="r", algorithm=MD5-sess',
    ],
)
def test_credentials_that_make_no_sense_are_none(value: str) -> None:
    assert verify(server(), value) == Challenge(stale=False)


@given(texts, texts, texts)
def test_odd_names_and_passwords_work_and_noise_raises_nothing(user: str, password: str, noise: str) -> None:
    one = server()
    known = Credentials.of(user, REALM, password)
    value = answer(one.challenges(NOW), user=user, password=password)
    assert one.verify(register(value), lambda name: known if name == user else None, NOW) == Verified(user)
    assert verify(one, "Digest " + noise, noise, value + noise) in (
        Challenge(stale=False),
        Challenge(stale=True),
        Refused(),
    )


def test_directives_as_phones_write_them() -> None:
    value = 'digest  username = "a\\"b" ,realm=x,\tnc=00000001 , qop="auth"'
    assert parse_directives(value) == {"username": 'a"b', "realm": "x", "nc": "00000001", "qop": "auth"}


def test_ha1_is_what_the_rfc_says() -> None:
    assert ANA.ha1_sha256 == sha256(f"ana:{REALM}:sesame".encode()).hexdigest()
    assert ANA.ha1(Algorithm.MD5) == ANA.ha1_md5 != ANA.ha1(Algorithm.SHA256) == ANA.ha1_sha256
