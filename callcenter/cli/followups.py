"""``callcenter followups``: what was promised to customers: what is open, by whom, until when, and how it was kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell, columns
from callcenter.control.client import ControlClient

FILTERS = ("client", "agent", "queue", "customer", "call", "state", "due_after", "due_before")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``followups``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    listed = what.add_parser("list", help="the open ones by due time, or others")
    for name in ("client", "agent", "queue", "customer", "call"):
        listed.add_argument(f"--{name}", metavar=name.upper(), help=f"of this {name} alone")
    listed.add_argument("--state", choices=("open", "done", "cancelled", "all"), default="open", help="default: open")
    listed.add_argument("--due-before", metavar="TIME", help="as 2026-11-30 or 2026-11-30T10:00Z (UTC)")
    listed.add_argument("--due-after", metavar="TIME", help="from then on")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default: 100)")
    listed.add_argument("--json", action="store_true", help="as JSON, one line each")
    kept = what.add_parser("kept", help="how promises were kept: in time, late, or not yet")
    kept.add_argument("--client", metavar="CLIENT", help="of this client alone")
    kept.add_argument("--by", choices=("client", "agent"), default="client", help="default: client")
    kept.add_argument("--due-before", metavar="TIME", help="those that fell due before, as 2026-11-30 (UTC)")
    kept.add_argument("--due-after", metavar="TIME", help="from then on")
    kept.add_argument("--json", action="store_true", help="as JSON")
    for name, about in (
        ("show", "everything that is known of one"),
        ("done", "it is done"),
        ("cancel", "it need not be done any more"),
        ("reopen", "it is still to be done"),
    ):
        one = what.add_parser(name, help=about)
        one.add_argument("followup", metavar="FOLLOWUP", help="its id")
        if name in ("done", "cancel"):
            one.add_argument("--note", metavar="WORDS", default="", help="kept with it")
        if name == "reopen":
            one.add_argument("--due", metavar="TIME", help="until when now, as in: tomorrow 10:00")
        if name == "show":
            one.add_argument("--json", action="store_true", help="as JSON")
        add_switch_arguments(one)
    given = what.add_parser("assign", help="give one to an agent or a queue")
    given.add_argument("followup", metavar="FOLLOWUP", help="its id")
    to = given.add_mutually_exclusive_group(required=True)
    to.add_argument("--agent", metavar="AGENT")
    to.add_argument("--queue", metavar="QUEUE")
    for each in (listed, kept, given):
        add_switch_arguments(each)


def run(options: argparse.Namespace) -> int:
    """Ask or command; exit status 1 when it was not done."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    match options.what:
        case "list":
            _list(client, options)
        case "kept":
            _kept(client, options)
        case "show":
            told = client.ask("followup_get", followup=options.followup)["followup"]
            print(json.dumps(told) if options.json else "\n".join(shown(told)))
        case _:
            told = client.ask(f"followup_{options.what}", **_fields(options))["followup"]
            print(f"{told['id']} is {told['state']}, due {_due(told)}, {_owner(told)}")
    return 0


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    given = {"note": "note", "due": "due_at", "agent": "agent", "queue": "queue"}
    named = {field: value for name, field in given.items() if (value := getattr(options, name, None))}
    return {"followup": options.followup, **named}


def _list(client: ControlClient, options: argparse.Namespace) -> None:
    asked = {name: value for name in FILTERS if (value := getattr(options, name)) and value != "all"}
    answer = client.ask("followup_list", limit=options.limit, **asked)
    if options.json:
        for each in answer["items"]:
            print(json.dumps(each))
        return
    rows = [("FOLLOWUP", "DUE", "CLIENT", "WHOSE", "STATE", "TITLE")]
    for each in answer["items"]:
        state = "overdue" if each["overdue"] else each["state"]
        rows.append((each["id"], _due(each), each["client"], _owner(each), state, each["title"]))
    print("\n".join(columns(rows)) if answer["items"] else "there is none that is asked for")
    if answer["next"] is not None:
        print("there are more: --limit shows them, --due-after those behind")


def _kept(client: ControlClient, options: argparse.Namespace) -> None:
    asked = {name: value for name in ("client", "by", "due_before", "due_after") if (value := getattr(options, name))}
    answer = client.ask("followup_figures", **asked)
    if options.json:
        print(json.dumps(answer))
        return
    rows = [("CLIENT", "AGENT", "PROMISED", "KEPT", "LATE", "OPEN", "KEPT %")]
    for each in answer["items"]:
        share = "-" if each["kept_share"] is None else f"{100 * each['kept_share']:.1f}"
        counts = (str(each[name]) for name in ("promised", "kept", "late", "open"))
        rows.append((each["client"], each["agent"] or "-", *counts, share))
    print("\n".join(columns(rows, right=(2, 3, 4, 5, 6))) if answer["items"] else "nothing fell due")


def shown(told: Mapping[str, Any]) -> Iterator[str]:
    """One of them in some lines."""
    yield f"{told['id']}: {'overdue' if told['overdue'] else told['state']}: {told['title']}"
    yield f"  due {_due(told)}; {_owner(told)} of {told['client']}"
    about = ((name, told[name]) for name in ("customer", "number", "call", "callback", "made_by") if told[name])
    if words := ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about):
        yield f"  {words}"
    yield f"  created {_moment(told['created_at'])} by {told['created_by']}"
    yield from (f"  | {line}" for line in told["text"].splitlines())
    for each in told["attempts"]:
        tried = f"  tried {_moment(each['at'])} by {each['by']}: {each['outcome']}"
        yield f"{tried}; {each['note']}" if each["note"] else tried
    if told["done_at"]:
        yield f"  {told['state']} {_moment(told['done_at'])} by {told['done_by']}"


def _owner(told: Mapping[str, Any]) -> str:
    return str(told["agent"] or (f"queue {told['queue']}" if told["queue"] else "nobody's"))


def _due(told: Mapping[str, Any]) -> str:
    return f"{told['due_local'].replace('T', ' ')} {told['zone']}"


def _moment(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"
