"""Trunk: one trunk as it is now: whether it is there, how many calls it carries, which of its addresses to try."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.runtime.clock import Clock
from callcenter.signaling.trunks.settings import Peer, TrunkSecrets, TrunkSettings
from callcenter.signaling.trunks.ways import Hop

if TYPE_CHECKING:
    from callcenter.sip.message import Response
    from callcenter.sip.registrar import Binding

# An address that gave no sign of life is tried behind the others for so long.
SILENT_FOR = 30.0
# Seconds: who wants to be left alone for longer is asked again then (RFC 3261 21.5.4 names no bound).
LONGEST_REST = 600.0
# Addresses that are remembered; a domain that moves about leaves old ones behind.
MAX_HOPS = 64


@dataclass(slots=True)
class Counts:
    """What went over a trunk since the switch was started: calls that came, and calls that we tried by it."""

    received: int = 0
    refused: int = 0
    tried: int = 0
    answered: int = 0
    failed: int = 0


@dataclass(slots=True)
class HopState:
    """What is known of one address: whether it answered when it was asked last, and until when it is spared."""

    alive: bool | None = None
    detail: str = ""
    rests_until: float = 0.0
    silent_until: float = 0.0


class Line:
    """One of the calls that a trunk may carry at once. Released once, however often that is said."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Give it back. May be called twice."""
        release, self._release = self._release, None
        if release is not None:
            release()


@dataclass(frozen=True, slots=True)
class Health:
    """One opinion of a trunk: OPTIONS has one, the registration the other. ``up`` None: it is not known yet."""

    up: bool | None = None
    detail: str = ""


class Trunk:
    """A trunk. ``up`` is None until something is known; only False keeps calls away from it.

    ``on_change(trunk)`` is told when it goes up or down.
    """

    def __init__(
        self, settings: TrunkSettings, secrets: TrunkSecrets, clock: Clock, on_change: Callable[[Trunk], None]
    ) -> None:
        self.settings = settings
        self.secrets = secrets
        self.counts = Counts()
        self.calls = 0
        self.up: bool | None = None
        self.detail = ""
        self.since = clock.now()
        self.hops: dict[Hop, HopState] = {}
        # Where it has registered at us, the one to be called first in front.
        self.bindings: tuple[Binding, ...] = ()
        self._opinions: dict[str, Health] = {}
        self._clock = clock
        self._on_change = on_change

    @property
    def id(self) -> str:
        """Its name in the configuration."""
        return self.settings.id

    @property
    def gates(self) -> tuple[Peer, ...]:
        """The hosts that its requests are sent to: the outbound proxy alone, where there is one (RFC 3261 8.1.2)."""
        proxy = self.settings.outbound_proxy
        return (proxy,) if proxy is not None else self.settings.peers

    @property
    def full(self) -> bool:
        """Whether it carries all the calls that it may."""
        return self.calls >= self.settings.max_calls

    def take_line(self) -> Line | None:
        """Room for one call more; None when it is full."""
        if self.full:
            return None
        self.calls += 1
        return Line(self._release)

    def think(self, who: str, health: Health) -> None:
        """``who`` has found out how the trunk does."""
        self._opinions[who] = health
        opinions = list(self._opinions.values())
        worst = next((each for each in opinions if each.up is False), None)
        known = [each for each in opinions if each.up is not None]
        up = False if worst is not None else True if known else None
        self.detail = worst.detail if worst is not None else "; ".join(each.detail for each in known if each.detail)
        if up is not self.up:
            self.up, self.since = up, self._clock.now()
            self._on_change(self)

    def registered(self, bindings: Sequence[Binding]) -> None:
        """It is registered at us at these places from now on; at none it is down."""
        came, self.bindings = bool(bindings) and not self.bindings, tuple(bindings)
        if came:
            # What OPTIONS found out before was of nobody.
            self._opinions.pop("options", None)
        where = f"registered here, at {bindings[0].flow.remote}" if bindings else "it has not registered here"
        self.think("registered", Health(bool(bindings), where))

    def forget_opinions(self) -> None:
        """Nothing of what was found out holds any more: it is configured otherwise now."""
        self._opinions.clear()
        self.hops.clear()
        self.up, self.detail, self.since = None, "", self._clock.now()

    def hop(self, hop: Hop) -> HopState:
        """What is known of an address."""
        state = self.hops.get(hop)
        if state is None:
            if len(self.hops) >= MAX_HOPS:
                del self.hops[next(iter(self.hops))]
            state = self.hops[hop] = HopState()
        return state

    def worth_trying(self, hops: Iterable[Hop]) -> list[Hop]:
        """Those to call, in order: not the dead, nor those that want to be left alone; the silent ones last."""
        now = self._clock.monotonic()
        known = [(hop, self.hops.get(hop, HopState())) for hop in hops]
        usable = [(hop, state) for hop, state in known if state.alive is not False and state.rests_until <= now]
        return [hop for hop, state in sorted(usable, key=lambda each: each[1].silent_until > now)]

    def rest(self, hop: Hop, seconds: float) -> None:
        """The address wants no calls for so long (503 with Retry-After)."""
        self.hop(hop).rests_until = self._clock.monotonic() + min(seconds, LONGEST_REST)

    def silent(self, hop: Hop) -> None:
        """The address gave no sign of life."""
        self.hop(hop).silent_until = self._clock.monotonic() + SILENT_FOR

    def __repr__(self) -> str:
        state = {True: "up", False: "down", None: "not known yet"}[self.up]
        detail = f" ({self.detail})" if self.detail else ""
        return f"<Trunk {self.id} {state}{detail} {self.calls} of {self.settings.max_calls} calls>"

    def _release(self) -> None:
        self.calls -= 1


def retry_after(response: Response) -> float:
    """For how many seconds somebody wants to be left alone (RFC 3261 20.33); 0 when it does not say."""
    found = re.match(r"\s*([0-9]{1,9})", response.headers.get("Retry-After") or "")
    return float(found[1]) if found is not None else 0.0
