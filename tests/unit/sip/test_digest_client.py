"""Answering challenges: of whom we register with and call, with the nonce counted, stale, or wrong."""

from __future__ import annotations

from random import Random

import pytest

from callcenter.sip.digest import Credentials, DigestServer, Verified, parse_directives
from callcenter.sip.digest_client import DigestClient
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request, Response
from callcenter.sip.uri import Uri

URI = "sip:carrier.example"
NAMES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


def client(password: str = "open sesame") -> DigestClient:
    return DigestClient("acme", password, Random(1))


def challenge(status: int, *values: str) -> Response:
    return Response(status, "Unauthorized", Headers([(NAMES[status][0], value) for value in values]))


def asked(nonce: str, more: str = "") -> str:
    return f'Digest realm="carrier", nonce="{nonce}", qop="auth"{more}'


def request(headers: list[tuple[str, str]]) -> Request:
    return Request("REGISTER", Uri.parse(URI), Headers(headers))


@pytest.mark.parametrize("status", [401, 407])
def test_an_answer_is_what_a_server_takes_again_and_again(status: int) -> None:
    server = DigestServer("carrier", b"a key that is long enough")
    known = Credentials.of("acme", "carrier", "open sesame")
    ours = client()
    assert ours.headers("REGISTER", URI) == []
    assert ours.take(challenge(status, *server.challenges(1000.0)))
    for _ in range(3):
        ours.begin()
        found = ours.headers("REGISTER", URI)
        assert [name for name, _ in found] == [NAMES[status][1]]
        verdict = server.verify(request(found), lambda user: known, 1000.0, header=NAMES[status][1])
        assert isinstance(verdict, Verified)


def test_a_password_that_was_refused_is_not_sent_again() -> None:
    ours = client()
    assert ours.take(challenge(401, asked("one")))
    assert ours.headers("REGISTER", URI)
    assert not ours.take(challenge(401, asked("two")))
    assert ours.headers("REGISTER", URI) == []


def test_a_stale_nonce_is_answered_with_the_new_one() -> None:
    ours = client()
    ours.take(challenge(401, asked("one")))
    ours.headers("REGISTER", URI)
    assert ours.take(challenge(401, asked("two", ", stale=true")))
    ((_, answer),) = ours.headers("REGISTER", URI)
    found = parse_directives(answer)
    assert found is not None
    assert (found["nonce"], found["nc"]) == ("two", "00000001")


def test_a_nonce_of_yesterday_that_is_refused_without_a_word_is_no_wrong_password() -> None:
    ours = client()
    ours.take(challenge(401, asked("one")))
    ours.headers("REGISTER", URI)
    ours.begin()
    ours.headers("REGISTER", URI)
    assert ours.take(challenge(401, asked("two")))


def test_a_proxy_and_the_server_behind_it_are_both_answered() -> None:
    ours = client()
    assert ours.take(challenge(407, asked("one")))
    assert ours.take(challenge(401, asked("two")))
    assert [name for name, _ in ours.headers("INVITE", URI)] == ["Proxy-Authorization", "Authorization"]


def test_who_has_no_login_answers_nothing() -> None:
    nobody = DigestClient("", "", Random(1))
    assert not nobody.take(challenge(401, asked("one")))
    assert not client().take(Response(200, "OK", Headers()))
    assert not client().take(challenge(401))
