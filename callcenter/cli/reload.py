"""``callcenter reload``: the running switch reads its configuration again; what changes is told before it is done."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from callcenter.cli.common import WIDTH, add_switch_arguments, columns, password_table, socket_or_tell
from callcenter.config.problems import many
from callcenter.control.client import ControlClient, ControlError

# Voices may have to read new texts aloud first.
PATIENCE = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``reload``."""
    add_switch_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(options: argparse.Namespace) -> int:
    """Look, say what changes, do it; exit status 1 when it has mistakes, and then nothing has changed."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    try:
        with ControlClient(path) as client:
            seen = client.ask("reload", dry=True)
            for line in told(seen):
                print(line, flush=True)
            if options.dry_run:
                print("a dry run: nothing has changed")
                return 0
            if seen["to_make"]:
                print(
                    f"making {many(len(seen['to_make']), 'sound')} first: {', '.join(seen['to_make'][:5])}", flush=True
                )
            done = client.ask("reload", revision=seen["revision"], timeout=PATIENCE)
    except ControlError as error:
        for problem in error.details.get("problems", []):
            print(problem, file=sys.stderr)
        print(f"callcenter: {error}" if "problems" not in error.details else str(error), file=sys.stderr)
        return 1
    calls = f"= {many(done['calls'], 'call')} up, {'none touched' if done['calls'] != 1 else 'not touched'}"
    print(f"  {calls:<50}  reloaded in {done['took_ms']} ms")
    for certificate in done["certificates"]:
        print(f"  ~ {certificate}")
    if done["passwords"]:
        rows = [(each["user"], each["sip"], each["mqtt"], each["name"]) for each in done["passwords"]]
        print(password_table(rows, done["credentials"]))
    return 0


def told(seen: Mapping[str, Any]) -> Iterator[str]:
    """What changes, a line each."""
    yield from seen["warnings"]
    changes = seen["changes"]
    if not changes:
        yield f"configuration {seen['revision']}: nothing is written differently"
        return
    yield f"configuration {seen['before']} → {seen['revision']}, {many(seen['files'], 'file')} read"
    rows, notes = [], []
    for change in changes:
        values = change["after"] if not change["before"] else f"{change['before']} → {change['after']}"
        rows.append((f"{change['sign']} {change['path']}", values))
        notes.append("takes effect at the next start" if change["waits"] else change["note"])
    for line, note in zip(columns(rows), notes, strict=True):
        if len(line) + len(note) + 6 <= WIDTH:
            yield f"  {line}    {note}".rstrip()
        else:
            yield f"  {line}"
            yield from textwrap.wrap(note, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
