"""Overflow: where a caller goes on whom a queue could not serve, as one word that the ACD carries and does not read."""

from __future__ import annotations

from dataclasses import dataclass

CONTINUE = "continue"
"""The word for the steps behind the queue's own."""

# No flow can be named so: names hold no colon.
_QUEUE = "queue:"
_NUMBER = "number:"
_CALLBACK = "callback:"


@dataclass(frozen=True, slots=True)
class ToFlow:
    """Another flow in place of the rest; ``continue``, or none of that name: the steps behind the queue."""

    flow: str

    @property
    def word(self) -> str:
        """As the ACD carries it."""
        return self.flow


@dataclass(frozen=True, slots=True)
class ToOtherQueue:
    """Another queue, with the place in line kept; behind it the steps behind the first."""

    queue: str

    @property
    def word(self) -> str:
        """As the ACD carries it."""
        return _QUEUE + self.queue


@dataclass(frozen=True, slots=True)
class ToNumber:
    """A number outside, in E.164, by the company's trunks; when nobody is reached, the steps behind the queue."""

    number: str

    @property
    def word(self) -> str:
        """As the ACD carries it."""
        return _NUMBER + self.number


@dataclass(frozen=True, slots=True)
class ToCallback:
    """A callback at the caller's turn, with the place in line kept; who does not want one goes on behind the queue."""

    @property
    def word(self) -> str:
        """As the ACD carries it."""
        return _CALLBACK


Overflow = ToFlow | ToOtherQueue | ToNumber | ToCallback


def overflow_of(word: str) -> Overflow:
    """What a word means."""
    if word.startswith(_QUEUE):
        return ToOtherQueue(word.removeprefix(_QUEUE))
    if word.startswith(_NUMBER):
        return ToNumber(word.removeprefix(_NUMBER))
    if word == _CALLBACK:
        return ToCallback()
    return ToFlow(word)
