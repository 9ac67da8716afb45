"""Figures: how it goes with receivers and CRMs, in words and numbers, for people and for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callcenter.desk.integrations.lookup import Tally
from callcenter.desk.integrations.store import LaneRow
from callcenter.desk.integrations.webhooks import Receiver


class State(StrEnum):
    """How it goes with a receiver. OFF: somebody turned it off. DISABLED: it failed for days, or said that it is gone.

    UNSIGNED: its secret cannot be read. REMOVED: it stands in the configuration no more.
    """

    WELL = "well"
    FAILING = "failing"
    OFF = "off"
    DISABLED = "disabled"
    UNSIGNED = "unsigned"
    REMOVED = "removed"


def state_of(receiver: Receiver | None, row: LaneRow | None) -> State:
    """How it goes with one; without a ``receiver`` it was removed."""
    if receiver is None or (row is not None and row.removed_at is not None):
        return State.REMOVED
    if receiver.trouble:
        return State.UNSIGNED
    if row is None:
        return State.WELL
    if not row.enabled:
        return State.OFF
    if row.lane.disabled:
        return State.DISABLED
    return State.FAILING if row.lane.failures else State.WELL


@dataclass(frozen=True, slots=True)
class WebhookFigures:
    """One receiver: what is ``pending`` and was ``given_up``, for how many seconds the first one waits (0: none does),
    and how many attempts have failed since the last one that did not.
    """

    webhook: str
    client: str
    state: str
    pending: int
    given_up: int
    oldest_s: float
    failures: int


@dataclass(frozen=True, slots=True)
class CrmFigures:
    """One company's CRM. ``state`` is that of the breaker, or unused."""

    client: str
    state: str
    under_way: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Figures:
    """All of them; ``sent`` and ``failed`` are attempts at deliveries since the desk began."""

    webhooks: tuple[WebhookFigures, ...] = ()
    sent: int = 0
    failed: int = 0
    crms: tuple[CrmFigures, ...] = ()
