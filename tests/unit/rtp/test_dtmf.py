"""Telephone events: once per press, whatever the network does to the packets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.rtp.dtmf import ENDS, KEYS, EventPacket, EventReceiver, event_payload
from callcenter.rtp.dtmf import press as our_press

START = 0xFFFFFF00


def press(key: str, timestamp: int, *, updates: int = 4, ends: int = 3) -> list[tuple[bytes, int, bool]]:
    """The packets of a press: payload, timestamp, marker."""
    packets = [(event_payload(key, 160 * (step + 1)), timestamp, step == 0) for step in range(updates)]
    end = (event_payload(key, 160 * (updates + 1), end=True), timestamp, False)
    return packets + [end] * ends


def keys(receiver: EventReceiver, packets: list[tuple[bytes, int, bool]]) -> str:
    return "".join(receiver.receive(*packet) or "" for packet in packets)


def test_every_key_is_told_once() -> None:
    receiver = EventReceiver()
    packets = [packet for index, key in enumerate(KEYS) for packet in press(key, START + 2000 * index & 0xFFFFFFFF)]
    assert keys(receiver, packets) == KEYS


def test_the_same_key_twice_is_two_presses() -> None:
    assert keys(EventReceiver(), press("5", START) + press("5", (START + 2000) & 0xFFFFFFFF)) == "55"


@given(st.data())
def test_lost_repeated_and_swapped_packets_change_nothing(data: st.DataObject) -> None:
    """Of each press any packets but one may be lost, any repeated, neighbours swapped."""
    pressed = data.draw(st.text(KEYS, min_size=1, max_size=6))
    receiver, told = EventReceiver(), ""
    for index, key in enumerate(pressed):
        packets = press(key, (START + 2000 * index) & 0xFFFFFFFF)
        kept = data.draw(st.lists(st.sampled_from(packets), min_size=1, max_size=12))
        told += keys(receiver, kept)
    assert told == pressed


def test_late_packets_of_the_press_before_tell_nothing() -> None:
    receiver = EventReceiver()
    first, second = press("1", START), press("2", START + 160)
    assert keys(receiver, [*first[:3], *second[:2], *first[3:], *second[2:]]) == "12"


def test_a_long_press_in_segments_is_one_press() -> None:
    receiver = EventReceiver()
    packets = [
        (event_payload("7", 0xFFFF - 160), 1000, True),
        (event_payload("7", 0xFFFF), 1000, False),
        (event_payload("7", 160), 1000 + 0xFFFF, False),
        (event_payload("7", 320, end=True), 1000 + 0xFFFF, False),
    ]
    assert keys(receiver, packets) == "7"


def test_a_gateway_that_moves_the_timestamp_along_presses_once() -> None:
    receiver = EventReceiver()
    packets = [(event_payload("7", 160 * step), 1000 + 160 * step, step == 1) for step in range(1, 8)]
    assert keys(receiver, packets) == "7"


def test_what_is_no_key_or_no_event_is_not_told() -> None:
    receiver = EventReceiver()
    assert receiver.receive(b"\x10\x0a\x00\xa0", 1000, True) is None  # flash
    assert receiver.begun == 1
    assert receiver.receive(b"\x01\x0a\x00", 2000, True) is None
    assert receiver.receive(b"", 2000, True) is None
    with pytest.raises(ValueError):
        event_payload("x", 160)


def sent(
    pressed: str, rate: int, *, seconds: float = 0.1, pause: float = 0.1, at: int = START
) -> list[list[EventPacket]]:
    """The packets of what we press one after the other, with their timestamps."""
    step, duration = rate // 50, round(seconds * rate)
    each = duration + round(pause * rate)
    return [
        [
            packet._replace(offset=(at + each * index + packet.offset) & 0xFFFFFFFF)
            for packet in our_press(key, duration, step)
        ]
        for index, key in enumerate(pressed)
    ]


@settings(max_examples=50)
@pytest.mark.parametrize("rate", [8000, 48000])
@given(st.data())
def test_what_we_press_is_told_once_whatever_is_lost_late_or_doubled(rate: int, data: st.DataObject) -> None:
    """Also when of one press the start, the end, or all but one packet is lost, and the same key follows."""
    pressed = data.draw(st.text("115#", min_size=1, max_size=8))
    receiver, told = EventReceiver(rate), ""
    for packets in sent(pressed, rate):
        first = data.draw(st.integers(0, len(packets) - 1))
        last = data.draw(st.integers(first, len(packets) - 1))
        kept = packets[first : last + 1]
        kept += data.draw(st.lists(st.sampled_from(kept), max_size=3))
        told += keys(receiver, data.draw(st.permutations(kept)))
    assert told == pressed


@settings(max_examples=40)
@pytest.mark.parametrize("rate", [8000, 48000])
@given(lost=st.sets(st.integers(0, 999), max_size=990), seconds=st.floats(1.0, 18.0))
def test_a_press_of_many_segments_is_one_press(rate: int, lost: set[int], seconds: float) -> None:
    """At 48 kHz every press longer than 1.4 s is cut; whole segments may be lost."""
    [packets] = sent("7", rate, seconds=seconds)
    kept = [packet for number, packet in enumerate(packets) if number not in lost]
    assert keys(EventReceiver(rate), list(kept)) == "7" * bool(kept)


def test_a_press_is_sent_as_the_rfc_says() -> None:
    """The marker on the first, one timestamp, a growing duration, the end three times; the volume asked for."""
    packets = list(our_press("5", 800, 160, volume=12))
    assert [packet.payload[2:] for packet in packets] == [
        (160 * step).to_bytes(2, "big") for step in (1, 2, 3, 4, 5, 5, 5)
    ]
    assert [packet.marker for packet in packets] == [True] + 6 * [False]
    assert [packet.payload[1] for packet in packets] == 4 * [12] + ENDS * [0x80 | 12]
    assert {packet.offset for packet in packets} == {0}
    assert {packet.payload[0] for packet in packets} == {5}


def test_segments_of_a_long_press_follow_each_other_without_a_gap() -> None:
    """The last of a segment fills the field for the duration, and only the very last one ends the press (2.5.1.3)."""
    packets = list(our_press("9", 2 * 0xFFFF + 1000, 960))
    bases = sorted({packet.offset for packet in packets})
    assert bases == [0, 0xFFFF, 2 * 0xFFFF]
    for base in bases[:2]:
        durations = [int.from_bytes(packet.payload[2:], "big") for packet in packets if packet.offset == base]
        assert durations == sorted(durations)
        assert durations[-1] == 0xFFFF
    ends = [packet for packet in packets if packet.payload[1] & 0x80]
    assert ends == packets[-ENDS:]
    assert ends[0].payload[2:] == (1000).to_bytes(2, "big")
    assert [packet.marker for packet in packets].count(True) == 1


def test_a_press_that_ends_on_the_edge_of_a_segment_ends_once() -> None:
    packets = list(our_press("9", 0xFFFF, 160))
    assert [packet.payload[1] >> 7 for packet in packets[-ENDS - 1 :]] == [0, 1, 1, 1]
    assert packets[-1].payload[2:] == b"\xff\xff"


def test_a_key_held_for_long_and_pressed_again_is_two_presses() -> None:
    """Although the ends of the first are lost, and the second begins where a segment might."""
    receiver = EventReceiver()
    first = [packet for packet in our_press("1", 1600, 160) if not packet.payload[1] & 0x80]
    second = [packet._replace(offset=1600 + 800) for packet in our_press("1", 800, 160)]
    assert keys(receiver, [*first, *second]) == "11"
    assert keys(EventReceiver(), [*first, *second[1:]]) == "11"
