"""``callcenter agent``: show an agent, or command for one: a state, or who the agent is to the routing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from callcenter.cli.common import add_switch_arguments, ask_or_tell
from callcenter.cli.status import clock
from callcenter.control.client import ControlClient

# What is written, and what it is called in a command.
CHOICES: Mapping[str, str] = {"ready": "ready", "not-ready": "not_ready", "sign-out": "signed_out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``agent``."""
    parser.add_argument("name", metavar="AGENT", help="the agent's user")
    parser.add_argument("choice", nargs="?", choices=list(CHOICES), help="be that, after a call if there is one")
    parser.add_argument("reason", nargs="?", default="", metavar="REASON", help="why not ready, as in acd.reasons")
    parser.add_argument(
        "--skills",
        type=_skill,
        nargs="+",
        metavar="SKILL=LEVEL",
        help="change these skills (1 to 5, 0 takes one away); the others stay",
    )
    parser.add_argument("--clients", type=_names, metavar="NAME,...", help="take callers of these clients alone")
    parser.add_argument("--queues", type=_names, metavar="NAME,...", help="take callers of these queues alone")
    parser.add_argument("--reset", action="store_true", help="be again who the configuration says")
    add_switch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Command, then show how the agent stands; exit status 1 when it was not done."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    for do, fields in commands(options):
        answer = client.ask(do, agent=options.name, **fields)
        if answer.get("pending"):
            print("it holds when the present work ends")
    state = client.ask("status")
    agents = {each["agent"]: each for each in state["agents"]}
    if options.name not in agents:
        print(f"callcenter: no agent is named `{options.name}`; there are {', '.join(agents)}", file=sys.stderr)
        return 1
    agent = agents[options.name]
    print("\n".join(shown(agent)))
    if agent["queues"]:
        clients = {each["queue"]: each["client"] for each in state.get("queues", ())}
        if not any(clients.get(queue) in agent["clients"] for queue in agent["queues"]):
            print("  none of these queues is of these clients: no caller of a queue comes to them")
    return 0


def commands(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is commanded, in order: who the agent is first, so that a caller comes by that."""
    roster: dict[str, Any] = {}
    if options.skills is not None:
        roster["skills"] = dict(options.skills)
    if options.clients is not None:
        roster["clients"] = options.clients
    if options.queues is not None:
        roster["queues"] = options.queues
    if options.reset:
        roster["reset"] = True
    if roster:
        yield "roster", roster
    if options.choice is not None:
        chosen = {"chosen": CHOICES[options.choice]}
        yield "state", {**chosen, "reason": options.reason} if options.reason else chosen


def shown(agent: Mapping[str, Any]) -> Iterator[str]:
    """An agent in a few lines."""
    why = f": {agent['reason']}" if agent["reason"] else ""
    by = f", by {agent['by']}" if agent["by"] else ""
    yield f"{agent['agent']} ({agent['name']}): {_words(agent['chosen'])}{why}{by}"
    if agent["break_over"]:
        yield "  the break has lasted as long as it may"
    elif agent["break_left_s"] is not None:
        yield f"  the break may last {clock(agent['break_left_s'])} more"
    if agent["next"] is not None:
        reason = f": {agent['next_reason']}" if agent["next_reason"] else ""
        yield f"  then {_words(agent['next'])}{reason}"
    left = f", {clock(agent['left_s'])} left" if agent["left_s"] is not None else ""
    kind = f" ({agent['wrap_up']})" if agent["wrap_up"] else ""
    # Since the last change of any kind: a break has the time that is left of it.
    yield f"  work {_words(agent['work'])}{kind} for {clock(agent['since_s'])}{left}; phone {agent['device']}"
    skills = ", ".join(f"{skill} {level}" for skill, level in agent["skills"].items()) or "none"
    queues = f"; queues {', '.join(agent['queues']) or 'none'}" if agent["queues"] is not None else ""
    yield f"  skills {skills}; clients {', '.join(agent['clients'])}{queues}"
    if agent["changed_by"]:
        yield f"  changed by {agent['changed_by']}; `--reset` brings back what is configured"


def _words(state: str) -> str:
    return state.replace("_", " ")


def _skill(text: str) -> tuple[str, int]:
    skill, sign, level = text.partition("=")
    if not skill or not sign or not level.isascii() or not level.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}`: write SKILL=LEVEL, as in english=4")
    return skill, int(level)


def _names(text: str) -> list[str]:
    return [name for name in text.replace(",", " ").split() if name]
