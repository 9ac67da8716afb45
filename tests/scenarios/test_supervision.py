"""Supervisors who listen, whisper and barge: who hears whom, who is told, who may, and that no talk is disturbed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import Supervisor
from callcenter.calls.supervision_rules import SupervisionRules
from callcenter.cli.status import lines
from callcenter.model.facts import (
    AgentCommanded,
    FeatureCodeDialled,
    SupervisionChanged,
    SupervisionEnded,
    SupervisionStarted,
)
from callcenter.model.states import SupervisionMode, Work
from callcenter.operate.life import Life
from callcenter.operate.status import status
from callcenter.simulation.phone import Manner, Phone
from callcenter.simulation.world import AgentPhone, World, story
from tests.scenarios.test_agents_and_supervisors import bodies, has_calls_settings, supervise
from tests.scenarios.test_agents_choose import shown
from tests.scenarios.test_pulling import desk_phone

LISTEN, WHISPER, BARGE = SupervisionMode.LISTEN, SupervisionMode.WHISPER, SupervisionMode.BARGE


async def has_supervisor(world: World, clients: frozenset[str] | None = None) -> AgentPhone:
    """Eva, who has a phone as the agent eve, and takes no calls."""
    eve = await world.agent("eve")
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang", clients, "eve")})
    return eve


def has_rules(world: World, **rules: Any) -> None:
    """What the company lets supervisors do."""
    settings = world.house.services.settings
    tech = replace(settings.clients["tech"], supervision=SupervisionRules(**rules))
    has_calls_settings(world, clients={**settings.clients, "tech": tech})


async def talking(world: World, number: str = "+14155550100") -> tuple[Phone, AgentPhone]:
    """Amy, and a caller whom she talks to."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(number)
    await world.connect(caller, amy)
    return caller, amy


def heard(*phones: Phone) -> list[tuple[str, ...]]:
    """What each of them hears now."""
    return [phone.heard_now() for phone in phones]


@story()
async def test_a_supervisor_who_listens_hears_both_and_nobody_hears_her(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*71amy")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100",), ("amy",)]
    await caller.hangs_up()
    await eve.hears("music")
    await eve.hangs_up()


@story()
async def test_by_the_keys_of_her_phone_she_whispers_barges_and_listens_again(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*71amy")
    await eve.press("5")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100", "eve"), ("amy",)]
    await eve.press("6")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100", "eve"), ("amy", "eve")]
    await eve.press("4")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100",), ("amy",)]
    await eve.press("9")
    await eve.hangs_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert [body.mode for body in bodies(world, SupervisionChanged)] == [WHISPER, BARGE, LISTEN]
    await caller.hangs_up()


@story()
async def test_who_listened_to_what_and_for_how_long_stands_in_the_record_of_the_call(world: World) -> None:
    eve = await has_supervisor(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    await eve.dial("*72amy")
    await world.sleep(20)
    await eve.press("6")
    await world.sleep(10)
    await eve.hangs_up()
    await world.sleep(10)
    await caller.hangs_up()
    (told,) = (await world.interaction(call)).supervisions
    assert (told.supervisor, told.agent, told.modes, told.agent_sees) == ("eva", "amy", (WHISPER, BARGE), True)
    assert 29_000 < told.duration_ms < 31_000
    (began,) = bodies(world, SupervisionStarted)
    assert (began.supervisor, began.agent, began.client, began.mode) == ("eva", "amy", "tech", WHISPER)
    assert bodies(world, FeatureCodeDialled) == [FeatureCodeDialled("eve", "*72amy", "done")]


@story()
async def test_she_follows_the_agent_from_call_to_call_until_she_hangs_up(world: World) -> None:
    eve = await has_supervisor(world)
    amy = await world.agent("amy", english=5)
    await eve.dial("*71amy")
    await eve.hears("music")
    for number in ("+14155550100", "+14155550101"):
        caller = await world.phone(number)
        await world.connect(caller, amy)
        await world.settled()
        assert heard(eve) == [(number, "amy")]
        await caller.hangs_up()
        await eve.hears("music")
        await world.sleep(31)
    await eve.hangs_up()
    assert len(bodies(world, SupervisionStarted)) == len(bodies(world, SupervisionEnded)) == 2


@story(media_workers=2)
async def test_she_hears_a_call_whose_sound_is_on_another_core_than_hers(world: World) -> None:
    """Hers is opened before the call comes, wherever there is room."""
    eve = await has_supervisor(world)
    amy = await world.agent("amy", english=5)
    await eve.dial("*73amy")
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await world.settled()
    assert len({session.worker for session in world.plane.sessions}) == 2, "the story is about two"
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100", "eve"), ("amy", "eve")]
    await eve.press("5")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100", "eve"), ("amy",)]
    await eve.press("4")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100",), ("amy",)]
    await caller.hangs_up()
    await eve.hears("music")
    await world.settled()
    assert len(world.plane.sessions) == 1, "nothing is left between the cores"
    await eve.hangs_up()


@story()
async def test_while_the_agent_holds_she_hears_nobody_who_waits_and_no_music_of_theirs(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*73amy")
    await world.settled()
    await amy.hold()
    await caller.hears("music")
    assert heard(eve) == [("hold tone",)], "and knows that her own line is there"
    await amy.resume()
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100", "eve"), ("amy", "eve")]
    await caller.hold()
    await world.settled()
    assert heard(eve) == [("amy",)], "of a caller who holds there is nothing to hear"
    await caller.resume()
    await eve.hold()
    await world.settled()
    assert heard(amy, caller) == [("+14155550100",), ("amy",)], "what her phone plays meanwhile is for nobody"
    await eve.resume()
    await world.settled()
    assert heard(amy) == [("+14155550100", "eve")]
    await caller.hangs_up()
    await eve.hangs_up()


@story()
async def test_she_goes_along_when_the_agent_asks_a_colleague_on_the_second_line(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await eve.dial("*71amy")
    await amy.hold()
    world.loop.call_later(0.5, bob.picks_up)
    await amy.dial_beside("bob")
    await world.settled()
    assert heard(eve) == [("amy", "bob")]
    amy.joins_both()
    await world.sleep(3)
    assert world.hear_each_other(caller, bob)
    assert heard(eve) == [("music",)], "amy is out of it"
    await caller.hangs_up()
    await world.sleep(1)
    await eve.hangs_up()


@story()
async def test_a_caller_who_is_handed_over_is_heard_by_who_supervises_the_one_who_takes_them(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await eve.dial("*72bob")
    await eve.hears("music")
    amy.transfers("bob")
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert heard(eve, bob, caller) == [("+14155550100", "bob"), ("+14155550100", "eve"), ("bob",)]
    await caller.hangs_up()
    await world.sleep(1)
    await eve.hangs_up()


@story()
async def test_the_agent_goes_on_by_another_phone_and_the_supervisor_still_hears_and_whispers(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*72amy")
    await world.settled()
    other = await desk_phone(world, "amy")
    await other.pulls(amy)
    await world.settled()
    assert heard(eve, other, caller) == [("+14155550100", "amy-desk"), ("+14155550100", "eve"), ("amy-desk",)]
    await caller.hangs_up()
    await world.sleep(1)
    await eve.hangs_up()


@story()
async def test_status_shows_who_listens_to_whom_and_in_which_call(world: World) -> None:
    eve = await has_supervisor(world)
    caller, _ = await talking(world)
    await eve.dial("*72amy")
    await world.sleep(30)
    state = await status(world.house, Life())
    (told,) = state["supervisions"]
    assert (told["supervisor"], told["agent"], told["mode"], told["client"]) == ("eva", "amy", "whisper", "tech")
    assert told["call"] == world.call_id(caller.this_call())
    shown_lines = lines(state)
    row = shown_lines[shown_lines.index("SUPERVISION 1") + 2].split()
    assert row == ["eva", "amy", "whisper", told["call"][-6:], "0:30"]
    await caller.hangs_up()
    await eve.hears("music")
    (told,) = (await status(world.house, Life()))["supervisions"]
    assert (told["call"], told["client"]) == (None, None)
    await eve.hangs_up()


# By command


@story()
async def test_her_program_rings_her_phone_and_puts_it_into_the_talk(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    has_calls_settings(world, auto_answer=frozenset({"eve"}))
    assert supervise(world, "1", agent="amy", do="supervise", mode="listen") == {
        "id": "1", "ok": True, "pending": True,
    }  # fmt: skip
    ringing = await eve.rings()
    assert (ringing.caller, ringing.caller_name) == ("amy", "listen")
    await eve.answers()
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100",), ("amy",)]
    assert supervise(world, "2", agent="amy", do="supervise", mode="barge") == {"id": "2", "ok": True}
    await world.settled()
    assert heard(caller) == [("amy", "eve")]
    assert supervise(world, "3", agent="amy", do="supervise", mode="leave") == {"id": "3", "ok": True}
    await eve.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert [(body.order, body.by, body.result) for body in bodies(world, AgentCommanded)] == [
        ("supervise listen", "supervisor eva over MQTT", "pending"),
        ("supervise barge", "supervisor eva over MQTT", "done"),
        ("supervise leave", "supervisor eva over MQTT", "done"),
    ]
    await caller.hangs_up()


@story()
async def test_by_a_command_she_goes_over_to_another_agent(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    other = await world.phone("+14155550102")
    await other.dial("1000")
    await other.press("2")
    await bob.rings()
    await bob.answers()
    await eve.dial("*71amy")
    await world.settled()
    supervise(world, "1", agent="bob", do="supervise", mode="whisper")
    await world.settled()
    assert heard(eve, amy, bob) == [("+14155550102", "bob"), ("+14155550100",), ("+14155550102", "eve")]
    assert [body.agent for body in bodies(world, SupervisionStarted)] == ["amy", "bob"]
    for phone in (caller, other, eve):
        await phone.hangs_up()


@story()
async def test_a_supervisor_who_does_not_pick_up_has_heard_nothing(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    supervise(world, "1", agent="amy", do="supervise", mode="listen")
    await eve.rings()
    await eve.stops_ringing(after=30)
    eve.manner = Manner.DECLINES
    supervise(world, "2", agent="amy", do="supervise", mode="listen")
    await world.settled()
    supervise(world, "3", agent="amy", do="supervise", mode="listen")
    await world.settled()
    assert bodies(world, SupervisionStarted) == []
    assert shown(world, "eve")["device"] == "registered"
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


# Who may, and who is told


@story()
async def test_nobody_hears_agents_who_is_no_supervisor_and_the_attempt_is_kept(world: World) -> None:
    eve = await has_supervisor(world)
    caller, _amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    for phone, code, refusal in (
        (bob, "*71amy", 403),
        (eve, "*71eve", 403),
        (eve, "*71nobody", 404),
        (eve, "*71", 404),
    ):
        phone.starts_dialling(code)
        await phone.is_refused(refusal)
    refused = world.publisher.command("bob", {"id": "1", "do": "supervise", "mode": "listen"})
    assert "`do` is `supervise`: write one of" in refused["error"]
    herself = supervise(world, "2", agent="eve", do="supervise", mode="listen")
    assert herself["error"] == "that is your own phone: nobody hears himself"
    odd = supervise(world, "3", agent="amy", do="supervise", mode="spy")
    assert odd["error"] == "`mode` is `spy`: write one of listen, whisper, barge, or leave"
    none = supervise(world, "4", agent="amy", do="supervise", mode="leave")
    assert none["error"] == "you do not hear this agent now"
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang")})
    no_phone = supervise(world, "5", agent="amy", do="supervise", mode="listen")
    assert no_phone["error"].startswith("no phone of yours is registered")
    assert bodies(world, SupervisionStarted) == []
    assert [(body.agent, body.result) for body in bodies(world, FeatureCodeDialled)] == [
        ("bob", "not permitted"), ("eve", "nobody hears himself"), ("eve", "no such agent"), ("eve", "no such agent"),
    ]  # fmt: skip
    await caller.hangs_up()


@story()
async def test_calls_of_clients_who_are_not_hers_are_not_hers_to_hear(world: World) -> None:
    eve = await has_supervisor(world, frozenset({"other"}))
    caller, _amy = await talking(world)
    eve.starts_dialling("*71amy")
    await eve.is_refused(403)
    # An agent who serves both: of this client's call she hears nothing.
    agents = {**world.plan.agents, "amy": replace(world.plan.agents["amy"], clients=frozenset({"tech", "other"}))}
    world.plan = replace(world.plan, agents=agents)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    tech = world.house.services.settings.clients["tech"]
    has_calls_settings(world, clients={"tech": tech, "other": replace(tech, id="other")})
    await eve.dial("*71amy")
    await eve.hears("music")
    await world.settled()
    assert bodies(world, SupervisionStarted) == []
    await eve.hangs_up()
    await caller.hangs_up()


@story()
async def test_what_the_client_does_not_allow_is_not_done_in_its_calls(world: World) -> None:
    """Listening is what is left where whispering is not allowed; where that is not either, nothing."""
    eve = await has_supervisor(world)
    has_rules(world, allowed=frozenset({LISTEN, BARGE}))
    caller, amy = await talking(world)
    eve.starts_dialling("*72amy")
    await eve.is_refused(403)
    await eve.dial("*73amy")
    await eve.press("5")
    await world.settled()
    assert heard(eve, amy, caller) == [("+14155550100", "amy"), ("+14155550100",), ("amy",)]
    assert [body.mode for body in bodies(world, SupervisionChanged)] == [LISTEN]
    await eve.hangs_up()
    has_rules(world, allowed=frozenset())
    refused = supervise(world, "1", agent="amy", do="supervise", mode="listen")
    assert refused["error"].startswith("your clients are not all")
    await caller.hangs_up()


@story()
async def test_the_agent_is_shown_who_listens_where_the_client_wants_it(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    assert shown(world, "amy")["supervised"] == []
    await eve.dial("*71amy")
    await world.settled()
    assert shown(world, "amy")["supervised"] == [{"supervisor": "eva", "mode": "listen"}]
    await eve.press("6")
    await world.settled()
    assert shown(world, "amy")["supervised"] == [{"supervisor": "eva", "mode": "barge"}]
    await eve.hangs_up()
    await world.settled()
    assert shown(world, "amy")["supervised"] == []
    await caller.hangs_up()
    await world.sleep(31)

    has_rules(world, agent_sees=False)
    again = await world.phone("+14155550101")
    await world.connect(again, amy)
    await eve.dial("*71amy")
    await world.settled()
    assert heard(eve) == [("+14155550101", "amy")]
    assert shown(world, "amy")["supervised"] == []
    assert [body.agent_sees for body in bodies(world, SupervisionStarted)] == [True, False]
    await again.hangs_up()
    await eve.hangs_up()


@story()
async def test_where_the_law_wants_it_both_are_told_before_anything_is_heard_of_it(world: World) -> None:
    """The announcement is heard by caller and agent, once a call, and the talk goes on behind it."""
    eve = await has_supervisor(world)
    has_rules(world, announce="goodbye")
    caller, amy = await talking(world)
    await eve.dial("*71amy")
    await caller.hears("goodbye")
    assert "goodbye" in heard(amy)[0][0]
    await world.sleep(1.1)
    assert world.hear_each_other(caller, amy)
    await eve.press("6")
    await world.settled()
    assert heard(caller) == [("amy", "eve")]
    await caller.hangs_up()
    await eve.hangs_up()


@story()
async def test_no_caller_is_offered_to_a_supervisor_who_hears_a_talk(world: World) -> None:
    """She is an agent too: while she listens her phone is busy, and afterwards it is not."""
    eve = await has_supervisor(world)
    caller, _amy = await talking(world)
    world.plan = replace(
        world.plan, agents={**world.plan.agents, "eve": replace(world.plan.agents["eve"], skills={"english": 5})}
    )
    world.house.dispatcher.tell(Reconfigured(world.plan))
    await eve.dial("*71amy")
    other = await world.phone("+14155550101")
    await other.dial("1000")
    await other.press("1")
    await other.hears("music")
    await world.sleep(3)
    view = world.house.acd.agent("eve")
    assert view is not None
    assert view.work is Work.IDLE
    await eve.hangs_up()
    await eve.rings()
    await eve.answers()
    await world.settled()
    assert world.hear_each_other(other, eve)
    for phone in (caller, other):
        await phone.hangs_up()


@story()
async def test_a_switch_that_goes_down_hangs_up_on_supervisors_and_leaves_nothing(world: World) -> None:
    eve = await has_supervisor(world)
    _, _amy = await talking(world)
    await eve.dial("*73amy")
    await world.settled()
    await world.restart()
    await eve.is_hung_up()
    await world.settled()
    assert len(bodies(world, SupervisionEnded)) == 1


@story(media_workers=2)
async def test_a_crash_leaves_a_record_that_says_who_heard_the_call(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    call = caller.this_call()
    await eve.dial("*71amy")
    await world.sleep(10)
    await world.restart(crash=True)
    await world.settled()
    record = await world.storage.interactions.by_call(world.call_id(call))
    assert record is not None
    (told,) = record["supervisions"]
    assert told["supervisor"] == "eva"
    for phone in (caller, amy, eve):
        phone.drops()


@story()
async def test_a_reload_that_takes_her_away_hangs_up_on_her_and_the_talk_goes_on(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*71amy")
    await world.settled()
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang", frozenset({"other"}), "eve")})
    world.house.supervisions.reconfigured()
    await eve.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_she_leaves_by_a_command_while_her_phone_rings(world: World) -> None:
    eve = await has_supervisor(world)
    caller, _ = await talking(world)
    supervise(world, "1", agent="amy", do="supervise", mode="listen")
    await eve.rings()
    await world.settled()
    assert supervise(world, "2", agent="amy", do="supervise", mode="leave")["ok"]
    await eve.stops_ringing()
    await caller.hangs_up()
