"""OneWayWatch: notices, in the middle of a call, that one side of it is heard no more."""

from __future__ import annotations

from typing import Final

from callcenter.model.states import OneWay
from callcenter.rtp.reporting import PeerReports

# A phone that leaves silence out still reports: its pauses may last.
_PATIENCE_WITH_REPORTS: Final = 3.0

Change = tuple[OneWay, bool, float]
"""In which way, whether it begins, and for how many seconds it has been so."""


class OneWayWatch:
    """Looks once a second or so; ``after`` seconds without sound are too many, three times as many while reports come.

    What it tells of is told once, and again when it is over.
    """

    __slots__ = ("_after", "_began")

    def __init__(self, after: float) -> None:
        self._after = after
        self._began: dict[OneWay, float] = {}

    def look(self, now: float, silent: float | None, peer: PeerReports | None) -> list[Change]:
        """What has begun or ended.

        ``silent``: seconds since the latest sound; None when none is due, or never came. ``peer``: what its reports
        say; None: there are none.
        """
        if peer is None and not self._began and (silent is None or silent < self._after):
            return []  # nearly always
        changes: list[Change] = []
        self._note(changes, OneWay.STOPPED, now, self._stopped(now, silent, peer))
        self._note(changes, OneWay.UNHEARD, now, peer.unheard_since if peer is not None else None)
        heard = silent is not None and silent < self._after
        self._note(changes, OneWay.UNREPORTED, now, peer.silent_since(now) if peer is not None and heard else None)
        return changes

    def _stopped(self, now: float, silent: float | None, peer: PeerReports | None) -> float | None:
        """Since when sound has stopped; None: it has not, for all we know."""
        if silent is None:
            return None
        # Once it is told, only sound ends it, not a report that comes after all.
        reports = peer is not None and now - peer.last_at < self._after and OneWay.STOPPED not in self._began
        return now - silent if silent >= self._after * (_PATIENCE_WITH_REPORTS if reports else 1) else None

    def _note(self, changes: list[Change], kind: OneWay, now: float, since: float | None) -> None:
        if since is not None and kind not in self._began:
            self._began[kind] = now
            changes.append((kind, True, now - since))
        elif since is None and kind in self._began:
            changes.append((kind, False, now - self._began.pop(kind)))
