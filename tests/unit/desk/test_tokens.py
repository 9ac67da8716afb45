"""Tokens over HTTP: made, shown once, narrowed, listed, revoked; and never worth more than who made them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callcenter.model.access import Role, Scope
from tests.unit.desk.support import Floor, open_floor

TOKENS = "/api/v1/tokens"


async def me_of(floor: Floor, token: str) -> dict[str, Any] | None:
    """Who somebody is by a token."""
    client = await floor.client(None)
    answer = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    told: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return told


async def test_a_token_is_shown_once_serves_as_it_was_made_and_ends_when_it_is_revoked(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        new = {"name": "crm", "role": "supervisor", "clients": ["acme"], "scopes": ["calls:read", "customers:read"]}
        made = (await ida.post(TOKENS, json=new)).json()
        assert made["token"].startswith("cct_")
        assert len(made["token"]) > 40
        me = await me_of(floor, made["token"])
        assert me == {
            "user": "token:crm",
            "role": "supervisor",
            "agent": None,
            "clients": ["acme"],
            "scopes": ["calls:read", "customers:read"],
        }
        listed = (await ida.get(TOKENS)).json()["items"]
        (info,) = [each for each in listed if each["name"] == "crm"]
        assert made["token"] not in str(listed)
        assert (info["created_by"], info["revoked_at"]) == ("token:admin-1", None)
        assert info["used_at"] is not None
        for path in floor.desk.settings.switch.data.glob("desk.db*"):
            assert made["token"].encode() not in path.read_bytes()
        assert (await ida.delete(f"{TOKENS}/crm")).status_code == 204
        assert await me_of(floor, made["token"]) is None
        assert (await ida.delete(f"{TOKENS}/crm")).status_code == 404
        assert (await ida.post(TOKENS, json=new)).status_code == 201, "its name is free again"
        acts = [(each.fields["action"], each.fields["target"]) for each in floor.asked if each.do == "audited"]
        assert acts == [("token_create", "crm"), ("token_revoke", "crm"), ("token_create", "crm")]


async def test_a_token_ends_when_its_time_is_over(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
        made = (await ida.post(TOKENS, json={"name": "short", "role": "admin", "expires_at": soon})).json()
        assert await me_of(floor, made["token"])
        await floor.desk.own.execute("UPDATE tokens SET expires_at = '2026-01-01T00:00:00.000Z' WHERE name = 'short'")
        assert await me_of(floor, made["token"]) is None


@pytest.mark.parametrize(
    ("new", "status", "field"),
    [
        ({"name": "CRM", "role": "admin"}, 422, "name"),
        ({"name": "x", "role": "boss"}, 422, "role"),
        ({"name": "x", "role": "client"}, 422, "clients"),
        ({"name": "x", "role": "agent"}, 422, "agent"),
        ({"name": "x", "role": "client", "clients": ["acme"], "scopes": ["config"]}, 422, "scopes"),
        ({"name": "x", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
        ({"name": "x", "role": "admin", "expires_at": "2030-01-01T00:00:00"}, 422, "expires_at"),
        ({"name": "admin-1", "role": "admin"}, 409, "name"),
        ({"name": "x", "role": "admin", "more": 1}, 422, "more"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    tmp_path: Path, new: dict[str, Any], status: int, field: str
) -> None:
    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        answer = await ida.post(TOKENS, json=new)
        assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_a_token_never_holds_more_than_who_makes_it(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        narrow = await floor.client(Role.ADMIN, clients={"acme"}, scopes={Scope.TOKENS, Scope.CALLS_READ})
        wide = await narrow.post(TOKENS, json={"name": "a", "role": "admin", "clients": ["globex"]})
        assert (wide.status_code, wide.json()["field"]) == (422, "clients")
        more = await narrow.post(TOKENS, json={"name": "a", "role": "admin", "scopes": ["config"]})
        assert (more.status_code, more.json()["field"]) == (422, "scopes")
        made = (await narrow.post(TOKENS, json={"name": "a", "role": "admin"})).json()
        me = await me_of(floor, made["token"])
        assert me is not None
        assert (me["clients"], me["scopes"]) == (["acme"], ["calls:read", "tokens"])
        ida = await floor.client(Role.ADMIN)
        await ida.post(TOKENS, json={"name": "of-all", "role": "admin"})
        assert "of-all" not in (await narrow.get(TOKENS)).text
        assert (await narrow.delete(f"{TOKENS}/of-all")).status_code == 404


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.CLIENT])
async def test_only_admins_make_tokens(tmp_path: Path, role: Role) -> None:
    async with open_floor(tmp_path) as floor:
        client = await floor.client(role)
        answer = await client.post(TOKENS, json={"name": "x", "role": role})
        assert (answer.status_code, answer.json()["reason"], answer.json()["scope"]) == (403, "forbidden", "tokens")
        assert (await client.get(TOKENS)).status_code == 403
