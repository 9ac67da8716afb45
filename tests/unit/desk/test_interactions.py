"""Notes, dispositions and fields by HTTP, and the story of a call and of a customer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import Role, Scope
from callcenter.model.customer import Customer, Match
from callcenter.model.facts import CallAnswered, CallArrived, CallEnded, CustomerFound, DigitsEntered
from callcenter.model.interaction import Interaction
from callcenter.model.note import Note
from callcenter.model.states import EndCause, Side
from tests.unit.desk.support import Floor, open_floor

CALLER = "+14155550100"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def note(**values: Any) -> dict[str, Any]:
    at = "2026-11-30T12:00:00.000Z"
    whose = {"id": "x-1", "client": "acme", "call": "c1", "customer": "", "agent": "ana", "author": "ana"}
    written = {"created_at": at, "changed_at": at, "changed_by": "agent ana", "revision": 3, "draft": False}
    return {**whose, **written, "text": "late again", **values}


async def call(floor: Floor, name: str, client: str = "acme", customer: str = "") -> None:
    """A call that was kept, with its facts."""
    arrived = CallArrived(client, "main", CALLER, "Jo", "+18005550100", "UDP", "127.0.0.1:5080", "x@y")
    facts = [floor.stream.append(arrived, name), floor.stream.append(CallAnswered(), name)]
    facts.append(floor.stream.append(DigitsEntered("main", "4711", True, masked=True), name))
    if customer:
        facts.append(floor.stream.append(CustomerFound(customer, Match.SURE), name))
    facts.append(floor.stream.append(CallEnded(Side.CALLER, EndCause.HANGUP), name))
    floor.storage.interactions.save(Interaction.from_facts(facts))
    await floor.storage.log.drained()


async def test_a_note_is_written_over_the_one_that_its_writer_knows_and_no_other(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT)

        async def write(asked: Asked) -> dict[str, Any]:
            if asked.fields.get("revision", 2) != 2:
                raise CommandError("it has changed", Reason.CONFLICT, field="revision", text="late again", revision=2)
            return {"note": note(text=asked.fields["text"], draft=asked.fields.get("draft", False))}

        floor.answers["note"] = write
        floor.answers["notes"] = {"notes": [note(revision=2), note(id="x-2", author="agent-1", revision=9)]}
        read = await ana.get("/api/v1/calls/c1/note")
        assert [each["id"] for each in read.json()["items"]] == ["x-1", "x-2"]
        taken = await ana.put(
            "/api/v1/calls/c1/note", json={"text": "late", "draft": True}, headers={"If-Match": '"2"'}
        )
        assert (taken.status_code, taken.headers["ETag"], taken.json()["draft"]) == (200, '"3"', True)
        assert floor.asked[-1].fields == {"call": "c1", "text": "late", "draft": True, "revision": 2}
        stale = await ana.put("/api/v1/calls/c1/note", json={"text": "late"}, headers={"If-Match": '"1"'})
        assert (stale.status_code, stale.json()["field"]) == (412, "If-Match")
        assert stale.json()["text"] == "late again", "what stands there is shown"
        assert (await ana.put("/api/v1/calls/c1/note", json={"text": ""})).status_code == 200, "taken away"
        assert floor.asked[-1].fields == {"call": "c1", "text": ""}
        more = await ana.post("/api/v1/calls/c1/notes", json={"text": "and more"})
        assert (more.status_code, floor.asked[-1].fields["more"]) == (201, True)
        boss = await floor.client(Role.CLIENT)
        assert (await boss.get("/api/v1/calls/c1/note")).status_code == 403


async def test_what_a_talk_came_to_is_said_with_its_follow_up(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT)
        said = {"call": "c1", "agent": "ana", "offer": "o1", "before": "sold", "disposition": "refund"}
        floor.answers["disposition"] = {**said, "label": "Refund", "corrects": True, "follow_up": {"id": "f1"}}
        answer = await ana.put(
            "/api/v1/calls/c1/disposition",
            json={"disposition": "refund", "follow_up": {"due_at": "2026-12-01T10:00:00Z"}},
        )
        assert (answer.status_code, answer.json()["before"], answer.json()["corrects"]) == (200, "sold", True)
        assert floor.asked[-1].fields["follow_up"] == {"due_at": "2026-12-01T10:00:00Z"}
        wrong = await ana.put("/api/v1/calls/c1/disposition", json={"disposition": "refund", "due": "now"})
        assert wrong.status_code == 422
        field = {"name": "order", "label": "Order", "type": "text", "required": True, "mask": False, "choices": {}}
        filled = {"call": "c1", "agent": "ana", "offer": "o1", "missing": [], "history": []}
        floor.answers["fields"] = {**filled, "fields": [{**field, "value": "A-1"}]}
        answer = await ana.put("/api/v1/calls/c1/fields", json={"values": {"order": "A-1"}})
        assert answer.json()["fields"][0]["value"] == "A-1"
        assert floor.asked[-1].fields["values"] == {"order": "A-1"}
        assert (await ana.get("/api/v1/calls/c1/fields")).json()["missing"] == []


async def test_the_story_of_a_call_is_read_beside_the_switch_and_sent_once(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        await call(floor, "c1")
        await call(floor, "g1", "globex")
        ana = await floor.client(Role.AGENT)
        told = await ana.get("/api/v1/calls/c1/timeline")
        words = [entry["words"] for entry in told.json()["entries"]]
        assert words[0] == f"{CALLER} calls +18005550100"
        assert "pressed **** at main" in words
        assert "4711" not in told.text
        tag = told.headers["ETag"]
        again = await ana.get("/api/v1/calls/c1/timeline", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        nobodys = [await ana.get(f"/api/v1/calls/{name}/timeline") for name in ("g1", "c9")]
        assert [answer.status_code for answer in nobodys] == [404, 404]
        assert nobodys[0].json() == nobodys[1].json(), "another company's is as none"
        assert not [asked for asked in floor.asked if asked.do == "timeline"]


async def test_a_customers_history_comes_in_pages_the_latest_first(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        storage = floor.storage
        await storage.customers.create(Customer("k1", "acme", "Jo", (CALLER,)), NOW)
        await storage.customers.create(Customer("k2", "acme", "Jo Twice"), NOW)
        for number in range(5):
            await call(floor, f"c{number}", customer="k1")
        await call(floor, "c9", customer="k2")
        for number in range(3):
            written = note(id=f"x-{number}", call="", customer="k1", created_at=f"2026-11-2{number}T12:00:00.000Z")
            storage.notes.keep(Note(**written))
        await storage.log.drained()
        await storage.customers.merge("acme", "k1", "k2", NOW, "supervisor sue")
        ana = await floor.client(Role.AGENT)
        items: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 3}
        for _ in range(10):
            page = (await ana.get("/api/v1/customers/k1/timeline", params=params)).json()
            assert len(page["items"]) <= 3
            items += page["items"]
            if page["next"] is None:
                break
            params["after"] = page["next"]
        assert len(items) == len({(item["kind"], item["id"]) for item in items}) == 10
        moments = [item["at"] for item in items]
        assert moments == sorted(moments, reverse=True)
        kinds = {item["kind"] for item in items}
        assert kinds == {"call", "note", "merge"}
        assert {item["id"] for item in items if item["kind"] == "call"} == {"c0", "c1", "c2", "c3", "c4", "c9"}
        narrow = await floor.client(Role.AGENT, scopes={Scope.CUSTOMERS_READ})
        told = (await narrow.get("/api/v1/customers/k1/timeline")).json()["items"]
        assert {item["kind"] for item in told} == {"merge"}, "calls and notes take the scope of calls here, too"
        assert (await ana.get("/api/v1/customers/k9/timeline")).status_code == 404
        bob = await floor.client(Role.AGENT, agent="bob")
        assert (await bob.get("/api/v1/customers/k1/timeline", params={"client": "acme"})).status_code == 404
        wrong = await ana.get("/api/v1/customers/k1/timeline", params={"after": "x"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "after")
