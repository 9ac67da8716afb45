"""``callcenter asyncapi``: the AsyncAPI document of all that goes over MQTT."""

from __future__ import annotations

import argparse
import json
import sys

from callcenter import __version__
from callcenter.publish.asyncapi import document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``asyncapi``."""
    parser.add_argument(
        "--broker",
        default="127.0.0.1:1883",
        metavar="HOST:PORT",
        help="where the broker takes connections (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the document as JSON."""
    json.dump(document(__version__, options.broker), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0
