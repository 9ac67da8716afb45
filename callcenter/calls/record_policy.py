"""Whose talks are recorded: what client, queue and agent say of it, and what that comes to when they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callcenter.media.plane import RecordingEncoding


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One word on recording: a ``share`` of the talks (1: all), ``on_demand``: who talks may have it recorded; or
    ``never``.
    """

    share: float = 0.0
    on_demand: bool = False
    never: bool = False

    @property
    def may(self) -> bool:
        """Whether anything at all may be recorded."""
        return not self.never and (self.share > 0 or self.on_demand)

    def __str__(self) -> str:
        if not self.may:
            return "never"
        if self.share >= 1:
            return "always"
        parts = [f"{self.share:.3%}".replace(".000%", "%")] if self.share else []
        return " and ".join([*parts, "on demand"] if self.on_demand else parts)


ALWAYS = RecordRule(share=1.0)
NEVER = RecordRule(never=True)
ON_DEMAND = RecordRule(on_demand=True)
NOTHING_SAID = RecordRule()


@dataclass(frozen=True, slots=True)
class LeastFree:
    """How much of the disk is to stay free: a ``share`` of it, or so many ``octets``."""

    share: float = 0.0
    octets: int = 0

    def wanted(self, total: int) -> int:
        """The bytes that are to be free on a disk of so many."""
        return max(self.octets, round(total * self.share))


@dataclass(frozen=True, slots=True)
class KeyFrom:
    """Where the key of recordings stands: a ``file``, or a variable of the environment."""

    file: Path | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """All that recordings go by: where they are, who is recorded, who hears a notice, how long each is kept.

    ``directory`` holds them by client, year, month and day (of UTC). ``key``: where the key stands that they are
    encrypted under; None: they are plain. Rules by client, queue and agent. ``notices``: the prompt that callers of a
    client hear before they are recorded. ``retention``: days by client, else ``keep_for``; None: for ever.
    """

    directory: Path = Path("recordings")
    encoding: RecordingEncoding = RecordingEncoding.PCM
    key: KeyFrom | None = None
    least_free: LeastFree = LeastFree(share=0.05)
    keep_for: int | None = None
    clients: Mapping[str, RecordRule] = field(default_factory=dict)
    queues: Mapping[str, RecordRule] = field(default_factory=dict)
    agents: Mapping[str, RecordRule] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    retention: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def on(self) -> bool:
        """Whether anybody may be recorded."""
        return any(rule.may for rules in (self.clients, self.queues, self.agents) for rule in rules.values())

    def rule(self, client: str, queue: str = "", agents: Iterable[str] = ()) -> RecordRule:
        """What holds for a talk, by all who have a say in it."""
        return together(
            self.clients.get(client),
            self.queues.get(queue),
            [self.agents[each] for each in agents if each in self.agents],
        )

    def days(self, client: str) -> int | None:
        """How many days a client's recordings are kept; None: for ever."""
        return self.retention.get(client, self.keep_for)


def together(client: RecordRule | None, queue: RecordRule | None, agents: Iterable[RecordRule]) -> RecordRule:
    """What several words come to.

    Whoever says never is obeyed, whatever the others say: what was recorded cannot be unsaid. Else the queue's word
    stands in place of the client's, as everything else that a queue says, and the agent's adds to it: the larger share,
    and by command who may by either. Who says nothing asks for nothing.
    """
    said = [rule for rule in (client, queue, *agents) if rule is not None]
    if any(rule.never for rule in said):
        return NEVER
    common = queue if queue is not None else client
    adding = [rule for rule in (common, *agents) if rule is not None]
    return RecordRule(
        share=max((rule.share for rule in adding), default=0.0), on_demand=any(rule.on_demand for rule in adding)
    )


NOBODY = RecordingSettings()
"""Nobody is recorded."""
