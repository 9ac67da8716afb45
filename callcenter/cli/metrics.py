"""``callcenter metrics``: what the running switch counts, as Prometheus reads it; the desk serves more."""

from __future__ import annotations

import argparse
import json

from callcenter.cli.common import add_switch_arguments, ask_or_tell
from callcenter.control.client import ControlClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``metrics``."""
    add_switch_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Look, and write it; exit status 1 when no switch runs."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    told = client.ask("metrics")
    if options.json:
        print(json.dumps(told))
    else:
        from callcenter.desk.metrics import render

        print(render(told), end="")
    return 0
