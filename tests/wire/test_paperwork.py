"""The whole story between phones that are not ours: a call, what is written of it by HTTP, and the promise kept."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.wire import process
from tests.wire.baresip import Baresip
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, known_customer
from tests.wire.switch import Switch
from tests.wire.test_callback import OUTBOUND
from tests.wire.test_trunks import trunk_at
from tests.wire.wait import until


async def test_a_call_its_note_and_disposition_and_the_callback_that_was_promised_are_one_timeline(
    tmp_path: Path,
) -> None:
    """Rung up, written down, planned for later, dialled then, reached and saved: and all of it is the customer's."""
    number, name = known_customer(TECH)
    port = process.free_port(socket.SOCK_DGRAM)
    options = (
        *("--set", f"trunks={{carrier: {trunk_at(port)}}}", "--set", f"clients.{TECH.id}.outbound={OUTBOUND}"),
        *("--set", f"clients.{TECH.id}.callbacks={{mode: agent_first}}"),
        *("--set", f"queues.{TECH.queue}.wrap_up=0s"),
    )
    async with (
        Switch(tmp_path / "switch", options, desk=True) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        Baresip(tmp_path / "customer", number, switch.address(), hz=660.0, listen=port) as customer,
        httpx.AsyncClient(
            timeout=30.0,
            base_url=f"{switch.ready['desk']['url'].rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {switch.ready['desk']['token']}"},
        ) as desk,
    ):
        await agent.registered()
        await customer.dial(TECH.alias)
        await customer.event("CALL_ESTABLISHED")
        await customer.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await agent.event("CALL_ESTABLISHED")
        await customer.heard(agent.hz)
        call = switch.query("SELECT call_id FROM facts WHERE kind = 'CallConnected'")[0]["call_id"]
        written = await desk.put(f"/calls/{call}/note", json={"text": "late again"})
        assert (written.status_code, written.headers["ETag"]) == (200, '"1"'), written.text
        said = {"disposition": "refund", "agent": TECH.agent, "why": "heard with them"}
        chosen = await desk.put(f"/calls/{call}/disposition", json=said)
        assert (chosen.status_code, chosen.json()["corrects"]) == (200, False), chosen.text
        at = datetime.now(UTC) + timedelta(seconds=2)
        wish = {"call": call, "reason": "the refund", "not_before": at.isoformat(), "prefer": TECH.agent}
        planned = await desk.post("/callbacks", json=wish, headers={"Idempotency-Key": "once"})
        assert planned.status_code == 201, planned.text
        callback = planned.json()["callback"]["id"]
        again = await desk.post("/callbacks", json=wish, headers={"Idempotency-Key": "once"})
        assert again.json()["callback"]["id"] == callback, "the same key is the same callback"
        await customer.hangup()
        await agent.event("CALL_CLOSED")
        before = len(agent.events)

        # The promise is kept: the agent first, who hears the customer's phone ring.
        await agent.event("CALL_INCOMING", after=before)
        await agent.accept()
        await customer.event("CALL_INCOMING")  # nobody had rung it before
        await customer.accept()
        await customer.heard(agent.hz)
        await customer.hangup()
        await until(lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallEnded'")) == 2, "both are over")
        (row,) = switch.query("SELECT at FROM facts WHERE kind = 'CallbackAttempted'")
        assert datetime.fromisoformat(row["at"]) >= at - timedelta(milliseconds=1), "not before its time"
        kept = (await desk.get(f"/callbacks/{callback}")).json()
        assert (kept["state"], [each["cause"] for each in kept["history"]]) == ("reached", ["reached"]), kept

        # One story, whoever tells it.
        told = (await desk.get(f"/calls/{call}/timeline")).json()
        words = [entry["words"] for entry in told["entries"]]
        assert f"offered to {TECH.agent}" in " ".join(words)
        assert f"{TECH.agent}'s talk comes to refund" in words
        assert len(told["calls"]) == 2, told
        assert sum(sentence.startswith(f"talk with {TECH.agent} over after") for sentence in words) == 2, words
        note = next(entry for entry in told["entries"] if entry["kind"] == "note_written")
        assert note["data"]["text"] == "late again"
        assert len(told["calls"]) == 2, "the call that was promised belongs to the one in which it was"
        shown = await ask(switch, "timeline", call=call)
        assert [entry["words"] for entry in shown["entries"]] == words

        # And of the customer it is all there.
        (found,) = (await desk.get("/customers/lookup", params={"client": TECH.id, "number": number})).json()["items"]
        assert found["name"] == name
        of_them = (await desk.get(f"/customers/{found['id']}/timeline", params={"client": TECH.id})).json()
        kinds = [item["kind"] for item in of_them["items"]]
        assert kinds.count("call") == 2, of_them
        assert "note" in kinds, of_them
        assert "callback" in kinds, of_them
