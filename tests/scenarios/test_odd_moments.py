"""What may go wrong between the lines of the good call: each told as the complaint that would reach us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_network
from random import Random

import pytest

from callcenter.acd.events import Reconfigured
from callcenter.calls import settings as calls
from callcenter.model.facts import AgentLegEnded, CallArrived, CallEnded, QueueLeft
from callcenter.model.states import EndCause, Intent, OfferResult, Outcome, Side, VisitOutcome, Work
from callcenter.simulation.clock import run
from callcenter.simulation.network import SimHost
from callcenter.simulation.world import World, story
from callcenter.sip.flow import Flow

# An answer that refuses the sound (RFC 3264 6: port 0).
NO_SOUND = b"v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"


def mute(host: SimHost, *methods: bytes) -> None:
    """Requests of these methods never leave this host."""
    send = host.send

    def selective(flow: Flow, data: bytes, key: str) -> None:
        if not data.startswith(methods):
            send(flow, data, key)

    host.send = selective  # type: ignore[method-assign]


def slow_down(world: World, host: SimHost, seconds: float) -> None:
    """What this host sends arrives so much later."""
    send = host.send

    def slowly(flow: Flow, data: bytes, key: str) -> None:
        world.loop.call_later(seconds, send, flow, data, key)

    host.send = slowly  # type: ignore[method-assign]


@story()
async def test_a_caller_whose_ack_never_comes_is_lost_and_has_not_abandoned(world: World) -> None:
    """Failures of the network are not counted as impatience of callers. Only a trunk's caller comes so far."""
    caller = await world.phone("+14155550100")
    world.house.guard.trust("a trunk", [ip_network(caller.host.address)])
    mute(world.hosts["+14155550100"], b"ACK")
    call = caller.starts_dialling("1000")
    await world.sleep(1)
    await caller.press("1")
    await caller.is_hung_up(within=40)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert (saved.ending.by, saved.ending.cause) == (Side.SYSTEM, EndCause.NETWORK)
    assert (saved.visits[0].outcome, saved.visits[0].reason) == (VisitOutcome.LOST, "network")
    assert saved.outcome is Outcome.LOST


@story()
async def test_the_end_of_a_talk_names_the_same_cause_as_the_end_of_its_call(world: World) -> None:
    """A caller lost to the network in a talk has not hung up on the agent."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    world.house.guard.trust("a trunk", [ip_network(caller.host.address)])
    mute(world.hosts["+14155550100"], b"ACK")
    caller.starts_dialling("1000")
    await world.sleep(1)
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await amy.is_hung_up(within=40)
    await world.settled()
    legs = [fact.body for fact in world.facts if isinstance(fact.body, AgentLegEnded)]
    assert [(leg.by, leg.cause) for leg in legs] == [(Side.SYSTEM, EndCause.NETWORK)]


@story()
async def test_a_dead_media_worker_has_the_same_name_for_the_talk_and_for_the_call(world: World) -> None:
    """Who reads the agent's leg and who reads the call read the same."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    world.plane.kill_worker()
    await caller.is_hung_up()
    await amy.is_hung_up()
    await world.settled()
    causes = {fact.body.cause for fact in world.facts if isinstance(fact.body, AgentLegEnded | CallEnded)}
    assert causes == {EndCause.MEDIA_FAILED}


@story()
async def test_a_long_outage_of_the_database_is_no_fault_of_the_agents(world: World) -> None:
    """Bob was free all the time; when the database is back his phone rings."""
    bob = await world.agent("bob", english=4)
    caller = await world.phone("+14155550102")
    world.database.away = "the disk is full"
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    await bob.rings_not(during=60)
    world.database.away = ""
    await bob.rings(within=8)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers[-1] == ("bob", OfferResult.ACCEPTED)
    assert not [each for each in saved.offers if each[1] is OfferResult.UNREACHABLE]


@story()
async def test_a_phone_stops_ringing_in_time_while_the_database_is_away(world: World) -> None:
    """An outage stops new offers; those that are out end as ever."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550102")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    world.database.away = "the disk is full"
    await world.sleep(21)
    assert amy.is_free
    world.database.away = ""
    await caller.hangs_up()
    await world.sleep(6)
    assert (await world.interaction(call)).offers[0] == ("amy", OfferResult.NO_ANSWER)


@story()
async def test_a_caller_is_told_that_the_wait_is_over_while_the_database_is_away(world: World) -> None:
    """The longest wait is a promise that needs no disk."""
    caller = await world.phone("+14155550102")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    world.database.away = "the disk is full"
    await caller.hears("nobody", after=300)
    await caller.is_hung_up()
    world.database.away = ""
    await world.sleep(6)
    assert (await world.interaction(call)).outcome is Outcome.UNSERVED


@story()
async def test_an_agent_who_picks_up_late_in_an_outage_leaves_no_ghost_in_the_line(world: World) -> None:
    """Nobody is offered a caller who has hung up."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550102")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    world.database.away = "the disk is full"
    await world.sleep(22)
    if not amy.is_free:
        await amy.answers()
        await caller.hears(amy)
    await caller.hangs_up()
    world.database.away = ""
    await world.sleep(6)
    saved = await world.interaction(call)
    assert saved.visits[0].outcome is not None
    assert not world.house.acd.waiting("sales-english")
    ends = [fact.kind for fact in world.facts if isinstance(fact.body, QueueLeft | CallEnded)]
    assert ends == ["QueueLeft", "CallEnded"]


@story()
async def test_a_softphone_that_crashed_and_came_back_is_on_the_floor_again(world: World) -> None:
    """Amy's phone could not be reached; her program is started again and registers, and callers reach her."""
    amy = await world.agent("amy", english=5)
    world.hosts["amy"].vanish()
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await world.sleep(150)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.intent, view.reason) == (Intent.NOT_READY, "unreachable")
    world.hosts["amy"].come_back()
    await amy.register("amy", "secret of amy")
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()


@story()
async def test_the_agent_hangs_up_while_holding(world: World) -> None:
    """The caller is let go, the hold counts as hold, the agent wraps up."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    await amy.hold()
    await caller.hears("music")
    await world.sleep(20)
    await amy.hangs_up()
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert saved.talk == pytest.approx(10, abs=1)
    assert saved.hold == pytest.approx(20, abs=1)
    assert saved.legs[0].ended_by is Side.AGENT
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.WRAP_UP


@story()
async def test_a_caller_who_holds_in_the_queue_is_met_with_music_and_then_heard(world: World) -> None:
    """An agent who picks up a caller on hold hears music, not silence."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    await caller.hold()
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await amy.hears("music")
    await world.sleep(10)
    await caller.resume()
    await amy.hears(caller)
    await caller.hears(amy)
    await world.sleep(10)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.talk == pytest.approx(10, abs=1)
    assert saved.hold == pytest.approx(10, abs=1)


@story()
async def test_a_caller_renegotiates_while_the_agents_phone_rings(world: World) -> None:
    """A re-INVITE in the middle of an offer disturbs neither."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await caller.hold()
    await caller.resume()
    await caller.hears("music")
    await amy.answers()
    await caller.hears(amy)
    await amy.hears(caller)
    await caller.hangs_up()


@story()
async def test_keys_pressed_to_the_music_are_not_the_answer_to_a_later_menu(world: World) -> None:
    """Who plays with the keys while waiting still hears what comes after the wait, and is asked."""
    flows = world.settings.calls.flows
    assert isinstance(flows, dict)
    asked = calls.Menu("later", "menu", {"1": calls.Choice("call_back")}, otherwise=(calls.Hangup("goodbye"),))
    flows["sorry"] = calls.Flow("sorry", (calls.Say("nobody"), asked))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    await caller.press("71")
    await caller.hears("nobody", after=300)
    await caller.hears("menu", after=2)
    await caller.hangs_up()
    assert (await world.interaction(call)).intent == "sales"


@story()
async def test_an_agents_phone_that_takes_no_sound_is_passed_over(world: World) -> None:
    """The caller hears music until the next agent picks up."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=4)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    assert amy.call is not None
    amy.call.leg.answer(NO_SOUND)
    await bob.rings()
    assert amy.is_free
    await caller.hears("music")
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.UNREACHABLE), ("bob", OfferResult.ACCEPTED))


@story()
async def test_a_caller_with_an_odd_name_rings_like_any_other(world: World) -> None:
    """Whatever a caller writes into From is quoted on its way to the agent's phone."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("j%20d;oe%22", 'Jo "the" \\ Dœ')
    await world.connect(caller, amy)
    await caller.hangs_up()


@story()
async def test_both_hold_and_resume_crosswise(world: World) -> None:
    """It is held time as long as anybody holds."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    await amy.hold()
    await world.sleep(10)
    await caller.hold()
    await world.sleep(10)
    await amy.resume()
    await amy.hears("music")
    await world.sleep(10)
    await caller.resume()
    await amy.hears(caller)
    await caller.hears(amy)
    await world.sleep(10)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.talk == pytest.approx(20, abs=1)
    assert saved.hold == pytest.approx(30, abs=1)


@story()
async def test_an_agent_whose_phone_dies_while_holding_does_not_leave_the_caller_to_the_music(world: World) -> None:
    """A phone that holds is silent on purpose, so that silence alone does not give it away."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await amy.hold()
    await caller.hears("music")
    world.unplug(amy)
    bob = await world.agent("bob", english=3)
    await bob.rings(within=130)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()


@story()
async def test_a_caller_whom_a_full_queue_refuses_goes_on_at_once(world: World) -> None:
    """Told like one who has waited too long."""
    queue = world.plan.queues["sales-english"]
    plan = replace(world.plan, queues={**world.plan.queues, queue.id: replace(queue, max_waiting=1)})
    world.plan = plan
    world.house.dispatcher.tell(Reconfigured(plan))
    one = await world.phone("+14155550101")
    two = await world.phone("+14155550102")
    await one.dial("1000")
    await one.press("1")
    await one.hears("music")
    call = await two.dial("1000")
    await two.press("1")
    await two.hears("nobody")
    await two.is_hung_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.REFUSED
    await one.hangs_up()


@story()
async def test_a_phone_that_drops_the_call_before_the_bridge_costs_the_caller_nothing(world: World) -> None:
    """Picked up and gone before anybody was heard: the caller keeps the place, and the next agent is rung."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=4)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    world.plane.control_delay = 0.05
    amy.picks_up()
    await world.sleep(0.01)
    amy.drops()
    await bob.rings()
    await caller.hears("music")
    world.plane.control_delay = 0.0005
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["bob"]
    assert len(saved.visits) == 1


def goes_down(told: Callable[[World], Awaitable[None]]) -> World:
    """Tell a story and let the switch go down where it ends, with its phones still up; nobody may be left in a call."""

    async def until_the_end() -> World:
        world = World(asyncio.get_running_loop(), Random(0))
        async with world.open():
            await told(world)
            await world.house.go_down("stopped")
            await world.sleep(1)
            assert all(phone.is_free for phone in world.phones), world.phones
            await world.storage.log.drained()
            await look(world)
        return world

    async def look(world: World) -> None:
        for fact in world.facts:
            if isinstance(fact.body, CallArrived):
                record = await world.storage.interactions.by_call(fact.call_id or "")
                assert record is not None
                assert record["outcome"]
                assert record["ending"]["cause"] == EndCause.SHUTDOWN
        assert world.facts[-1].kind == "SwitchStopped"

    return run(until_the_end())


def test_a_talk_a_ringing_phone_and_a_greeting_end_in_good_order_when_the_switch_goes_down() -> None:
    """BYE and CANCEL go out, the books are closed, and the last fact is that the switch has stopped."""

    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        bob = await world.agent("bob", english=4)
        first = await world.phone("+14155550101")
        second = await world.phone("+14155550102")
        third = await world.phone("+14155550103")
        await first.dial("1000")
        await first.press("1")
        await amy.rings()
        await amy.answers()
        await second.dial("1000")
        await second.press("1")
        await bob.rings()
        await third.dial("1000")

    world = goes_down(told)
    visits = [fact.body for fact in world.facts if isinstance(fact.body, QueueLeft)]
    assert [(visit.outcome, visit.reason) for visit in visits] == [
        (VisitOutcome.ANSWERED, ""),
        (VisitOutcome.LOST, "shutdown"),
    ]


def test_a_phone_that_was_just_called_does_not_ring_for_a_switch_that_went_down() -> None:
    """The INVITE is out, no answer is back yet: the CANCEL has to wait for one, and goes out all the same."""

    async def told(world: World) -> None:
        await world.agent("amy", english=5)
        slow_down(world, world.hosts["amy"], 0.4)
        caller = await world.phone("+14155550101")
        await caller.dial("1000")
        await caller.press("1")
        while not any(leg.dialled == "amy" for leg in world.house.user_agent.legs.values()):
            await world.sleep(0.0005)

    goes_down(told)


@story()
async def test_who_speaks_while_the_switch_goes_down_comes_too_late_and_is_told_so(world: World) -> None:
    """A phone owes its answer to the BYE, so that the end takes a second: in it nothing happens to agents any more.

    Not by a command, nor because a phone is gone or a wrap-up has run out.
    """
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=4)
    first, second = await world.phone("+14155550101"), await world.phone("+14155550102")
    await world.connect(first, amy)
    await first.hangs_up()
    await world.settled()
    wrap_up = world.house.acd.agent("amy")
    assert wrap_up is not None
    assert wrap_up.until is not None
    await world.connect(second, bob)
    world.unplug(second)
    await world.sleep(wrap_up.until - world.clock.monotonic() - 0.5)
    going = world.loop.create_task(world.house.go_down("stopped"))
    await world.sleep(0.2)
    order = {"id": "late", "do": "state", "chosen": "not_ready", "reason": "lunch"}
    answer = world.publisher.command("amy", order)
    assert (answer["id"], answer["ok"], answer["reason"]) == ("late", False, "unavailable")
    assert answer["error"] == "the switch is going down: send it again when it is back"
    world.house.registrar.forget("bob")
    await world.sleep(0.6)
    assert not going.done()
    await going
    assert world.facts[-1].kind == "SwitchStopped"
    await world.restart()
