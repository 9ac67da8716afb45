"""When reports are due, and what the peer's say."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from callcenter.rtp.reporting import PeerReports, ReportTimer
from callcenter.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, SenderReport, ntp_time

NTP = ntp_time(1_700_000_000)


def times(mean: float, draw: Random, seconds: float, start: float = 100.0) -> list[float]:
    timer, sent, now = ReportTimer(mean, draw.random, start), [], start
    while now < start + seconds:
        if timer.due(now):
            sent.append(now - start)
        now += 0.01
    return sent


def test_reports_come_at_random_around_their_mean_and_the_first_one_early() -> None:
    """RFC 3550 6.2 and 6.3: half the interval for the first; then 0.5 to 1.5 of it, as reconsideration leaves them."""
    gaps: list[float] = []
    for seed in range(40):
        sent = times(5.0, Random(seed), 120)
        assert 5.0 * 0.5 / 1.21828 / 2 <= sent[0] <= 5.0 * 1.5 / 1.21828
        gaps += [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert min(gaps) >= 5.0 * 0.5 / 1.21828 - 0.02
    assert max(gaps) <= 5.0 * 1.5 / 1.21828 + 0.02
    assert sum(gaps) / len(gaps) == pytest.approx(5.0, rel=0.1)
    assert len({round(gap, 1) for gap in gaps}) > 20


def block(highest: int, lost: int = 0, **more: int) -> ReportBlock:
    values = {"fraction_lost": 0, "jitter": 0, "last_report": 0, "delay": 0, **more}
    return ReportBlock(ssrc=7, cumulative_lost=lost, highest_sequence=highest, **values)


def report(*blocks: ReportBlock) -> ReceiverReport:
    return ReceiverReport(99, blocks)


def test_what_the_peer_says_is_kept() -> None:
    peer = PeerReports(7, 1000)
    peer.take(SenderReport(99, NTP, 0, 1, 1, (block(1249, 25, jitter=80),)), 250, NTP, 5.0)
    assert (peer.lost, peer.expected, peer.jitter, peer.reports, peer.blocks) == (25, 250, 80, 1, 1)
    assert peer.unheard_since is None
    peer.take(Goodbye((99,)), 250, NTP, 6.0)
    assert peer.reports == 1


def test_a_stream_whose_first_number_is_not_known_is_counted_from_the_first_report_on() -> None:
    peer = PeerReports(7, None)
    peer.take(report(block(5000)), 100, NTP, 5.0)
    assert peer.expected == 0
    peer.take(report(block(5100, 10)), 200, NTP, 10.0)
    assert (peer.expected, peer.lost) == (100, 10)


def test_the_round_trip_is_kept_when_a_later_report_does_not_tell_it() -> None:
    peer, sent = PeerReports(7, 0), ntp_time(1_700_000_000 - 0.12)
    peer.take(report(block(9, last_report=sent >> 16 & 0xFFFFFFFF, delay=round(0.02 * 65536))), 10, NTP, 5.0)
    assert peer.round_trip == pytest.approx(0.1, abs=0.001)
    peer.take(report(block(19)), 20, NTP, 10.0)
    assert peer.round_trip == pytest.approx(0.1, abs=0.001)


def test_a_peer_whose_count_stands_still_while_we_send_does_not_hear_us() -> None:
    peer = PeerReports(7, 0)
    peer.take(report(block(100)), 101, NTP, 5.0)
    peer.take(report(block(100)), 101, NTP, 10.0)
    told = [peer.unheard_since]
    for sent, highest in ((351, 100), (601, 100), (851, 700)):
        peer.take(report(block(highest)), sent, NTP, float(sent))
        told.append(peer.unheard_since)
    assert told == [None, 351, 351, None], "the first time nothing was sent to it"


def test_a_peer_that_never_counts_us_does_not_hear_us() -> None:
    peer = PeerReports(7, 0)
    for at in (5.0, 10.0):
        peer.take(report(), round(50 * at), NTP, at)
        assert peer.unheard_since is None, "the first reports may come before our sound"
    peer.take(report(ReportBlock(8, 0, 0, 3, 0, 0, 0)), 750, NTP, 15.0)
    assert peer.unheard_since == 15.0


def test_a_report_without_our_stream_says_nothing_where_others_have_it() -> None:
    peer = PeerReports(7, 0)
    for at in range(5, 50, 5):
        peer.take(report(*([block(50 * at)] if at % 10 else [])), 50 * at, NTP, float(at))
        assert peer.unheard_since is None


def test_reports_that_come_no_more_are_noticed() -> None:
    peer = PeerReports(7, 0)
    assert peer.silent_since(100.0) is None
    peer.take(report(), 0, NTP, 5.0)
    assert peer.silent_since(100.0) is None, "one report is no habit"
    peer.take(report(), 0, NTP, 12.0)
    assert peer.silent_since(12.0 + 5 * 7.0) is None
    assert peer.silent_since(12.1 + 5 * 7.0) == 12.0
