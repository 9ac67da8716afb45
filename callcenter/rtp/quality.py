"""Quality: what the counters of a leg come to: how much was lost, and how it sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callcenter.rtp.emodel import G711, IMPAIRMENTS, burst_ratio, mos_of, rating

# Half a second: of fewer packets nothing can be said.
ENOUGH_PACKETS: Final = 25

PACKET_MS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One way of the sound: packets that have arrived, that were lost, in how many runs, and their jitter."""

    arrived: int
    lost: int
    bursts: int = 0
    jitter_ms: float = 0.0

    @property
    def loss(self) -> float:
        """The share of packets that were lost, 0 to 1."""
        return self.lost / (self.arrived + self.lost) if self.lost else 0.0


def score(codec: str, stream: Stream, round_trip_ms: float = 0.0, packet_ms: float = PACKET_MS) -> float:
    """The mean opinion score, 1 to 4.41, by the E-model; 0 when too little has arrived to tell, and too little was due.

    The delay is that of this leg alone: half its round trip, a packet's length, the codec's own, and a jitter buffer as
    phones have one: a packet at least, and twice the jitter (the mean deviation), which takes in nearly all packets.
    """
    if stream.arrived + stream.lost < ENOUGH_PACKETS:
        return 0.0
    impairment = IMPAIRMENTS.get(codec.upper(), G711)
    delay_ms = round_trip_ms / 2 + packet_ms + impairment.delay_ms + max(packet_ms, 2 * stream.jitter_ms)
    bursts = burst_ratio(stream.lost, stream.bursts, stream.arrived + stream.lost)
    # Whole milliseconds are told apart by nobody, and are looked up instead of worked out.
    return round(mos_of(rating(impairment, loss=stream.loss, burst_ratio=bursts, delay_ms=round(delay_ms))), 2)
