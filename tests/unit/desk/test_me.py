"""Who asks: what is told of them, and that nobody else is let in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from callcenter.desk.desk import open_desk
from callcenter.desk.identity import as_of_now
from callcenter.model.access import SCOPES, Role, Scope
from callcenter.model.facts import AgentSkillsChanged
from tests.unit.desk.support import open_floor


async def test_who_asks_is_told_who_they_are_and_what_they_may(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT, agent="ana", scopes={Scope.CALLS_READ})
        assert (await ana.get("/api/v1/me")).json() == {
            "user": "token:agent-1",
            "role": "agent",
            "agent": "ana",
            "clients": ["acme"],
            "scopes": ["calls:read"],
        }
        ida = await floor.client(Role.ADMIN)
        told = (await ida.get("/api/v1/me")).json()
        assert (told["clients"], told["agent"], set(told["scopes"])) == (None, None, set(SCOPES[Role.ADMIN]))


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer cct_wrong", "Bearer \xe9", "Basic YTpi", "cct_x"])
async def test_nobody_is_answered_as_nobody(tmp_path: Path, header: str) -> None:
    async with open_floor(tmp_path) as floor:
        nobody = await floor.client(None)
        answer = await nobody.get("/api/v1/me", headers={b"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["reason"] == "unauthenticated"
        assert "cct_wrong" not in answer.text


async def test_a_revoked_token_serves_no_more_from_that_moment_on(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        assert (await ida.get("/api/v1/me")).status_code == 200
        await floor.desk.tokens.revoke("admin-1")
        assert (await ida.get("/api/v1/me")).status_code == 401


async def test_an_agent_who_is_gone_asks_for_nothing_any_more(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ghost = await floor.client(Role.AGENT, agent="ghost")
        assert (await ghost.get("/api/v1/me")).status_code == 401


async def test_an_agent_who_is_lent_to_another_company_sees_it_as_long_as_that_lasts(tmp_path: Path) -> None:
    """As over MQTT: what is theirs to see is what they serve now, also for a desk that is started meanwhile."""
    async with open_floor(tmp_path) as floor:
        ana, narrowed = await floor.client(Role.AGENT), await floor.client(Role.AGENT, clients={"acme"})
        browser = await floor.client(None)
        signed_in = await browser.post("/api/v1/session", json={"user": "ana", "password": floor.passwords["ana"]})
        assert signed_in.status_code == 201

        async def seen(who: httpx.AsyncClient) -> list[str]:
            told = [each["client"] for each in (await who.get("/api/v1/clients")).json()["items"]]
            assert told == (await who.get("/api/v1/me")).json()["clients"]
            return told

        def roster(changed: tuple[str, ...], clients: tuple[str, ...]) -> None:
            fact = floor.stream.append(AgentSkillsChanged("ana", "sue", changed=changed, clients=clients))
            floor.desk.hub.take(fact)
            floor.storage.roster.take(fact)

        assert await seen(ana) == ["acme"]
        roster(("clients",), ("globex",))
        for who in (ana, browser):
            assert await seen(who) == ["globex"]
        assert await seen(narrowed) == [], "a token holds no more than it was made for"
        await floor.storage.log.drained()
        async with open_desk(floor.desk.settings) as later:
            again = await later.tokens.find(ana.headers["Authorization"].removeprefix("Bearer "))
            assert again is not None
            assert as_of_now(later, again.actor) == replace(again.actor, clients=frozenset({"globex"}))
        roster((), ())
        for who in (ana, browser, narrowed):
            assert await seen(who) == ["acme"]


async def test_a_path_that_is_not_there_is_a_problem_too(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        nobody = await floor.client(None)
        answer = await nobody.get("/api/v1/nothing")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert (await nobody.put("/api/v1/me")).json()["reason"] == "method_not_allowed"
