"""MqttPublisher: publishing to a real broker, by MQTT 5, with TCP_NODELAY and a last will."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from callcenter.publish import topics
from callcenter.publish.publisher import RECEIVE_MAXIMUM, Link, LinkedPublisher, LinkLost, OnState, Outbox, Status
from callcenter.publish.settings import MqttSettings
from callcenter.runtime.clock import Clock

# A broker that has gone silent is noticed by a missing acknowledgement first, else by the missing ping.
ACKNOWLEDGED_WITHIN = 5.0
CONNECTED_WITHIN = 5.0
KEEPALIVE_S = 15
# What is left of a connection attempt when the switch stops: it hangs in the system's connect().
ABANDONED_WITHIN = 1.0

# What aiomqtt and paho have to say we tell ourselves, in one line, by on_state.
_SILENT = logging.getLogger("callcenter.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class BrokerError(Exception):
    """The broker is not configured rightly, or cannot be started; the text is one line for an operator."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, how we log in, and how many messages it takes before it has acknowledged any."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    receive_maximum: int = RECEIVE_MAXIMUM

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def broker_address(settings: MqttSettings, environment: Mapping[str, str] = os.environ) -> BrokerAddress:
    """The broker named by ``settings.url``; the password is read from where they say.

    Raises BrokerError with one line that tells what to write instead.
    """
    try:
        parts = urlsplit(settings.url or "")
        port = parts.port
    except ValueError as error:
        raise BrokerError(f"mqtt.url: {error}") from error
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise BrokerError(
            f"mqtt.url: write mqtt://host:1883 or mqtts://host:8883, not {_without_password(settings.url)!r}"
        )
    if parts.password:
        raise BrokerError(
            "mqtt.url: no password in the URL; name a variable in password_env or a file in password_file"
        )
    if parts.path.strip("/") or parts.query:
        raise BrokerError("mqtt.url: nothing may follow the port")
    tls = parts.scheme == "mqtts"
    return BrokerAddress(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        tls=tls,
        user=settings.user or parts.username,
        password=_password(settings, environment),
        ca_file=settings.ca_file,
    )


class MqttPublisher(LinkedPublisher):
    """Publishes to a broker by MQTT 5 and reconnects for ever. ``address`` may be a function: asked at each attempt."""

    def __init__(
        self,
        address: BrokerAddress | Callable[[], BrokerAddress],
        outbox: Outbox,
        clock: Clock,
        *,
        client_id: str = "callcenter",
        on_state: OnState | None = None,
        random: Random | None = None,
    ) -> None:
        chance = random or SystemRandom()
        super().__init__(self._link, outbox, clock, chance, on_state=on_state)
        self._address = address
        # A second client of the same id ends the first: ours cannot be guessed, and a restart never meets itself.
        self._client_id = f"{client_id}-{chance.getrandbits(64):016x}"
        self._tls: ssl.SSLContext | None = None

    @contextlib.asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        address = self._address() if callable(self._address) else self._address
        client = self._client(address)
        try:
            await _enter(client)
        except aiomqtt.MqttError as error:
            client.abandon()
            raise LinkLost(f"{address}: {_reason(error)}") from error
        try:
            yield _MqttLink(client, address)
        finally:
            # After a lost link there is nobody to say good-bye to.
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    def _client(self, address: BrokerAddress) -> _Client:
        if address.tls and self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=address.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise LinkLost(f"{address}: the CA file {address.ca_file} cannot be read: {error}") from error
        client = _Client(
            address.host,
            address.port,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=self._client_id,
            username=address.user,
            password=address.password,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECTED_WITHIN,
            will=aiomqtt.Will(topics.STATUS, Status.OFFLINE.value.encode(), qos=1, retain=True),
            max_inflight_messages=address.receive_maximum,
            tls_context=self._tls if address.tls else None,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
            logger=_SILENT,
        )
        client.pending_calls_threshold = 1 << 30
        return client


class _Client(aiomqtt.Client):
    def abandon(self) -> None:
        """Leave no socket behind of an attempt that failed half-way."""
        self._client.disconnect()
        left = self._client.socket()
        if isinstance(left, socket.socket):
            # The thread that connects asks the loop to watch the socket: what it asked for comes first, else the loop
            # would watch one that is closed.
            self._loop.call_soon(self._close, left)

    def _on_socket_unregister_write(self, client: Any, userdata: Any, sock: Any) -> None:
        # paho says this of an abandoned socket too, when it is collected.
        if sock.fileno() >= 0:
            super()._on_socket_unregister_write(client, userdata, sock)

    def _close(self, left: socket.socket) -> None:
        self._loop.remove_reader(left)
        self._loop.remove_writer(left)
        left.close()


class _MqttLink:
    def __init__(self, client: aiomqtt.Client, address: BrokerAddress) -> None:
        self.receive_maximum = address.receive_maximum
        self._client = client
        self._address = address

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, expires_s: int | None = None) -> None:
        properties = None
        if expires_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expires_s
        try:
            # The client's own time-out is asyncio.wait_for, which up to Python 3.11 may swallow a cancellation.
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                await self._client.publish(
                    topic, payload, qos=1, retain=retain, properties=properties, timeout=math.inf
                )
        except TimeoutError as error:
            raise LinkLost(f"{self._address}: no acknowledgement within {ACKNOWLEDGED_WITHIN:g} s") from error
        except aiomqtt.MqttError as error:
            raise LinkLost(f"{self._address}: {_reason(error)}") from error

    async def lost(self) -> str:
        try:
            async for _ in self._client.messages:
                pass  # Nothing is subscribed to; what a broker sends unasked is dropped.
        except aiomqtt.MqttError as error:
            return f"{self._address}: {_reason(error)}"
        return f"{self._address}: disconnected"


async def _enter(client: _Client) -> None:
    """Connect. When cancelled, do not leave the thread's connection to itself."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait({entering}, timeout=ABANDONED_WITHIN)
        if not entering.done():
            entering.cancel()
        elif not entering.cancelled():
            entering.exception()
        client.abandon()
        raise


def _reason(error: aiomqtt.MqttError) -> str:
    cause = error.__cause__
    text = str(cause) if isinstance(cause, aiomqtt.MqttError) else str(error)
    # paho's word for a peer that is simply gone is "[code:128] Unspecified error".
    return "connection lost" if "Unspecified error" in text else " ".join(text.split()) or type(error).__name__


def _password(settings: MqttSettings, environment: Mapping[str, str]) -> str | None:
    if settings.password_env is not None:
        if settings.password_env not in environment:
            raise BrokerError(f"mqtt.password_env: the environment has no variable {settings.password_env}")
        return environment[settings.password_env]
    if settings.password_file is not None:
        try:
            return settings.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerError(f"mqtt.password_file: cannot read {settings.password_file}: {error}") from error
    return None


def _without_password(url: str | None) -> str | None:
    """The URL as it may be told: a password in it is not."""
    if url is None or "@" not in url:
        return url
    scheme, _, rest = url.rpartition("@")
    return f"{scheme.split('://', maxsplit=1)[0]}://…@{rest}" if "://" in scheme else f"…@{rest}"
