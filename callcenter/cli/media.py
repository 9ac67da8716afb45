"""``callcenter media``: drain a worker that carries sound, have another take its place, or all of them be replaced."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell, columns, duration
from callcenter.cli.status import worker_rows
from callcenter.config.problems import many
from callcenter.control.client import ControlClient, NoSwitch

EVERY = 1.0
# A worker is there in a second, unless the machine is busy; an upgrade starts one after the other.
PATIENCE = 600.0
ACTIONS = {
    "status": "show the workers",
    "drain": "no new call goes to this worker; those that it has go on",
    "resume": "calls go to it again",
    "replace": "a new worker takes its place at once, it ends with its last call",
    "upgrade": "replace all workers, one after the other: by what is installed now",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``media``."""
    add_switch_arguments(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, about in ACTIONS.items():
        sub = actions.add_parser(action, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if action in ("drain", "resume", "replace"):
            sub.add_argument("worker", type=int, metavar="WORKER", help="its number, as `callcenter status` shows it")
        if action in ("replace", "upgrade"):
            sub.add_argument(
                "--limit", type=duration, metavar="TIME", help="then its last calls are ended (default: 4h)"
            )
        if action in ("drain", "replace", "upgrade"):
            sub.add_argument("--wait", action="store_true", help="return when the last call on it has ended")


def run(options: argparse.Namespace) -> int:
    """Have it done, and show the workers; exit status 1 when no switch runs, or it cannot be done."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    if options.action == "status":
        print("\n".join(lines(client.ask("status")["media"])))
        return 0
    fields = {"action": options.action}
    if (worker := getattr(options, "worker", None)) is not None:
        fields["worker"] = worker
    if (limit := getattr(options, "limit", None)) is not None:
        fields["seconds"] = limit
    media = client.ask("media", timeout=PATIENCE, **fields)
    print("\n".join(lines(media)), flush=True)
    return wait(client, media, worker) if getattr(options, "wait", False) else 0


def wait(client: ControlClient, media: Mapping[str, Any], worker: int | None) -> int:
    """Until what drains, or leaves, has no call any more; says how many are left whenever that changes."""
    told = -1
    try:
        while left := leaving(media, worker):
            sessions = sum(each["sessions"] for each in left)
            if sessions == 0 and not any(each["retiring"] for each in left):
                break
            if sessions != told:
                told = sessions
                print(f"{many(sessions, 'side')} of calls left", flush=True)
            time.sleep(EVERY)
            media = client.ask("status")["media"]
            if not any(each["draining"] for each in leaving(media, worker)):
                break
    except NoSwitch:
        print("the switch has ended")
        return 0
    print("no call is left there")
    return 0


def leaving(media: Mapping[str, Any], worker: int | None) -> list[Mapping[str, Any]]:
    """The workers that take no new calls, of all or of one number."""
    return [each for each in media["workers"] if each["draining"] and worker in (None, each["worker"])]


def lines(media: Mapping[str, Any]) -> Iterator[str]:
    """A table of the workers."""
    yield from columns(worker_rows(media), right=(1, 2, 3, 4, 5, 6))
