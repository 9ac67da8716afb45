"""Telephone events: once per press, whatever the network does to the packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.dtmf import KEYS, EventReceiver, event_payload

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
