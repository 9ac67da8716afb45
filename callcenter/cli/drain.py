"""``callcenter drain``: take no new calls, and let those that are up end by themselves."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell, duration
from callcenter.cli.status import clock
from callcenter.config.problems import many
from callcenter.control.client import ControlClient, NoSwitch

EVERY = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``drain``."""
    add_switch_arguments(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--cancel", action="store_true", help="take calls again")
    what.add_argument("--wait", action="store_true", help="return when no call is up any more")
    parser.add_argument(
        "--limit", type=duration, metavar="TIME", help="then calls are ended, e.g. 10m (default: as configured)"
    )


def run(options: argparse.Namespace) -> int:
    """Have it drain; exit status 1 when no switch runs, or there is nothing to cancel."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    if options.cancel:
        client.ask("drain", cancel=True)
        print("calls are taken again")
        return 0
    fields = {} if options.limit is None else {"seconds": options.limit}
    state = client.ask("drain", **fields)
    print(words(state), flush=True)
    return wait(client, state) if options.wait else 0


def wait(client: ControlClient, state: Mapping[str, Any]) -> int:
    """Until every call has ended, or the switch has; says how many are left whenever that changes."""
    calls = state["calls"]
    try:
        while (drain := state["drain"]) is not None and not drain["empty"]:
            time.sleep(EVERY)
            state = client.ask("health")
            if state["calls"] != calls:
                calls = state["calls"]
                print(words(state), flush=True)
    except NoSwitch:
        print("the switch has ended")
        return 0
    if drain is None:
        print("the drain was cancelled", file=sys.stderr)
        return 1
    return 0


def words(state: Mapping[str, Any]) -> str:
    """How far the drain is."""
    drain = state["drain"]
    if drain is None:
        return "calls are taken"
    if drain["empty"] or not state["calls"]:
        return "no new calls are taken; no call is up"
    return f"no new calls are taken; {many(state['calls'], 'call')} up, {clock(drain['left_s'])} left for them to end"
