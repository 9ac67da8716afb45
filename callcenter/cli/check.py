"""``callcenter check``: every mistake in the configuration, with file, line and column; exit status 1 if any."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from callcenter.cli.common import add_config_arguments, show
from callcenter.config import DEFAULT_FOLDER, ConfigError, load
from callcenter.config.problems import Problem, count, many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check``."""
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="what was found as one JSON object, for editors")


def run(options: argparse.Namespace) -> int:
    """Check, and say what was found."""
    if options.json:
        return _as_json(options)
    started = time.perf_counter()
    try:
        settings = load(options.config, options.overrides, data=options.data)
    except ConfigError as error:
        show(error.problems, sys.stderr)
        return 1
    took = round((time.perf_counter() - started) * 1000)
    for warning in settings.warnings:
        print(warning.excerpt())
    plan, calls = settings.plan, settings.calls
    print(
        f"{settings.folder}: {count(settings.warnings)}; {len(calls.numbers)} numbers, {len(calls.flows)} flows,"
        f" {len(plan.queues)} queues, {len(plan.agents)} agents; revision {settings.revision} ({took} ms)"
    )
    if settings.sounds.jobs:
        print(f"{many(len(settings.sounds.jobs), 'sound')} to be made at the next start")
    return 0


def _as_json(options: argparse.Namespace) -> int:
    """The same for programs: every problem with its file, line and columns, counted from 1."""
    revision: str | None = None
    problems: tuple[Problem, ...]
    try:
        settings = load(options.config, options.overrides, data=options.data)
        revision, problems = settings.revision, settings.warnings
    except ConfigError as error:
        problems = error.problems
    folder = (options.config or DEFAULT_FOLDER).expanduser().resolve()
    told = {
        "ok": revision is not None,
        "revision": revision,
        "folder": str(folder),
        "problems": [_plain(each, folder) for each in problems],
    }
    print(json.dumps(told, ensure_ascii=False, indent=1))
    return 0 if revision is not None else 1


def _plain(problem: Problem, folder: Path) -> dict[str, Any]:
    place = problem.place
    argument = place.source.name.startswith("--set ")
    return {
        "severity": "warning" if problem.warning else "error",
        "code": str(problem.code),
        "kind": problem.code.name.lower(),
        "file": None if argument else str(folder / place.source.name),
        "argument": place.source.lines[0] if argument else None,
        "line": place.line,
        "column": place.column,
        "end_column": place.end,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }
