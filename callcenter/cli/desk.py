"""``callcenter desk``: the desk, which people and programs ask over HTTP; ``run`` starts it beside the switch.

By hand it is started where the switch has ``desk.enabled: false``: by another service manager, or to look at what it
says. It ends without any call noticing.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import socket
import sys
from typing import Any

import uvloop

from callcenter.cli.common import add_config_arguments, load_or_tell
from callcenter.cli.run import LEVELS, on_trial, trial_overrides
from callcenter.config import Settings, load

# With calls on the same cores, the desk is the one that waits.
NICENESS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``desk``."""
    add_config_arguments(parser)
    parser.add_argument("--log", choices=["text", "json"], help="form of the log (default: text on a terminal)")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="least important lines (default: info)")
    # By these the switch starts it: on a socket that listens already, and until its standard input ends.
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--trial", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Load, and serve until the end is asked for."""
    overrides = [*(trial_overrides() if options.trial else []), *options.overrides]
    settings = load_or_tell(argparse.Namespace(**{**vars(options), "overrides": overrides}))
    if settings is None:
        return _failed("its configuration has mistakes", supervised=options.fd is not None)
    if options.trial:
        settings = on_trial(settings)

    def again() -> Settings:
        loaded = load(options.config, overrides, data=options.data)
        return on_trial(loaded) if options.trial else loaded

    from callcenter import observe
    from callcenter.config.secrets import SecretsError
    from callcenter.desk.desk import open_desk
    from callcenter.desk.service import BACKLOG, serve
    from callcenter.storage.database import StorageError

    observe.set_up(options.log or ("text" if sys.stderr.isatty() else "json"), options.log_level)
    if options.fd is None:
        try:
            listening = listen(settings.desk.host, settings.desk.port)
        except OSError as error:
            return _failed(f"{where(settings.desk.host, settings.desk.port)}: {error.strerror or error}")
        listening.listen(BACKLOG)
    else:
        listening = socket.socket(fileno=options.fd)
        os.nice(NICENESS)
    host, port = listening.getsockname()[:2]
    settings = dataclasses.replace(settings, desk=dataclasses.replace(settings.desk, host=host, port=port))

    def ready() -> None:
        if options.fd is not None:
            print(json.dumps({"ready": True}), flush=True)
        else:
            print(f"ready: desk http://{where(host, port)}; configuration {settings.revision}", flush=True)

    async def main(settings: Settings) -> None:
        async with open_desk(settings, again) as desk:
            await serve(desk, listening, ready, ended=None if options.fd is None else _end_of_input())

    try:
        uvloop.run(main(settings))
    except (StorageError, SecretsError) as error:
        return _failed(str(error), supervised=options.fd is not None)
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A TCP socket on that address. Raises OSError."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening


def where(host: str, port: int) -> str:
    """An address as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _failed(why: str, *, supervised: bool = False) -> int:
    """Say so: to the switch, which says it further, or to who started us."""
    if supervised:
        print(json.dumps({"error": why}), flush=True)
    else:
        print(f"callcenter: the desk cannot start: {why}", file=sys.stderr)
    return 1


async def _end_of_input() -> None:
    """Until standard input ends: the switch holds its other end, and lets go of it however it dies."""
    reader = asyncio.StreamReader()
    source: Any = sys.stdin.buffer
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), source
    )
    try:
        while await reader.read(4096):
            pass
    finally:
        transport.close()
