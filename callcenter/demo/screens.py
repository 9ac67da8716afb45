"""Screens: what an agent's desk and the floor's monitor read over MQTT while the demo runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiomqtt

from callcenter.demo.people import DemoFailed, Happenings
from callcenter.publish import topics
from callcenter.publish.payloads import POP_SCHEMA

CONNECT_WITHIN = 5.0


class Screen:
    """One login at the broker. What it reads are happenings, with ``topic`` and ``at`` beside the payload."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        self._client = client
        self._happenings = Happenings(f"the screen of {name}")

    async def shows(self, topic: str, what: str, within: float = 15.0, **wanted: Any) -> dict[str, Any]:
        """The next payload of a topic that holds ``wanted``. Raises DemoFailed."""

        def fits(thing: dict[str, Any]) -> bool:
            payload = thing["payload"]
            here: bool = thing["topic"] == topic
            return here and all(payload.get(name) == value for name, value in wanted.items())

        return await self._happenings.take(fits, what, within)

    async def pop(self, what: str, call: str, within: float = 15.0) -> dict[str, Any]:
        """The screen pop of a call. Raises DemoFailed."""
        return await self._happenings.take(
            lambda thing: thing["payload"].get("schema") == POP_SCHEMA and thing["payload"]["call"] == call,
            what,
            within,
        )

    async def happens(
        self, event: str, what: str, within: float = 15.0, *, call: str = "", **wanted: Any
    ) -> dict[str, Any]:
        """The next event of that name, of a call if it is known, whose data hold ``wanted``. Raises DemoFailed."""

        def fits(thing: dict[str, Any]) -> bool:
            payload = thing["payload"]
            data = payload.get("data", {})
            return (
                payload.get("event") == event
                and call in ("", payload.get("call"))
                and all(data.get(name) == value for name, value in wanted.items())
            )

        found = await self._happenings.take(fits, what, within)
        payload: dict[str, Any] = found["payload"]
        return payload

    async def command(self, agent: str, command: Mapping[str, Any]) -> None:
        """Send an agent's command. Raises DemoFailed."""
        try:
            await self._client.publish(topics.agent_command(agent), json.dumps(command), qos=1)
        except aiomqtt.MqttError as error:
            raise DemoFailed(f"the command could not be sent: {error}") from error

    async def read(self) -> None:
        """Read until cancelled."""
        try:
            async for message in self._client.messages:
                data = bytes(message.payload)
                if data.startswith(b"{"):
                    payload = json.loads(data)
                    self._happenings.add({"topic": str(message.topic), "at": time.time(), "payload": payload})
        except aiomqtt.MqttError:
            self._happenings.end()


@contextlib.asynccontextmanager
async def screen(name: str, ready: Mapping[str, Any], login: Mapping[str, str], *wanted: str) -> AsyncIterator[Screen]:
    """A screen that reads these topics while the block lasts. Raises DemoFailed."""
    mqtt = ready["mqtt"]
    if mqtt is None:
        raise DemoFailed("the switch has no broker: is Mosquitto installed? (Debian: apt-get install mosquitto)")
    client = aiomqtt.Client(
        mqtt["host"],
        mqtt["port"],
        username=login["user"],
        password=login["password"],
        timeout=CONNECT_WITHIN,
    )
    try:
        async with client:
            for topic in wanted:
                await client.subscribe(topic, qos=1)
            it = Screen(client, name)
            reading = asyncio.create_task(it.read())
            try:
                yield it
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    except aiomqtt.MqttError as error:
        raise DemoFailed(f"the screen of {name} cannot reach the broker: {error}") from error
