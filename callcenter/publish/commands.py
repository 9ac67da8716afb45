"""Commands: what agents' programs ask for over MQTT, read with suspicion, rationed, and answered in words."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from callcenter.publish import payloads
from callcenter.runtime.clock import Clock
from callcenter.runtime.scopes import Background

Answer = Mapping[str, Any]
# Who obeys: told the agent (from the topic) and the command, it gives the answer, or (where a database has to be asked
# first) what is to be awaited for it. It never waits itself, and does not raise.
OnCommand = Callable[[str, Mapping[str, Any]], Answer | Coroutine[Any, Any, Answer]]

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
# Commands of one agent that wait for one before them that takes its time, and agents who do so at once.
MOST_WAITING = 32
MOST_LANES = 1_000
# Seconds that a command may take: what is not done by then is answered so, and may be asked again by the same id.
ANSWERED_WITHIN = 30.0


class Commands:
    """The door for commands: bytes of an agent's topic in, the bytes of the answer out."""

    def __init__(self, clock: Clock) -> None:
        self.on_command: OnCommand | None = None
        self.flooded = asyncio.Event()
        self._clock = clock
        self._all = _Ration(BURST_OF_ALL, RATE_OF_ALL, clock.monotonic())
        self._rations: dict[str, _Ration] = {}
        # By agent: the commands behind one that takes its time.
        self._lanes: dict[str, deque[_Sent]] = {}
        self._work = Background(MOST_LANES)

    def take(
        self, agent: str, payload: bytes, reply: Callable[[bytes], None], *, retained: bool = False, name: str = ""
    ) -> None:
        """Obey ``agent`` and give ``reply`` the answer, at once where that can be: once, or never, as :meth:`answer`
        has it. ``name`` is the command's id where the message tells it beside the command.

        What an agent sends is obeyed and answered in that order: behind a command that takes its time others wait.
        """
        refused = self._refuse(agent)
        if refused is not _TAKEN:
            if refused is not None:
                reply(payloads.encode(refused))
            return
        sent = _Sent(payload, reply, retained, name)
        lane = self._lanes.get(agent)
        if lane is None:
            self._begin(agent, sent)
        elif len(lane) >= MOST_WAITING:
            error = "too many commands wait for one before them: send it again when that was answered"
            reply(payloads.encode(_no(self._read(sent), error, "too_many")))
        else:
            lane.append(sent)

    def close(self) -> None:
        """Answer nothing any more. Never waits."""
        self._work.cancel()

    def _begin(self, agent: str, sent: _Sent) -> None:
        answer = self._obey(agent, sent)
        if isinstance(answer, Mapping):
            sent.reply(payloads.encode(answer))
            return
        self._lanes[agent] = deque()
        if not self._work.start(self._go_on(agent, sent, answer), name=f"commands of {agent}"):
            del self._lanes[agent]
            sent.reply(payloads.encode(_no(self._read(sent), "too much is asked for: ask again", "too_many")))

    async def _go_on(self, agent: str, sent: _Sent, answer: Coroutine[Any, Any, Answer]) -> None:
        """Wait for the answer, and obey whatever was sent meanwhile."""
        lane = self._lanes[agent]
        try:
            while True:
                sent.reply(payloads.encode(await self._awaited(agent, sent, answer)))
                while True:
                    if not lane:
                        return
                    sent = lane.popleft()
                    found = self._obey(agent, sent)
                    if not isinstance(found, Mapping):
                        answer = found
                        break
                    sent.reply(payloads.encode(found))
        finally:
            del self._lanes[agent]

    async def _awaited(self, agent: str, sent: _Sent, answer: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                return await answer
        except TimeoutError:
            error = f"it was not done within {ANSWERED_WITHIN:g} s: ask again with the same id"
            return _no(self._read(sent), error, "unavailable")
        except Exception as error:  # noqa: BLE001 - as for one that is obeyed at once
            return self._mistake(agent, sent, error)

    def _refuse(self, agent: str) -> Answer | None:
        """What is said to an agent who asks too often; None: nothing is."""
        now = self._clock.monotonic()
        if not self._all.take(now):
            self.flooded.set()
            return None
        ration = self._ration(agent, now)
        if ration.take(now):
            return _TAKEN
        if ration.told:
            return None
        ration.told = True
        return _no(None, f"too many commands: {RATE:g} a second are taken; wait a second, then send it again",
                   "too_many")  # fmt: skip

    def _read(self, sent: _Sent) -> dict[str, Any] | None:
        """The command for the sake of its id; None when it cannot be read."""
        try:
            command = json.loads(sent.payload)
        except (ValueError, RecursionError):
            return None
        if not isinstance(command, dict):
            return None
        return {"id": sent.name, **command} if sent.name else command

    def answer(self, agent: str, payload: bytes, *, retained: bool = False) -> bytes | None:
        """What to reply to ``agent`` at once; None when nothing is to be said, or not yet.

        So it is when the agent was told already that it asks too often, and when too much comes of all together:
        then ``flooded`` is set, and whoever subscribed should look away for a while.
        """
        told: list[bytes] = []
        self.take(agent, payload, told.append, retained=retained)
        return told[0] if told else None

    def _obey(self, agent: str, sent: _Sent) -> Answer | Coroutine[Any, Any, Answer]:
        if len(sent.payload) > MAX_COMMAND:
            return _no(None, f"the command has {len(sent.payload)} bytes: {MAX_COMMAND} at most")
        try:
            command = json.loads(sent.payload.decode(), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            return _no(None, "the command is not UTF-8")
        except (ValueError, RecursionError):
            return _no(None, f"the command is not JSON: write an object such as {EXAMPLE}")
        if not isinstance(command, dict):
            return _no(None, f"the command is not a JSON object: write one such as {EXAMPLE}")
        if sent.name:
            command.setdefault("id", sent.name)
        if sent.retained:
            # The broker would give it to us again at each new link, days after it was meant.
            return _no(command, "a retained command is not obeyed: send it without the retain flag")
        if self.on_command is None:
            return _no(command, "the switch is just starting: send it again in a moment", "unavailable")
        try:
            return self.on_command(agent, command)
        except Exception as error:  # noqa: BLE001 - whoever obeys is another layer: its mistake must not cost the link
            return self._mistake(agent, sent, error)

    def _mistake(self, agent: str, sent: _Sent, error: Exception) -> Answer:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a command of {agent} over MQTT failed", "exception": error}
        )
        return _no(self._read(sent), "the switch made a mistake; its log tells which", "unavailable")

    def _ration(self, agent: str, now: float) -> _Ration:
        ration = self._rations.pop(agent, None) or _Ration(BURST, RATE, now)
        while len(self._rations) >= MAX_AGENTS:
            del self._rations[
                next(iter(self._rations))
            ]  # Who has not asked for the longest time has a full one anyway.
        self._rations[agent] = ration
        return ration


@dataclass(frozen=True, slots=True)
class _Sent:
    """A command as it came, and who is told the answer."""

    payload: bytes
    reply: Callable[[bytes], None]
    retained: bool
    name: str


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


# That a command is taken.
_TAKEN: Answer = {}


def _no(command: Mapping[str, Any] | None, error: str, reason: str = "invalid") -> dict[str, Any]:
    """A refusal; with the command's id where there is one, so that the sender knows which."""
    given = command.get("id") if command is not None else None
    return {"id": given if isinstance(given, str) else None, "ok": False, "error": error, "reason": reason}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
