"""The audit over HTTP: by pages, and of the companies that somebody sees."""

from __future__ import annotations

from pathlib import Path

from callcenter.model.access import Role
from callcenter.storage.audit import Act
from tests.unit.desk.support import open_floor


async def test_what_was_done_is_read_by_pages_by_who_may_and_of_theirs_alone(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        for number in range(5):
            client = "acme" if number % 2 else "globex"
            at = f"2026-11-30T10:0{number}:00.000Z"
            floor.storage.audit.note(Act(0, at, "ana", "agent", "desk", "note", client, f"n{number}"))
        await floor.storage.log.drained()
        ida = await floor.client(Role.ADMIN)
        first = (await ida.get("/api/v1/audit", params={"limit": 3})).json()
        assert [act["target"] for act in first["items"]] == ["n4", "n3", "n2"]
        second = (await ida.get("/api/v1/audit", params={"limit": 3, "after": first["next"]})).json()
        assert ([act["target"] for act in second["items"]], second["next"]) == (["n1", "n0"], None)
        since = (await ida.get("/api/v1/audit", params={"since": "2026-11-30T11:03:00+01:00"})).json()
        assert [act["target"] for act in since["items"]] == ["n4", "n3"]
        narrow = await floor.client(Role.ADMIN, clients={"acme"})
        assert [act["target"] for act in (await narrow.get("/api/v1/audit")).json()["items"]] == ["n3", "n1"]
        assert (await narrow.get("/api/v1/audit?client=globex")).json()["items"] == []
        for role in (Role.AGENT, Role.SUPERVISOR, Role.CLIENT):
            assert (await (await floor.client(role)).get("/api/v1/audit")).status_code == 403
