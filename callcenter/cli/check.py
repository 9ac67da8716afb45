"""``callcenter check``: every mistake in the configuration, with file, line and column; exit status 1 if any."""

from __future__ import annotations

import argparse
import sys
import time

from callcenter.cli.common import add_config_arguments, show
from callcenter.config import ConfigError, load
from callcenter.config.problems import count, many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check``."""
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Check, and say what was found."""
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
