"""Agents hand callers over, by the transfer key of their own phones (RFC 5589), and nobody is lost on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from callcenter.acd.events import Reconfigured
from callcenter.model.facts import AgentLegEnded, CallConnected, CallEnded, CallTransferred, TransferFailed, WrapUpEnded
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Outcome, Side, TransferKind, TransferTo, VisitOutcome, Work
from callcenter.simulation.phone import Phone, PhoneCall
from callcenter.simulation.world import AgentPhone, World, story
from callcenter.sip.message import Response
from callcenter.sip.parser import parse


async def talking(world: World, *others: str) -> tuple[PhoneCall, Phone, AgentPhone, list[AgentPhone]]:
    """A caller talks to amy; so many colleagues, who know no English, are ready."""
    amy = await world.agent("amy", english=5)
    colleagues = [await world.agent(name, spanish=5) for name in others]
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    return call, caller, amy, colleagues


def work(world: World, agent: str) -> Work:
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.work


def bodies(world: World, *kinds: type) -> list[object]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kinds)]


@story()
async def test_caller_is_put_through_to_a_colleague_and_the_first_agent_is_free(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    told = amy.transfers("bob")
    await caller.hears("music")
    await bob.rings()
    assert (await bob.screen_pop())["from"] == "+14155550100"
    assert work(world, "amy") is Work.WRAP_UP
    await bob.answers()
    await caller.hears(bob)
    assert world.hear_each_other(caller, bob)
    await amy.is_hung_up()
    assert told == [202, 100, 180, 200]
    assert work(world, "bob") is Work.TALKING
    await world.sleep(60)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert [(leg.agent, leg.ended_by) for leg in saved.legs] == [("amy", Side.AGENT), ("bob", Side.CALLER)]
    assert saved.legs[1].talk_ms > 59_000
    assert [visit.outcome for visit in saved.visits] == [VisitOutcome.ANSWERED, VisitOutcome.ANSWERED]
    (transfer,) = saved.transfers
    assert (transfer.by, transfer.kind, transfer.to, transfer.target, transfer.failed) == (
        "amy",
        TransferKind.BLIND,
        TransferTo.AGENT,
        "bob",
        "",
    )
    ended = [body for body in bodies(world, AgentLegEnded) if isinstance(body, AgentLegEnded)]
    assert ended[0].cause is EndCause.TRANSFERRED


@story()
async def test_agent_who_hangs_up_at_once_has_handed_the_caller_over_all_the_same(world: World) -> None:
    """What phones do that do not wait for a NOTIFY."""
    call, caller, amy, (bob,) = await talking(world, "bob")
    amy.transfers("bob")
    await world.sleep(0.05)
    amy.drops()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await bob.hangs_up()
    await caller.is_hung_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "bob"]


@story()
async def test_caller_goes_back_to_the_agent_when_the_colleague_does_not_answer(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    told = amy.transfers("bob")
    await bob.rings()
    await bob.stops_ringing(after=20)
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    assert told == [202, 100, 180, 408]
    assert work(world, "amy") is Work.TALKING
    await caller.hangs_up()
    await amy.is_hung_up()
    saved = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["amy", "amy"]
    assert saved.transfers[0].failed == "no_answer"
    assert bodies(world, TransferFailed)
    assert next(body.disposition for body in bodies(world, WrapUpEnded) if isinstance(body, WrapUpEnded)) == (
        "TRANSFER_RETURNED"
    )


@story()
async def test_caller_goes_back_to_the_agent_when_the_colleague_declines(world: World) -> None:
    _, caller, amy, (bob, cid) = await talking(world, "bob", "cid")
    told = amy.transfers("bob")
    await bob.rings()
    await world.settled()
    await bob.declines()
    await caller.hears(amy)
    assert told == [202, 100, 180, 603]
    # And may be handed over again.
    told = amy.transfers("sales-spanish")
    await cid.rings()
    await cid.answers()
    await caller.hears(cid)
    # Words may overtake each other on the way: an older one is refused then (RFC 3261 12.2.2), and tells nothing.
    assert {202, 200} <= set(told) <= {202, 100, 200}
    await caller.hangs_up()


@story()
async def test_caller_waits_in_the_old_place_when_colleague_and_agent_are_gone(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    handed_over_at = world.clock.monotonic()
    amy.transfers("bob")
    await bob.rings()
    amy.drops()
    await bob.declines()
    await caller.hears("music")
    (waiting,) = world.house.acd.waiting("sales-english")
    assert waiting.first_joined < handed_over_at
    carl = await world.agent("carl", english=3)
    await carl.rings()
    await carl.answers()
    await caller.hears(carl)
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "carl"]


@story()
async def test_caller_is_not_lost_by_a_phone_that_hangs_up_when_the_transfer_fails(world: World) -> None:
    """As baresip does, with the NOTIFY that says so."""
    call, caller, amy, (bob,) = await talking(world, "bob")
    assert amy.call is not None
    told = amy.transfers("bob")
    await bob.rings()
    amy.call.leg.on_notified = lambda status: amy.drops() if status >= 300 else None
    await bob.declines()
    await caller.hears("music", after=2)
    assert told[:2] == [202, 100]
    carl = await world.agent("carl", english=3)
    await carl.rings()
    await carl.answers()
    await caller.hears(carl)
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "carl"]


@story()
async def test_caller_is_put_through_to_a_queue_and_keeps_the_place(world: World) -> None:
    call, caller, amy, _ = await talking(world)
    began = world.clock.monotonic()
    await world.sleep(30)
    told = amy.transfers("sales-spanish")
    await caller.hears("music")
    await amy.is_hung_up()
    assert {200, 202} <= set(told) <= {100, 200, 202}, "of words so close the last may overtake the first"
    (waiting,) = world.house.acd.waiting("sales-spanish")
    assert waiting.first_joined < began
    bob = await world.agent("bob", spanish=5)
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [(visit.queue, visit.outcome) for visit in saved.visits] == [
        ("sales-english", VisitOutcome.ANSWERED),
        ("sales-spanish", VisitOutcome.ANSWERED),
    ]


@story()
async def test_caller_is_put_through_to_a_number_that_callers_dial(world: World) -> None:
    _, caller, amy, _ = await talking(world)
    told = amy.transfers("tel:1000")
    await caller.hears("greeting")
    await amy.is_hung_up()
    # Words may overtake each other on the way: an older one is refused then (RFC 3261 12.2.2), and tells nothing.
    assert {202, 200} <= set(told) <= {202, 100, 200}
    await caller.hangs_up()


@story()
async def test_caller_who_hangs_up_while_being_put_through_frees_everybody(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    told = amy.transfers("bob")
    await bob.rings()
    await world.settled()
    await caller.hangs_up()
    await bob.stops_ringing()
    await amy.is_hung_up()
    assert told[:3] == [202, 100, 180]
    assert (work(world, "amy"), work(world, "bob")) == (Work.WRAP_UP, Work.IDLE)
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED


@story()
async def test_agent_whose_phone_waits_how_it_goes_is_offered_nobody_else(world: World) -> None:
    """Also with no wrap-up."""
    queues = {name: replace(queue, wrap_up=None) for name, queue in world.plan.queues.items()}
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    _, caller, amy, (bob,) = await talking(world, "bob")
    other = await world.phone("+14155550101")
    await other.dial("1000")
    await other.press("1")
    amy.transfers("bob")
    await bob.rings()
    await world.sleep(5)
    assert work(world, "amy") is Work.OUTBOUND
    await bob.answers()
    await caller.hears(bob)
    await amy.rings()
    await amy.answers()
    await other.hears(amy)
    await other.hangs_up()
    await caller.hangs_up()


@story()
async def test_what_an_agent_may_not_do_is_refused_and_the_talk_goes_on(world: World) -> None:
    _, caller, amy, (bob, cid) = await talking(world, "bob", "cid")
    await cid.unregister()
    await world.settled()
    second = await world.phone("+14155550102")
    await second.dial("1000")
    await second.press("2")
    await bob.rings()
    for target, status in (
        ("amy", 486),
        ("bob", 486),
        ("cid", 480),
        ("nobody", 404),
        ("tel:+19005550100", 403),
        ("*20", 403),
        ("mailto:bob@example.com", 416),
    ):
        told = amy.transfers(target)
        await world.settled()
        assert told == [status], target
    assert world.hear_each_other(caller, amy)
    assert not bodies(world, CallTransferred)
    await bob.answers()
    await caller.hangs_up()
    await second.hangs_up()


@story()
async def test_agent_asks_a_colleague_first_and_then_puts_both_through(world: World) -> None:
    await attended(world, by_the_second_line=False)


@story()
async def test_agent_whose_phone_refers_by_the_call_of_the_colleague_puts_both_through_too(world: World) -> None:
    await attended(world, by_the_second_line=True)


@story()
async def test_colleague_who_is_put_on_hold_before_the_transfer_hears_the_caller_afterwards_and_no_music(
    world: World,
) -> None:
    """Many phones hold both lines before they send the REFER."""
    await attended(world, by_the_second_line=False, holds_both=True)


async def attended(world: World, *, by_the_second_line: bool, holds_both: bool = False) -> None:
    """Amy asks bob while the caller holds, and leaves the two to each other."""
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    await caller.hears("music")
    world.loop.call_later(1.0, bob.picks_up)
    await amy.dial_beside("bob")
    assert work(world, "amy") is Work.CONSULTING
    await world.sleep(5)
    if holds_both:
        await amy.hold(amy.beside)
        await bob.hears("music")
    told = amy.joins_both(by_the_second_line=by_the_second_line)
    await caller.hears(bob)
    assert world.hear_each_other(caller, bob)
    await amy.is_hung_up()
    await world.settled()
    assert amy.beside is None
    assert {100, 202} <= set(told)
    assert (work(world, "amy"), work(world, "bob")) == (Work.WRAP_UP, Work.TALKING)
    assert (await bob.screen_pop())["from"] == "+14155550100"
    assert (await bob.screen_pop())["queue"] == "sales-english"
    await world.sleep(30)
    await bob.hangs_up()
    await caller.is_hung_up()
    assert work(world, "bob") is Work.WRAP_UP
    saved = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["amy", "bob"]
    (transfer,) = saved.transfers
    assert (transfer.kind, transfer.to, transfer.target) == (TransferKind.ATTENDED, TransferTo.AGENT, "bob")
    assert len([fact for fact in world.facts if isinstance(fact.body, CallEnded)]) == 2


@story()
async def test_agent_asks_in_a_queue_and_puts_the_caller_through_to_whoever_answered(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    world.loop.call_later(1.0, bob.picks_up)
    await amy.dial_beside("sales-spanish")
    await bob.rings()
    await world.sleep(5)
    amy.joins_both()
    await caller.hears(bob)
    await amy.is_hung_up()
    await bob.hangs_up()
    await caller.is_hung_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "bob"]


@story()
async def test_agent_gets_the_caller_back_when_the_colleague_has_hung_up_in_that_moment(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    world.loop.call_later(1.0, bob.picks_up)
    await amy.dial_beside("bob")
    await world.sleep(5)
    told = amy.joins_both()

    bob.drops()
    await world.sleep(3)
    await amy.resume()
    await caller.hears(amy)
    assert told[-1] >= 300
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "bob", "amy"]


# While it rings where the agent asks


async def asking(world: World, amy: AgentPhone, whom: str, rung: Phone) -> tuple[asyncio.Task[PhoneCall], str]:
    """Amy dials on the second line, and it rings there: her question, and how the switch knows it."""
    ringing: list[Response] = []

    def look(sent: bool, _flow: object, data: bytes) -> None:
        message = parse(data)
        if not sent and isinstance(message, Response) and message.status == 180:
            ringing.append(message)

    amy.user_agent.trace = look
    question = asyncio.create_task(amy.dial_beside(whom))
    await rung.rings()
    await world.settled()
    answer = ringing[-1]
    return question, f"{answer.call_id};to-tag={answer.to_tag};from-tag={answer.from_tag}"


@story()
async def test_agent_who_does_not_wait_for_the_colleague_to_answer_leaves_the_caller_to_it(world: World) -> None:
    """The transfer key while it rings: the colleague's phone rings on for the caller, and the first agent is free."""
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    question, named = await asking(world, amy, "bob", bob)
    told = amy.transfers("bob", named)
    await caller.hears("music")
    asked = await question
    assert asked.leg.ended.result().status == 487
    await bob.stops_ringing()
    await bob.rings()
    assert bob.this_call().caller == "+14155550100", "it rings for the caller now"
    await bob.answers()
    await caller.hears(bob)
    assert world.hear_each_other(caller, bob)
    await amy.is_hung_up()
    assert (sorted(told[:2]), told[2:]) == ([100, 202], [180, 200])
    assert (work(world, "amy"), work(world, "bob")) == (Work.WRAP_UP, Work.TALKING)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["amy", "bob"]
    (transfer,) = saved.transfers
    assert (transfer.kind, transfer.to, transfer.target) == (TransferKind.BLIND, TransferTo.AGENT, "bob")
    question_told = await world.interaction(asked)
    assert question_told.ending is not None
    assert (question_told.outcome, question_told.ending.cause) == (Outcome.NOT_REACHED, EndCause.TRANSFERRED)


@story()
async def test_agent_gets_the_caller_back_when_the_colleague_does_not_answer_then_either(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    question, named = await asking(world, amy, "bob", bob)
    told = amy.transfers("bob", named)
    await question
    await bob.rings()
    await bob.stops_ringing(after=20)
    await amy.resume()
    await caller.hears(amy)
    assert told[-1] == 408
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "amy"]


@story()
async def test_agent_who_asks_in_a_queue_and_does_not_wait_leaves_the_caller_in_that_queue(world: World) -> None:
    call, caller, amy, (bob,) = await talking(world, "bob")
    await amy.hold()
    asked = await amy.dial_beside("sales-spanish")
    await bob.rings()
    told = amy.joins_both()
    await bob.stops_ringing()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    assert asked.over
    assert 200 in told
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.transfers[0].to, saved.transfers[0].target) == (TransferTo.QUEUE, "sales-spanish")


@story()
async def test_agent_who_may_not_send_the_caller_there_cannot_by_a_question_either(world: World) -> None:
    """The rules of a transfer hold for one that is attended half: bob does not serve the caller's company."""
    _, caller, amy, (bob,) = await talking(world, "bob")
    plan = world.house.acd.plan
    stranger = replace(plan.agents["bob"], clients=frozenset({"other"}))
    world.house.dispatcher.tell(Reconfigured(replace(plan, agents={**plan.agents, "bob": stranger})))
    await amy.hold()
    question, named = await asking(world, amy, "bob", bob)
    told = amy.transfers("bob", named)
    await world.settled()
    assert told == [403]
    assert not question.done(), "the question goes on"
    await bob.answers()
    await question
    await caller.hangs_up()
    await amy.is_hung_up()
    bob.drops()


@story()
async def test_agent_takes_nobodys_place_in_a_call_of_others(world: World) -> None:
    """A REFER with the names of a colleague's call, however they were learnt."""
    _, caller, amy, (bob,) = await talking(world, "bob")
    other = await world.phone("+14155550103")
    await other.dial("1000")
    await other.press("2")
    await bob.rings()
    theirs = await bob.answers()
    dialog = bob.endpoint.dialog_state(theirs.leg.id)
    assert dialog is not None
    bobs = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    told = amy.transfers("bob", bobs)
    await world.settled()
    assert told == [403]
    # Nor may the caller, by whichever call.
    told = caller.transfers("bob", bobs)
    await world.settled()
    assert told == [403]
    # A dialog that nobody has ends nothing.
    told = amy.transfers("bob", "guessed;to-tag=a;from-tag=b")
    await world.settled()
    assert told[0] == 202
    assert told[-1] == 481
    assert world.hear_each_other(caller, amy)
    assert world.hear_each_other(other, bob)
    await caller.hangs_up()
    await other.hangs_up()


@story()
async def test_stranger_takes_nobodys_place(world: World) -> None:
    """INVITE with Replaces of a talk: challenged first, and to all but whose talk it is as if there were none."""
    _, caller, amy, (bob,) = await talking(world, "bob")
    assert amy.call is not None
    dialog = amy.endpoint.dialog_state(amy.call.leg.id)
    assert dialog is not None
    replaces = ("Replaces", f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}")
    stranger = await world.phone("+19995550100")
    call = stranger.starts_dialling("1000", headers=(replaces,))
    await stranger.is_refused(401)
    assert call.over
    # An agent who proves who they are takes it neither.
    call = await bob.dial_beside("1000", headers=(replaces,))
    assert call.leg.ended.result().status == 481
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_caller_makes_us_call_nobody(world: World) -> None:
    _, caller, amy, _ = await talking(world, "bob")
    for target in ("bob", "tel:+19005550100", "sales-spanish"):
        told = caller.transfers(target)
        await world.settled()
        assert told == [403], target
    await amy.hold()
    told = caller.transfers("bob")
    await world.settled()
    assert told == [403]
    await caller.hangs_up()


@story()
async def test_agent_transfers_nobody_before_there_is_a_talk(world: World) -> None:
    """In the queue, in the menu, and while the phone rings, there is no caller to hand over."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    told = caller.transfers("amy")
    await caller.press("1")
    await amy.rings()
    told += caller.transfers("amy")
    await world.settled()
    assert set(told) <= {403}
    await amy.answers()
    await caller.hangs_up()


@story()
async def test_second_agent_hands_the_caller_on(world: World) -> None:
    call, caller, amy, (bob, cid) = await talking(world, "bob", "cid")
    amy.transfers("bob")
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    bob.transfers("cid")
    await cid.rings()
    await cid.answers()
    await caller.hears(cid)
    await bob.is_hung_up()
    await cid.hangs_up()
    await caller.is_hung_up()
    saved: Interaction = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["amy", "bob", "cid"]
    assert [(each.by, each.target) for each in saved.transfers] == [("amy", "bob"), ("bob", "cid")]
    assert len(bodies(world, CallConnected)) == 3


@story()
async def test_an_agent_whom_a_colleague_dialled_does_not_lose_them_by_pressing_the_transfer_key(world: World) -> None:
    """Bob is asked by amy, asks cid himself, and presses the key that would join both: amy is no caller."""
    amy, bob, cid = [await world.agent(name, english=5) for name in ("amy", "bob", "cid")]
    call = amy.starts_dialling("bob")
    await bob.rings()
    await bob.answers()
    await amy.hears(bob)
    await bob.hold()
    world.loop.call_later(1.0, cid.picks_up)
    await bob.dial_beside("cid")
    for by_the_second_line in (True, False):
        told = bob.joins_both(by_the_second_line=by_the_second_line)
        await world.settled()
        assert told == [403]
    await cid.hangs_up()
    await bob.resume()
    await amy.hears(bob)
    assert world.hear_each_other(amy, bob)
    await amy.hangs_up()
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.HANGUP
