"""When sound that goes one way is told of, and when not."""

from __future__ import annotations

from callcenter.model.states import OneWay
from callcenter.rtp.oneway import Change, OneWayWatch
from callcenter.rtp.reporting import PeerReports
from callcenter.rtp.rtcp import ReceiverReport, ReportBlock

NTP = 1 << 40


def look(watch: OneWayWatch, now: float, silent: float | None, peer: PeerReports | None) -> list[Change]:
    return [(kind, begins, round(seconds, 3)) for kind, begins, seconds in watch.look(now, silent, peer)]


def reporting(peer: PeerReports, at: float, highest: int, sent: int) -> None:
    peer.take(ReceiverReport(9, (ReportBlock(7, 0, 0, highest, 0, 0, 0),)), sent, NTP, at)


def test_sound_that_stops_is_told_once_and_again_when_it_comes_back() -> None:
    watch = OneWayWatch(10.0)
    assert look(watch, 100.0, 9.9, None) == []
    assert look(watch, 101.0, 10.9, None) == [(OneWay.STOPPED, True, 10.9)]
    assert look(watch, 102.0, 11.9, None) == []
    assert look(watch, 103.0, 0.1, None) == [(OneWay.STOPPED, False, 2.0)]
    assert look(watch, 104.0, 0.1, None) == []


def test_who_holds_or_was_never_heard_is_not_missed_here() -> None:
    watch = OneWayWatch(10.0)
    assert look(watch, 100.0, None, None) == []
    assert look(watch, 101.0, 11.0, None) == [(OneWay.STOPPED, True, 11.0)]
    assert look(watch, 105.0, None, None) == [(OneWay.STOPPED, False, 4.0)], "on hold none is due"


def test_a_phone_that_leaves_silence_out_but_reports_has_longer_pauses() -> None:
    watch, peer = OneWayWatch(10.0), PeerReports(7, 0)
    for at in range(5, 35, 5):
        reporting(peer, 100.0 + at, 50 * at, 50 * at)
        assert look(watch, 100.0 + at, float(at), peer) == ([(OneWay.STOPPED, True, 30.0)] if at == 30 else [])
    reporting(peer, 131.0, 5000, 5000)
    assert look(watch, 131.0, 31.0, peer) == []
    assert look(watch, 132.0, 0.5, peer) == [(OneWay.STOPPED, False, 2.0)]


def test_a_peer_that_reports_to_hear_nothing_is_told_of() -> None:
    watch, peer = OneWayWatch(10.0), PeerReports(7, 0)
    reporting(peer, 105.0, 250, 250)
    assert look(watch, 105.0, 0.0, peer) == []
    reporting(peer, 110.0, 250, 500)
    assert look(watch, 112.0, 0.0, peer) == [(OneWay.UNHEARD, True, 2.0)]
    reporting(peer, 115.0, 760, 750)
    assert look(watch, 115.0, 0.0, peer) == [(OneWay.UNHEARD, False, 3.0)]


def test_reports_that_stop_are_told_of_while_sound_still_comes() -> None:
    watch, peer = OneWayWatch(10.0), PeerReports(7, 0)
    for at in (105.0, 110.0):
        reporting(peer, at, round(at), round(at))
    assert look(watch, 135.0, 0.0, peer) == []
    assert look(watch, 136.0, 0.0, peer) == [(OneWay.UNREPORTED, True, 26.0)]
    reporting(peer, 140.0, 140, 140)
    assert look(watch, 140.0, 0.0, peer) == [(OneWay.UNREPORTED, False, 4.0)]
