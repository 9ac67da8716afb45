"""A call between phones that are not ours: its note, disposition and story by HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.switch import Switch
from tests.wire.wait import until


async def test_a_note_and_a_disposition_by_http_stand_in_the_story_of_the_call(tmp_path: Path) -> None:
    async with (
        Switch(tmp_path / "switch", desk=True) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
        httpx.AsyncClient(
            timeout=30.0,
            base_url=f"{switch.ready['desk']['url'].rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {switch.ready['desk']['token']}"},
        ) as desk,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await agent.event("CALL_ESTABLISHED")
        await caller.heard(agent.hz)
        rows = switch.query("SELECT call_id FROM facts WHERE kind = 'CallConnected'")
        call = rows[0]["call_id"]
        written = await desk.put(f"/calls/{call}/note", json={"text": "late again"})
        assert (written.status_code, written.headers["ETag"]) == (200, '"1"'), written.text
        said = {"disposition": "refund", "agent": TECH.agent, "why": "heard with them"}
        chosen = await desk.put(f"/calls/{call}/disposition", json=said)
        assert (chosen.status_code, chosen.json()["corrects"]) == (200, False), chosen.text
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallEnded'"), "the call is over")
        told = (await desk.get(f"/calls/{call}/timeline")).json()
        words = [entry["words"] for entry in told["entries"]]
        assert f"offered to {TECH.agent}" in " ".join(words)
        assert f"{TECH.agent}'s talk comes to refund" in words
        assert any(sentence.startswith(f"talk with {TECH.agent} over after") for sentence in words)
        assert (
            next(entry for entry in told["entries"] if entry["kind"] == "note_written")["data"]["text"] == "late again"
        )
        shown = await ask(switch, "timeline", call=call)
        assert [entry["words"] for entry in shown["entries"]][: len(words)] == words
