"""Commands: what agents' programs ask for over MQTT, read with suspicion, rationed, and answered in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from callcenter.publish import payloads
from callcenter.runtime.clock import Clock

# Who obeys: told the agent (from the topic) and the command, it gives the answer. It never waits and never raises.
OnCommand = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]

# A command is a word or two; a program that sends more has lost its way.
MAX_COMMAND = 4 * 1024
# So many at once, and so many a second after that, of one agent: far above a hand, far below a loop gone wild.
BURST = 20
RATE = 10.0
# Of all agents together: a thousand who come back at one moment, and what costs the switch two hundredths of a core.
BURST_OF_ALL = 1_000
RATE_OF_ALL = 200.0
# Names that come from the network; an external broker may let anybody invent them.
MAX_AGENTS = 20_000


class Commands:
    """The door for commands: bytes of an agent's topic in, the bytes of the answer out."""

    def __init__(self, clock: Clock) -> None:
        self.on_command: OnCommand | None = None
        self.flooded = asyncio.Event()
        self._clock = clock
        self._all = _Ration(BURST_OF_ALL, RATE_OF_ALL, clock.monotonic())
        self._rations: dict[str, _Ration] = {}

    def answer(self, agent: str, payload: bytes, *, retained: bool = False) -> bytes | None:
        """What to reply to ``agent``; None when nothing is to be said.

        So it is when the agent was told already that it asks too often, and when too much comes of all together:
        then ``flooded`` is set, and whoever subscribed should look away for a while.
        """
        now = self._clock.monotonic()
        if not self._all.take(now):
            self.flooded.set()
            return None
        ration = self._ration(agent, now)
        if not ration.take(now):
            if ration.told:
                return None
            ration.told = True
            error = f"too many commands: {RATE:g} a second are taken; wait a second, then send it again"
            return payloads.encode(_no(None, error))
        return payloads.encode(self._obey(agent, payload, retained))

    def _obey(self, agent: str, payload: bytes, retained: bool) -> Mapping[str, Any]:
        if len(payload) > MAX_COMMAND:
            return _no(None, f"the command has {len(payload)} bytes: {MAX_COMMAND} at most")
        try:
            command = json.loads(payload.decode(), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            return _no(None, "the command is not UTF-8")
        except (ValueError, RecursionError):
            return _no(None, f"the command is not JSON: write an object such as {EXAMPLE}")
        if not isinstance(command, dict):
            return _no(None, f"the command is not a JSON object: write one such as {EXAMPLE}")
        if retained:
            # The broker would give it to us again at each new link, days after it was meant.
            return _no(command, "a retained command is not obeyed: send it without the retain flag")
        if self.on_command is None:
            return _no(command, "the switch is just starting: send it again in a moment")
        try:
            return self.on_command(agent, command)
        except Exception as error:  # noqa: BLE001 - whoever obeys is another layer: its mistake must not cost the link
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"a command of {agent} over MQTT failed", "exception": error}
            )
            return _no(command, "the switch made a mistake; its log tells which")

    def _ration(self, agent: str, now: float) -> _Ration:
        ration = self._rations.pop(agent, None) or _Ration(BURST, RATE, now)
        while len(self._rations) >= MAX_AGENTS:
            del self._rations[
                next(iter(self._rations))
            ]  # Who has not asked for the longest time has a full one anyway.
        self._rations[agent] = ration
        return ration


class _Ration:
    """A bucket of tokens. ``told``: whoever found it empty knows; forgotten when it is half full again."""

    __slots__ = ("_at", "_burst", "_left", "_rate", "told")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now
        self.told = False

    def take(self, now: float) -> bool:
        """Whether there is one."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        self.told = self.told and self._left < self._burst / 2
        return True


EXAMPLE = '{"id": "1", "do": "state", "chosen": "ready"}'


def _no(command: Mapping[str, Any] | None, error: str) -> dict[str, Any]:
    """A refusal; with the command's id where there is one, so that the sender knows which."""
    given = command.get("id") if command is not None else None
    return {"id": given if isinstance(given, str) else None, "ok": False, "error": error}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
