"""Keys, as every media plane must carry them: told and passed on once each, sent in the way a phone understands, and
kept from all others while they are a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from callcenter.media.plane import MOST_KEYS, Digit, PlayEnded
from callcenter.rtp.dtmf import event_payload
from callcenter.rtp.packet import Packet
from callcenter.sip.sdp import PCMA, PCMU, Codec
from tests.unit.media.lossy import LossyWay
from tests.unit.media.peers import MUST, Call, House, RealHouse, until


def told(call: Call) -> str:
    """The keys that the owner was told."""
    return "".join(digit.key for digit in call.of(Digit))


async def test_keys_are_sent_as_events_to_a_phone_that_takes_them(house: House) -> None:
    """Each once, whatever it hears otherwise; and only as events."""
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    assert session.events
    session.send_digits("15", duration=0.06, pause=0.06)
    session.send_digits("5#")  # behind those
    await until(lambda: amy.digits == "155#", "the keys")
    assert amy.tones == ""


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_keys_are_sent_as_tones_to_a_phone_without_events(house: House, codec: Codec) -> None:
    call, amy = Call(house), house.peer("amy", codecs=[codec], events=False)
    session = await call.incoming(amy)
    assert not session.events
    session.send_digits("4*9", duration=0.06, pause=0.06)
    await until(lambda: amy.tones == "4*9", "the tones")
    assert amy.digits == ""


async def test_keys_are_sent_to_a_private_phone(house: House) -> None:
    call, amy = Call(house), house.peer("amy", security=MUST)
    session = await call.incoming(amy, private=True)
    session.send_digits("7")
    await until(lambda: amy.digits == "7", "the key")


async def test_what_is_no_key_is_refused(house: House) -> None:
    session = await Call(house).incoming(house.peer("amy"))
    for wrong in ("E", "1 2", "1;2", "1" * (MOST_KEYS + 1)):
        with pytest.raises(ValueError):
            session.send_digits(wrong)


async def test_a_play_goes_on_where_it_was_when_keys_are_sent(house: House) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("music", 0.5)])
    await until(lambda: amy.hears == "music", "music")
    session.send_digits("12")
    await until(lambda: amy.digits == "12", "the keys")
    await until(lambda: bool(call.of(PlayEnded)), "the end of the music")
    assert call.of(PlayEnded)[0].complete


async def test_phones_hear_each_other_again_behind_keys_that_were_sent(house: House) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob", "bob")
    first.send_digits("3")
    await until(lambda: amy.digits == "3", "the key")
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other again")


@pytest.mark.parametrize("events", [True, False])
async def test_what_is_pressed_while_it_is_a_secret_reaches_the_owner_alone(house: House, events: bool) -> None:
    """No event, no tone, and no voice in which a key may be heard; who presses hears the other all the while."""
    call, amy, bob = Call(house), house.peer("amy", events=events), house.peer("bob", events=events)
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    first.listen_for_digits(True)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    first.mask_digits(True)
    await until(lambda: bob.hears != "amy", "silence")
    amy.press("4711")
    await until(lambda: told(call) == "4711", "the keys, told to the owner")
    assert amy.hears == "bob"
    first.mask_digits(False)
    await until(lambda: bob.hears == "amy", "amy again")
    assert (bob.digits, bob.tones) == ("", "")
    amy.press("2")
    await until(lambda: "2" in (bob.digits if events else bob.tones), "a key that is no secret")
    await until(lambda: told(call) == "47112", "the same, told to the owner")


async def test_a_secret_of_one_is_none_of_the_other(house: House) -> None:
    """While the caller's keys are kept from the agent, the agent's still reach the caller."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    first.mask_digits(True)
    bob.press("8")
    await until(lambda: amy.digits == "8", "the agent's key")


# On the way


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealHouse]:
    """The simulated way loses nothing."""
    made = RealHouse(tmp_path, workers=1)
    await made.plane.start()
    yield made
    await made.close()


KEYS = "1122*#0099ABCD555"


async def test_every_key_counts_once_on_a_bad_way(real: RealHouse) -> None:
    """A tenth of all packets lost, as many twice, as many late, on both ways: told and passed on once each."""
    call, amy, bob = Call(real), real.peer("amy"), real.peer("bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    with LossyWay(amy, loss=0.1, seed=1) as hers, LossyWay(bob, loss=0.1, seed=2) as his:
        amy.press(KEYS)
        bob.press(KEYS[::-1])
        await until(lambda: len(told(call)) >= 2 * len(KEYS) and len(bob.digits + amy.digits) >= 2 * len(KEYS), "all")
        await until(lambda: amy.hears == "bob", "the end of the last one")
        first.send_digits(KEYS, duration=0.06, pause=0.06)
        await until(lambda: len(amy.digits) >= 2 * len(KEYS), "what we press")
    assert min(hers.lost, hers.doubled, hers.late, his.lost, his.doubled, his.late) > 5
    for session, pressed in ((first.id, KEYS), ("", KEYS[::-1])):
        found = [each.key for each in call.of(Digit) if (each.session == first.id) is bool(session)]
        assert "".join(found) == pressed
    assert bob.digits == KEYS
    assert amy.digits == KEYS[::-1] + KEYS


async def test_tones_count_once_on_a_bad_way(real: RealHouse) -> None:
    call, amy = Call(real), real.peer("amy", events=False)
    session = await call.incoming(amy)
    session.listen_for_digits(True)
    with LossyWay(amy, loss=0.04, seed=3):
        amy.press("1472580")
        await until(lambda: len(told(call)) >= 7, "the keys")
    assert told(call) == "1472580"


async def test_events_beside_the_sound_as_a_stream_apart_are_keys_and_no_break(real: RealHouse) -> None:
    """Some gateways give events an SSRC of their own, and go on speaking: neither stream is the end of the other."""
    call, amy, bob = Call(real), real.peer("amy"), real.peer("bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    assert amy.negotiated is not None
    assert amy.negotiated.telephone_event is not None
    assert amy.negotiated.remote is not None
    before, ssrc = len(bob.received), 4711
    for number, key in enumerate("77"):
        for step in range(1, 6):
            payload = event_payload(key, 160 * step, end=step > 3)
            packet = Packet(amy.negotiated.telephone_event, 10 * number + step, 3000 * number, ssrc, payload, step == 1)
            amy.rtp.sendto(packet.to_bytes(), amy.negotiated.remote)
            await asyncio.sleep(0.02)
    await until(lambda: bob.digits == "77", "the keys")
    assert told(call) == "77"
    assert len({packet.ssrc for _, packet in list(bob.received)[before:]}) == 1
    assert (await first.stats()).lost == 0


async def test_nothing_of_a_secret_crosses_also_by_its_packets(real: RealHouse) -> None:
    """Of a phone that sends keys both ways, as events and as tones, no packet that leaves holds more than silence; and
    none is missing, so that the line does not seem dead.
    """
    call, amy, bob = Call(real), real.peer("amy"), real.peer("bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    first.mask_digits(True)
    await until(lambda: bob.hears != "amy", "silence")
    bob.received.clear()
    amy.events = False  # its tones
    amy.press("12345")
    await until(lambda: not amy.saying, "the tones")
    amy.events = True
    amy.press("67890")
    await until(lambda: told(call).endswith("0"), "the events")
    received = [packet for _, packet in bob.received]
    assert {packet.payload for packet in received} == {b"\xff" * 160}
    steps = {(later.sequence - earlier.sequence) & 0xFFFF for earlier, later in pairwise(received)}
    assert steps == {1}
    assert bob.tones == ""
