"""What Prometheus is given: its text format, names that are documented, numbers that add up."""

from __future__ import annotations

import re

from callcenter.cli.metrics import lines
from callcenter.sip.metrics import Metrics

SAMPLE = re.compile(r'callcenter_sip_[a-z0-9_]+(\{([a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? [0-9.e+-]+')


def test_every_line_is_one_that_prometheus_reads() -> None:
    counted = Metrics()
    counted.request_came("INVITE")
    counted.answered("INVITE", 200)
    counted.answered("INVITE", 486)
    counted.could_not_read('a "reason" with a \\')
    Metrics.time(counted.answer_times, "INVITE", 0.01)
    Metrics.time(counted.answer_times, "INVITE", 60.0)
    told = {
        **counted.plain(),
        "guard": {"over_rate": 3, "banned": 0, "refused": 1, "bans": 1, "bans_now": 1, "sources": 2},
        "now": dict.fromkeys(
            ("transactions", "dialogs", "sessions", "connections", "registrations", "traced_messages"), 0
        ),
    }
    written = list(lines(told))
    for line in written:
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line
    assert 'callcenter_sip_responses_sent_total{method="INVITE",class="4xx"} 1' in written
    assert 'callcenter_sip_unreadable_total{reason="a \\"reason\\" with a \\\\"} 1' in written
    assert 'callcenter_sip_guard_rejected_total{why="over_rate"} 3' in written
    buckets = [line for line in written if line.startswith("callcenter_sip_answer_seconds_bucket")]
    assert [int(line.rpartition(" ")[2]) for line in buckets] == [0, 1, 1, 1, 1, 1, 1, 2]
    kinds = [line.split()[2] for line in written if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
