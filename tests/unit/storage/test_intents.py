"""What agents chose, over a restart: the last own choice, also a pending one; nothing that the system chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from callcenter.model.facts import AgentStateChanged
from callcenter.model.states import Device, Intent, Work
from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock, fact

READY = AgentStateChanged("amy", Intent.READY, "", Work.IDLE, Device.REGISTERED, "phone registered", forced=True)
LUNCH = replace(
    READY, intent=Intent.NOT_READY, reason="lunch", next=Intent.NOT_READY, next_reason="lunch", forced=False
)
GONE = replace(READY, intent=Intent.SIGNED_OUT, next=Intent.SIGNED_OUT, forced=False)


async def kept(tmp_path: Path, *states: AgentStateChanged) -> dict[str, tuple[Intent, str]]:
    """What a switch finds that starts after these facts."""
    storage = await Storage.open(tmp_path / "switch.db", clock=StillClock())
    for number, state in enumerate(states, start=storage.log.last_seq + 1):
        told = fact(number, state, call_id=None)
        storage.log.write(told)
        storage.intents.take(told)
    await storage.close()
    storage = await Storage.open(tmp_path / "switch.db", clock=StillClock())
    found = await storage.intents.load_all({"amy", "bob"})
    await storage.close()
    return found


async def test_the_last_own_choice_is_kept_for_each_agent(tmp_path: Path) -> None:
    ready = replace(READY, agent="bob", forced=False)
    assert await kept(tmp_path, READY, LUNCH, ready) == {"amy": (Intent.NOT_READY, "lunch"), "bob": (Intent.READY, "")}
    assert await kept(tmp_path, GONE) == {"amy": (Intent.SIGNED_OUT, ""), "bob": (Intent.READY, "")}


async def test_a_choice_that_waits_for_the_end_of_a_call_is_kept_and_one_taken_back_is_not(tmp_path: Path) -> None:
    pending = replace(READY, work=Work.TALKING, next=Intent.NOT_READY, next_reason="break")
    assert await kept(tmp_path, pending) == {"amy": (Intent.NOT_READY, "break")}
    assert await kept(tmp_path, pending, replace(READY, work=Work.TALKING)) == {}


async def test_what_the_system_chose_is_not_kept(tmp_path: Path) -> None:
    missed = replace(LUNCH, reason="no_answer", next_reason="no_answer", forced=True)
    assert await kept(tmp_path, LUNCH, missed) == {}


async def test_who_is_gone_from_the_configuration_is_forgotten(tmp_path: Path) -> None:
    assert await kept(tmp_path, replace(LUNCH, agent="carla"), LUNCH) == {"amy": (Intent.NOT_READY, "lunch")}
    storage = await Storage.open(tmp_path / "switch.db", clock=StillClock())
    assert list(await storage.intents.load_all({"amy", "bob", "carla"})) == ["amy"]
    await storage.close()


async def test_a_state_that_changes_nothing_of_the_choice_writes_nothing(tmp_path: Path) -> None:
    storage = await Storage.open(tmp_path / "switch.db", clock=StillClock())
    for number, state in enumerate((LUNCH, replace(LUNCH, device=Device.UNREACHABLE), LUNCH), start=1):
        storage.intents.take(fact(number, state, call_id=None))
    assert storage.log.waiting == 1
    await storage.close()
