"""The AsyncAPI document: valid, whole, and true of what is published and taken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest

from callcenter import __version__
from callcenter.calls.orders import FIELDS, OF_A_CALLER
from callcenter.cli import main
from callcenter.publish import models, topics
from callcenter.publish.asyncapi import document
from callcenter.publish.channels import CHANNELS, Way, all_of, channel_of, mistake_in
from callcenter.publish.publisher import Published
from callcenter.simulation.world import World, tell
from tests.scenarios.test_conference import order
from tests.scenarios.test_supervision import has_supervisor, talking

# The official schema, as @asyncapi/specs has it (Apache-2.0, see LICENSE beside it).
OFFICIAL = json.loads((Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json").read_text())


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return document(__version__)


def test_the_document_is_valid_by_the_official_schema(told: Mapping[str, Any]) -> None:
    jsonschema.Draft7Validator(OFFICIAL).validate(told)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(OFFICIAL).validate({**told, "channels": {"status": {"address": 1}}})


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    for ref in set(references(told)):
        at: Any = told
        for part in ref.removeprefix("#/").split("/"):
            assert part in at, ref
            at = at[part]


def test_the_command_line_prints_it(capsys: pytest.CaptureFixture[str], told: dict[str, Any]) -> None:
    assert main(["asyncapi", "--broker", "broker.example.com:8883"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["servers"]["broker"]["host"] == "broker.example.com:8883"
    assert printed["channels"] == told["channels"]


def test_every_topic_is_a_channel_and_every_channel_a_topic() -> None:
    names = ("ana", "sales", "acme", "sofia", "carrier", "cc1-1")
    makers = [made for name, made in vars(topics).items() if name.startswith(("agent_", "supervisor_", "queue_"))]
    makers += [topics.client_state, topics.trunk_state, topics.call_event, topics.followup_event]
    found = {topics.STATUS, topics.CONFIG, topics.RECORDINGS}
    for make in makers:
        made = make(names[0])
        if isinstance(made, str) and "+" not in made:
            found.add(made)
    kinds = {channel.name for topic in found if (channel := channel_of(topic)) is not None}
    assert kinds == {channel.name for channel in CHANNELS}
    assert channel_of("callcenter/v1/agents/ana/secret") is None
    assert channel_of("callcenter/v1/agents/ana/cmd/reply/window-1") == channel_of(topics.agent_reply("ana"))


def test_every_command_of_a_talk_is_described_with_all_its_fields() -> None:
    described: dict[str, set[str]] = {}
    for model in models.COMMANDS:
        if model is models.OtherCommand:
            continue
        for do in get_args(get_type_hints(model)["do"]):
            described[do] = all_of(model) - {"id", "do"}
    wanted = {str(do): {*fields, *(() if do in OF_A_CALLER else ("agent",))} for do, fields in FIELDS.items()}
    wanted["take"] |= {"agent"}
    assert described == wanted


def strict(schema: Any) -> Any:
    """The schema with no field allowed that it does not name, so that none is forgotten."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: strict(value) for name, value in schema.items()}
    return {**told, "additionalProperties": False} if "properties" in told else told


async def much_happens(world: World) -> None:
    """A talk that is held, recorded, listened to, joined by a colleague and put through; commands good and bad."""
    eve = await has_supervisor(world)
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await eve.dial("*71amy")
    order(world, "hold")
    order(world, "resume")
    order(world, "state", chosen="not_ready", reason="lunch")
    order(world, "dispositions")
    order(world, "wrong")
    order(world, "consult", to="bob")
    await bob.rings()
    await bob.answers()
    order(world, "consult_join")
    await world.settled()
    await amy.hangs_up()
    await world.settled()
    await caller.hangs_up()
    await eve.hangs_up()


def messages() -> list[Published]:
    return tell(much_happens).publisher.messages


def test_what_is_published_is_what_the_document_says(told: dict[str, Any]) -> None:
    """Every field that is there is named, and every one that is named is of its kind."""
    seen = set()
    for message in messages():
        channel = channel_of(message.topic)
        assert channel is not None, message.topic
        assert channel.way is Way.SWITCH
        if message.payload is None:
            continue
        assert message.retain is channel.retained, message.topic
        name = (
            f"call.{message.payload['event']}" if channel.name == "callEvent" else next(iter(names_of(told, channel)))
        )
        payload = told["components"]["messages"][name]["payload"]
        schemas = strict(told["components"]["schemas"])
        parts = payload.get("allOf", [payload])
        for part in parts:
            part = strict(part) if "$ref" in part else part
            jsonschema.Draft7Validator({**part, "components": {"schemas": schemas}}).validate(message.payload)
        seen.add(channel.name)
    assert seen >= {"status", "config", "agentState", "pop", "queueState", "clientState", "callEvent", "agentReply"}


def names_of(told: Mapping[str, Any], channel: Any) -> list[str]:
    return list(told["channels"][channel.name]["messages"])


@pytest.mark.parametrize(
    ("topic", "payload", "words"),
    [
        ("callcenter/v1/something-new", {}, "add it to publish/channels.py"),
        (topics.agent_command("ana"), {}, "no channel of the switch"),
        (topics.STATUS, "gone", "Invalid enum value"),
        (topics.agent_reply("ana"), {"id": "1", "ok": True, "hint": 1}, "`hint` stands in no model"),
        (topics.agent_reply("ana"), {"id": "1", "ok": "yes"}, "Expected `bool`"),
        (topics.agent_reply("ana"), {"id": "1", "ok": True}, ""),
    ],
)
def test_what_is_not_as_described_is_found(topic: str, payload: Any, words: str) -> None:
    found = mistake_in(topic, payload)
    assert words in found
    assert bool(words) == bool(found)
