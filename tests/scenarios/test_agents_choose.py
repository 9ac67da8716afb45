"""Agents say what they are: by a code from their phone, or by a command of their program; and it holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from callcenter.acd.events import Reconfigured
from callcenter.acd.settings import WrapUpSettings
from callcenter.media.plane import MediaSession
from callcenter.model.facts import (
    AgentStateChanged,
    CallAnswered,
    CallArrived,
    FeatureCodeDialled,
    OfferEnded,
    WrapUpEnded,
)
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Outcome, Side, Work, WrapUpMode
from callcenter.simulation.network import Weather
from callcenter.simulation.world import AgentPhone, World, story
from callcenter.sip.flow import Flow, Transport

WRAP_UP = 30.0
EXTENSION = 15.0


def shown(world: World, agent: str) -> dict[str, Any]:
    """What everybody sees of an agent: the retained state."""
    state: dict[str, Any] = world.publisher.of_topic(f"callcenter/v1/agents/{agent}/state")[-1]
    return state


def chosen(world: World, agent: str) -> tuple[Intent, str]:
    """What an agent is, and why."""
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.intent, view.reason


def dialled(world: World) -> list[tuple[str, str, str]]:
    """Every code that was dialled and what came of it."""
    bodies = [fact.body for fact in world.facts]
    return [(body.agent, body.code, body.result) for body in bodies if isinstance(body, FeatureCodeDialled)]


def has_wrap_up(world: World, settings: WrapUpSettings) -> None:
    """Let every queue have another wrap-up."""
    queues = {name: replace(queue, wrap_up=settings) for name, queue in world.plan.queues.items()}
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))


async def wraps_up(world: World, amy: AgentPhone) -> None:
    """Amy has talked and is in her wrap-up."""
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await world.sleep(10)
    await caller.hangs_up()
    await world.settled()
    assert shown(world, "amy")["work"] == "wrap_up"


@story()
async def test_an_agent_dials_not_ready_and_is_not_rung_until_ready_is_dialled(world: World) -> None:
    """The better match is at lunch: the next agent is rung; back from lunch, the better match is."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    assert await amy.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"]
    await world.settled()
    state = shown(world, "amy")
    assert (state["chosen"], state["reason"], state["forced"]) == ("not_ready", "lunch", False)
    assert (state["device"], state["next"]) == ("registered", None)

    first = await world.phone("+14155550100")
    await first.dial("1000")
    await first.press("1")
    await bob.rings()
    await bob.answers()
    assert amy.is_free

    assert await amy.dials_code("*20") == ["agent-ready.en"]
    second = await world.phone("+14155550101")
    await world.connect(second, amy)
    await first.hangs_up()
    await second.hangs_up()


@story()
async def test_a_code_is_no_customers_call(world: World) -> None:
    """Nothing is booked, nothing is published, one fact tells it."""
    amy = await world.agent("amy", english=5)
    await amy.dials_code("*22")
    await world.settled()
    assert dialled(world) == [("amy", "*22", "done")]
    assert not [fact for fact in world.facts if isinstance(fact.body, CallArrived)]
    assert await world.database.fetch_all("SELECT * FROM interactions") == []
    assert not [message for message in world.publisher.messages if "/calls/" in message.topic]


@story()
async def test_not_ready_during_a_call_is_shown_at_once_and_holds_from_its_end_on(world: World) -> None:
    """Dialled on the second line while the caller is on the first, who notices nothing."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    assert await amy.dials_code("*21") == ["agent-not-ready-next.en", "reason-lunch.en"]
    assert world.hear_each_other(caller, amy)
    state = shown(world, "amy")
    assert (state["chosen"], state["work"]) == ("ready", "talking")
    assert state["next"] == {"chosen": "not_ready", "reason": "lunch"}
    assert state["call"] == world.call_id(call)

    await caller.hangs_up()
    await world.settled()
    state = shown(world, "amy")
    assert (state["work"], state["next"]["reason"], state["call"]) == ("wrap_up", "lunch", world.call_id(call))
    assert state["wrap_up_remaining_s"] == WRAP_UP
    await world.sleep(WRAP_UP)
    state = shown(world, "amy")
    assert (state["chosen"], state["reason"], state["work"], state["next"]) == ("not_ready", "lunch", "idle", None)
    assert (state["forced"], state["call"], state["wrap_up_until"]) == (False, None, None)


@story()
async def test_what_was_chosen_for_after_the_call_is_taken_back_by_another_code(world: World) -> None:
    """Lunch is put off; the next caller comes."""
    amy = await world.agent("amy", english=5)
    await wraps_up(world, amy)
    assert await amy.dials_code("*21") == ["agent-not-ready-next.en", "reason-lunch.en"]
    assert await amy.dials_code("*20") == ["agent-ready-next.en"]
    assert shown(world, "amy")["next"] is None
    await world.sleep(WRAP_UP)
    assert chosen(world, "amy") == (Intent.READY, "")


@story()
async def test_a_wrap_up_ended_by_a_code_frees_the_agent_at_once_and_keeps_the_disposition(world: World) -> None:
    """A caller who waits for the only agent is rung through in the moment that the code's call is over."""
    amy = await world.agent("amy", english=5)
    first = await world.phone("+14155550100")
    call = await world.connect(first, amy)
    second = await world.phone("+14155550101")
    await second.dial("1000")
    await second.press("1")
    await first.hangs_up()
    await amy.rings_not(during=5)
    assert await amy.dials_code("*33") == ["agent-wrapped-up.en", "agent-ready.en"]
    await amy.rings(within=0.1)
    saved = await world.interaction(call)
    assert [leg.disposition for leg in saved.legs] == ["solved"]
    await amy.answers()
    await second.hangs_up()


@story()
async def test_a_wrap_up_is_extended_once_and_the_second_time_is_refused_in_words(world: World) -> None:
    """More time, once: by code; asked again, the agent hears that this was it, and reads it as well."""
    amy = await world.agent("amy", english=5)
    await wraps_up(world, amy)
    assert shown(world, "amy")["extension_s"] == EXTENSION
    assert await amy.dials_code("*31") == ["agent-extended.en"]
    state = shown(world, "amy")
    assert state["extension_s"] == 0
    assert await amy.dials_code("*31") == ["agent-extended-before.en"]
    refused = world.publisher.command("amy", {"id": "1", "do": "wrap_up_extend"})
    assert not refused["ok"]
    assert "was extended already, and once is all" in refused["error"]
    await world.sleep(WRAP_UP)
    assert shown(world, "amy")["work"] == "wrap_up"
    await world.sleep(EXTENSION)
    assert shown(world, "amy")["work"] == "idle"
    assert [result for _, _, result in dialled(world)] == ["done", "was extended before"]


@story()
async def test_there_is_nothing_to_wrap_up_without_a_call(world: World) -> None:
    """Neither to end nor to extend; and nothing changes."""
    amy = await world.agent("amy", english=5)
    for code in ("*30", "*31", "*33"):
        assert await amy.dials_code(code) == ["agent-nothing-to-wrap-up.en"]
    assert chosen(world, "amy") == (Intent.READY, "")


@story()
async def test_a_wrap_up_that_needs_a_result_ends_with_one_only(world: World) -> None:
    """Mandatory: neither time nor an empty word ends it, nor is there a time to extend."""
    amy = await world.agent("amy", english=5)
    has_wrap_up(world, WrapUpSettings(WrapUpMode.MANDATORY))
    await wraps_up(world, amy)
    assert await amy.dials_code("*30") == ["agent-needs-disposition.en"]
    assert await amy.dials_code("*31") == ["agent-not-extendable.en"]
    for number, disposition in enumerate(("", "  ")):
        refused = world.publisher.command("amy", {"id": f"{number}", "do": "wrap_up_done", "disposition": disposition})
        assert not refused["ok"]
        assert "ends only with a disposition" in refused["error"]
    assert shown(world, "amy")["wrap_up_until"] is None
    await world.sleep(3600)
    assert shown(world, "amy")["work"] == "wrap_up"
    answer = world.publisher.command("amy", {"id": "3", "do": "wrap_up_done", "disposition": "complaint"})
    assert answer == {"id": "3", "ok": True}
    await world.settled()
    assert shown(world, "amy")["work"] == "idle"
    ends = [fact.body.disposition for fact in world.facts if isinstance(fact.body, WrapUpEnded)]
    assert ends == ["complaint"]


@story()
async def test_after_a_missed_call_the_agent_hears_why_and_returns_by_a_code(world: World) -> None:
    """Away from the desk: not ready, not by choice; one code says why, another one brings the agent back."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.stops_ringing(after=20)
    await world.settled()
    state = shown(world, "amy")
    assert (state["chosen"], state["reason"], state["forced"]) == ("not_ready", "no_answer", True)
    assert state["cause"] == "offer ended: no_answer"
    assert await amy.dials_code("*32") == ["agent-not-ready.en", "agent-missed.en"]
    await amy.rings_not()
    assert await amy.dials_code("*20") == ["agent-ready.en"]
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()


@story()
async def test_signing_out_while_it_rings_stops_the_ringing_and_passes_the_caller_on(world: World) -> None:
    """The caller keeps the place; the phone stays registered, and is not rung any more."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    assert await amy.dials_code("*29") == ["agent-signed-out.en"]
    await amy.stops_ringing(within=0.5)
    await bob.rings(within=0.5)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert saved.offers == (("amy", OfferResult.DECLINED), ("bob", OfferResult.ACCEPTED))
    assert (shown(world, "amy")["chosen"], shown(world, "amy")["device"]) == ("signed_out", "registered")


@story()
async def test_who_signed_out_stays_so_until_ready_is_dialled_whatever_the_phone_does(world: World) -> None:
    """The phone refreshes its registration, goes, and comes back: no call comes before the code."""
    amy = await world.agent("amy", english=5)
    await amy.dials_code("*29")
    await world.sleep(700)
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")
    await amy.unregister()
    await world.settled()
    await amy.register("amy", "secret of amy")
    await world.settled()
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings_not()
    await amy.dials_code("*20")
    await amy.rings()
    await amy.answers()
    await caller.hangs_up()


@story()
async def test_signing_out_in_a_talk_waits_for_its_end(world: World) -> None:
    """Nobody is cut off; and it is said when it will be."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    assert await amy.dials_code("*29") == ["agent-signed-out-next.en"]
    assert await amy.dials_code("*32") == ["agent-in-a-call.en", "agent-signed-out-next.en"]
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await world.sleep(WRAP_UP + 1)
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")


@story()
async def test_ready_with_a_caller_waiting_does_not_ring_a_phone_that_is_still_being_told_so(world: World) -> None:
    """A phone with one line would refuse the caller, and its agent would pause for that."""
    amy = await world.agent("amy", english=5)
    await amy.dials_code("*21")
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await world.settled()
    assert await amy.dials_code("*20") == ["agent-ready.en"]
    await amy.rings(within=0.1)
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()
    results = [fact.body.result for fact in world.facts if isinstance(fact.body, OfferEnded)]
    assert results == [OfferResult.ACCEPTED]


@story()
async def test_who_hangs_up_on_the_confirmation_has_chosen_all_the_same(world: World) -> None:
    """In a hurry: the code is dialled, the first word is heard, the phone is put down."""
    amy = await world.agent("amy", english=5)
    call = await amy.dial_beside("*21")
    call.leg.hangup()
    await world.settled()
    assert chosen(world, "amy") == (Intent.NOT_READY, "lunch")
    assert shown(world, "amy")["device"] == "registered"


@story()
async def test_a_phone_that_dies_with_a_code_in_its_ear_leaves_nothing(world: World) -> None:
    """The plug is pulled while the switch speaks: in the end the agent is unreachable, and no more."""
    amy = await world.agent("amy", english=5)
    await amy.dial_beside("*21")
    world.unplug(amy)
    await world.sleep(700)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.device, view.intent) == (Device.UNREACHABLE, Intent.NOT_READY)
    assert len(world.house.feature_codes) == 0


@story()
async def test_a_phone_that_refreshes_its_registration_while_it_is_told_so_is_not_rung(world: World) -> None:
    """That it registers does not make its line free: the caller would be refused, and the agent pay for it."""
    amy = await world.agent("amy", english=5)
    await amy.dials_code("*21")
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await world.settled()
    await amy.dial_beside("*20")
    await amy.register("amy", "secret of amy")
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()
    results = [fact.body.result for fact in world.facts if isinstance(fact.body, OfferEnded)]
    assert results == [OfferResult.ACCEPTED]


@story()
async def test_of_two_codes_dialled_in_one_moment_one_is_served(world: World) -> None:
    """Two devices of one agent, or a key that bounces: the other one is told busy, and both are free afterwards."""
    amy = await world.agent("amy", english=5)
    calls = await asyncio.gather(amy.dial_beside("*21"), amy.dial_beside("*29"))
    assert sorted(call.connected for call in calls) == [False, True]
    await world.sleep(5)
    [(_, code, _)] = dialled(world)
    assert chosen(world, "amy") == {"*21": (Intent.NOT_READY, "lunch"), "*29": (Intent.SIGNED_OUT, "")}[code]
    assert shown(world, "amy")["device"] == "registered"


class Gate:
    """A media plane that opens nothing before it is told to."""

    def __init__(self, world: World) -> None:
        self.open_now = asyncio.Event()
        self._plane = world.plane
        world.house.services.plane = self  # type: ignore[assignment]

    async def open(self, *arguments: Any, **named: Any) -> MediaSession:
        session = await self._plane.open(*arguments, **named)
        await self.open_now.wait()
        return session


@story()
async def test_an_agent_who_is_removed_in_the_moment_of_a_code_hears_nothing_and_breaks_nothing(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await wraps_up(world, amy)
    failed: list[dict[str, Any]] = []
    world.loop.set_exception_handler(lambda _, what: failed.append(what))
    gate = Gate(world)
    dialling = world.loop.create_task(amy.dial_beside("*30"))
    await world.settled()
    agents = {name: agent for name, agent in world.plan.agents.items() if name != "amy"}
    world.plan = replace(world.plan, agents=agents)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    gate.open_now.set()
    await dialling
    await world.sleep(1)
    assert dialled(world) == [("amy", "*30", "no such agent")]
    assert not failed


@story()
async def test_who_takes_the_call_back_in_the_moment_of_the_answer_was_not_answered(world: World) -> None:
    """Neither is a caller, in the books, nor has an agent chosen anything."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    gate, user_agent = Gate(world), world.house.user_agent
    take = user_agent.datagram

    def at_once(data: bytes, flow: Flow) -> None:
        if data.startswith(b"CANCEL"):
            gate.open_now.set()
        take(data, flow)

    user_agent.datagram = at_once  # type: ignore[method-assign]
    call = caller.starts_dialling("1000")
    await world.settled()
    await caller.hangs_up()
    await world.settled()
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert (saved.ending.by, saved.ending.cause) == (Side.CALLER, EndCause.CANCELLED)
    assert not [fact for fact in world.facts if isinstance(fact.body, CallAnswered)]

    gate.open_now.clear()
    dialling = world.loop.create_task(amy.dial_beside("*21"))
    await world.settled()
    assert amy.beside is not None
    amy.beside.leg.hangup()
    await dialling
    await world.settled()
    assert (dialled(world), chosen(world, "amy")) == ([], (Intent.READY, ""))


@story()
async def test_only_the_agent_may_dial_the_agents_codes(world: World) -> None:
    """Without the password, with a wrong one, or in another's name: refused alike, and nothing changes."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    stranger = await world.phone("+14155550199")
    for phone, shows, user, password, status in (
        (stranger, "amy", "", "", 401),
        (stranger, "+14155550199", "", "", 401),
        (stranger, "amy", "amy", "guessed", 403),
        (stranger, "nobody", "nobody", "guessed", 403),
        (bob, "amy", "bob", "secret of bob", 403),
        (stranger, "amy", "", "", 401),
    ):
        call = await phone.dial_beside("*21", shown=shows, user=user, password=password)
        assert call.leg.ending is not None
        assert call.leg.ending.status == status, (shows, user)
    call = await stranger.dial_beside("*77", shown="amy")
    assert call.leg.ending is not None
    assert call.leg.ending.status == 404
    assert chosen(world, "amy") == chosen(world, "bob") == (Intent.READY, "")
    assert dialled(world) == []
    assert await amy.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"]


@story()
async def test_whoever_keeps_guessing_is_not_listened_to_for_a_while(world: World) -> None:
    """Nothing new is taken from that address, with the right password neither; others are served as ever."""
    amy = await world.agent("amy", english=5)
    stranger = await world.phone("+14155550199")
    rules = world.house.guard.rules
    for _ in range(rules.failures):
        await stranger.dial_beside("*21", shown="amy", user="amy", password="guessed")
    assert world.house.guard.bans == (stranger.host.address,)
    call = await stranger.dial_beside("*21", shown="amy", user="amy", password="secret of amy")
    assert call.leg.refusal is None, "not a word"
    assert chosen(world, "amy") == (Intent.READY, "")
    assert await amy.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"]
    await world.sleep(rules.ban)
    call = await stranger.dial_beside("*20", shown="amy", user="amy", password="secret of amy")
    assert call.connected
    await world.sleep(5)


@story()
async def test_an_agent_who_dials_a_number_is_a_caller_like_any_other(world: World) -> None:
    """Nobody asks for a password at the front door."""
    amy = await world.agent("amy", english=5)
    call = await amy.dial("1000")
    await amy.hears("greeting")
    await amy.hangs_up()
    assert (await world.interaction(call)).outcome is Outcome.LEFT_IN_MENU


@story(transport=Transport.TCP)
async def test_codes_work_over_tcp(world: World) -> None:
    """The challenge and the call come on the connection of the phone."""
    amy = await world.agent("amy", english=5)
    assert await amy.dials_code("*29") == ["agent-signed-out.en"]
    assert await amy.dials_code("*20") == ["agent-ready.en"]


@story(weather=Weather(loss=0.1, duplicate=0.1, late=0.1, jitter=0.02))
async def test_codes_get_through_bad_weather_and_are_obeyed_once(world: World) -> None:
    """Whatever is lost, doubled or late: each code that was dialled is one choice."""
    amy = await world.hire("amy", {"english": 5})
    await amy.register("amy", "secret of amy")
    codes = ["*21", "*20", "*22", "*29"] * 5
    for code in codes:
        call = await amy.dial_beside(code)
        assert call.connected
        await world.sleep(10)
    assert [code for _, code, _ in dialled(world)] == codes
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")


@story()
async def test_a_program_commands_and_is_answered_in_words(world: World) -> None:
    """By MQTT: pending is told; a mistake is answered with what to write; the same id does nothing twice."""
    amy = await world.agent("amy", english=5)
    command = world.publisher.command
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    lunch = {"id": "1", "do": "state", "chosen": "not_ready", "reason": "lunch"}
    assert command("amy", lunch) == {"id": "1", "ok": True, "pending": True}
    await world.settled()
    assert shown(world, "amy")["next"] == {"chosen": "not_ready", "reason": "lunch"}
    assert "by agent over MQTT" in shown(world, "amy")["cause"]
    assert command("amy", {"id": "2", "do": "state", "chosen": "ready"}) == {"id": "2", "ok": True}
    await world.settled()
    assert shown(world, "amy")["next"] is None
    # Delivered twice by the broker (QoS 1): the answer again, and no second lunch.
    assert command("amy", lunch) == {"id": "1", "ok": True, "pending": True}
    await world.settled()
    assert shown(world, "amy")["next"] is None
    answer = command("amy", {"id": "3", "do": "state", "chosen": "not_ready", "reason": "lnch"})
    assert answer == {
        "id": "3",
        "ok": False,
        "error": "no reason is named `lnch` (did you mean `lunch`?); the reasons are lunch, break",
        "reason": "invalid",
    }
    await caller.hangs_up()
    await world.settled()
    assert command("amy", {"id": "4", "do": "wrap_up_done", "disposition": "solved"}) == {"id": "4", "ok": True}
    assert chosen(world, "amy") == (Intent.READY, "")


@story()
async def test_what_agents_chose_survives_a_restart_and_what_was_chosen_for_them_does_not(world: World) -> None:
    """The power fails in the middle of everything; lunch is still lunch, and whoever was ready is ready."""
    phones = {name: await world.agent(name, spanish=3) for name in ("lunch", "gone", "ready")}
    pending = phones["pending"] = await world.agent("pending", spanish=5)
    missed = phones["missed"] = await world.agent("missed", english=5)
    await phones["lunch"].dials_code("*21")
    await phones["gone"].dials_code("*29")
    await phones["ready"].dials_code("*21")
    await phones["ready"].dials_code("*20")
    unlucky = await world.phone("+14155550101")
    await unlucky.dial("1000")
    await unlucky.press("1")
    await missed.rings()
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("2")
    await pending.rings()
    await pending.answers()
    assert await pending.dials_code("*22") == ["agent-not-ready-next.en", "reason-break.en"]
    await missed.stops_ringing(after=20)
    await world.settled()
    assert chosen(world, "missed") == (Intent.NOT_READY, "no_answer")

    await world.restart(crash=True)
    await world.settled()
    assert {name: chosen(world, name) for name in phones} == {
        "lunch": (Intent.NOT_READY, "lunch"),
        "gone": (Intent.SIGNED_OUT, ""),
        "ready": (Intent.READY, ""),
        "pending": (Intent.NOT_READY, "break"),
        "missed": (Intent.READY, ""),
    }
    told = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    causes = {body.agent: body.cause for body in told if "restart" in body.cause}
    assert causes["lunch"] == "not_ready chosen by the agent before the restart"
    view = world.house.acd.agent("lunch")
    assert view is not None
    assert (view.device, view.forced, view.work) == (Device.REGISTERED, False, Work.IDLE)
    for phone in (*phones.values(), caller, unlucky):
        phone.drops()


@story()
async def test_a_switch_that_goes_down_hangs_up_on_who_dials_a_code_and_keeps_what_was_chosen(world: World) -> None:
    """The end of the day in the middle of a word: the last fact is the last."""
    amy = await world.agent("amy", english=5)
    call = await amy.dial_beside("*21")
    assert call.connected
    asked = world.clock.monotonic()
    await world.restart(down=1.0)
    assert call.over
    assert world.clock.monotonic() - asked < 1.3, "nobody is heard out"
    boot = world.facts[0].boot
    assert [fact.kind for fact in world.facts if fact.boot == boot][-1] == "SwitchStopped"
    await world.settled()
    assert chosen(world, "amy") == (Intent.NOT_READY, "lunch")
    assert await amy.dials_code("*20") == ["agent-ready.en"]


@story()
async def test_the_second_of_two_codes_at_once_is_busy(world: World) -> None:
    """A phone that sends twice what was dialled once."""
    amy = await world.agent("amy", english=5)
    first = await amy.dial_beside("*21")
    second = await amy.dial_beside("*20")
    assert first.connected
    assert second.leg.ending is not None
    assert second.leg.ending.status == 486
    await world.sleep(5)
    assert chosen(world, "amy") == (Intent.NOT_READY, "lunch")


@story(max_sessions=2)
async def test_without_room_for_sound_a_code_is_refused_and_changes_nothing(world: World) -> None:
    """Whoever hears no confirmation may trust that nothing was done."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    call = await amy.dial_beside("*29")
    assert call.leg.ending is not None
    assert call.leg.ending.status == 503
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.next, view.device, view.work) == (Intent.READY, Device.REGISTERED, Work.TALKING)
    assert dialled(world) == []
    await caller.hangs_up()
