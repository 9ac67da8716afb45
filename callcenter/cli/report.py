"""``callcenter report``: what happened, by client, queue, agent, day and interval; the switch may run meanwhile."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from callcenter.cli.common import add_config_arguments, columns, load_or_tell
from callcenter.config import Settings
from callcenter.config.problems import did_you_mean
from callcenter.desk.reading.reports import AskedWrongly, Books, plain, table
from callcenter.ledger import intervals
from callcenter.ledger.definitions import NEWEST, REGISTRY, Unit, Value
from callcenter.ledger.report import By, Report, Row
from callcenter.model.facts import utc
from callcenter.observe import printable
from callcenter.runtime.clock import SystemClock
from callcenter.storage.database import StorageError

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
        question = books.question(
            by,
            first=options.first,
            last=options.last,
            minutes=options.minutes,
            client=options.client,
            queue=options.queue,
            agent=options.agent,
        )
        if By.AGENT in by and options.agent and options.agent not in settings.plan.agents:
            known = ", ".join(settings.plan.agents)
            print(f"callcenter: agent {options.agent} is not in the configuration now: {known}", file=sys.stderr)
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
            print(json.dumps(plain(answer, books.as_of, books.corrected), ensure_ascii=False, indent=1))
        case _:
            print("\n".join(printable(line) for line in lines(answer, books.as_of, books.corrected)))
    for gap in answer.gaps:
        print(f"callcenter: figures that do not add up, facts were lost: {gap}", file=sys.stderr)
    return 1 if answer.gaps else 0


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


# ------------------------------------------------------------------------------------------------------------- forms


def as_csv(answer: Report) -> None:
    """Every metric, one line a row; times in milliseconds, shares of 1, nothing where nothing was."""
    csv.writer(sys.stdout, lineterminator="\n").writerows(table(answer))


def lines(answer: Report, as_of: datetime | None, corrected: int = 0) -> list[str]:
    """What a person reads; ``corrected`` dispositions since, which no figure follows."""
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
    if corrected:
        was = "disposition was" if corrected == 1 else "dispositions were"
        told.append(f"{corrected} {was} corrected since: no figure follows; `callcenter timeline CALL` shows each")
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
