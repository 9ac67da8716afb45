"""Quality: how the legs of calls have sounded since the start, by trunk and for phones, and when a trunk sounds bad."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from callcenter.model.facts import Body, LegQuality, MediaMissing, OneWayAudio, TrunkQualityChanged, reads
from callcenter.model.spread import Spread
from callcenter.model.states import Side

# Upper bounds. R of 50, 60, 70, 80 and 90 are scores of 2.6, 3.1, 3.6, 4.0 and 4.3 (ITU-T G.107 Annex B).
MOS_BOUNDS: Final = (1.5, 2.0, 2.6, 3.1, 3.6, 4.0, 4.3)
LOSS_BOUNDS: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
JITTER_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
ROUND_TRIP_BOUNDS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)

MISSING: Final = "missing"

# An alarm ends when no more than this part of those that had begun it are bad.
_WELL_AGAIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Alarm:
    """When a trunk sounds bad: when half of its latest ``legs`` have a mean opinion score ``below`` this."""

    below: float = 3.6
    legs: int = 20


class Figures:
    """Of the legs of one trunk, or of all phones. ``received`` is what came, ``sent`` what we sent, as peers report."""

    __slots__ = ("jitter", "legs", "loss", "mos", "one_way", "round_trip", "unjudged")

    def __init__(self) -> None:
        self.legs = 0
        self.unjudged = 0
        """Legs of which too little came to have a score."""
        self.mos = {way: Spread(MOS_BOUNDS) for way in ("received", "sent")}
        self.loss = {way: Spread(LOSS_BOUNDS) for way in ("received", "sent")}
        self.jitter = {way: Spread(JITTER_BOUNDS) for way in ("received", "sent")}
        self.round_trip = Spread(ROUND_TRIP_BOUNDS)
        self.one_way: dict[str, int] = {}

    def add(self, leg: LegQuality) -> None:
        """One leg more that has ended."""
        self.legs += 1
        if leg.mos:
            self._way("received", leg.mos, leg.lost, leg.received, leg.jitter_ms)
        else:
            self.unjudged += 1
        if leg.remote_mos:
            self._way("sent", leg.remote_mos, leg.remote_lost, max(0, leg.sent - leg.remote_lost), leg.remote_jitter_ms)
        if leg.round_trip_ms:
            self.round_trip.add(leg.round_trip_ms / 1000)

    def plain(self) -> dict[str, Any]:
        """As plain values; times in seconds, loss from 0 to 1."""
        return {
            "legs": self.legs,
            "unjudged": self.unjudged,
            "mos": {way: spread.plain() for way, spread in self.mos.items()},
            "loss": {way: spread.plain() for way, spread in self.loss.items()},
            "jitter": {way: spread.plain() for way, spread in self.jitter.items()},
            "round_trip": self.round_trip.plain(),
            "one_way": dict(self.one_way),
        }

    def _way(self, way: str, mos: float, lost: int, arrived: int, jitter_ms: float) -> None:
        self.mos[way].add(mos)
        self.loss[way].add(lost / (arrived + lost) if lost else 0.0)
        self.jitter[way].add(jitter_ms / 1000)


class QualityLedger:
    """A fold of facts: figures by trunk, under its name, and of all other legs under nothing; and the alarms."""

    def __init__(self) -> None:
        self.alarm: Alarm | None = Alarm()
        """When a trunk is told to sound bad; None: never."""
        self._figures: dict[str, Figures] = {}
        self._latest: dict[str, deque[bool]] = {}
        self._bad: dict[str, TrunkQualityChanged] = {}

    @property
    def bad(self) -> dict[str, TrunkQualityChanged]:
        """The trunks that sound bad now, with what was told of each."""
        return dict(self._bad)

    def plain(self) -> dict[str, Any]:
        """All figures as plain values, by trunk."""
        return {trunk: figures.plain() for trunk, figures in self._figures.items()}

    @reads(LegQuality, MediaMissing, OneWayAudio)
    def take(self, body: Body) -> TrunkQualityChanged | None:
        """Read one fact; returns what is to be told of its trunk."""
        match body:
            case LegQuality(trunk=trunk):
                self._of(trunk).add(body)
                return self._judge(trunk, body)
            case OneWayAudio(trunk=trunk, kind=kind):
                self._one_way(trunk, kind.value)
            case MediaMissing(side=side, trunk=trunk) if side is not Side.SYSTEM:
                self._one_way(trunk, MISSING)
            case _:
                pass
        return None

    def forget(self, trunks: set[str]) -> None:
        """Only these are configured from now on."""
        for trunk in [trunk for trunk in self._figures if trunk and trunk not in trunks]:
            del self._figures[trunk]
        for trunk in [trunk for trunk in self._latest if trunk not in trunks]:
            del self._latest[trunk]
            self._bad.pop(trunk, None)

    def _of(self, trunk: str) -> Figures:
        figures = self._figures.get(trunk)
        if figures is None:
            figures = self._figures[trunk] = Figures()
        return figures

    def _one_way(self, trunk: str, kind: str) -> None:
        counts = self._of(trunk).one_way
        counts[kind] = counts.get(kind, 0) + 1

    def _judge(self, trunk: str, leg: LegQuality) -> TrunkQualityChanged | None:
        worst = min((mos for mos in (leg.mos, leg.remote_mos) if mos), default=0.0)
        alarm = self.alarm
        if not trunk or not worst or alarm is None:
            return None
        latest = self._latest.get(trunk)
        if latest is None or latest.maxlen != alarm.legs:
            latest = self._latest[trunk] = deque(latest or (), alarm.legs)
        latest.append(worst < alarm.below)
        bad, of = sum(latest), alarm.legs
        if trunk not in self._bad and 2 * bad >= of:
            loss = f"{_percent(leg.lost, leg.received)} lost, jitter {leg.jitter_ms:.0f} ms"
            detail = (
                f"of the latest {len(latest)} calls' sound by {trunk} {bad} had a score below {alarm.below:g};"
                f" this one: {_score(leg.mos)} as it came ({loss}), {_score(leg.remote_mos)} as it arrived there;"
                " look at the line to the carrier, and who else uses it"
            )
            self._bad[trunk] = TrunkQualityChanged(trunk, False, bad, len(latest), detail)
            return self._bad[trunk]
        if trunk in self._bad and 2 * bad <= of * _WELL_AGAIN:
            del self._bad[trunk]
            detail = f"of the latest {len(latest)} calls' sound by {trunk} {bad} had a score below {alarm.below:g}"
            return TrunkQualityChanged(trunk, True, bad, len(latest), detail)
        return None


def _percent(part: int, rest: int) -> str:
    return f"{part / (part + rest):.1%}" if part else "nothing"


def _score(mos: float) -> str:
    return f"{mos:.1f}" if mos else "nothing known"
