"""``callcenter why``: how a call was decided about, why an agent gets no call, and how a queue stands."""

from __future__ import annotations

import argparse
import json
import sys

from callcenter.cli.common import add_switch_arguments, socket_or_tell
from callcenter.control.client import ControlClient, ControlError
from callcenter.observe import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``why``."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("call", nargs="?", metavar="CALL", help="a call: its id, or the end of it")
    which.add_argument("--agent", help="why this agent gets no call, or whose")
    which.add_argument("--queue", help="how this queue stands, and what keeps agents from its first caller")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    add_switch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the running switch; exit status 1 when it does not know."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    asked = {name: value for name in ("call", "agent", "queue") if (value := getattr(options, name)) is not None}
    try:
        with ControlClient(path) as client:
            answer = client.ask("why", **asked)
    except ControlError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    if options.json:
        answer.pop("lines")
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        print("\n".join(printable(line) for line in answer["lines"]))
    return 0
