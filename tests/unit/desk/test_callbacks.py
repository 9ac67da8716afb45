"""``/callbacks``: what is asked goes to the switch as it is meant, and what comes of it is told as it is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import SCOPES, Role, Scope
from tests.unit.desk.support import open_floor

ONE: dict[str, Any] = {
    "id": "x-1", "client": "acme", "queue": "sales", "number": "+14155550101", "name": "", "customer": "c1",
    "state": "planned", "source": "agent", "reason": "the invoice", "requested_at": "2026-11-30T10:00:00.000Z",
    "created_by": "agent ana", "call": "cc1-1", "followup": "", "scheduled": True,
    "not_before": "2026-12-01T09:00:00.000Z", "not_after": None, "zone": "Europe/Madrid",
    "next_at": "2026-12-01T09:00:00.000Z", "mode": "agent_first", "preview": False, "prefer": "ana",
    "prefer_for_s": 0.0, "language": "en", "attempts": 1,
    "history": [{"number": 1, "at": "2026-11-30T10:00:00.000Z", "agent": "ana", "call": "cc1-2", "cause": "busy",
                 "detail": "", "ended_at": "2026-11-30T10:00:09.000Z"}],
    "outcome": "", "ended_at": None, "ended_why": "",
}  # fmt: skip


async def test_an_agent_plans_one_sees_it_changes_it_and_calls_it_off(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT, agent="ana")
        floor.answers["callback_schedule"] = {"callback": ONE, "merged": False}
        planned = await ana.post(
            "/api/v1/callbacks", json={"call": "cc1-1", "not_before": "2026-12-01T10:00", "reason": "the invoice"}
        )
        assert (planned.status_code, planned.json()["merged"]) == (201, False)
        assert planned.json()["callback"]["history"][0]["cause"] == "busy"
        asked = next(each for each in floor.asked if each.do == "callback_schedule")
        assert asked.fields == {"call": "cc1-1", "not_before": "2026-12-01T10:00", "reason": "the invoice"}
        assert asked.behalf is not None
        assert asked.behalf.agent == "ana"
        floor.answers["callback_list"] = {"items": [ONE], "next": None}
        found = await ana.get("/api/v1/callbacks?client=acme&state=open&limit=10")
        assert [each["id"] for each in found.json()["items"]] == ["x-1"]
        floor.answers["callback_get"] = {"callback": ONE}
        assert (await ana.get("/api/v1/callbacks/x-1")).json()["zone"] == "Europe/Madrid"
        floor.answers["callback_change"] = {"callback": {**ONE, "not_before": None}}
        changed = await ana.patch("/api/v1/callbacks/x-1", json={"not_before": None})
        assert changed.json()["not_before"] is None
        asked = next(each for each in floor.asked if each.do == "callback_change")
        assert asked.fields == {"callback": "x-1", "not_before": None}
        floor.answers["callback_cancel"] = {"callback": {**ONE, "state": "cancelled", "outcome": "cancelled"}}
        gone = await ana.delete("/api/v1/callbacks/x-1?why=they%20wrote")
        assert gone.json()["outcome"] == "cancelled"
        floor.answers["callback_accept"] = floor.answers["callback_decline"] = {"callback": ONE}
        assert (await ana.post("/api/v1/callbacks/x-1/accept")).status_code == 200
        assert (await ana.post("/api/v1/callbacks/x-1/decline", json={"reason": "I know them"})).status_code == 200


async def test_what_is_wrong_is_a_problem_with_the_field(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT, agent="ana")
        refused = CommandError("the number is on the do-not-call list", Reason.FORBIDDEN, field="number")
        floor.answers["callback_schedule"] = refused
        answer = await ana.post("/api/v1/callbacks", json={"number": "+14155550101"})
        assert (answer.status_code, answer.json()["field"]) == (403, "number")
        wrong = await ana.post("/api/v1/callbacks", json={"number": "+14155550101", "mode": "both"})
        assert wrong.status_code == 422
        reader = await floor.client(Role.AGENT, agent="ana", scopes={Scope.CALLBACKS_READ})
        assert (await reader.post("/api/v1/callbacks", json={"number": "+14155550101"})).status_code == 403
        client = await floor.client(Role.CLIENT)
        assert (await client.get("/api/v1/callbacks")).status_code == 403


ROUTES = {
    ("GET", ""): ("callback_list", Scope.CALLBACKS_READ, None),
    ("POST", ""): ("callback_schedule", Scope.CALLBACKS_WRITE, {"number": "+14155550101"}),
    ("GET", "/x-1"): ("callback_get", Scope.CALLBACKS_READ, None),
    ("PATCH", "/x-1"): ("callback_change", Scope.CALLBACKS_WRITE, {"reason": "a quote"}),
    ("DELETE", "/x-1"): ("callback_cancel", Scope.CALLBACKS_WRITE, None),
    ("POST", "/x-1/accept"): ("callback_accept", Scope.CALLBACKS_WRITE, None),
    ("POST", "/x-1/decline"): ("callback_decline", Scope.CALLBACKS_WRITE, {"reason": "I know them"}),
}


async def test_each_route_takes_its_scope_and_asks_for_who_asks_and_whose_things_these_are_the_switch_says(
    tmp_path: Path,
) -> None:
    async with open_floor(tmp_path) as floor:
        for do, *_ in ROUTES.values():
            floor.answers[do] = CommandError("there is no such callback", Reason.NOT_FOUND, field="callback")
        for role in Role:
            every = SCOPES[role]
            agent = "ana" if role is Role.AGENT else ""
            may = await floor.client(role, agent=agent)
            for (method, path), (do, scope, body) in ROUTES.items():
                floor.asked.clear()
                answer = await may.request(method, f"/api/v1/callbacks{path}", json=body)
                asked = [each for each in floor.asked if each.do == do]
                if scope not in every:
                    assert (answer.status_code, asked) == (403, []), (role, do)
                    continue
                assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), (role, do)
                assert [each.behalf.role for each in asked if each.behalf is not None] == [role]
                lacks = await floor.client(role, agent=agent, scopes=set(every - {scope}))
                assert (await lacks.request(method, f"/api/v1/callbacks{path}", json=body)).status_code == 403
        nobody = await floor.client(None)
        for method, path in ROUTES:
            assert (await nobody.request(method, f"/api/v1/callbacks{path}", json={})).status_code == 401
