"""Who asks: what is told of them, and that nobody else is let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.model.access import SCOPES, Role, Scope
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


async def test_a_path_that_is_not_there_is_a_problem_too(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        nobody = await floor.client(None)
        answer = await nobody.get("/api/v1/nothing")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert (await nobody.put("/api/v1/me")).json()["reason"] == "method_not_allowed"
