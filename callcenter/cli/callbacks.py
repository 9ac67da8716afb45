"""``callcenter callbacks``: who is to be called back and when, what was tried; plan one, or call it off."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell, columns, moment
from callcenter.config.problems import many
from callcenter.control.client import ControlClient

FILTERS = ("client", "queue", "number", "customer", "agent", "call", "source", "state")
STATES = ("open", "ended", "reached", "given_up", "cancelled", "removed", "expired")
PLAN = (*("client", "queue", "number", "call", "reason", "not_before", "not_after", "zone", "mode", "prefer"),)
DEFAULT_LIMIT = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``callbacks``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    listed = what.add_parser("list", help="those that were asked for last")
    listed.add_argument("--state", choices=STATES, help="in this state alone (default: all)")
    for name in ("client", "queue", "number", "customer", "call", "source"):
        listed.add_argument(f"--{name}", metavar=name.upper(), help=f"of this {name} alone")
    listed.add_argument("--agent", metavar="AGENT", help="for this agent first")
    listed.add_argument("--limit", type=int, default=DEFAULT_LIMIT, metavar="N", help="at most so many (default: 100)")
    listed.add_argument("--json", action="store_true", help="as JSON, one line each")
    add_switch_arguments(listed)
    shown = what.add_parser("show", help="everything that is known of one")
    shown.add_argument("callback", metavar="CALLBACK", help="its id")
    shown.add_argument("--json", action="store_true", help="as JSON")
    add_switch_arguments(shown)
    planned = what.add_parser("plan", help="have somebody called back")
    planned.add_argument("number", metavar="NUMBER", help="whom to call, as +14155550100")
    planned.add_argument("--client", metavar="CLIENT", help="in whose name (default: the only one)")
    planned.add_argument("--queue", metavar="QUEUE", help="whose agents call (default: the client's only one)")
    planned.add_argument("--not-before", metavar="TIME", help="as 2026-11-30T10:00, by the customer's clocks")
    planned.add_argument("--not-after", metavar="TIME", help="until when")
    planned.add_argument("--zone", metavar="ZONE", help="where the customer is, as Europe/Madrid (default: by number)")
    planned.add_argument("--mode", choices=("agent_first", "customer_first"), help="who is on the phone first")
    planned.add_argument("--prefer", metavar="AGENT", help="who is asked first")
    planned.add_argument("--reason", metavar="WORDS", help="what it is about")
    planned.add_argument("--call", metavar="CALL", help="the call in which it came up")
    add_switch_arguments(planned)
    cancelled = what.add_parser("cancel", help="call nobody back")
    cancelled.add_argument("callback", metavar="CALLBACK", help="its id")
    cancelled.add_argument("--why", metavar="WORDS", help="told to whoever asks later")
    add_switch_arguments(cancelled)


def run(options: argparse.Namespace) -> int:
    """Ask or command; exit status 1 when it was not done."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    match options.what:
        case "list":
            return _list(client, options)
        case "show":
            told = client.ask("callback_get", callback=options.callback)["callback"]
            print(json.dumps(told) if options.json else "\n".join(lines(told)))
        case "plan":
            answer = client.ask("callback_schedule", **_said(options, PLAN))
            told = answer["callback"]
            print(f"{told['id']} is planned for {moment(told['next_at'])}")
            if answer["merged"]:
                print("it is one with what was planned for this number before")
        case _:
            told = client.ask("callback_cancel", callback=options.callback, **_said(options, ("why",)))
            print(f"{told['callback']['id']} is called off")
    return 0


def _list(client: ControlClient, options: argparse.Namespace) -> int:
    answer = client.ask("callback_list", limit=options.limit, **_said(options, FILTERS))
    found = answer["items"]
    if options.json:
        for each in found:
            print(json.dumps(each))
        return 0
    print("\n".join(table(found)) if found else "nobody is to be called back that is asked for")
    if answer["next"] is not None:
        print(f"the latest {many(options.limit, 'callback')}: --limit shows more")
    return 0


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Callbacks as lines, the latest first."""
    rows: list[tuple[str, ...]] = [("CALLBACK", "CLIENT", "QUEUE", "NUMBER", "STATE", "NEXT (UTC)", "TRIES", "SOURCE")]
    for each in found:
        next_at = moment(each["next_at"])[:19] if each["next_at"] else "-"
        rows.append(
            (
                each["id"],
                each["client"],
                each["queue"],
                each["number"],
                each["state"].replace("_", " "),
                next_at,
                str(each["attempts"]),
                each["source"],
            )
        )
    return columns(rows, right=(6,))


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """A callback in some lines."""
    yield f"{told['id']}: {told['state'].replace('_', ' ')}"
    yield f"  {told['number']} for {told['client']}, queue {told['queue']}; {told['mode'].replace('_', ' ')}"
    if told["reason"]:
        yield f"  about: {told['reason']}"
    asked = f"  asked for {moment(told['requested_at'])}, source {told['source']}"
    yield f"{asked}, by {told['created_by']}" if told["created_by"] else asked
    if told["not_before"] or told["not_after"]:
        window = " to ".join(moment(each) if each else "..." for each in (told["not_before"], told["not_after"]))
        yield f"  window {window}; the customer's clocks: {told['zone']}"
    if told["next_at"]:
        yield f"  in line from {moment(told['next_at'])}"
    for each in told["history"]:
        what = f"attempt {each['number']}" if each["number"] else "declined"
        by = f" by {each['agent']}" if each["agent"] else ""
        said = f"{each['cause'].replace('_', ' ') or 'under way'}" + (f": {each['detail']}" if each["detail"] else "")
        yield f"  {moment(each['at'])} {what}{by}: {said}"
    if told["ended_at"]:
        yield f"  ended {moment(told['ended_at'])}: {told['ended_why'].replace('_', ' ') or told['outcome']}"


def _said(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}
