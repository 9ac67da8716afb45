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
# Names that come from the network; an external broker may let anybody invent them.
MAX_AGENTS = 20_000


class Commands:
    """The door for commands: bytes of an agent's topic in, the bytes of the answer out."""

    def __init__(self, clock: Clock) -> None:
        self.on_command: OnCommand | None = None
        self._clock = clock
        self._rations: dict[str, _Ration] = {}

    def answer(self, agent: str, payload: bytes) -> bytes | None:
        """What to reply to ``agent``; None when it had its answer already: that it asks too often."""
        match self._ration(agent).take(self._clock.monotonic()):
            case None:
                return None
            case False:
                return payloads.encode(
                    _no(None, f"too many commands: {RATE:g} a second are taken; wait a second, then send it again")
                )
        return payloads.encode(self._obey(agent, payload))

    def _obey(self, agent: str, payload: bytes) -> Mapping[str, Any]:
        if len(payload) > MAX_COMMAND:
            return _no(None, f"the command has {len(payload)} bytes: {MAX_COMMAND} at most")
        try:
            command = json.loads(payload, parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            return _no(None, "the command is not UTF-8")
        except (ValueError, RecursionError):
            return _no(None, "the command is not JSON: write an object such as " + _EXAMPLE)
        if not isinstance(command, dict):
            return _no(None, "the command is not a JSON object: write one such as " + _EXAMPLE)
        if self.on_command is None:
            return _no(command, "this switch takes no commands over MQTT")
        try:
            return self.on_command(agent, command)
        except Exception as error:  # noqa: BLE001 - whoever obeys is another layer's: its mistake must not cost the link
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"a command of {agent} over MQTT failed", "exception": error}
            )
            return _no(command, "the switch made a mistake; its log tells which")

    def _ration(self, agent: str) -> _Ration:
        ration = self._rations.pop(agent, None) or _Ration(self._clock.monotonic())
        while len(self._rations) >= MAX_AGENTS:
            del self._rations[next(iter(self._rations))]
        self._rations[agent] = ration
        return ration


class _Ration:
    """A bucket of tokens; who finds it empty is told so once, until it has been filled again."""

    __slots__ = ("_at", "_left", "_told")

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._at = now
        self._told = False

    def take(self, now: float) -> bool | None:
        """Whether there is one; None when the agent was told already that there is none."""
        self._left = min(float(BURST), self._left + (now - self._at) * RATE)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            # Told again only after a pause: in a steady flood a token falls now and then.
            self._told = self._told and self._left < BURST / 2
            return True
        if self._told:
            return None
        self._told = True
        return False


_EXAMPLE = '{"id": "1", "do": "state", "chosen": "ready"}'


def _no(command: Mapping[str, Any] | None, error: str) -> dict[str, Any]:
    """A refusal; with the command's id where there is one, so that the sender knows which."""
    given = command.get("id") if command is not None else None
    return {"id": given if isinstance(given, str) else None, "ok": False, "error": error}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
