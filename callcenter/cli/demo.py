"""``callcenter demo``: a switch, real phones, three calls from the dialling to the saved record; under a minute."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import signal
import sys

NEEDED = "pyVoIP"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``demo``."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set one value of the switch, e.g. media.workers=1",
    )


def run(options: argparse.Namespace) -> int:
    """Play it; 0 when everything happened."""
    if importlib.util.find_spec(NEEDED) is None:
        print(
            f"callcenter: the demo's softphones are {NEEDED}, which is not installed: pip install 'callcenter[demo]'",
            file=sys.stderr,
        )
        return 1

    from callcenter.demo.story import play

    async def whole() -> int:
        # SIGTERM and a closed terminal end it as Ctrl-C does: with nothing left behind.
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await play(sys.stdout, options.overrides)

    try:
        return asyncio.run(whole())
    except asyncio.CancelledError:
        return 130
