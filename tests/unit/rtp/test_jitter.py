"""Whatever the network does to the packets, sound leaves evenly, in its order, and late by as little as may be."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.rtp.jitter import MOST_WAIT, JitterBuffer

RATE = 8000
NOTHING = 0


class Plain:
    """Decodes samples that are the number of their packet; what stands in for one is nothing."""

    def decode(self, payload: bytes) -> bytes:
        return payload

    def conceal(self, samples: int) -> bytes:
        return bytes(2 * samples)


@dataclass
class Line:
    """A sender of packets, a network, and somebody who pulls each 20 ms. Times in milliseconds."""

    ptime: float = 20
    first_sequence: int = 65_000
    first_timestamp: int = 4_294_900_000
    phase: float = 7.0
    sent: list[tuple[float, int, int, int]] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """How long what is heard has been under way, at each pull that brought sound."""

    def send(self, number: int, at: float, *, delay: float = 0.0, clock: float | None = None) -> None:
        """Packet ``number`` is sent at ``at``, and comes so much later; its timestamp is ``clock``."""
        timestamp = round((at if clock is None else clock) * RATE / 1000)
        self.sent.append((at + delay, number, self.first_timestamp + timestamp, round(self.ptime * RATE / 1000)))

    def run(self, until: float, pull: float = 20) -> None:
        buffer, decoder = JitterBuffer(RATE, RATE), Plain()
        arrivals = sorted(self.sent, key=lambda each: each[0])
        began = {number: at for at, number, _, _ in reversed(arrivals)}
        now = self.phase
        while now < until:
            while arrivals and arrivals[0][0] <= now:
                at, number, timestamp, size = arrivals.pop(0)
                payload = array("h", [number + 1] * size).tobytes()
                sequence = (self.first_sequence + number) & 0xFFFF
                buffer.put(sequence, timestamp & 0xFFFFFFFF, payload, decoder, at / 1000)
            sound = list(array("h", buffer.pull(round(pull * RATE / 1000), now / 1000)))
            self.heard += sound
            if sound and sound[0] and len(set(sound[:40])) == 1:  # not while one packet goes over into another
                self.delays.append(now - began[sound[0] - 1])
            now += pull

    @property
    def runs(self) -> list[tuple[int, float]]:
        """What was heard, packet by packet, and for how many milliseconds."""
        return [(each, len(list(group)) * 1000 / RATE) for each, group in groupby(self.heard)]

    @property
    def numbers(self) -> list[int]:
        return [each - 1 for each, _ in self.runs if each != NOTHING]


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("pull", [10, 20, 30])
def test_what_comes_evenly_leaves_evenly(ptime: int, pull: int) -> None:
    line = Line(ptime)
    for number in range(3000 // ptime):
        line.send(number, number * ptime)
    line.run(3000, pull)
    whole = [(number + 1, ptime) for number in range(3000 // ptime)]
    sound = [each for each in line.runs if each[0] != NOTHING]
    assert sound[:-2] == whole[: len(sound) - 2]
    assert len(sound) >= len(whole) - 2
    assert line.heard[: 2500 * 8].count(NOTHING) <= 8 * pull, "silence at the beginning alone"


def test_what_is_lost_is_replaced_for_as_long_as_it_would_have_lasted() -> None:
    line = Line(phase=15)
    for number in range(100):
        if number not in (30, 50, 51):
            line.send(number, number * 20)
    line.run(1900)
    runs = [each for each in line.runs if 20 < each[0] < 90 or each[0] == NOTHING]
    assert [ms for each, ms in runs if each == NOTHING] == [20, 40]
    assert all(ms == 20 for each, ms in runs if each != NOTHING)


def test_packets_that_overtake_each_other_are_put_in_order_once_it_has_learnt_to_wait() -> None:
    line = Line()
    for number in range(500):
        line.send(number, number * 20, delay=25 if number % 10 == 3 else 0)
    line.run(9900)
    later = [number for number in line.numbers if 100 <= number < 480]
    assert later == list(range(100, 480))


def test_after_a_stall_nothing_is_left_out_and_the_wait_gets_short_again() -> None:
    line = Line()
    for number in range(2000):
        stalled = 150 - (number - 100) * 20 if 100 <= number < 108 else 0
        line.send(number, number * 20, delay=max(0, stalled))
    line.run(39_900)
    assert [number for number in line.numbers if 90 <= number < 130] == list(range(90, 130))
    assert max(line.delays[100:140]) > 100
    assert max(line.delays[-200:]) < 50


@pytest.mark.parametrize("drift", [-0.002, 0.002])
def test_clocks_may_drift_apart(drift: float) -> None:
    """A minute at 2000 ppm, far more than any clock's: 120 ms too many or too few, six packets."""
    line = Line()
    for number in range(3000):
        line.send(number, number * 20 * (1 + drift), clock=number * 20)
    line.run(59_800)
    assert max(line.delays[100:]) < 70
    assert len([ms for each, ms in line.runs[5:] if each == NOTHING]) <= 8
    assert len(set(range(20, 2900)) - set(line.numbers)) <= 8


def test_silence_lasts_as_long_as_it_did() -> None:
    """A peer with voice activity detection sends nothing for a while: the timestamp goes on, the number does not."""
    line = Line(phase=1)
    for number in range(300):
        line.send(number, number * 20 + 1000 * (number // 50), delay=25 if number % 7 == 6 and number < 50 else 0)
    line.run(12_000)
    gaps = [(at, ms) for at, (each, ms) in enumerate(line.runs) if each == NOTHING and ms > 100]
    # After 0.3 s nothing is given out at all, so silence is heard no longer than until then; the last is the end.
    assert len(gaps) == 6
    assert len(set(range(61, 300)) - set(line.numbers)) <= 2, "where the wait was made shorter"
    assert max(line.delays[60:]) - min(line.delays[60:]) <= 20


def test_short_silence_is_kept_to_the_millisecond() -> None:
    line = Line(phase=15)
    for number in range(100):
        line.send(number, number * 20 + (200 if number >= 40 else 0))
    line.run(2100)
    assert [ms for each, ms in line.runs[1:-1] if each == NOTHING] == [200]


def test_a_stream_that_comes_after_long_silence_is_heard_at_once() -> None:
    line = Line()
    for number in range(50):
        line.send(number, number * 20)
    for number in range(50, 100):
        # Its clock stood still meanwhile.
        line.send(number, number * 20 + 5000, clock=number * 20)
    line.run(7500)
    assert set(range(98)) <= set(line.numbers)
    assert max(line.delays) < 60


def test_a_sender_that_counts_anew_is_heard_on() -> None:
    line = Line()
    for number in range(50):
        line.send(number, number * 20)
    for number in range(20_000, 20_050):
        line.send(number, (number - 19_950) * 20, clock=(number - 3000) * 20)
    line.run(1950)
    assert {number for number in line.numbers if number > 19_000} >= set(range(20_002, 20_045))


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.booleans() | st.just(True) | st.just(True), st.integers(0, 120), st.integers(1, 3)),
        min_size=5,
        max_size=80,
    ),
    st.sampled_from([10, 20, 30, 60]),
    st.sampled_from([10, 20, 60]),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
)
def test_nothing_is_heard_twice_or_out_of_order(
    fates: list[tuple[bool, int, int]], ptime: int, pull: int, sequence: int, timestamp: int
) -> None:
    """Whatever is lost, late, overtaken or doubled."""
    line = Line(ptime, sequence, timestamp)
    for number, (comes, delay, copies) in enumerate(fates):
        for copy in range(copies if comes else 0):
            line.send(number, number * ptime, delay=delay + 15 * copy)
    end = len(fates) * ptime + 1000
    line.run(end, pull)
    heard = [each for each in line.runs if each[0] != NOTHING]
    numbers = [number for number, _ in heard]
    assert numbers == sorted(set(numbers))
    assert all(ms <= ptime for _, ms in heard)
    came = {number for number, (comes, _, _) in enumerate(fates) if comes}
    assert {number - 1 for number in numbers} <= came
    if came:
        assert numbers[-1] == max(came) + 1, "the last is heard in any case"


@given(st.lists(st.integers(0, 50), min_size=200, max_size=200))
@settings(max_examples=25)
def test_the_wait_is_bounded_by_what_the_network_needs(jitter: list[int]) -> None:
    line = Line()
    for number, delay in enumerate(jitter):
        line.send(number, number * 20, delay=delay)
    line.run(4000)
    assert max(line.delays) <= 50 + 70
    assert max(line.delays) < 1000 * MOST_WAIT
