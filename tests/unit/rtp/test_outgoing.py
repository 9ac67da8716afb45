"""One stream towards the peer, whatever feeds it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.dtmf import press
from callcenter.rtp.g711 import ULAW_TO_ALAW
from callcenter.rtp.outgoing import Outgoing
from callcenter.rtp.packet import HEADER, Packet, sequence_step, timestamp_step

SOUND = bytes(range(160))


def source(sequence: int, timestamp: int, *, ssrc: int = 9, payload: bytes = SOUND, payload_type: int = 0) -> bytes:
    return Packet(payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload).to_bytes()


def relay(outgoing: Outgoing, feed: object, data: bytes, now: float, *, event: bool = False) -> Packet:
    packet = passed_on(outgoing, feed, data, 101 if event else 0, None, event, now)
    assert packet is not None
    return Packet.parse(packet)


def passed_on(
    outgoing: Outgoing, feed: object, data: bytes, payload_type: int, table: bytes | None, event: bool, now: float
) -> bytes | None:
    """What is sent of a packet that lies at the beginning of a larger buffer; None when it is not sent."""
    buffer = bytearray(data + b"of an earlier one")
    if not outgoing.relay(feed, buffer, len(data), HEADER.unpack_from(data), payload_type, table, event, now):
        return None
    assert buffer[len(data) :] == b"of an earlier one"
    return bytes(buffer[: len(data)])


def frame(outgoing: Outgoing, feed: object, now: float) -> Packet:
    return Packet.parse(outgoing.frame(feed, 0, SOUND, now))


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.tuples(st.sampled_from(["play", "amy", "bob"]), st.integers(1, 5)), min_size=1, max_size=12),
)
def test_the_peer_hears_one_stream(sequence: int, timestamp: int, turns: list[tuple[str, int]]) -> None:
    """Numbers go up by one, times by the time that passed; the marker tells each change."""
    outgoing = Outgoing(1, sequence, timestamp)
    heard: list[Packet] = []
    now, before, clock = 100.0, "", 0
    theirs = {"amy": (65000, 4294960000, "amy"), "bob": (5, 1000, "bob")}
    for feed, count in turns:
        for _ in range(count):
            if feed == "play":
                packet = frame(outgoing, "play", now)
            else:
                first, start, token = theirs[feed]
                theirs[feed] = (first + 1, start, token)
                packet = relay(outgoing, token, source(first, start + clock), now)
            assert packet.marker == (feed != before)
            before = feed
            heard.append(packet)
            now += 0.02
            clock += 160
        for name in ("amy", "bob"):  # what is not passed on is spoken all the same
            if name != feed:
                theirs[name] = (theirs[name][0] + count, theirs[name][1], theirs[name][2])
    for earlier, later in pairwise(heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) == 160
        assert later.ssrc == 1
    assert (outgoing.packets, outgoing.octets) == (len(heard), 160 * len(heard))


def test_losses_and_order_of_a_feed_stay_as_they_are() -> None:
    outgoing = Outgoing(1, 100, 0)
    numbers = [relay(outgoing, "amy", source(each, 160 * each), each / 50).sequence for each in (7, 8, 11, 10, 12)]
    assert numbers == [101, 102, 105, 104, 106]


def test_late_packets_from_before_a_change_are_left_out() -> None:
    outgoing = Outgoing(1, 100, 0)
    relay(outgoing, "amy", source(50, 0), 1.0)
    frame(outgoing, "play", 1.02)
    assert relay(outgoing, "amy", source(53, 480), 1.06).sequence == 103
    assert passed_on(outgoing, "amy", source(52, 320), 0, None, False, 1.061) is None
    assert outgoing.packets == 3


def test_long_after_a_change_late_packets_are_passed_on() -> None:
    outgoing = Outgoing(1, 0, 0)
    for number in range(40_000):
        relay(outgoing, "amy", source(number, 160 * number), number / 50)
    passed_on(outgoing, "amy", source(40_001, 0), 0, None, False, 800.0)
    assert passed_on(outgoing, "amy", source(40_000, 0), 0, None, False, 800.0) is not None


def test_long_on_the_short_way_late_packets_are_still_passed_on() -> None:
    outgoing = Outgoing(1, 0, 0)
    relay(outgoing, "amy", source(0, 0), 0.0)
    for number in range(1, 40_001):
        outgoing.go_on(bytearray(source(number, 160 * number)), number, 160 * number, number / 50)
    passed_on(outgoing, "amy", source(40_002, 0), 0, None, False, 800.0)
    assert passed_on(outgoing, "amy", source(40_001, 0), 0, None, False, 800.0) is not None


def test_a_feed_that_numbers_anew_goes_on_without_a_gap() -> None:
    outgoing = Outgoing(1, 100, 0)
    first = relay(outgoing, "amy", source(50, 0), 1.0)
    second = relay(outgoing, "amy", source(20_000, 123_456_789), 1.02)
    assert (second.sequence - first.sequence, second.timestamp - first.timestamp) == (1, 160)


def test_what_is_left_out_is_no_loss_to_the_peer() -> None:
    outgoing = Outgoing(1, 100, 0)
    relay(outgoing, "amy", source(50, 0), 1.0)
    outgoing.omit("amy")
    outgoing.omit("bob")
    assert relay(outgoing, "amy", source(52, 320), 1.04).sequence == 102


def test_an_event_keeps_its_time_and_the_sound_after_it_too() -> None:
    outgoing = Outgoing(1, 100, 1000)
    start = relay(outgoing, "amy", source(50, 0), 1.0).timestamp
    events = [relay(outgoing, "amy", source(51 + each, 160, payload_type=101), 1.02, event=True) for each in range(5)]
    assert {event.timestamp - start for event in events} == {160}
    assert {event.payload_type for event in events} == {101}
    assert frame(outgoing, "play", 1.12).timestamp - start == 960


def test_a_translated_packet_keeps_its_odd_header() -> None:
    outgoing = Outgoing(1, 100, 0)
    plain = source(5, 6)
    odd = bytes([0x80 | 0x20 | 0x10 | 1]) + plain[1:12] + b"CSRC" + b"\xbe\xde\x00\x01EXTN" + SOUND + b"\0\0\3"
    packet = passed_on(outgoing, "amy", odd, 8, ULAW_TO_ALAW, False, 1.0)
    assert packet is not None
    assert packet[12:24] == odd[12:24]
    assert packet[-3:] == b"\0\0\3"
    assert Packet.parse(packet).payload == SOUND.translate(ULAW_TO_ALAW)


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.lists(st.sampled_from(["next", "next", "next", "lost", "omitted", "frame"]), min_size=5, max_size=60),
)
def test_the_short_way_does_what_the_long_one_does(first: int, sequence: int, turns: list[str]) -> None:
    """A next packet goes on the short way, all others on the long: the peer sees no difference."""
    short, long = Outgoing(1, first, 5), Outgoing(1, first, 5)
    now, usual = 10.0, False
    for turn in turns:
        sequence = (sequence + (3 if turn == "lost" else 1)) & 0xFFFF
        now += 0.02
        data = source(sequence, 160 * sequence)
        if turn == "omitted":
            short.omit("amy")
            long.omit("amy")
        elif turn == "frame":
            assert frame(short, "play", now) == frame(long, "play", now)
            usual = False
        else:
            expected = passed_on(long, "amy", data, 8, None, False, now)
            if usual and turn == "next":
                packet = bytearray(data)
                short.go_on(packet, sequence, 160 * sequence & 0xFFFFFFFF, now)
                assert bytes(packet) == expected
            else:
                assert passed_on(short, "amy", data, 8, None, False, now) == expected
            usual = True
    assert (short.packets, short.octets, short.sequence) == (long.packets, long.octets, long.sequence)
    assert short.timestamp_at(now + 1) == long.timestamp_at(now + 1)


def test_keys_of_our_own_have_the_time_at_which_they_are_pressed() -> None:
    """Also where nothing was sent before but the events of another: a receiver takes what is earlier for late."""
    outgoing = Outgoing(1, 65530, 4294960000)
    first = relay(outgoing, "bob", source(5, 1000, payload=b"\x01\x0a\x00\xa0", payload_type=101), 100.0, event=True)
    started = outgoing.begin_event(102.0)
    assert timestamp_step(started, first.timestamp) == 16_000
    pressed = [
        Packet.parse(outgoing.event("us", 96, packet, started + packet.offset)) for packet in press("5", 480, 160)
    ]
    assert [packet.marker for packet in pressed] == [True, False, False, False, False]
    assert {packet.timestamp for packet in pressed} == {started}
    assert {packet.payload_type for packet in pressed} == {96}
    after = relay(outgoing, "bob", source(9, 17_800), 102.2)
    assert [sequence_step(b.sequence, a.sequence) for a, b in pairwise([first, *pressed, after])] == [1] * 6
    assert timestamp_step(after.timestamp, started) == 1600
    assert outgoing.packets == 7
