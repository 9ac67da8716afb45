"""``callcenter why``: how a call was decided about, why an agent gets no call, and how a queue stands."""

from __future__ import annotations

import argparse
import json

from callcenter.cli.common import add_switch_arguments, ask_or_tell
from callcenter.control.client import ControlClient
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
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    asked = {name: value for name in ("call", "agent", "queue") if (value := getattr(options, name)) is not None}
    answer = client.ask("why", **asked)
    if options.json:
        answer.pop("lines")
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        print("\n".join(printable(line) for line in answer["lines"]))
    return 0
