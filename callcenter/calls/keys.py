"""Keys in a talk: what one side presses reaches the other in the way that the other understands.

Events to events pass through the plane packet by packet, and tones to tones are sound. All else is pressed anew: INFO
to events or tones, events to tones or INFO, tones to events or INFO.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from callcenter.calls.circle import Circle
from callcenter.calls.party import Party

# A phone that tells a key twice, by INFO and in the sound, does so within this many seconds. What comes in the sound
# goes on by itself, so that an INFO that came first waits for it.
BOTH_WAYS = 0.3


@contextmanager
def keys_cross(one: Party, other: Party, circle: Circle) -> Iterator[None]:
    """While the block lasts, what each presses reaches the other; not what is a secret.

    ``circle``: whom either hears besides.
    """
    ways = (_Way(one, other, circle), _Way(other, one, circle))
    try:
        yield
    finally:
        for way in ways:
            way.close()


class _Way:
    """From one side to the other."""

    def __init__(self, source: Party, target: Party, circle: Circle) -> None:
        self._circle = circle
        self._source = source
        self._target = target
        # INFOs that wait for the same key in the sound, the oldest first.
        self._waiting: list[tuple[str, asyncio.TimerHandle]] = []
        # Whether this side's INFOs have turned out to be the only way.
        self._info_alone = False
        source.on_key = self._pressed
        source.sound.listen_for_digits(True)

    def close(self) -> None:
        """Pass nothing on any more."""
        self._source.on_key = None
        self._source.sound.listen_for_digits(False)
        for _, timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
        # What was pressed in a talk was for who was there.
        self._source.sound.forget_keys()

    def _pressed(self, key: str, by_info: bool, again: bool) -> None:
        if again:
            # It came in the sound after all.
            self._take_back(key)
        elif self._source.sound.masking:
            return
        elif not by_info:
            self._info_alone = False
            if not self._passes_by_itself():
                self._target.send_digits(key)
        elif self._waiting or (self._passes_by_itself() and not self._info_alone):
            # None overtakes another.
            timer = asyncio.get_running_loop().call_later(BOTH_WAYS, self._came_alone, key)
            self._waiting.append((key, timer))
        else:
            self._target.send_digits(key)

    def _passes_by_itself(self) -> bool:
        """Whether what this side presses in the sound is heard by the other as it is."""
        if self._target.keys_by_info:
            return False
        source, target = self._source.sound.session, self._target.sound.session
        # In a mix of several there are no events, but tones are heard.
        return source.events == target.events and not (source.events and self._circle.mixes_for(target))

    def _came_alone(self, key: str) -> None:
        self._waiting.pop(0)  # each waits as long as the others
        self._info_alone = True
        self._target.send_digits(key)

    def _take_back(self, key: str) -> None:
        for each in self._waiting:
            if each[0] == key:
                self._waiting.remove(each)
                each[1].cancel()
                return
