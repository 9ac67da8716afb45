"""``callcenter recordings``: what was recorded, and what is to become of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from callcenter.calls.recordings import size
from callcenter.cli.common import add_switch_arguments, ask_or_tell, columns, moment
from callcenter.cli.recording_files import ACTIONS, add_actions
from callcenter.cli.recording_files import run as run_on_files
from callcenter.cli.status import clock
from callcenter.config.problems import many
from callcenter.control.client import ControlClient

STATES = ("recording", "kept", "cut", "failed", "deleted")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``recordings``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    listed = what.add_parser("list", help="the latest of them")
    listed.add_argument("--client", metavar="CLIENT", help="of this client alone")
    listed.add_argument("--agent", metavar="AGENT", help="of this agent alone")
    listed.add_argument("--call", metavar="CALL", help="of this call alone; the end of its id will do")
    listed.add_argument("--state", choices=STATES, help="in this state alone")
    listed.add_argument("--since", metavar="TIME", help="begun since, as 2026-11-30 or 2026-11-30T10:00Z (UTC)")
    listed.add_argument("--until", metavar="TIME", help="begun before")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default: 100)")
    listed.add_argument("--json", action="store_true", help="as JSON, one line each")
    add_switch_arguments(listed)
    for name, about in (
        ("show", "everything that is known of one"),
        ("hold", "keep one, however old it gets"),
        ("release", "let age delete it again"),
        ("delete", "delete its file; what it was stays told"),
    ):
        one = what.add_parser(name, help=about)
        one.add_argument("recording", metavar="RECORDING", help="its id; the end of it will do where that is enough")
        if name in ("hold", "delete"):
            one.add_argument("--why", required=True, metavar="WORDS", help="told to whoever asks later")
        if name == "show":
            one.add_argument("--json", action="store_true", help="as JSON")
        add_switch_arguments(one)
    add_actions(what)


def run(options: argparse.Namespace) -> int:
    """Ask or command; exit status 1 when it was not done."""
    if options.what in ACTIONS:
        return run_on_files(options)
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    if options.what == "list":
        return _list(client, options)
    do = "recording" if options.what == "show" else f"recording_{options.what}"
    fields = {"why": options.why} if options.what in ("hold", "delete") else {}
    answer = client.ask(do, recording=options.recording, **fields)
    told = answer["recording"]
    if options.what == "show":
        print(json.dumps(told) if options.json else "\n".join(shown(told, answer["directory"])))
        return 0
    done = {"hold": "is kept until it is released", "release": "is held no more", "delete": "is deleted"}
    print(f"{told['recording']} {done[options.what]}")
    return 0


def _list(client: ControlClient, options: argparse.Namespace) -> int:
    asked = {name: getattr(options, name) for name in ("client", "agent", "call", "state", "since", "until")}
    answer = client.ask("recordings", limit=options.limit, **{name: value for name, value in asked.items() if value})
    found = answer["recordings"]
    if options.json:
        for each in found:
            print(json.dumps(each))
        return 0
    print("\n".join(table(found)) if found else "nothing was recorded that is asked for")
    if len(found) == options.limit:
        print(f"the latest {many(options.limit, 'recording')}: --limit shows more, --since and --until others")
    return 0


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Recordings as lines, the latest first."""
    rows: list[tuple[str, ...]] = [("RECORDING", "BEGAN (UTC)", "LENGTH", "CLIENT", "AGENT", "STATE")]
    for each in found:
        state = f"{each['state']}, held" if each["held_at"] else each["state"]
        length = clock(each["length_ms"] / 1000) if each["ended_at"] else "-"
        rows.append(
            (
                each["recording"],
                each["started_at"][:19].replace("T", " "),
                length,
                each["client"],
                ", ".join(each["agents"]) or "-",
                state,
            )
        )
    return columns(rows, right=(2,))


def shown(told: Mapping[str, Any], directory: str) -> Iterator[str]:
    """A recording in some lines."""
    yield f"{told['recording']}: {told['state']}"
    yield f"  call {told['call']} of {told['client']}, queue {told['queue'] or 'none'}"
    yield f"  agent {', '.join(told['agents']) or 'none'}; begun {moment(told['started_at'])} by {told['started_by']}"
    if told["ended_at"]:
        ended = f"  ended {moment(told['ended_at'])}: {told['reason'].replace('_', ' ')}"
        yield f"{ended}; {told['detail']}" if told["detail"] else ended
    if told["octets"]:
        channels = f"{told['channels']} channels, {size(told['octets'])}"
        yield f"  {clock(told['length_ms'] / 1000)} of sound, {channels}"
        yield f"  sha256 {told['sha256']}"
    yield f"  encrypted under the key {told['key']}" if told["key"] else "  not encrypted"
    yield f"  {Path(directory) / told['path']}"
    if told["held_at"]:
        yield f"  held since {moment(told['held_at'])} by {told['held_by']}: {told['held_why']}"
    if told["deleted_at"]:
        yield f"  deleted {moment(told['deleted_at'])} by {told['deleted_by']}: {told['deleted_why']}"
