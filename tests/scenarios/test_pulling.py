"""An agent has a call at another phone, which calls in the place of the first (INVITE with Replaces, RFC 3891)."""

from __future__ import annotations

from callcenter.calls.settings import DialRules
from callcenter.model.facts import AgentLegEnded, AgentMediaStarted, CallConnected, CallHeld, CallResumed, PhoneChanged
from callcenter.model.states import Direction, Outcome, Side, Work
from callcenter.signaling.leg import EndedBy
from callcenter.simulation.phone import Phone, PhoneCall
from callcenter.simulation.world import PORT, SWITCH, AgentPhone, World, story
from callcenter.sip.crypto import Security
from callcenter.sip.flow import Address
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.test_two_phones import requests


async def desk_phone(world: World, agent: str) -> Phone:
    """A desk phone of an agent's, who has a softphone too."""
    phone = await world.phone(f"{agent}-desk")
    phone.number = agent
    await phone.register(agent, f"secret of {agent}")
    await world.settled()
    return phone


async def talking(world: World) -> tuple[PhoneCall, Phone, AgentPhone, Phone]:
    """A caller talks to amy at her softphone; her desk phone is free."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    return call, caller, amy, await desk_phone(world, "amy")


def work(world: World, agent: str) -> Work:
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.work


def bodies(world: World, *kinds: type) -> list[object]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kinds)]


@story()
async def test_agent_takes_the_talk_to_the_desk_phone_and_the_caller_notices_nothing(world: World) -> None:
    call, caller, amy, desk = await talking(world)
    asked = requests(amy)
    await world.sleep(10)
    await desk.pulls(amy)
    await caller.hears(desk)
    assert world.hear_each_other(caller, desk)
    ended = await amy.is_hung_up()
    assert ended.by is EndedBy.PEER
    (bye,) = asked
    assert (bye.method, bye.headers.get("Reason")) == ("BYE", 'SIP;cause=200;text="Taken over by another phone"')
    assert work(world, "amy") is Work.TALKING
    assert world.plane.status().sessions == 2
    (changed,) = bodies(world, PhoneChanged)
    assert isinstance(changed, PhoneChanged)
    await world.settled()
    assert (changed.side, changed.agent, changed.source) == (Side.AGENT, "amy", f"{desk.host.address}:{PORT}")
    assert changed.sip_call_id == desk.this_call().sip_call_id
    assert len(bodies(world, AgentMediaStarted)) == 2, "told of each phone from where its sound comes"
    await world.sleep(20)
    await desk.hangs_up()
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert [(leg.agent, leg.ended_by) for leg in saved.legs] == [("amy", Side.AGENT)]
    assert 29 < saved.talk < 31, "one talk, whichever phone it was at"
    assert len(bodies(world, CallConnected)) == len(bodies(world, AgentLegEnded)) == 1
    assert work(world, "amy") is Work.WRAP_UP


@story()
async def test_caller_who_is_on_hold_hears_the_agent_again_from_the_other_phone(world: World) -> None:
    call, caller, amy, desk = await talking(world)
    await amy.hold()
    await caller.hears("music")
    await world.sleep(10)
    assert work(world, "amy") is Work.HELD
    await desk.pulls(amy)
    await caller.hears(desk)
    assert world.hear_each_other(caller, desk)
    assert work(world, "amy") is Work.TALKING
    assert (len(bodies(world, CallHeld)), len(bodies(world, CallResumed))) == (1, 1)
    # And the other phone holds like any.
    await desk.hold()
    await caller.hears("music")
    await world.sleep(40)
    await desk.resume()
    await caller.hears(desk)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert 49 < saved.hold < 52


@story()
async def test_agent_whom_the_caller_has_put_on_hold_hears_the_music_on_the_other_phone_too(world: World) -> None:
    _, caller, amy, desk = await talking(world)
    await caller.hold()
    await amy.hears("music")
    await desk.pulls(amy)
    await desk.hears("music")
    await caller.resume()
    await desk.hears(caller)
    assert (len(bodies(world, CallHeld)), len(bodies(world, CallResumed))) == (1, 1)
    await caller.hangs_up()
    await desk.is_hung_up()


@story()
async def test_the_switch_makes_the_offer_where_the_other_phone_makes_none(world: World) -> None:
    _, caller, amy, desk = await talking(world)
    await desk.pulls(amy, offers=False)
    await caller.hears(desk)
    assert world.hear_each_other(caller, desk)
    await amy.is_hung_up()
    await caller.hangs_up()


@story()
async def test_talk_goes_back_and_forth_and_is_handed_over_by_the_phone_that_has_it(world: World) -> None:
    call, caller, amy, desk = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await desk.pulls(amy)
    await amy.is_hung_up()
    await amy.pulls(desk)
    await caller.hears(amy)
    await desk.is_hung_up()
    await desk.pulls(amy)
    await caller.hears(desk)
    told = desk.transfers("bob")
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await desk.is_hung_up()
    assert (sorted(told[:2]), told[2:]) == ([100, 202], [180, 200]), "the first word may overtake the answer"
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy", "bob"]


@story()
async def test_agent_picks_up_at_a_phone_that_does_not_ring_what_rings_at_another(world: World) -> None:
    """Only an INVITE of ours that rings can be taken so, also by a phone that is not registered (RFC 3891 3)."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    desk = await world.phone("amy-desk")
    desk.number = "amy"
    await desk.register("amy", "secret of amy")
    await desk.unregister()
    asked = requests(amy)
    await desk.pulls(amy, early_only=True)
    await caller.hears(desk)
    assert world.hear_each_other(caller, desk)
    await amy.stops_ringing()
    assert asked[0].headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    assert len(bodies(world, PhoneChanged)) == 1
    # A phone that is nowhere registered is asked within its call whether it is there, when it holds.
    await desk.hold()
    await world.sleep(100)
    assert work(world, "amy") is Work.HELD
    await caller.hangs_up()
    assert [leg.agent for leg in (await world.interaction(call)).legs] == ["amy"]


@story()
async def test_agent_takes_a_call_of_the_own_to_another_phone(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    desk, bobs_desk = await desk_phone(world, "amy"), await desk_phone(world, "bob")
    world.loop.call_later(1.0, bob.picks_up)
    call = await amy.dial("bob")
    await amy.hears(bob)
    await desk.pulls(amy)
    await bob.hears(desk)
    assert world.hear_each_other(bob, desk)
    await amy.is_hung_up()
    assert (work(world, "amy"), work(world, "bob")) == (Work.OUTBOUND, Work.TALKING)
    # So may the colleague, to whom it is a talk.
    await bobs_desk.pulls(bob)
    await desk.hears(bobs_desk)
    await bob.is_hung_up()
    assert world.hear_each_other(desk, bobs_desk)
    await world.sleep(10)
    await desk.hangs_up()
    await bobs_desk.is_hung_up()
    saved = await world.interaction(call)
    assert (saved.direction, saved.dialled_by, saved.agent) == (Direction.INTERNAL, "amy", "bob")
    assert saved.outcome is Outcome.HANDLED
    sides = [body.side for body in bodies(world, PhoneChanged) if isinstance(body, PhoneChanged)]
    assert sides == [Side.CALLER, Side.AGENT]


@story()
async def test_agent_takes_a_call_to_the_outside_to_another_phone(world: World) -> None:
    amy = await world.agent("amy", english=5)
    permit(world, amy=DialRules(outside=("+",)))
    outside = await somebody_outside(world, "+34911234567")
    desk = await desk_phone(world, "amy")
    world.loop.call_later(1.0, outside.picks_up)
    call = await amy.dial("+34911234567")
    await desk.pulls(amy)
    await desk.hears(outside)
    await amy.is_hung_up()
    await world.sleep(10)
    assert work(world, "amy") is Work.OUTBOUND
    await desk.hangs_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert len(saved.outside) == 1


@story()
async def test_caller_who_holds_for_a_question_is_taken_to_the_other_phone_alone(world: World) -> None:
    """The agent asks a colleague from the softphone, and goes back to the caller at the desk phone."""
    _, caller, amy, desk = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await amy.hold()
    world.loop.call_later(1.0, bob.picks_up)
    beside = await amy.dial_beside("bob")
    assert work(world, "amy") is Work.CONSULTING
    await desk.pulls(amy)
    await caller.hears(desk)
    assert not beside.over
    beside.leg.hangup()
    await world.settled()
    assert work(world, "amy") is Work.TALKING
    assert world.hear_each_other(caller, desk)
    await caller.hangs_up()


# Who may not, and what cannot be


@story()
async def test_nobody_takes_the_place_of_somebody_else_nor_learns_that_there_is_one(world: World) -> None:
    """The same answer for a call of others and for one that nobody has (RFC 3891 4)."""
    _, caller, amy, _ = await talking(world)
    bob = await world.agent("bob", spanish=5)
    amys, callers = amy.names(amy.this_call()), caller.names(caller.this_call())
    call_id, to_tag, from_tag = amys.split(";")
    unknown = (
        "guessed;to-tag=a;from-tag=b",
        f"{call_id};to-tag=forged;{from_tag}",
        f"{call_id};{to_tag};from-tag=forged",
        f"{call_id};{from_tag.replace('from', 'to')};{to_tag.replace('to-', 'from-')}",
    )
    stranger = await world.phone("+19995550100")
    answers = set()
    for named in (amys, callers, f"{amys};early-only", *unknown):
        stranger.starts_dialling("1000", headers=(("Replaces", named),))
        await stranger.is_refused(401)
        # One of ours proves who they are, and hears no more of it.
        refused = await bob.dial_beside("amy", headers=(("Replaces", named),))
        refusal = refused.leg.refusal
        assert refusal is not None
        lines = [line for line in refusal.to_bytes().split(b"\r\n") if not line.startswith((b"Via", b"To", b"Call-ID"))]
        answers.add(b"\n".join(line.partition(b";tag")[0] if line.startswith(b"From") else line for line in lines))
    (answer,) = answers
    assert answer.startswith(b"SIP/2.0 481 ")
    # A wrong password in the agent's name is no proof.
    wrong = await stranger.dial_beside("amy", user="amy", password="guessed", headers=(("Replaces", amys),))
    assert wrong.leg.ended.result().status == 403
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_call_that_is_up_is_not_taken_by_who_wants_one_that_rings(world: World) -> None:
    _, caller, amy, desk = await talking(world)
    desk.starts_pulling(amy, early_only=True)
    await desk.is_refused(486)
    assert world.hear_each_other(caller, amy)
    named = amy.names(amy.this_call())
    await caller.hangs_up()
    await amy.is_hung_up()
    await world.settled()
    desk.starts_dialling("amy", headers=(("Replaces", named),))
    await desk.is_refused(481)


@story()
async def test_invite_that_took_a_call_takes_nothing_when_it_is_sent_once_more(world: World) -> None:
    """Whoever saw it on the way sends it again, from the agent's address or another, as it was or as a new one."""
    _, caller, amy, desk = await talking(world)
    seen: list[bytes] = []
    desk.user_agent.trace = lambda sent, _, data: seen.append(data) if sent else None
    await desk.pulls(amy)
    await amy.is_hung_up()
    await amy.pulls(desk)
    await caller.hears(amy)
    (proved,) = (data for data in seen if data.startswith(b"INVITE") and b"Authorization" in data)
    named = amy.names(amy.this_call())
    for number, source in enumerate((desk.host.address, "10.0.9.9")):
        message = parse(proved)
        assert isinstance(message, Request)
        again = proved.replace(message.via.branch.encode() if message.via.branch else b"", b"z9hG4bKagain%d" % number)
        old = (message.headers.get("Replaces") or "").encode()
        for data in (proved, again, again.replace(b"again", b"other").replace(old, named.encode())):
            world.network.carry(Address(source, PORT), Address(SWITCH, PORT), data)
            await world.settled()
    assert world.hear_each_other(caller, amy)
    assert len(bodies(world, PhoneChanged)) == 2
    await caller.hangs_up()


@story()
async def test_call_that_waits_or_is_handed_over_stays_where_it_is(world: World) -> None:
    amy = await world.agent("amy", english=5)
    desk = await desk_phone(world, "amy")
    bob = await world.agent("bob", spanish=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    amy.transfers("bob")
    await bob.rings()
    desk.starts_pulling(amy)
    await desk.is_refused(480)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()


@story()
async def test_phone_that_the_switch_cannot_speak_with_gets_nothing_and_the_talk_goes_on(world: World) -> None:
    _, caller, amy, desk = await talking(world)
    # It insists on SRTP, and its keys would be read by everybody on the way.
    world.private_phones[desk.name] = Security(bytes, required=True, insists=True)
    desk.starts_pulling(amy)
    await desk.is_refused(488)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
