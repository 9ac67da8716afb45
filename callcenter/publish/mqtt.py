"""MqttPublisher: publishing to a real broker, by MQTT 5, with TCP_NODELAY and a last will."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
import traceback
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from callcenter.publish import payloads, topics, wire
from callcenter.publish.publisher import Heard, Link, LinkedPublisher, LinkLost, OnState, Outbox, Refused, Status
from callcenter.publish.reasons import CLOSED_FIRST, refusal, why_lost, why_not_connected
from callcenter.publish.settings import MqttSettings
from callcenter.runtime.clock import Clock
from callcenter.runtime.private_file import NotPrivate, read_private

# A broker that has gone silent is noticed by a missing acknowledgement first, else by the missing ping.
ACKNOWLEDGED_WITHIN = 5.0
CONNECTED_WITHIN = 5.0
# A broker to which nothing was to be said is asked for a sign of life after this, and left after twice this.
KEEPALIVE_S = 10
# Unacknowledged messages that gain nothing more, whatever a broker allows; half is for facts.
MAX_WINDOW = 100
# What may come to us at once, unacknowledged, and how large: agents' commands, which are small.
INCOMING = 20
MAX_INCOMING = 64 * 1024
MAX_CORRELATION = 256
# Of a PUBLISH: header, packet identifier, properties.
OVERHEAD = 400
# What is left of a connection attempt when the switch stops: it hangs in the system's connect().
ABANDONED_WITHIN = 1.0

# What aiomqtt and paho have to say we tell ourselves, in one line, by on_state.
_SILENT = logging.getLogger("callcenter.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


# Topic, payload, whether it is retained, seconds until it expires, and what its sender knows it by.
_Message = tuple[str, bytes, bool, int | None, bytes | None]


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
    cert_file: Path | None = None
    key_file: Path | None = None
    receive_maximum: int = MAX_WINDOW

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
        cert_file=settings.cert_file,
        key_file=settings.key_file,
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
        # Where a broker has spoken with us: when it then closes without a word it is going, and wants nothing else.
        self._met: BrokerAddress | None = None

    @contextlib.asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        address = self._address() if callable(self._address) else self._address
        # Read anew each time, for certificates are renewed; in a thread, for a whole machine's authorities are a file
        # of some size.
        tls = await asyncio.to_thread(_tls, address) if address.tls else None
        client = _Client(address, self._client_id, tls)
        try:
            await _enter(client)
        except aiomqtt.MqttError as error:
            client.abandon()
            why = why_not_connected(
                error,
                tls=address.tls,
                ca_file=address.ca_file,
                client_certificate=address.cert_file is not None,
                met=address == self._met,
            )
            _let_go(error.__context__)
            raise LinkLost(f"{address}: {why}") from error
        self._met = address
        client.take_over()
        try:
            yield _MqttLink(client, address)
        finally:
            # After a lost link there is nobody to say good-bye to.
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)


class _Client(aiomqtt.Client):
    """aiomqtt's client, with its own lane for what is published: see :mod:`callcenter.publish.wire`.

    No task and no timer for each message, and the broker's word on it, which aiomqtt passes over.
    """

    def __init__(self, address: BrokerAddress, client_id: str, tls: ssl.SSLContext | None) -> None:
        incoming = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        incoming.ReceiveMaximum = INCOMING
        incoming.MaximumPacketSize = MAX_INCOMING
        super().__init__(
            address.host,
            address.port,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=client_id,
            username=address.user,
            password=address.password,
            # A session that outlives the link would bring the commands of an hour ago.
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECTED_WITHIN,
            will=aiomqtt.Will(topics.STATUS, Status.OFFLINE.value.encode(), qos=1, retain=True),
            tls_context=tls,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
            logger=_SILENT,
            properties=incoming,
        )
        self.heard: Callable[[Heard], None] | None = None
        self.receive_maximum = address.receive_maximum
        self.max_packet = payloads.MAX_PAYLOAD * 2
        self._given_up = False
        # By packet identifier, the oldest first: the future that waits for the answer, and since when.
        self._unanswered: dict[int, tuple[asyncio.Future[Refused | None], float]] = {}
        self._queued: deque[tuple[_Message, asyncio.Future[Refused | None]]] = deque()
        self._last_id = wire.FIRST - 1
        self._wire: wire.Wire | None = None

    def take_over(self) -> None:
        """Now that we are connected, put our wire between paho and its socket."""
        found = self._client.socket()
        if not isinstance(found, socket.socket):
            return  # Lost already: aiomqtt knows.
        self._wire = wire.Wire(found, self._loop, self._answered, self._paho_reads, MAX_INCOMING)
        self._client._sock = self._wire  # type: ignore[assignment]  # noqa: SLF001 - paho has no door for this
        taken: object = self._client.socket()
        assert taken is self._wire, "this paho keeps its socket elsewhere"

    def send(self, message: _Message) -> asyncio.Future[Refused | None]:
        """Send with QoS 1, as soon as the broker's window allows."""
        answer: asyncio.Future[Refused | None] = self._loop.create_future()
        if len(self._unanswered) < self.receive_maximum:
            self._put(message, answer)
        else:
            self._queued.append((message, answer))
        return answer

    def _put(self, message: _Message, answer: asyncio.Future[Refused | None]) -> None:
        if self._wire is None:
            return
        topic, payload, retain, expires_s, correlation = message
        number = self._last_id
        while True:
            number = number + 1 if number < wire.LAST else wire.FIRST
            if number not in self._unanswered:
                break
        self._last_id = number
        self._unanswered[number] = (answer, self._loop.time())
        self._wire.write(wire.publish_packet(topic, payload, number, retain, expires_s, correlation))

    def _answered(self, number: int, code: int) -> None:
        answer, _ = self._unanswered.pop(number, (None, 0.0))
        if answer is not None and not answer.done():
            answer.set_result(refusal(code))
        if self._queued:
            self._put_queued()

    def _put_queued(self) -> None:
        while self._queued and len(self._unanswered) < self.receive_maximum:
            message, answer = self._queued.popleft()
            if not answer.done():
                self._put(message, answer)

    def forget(self, topic: str) -> None:
        """Be sent no more of ``topic``; nobody waits for the broker's word on that."""
        self._client.unsubscribe(topic)

    def _on_unsubscribe(
        self, client: Any, userdata: Any, mid: int, reason_codes: list[ReasonCode], properties: Any = None
    ) -> None:
        pass

    async def gone(self) -> str:
        """Until the connection is lost, or the broker leaves a message unanswered for too long; returns why."""
        silence = asyncio.ensure_future(self._silence())
        try:
            await asyncio.wait({self._disconnected, silence}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            silence.cancel()
        if not self._disconnected.done():
            return f"no acknowledgement within {ACKNOWLEDGED_WITHIN:g} s"
        error = self._disconnected.exception()
        return "disconnected" if error is None else why_lost(error)

    async def _silence(self) -> None:
        while True:
            since = next((since for _, since in self._unanswered.values()), self._loop.time())
            left = since + ACKNOWLEDGED_WITHIN - self._loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)

    def abandon(self) -> None:
        """Leave no socket behind of an attempt that failed half-way."""
        self._given_up = True
        self._client.disconnect()
        left = self._client.socket()
        if isinstance(left, socket.socket):
            # The thread that connects asks the loop to watch the socket: what it asked for comes first, else the loop
            # would watch one that is closed.
            self._loop.call_soon(self._close, left)

    def _close(self, left: socket.socket) -> None:
        self._loop.remove_reader(left)
        self._loop.remove_writer(left)
        left.close()

    # What paho tells.

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        told = vars(properties) if properties is not None else {}
        # Absent: 65,535 messages (MQTT 5, 3.2.2.3.3). More than this gains nothing.
        self.receive_maximum = min(told.get("ReceiveMaximum", MAX_WINDOW), self.receive_maximum)
        self.max_packet = told.get("MaximumPacketSize", self.max_packet)
        if told.get("MaximumQoS", 1) < 1 and not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the broker takes no messages of QoS 1, which we need"))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        # aiomqtt would wait for its time-out.
        if not self._connected.done() and not self._given_up:
            self._connected.set_exception(aiomqtt.MqttError(CLOSED_FIRST))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        if self.heard is None:
            return  # What a broker sends unasked is dropped.
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        correlation = getattr(message.properties, "CorrelationData", None)
        if correlation is not None and len(correlation) > MAX_CORRELATION:
            correlation = None
        response = getattr(message.properties, "ResponseTopic", None)
        own = dict(getattr(message.properties, "UserProperty", ()))
        self.heard(Heard(topic, bytes(message.payload), message.retain, correlation, response, own.get("id", "")))

    def _paho_reads(self) -> None:
        """Let paho read what is not ours, packet by packet."""
        try:
            while self._wire is not None and self._wire.has_more:
                if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
        except Exception as error:  # noqa: BLE001 - as aiomqtt does: whatever it is, the connection is of no use now
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _paho_writes(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001 - the same
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        if self._wire is None:
            super()._on_socket_register_write(client, userdata, sock)
        else:
            self._loop.call_soon(self._paho_writes)

    def _on_socket_unregister_write(self, client: Any, userdata: Any, sock: Any) -> None:
        # paho says this of an abandoned socket too, when it is collected.
        if self._wire is None and sock.fileno() >= 0:
            super()._on_socket_unregister_write(client, userdata, sock)


class _MqttLink:
    def __init__(self, client: _Client, address: BrokerAddress) -> None:
        self.receive_maximum = client.receive_maximum
        self._client = client
        self._address = address

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expires_s: int | None = None,
        correlation: bytes | None = None,
    ) -> asyncio.Future[Refused | None]:
        size = len(payload) + len(topic) + OVERHEAD
        if size > self._client.max_packet:
            # Sent, it would cost the connection, and be sent again over the next one.
            answer: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
            answer.set_result(
                Refused(f"it has {size} bytes, the broker takes {self._client.max_packet}", for_ever=True)
            )
            return answer
        return self._client.send((topic, payload, retain, expires_s, correlation))

    async def subscribe(self, topic: str, heard: Callable[[Heard], None]) -> str:
        self._client.heard = heard
        # Nothing retained before; and what is sent with the flag keeps it, so that it can be told from the rest.
        options = SubscribeOptions(
            qos=1, noLocal=True, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                codes = await self._client.subscribe(topic, options=options, timeout=math.inf)
        except TimeoutError as error:
            raise LinkLost(f"{self._address}: no acknowledgement within {ACKNOWLEDGED_WITHIN:g} s") from error
        except aiomqtt.MqttError as error:
            raise LinkLost(f"{self._address}: {why_lost(error)}") from error
        return next((str(code) for code in codes if isinstance(code, ReasonCode) and code.is_failure), "")

    def unsubscribe(self, topic: str) -> None:
        self._client.heard = None
        self._client.forget(topic)

    async def lost(self) -> str:
        return f"{self._address}: {await self._client.gone()}"


def _tls(address: BrokerAddress) -> ssl.SSLContext:
    """What a connection by TLS is checked with. Raises LinkLost."""
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise LinkLost(f"{address}: the CA file {address.ca_file} cannot be read: {error}") from error
    if address.cert_file is not None:
        try:
            # A key that asks for a passphrase would ask the terminal.
            context.load_cert_chain(address.cert_file, address.key_file, password="")
        except (OSError, ssl.SSLError) as error:
            raise LinkLost(f"{address}: the certificate {address.cert_file} cannot be used: {error}") from error
    return context


def _let_go(error: BaseException | None) -> None:
    """Let go of the socket of a failed handshake, which paho leaves open in the frames of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        traceback.clear_frames(error.__traceback__ if error is not None else None)


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


def _password(settings: MqttSettings, environment: Mapping[str, str]) -> str | None:
    if settings.password_env is not None:
        if settings.password_env not in environment:
            raise BrokerError(f"mqtt.password_env: the environment has no variable {settings.password_env}")
        return environment[settings.password_env]
    if settings.password_file is not None:
        try:
            return read_private(settings.password_file).strip()
        except NotPrivate as error:
            raise BrokerError(f"mqtt.password_file: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerError(f"mqtt.password_file: cannot read {settings.password_file}: {error}") from error
    return None


def _without_password(url: str | None) -> str | None:
    """The URL as it may be told: a password in it is not."""
    if url is None or "@" not in url:
        return url
    scheme, _, rest = url.rpartition("@")
    return f"{scheme.split('://', maxsplit=1)[0]}://…@{rest}" if "://" in scheme else f"…@{rest}"
