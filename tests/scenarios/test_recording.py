"""What is recorded of whom, and what is not: rules, notices, commands, secrets, full disks, crashes, what gets old."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callcenter.calls.record_policy import ALWAYS, NEVER, ON_DEMAND, LeastFree, RecordingSettings, RecordRule
from callcenter.calls.settings import DialRules, Supervisor
from callcenter.media.plane import RecordingReason
from callcenter.model.facts import (
    AgentCommanded,
    CallEnded,
    RecordingDeleted,
    RecordingEnded,
    RecordingFailed,
    RecordingHeld,
    RecordingPaused,
    RecordingReleased,
    RecordingResumed,
    RecordingSpaceChanged,
    RecordingStarted,
)
from callcenter.simulation.media import ClipSound
from callcenter.simulation.phone import Phone
from callcenter.simulation.recording import RecordedSpan, SimMediaRecording
from callcenter.simulation.recording_files import TOTAL
from callcenter.simulation.world import AgentPhone, Voice, World, story, tell
from callcenter.storage.recordings import Recording
from tests.scenarios.callbacks import is_to_be_called_back
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.test_agents_and_supervisors import bodies, control, has_calls_settings, supervise
from tests.scenarios.test_agents_choose import shown
from tests.scenarios.test_conference import order
from tests.scenarios.test_entry_in_a_talk import CARD, allow
from tests.scenarios.test_gone_at_once import nothing_left_in_rings
from tests.scenarios.test_hang_up_at_every_moment import Leaves, agent_hangs_up, caller_hangs_up, gone_at_fact
from tests.scenarios.test_pulling import talking as talking_at_two
from tests.scenarios.test_supervision import has_supervisor, talking

DIRECTORY = Path("/var/recordings")
EVERYBODY = RecordingSettings(DIRECTORY, clients={"tech": ALWAYS})
AT_WILL = RecordingSettings(DIRECTORY, clients={"tech": ON_DEMAND})
NOTICED = replace(EVERYBODY, notices={"tech": "notice"})
NUMBERS = itertools.count(1)
DAY = 86_400.0


def records(world: World, settings: RecordingSettings = EVERYBODY) -> None:
    """Let talks be recorded by these rules."""
    has_calls_settings(world, recording=settings)


def asks(world: World, do: str, agent: str = "amy") -> Mapping[str, Any]:
    """What the agent's own program is answered."""
    answer: Mapping[str, Any] = world.publisher.command(agent, {"id": f"{next(NUMBERS)}", "do": do})
    return answer


def spans(recording: SimMediaRecording) -> list[tuple[float, float]]:
    """From when to when something was recorded, in whole seconds."""
    return [(round(span.start), round(span.end)) for span in recording.spans if span.end - span.start > 0.3]


def on_the_right(recording: SimMediaRecording) -> int:
    """How many are recorded on the right channel now."""
    return len(recording.right)


async def index(world: World) -> list[Recording]:
    """All that is in the index, the earliest first."""
    await world.settled()
    return (await world.storage.recordings.find(limit=1000))[::-1]


def clips(phone: Phone) -> list[str]:
    """What was played to a phone in its call so far, each time it began."""
    sound = phone.calls[-1].sound
    assert isinstance(sound, Voice)
    return [str(heard.sound) for heard in sound.media.heard if isinstance(heard.sound, ClipSound)]


def alarm(world: World) -> dict[str, Any]:
    """What the floor is told of recordings."""
    state: dict[str, Any] = world.publisher.of_topic("callcenter/v1/system/recordings")[-1]
    return state


async def good_call(world: World) -> tuple[AgentPhone, Phone]:
    """Amy and a caller talk."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    return amy, caller


# A recording, from the rule to the record


@story()
async def test_a_talk_that_is_to_be_recorded_is_from_its_first_word_to_its_last(world: World) -> None:
    """The auditor asks for last Monday's call: it is there, all of it, and the index says where and what."""
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(60)
    await caller.hangs_up()
    await world.settled()

    (made,) = world.plane.made
    assert made.ended
    assert spans(made) == [(0, 60)], "nothing of the greeting, the menu and the music"
    (started,), (ended,) = bodies(world, RecordingStarted), bodies(world, RecordingEnded)
    call_id = world.call_id(call)
    assert (started.agent, started.queue, started.client) == ("amy", "sales-english", "tech")
    assert (started.left, started.right, started.by) == ("caller", "amy", "rule: always")
    assert (ended.reason, ended.by, round(ended.length_ms / 1000)) == ("stopped", "", 60)

    (row,) = await index(world)
    assert (row.call, row.client, row.agents, row.state) == (call_id, "tech", ("amy",), "kept")
    assert (row.channels, row.octets, row.sha256) == (2, ended.octets, ended.sha256)
    assert row.path.startswith("tech/2026/03/02/20260302T0900")
    assert row.path.endswith(f"Z-{call_id}-1.wav")
    assert "14155550100" not in row.path, "names of files get into lists, mails and backups"

    saved = await world.interaction(call)
    (told,) = saved.recordings
    assert (told.id, told.agent, told.offer, told.state) == (row.recording, "amy", saved.legs[0].offer, "kept")
    assert told.length_ms == ended.length_ms
    assert told.paused_ms == 0


@story()
async def test_nobody_is_recorded_where_nobody_said_so(world: World) -> None:
    """The floor as it was: no recording, no fact, no look at the disk; and nobody may begin one."""
    _, caller = await good_call(world)
    refused = asks(world, "record_start")
    assert not refused["ok"]
    assert refused["error"].startswith("this talk may not be recorded")
    await caller.hangs_up()
    await world.settled()
    assert not world.plane.made
    assert world.house.recordings.status.space is None
    assert alarm(world)["state"] == "off"


@pytest.mark.parametrize(
    ("rules", "recorded"),
    [
        (RecordingSettings(DIRECTORY, clients={"tech": ALWAYS}, agents={"amy": NEVER}), False),
        (RecordingSettings(DIRECTORY, clients={"tech": NEVER}, queues={"sales-english": ALWAYS}), False),
        (RecordingSettings(DIRECTORY, clients={"tech": ALWAYS}, queues={"sales-english": NEVER}), False),
        (RecordingSettings(DIRECTORY, clients={"tech": ALWAYS}, queues={"sales-english": ON_DEMAND}), False),
        (RecordingSettings(DIRECTORY, clients={"tech": ON_DEMAND}, queues={"sales-english": ALWAYS}), True),
        (RecordingSettings(DIRECTORY, clients={"tech": ON_DEMAND}, agents={"amy": ALWAYS}), True),
        (RecordingSettings(DIRECTORY, agents={"amy": ALWAYS}), True),
        (RecordingSettings(DIRECTORY, agents={"bob": ALWAYS}), False),
        (RecordingSettings(DIRECTORY, clients={"other": ALWAYS}), False),
    ],
)  # fmt: skip
def test_whoever_says_never_is_obeyed_and_the_queue_speaks_for_its_client(
    rules: RecordingSettings, recorded: bool
) -> None:
    """Who wins when they differ."""

    async def told(world: World) -> None:
        records(world, rules)
        _, caller = await good_call(world)
        await world.sleep(2)
        assert len(world.plane.recordings) == recorded
        await caller.hangs_up()

    story()(told)()


def test_of_a_share_a_call_is_recorded_whole_or_not_at_all() -> None:
    """Of half of the calls nothing of one is half there: a call that is handed over has both talks, or none."""

    async def told(world: World) -> None:
        records(world, RecordingSettings(DIRECTORY, clients={"tech": RecordRule(share=0.5)}))
        amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
        recorded = []
        for number in range(8):
            before = len(world.plane.made)
            caller = await world.phone(f"+1415555010{number}")
            await world.connect(caller, amy)
            amy.transfers("bob")
            await bob.rings()
            await bob.answers()
            await caller.hears(bob)
            await caller.hangs_up()
            await world.sleep(40)
            recorded.append(len(world.plane.made) - before)
        assert set(recorded) == {0, 2}

    story()(told)()


# The notice


@story()
async def test_caller_is_told_while_the_phone_rings_and_the_agent_waits_for_nothing(world: World) -> None:
    """Ringing is not delayed by a word, and nothing is recorded that was said before the notice was heard."""
    records(world, NOTICED)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await caller.hears("notice.en")
    began = world.clock.monotonic()
    await amy.rings(within=0.2)
    await caller.hears("music", after=1.5)
    await world.sleep(1)
    await amy.answers()
    picked_up = world.clock.monotonic()
    await caller.hears(amy)
    assert world.clock.monotonic() - picked_up < 0.2
    await world.sleep(5)
    assert began < picked_up
    assert clips(caller).count("notice") == 1
    await caller.hangs_up()
    await world.settled()
    (started,) = bodies(world, RecordingStarted)
    assert started.noticed


@story()
async def test_agent_who_picks_up_at_once_waits_until_the_caller_has_heard_the_notice(world: World) -> None:
    """It goes on where it was, and neither talks into it."""
    records(world, NOTICED)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    heard_from = world.clock.monotonic()
    await amy.answers()
    await world.sleep(1)
    assert caller.heard_now() == ("notice.en",)
    assert not world.plane.made
    await caller.hears(amy)
    assert 1.5 < world.clock.monotonic() - heard_from < 2.4
    await world.settled()
    assert len(world.plane.recordings) == 1
    await caller.hangs_up()


@story()
async def test_agent_who_is_gone_before_the_notice_was_heard_leaves_the_caller_in_line(world: World) -> None:
    records(world, NOTICED)
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await world.sleep(0.5)
    await amy.hangs_up()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    await world.settled()
    assert len(world.plane.made) == 1


@story()
async def test_customer_who_is_called_hears_the_notice_and_the_agent_does_not(world: World) -> None:
    """On the left is the customer, whoever dialled."""
    records(world, NOTICED)
    amy = await world.agent("amy", english=5)
    customer = await somebody_outside(world, "+14155550199")
    permit(world, amy=DialRules(outside=("+1",)))
    call = amy.starts_dialling("+14155550199")
    await customer.rings()
    await customer.answers()
    await customer.hears("notice.en")
    await customer.hears(amy)
    await world.sleep(3)
    assert "notice" not in clips(amy)
    await amy.hangs_up()
    await world.settled()
    (started,) = bodies(world, RecordingStarted)
    assert (started.left, started.right, started.agent, started.queue) == ("outside", "amy", "amy", "")
    (made,) = world.plane.made
    assert made.spans[0].end - made.spans[0].start > 2.5
    (told,) = (await world.interaction(call)).recordings
    assert told.state == "kept"


@story()
async def test_colleagues_among_themselves_are_not_recorded(world: World) -> None:
    records(world, replace(EVERYBODY, agents={"amy": ALWAYS, "bob": ALWAYS}))
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
    amy.starts_dialling("bob")
    await bob.rings()
    await bob.answers()
    await bob.hears(amy)
    await world.sleep(2)
    assert not world.plane.made
    assert asks(world, "record_start")["ok"] is False
    await amy.hangs_up()


# Pause and resume


@story()
async def test_what_the_agent_has_paused_is_not_in_the_recording(world: World) -> None:
    """The card number is said, and nowhere to be heard: who paused it, and for how long, is told."""
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    assert shown(world, "amy")["recording"]["state"] == "on"
    await world.sleep(10)
    assert asks(world, "record_pause")["ok"]
    await world.settled()
    assert shown(world, "amy")["recording"]["state"] == "paused"
    assert shown(world, "amy")["recording"]["by"] == "agent over MQTT"
    assert asks(world, "record_pause")["ok"], "asked twice, it is paused once"
    await world.sleep(20)
    assert asks(world, "record_resume")["ok"]
    await world.sleep(5)
    await caller.hangs_up()
    await world.settled()
    assert shown(world, "amy")["recording"] is None
    (made,) = world.plane.made
    assert spans(made) == [(0, 10), (30, 35)]
    assert [body.by for body in bodies(world, RecordingPaused)] == ["agent over MQTT"]
    assert len(bodies(world, RecordingResumed)) == 1
    (told,) = (await world.interaction(call)).recordings
    assert round(told.paused_ms / 1000) == 20


@story()
async def test_agent_pauses_by_dialling_a_code_on_the_own_phone(world: World) -> None:
    records(world)
    amy, caller = await good_call(world)
    await amy.hold()
    assert await amy.dials_code("*42") == ["agent-record-paused.en"]
    await amy.resume()
    await world.sleep(10)
    (made,) = world.plane.recordings
    before = len(made.spans)
    await amy.hold()
    assert await amy.dials_code("*43") == ["agent-recorded.en"]
    assert len(made.spans) == before, "nothing of what was said meanwhile"
    assert await amy.dials_code("*41") == ["agent-must-record.en"]
    await amy.resume()
    await caller.hangs_up()
    await world.settled()
    assert await amy.dials_code("*42") == ["agent-not-recorded.en"]
    assert [body.by for body in bodies(world, RecordingPaused)] == ["agent's phone"]


@story()
async def test_supervisor_pauses_for_an_agent_and_it_is_known_who_it_was(world: World) -> None:
    records(world)
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva")})
    _, caller = await good_call(world)
    assert supervise(world, "1", agent="amy", do="record_pause") == {"id": "1", "ok": True}
    assert supervise(world, "2", agent="amy", do="record_resume") == {"id": "2", "ok": True}
    refused = supervise(world, "3", agent="amy", do="record_stop")
    assert "must be recorded" in refused["error"]
    assert await control(world, "record_pause", agent="amy") == {}
    await caller.hangs_up()
    await world.settled()
    orders = [(body.order, body.by, body.result) for body in bodies(world, AgentCommanded)]
    assert orders == [
        ("record_pause", "supervisor eva over MQTT", "done"),
        ("record_resume", "supervisor eva over MQTT", "done"),
        ("record_stop", "supervisor eva over MQTT", "must be recorded"),
        ("record_pause", "supervisor olga (control)", "done"),
    ]


@story()
async def test_a_secret_that_is_keyed_in_pauses_by_itself_and_no_command_resumes_before_it_is_in(world: World) -> None:
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    sound = world.house.supervisor.calls[world.call_id(call)].caller.sound
    await world.sleep(5)
    with sound.masked(True):
        await world.sleep(5)
        assert asks(world, "record_resume") == {"id": f"{next(NUMBERS) - 1}", "ok": True, "pending": True}
        await world.sleep(5)
    await world.sleep(5)
    asks(world, "record_pause")
    with sound.masked(True):
        await world.sleep(5)
    await world.sleep(5)
    asks(world, "record_resume")
    await world.sleep(5)
    await caller.hangs_up()
    await world.settled()
    (made,) = world.plane.made
    assert spans(made) == [(0, 5), (15, 20), (30, 35)]
    assert [body.by for body in bodies(world, RecordingPaused)] == ["a step that takes a secret in", "agent over MQTT"]


@story()
async def test_a_card_that_is_keyed_in_while_they_talk_is_in_no_recording(world: World) -> None:
    """Whether the agent thinks of it or not: while the step takes the secret in, nothing is recorded."""
    records(world)
    amy = await world.agent("amy", english=5)
    allow(world)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    assert world.publisher.command("amy", {"id": "card", "do": "entry_start", "entry": "take-card"})["ok"]
    await caller.hears("card.en", after=1)
    pressed_from = world.clock.monotonic()
    await caller.press(CARD + "#")
    await caller.hears("cvc.en", after=4)
    await caller.press("123")
    pressed_until = world.clock.monotonic()
    await world.sleep(10)
    await caller.hangs_up()
    await world.settled()
    (made,) = world.plane.made
    began = world.clock.monotonic() - made.spans[-1].end
    for span in made.spans:
        if span.end - span.start > 0.05:
            assert began + span.end < pressed_from or began + span.start > pressed_until
    by = {body.by for body in (*bodies(world, RecordingPaused), *bodies(world, RecordingResumed))}
    assert by == {"a step that takes a secret in"}
    (told,) = (await world.interaction(call)).recordings
    assert told.paused_ms > 3000


# On demand


@story()
async def test_agent_begins_and_ends_a_recording_and_the_caller_is_told_first(world: World) -> None:
    records(world, replace(AT_WILL, notices={"tech": "notice"}))
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    assert (await amy.screen_pop())["record"] == "on_demand"
    assert "notice" not in clips(caller)
    await world.sleep(5)
    assert asks(world, "record_start")["ok"]
    await caller.hears("notice.en")
    assert not world.plane.made
    await caller.hears(amy, after=1.5)
    await world.sleep(10)
    assert asks(world, "record_stop")["ok"]
    await world.settled()
    assert not world.plane.recordings
    refused = asks(world, "record_pause")
    assert "is not recorded" in refused["error"]
    assert asks(world, "record_start")["ok"], "once more, and the caller knows"
    await world.sleep(5)
    await caller.hangs_up()
    await world.settled()
    assert [spans(each) for each in world.plane.made] == [[(0, 10)], [(0, 5)]]
    assert clips(caller).count("notice") == 1
    first, second = bodies(world, RecordingEnded)
    assert (first.by, second.by) == ("agent over MQTT", "")
    assert [told.id[-2:] for told in (await world.interaction(call)).recordings] == ["-1", "-2"]


@story()
async def test_a_recording_that_is_taken_back_before_it_has_begun_is_none(world: World) -> None:
    records(world, replace(AT_WILL, notices={"tech": "notice"}))
    _, caller = await good_call(world)
    assert asks(world, "record_start")["ok"]
    await world.sleep(1)
    assert asks(world, "record_stop")["ok"]
    await world.sleep(3)
    assert not world.plane.made
    assert asks(world, "record_start")["ok"]
    assert asks(world, "record_stop")["ok"]
    assert asks(world, "record_start")["ok"]
    await world.sleep(5)
    assert len(world.plane.recordings) == 1
    await caller.hangs_up()


# Another phone, another agent


@story()
async def test_a_talk_that_moves_to_another_phone_stays_one_recording(world: World) -> None:
    records(world)
    call, caller, amy, desk = await talking_at_two(world)
    await world.sleep(10)
    await desk.pulls(amy)
    await caller.hears(desk)
    await world.sleep(10)
    assert asks(world, "record_pause")["ok"]
    await caller.hangs_up()
    await world.settled()
    (made,) = world.plane.made
    assert isinstance(made.spans[0], RecordedSpan)
    rights = [span.right for span in made.spans if span.end - span.start > 1]
    assert len(rights) == len(set(rights)) == 2
    assert len((await world.interaction(call)).recordings) == 1


@story()
async def test_each_agent_of_a_call_has_a_recording_of_the_own_and_who_is_never_recorded_has_none(world: World) -> None:
    """What quality people listen to is one agent with one customer."""
    records(world, replace(EVERYBODY, agents={"cyd": NEVER}))
    amy = await world.agent("amy", english=5)
    bob, cyd = await world.agent("bob", english=3), await world.agent("cyd", english=3)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    amy.transfers("bob")
    await bob.rings()
    await world.sleep(5)
    await bob.answers()
    await caller.hears(bob)
    await world.sleep(10)
    bob.transfers("cyd")
    await cyd.rings()
    await cyd.answers()
    await caller.hears(cyd)
    await world.sleep(10)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [told.agent for told in saved.recordings] == ["amy", "bob"]
    assert [spans(each) for each in world.plane.made] == [[(0, 10)], [(0, 10)]]
    assert [row.agents for row in await index(world)] == [("amy",), ("bob",)]


@story()
async def test_in_a_conference_all_whom_the_caller_hears_are_recorded_and_a_question_before_it_is_not(
    world: World,
) -> None:
    """What the agent asks a colleague meanwhile is nobody's, nor what a supervisor whispers; who barges in is heard."""
    records(world)
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*72amy")
    await world.sleep(10)
    (made,) = world.plane.recordings
    bob = await world.agent("bob", spanish=5)
    assert order(world, "consult", to="bob") == {"ok": True}
    await bob.rings()
    await bob.answers()
    await world.sleep(10)
    assert on_the_right(made) == 0
    assert order(world, "consult_join") == {"ok": True}
    await world.sleep(10)
    await eve.press("6")
    await world.sleep(10)
    assert on_the_right(made) == 3
    await eve.hangs_up()
    assert order(world, "consult_drop") == {"ok": True}
    await world.sleep(10)
    assert on_the_right(made) == 1
    await caller.hangs_up()
    await world.settled()
    sides = [len(span.right) for span in made.spans if span.end - span.start > 5]
    assert sides == [1, 0, 2, 3, 1]
    assert len(world.plane.made) == 1
    assert amy.is_free


@story()
async def test_a_colleague_who_is_never_recorded_is_not_in_a_conference_either(world: World) -> None:
    records(world, replace(EVERYBODY, agents={"bob": NEVER}))
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await world.sleep(5)
    order(world, "consult", to="bob")
    await bob.rings()
    await bob.answers()
    await world.sleep(5)
    order(world, "consult_join")
    await world.sleep(10)
    assert shown(world, "amy")["recording"]["by"] == "a colleague who is never recorded"
    assert asks(world, "record_resume")["pending"], "not as long as he takes part"
    order(world, "consult_drop")
    await world.sleep(5)
    await caller.hangs_up()
    await world.settled()
    (made,) = world.plane.made
    assert spans(made)[-1] == (20, 25)
    assert not any(span.start > 11 and span.end < 19 for span in made.spans if span.end - span.start > 0.5)
    assert amy.is_free


@story()
async def test_who_is_put_through_outside_is_told_and_both_stay_recorded(world: World) -> None:
    """By the rules of the company and the queue: there is no agent in it any more."""
    records(world, NOTICED)
    outside = await somebody_outside(world, "+14155550199")
    permit(world, amy=DialRules(outside=("+1",)))
    caller, amy = await talking(world)
    call, before = caller.this_call(), clips(caller).count("notice")
    amy.transfers("+14155550199")
    await outside.rings()
    await outside.answers()
    await outside.hears("notice.en")
    await outside.hears(caller)
    await world.sleep(5)
    assert clips(caller).count("notice") == before, "the caller has heard it already"
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [(told.agent, told.offer) for told in saved.recordings] == [
        ("amy", saved.legs[0].offer),
        ("", saved.outside[0].leg),
    ]


@story()
async def test_who_is_called_back_is_recorded_like_who_called(world: World) -> None:
    has_calls_settings(world, recording=NOTICED)
    ann = await is_to_be_called_back(world)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await ann.rings()
    await ann.answers()
    await ann.hears("notice.en")
    await ann.hears(amy)
    await world.sleep(5)
    await ann.hangs_up()
    await world.settled()
    (started,) = bodies(world, RecordingStarted)
    assert (started.left, started.right) == ("caller", "amy")


# What fails


@story()
async def test_a_disk_that_is_full_ends_the_recording_and_not_the_call(world: World) -> None:
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    (made,) = world.plane.recordings
    made.end(RecordingReason.DISK_FULL, "No space left on device")
    await world.settled()
    (failed,), (ended,) = bodies(world, RecordingFailed), bodies(world, RecordingEnded)
    assert (failed.reason, failed.agent, failed.detail) == ("disk_full", "amy", "No space left on device")
    assert ended.reason == "disk_full"
    assert (alarm(world)["failures"], alarm(world)["last_failure"]["reason"]) == (1, "disk_full")
    assert world.hear_each_other(caller, amy)
    assert asks(world, "record_start")["ok"], "what the rules want may be begun again"
    await world.sleep(10)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [told.state for told in saved.recordings] == ["cut", "kept"]
    assert [row.state for row in await index(world)] == ["cut", "kept"]


@story()
async def test_a_recording_that_cannot_be_made_costs_nobody_the_call(world: World) -> None:
    records(world)
    world.plane.unwritable = Everything()
    amy, caller = await good_call(world)
    await world.sleep(5)
    (failed,) = bodies(world, RecordingFailed)
    assert failed.reason == "failed"
    assert "Permission denied" in failed.detail
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await world.settled()
    assert await index(world) == []


class Everything(set[str]):
    """Every path."""

    def __contains__(self, _: object) -> bool:
        return True


@story()
async def test_a_media_worker_that_dies_leaves_what_was_recorded_until_then(world: World) -> None:
    records(world)
    await good_call(world)
    await world.sleep(10)
    world.plane.kill_worker()
    await world.settled()
    assert [body.reason for body in bodies(world, RecordingFailed)] == ["worker_lost"]
    (row,) = await index(world)
    assert (row.state, row.reason) == ("cut", "worker_lost")


@story()
async def test_without_room_no_recording_begins_and_it_is_told_until_there_is_some(world: World) -> None:
    records(world, replace(EVERYBODY, least_free=LeastFree(share=0.1)))
    amy, caller = await good_call(world)
    await world.sleep(11)
    assert world.house.recordings.status.enough
    world.recording_files.free = round(TOTAL * 0.09)
    await world.sleep(11)
    (short,) = bodies(world, RecordingSpaceChanged)
    assert (short.enough, short.wanted) == (False, TOTAL // 10)
    assert alarm(world)["state"] == "no_space"
    assert len(world.plane.recordings) == 1, "what was begun goes on"
    await caller.hangs_up()
    await world.sleep(40)

    second = await world.phone("+14155550101")
    call = await world.connect(second, amy)
    await world.settled()
    assert len(world.plane.made) == 1
    assert [body.reason for body in bodies(world, RecordingFailed)] == ["no_space"]
    assert "too little room" in asks(world, "record_start")["error"]
    assert world.hear_each_other(second, amy)
    world.recording_files.free = round(TOTAL * 0.101)
    await world.sleep(11)
    assert alarm(world)["state"] == "no_space", "not by a hair: else they begin and fail by turns"
    world.recording_files.free = round(TOTAL * 0.11)
    await world.sleep(11)
    assert alarm(world)["state"] == "ok"
    assert [body.enough for body in bodies(world, RecordingSpaceChanged)] == [False, True]
    assert asks(world, "record_start")["ok"]
    await world.settled()
    assert len(world.plane.recordings) == 1
    await second.hangs_up()
    assert len((await world.interaction(call)).recordings) == 1


@story()
async def test_a_disk_that_does_not_answer_is_one_without_room(world: World) -> None:
    records(world)
    world.recording_files.broken = OSError(5, "Input/output error")
    await world.sleep(11)
    assert alarm(world)["state"] == "no_space"
    assert "Input/output error" in alarm(world)["detail"]


@story()
async def test_what_a_power_failure_has_cut_is_mended_and_says_so(world: World) -> None:
    """The last call of the day is there up to the moment of the failure, and its row tells what happened to it."""
    records(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(30)
    await world.restart(crash=True)
    await world.settled()
    (row,) = await index(world)
    assert (row.state, row.reason, row.detail, row.sha256) == ("cut", "restart", "the switch was restarted", "mended")
    assert round(row.length_ms / 1000) == 30
    (told,) = (await world.interaction(call)).recordings
    assert (told.state, round(told.length_ms / 1000)) == ("cut", 30)
    await caller.hangs_up()
    await amy.hangs_up()


@story()
async def test_what_somebody_still_writes_is_waited_for_after_a_crash(world: World) -> None:
    """Who writes outlives the switch, to finish the file; until then it is nobody else's."""
    records(world)
    amy, caller = await good_call(world)
    await world.sleep(30)
    world.recording_files.busy = OSError("is being recorded to")
    await world.restart(crash=True)
    await world.sleep(8)
    assert [row.state for row in await index(world)] == ["recording"]
    world.recording_files.busy = None
    await world.sleep(6)
    assert [row.state for row in await index(world)] == ["cut"]
    await caller.hangs_up()
    await amy.hangs_up()


@story()
async def test_what_cannot_be_mended_is_told_as_what_failed(world: World) -> None:
    records(world)
    amy, caller = await good_call(world)
    await world.sleep(30)
    world.recording_files.busy = OSError(5, "Input/output error")
    await world.restart(crash=True)
    await world.sleep(60)
    (row,) = await index(world)
    assert (row.state, row.detail) == (
        "failed",
        "the switch was restarted; it cannot be mended: Input/output error",
    )
    await caller.hangs_up()
    await amy.hangs_up()


@story()
async def test_a_switch_that_goes_down_finishes_its_recordings_first(world: World) -> None:
    records(world)
    await good_call(world)
    await world.sleep(10)
    await world.restart()
    (row,) = await index(world)
    assert (row.state, round(row.length_ms / 1000)) == ("kept", 10)


@story()
async def test_a_file_that_is_finished_after_the_call_still_reaches_its_record(world: World) -> None:
    """Slow disks take their time; the record of the call waits for nobody, and is completed."""
    records(world, replace(EVERYBODY, queues={"sales-english": ALWAYS}))
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(1)
    await caller.hangs_up()
    await amy.is_hung_up()
    (told,) = (await world.interaction(call)).recordings
    order = [fact.kind for fact in world.facts if isinstance(fact.body, CallEnded | RecordingEnded)]
    assert told.state == "kept"
    assert len(order) == 2


# What gets old


@story()
async def test_what_is_older_than_its_client_keeps_it_is_deleted_and_stays_told(world: World) -> None:
    records(world, replace(EVERYBODY, retention={"tech": 1}))
    amy, caller = await good_call(world)
    await world.sleep(5)
    await caller.hangs_up()
    await amy.unregister()
    await world.sleep(DAY)
    assert world.recording_files.deleted == []
    await world.sleep(3600)
    (row,) = await index(world)
    assert world.recording_files.deleted == [DIRECTORY / row.path]
    assert (row.state, row.deleted_by, row.deleted_why) == ("deleted", "retention", "older than 1 day")
    assert row.length_ms > 4000, "what it was stays told"
    (deleted,) = bodies(world, RecordingDeleted)
    assert deleted.recording == row.recording


@story()
async def test_what_is_held_outlives_its_time_until_it_is_released(world: World) -> None:
    """A lawyer wants it kept: neither age nor hand deletes it."""
    records(world, replace(EVERYBODY, retention={"tech": 1}))
    amy, caller = await good_call(world)
    await world.sleep(5)
    await caller.hangs_up()
    await amy.unregister()
    (row,) = await index(world)
    held = await control(world, "recording_hold", recording=row.recording[-8:], why="claim 4711")
    assert held["recording"]["recording"] == row.recording
    await world.sleep(DAY + 3600)
    (row,) = await index(world)
    assert (row.state, row.held_by, row.held_why) == ("kept", "olga", "claim 4711")
    refused = await control(world, "recording_delete", recording=row.recording, why="asked for")
    assert "is held by olga: claim 4711; release it first" in refused["error"]
    await control(world, "recording_release", recording=row.recording)
    await world.sleep(3600)
    (row,) = await index(world)
    assert (row.state, row.held_at) == ("deleted", None)
    assert [body.why for body in bodies(world, RecordingHeld)] == ["claim 4711"]
    assert [body.by for body in bodies(world, RecordingReleased)] == ["olga"]


@story()
async def test_what_a_customer_wants_deleted_is_and_who_did_it_is_told(world: World) -> None:
    records(world)
    _, caller = await good_call(world)
    await world.sleep(5)
    listed = await control(world, "recordings")
    assert [each["state"] for each in listed["recordings"]] == ["recording"]
    name = listed["recordings"][0]["recording"]
    assert "still being made" in (await control(world, "recording_delete", recording=name, why="gdpr"))["error"]
    await caller.hangs_up()
    await world.settled()
    world.recording_files.broken = OSError(30, "Read-only file system")
    assert "Read-only" in (await control(world, "recording_delete", recording=name, why="gdpr"))["error"]
    world.recording_files.broken = None
    await control(world, "recording_delete", recording=name, why="gdpr 12")
    await world.settled()
    (row,) = await index(world)
    assert (row.state, row.deleted_by, row.deleted_why) == ("deleted", "olga", "gdpr 12")
    for do in ("recording_delete", "recording_hold"):
        assert "deleted" in (await control(world, do, recording=name, why="again"))["error"]
    assert "nobody holds" in (await control(world, "recording_release", recording=name))["error"]
    assert "no recording is named" in (await control(world, "recording_hold", recording="nope", why="x"))["error"]


# Nothing is left


@story()
async def test_a_recorded_call_that_is_over_leaves_no_rings(world: World) -> None:
    """Two talks, a pause, a notice: nothing of it waits for the collector."""
    records(world, NOTICED)
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    for keep in (nullcontext(), nothing_left_in_rings()):
        with keep:
            await world.connect(caller, amy)
            asks(world, "record_pause")
            amy.transfers("bob")
            await bob.rings()
            await bob.answers()
            await caller.hears(bob)
            await caller.hangs_up()
            await bob.is_hung_up()
            await world.sleep(60)
            world.plane.made.clear()


@pytest.mark.parametrize(
    ("leaves", "every"),
    [
        (caller_hangs_up, 3),
        pytest.param(caller_hangs_up, 1, marks=pytest.mark.long),
        pytest.param(agent_hangs_up, 1, marks=pytest.mark.long),
    ],
)
def test_whoever_hangs_up_at_whatever_moment_leaves_no_recording_behind(leaves: Leaves, every: int) -> None:
    """At the facts of a call, those of its recording too, the caller goes, or the agent does."""
    number, told = 0, 1
    while number < told + every:
        world = tell(functools.partial(_gone, leaves, number))
        kinds = [fact.kind for fact in world.facts]
        assert not world.plane.recordings, f"at fact {number}"
        assert kinds.count("RecordingStarted") == kinds.count("RecordingEnded"), f"at fact {number}"
        assert not world.house.books.open_calls
        told = max(told, sum(fact.call_id is not None for fact in world.facts))
        number += every
    assert told > 15


async def _gone(leaves: Leaves, number: int, world: World) -> None:
    records(world, NOTICED)
    await gone_at_fact(leaves, number, False, world)
