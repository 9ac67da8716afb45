"""Keys: what the peer of one leg presses, told once a press, however it comes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from callcenter.media.embedded.control import DIGIT
from callcenter.rtp.dtmf import EventReceiver
from callcenter.rtp.g711 import SAMPLE_RATE
from callcenter.rtp.tones import ToneReceiver

if TYPE_CHECKING:
    from callcenter.media.embedded.ear import Ear, House

# Seconds for which a secret goes on after its end, and after the last sign of a key: a press is known when it begins.
AFTERWARDS: Final = 0.5

PRESSED_ANEW: Final = (0.1, 0.06)
"""Seconds of a key that we press for somebody else, and of the pause behind it."""


class Keys:
    """The keys of the leg ``number``: telephone events, and tones in the sound while these are wanted."""

    __slots__ = ("_events", "_events_of", "_house", "_masked_until", "_number", "_pressed_for", "clocks", "tones")

    def __init__(self, number: int, house: House) -> None:
        self._number = number
        self._house = house
        self._events = EventReceiver()
        self._events_of = -1
        self.clocks = (SAMPLE_RATE, SAMPLE_RATE)
        """Units a second of the durations of the peer's events, and of their timestamps."""
        # When what is pressed is no secret any more; None: it is none.
        self._masked_until: float | None = None
        self._pressed_for: tuple[Ear, ...] = ()
        self.tones: ToneReceiver | None = None
        """Looks for keys in the sound; None: it is not looked at."""

    def restart(self) -> None:
        """The peer begins a new stream of sound. Its keys may have one of their own, which goes on."""
        if self.tones is not None:
            self.tones = ToneReceiver()

    def listen(self, on: bool) -> None:
        """Whether tones in the peer's sound are keys."""
        self.tones = ToneReceiver() if on else None

    def mask(self, on: bool, now: float) -> None:
        """Whether what the peer presses is a secret from now on."""
        if on:
            self._masked_until = math.inf
        elif self._masked_until == math.inf:
            self._masked_until = now + AFTERWARDS

    def masks(self, now: float) -> bool:
        """Whether it is one: what comes reaches nobody else. So it does for a while after the last key."""
        if self._masked_until is not None and now >= self._masked_until:
            self._masked_until = None
        return self._masked_until is not None

    def sound(self, payload: bytes, codec: str, sequence: int, timestamp: int, now: float) -> None:
        """A packet of sound, while tones are wanted."""
        assert self.tones is not None, "nobody wants tones"
        for key in self.tones.receive(payload, codec, sequence, timestamp):
            self._house.report([DIGIT, self._number, key])
        if self.tones.held:
            self._still_held(now)

    def event(
        self, ssrc: int, payload: bytes, timestamp: int, marker: bool, heard_by: tuple[Ear, ...], now: float
    ) -> tuple[Ear, ...]:
        """Tell a press, once; returns who is to get this packet: not the rest of a press that began before they heard
        the leg, and nobody gets what is a secret.

        Who counts time otherwise than this leg, to whom the packet would say something else, is pressed the key anew.
        """
        begun = self._begun(ssrc, payload, timestamp, marker, heard_by, now)
        relayed = []
        for ear in heard_by:
            if ear not in self._pressed_for:
                continue
            if ear.event_clocks == self.clocks and not ear.mixes:
                relayed.append(ear)
            elif begun:
                self._press_anew(ear)
        return tuple(relayed)

    def apart(
        self, ssrc: int, payload: bytes, timestamp: int, marker: bool, heard_by: tuple[Ear, ...], now: float
    ) -> None:
        """A packet of an event whose stream is not that of the sound, as some gateways send it. Its numbers are of no
        use to who hears the sound: they are pressed the key anew.
        """
        if self._begun(ssrc, payload, timestamp, marker, heard_by, now):
            for ear in self._pressed_for:
                self._press_anew(ear)

    def _begun(
        self, ssrc: int, payload: bytes, timestamp: int, marker: bool, heard_by: tuple[Ear, ...], now: float
    ) -> bool:
        """Tell the owner; whether a press begins with this packet."""
        if ssrc != self._events_of:
            self._events_of, self._events = ssrc, EventReceiver(self.clocks[1] or SAMPLE_RATE)
        if self.masks(now):
            self._still_held(now)
            heard_by = ()
        before = self._events.begun
        key = self._events.receive(payload, timestamp, marker)
        if key is not None:
            self._house.report([DIGIT, self._number, key])
        if self._events.begun == before:
            return False
        self._pressed_for = heard_by
        return True

    def _press_anew(self, ear: Ear) -> None:
        # Of several at once no events are made, nor for who takes none: that is for the owner to bring about.
        if self._events.key and len(ear.sources) == 1 and ear.event_clocks != (0, 0):
            ear.press(self._events.key, *PRESSED_ANEW)

    def _still_held(self, now: float) -> None:
        # The key that made an entry whole may be held for long.
        if self._masked_until is not None and self._masked_until != math.inf:
            self._masked_until = now + AFTERWARDS
