"""Channels: every topic that there is, by its pattern, with the model of what goes over it, and whose it is to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from callcenter.publish import models, topics
from callcenter.publish.events import EVENTS

# What stands for a name in a topic.
_SOME = "some"


class Way(Enum):
    """Who sends."""

    SWITCH = "the switch"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of topic. ``address`` has its names in braces; ``answers`` is the channel of the answers to commands."""

    name: str
    address: str
    model: Any
    says: str
    way: Way = Way.SWITCH
    retained: bool = False
    answers: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the address."""
        return tuple(level[1:-1] for level in self.address.split("/") if level.startswith("{"))

    def fits(self, topic: str) -> bool:
        """Whether this is a topic of this kind. Answers may go to topics below theirs."""
        wanted, found = self.address.split("/"), topic.split("/")
        below = self.model is models.Reply and len(found) > len(wanted)
        if len(wanted) != len(found) and not below:
            return False
        return all(level.startswith("{") or level == there for level, there in zip(wanted, found, strict=False))


def _of(make: Any, name: str) -> str:
    """The address of a topic that is made of one name."""
    address: str = make(_SOME).replace(f"/{_SOME}/", f"/{{{name}}}/")
    return address


CHANNELS: tuple[Channel, ...] = (
    Channel("status", topics.STATUS, models.Status, "Whether the switch is there; offline is its last will.",
            retained=True),
    Channel("config", topics.CONFIG, models.ConfigState, "Which configuration is in force.", retained=True),
    Channel("recordings", topics.RECORDINGS, models.RecordingsState, "Whether recordings can be made.", retained=True),
    Channel("agentState", _of(topics.agent_state, "agent"), models.AgentState,
            "What an agent wants, does, and can be reached by.", retained=True),
    Channel("agentEntry", _of(topics.agent_entry, "agent"), models.EntryState,
            "While it lasts: what the customer enters in the talk, in stars.", retained=True),
    Channel("pop", _of(topics.agent_pop, "agent"), models.Pop, "The screen pop, before the agent's phone rings."),
    Channel("popShown", _of(topics.agent_shown, "agent"), models.PopShown, "That the agent's page shows a pop.",
            Way.OTHERS),
    Channel("agentFollowups", _of(topics.agent_followups, "agent"), models.AgentFollowups,
            "While there are any: how many promises an agent has to keep.", retained=True),
    Channel("followupEvent", _of(topics.followup_event, "client"), models.FollowupEvent,
            "What happens to a company's follow-ups, numbered."),
    Channel("queueState", _of(topics.queue_state, "queue"), models.QueueState, "How a queue stands.", retained=True),
    Channel("clientState", _of(topics.client_state, "client"), models.ClientState, "How a company's queues stand.",
            retained=True),
    Channel("trunkState", _of(topics.trunk_state, "trunk"), models.TrunkState, "Whether calls can go by a trunk.",
            retained=True),
    Channel("callEvent", _of(topics.call_event, "call"), models.CallEvent, "What happens to a call, numbered."),
    Channel("agentCommand", _of(topics.agent_command, "agent"), models.COMMANDS, "What an agent's program asks for.",
            Way.OTHERS, answers="agentReply"),
    Channel("agentReply", _of(topics.agent_reply, "agent"), models.Reply, "The answers to an agent's commands."),
    Channel("supervisorCommand", _of(topics.supervisor_command, "supervisor"), models.COMMANDS,
            "What a supervisor, or an administrator, asks for.", Way.OTHERS, answers="supervisorReply"),
    Channel("supervisorReply", _of(topics.supervisor_reply, "supervisor"), models.Reply,
            "The answers to a supervisor's commands."),
)  # fmt: skip


def channel_of(topic: str) -> Channel | None:
    """Of which kind a topic is; None: of none that there is."""
    return next((each for each in CHANNELS if each.fits(topic)), None)


def mistake_in(topic: str, payload: Any) -> str:
    """What is wrong with a message of the switch, in words; empty when it is as its model says."""
    channel = channel_of(topic)
    if channel is None or channel.way is not Way.SWITCH:
        return f"no channel of the switch has the topic {topic}: add it to publish/channels.py"
    try:
        msgspec.convert(payload, channel.model)
        if channel.model is models.CallEvent:
            return _mistake_in_event(payload)
    except msgspec.ValidationError as error:
        return f"{topic}: {error}: the model is in publish/models.py"
    known = getattr(channel.model, "__annotations__", None)
    if isinstance(payload, Mapping) and known is not None and (strange := sorted(set(payload) - all_of(channel.model))):
        return f"{topic}: `{strange[0]}` stands in no model: describe it in publish/models.py"
    return ""


def all_of(model: Any) -> set[str]:
    """The fields of a model."""
    found: set[str] = set(model.__required_keys__ | model.__optional_keys__)
    return found


def _mistake_in_event(payload: Mapping[str, Any]) -> str:
    kinds = {word: kind for kind, word in EVENTS.items()}
    kind = kinds.get(payload["event"])
    if kind is None:
        return f"`{payload['event']}` is no event of a call"
    if not payload.get("truncated"):
        msgspec.convert(payload["data"], kind)
    return ""
