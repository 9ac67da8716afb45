"""Transaction: what the four machines of RFC 3261 17 share: states, inputs, outputs, and timers of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING

from callcenter.sip.events import EndedBy, Send

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Response
    from callcenter.sip.timers import SipTimers


class State(Enum):
    """Where a transaction stands, in the words of the RFCs."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(IntEnum):
    """What can happen to a transaction: messages by what they mean to it, its timers, and the transport.

    Of whole numbers, because timers are keyed by it: an Enum's own hash is a call in Python.
    """

    START = auto()
    REQUEST = auto()
    ACK = auto()
    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    GIVE_UP = auto()
    TRANSPORT_ERROR = auto()


@dataclass(frozen=True, slots=True)
class Deliver:
    """A response for the user of a client transaction."""

    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """The transaction could not do its work: TIMEOUT or TRANSPORT."""

    cause: EndedBy


Output = Send | Deliver | Failed


def input_of(status: int) -> Input:
    """What a response with this status means to a transaction."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


class Transaction(ABC):
    """A machine with a key, a flow, and timers; the four kinds differ in ``_step``."""

    __slots__ = ("_due", "_interval", "_timers", "began", "flow", "key", "queued", "state")

    def __init__(self, key: str, flow: Flow, timers: SipTimers, state: State) -> None:
        self.key = key
        self.flow = flow
        self.state = state
        self.queued: float | None = None
        self.began = 0.0
        self._timers = timers
        self._interval = timers.t1
        self._due: dict[Input, float] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key} {self.state.name.lower()}>"

    @property
    def deadline(self) -> float | None:
        """When to call expire; None = nothing is due."""
        due = self._due
        return min(due.values()) if due else None

    def expire(self, now: float) -> list[Output]:
        """Let every timer fire that is due at ``now``."""
        outputs: list[Output] = []
        due = self._due
        while due:
            timer = min(due, key=due.__getitem__)
            if due[timer] > now:
                break
            del due[timer]
            outputs += self._step(timer, None, now)
        return outputs

    def transport_failed(self, now: float) -> list[Output]:
        """What the machine sent last could not be sent, or its connection is gone."""
        return self._step(Input.TRANSPORT_ERROR, None, now)

    @abstractmethod
    def _step(self, given: Input, response: Response | None, now: float) -> list[Output]:
        """Take one input in: the machine of the RFC."""

    def _terminate(self) -> None:
        self.state = State.TERMINATED
        self._due.clear()
