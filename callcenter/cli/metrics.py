"""``callcenter metrics``: what the running switch counts, as Prometheus reads it; the desk serves more."""

from __future__ import annotations

import argparse
import json
import sys

from callcenter.cli.common import add_switch_arguments, socket_or_tell
from callcenter.control.client import ControlClient, ControlError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``metrics``."""
    add_switch_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Look, and write it; exit status 1 when no switch runs."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    with ControlClient(path) as client:
        try:
            told = client.ask("metrics")
        except ControlError as error:
            print(f"callcenter: {error}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps(told))
    else:
        from callcenter.desk.metrics import render

        print(render(told), end="")
    return 0
