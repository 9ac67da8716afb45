"""Reports: figures of the published days and of the log since then, as they are asked for; one reading for all who ask.

The command line and the API read by this, so that they never tell different figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from callcenter.calls.live_ledger import threshold_ms
from callcenter.config.settings import Settings
from callcenter.ledger import contacts, days, intervals
from callcenter.ledger.definitions import ANSWERED_WITHIN_MS, NEWEST, REGISTRY, Definition, Value
from callcenter.ledger.figures import Contacts, Figures
from callcenter.ledger.report import By, Entry, Question, Report, Row, reasons, report
from callcenter.model.facts import utc
from callcenter.storage.metrics import MetricsFile

# Days before and after the ones that are asked for, that are looked at: other zones, and who called again.
MARGIN_DAYS = 60


class AskedWrongly(Exception):
    """What was asked for cannot be reported; one line, with what to ask for instead. ``field``: what is wrong."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class Books:
    """The published days and the log of a switch, read from its database.

    ``seen`` are the clients that whoever asks sees; None: all. Of the time of an agent who serves others too they are
    told nothing: it is of all his clients at once. ``as_of``: until when the log tells. ``corrected``: how many
    dispositions of the calls were corrected since, which changes no figure.
    """

    def __init__(self, settings: Settings, now: datetime, seen: frozenset[str] | None = None) -> None:
        self._settings = settings
        self._now = now
        self._seen = seen
        self._zones: dict[str, tzinfo] = {
            client.id: client.zone or UTC
            for client in settings.calls.clients.values()
            if seen is None or client.id in seen
        }
        self._thresholds = {queue.id: threshold_ms(queue) for queue in settings.plan.queues.values()}
        self.as_of: datetime | None = None
        self.corrected = 0

    def question(
        self,
        by: tuple[By, ...],
        *,
        first: date | int | None = None,
        last: date | int | None = None,
        minutes: int = 30,
        client: str = "",
        queue: str = "",
        agent: str = "",
    ) -> Question:
        """What is asked for, of the days ``first`` to ``last`` (a number: so many days ago; None: today).

        Raises AskedWrongly.
        """
        if client and client not in self._zones:
            raise AskedWrongly(f"--client {client}: there is {', '.join(self._zones) or 'none'}", "client")
        zone = self._zones.get(client, UTC) if client else self._only_zone()
        today = self._now.astimezone(zone).date()
        try:
            if isinstance(first, int):
                first = today - timedelta(days=first)
            if isinstance(last, int):
                last = today - timedelta(days=last)
            last = last or today
            first = first or last
            # A day of any zone lies within these: they must be days too.
            _ = first - timedelta(days=MARGIN_DAYS), last + timedelta(days=MARGIN_DAYS)
        except OverflowError:
            raise AskedWrongly("--from, --to: no calendar has these days", "from") from None
        if last < first:
            raise AskedWrongly(f"--to {last} is before --from {first}", "to")
        return Question(first, last, by, minutes, client, queue, agent)

    def _only_zone(self) -> tzinfo:
        zones = set(self._zones.values())
        return zones.pop() if len(zones) == 1 else UTC

    def answer(self, question: Question) -> Report:
        """Read what is asked for. Raises StorageError."""
        file = MetricsFile(self._settings.storage.path)
        try:
            file.begin()
            self.corrected = self._corrected(file, question)
            return report(question, filter(self._sees, self._entries(file, question)))
        finally:
            file.close()

    def _entries(self, file: MetricsFile, question: Question) -> Iterator[Entry]:
        # A day of any zone lies within these.
        first = intervals.first_quarter(question.first, UTC) - 4 * 15
        behind = intervals.first_quarter(question.last + timedelta(days=1), UTC) + 4 * 15
        for day, row in file.rows(first, behind):
            zone = self._agent_zone(question, row.agent) if row.kind == days.TIME else ZoneInfo(day.zone)
            yield _entry(day.client, row, zone, day.versions)
        ledger = file.ledger()
        ms = ledger.last_ms
        self.as_of = ledger.last_at
        cells = ledger.figures(ms)
        for client, row in days.client_rows(cells, self._thresholds, ANSWERED_WITHIN_MS):
            zone = self._agent_zone(question, row.agent) if row.kind == days.TIME else self._zones.get(client, UTC)
            yield _entry(client, row, zone, NEWEST)
        if By.INTERVAL not in question.by and not question.of_agents:
            yield from self._contacts(file, question)

    def _corrected(self, file: MetricsFile, question: Question) -> int:
        """Of days as the client's clocks have them; of an agent's own figures there is nothing to correct."""
        if question.of_agents:
            return 0
        found = 0
        for client, zone in self._zones.items():
            if question.client in ("", client):
                first = datetime.combine(question.first, time(), zone)
                behind = datetime.combine(question.last + timedelta(days=1), time(), zone)
                counts = file.corrected(client, utc(first), utc(behind))
                found += sum(count for queue, count in counts if question.queue in ("", queue))
        return found

    def _sees(self, entry: Entry) -> bool:
        if self._seen is None or entry.client:
            return self._seen is None or entry.client in self._seen
        agent = self._settings.plan.agents.get(entry.agent)
        return not entry.direct and agent is not None and agent.clients <= self._seen

    def _agent_zone(self, question: Question, agent: str) -> tzinfo:
        """The zone of an agent's days: of the client who is asked for, else of the agent's first."""
        settings = self._settings.plan.agents.get(agent)
        client = question.client or next(iter(sorted(settings.clients)) if settings else iter(()), "")
        return self._zones.get(client, UTC)

    def _contacts(self, file: MetricsFile, question: Question) -> Iterator[Entry]:
        begins = datetime(question.first.year, question.first.month, question.first.day, tzinfo=UTC)
        ends = datetime(question.last.year, question.last.month, question.last.day, tzinfo=UTC)
        margin = contacts.BACK_WITHIN + timedelta(days=2)
        told = (
            contacts.Contact(client, caller, datetime.fromisoformat(at), intent, disposition, bool(answered), queue)
            for client, caller, at, intent, disposition, answered, queue in file.contacts(
                utc(begins - margin), utc(ends + margin)
            )
        )
        for contact, resolved in contacts.first_contacts(told, self._now):
            figures = Figures(contacts=Contacts(first=1, resolved=int(resolved)))
            zone = self._zones.get(contact.client, UTC)
            yield Entry(figures, intervals.quarter_of(contact.at), zone, contact.client, contact.queue)


def _entry(client: str, row: days.Row, zone: tzinfo, versions: Mapping[str, int]) -> Entry:
    direct = row.kind != days.TIME and not row.queue
    return Entry(row.figures, row.quarter, zone, client, row.queue, row.agent, direct, row.threshold_ms, versions)


def definitions_of(answer: Report) -> list[Definition]:
    """The metrics of its rows: those of agents, or those of queues; the newest definitions."""
    names = [name for name in NEWEST if answer.question.of_time or not _of_agents_alone(name)]
    return [REGISTRY[name, NEWEST[name]] for name in names]


def _of_agents_alone(name: str) -> bool:
    return name in ("signed_in", "occupancy") or name.startswith("time_")


def table(answer: Report) -> Iterator[list[str | Value]]:
    """Every metric: the heads, and one line a row; times in milliseconds, shares of 1, nothing where nothing was."""
    definitions = definitions_of(answer)
    yield [*answer.question.by, *(each.name for each in definitions)]
    for row in answer.rows:
        values = (row.group.value(each.name) for each in definitions)
        yield [*row.names, *("" if value is None else value for value in values)]


def plain(answer: Report, as_of: datetime | None, corrected: int = 0) -> dict[str, Any]:
    """Everything, as JSON values; ``corrected`` dispositions since."""
    question = answer.question
    return {
        "schema": "report.v1",
        "from": question.first.isoformat(),
        "to": question.last.isoformat(),
        "by": list(question.by),
        "minutes": question.minutes,
        "as_of": None if as_of is None else utc(as_of),
        "rows": [_plain_row(answer, row) for row in answer.rows],
        "total": _plain_row(answer, answer.total),
        "definitions": {each.name: {"version": each.version, "unit": each.unit, "formula": each.formula}
                        for each in definitions_of(answer)},
        "gaps": list(answer.gaps),
        "corrected": corrected,
    }  # fmt: skip


def _plain_row(answer: Report, row: Row) -> dict[str, Any]:
    return {
        **({} if row is answer.total else dict(zip(answer.question.by, row.names, strict=True))),
        **{each.name: row.group.value(each.name) for each in definitions_of(answer)},
        "thresholds_ms": [each for each in row.group.thresholds if each],
        "reasons": {name: dict(sorted(counts.items())) for name, counts in reasons(row.figures).items() if counts},
    }
