"""Who is given a recording to hear is told in the log before the first sound, and nobody hears what is not theirs."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import Actor, Role
from callcenter.model.facts import Fact, RecordingOpened
from callcenter.operate.recordings import recording_commands
from callcenter.simulation.world import World, story
from tests.scenarios.test_recording import index, records

OURS = Actor("boss", Role.CLIENT, frozenset({"tech"}))
OTHER = Actor("chief", Role.CLIENT, frozenset({"another"}))


async def opens(world: World, recording: str, who: Actor = OURS) -> dict[str, Any]:
    """As a desk has it opened for somebody."""
    command = recording_commands(world.house)["recording_open"]
    asked = Asked("recording_open", f"client {who.user}", None, {"recording": recording}, who)
    command.check(asked)
    return dict(await command.run(asked))


async def refusal(world: World, recording: str, who: Actor = OURS) -> CommandError:
    with pytest.raises(CommandError) as refused:
        await opens(world, recording, who)
    return refused.value


@story()
async def test_who_hears_a_recording_is_told_first(world: World) -> None:
    """Not while it is made, not when it is deleted, and of another company it is as if there were none."""
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = world.call_id(await world.connect(caller, amy))
    await world.sleep(5)
    [made] = await index(world)
    assert (await refusal(world, made.recording)).reason is Reason.CONFLICT, "it is still being made"
    await caller.hangs_up()
    await world.sleep(40)

    told = await opens(world, made.recording)
    assert (told["recording"]["path"], told["directory"]) == (made.path, "/var/recordings")
    opened = [fact for fact in await world.logged() if isinstance(fact.body, RecordingOpened)]
    assert [(fact.body, fact.call_id) for fact in opened] == [
        (RecordingOpened(made.recording, "tech", "client boss"), call)
    ], "it is in the log by the time that the file is named"

    others, nothing = await refusal(world, made.recording, OTHER), await refusal(world, "none", OTHER)
    assert others.reason is nothing.reason is Reason.NOT_FOUND
    assert str(others).replace(made.recording, "none") == str(nothing)

    await world.house.recordings.delete(made.recording, "sam", "on request")
    await world.settled()
    assert (await refusal(world, made.recording)).reason is Reason.CONFLICT
    assert (await refusal(world, made.recording, OTHER)).reason is Reason.NOT_FOUND
    assert len([fact for fact in await world.logged() if isinstance(fact.body, RecordingOpened)]) == 1


@story()
async def test_nobody_hears_what_cannot_be_written_down(world: World) -> None:
    """A database that fails keeps recordings to itself."""
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await world.sleep(5)
    await caller.hangs_up()
    await world.sleep(40)
    [made] = await index(world)

    def the_disk_goes(fact: Fact) -> None:
        if isinstance(fact.body, RecordingOpened):
            world.database.away = "the disk is away"

    world.house.stream.subscribe(the_disk_goes)
    began = world.clock.monotonic()
    assert (await refusal(world, made.recording)).reason is Reason.UNAVAILABLE
    assert world.clock.monotonic() - began < 3, "nobody waits for ever"
    world.database.away = ""
    await world.settled()
