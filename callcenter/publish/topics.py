"""Topic names: callcenter/v1/..., of slugs only, for topics get logged and must name no caller."""

from __future__ import annotations

from callcenter.model.ids import is_slug

PREFIX = "callcenter/v1"
STATUS = f"{PREFIX}/status"
EVERYTHING = f"{PREFIX}/#"


def agent_state(agent: str) -> str:
    """Retained: what the agent wants, does, and can be reached by."""
    return f"{PREFIX}/agents/{_slug(agent)}/state"


def agent_pop(agent: str) -> str:
    """The screen pop, before the agent's phone rings; never retained."""
    return f"{PREFIX}/agents/{_slug(agent)}/pop"


def call_event(call: str) -> str:
    """What happens to a call, numbered; never retained."""
    return f"{PREFIX}/calls/{_slug(call)}/event"


def agent_reads(agent: str) -> tuple[str, ...]:
    """What an agent's own login may read."""
    return (STATUS, f"{PREFIX}/agents/{_slug(agent)}/#")


def agent_writes(agent: str) -> tuple[str, ...]:
    """What an agent's own login may write."""
    return (f"{PREFIX}/agents/{_slug(agent)}/pop/ack", f"{PREFIX}/agents/{_slug(agent)}/cmd")


def monitor_reads() -> tuple[str, ...]:
    """What a monitor's login may read: states and events of the whole floor, no pops."""
    return (
        STATUS,
        f"{PREFIX}/agents/+/state",
        f"{PREFIX}/queues/#",
        f"{PREFIX}/calls/#",
        f"{PREFIX}/system/#",
    )


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError(f"{text!r} may not stand in a topic: lower-case letters, digits and single dashes only")
    return text
