"""The edges: what touches the world, and how the real ones are opened."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

import structlog

from callcenter.app.broker import broker_changed, make_publisher
from callcenter.config.secrets import Secrets
from callcenter.config.settings import Settings
from callcenter.media.embedded.plane import EmbeddedPlane
from callcenter.media.embedded.recorder import mending
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.plane import MediaPlane
from callcenter.publish.mosquitto import MosquittoBroker
from callcenter.publish.publisher import Publisher
from callcenter.publish.settings import Broker
from callcenter.runtime.clock import Clock, SystemClock
from callcenter.signaling.certificates import Keyring
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.settings import TlsSettings
from callcenter.signaling.transport import Network
from callcenter.signaling.trunks.resolver import DnsResolver, Resolver
from callcenter.storage.customer_csv import CustomerFiles
from callcenter.storage.database import StorageError
from callcenter.storage.recording_files import DiskFiles, Mend, Mended, RecordingFiles
from callcenter.storage.store import Storage

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Edges:
    """What touches the world, and what a simulation puts in its place. ``keyring``: where TLS is listened for."""

    clock: Clock
    random: Random
    network: Network
    plane: MediaPlane
    storage: Storage
    publisher: Publisher
    recording_files: RecordingFiles
    keyring: Keyring | None = None
    resolver: Resolver = field(default_factory=DnsResolver)


async def open_edges(
    settings: Settings, secrets: Secrets, stack: contextlib.AsyncExitStack
) -> tuple[Edges, MosquittoBroker | None]:
    """The real world: database, broker, media workers and sockets, each closed by ``stack``."""
    clock, random = SystemClock(), SystemRandom()
    storage = await Storage.open(settings.storage.path, clock=clock, on_state=storage_changed)
    stack.push_async_callback(close_storage, storage)
    if settings.customers is not None:
        rules = {name: each.customers for name, each in settings.calls.clients.items()}
        report = await CustomerFiles(storage.database, rules).import_changed(settings.customers, clock.now())
        for row in report.rejected if report is not None else ():
            log.warning("customer left out", row=str(row))
    plane = EmbeddedPlane(settings.media)
    stack.push_async_callback(plane.close)
    broker = None
    if settings.mqtt.broker is Broker.EMBEDDED:
        broker = MosquittoBroker(
            settings.switch.data / "mosquitto",
            secrets.logins,
            host=settings.mqtt.host,
            port=settings.mqtt.port,
            on_state=broker_changed,
        )
        stack.push_async_callback(broker.close)
    keyring = keyring_for(settings, clock)
    # They start programs, and wait for them: together, and what reads files beside them.
    async with asyncio.TaskGroup() as starting:
        starting.create_task(plane.start(), name="start media workers")
        if broker is not None:
            starting.create_task(broker.start(), name="start the broker")
        if keyring is not None:
            starting.create_task(open_keyring(keyring, settings.sip.tls), name="read the certificates")
    await plane.prepare(settings.calls.prompts.clips())
    publisher = make_publisher(settings.mqtt, broker, storage, clock)
    stack.push_async_callback(publisher.close)
    await publisher.start()
    network = SipNetwork(settings.sip.listen, clock, keyring)
    files = DiskFiles(mender(secrets.recording_keys))
    return Edges(clock, random, network, plane, storage, publisher, files, keyring), broker


def keyring_for(settings: Settings, clock: Clock) -> Keyring | None:
    """A keyring with nothing in it, where TLS is listened for."""
    listen = [each for each in settings.sip.listen if each.transport == "tls"]
    if not listen:
        return None
    hosts = [settings.switch.node, *settings.sip.advertised, *(each.host for each in listen)]
    return Keyring(settings.switch.data / "tls", [host for host in hosts if host not in ("0.0.0.0", "::")], clock)


async def open_keyring(keyring: Keyring, settings: TlsSettings) -> None:
    """Read the certificates, or make one. Raises TransportError."""
    keyring.use(await asyncio.to_thread(keyring.load, settings))


def mender(keys: MasterKeys | None) -> Mend:
    """How a file of the embedded plane is finished that a crash has cut."""

    def mend(path: Path) -> Mended | None:
        try:
            whole = mending.mend(path, keys)
        except FileNotFoundError:
            return None
        except mending.BadRecording as error:
            raise OSError(str(error)) from error
        return None if whole is None else Mended(Path(whole.path), whole.seconds, whole.octets, whole.sha256)

    return mend


def storage_changed(healthy: bool, detail: str) -> None:
    """Say that the database fails, or works again."""
    if healthy:
        log.info("database works again")
    else:
        log.error("database fails: no new offers until it works; calls go on", detail=detail)


async def close_storage(storage: Storage) -> None:
    """Write the last word; what could not be written is said, and does not keep the switch from going down."""
    try:
        await storage.close()
    except StorageError as error:
        log.error("not everything was written", detail=str(error))
