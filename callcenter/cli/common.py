"""What several verbs share: the options that name a configuration, and how its mistakes are shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from callcenter.config import ConfigError, Problem, Settings, load


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--data``, ``--set``."""
    parser.add_argument("--config", type=Path, metavar="DIR", help="folder of YAML files (default: the shipped one)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the database, passwords and sounds")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set one value, e.g. sip.realm=x",
    )


def load_or_tell(
    options: argparse.Namespace, overrides: Sequence[str] = (), data: Path | None = None
) -> Settings | None:
    """The settings that the options name; None after its mistakes were shown on standard error."""
    try:
        return load(options.config, [*overrides, *options.overrides], data=data or options.data)
    except ConfigError as error:
        show(error.problems, sys.stderr)
        return None


def show(problems: Sequence[Problem], out: TextIO) -> None:
    """The problems, each with its line, and how many there are."""
    for problem in problems:
        print(problem.excerpt(), file=out)
    print(count(problems), file=out)


def count(problems: Sequence[Problem]) -> str:
    """``3 problems in 2 files, 1 warning``."""
    errors = [problem for problem in problems if not problem.warning]
    names = {problem.place.source.name for problem in errors}
    files = sum(not name.startswith("--set") for name in names)
    words = [many(len(errors), "problem") if errors else "no problem"]
    words[0] += f" in {many(files, 'file')}" if files else ""
    warnings = len(problems) - len(errors)
    return ", ".join([*words, many(warnings, "warning")] if warnings else words)


def many(number: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
