"""FactStream: numbers each fact, hands it to the log and to everyone who watches."""

from __future__ import annotations

from collections.abc import Callable

from callcenter.model.facts import Body, Draft, Fact, kinds_of
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
        self._write = write
        self._readers: list[tuple[Reader, frozenset[type[Body]] | None]] = []
        # By the kind of the fact, as soon as there was one: some twenty readers, each with three or four kinds of
        # a hundred, were asked two dozen times a call.
        self._readers_of: dict[type[Body], tuple[Reader, ...]] = {}

    @property
    def seq(self) -> int:
        """The number of the last fact."""
        return self._seq

    def append(self, body: Body, call_id: str | None = None, *, at: float | None = None) -> Fact:
        """Number a fact and tell it. ``at`` is the core's ``now`` where a core decided; else this moment."""
        self._seq += 1
        moment = self._clock.monotonic() if at is None else at
        fact = Fact(self._seq, self._clock.now(), self.boot, round(moment * 1000), call_id, body)
        readers = self._readers_of.get(type(body)) or self._find_readers(type(body))
        for reader in readers:
            reader(fact)
        return fact

    def append_draft(self, draft: Draft, *, at: float) -> Fact:
        """Number a core's draft, decided at ``at`` (seconds of the monotonic clock)."""
        return self.append(draft.body, draft.call_id, at=at)

    def subscribe(self, reader: Reader) -> None:
        """Call ``reader`` with every fact from now on, or those that it :func:`reads`; it must not wait or raise.

        Who subscribed earlier is told earlier.
        """
        self._readers.append((reader, kinds_of(reader)))
        self._readers_of.clear()

    def _find_readers(self, kind: type[Body]) -> tuple[Reader, ...]:
        readers = (reader for reader, kinds in self._readers if kinds is None or kind in kinds)
        found = self._readers_of[kind] = (self._write, *readers)
        return found
