"""What Prometheus is given: its text format, names that are documented, numbers that add up."""

from __future__ import annotations

import re
from typing import Any

from callcenter.cli.metrics import lines
from callcenter.ledger.quality import QualityLedger
from callcenter.model.facts import LegQuality, OneWayAudio
from callcenter.model.states import OneWay, Side
from callcenter.sip.metrics import Metrics

SAMPLE = re.compile(r'callcenter_(?:sip|media)_[a-z0-9_]+(\{([a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? [0-9.e+-]+')


def test_every_line_is_one_that_prometheus_reads() -> None:
    counted = Metrics()
    counted.request_came("INVITE")
    counted.answered("INVITE", 200)
    counted.answered("INVITE", 486)
    counted.could_not_read('a "reason" with a \\')
    Metrics.time(counted.answer_times, "INVITE", 0.01)
    Metrics.time(counted.answer_times, "INVITE", 60.0)
    told: dict[str, Any] = {
        **counted.plain(),
        "guard": {"over_rate": 3, "banned": 0, "refused": 1, "bans": 1, "bans_now": 1, "sources": 2},
        "now": dict.fromkeys(
            ("transactions", "dialogs", "sessions", "connections", "registrations", "traced_messages"), 0
        ),
    }
    assert list(lines(told)) == list(lines({**told, "media": {}})), "an older switch tells nothing of sound"
    ledger = QualityLedger()
    bad = LegQuality(Side.CALLER, "PCMU", 900, 100, 4.0, 9.0, 3.1, 1000, 5, 2.0, 4.2, 80.0, 3, trunk='a "carrier"')
    ledger.take(bad)
    ledger.take(OneWayAudio(Side.CALLER, OneWay.STOPPED, ""))
    worker = {"worker": 1, "pid": 77, "alive": True, "load": 0.25, "sessions": 6, "capacity": 100, "restarts": 0,
              "late_ms": 1.5, "worst_late_ms": 4.0, "draining": False, "memory": 30 << 20}  # fmt: skip
    told["media"] = {"quality": ledger.plain(), "trunks": ["t1"], "sounds_bad": ["t1"], "workers": [worker]}
    written = list(lines(told))
    for line in written:
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line
    assert 'callcenter_sip_responses_sent_total{method="INVITE",class="4xx"} 1' in written
    assert 'callcenter_sip_unreadable_total{reason="a \\"reason\\" with a \\\\"} 1' in written
    assert 'callcenter_sip_guard_rejected_total{why="over_rate"} 3' in written
    buckets = [line for line in written if line.startswith("callcenter_sip_answer_seconds_bucket")]
    assert [int(line.rpartition(" ")[2]) for line in buckets] == [0, 1, 1, 1, 1, 1, 1, 2]
    trunk = 'trunk="a \\"carrier\\""'
    assert f'callcenter_media_mos_bucket{{{trunk},way="received",le="3.1"}} 1' in written
    assert f'callcenter_media_loss_ratio_sum{{{trunk},way="sent"}} 0.005' in written
    assert f"callcenter_media_round_trip_seconds_count{{{trunk}}} 1" in written
    assert 'callcenter_media_one_way_total{trunk="",kind="stopped"} 1' in written
    assert 'callcenter_media_trunk_sounds_bad{trunk="t1"} 1' in written
    assert 'callcenter_media_worker_late_seconds{worker="1",pid="77"} 0.0015' in written
    assert 'callcenter_media_worker_up{worker="1",pid="77"} 1' in written
    kinds = [line.split()[2] for line in written if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
