"""The broker: whether one runs here, who publishes to it, and what is told of the way there."""

from __future__ import annotations

import structlog

from callcenter.calls.facts import FactStream
from callcenter.config.settings import Settings
from callcenter.model.facts import BrokerStateChanged
from callcenter.publish.mosquitto import MosquittoBroker
from callcenter.publish.mqtt import MqttPublisher, broker_address
from callcenter.publish.off import NoPublisher
from callcenter.publish.publisher import Publisher
from callcenter.publish.settings import Broker, MqttSettings
from callcenter.runtime.clock import Clock
from callcenter.storage.store import Storage

log = structlog.get_logger()


class BrokerWord:
    """Tells as facts whether the broker is there. The publisher is there before the house, and the start is the first
    fact of all: what comes before that is held back, and the last of it told then.
    """

    def __init__(self, stream: FactStream) -> None:
        self._stream = stream
        self._begun = False
        self._held: BrokerStateChanged | None = None

    def take(self, connected: bool, detail: str) -> None:
        """The broker is there, or is not; why."""
        state = BrokerStateChanged(connected, detail)
        if self._begun:
            self._stream.append(state)
        else:
            self._held = state

    def begin(self) -> None:
        """The start is told."""
        self._begun = True
        if self._held is not None:
            self._stream.append(self._held)


def are_supervised(settings: Settings) -> bool:
    """Whether anybody may command for agents over MQTT."""
    return bool(settings.calls.supervisors) or any(user.mqtt for user in settings.desk.users.values())


def make_publisher(settings: MqttSettings, broker: MosquittoBroker | None, storage: Storage, clock: Clock) -> Publisher:
    """The publisher that the configuration asks for. Raises BrokerError."""
    if broker is None and settings.broker is Broker.OFF:
        return NoPublisher(storage.log)
    address = broker.address if broker is not None else broker_address(settings)
    return MqttPublisher(address, storage.log, clock, client_id=settings.client_id)


def broker_changed(running: bool, detail: str) -> None:
    """Say that our own broker runs, or why it does not."""
    if not running:
        log.warning("the MQTT broker does not run: calls go on without screen pops", detail=detail)
    elif detail:
        log.info("the MQTT broker runs", detail=detail)
