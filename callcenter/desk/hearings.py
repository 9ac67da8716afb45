"""Hearings: who is hearing which recording, so that a player's many questions are told in the log as one hearing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from callcenter.model.access import Actor

# Within so many seconds it is one hearing.
ONE_HEARING = 600.0
# Hearings that are remembered; of one that is not it is told again.
MAX_HEARINGS = 1_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One hearing: when it began (seconds of the loop), and the file that it is of."""

    since: float
    folder: Path
    path: str


class Hearings:
    """The hearings of the last minutes."""

    def __init__(self) -> None:
        self._heard: OrderedDict[tuple[Actor, str], Heard] = OrderedDict()

    def find(self, actor: Actor, recording: str, now: float) -> Heard | None:
        """The hearing that goes on; None when it has to be told."""
        heard = self._heard.get((actor, recording))
        return heard if heard is not None and now - heard.since <= ONE_HEARING else None

    def begin(self, actor: Actor, recording: str, heard: Heard) -> None:
        """It has been told."""
        self._heard[actor, recording] = heard
        self._heard.move_to_end((actor, recording))
        if len(self._heard) > MAX_HEARINGS:
            self._heard.popitem(last=False)
