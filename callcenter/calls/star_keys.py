"""StarKeys: what an agent presses in a talk: from a star on it is a code, obeyed as if it had been dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from callcenter.calls.party import Party
from callcenter.calls.settings import WITH_TARGET, FeatureCode

# Seconds from key to key; who takes longer has not meant a code.
PAUSE = 5.0


class StarKeys:
    """Reads the keys of one party while it talks. Behind a code that is about somebody they are ended by a hash: in
    ``*80206#`` it is 206.

    The other side hears them too, as it hears all keys that are pressed in a talk. A phone that tells keys as tones in
    the voice is not understood: the voice itself would be taken for keys.
    """

    def __init__(
        self, party: Party, codes: Callable[[], Mapping[str, FeatureCode]], obey: Callable[[str], None]
    ) -> None:
        self._party = party
        self._codes = codes
        self._obey = obey
        self._keys = ""
        self._at = 0.0
        self.attach()

    def attach(self) -> None:
        """Read the keys of the phone by which the party talks now."""
        self._party.sound.forget_keys()
        self._party.sound.on_change = self._look

    def close(self) -> None:
        """Read no more."""
        self._party.sound.on_change = None
        self._party.sound.forget_keys()

    def _look(self) -> None:
        while (key := self._party.sound.take_key()) is not None:
            self._take(key)

    def _take(self, key: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._at > PAUSE:
            self._keys = ""
        self._at = now
        self._keys += key
        if not self._may_be_code():
            self._keys = key
        if not self._may_be_code():
            self._keys = ""
        elif self._is_whole():
            keys, self._keys = self._keys, ""
            self._obey(keys)

    def _may_be_code(self) -> bool:
        codes = self._codes()
        begun = any(code.startswith(self._keys) for code in codes)
        about = any(self._keys.startswith(code) for code, meant in codes.items() if meant.action in WITH_TARGET)
        return self._keys.startswith("*") and (begun or about)

    def _is_whole(self) -> bool:
        codes = self._codes()
        exact = codes.get(self._keys)
        return (exact is not None and exact.action not in WITH_TARGET) or self._keys.endswith("#")
