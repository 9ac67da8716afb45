"""Talks steered from a program, as its agent or a supervisor: hold, put through, hang up, click to call, the line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from callcenter.acd.events import RosterChanged
from callcenter.calls.record_policy import ON_DEMAND, RecordingSettings
from callcenter.calls.settings import DialRules, Supervisor
from callcenter.config.settings import DeskUser
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import ControlServer
from callcenter.ledger.ledger import fold
from callcenter.model.access import Actor, Role
from callcenter.model.do_not_call import Source
from callcenter.model.facts import (
    CallArrived,
    CallCommanded,
    CallEnded,
    CallHeld,
    CallPrioritised,
    CallResumed,
    CallTransferred,
    DoNotCallAdded,
    MediaMissing,
    OfferMade,
    OneWayAudio,
    QueueLeft,
    RecordingStarted,
    TransferFailed,
)
from callcenter.model.interaction import Ending
from callcenter.model.states import Direction, EndCause, Outcome, Side, TransferKind, TransferTo, Work
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life
from callcenter.operate.reload import Reloader
from callcenter.publish import topics
from callcenter.publish.publisher import Heard
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.test_agents_and_supervisors import bodies, has_calls_settings, supervise
from tests.scenarios.test_agents_choose import shown
from tests.scenarios.test_conference import CALLER, NUMBERS, order, work
from tests.scenarios.test_entry_in_a_talk import media
from tests.scenarios.test_supervision import has_supervisor, heard, talking

DONE = {"ok": True}


def refused(answer: Mapping[str, Any], reason: str, words: str = "") -> bool:
    return not answer["ok"] and answer["reason"] == reason and words in answer["error"]


def hold_facts(world: World) -> list[CallHeld | CallResumed]:
    return [fact.body for fact in world.facts if isinstance(fact.body, CallHeld | CallResumed)]


def all_are_heard(world: World) -> bool:
    return not any(isinstance(fact.body, MediaMissing | OneWayAudio) for fact in world.facts)


def has_eva(world: World, clients: frozenset[str] | None = None) -> None:
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang", clients)})


def eva_orders(world: World, do: str, **fields: Any) -> dict[str, Any]:
    answer = supervise(world, f"{next(NUMBERS)}", do=do, **fields)
    return {name: value for name, value in answer.items() if name != "id"}


async def waiting(world: World, number: str, key: str = "1") -> tuple[Phone, str]:
    """A caller in the line, and the id of the call."""
    caller = await world.phone(number)
    call = await caller.dial("1000")
    await caller.press(key)
    await caller.hears("music")
    return caller, world.call_id(call)


# Which call


@story()
async def test_what_was_meant_for_one_customer_is_not_done_to_the_next_one(world: World) -> None:
    """A program is slower than a hang-up: keys, an entry, a question or a recording are of the call that it names."""
    caller, _ = await talking(world)
    first = world.call_id(caller.this_call())
    orders: tuple[tuple[str, dict[str, Any]], ...] = (
        ("send_digits", {"digits": "1"}), ("consult", {"to": "bob"}), ("consult_drop", {}), ("entry_cancel", {}),
        ("record_start", {}), ("entry_start", {"entry": "pin"}), ("answer", {}),
    )  # fmt: skip
    assert order(world, "send_digits", digits="1", call=first) == DONE
    for do, fields in orders:
        assert refused(order(world, do, **fields, call="cc1-another"), "not_found", "no such call"), do
        told = order(world, do, **fields, call=first)
        assert not refused(told, "not_found"), (do, told)
    await caller.hangs_up()
    await world.settled()
    assert work(world, "amy") is Work.WRAP_UP
    for do, fields in orders:
        assert refused(order(world, do, **fields, call=first), "not_found"), do


@story()
async def test_of_two_talks_an_order_is_done_in_the_one_that_it_names(world: World) -> None:
    """Amy asks a bank while her caller waits: keys for the caller are not pressed there, nor is the bank recorded."""
    has_calls_settings(world, recording=RecordingSettings(Path("/var/recordings"), clients={"tech": ON_DEMAND}))
    caller, _ = await talking(world)
    first = world.call_id(caller.this_call())
    bank = await somebody_outside(world, "+14155550111")
    permit(world, amy=DialRules(outside=("+1",)))
    assert order(world, "consult", to=bank.number) == DONE
    await bank.rings()
    await bank.answers()
    await world.settled()
    assert order(world, "send_digits", digits="12#", call=first) == DONE
    assert order(world, "record_start", call=first) == DONE
    await world.sleep(2)
    assert (media(caller).digits, media(bank).digits) == ("12#", "")
    assert [fact.call_id for fact in world.facts if isinstance(fact.body, RecordingStarted)] == [first]
    assert order(world, "send_digits", digits="3") == DONE
    await world.sleep(1)
    assert media(bank).digits == "3", "without a name it is the one that goes on"
    await bank.hangs_up()
    await caller.hangs_up()


# Hold


@story()
async def test_a_caller_is_held_and_taken_back_from_the_desk_and_the_phone_knows_nothing_of_it(world: World) -> None:
    """The caller hears music; the agent hears a tone that tells of the hold, and is not heard; both states are right.
    Sound goes on to the phone: one that hangs up when nothing comes any more does not.
    """
    caller, amy = await talking(world)
    call = caller.this_call()
    assert order(world, "hold") == DONE
    await world.settled()
    assert heard(caller, amy) == [("music",), ("hold tone",)]
    assert work(world, "amy") is Work.HELD
    await world.sleep(100)
    assert order(world, "hold") == DONE
    assert order(world, "resume") == DONE
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert work(world, "amy") is Work.TALKING
    assert order(world, "resume") == DONE
    await caller.hangs_up()
    told = await world.interaction(call)
    assert 99 < told.hold < 102
    assert [type(body) for body in hold_facts(world)] == [CallHeld, CallResumed]
    assert all_are_heard(world)


@story()
async def test_the_phone_and_the_desk_hold_each_for_itself(world: World) -> None:
    caller, amy = await talking(world)
    await amy.hold()
    await world.settled()
    assert order(world, "hold") == DONE
    await amy.resume()
    await world.settled()
    assert heard(caller, amy) == [("music",), ("hold tone",)], "the desk still holds"
    assert work(world, "amy") is Work.HELD
    await amy.hold()
    await world.settled()
    assert order(world, "resume") == {"ok": True, "pending": True}, "the phone still holds"
    assert work(world, "amy") is Work.HELD
    assert refused(order(world, "resume"), "conflict", "the phone itself holds")
    await amy.resume()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert len(bodies(world, CallHeld)) == len(bodies(world, CallResumed)) == 1
    await caller.hangs_up()


@story()
async def test_who_asks_somebody_while_the_caller_is_held_talks_to_them_and_takes_the_caller_back_by_joining(
    world: World,
) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    assert order(world, "hold") == DONE
    assert order(world, "consult", to="bob") == DONE
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)]
    assert order(world, "resume") == {"ok": True, "pending": True}
    assert refused(order(world, "resume"), "conflict", "consult_swap")
    assert order(world, "hold") == DONE
    assert order(world, "consult_drop") == DONE
    await bob.is_hung_up()
    await world.settled()
    assert heard(caller, amy) == [("music",), ("hold tone",)], "held before, held afterwards"
    assert order(world, "consult", to="bob") == DONE
    await bob.rings()
    await bob.answers()
    assert order(world, "consult_join") == DONE
    await world.settled()
    assert heard(caller, amy, bob) == [("amy", "bob"), (CALLER, "bob"), (CALLER, "amy")]
    assert order(world, "hold") == DONE
    await world.settled()
    assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)], "the two go on without the caller"
    assert order(world, "consult_swap") == DONE
    await world.settled()
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await bob.hangs_up()


@story()
async def test_a_supervisor_hears_nobody_on_hold_and_speaks_to_the_agent_meanwhile(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    await eve.dial("*72amy")
    await world.settled()
    order(world, "hold")
    await world.settled()
    assert heard(eve, amy, caller) == [("amy",), ("eve",), ("music",)]
    order(world, "resume")
    await world.settled()
    assert heard(eve, amy, caller) == [(CALLER, "amy"), (CALLER, "eve"), ("amy",)]
    order(world, "hold")
    await eve.hangs_up()
    await world.settled()
    assert heard(amy, caller) == [("hold tone",), ("music",)], "whoever spoke to her is gone"
    await caller.hangs_up()


@story()
async def test_whom_an_agent_has_dialled_outside_is_held_too(world: World) -> None:
    amy = await world.agent("amy", english=5)
    jana = await somebody_outside(world, "+14155550111")
    permit(world, amy=DialRules(outside=("+",)))
    amy.starts_dialling("+14155550111")
    await jana.rings()
    await jana.answers()
    await world.settled()
    assert order(world, "hold") == DONE
    await world.settled()
    assert heard(jana, amy) == [("music",), ("hold tone",)]
    assert order(world, "resume") == DONE
    await world.settled()
    assert world.hear_each_other(amy, jana)
    assert refused(order(world, "transfer", to="sales-spanish"), "conflict", "only a caller")
    assert order(world, "hang_up") == DONE
    await jana.is_hung_up()
    await amy.is_hung_up()
    (ended,) = bodies(world, CallEnded)
    assert (ended.by, ended.cause) == (Side.CALLER, EndCause.HANGUP)


@story()
async def test_without_a_talk_nothing_of_it_can_be_ordered(world: World) -> None:
    caller, amy = await talking(world)
    call_id = world.call_id(caller.this_call())
    assert refused(order(world, "hold", call="another"), "conflict", "talks to no caller")
    assert order(world, "hold", call=call_id) == DONE
    await caller.hangs_up()
    await amy.is_hung_up()
    for do in ("hold", "resume", "hang_up"):
        assert refused(order(world, do), "conflict", "talks to no caller")
    assert refused(order(world, "transfer", to="bob"), "conflict")
    assert refused(order(world, "transfer"), "invalid", "`to` is missing")
    assert refused(order(world, "hold", calls="x"), "invalid", "no field of `hold`")
    for do in ("move", "priority", "take"):
        assert refused(order(world, do, call=call_id), "invalid", "`do`"), "no agent's own to order"


# Putting through, and hanging up


@story()
async def test_a_caller_is_put_through_from_the_desk_and_the_agent_is_hung_up_when_somebody_has_them(
    world: World,
) -> None:
    caller, amy = await talking(world)
    call = caller.this_call()
    bob = await world.agent("bob", spanish=5)
    assert order(world, "hold") == DONE
    assert order(world, "transfer", to="bob") == DONE
    assert refused(order(world, "transfer", to="bob"), "conflict")
    await bob.rings()
    await bob.answers()
    await amy.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    assert work(world, "amy") is Work.WRAP_UP
    (handed,) = bodies(world, CallTransferred)
    assert (handed.by, handed.kind, handed.to, handed.target) == ("amy", TransferKind.BLIND, TransferTo.AGENT, "bob")
    await caller.hangs_up()
    assert (await world.interaction(call)).outcome is Outcome.HANDLED


@story()
async def test_whom_nobody_takes_the_agent_has_back(world: World) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    assert order(world, "hold") == DONE
    assert order(world, "transfer", to="bob") == DONE
    await bob.rings()
    await bob.declines()
    await world.sleep(3)
    assert world.hear_each_other(caller, amy), "and holds no more"
    assert work(world, "amy") is Work.TALKING
    assert [body.target for body in bodies(world, TransferFailed)] == ["bob"]
    assert order(world, "hang_up") == DONE
    await caller.is_hung_up()


@story()
async def test_an_agent_who_hangs_up_after_the_transfer_is_free_and_the_caller_goes_on(world: World) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    order(world, "transfer", to="bob")
    await bob.rings()
    assert order(world, "hang_up") == DONE
    await amy.is_hung_up()
    await bob.answers()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    await caller.hangs_up()


@story()
async def test_callers_are_put_through_to_where_the_agent_may_dial(world: World) -> None:
    jana = await somebody_outside(world, "+14155550111")
    caller, amy = await talking(world)
    assert refused(order(world, "transfer", to="nowhere"), "invalid", "nobody has that")
    assert refused(order(world, "transfer", to="amy"), "conflict")
    await world.agent("cid", french=1)
    permit(world, amy=DialRules(agents=False))
    assert refused(order(world, "transfer", to="cid"), "forbidden", "may not be dialled")
    permit(world, amy=DialRules(outside=("+",)))
    assert order(world, "transfer", to="+14155550111") == DONE
    await jana.rings()
    await jana.answers()
    await amy.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, jana)
    await caller.hangs_up()
    await jana.is_hung_up()


@story()
async def test_an_agent_hangs_up_on_the_caller_from_the_desk(world: World) -> None:
    caller, amy = await talking(world)
    call = caller.this_call()
    assert order(world, "hang_up") == DONE
    assert refused(order(world, "transfer", to="sales-spanish"), "conflict", "talks to no caller"), "too late"
    await caller.is_hung_up()
    await amy.is_hung_up()
    told = await world.interaction(call)
    assert told.ending == Ending(Side.AGENT, EndCause.AGENT_HANGUP)
    assert work(world, "amy") is Work.WRAP_UP


# Click to call


@story()
async def test_an_agent_clicks_a_number_and_picks_up_the_own_phone_first(world: World) -> None:
    amy = await world.agent("amy", english=5)
    jana = await somebody_outside(world, "+14155550111")
    permit(world, amy=DialRules(outside=("+",)))
    answer = order(world, "dial", to="+1 415 555 0111")
    await amy.rings()
    assert amy.this_call().caller == "+1 415 555 0111"
    assert work(world, "amy") is Work.OUTBOUND, "nobody is offered meanwhile"
    await jana.rings_not(during=5)
    await amy.answers()
    await jana.rings()
    await jana.answers()
    await world.settled()
    assert world.hear_each_other(amy, jana)
    (arrived,) = [fact for fact in world.facts if isinstance(fact.body, CallArrived)]
    assert answer == {"ok": True, "call": arrived.call_id}
    body = arrived.body
    assert isinstance(body, CallArrived)
    assert (body.direction, body.agent, body.to_number) == (Direction.OUTBOUND, "amy", "+14155550111")
    assert order(world, "hold", call=answer["call"]) == DONE
    await world.settled()
    assert heard(jana, amy) == [("music",), ("hold tone",)]
    await jana.hangs_up()
    await amy.is_hung_up()
    await world.settled()
    assert work(world, "amy") is Work.IDLE
    assert all_are_heard(world)


@story()
async def test_a_phone_that_nobody_picks_up_and_a_number_that_may_not_be_dialled_dial_nobody(world: World) -> None:
    amy = await world.agent("amy", english=5)
    jana = await somebody_outside(world, "+14155550111")
    assert refused(order(world, "dial", to="+14155550111"), "forbidden", "may not be dialled")
    permit(world, amy=DialRules(outside=("+",)))
    assert order(world, "dial", to="+14155550111")["ok"]
    await amy.rings()
    await amy.stops_ringing(after=30)
    await world.settled()
    assert work(world, "amy") is Work.IDLE
    assert order(world, "dial", to="+14155550111")["ok"]
    await amy.rings()
    await amy.declines()
    await world.settled()
    assert order(world, "dial", to="+14155550111")["ok"]
    await amy.rings()
    assert order(world, "hang_up") == DONE
    await amy.stops_ringing()
    await amy.unregister()
    await world.settled()
    assert refused(order(world, "dial", to="+14155550111"), "conflict", "no phone")
    await jana.rings_not(during=1)
    assert [body.cause for body in bodies(world, CallEnded)] == [EndCause.CANCELLED] * 3


@story()
async def test_colleagues_and_queues_are_clicked_too(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", spanish=5)
    assert order(world, "dial", to="bob")["ok"]
    await amy.rings()
    await amy.answers()
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert world.hear_each_other(amy, bob)
    assert order(world, "hold") == DONE
    await world.settled()
    assert heard(bob, amy) == [("music",), ("hold tone",)]
    assert order(world, "hang_up") == DONE
    await amy.is_hung_up()
    await bob.is_hung_up()
    await bob.dials_code("*30")
    assert order(world, "dial", to="sales-spanish")["ok"]
    await amy.rings()
    await amy.answers()
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert world.hear_each_other(amy, bob)
    await amy.hangs_up()


@story()
async def test_the_same_command_again_dials_once(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await world.agent("bob", spanish=5)
    command = {"id": "c1", "do": "dial", "to": "bob"}
    first = world.publisher.command("amy", command)
    assert world.publisher.command("amy", command) == first
    await amy.rings()
    assert len(bodies(world, CallArrived)) == 1
    await amy.declines()


# Supervisors, and who waits


@story()
async def test_a_waiting_caller_is_moved_to_another_queue_on_a_place_as_old(world: World) -> None:
    has_eva(world)
    caller, call = await waiting(world, CALLER)
    await world.sleep(60)
    other, _ = await waiting(world, "+14155550101", "2")
    bob = await world.agent("bob", spanish=5)
    await bob.rings()
    assert refused(eva_orders(world, "move", call=call, queue="sales-english"), "conflict", "already")
    assert refused(eva_orders(world, "move", call=call, queue="nowhere"), "invalid", "no such queue")
    assert refused(eva_orders(world, "move", call="gone", queue="sales-spanish"), "not_found")
    assert eva_orders(world, "move", call=call, queue="sales-spanish") == DONE
    await world.settled()
    assert [view.call_id == call for view in world.house.acd.waiting("sales-spanish")] == [True, False]
    await bob.answers()
    await world.settled()
    await other.hangs_up()
    await bob.is_hung_up()
    await bob.dials_code("*30")
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    assert refused(eva_orders(world, "move", call=call, queue="sales-english"), "conflict", "waits in no queue")
    left = [body for body in bodies(world, QueueLeft) if body.queue == "sales-english"]
    assert [body.reason for body in left] == ["moved"]
    told = bodies(world, CallCommanded)
    assert [(body.order, body.result, body.client) for body in told[-2:]] == [
        ("move to sales-spanish", "done", "tech"),
        ("move to sales-english", "does not wait", "tech"),
    ]
    await caller.hangs_up()


@story()
async def test_who_is_offered_to_an_agent_is_moved_and_that_phone_stops(world: World) -> None:
    has_eva(world)
    amy = await world.agent("amy", english=5)
    caller, call = await waiting(world, CALLER)
    await amy.rings()
    assert eva_orders(world, "move", call=call, queue="sales-spanish") == DONE
    await amy.stops_ringing()
    await world.settled()
    assert work(world, "amy") is Work.IDLE
    await caller.hears("music")
    await caller.hangs_up()


@story()
async def test_priority_lets_a_caller_stand_before_others(world: World) -> None:
    has_eva(world)
    first, _ = await waiting(world, CALLER)
    second, call = await waiting(world, "+14155550101")
    assert eva_orders(world, "priority", call=call, priority=50) == DONE
    assert refused(eva_orders(world, "priority", call=call, priority=5000), "invalid", "from 0 to 1000")
    assert refused(eva_orders(world, "priority", call=call, priority=True), "invalid")
    assert [view.call_id == call for view in world.house.acd.waiting("sales-english")] == [True, False]
    (told,) = bodies(world, CallPrioritised)
    assert (told.queue, told.priority, told.by) == ("sales-english", 50, "supervisor eva over MQTT")
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.settled()
    assert world.hear_each_other(second, amy)
    assert refused(eva_orders(world, "priority", call=call, priority=1), "conflict", "waits in no queue")
    await second.hangs_up()
    await first.hangs_up()


@story()
async def test_a_waiting_caller_is_offered_to_whom_the_supervisor_names(world: World) -> None:
    """Bob has not the skill and gets the caller all the same; who declines leaves them on their place."""
    has_eva(world)
    first, _ = await waiting(world, CALLER)
    second, call = await waiting(world, "+14155550101")
    bob = await world.agent("bob", spanish=5)
    assert refused(eva_orders(world, "take", call=call, agent="nobody"), "not_found", "no agent is named")
    assert eva_orders(world, "take", call=call, agent="bob") == DONE
    await bob.rings()
    assert (await bob.screen_pop())["call"] == call
    assert refused(eva_orders(world, "take", call=call, agent="bob"), "conflict")
    await bob.declines()
    await second.hears("music")
    await world.settled()
    assert len(world.house.acd.waiting("sales-english")) == 2
    assert refused(eva_orders(world, "take", call=call, agent="bob"), "conflict", "busy now"), "he has his pause"
    await world.sleep(11)
    assert eva_orders(world, "take", call=call, agent="bob") == DONE
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert world.hear_each_other(second, bob)
    assert [body.agent for body in bodies(world, OfferMade)] == ["bob", "bob"]
    counted = fold(world.facts).visits
    (visits,) = counted.values()
    assert (visits.offered, visits.answered, visits.flowed_out) == (2, 1, {}), "two callers, and not five"
    assert visits.waits[0] > 10_000, "who is taken has waited all the while"
    await second.hangs_up()
    await first.hangs_up()


@story()
async def test_a_supervisor_hangs_up_on_a_caller_who_waits_and_on_one_who_talks(world: World) -> None:
    has_eva(world)
    caller, call = await waiting(world, CALLER)
    assert eva_orders(world, "hang_up", call=call) == DONE
    await caller.is_hung_up()
    assert refused(eva_orders(world, "hang_up", call=call), "not_found")
    caller, amy = await talking(world, "+14155550102")
    assert eva_orders(world, "hang_up", call=world.call_id(caller.this_call())) == DONE
    await caller.is_hung_up()
    await amy.is_hung_up()
    assert [(body.by, body.cause) for body in bodies(world, CallEnded)] == [(Side.SYSTEM, EndCause.COMMANDED)] * 2
    assert [body.order for body in bodies(world, CallCommanded)] == ["hang_up", "hang_up"]
    await world.sleep(40)
    caller, call = await waiting(world, "+14155550103")
    await amy.rings()
    await amy.answers()
    await world.settled()
    assert eva_orders(world, "hang_up", agent="amy") == DONE, "as the agent herself"
    await caller.is_hung_up()


@story()
async def test_calls_of_other_companies_are_none_of_a_supervisors(world: World) -> None:
    has_eva(world, frozenset({"another"}))
    caller, call = await waiting(world, CALLER)
    for do, fields in (("move", {"queue": "sales-spanish"}), ("priority", {"priority": 1}), ("hang_up", {})):
        assert refused(eva_orders(world, do, call=call, **fields), "not_found", "no such call")
    assert not bodies(world, CallCommanded)
    await caller.hangs_up()


@story()
async def test_a_phone_that_rings_cannot_be_told_to_answer_and_that_is_said(world: World) -> None:
    caller = await world.phone(CALLER)
    amy = await world.agent("amy", english=5)
    assert refused(order(world, "answer"), "conflict", "no phone of the agent rings")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    assert refused(order(world, "answer"), "conflict", "cannot be told to answer")
    await caller.hangs_up()


@story()
async def test_a_supervisor_says_why_and_hears_whoever_talks_in_a_call(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    call = world.call_id(caller.this_call())
    assert eva_orders(world, "supervise", call=call, mode="listen") == {"ok": True, "pending": True}
    await eve.rings()
    await eve.answers()
    await world.settled()
    assert heard(eve, amy) == [(CALLER, "amy"), (CALLER,)]
    assert refused(eva_orders(world, "supervise", call="gone", mode="listen"), "not_found")
    why = "Training at ten"
    assert eva_orders(world, "state", agent="amy", chosen="not_ready", reason="break", why=why)["pending"]
    await world.settled()
    assert shown(world, "amy")["by"] == f"supervisor eva over MQTT: {why}"
    await caller.hangs_up()
    await eve.hangs_up()


def is_asked_to_answer(world: World, *agents: str) -> None:
    """These agents' phones are asked to take calls by themselves."""
    services = world.house.services
    services.settings = replace(services.settings, auto_answer=frozenset(agents))


@story()
async def test_a_phone_that_takes_calls_by_itself_is_asked_to_when_its_agent_clicks(world: World) -> None:
    amy: AgentPhone = await world.agent("amy", english=5)
    await world.agent("bob", spanish=5)
    is_asked_to_answer(world, "amy")
    assert order(world, "dial", to="bob")["ok"]
    await amy.rings()
    request = amy.this_call().leg.request
    assert request is not None
    assert request.headers.get("Answer-Mode") == "Auto"
    await amy.declines()


@story()
async def test_a_number_that_is_not_to_be_called_is_not_clicked_either(world: World) -> None:
    await world.agent("amy", english=5)
    jana = await somebody_outside(world, "+14155550111")
    permit(world, amy=DialRules(outside=("+",)))
    do_not_call = world.house.services.do_not_call
    do_not_call.add("tech", "+14155550111", reason="", source=Source.AGENT, by="amy")
    assert refused(order(world, "dial", to="+14155550111"), "forbidden", "do-not-call list")
    await jana.rings_not(during=1)


@story()
async def test_an_administrator_commands_over_mqtt_by_a_login_of_the_desks_users(world: World) -> None:
    caller, call = await waiting(world, CALLER)
    users = {"ida": DeskUser("Ida", Role.ADMIN), "acme": DeskUser("Acme", Role.CLIENT, frozenset({"tech"}))}
    world.house.settings = replace(world.house.settings, desk=replace(world.house.settings.desk, users=users))
    refusal = world.publisher.supervise("acme", {"id": "1", "do": "hang_up", "call": call})
    assert refused(refusal, "forbidden"), "who looks at their own commands nobody"
    assert world.publisher.supervise("ida", {"id": "1", "do": "priority", "call": call, "priority": 3})["ok"]
    assert [body.by for body in bodies(world, CallPrioritised)] == ["admin ida over MQTT"]
    await caller.hangs_up()


@story()
async def test_what_is_said_of_what_is_kept_goes_the_same_way_over_mqtt_once_for_its_id(world: World) -> None:
    """A number onto the do-not-call list, by an agent: as over the control socket, and in the agent's name."""
    await world.agent("amy", english=5)
    await somebody_outside(world, "+14155550111")
    life = Life()
    commands = Commands(world.house, life, Reloader(world.house, life, lambda: world.settings))
    server = ControlServer(Path("unused"), commands.all(), world.storage.log)
    world.house.mqtt_orders.answer, world.house.mqtt_orders.for_programs = server.answer, commands.for_programs()
    answers: list[Any] = []

    def send(**command: Any) -> None:
        payload = json.dumps(command).encode()
        topic = topics.agent_command("amy")
        world.publisher.send(Heard(topic, payload, response=f"{topics.agent_reply('amy')}/crm"))

    add = {"id": "n1", "do": "do_not_call_add", "client": "tech", "number": "+14155550111"}
    send(**add)
    send(**add)
    send(id="n2", do="do_not_call_add", client="another", number="+14155550111")
    send(id="n3", do="drain")
    send(**{**add, "number": "+14155550112"})
    send(id="n4", do="state", chosen="ready")
    await world.settled()
    answers = world.publisher.of_topic(f"{topics.agent_reply('amy')}/crm")
    by_id = [(each["id"], each["ok"], each.get("reason")) for each in answers]
    assert by_id == [
        ("n1", True, None),
        ("n1", True, None),
        ("n2", False, "not_found"),
        ("n3", False, "invalid"),
        ("n1", False, "conflict"),
        ("n4", True, None),
    ]
    assert answers[0] == answers[1]
    assert [body.by for body in bodies(world, DoNotCallAdded)] == ["agent amy"]


@story()
async def test_a_token_for_some_of_an_agents_companies_commands_nothing_in_his_name(world: World) -> None:
    """His talk may be another company's, which the token does not see."""
    await world.agent("amy", english=5)
    commands = Commands(world.house, Life(), cast("Any", None)).all()

    async def orders(actor: Actor) -> Mapping[str, Any]:
        asked = Asked("state", f"agent {actor.user}", f"s{next(NUMBERS)}", {"chosen": "ready"}, actor)
        return await commands["state"].run(asked)

    with pytest.raises(CommandError, match="serves companies that this token does not see") as refusal:
        await orders(Actor("token:crm", Role.AGENT, frozenset({"other"}), agent="amy"))
    assert refusal.value.reason is Reason.FORBIDDEN
    assert await orders(Actor("token:crm", Role.AGENT, frozenset({"tech", "other"}), agent="amy")) == {}
    assert await orders(Actor("amy", Role.AGENT, frozenset({"tech"}), agent="amy")) == {}


@story()
async def test_a_token_commands_for_an_agent_who_is_lent_elsewhere_when_it_sees_whom_he_serves_now(
    world: World,
) -> None:
    """The desk asks as somebody who sees the companies of the roster in force: the configured ones are not his now."""
    await world.agent("amy", english=5)
    world.house.dispatcher.tell(RosterChanged("amy", None, frozenset({"other"}), None, "sue"))
    world.house.dispatcher.decide()
    command = Commands(world.house, Life(), cast("Any", None)).all()["state"]

    async def orders(*clients: str) -> Mapping[str, Any]:
        actor = Actor("token:crm", Role.AGENT, frozenset(clients), agent="amy")
        return await command.run(Asked("state", "agent token:crm", f"l{next(NUMBERS)}", {"chosen": "ready"}, actor))

    assert await orders("other") == {}
    with pytest.raises(CommandError, match="serves companies that this token does not see"):
        await orders("tech")
