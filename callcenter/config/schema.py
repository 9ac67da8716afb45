"""The shape of the YAML: its sections, each of which has a file of its own, and what the things in them are named."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

from callcenter.config.acd import Acd
from callcenter.config.agents import Agent
from callcenter.config.calls import Calls
from callcenter.config.clients import Client
from callcenter.config.desk import Desk
from callcenter.config.feature_codes import FeatureCode
from callcenter.config.flows import Flow
from callcenter.config.hours import Hours
from callcenter.config.media import Media
from callcenter.config.mqtt import Mqtt
from callcenter.config.names import AgentSlug
from callcenter.config.numbers import E164, CodeKey, Number
from callcenter.config.prompts import Music, Prompt, Speech
from callcenter.config.queues import Queue
from callcenter.config.recordings import Recordings
from callcenter.config.shape import Shape, Slug
from callcenter.config.sip import Sip
from callcenter.config.supervision import Supervisor
from callcenter.config.switch import Switch
from callcenter.config.trunks import Trunk

SLUG_KEY: TypeAdapter[str] = TypeAdapter(Slug)
KEY_TYPES: dict[str, Any] = {"numbers": E164, "agents": AgentSlug, "supervisors": AgentSlug, "feature_codes": CodeKey}
KEYS: dict[str, TypeAdapter[str]] = {section: TypeAdapter(kind) for section, kind in KEY_TYPES.items()}
"""What a thing may be named: by a slug, where its section says nothing else here."""

SECTIONS: dict[str, type[Shape]] = {
    "switch": Switch,
    "sip": Sip,
    "media": Media,
    "mqtt": Mqtt,
    "acd": Acd,
    "calls": Calls,
    "speech": Speech,
    "recordings": Recordings,
    "desk": Desk,
}
"""Sections that are one thing each."""

THINGS: dict[str, type[BaseModel]] = {
    "clients": Client,
    "numbers": Number,
    "flows": Flow,
    "hours": Hours,
    "queues": Queue,
    "agents": Agent,
    "supervisors": Supervisor,
    "feature_codes": FeatureCode,
    "prompts": Prompt,
    "music": Music,
    "trunks": Trunk,
}
"""Sections of named things."""
