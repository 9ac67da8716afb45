"""What holds for every route: rates, sizes, origins, headers; and commands that are done once for each key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
import structlog
from fastapi import APIRouter, Request

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.commands import command
from callcenter.desk.gate import LONGEST_BODY
from callcenter.desk.identity import TheDesk, requires
from callcenter.model.access import Actor, Role
from tests.unit.desk.support import TWO_COMPANIES, Floor, open_floor

Anybody = Annotated[Actor, requires()]
CRM = "https://crm.example.com"


async def test_a_page_of_a_configured_origin_asks_with_a_token_and_no_other_page_does(tmp_path: Path) -> None:
    async with open_floor(tmp_path, TWO_COMPANIES, f"desk.cors=[{CRM}]") as floor:
        ida = await floor.client(Role.ADMIN)
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        allowed = await ida.options("/api/v1/me", headers={"Origin": CRM, **asks})
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, CRM)
        assert "Authorization" in allowed.headers["access-control-allow-headers"]
        refused = await ida.options("/api/v1/me", headers={"Origin": "https://evil.example", **asks})
        assert "access-control-allow-origin" not in refused.headers
        answer = await ida.get("/api/v1/me", headers={"Origin": CRM})
        assert answer.headers["access-control-allow-origin"] == CRM
        assert "Origin" in answer.headers["vary"]
        for each in (allowed, refused, answer):
            assert "access-control-allow-credentials" not in each.headers
        wrong = await (await floor.client(None)).get("/api/v1/me", headers={"Origin": CRM})
        assert wrong.headers["access-control-allow-origin"] == CRM, "a page may read why it is refused"
        assert "access-control-allow-origin" not in (await ida.get("/api/v1/me", headers={"Origin": "null"})).headers


async def test_every_answer_tells_browsers_to_keep_it_to_themselves(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        for answer in (await ida.get("/api/v1/me"), await ida.get("/nothing")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_who_asks_too_much_is_told_when_to_ask_again_and_the_others_are_served(tmp_path: Path) -> None:
    rate = "desk.rate={requests_per_second: 0.1, burst: 3}"
    async with open_floor(tmp_path, TWO_COMPANIES, rate) as floor:
        ida, bob = await floor.client(Role.ADMIN), await floor.client(Role.AGENT, agent="bob")
        told = [(await ida.get("/api/v1/me")).status_code for _ in range(5)]
        assert told == [200, 200, 200, 429, 429]
        answer = await ida.get("/api/v1/me")
        assert answer.json()["reason"] == "too_many"
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert (await bob.get("/api/v1/me")).status_code == 200
        nobody = await floor.client(None)
        told = [(await nobody.get("/api/v1/me")).status_code for _ in range(4)]
        assert told == [401, 401, 401, 429]


async def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LONGEST_BODY // 65536 + 1):
            yield b"x" * 65536

    async with open_floor(tmp_path) as floor:
        ida = await floor.client(Role.ADMIN)
        for body in (b"x" * (LONGEST_BODY + 1), chunks()):
            answer = await ida.post("/api/v1/tokens", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        broken = await ida.post("/api/v1/tokens", content=b"{", headers={"Content-Type": "application/json"})
        assert (broken.status_code, broken.json()["detail"]) == (400, "the body is not JSON")


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    """With a route that has the switch do something."""
    router = APIRouter()

    @router.post("/do")
    async def do(request: Request, desk: TheDesk, body: dict[str, str], actor: Anybody) -> dict[str, object]:
        if body.get("text") == "fail":
            raise ZeroDivisionError("secret of a customer")
        return await command(desk, request, actor, "do", **body)

    async with open_floor(tmp_path) as opened:
        opened.app.include_router(router)
        yield opened


async def test_the_same_key_is_done_once_for_each_user_and_another_body_is_a_conflict(floor: Floor) -> None:
    counted = iter(range(10))

    async def done(_: object) -> dict[str, object]:
        return {"number": next(counted)}

    floor.answers["do"] = done
    ida, bob = await floor.client(Role.ADMIN), await floor.client(Role.AGENT, agent="bob")
    key = {"Idempotency-Key": "a1"}

    async def ask(client: httpx.AsyncClient, text: str, headers: dict[str, str]) -> httpx.Response:
        return await client.post("/do", json={"text": text}, headers=headers)

    assert (await ask(ida, "one", key)).json() == {"number": 0}
    assert (await ask(ida, "one", key)).json() == {"number": 0}
    assert (await ask(bob, "one", key)).json() == {"number": 1}, "another's key is another one"
    conflict = await ask(ida, "two", key)
    assert (conflict.status_code, conflict.json()["field"]) == (409, "Idempotency-Key")
    assert (await ask(ida, "one", {})).json() == {"number": 2}
    assert (await ask(ida, "one", {"Idempotency-Key": "x" * 256})).status_code == 400
    assert [each.actor.user for each in floor.asked] == ["token:admin-1", "token:agent-2", "token:admin-1"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.INVALID, 422),
        (Reason.FORBIDDEN, 403),
        (Reason.NOT_FOUND, 404),
        (Reason.CONFLICT, 409),
        (Reason.TOO_MANY, 429),
        (Reason.UNAVAILABLE, 503),
    ],
)
async def test_what_the_switch_refuses_is_told_with_its_reason_and_field(
    floor: Floor, reason: Reason, status: int
) -> None:
    floor.answers["do"] = CommandError("not so", reason, field="text", other="c1")
    answer = await (await floor.client(Role.ADMIN)).post("/do", json={"text": "x"})
    told = answer.json()
    assert answer.status_code == told["status"] == status
    assert (told["detail"], told["reason"], told["field"], told["other"]) == ("not so", reason, "text", "c1")
    assert ("retry-after" in answer.headers) is (status in (429, 503))


async def test_a_switch_that_is_away_is_told_and_a_mistake_of_ours_tells_nothing(floor: Floor) -> None:
    ida = await floor.client(Role.ADMIN)
    floor.desk.switch.path = floor.desk.switch.path.with_name("nothing.sock")
    answer = await ida.post("/do", json={"text": "x"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert "/" not in answer.json()["detail"], "where it runs is nobody's business"
    with structlog.testing.capture_logs() as log:
        answer = await ida.post("/do", json={"text": "fail"})
    assert "secret of a customer" in str(log[0]["exc_info"])
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
