"""``callcenter schema``: what editors need to complete and check the YAML as it is typed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from callcenter.config import editors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``schema``."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="write it beside the YAML files of a folder")


def run(options: argparse.Namespace) -> int:
    """Print the JSON Schema, or write it into a folder; exit status 1 when that cannot be written."""
    if options.out is None:
        sys.stdout.write(editors.as_text())
        return 0
    try:
        file = editors.write(options.out)
    except OSError as error:
        print(f"callcenter: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"written: {file}; editors read it where a file begins with")
    print(f"  {editors.COMMENT}")
    return 0
