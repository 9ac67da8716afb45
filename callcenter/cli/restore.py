"""``callcenter restore``: put a backup back, into the data folder of a switch that does not run."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from callcenter.cli.backup import databases, schemas, summary
from callcenter.cli.common import add_config_arguments, show, told_to_end
from callcenter.config import ConfigError, load
from callcenter.config.problems import many
from callcenter.storage.backup import (
    CONFIG,
    BackupError,
    give_config,
    read_manifest,
    restore,
    restore_config,
    take_config_back,
    verify,
    waiting_callbacks,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``restore``."""
    parser.add_argument("backup", type=Path, help="the folder that `callcenter backup` has made")
    parser.add_argument(
        "--config-to", type=Path, metavar="DIR", help="put its configuration there too, into a new folder; without, the"
        " configuration named by --config says where things go, and stays as it is",
    )  # fmt: skip
    parser.add_argument(
        "--replace",
        action="store_true",
        help="move what is there into a folder beside it; without, nothing may be there",
    )
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Look whether it is whole, and put it back; exit status 1 when it is not, and nothing was changed."""
    now = datetime.now(UTC)
    try:
        found = verify(options.backup, schemas())
        if found.wrong:
            for wrong in found.wrong:
                print(f"  wrong: {wrong}", file=sys.stderr)
            raise BackupError(f"{options.backup} is not whole: nothing was restored")
        folder, written = options.config, 0
        with told_to_end(), ExitStack() as undone:
            if options.config_to is not None:
                written = restore_config(options.backup, options.config_to)
                # Who tries again, with --replace, finds that folder as empty as it was.
                undone.callback(take_config_back, options.config_to)
                folder = options.config_to
            settings = load(folder, options.overrides, data=options.data)
            if options.config_to is not None:
                give_config(options.config_to, settings.switch.data)
            directory = settings.calls.recording.directory
            told = restore(
                options.backup, databases(settings), settings.switch.data, directory, replace=options.replace, now=now
            )
            undone.pop_all()
        if options.config_to is not None:
            print(f"{many(written, 'file')} of configuration in {options.config_to}")
        waiting = waiting_callbacks(settings.storage.path)
    except ConfigError as error:
        show(error.problems, sys.stderr)
        print(f"callcenter: nothing was restored: the configuration says where to; {options.backup / CONFIG} holds the"
              " one of then (--config-to)", file=sys.stderr)  # fmt: skip
        return 1
    except BackupError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    print(f"{settings.switch.data}\n{summary(read_manifest(options.backup))}")
    for line in told:
        print(f"  {line}")
    if waiting:
        print(
            f"  {many(waiting, 'callback')} of then will be dialled: some may have been since; `callcenter callbacks`"
        )
    print(f"start it: callcenter run --data {settings.switch.data}{f' --config {folder}' if folder else ''}")
    return 0
