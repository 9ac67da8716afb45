"""CallControl: what people order in talks from elsewhere than the phone: hold, take back, put through, hang up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callcenter.calls.orders import HangUp, Hold, Resume, Steer, Transfer
from callcenter.calls.results import Result

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.circle import Seat
    from callcenter.calls.dialled import Forbidden
    from callcenter.calls.party import Party

# What somebody who may not be given a caller, or may not be dialled, is to the one who wanted it.
REFUSALS = {
    403: Result.NOT_ALLOWED,
    404: Result.NO_SUCH_TARGET,
    480: Result.NOT_THERE,
    486: Result.BUSY,
    491: Result.UNDER_WAY,
}


def refused(meant: Forbidden) -> Result:
    """The words for what may not be dialled."""
    return REFUSALS.get(meant.status, Result.NOT_ALLOWED)


def let_wait(party: Party, seat: Seat, on: bool) -> None:
    """Let whoever sits on ``seat`` wait for ``party``, with music, or do so no more. Never waits."""
    seat.waits = on
    party.let_wait(on)


class ControlledTalk:
    """One talk as one agent in it may steer it: ``party`` is the agent, ``seat`` the other's.

    ``hang_up`` ends the talk as if the agent had hung up. ``transfer`` puts the caller through to whom that names; None
    where nobody may be: of two colleagues, and of somebody outside whom the agent has dialled.
    """

    __slots__ = ("_hang_up", "_over", "_seat", "_transfer", "call", "party")

    def __init__(
        self,
        call: Call,
        party: Party,
        seat: Seat,
        hang_up: Callable[[], None],
        transfer: Callable[[str], Result] | None = None,
    ) -> None:
        self.call = call
        self.party = party
        self._seat = seat
        self._hang_up = hang_up
        self._transfer = transfer
        self._over = False

    def order(self, order: Steer) -> Result:
        """Do what the agent wants. Never waits."""
        if self._over or self.party.leg.ending is not None:
            return Result.NOT_TALKING
        match order:
            case Hold():
                let_wait(self.party, self._seat, True)
                return Result.DONE
            case Resume():
                return self._resume()
            case Transfer(to=to):
                return self._transfer(to) if self._transfer is not None else Result.NOT_TRANSFERABLE
            case HangUp():
                self._over = True  # whatever else is ordered in this moment comes too late
                self._hang_up()
                return Result.DONE

    def close(self) -> None:
        """The talk is over: whoever talks on with this phone is not on hold there."""
        self.party.lets_wait = self._seat.waits = False

    def _resume(self) -> Result:
        """What was ordered is over. Where the phone itself holds too, that is its own to end."""
        ordered = self.party.lets_wait
        if ordered:
            let_wait(self.party, self._seat, False)
        if self.party.away:
            return Result.PENDING if ordered else Result.ASKS_NOW
        if self.party.phone_holds:
            return Result.PENDING if ordered else Result.PHONE_HOLDS
        return Result.DONE


class CallControl:
    """Who talks now, and may steer it. An agent may be in several: one goes on, the others wait."""

    def __init__(self) -> None:
        self._talks: dict[str, list[ControlledTalk]] = {}

    @contextmanager
    def open(self, agent: str, talk: ControlledTalk) -> Iterator[None]:
        """An agent's talk, while the block lasts."""
        self._talks.setdefault(agent, []).append(talk)
        try:
            yield
        finally:
            talks = self._talks[agent]
            talks.remove(talk)
            if not talks:
                del self._talks[agent]
            talk.close()

    def of(self, agent: str, call: str = "") -> ControlledTalk | None:
        """The talk that an order is about: that of a ``call``; else of several the latest in which nobody waits."""
        talks = [each for each in self._talks.get(agent, ()) if not call or each.call.id == call]
        going_on = [each for each in talks if not each.party.holds]
        found = going_on or talks
        return found[-1] if found else None
