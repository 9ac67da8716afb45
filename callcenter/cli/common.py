"""What several verbs share: the options that name a configuration, and how its mistakes are shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from callcenter.config import ConfigError, Problem, Settings, load
from callcenter.config.problems import count


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
