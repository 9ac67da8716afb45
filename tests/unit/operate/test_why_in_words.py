"""What `why` says of how a caller came to stand in line: on whose place, and who asked for what."""

from __future__ import annotations

from datetime import UTC, datetime

from callcenter.model.facts import CallQueued, Fact
from callcenter.operate.why import said

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_place_of_before_and_everything_that_is_asked_are_told_with_where_they_come_from() -> None:
    queued = CallQueued(
        "v1",
        "sales",
        "acme",
        30,
        (("english", 3), ("billing", 2)),
        60_000,
        prefer="ana",
        prefer_ms=20_000,
        visit_no=1,
        place_of="cc1-before/2",
        origins=(("queue", "english>=3"), ("intent billing", "billing>=2"), ("customer gold", "priority +20")),
    )
    assert said(Fact(1, NOON, "boot", 95_500, "cc1-call", queued)) == (
        "waits in sales, with priority 30",
        "on the place of visit cc1-before/2, which is 35 s old",
        "by queue: english>=3",
        "by intent billing: billing>=2",
        "by customer gold: priority +20",
        "ana is preferred, and alone for 20 s",
    )


def test_a_new_place_is_nobody_s_of_before() -> None:
    queued = CallQueued("v1", "sales", "acme", 0, (), 60_000, visit_no=1)
    assert said(Fact(1, NOON, "boot", 60_000, "cc1-call", queued)) == ("waits in sales, with priority 0",)
