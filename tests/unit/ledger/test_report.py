"""Rows of a report: everything that was asked for is in one of them, once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from callcenter.ledger.figures import AgentTime, Figures, Handling, Visits
from callcenter.ledger.intervals import quarter_of
from callcenter.ledger.report import By, Entry, Question, report

NEW_YORK = ZoneInfo("America/New_York")
SUNDAY = date(2026, 11, 1)  # of 25 hours, in New York


def visits(number: int, at: datetime, *, client: str = "acme", queue: str = "sales", direct: bool = False) -> Entry:
    figures = Figures(visits=Visits(offered=number, answered=number, waits=[1_000] * number))
    return Entry(figures, quarter_of(at), NEW_YORK, client, queue, direct=direct, threshold_ms=20_000)


def handling(number: int, at: datetime, agent: str, *, client: str = "acme", queue: str = "sales") -> Entry:
    figures = Figures(handling=Handling(handled=number, talk_ms=60_000 * number))
    return Entry(figures, quarter_of(at), NEW_YORK, client, queue, agent, threshold_ms=20_000)


def time(ms: int, at: datetime, agent: str) -> Entry:
    return Entry(Figures(time=AgentTime(ms, {"ready_idle": ms})), quarter_of(at), NEW_YORK, agent=agent)


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def ask(*by: By, entries: list[Entry], **more: object) -> dict[tuple[str, ...], int | float | None]:
    question = Question(SUNDAY, SUNDAY, by, **more)  # type: ignore[arg-type]
    name = "handled" if question.of_agents else "offered"
    return {row.names: row.group.value(name) for row in report(question, entries).rows}


def test_the_hour_that_comes_twice_has_two_rows_in_their_order() -> None:
    """5:30 and 6:30 in UTC are both 1:30 in New York on that night."""
    entries = [visits(2, at(6, 30)), visits(1, at(5, 30)), visits(4, at(5, 0))]
    assert ask(By.INTERVAL, entries=entries) == {
        ("2026-11-01T01:00-04:00",): 4,
        ("2026-11-01T01:30-04:00",): 1,
        ("2026-11-01T01:30-05:00",): 2,
    }
    assert list(ask(By.INTERVAL, entries=entries, minutes=60)) == [
        ("2026-11-01T01:00-04:00",),
        ("2026-11-01T01:00-05:00",),
    ]


def test_days_are_those_of_the_client_s_own_time_zone() -> None:
    entries = [visits(1, at(3, 59)), visits(2, at(4, 0)), visits(4, at(4, 59, 2)), visits(8, at(5, 0, 2))]
    assert ask(By.DAY, entries=entries) == {("2026-11-01",): 6}


def test_queues_and_clients_have_their_rows_and_those_who_asked_for_one_agent_stand_apart() -> None:
    entries = [
        visits(1, at(12)),
        visits(2, at(13), queue="help"),
        visits(4, at(12), client="other", queue="x"),
        visits(8, at(12), queue="", direct=True),
        visits(16, at(12), client="", queue="", direct=True),
    ]
    assert ask(By.CLIENT, entries=entries) == {("acme",): 3, ("other",): 4}
    assert ask(By.QUEUE, entries=entries) == {("(direct)",): 8, ("help",): 2, ("sales",): 1, ("x",): 4}
    assert ask(By.CLIENT, By.QUEUE, entries=entries, client="acme", queue="help") == {("acme", "help"): 2}


def test_agents_have_what_they_did_and_their_time_where_it_can_be_told() -> None:
    entries = [
        handling(1, at(12), "amy"),
        handling(2, at(12), "bob", client="other", queue="x"),
        time(900_000, at(12), "amy"),
        visits(9, at(12)),
    ]
    question = Question(SUNDAY, SUNDAY, (By.AGENT,))
    amy, bob = report(question, entries).rows
    assert (amy.group.value("handled"), amy.group.value("signed_in"), amy.group.value("offered")) == (1, 900_000, 0)
    assert (bob.group.value("handled"), bob.group.value("signed_in")) == (2, 0)
    # Signed-in time is of all queues at once: a row of one queue has no part of it.
    of_queue = report(Question(SUNDAY, SUNDAY, (By.AGENT, By.QUEUE)), entries).rows
    assert [row.group.value("signed_in") for row in of_queue] == [0, 0]
    assert ask(By.DAY, entries=entries, agent="bob") == {("2026-11-01",): 2}
    assert ask(By.AGENT, entries=entries, client="acme") == {("amy",): 1}


def test_the_total_is_all_rows_together_and_gaps_are_told_with_their_row() -> None:
    broken = Entry(Figures(visits=Visits(offered=2)), quarter_of(at(12)), NEW_YORK, "acme", "sales")
    answer = report(Question(SUNDAY, SUNDAY, (By.QUEUE,)), [visits(1, at(12)), visits(2, at(13), queue="help"), broken])
    assert answer.total.group.value("offered") == 5
    assert answer.total.names == ("total",)
    assert answer.gaps == ("sales: 2 offered, 0 ended and 0 waiting",)
