"""Who writes another's address on his datagrams: what comes of it for that other one, for callers, and for agents."""

from __future__ import annotations

from callcenter.model.facts import CallArrived, CallEnded, CallerMediaStarted
from callcenter.model.states import EndCause, Side
from callcenter.simulation.world import PORT, SWITCH, World, story
from callcenter.sip.flow import Address
from callcenter.sip.strangers import MESSAGES

# Nobody is there: what is sent to it stands in the network's trace as `nobody there`.
VICTIM = Address("10.0.9.9", PORT)


def invite(number: int, to: str = "1000", method: str = "INVITE", *more: str) -> bytes:
    """A call in the victim's name."""
    sdp = (
        f"v=0\r\no=- 1 1 IN IP4 {VICTIM.host}\r\ns=-\r\nc=IN IP4 {VICTIM.host}\r\nt=0 0\r\n"
        "m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"
    )
    lines = [
        f"{method} sip:{to}@{SWITCH} SIP/2.0",
        f"Via: SIP/2.0/UDP {VICTIM};branch=z9hG4bKforged{number};rport",
        "Max-Forwards: 70",
        f"From: <sip:+14155550666@{VICTIM.host}>;tag=forged{number}",
        f"To: <sip:{to}@{SWITCH}>",
        f"Call-ID: forged{number}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:+14155550666@{VICTIM}>",
        *more,
        "Content-Type: application/sdp",
        f"Content-Length: {len(sdp)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + sdp).encode()


def forge(world: World, data: bytes) -> None:
    """Send it with the victim's address on it."""
    world.network.carry(VICTIM, Address(SWITCH, PORT), data)


def reached(world: World) -> list[str]:
    """What was sent to the victim."""
    return [line.rpartition(": ")[2] for line in world.network.trace if f"> {VICTIM} nobody there" in line]


@story()
async def test_a_forged_caller_gets_some_words_and_no_sound(world: World) -> None:
    """No greeting to an address that only the INVITE names; an honest caller is greeted at once meanwhile."""
    forge(world, invite(1))
    await world.settled()
    (call,) = world.house.supervisor.calls.values()
    assert call.stage == "arriving", "the flow has not begun"
    caller = await world.phone("+14155550100")
    began = world.clock.monotonic()
    await caller.dial("1000")
    await caller.hears("greeting")
    assert world.clock.monotonic() - began < 0.1, "one round trip, and no more"
    await caller.hangs_up()
    await world.sleep(40)
    words = reached(world)
    assert words == ["SIP/2.0 100 Trying", *["SIP/2.0 200 OK"] * MESSAGES, *words[-1:]]
    assert words[-1].startswith("BYE ")
    forged = next(fact.call_id for fact in world.facts if isinstance(fact.body, CallArrived))
    (ended,) = [fact.body for fact in world.facts if isinstance(fact.body, CallEnded) and fact.call_id == forged]
    assert (ended.by, ended.cause) == (Side.SYSTEM, EndCause.NETWORK)


@story()
async def test_a_call_forged_in_a_registered_phones_name_plays_nothing_anywhere(world: World) -> None:
    """The phone is known, and gets the repetitions that a known one gets; the sound waits for its ACK all the same."""
    amy = await world.agent("amy", english=5)
    data = invite(1).replace(str(VICTIM).encode(), f"{amy.host.address}:{PORT}".encode())
    world.network.carry(Address(amy.host.address, PORT), Address(SWITCH, PORT), data)
    await world.sleep(20)
    (call,) = world.house.supervisor.calls.values()
    assert call.stage == "arriving"
    await world.sleep(20)
    assert not world.house.supervisor.calls


@story()
async def test_a_flood_in_one_name_ends_and_callers_and_phones_do_not_notice(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    for number in range(5_000):
        forge(world, invite(number, "nobody-has-this"))
    call = await world.connect(caller, amy)
    await caller.hangs_up()
    await world.sleep(60)
    assert (await world.interaction(call)).talk is not None
    burst = world.house.guard.rules.burst
    assert len(reached(world)) <= burst * 1.1, "each at most once, and not beyond the burst"
    assert world.house.guard.counts.over_rate > 2_000
    assert world.house.guard.bans == ()


@story()
async def test_wrong_passwords_in_an_agents_name_shut_nobody_out(world: World) -> None:
    """The forger sees no nonce that was sent to the agent's address; with one of his own he proves nothing."""
    amy = await world.agent("amy", english=5)
    answer = (
        'Authorization: Digest username="amy", realm="callcenter", nonce="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", '
        'uri="sip:x", response="00000000000000000000000000000000", algorithm=MD5, cnonce="c", qop=auth, nc=00000001'
    )
    for number in range(100):
        for method, to in (("INVITE", "*21"), ("REGISTER", "amy")):
            data = invite(number, to, method, answer)
            world.network.carry(Address(amy.host.address, PORT), Address(SWITCH, PORT), data)
    await world.settled()
    assert world.house.guard.bans == ()
    assert await amy.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"]


@story()
async def test_a_stranger_who_wants_the_sound_sent_elsewhere_must_have_some_come_from_there(world: World) -> None:
    """Else a caller with a true address could turn our prompts on whom he likes."""
    caller = await world.phone("+14155550100")
    world.sound_hosts[caller.name] = "10.0.8.8"
    world.mute_phones.add(caller.name)
    await caller.dial("1000")
    await world.sleep(10)
    assert caller.heard_now() == ()
    await caller.hangs_up()
    world.mute_phones.clear()
    await caller.dial("1000")
    await caller.hears("greeting")
    await caller.hangs_up()
    assert [fact.body.source for fact in world.facts if isinstance(fact.body, CallerMediaStarted)] != []


@story()
async def test_a_stranger_in_a_call_turns_its_sound_on_nobody(world: World) -> None:
    """A re-INVITE moves it as far as the caller's own host; elsewhere it would play to whom the caller likes."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("greeting")
    here = call.sound.offer()
    moved = here.replace(caller.host.address.encode(), VICTIM.host.encode())
    assert (await call.leg.reinvite(moved)).status == 488
    await caller.hold()
    await caller.resume()
    assert caller.heard_now() != ()
    await caller.hangs_up()
