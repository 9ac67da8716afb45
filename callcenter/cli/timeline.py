"""``callcenter timeline``: what happened in a call, and in those that belong to it, line by line."""

from __future__ import annotations

import argparse
import json

from callcenter.cli.common import add_switch_arguments, ask_or_tell
from callcenter.control.client import ControlClient
from callcenter.observe import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``timeline``."""
    parser.add_argument("call", metavar="CALL", help="a call: its id, or the end of it")
    parser.add_argument("--alone", action="store_true", help="without the calls that belong to it")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    add_switch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the running switch; exit status 1 when it does not know."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    answer = client.ask("timeline", call=options.call, alone=options.alone)
    told = answer.pop("lines")
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=1))
        return 0
    calls = answer["calls"]
    if len(calls) > 1:
        for number, call in enumerate(calls, start=1):
            print(f"[{number}] {call['call']}  {call['why']}, {call['direction']}, {call['outcome'] or 'goes on'}")
        print()
    print("\n".join(printable(line) for line in told))
    return 0
