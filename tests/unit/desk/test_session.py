"""Signing in: who may, what the cookie is worth, whose pages may use it, and what it costs to guess."""

from __future__ import annotations

import base64
import secrets
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import argon2
import httpx
import pytest
from fastapi import Request

from callcenter.config.secrets import DeskLogin
from callcenter.desk import passwords
from callcenter.desk.identity import address_of
from callcenter.desk.passwords import verify
from callcenter.publish.mosquitto import mosquitto_hash
from callcenter.runtime.clock import SystemClock
from tests.unit.desk.support import BASE, TWO_COMPANIES, Floor, open_floor

IDA = "desk:\n  users:\n    ida: {name: Ida, role: admin}\n    acme-portal: {name: A, role: client, clients: [acme]}\n"
FLOOR = TWO_COMPANIES + IDA
SESSION = "/api/v1/session"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to take a fifth of a second by design."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


async def sign_in(client: httpx.AsyncClient, user: str, password: str) -> httpx.Response:
    return await client.post(SESSION, json={"user": user, "password": password})


async def signed_in(floor: Floor, user: str) -> tuple[httpx.AsyncClient, dict[str, Any]]:
    """A browser of somebody who has signed in, and what was answered."""
    browser = await floor.client(None)
    answer = await sign_in(browser, user, floor.passwords[user])
    assert answer.status_code == 201, answer.text
    return browser, answer.json()


@pytest.mark.parametrize(
    ("user", "role", "clients", "agent"),
    [
        ("ana", "agent", ["acme"], "ana"),
        ("sue", "supervisor", ["acme"], None),
        ("ida", "admin", None, None),
        ("acme-portal", "client", ["acme"], None),
    ],
)
async def test_everybody_signs_in_by_their_password_and_is_who_they_are(
    tmp_path: Path, user: str, role: str, clients: list[str] | None, agent: str | None
) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        browser, told = await signed_in(floor, user)
        assert (told["user"], told["role"]) == (user, role)
        me = (await browser.get("/api/v1/me")).json()
        assert (me["user"], me["role"], me["clients"], me["agent"]) == (user, role, clients, agent)
        again = (await browser.get(SESSION)).json()
        assert again["csrf"] == told["csrf"]


async def test_basic_signs_in_and_does_nothing_else(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        nobody = await floor.client(None)
        word = base64.b64encode(f"ana:{floor.passwords['ana']}".encode()).decode()
        basic = {"Authorization": f"Basic {word}"}
        assert (await nobody.get("/api/v1/me", headers=basic)).status_code == 401
        assert (await nobody.post(SESSION, headers=basic)).status_code == 201


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_of_the_database(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        answer = await sign_in(await floor.client(None), "ana", floor.passwords["ana"])
        (cookie,) = answer.headers.get_list("set-cookie")
        parts = [part.strip().lower() for part in cookie.split(";")]
        assert {"httponly", "samesite=strict", "path=/"} <= set(parts)
        assert "secure" not in parts
        secret = cookie.split(";")[0].partition("=")[2]
        for path in floor.desk.settings.switch.data.glob("desk.db*"):
            assert secret.encode() not in path.read_bytes()

    async with open_floor(tmp_path / "tls", FLOOR + "  public_url: https://desk.example.com\n") as floor:
        answer = await sign_in(await floor.client(None), "ana", floor.passwords["ana"])
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-callcenter=")
        assert "; secure" in cookie.lower()
        assert "domain" not in cookie.lower()
        assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize("user", ["ana", "nobody-of-that-name", "monitor", ""])
async def test_a_wrong_password_and_an_unknown_user_are_answered_alike(tmp_path: Path, user: str) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        answer = await sign_in(await floor.client(None), user, "wrong")
        if user:
            assert answer.status_code == 401
            assert answer.json()["detail"] == "user or password is wrong"
        else:
            assert (answer.status_code, answer.json()["field"]) == (422, "user")
        assert "set-cookie" not in answer.headers


def test_the_same_is_computed_for_whoever_signs_in_known_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    argon, mosquitto = passwords._argon, passwords._mosquitto

    def counted_argon(*each: str) -> bool:
        done.append("argon")
        return argon(*each)

    def counted_mosquitto(*each: str) -> bool:
        done.append("pbkdf2")
        return mosquitto(*each)

    monkeypatch.setattr(passwords, "_argon", counted_argon)
    monkeypatch.setattr(passwords, "_mosquitto", counted_mosquitto)
    logins = {
        "made": DeskLogin("made", password="abc"),
        "argon": DeskLogin("argon", hash=CHEAP.hash("abc")),
        "mosquitto": DeskLogin("mosquitto", hash=mosquitto_hash("abc", iterations=101)),
        "nobody": None,
    }
    for name, login in logins.items():
        done.clear()
        assert verify(login, "abc") is (name != "nobody")
        assert done == ["argon", "pbkdf2"]
        assert verify(login, "abd") is False
        assert verify(login, "") is False
    assert verify(None, "nobody's") is False
    assert verify(DeskLogin("x", password="abc", hash="$argon2id$v=19$broken"), "abc") is False


async def test_an_own_hash_serves_in_place_of_what_was_made(tmp_path: Path) -> None:
    hashed = CHEAP.hash("my own choice")
    own = FLOOR.replace("ana: {", f"ana: {{desk: '{hashed}', ", 1).replace(
        "bob: {", f"bob: {{mqtt: '{mosquitto_hash('bobs own', iterations=101)}', ", 1
    )
    async with open_floor(tmp_path, own) as floor:
        client = await floor.client(None)
        assert (await sign_in(client, "ana", "my own choice")).status_code == 201
        assert (await sign_in(client, "ana", floor.passwords["ana"])).status_code == 401
        assert (await sign_in(client, "bob", "bobs own")).status_code == 201


async def test_who_comes_while_too_many_are_checked_has_failed_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    checks = passwords.Passwords({"ana": DeskLogin("", "right")}, SystemClock())
    for _ in range(10):
        with pytest.raises(passwords.TooOften):
            await checks.check("ana", "right", "203.0.113.7")
    monkeypatch.setattr(passwords, "MOST_WAITING", 1)
    assert await checks.check("ana", "right", "203.0.113.7")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8::1:2:3:4", "2001:db8::"),
        ("2001:db8::9:9:9:9", "2001:db8::"),
        ("2001:db8::1", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("testclient", "testclient"),
    ],
)
def test_all_addresses_of_one_network_of_ipv6_are_one(host: str, address: str) -> None:
    """Whoever has one has as many as they like: what is limited for each would be limited for nobody."""
    assert address_of(Request({"type": "http", "client": (host, 1), "headers": []})) == address


async def test_who_guesses_must_wait_and_keeps_nobody_else_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(_: DeskLogin | None, word: str) -> bool:
        asked.append(word)
        return word == "right"

    monkeypatch.setattr(passwords, "verify", counted)
    async with open_floor(tmp_path, FLOOR) as floor:
        transport = httpx.ASGITransport(floor.app, client=("203.0.113.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as guesser:
            told = [(await sign_in(guesser, "ana", "wrong")).status_code for _ in range(7)]
            assert told == [401] * 5 + [429] * 2
            late = await sign_in(guesser, "ana", "right")
            assert (late.status_code, late.json()["reason"]) == (429, "too_many")
            assert 1 <= int(late.headers["retry-after"]) <= 20
            assert asked == ["wrong"] * 5, "nothing is computed for who asks too often"
        ana = await floor.client(None)
        assert (await sign_in(ana, "ana", "right")).status_code == 201, "from another address"
        for _ in range(10):
            assert (await sign_in(ana, "ana", "right")).status_code == 201, "what is right does not count"


async def test_what_changes_something_takes_the_token_of_the_page_beside_the_cookie(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        browser, told = await signed_in(floor, "ida")
        new = {"name": "crm", "role": "admin"}
        without = await browser.post("/api/v1/tokens", json=new)
        assert (without.status_code, without.json()["field"]) == (403, "X-CSRF-Token")
        another, other = await signed_in(floor, "ana")
        wrong = await browser.post("/api/v1/tokens", json=new, headers={"X-CSRF-Token": other["csrf"]})
        assert wrong.status_code == 403
        right = {"X-CSRF-Token": told["csrf"]}
        for elsewhere in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert (await browser.post("/api/v1/tokens", json=new, headers=right | elsewhere)).status_code == 403
        ours = right | {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
        assert (await browser.post("/api/v1/tokens", json=new, headers=ours)).status_code == 201
        assert (await another.get("/api/v1/me")).json()["user"] == "ana"


async def test_nobody_is_signed_in_by_a_page_from_elsewhere(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        client = await floor.client(None)
        body = {"user": "ana", "password": floor.passwords["ana"]}
        answer = await client.post(SESSION, json=body, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        assert (await client.post(SESSION, json=body, headers={"Origin": BASE})).status_code == 201


async def test_who_signs_out_is_nobody_and_so_is_who_was_away_too_long_or_is_here_too_long(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        browser, told = await signed_in(floor, "ana")
        kept = dict(browser.cookies)
        out = await browser.delete(SESSION, headers={"X-CSRF-Token": told["csrf"]})
        assert out.status_code == 204
        browser.cookies.update(kept)
        assert (await browser.get("/api/v1/me")).status_code == 401

        for hours in (3, 17):
            browser, _ = await signed_in(floor, "ana")
            assert (await browser.get("/api/v1/me")).status_code == 200
            with sqlite3.connect(floor.desk.settings.switch.data / "desk.db") as database:
                column = "seen_at" if hours == 3 else "created_at"
                back = (floor.desk.clock.now() - timedelta(hours=hours)).isoformat()
                database.execute(f"UPDATE sessions SET {column} = ?", (back,))
            database.close()
            assert (await browser.get("/api/v1/me")).status_code == 401


async def test_another_password_ends_the_sessions_of_the_old_one(tmp_path: Path) -> None:
    async with open_floor(tmp_path, FLOOR) as floor:
        ana, _ = await signed_in(floor, "ana")
        ida, _ = await signed_in(floor, "ida")
        logins = dict(floor.desk.passwords.logins)
        floor.desk.passwords.logins = {**logins, "ana": DeskLogin("ana", password=secrets.token_hex())}
        assert (await ana.get("/api/v1/me")).status_code == 401
        assert (await ida.get("/api/v1/me")).status_code == 200


async def test_a_session_more_than_may_be_ends_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.desk.sessions.MOST_OF_A_USER", 2)
    monkeypatch.setattr(passwords, "verify", lambda login, word: True)
    async with open_floor(tmp_path, FLOOR) as floor:
        browsers = [(await signed_in(floor, "ana"))[0] for _ in range(3)]
        assert [(await each.get("/api/v1/me")).status_code for each in browsers] == [401, 200, 200]
