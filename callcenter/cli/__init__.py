"""The command line, one file a verb; what a verb needs is imported when it runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from callcenter import __version__

VERBS = {
    "run": "run the switch",
    "desk": "serve people and programs over HTTP, beside a running switch",
    "check": "look for every mistake in the configuration",
    "schema": "make the JSON Schema by which editors complete and check the configuration",
    "asyncapi": "print the AsyncAPI document of all that goes over MQTT",
    "status": "show what the running switch does now",
    "report": "show what happened, by client, queue, agent, day and interval",
    "why": "show how a call was decided about, why an agent gets no call, or how a queue stands",
    "timeline": "show what happened in a call, and in those that belong to it",
    "recordings": "show what was recorded, hold, release or delete it; check, decrypt or finish files",
    "callbacks": "show who is to be called back and when; plan one, or call it off",
    "followups": "show what was promised to customers, end it, give it to others; and how promises were kept",
    "do-not-call": "show, add to, take from or import the list of numbers that a client is not to call",
    "agent": "show an agent, or command for one: a state, skills, clients, queues",
    "trace": "show the SIP messages of one call as a ladder",
    "metrics": "show what the running switch counts of SIP, as Prometheus reads it",
    "reload": "have the running switch read its configuration again",
    "drain": "have the running switch take no new calls",
    "media": "drain or replace the workers that carry sound",
    "demo": "show three calls with real phones, from the dialling to the saved record",
    "password": "make the lines for a password of one's own choice",
    "backup": "copy everything that cannot be made anew, while the switch runs; or look whether a copy is whole",
    "restore": "put a backup back",
    "customers": "import customers from a CSV file, and export them; find one, make two one, erase one",
    "token": "make, list or revoke tokens, by which programs ask the desk",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 well, 1 it did not work, 2 it was asked wrongly."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="callcenter", description="A call-centre softswitch.")
    parser.add_argument("--version", action="version", version=f"callcenter {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    # Only the verb that is asked for is imported: `check` is run by editors, at every save.
    asked = next((word for word in arguments if not word.startswith("-")), "")
    for verb, about in VERBS.items():
        sub = verbs.add_parser(verb, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if verb == asked:
            _module(verb).add_arguments(sub)
    options = parser.parse_args(arguments)
    try:
        status: int = _module(options.verb).run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone (`| head`): nothing more to say, not even at exit.
        sys.stderr.close()
        return 1
    return status


def _module(verb: str) -> Any:
    """The file of a verb."""
    return importlib.import_module(f"callcenter.cli.{verb.replace('-', '_')}")
