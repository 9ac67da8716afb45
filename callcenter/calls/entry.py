"""Entry: while they talk, an agent has the caller enter what nobody is to hear: a card, a PIN.

The steps are those of a flow that the company allows for it. What is pressed meanwhile reaches the switch alone; of the
caller the agent hears nothing then, since keys sound in the voice on many lines, and goes on being heard between the
prompts. On the screen the agent sees how far the caller is, in stars.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from callcenter.calls.orders import CancelEntry, SendDigits, StartEntry
from callcenter.calls.results import Result
from callcenter.calls.settings import Collect, Flow, Say, SetAttributes
from callcenter.calls.steps.attributes import note, stars
from callcenter.calls.steps.collect import BREATH, Collected, collect
from callcenter.media.plane import MediaError
from callcenter.model.facts import EntryBegan, EntryEnded
from callcenter.model.states import EntryResult
from callcenter.runtime.scopes import Background

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.party import Party
    from callcenter.publish.publisher import Publisher

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Talking:
    """An agent in a talk: ``own`` is their side, ``other`` whom they talk to, a ``customer`` or one of ours."""

    call: Call
    own: Party
    other: Party
    customer: bool


class Entries:
    """Does what agents order in their talks: entries, and keys that are pressed for them."""

    def __init__(self, calls: Callable[[], Iterable[Call]], publisher: Publisher, topic: Callable[[str], str]) -> None:
        """``calls`` are those that are; ``topic`` is where an agent's screen sees an entry."""
        self._calls = calls
        self._publisher = publisher
        self._topic = topic

    def order(self, agent: str, order: SendDigits | StartEntry | CancelEntry, by: str) -> Result:
        """Do it. Never waits."""
        talking = self._talk_of(agent, order.call)
        if talking is None:
            return Result.NOT_TALKING
        match order:
            case SendDigits(digits=digits):
                talking.other.send_digits(digits)
                return Result.DONE
            case StartEntry(flow=flow):
                return self._start(talking, agent, flow, by)
            case CancelEntry():
                if talking.call.entry is None:
                    return Result.NOTHING_ENTERED
                talking.call.entry.close(by)
                return Result.DONE

    def _start(self, talking: Talking, agent: str, flow: str, by: str) -> Result:
        call = talking.call
        known = call.settings.flows.get(flow)
        if not talking.customer:
            return Result.NOT_TALKING
        if known is None or flow not in call.client.in_talk:
            return Result.NO_SUCH_ENTRY
        if call.entry is not None or talking.other.sound.waited_on:
            return Result.ENTERS_ALREADY
        call.entry = Entry(talking, agent, known, self._tell)
        call.entry.begin(by)
        return Result.DONE

    def _talk_of(self, agent: str, name: str) -> Talking | None:
        """The talk of an agent who may be in several: that in the call of this name, else one not on hold."""
        calls = (call for call in self._calls() if not name or call.id == name)
        there = [talking for call in calls if (talking := talk_in(call, agent)) is not None]
        return next((talking for talking in there if not talking.own.holds), there[0] if there else None)

    def _tell(self, agent: str, seen: dict[str, object] | None) -> None:
        self._publisher.set_state(self._topic(agent), seen)


def talk_in(call: Call, agent: str) -> Talking | None:
    """The talk of an agent in this call, if that is one."""
    if call.talk is not None and call.talk.agent_id == agent:
        return Talking(call, call.talk.party, call.caller, customer=not call.agent)
    if call.agent != agent:
        return None
    if call.outside is not None and call.outside.lasts:
        return Talking(call, call.caller, call.outside.party, customer=True)
    return Talking(call, call.caller, call.talk.party, customer=False) if call.talk is not None else None


class Entry:
    """One, while it lasts: no longer than the talk. ``tell`` shows the agent how far it is, None at its end."""

    def __init__(
        self, talking: Talking, agent: str, flow: Flow, tell: Callable[[str, dict[str, object] | None], None]
    ) -> None:
        self.agent = agent
        self.flow = flow
        self._talking = talking
        self._tell = tell
        self._secret = any(step.mask for step in flow.steps if isinstance(step, Collect))
        self._over = False
        self._work = Background(limit=1)

    def __repr__(self) -> str:
        return f"<Entry {self.flow.id} for {self.agent} in {self._talking.call.id[-6:]}>"

    def begin(self, by: str) -> None:
        """Ask the caller. Never waits."""
        call = self._talking.call
        call.add(EntryBegan(self.agent, self.flow.id, by))
        self._show("asking")
        self._work.start(self._run(), name=f"entry {self.flow.id} of {self.agent}")

    def close(self, by: str = "the end of the talk") -> None:
        """Ask no more, and forget what is not whole. Never waits; may be called twice."""
        self._end(EntryResult.CANCELLED, by)
        self._work.cancel()

    async def _run(self) -> None:
        sound = self._talking.other.sound
        # What was pressed before was for the agent.
        sound.forget_keys()
        result = EntryResult.FAILED
        try:
            with sound.masked(self._secret):
                if await self._ask():
                    result = EntryResult.ENTERED
                # Who goes on pressing has not noticed that it is whole.
                if self._secret and not self._over:
                    await asyncio.sleep(BREATH)
        except MediaError as error:
            log.info("an entry failed", entry=self.flow.id, why=str(error))
        finally:
            self._end(result, "")

    async def _ask(self) -> bool:
        """Run the steps; whether all was entered."""
        call, sound = self._talking.call, self._talking.other.sound
        for step in self.flow.steps:
            match step:
                case Say():
                    await sound.say(call.prompt(step.prompt), barge_in=step.barge_in)
                case SetAttributes(values=values):
                    for name, value in values.items():
                        note(call, name, value)
                case Collect():
                    self._show("asking", step)

                    def entered(digits: str, step: Collect = step) -> None:
                        self._show("entering", step, digits)

                    if await collect(call, step, sound=sound, on_digit=entered) is not Collected.ENTERED:
                        return False
                case _:
                    raise AssertionError("no step of an entry: the configuration was checked")
        return True

    def _show(self, state: str, step: Collect | None = None, digits: str = "") -> None:
        if self._over:
            return
        seen: dict[str, object] = {"call": self._talking.call.id, "entry": self.flow.id, "state": state}
        if step is not None:
            seen |= {
                "step": step.id,
                "entered": stars(digits),
                "count": len(digits),
                "shortest": step.shortest,
                "longest": step.longest,
            }
        self._tell(self.agent, seen)

    def _end(self, result: EntryResult, by: str) -> None:
        if self._over:
            return
        self._over = True
        talking = self._talking
        talking.call.entry = None
        talking.call.add(EntryEnded(self.agent, self.flow.id, result, by))
        self._tell(self.agent, None)
        sound = talking.other.sound
        if sound.is_open and talking.other.leg.ending is None:
            sound.stop()
            # Whoever was on hold hears music again.
            if talking.other.on_quiet is not None:
                talking.other.on_quiet(talking.other)
