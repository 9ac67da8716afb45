"""Keys: what the peer of one leg presses, told once a press, however it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.media.embedded.control import DIGIT
from callcenter.rtp.dtmf import EventReceiver
from callcenter.rtp.tones import ToneReceiver

if TYPE_CHECKING:
    from callcenter.media.embedded.ear import Ear, House


class Keys:
    """The keys of the leg ``number``: telephone events, and tones in the sound while these are wanted."""

    __slots__ = ("_events", "_house", "_number", "_pressed_for", "tones")

    def __init__(self, number: int, house: House) -> None:
        self._number = number
        self._house = house
        self._events = EventReceiver()
        self._pressed_for: tuple[Ear, ...] = ()
        self.tones: ToneReceiver | None = None
        """Looks for keys in the sound; None: it is not looked at."""

    def restart(self) -> None:
        """The peer begins a new stream."""
        self._events = EventReceiver()
        if self.tones is not None:
            self.tones = ToneReceiver()

    def listen(self, on: bool) -> None:
        """Whether tones in the peer's sound are keys."""
        self.tones = ToneReceiver() if on else None

    def sound(self, payload: bytes, codec: str, sequence: int, timestamp: int) -> None:
        """A packet of sound, while tones are wanted."""
        assert self.tones is not None, "nobody wants tones"
        for key in self.tones.receive(payload, codec, sequence, timestamp):
            self._house.report([DIGIT, self._number, key])

    def event(self, payload: bytes, timestamp: int, marker: bool, heard_by: tuple[Ear, ...]) -> tuple[Ear, ...]:
        """Tell a press, once; returns who is to get this packet: not the rest of a press that began before they heard
        the leg.
        """
        before = self._events.begun
        key = self._events.receive(payload, timestamp, marker)
        if key is not None:
            self._house.report([DIGIT, self._number, key])
        if self._events.begun != before:
            self._pressed_for = heard_by
        if heard_by == self._pressed_for:
            return heard_by
        return tuple(ear for ear in heard_by if ear in self._pressed_for)
