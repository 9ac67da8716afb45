"""``callcenter backup``: copy everything that cannot be made anew, while the switch runs; ``--verify`` looks at one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from callcenter.cli.common import add_config_arguments, load_or_tell, told_to_end
from callcenter.config import ConfigError, Settings, load
from callcenter.config.problems import many
from callcenter.storage.backup import CONFIG, MAIN, BackupError, Manifest, Sources, Verified, back_up, cut_short, verify
from callcenter.storage.migrate import shipped

DESK = "desk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``backup``."""
    parser.add_argument(
        "folder",
        type=Path,
        help="where the backup gets a folder of its own, named by the moment; with --verify: the backup",
    )
    parser.add_argument(
        "--recordings", action="store_true", help="copy the files of recordings too, not only their list"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="make none, but look whether that one is whole: every file by its sum, every database row by row",
    )
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make one, or look at one; exit status 1 when it was not made, or is not whole."""
    try:
        if options.verify:
            return _verify(options.folder)
        settings = load_or_tell(options)
        if settings is None:
            return 1
        recordings = settings.calls.recording.directory if options.recordings else None
        with told_to_end():
            whole, manifest = back_up(sources(settings, recordings), options.folder.absolute(), datetime.now(UTC))
    except BackupError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    print(f"{whole}\n{summary(manifest)}")
    for part in cut_short(whole.parent):
        print(f"  note: {part} was cut short, if no other backup is being made just now: remove it")
    return 0


def sources(settings: Settings, recordings: Path | None) -> Sources:
    """What a backup of a switch with these settings copies."""
    return Sources(
        databases=databases(settings),
        data=settings.switch.data,
        config=settings.folder,
        recordings=recordings,
        node=settings.switch.node,
        revision=settings.revision,
    )


def databases(settings: Settings) -> dict[str, Path]:
    """The databases by their names in a backup."""
    return {MAIN: settings.storage.path, DESK: settings.switch.desk_database}


def schemas() -> dict[str, int]:
    """The newest schema that this program knows of each database beside the switch's own."""
    return {DESK: shipped("callcenter.desk")[-1].version}


def summary(manifest: Manifest) -> str:
    """What a backup holds, in words."""
    main = manifest.tables.get(MAIN, {})
    rows = ", ".join(many(main.get(f"{noun}s", 0), noun) for noun in ("interaction", "customer", "callback"))
    size = f"{many(len(manifest.files), 'file')}, {manifest.octets / 1e6:.1f} MB"
    recordings = "copied" if manifest.included else "listed; their files are not in it (--recordings)"
    return "\n".join(
        [
            f"  made {manifest.made_at} of node {manifest.node}, configuration {manifest.revision}",
            f"  {size}, schema {manifest.schema}, facts up to {manifest.last_fact}",
            f"  {rows}",
            f"  {many(manifest.listed, 'recording')} {recordings}",
        ]
    )


def _verify(folder: Path) -> int:
    found = verify(folder, schemas())
    with tempfile.TemporaryDirectory(prefix="callcenter-backup-") as scratch:
        _look_at_configuration(folder, Path(scratch), found)
    print(f"{folder}\n{summary(found.manifest)}")
    for note in found.notes:
        print(f"  note: {note}")
    for wrong in found.wrong:
        print(f"  wrong: {wrong}", file=sys.stderr)
    print("not whole: make another one" if found.wrong else "whole: every file, every row")
    return 1 if found.wrong else 0


def _look_at_configuration(folder: Path, scratch: Path, found: Verified) -> None:
    """Whether it is one that this program starts with. Secrets in the environment may be missing here: no fault."""
    try:
        revision = load(folder / CONFIG, data=scratch).revision
    except ConfigError as error:
        found.notes.append(f"the configuration has {many(len(error.problems), 'mistake')}: {error.problems[0]}")
        return
    if found.manifest.revision not in ("", revision):
        found.notes.append(f"the configuration is {revision} without the options that the switch was started with")
