"""What Prometheus is given: text that its own library reads, names that are documented, numbers that add up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from callcenter.calls.books import Books
from callcenter.calls.facts import FactStream
from callcenter.desk.integrations.figures import CrmFigures, Figures, WebhookFigures
from callcenter.desk.integrations.lookup import Tally
from callcenter.desk.metrics import EndedCalls, render
from callcenter.ledger.quality import QualityLedger
from callcenter.model.access import Role, Scope
from callcenter.model.facts import (
    CallArrived,
    CallEnded,
    CallQueued,
    LegQuality,
    OneWayAudio,
    QueueLeft,
    ScreenPopSent,
    SwitchStarted,
    TrunkTried,
)
from callcenter.model.states import EndCause, OneWay, Side, VisitOutcome
from callcenter.runtime.clock import SystemClock
from callcenter.sip.metrics import Metrics
from callcenter.storage.backup import LAST
from callcenter.storage.database import InlineDatabase, Row, StorageError, Value
from callcenter.storage.store import Storage
from tests.unit.desk.support import Floor, open_floor

HERE = "http://127.0.0.1:8080"
FLOOR: dict[str, Any] = {
    "version": "1.0",
    "node": "cc1",
    "revision": "abc",
    "loaded_at": "2026-11-30T12:00:00.000Z",
    "started_at": "2026-11-30T12:00:00.000Z",
    "ready": True,
    "draining": False,
    "calls": {"inbound": 3},
    "callbacks": 2,
    "queues": [
        {"queue": "sales", "client": "acme", "waiting": 4, "callbacks": 1, "longest_s": 12.5, "ready": 0,
         "signed_in": 7, "threshold_s": 20.0, "service_level": 0.75},
        {"queue": "night", "client": "acme", "waiting": 0, "callbacks": 0, "longest_s": 0.0, "ready": 0,
         "signed_in": 0, "threshold_s": 20.0, "service_level": None},
    ],
    "agents": {"ready": 1, "talking": 2},
    "trunks": [{"trunk": "odorik", "up": True, "calls": 3, "max_calls": 30},
               {"trunk": "spare", "up": None, "calls": 0, "max_calls": 30}],
    "mqtt": {"connected": True, "waiting": 0, "pops_sent": 9},
    "database": {"healthy": True, "facts": 88, "waiting": 1, "waiting_s": 2.5, "lost": 0},
    "recordings": {"on": True, "recording": 1, "free": 1000, "failures": 0},
    "certificates": [{"file": "/etc/tls/cert.pem", "self_made": False, "ends_at": "2027-01-31T12:00:00.000Z"}],
    "lag": {"up_to": [[0.001, 5], [0.01, 6]], "count": 7, "sum": 0.25},
}  # fmt: skip


def sip() -> dict[str, Any]:
    """What a switch tells of SIP."""
    counted = Metrics()
    counted.request_came("INVITE")
    counted.answered("INVITE", 200)
    counted.answered("INVITE", 486)
    counted.could_not_read('a "reason" with a \\')
    Metrics.time(counted.answer_times, "INVITE", 0.01)
    Metrics.time(counted.answer_times, "INVITE", 60.0)
    now = ("transactions", "dialogs", "sessions", "connections", "registrations", "traced_messages")
    return {
        **counted.plain(),
        "guard": {"over_rate": 3, "banned": 0, "refused": 1, "bans": 1, "bans_now": 1, "sources": 2},
        "now": dict.fromkeys(now, 0),
    }


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What Prometheus' own reader makes of the text."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            assert sample.name.startswith("callcenter_")
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def of(told: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    """One sample."""
    return told[name, frozenset(labels.items())]


def test_what_the_switch_counts_of_sip_and_sound_is_read_by_prometheus() -> None:
    told = sip()
    assert render(told) == render({**told, "media": {}}), "an older switch tells nothing of sound"
    ledger = QualityLedger()
    bad = LegQuality(Side.CALLER, "PCMU", 900, 100, 4.0, 9.0, 3.1, 1000, 5, 2.0, 4.2, 80.0, 3, trunk='a "carrier"')
    ledger.take(bad)
    ledger.take(OneWayAudio(Side.CALLER, OneWay.STOPPED, ""))
    worker = {"worker": 1, "pid": 77, "alive": True, "load": 0.25, "sessions": 6, "capacity": 100, "restarts": 0,
              "late_ms": 1.5, "worst_late_ms": 4.0, "draining": False, "memory": 30 << 20}  # fmt: skip
    told["media"] = {"quality": ledger.plain(), "trunks": ["t1"], "sounds_bad": ["t1"], "workers": [worker]}
    read = samples(render(told))
    assert of(read, "callcenter_sip_responses_sent_total", method="INVITE", **{"class": "4xx"}) == 1
    assert of(read, "callcenter_sip_unreadable_total", reason='a "reason" with a \\') == 1
    assert of(read, "callcenter_sip_guard_rejected_total", why="over_rate") == 3
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in read.items()
        if name == "callcenter_sip_answer_seconds_bucket"
    }
    assert [int(buckets[bound]) for bound in sorted(buckets)] == [0, 1, 1, 1, 1, 1, 1, 2]
    trunk = 'a "carrier"'
    assert of(read, "callcenter_media_mos_bucket", trunk=trunk, way="received", le="3.1") == 1
    assert of(read, "callcenter_media_loss_ratio_sum", trunk=trunk, way="sent") == 0.005
    assert of(read, "callcenter_media_round_trip_seconds_count", trunk=trunk) == 1
    assert of(read, "callcenter_media_one_way_total", trunk="", kind="stopped") == 1
    assert of(read, "callcenter_media_trunk_sounds_bad", trunk="t1") == 1
    assert of(read, "callcenter_media_worker_late_seconds", worker="1", pid="77") == 0.0015
    assert of(read, "callcenter_media_worker_up", worker="1", pid="77") == 1


def test_receivers_and_crms_are_told_by_how_it_goes_with_them() -> None:
    tally = Tally(asked=7, found=2, nobody=1, remembered=4, failed=3, timed_out=2, left_out=5, opened=1)
    tally.answered(250)
    hooks = (
        WebhookFigures("acme.crm", "acme", "failing", 12, 3, 90.5, 4),
        WebhookFigures("w-1", "acme", "well", 0, 0, 0.0, 0),
    )
    read = samples(render({}, None, {}, Figures(hooks, 40, 4, (CrmFigures("acme", "open", 2, tally),))))
    crm = {"client": "acme", "webhook": "acme.crm"}
    assert of(read, "callcenter_webhook_state", state="failing", **crm) == 1
    assert of(read, "callcenter_webhook_state", state="well", **crm) == 0
    assert of(read, "callcenter_webhook_pending", **crm) == 12
    assert of(read, "callcenter_webhook_given_up", **crm) == 3
    assert of(read, "callcenter_webhook_oldest_pending_seconds", **crm) == 90.5
    assert of(read, "callcenter_webhook_failures", client="acme", webhook="w-1") == 0
    assert of(read, "callcenter_webhook_attempts_total", result="failed") == 4
    results = {"found": 2, "nobody": 1, "from_cache": 4, "timed_out": 2, "failed": 1, "left_out": 5}
    for result, number in results.items():
        assert of(read, "callcenter_crm_lookups_total", client="acme", result=result) == number
    assert of(read, "callcenter_crm_breaker", client="acme", state="open") == 1
    assert of(read, "callcenter_crm_breaker", client="acme", state="closed") == 0
    assert of(read, "callcenter_crm_breaker_opened_total", client="acme") == 1
    assert of(read, "callcenter_crm_under_way", client="acme") == 2
    assert of(read, "callcenter_crm_answer_seconds_bucket", client="acme", le="0.3") == 1
    assert of(read, "callcenter_crm_answer_seconds_bucket", client="acme", le="0.2") == 0
    assert not [name for name, _ in samples(render({})) if "webhook" in name or "crm" in name], "where there are none"


def test_the_floor_is_told_by_queue_and_state_and_names_nobody() -> None:
    read = samples(render({**sip(), "floor": FLOOR}))
    assert of(read, "callcenter_queue_waiting", client="acme", queue="sales") == 4
    assert of(read, "callcenter_queue_longest_wait_seconds", client="acme", queue="sales") == 12.5
    assert of(read, "callcenter_service_level_ratio", client="acme", queue="sales", threshold_s="20") == 0.75
    # What was not counted yet, or is not known, is not told: it would be taken for 0.
    assert ("callcenter_service_level_ratio", frozenset({("client", "acme"), ("queue", "night")})) not in read
    assert [dict(labels) for name, labels in read if name == "callcenter_trunk_up"] == [{"trunk": "odorik"}]
    assert of(read, "callcenter_agents", state="talking") == 2
    assert of(read, "callcenter_loop_lag_seconds_bucket", le="0.01") == 6
    assert of(read, "callcenter_loop_lag_seconds_bucket", le="+Inf") == 7
    assert of(read, "callcenter_build_info", version="1.0") == 1


def test_what_runs_out_or_falls_behind_is_told_before_it_hurts() -> None:
    read = samples(render({**sip(), "floor": FLOOR}))
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
    assert of(read, "callcenter_start_time_seconds") == noon
    assert of(read, "callcenter_config_load_time_seconds") == noon
    shown = {"file": "/etc/tls/cert.pem", "self_made": "false"}
    until = datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()
    assert of(read, "callcenter_certificate_not_after_time_seconds", **shown) == until
    assert of(read, "callcenter_trunk_calls_limit", trunk="odorik") == 30
    assert of(read, "callcenter_db_waiting_seconds") == 2.5
    # A switch that runs from before it told of these is read all the same.
    older = {**FLOOR, "database": {"healthy": True, "facts": 88, "waiting": 1, "lost": 0}}
    del older["certificates"]
    took = {"INVITE": {"count": 1, "seconds": 0.5, "up_to": [[1.0, 1]]}}
    read = samples(render({**sip(), "response_times": took, "floor": older}))
    assert of(read, "callcenter_db_waiting") == 1
    assert of(read, "callcenter_sip_response_seconds_sum", method="INVITE") == 0.5


def call(floor: Floor, books: Books, name: str, waited_ms: int, outcome: VisitOutcome) -> None:
    """A call that waits so long in sales, and is gone."""
    stream = floor.stream
    for body in (
        CallArrived("acme", "main", "+1", "", "+2", "udp", "", ""),
        CallQueued(f"v-{name}", "sales", "acme", 0, (), 10_000),
    ):
        books.take(stream.append(body, name, at=10.0))
    left = QueueLeft(f"v-{name}", "sales", outcome, "hangup")
    books.take(stream.append(left, name, at=10.0 + waited_ms / 1000))
    ended = CallEnded(Side.CALLER, EndCause.HANGUP)
    books.take(stream.append(ended, name, at=20.0))


async def test_calls_are_counted_since_the_switch_started_whenever_the_desk_did(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        books = Books(floor.storage.interactions.save)
        floor.stream.append(SwitchStarted("cc1", "1.0", "abc"))
        call(floor, books, "before", 3_000, VisitOutcome.ABANDONED)
        floor.stream.append(SwitchStarted("cc1", "1.0", "abc"))
        call(floor, books, "c1", 7_000, VisitOutcome.ABANDONED)
        call(floor, books, "c2", 1_000, VisitOutcome.SHORT_ABANDONED)
        floor.stream.append(ScreenPopSent("o1", "ana", "p1", True, 30), "c1")
        await floor.written()
        counted = EndedCalls()
        await counted.read(floor.desk.reader)
        once = samples(render({}, counted))
        labels = {"client": "acme", "queue": "sales"}
        assert of(once, "callcenter_queue_visits_total", outcome="abandoned", **labels) == 1
        assert of(once, "callcenter_queue_visits_total", outcome="short_abandoned", **labels) == 1
        assert of(once, "callcenter_queue_wait_seconds_bucket", outcome="abandoned", le="5", **labels) == 0
        assert of(once, "callcenter_queue_wait_seconds_bucket", outcome="abandoned", le="10", **labels) == 1
        assert of(once, "callcenter_pop_delay_seconds_sum", acknowledged="true") == 0.03
        calls = sum(value for (name, _), value in once.items() if name == "callcenter_calls_total")
        assert calls == 2
        # Each once, however often it is asked.
        call(floor, books, "c3", 2_000, VisitOutcome.ABANDONED)
        await floor.written()
        await counted.read(floor.desk.reader)
        await counted.read(floor.desk.reader)
        again = samples(render({}, counted))
        assert of(again, "callcenter_queue_visits_total", outcome="abandoned", **labels) == 2
        # The switch starts anew, and so do its counters.
        floor.stream.append(SwitchStarted("cc1", "1.0", "abc"))
        await floor.written()
        await counted.read(floor.desk.reader)
        assert not counted.calls


class Turns(InlineDatabase):
    """A database whose answers come while others ask."""

    async def fetch_all(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        found = await super().fetch_all(sql, params)
        await asyncio.sleep(0)
        return found


async def test_two_who_ask_at_once_count_each_call_once() -> None:
    # As two servers of Prometheus do, one to stand in for the other.
    database = Turns()
    storage = await Storage.over(database, clock=SystemClock())
    stream = FactStream(SystemClock(), boot="boot", last_seq=0, write=storage.log.write)
    stream.append(SwitchStarted("cc1", "1.0", "abc"))
    stream.append(ScreenPopSent("o1", "ana", "p1", True, 30), "c1")
    await storage.log.flushed(stream.seq)
    counted = EndedCalls()
    await asyncio.gather(counted.read(database), counted.read(database))
    assert sum(spread.plain()["count"] for spread in counted.pops.values()) == 1
    await storage.close()


async def test_calls_that_a_trunk_refused_are_counted_by_what_it_said(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.stream.append(SwitchStarted("cc1", "1.0", "abc"))
        for status in (200, 503, 503, 0):
            floor.stream.append(TrunkTried("odorik", "192.0.2.1:5060", "+15555550100", status, "refused"), "c1")
        await floor.written()
        counted = EndedCalls()
        await counted.read(floor.desk.reader)
        read = samples(render({}, counted))
        assert of(read, "callcenter_trunk_attempts_total", trunk="odorik", **{"class": "2xx"}) == 1
        assert of(read, "callcenter_trunk_attempts_total", trunk="odorik", **{"class": "5xx"}) == 2
        assert of(read, "callcenter_trunk_attempts_total", trunk="odorik", **{"class": "none"}) == 1


async def test_a_database_that_cannot_be_read_hides_nothing_of_what_the_switch_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["metrics"] = {**sip(), "floor": FLOOR}
        client = await floor.client(Role.ADMIN)
        assert of(samples((await client.get("/metrics")).text), "callcenter_desk_db_readable") == 1

        async def fails(_: object) -> None:
            raise StorageError("disk I/O error")

        monkeypatch.setattr(floor.desk.ended_calls, "read", fails)
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        read = samples(answer.text)
        assert of(read, "callcenter_desk_db_readable") == 0
        assert of(read, "callcenter_queue_waiting", client="acme", queue="sales") == 4


async def test_how_far_the_desk_is_behind_and_when_the_last_backup_was_made_is_told(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["metrics"] = {**sip(), "floor": FLOOR}
        client = await floor.client(Role.ADMIN)
        read = samples((await client.get("/metrics")).text)
        assert of(read, "callcenter_desk_facts_behind") == 88 - floor.desk.hub.position
        assert of(read, "callcenter_data_free_bytes") > 0
        assert ("callcenter_last_backup_time_seconds", frozenset()) not in read
        (floor.desk.settings.switch.data / LAST).write_text("2026-11-30T12:00:00.000Z\n")
        noon = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
        assert of(samples((await client.get("/metrics")).text), "callcenter_last_backup_time_seconds") == noon


async def test_prometheus_asks_from_this_machine_without_a_token_and_through_a_proxy_with_one(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.answers["metrics"] = {**sip(), "floor": FLOOR}

        async def scrape(address: str, base: str = HERE, **headers: str) -> httpx.Response:
            transport = httpx.ASGITransport(floor.app, client=(address, 4711))
            async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
                return await client.get("/metrics")

        here = await scrape("127.0.0.1")
        assert here.status_code == 200
        assert here.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert of(samples(here.text), "callcenter_switch_up") == 1
        assert (await scrape("127.0.0.1", "http://localhost:8080")).status_code == 200
        assert (await scrape("127.0.0.1", "http://[::1]:8080")).status_code == 200
        assert (await scrape("127.0.0.1", "http://page.example.com:8080")).status_code == 401, (
            "a page whose name is ours"
        )
        assert (await scrape("192.0.2.7")).status_code == 401
        assert (await scrape("127.0.0.1", **{"X-Forwarded-For": "192.0.2.7"})).status_code == 401
        reports = await floor.token(Role.ADMIN, scopes={Scope.REPORTS_READ})
        assert (await scrape("192.0.2.7", Authorization=f"Bearer {reports}")).status_code == 200
        # Whose companies are not all of them sees no other's queues.
        for narrow in (await floor.token(Role.CLIENT), await floor.token(Role.AGENT)):
            assert (await scrape("192.0.2.7", Authorization=f"Bearer {narrow}")).status_code == 403


async def test_a_switch_that_is_away_is_told_and_no_failure(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.desk.switch.path = tmp_path / "nobody"
        floor.desk.switch.close()
        client = await floor.client(Role.ADMIN)
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert of(samples(answer.text), "callcenter_switch_up") == 0
