"""``callcenter do-not-call``: the numbers that a client is not to call: list, add, remove, import from a CSV file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell, columns
from callcenter.config.problems import many
from callcenter.control.client import ControlClient
from callcenter.model.do_not_call import NotAList, read_csv

# Entries that go in one command, and what the list is read by.
AT_ONCE = 200
PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``do-not-call``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    listed = what.add_parser("list", help="the numbers of a client, or one of them")
    listed.add_argument("--number", metavar="NUMBER", help="only whether this one is on the list")
    listed.add_argument("--json", action="store_true", help="as JSON, one line each")
    added = what.add_parser("add", help="put a number on the list")
    added.add_argument("number", metavar="NUMBER")
    added.add_argument("--reason", metavar="WORDS", default="")
    added.add_argument("--expires", metavar="TIME", help="until when, as 2027-11-30 (UTC); without: for good")
    removed = what.add_parser("remove", help="take a number off the list")
    removed.add_argument("number", metavar="NUMBER")
    imported = what.add_parser("import", help="put the numbers of a CSV file on the list")
    imported.add_argument("file", type=Path, help="with the columns number and, if any, reason and expires")
    imported.add_argument("--dry-run", action="store_true", help="only tell what would come of it")
    for each in (listed, added, removed, imported):
        each.add_argument("--client", metavar="CLIENT", required=True, help="whose list it is")
        add_switch_arguments(each)


def run(options: argparse.Namespace) -> int:
    """Ask or command; exit status 1 when it was not done, or a line of a file was left out."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    match options.what:
        case "list":
            return _list(client, options)
        case "import":
            return _import(client, options)
        case "add":
            expires = {"expires_at": options.expires} if options.expires else {}
            told = client.ask(
                "do_not_call_add",
                client=options.client,
                number=options.number,
                reason=options.reason,
                **expires,
            )
            print(f"{told['entry']['number']} is not called any more by {options.client}")
        case _:
            told = client.ask("do_not_call_remove", client=options.client, number=options.number)
            print(f"{told['entry']['number']} may be called again by {options.client}")
    return 0


def _list(client: ControlClient, options: argparse.Namespace) -> int:
    asked: dict[str, Any] = {"client": options.client, "limit": PAGE}
    if options.number:
        asked["number"] = options.number
    found: list[dict[str, Any]] = []
    while True:
        page = client.ask("do_not_call", **asked)
        found += page["items"]
        if page["next"] is None:
            break
        asked["after"] = page["next"]
    if options.json:
        for each in found:
            print(json.dumps(each))
    elif found:
        rows = [("NUMBER", "SINCE (UTC)", "UNTIL (UTC)", "BY", "REASON")]
        for each in found:
            until = _moment(each["expires_at"]) if each["expires_at"] else "for good"
            rows.append((each["number"], _moment(each["added_at"]), until, each["added_by"], each["reason"] or "-"))
        print("\n".join(columns(rows)))
    else:
        print(f"{options.client} may call {options.number or 'everybody'}")
    return 0


def _import(client: ControlClient, options: argparse.Namespace) -> int:
    try:
        text = options.file.read_text(encoding="utf-8-sig")
        lines = list(read_csv(text))
    except UnicodeDecodeError:
        print(f"callcenter: {options.file}: not UTF-8; save the file as CSV UTF-8", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"callcenter: cannot read {options.file}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    except NotAList as error:
        print(f"callcenter: {options.file}: {error}", file=sys.stderr)
        return 1
    added = known = rejected = 0
    for start in range(0, len(lines), AT_ONCE):
        entries = [
            {"line": each.line, "number": each.number, "reason": each.reason, "expires_at": each.expires}
            for each in lines[start : start + AT_ONCE]
        ]
        told = client.ask("do_not_call_import", client=options.client, entries=entries, dry=options.dry_run)
        added, known, rejected = added + told["added"], known + told["known"], rejected + len(told["rejected"])
        for wrong in told["rejected"]:
            print(f"{options.file}:{wrong['line']}: {wrong['why']}", file=sys.stderr)
    would = " (nothing is written: --dry-run)" if options.dry_run else ""
    print(f"{many(added, 'number')} added, {known} on the list before, {rejected} rejected{would}")
    return 1 if rejected else 0


def _moment(at: str) -> str:
    return at[:16].replace("T", " ")
