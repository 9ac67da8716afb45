"""Every topic tried with every role at a true Mosquitto, reading and writing, one's own and another's."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest

from callcenter.publish import topics
from callcenter.publish.mosquitto import SWITCH, MosquittoBroker
from callcenter.publish.settings import MqttLogin, Role
from callcenter.publish.topics import Sight
from tests.unit.publish.support import until

# Of acme are ana, the queue sales and all that; of globex are bob and the queue help.
ACME = Sight(frozenset({"acme"}), frozenset({"sales"}), frozenset({"ana"}))
LOGINS = (
    MqttLogin("ana", Role.AGENT, "ana's word"),
    MqttLogin("sofia", Role.SUPERVISOR, "sofia's word", sight=ACME),
    MqttLogin("vera", Role.SUPERVISOR, "vera's word"),
    MqttLogin("root", Role.ADMIN, "root's word"),
    MqttLogin("acme-eyes", Role.CLIENT, "acme's word", sight=ACME),
    MqttLogin("monitor", Role.MONITOR, "monitor's word"),
)
EVERYBODY = tuple(login.user for login in LOGINS)
FLOOR = ("vera", "root", "monitor")


@dataclass(frozen=True)
class Rule:
    """Who may read a topic, and who may write it; nobody else may."""

    topic: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = field(default=())


RULES = (
    Rule(topics.STATUS, EVERYBODY),
    Rule(topics.CONFIG, ("sofia", *FLOOR)),
    Rule(topics.RECORDINGS, ("sofia", *FLOOR)),
    Rule(topics.agent_state("ana"), ("ana", "sofia", *FLOOR)),
    Rule(topics.agent_state("bob"), FLOOR),
    Rule(topics.agent_pop("ana"), ("ana",)),
    Rule(topics.agent_pop("bob")),
    Rule(topics.agent_shown("ana"), ("ana",), ("ana",)),
    Rule(topics.agent_shown("bob")),
    Rule(topics.agent_entry("ana"), ("ana", "root")),
    Rule(topics.agent_entry("bob"), ("root",)),
    Rule(topics.agent_followups("ana"), ("ana", "root")),
    Rule(topics.agent_followups("bob"), ("root",)),
    Rule(topics.agent_command("ana"), ("ana",), ("ana",)),
    Rule(topics.agent_command("bob")),
    Rule(topics.agent_reply("ana"), ("ana",)),
    Rule(topics.agent_reply("ana") + "/window-1", ("ana",)),
    Rule(topics.agent_reply("bob")),
    Rule(topics.supervisor_command("sofia"), (), ("sofia",)),
    Rule(topics.supervisor_command("vera"), (), ("vera",)),
    Rule(topics.supervisor_command("root"), (), ("root",)),
    Rule(topics.supervisor_command("acme-eyes")),
    Rule(topics.supervisor_reply("sofia"), ("sofia",)),
    Rule(topics.supervisor_reply("sofia") + "/window-1", ("sofia",)),
    Rule(topics.supervisor_reply("vera"), ("vera",)),
    Rule(topics.supervisor_reply("root"), ("root",)),
    Rule(topics.queue_state("sales"), ("sofia", "acme-eyes", *FLOOR)),
    Rule(topics.queue_state("help"), FLOOR),
    Rule(topics.client_state("acme"), ("sofia", "acme-eyes", *FLOOR)),
    Rule(topics.client_state("globex"), FLOOR),
    Rule(topics.followup_event("acme"), ("sofia", *FLOOR)),
    Rule(topics.followup_event("globex"), FLOOR),
    Rule(topics.trunk_state("carrier"), ("sofia", *FLOOR)),
    Rule(topics.call_event("cc1-1"), FLOOR),
    Rule("callcenter/v1/agents/ana/something-new", ("ana",)),
    Rule("callcenter/v1/something-new"),
    Rule("another/topic"),
    Rule("$SYS/broker/version"),
)


def test_every_topic_that_there_is_stands_in_the_table() -> None:
    """A topic that is added without saying who may read it fails here."""
    ruled = {rule.topic for rule in RULES}
    makers = {name: made for name, made in vars(topics).items() if is_maker(made)}
    for name, make in makers.items():
        assert any(fits(make, rule) for rule in ruled), f"who reads and writes what `{name}` names?"
    fixed = {value for value in vars(topics).values() if isinstance(value, str) and value.startswith(topics.PREFIX)}
    assert {each for each in fixed - ruled if not set("+#") & set(each)} == {topics.PREFIX}


def is_maker(made: object) -> bool:
    """Whether this makes one topic of one name."""
    if not inspect.isfunction(made) or made.__name__.startswith("_"):
        return False
    signature = inspect.signature(made)
    return len(signature.parameters) == 1 and signature.return_annotation == "str" and made.__name__ != "agent_anybodys"


def fits(make: Callable[[str], str], topic: str) -> bool:
    names = ("ana", "sales", "acme", "sofia", "carrier", "cc1-1")
    return any(make(name) == topic for name in names)


@contextlib.asynccontextmanager
async def link(made: MosquittoBroker, user: str, password: str) -> AsyncIterator[aiomqtt.Client]:
    client = aiomqtt.Client(
        made.host, made.port, username=user, password=password, protocol=aiomqtt.ProtocolVersion.V5, timeout=10
    )
    async with client:
        yield client


async def gathered(client: aiomqtt.Client, into: set[tuple[str, str]]) -> None:
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        into.add((message.topic.value, message.payload.decode()))


async def read_by(client: aiomqtt.Client, filters: tuple[str, ...], into: set[tuple[str, str]]) -> asyncio.Task[None]:
    """Subscribe to everything in each way that there is; a filter that is refused is one less."""
    for each in filters:
        await client.subscribe(each, qos=1)
    return asyncio.create_task(gathered(client, into))


async def test_whoever_reads_or_writes_what_is_not_theirs_gets_nothing(tmp_path: Path) -> None:
    """By wildcards and by name; what is written where one may not reaches nobody, whatever the broker says of it."""
    made = MosquittoBroker(tmp_path / "broker", LOGINS)
    filters = ("#", "callcenter/#", "+/+/agents/+/+", *{rule.topic for rule in RULES if "$" not in rule.topic})
    try:
        assert await made.start(), made.detail
        async with contextlib.AsyncExitStack() as stack:
            word = made.address().password
            assert word is not None
            switch = await stack.enter_async_context(link(made, SWITCH, word))
            written: set[tuple[str, str]] = set()
            tasks = [await read_by(switch, (topics.EVERYTHING,), written)]
            got: dict[str, set[tuple[str, str]]] = {user: set() for user in EVERYBODY}
            clients = {}
            for login in LOGINS:
                clients[login.user] = await stack.enter_async_context(link(made, login.user, login.password))
                tasks.append(await read_by(clients[login.user], filters, got[login.user]))
            mine = [rule for rule in RULES if "$" not in rule.topic]
            for rule in mine:
                if rule.topic.startswith(topics.PREFIX):
                    await switch.publish(rule.topic, "of the switch", qos=1)
            for user, client in clients.items():
                for rule in mine:
                    with contextlib.suppress(aiomqtt.MqttError):
                        await client.publish(rule.topic, f"by {user}", qos=1)
            # Whatever is on its way is there when the last word of all, which everybody reads, has come.
            await switch.publish(topics.STATUS, "the last", qos=1)
            await until(lambda: all((topics.STATUS, "the last") in each for each in got.values()))
            await until(lambda: (topics.STATUS, "the last") in written)
            for task in tasks:
                task.cancel()
        for rule in mine:
            readers = {user for user in EVERYBODY if (rule.topic, "of the switch") in got[user]}
            wanted = set(rule.reads) if rule.topic.startswith(topics.PREFIX) else set()
            assert readers == wanted, f"{rule.topic} is read by {readers}"
            writers = {user for user in EVERYBODY if (rule.topic, f"by {user}") in written}
            assert writers == set(rule.writes), f"{rule.topic} is written by {writers}"
            for user in EVERYBODY:
                others = {payload for topic, payload in got[user] if topic == rule.topic and payload.startswith("by ")}
                allowed = {f"by {writer}" for writer in rule.writes} if user in rule.reads else set()
                assert others <= allowed, f"{user} was told {others} at {rule.topic}"
    finally:
        await made.close()


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SWITCH])
def test_each_role_is_tried(role: Role) -> None:
    assert any(login.role is role for login in LOGINS)
