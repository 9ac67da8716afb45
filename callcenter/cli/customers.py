"""``callcenter customers``: files of customers in and out, one of them looked up or erased, and two made one."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from callcenter.cli.common import add_config_arguments, add_switch_arguments, ask_or_tell, load_or_tell
from callcenter.config import Settings
from callcenter.control import SOCKET
from callcenter.control.client import ControlClient, ControlError
from callcenter.runtime.clock import SystemClock
from callcenter.storage.customer_csv import CustomerFiles, ImportReport, Mode
from callcenter.storage.customer_rows import RejectedRow, is_encoding
from callcenter.storage.database import StorageError
from callcenter.storage.store import open_database_beside

# After each transaction the switch has the database to itself for so many times as long as that took.
REST = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``customers``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    into = what.add_parser("import", help="add new customers, change known ones; the switch may run meanwhile")
    into.add_argument("file", type=Path, help="CSV with columns client, name, numbers and, if any, id, accounts, tier,"
                      " language, since, notes, agent and the client's own fields; several numbers or accounts are"
                      " separated by semicolons")  # fmt: skip
    into.add_argument(
        "--dry-run",
        "--dry",
        dest="dry",
        action="store_true",
        help="only tell what would be done, and which lines are wrong",
    )
    into.add_argument("--mode", choices=list(Mode), default=Mode.REPLACE, type=Mode, help="what becomes of customers"
                      " who are there: replaced by the file, filled where they are empty, or left (add)")  # fmt: skip
    into.add_argument("--client", action="append", default=[], metavar="CLIENT", help="take rows of this client alone;"
                      " of one, they need not name it")  # fmt: skip
    into.add_argument("--encoding", type=_encoding, metavar="NAME", help="what the file is written in, as"
                      " cp1252 or cp1250 (default: UTF-8, or UTF-16 where the file says so)")  # fmt: skip
    into.add_argument("--untold", action="store_true", help="leave it to whoever asks to tell the switch")
    into.add_argument("--json", action="store_true", help="tell the report as JSON")
    add_config_arguments(into)
    out = what.add_parser("export", help="write customers as CSV, as an import reads it")
    out.add_argument("file", type=Path, nargs="?", help="where to (default: standard output)")
    out.add_argument("--client", action="append", default=[], metavar="CLIENT", help="of this client alone")
    add_config_arguments(out)
    find = what.add_parser("find", help="who has a number, an account, or a name that begins so")
    find.add_argument("client", metavar="CLIENT")
    by = find.add_mutually_exclusive_group()
    by.add_argument("--number", metavar="NUMBER")
    by.add_argument("--account", metavar="DIGITS")
    by.add_argument("--name", metavar="BEGINNING")
    by.add_argument("--id", metavar="CUSTOMER", help="everything that is known of one")
    find.add_argument("--json", action="store_true", help="as JSON, one line each")
    add_switch_arguments(find)
    merge = what.add_parser("merge", help="make two records one; nothing is lost")
    merge.add_argument("client", metavar="CLIENT")
    merge.add_argument("customer", metavar="CUSTOMER", help="who stays")
    merge.add_argument("other", metavar="OTHER", help="who goes into it; this id means the same from then on")
    add_switch_arguments(merge)
    erase = what.add_parser("erase", help="erase one person: their record, and whatever names them in calls")
    erase.add_argument("client", metavar="CLIENT")
    who = erase.add_mutually_exclusive_group(required=True)
    who.add_argument("--id", metavar="CUSTOMER", help="by the id")
    who.add_argument("--number", metavar="NUMBER", help="by the number, where it is one person's")
    erase.add_argument(
        "--dry-run", "--dry", dest="dry", action="store_true", help="only tell what would be erased, and what would not"
    )
    erase.add_argument("--json", action="store_true", help="as JSON")
    add_switch_arguments(erase)


def run(options: argparse.Namespace) -> int:
    """Do it, and say what came of it; exit status 1 when it was not done, or a row was left out."""
    try:
        if options.what in ("find", "merge", "erase"):
            return ask_or_tell(options, _ask)
        settings = load_or_tell(options)
        if settings is None:
            return 1
        unknown = [each for each in options.client if each not in settings.calls.clients]
        if unknown:
            print(f"callcenter: there is no client {unknown[0]}", file=sys.stderr)
            return 1
        return asyncio.run(_import(settings, options) if options.what == "import" else _export(settings, options))
    except StorageError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1


async def _import(settings: Settings, options: argparse.Namespace) -> int:
    clock = SystemClock()
    # Not as the one writer of the log: the switch may be running, and finds the new customers at the next call.
    database = await open_database_beside(settings.storage.path, clock)
    report = ImportReport(on_rejected=None if options.json else _tell_rejected)
    files, whole = CustomerFiles(database, _rules(settings, options.client)), False
    asked = {"mode": options.mode, "dry": options.dry, "encoding": options.encoding or ""}
    try:
        await files.import_csv(options.file, clock.now(), rest=REST, report=report, **asked)
        whole = True
    finally:
        await database.close()
        if not (report.dry or options.untold) and report.clients:
            _tell_switch(settings.switch.data / SOCKET, report.clients)
        if not (whole or options.json) and report.rows:
            print(f"{report}, until it was cut short")
    if options.json:
        print(json.dumps({**report.plain(), "clients": report.clients}))
    else:
        if report.passed_over:
            print(f"passed over, as nothing is known of such columns: {', '.join(report.passed_over)}", file=sys.stderr)
        print(f"{report} (nothing is written)" if report.dry else report)
    return 1 if report.refused else 0


def _encoding(text: str) -> str:
    if not is_encoding(text):
        raise argparse.ArgumentTypeError(f"there is no encoding {text!r}; write utf-8, cp1252 or cp1250")
    return text


def _tell_rejected(row: RejectedRow) -> None:
    print(row, file=sys.stderr)


def _tell_switch(path: Path, clients: Mapping[str, int]) -> None:
    """Have the switch tell what was taken in, if it runs."""
    try:
        with ControlClient(path) as client:
            client.ask("customers_imported", clients=dict(clients))
    except ControlError:
        pass  # nobody is there to be told


async def _export(settings: Settings, options: argparse.Namespace) -> int:
    rules = _rules(settings, options.client)
    database = await open_database_beside(settings.storage.path, SystemClock())
    try:
        out = options.file.open("w", encoding="utf-8", newline="") if options.file is not None else sys.stdout
        try:
            await _write(CustomerFiles(database, rules), list(rules), out)
        finally:
            if options.file is not None:
                out.close()
    except OSError as error:
        print(f"callcenter: cannot write {options.file}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        await database.close()
    return 0


async def _write(files: CustomerFiles, clients: Sequence[str], out: TextIO) -> None:
    async for text in files.export(clients):
        out.write(text)


def _rules(settings: Settings, only: Sequence[str]) -> dict[str, Any]:
    return {name: each.customers for name, each in settings.calls.clients.items() if not only or name in only}


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    if options.what == "erase":
        who = {"customer": options.id} if options.id else {"number": options.number}
        told = client.ask("customer_erase", client=options.client, dry=options.dry, **who)
        print(json.dumps(told) if options.json else "\n".join(erased(told)))
        return 0
    if options.what == "merge":
        answer = client.ask("customer_merge", client=options.client, customer=options.customer, other=options.other)
        print("\n".join(_merged(answer, options.other)))
        return 0
    if options.id:
        found = [client.ask("customer_get", client=options.client, customer=options.id)["customer"]]
    else:
        asked = {name: getattr(options, name) for name in ("number", "account", "name") if getattr(options, name)}
        answer = client.ask("customer_find", client=options.client, **asked)
        found = answer["customers"]
        if answer.get("match") == "maybe" and not options.json:
            print("it may be one of these:")
    if options.json:
        for each in found:
            print(json.dumps(each))
    else:
        print("\n".join(line for each in found for line in shown(each)) if found else "nobody")
    return 0 if found else 1


def shown(customer: Mapping[str, Any]) -> Iterator[str]:
    """A customer in some lines."""
    yield f"{customer['id']}: {customer['name']}"
    for name in ("numbers", "accounts"):
        if customer[name]:
            yield f"  {name} {', '.join(customer[name])}"
    for name in ("tier", "language", "since", "agent"):
        if customer[name]:
            yield f"  {name} {customer[name]}"
    for name, value in customer["fields"].items():
        yield f"  {name} {'yes' if value is True else 'no' if value is False else value}"
    for line in customer["notes"].splitlines():
        yield f"  | {line}"
    for each in customer.get("merged", ()):
        conflicts = ", ".join(f"{name} was {theirs!r}" for name, (_, theirs) in each["conflicts"].items())
        yield f"  was {each['id']} too, until {each['at']} ({each['by']}){'; ' if conflicts else ''}{conflicts}"


def erased(told: Mapping[str, Any]) -> Iterator[str]:
    """What was erased of a person, and what was not."""
    if not told["found"]:
        yield "there is nothing of them"
    else:
        what = ", ".join(f"{count} {what}" for what, count in told["erased"].items())
        yield f"would be erased: {what}" if told["dry"] else f"erased: {what}"
    for each in told["kept"]:
        yield f"  {'would stay' if told['dry'] else 'not erased'}: {each}"


def _merged(answer: Mapping[str, Any], other: str) -> Iterator[str]:
    customer = answer["customer"]
    if not answer["merged"]:
        yield f"{other} and {customer['id']} were one already"
        return
    yield f"{other} means {customer['id']} from now on"
    for name, conflict in answer["conflicts"].items():
        yield f"  {name}: kept {conflict['kept']!r}; the other was {conflict['other']!r}, and stands with the merge"
