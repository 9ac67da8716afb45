"""Quality: how each leg of a call sounds, while it is up and at its end."""

from __future__ import annotations

from typing import Any

from callcenter.calls.sound import Sound
from callcenter.media.plane import MediaStats
from callcenter.model.facts import LegQuality
from callcenter.model.states import Side
from callcenter.rtp.quality import Stream, score


def leg_quality(
    sound: Sound, side: Side, *, offer: str = "", agent: str = "", trunk: str = "", leg: str = ""
) -> LegQuality | None:
    """How a leg has sounded so far; None when nothing has gone either way, so that there was no sound to speak of."""
    if not sound.is_open:
        return None
    counted, codec = sound.session.counted, sound.session.codec or ""
    if not (counted.packets_received or counted.packets_sent):
        return None
    theirs, ours = streams(counted)
    return LegQuality(
        side=side,
        codec=codec,
        received=counted.packets_received,
        lost=counted.lost,
        jitter_ms=round(counted.jitter_ms, 1),
        worst_jitter_ms=round(max(counted.worst_jitter_ms, counted.jitter_ms), 1),
        mos=score(codec, theirs, counted.round_trip_ms),
        sent=counted.packets_sent,
        remote_lost=counted.remote_lost,
        remote_jitter_ms=round(counted.remote_jitter_ms, 1),
        remote_mos=score(codec, ours, counted.round_trip_ms) if counted.reports else 0.0,
        round_trip_ms=round(counted.round_trip_ms, 1),
        reports=counted.reports,
        unauthentic=counted.unauthentic,
        offer=offer,
        agent=agent,
        trunk=trunk,
        leg=leg,
    )


def streams(counted: MediaStats) -> tuple[Stream, Stream]:
    """What came from the peer, and what reached it."""
    theirs = Stream(counted.packets_received, counted.lost, counted.bursts, counted.jitter_ms)
    arrived = max(0, counted.remote_expected - counted.remote_lost)
    return theirs, Stream(arrived, counted.remote_lost, 0, counted.remote_jitter_ms)


def live(sound: Sound, who: str, agent: str = "", trunk: str = "") -> dict[str, Any] | None:
    """How a leg has sounded so far, as plain values for ``status``; None before there is anything to tell."""
    if not sound.is_open:
        return None
    counted, codec = sound.session.counted, sound.session.codec or ""
    theirs, ours = streams(counted)
    mos = score(codec, theirs, counted.round_trip_ms)
    remote_mos = score(codec, ours, counted.round_trip_ms) if counted.reports else 0.0
    return {
        "who": who,
        "agent": agent or None,
        "trunk": trunk or None,
        "codec": codec or None,
        "mos": mos or None,
        "loss": round(theirs.loss, 4),
        "jitter_ms": round(counted.jitter_ms, 1),
        "remote_mos": remote_mos or None,
        "remote_loss": round(ours.loss, 4) if counted.reports else None,
        "remote_jitter_ms": round(counted.remote_jitter_ms, 1) if counted.reports else None,
        "round_trip_ms": round(counted.round_trip_ms, 1) or None,
        "received": counted.packets_received,
        "sent": counted.packets_sent,
        "one_way": sorted(sound.one_way),
        "missing": sound.missing is not None and not sound.source,
    }
