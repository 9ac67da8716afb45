"""InfoKeys: keys that we tell a peer by SIP INFO, one after the other, in the body that it understands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callcenter.sip.keys import DTMF, DTMF_RELAY, body_of

# Keys that wait for their turn; more is a mistake, or a peer that answers none.
MOST_WAITING = 64

PAUSE = ","
PAUSE_LASTS = 2.0

# What says that a body of this kind is not understood: 415, and what those answer who know no other word for it.
NOT_UNDERSTOOD = frozenset((400, 405, 415, 488, 501, 606))


class InfoKeys:
    """The keys of one leg. ``send`` sends an INFO: the type of its body, and the body.

    The next key goes when the one before is answered: of two that are on their way together the second may come first,
    and the first would then be refused as too late (RFC 3261 12.2.2).
    """

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        self.asked = False
        """Whether the peer tells its own keys so, and wants ours likewise."""
        self.refused = False
        """Whether it understands no kind of body."""
        self._send = send
        self._kind = DTMF_RELAY
        self._tried = 1
        self._waiting: list[str] = []  # hardly ever any, and an empty deque is 0.7 kB
        self._under_way = ""

    def __repr__(self) -> str:
        return f"<InfoKeys {self._kind}, {len(self._waiting)} wait>"  # which ones may be a secret

    def told(self, content_type: str) -> None:
        """The peer has told a key by this type of body: it understands the same from us."""
        kind = content_type.partition(";")[0].strip().lower()
        if not self.asked and kind in (DTMF, DTMF_RELAY):
            self._kind, self.asked = kind, True

    def press(self, keys: str) -> None:
        """Tell these, behind those that wait; a comma is a pause of two seconds."""
        self._waiting.extend(keys[: MOST_WAITING - len(self._waiting)])
        self._go_on()

    def answered(self, status: int) -> None:
        """The key that is under way has its answer, or never gets one."""
        key, self._under_way = self._under_way, ""
        if key and status in NOT_UNDERSTOOD and not self.asked:
            if self._tried == 1:
                self._kind, self._tried = DTMF, 2
                self._waiting.insert(0, key)
            else:
                self.refused = True
                self._waiting.clear()
        self._go_on()

    def close(self) -> None:
        """The call is over: nothing is sent any more, and nobody is held. May be called twice."""
        self._waiting.clear()
        self._send = _nothing

    def _go_on(self) -> None:
        if self._under_way or not self._waiting:
            return
        key = self._under_way = self._waiting.pop(0)
        if key == PAUSE:
            asyncio.get_running_loop().call_later(PAUSE_LASTS, self._paused)
        else:
            self._send(self._kind, body_of(key, self._kind))

    def _paused(self) -> None:
        self._under_way = ""
        self._go_on()


def _nothing(_: str, __: bytes) -> None:
    """Nobody is there to be told."""
