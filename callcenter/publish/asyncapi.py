"""AsyncAPI: the document (AsyncAPI 3.0) of all that goes over MQTT, made from the channels and their models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from callcenter.publish import models
from callcenter.publish.channels import CHANNELS, Channel, Way
from callcenter.publish.events import EVENTS
from callcenter.publish.topics import REPLY_EXPIRES_S

VERSION = "3.0.0"
SCHEMAS = "#/components/schemas/"
MQTT = "0.2.0"

DESCRIPTION = """\
What the switch tells over MQTT, and what programs may ask for there. All is QoS 1. Who reads and writes what is the
broker's to hold: of the embedded broker each login has its own rights, by its role; a broker of one's own must be
told, for there the topic alone says who asks.

Readers ignore fields that they do not know. Events are numbered by `seq`, without a gap for who reads them all
(`GET /api/v1/snapshot` and `GET /api/v1/events?after=` of the desk give what one has missed).

A command is answered at the usual topic, or at the Response Topic of its message (MQTT 5), where that lies below the
usual one; the Correlation Data comes back. A command's `id` may stand in a user property `id` instead. It is done once:
the same again gets the same answer. What one asker sends is done, and answered, in that order.
"""


def document(version: str, host: str = "127.0.0.1:1883") -> dict[str, Any]:
    """The document, as plain JSON values; ``host`` is where the broker takes connections."""
    schemas = _schemas()
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "callcenter over MQTT",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": host,
                "protocol": "mqtt",
                "protocolVersion": "5.0",
                "description": "The embedded broker, or one's own. Clients of MQTT 3.1.1 are served too.",
                "security": [{"$ref": "#/components/securitySchemes/login"}],
            }
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {_operation_name(channel): _operation(channel) for channel in CHANNELS},
        "components": {
            "securitySchemes": {"login": {"type": "userPassword", "description": "A login of the broker."}},
            "messages": {name: message for channel in CHANNELS for name, message in _messages(channel).items()},
            "schemas": schemas,
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    described: dict[str, Any] = {"address": channel.address, "description": channel.says}
    if channel.parameters:
        described["parameters"] = {name: {"description": PARAMETERS[name]} for name in channel.parameters}
    described["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(channel)}
    return described


PARAMETERS: Mapping[str, str] = {
    "agent": "the name of an agent, as in agents.yaml",
    "supervisor": "the login of a supervisor, or of an administrator",
    "queue": "the name of a queue",
    "client": "the name of a company",
    "trunk": "the name of a trunk",
    "call": "the id of a call",
}


def _operation_name(channel: Channel) -> str:
    return f"{'send' if channel.way is Way.SWITCH else 'receive'}{channel.name[0].upper()}{channel.name[1:]}"


def _operation(channel: Channel) -> dict[str, Any]:
    ref = f"#/channels/{channel.name}"
    binding: dict[str, Any] = {"qos": 1, "retain": channel.retained, "bindingVersion": MQTT}
    if channel.model is models.Reply:
        binding["messageExpiryInterval"] = REPLY_EXPIRES_S
    told: dict[str, Any] = {
        "action": "send" if channel.way is Way.SWITCH else "receive",
        "channel": {"$ref": ref},
        "summary": channel.says,
        "messages": [{"$ref": f"{ref}/messages/{name}"} for name in _messages(channel)],
        "bindings": {"mqtt": binding},
    }
    if channel.answers:
        told["reply"] = {
            "channel": {"$ref": f"#/channels/{channel.answers}"},
            "messages": [{"$ref": f"#/channels/{channel.answers}/messages/Reply"}],
        }
    return told


def _messages(channel: Channel) -> dict[str, dict[str, Any]]:
    """The messages of a channel, by their names."""
    if channel.model is models.Status:
        return {"Status": _message("Status", "The switch's own status.", f"{SCHEMAS}Status", "text/plain")}
    if channel.model is models.CallEvent:
        return {f"call.{word}": _event(word, kind) for kind, word in EVENTS.items()}
    kinds = channel.model if isinstance(channel.model, tuple) else (channel.model,)
    return {kind.__name__: _message(kind.__name__, _said(kind), f"{SCHEMAS}{kind.__name__}") for kind in kinds}


def _message(name: str, summary: str, ref: str, content: str = "application/json") -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "title": name, "summary": summary, "contentType": content}
    told["payload"] = {"$ref": ref}
    if name.endswith("Command"):
        told["bindings"] = {"mqtt": {"responseTopic": RESPONSE_TOPIC, "bindingVersion": MQTT}}
    return told


RESPONSE_TOPIC = {
    "type": "string",
    "description": "The usual topic of answers, or up to three levels of lower-case names below it.",
    "pattern": "^callcenter/v1/(agents|supervisors)/[^/]+/cmd/reply(/[a-z0-9-]+){0,3}$",
}


def _event(word: str, kind: type[Any]) -> dict[str, Any]:
    told = {
        "allOf": [
            {"$ref": f"{SCHEMAS}CallEvent"},
            {
                "type": "object",
                "properties": {"event": {"const": word}, "data": {"$ref": f"{SCHEMAS}{kind.__name__}"}},
            },
        ]
    }
    name = f"call.{word}"
    return {"name": name, "title": word, "summary": _said(kind), "contentType": "application/json", "payload": told}


def _said(kind: Any) -> str:
    """The first sentence of what a model says of itself."""
    paragraph = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return paragraph if ". " not in paragraph else paragraph.split(". ")[0] + "."


def _schemas() -> dict[str, Any]:
    kinds: list[Any] = []
    for channel in CHANNELS:
        kinds += channel.model if isinstance(channel.model, tuple) else [channel.model]
    kinds = [kind for kind in dict.fromkeys(kinds) if kind is not models.Status]
    _, found = msgspec.json.schema_components([*kinds, *EVENTS], ref_template=f"{SCHEMAS}{{name}}")
    schemas: dict[str, Any] = _draft_7(found)
    schemas["Status"] = {"type": "string", "enum": ["online", "offline", "draining"], "title": "Status"}
    return dict(sorted(schemas.items()))


def _draft_7(schema: Any) -> Any:
    """A schema of JSON Schema 2020-12 in the words of draft 7, which AsyncAPI 3.0 has: they differ in arrays of a fixed
    form.
    """
    if isinstance(schema, list):
        return [_draft_7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _draft_7(value) for name, value in schema.items()}
    if "prefixItems" in told:
        told["items"], told["additionalItems"] = told.pop("prefixItems"), False
    if isinstance(description := told.get("description"), str):
        told["description"] = " ".join(description.split())
    return told
