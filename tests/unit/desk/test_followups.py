"""Follow-ups and the do-not-call list over HTTP: bodies, ETags, pages, and who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import Role, Scope
from tests.unit.desk.support import open_floor

FOLLOWUPS, LISTS = "/api/v1/followups", "/api/v1/do-not-call"
ONE: dict[str, Any] = {
    "id": "x-1",
    "client": "acme",
    "kind": "task",
    "state": "open",
    "title": "Refund",
    "text": "",
    "due_at": "2026-12-01T09:00:00.000Z",
    "due_local": "2026-12-01T10:00",
    "zone": "Europe/Prague",
    "overdue": False,
    "customer": "t-1",
    "number": None,
    "call": None,
    "queue": "sales",
    "agent": "ana",
    "made_by": "ana",
    "callback": None,
    "done_by": None,
    "attempts": [{"at": "2026-11-30T09:00:00.000Z", "by": "agent ana", "outcome": "no_answer", "note": ""}],
    "created_by": "agent ana",
    "created_at": "2026-11-30T08:00:00.000Z",
    "done_at": None,
    "revision": 3,
}
ENTRY: dict[str, Any] = {
    "id": "e-1",
    "client": "acme",
    "number": "+14155550101",
    "reason": "said so",
    "source": "api",
    "call": None,
    "added_by": "agent ana",
    "added_at": "2026-11-30T08:00:00.000Z",
    "expires_at": None,
}


async def test_a_follow_up_is_created_read_and_changed_by_its_etag(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        for do in ("create", "get", "update", "attempt", "done", "cancel", "reopen", "take", "assign"):
            floor.answers[f"followup_{do}"] = {"followup": ONE}
        ana = await floor.client(Role.AGENT, clients={"acme"})
        new = {"client": "acme", "title": "Refund", "due_at": "tomorrow 10:00", "customer": "t-1"}
        made = await ana.post(FOLLOWUPS, json=new, headers={"Idempotency-Key": "k1"})
        assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, f"{FOLLOWUPS}/x-1", '"3"')
        assert floor.asked[-1].fields == {**new, "kind": "task"}
        assert floor.asked[-1].actor.agent == "ana"
        first = floor.asked[-1].id
        await ana.post(FOLLOWUPS, json=new, headers={"Idempotency-Key": "k1"})
        assert floor.asked[-1].id == first
        read = (await ana.get(f"{FOLLOWUPS}/x-1")).json()
        assert (read["title"], read["attempts"][0]["outcome"]) == ("Refund", "no_answer")
        etag = {"If-Match": '"3"'}
        await ana.patch(f"{FOLLOWUPS}/x-1", json={"title": "New", "customer": None}, headers=etag)
        assert floor.asked[-1].fields == {"followup": "x-1", "revision": 3, "title": "New", "customer": ""}
        for path, body, fields in (
            ("attempts", {"outcome": "busy"}, {"outcome": "busy", "note": ""}),
            ("done", {"note": "paid"}, {"note": "paid"}),
            ("cancel", None, {}),
            ("reopen", {"due_at": "in 2h"}, {"due_at": "in 2h"}),
            ("take", None, {}),
            ("assign", {"queue": "sales"}, {"queue": "sales"}),
        ):
            answer = await ana.post(f"{FOLLOWUPS}/x-1/{path}", json=body)
            assert answer.status_code in (200, 201), answer.text
            assert floor.asked[-1].fields == {"followup": "x-1", **fields}
        floor.answers["followup_update"] = CommandError("changed", Reason.CONFLICT, field="revision", revision=4)
        stale = await ana.patch(f"{FOLLOWUPS}/x-1", json={"title": "New"}, headers=etag)
        assert (stale.status_code, stale.json()["field"], stale.json()["revision"]) == (412, "If-Match", 4)
        assert (await ana.patch(f"{FOLLOWUPS}/x-1", json={}, headers={"If-Match": "x"})).status_code == 412


async def test_lists_are_filtered_and_paged_and_figures_come_with_what_they_mean(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["followup_list"] = {"items": [ONE], "next": "2026|x-1"}
        floor.answers["followup_figures"] = {"items": [], "version": 1, "definitions": {"kept": "in time"}}
        sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
        page = await sue.get(FOLLOWUPS, params={"state": "open", "agent": "ana", "limit": 1, "after": "2025|x-0"})
        assert page.json()["next"] == "2026|x-1"
        assert floor.asked[-1].fields == {"state": "open", "agent": "ana", "limit": 1, "after": "2025|x-0"}
        figures = await sue.get(f"{FOLLOWUPS}/figures", params={"by": "agent", "due_after": "2026-11-01"})
        assert figures.json()["definitions"] == {"kept": "in time"}
        assert floor.asked[-1].fields == {"by": "agent", "due_after": "2026-11-01"}


async def test_who_does_not_hold_the_scope_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        reader = await floor.client(Role.AGENT, scopes={Scope.FOLLOWUPS_READ, Scope.CALLBACKS_READ})
        company = await floor.client(Role.CLIENT)
        nobody = await floor.client(None)
        for client, status in ((reader, 403), (company, 403), (nobody, 401)):
            for method, path, body in (
                ("POST", FOLLOWUPS, {"title": "x", "due_at": "in 1h"}),
                ("PATCH", f"{FOLLOWUPS}/x-1", {"title": "x"}),
                ("POST", f"{FOLLOWUPS}/x-1/done", {}),
                ("POST", LISTS, {"number": "+14155550101"}),
                ("DELETE", f"{LISTS}/e-1", None),
                ("POST", f"{LISTS}/import", {"csv": "number\n+14155550101"}),
            ):
                assert (await client.request(method, path, json=body)).status_code == status, path
        for path in (FOLLOWUPS, f"{FOLLOWUPS}/x-1", f"{FOLLOWUPS}/figures", LISTS):
            assert (await company.get(path)).status_code == 403
        assert floor.asked == []


async def test_numbers_come_onto_the_list_and_off_it_and_a_file_goes_to_the_switch_in_pieces(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["do_not_call"] = {"items": [ENTRY], "next": None}
        floor.answers["do_not_call_add"] = floor.answers["do_not_call_remove"] = {"entry": ENTRY}
        sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
        added = await sue.post(LISTS, json={"client": "acme", "number": "+14155550101", "reason": "said so"})
        assert (added.status_code, added.json()["id"]) == (201, "e-1")
        assert (await sue.get(LISTS, params={"client": "acme"})).json()["items"][0]["number"] == "+14155550101"
        assert (await sue.delete(f"{LISTS}/e-1")).status_code == 204
        assert floor.asked[-1].fields == {"entry": "e-1"}

        async def imported(asked: Asked) -> dict[str, Any]:
            entries = asked.fields["entries"]
            wrong = [{"line": each["line"], "why": "no number"} for each in entries if each["number"] == "x"]
            return {"dry": asked.fields["dry"], "added": len(entries) - len(wrong), "known": 0, "rejected": wrong}

        floor.answers["do_not_call_import"] = imported
        lines = "\n".join(["number", *(f"+1415555{number:04}" for number in range(300)), "x"])
        told = (await sue.post(f"{LISTS}/import", json={"client": "acme", "csv": lines, "dry": True})).json()
        assert (told["added"], told["refused"], told["rejected"]) == (300, 1, [{"line": 302, "why": "no number"}])
        assert [len(each.fields["entries"]) for each in floor.asked if each.do == "do_not_call_import"] == [200, 101]
        for csv, why in (("", "no number in it"), ('number\n"x', "not CSV")):
            answer = await sue.post(f"{LISTS}/import", json={"csv": csv})
            assert (answer.status_code, answer.json()["field"]) == (422, "csv")
            assert why in answer.json()["detail"]
