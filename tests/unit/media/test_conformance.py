"""What every media plane must do: each test runs against the embedded plane and against the simulated one."""

from __future__ import annotations

import asyncio
import os

import pytest

from callcenter.media.plane import (
    BadDescription,
    Digit,
    FirstPacket,
    MediaError,
    MediaGone,
    MediaLost,
    MediaSession,
    MediaSilent,
    NoCapacity,
    NoPacket,
    NotAcceptable,
    PlayEnded,
)
from callcenter.media.settings import Srtp
from callcenter.sip.crypto import Security, Suite
from callcenter.sip.sdp import PCMA, PCMU, Codec, Direction, SessionDescription, insisting_on_srtp, without_keys
from tests.unit.media.peers import CAN, MUST, Call, House, audio, by_key, holds, until, with_settings


async def test_an_offer_is_answered_with_an_even_port_and_one_codec(house: House) -> None:
    session = await Call(house).incoming(house.peer("amy"))
    description = SessionDescription.parse(session.sdp)
    assert description.connection == "127.0.0.1"
    assert description.media[0].port % 2 == 0
    assert description.media[0].formats == ("0", "101")
    assert not holds(session)


async def test_our_offer_names_all_codecs_and_digits(house: House) -> None:
    call = Call(house)
    session = await call.house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append)
    assert audio(session.sdp).formats == ("0", "8", "9", "111", "101", "110")
    session.release()


async def test_a_leg_may_be_kept_to_some_codecs(house: House) -> None:
    """A trunk that takes one codec only is offered no other, and gets no other in an answer."""
    call = Call(house)
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, codecs=["PCMA"])
    assert audio(session.sdp).formats == ("8", "101")
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy, codecs=["PCMA", "G729"])
    assert audio(first.sdp).formats == ("8", "101")
    with pytest.raises(NotAcceptable):
        await call.incoming(house.peer("carol", codecs=[PCMU]), codecs=["PCMA"])
    with pytest.raises(NotAcceptable):
        await call.incoming(house.peer("dave"), codecs=["G729"])
    # Beside a leg of the other codec, too.
    second = await call.outgoing(bob, beside=first, codecs=["PCMU"])
    assert audio(second.sdp).formats == ("0", "101")
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")


async def test_every_leg_has_ports_of_its_own(house: House) -> None:
    call = Call(house)
    sessions = [await call.incoming(house.peer("amy")) for _ in range(4)]
    assert len({audio(session.sdp).port for session in sessions}) == 4
    assert len({session.id for session in sessions}) == 4


@pytest.mark.parametrize("theirs", [PCMU, PCMA])
async def test_bridged_phones_hear_each_other_whatever_their_codecs(house: House, theirs: Codec) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", codecs=[PCMU]), house.peer("bob", codecs=[theirs])
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    assert amy.hears is None
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")


async def test_phones_of_two_calls_do_not_hear_each_other(house: House) -> None:
    peers = []
    for one, other in (("amy", "bob"), ("carol", "dave")):
        call = Call(house)
        first, second = house.peer(one), house.peer(other)
        peers += [first, second]
        session = await call.incoming(first)
        await session.bridge(await call.outgoing(second, beside=session))
    await until(lambda: [peer.hears for peer in peers] == ["bob", "amy", "dave", "carol"], "the right ones")


async def test_a_play_is_heard_to_its_end(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    clip = house.clip("greeting", 0.3)
    await house.plane.prepare([clip])
    began = asyncio.get_running_loop().time()
    number = session.play([clip])
    await until(lambda: amy.hears == "greeting", "the greeting")
    await until(lambda: bool(call.of(PlayEnded)), "its end")
    assert call.of(PlayEnded) == [PlayEnded(session.id, number, complete=True)]
    assert asyncio.get_running_loop().time() - began > 0.28
    await until(lambda: amy.hears is None, "silence")


async def test_a_play_that_was_not_prepared_is_heard_too(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("menu", 0.3)])
    await until(lambda: amy.hears == "menu", "the menu")


async def test_clips_follow_one_another(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("greeting", 0.2), house.clip("menu", 0.2)])
    await until(lambda: amy.hears == "greeting", "the first")
    assert not call.of(PlayEnded)
    await until(lambda: amy.hears == "menu", "the second")
    await until(lambda: call.of(PlayEnded) == [PlayEnded(session.id, 1, complete=True)], "one end")


async def test_music_goes_round_until_it_is_stopped(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    number = session.play([house.clip("music", 0.1)], loop=True)
    for _ in range(3):
        await asyncio.sleep(0.1)
        await until(lambda: amy.hears == "music", "music")
    assert not call.of(PlayEnded)
    session.stop()
    session.stop()
    await until(lambda: call.of(PlayEnded) == [PlayEnded(session.id, number, complete=False)], "the stop")
    await until(lambda: amy.hears is None, "silence")
    assert len(call.of(PlayEnded)) == 1


async def test_a_new_play_replaces_the_old(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    music, greeting = house.clip("music", 5.0), house.clip("greeting", 0.2)
    await house.plane.prepare([music, greeting])
    first = session.play([music])
    await until(lambda: amy.hears == "music", "music")
    second = session.play([greeting])
    assert second != first
    await until(lambda: amy.hears == "greeting", "the greeting")
    await until(lambda: len(call.of(PlayEnded)) == 2, "both ends")
    assert call.of(PlayEnded) == [PlayEnded(session.id, first, False), PlayEnded(session.id, second, True)]


async def test_a_play_may_begin_in_the_middle(house: House) -> None:
    """Where the music was when it was interrupted; behind its end a piece that goes round begins anew."""
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    clips = [house.clip("greeting", 2.0), house.clip("menu", 0.3), house.clip("music", 2.0)]
    await house.plane.prepare(clips)
    session.play(clips, loop=True, start=4.3 + 2.1)
    await until(lambda: amy.hears is not None, "something")
    assert amy.hears == "menu"
    await until(lambda: amy.hears == "music", "what comes behind it")
    number = session.play(clips[:2], start=2.1)
    await until(lambda: amy.hears == "menu", "the end of the second")
    await until(lambda: call.of(PlayEnded)[-1:] == [PlayEnded(session.id, number, complete=True)], "its end")
    number = session.play(clips[:2], start=60.0)
    await until(lambda: call.of(PlayEnded)[-1:] == [PlayEnded(session.id, number, complete=True)], "an end at once")


async def test_a_play_of_nothing_ends_at_once(house: House) -> None:
    call = Call(house)
    session = await call.incoming(house.peer("amy"))
    number = session.play([], loop=True)
    await until(lambda: call.of(PlayEnded) == [PlayEnded(session.id, number, complete=True)], "its end")


async def test_a_clip_that_cannot_be_read_is_named_by_prepare_and_ends_a_play(house: House) -> None:
    call = Call(house)
    session = await call.incoming(house.peer("amy"))
    missing = house.missing_clip()
    with pytest.raises(MediaError, match=r"missing\.wav"):
        await house.plane.prepare([house.clip("menu", 0.1), missing])
    number = session.play([missing])
    await until(lambda: call.of(PlayEnded) == [PlayEnded(session.id, number, complete=False)], "its end")


async def test_a_play_stands_in_for_the_other_phone_while_it_lasts(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    first.play([house.clip("menu", 0.3)])
    await until(lambda: amy.hears == "menu", "the menu")
    assert bob.hears == "amy"
    await until(lambda: amy.hears == "bob", "bob again")


async def test_unbridged_phones_hear_nothing_and_may_be_bridged_to_others(house: House) -> None:
    call = Call(house)
    amy, bob, carol = house.peer("amy"), house.peer("bob"), house.peer("carol")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    third = await call.outgoing(carol, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    await second.unbridge()
    await second.unbridge()
    await until(lambda: amy.hears is None and bob.hears is None, "silence")
    await first.bridge(second)
    await first.bridge(third)
    await until(lambda: amy.hears == "carol" and carol.hears == "amy" and bob.hears is None, "the third")


async def test_each_press_is_told_once_and_passed_on(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    amy.press("1")
    await until(lambda: call.of(Digit) == [Digit(first.id, "1")], "the first digit")
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    amy.press("22#")
    await until(lambda: bob.digits == "22#", "the digits at the other phone")
    # The phone may hear of a key before we do: what a worker tells leaves at the end of its turn.
    await until(lambda: len(call.of(Digit)) >= 4, "all digits")
    assert [digit.key for digit in call.of(Digit)] == ["1", "2", "2", "#"]
    assert not call.of(Digit, second)


async def test_the_peers_hold_is_answered_and_ends(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    before = SessionDescription.parse(second.sdp)
    answer = await second.reoffer(bob.hold())
    assert audio(answer).direction is Direction.RECVONLY
    assert SessionDescription.parse(answer).origin.version == before.origin.version + 1
    assert audio(answer).port == before.media[0].port
    assert holds(second)
    bob.take_answer(answer)
    await until(lambda: amy.hears is None and bob.hears is None, "silence")
    first.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: amy.hears == "music", "music")
    first.stop()
    bob.take_answer(await second.reoffer(bob.resume()))
    assert not holds(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other again")


async def test_the_hold_of_old_phones_is_understood(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: amy.hears == "music", "music")
    await session.reoffer(amy.offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0"))
    assert holds(session)
    await until(lambda: amy.hears is None, "silence")
    await session.reoffer(amy.offer())
    assert not holds(session)
    await until(lambda: amy.hears == "music", "music")


async def test_a_description_that_cannot_be_taken_leaves_everything_as_it_was(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    before = session.sdp
    with pytest.raises(NotAcceptable):
        await session.reoffer(house.peer("bob", codecs=[Codec("G729", 18)]).offer())
    with pytest.raises(BadDescription):
        await session.reoffer(b"nonsense")
    assert session.sdp == before
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")


async def test_offers_that_cannot_be_answered_leave_nothing_behind(house: House) -> None:
    call = Call(house)
    with pytest.raises(NotAcceptable):
        await call.incoming(house.peer("amy", codecs=[Codec("G729", 18)]))
    for host in (b"phone.example.com", b"::1"):
        family = b"IP6" if b":" in host else b"IP4"
        offer = house.peer("amy").offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN %s %s" % (family, host))
        with pytest.raises(NotAcceptable):
            await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=offer)
    with pytest.raises(BadDescription):
        await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=b"v=1")
    assert house.plane.status().sessions == 0


async def test_an_answer_that_refuses_is_told_and_a_better_one_taken(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append)
    answer = amy.answer(session.sdp)
    refused = b"\r\n".join(b"m=audio 0 RTP/AVP 0" if line.startswith(b"m=") else line for line in answer.split(b"\r\n"))
    with pytest.raises(NotAcceptable):
        await session.set_answer(refused)
    with pytest.raises(BadDescription):
        await session.set_answer(b"v=1\r\n")
    await session.set_answer(answer)
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")


async def test_early_sound_and_the_answer_from_another_phone(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    session = await call.outgoing(amy)
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")
    await session.set_answer(bob.answer(session.sdp))
    await until(lambda: bob.hears == "menu" and amy.hears is None, "the menu at the other phone")


async def test_our_description_is_offered_again_with_all_we_can(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy", codecs=[PCMA])
    session = await call.incoming(amy)
    first = SessionDescription.parse(session.sdp)
    again = SessionDescription.parse(await session.offer_again())
    assert again.origin.session_id == first.origin.session_id
    assert again.origin.version == first.origin.version + 1
    assert again.media[0].port == first.media[0].port
    assert again.media[0].formats == ("8", "0", "9", "111", "101", "110")
    assert SessionDescription.parse(await session.offer_again()).origin.version == again.origin.version
    await session.set_answer(amy.answer(again.to_bytes()))
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")


async def test_digits_by_another_payload_type(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    offer = amy.offer().replace(b" 101", b" 96").replace(b":101", b":96")
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=offer)
    assert audio(session.sdp).formats == ("0", "96")
    amy.take_answer(session.sdp)
    amy.press("5")
    await until(lambda: call.of(Digit) == [Digit(session.id, "5")], "the digit")


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_tones_are_keys_while_they_are_wanted_also_while_we_play(house: House, codec: Codec) -> None:
    call = Call(house)
    amy = house.peer("amy", codecs=[codec], events=False)
    session = await call.incoming(amy)
    assert audio(session.sdp).formats == (str(codec.payload_type),)
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu" and bool(call.of(FirstPacket)), "the menu")
    session.listen_for_digits(True)
    amy.press("144#")
    await until(lambda: len(call.of(Digit)) == 4, "the keys")
    assert [digit.key for digit in call.of(Digit)] == ["1", "4", "4", "#"]
    session.listen_for_digits(False)
    await session.stats()  # answered behind it
    amy.press("5")
    await asyncio.sleep(0.4)
    assert len(call.of(Digit)) == 4


async def test_tones_of_an_agent_who_answered_without_events_are_keys_too(house: House) -> None:
    call = Call(house)
    bob = house.peer("bob", events=False)
    session = await call.outgoing(bob)
    session.listen_for_digits(True)
    session.listen_for_digits(True)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")
    bob.press("7")
    await until(lambda: call.of(Digit) == [Digit(session.id, "7")], "the key")


async def test_a_phone_that_learns_events_is_not_listened_to_for_tones(house: House) -> None:
    """After a re-INVITE its keys come as events, and only as these."""
    call = Call(house)
    amy, other = house.peer("amy", events=False), house.peer("bob")
    session = await call.incoming(amy)
    session.listen_for_digits(True)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")
    amy.vanish()
    other.take_answer(await session.reoffer(other.offer()))
    other.press("3")
    await until(lambda: call.of(Digit) == [Digit(session.id, "3")], "the key")


async def test_the_codec_of_the_other_leg_comes_first(house: House) -> None:
    call = Call(house)
    first = await call.incoming(house.peer("amy", codecs=[PCMA]))
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, beside=first)
    assert audio(second.sdp).formats == ("8", "0", "9", "111", "101", "110")
    third = await call.incoming(house.peer("bob", codecs=[PCMU, PCMA]), beside=first)
    assert audio(third.sdp).formats == ("8", "101")


async def test_the_first_packet_is_told_once(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")
    source = f"127.0.0.1:{audio(amy.offer()).port}"
    assert call.of(FirstPacket) == [FirstPacket(session.id, source)]
    amy.take_answer(await session.reoffer(amy.hold()))
    amy.take_answer(await session.reoffer(amy.resume()))
    amy.press("1")
    await until(lambda: bool(call.of(Digit)), "a digit")
    assert len(call.of(FirstPacket)) == 1


@with_settings(missing_after=0.3)
async def test_a_phone_of_which_nothing_ever_came_is_told_once_with_the_addresses(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    amy.vanish()
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await until(lambda: bool(call.of(NoPacket)), "the word that nothing came")
    (missing,) = call.of(NoPacket)
    assert missing.session == first.id
    assert 0.3 <= missing.seconds < 0.8
    assert missing.described == f"127.0.0.1:{audio(amy.offer()).port}"
    assert missing.listens == f"127.0.0.1:{audio(first.sdp).port}"
    assert (missing.refused, missing.payload_type) == ("", -1)
    await asyncio.sleep(0.5)
    assert len(call.of(NoPacket)) == 1
    assert not call.of(FirstPacket, first)
    assert call.of(FirstPacket, second)


@with_settings(missing_after=0.3)
async def test_nothing_is_missed_of_a_phone_that_holds_or_has_not_answered(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    amy.vanish()
    first = await call.incoming(amy)
    amy.take_answer(await first.reoffer(amy.hold()))
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append)
    await asyncio.sleep(0.7)
    assert not call.of(NoPacket)
    second.release()
    # When the hold ends the time begins anew.
    ended = asyncio.get_running_loop().time()
    await first.reoffer(amy.resume())
    await until(lambda: bool(call.of(NoPacket)), "the word that nothing came")
    assert asyncio.get_running_loop().time() - ended > 0.28


@with_settings(silence_timeout=0.4)
async def test_a_phone_that_vanishes_is_told_once(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    session = await call.incoming(amy)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")
    await asyncio.sleep(0.5)
    assert not call.of(MediaSilent)
    amy.vanish()
    await until(lambda: bool(call.of(MediaSilent)), "silence")
    (silent,) = call.of(MediaSilent)
    assert silent.session == session.id
    assert 0.4 <= silent.seconds < 0.8
    await asyncio.sleep(0.6)
    assert len(call.of(MediaSilent)) == 1


@with_settings(silence_timeout=0.3)
async def test_a_phone_that_never_sends_is_told(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    amy.vanish()
    await call.incoming(amy)
    await until(lambda: bool(call.of(MediaSilent)), "silence")
    assert not call.of(FirstPacket)


@with_settings(silence_timeout=0.3)
async def test_a_phone_that_holds_or_has_not_answered_is_not_silent(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy")
    first = await call.incoming(amy)
    amy.take_answer(await first.reoffer(amy.hold()))
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append)
    await asyncio.sleep(0.7)
    assert not call.of(MediaSilent)
    second.release()
    # When the hold ends the time begins anew.
    amy.vanish()
    await first.reoffer(amy.resume())
    await until(lambda: bool(call.of(MediaSilent)), "silence")


async def test_nothing_comes_from_a_released_session(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    first.play([house.clip("music", 5.0)], loop=True)
    amy.press("1")
    first.release()
    first.release()
    call.events.clear()
    await until(lambda: amy.hears is None and bob.hears is None, "silence")
    await asyncio.sleep(0.3)
    assert not call.of(PlayEnded)
    assert not call.of(Digit)
    assert house.plane.status().sessions == 1
    assert first.play([]) > 0
    first.stop()
    await first.unbridge()
    for gone in (first.stats(), first.bridge(second), second.bridge(first), first.offer_again(), first.reoffer(b"")):
        with pytest.raises(MediaGone):
            await gone
    second.release()
    assert house.plane.status().sessions == 0


async def test_the_counters_grow(house: House) -> None:
    call = Call(house)
    session = await call.incoming(house.peer("amy"))
    session.play([house.clip("music", 1.0)], loop=True)
    await asyncio.sleep(0.5)
    stats = await session.stats()
    assert 15 <= stats.packets_received <= 30
    assert 15 <= stats.packets_sent <= 30
    assert stats.octets_sent == stats.packets_sent * 160
    assert stats.octets_received == stats.packets_received * 160
    assert stats.lost == 0


@with_settings(workers=3)
async def test_calls_are_spread_evenly_over_the_workers(house: House) -> None:
    sessions: list[list[MediaSession]] = []

    def shares() -> list[int]:
        return [worker.sessions for worker in house.plane.status().workers]

    for name in ("amy", "bob", "carol", "dave", "amy", "bob", "carol", "dave"):
        call = Call(house)
        first = await call.incoming(house.peer(name))
        sessions.append([first, await call.outgoing(house.peer("bob"), beside=first)])
        assert max(shares()) - min(shares()) <= 2, "both legs of a call are on one worker"
    assert sorted(shares()) == [4, 6, 6]
    # Where calls have ended there is room for the next.
    for session in (each for legs in sessions[:6] for each in legs):
        session.release()
    assert sum(shares()) == 4
    for name in ("amy", "bob", "carol"):
        await Call(house).incoming(house.peer(name))
    status = house.plane.status()
    assert min(worker.sessions for worker in status.workers) >= 1
    assert (status.alive, [worker.index for worker in status.workers]) == (3, [0, 1, 2])
    assert len({worker.pid for worker in status.workers}) == 3


@with_settings(max_sessions=4)
async def test_a_full_plane_refuses_calls_but_not_the_second_leg_of_one(house: House) -> None:
    call, other, third = Call(house), Call(house), Call(house)
    first = await call.incoming(house.peer("amy"))
    await other.incoming(house.peer("carol"))
    with pytest.raises(NoCapacity) as refused:
        await third.incoming(house.peer("dave"))
    assert refused.value.retry_after > 0
    await call.outgoing(house.peer("bob"), beside=first)
    with pytest.raises(NoCapacity):
        await call.outgoing(house.peer("bob"), beside=first)
    assert house.plane.status().capacity == 4
    for session in (first,):
        session.release()
    with pytest.raises(NoCapacity):
        await third.incoming(house.peer("dave"))


@with_settings(port_rest=0.0)
async def test_ports_come_back(house: House) -> None:
    amy = house.peer("amy")
    for _ in range(60):  # more than there are pairs of ports
        session = await Call(house).incoming(amy)
        session.release()


async def test_who_leaves_while_a_leg_is_opened_leaves_nothing(house: House) -> None:
    call = Call(house)
    for steps in range(4):
        task = asyncio.ensure_future(call.incoming(house.peer("amy")))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert house.plane.status().sessions == 0
    session = await call.incoming(house.peer("amy"))
    session.release()


@with_settings(workers=2)
async def test_a_dead_worker_takes_only_its_own_calls_and_is_replaced(house: House) -> None:
    mine, other = Call(house), Call(house)
    amy, carol = house.peer("amy"), house.peer("carol")
    first = await mine.incoming(amy)
    second = await other.incoming(carol)
    music = house.clip("music", 5.0)
    await house.plane.prepare([music])
    second.play([music], loop=True)
    house.kill_worker_of(first)
    await until(lambda: bool(mine.of(MediaLost)), "the loss")
    assert [lost.session for lost in mine.of(MediaLost)] == [first.id]
    with pytest.raises(MediaGone):
        await first.stats()
    first.release()
    assert not other.of(MediaLost)
    await until(lambda: carol.hears == "music", "music")
    assert house.plane.status().sessions == 1
    await until(lambda: house.plane.status().alive == 2, "the new worker")
    assert sorted(worker.restarts for worker in house.plane.status().workers) == [0, 1]
    again = [Call(house) for _ in range(4)]
    peers = [house.peer("dave") for _ in again]
    for call, peer in zip(again, peers, strict=True):
        (await call.incoming(peer)).play([music], loop=True)
    await until(lambda: all(peer.hears == "music" for peer in peers), "music")


async def test_ipv6(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", host="::1"), house.peer("bob")
    first = await call.incoming(amy, local="::1")
    assert b"c=IN IP6 ::1" in first.sdp
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    await until(lambda: bool(call.of(FirstPacket, first)), "the first packet")
    assert call.of(FirstPacket, first)[0].source.startswith("[::1]:")


@with_settings(advertised=("203.0.113.7",))
async def test_the_advertised_address_is_described(house: House) -> None:
    call = Call(house)
    session = await call.incoming(house.peer("amy"))
    assert SessionDescription.parse(session.sdp).connection == "203.0.113.7"
    other = await house.plane.open(call.id, local="::1", on_event=call.events.append)
    assert SessionDescription.parse(other.sdp).connection == "::1"


async def test_a_closed_plane_takes_no_calls(house: House) -> None:
    await Call(house).incoming(house.peer("amy"))
    await house.plane.close()
    await house.plane.close()
    assert house.plane.status().sessions == 0
    with pytest.raises(NoCapacity):
        await Call(house).incoming(house.peer("bob"))


# SRTP


@pytest.mark.parametrize("security", [CAN, MUST])
async def test_a_private_phone_and_a_plain_one_hear_each_other(house: House, security: Security) -> None:
    """The plane seals what goes to one, and hands it to the other as it is."""
    call = Call(house)
    amy, bob = house.peer("amy", security=security), house.peer("bob")
    first = await call.incoming(amy, private=True)
    second = await call.outgoing(bob, beside=first)
    assert (first.secure, second.secure) == (Suite.AES_CM_128_HMAC_SHA1_80, "")
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    amy.press("12#")
    await until(lambda: bob.digits == "12#", "the digits at the plain phone")
    bob.press("34*")
    await until(lambda: amy.digits == "34*", "the digits at the private phone")
    assert [digit.key for digit in call.of(Digit, first)] == ["1", "2", "#"]


@pytest.mark.parametrize("insists", [False, True])
async def test_two_private_phones_hear_each_other_by_keys_of_their_own(house: House, insists: bool) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", codecs=[PCMU], security=MUST), house.peer("bob", codecs=[PCMA], security=CAN)
    first = await call.incoming(amy, private=True)
    second = await call.outgoing(bob, beside=first, private=True, insists=insists)
    assert audio(second.sdp).protocol == ("RTP/SAVP" if insists else "RTP/AVP")
    assert second.secure == Suite.AES_CM_128_HMAC_SHA1_80
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    assert {crypto.key for crypto in audio(first.sdp).cryptos()}.isdisjoint(
        crypto.key for crypto in audio(second.sdp).cryptos()
    )


async def test_a_private_phone_hears_prompts_and_is_heard_pressing_keys(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy", security=MUST)
    session = await call.incoming(amy, private=True)
    session.play([house.clip("greeting", 0.3), house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")
    amy.press("5")
    await until(lambda: call.of(Digit) == [Digit(session.id, "5")], "the digit")
    assert call.of(FirstPacket)
    assert (await session.stats()).unauthentic == 0


async def test_tones_of_a_private_phone_are_keys(house: House) -> None:
    call = Call(house)
    amy = house.peer("amy", events=False, security=MUST)
    session = await call.incoming(amy, private=True)
    session.listen_for_digits(True)
    amy.press("73")
    await until(lambda: [digit.key for digit in call.of(Digit)] == ["7", "3"], "the digits")


async def test_a_private_phone_stays_so_through_hold_and_resume(house: House) -> None:
    """The count of its packets goes on: neither side begins anew."""
    call = Call(house)
    amy, bob = house.peer("amy", security=MUST), house.peer("bob")
    first = await call.incoming(amy, private=True)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    keys = audio(first.sdp).cryptos()
    answer = await first.reoffer(amy.hold())
    assert audio(answer).cryptos() == keys
    assert holds(first)
    amy.take_answer(answer)
    await until(lambda: amy.hears is None and bob.hears is None, "silence")
    amy.take_answer(await first.reoffer(amy.resume()))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other again")
    # And so does an offer of ours, as an answer to a re-INVITE without one.
    offer = await first.offer_again()
    assert audio(offer).protocol == "RTP/SAVP"
    await first.set_answer(amy.answer(offer))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other after all that")
    assert (await first.stats()).unauthentic == 0


async def test_a_phone_that_renews_its_key_is_understood(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", security=MUST), house.peer("bob")
    first = await call.incoming(amy, private=True)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    answer = await first.reoffer(amy.says(by_key(amy.offer(), Suite.AES_CM_128_HMAC_SHA1_80)))
    assert audio(answer).cryptos()[0].key == audio(first.sdp).cryptos()[0].key, "ours stays"
    amy.take_answer(answer)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other by new keys")


async def test_a_phone_may_turn_private_and_plain_again(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy, private=True)
    assert first.secure == ""
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    for security in (CAN, None, CAN):
        amy.security = security
        amy.take_answer(await first.reoffer(amy.offer()))
        assert bool(first.secure) is bool(security)
        await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")


async def test_keys_cross_private_signalling_only(house: House) -> None:
    """By UDP or TCP a phone that insists on SRTP is refused, and one that need not is answered plainly."""
    call = Call(house)
    with pytest.raises(NotAcceptable):
        await call.incoming(house.peer("amy", security=MUST))
    session = await call.incoming(house.peer("bob", security=CAN))
    assert (session.secure, audio(session.sdp).cryptos()) == ("", [])
    offering = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, insists=True)
    assert (audio(offering.sdp).protocol, audio(offering.sdp).cryptos()) == ("RTP/AVP", [])
    assert len(house.plane.status().workers) == 1
    offering.release()


async def test_a_phone_that_insists_on_srtp_is_offered_nothing_else_later(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", security=Security(os.urandom, required=True, insists=True)), house.peer("bob")
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, private=True)
    insisting = insisting_on_srtp(SessionDescription.parse(session.sdp))
    assert insisting is not None
    await session.set_answer(amy.answer(insisting.to_bytes()))
    assert session.secure
    await session.bridge(await call.outgoing(bob, beside=session))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
    again = await session.offer_again()
    assert audio(again).protocol == "RTP/SAVP"
    await session.set_answer(amy.answer(again))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other still")


async def test_of_phones_that_ring_together_one_by_open_signalling_is_given_no_key(house: House) -> None:
    """Neither in the offer that both got, nor in anything that it is told later."""
    call = Call(house)
    amy = house.peer("amy", security=CAN)
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, private=True)
    shared = SessionDescription.parse(session.sdp)
    assert shared.media[0].cryptos()
    await session.set_answer(amy.answer(without_keys(shared).to_bytes()), private=False)
    assert session.secure == ""
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")
    again = await session.offer_again()
    assert (audio(again).protocol, audio(again).cryptos()) == ("RTP/AVP", [])
    await session.set_answer(amy.answer(again))
    answer = await session.reoffer(amy.offer())
    assert audio(answer).cryptos() == []
    amy.take_answer(answer)
    amy.security = MUST
    with pytest.raises(NotAcceptable):
        await session.reoffer(by_key(amy.offer(), Suite.AES_CM_128_HMAC_SHA1_80).replace(b"RTP/AVP", b"RTP/SAVP"))


@with_settings(srtp_without_tls=True)
async def test_keys_cross_open_signalling_where_that_is_allowed(house: House) -> None:
    amy = house.peer("amy", security=MUST)
    session = await Call(house).incoming(amy)
    assert session.secure
    session.play([house.clip("menu", 5.0)])
    await until(lambda: amy.hears == "menu", "the menu")


@with_settings(srtp=Srtp.OFF)
async def test_srtp_that_is_off_is_refused_and_never_offered(house: House) -> None:
    call = Call(house)
    with pytest.raises(NotAcceptable):
        await call.incoming(house.peer("amy", security=MUST), private=True)
    session = await call.incoming(house.peer("bob", security=CAN), private=True)
    assert session.secure == ""
    offering = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, private=True)
    assert (audio(offering.sdp).protocol, audio(offering.sdp).cryptos()) == ("RTP/AVP", [])


@with_settings(srtp=Srtp.REQUIRED)
async def test_without_srtp_there_is_no_sound_where_it_is_required(house: House) -> None:
    call = Call(house)
    for private, security in ((True, None), (False, CAN), (False, None), (False, MUST)):
        with pytest.raises(NotAcceptable):
            await call.incoming(house.peer("amy", security=security), private=private)
    with pytest.raises(NotAcceptable):
        await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append)
    assert house.plane.status().sessions == 0
    amy = house.peer("amy", security=CAN)
    session = await call.incoming(amy, private=True)
    assert session.secure
    amy.security = None
    with pytest.raises(NotAcceptable):
        await session.reoffer(amy.offer())
    assert session.secure, "what was agreed on stays in force"
    bob = house.peer("bob", security=CAN)
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, private=True)
    assert audio(second.sdp).protocol == "RTP/SAVP"
    await second.set_answer(bob.answer(second.sdp))
    assert second.secure


@pytest.mark.parametrize("suite", Suite)
async def test_every_suite_carries_sound(house: House, suite: Suite) -> None:
    call = Call(house)
    amy, bob = house.peer("amy", security=MUST), house.peer("bob")
    offer = amy.says(by_key(amy.offer(), suite))
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=offer, private=True)
    amy.take_answer(session.sdp)
    assert session.secure == suite
    await session.bridge(await call.outgoing(bob, beside=session))
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
