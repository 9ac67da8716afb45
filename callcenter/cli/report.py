"""``callcenter report``: what happened, by client, queue, agent, day and interval; the switch may run meanwhile."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from callcenter.calls.live_ledger import threshold_ms
from callcenter.cli.common import add_config_arguments, columns, load_or_tell
from callcenter.config import Settings
from callcenter.config.problems import did_you_mean
from callcenter.ledger import contacts, days, intervals
from callcenter.ledger.definitions import ANSWERED_WITHIN_MS, NEWEST, REGISTRY, Definition, Unit, Value
from callcenter.ledger.figures import Contacts, Figures
from callcenter.ledger.report import By, Entry, Question, Report, Row, reasons, report
from callcenter.model.facts import utc
from callcenter.observe import printable
from callcenter.runtime.clock import SystemClock
from callcenter.storage.database import StorageError
from callcenter.storage.metrics import MetricsFile

FORMATS = ("table", "csv", "json")
# The columns of a table, by the names of metrics; all others are in CSV and JSON.
OF_QUEUES = (
    ("OFFERED", "offered"),
    ("ANSWERED", "answered"),
    ("ABANDONED", "abandoned"),
    ("SHORT", "short_abandoned"),
    ("OUT", "flowed_out"),
    ("REFUSED", "refused"),
    ("LOST", "lost"),
    ("WAITING", "still_waiting"),
    ("SL", "service_level"),
    ("ASA", "asa"),
    ("P90", "wait_p90"),
    ("LONGEST", "wait_max"),
    ("ABANDON", "abandon_rate"),
    ("AHT", "aht"),
    ("FCR", "fcr"),
)
OF_AGENTS = (
    ("SIGNED IN", "signed_in"),
    ("IDLE", "time_ready_idle"),
    ("TALK", "time_talk"),
    ("HOLD", "time_hold"),
    ("WRAP-UP", "time_wrap_up"),
    ("BREAK", "time_break"),
    ("OCCUPIED", "occupancy"),
    ("OFFERS", "offers"),
    ("HANDLED", "handled"),
    ("AHT", "aht"),
    ("RNA", "rna_rate"),
    ("DECLINED", "declined_rate"),
    ("FAILED", "device_failed_rate"),
)
# Where rows are of clients or queues too: nobody is signed in for one of them, and no time is anybody's.
OF_AGENTS_WORK = OF_AGENTS[[name for _, name in OF_AGENTS].index("offers") :]
LONGEST_NAME = 28


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report``."""
    parser.add_argument(
        "--from", dest="first", type=_day, metavar="DAY", help="first day, 2026-03-02, today, yesterday"
    )
    parser.add_argument("--to", dest="last", type=_day, metavar="DAY", help="last day (default: today)")
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="WHAT",
        help=f"what a row is of, one or more of {', '.join(By)}, with commas (default: queue)",
    )
    parser.add_argument("--client", default="", help="of this client alone")
    parser.add_argument("--queue", default="", help="of this queue alone")
    parser.add_argument("--agent", default="", help="of this agent alone")
    parser.add_argument("--minutes", type=int, choices=intervals.LENGTHS, default=30, help="how long an interval is")
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="a table to read, or every metric as csv, json"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it too, as FILE.png or FILE.svg")
    parser.add_argument("--definitions", action="store_true", help="say how every metric is defined, and nothing else")
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Report; exit status 1 when that cannot be, or when figures do not add up."""
    if options.definitions:
        print("\n".join(map(str, REGISTRY.values())))
        return 0
    settings = load_or_tell(options)
    if settings is None:
        return 1
    try:
        by = _by(options.by)
        books = Books(settings, SystemClock().now())
        question = books.question(options, by)
        if options.plot is not None:
            from callcenter.cli.report_plot import check

            check(options.plot)
        answer = books.answer(question)
        if not answer.rows:
            _check_names(options, settings)
        if options.plot is not None:
            from callcenter.cli.report_plot import draw

            draw(answer, options.plot)
    except (StorageError, AskedWrongly) as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    match options.format:
        case "csv":
            as_csv(answer)
        case "json":
            print(json.dumps(plain(answer, books.as_of), ensure_ascii=False, indent=1))
        case _:
            print("\n".join(printable(line) for line in lines(answer, books.as_of)))
    for gap in answer.gaps:
        print(f"callcenter: figures that do not add up, facts were lost: {gap}", file=sys.stderr)
    return 1 if answer.gaps else 0


class AskedWrongly(Exception):
    """What was asked for cannot be reported; one line, with what to ask for instead."""


def _check_names(options: argparse.Namespace, settings: Settings) -> None:
    """Of what has no rows: an old name may stand in the log, one that stands nowhere is a slip."""
    for kind, names in (("queue", settings.plan.queues), ("agent", settings.plan.agents)):
        name = getattr(options, kind)
        if name and name not in names:
            there = f"there is {', '.join(names)}"
            raise AskedWrongly(f"--{kind} {name}: {did_you_mean(name, names, otherwise=there)}")


def _day(text: str) -> date | int:
    """A day, or how many days ago it was."""
    if text in ("today", "yesterday"):
        return ("today", "yesterday").index(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"write a day as 2026-03-02, today or yesterday, not {text!r}") from None


def _by(words: Sequence[str]) -> tuple[By, ...]:
    found: dict[By, None] = {}
    for word in ",".join(words or ["queue"]).split(","):
        try:
            found[By(word.strip())] = None
        except ValueError:
            raise AskedWrongly(f"--by {word.strip()}: write one or more of {', '.join(By)}") from None
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------- figures


class Books:
    """The published days and the log of a switch, read from its database.

    ``as_of``: until when the log tells.
    """

    def __init__(self, settings: Settings, now: datetime) -> None:
        self._settings = settings
        self._now = now
        self._zones: dict[str, tzinfo] = {client.id: client.zone or UTC for client in settings.calls.clients.values()}
        self._thresholds = {queue.id: threshold_ms(queue) for queue in settings.plan.queues.values()}
        self.as_of: datetime | None = None

    def question(self, options: argparse.Namespace, by: tuple[By, ...]) -> Question:
        """What the options ask for. Raises AskedWrongly."""
        plan = self._settings.plan
        if options.client and options.client not in self._zones:
            raise AskedWrongly(f"--client {options.client}: there is {', '.join(self._zones) or 'none'}")
        zone = self._zones.get(options.client, UTC) if options.client else self._only_zone()
        today = self._now.astimezone(zone).date()
        first, last = options.first, options.last
        if isinstance(first, int):
            first = today - timedelta(days=first)
        if isinstance(last, int):
            last = today - timedelta(days=last)
        last = last or today
        first = first or last
        if last < first:
            raise AskedWrongly(f"--to {last} is before --from {first}")
        if By.AGENT in by and plan.agents.get(options.agent) is None and options.agent:
            known = ", ".join(plan.agents)
            print(f"callcenter: agent {options.agent} is not in the configuration now: {known}", file=sys.stderr)
        return Question(first, last, by, options.minutes, options.client, options.queue, options.agent)

    def _only_zone(self) -> tzinfo:
        zones = set(self._zones.values())
        return zones.pop() if len(zones) == 1 else UTC

    def answer(self, question: Question) -> Report:
        """Read what is asked for. Raises StorageError."""
        file = MetricsFile(self._settings.storage.path)
        try:
            file.begin()
            return report(question, self._entries(file, question))
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


# ------------------------------------------------------------------------------------------------------------- forms


def definitions_of(answer: Report) -> list[Definition]:
    """The metrics of its rows: those of agents, or those of queues; the newest definitions."""
    names = [name for name in NEWEST if answer.question.of_time or not _of_agents_alone(name)]
    return [REGISTRY[name, NEWEST[name]] for name in names]


def _of_agents_alone(name: str) -> bool:
    return name in ("signed_in", "occupancy") or name.startswith("time_")


def as_csv(answer: Report) -> None:
    """Every metric, one line a row; times in milliseconds, shares of 1, nothing where nothing was."""
    definitions = definitions_of(answer)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*answer.question.by, *(each.name for each in definitions)])
    for row in answer.rows:
        values = (row.group.value(each.name) for each in definitions)
        writer.writerow([*row.names, *("" if value is None else value for value in values)])


def plain(answer: Report, as_of: datetime | None) -> dict[str, Any]:
    """Everything, as JSON values."""
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
    }  # fmt: skip


def _plain_row(answer: Report, row: Row) -> dict[str, Any]:
    return {
        **({} if row is answer.total else dict(zip(answer.question.by, row.names, strict=True))),
        **{each.name: row.group.value(each.name) for each in definitions_of(answer)},
        "thresholds_ms": [each for each in row.group.thresholds if each],
        "reasons": {name: dict(sorted(counts.items())) for name, counts in reasons(row.figures).items() if counts},
    }


def lines(answer: Report, as_of: datetime | None) -> list[str]:
    """What a person reads."""
    question = answer.question
    days_told = str(question.first) if question.first == question.last else f"{question.first} to {question.last}"
    told = [f"{days_told}, by {', '.join(question.by)}" + (f"; the log tells until {utc(as_of)}" if as_of else "")]
    if not answer.rows:
        return [*told, "nothing happened"]
    chosen = OF_QUEUES if not question.of_agents else OF_AGENTS if question.of_time else OF_AGENTS_WORK
    rows: list[tuple[str, ...]] = [(*(by.upper() for by in question.by), *(title for title, _ in chosen))]
    shown = answer.rows if len(answer.rows) == 1 else (*answer.rows, answer.total)
    rows += [(*map(_name, row.names), *(_cell(row, name) for _, name in chosen)) for row in shown]
    width = len(question.by)
    told += ["", *columns(rows, range(width, len(rows[0])))]
    thresholds = [f"{each / 1000:g} s" for each in answer.total.group.thresholds if each]
    if not question.of_agents:
        told += ["", f"SL: answered within {' or '.join(thresholds)}. How all this is defined: report --definitions"]
    return told


def _name(name: str) -> str:
    if len(name) == 22 and name[10] == "T":
        name = (
            f"{name[:10]} {name[11:16]} {name[16:19]}{name[20:]}"  # an interval: no reader takes its offset for its end
        )
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _cell(row: Row, name: str) -> str:
    return shown(REGISTRY[name, NEWEST[name]].unit, row.group.value(name))


def shown(unit: Unit, value: Value) -> str:
    """A value as a person reads it: ``94.2 %``, ``0:07``, ``1:02:41``, ``-``."""
    if value is None:
        return "-"
    match unit:
        case Unit.COUNT:
            return str(value)
        case Unit.SHARE:
            return f"{value:.1%}"
        case Unit.MEAN | Unit.TOTAL:
            minutes, second = divmod((int(value) + 500) // 1000, 60)
            hours, minute = divmod(minutes, 60)
            return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
