"""Whatever people say of talks, in any order, and whenever the power fails: what was answered is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import pytest

from callcenter.simulation.world import World, tell
from tests.scenarios.test_agents_and_supervisors import has_dispositions
from tests.scenarios.test_paperwork import AMY, EVA, FIELDS, TREE, asks, has_client

# Each is a day of two calls and some thirty commands, with a power failure now and then.
SEEDS = range(6)


class Said:
    """What was answered, and must be there."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.revisions: dict[str, list[tuple[int, str]]] = {}
        self.disposition: dict[str, str] = {}
        self.corrections: dict[str, list[tuple[str, str]]] = {}
        self.values: dict[tuple[str, str], str | None] = {}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_answered_is_there_whenever_the_power_fails(seed: int) -> None:
    async def story(world: World) -> None:
        chance, said = Random(seed), Said()
        has_dispositions(world, TREE)
        has_client(world, wrap_up_fields=FIELDS)
        amy = await world.agent("amy", english=5)
        calls = []
        for number in range(2):
            caller = await world.phone(f"+1415555010{number}")
            call = world.call_id(await world.connect(caller, amy))
            calls.append(call)
            await world.settled()
            await some(world, chance, said, calls)
            if not caller.is_free:
                await caller.hangs_up()
            if not amy.is_free:
                await amy.hangs_up()
            await world.settled()
            await some(world, chance, said, calls)
            await world.sleep(31)
            await some(world, chance, said, calls)
        await world.sleep(31)
        await holds(world, said, calls)

    tell(story, seed=seed)


async def some(world: World, chance: Random, said: Said, calls: list[str]) -> None:
    for _ in range(chance.randrange(2, 8)):
        call = chance.choice(calls)
        actor = chance.choice((AMY, AMY, EVA))
        why = {} if actor is AMY else {"why": "checked"}
        name = f"{chance.getrandbits(60):x}"
        text = f"text {chance.getrandbits(20):x}"
        acts: list[tuple[str, dict[str, Any]]] = [
            ("note", {"text": text, "draft": chance.random() < 0.6}),
            ("note", {"text": text, "more": True}),
            ("disposition", {"disposition": chance.choice(list(TREE.codes)), **why}),
            ("fields", {"values": {chance.choice(("order", "amount")): chance.choice(("1", "2", None))}, **why}),
        ]
        do, fields = chance.choice(acts)
        asked = asyncio.create_task(asks(world, actor, do, id=name, call=call, **fields))
        if chance.random() < 0.15:
            await asyncio.sleep(chance.choice((0.0, 0.001, 0.01, 0.011, 0.02)))
            await world.restart(crash=True)
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked
            # Nobody knows whether it was done: said again under the same id, it is done once.
            asked = asyncio.create_task(asks(world, actor, do, id=name, call=call, **fields))
        answer = await asked
        assert "error" not in answer, answer
        note_down(said, call, do, fields, answer)


def note_down(said: Said, call: str, do: str, fields: dict[str, Any], answer: dict[str, Any]) -> None:
    if do == "note":
        note = answer["note"]
        said.texts[note["id"]] = note["text"]
        if not note["draft"]:
            said.revisions.setdefault(note["id"], []).append((note["revision"], note["text"]))
    elif do == "disposition":
        said.disposition[call] = answer["disposition"]
        if answer["corrects"]:
            said.corrections.setdefault(call, []).append((answer["before"], answer["disposition"]))
    else:
        for field, value in fields["values"].items():
            said.values[call, field] = value


async def holds(world: World, said: Said, calls: list[str]) -> None:
    await world.settled()
    for call in calls:
        read = await asks(world, EVA, "notes", call=call, history=True)
        for note in read["notes"]:
            assert note["text"] == said.texts.pop(note["id"])
            assert not note["draft"]
            kept = [(each["revision"], each["text"]) for each in note["revisions"]]
            assert set(said.revisions.get(note["id"], ())) <= set(kept), "what was told once is lost"
            assert kept[-1] == (note["revision"], note["text"])
        record = await world.storage.interactions.by_call(call)
        assert record is not None
        if call in said.disposition:
            assert record["legs"][0]["disposition"] == said.disposition[call]
        corrected = [(each["before"], each["after"]) for each in record["corrections"] if each["what"] == "disposition"]
        assert set(said.corrections.get(call, ())) <= set(corrected)
        assert record["revision"] == 1 + len(record["corrections"])
        filled = await asks(world, EVA, "fields", call=call)
        now = {each["name"]: each["value"] for each in filled["fields"]}
        for (of, field), value in said.values.items():
            assert of != call or now[field] == value, (field, value, filled)
    assert not said.texts, "notes that nobody finds"
