"""Payload types of one session: no number changes its meaning as long as the session lasts (RFC 3264 8.3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from callcenter.sip.sdp import Codec, Encoding, SessionDescription

# Where numbers are free to be given a meaning (RFC 3551 6); when all are taken, those that nobody was ever given. Not
# 64 to 95: they look like reports where RTP and RTCP share a port (RFC 5761 4).
_FREE: Final = (range(96, 128), range(35, 64))


class PayloadTypes:
    """Which number means which encoding: what was said first stays."""

    __slots__ = ("_meanings",)

    def __init__(self) -> None:
        self._meanings: dict[int, Encoding] = {}

    def learn(self, description: SessionDescription) -> None:
        """Somebody has described these."""
        for media in description.media:
            if media.kind.lower() == "audio":
                for codec in media.codecs():
                    self._meanings.setdefault(codec.payload_type, codec.encoding)

    def numbered(self, codecs: Iterable[Codec]) -> Iterator[Codec]:
        """The codecs by numbers that they can be offered by: the one they had, else their usual one, else a free one.

        One for which there is no number left is left out.
        """
        had = {encoding: number for number, encoding in reversed(self._meanings.items())}
        given: set[int] = set()
        for codec in codecs:
            number = had.get(codec.encoding)
            if number is None or number in given:
                number = next(
                    (
                        each
                        for each in chain((codec.payload_type,), *_FREE)
                        if each not in given and each not in self._meanings
                    ),
                    None,
                )
            if number is not None:
                given.add(number)
                yield codec.by(number)
