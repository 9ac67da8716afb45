"""``callcenter timeline``: what happened in a call, and in those that belong to it, line by line."""

from __future__ import annotations

import argparse
import json
import sys

from callcenter.cli.common import add_switch_arguments, socket_or_tell
from callcenter.control.client import ControlClient, ControlError
from callcenter.observe import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``timeline``."""
    parser.add_argument("call", metavar="CALL", help="a call: its id, or the end of it")
    parser.add_argument("--alone", action="store_true", help="without the calls that belong to it")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    add_switch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the running switch; exit status 1 when it does not know."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    try:
        with ControlClient(path) as client:
            answer = client.ask("timeline", call=options.call, alone=options.alone)
    except ControlError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
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
