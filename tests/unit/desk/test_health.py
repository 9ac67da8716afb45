"""Whether the desk lives, and whether calls should be sent to its switch."""

from __future__ import annotations

from pathlib import Path

from callcenter.control.protocol import CommandError, Reason
from tests.unit.desk.support import Floor, open_floor


async def readyz(floor: Floor) -> tuple[int, dict[str, object]]:
    """What is answered now; nobody need sign in for it."""
    floor.desk.readiness._known = None
    answer = await (await floor.client(None)).get("/readyz")
    return answer.status_code, answer.json()


async def test_it_lives_whatever_the_switch_does_and_is_ready_as_the_switch_is(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["health"] = {"ready": True, "reasons": []}
        assert await readyz(floor) == (200, {"ready": True, "why": []})
        floor.answers["health"] = {"ready": False, "reasons": ["draining", "trunk carrier-a"]}
        assert await readyz(floor) == (503, {"ready": False, "why": ["draining", "trunk carrier-a"]})
        floor.answers["health"] = CommandError("the switch goes down", Reason.UNAVAILABLE)
        assert await readyz(floor) == (503, {"ready": False, "why": ["switch away"]})
        floor.desk.switch.path = floor.desk.switch.path.with_name("nothing.sock")
        floor.desk.switch.close()
        assert await readyz(floor) == (503, {"ready": False, "why": ["switch away"]})
        answer = await (await floor.client(None)).get("/livez")
        assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_many_who_ask_ask_the_switch_once(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["health"] = {"ready": True, "reasons": []}
        client = await floor.client(None)
        for _ in range(5):
            assert (await client.get("/readyz")).status_code == 200
        assert len(floor.asked) < 5
