"""Topic names: callcenter/v1/..., of slugs only, for topics get logged and must name no caller."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.model.ids import is_slug

PREFIX = "callcenter/v1"
STATUS = f"{PREFIX}/status"
EVERYTHING = f"{PREFIX}/#"
# Retained: which configuration is in force.
CONFIG = f"{PREFIX}/system/config"
# Who does not read the answer to a command within this has given up on it.
REPLY_EXPIRES_S = 60
# Below the usual topic of answers.
MAX_REPLY_LEVELS = 3
# Retained: whether recordings can be made, and what failed last.
RECORDINGS = f"{PREFIX}/system/recordings"
COMMANDS = f"{PREFIX}/agents/+/cmd"
SUPERVISORS_COMMANDS = f"{PREFIX}/supervisors/+/cmd"


def agent_state(agent: str) -> str:
    """Retained: what the agent wants, does, and can be reached by."""
    return f"{PREFIX}/agents/{_slug(agent)}/state"


def agent_pop(agent: str) -> str:
    """The screen pop, before the agent's phone rings; never retained."""
    return f"{PREFIX}/agents/{_slug(agent)}/pop"


def agent_shown(agent: str) -> str:
    """Where the agent's page says that it shows the pop."""
    return f"{agent_pop(agent)}/ack"


def agent_entry(agent: str) -> str:
    """Retained while it lasts: how far the customer is with what they enter while the agent talks to them, in stars."""
    return f"{PREFIX}/agents/{_slug(agent)}/entry"


def agent_followups(agent: str) -> str:
    """Retained while there are any: how many open follow-ups an agent has; counts only, nothing of a customer."""
    return f"{PREFIX}/agents/{_slug(agent)}/followups"


def followup_event(client: str) -> str:
    """What happens to a client's follow-ups, numbered, by ids only; never retained."""
    return f"{PREFIX}/followups/{_slug(client)}/event"


def agent_command(agent: str) -> str:
    """Where the agent's own program asks for something; a retained command is not obeyed."""
    return f"{PREFIX}/agents/{_slug(agent)}/cmd"


def agent_reply(agent: str) -> str:
    """The answers to the agent's commands; never retained."""
    return f"{agent_command(agent)}/reply"


def agent_of_command(topic: str) -> str | None:
    """The agent whose commands come by ``topic``; None when it is no such topic."""
    agent = topic.removeprefix(f"{PREFIX}/agents/").removesuffix("/cmd")
    return agent if is_slug(agent) and topic == agent_command(agent) else None


def reply_topic(usual: str, wanted: str | None) -> str:
    """Where an answer goes: to the response topic that the asker wants (MQTT 5, 4.10), where that is the ``usual`` one
    or below it, which the asker alone may read; else to the usual one.

    Anywhere else it would lend the asker our pen: we may write everywhere.
    """
    levels = (wanted or "").removeprefix(f"{usual}/").split("/")
    below = wanted is not None and wanted.startswith(f"{usual}/") and len(levels) <= MAX_REPLY_LEVELS
    return wanted if wanted is not None and below and all(map(is_slug, levels)) else usual


def supervisor_command(supervisor: str) -> str:
    """Where a supervisor commands for agents; a retained command is not obeyed."""
    return f"{PREFIX}/supervisors/{_slug(supervisor)}/cmd"


def supervisor_reply(supervisor: str) -> str:
    """The answers to a supervisor's commands; never retained."""
    return f"{supervisor_command(supervisor)}/reply"


def supervisor_of_command(topic: str) -> str | None:
    """The supervisor whose commands come by ``topic``; None when it is no such topic."""
    supervisor = topic.removeprefix(f"{PREFIX}/supervisors/").removesuffix("/cmd")
    return supervisor if is_slug(supervisor) and topic == supervisor_command(supervisor) else None


def queue_state(queue: str) -> str:
    """Retained: how many wait in a queue and who is there for them; counts only, nothing of a caller."""
    return f"{PREFIX}/queues/{_slug(queue)}/state"


def client_state(client: str) -> str:
    """Retained: the same of all queues of a client together."""
    return f"{PREFIX}/clients/{_slug(client)}/state"


def trunk_state(trunk: str) -> str:
    """Retained: whether calls can go by a trunk."""
    return f"{PREFIX}/trunks/{_slug(trunk)}/state"


def call_event(call: str) -> str:
    """What happens to a call, numbered; never retained."""
    return f"{PREFIX}/calls/{_slug(call)}/event"


def agent_reads(agent: str) -> tuple[str, ...]:
    """What an agent's own login may read."""
    return (STATUS, f"{PREFIX}/agents/{_slug(agent)}/#")


def agent_writes(agent: str) -> tuple[str, ...]:
    """What an agent's own login may write."""
    return (agent_shown(agent), agent_command(agent))


def monitor_reads() -> tuple[str, ...]:
    """What a monitor's login may read: states and events of the whole floor, no pops."""
    return (
        STATUS,
        f"{PREFIX}/agents/+/state",
        f"{PREFIX}/queues/#",
        f"{PREFIX}/clients/#",
        f"{PREFIX}/calls/#",
        f"{PREFIX}/followups/#",
        f"{PREFIX}/trunks/#",
        f"{PREFIX}/system/#",
    )


@dataclass(frozen=True, slots=True)
class Sight:
    """The part of the floor that a login sees: companies, with their queues, and the agents who serve them."""

    clients: frozenset[str]
    queues: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()


def supervisor_reads(supervisor: str, sight: Sight | None = None) -> tuple[str, ...]:
    """What a supervisor's login may read: the floor, and the answers.

    Who has only some of the companies reads theirs, and no events of calls: a call's topic does not say whose it is,
    and its events hold the caller's number. The desk tells hers, and no others (``GET /api/v1/events``).
    """
    answers = f"{supervisor_reply(supervisor)}/#"
    if sight is None:
        return (*monitor_reads(), answers)
    agents = (agent_state(agent) for agent in sorted(sight.agents))
    promised = (f"{PREFIX}/followups/{_slug(client)}/#" for client in sorted(sight.clients))
    return (*client_reads(sight), *promised, *agents, f"{PREFIX}/trunks/#", f"{PREFIX}/system/#", answers)


def admin_reads(admin: str, sight: Sight | None = None) -> tuple[str, ...]:
    """What an administrator's login may read: what a supervisor of the same companies does; who has all of them also
    what agents' pages hold that is no customer's.
    """
    if sight is not None:
        return supervisor_reads(admin, sight)
    return (*supervisor_reads(admin), agent_anybodys("followups"), agent_anybodys("entry"))


def agent_anybodys(what: str) -> str:
    """One topic of every agent."""
    return f"{PREFIX}/agents/+/{what}"


def client_reads(sight: Sight) -> tuple[str, ...]:
    """What the login of a client company may read: its own, and nothing of another's. It writes nothing.

    What happens to follow-ups is the house's own: it names who has them.
    """
    clients = sorted(sight.clients)
    return (
        STATUS,
        *map(queue_state, sorted(sight.queues)),
        *(f"{PREFIX}/clients/{_slug(client)}/#" for client in clients),
    )


def supervisor_writes(supervisor: str) -> tuple[str, ...]:
    """What a supervisor's login may write: whose commands they are is in the topic, and nobody else may write there."""
    return (supervisor_command(supervisor),)


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError(f"{text!r} may not stand in a topic: lower-case letters, digits and single dashes only")
    return text
