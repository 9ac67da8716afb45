"""FactStream: numbers each fact, hands it to the log and to everyone who watches."""

from __future__ import annotations

from collections.abc import Callable

from callcenter.model.facts import Body, Draft, Fact
from callcenter.runtime.clock import Clock

Reader = Callable[[Fact], None]


class FactStream:
    """The one source of facts of a running switch.

    ``write`` is the log and comes first, so that no reader sees a fact that the log was not given.
    """

    def __init__(self, clock: Clock, *, boot: str, last_seq: int, write: Reader) -> None:
        self.boot = boot
        self._clock = clock
        self._seq = last_seq
        self._readers: list[Reader] = [write]

    @property
    def seq(self) -> int:
        """The number of the last fact."""
        return self._seq

    def append(self, body: Body, call_id: str | None = None, *, at: float | None = None) -> Fact:
        """Number a fact and tell it. ``at`` is the core's ``now`` where a core decided; else this moment."""
        self._seq += 1
        moment = self._clock.monotonic() if at is None else at
        fact = Fact(self._seq, self._clock.now(), self.boot, round(moment * 1000), call_id, body)
        for reader in self._readers:
            reader(fact)
        return fact

    def append_draft(self, draft: Draft, *, at: float) -> Fact:
        """Number a core's draft, decided at ``at`` (seconds of the monotonic clock)."""
        return self.append(draft.body, draft.call_id, at=at)

    def subscribe(self, reader: Reader) -> None:
        """Call ``reader`` with every fact from now on; it must not wait and must not raise."""
        self._readers.append(reader)
